/* SPDX-License-Identifier: Apache-2.0 */
/* LATR: what an unmap has to flush elsewhere is written down, and each CPU flushes it by itself at
 * its next tick or context switch. Pages and addresses are given out again only after that. No CPU
 * is interrupted; who goes on using what another one has unmapped uses the old page for a while.
 *
 * Only for unmaps and MADV_DONTNEED; every other flush, and one whose initiator's list is full, is
 * native. An address space's end is, too.
 *
 * Beyond the publication: lists hold generations, since the prototype's kernel, 4.10, had none; a
 * CPU that becomes idle sweeps first; and a mapping does not grow over addresses that are kept
 * (assumed). */
#include <stdlib.h>

#include "models/flush/flush.h"

/* When pages and addresses are given out again. */
enum latr_free {
    FREE_WHEN_SWEPT, /* once every CPU named has flushed */
    FREE_BY_TIME     /* after so many ticks, whoever has flushed (the prototype's rule) */
};

struct latr_params {
    uint64_t entries; /* of one CPU's list */
    uint64_t free;    /* enum latr_free */
    uint64_t free_ticks;
};

/* One unmap that some CPU has not flushed, or whose pages are still kept. */
struct latr_entry {
    struct ts_flush_info info; /* its line is the entry's */
    struct ts_cpumask left;    /* who has to flush; empty: nobody */
    uint64_t number;
    ts_time saved;
    uint32_t window;                /* of the oracle */
    struct latr_entry *prev, *next; /* of those whose pages are kept, oldest first */
    bool valid, kept;
};

struct latr_ring {
    struct latr_entry *entries; /* NULL until the first */
    uint64_t start, end;        /* counted on; slot: modulo the length */
    struct ts_line line;
    bool sweeping; /* this CPU looks at all lists, and may leave a lazy address space for one */
};

struct latr_state {
    uint64_t saved, fallbacks, named, flushed, pending, sweeps, frames_kept_max;
    struct latr_ring *rings; /* [ncpus] */
    struct latr_entry *oldest, *newest;
    uint64_t numbers;
    struct ts_frame_queue frames; /* by the number of the newest entry that they may be of */
};

static const struct latr_params *params_of(const struct ts_guest *g)
{
    return g->flush_params;
}

/* --- what is kept --- */

static void free_frames(struct ts_guest *g, struct latr_state *state)
{
    uint64_t frame, until = state->oldest ? state->oldest->number - 1 : UINT64_MAX;
    while (ts_frame_queue_take(&state->frames, until, &frame))
        ts_guest_frame_free(g, frame);
}

static void unkeep(struct ts_guest *g, struct latr_state *state, struct latr_entry *e)
{
    TS_ASSERT(e->kept);
    e->kept = false;
    if (e->prev)
        e->prev->next = e->next;
    else
        state->oldest = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        state->newest = e->prev;
    if (g->oracle)
        ts_oracle_window_close(g->oracle, e->window);
    free_frames(g, state);
}

static void free_by_time(struct ts_guest *g, struct latr_state *state, ts_time now)
{
    ts_time after = params_of(g)->free_ticks * g->domain->sched_params.tick_ps;
    while (state->oldest && now - state->oldest->saved >= after)
        unkeep(g, state, state->oldest);
}

/* --- lists --- */

static struct latr_entry *slot_of(const struct ts_guest *g, const struct latr_ring *r, uint64_t at)
{
    return &r->entries[at % params_of(g)->entries];
}

/* native_flush_save_state's place, or NULL: the list is full. A slot whose pages are still kept is
 * not free. */
static struct latr_entry *free_slot(struct ts_task *self, struct ts_guest *g, struct latr_ring *r)
{
    uint64_t n = params_of(g)->entries;
    if (!r->entries) {
        r->entries = calloc(n, sizeof(*r->entries));
        if (!r->entries)
            ts_guest_no_memory(self, g, "what CPUs have unmapped");
        for (uint64_t i = 0; i < n; i++) {
            ts_cpumask_init(&r->entries[i].left, g->ncpus);
            ts_guest_line_init(g, &r->entries[i].info.line, ts_guest_cpu_of(self)->id);
        }
    }
    ts_task_line(self, &r->line, TS_LINE_READ);
    if (r->end - r->start >= n - 1)
        return NULL;
    struct latr_entry *e = slot_of(g, r, r->end);
    return e->valid || e->kept ? NULL : e;
}

