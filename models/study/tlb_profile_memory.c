/* SPDX-License-Identifier: Apache-2.0 */
#include "models/study/tlb_profile_memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)
/* Where frames lie: all below 2^47, the least that tables of 3 levels translate. */
#define DATA_FRAMES GIB
#define DATA_END (UINT64_C(1) << 46)
#define TABLE_FRAMES DATA_END
#define HOST_TABLE_FRAMES (DATA_END + (UINT64_C(1) << 45))
/* Frames over which scattered tables spread at a time: assumed. */
#define TABLE_WINDOW (UINT64_C(1) << 15)

static uint64_t align_up(uint64_t value, uint32_t shift)
{
    uint64_t mask = (UINT64_C(1) << shift) - 1;
    return (value + mask) & ~mask;
}

static uint64_t align_down(uint64_t value, uint32_t shift)
{
    return value >> shift << shift;
}

struct ts_profile_unit ts_profile_unit_of(enum ts_granule granule, enum ts_profile_page page)
{
    struct ts_profile_unit u = {0};
    u.level = page == TS_PROFILE_GIANT ? 2 : page == TS_PROFILE_LARGE ? 1 : 0;
    u.leaf_shift = (uint8_t)ts_granule_level_shift(granule, u.level);
    u.shift = u.leaf_shift;
    u.contiguous = page == TS_PROFILE_CONTIGUOUS;
    if (u.contiguous)
        u.shift = (uint8_t)(u.shift + ts_granule_contiguous_bits(granule, u.level));
    return u;
}

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* A Feistel network of four rounds over the next even power of two, walked until the value lies in
 * the range again (cycle walking), which keeps it one to one. */
uint64_t ts_profile_permute(uint64_t key, uint64_t index, uint64_t count)
{
    TS_ASSERT(index < count);
    if (count == 1)
        return 0;
    uint32_t bits = 64u - (uint32_t)__builtin_clzll(count - 1);
    uint32_t half = (bits + 1) / 2;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = index >> half, right = index & mask;
        for (uint64_t round = 1; round <= 4; round++) {
            uint64_t next = left ^ (mix(mix(key + round) + right) & mask);
            left = right;
            right = next;
        }
        index = left << half | right;
    } while (index >= count);
    return index;
}

/* Where the index-th of count units of a span goes. */
static uint64_t place(const struct ts_profile_memory *m, uint64_t span, uint64_t index,
                      uint64_t count)
{
    return m->scattered ? ts_profile_permute(mix(m->seed) ^ span, index, count) : index;
}

static void map_run(struct ts_pgtable *pt, const struct ts_profile_unit *unit, uint64_t address,
                    uint64_t target, uint64_t bytes)
{
    struct ts_pte pte = {0};
    pte.target = target;
    pte.size_shift = unit->leaf_shift;
    pte.level = unit->level;
    pte.writable = true;
    pte.accessed = true;
    pte.dirty = true;
    pte.contiguous = unit->contiguous;
    ts_pgtable_map_run(pt, address, bytes >> unit->leaf_shift, &pte);
}

/* Guest frames [ipa, ipa + bytes) of the span of frames at [span, span + length) get their backing:
 * host frames of the same span, one by one. */
static void back(struct ts_profile_memory *m, uint64_t span, uint64_t length, uint64_t ipa,
                 uint64_t bytes)
{
    if (m->stage2 == NULL)
        return;
    uint32_t shift = m->backing.shift;
    for (uint64_t u = align_down(ipa, shift); u < ipa + bytes; u += UINT64_C(1) << shift) {
        if (!ts_pgtable_can_map(m->stage2, u, m->backing.level))
            continue;
        /* A span smaller than the backing's page is backed one to one. */
        uint64_t target = u;
        if (length >> shift > 1)
            target = span + (place(m, ~span, (u - span) >> shift, length >> shift) << shift);
        map_run(m->stage2, &m->backing, u, target, UINT64_C(1) << shift);
    }
}

