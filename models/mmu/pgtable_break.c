/* SPDX-License-Identifier: Apache-2.0 */
/* Break-before-make. The broken entry stays in its table as a marker, as KVM keeps a locked invalid
 * one there: walks see nothing, but the table with it is not empty and is not freed. */
#include "models/mmu/pgtable_private.h"

static uint64_t leaves_of(const struct ts_pgtable *pt, uint64_t word, uint32_t level)
{
    if (pt_is_table(word))
        return pt_table_of(word)->leaves;
    return pt_is_run(word) ? pt_run_leaves(pt, word, level) : 1;
}

bool ts_pgtable_break(struct ts_pgtable *pt, uint64_t va, uint32_t level, struct ts_pt_broken *out)
{
    TS_ASSERT(level < pt->levels);
    struct pt_table *t = pt_descend(pt, va, level);
    uint64_t entry = pt_get(t, pt_index(pt, va, t->level));
    if (t->level > level) {
        /* At the level a run has tables above its leaves, then the leaves if it is not empty. */
        if (!pt_is_run(entry) || level < pt_run_of(entry)->leaf ||
            (level == pt_run_of(entry)->leaf && (entry & PT_EMPTY)))
            return false;
        t = ts_pt_expand_(pt, va, level);
        if (t == NULL)
            return false;
        entry = pt_get(t, pt_index(pt, va, level));
    }
    if (entry == 0 || pt_is_broken(entry))
        return false;
    struct pt_held *held = ts_pt_take_(pt, 0);
    if (held == NULL)
        return false;
    out->va = va;
    out->level = level;
    out->was_table = !(entry & PT_LEAF);
    out->held = entry;
    held->word = entry;
    *pt_slot(t, pt_index(pt, va, level)) = pt_word(held) | PT_BROKEN;
    pt_count(pt, va, level, -leaves_of(pt, entry, level));
    if (pt->path->low < level)
        pt->path->low = level; /* what is below is not on any way now */
    return true;
}

/* Ends the window with word in the entry's place. */
static struct pt_table *make(struct ts_pgtable *pt, const struct ts_pt_broken *broken,
                             uint64_t word)
{
    struct pt_table *t = pt_descend(pt, broken->va, broken->level);
    uint32_t i = pt_index(pt, broken->va, t->level);
    uint64_t entry = pt_get(t, i);
    TS_ASSERT(t->level == broken->level && pt_is_broken(entry));
    TS_ASSERT(pt_held_of(entry)->word == broken->held);
    ts_pt_give_(pt, pt_held_of(entry), 0);
    *pt_slot(t, i) = word;
    pt_count(pt, broken->va, broken->level, leaves_of(pt, word, broken->level));
    return t;
}

uint64_t ts_pgtable_make_leaf(struct ts_pgtable *pt, const struct ts_pt_broken *broken,
                              const struct ts_pte *pte)
{
    TS_ASSERT(pte->level == broken->level && pte->level < ts_granule_leaf_levels(pt->granule));
    TS_ASSERT(pte->size_shift == pt->shift[pte->level]);
    TS_ASSERT((pte->target & pt_entry_last(pt, pte->level)) == 0);
    make(pt, broken, pt_entry_of(pte));
    return ts_pt_discard_(pt, broken->held, broken->level,
                          pt_entry_base(pt, broken->va, broken->level));
}

uint32_t ts_pgtable_make_table(struct ts_pgtable *pt, const struct ts_pt_broken *broken)
{
    TS_ASSERT(!broken->was_table && broken->level > 0);
    return ts_pt_leaf_split_(pt, make(pt, broken, broken->held), broken->va) ? 1 : 0;
}

void ts_pgtable_make_again(struct ts_pgtable *pt, const struct ts_pt_broken *broken)
{
    make(pt, broken, broken->held);
}
