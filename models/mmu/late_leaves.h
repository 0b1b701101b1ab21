/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of a page table that walks still see as they were before (sim/store.h): the newest
 * TS_LATE_LEAVES. One that is pushed out is seen by all. */
#ifndef TS_MODELS_MMU_LATE_LEAVES_H
#define TS_MODELS_MMU_LATE_LEAVES_H

#include "models/mmu/pgtable.h"
#include "sim/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_LATE_LEAVES = 16 };

struct ts_late_leaf {
    uint64_t va;
    struct ts_pte was;
    struct ts_store store;
};

/* Zeroed: none. The caller's, one a page table. Private fields. */
struct ts_late_leaves {
    struct ts_late_leaf leaf[TS_LATE_LEAVES];
    uint32_t next;
};

/* The leaf at va, which was *was, has been cleared, or is not writable any more. */
void ts_late_leaves_add(struct ts_late_leaves *l, uint64_t va, const struct ts_pte *was,
                        const struct ts_store *store);
/* self has got the lock under which all leaves of [start, end) and this level are changed: what
 * other hardware threads have changed is seen, as what was stored before a lock is released is seen
 * before that is (Arm ARM, "Load-Acquire, Load-AcquirePC, and Store-Release"). Its own still wait
 * for a DSB. */
void ts_late_leaves_acquired(struct ts_late_leaves *l, uint64_t start, uint64_t end, uint32_t level,
                             const struct ts_store_buffer *self);
/* A walk of va has ended in a table of this level, with *pte if found. What hardware has seen
 * there: true, with *pte set, for a leaf. Something that has been put there since is seen: its
 * writer had seen the change. */
bool ts_late_leaves_seen(const struct ts_late_leaves *l, uint64_t va, uint32_t level, bool found,
                         struct ts_pte *pte);

#ifdef __cplusplus
}
#endif
#endif