static uint64_t alloc_run(void *user, uint64_t count)
{
    struct ts_profile_tables *t = user;
    struct ts_profile_memory *m = t->memory;
    uint32_t shift = ts_granule_shift(m->granule);
    uint64_t first = t->base + (t->next << shift);
    t->next += count;
    uint64_t end = align_up(first + (count << shift), m->backing.shift);
    if (t->nested && end > t->backed) {
        map_run(m->stage2, &m->backing, t->backed, t->backed, end - t->backed);
        t->backed = end;
    }
    return first;
}

static uint64_t alloc_table(void *user)
{
    struct ts_profile_tables *t = user;
    struct ts_profile_memory *m = t->memory;
    if (!m->scattered)
        return alloc_run(user, 1);
    uint32_t shift = ts_granule_shift(m->granule);
    uint64_t index = t->next++ % TABLE_WINDOW;
    uint64_t window = t->base + ((t->next - 1 - index) << shift);
    uint64_t frame = window + (place(m, window, index, TABLE_WINDOW) << shift);
    if (t->nested)
        back(m, window, TABLE_WINDOW << shift, frame, UINT64_C(1) << shift);
    return frame;
}

/* Frames of freed tables are not used again: a new table is cold, as one from a busy allocator. */
static void free_table(void *user, uint64_t address)
{
    (void)user;
    (void)address;
}

static void free_run(void *user, uint64_t address, uint64_t count)
{
    (void)user;
    (void)address;
    (void)count;
}

static enum ts_status create_table(struct ts_pgtable **out, struct ts_profile_tables *t,
                                   uint64_t levels, struct ts_error *err)
{
    struct ts_pt_frames frames = {0};
    frames.alloc_table = alloc_table;
    frames.free_table = free_table;
    frames.user = t;
    if (!t->memory->scattered) {
        frames.alloc_run = alloc_run;
        frames.free_run = free_run;
    }
    return ts_pgtable_create(out, t->memory->granule, (uint32_t)levels, &frames, err);
}

/* log2 of the end of user addresses: half of the space on x86, all that a TTBR0 translates on Arm
 * (at most 52 bits). */
static uint32_t address_bits(const struct ts_machine_config *config, enum ts_granule granule)
{
    uint32_t bits = ts_granule_level_shift(granule, (uint32_t)config->mmu.levels);
    if (config->topology.arch == TS_ARCH_X86)
        return bits - 1;
    uint32_t most = granule == TS_GRANULE_4K && config->mmu.levels == 4 ? 48 : 52;
    return bits < most ? bits : most;
}

enum ts_status ts_profile_memory_init(struct ts_profile_memory *m,
                                      const struct ts_machine_config *config,
                                      const struct ts_profile_params *params, uint64_t seed,
                                      struct ts_error *err)
{
    m->seed = seed;
    m->granule = (enum ts_granule)params->granule;
    m->scattered = params->frames == TS_PROFILE_FRAMES_SCATTERED;
    m->spaces = params->same_space ? 1 : (uint32_t)params->streams;
    m->page = ts_profile_unit_of(m->granule, (enum ts_profile_page)params->page);
    m->backing = ts_profile_unit_of(m->granule, (enum ts_profile_page)params->backing);
    m->next_address = GIB;
    m->address_end = UINT64_C(1) << address_bits(config, m->granule);
    m->next_frame = DATA_FRAMES;
    bool nested = params->regime == TS_PROFILE_NESTED;
    m->host_tables = (struct ts_profile_tables){m, HOST_TABLE_FRAMES, 0, 0, false};
    m->tables = (struct ts_profile_tables){m, TABLE_FRAMES, 0, TABLE_FRAMES, nested};
    enum ts_status status = TS_OK;
    /* First: the guest's tables need it. */
    if (nested)
        status = create_table(&m->stage2, &m->host_tables, config->mmu.levels_stage2, err);
    for (uint32_t s = 0; s < m->spaces && status == TS_OK; s++)
        status = create_table(&m->stage1[s], &m->tables, config->mmu.levels, err);
    return status;
}