static void keep(struct ts_task *self, struct ts_guest *g, struct latr_entry *e)
{
    struct latr_state *state = g->flush_state;
    e->number = ++state->numbers;
    e->saved = ts_task_now(self);
    e->kept = true;
    e->next = NULL;
    e->prev = state->newest;
    if (state->newest)
        state->newest->next = e;
    else
        state->oldest = e;
    state->newest = e;
    if (!g->oracle)
        return;
    /* Walks of tables that go with it are late as well, and those may lie apart from its pages. */
    e->window =
        ts_oracle_window_open(g->oracle, e->info.mm->ctx_id, e->info.hull_start, e->info.hull_end);
    if (e->window == TS_ORACLE_NO_WINDOW)
        ts_guest_no_memory(self, g, "what CPUs have unmapped");
}

/* Who must flush: of the mask all others but lazy ones, as for interrupts. */
static uint32_t choose(struct ts_task *self, const struct ts_cpumask *mask,
                       struct ts_flush_info *info, struct ts_cpumask *left)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    ts_call_cond *cond = ts_flush_condition(g, info);
    ts_cpumask_clear_all(left);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (cpu == gc->id)
            continue;
        if (!cond || cond(self, &g->cpus[cpu], info))
            ts_cpumask_set(left, cpu);
        else
            g->stats.targets_lazy_skipped++;
    }
    return ts_cpumask_count(left);
}

static bool save(struct ts_task *self, const struct ts_cpumask *mask, struct ts_flush_info *info,
                 struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct latr_state *state = g->flush_state;
    struct latr_ring *r = &state->rings[gc->id];
    struct latr_entry *e = free_slot(self, g, r);
    if (!e)
        return false;
    uint32_t n = choose(self, mask, info, &gc->flush_mask);
    record->targets += n;
    g->stats.targets += n;
    if (!n)
        return true;
    ts_task_line(self, &e->info.line, TS_LINE_WRITE);
    ts_cpumask_copy(&e->left, &gc->flush_mask);
    ts_flush_info_copy(&e->info, info);
    keep(self, g, e);
    e->valid = true;
    ts_task_line(self, &r->line, TS_LINE_WRITE);
    r->end++;
    state->saved++;
    state->named += n;
    state->pending += n;
    return true;
}

/* One CPU's list, by another one's sweep or its own. */
static void sweep_ring(struct ts_task *self, struct ts_guest_cpu *gc, struct latr_ring *r)
{
    struct ts_guest *g = gc->guest;
    struct latr_state *state = g->flush_state;
    ts_task_line(self, &r->line, TS_LINE_READ);
    uint64_t end = r->end;
    for (uint64_t at = r->start; at < end; at++) {
        struct latr_entry *e = slot_of(g, r, at);
        if (!e->valid)
            continue;
        ts_task_line(self, &e->info.line, TS_LINE_READ);
        if (!e->valid || !ts_cpumask_test(&e->left, gc->id))
            continue;
        ts_flush_tlb_func(self, &e->info);
        ts_task_line(self, &e->info.line, TS_LINE_RMW);
        ts_cpumask_clear(&e->left, gc->id);
        state->flushed++;
        state->pending--;
        if (!ts_cpumask_empty(&e->left))
            continue;
        e->valid = false;
        if (e->kept && params_of(g)->free == FREE_WHEN_SWEPT)
            unkeep(g, state, e);
    }
}

/* native_flush_saved_states: all lists; of its own a CPU forgets what has been dealt with. */
static void sweep(struct ts_task *self)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct latr_state *state = g->flush_state;
    struct latr_ring *own = &state->rings[gc->id];
    TS_ASSERT(gc->cpu->irq_off);
    if (own->sweeping)
        return;
    own->sweeping = true;
    state->sweeps++;
    for (uint32_t cpu = 0; cpu < g->ncpus; cpu++)
        sweep_ring(self, gc, &state->rings[cpu]);
    if (params_of(g)->free == FREE_BY_TIME)
        free_by_time(g, state, ts_task_now(self));
    uint64_t start = own->start;
    while (own->start < own->end) {
        const struct latr_entry *e = slot_of(g, own, own->start);
        if (e->valid || e->kept)
            break;
        own->start++;
    }
    if (own->start != start)
        ts_task_line(self, &own->line, TS_LINE_WRITE);
    own->sweeping = false;
}

/* --- hooks --- */

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct latr_state *state = gc->guest->flush_state;
    ts_time mark = ts_task_now(self);
    if (!info->mm || info->unmapped_start == info->unmapped_end) {
        ts_native_flush_tlb_multi(self, mask, info, record);
        return;
    }
    if (!save(self, mask, info, record)) {
        state->fallbacks++;
        ts_native_flush_tlb_multi(self, mask, info, record);
        return;
    }
    gc->guest->stats.nr_tlb_remote_flush++;
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    if (ts_cpumask_test(mask, gc->id))
        ts_flush_local(self, info);
    ts_path_add(self, record, TS_PATH_LOCAL, &mark);
}

