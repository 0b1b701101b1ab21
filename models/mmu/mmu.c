/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/mmu_private.h"

#include <stdlib.h>

static const uint8_t structure_kinds[MMU_STRUCTURES] = {
    TS_TLB_KIND_BIT(TS_TLB_COMBINED),    TS_TLB_KIND_BIT(TS_TLB_COMBINED),
    TS_TLB_KIND_BIT(TS_TLB_COMBINED),    TS_TLB_KIND_BIT(TS_TLB_COMBINED),
    TS_TLB_KIND_BIT(TS_TLB_COMBINED),    TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK),
    TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK), TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK),
    TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF)};

static const char *const structure_names[MMU_STRUCTURES] = {
    "l1d_4k", "l1d_2m", "l1d_1g", "l2", "l2_1g", "walk_l1", "walk_l2", "walk_l3", "nested"};

/* Levels (sizes) of the pages in each: from, count. */
static const uint8_t structure_sizes[MMU_STRUCTURES][2] = {{0, 1}, {1, 1}, {2, 1}, {0, 2}, {2, 1},
                                                           {1, 1}, {2, 1}, {3, 1}, {0, 3}};

static void entries_and_ways(const struct ts_mmu_params *p, enum mmu_structure s, uint64_t *entries,
                             uint64_t *ways)
{
    const uint64_t table[MMU_STRUCTURES][2] = {
        {p->l1d_4k_entries, p->l1d_4k_ways},      {p->l1d_2m_entries, p->l1d_2m_ways},
        {p->l1d_1g_entries, p->l1d_1g_ways},      {p->l2_entries, p->l2_ways},
        {p->l2_1g_entries, p->l2_1g_ways},        {p->walk_l1_entries, p->walk_l1_entries},
        {p->walk_l2_entries, p->walk_l2_entries}, {p->walk_l3_entries, p->walk_l3_entries},
        {p->nested_entries, p->nested_ways},
    };
    *entries = table[s][0];
    *ways = table[s][1];
}

static const struct ts_replacement_ops *policy_of(const struct ts_mmu_params *p)
{
    const struct ts_param *row = ts_param_find(&ts_mmu_param_table, "replacement");
    TS_ASSERT(row != NULL);
    for (uint64_t i = 0; row->enum_names[i] != NULL; i++)
        if (i == p->replacement)
            return ts_replacement_find(row->enum_names[i]);
    return NULL;
}

static enum ts_status create_structure(struct ts_mmu *m, enum mmu_structure s, uint64_t seed,
                                       uint32_t cpu, struct ts_error *err)
{
    uint64_t entries, ways;
    entries_and_ways(&m->params, s, &entries, &ways);
    if (entries > UINT32_MAX || ways > UINT32_MAX)
        return ts_error_set(err, TS_ERR_USER, "mmu.%s: too many entries", structure_names[s]);
    struct ts_tlb_geometry g = {0};
    g.entries = (uint32_t)entries;
    g.ways = (uint32_t)ways;
    g.nsizes = structure_sizes[s][1];
    for (uint32_t i = 0; i < g.nsizes; i++)
        g.size_shift[i] = (uint8_t)TS_PT_SHIFT(structure_sizes[s][0] + i);
    g.replacement = policy_of(&m->params);
    struct ts_error inner;
    enum ts_status status =
        ts_tlb_create(&m->t[s], &g, seed, (uint64_t)cpu * MMU_STRUCTURES + s, &inner);
    if (status != TS_OK)
        return ts_error_set(err, status, "mmu.%s: %s", structure_names[s], inner.message);
    return TS_OK;
}

/* A page goes where its size is held, else where the next smaller one is. */
static void set_places(struct mmu_place place[MMU_SIZES], struct ts_tlb *const by_size[MMU_SIZES])
{
    for (uint32_t size = 0; size < MMU_SIZES; size++) {
        place[size].tlb = NULL;
        for (uint32_t s = size + 1; s-- > 0 && place[size].tlb == NULL;) {
            uint8_t shift = (uint8_t)TS_PT_SHIFT(s);
            if (ts_tlb_sets(by_size[s]) == 0)
                continue;
            place[size].tlb = by_size[s];
            place[size].size_shift = shift;
        }
    }
}

