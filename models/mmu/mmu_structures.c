/* SPDX-License-Identifier: Apache-2.0 */
/* Which structures there are, whose they are, and what lies where. */
#include "models/mmu/mmu_private.h"

#include <stdlib.h>

struct shape {
    const char *name;
    uint8_t group;
    uint8_t kinds;
    uint64_t sizes; /* bit log2 */
    uint64_t entries, ways, policy;
};

static const uint8_t shifts[MMU_SIZES] = MMU_SHIFTS;

#define BIT(shift) (UINT64_C(1) << (shift))
#define SMALL (BIT(12) | BIT(14) | BIT(16))
#define LARGE (BIT(21) | BIT(25) | BIT(29))
#define GIANT (BIT(30) | BIT(34))
/* Of table descriptors of a level, in each granule; the fourth is of 5-level tables. */
#define TABLE_1 (BIT(21) | BIT(25) | BIT(29))
#define TABLE_2 (BIT(30) | BIT(36) | BIT(42))
#define TABLE_3 (BIT(39) | BIT(47) | BIT(55))
#define TABLE_4 BIT(48)
#define TABLES (TABLE_1 | TABLE_2 | TABLE_3 | TABLE_4)

#define COMBINED TS_TLB_KIND_BIT(TS_TLB_COMBINED)
#define WALK1 TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK)
#define LEAF2 TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF)
#define WALK2 TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK)

static struct shape shape_of(const struct ts_mmu_params *p, enum mmu_structure s)
{
    uint64_t l1 = p->l1_replacement, l2 = p->replacement, walk = p->walk_replacement;
    uint8_t in_l2 =
        (uint8_t)(COMBINED | (p->walk_in_l2 ? WALK1 : 0u) | (p->nested_in_l2 ? LEAF2 : 0u));
    uint64_t l2_sizes = SMALL | LARGE | (p->l2_giant ? GIANT : 0) | (p->walk_in_l2 ? TABLES : 0);
    const struct shape shapes[MMU_STRUCTURES] = {
        {"l1d_4k", MMU_GROUP_L1, COMBINED, SMALL, p->l1d_4k_entries, p->l1d_4k_ways, l1},
        {"l1d_2m", MMU_GROUP_L1, COMBINED, LARGE, p->l1d_2m_entries, p->l1d_2m_ways, l1},
        {"l1d_1g", MMU_GROUP_L1, COMBINED, GIANT, p->l1d_1g_entries, p->l1d_1g_ways, l1},
        {"l1d_any", MMU_GROUP_L1, COMBINED, SMALL | LARGE | GIANT, p->l1d_any_entries,
         p->l1d_any_ways, l1},
        {"l1i_4k", MMU_GROUP_L1, COMBINED, SMALL, p->l1i_4k_entries, p->l1i_4k_ways, l1},
        {"l1i_2m", MMU_GROUP_L1, COMBINED, LARGE, p->l1i_2m_entries, p->l1i_2m_ways, l1},
        {"l1i_any", MMU_GROUP_L1, COMBINED, SMALL | LARGE | GIANT, p->l1i_any_entries,
         p->l1i_any_ways, l1},
        {"l2", MMU_GROUP_L2, in_l2, l2_sizes, p->l2_entries, p->l2_ways, l2},
        {"l2_1g", MMU_GROUP_L2, COMBINED, GIANT, p->l2_1g_entries, p->l2_1g_ways, l2},
        {"l2i", MMU_GROUP_L2, COMBINED, SMALL | LARGE | (p->l2_giant ? GIANT : 0), p->l2i_entries,
         p->l2i_ways, l2},
        {"walk_l1", MMU_GROUP_WALK, WALK1, TABLE_1, p->walk_l1_entries, p->walk_l1_entries, walk},
        {"walk_l2", MMU_GROUP_WALK, WALK1, TABLE_2, p->walk_l2_entries, p->walk_l2_entries, walk},
        {"walk_l3", MMU_GROUP_WALK, WALK1, TABLE_3, p->walk_l3_entries, p->walk_l3_entries, walk},
        {"walk_any", MMU_GROUP_WALK, WALK1, TABLES, p->walk_any_entries, p->walk_any_ways, walk},
        {"walk2", MMU_GROUP_WALK, WALK2, TABLES, p->walk2_entries, p->walk2_ways, walk},
        {"nested", MMU_GROUP_WALK, LEAF2, SMALL | LARGE | GIANT, p->nested_entries, p->nested_ways,
         walk},
    };
    return shapes[s];
}

static uint64_t smt_of(const struct ts_mmu_params *p, uint8_t group)
{
    return group == MMU_GROUP_L1 ? p->l1_smt : group == MMU_GROUP_L2 ? p->l2_smt : p->walk_smt;
}

