/* SPDX-License-Identifier: Apache-2.0 */
/* The address space's layout: VMAs in a sorted array, free ranges, and which region lies where.
 * Nobody outside this file relates the two. */
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
    mm->vmas[i + 1].lock = NULL; /* one of its own */
    return true;
}

/* An anon_vma may come to a VMA without one, unless it is a chain from fork
 * (is_mergeable_anon_vma); neighbours of one kind have been given the same one
 * (find_mergeable_anon_vma). */
bool ts_vma_mergeable(const struct ts_vma *left, const struct ts_vma *right)
{
    if (left->end != right->start || left->flags != TS_OPF_ANONYMOUS ||
        right->flags != TS_OPF_ANONYMOUS || left->prot != right->prot ||
        left->moved_by != right->moved_by || left->advice != right->advice)
        return false;
    return left->inherited == right->inherited;
}

bool ts_vma_merge_at(struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);
    struct ts_vma *left, *right;

    if (i == 0 || i == mm->nvmas)
        return false;
    left = &mm->vmas[i - 1];
    right = &mm->vmas[i];
    if (right->start != va || !ts_vma_mergeable(left, right))
        return false;
    left->end = right->end;
    left->has_anon |= right->has_anon;
    if (left->lock_seq < right->lock_seq)
        left->lock_seq = right->lock_seq;
    if (left->lock)
        ts_vma_lock_recycle(mm, right);
    else
        left->lock = right->lock;
    memmove(right, right + 1, (mm->nvmas - i - 1) * sizeof(*right));
    mm->nvmas--;
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

/* Where length bytes end up in the free range [low, high), 0 if they do not fit. What is to be
 * aligned is looked for with 2 MiB more than it needs (__thp_get_unmapped_area). */
static uint64_t place_in(uint64_t low, uint64_t high, uint64_t length, bool align)
{
    if (high < low || high - low < length + (align ? TS_TABLE_SPAN : 0))
        return 0;
    return align ? ts_huge_base(high - length) : high - length;
}

uint64_t ts_vma_held(const struct ts_mm *mm, uint64_t start, uint64_t end)
{
    const struct ts_flush_ops *flush = mm->guest->flush;

    return flush && flush->va_held && start < end ? flush->va_held(mm, start, end) : 0;
}

/* As high as possible in a gap, but for addresses that the mechanism keeps back. */
static uint64_t place_free(const struct ts_mm *mm, uint64_t low, uint64_t high, uint64_t length,
                           bool align)
{
    for (;;) {
        uint64_t address = place_in(low, high, length, align);
        uint64_t held = address ? ts_vma_held(mm, address, address + length) : 0;
        if (!held)
            return address;
        TS_ASSERT(held < address + length);
        high = held;
    }
}

static uint64_t find_gap(const struct ts_mm *mm, uint64_t length, bool align)
{
    uint64_t high = mm->mmap_base;

    for (uint32_t i = mm->nvmas; i > 0; i--) {
        const struct ts_vma *v = &mm->vmas[i - 1];
        uint64_t address = place_free(mm, v->end, high, length, align);
        if (address)
            return address;
        if (v->start < high)
            high = v->start;
    }
    return place_free(mm, TS_MMAP_MIN, high, length, align);
}

/* Mappings of files are aligned from 2 MiB on, by their file systems' get_unmapped_area (ext4, XFS;
 * those of shared anonymous memory, which are not, are taken for files). */
static bool is_aligned(const struct ts_mm *mm, uint64_t length, uint32_t flags)
{
    if (length < TS_TABLE_SPAN)
        return false;
    if (flags != TS_OPF_ANONYMOUS)
        return true;
    switch (mm->guest->params.thp_align) {
    case TS_THP_ALIGN_NONE:
        return false;
    case TS_THP_ALIGN_LARGE:
        return true;
    default:
        return length % TS_TABLE_SPAN == 0;
    }
}

