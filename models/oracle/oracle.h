/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: an observer outside the mechanisms. It checks every TLB hit against the page tables,
 * and every table that a walk cache gives. A hit on a translation that the page table no longer
 * holds is legal only while the unmap that removed it has not finished its flush; afterwards it is
 * a stale use: the flush was lost. Nor is it legal before that once another mapping has the
 * address, or the memory has been freed, or by a CPU that says that it has flushed. And it checks
 * that an entry of stage 2 that is replaced by one of another size is nowhere cached when the new
 * one is made (break-before-make).
 *
 * It knows address spaces by number and page tables by themselves; of guests, hypervisors and
 * mechanisms it knows nothing. One oracle a VM. */
#ifndef TS_MODELS_ORACLE_H
#define TS_MODELS_ORACLE_H

#include "models/mmu/mmu.h"
#include "sim/cpumask.h"
#include "sim/engine.h"
#include "sim/error.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_oracle;

struct ts_oracle_stats {
    uint64_t hits_checked;
    uint64_t hits_current;     /* the page table agrees */
    uint64_t hits_in_window;   /* stale, unmap not finished: legal. Rule: the three add up */
    uint64_t hits_stale;       /* findings */
    uint64_t tables_in_window; /* walks from a table that has gone, unmap not finished: legal */
    uint64_t tables_stale;     /* the same, finished: findings */
    uint64_t entries_made;     /* in the place of others of stage 2 */
    uint64_t made_too_early;   /* of these, while a TLB held what they replace: findings */
};
extern const struct ts_stat_table ts_oracle_stat_table; /* group "oracle" */

enum ts_status ts_oracle_create(struct ts_oracle **out, struct ts_error *err);
void ts_oracle_destroy(struct ts_oracle *o);
/* Whose clock windows are told by; without one a finding does not say when what it used was taken
 * away. It outlives the oracle's last call. */
void ts_oracle_set_engine(struct ts_oracle *o, const struct ts_engine *engine);
/* An unmap or permission demotion of [start, end) in an address space begins (before the first PTE
 * changes); the handle goes to ts_oracle_window_close when its flush has returned. space: from 1.
 * TS_ORACLE_NO_WINDOW: out of memory; the caller ends the run, for what is found now may be legal.
 * Closing it does nothing. */
#define TS_ORACLE_NO_WINDOW UINT32_MAX
uint32_t ts_oracle_window_open(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end);
void ts_oracle_window_close(struct ts_oracle *o, uint32_t handle);
/* [start, end) of an address space belongs to another mapping from now on: whoever gives addresses
 * out before the flush of their unmap has returned must know that nobody uses what they were.
 * False: out of memory, as above. */
bool ts_oracle_mapped_anew(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end);
/* A leaf of [start, end) that led to the guest-physical address ipa has just been cleared by an
 * unmap or drop; one that leads there is about to be made. */
void ts_oracle_cleared(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                       uint64_t ipa);
void ts_oracle_mapped(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                      uint64_t ipa);
/* The table at ipa has just been taken out of the page tables, or put elsewhere in them; it may be
 * freed later. False: out of memory, as above. */
bool ts_oracle_table_detached(struct ts_oracle *o, uint64_t ipa);
/* An unmap or drop of [start, end) has returned, whose first entry was cleared at `begun` or later,
 * and whose mechanism flushes before it returns. What others had cleared there by then, and have
 * not flushed yet, it found empty, and has flushed as well (mm/mmu_gather.c tlb_finish_mmu,
 * mm_tlb_flush_nested, 6.1 and 6.12; M. Kim, mm: fix MADV_[FREE|DONTNEED] TLB flush miss problem,
 * 2017): nobody may use it any more, until it is cleared once more: it has been in use again then.
 * Of wide ranges, and where much was cleared since, only a part is judged. False: out of memory, as
 * above. */
bool ts_oracle_returned(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                        ts_time begun);
/* Nobody has the memory at the guest-physical addresses [ipa, ipa + bytes) any more, for pages or
 * for tables, and from ts_oracle_taken on somebody has it again. ipa stands for pa, of the first
 * byte; both aligned to 4K, as bytes is. Who frees memory must know that no CPU uses it as what it
 * was, whether or not a flush has returned, and whoever has it by then (mm/mmu_gather.c,
 * tlb_flush_mmu: the flush, then the pages; 6.1 and 6.12). False: out of memory, as above. */