/* A thread's equal part: of the sets, or of the ways of a single set. */
static enum ts_status partition(struct shape *shape, uint32_t threads, struct ts_error *err)
{
    if (shape->ways == 0 || shape->entries % shape->ways != 0)
        return TS_OK; /* refused anyway */
    bool one_set = shape->ways == shape->entries;
    uint64_t parts = one_set ? shape->entries : shape->entries / shape->ways;
    if (parts % threads != 0)
        return ts_error_set(err, TS_ERR_USER, "%llu %s cannot be divided among %u threads",
                            (unsigned long long)parts, one_set ? "ways" : "sets", threads);
    shape->entries /= threads;
    if (one_set)
        shape->ways = shape->entries;
    return TS_OK;
}

/* Of a thread's own structure, or of the shared one. */
static enum ts_status geometry_of(const struct ts_mmu_params *p, struct shape *shape,
                                  uint32_t threads, struct ts_tlb_geometry *g, struct ts_error *err)
{
    if (smt_of(p, shape->group) == TS_MMU_SMT_PARTITION && threads > 1) {
        enum ts_status status = partition(shape, threads, err);
        if (status != TS_OK)
            return status;
    }
    if (shape->entries > UINT32_MAX || shape->ways > UINT32_MAX)
        return ts_error_set(err, TS_ERR_USER, "too many entries");
    *g = (struct ts_tlb_geometry){0};
    g->entries = (uint32_t)shape->entries;
    g->ways = (uint32_t)shape->ways;
    if (shape->policy >= ts_replacement_table_count)
        return ts_error_set(err, TS_ERR_USER, "no replacement policy %llu",
                            (unsigned long long)shape->policy);
    g->replacement = ts_replacement_table[shape->policy];
    for (uint32_t shift = 12; shift < 57; shift++)
        if (shape->sizes & BIT(shift))
            g->size_shift[g->nsizes++] = (uint8_t)shift;
    return ts_tlb_check_geometry(g, err);
}

enum ts_status ts_mmu_check(const struct ts_mmu_params *p, uint32_t threads, struct ts_error *err)
{
    struct ts_tlb_geometry g;
    struct ts_error inner;
    threads = threads == 0 ? 1 : threads;
    if (threads > TS_TLB_THREADS_MAX)
        return ts_error_set(err, TS_ERR_USER,
                            "topology.threads_per_core is %u: an MMU serves at most %u", threads,
                            TS_TLB_THREADS_MAX);
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        struct shape shape = shape_of(p, (enum mmu_structure)s);
        if (shape.entries == 0)
            continue;
        enum ts_status status = geometry_of(p, &shape, threads, &g, &inner);
        if (status != TS_OK)
            return ts_error_set(err, status, "mmu.%s_entries: %s", shape.name, inner.message);
    }
    return TS_OK;
}

static enum ts_status create_own(struct ts_mmu *m, enum mmu_structure s, struct shape *shape,
                                 uint64_t seed, const struct ts_mmu_wiring *wiring,
                                 uint32_t threads, struct ts_error *err)
{
    struct ts_tlb_geometry g;
    enum ts_status status = geometry_of(&m->params, shape, threads, &g, err);
    if (status != TS_OK)
        return status;
    struct mmu_unit *unit = &m->own[s];
    unit->kinds = shape->kinds;
    unit->structure = (uint8_t)s;
    m->unit[s] = unit;
    return ts_tlb_create(&unit->tlb, &g, seed, (uint64_t)wiring->cpu * MMU_STRUCTURES + s, err);
}

static enum ts_status create_structure(struct ts_mmu *m, enum mmu_structure s, uint64_t seed,
                                       const struct ts_mmu_wiring *wiring, struct ts_error *err)
{
    struct shape shape = shape_of(&m->params, s);
    uint32_t threads = wiring->threads == 0 ? 1 : wiring->threads;
    if (shape.entries == 0)
        return TS_OK;
    if (m->thread != 0 && smt_of(&m->params, shape.group) == TS_MMU_SMT_SHARE) {
        m->unit[s] = wiring->first->unit[s];
        TS_ASSERT(m->unit[s] != NULL);
        return TS_OK;
    }
    struct ts_error inner;
    enum ts_status status = create_own(m, s, &shape, seed, wiring, threads, &inner);
    if (status != TS_OK)
        return ts_error_set(err, status, "mmu.%s_entries: %s", shape.name, inner.message);
    return TS_OK;
}

