/* SPDX-License-Identifier: Apache-2.0 */
/* Invalidations, and how long they keep the structures busy. */
#include "models/mmu/mmu_private.h"

static void forget_sizes(struct mmu_unit *unit)
{
    if (ts_tlb_valid_count(unit->tlb) == 0)
        unit->sizes = 0;
}

void ts_mmu_drop_(struct ts_mmu *m, struct ts_tlb_inval inval)
{
    inval.thread = (uint8_t)m->thread;
    mmu_end_passes(m);
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        struct mmu_unit *unit = m->unit[s];
        if (unit == NULL || !(unit->kinds & inval.kinds))
            continue;
        ts_tlb_invalidate(unit->tlb, &inval, NULL);
        forget_sizes(unit);
    }
    if (m->core->flights != 0)
        ts_mmu_flights_drop_(m, &inval);
}

struct search {
    const struct ts_tlb_inval *inval;
    bool found;
};

static void look_at(void *user, const struct ts_tlb_entry *e)
{
    struct search *s = user;
    s->found = s->found || ts_tlb_inval_matches(s->inval, &e->tags);
}

bool ts_mmu_holds(const struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    struct ts_tlb_inval mine = *inval;
    mine.thread = (uint8_t)m->thread;
    struct search s = {&mine, false};
    if (!ts_mmu_passes_ask_(m, inval))
        mmu_end_passes(m);
    for (uint32_t i = 0; i < MMU_STRUCTURES && !s.found; i++) {
        if (m->unit[i] != NULL && (m->unit[i]->kinds & inval->kinds) &&
            ts_tlb_valid_count(m->unit[i]->tlb) != 0)
            ts_tlb_for_each(m->unit[i]->tlb, look_at, &s);
    }
    return s.found;
}

/* Pages of one size that the range touches, and that the structure may hold. */
static uint64_t pages_of(const struct ts_tlb *t, const struct ts_tlb_inval *inval, uint32_t shift)
{
    if (inval->length == 0 || !ts_tlb_holds_size(t, (uint8_t)shift))
        return 0;
    uint64_t last = inval->start + (inval->length - 1);
    return (last >> shift) - (inval->start >> shift) + 1;
}

static bool names_tables(const struct ts_tlb_inval *inval)
{
    return !inval->last_level_only && (inval->kinds & (TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK) |
                                                       TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK))) != 0;
}

/* One look-up for each page of each size in use: those of the granules that the CPU's tables have,
 * of which the hardware knows by its configuration, and runs only where it knows runs. A level or
 * granule hint leaves fewer. */
static uint64_t count_probes(const struct ts_mmu *m, const struct mmu_unit *unit,
                             const struct ts_tlb_inval *inval)
{
    uint32_t granules = m->granules;
    uint64_t counted = 0, n = 0;
    bool tables = names_tables(inval);
    for (uint32_t g = 0; g < TS_GRANULES; g++) {
        if (!(granules >> g & 1u) || (inval->ttl_granule != 0 && inval->ttl_granule != g + 1))
            continue;
        uint32_t levels = tables ? TS_PT_LEVELS_MAX : ts_granule_leaf_levels(g);
        for (uint32_t level = 0; level < levels; level++) {
            uint32_t shift = ts_granule_level_shift(g, level);
            uint32_t run = shift + ts_granule_contiguous_bits(g, level);
            if (shift > 56 || (inval->ttl_level != 0 && !tables && inval->ttl_level != level + 1))
                continue;
            n += counted >> shift & 1u ? 0 : pages_of(unit->tlb, inval, shift);
            counted |= UINT64_C(1) << shift;
            if (!m->params.contiguous || level >= ts_granule_leaf_levels(g))
                continue;
            n += counted >> run & 1u ? 0 : pages_of(unit->tlb, inval, run);
            counted |= UINT64_C(1) << run;
        }
    }
    return n;
}

void ts_mmu_use_granules_(struct ts_mmu *m, uint32_t granules)
{
    m->granules = granules;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++)
        for (uint32_t tables = 0; tables < 2 && m->unit[s] != NULL; tables++) {
            struct ts_tlb_inval page = ts_inval_tlbi_vaae1(0, 0, tables == 0, 0);
            m->page_probes[s][tables] = (uint8_t)count_probes(m, m->unit[s], &page);
        }
}

static uint64_t probes(const struct ts_mmu *m, const struct mmu_unit *unit,
                       const struct ts_tlb_inval *inval)
{
    bool one_page = inval->length != 0 && inval->ttl_level == 0 && inval->ttl_granule == 0 &&
                    (inval->start ^ (inval->start + (inval->length - 1))) < (1u << 12);
    return one_page ? m->page_probes[unit->structure][names_tables(inval)]
                    : count_probes(m, unit, inval);
}