void ts_profile_memory_fini(struct ts_profile_memory *m)
{
    for (uint32_t s = 0; s < TS_PROFILE_SPACES; s++)
        if (m->stage1[s] != NULL)
            ts_pgtable_destroy(m->stage1[s]);
    if (m->stage2 != NULL)
        ts_pgtable_destroy(m->stage2);
    free(m->regions);
}

/* The next free GiB with room for the length. Addresses of the workload's own choice are kept
 * clear of. */
static bool choose_address(struct ts_profile_memory *m, uint64_t length, uint64_t *address)
{
    uint64_t at = m->next_address;
    for (size_t i = 0; i < m->nregions; i++) {
        const struct ts_profile_region *r = &m->regions[i];
        if (!r->known || !r->at || r->start >= m->address_end || r->end <= at ||
            (at < m->address_end && length <= m->address_end - at && r->start >= at + length))
            continue;
        at = align_up(r->end, 30);
        i = SIZE_MAX; /* the new place may meet one seen before */
    }
    if (at >= m->address_end || length > m->address_end - at)
        return false;
    *address = at;
    m->next_address = align_up(at + length, 30);
    return true;
}

static enum ts_status grow(struct ts_profile_memory *m, uint32_t region, struct ts_error *err)
{
    size_t need = (size_t)region + 1;
    if (need <= m->nregions)
        return TS_OK;
    if (need > m->regions_cap) {
        size_t cap = m->regions_cap < 8 ? 8 : m->regions_cap;
        while (cap < need)
            cap *= 2;
        struct ts_profile_region *v = realloc(m->regions, cap * sizeof(*v));
        if (v == NULL)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for %zu regions", cap);
        m->regions = v;
        m->regions_cap = cap;
    }
    memset(m->regions + m->nregions, 0, (need - m->nregions) * sizeof(*m->regions));
    m->nregions = need;
    return TS_OK;
}

/* Regions at addresses of the workload can share a unit, or lie over each other. */
static void find_neighbours(struct ts_profile_memory *m, struct ts_profile_region *r)
{
    r->alone = true;
    for (size_t i = 0; i < m->nregions; i++) {
        struct ts_profile_region *o = &m->regions[i];
        if (o == r || !o->known || o->start >= r->end || r->start >= o->end)
            continue;
        o->alone = false;
        r->alone = false;
    }
}

enum ts_status ts_profile_memory_add(struct ts_profile_memory *m, uint32_t region, uint64_t length,
                                     bool at, uint64_t address, struct ts_error *err)
{
    enum ts_status status = grow(m, region, err);
    if (status != TS_OK)
        return status;
    struct ts_profile_region *r = &m->regions[region];
    if (r->known && r->gone == 0)
        return ts_error_set(err, TS_ERR_USER, "the workload maps region %" PRIu32 " twice", region);
    if (length == 0)
        return ts_error_set(err, TS_ERR_USER, "the workload maps region %" PRIu32 " of 0 bytes",
                            region);
    r->known = false;
    bool fits = at ? address < m->address_end && length <= m->address_end - address
                   : choose_address(m, length, &address);
    if (!fits)
        return ts_error_set(err, TS_ERR_USER,
                            "region %" PRIu32 " of %" PRIu64 " bytes lies beyond the addresses "
                            "that mmu.levels gives (2^%d)",
                            region, length, __builtin_ctzll(m->address_end));
    *r = (struct ts_profile_region){0};
    r->known = true;
    r->at = at;
    r->base = address;
    r->length = length;
    r->start = align_down(address, m->page.shift);
    r->end = align_up(address + length, m->page.shift);
    find_neighbours(m, r);
    return TS_OK;
}

