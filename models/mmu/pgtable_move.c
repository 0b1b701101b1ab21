/* SPDX-License-Identifier: Apache-2.0 */
/* A last-level table changes its place in the tree, with all that is in it. */
#include "models/mmu/pgtable_private.h"

uint32_t ts_pgtable_move_table(struct ts_pgtable *pt, uint64_t from, uint64_t to)
{
    struct ts_pte place = {.size_shift = pt->shift[1], .level = 1};
    struct pt_table *moved = ts_pt_expand_(pt, from, 0);
    struct pt_table *t = pt_descend(pt, from, 1);
    uint32_t tables;

    if (moved == NULL)
        return 0;
    TS_ASSERT(((from | to) & pt_entry_last(pt, 1)) == 0 && moved->level == 0 && t->level == 1);
    pt_count(pt, from, 1, -moved->leaves);
    ts_pt_unset_(pt, t, pt_index(pt, from, 1));
    if (pt->path->low < 1)
        pt->path->low = 1; /* the table is not on any way now */
    /* A leaf makes the way; the table takes its place. */
    tables = ts_pgtable_map(pt, to, &place);
    if (pt->out_of_memory)
        return tables;
    t = pt_descend(pt, to, 1);
    *pt_slot(t, pt_index(pt, to, 1)) = pt_word(moved);
    pt_count(pt, to, 1, moved->leaves - 1);
    moved->base = pt_entry_base(pt, to, 1);
    return tables;
}