/* Cycles that one structure is busy: a look-up takes one; a sweep goes set by set. work: what the
 * structure says of the sets to be looked at. */
static uint64_t busy_cycles(const struct ts_mmu *m, const struct mmu_unit *unit,
                            const struct ts_tlb_inval *inval, bool pieces, uint32_t work)
{
    uint32_t sets = ts_tlb_sets(unit->tlb);
    uint64_t rate = m->params.sweep_sets_per_cycle;
    uint64_t n = work;
    if (!inval->all_addresses && !pieces) {
        uint64_t p = probes(m, unit, inval);
        n = p < sets ? p : sets;
    }
    if (n < sets)
        return n;
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

static struct ts_tlb_inval widened(const struct ts_tlb_inval *inval)
{
    struct ts_tlb_inval i = ts_inval_invvpid_single(inval->vmid);
    i.kinds |= inval->kinds;
    i.any_vmid = inval->any_vmid;
    i.keep_host = inval->keep_host;
    i.any_thread = inval->any_thread;
    i.thread = inval->thread;
    return i;
}

/* The L1 as a whole has no eye for tags. */
static struct ts_tlb_inval whole_l1(void)
{
    struct ts_tlb_inval i = ts_inval_invvpid_single(0);
    i.any_vmid = true;
    i.any_thread = true;
    return i;
}

static void leave_fracture(struct ts_mmu *m)
{
    uint32_t pieces = 0;
    for (uint32_t s = 0; s <= MMU_L2_LAST; s++)
        if (m->unit[s] != NULL)
            pieces += ts_tlb_piece_count(m->unit[s]->tlb);
    m->fractured &= pieces != 0;
}

/* To the structures of m; only to those of its own for a sibling of the one that it is for. */
static uint64_t apply(struct ts_mmu *m, const struct ts_tlb_inval *inval, bool sibling,
                      struct ts_mmu_stats *stats)
{
    struct ts_tlb_inval i = widens(m, inval) ? widened(inval) : *inval;
    uint64_t cycles = 1;
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        struct mmu_unit *unit = m->unit[s];
        if (unit == NULL || (sibling && unit != &m->own[s]))
            continue;
        struct ts_tlb_inval part = i;
        if (s <= MMU_L1_LAST && m->params.l1_flush_on_any_inval)
            part = whole_l1();
        part.kinds &= unit->kinds;
        if (part.kinds == 0)
            continue;
        bool pieces = ts_tlb_piece_count(unit->tlb) != 0;
        uint32_t work;
        stats->entries_invalidated += ts_tlb_invalidate(unit->tlb, &part, &work);
        forget_sizes(unit);
        uint64_t busy = busy_cycles(m, unit, &part, pieces, work);
        cycles = busy > cycles ? busy : cycles;
    }
    if (i.all_addresses) {
        bool all = i.asid_rule == TS_INVAL_ASID_ANY || i.asid_rule == TS_INVAL_ASID_ANY_NONGLOBAL;
        stats->full_flushes += all && !sibling;
        leave_fracture(m);
    }
    if (m->core->flights != 0)
        ts_mmu_flights_drop_(m, &i);
    return cycles;
}

uint64_t ts_mmu_invalidate(struct ts_mmu *m, const struct ts_tlb_inval *inval, uint64_t now)
{
    struct mmu_core *core = m->core;
    struct ts_tlb_inval mine = *inval;
    mine.thread = (uint8_t)m->thread;
    m->stats.invalidations++;
    if (mine.kinds == 0)
        return 1;
    if (core->flights_end <= now)
        core->flights = 0;
    if (!ts_mmu_passes_ask_(m, &mine))
        ts_mmu_passes_end_(m);
    uint64_t before = m->stats.entries_invalidated;
    m->stats.entries_invalidated += m->passes.kept ? ts_mmu_passes_drop_(m, &mine) : 0;
    uint64_t cycles = apply(m, &mine, false, &m->stats);
    for (uint32_t i = 0; i < TS_TLB_THREADS_MAX && mine.any_thread; i++) {
        if (core->thread[i] == NULL || core->thread[i] == m)
            continue;
        uint64_t other = apply(core->thread[i], &mine, true, &m->stats);
        cycles = other > cycles ? other : cycles;
    }
    m->stats.invalidations_empty += m->stats.entries_invalidated == before;
    if (!m->needs_time && now == 0)
        return cycles;
    /* One at a time. */
    uint64_t start = core->busy_until > now ? core->busy_until : now;
    core->busy_until = start + cycles;
    return core->busy_until - now;
}
