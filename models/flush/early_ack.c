/* SPDX-License-Identifier: Apache-2.0 */
/* Native shootdowns which a target acknowledges when it enters its handler, not when it has
 * flushed: between the two it touches no memory of user space. Not so where page tables are freed,
 * since a CPU may walk them of its own accord, and the acknowledgement comes after the flush as
 * ever.
 *
 * The initiator's flush_tlb_info may be used again once all have acknowledged, so a target copies
 * it first. */
#include <stdlib.h>

#include "models/flush/flush.h"

struct early_ack_state {
    uint64_t early, late;
    struct ts_flush_info *taken; /* [ncpus], of the targets */
};

static void *take(struct ts_task *self, void *arg)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct early_ack_state *state = gc->guest->flush_state;
    struct ts_flush_info *info = arg, *own = &state->taken[gc->id];
    TS_ASSERT(gc->cpu->irq_off && !info->freed_tables && info->initiator != gc->id);
    ts_task_line(self, &info->line, TS_LINE_READ);
    own->mm = info->mm;
    own->start = info->start;
    own->end = info->end;
    own->new_tlb_gen = info->new_tlb_gen;
    own->stride_shift = info->stride_shift;
    own->freed_tables = info->freed_tables;
    own->initiator = info->initiator;
    ts_task_line(self, &own->line, TS_LINE_WRITE);
    return own;
}

static void flush_func(struct ts_task *self, void *arg)
{
    ts_flush_tlb_func(self, arg);
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct early_ack_state *state = g->flush_state;
    if (info->freed_tables) {
        state->late++;
        ts_native_flush_tlb_multi(self, mask, info, record);
        return;
    }
    state->early++;
    struct ts_smp_call call;
    ts_call_cond *cond = ts_flush_condition(g, info);
    g->stats.nr_tlb_remote_flush++;
    ts_smp_call_begin(&call, self);
    ts_task_work(self, g->params.smp_call_setup_cycles);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_guest_cpu *target = &g->cpus[cpu];
        if (cpu == gc->id)
            continue;
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (cond && !cond(self, target, info)) {
            g->stats.targets_lazy_skipped++;
            continue;
        }
        struct ts_csd *csd = ts_smp_call_prepare(&call, target, flush_func, info);
        csd->take = take;
        (void)ts_smp_call_queue(self, csd);
    }
    (void)ts_smp_call_send(self, &call);
    ts_time start = ts_task_now(self);
    if (ts_cpumask_test(mask, gc->id))
        ts_flush_local(self, info);
    ts_time end = ts_task_now(self);
    ts_smp_call_wait(&call);
    ts_smp_call_account(&call, record, start, end);
    ts_smp_call_end(&call);
}

static enum ts_status init(struct ts_guest *g, struct ts_error *err)
{
    struct early_ack_state *state = g->flush_state;
    state->taken = calloc(g->ncpus, sizeof(*state->taken));
    if (!state->taken)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", g->ncpus);
    for (uint32_t i = 0; i < g->ncpus; i++)
        ts_guest_line_init(g, &state->taken[i].line, i);
    return TS_OK;
}

static void fini(struct ts_guest *g)
{
    struct early_ack_state *state = g->flush_state;
    if (state)
        free(state->taken);
}

static const struct ts_stat rows[] = {
    {"early", TS_STAT_COUNTER, offsetof(struct early_ack_state, early), "1",
     "shootdowns acknowledged at entry of the handler"},
    {"late", TS_STAT_COUNTER, offsetof(struct early_ack_state, late), "1",
     "shootdowns that free tables: acknowledged after the flush"},
};
static const struct ts_stat_table stats = {"flush.early_ack", rows, TS_ARRAY_LEN(rows), NULL, 0};

const struct ts_flush_ops ts_flush_early_ack = {
    .name = "early_ack",
    .summary = "native shootdown, acknowledged before the flush where no tables are freed",
    .reference = "Amit, Tai, Wei: Don't shoot down TLB shootdowns!, EuroSys 2020; not merged",
    .needs = TS_NEEDS_X86,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct early_ack_state),
    .init = init,
    .fini = fini,
    .flush_multi = flush_multi,
};
