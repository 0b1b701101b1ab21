/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's Remote Action Request as the series "Intel RAR TLB invalidation" uses it (R. van Riel,
 * RFC v4 of 19 June 2025: arch/x86/mm/rar.c, tlb.c; it was not merged): an address space with a
 * global ASID is flushed by a payload that the microcode of every CPU in its mask carries out
 * (models/cpu/rar.h). As posted:
 *
 * - a CPU uses the payload of its number modulo their count, under that payload's lock, until every
 *   target has answered; with PTI twice, for either PCID;
 * - the mask is the whole of mm_cpumask: lazy CPUs and those that run something else are not left
 *   out, as a RAR does not raise their generation; the initiator is in it too, and flushes by
 *   software once more;
 * - a range names one page more than it has, and is a whole PCID from 62 pages on;
 * - a CPU that newly enters the mask flushes at the switch; once a second the mask is trimmed by a
 *   flush by interrupts, on a global ASID always of all;
 * - flushes of no one address space (reclaim, kernel ranges) are of everything.
 *
 * Address spaces without a global ASID are flushed natively. Bare metal only: nobody offers RAR to
 * guests. The author was not sure at v4 that all flushes were effective; the hardware here is. */
#include "models/flush/flush_global_asid.h"
#include "models/guest/coherence/csd.h"
#include "models/guest/coherence/ipi.h"
#include "models/guest/coherence/pti.h"

enum { MAX_PAGES = 63 }; /* RAR_INVLPG_MAX_PAGES, from which on it is the whole PCID */

struct rar_params {
    struct ts_global_asid_params global;
};

struct rar_state {
    struct ts_global_asids global;
    uint64_t broadcasts, rounds, ranges, targets, lock_waits, trims;
    struct ts_spinlock locks[TS_RAR_SLOTS_MAX]; /* rar_locks, by payload */
};

static struct rar_state *state_of(const struct ts_task *self)
{
    return ts_guest_cpu_of(self)->guest->flush_state;
}

/* set_payload; pcid 0: everything of everybody. */
static struct ts_rar_payload payload_of(uint16_t pcid, uint64_t start, uint64_t end)
{
    struct ts_rar_payload p = {.subtype = pcid ? TS_RAR_PCID : TS_RAR_ALL, .pcid = pcid};
    if (!pcid || end == UINT64_MAX || (end - start) / 4096 + 1 >= MAX_PAGES)
        return p;
    p.subtype = TS_RAR_ADDR;
    p.va = start;
    p.pages = (uint32_t)((end - start) / 4096 + 1);
    return p;
}

/* native_send_rar_ipi: __apic_send_IPI_mask, never with a shorthand. */
static void send(struct ts_task *self, const struct ts_cpumask *mask)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    uint32_t *ids = ts_csd_ids_get(g->csds);
    uint32_t n = 0;
    if (!ids)
        ts_guest_no_memory(self, g, "remote action requests");
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        ids[n++] = cpu;
    }
    ts_guest_send_ipi(self, ids, n, false, (enum ts_vector)TS_RAR_MESSAGE);
    ts_csd_ids_put(g->csds, ids);
}

/* smp_call_rar_many. record may be NULL. */
static void call_many(struct ts_task *self, const struct ts_cpumask *cpus, uint16_t pcid,
                      uint64_t start, uint64_t end, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct rar_state *state = g->flush_state;
    struct ts_cpumask *mask = &gc->flush_mask; /* rar_cpu_mask */
    struct ts_rar_payload payload = payload_of(pcid, start, end);
    uint32_t slot = gc->id % ts_rar_slots(g->rar);
    ts_time mark = ts_task_now(self);
    TS_ASSERT(gc->cpu->preempt_off && !gc->cpu->irq_off);
    ts_cpumask_copy(mask, cpus);
    if (ts_cpumask_empty(mask))
        return;
    state->lock_waits += ts_spin_lock(self, &state->locks[slot]);
    if (record)
        ts_path_add(self, record, TS_PATH_LOCK, &mark);
    state->rounds++;
    state->ranges += payload.subtype == TS_RAR_ADDR;
    ts_rar_set_payload(self, g->rar, slot, &payload);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        ts_rar_set_action(self, g->rar, slot, cpu);
        state->targets++;
    }
    send(self, mask);
    if (record)
        ts_path_add(self, record, TS_PATH_SEND, &mark);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        ts_rar_wait(self, g->rar, slot, cpu);
    }
    ts_spin_unlock(self, &state->locks[slot]);
    if (record)
        ts_path_add(self, record, TS_PATH_ACK, &mark);
}

