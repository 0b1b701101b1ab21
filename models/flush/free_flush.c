/* SPDX-License-Identifier: Apache-2.0 */
/* All CPUs' translations die at once and for nothing: what flushes cost, taken away. It is the one
 * place where something acts at a distance.
 *
 * A bound of each shootdown's latency, and of completion where no thread waits for another. Not of
 * completion under overcommit: on a host that does not report a vCPU as preempted when it yields
 * its CPU on a pause-loop exit (Linux 5.19 and later, commit 6cd88243c7e0), writers who queue for
 * mmap_lock behind such a vCPU go on spinning, and free flushes bring more of them there at once
 * (results/free-flush). */
#include "models/flush/flush.h"
#include "models/guest/coherence/assisted.h"

/* A change of an earlier generation is known to nobody yet but who made it: a CPU that took over
 * this one's would say that it had flushed that one as well (flush_tlb_func flushes everything
 * then). */
static bool is_behind(const struct ts_guest *g, const struct ts_flush_info *info)
{
    for (uint32_t i = 0; info->mm && info->new_tlb_gen && i < g->ncpus; i++) {
        const struct ts_tlb_context *slot = ts_tlb_context_of(&g->cpus[i], info->mm);
        if (slot && slot->tlb_gen + 1 < info->mm->tlb_gen)
            return true;
    }
    return false;
}

/* Nothing is left for a switch to flush, as if each CPU had done it itself. */
static void note_flushed(struct ts_guest *g, const struct ts_mm *mm)
{
    for (uint32_t i = 0; i < g->ncpus; i++) {
        struct ts_tlb_context *slot = ts_tlb_context_of(&g->cpus[i], mm);
        if (!slot)
            continue;
        TS_ASSERT(slot->tlb_gen <= mm->tlb_gen);
        slot->tlb_gen = mm->tlb_gen;
        ts_assisted_own(slot, slot->tlb_gen);
    }
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    TS_ASSERT(!info->mm || info->end == UINT64_MAX || info->start < info->end);
    (void)mask;
    (void)record;
    ts_task_store_dsb(self); /* nobody's walk sees what was there before, either */
    bool all = !info->mm || info->end == UINT64_MAX || is_behind(g, info);
    /* Every tag that user code's translations may have: on x86 a slot of any vCPU, on arm64 its
     * ASID. */
    struct ts_tlb_inval inval = {
        .kinds = TS_TLB_KIND_BIT(TS_TLB_COMBINED) | TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK),
        .all_addresses = all,
        .walk_any_address = true,
        .asid_rule =
            g->arch == TS_ARCH_X86 || !info->mm ? TS_INVAL_ASID_ANY_NONGLOBAL : TS_INVAL_ASID_MATCH,
        .asid = info->mm ? ts_guest_user_asid(ts_guest_cpu_of(self), info->mm) : 0,
        .start = info->start,
        .length = all ? 0 : info->end - info->start,
    };
    uint64_t now = ts_task_cycle(self);
    for (uint32_t p = 0; p < g->topology->ncpus; p++) {
        if (g->arch == TS_ARCH_ARM64 || g->vm->bare_metal) {
            inval.vmid = ts_vm_vmid(g->vm, 0);
            (void)ts_mmu_invalidate(g->mmus[p], &inval, now);
            continue;
        }
        for (uint32_t v = 0; v < g->ncpus; v++) {
            inval.vmid = ts_vm_vmid(g->vm, v);
            (void)ts_mmu_invalidate(g->mmus[p], &inval, now);
        }
    }
    if (info->mm)
        note_flushed(g, info->mm);
    for (uint32_t i = 0; !info->mm && i < g->nmms; i++)
        note_flushed(g, g->mms[i]);
}

const struct ts_flush_ops ts_flush_free_flush = {
    .name = "free_flush",
    .summary = "free and instant flushes (no bound of completion)",
    .reference = "none; no hardware does it",
    .hypothetical = true,
    .guests = TS_FOR_LINUX | TS_FOR_WINDOWS,
    .flush_multi = flush_multi,
};
