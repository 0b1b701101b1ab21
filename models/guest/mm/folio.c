/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a frame. A frame of 4K that was never shared has no record. A huge page counts all its
 * mappings, as one entry of 2 MiB or as up to 512 of 4K each, and goes back as a whole with the
 * last one (Linux 6.12 include/linux/mm.h folio_put; the split of partly unmapped ones when memory
 * is short, mm/huge_memory.c deferred_split_scan, is left out). */
#include <stdlib.h>
#include <string.h>

#include "models/guest/mm/mm_private.h"

/* An entry of frame_shares: mappings beyond the first (not of huge pages' frames), and whether fork
 * has taken PageAnonExclusive away. A frame that the array does not reach was never shared. */
#define NOT_EXCLUSIVE (UINT32_C(1) << 31)

static uint64_t frame_number(uint64_t frame)
{
    return frame >> TS_PAGE_SHIFT;
}

static uint64_t huge_number(uint64_t frame)
{
    return frame >> TS_TABLE_SPAN_SHIFT;
}

static uint32_t shares_of(const struct ts_guest *g, uint64_t frame)
{
    return frame_number(frame) < g->frame_shares_room ? g->frame_shares[frame_number(frame)] : 0;
}

/* Room for need entries of a zeroed array. */
static bool reserve(uint32_t **array, uint64_t *room, uint64_t need)
{
    uint64_t n = 2 * *room > need ? 2 * *room : need;
    uint32_t *to;

    if (need <= *room)
        return true;
    to = realloc(*array, n * sizeof(*to));
    if (!to)
        return false;
    memset(to + *room, 0, (n - *room) * sizeof(*to));
    *array = to;
    *room = n;
    return true;
}

bool ts_frame_reserve_shares(struct ts_guest *g)
{
    return reserve(&g->frame_shares, &g->frame_shares_room, frame_number(g->next_frame));
}

/* The count of the huge page that the frame is of, or NULL. */
static uint32_t *huge_refs(const struct ts_guest *g, uint64_t frame)
{
    uint64_t i = huge_number(frame);

    return i < g->huge_refs_room && g->huge_refs[i] ? &g->huge_refs[i] : NULL;
}

static void set_exclusive(struct ts_guest *g, uint64_t huge, bool exclusive)
{
    uint64_t first = frame_number(huge & ~(TS_TABLE_SPAN - 1));

    for (uint64_t i = first; i < first + TS_TABLE_PTES && i < g->frame_shares_room; i++)
        g->frame_shares[i] = exclusive ? 0 : NOT_EXCLUSIVE;
}

/* --- MADV_FREE --- */

static uint64_t lazyfree_number(const struct ts_guest *g, uint64_t frame)
{
    return frame_number(huge_refs(g, frame) ? frame & ~(TS_TABLE_SPAN - 1) : frame);
}

bool ts_frame_is_lazyfree(const struct ts_guest *g, uint64_t frame)
{
    uint64_t i = lazyfree_number(g, frame);

    return i / 32 < g->lazyfree_room && (g->lazyfree[i / 32] >> i % 32 & 1);
}

static void set_lazyfree(struct ts_guest *g, uint64_t i, bool lazyfree)
{
    if (i / 32 >= g->lazyfree_room)
        return;
    g->lazyfree[i / 32] &= ~(UINT32_C(1) << i % 32);
    g->lazyfree[i / 32] |= (uint32_t)lazyfree << i % 32;
}

bool ts_frame_set_lazyfree(struct ts_guest *g, uint64_t frame, bool lazyfree)
{
    if (lazyfree && !reserve(&g->lazyfree, &g->lazyfree_room, frame_number(g->next_frame) / 32 + 1))
        return false;
    set_lazyfree(g, lazyfree_number(g, frame), lazyfree);
    return true;
}

/* --- pages of 4K --- */

uint64_t ts_frame_zero(struct ts_guest *g)
{
    if (!g->has_zero_frame)
        g->zero_frame = ts_guest_frame_alloc(g);
    g->has_zero_frame = true;
    return g->zero_frame;
}

bool ts_frame_is_zero(const struct ts_guest *g, uint64_t frame)
{
    return g->has_zero_frame && frame == g->zero_frame;
}

void ts_frame_share(struct ts_guest *g, uint64_t frame)
{
    uint32_t *refs = huge_refs(g, frame);

    if (ts_frame_is_zero(g, frame))
        return;
    TS_ASSERT(frame_number(frame) < g->frame_shares_room);
    if (refs)
        ++*refs;
    else
        g->frame_shares[frame_number(frame)]++;
    g->frame_shares[frame_number(frame)] |= NOT_EXCLUSIVE;
}