/* invpcid_flush_all, and _nonglobals. */
static void flush_here(struct ts_task *self, bool include_global)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_tlb_inval inval = ts_inval_invpcid_all(ts_guest_vmid(gc), include_global);
    ts_irq_disable(self);
    ts_task_work(self, gc->guest->params.flush_global_cycles);
    ts_guest_invalidate(self, &inval);
    ts_irq_enable(self);
}

/* rar_full_flush, and of every CPU rar_flush_all. */
static void full_flush(struct ts_task *self, const struct ts_cpumask *cpus,
                       struct ts_shootdown_record *record)
{
    call_many(self, cpus, 0, 0, UINT64_MAX, record);
    flush_here(self, true);
}

static void flush_all(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_cpumask all;
    ts_cpumask_init(&all, g->ncpus);
    ts_cpumask_set_all(&all);
    full_flush(self, &all, NULL);
}

/* --- hooks --- */

/* broadcast_tlb_flush: rar_tlb_flush. */
static bool flush_mm(struct ts_task *self, struct ts_flush_info *info,
                     struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_mm *mm = info->mm;
    struct rar_state *state = state_of(self);
    uint16_t pcid = (uint16_t)(mm->global_asid + 1);
    if (!mm->global_asid)
        return false;
    if (ts_task_now(self) > mm->next_trim) {
        mm->next_trim = ts_task_now(self) + TS_S;
        state->trims++;
        return false;
    }
    state->broadcasts++;
    ts_task_line(self, &mm->mask_line, TS_LINE_READ);
    uint32_t n = ts_cpumask_count(&mm->cpumask);
    uint32_t others = n - ts_cpumask_test(&mm->cpumask, gc->id);
    record->targets += others;
    gc->guest->stats.targets += others;
    call_many(self, &mm->cpumask, pcid, info->start, info->end, record);
    if (gc->guest->params.pti)
        call_many(self, &mm->cpumask, pcid | TS_PTI_USER_PCID, info->start, info->end, record);
    if (ts_cpumask_test(&mm->cpumask, gc->id)) {
        ts_time mark = ts_task_now(self);
        ts_flush_local(self, info);
        ts_path_add(self, record, TS_PATH_LOCAL, &mark);
    }
    ts_global_asid_finish_transition(self, info, record);
    return true;
}

/* Without a global ASID, to trim the mask, or of no one address space (arch_tlbbatch_flush). */
static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    if (info->mm) {
        ts_native_flush_tlb_multi(self, mask, info, record);
        ts_global_asid_consider(self, info->mm, flush_all, false);
        return;
    }
    bool here = ts_cpumask_test(mask, ts_guest_cpu_of(self)->id);
    state_of(self)->broadcasts++;
    full_flush(self, mask, record);
    if (here)
        flush_here(self, false);
}

/* rar_flush_all, rar_kernel_range_flush. Under PTI the pages are in every PCID. */
static void flush_kernel(struct ts_task *self, struct ts_flush_info *info, bool all,
                         ts_call_fn *here)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_cpumask cpus;
    ts_cpumask_init(&cpus, g->ncpus);
    ts_cpumask_set_all(&cpus);
    state_of(self)->broadcasts++;
    call_many(self, &cpus, 0, 0, UINT64_MAX, NULL);
    if (all || g->params.pti)
        flush_here(self, true);
    else
        here(self, info);
}