/* The first of the structures that holds the size. */
static struct mmu_unit *holder(struct mmu_unit *const *units, uint32_t n, uint32_t shift)
{
    for (uint32_t i = 0; i < n; i++)
        if (units[i] != NULL && ts_tlb_holds_size(units[i]->tlb, (uint8_t)shift))
            return units[i];
    return NULL;
}

/* A page goes where its size is held, else where the next smaller one of its granule is. The page
 * itself is smaller than a contiguous run, and larger than what a stage-2 page left of it. */
static struct mmu_place place_of(struct mmu_unit *const *units, uint32_t n, uint32_t shift,
                                 uint32_t granule, uint32_t least)
{
    struct mmu_place place = {holder(units, n, shift), (uint8_t)shift};
    for (uint32_t level = ts_granule_leaf_levels(granule); place.unit == NULL && level-- > 0;) {
        uint32_t smaller = ts_granule_level_shift(granule, level);
        if (smaller >= shift || smaller < least)
            continue;
        place.unit = holder(units, n, smaller);
        place.size_shift = (uint8_t)smaller;
    }
    return place;
}

static void set_places(struct mmu_places *places, struct mmu_unit *const *units, uint32_t n,
                       uint32_t least)
{
    for (uint32_t i = 0; i < MMU_SIZES; i++)
        for (uint32_t granule = 0; granule < TS_GRANULES; granule++)
            if (shifts[i] >= least)
                places->of[shifts[i]][granule] = place_of(units, n, shifts[i], granule, least);
}

static void set_nested_places(struct ts_mmu *m)
{
    struct mmu_unit *const own[] = {m->unit[MMU_NESTED]};
    set_places(&m->nested_places, own, 1, 0);
    if (!m->params.nested_in_l2 || m->unit[MMU_L2] == NULL)
        return;
    /* Small ones are not kept there (Cortex-A76 TRM, A5.2). */
    struct mmu_unit *const l2[] = {m->unit[MMU_L2]};
    set_places(&m->nested_places, l2, 1, MMU_SHIFT_LARGE);
}

static void list_structures(struct ts_mmu *m)
{
    static const uint8_t l1[MMU_SIDES][4] = {{MMU_L1D_4K, MMU_L1D_2M, MMU_L1D_1G, MMU_L1D_ANY},
                                             {MMU_L1I_4K, MMU_L1I_2M, MMU_L1I_ANY, MMU_L1I_ANY}};
    bool split = m->unit[MMU_L2I] != NULL;
    for (uint32_t side = 0; side < MMU_SIDES; side++) {
        struct mmu_unit *units[4];
        uint32_t n = 0, count = side == MMU_DATA ? 4 : 3;
        for (uint32_t i = 0; i < count; i++) {
            units[i] = m->unit[l1[side][i]];
            if (units[i] != NULL)
                m->l1[side][n++] = units[i]->tlb;
        }
        set_places(&m->l1_places[side], units, count, 0);
        bool own_l2 = side == MMU_INSTRUCTION && split;
        struct mmu_unit *const l2[] = {own_l2 ? m->unit[MMU_L2I] : m->unit[MMU_L2],
                                       own_l2 ? NULL : m->unit[MMU_L2_1G]};
        n = 0;
        for (uint32_t i = 0; i < 2; i++)
            if (l2[i] != NULL)
                m->l2[side][n++] = l2[i];
        set_places(&m->l2_places[side], l2, 2, 0);
    }
    uint32_t n = 0;
    for (uint32_t s = MMU_WALK_1; s <= MMU_WALK_3; s++)
        if (m->unit[s] != NULL)
            m->walk[n++] = m->unit[s]->tlb;
    n = 0;
    if (m->unit[MMU_WALK_ANY] != NULL)
        m->walk_mixed[n++] = m->unit[MMU_WALK_ANY]->tlb;
    if (m->params.walk_in_l2 && m->unit[MMU_L2] != NULL)
        m->walk_mixed[n++] = m->unit[MMU_L2]->tlb;
    m->has_walk_cache = m->walk[0] != NULL || n > 0 || m->unit[MMU_WALK2] != NULL;
    m->has_nested =
        m->unit[MMU_NESTED] != NULL || (m->params.nested_in_l2 && m->unit[MMU_L2] != NULL);
    set_nested_places(m);
}

enum ts_status ts_mmu_make_structures_(struct ts_mmu *m, uint64_t seed,
                                       const struct ts_mmu_wiring *wiring, struct ts_error *err)
{
    for (uint32_t s = 0; s < MMU_STRUCTURES; s++) {
        enum ts_status status = create_structure(m, (enum mmu_structure)s, seed, wiring, err);
        if (status != TS_OK)
            return status;
    }
    list_structures(m);
    ts_mmu_use_granules_(m, 1u << TS_GRANULE_4K);
    return TS_OK;
}