bool ts_frame_exclusive(const struct ts_guest *g, uint64_t frame)
{
    return !ts_frame_is_zero(g, frame) && !(shares_of(g, frame) & NOT_EXCLUSIVE);
}

/* A mechanism that keeps frames knows them by 4K. */
static void release_huge(struct ts_guest *g, uint64_t huge)
{
    if (!g->flush->frame_release) {
        ts_guest_huge_free(g, huge);
        return;
    }
    for (uint64_t i = 0; i < TS_TABLE_PTES; i++)
        ts_guest_frame_release(g, huge + i * TS_PAGE_BYTES);
}

uint32_t ts_frame_put(struct ts_guest *g, uint64_t frame)
{
    uint32_t shares = shares_of(g, frame), *refs = huge_refs(g, frame);

    if (ts_frame_is_zero(g, frame))
        return 0;
    if (refs) {
        if (--*refs)
            return 0;
        set_exclusive(g, frame, true);
        set_lazyfree(g, frame_number(frame & ~(TS_TABLE_SPAN - 1)), false);
        release_huge(g, frame & ~(TS_TABLE_SPAN - 1));
        return TS_TABLE_PTES;
    }
    if (shares & ~NOT_EXCLUSIVE) {
        g->frame_shares[frame_number(frame)] = shares - 1;
        return 0;
    }
    if (shares)
        g->frame_shares[frame_number(frame)] = 0;
    set_lazyfree(g, frame_number(frame), false);
    ts_guest_frame_release(g, frame);
    return 1;
}

bool ts_frame_take_over(struct ts_guest *g, uint64_t frame)
{
    uint32_t shares = shares_of(g, frame);

    /* A part of a huge page that is not exclusive is never taken over, even if nobody else has it.
     */
    if (ts_frame_is_zero(g, frame) || (shares & ~NOT_EXCLUSIVE) || (shares && huge_refs(g, frame)))
        return false;
    if (shares)
        g->frame_shares[frame_number(frame)] = 0;
    return true;
}

/* --- huge pages by one entry --- */

uint64_t ts_huge_alloc(struct ts_task *self, struct ts_guest *g)
{
    uint64_t frame = ts_guest_huge_alloc(g);

    if (!reserve(&g->huge_refs, &g->huge_refs_room, huge_number(g->next_frame) + 1))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for a huge page");
    g->huge_refs[huge_number(frame)] = 1;
    return frame;
}

void ts_huge_share(struct ts_guest *g, uint64_t frame)
{
    uint32_t *refs = huge_refs(g, frame);

    TS_ASSERT(refs && frame_number(frame) + TS_TABLE_PTES <= g->frame_shares_room);
    ++*refs;
    set_exclusive(g, frame, false);
}

void ts_huge_split(struct ts_guest *g, uint64_t frame)
{
    uint32_t *refs = huge_refs(g, frame);

    TS_ASSERT(refs);
    *refs += TS_TABLE_PTES - 1;
}

bool ts_huge_take_over(struct ts_guest *g, uint64_t frame)
{
    const uint32_t *refs = huge_refs(g, frame);

    TS_ASSERT(refs);
    if (!ts_frame_exclusive(g, frame)) {
        if (*refs > 1)
            return false;
        set_exclusive(g, frame, true);
    }
    return true;
}

bool ts_frame_is_part_of_huge(const struct ts_guest *g, uint64_t frame)
{
    return huge_refs(g, frame) != NULL;
}

bool ts_frame_mapped_once(const struct ts_guest *g, uint64_t frame)
{
    return !ts_frame_is_zero(g, frame) && !huge_refs(g, frame) &&
           !(shares_of(g, frame) & ~NOT_EXCLUSIVE);
}

bool ts_huge_mapped_once(const struct ts_guest *g, uint64_t frame)
{
    const uint32_t *refs = huge_refs(g, frame);

    return refs && *refs == 1;
}

bool ts_huge_make_small(struct ts_guest *g, uint64_t frame)
{
    uint32_t *refs = huge_refs(g, frame);
    uint64_t first = frame_number(frame & ~(TS_TABLE_SPAN - 1));
    bool lazyfree;

    if (!refs || *refs != TS_TABLE_PTES)
        return false;
    lazyfree = ts_frame_is_lazyfree(g, frame);
    *refs = 0;
    for (uint64_t i = first; i < first + TS_TABLE_PTES; i++)
        set_lazyfree(g, i, lazyfree);
    return true;
}