static void switch_mm(struct ts_task *self, struct ts_mm *prev, struct ts_mm *next)
{
    (void)prev;
    (void)next;
    sweep(self);
}

static bool frame_release(struct ts_guest *g, uint64_t frame)
{
    struct latr_state *state = g->flush_state;
    if (!state->oldest)
        return false;
    if (!ts_frame_queue_put(&state->frames, state->numbers, frame))
        ts_engine_fail(g->engine, TS_ERR_ENVIRONMENT, "out of memory for unmapped pages");
    else if (state->frames.n > state->frames_kept_max)
        state->frames_kept_max = state->frames.n;
    return true;
}

static uint64_t va_held(const struct ts_mm *mm, uint64_t start, uint64_t end)
{
    const struct latr_state *state = mm->guest->flush_state;
    uint64_t lowest = 0;
    for (const struct latr_entry *e = state->oldest; e; e = e->next) {
        if (e->info.mm != mm || e->info.unmapped_end <= start || e->info.unmapped_start >= end)
            continue;
        if (!lowest || e->info.unmapped_start < lowest)
            lowest = e->info.unmapped_start;
    }
    return lowest;
}

static enum ts_status init(struct ts_guest *g, struct ts_error *err)
{
    struct latr_state *state = g->flush_state;
    state->rings = calloc(g->ncpus, sizeof(*state->rings));
    if (!state->rings)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", g->ncpus);
    for (uint32_t i = 0; i < g->ncpus; i++)
        ts_guest_line_init(g, &state->rings[i].line, i);
    return TS_OK;
}

static void fini(struct ts_guest *g)
{
    struct latr_state *state = g->flush_state;
    for (uint32_t i = 0; state->rings && i < g->ncpus; i++)
        free(state->rings[i].entries);
    free(state->rings);
    ts_frame_queue_fini(&state->frames);
}

static const char *const free_names[] = {"swept", "time", NULL};
#define ROW(f) offsetof(struct latr_params, f)
static const struct ts_param param_rows[] = {
    {"entries", TS_PARAM_COUNT, ROW(entries), 256, 2, 65536, NULL, "length of each CPU's list",
     "the authors' kernel: LAZY_TLB_NUM_ENTRIES", TS_CONF_VERBATIM},
    {"free", TS_PARAM_ENUM, ROW(free), FREE_WHEN_SWEPT, 0, FREE_BY_TIME, free_names,
     "when pages and addresses are given out again. swept: once all CPUs named have flushed; time: "
     "after free_ticks",
     "swept is assumed; time: the authors' kernel", TS_CONF_CHOICE},
    {"free_ticks", TS_PARAM_COUNT, ROW(free_ticks), 2, 0, 1000000, NULL,
     "with free: time, ticks of the guest's scheduler",
     "Kumar et al., LATR, ASPLOS 2018: two ticks", TS_CONF_REMEMBERED},
};
#undef ROW
static const struct ts_param_table params = {"flush.latr", param_rows, TS_ARRAY_LEN(param_rows)};

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct latr_state, f), "1", h                                \
    }
static const struct ts_stat rows[] = {
    ROW(saved, "unmaps written down"),
    ROW(fallbacks, "unmaps flushed by IPI because the CPU's list was full"),
    ROW(named, "CPUs named in them"),
    ROW(flushed, "flushes made at a tick or switch"),
    ROW(pending, "of those named, not flushed when the run ended"),
    ROW(sweeps, "looks at all lists"),
    ROW(frames_kept_max, "pages kept back at once, at most"),
};
#undef ROW
static const struct ts_stat_rule rules[] = {
    {"who is named flushes, or has not yet", {"+named", "-flushed", "-pending"}},
};
static const struct ts_stat_table stats = {"flush.latr", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_latr = {
    .name = "latr",
    .summary = "unmaps are flushed by each CPU at its next tick or switch, and freed after that",
    .reference = "Kumar et al.: LATR: Lazy Translation Coherence, ASPLOS 2018, and the authors' "
                 "kernel (arch/x86/mm/tlb.c of 4.10 with their patch)",
    .needs = TS_NEEDS_X86,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct latr_params),
    .stats = &stats,
    .state_size = sizeof(struct latr_state),
    .init = init,
    .fini = fini,
    .flush_multi = flush_multi,
    .switch_mm = switch_mm,
    .tick = sweep,
    .frame_release = frame_release,
    .va_held = va_held,
};