enum ts_status ts_mmu_create(struct ts_mmu **out, const struct ts_mmu_params *params, uint64_t seed,
                             uint32_t cpu, struct ts_error *err)
{
    struct ts_mmu *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for an MMU");
    m->params = *params;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        enum ts_status status = create_structure(m, (enum mmu_structure)s, seed, cpu, err);
        if (status != TS_OK) {
            ts_mmu_destroy(m);
            return status;
        }
    }
    struct ts_tlb *const l1[MMU_SIZES] = {m->t[MMU_L1_4K], m->t[MMU_L1_2M], m->t[MMU_L1_1G]};
    struct ts_tlb *const l2[MMU_SIZES] = {m->t[MMU_L2], m->t[MMU_L2], m->t[MMU_L2_1G]};
    struct ts_tlb *const n[MMU_SIZES] = {m->t[MMU_NESTED], m->t[MMU_NESTED], m->t[MMU_NESTED]};
    set_places(m->l1, l1);
    set_places(m->l2, l2);
    set_places(m->nested, n);
    if (params->l2_entries != 0 || params->l2_1g_entries != 0)
        m->l2_cycles = params->l2_hit_cycles;
    *out = m;
    return TS_OK;
}

void ts_mmu_destroy(struct ts_mmu *m)
{
    if (m == NULL)
        return;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++)
        ts_tlb_destroy(m->t[s]);
    free(m);
}

static const struct ts_tlb_entry *lookup(struct ts_mmu *m, enum mmu_structure from,
                                         enum mmu_structure to, const struct ts_mmu_context *ctx,
                                         uint64_t va)
{
    for (uint32_t s = from; s <= to; s++) {
        const struct ts_tlb_entry *e =
            ts_tlb_lookup(m->t[s], TS_TLB_COMBINED, ctx->vmid, ctx->asid, va);
        if (e != NULL)
            return e;
    }
    return NULL;
}

static void hit(const struct ts_tlb_entry *e, uint64_t va, struct ts_mmu_access *out)
{
    out->result = TS_MMU_OK;
    out->from_tlb = true;
    out->pa = e->target + (va - e->tags.base);
    out->fault_address = 0;
    out->size_shift = e->tags.size_shift;
}

static void drop(struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++)
        if (structure_kinds[s] & inval->kinds)
            ts_tlb_invalidate(m->t[s], inval, NULL);
}

static void fault(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                  enum ts_mmu_result result, uint64_t address, struct ts_mmu_access *out)
{
    out->result = result;
    out->fault_address = address;
    out->pa = 0;
    out->size_shift = 0;
    struct ts_tlb_inval inval = ts_inval_page_fault(ctx->vmid, ctx->asid, va);
    drop(m, &inval);
    if (result == TS_MMU_FAULT_STAGE2) {
        inval = ts_inval_ept_violation(ctx->vmid, address);
        drop(m, &inval);
    }
}

static void fill(struct ts_mmu *m, const struct ts_tlb_entry *e, uint64_t va)
{
    uint32_t size = (e->tags.size_shift - 12u) / 9u;
    ts_mmu_fill_(&m->l2[size], e, va);
    ts_mmu_fill_(&m->l1[size], e, va);
    m->fractured |= e->fractured;
}

/* By the tables. cached_shift: size of the entry that was found and did not serve, 0 if none. */
static void walk(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, bool write,
                 uint8_t cached_shift, struct ts_mmu_access *out)
{
    struct ts_tlb_entry e;
    uint64_t address;
    enum ts_mmu_result result = ts_mmu_walk_(m, ctx, va, write, &e, &out->cycles, &address);
    if (result != TS_MMU_OK) {
        out->from_tlb = false;
        fault(m, ctx, va, result, address, out);
        return;
    }
    /* An entry of another size would shadow the new one or be shadowed by it. */
    if (cached_shift != 0 && cached_shift != e.tags.size_shift) {
        struct ts_tlb_inval inval = ts_inval_page_fault(ctx->vmid, ctx->asid, va);
        inval.last_level_only = true;
        drop(m, &inval);
    }
    fill(m, &e, va);
    hit(&e, va, out);
    out->from_tlb = false;
}

/* A write that the entry found does not simply allow. True if the access is over. */
static bool denied(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                   const struct ts_tlb_entry *e, uint64_t *hits, struct ts_mmu_access *out)
{
    if (e->writable || e->stage1_writable)
        return false;
    (*hits)++;
    out->from_tlb = true;
    fault(m, ctx, va, TS_MMU_FAULT_STAGE1, va, out);
    return true;
}