struct ts_profile_region *ts_profile_memory_find(struct ts_profile_memory *m, uint32_t region)
{
    return region < m->nregions && m->regions[region].known ? &m->regions[region] : NULL;
}

static uint32_t span_shift(const struct ts_profile_memory *m)
{
    return m->stage2 != NULL && m->backing.shift > m->page.shift ? m->backing.shift : m->page.shift;
}

/* Gives the region its frames in the space; maps it at once where runs can. */
static enum ts_status use(struct ts_profile_memory *m, uint32_t space, struct ts_profile_region *r,
                          struct ts_error *err)
{
    uint32_t shift = span_shift(m);
    uint64_t length = align_up(r->end - r->start, shift);
    uint64_t frames = align_up(m->next_frame, shift);
    if (frames >= DATA_END || length > DATA_END - frames)
        return ts_error_set(err, TS_ERR_USER,
                            "the workload maps more than the %" PRIu64 " TiB that tlb_profile has",
                            DATA_END >> 40);
    m->next_frame = frames + length;
    r->frames[space] = frames;
    r->used = (uint8_t)(r->used | 1u << space);
    if (m->scattered || !r->alone)
        return TS_OK;
    if (m->stage2 != NULL)
        map_run(m->stage2, &m->backing, frames, frames, length);
    map_run(m->stage1[space], &m->page, r->start, frames, r->end - r->start);
    r->whole = (uint8_t)(r->whole | 1u << space);
    return TS_OK;
}

enum ts_status ts_profile_memory_map(struct ts_profile_memory *m, uint32_t space,
                                     struct ts_profile_region *r, uint64_t address,
                                     struct ts_error *err)
{
    if (r->gone >> space & 1)
        return ts_error_set(err, TS_ERR_USER, "the workload touches memory that it has unmapped");
    if (!(r->used >> space & 1)) {
        enum ts_status status = use(m, space, r, err);
        if (status != TS_OK || r->whole >> space & 1)
            return status;
    }
    uint32_t shift = m->page.shift;
    uint64_t unit = align_down(address, shift);
    if (!ts_pgtable_can_map(m->stage1[space], unit, m->page.level))
        return TS_OK;
    uint64_t bytes = UINT64_C(1) << shift;
    uint64_t span = r->frames[space];
    uint64_t index = place(m, span, (unit - r->start) >> shift, (r->end - r->start) >> shift);
    uint64_t frame = span + (index << shift);
    back(m, span, align_up(r->end - r->start, span_shift(m)), frame, bytes);
    map_run(m->stage1[space], &m->page, unit, frame, bytes);
    return TS_OK;
}

struct ts_profile_cleared ts_profile_memory_clear(struct ts_profile_memory *m, uint32_t space,
                                                  struct ts_profile_region *r, uint64_t offset,
                                                  uint64_t length, bool unmap)
{
    struct ts_profile_cleared out = {0};
    offset = offset < r->length ? offset : r->length;
    length = length < r->length - offset ? length : r->length - offset;
    uint64_t end = r->base + offset + length;
    uint64_t start = r->base + offset;
    if (r->alone && offset + length == r->length)
        end = r->end;
    if (r->alone && offset == 0)
        start = r->start;
    if (unmap && offset == 0 && length == r->length)
        r->gone = (uint8_t)(r->gone | 1u << space);
    out.start = align_up(start, m->page.shift);
    out.end = align_down(end, m->page.shift);
    if (!(r->used >> space & 1) || out.start >= out.end)
        return out;
    r->whole = (uint8_t)(r->whole & ~(1u << space));
    uint64_t resume;
    struct ts_pgtable *pt = m->stage1[space];
    out.leaves = ts_pgtable_clear(pt, out.start, out.end, UINT64_MAX, NULL, NULL, &resume);
    if (unmap) {
        uint32_t freed[TS_PT_LEVELS_MAX];
        out.tables = ts_pgtable_free_tables(pt, out.start, out.end, 0, 0, freed);
    }
    return out;
}
