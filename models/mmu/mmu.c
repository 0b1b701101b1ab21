/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/mmu_private.h"
#include "models/mmu/speculate.h"

#include <stdlib.h>
#include <string.h>

static enum ts_status join_core(struct ts_mmu *m, const struct ts_mmu_wiring *wiring,
                                struct ts_error *err)
{
    uint32_t threads = wiring->threads == 0 ? 1 : wiring->threads;
    TS_ASSERT(wiring->thread < threads && (wiring->first == NULL) == (wiring->thread == 0));
    const struct ts_mmu_params *p = &m->params;
    m->thread = wiring->thread;
    m->core = wiring->first == NULL ? &m->own_core : wiring->first->core;
    m->l1_port = p->l1_smt == TS_MMU_SMT_OWN || wiring->first == NULL ? m->own_l1_port
                                                                      : wiring->first->own_l1_port;
    bool shared = p->l1_smt != TS_MMU_SMT_OWN || p->l2_smt != TS_MMU_SMT_OWN ||
                  p->walk_smt != TS_MMU_SMT_OWN || p->l2_ports != 0 || p->walkers != 0;
    m->needs_time = (threads > 1 && shared) || (p->sweep_blocking && p->sweep_sets_per_cycle != 0);
    if (wiring->first == NULL) {
        m->core->walker_free = calloc(p->walkers + 1, sizeof(uint64_t));
        m->core->queue = calloc(p->miss_queue + 1, sizeof(uint64_t));
        if (m->core->walker_free == NULL || m->core->queue == NULL)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for an MMU");
    }
    mmu_set_checks(m);
    TS_ASSERT(m->core->thread[m->thread] == NULL);
    m->core->thread[m->thread] = m;
    return TS_OK;
}

enum ts_status ts_mmu_create(struct ts_mmu **out, const struct ts_mmu_params *params, uint64_t seed,
                             const struct ts_mmu_wiring *wiring, struct ts_error *err)
{
    enum ts_status status = ts_mmu_check(params, wiring->threads, err);
    if (status != TS_OK)
        return status;
    struct ts_mmu *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for an MMU");
    m->params = *params;
    m->core = &m->own_core;
    m->l1_hit_cycles = params->l1_hit_cycles;
    m->fault_invalidates = wiring->fault_invalidates;
    m->conflict_abort = params->conflict_abort != 0;
    if (wiring->memory != NULL)
        m->memory = *wiring->memory;
    status = join_core(m, wiring, err);
    if (status == TS_OK)
        status = ts_mmu_make_structures_(m, seed, wiring, err);
    if (status != TS_OK) {
        ts_mmu_destroy(m);
        return status;
    }
    *out = m;
    return TS_OK;
}

void ts_mmu_destroy(struct ts_mmu *m)
{
    if (m == NULL)
        return;
    m->core->thread[m->thread] = NULL;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++)
        ts_tlb_destroy(m->own[s].tlb);
    free(m->own_core.walker_free);
    free(m->own_core.queue);
    free(m);
}

void ts_mmu_watch_tables(struct ts_mmu *m, bool on)
{
    m->watch_tables = on;
}

bool ts_mmu_needs_time(const struct ts_mmu *m)
{
    return m->needs_time;
}

static void hit(const struct ts_tlb_entry *e, uint64_t va, struct ts_mmu_access *out)
{
    out->result = TS_MMU_OK;
    out->from_tlb = true;
    out->pa = e->target + (va - e->tags.base);
    out->fault_address = 0;
    out->size_shift = e->tags.size_shift;
}