void ts_mmu_access(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, bool write,
                   struct ts_mmu_access *out)
{
    m->stats.accesses++;
    out->cycles = m->params.l1_hit_cycles;
    uint64_t *hits = &m->stats.l1_hits;
    const struct ts_tlb_entry *e = lookup(m, MMU_L1_4K, MMU_L1_1G, ctx, va);
    if (e == NULL) {
        out->cycles += m->l2_cycles;
        hits = &m->stats.l2_hits;
        e = lookup(m, MMU_L2, MMU_L2_1G, ctx, va);
    }
    if (e == NULL) {
        walk(m, ctx, va, write, 0, out);
        return;
    }
    if (!write || (e->writable && e->dirty)) {
        (*hits)++;
        hit(e, va, out);
        if (hits == &m->stats.l2_hits)
            ts_mmu_fill_(&m->l1[(e->tags.size_shift - 12u) / 9u], e, va);
        return;
    }
    if (!denied(m, ctx, va, e, hits, out))
        walk(m, ctx, va, write, e->tags.size_shift, out);
}

/* Cycles that one structure is busy: a probe takes one; a sweep goes set by set. */
static uint64_t busy_cycles(const struct ts_mmu *m, const struct ts_tlb *t, uint32_t work)
{
    uint32_t sets = ts_tlb_sets(t);
    uint64_t rate = m->params.sweep_sets_per_cycle;
    if (work < sets)
        return work;
    return rate == 0 ? 1 : (sets + rate - 1) / rate;
}

/* On Intel a selective flush in a guest flushes all of it once a large guest page was cached in
 * pieces because smaller host pages lie behind it (nadav.amit.zone, 2018-10-21). */
static bool widens(const struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    return m->params.fracture_full_flush && m->fractured && !inval->all_addresses &&
           (inval->kinds & TS_TLB_KIND_BIT(TS_TLB_COMBINED)) != 0 &&
           (inval->any_vmid || inval->vmid != 0);
}

uint64_t ts_mmu_invalidate(struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    struct ts_tlb_inval i = *inval;
    if (widens(m, &i)) {
        i = ts_inval_invvpid_single(inval->vmid);
        i.kinds |= inval->kinds;
        i.any_vmid = inval->any_vmid;
        i.keep_host = inval->keep_host;
    }
    uint64_t cycles = 1;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        struct ts_tlb_inval part = i;
        if (s <= MMU_L1_1G && m->params.l1_flush_on_any_inval) {
            part = ts_inval_invvpid_single(0);
            part.any_vmid = true;
        }
        part.kinds &= structure_kinds[s];
        if (part.kinds == 0)
            continue;
        uint32_t work;
        m->stats.entries_invalidated += ts_tlb_invalidate(m->t[s], &part, &work);
        uint64_t busy = busy_cycles(m, m->t[s], work);
        cycles = busy > cycles ? busy : cycles;
    }
    m->stats.invalidations++;
    if (i.all_addresses) {
        m->stats.full_flushes +=
            i.asid_rule == TS_INVAL_ASID_ANY || i.asid_rule == TS_INVAL_ASID_ANY_NONGLOBAL;
        uint32_t pieces = 0;
        for (uint32_t s = MMU_L1_4K; s <= MMU_L2_1G; s++)
            pieces += ts_tlb_piece_count(m->t[s]);
        m->fractured &= pieces != 0;
    }
    return cycles;
}

bool ts_mmu_probe(const struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                  struct ts_tlb_entry *out)
{
    for (uint32_t s = MMU_L1_4K; s <= MMU_L2_1G; s++)
        if (ts_tlb_probe(m->t[s], TS_TLB_COMBINED, ctx->vmid, ctx->asid, va, out))
            return true;
    return false;
}

const struct ts_mmu_stats *ts_mmu_stats(const struct ts_mmu *m)
{
    return &m->stats;
}

void ts_mmu_for_each(const struct ts_mmu *m,
                     void (*fn)(void *user, const struct ts_tlb_entry *entry), void *user)
{
    for (uint32_t s = MMU_L1_4K; s <= MMU_L2_1G; s++)
        ts_tlb_for_each(m->t[s], fn, user);
}
