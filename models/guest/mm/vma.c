/* SPDX-License-Identifier: Apache-2.0 */
/* The address space's layout: VMAs in a sorted array, free ranges, and which region lies where. */
#include <stdlib.h>
#include <string.h>

#include "models/guest/mm/mm_private.h"

static bool grow_array(void **array, uint32_t *room, uint32_t need, size_t size)
{
    uint32_t n = *room ? *room : 16;
    void *p;

    if (need <= *room)
        return true;
    while (n < need)
        n *= 2;
    p = realloc(*array, n * size);
    if (!p)
        return false;
    *array = p;
    *room = n;
    return true;
}

/* --- VMAs --- */

bool ts_vma_reserve(struct ts_mm *mm, uint32_t n)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    void *vmas = mm->vmas, *detached = pm->detached;
    bool ok = grow_array(&vmas, &mm->vmas_room, mm->nvmas + n, sizeof(*mm->vmas));

    mm->vmas = vmas;
    if (!ok)
        return false;
    ok = grow_array(&detached, &pm->detached_room, mm->nvmas + n, sizeof(*pm->detached));
    pm->detached = detached;
    return ok;
}

uint32_t ts_vma_index(const struct ts_mm *mm, uint64_t va)
{
    uint32_t lo = 0, hi = mm->nvmas;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (mm->vmas[mid].end <= va)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct ts_vma *ts_vma_at(const struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);

    return i < mm->nvmas && mm->vmas[i].start <= va ? &mm->vmas[i] : NULL;
}

static void open_slot(struct ts_mm *mm, uint32_t i)
{
    TS_ASSERT(mm->nvmas < mm->vmas_room);
    memmove(&mm->vmas[i + 1], &mm->vmas[i], (mm->nvmas - i) * sizeof(*mm->vmas));
    mm->nvmas++;
}

void ts_vma_insert(struct ts_mm *mm, const struct ts_vma *vma)
{
    uint32_t i = ts_vma_index(mm, vma->start);

    TS_ASSERT(vma->start < vma->end);
    TS_ASSERT(i == mm->nvmas || mm->vmas[i].start >= vma->end);
    open_slot(mm, i);
    mm->vmas[i] = *vma;
}

bool ts_vma_split(struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);

    if (i == mm->nvmas || mm->vmas[i].start >= va)
        return false;
    open_slot(mm, i);
    mm->vmas[i] = mm->vmas[i + 1];
    mm->vmas[i].end = va;
    mm->vmas[i + 1].start = va;
    return true;
}

uint32_t ts_vma_detach(struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t splits = (uint32_t)ts_vma_split(mm, start) + (uint32_t)ts_vma_split(mm, end);
    uint32_t first = ts_vma_index(mm, start);
    uint32_t n = 0;

    while (first + n < mm->nvmas && mm->vmas[first + n].start < end)
        n++;
    TS_ASSERT(n <= pm->detached_room);
    if (n) {
        memcpy(pm->detached, &mm->vmas[first], n * sizeof(*mm->vmas));
        memmove(&mm->vmas[first], &mm->vmas[first + n],
                (mm->nvmas - first - n) * sizeof(*mm->vmas));
    }
    mm->nvmas -= n;
    pm->ndetached = n;
    return splits;
}

/* Where length bytes end up in the free range [low, high), 0 if they do not fit. */
static uint64_t place_in(uint64_t low, uint64_t high, uint64_t length)
{
    uint64_t address;

    if (high < low || high - low < length)
        return 0;
    address = high - length;
    /* THP alignment of larger mappings (mm/mmap.c __get_unmapped_area). */
    if (length >= TS_TABLE_SPAN) {
        address &= ~(TS_TABLE_SPAN - 1);
        if (address < low)
            return 0;
    }
    return address;
}

uint64_t ts_vma_find_gap(const struct ts_mm *mm, uint64_t length)
{
    uint64_t high = mm->mmap_base;

    for (uint32_t i = mm->nvmas; i > 0; i--) {
        const struct ts_vma *v = &mm->vmas[i - 1];
        uint64_t address = place_in(v->end, high, length);
        if (address)
            return address;
        if (v->start < high)
            high = v->start;
    }
    return place_in(TS_MMAP_MIN, high, length);
}

uint64_t ts_vma_floor(const struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);

    return i ? mm->vmas[i - 1].end : 0;
}

uint64_t ts_vma_ceiling(const struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);

    return i < mm->nvmas ? mm->vmas[i].start : TS_USER_END;
}

/* --- regions --- */

static uint32_t region_index(const struct ts_mm_private *pm, uint32_t number)
{
    uint32_t lo = 0, hi = pm->nregions;

    /* Regions are numbered as they are created, so the newest is what is asked for most. */
    if (hi && pm->regions[hi - 1].number < number)
        return hi;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (pm->regions[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct ts_region *ts_region_find(const struct ts_mm *mm, uint32_t number)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t i = region_index(pm, number);

    return i < pm->nregions && pm->regions[i].number == number ? &pm->regions[i] : NULL;
}

bool ts_region_was_mapped(const struct ts_mm *mm, uint32_t number)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t word = number / 64;

    return word < pm->ever_words && (pm->ever[word] >> (number % 64) & 1u);
}

static bool mark_mapped(struct ts_mm_private *pm, uint32_t number)
{
    uint32_t word = number / 64, old = pm->ever_words;
    void *ever = pm->ever;
    bool ok = grow_array(&ever, &pm->ever_words, word + 1, sizeof(*pm->ever));

    pm->ever = ever;
    if (!ok)
        return false;
    for (uint32_t i = old; i < pm->ever_words; i++)
        pm->ever[i] = 0;
    pm->ever[word] |= UINT64_C(1) << (number % 64);
    return true;
}

bool ts_region_add(struct ts_mm *mm, uint32_t number, uint64_t base)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    void *regions = pm->regions;
    uint32_t i = region_index(pm, number);
    bool ok;

    TS_ASSERT(!ts_region_find(mm, number));
    ok = grow_array(&regions, &pm->regions_room, pm->nregions + 1, sizeof(*pm->regions));
    pm->regions = regions;
    if (!ok || !mark_mapped(pm, number))
        return false;
    memmove(&pm->regions[i + 1], &pm->regions[i], (pm->nregions - i) * sizeof(*pm->regions));
    pm->nregions++;
    pm->regions[i].number = number;
    pm->regions[i].base = base;
    pm->regions[i].mapped = 0;
    return true;
}

void ts_region_grow(struct ts_mm *mm, uint32_t number, uint64_t bytes)
{
    struct ts_region *r = ts_region_find(mm, number);

    TS_ASSERT(r);
    r->mapped += bytes;
}

void ts_region_shrink(struct ts_mm *mm, uint32_t number, uint64_t bytes)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_region *r = ts_region_find(mm, number);
    uint32_t i;

    TS_ASSERT(r && r->mapped >= bytes);
    r->mapped -= bytes;
    if (r->mapped)
        return;
    i = (uint32_t)(r - pm->regions);
    memmove(r, r + 1, (pm->nregions - i - 1) * sizeof(*r));
    pm->nregions--;
}

bool ts_mm_region_address(const struct ts_mm *mm, uint32_t region, uint64_t offset, uint64_t *va)
{
    const struct ts_region *r = ts_region_find(mm, region);
    const struct ts_vma *v;

    if (!r)
        return false;
    v = ts_vma_at(mm, r->base + offset);
    if (!v || v->region != region)
        return false;
    *va = r->base + offset;
    return true;
}