static void fault(struct ts_mmu *m, const struct mmu_request *q, enum ts_mmu_result result,
                  const struct ts_stage2_abort *report, struct ts_mmu_access *out)
{
    const struct ts_mmu_context *ctx = q->ctx;
    out->result = result;
    out->fault_address = report->ipa;
    out->abort = *report;
    out->pa = 0;
    out->size_shift = 0;
    out->cycles = q->t - q->now;
    if (!m->fault_invalidates)
        return;
    ts_mmu_drop_(m, ts_inval_page_fault(ctx->vmid, ctx->asid, q->va));
    if (result == TS_MMU_FAULT_STAGE2)
        ts_mmu_drop_(m, ts_inval_stage2_fault(ctx->vmid, ctx->ep4ta, report->ipa));
}

/* By the tables. cached_shift: size of the entry that was found and did not serve, 0 if none. */
static void walk(struct ts_mmu *m, struct mmu_request *q, uint8_t cached_shift,
                 struct ts_mmu_access *out)
{
    uint64_t *walker = q->timed ? ts_mmu_wait_walker_(m, q) : NULL;
    struct ts_tlb_entry e;
    uint64_t cycles;
    struct ts_stage2_abort report = {0};
    enum ts_mmu_result result = ts_mmu_walk_(m, q, &e, &cycles, &report);
    out->stale_table = m->stale_table;
    out->stale_span = m->stale_span;
    out->stale2_ipa = m->stale2_ipa;
    out->stale2_table = m->stale2_table;
    out->stale2_span = m->stale2_span;
    q->t += cycles;
    if (walker != NULL)
        *walker = q->t;
    if (result != TS_MMU_OK) {
        fault(m, q, result, &report, out);
        out->from_tlb = false;
        return;
    }
    /* An entry of another size would shadow the new one or be shadowed by it. */
    if (cached_shift != 0 && cached_shift != e.tags.size_shift) {
        struct ts_tlb_inval inval = ts_inval_page_fault(q->ctx->vmid, q->ctx->asid, q->va);
        inval.last_level_only = true;
        ts_mmu_drop_(m, inval);
    }
    ts_mmu_fill_(m, &e, q);
    if (q->timed)
        ts_mmu_flight_add_(m, &e, cached_shift != 0, q);
    hit(&e, q->va, out);
    out->from_tlb = false;
    out->cycles = q->t - q->now;
}

/* Two entries of different sizes in the structures of one level. */
static bool conflict(struct ts_mmu *m, const struct mmu_request *q, bool second,
                     const struct ts_tlb_entry *e, struct ts_mmu_access *out)
{
    uint32_t side = mmu_side(q->kind);
    bool other = false;
    for (struct ts_tlb *const *t = m->l1[side]; *t != NULL && !second; t++)
        other |= ts_tlb_probe_other(*t, q->key, q->va, e->tags.size_shift);
    for (struct mmu_unit *const *u = m->l2[side]; *u != NULL && second; u++)
        other |= ts_tlb_probe_other((*u)->tlb, q->key, q->va, e->tags.size_shift);
    if (!other)
        return false;
    m->stats.conflicts++;
    fault(m, q, TS_MMU_CONFLICT, &(struct ts_stage2_abort){.ipa = q->va}, out);
    out->from_tlb = true;
    return true;
}

/* An entry was found: it serves, or denies a write, or a walk must be made. */
static void found(struct ts_mmu *m, struct mmu_request *q, const struct ts_tlb_entry *e,
                  uint64_t *count, struct mmu_unit *l2, struct ts_mmu_access *out)
{
    if (q->kind != TS_MMU_WRITE || (e->writable && e->dirty)) {
        (*count)++;
        hit(e, q->va, out);
        out->cycles = q->t - q->now;
        if (l2 != NULL)
            ts_mmu_fill_from_l2_(m, l2, e, q);
    } else if (!e->writable && !e->stage1_writable) {
        (*count)++;
        fault(m, q, TS_MMU_FAULT_STAGE1, &(struct ts_stage2_abort){.ipa = q->va}, out);
        out->from_tlb = true;
    } else {
        walk(m, q, e->tags.size_shift, out);
    }
}

