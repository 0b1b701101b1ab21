/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/late_leaves.h"

void ts_late_leaves_add(struct ts_late_leaves *l, uint64_t va, const struct ts_pte *was,
                        const struct ts_store *store)
{
    l->leaf[l->next++ % TS_LATE_LEAVES] = (struct ts_late_leaf){va, *was, *store};
}

void ts_late_leaves_acquired(struct ts_late_leaves *l, uint64_t start, uint64_t end, uint32_t level,
                             const struct ts_store_buffer *self)
{
    for (uint32_t i = 0; i < TS_LATE_LEAVES; i++) {
        struct ts_late_leaf *e = &l->leaf[i];
        if (e->store.buffer != self && e->was.level == level && e->va >= start && e->va < end)
            e->store.until = 0;
    }
}

bool ts_late_leaves_seen(const struct ts_late_leaves *l, uint64_t va, uint32_t level, bool found,
                         struct ts_pte *pte)
{
    const struct ts_late_leaf *seen = NULL;

    /* Backwards, as far as the newest that nothing hides: what was before it is gone as well. */
    for (uint32_t i = 1; i <= TS_LATE_LEAVES; i++) {
        const struct ts_late_leaf *e = &l->leaf[(l->next - i) % TS_LATE_LEAVES];
        if (!e->store.buffer || (va ^ e->va) >> e->was.size_shift)
            continue;
        if (!ts_store_is_hidden(&e->store))
            break;
        seen = e;
    }
    if (!seen || seen->was.level != level ||
        (found && (pte->target != seen->was.target || pte->writable)))
        return found;
    *pte = seen->was;
    return true;
}