/* What a CPU in the mask holds of a global ASID is up to date; one that was not may have missed
 * something. */
static uint32_t choose_asid(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush)
{
    if (!next->global_asid)
        return ts_choose_new_asid(gc, next, next_gen, need_flush);
    *need_flush = gc->new_cpu;
    return next->global_asid;
}

/* A lazy CPU leaves the mask, where that does not follow from its switch. */
static void leave_lazily(struct ts_task *self, struct ts_guest_cpu *gc)
{
    struct ts_mm *mm = gc->loaded_mm;
    if (gc->guest->params.lazy_mm_cpumask) {
        ts_task_line(self, &mm->mask_line, TS_LINE_RMW);
        ts_cpumask_clear(&mm->cpumask, gc->id);
    }
    ts_switch_mm(self, gc->guest->init_mm);
}

/* flush_tlb_func. A global ASID has no generation, so that everything goes. */
static bool flush_func(struct ts_task *self, struct ts_flush_info *info)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    bool local = info->initiator == gc->id;
    if ((info->mm && info->mm != gc->loaded_mm) || gc->loaded_mm == g->init_mm)
        return false;
    if (gc->is_lazy) {
        g->stats.nr_tlb_remote_flush_received += !local;
        leave_lazily(self, gc);
        return true;
    }
    ts_global_asid_change(self);
    if (!ts_global_asid_loaded(gc))
        return false;
    g->stats.nr_tlb_remote_flush_received += !local;
    g->stats.nr_tlb_local_flush_all += local;
    g->stats.flush_full++;
    ts_flush_tlb_local(self);
    return true;
}

static enum ts_status init(struct ts_guest *g, struct ts_error *err)
{
    struct rar_state *state = g->flush_state;
    enum ts_status s = ts_global_asids_init(g, err);
    for (uint32_t i = 0; i < TS_RAR_SLOTS_MAX; i++) {
        ts_spinlock_init(&state->locks[i]);
        ts_guest_line_init(g, &state->locks[i].line, 0);
    }
    return s;
}

static const struct ts_param param_rows[] = {TS_GLOBAL_ASID_PARAMS};
static const struct ts_param_table params = {"flush.rar", param_rows, TS_ARRAY_LEN(param_rows)};

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct rar_state, f), "1", h                                 \
    }
static const struct ts_stat rows[] = {
    ROW(broadcasts, "flushes by RAR"),
    ROW(rounds, "payloads sent: two a flush with PTI"),
    ROW(ranges, "of these, of single pages"),
    ROW(targets, "CPUs that the payloads were for, the initiator included"),
    ROW(lock_waits, "payloads that had to wait for another CPU's of the same number"),
    ROW(trims, "flushes of a global ASID by interrupts, to trim the mask"),
    TS_GLOBAL_ASID_STATS,
};
#undef ROW
static const struct ts_stat_table stats = {"flush.rar", rows, TS_ARRAY_LEN(rows), NULL, 0};

const struct ts_flush_ops ts_flush_rar = {
    .name = "rar",
    .summary = "Intel Remote Action Requests for address spaces on 4 CPUs or more, else native",
    .reference =
        "RFC v4 \"Intel RAR TLB invalidation\", R. van Riel, 19 June 2025: arch/x86/mm/rar.c, "
        "tlb.c rar_tlb_flush; never merged",
    .needs = TS_NEEDS_X86 | TS_NEEDS_BARE_METAL | TS_NEEDS_RAR,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct rar_params),
    .stats = &stats,
    .state_size = sizeof(struct rar_state),
    .init = init,
    .flush_mm = flush_mm,
    .flush_multi = flush_multi,
    .flush_kernel = flush_kernel,
    .same_mm = ts_global_asid_same_mm,
    .choose_asid = choose_asid,
    .flush_func = flush_func,
    .mm_exit = ts_global_asid_mm_exit,
};