/* Waits for the walk of another access. True if there was one. */
static bool merge(struct ts_mmu *m, struct mmu_request *q, struct ts_mmu_access *out)
{
    const struct mmu_flight *f = ts_mmu_flight_find_(m, q);
    if (f == NULL)
        return false;
    struct ts_tlb_entry e = f->entry;
    uint64_t end = f->end;
    bool other_side = f->instruction != (q->kind == TS_MMU_FETCH);
    q->t += m->l1_hit_cycles;
    q->t = end > q->t ? end : q->t;
    if (other_side)
        ts_mmu_fill_place_(m, &m->l1_places[mmu_side(q->kind)], &e, q->va);
    found(m, q, &e, &m->stats.merged, NULL, out);
    return true;
}

/* The cost of the sizes that were looked for in vain. */
static uint64_t probe_cycles(const struct ts_mmu *m, const struct mmu_unit *unit, uint32_t shift)
{
    uint64_t before = shift == 0 ? unit->sizes : unit->sizes & ((UINT64_C(1) << shift) - 1);
    uint64_t n = (uint64_t)__builtin_popcountll(before);
    return m->params.l2_probe_cycles * (shift == 0 && n > 0 ? n - 1 : n);
}

/* The second level's look-up stage, which a miss without a place in the queue holds. */
static void wait_l2(struct ts_mmu *m, struct mmu_request *q)
{
    struct mmu_core *core = m->core;
    if (core->blocked_until > q->t) {
        m->stats.port_wait_cycles += core->blocked_until - q->t;
        q->t = core->blocked_until;
    }
    uint32_t port = m->unit[MMU_L2I] != NULL ? mmu_side(q->kind) : MMU_DATA;
    ts_mmu_wait_port_(m, &core->l2[port], m->params.l2_ports, q);
}

static void missed_l1(struct ts_mmu *m, struct mmu_request *q, struct ts_mmu_access *out)
{
    struct mmu_unit *const *u = m->l2[mmu_side(q->kind)];
    if (*u == NULL) {
        walk(m, q, 0, out);
        return;
    }
    if (q->timed)
        wait_l2(m, q);
    q->t += m->params.l2_hit_cycles;
    const struct mmu_unit *first = *u;
    for (; *u != NULL; u++) {
        const struct ts_tlb_entry *e = ts_tlb_lookup((*u)->tlb, q->key, q->va);
        if (e == NULL)
            continue;
        if (m->params.l2_probe_cycles != 0)
            q->t += probe_cycles(m, *u, e->tags.size_shift);
        if (m->conflict_abort && conflict(m, q, true, e, out))
            m->stats.l2_hits++;
        else
            found(m, q, e, &m->stats.l2_hits, *u, out);
        return;
    }
    if (m->params.l2_probe_cycles != 0)
        q->t += probe_cycles(m, first, 0);
    walk(m, q, 0, out);
}

static inline const struct ts_tlb_entry *lookup_l1(struct ts_tlb *const *t, uint64_t key,
                                                   uint64_t va)
{
    for (; *t != NULL; t++) {
        const struct ts_tlb_entry *e = ts_tlb_lookup(*t, key, va);
        if (e != NULL)
            return e;
    }
    return NULL;
}

/* After the look-up in the L1, which found e. */
static void after_l1(struct ts_mmu *m, struct mmu_request *q, const struct ts_tlb_entry *e,
                     struct ts_mmu_access *out)
{
    q->t += m->l1_hit_cycles;
    if (e == NULL)
        missed_l1(m, q, out);
    else if (m->conflict_abort && conflict(m, q, false, e, out))
        m->stats.l1_hits++;
    else
        found(m, q, e, &m->stats.l1_hits, NULL, out);
}

/* What is left of an access that is not the usual hit. */
static __attribute__((noinline)) void
access_rest(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, enum ts_mmu_kind kind,
            uint64_t key, const struct ts_tlb_entry *e, struct ts_mmu_access *out)
{
    struct mmu_request q = {ctx, va, kind, key, 0, 0, false};
    after_l1(m, &q, e, out);
}