bool ts_oracle_freed(struct ts_oracle *o, uint64_t ipa, uint64_t pa, uint64_t bytes);
void ts_oracle_taken(struct ts_oracle *o, uint64_t ipa, uint64_t bytes);
/* What was changed in [start, end) of the window is of this generation (tlb_gen, from 1), which has
 * just been made: who keeps it or a later one for its CPU says that it has flushed, whether or not
 * the flush has returned (arch/x86/mm/tlb.c flush_tlb_func, local_tlb_gen, 6.1 and 6.12). The same
 * return value. */
bool ts_oracle_raised(struct ts_oracle *o, uint32_t window, uint64_t start, uint64_t end,
                      uint64_t generation);
/* The same for the VM's stage 2: the host is about to change what stands for the guest-physical
 * addresses [start, end). Closed likewise, when its flush has returned. */
uint32_t ts_oracle_stage2_window_open(struct ts_oracle *o, uint64_t start, uint64_t end);

/* An entry of stage 2 that was broken is about to be made again, as a block where a table was, the
 * other way round, or with another target. By then no TLB may hold what is known of its
 * guest-physical addresses [start, end): two sizes of one address are a TLB conflict, or the walk
 * goes on in a table that has been freed (Arm ARM, "Using break-before-make"; kvm/hyp/pgtable.c
 * stage2_try_break_pte). Of stage 2 they are found by address, of both stages together by the
 * memory behind it, which lies from pa on and is the VM's alone. */
struct ts_oracle_make {
    ts_time now;
    uint32_t vm;
    uint16_t vmid;
    uint64_t start, end, pa;
    struct ts_mmu *const *mmus; /* of the CPUs */
    uint32_t nmmus;
    /* Those that may use what they hold; NULL: all. Others drop it before a vCPU runs there. */
    const struct ts_cpumask *cpus;
};
void ts_oracle_stage2_make(struct ts_oracle *o, const struct ts_oracle_make *make);

#define TS_ORACLE_NO_THREAD UINT32_MAX /* none: a walk that the hardware made by itself */
/* A hit in a TLB: who used what, and the tables that should have said so. */
struct ts_oracle_use {
    ts_time now;
    uint32_t vm, cpu, thread; /* for the report */
    uint64_t space;
    uint64_t va;
    bool write;
    uint64_t generation; /* that the CPU keeps for the address space; 0: none */
    uint64_t newest;     /* of the address space: no CPU may keep a later one */
    uint64_t pa;         /* where the access went */
    const struct ts_pgtable *stage1;
    const struct ts_pgtable *stage2; /* NULL: none */
};
/* The first finding is kept. */
void ts_oracle_hit(struct ts_oracle *o, const struct ts_oracle_use *use);
/* A walk that began, by a walk cache, in a table which the page tables do not have there: legal
 * only while an unmap of something in the span bytes around use->va that a table of its level maps
 * has not finished, and the table has not been freed. use->pa is not looked at. */
void ts_oracle_walk(struct ts_oracle *o, const struct ts_oracle_use *use, uint64_t table,
                    uint64_t span);
/* The same of a table of stage 2, for guest-physical ipa: legal while the host changes something in
 * the span bytes around it. */
void ts_oracle_walk_stage2(struct ts_oracle *o, const struct ts_oracle_use *use, uint64_t ipa,
                           uint64_t table, uint64_t span);
/* What ts_mmu_access says of the tables that a walk began in: either, both or none of these. */
void ts_oracle_walked(struct ts_oracle *o, const struct ts_oracle_use *use,
                      const struct ts_mmu_access *access);
/* TS_OK, or TS_ERR_FINDING with the first finding's description. */
enum ts_status ts_oracle_verdict(const struct ts_oracle *o, struct ts_error *err);
const struct ts_oracle_stats *ts_oracle_stats(const struct ts_oracle *o);

#ifdef __cplusplus
}
#endif
#endif
