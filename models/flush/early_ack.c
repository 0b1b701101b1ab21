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
    ts_flush_info_copy(own, info);
    ts_task_line(self, &own->line, TS_LINE_WRITE);
    return own;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct early_ack_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    state->early += !info->freed_tables;
    state->late += info->freed_tables;
    ts_native_flush_tlb_multi(self, mask, info, record);
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
    .order = TS_ORDER_CONCURRENT,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct early_ack_state),
    .init = init,
    .fini = fini,
    .flush_multi = flush_multi,
    .early_ack = take,
};