static __attribute__((noinline)) void access_checked(struct ts_mmu *m,
                                                     const struct ts_mmu_context *ctx, uint64_t va,
                                                     enum ts_mmu_kind kind, uint64_t key,
                                                     uint64_t now, struct ts_mmu_access *out)
{
    struct mmu_request q = {ctx, va, kind, key, now, now, m->needs_time || now != 0};
    if (q.timed) {
        ts_mmu_wait_sweep_(m, &q);
        ts_mmu_wait_port_(m, &m->l1_port[mmu_side(kind)], m->params.l1_ports, &q);
        if (m->core->flights != 0 && merge(m, &q, out))
            return;
    }
    struct ts_mmu_stats before;
    if (m->passes.kept) {
        if (ts_mmu_passes_hit_(m, &q, out))
            return;
        before = m->stats;
    }
    after_l1(m, &q, lookup_l1(m->l1[mmu_side(kind)], key, va), out);
    if (m->passes.kept)
        ts_mmu_passes_learn_(m, &before, va);
}

void ts_mmu_access(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                   enum ts_mmu_kind kind, uint64_t now, struct ts_mmu_access *out)
{
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, mmu_space(m, ctx));
    struct ts_tlb *const *l1 = m->l1[MMU_DATA];
    m->stats.accesses++;
    if (kind == TS_MMU_FETCH) {
        m->stats.fetch_accesses++;
        l1 = m->l1[MMU_INSTRUCTION];
    }
    if (m->checks_more || now != 0) {
        access_checked(m, ctx, va, kind, key, now, out);
        return;
    }
    const struct ts_tlb_entry *e = lookup_l1(l1, key, va);
    if (e == NULL || (kind == TS_MMU_WRITE && !(e->writable && e->dirty))) {
        access_rest(m, ctx, va, kind, key, e, out);
        return;
    }
    m->stats.l1_hits++;
    hit(e, va, out);
    out->cycles = m->l1_hit_cycles;
}

bool ts_mmu_probe(const struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                  struct ts_tlb_entry *out)
{
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, mmu_space(m, ctx));
    mmu_end_passes(m);
    for (uint32_t side = 0; side < MMU_SIDES; side++) {
        for (struct ts_tlb *const *t = m->l1[side]; *t != NULL; t++)
            if (ts_tlb_probe(*t, key, va, out))
                return true;
        for (struct mmu_unit *const *u = m->l2[side]; *u != NULL; u++)
            if (ts_tlb_probe((*u)->tlb, key, va, out))
                return true;
    }
    return false;
}

const struct ts_mmu_stats *ts_mmu_stats(const struct ts_mmu *m)
{
    return &m->stats;
}

void ts_mmu_stats_clear(struct ts_mmu *m)
{
    memset(&m->stats, 0, sizeof(m->stats));
}

struct visit {
    const struct ts_mmu *m;
    void (*fn)(void *user, const struct ts_tlb_entry *entry);
    void *user;
};

static void visit_entry(void *user, const struct ts_tlb_entry *e)
{
    const struct visit *v = user;
    if (e->tags.kind == TS_TLB_COMBINED && e->tags.thread == v->m->thread)
        v->fn(v->user, e);
}

void ts_mmu_for_each(const struct ts_mmu *m,
                     void (*fn)(void *user, const struct ts_tlb_entry *entry), void *user)
{
    struct visit v = {m, fn, user};
    mmu_end_passes(m);
    for (uint32_t s = 0; s <= MMU_L2_LAST; s++)
        if (m->unit[s] != NULL)
            ts_tlb_for_each(m->unit[s]->tlb, visit_entry, &v);
}

void ts_mmu_speculate(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, uint64_t now,
                      struct ts_mmu_access *out)
{
    const bool drops = m->fault_invalidates;

    m->fault_invalidates = false;
    ts_mmu_access(m, ctx, va, TS_MMU_READ, now, out);
    m->fault_invalidates = drops;
}
