/* SPDX-License-Identifier: Apache-2.0 */
/* struct mm_struct: an address space, as far as more than one module needs to see it. Created and
 * destroyed by mm (ts_mm_create); init_mm by coherence. */
#ifndef TS_MODELS_GUEST_MM_STRUCT_H
#define TS_MODELS_GUEST_MM_STRUCT_H

#include "models/guest/core/guest.h"
#include "models/guest/lock/rwsem.h"
#include "sim/cpumask.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vma;
struct ts_late_leaves;

struct ts_mm {
    struct ts_guest *guest;
    uint64_t ctx_id;  /* never reused, from 1 */
    uint64_t tlb_gen; /* starts at 1 */
    struct ts_line gen_line;
    struct ts_cpumask cpumask; /* mm_cpumask */
    struct ts_line mask_line;
    ts_time next_trim; /* next_trim_cpumask: from when a flush tells CPUs to leave the mask */
    struct ts_rwsem mmap_lock;
    struct ts_pgtable *pgtable;
    struct ts_late_leaves *late; /* of pgtable, arm64 with store buffers; else NULL */
    struct ts_vma *vmas;         /* sorted by start; owned */
    uint32_t nvmas, vmas_room;
    uint64_t mmap_base;     /* addresses are handed out downwards from here, first fit */
    uint32_t flush_pending; /* open gathers: tlb_flush_pending */
    uint32_t batch_pending, batch_flushed; /* the two halves of tlb_flush_batched */
    uint32_t users;                        /* threads */
    uint16_t asid;                         /* arm64 */
    /* Mechanisms with ASIDs that all CPUs share (INVLPGB, RAR; mmu_context_t since 6.15). */
    uint16_t global_asid; /* 0: none */
    bool asid_transition; /* some CPU may still use one of its own */
    struct ts_line lru_line;
    void *nt_process; /* nt/process.h; NULL: not of Windows */
    void *private_mm; /* mm.c: regions, frames, oracle state */
};

#ifdef __cplusplus
}
#endif
#endif
