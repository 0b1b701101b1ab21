/* SPDX-License-Identifier: Apache-2.0 */
/* The TLB state of a CPU (cpu_tlbstate, arch/x86/mm/tlb.c; x86.md 1.1 to 1.4) and which address
 * space it has loaded; the per-CPU part of the guest. */
#ifndef TS_MODELS_GUEST_TLB_STATE_H
#define TS_MODELS_GUEST_TLB_STATE_H

#include "models/guest/coherence/smp_call.h"
#include "models/guest/core/mm_struct.h"

#ifdef __cplusplus
extern "C" {
#endif

/* arm64 asm/mmu.h USER_ASID_FLAG: with KPTI user code has the odd ASID of its address space's pair.
 */
enum { TS_KPTI_USER_ASID = 1 };

struct ts_tlb_context {
    uint64_t ctx_id, tlb_gen;
    /* For the statistics of assisted flushes only (assisted.h): the last generation that the CPU
     * wrote itself, and up to which the TLB has really been flushed. */
    uint64_t own_gen, flushed_gen;
    bool flushed_by_self;
};

/* flush_tlb_info: one outstanding a CPU. */
struct ts_flush_info {
    struct ts_mm *mm;    /* NULL: every address space */
    uint64_t start, end; /* end UINT64_MAX: TLB_FLUSH_ALL */
    /* Windows: the pages of [start, end) that are meant, ascending; NULL: all. */
    const uint64_t *list;
    uint32_t nlist;
    uint64_t new_tlb_gen;
    uint32_t stride_shift;
    bool freed_tables;
    bool trim_cpumask;  /* CPUs that are in the mask only are to leave it */
    uint32_t initiator; /* guest CPU number */
    /* What an unmap or MADV_DONTNEED has taken out of the tables; start == end: not one of these,
     * or the whole address space at its end. */
    uint64_t unmapped_start, unmapped_end;
    /* What the flush was asked for, tables that go included, before it became one of all. */
    uint64_t hull_start, hull_end;
    struct ts_line line;
    struct ts_shootdown_record *record; /* being filled in; belongs to the initiator's CPU */
};

/* All that is to be flushed; each keeps its line, and its record. No time passes. */
static inline void ts_flush_info_copy(struct ts_flush_info *to, const struct ts_flush_info *from)
{
    to->mm = from->mm;
    to->start = from->start;
    to->end = from->end;
    to->list = from->list;
    to->nlist = from->nlist;
    to->new_tlb_gen = from->new_tlb_gen;
    to->stride_shift = from->stride_shift;
    to->freed_tables = from->freed_tables;
    to->trim_cpumask = from->trim_cpumask;
    to->initiator = from->initiator;
    to->unmapped_start = from->unmapped_start;
    to->unmapped_end = from->unmapped_end;
    to->hull_start = from->hull_start;
    to->hull_end = from->hull_end;
}

struct ts_guest_cpu {
    struct ts_guest *guest;
    struct ts_cpu *cpu;
    uint32_t id;
    /* cpu_tlbstate */
    struct ts_mm *loaded_mm; /* &guest->init_mm when none */
    bool switching;          /* LOADED_MM_SWITCHING */
    struct ts_store switching_store;
    uint32_t loaded_asid;
    uint32_t next_asid;
    bool new_cpu; /* of the switch under way: its bit was not in the mask, so that it may have
                     missed flushes that go by the mask; a change of the ASID counts as one */
    struct ts_tlb_context ctxs[TS_ASIDS_MAX];
    bool invalidate_other;       /* PTI: only the loaded slot has seen a flush of kernel pages */
    uint32_t user_flush_mask;    /* user_pcid_flush_mask, by slot (pti.h) */
    struct ts_line state_line;   /* cpu_tlbstate; shooters may read loaded_mm there */
    struct ts_line private_line; /* of the code that executes: a queued lock's node */
    bool is_lazy;
    struct ts_store lazy_store;
    struct ts_line lazy_line; /* shared line read by shooters */
    struct ts_flush_info info;
    struct ts_shootdown_record record;
    bool in_shootdown; /* record is of one under way */
    /* call function */
    struct ts_csd *queue; /* call_single_queue, newest first */
    struct ts_line queue_line;
    struct ts_line resched_line; /* thread_info.flags of the idle task */
    struct ts_cpumask scratch, ipi_mask,
        flush_mask;   /* flush_mask: a mechanism's own working copy */
    ts_time off_mark; /* not-running clock at the last ts_path_add */
};

/* The slot that holds mm's translations on a CPU, or NULL. */
static inline struct ts_tlb_context *ts_tlb_context_of(struct ts_guest_cpu *gc,
                                                       const struct ts_mm *mm)
{
    for (uint32_t a = 0; a < TS_ASIDS_MAX; a++) {
        if (gc->ctxs[a].ctx_id == mm->ctx_id)
            return &gc->ctxs[a];
    }
    return NULL;
}

/* What other CPUs see of switching and is_lazy: that one has begun and that the other has ended may
 * still be in the CPU's store buffer. */
static inline bool ts_guest_cpu_switching(const struct ts_guest_cpu *gc)
{
    return gc->switching && !ts_store_is_hidden(&gc->switching_store);
}
static inline bool ts_guest_cpu_lazy(const struct ts_guest_cpu *gc)
{
    return gc->is_lazy || ts_store_is_hidden(&gc->lazy_store);
}

static inline struct ts_guest_cpu *ts_guest_cpu_of(const struct ts_task *self)
{
    return (struct ts_guest_cpu *)self->cpu->user;
}
static inline struct ts_steal_area *ts_guest_cpu_steal(const struct ts_guest_cpu *gc)
{
    return &gc->guest->vm->steal[gc->id];
}

/* trace_tlb_flush; pages UINT64_MAX: all. */
static inline void ts_trace_tlb_flush(struct ts_guest *g, enum ts_tlb_reason reason, uint64_t pages)
{
    struct ts_tlb_trace *t = &g->stats.tlb_trace[reason];

    t->events++;
    t->all += pages == UINT64_MAX;
    t->pages += pages == UINT64_MAX ? 0 : pages;
}

/* --- the CPUs (coherence/tlb_state.c) --- */
/* Every CPU's state, and init_mm. */
enum ts_status ts_guest_cpus_init(struct ts_guest *g, struct ts_error *err);
void ts_guest_cpus_fini(struct ts_guest *g);

/* --- translation regime (coherence/tlb_state.c) --- */
/* The tags that this CPU's translations of its loaded address space carry. */
uint16_t ts_guest_vmid(const struct ts_guest_cpu *gc);
uint16_t ts_guest_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm);
/* The same of user code's, which has a PCID of its own under PTI. */
uint16_t ts_guest_user_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm);
/* The MMU of the pCPU that executes self now, and the regime that user code is in there. */
struct ts_mmu *ts_guest_mmu(struct ts_task *self, struct ts_mmu_context *ctx);
/* Applies inval to the TLB of the pCPU that executes self. */
void ts_guest_invalidate(struct ts_task *self, const struct ts_tlb_inval *inval);

/* --- switching (coherence/context.c) --- */
void ts_switch_mm(struct ts_task *self, struct ts_mm *next); /* interrupts off */
void ts_enter_lazy_tlb(struct ts_task *self);

#ifdef __cplusplus
}
#endif
#endif