uint64_t ts_vma_find_gap(const struct ts_mm *mm, uint64_t length, uint32_t flags)
{
    uint64_t address = is_aligned(mm, length, flags) ? find_gap(mm, length, true) : 0;

    return address ? address : find_gap(mm, length, false);
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

static uint32_t piece_index(const struct ts_mm_private *pm, uint64_t va)
{
    uint32_t lo = 0, hi = pm->npieces;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (pm->pieces[mid].end <= va)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool reserve_piece(struct ts_mm_private *pm)
{
    void *pieces = pm->pieces;
    bool ok = grow_array(&pieces, &pm->pieces_room, pm->npieces + 1, sizeof(*pm->pieces));

    pm->pieces = pieces;
    return ok;
}

static void insert_piece(struct ts_mm_private *pm, uint32_t i, const struct ts_piece *piece)
{
    TS_ASSERT(pm->npieces < pm->pieces_room);
    memmove(&pm->pieces[i + 1], &pm->pieces[i], (pm->npieces - i) * sizeof(*pm->pieces));
    pm->pieces[i] = *piece;
    pm->npieces++;
}

bool ts_region_map(struct ts_mm *mm, uint32_t number, uint64_t start, uint64_t end)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_region *r = ts_region_find(mm, number);
    struct ts_piece piece = {start, end, number};
    uint32_t i = piece_index(pm, start);

    TS_ASSERT(r && start < end);
    TS_ASSERT(i == pm->npieces || pm->pieces[i].start >= end);
    if (!reserve_piece(pm))
        return false;
    insert_piece(pm, i, &piece);
    r->mapped += end - start;
    return true;
}

static void shrink(struct ts_mm_private *pm, struct ts_region *r, uint64_t bytes)
{
    uint32_t i;

    TS_ASSERT(r && r->mapped >= bytes);
    r->mapped -= bytes;
    if (r->mapped)
        return;
    i = (uint32_t)(r - pm->regions);
    memmove(r, r + 1, (pm->nregions - i - 1) * sizeof(*r));
    pm->nregions--;
}

bool ts_region_unmap(struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t i = piece_index(pm, start), gone = i;

    if (!reserve_piece(pm))
        return false;
    if (i < pm->npieces && pm->pieces[i].start < start) {
        struct ts_piece *p = &pm->pieces[i], head = {p->start, start, p->region};
        p->start = start;
        insert_piece(pm, i, &head);
        gone = ++i;
        if (pm->pieces[i].end > end) { /* a hole in one piece */
            shrink(pm, ts_region_find(mm, head.region), end - start);
            pm->pieces[i].start = end;
            return true;
        }
    }
    for (; gone < pm->npieces && pm->pieces[gone].end <= end; gone++)
        shrink(pm, ts_region_find(mm, pm->pieces[gone].region),
               pm->pieces[gone].end - pm->pieces[gone].start);
    if (gone < pm->npieces && pm->pieces[gone].start < end) {
        shrink(pm, ts_region_find(mm, pm->pieces[gone].region), end - pm->pieces[gone].start);
        pm->pieces[gone].start = end;
    }
    memmove(&pm->pieces[i], &pm->pieces[gone], (pm->npieces - gone) * sizeof(*pm->pieces));
    pm->npieces -= gone - i;
    return true;
}

static bool copy_array(void **to, uint32_t *room, const void *from, uint32_t n, size_t size)
{
    if (!grow_array(to, room, n, size))
        return false;
    if (n)
        memcpy(*to, from, n * size);
    return true;
}

bool ts_region_copy_all(struct ts_mm *child, const struct ts_mm *parent)
{
    struct ts_mm_private *to = ts_mm_private_of(child);
    const struct ts_mm_private *from = ts_mm_private_of(parent);
    void *regions = to->regions, *pieces = to->pieces, *ever = to->ever;
    bool ok;

    TS_ASSERT(to->nregions == 0 && to->npieces == 0 && to->ever_words == 0);
    ok = copy_array(&regions, &to->regions_room, from->regions, from->nregions,
                    sizeof(*to->regions));
    to->regions = regions;
    ok = ok &&
         copy_array(&pieces, &to->pieces_room, from->pieces, from->npieces, sizeof(*to->pieces));
    to->pieces = pieces;
    ok = ok && copy_array(&ever, &to->ever_words, from->ever, from->ever_words, sizeof(*to->ever));
    to->ever = ever;
    if (!ok)
        return false;
    /* The array may have come out longer than what was copied. */
    if (to->ever_words > from->ever_words)
        memset(to->ever + from->ever_words, 0,
               (to->ever_words - from->ever_words) * sizeof(*to->ever));
    to->nregions = from->nregions;
    to->npieces = from->npieces;
    return true;
}

bool ts_mm_region_address(const struct ts_mm *mm, uint32_t region, uint64_t offset, uint64_t *va)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_region *r = ts_region_find(mm, region);
    uint32_t i;

    if (!r)
        return false;
    i = piece_index(pm, r->base + offset);
    if (i == pm->npieces || pm->pieces[i].start > r->base + offset ||
        pm->pieces[i].region != region)
        return false;
    *va = r->base + offset;
    return true;
}
