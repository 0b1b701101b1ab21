/* SPDX-License-Identifier: Apache-2.0 */
/* What was taken out of the page tables last, and which memory has been freed since: what a page or
 * a table was may not be used any more once somebody else may have its memory, whether or not the
 * flush has returned. For the oracle. */
#ifndef TS_MODELS_REUSE_H
#define TS_MODELS_REUSE_H

#include "models/mmu/pgtable.h"
#include "models/oracle/page_map.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_CLEARS UINT64_C(64)

/* A leaf of [start, end), which led to target and those behind it. */
struct ts_clear {
    uint64_t space, start, end, target;
    ts_time when;
    uint64_t event; /* its place in the order of all that is told here */
    bool mapped;    /* the same has been mapped once more */
};

/* All 0: nothing has happened. */
struct ts_reuse {
    struct ts_clear cleared[TS_CLEARS]; /* the last ones, a ring */
    uint64_t ncleared, events;          /* ever */
    struct ts_page_map freed, detached; /* pages of guest-physical addresses: the last event */
};

void ts_reuse_destroy(struct ts_reuse *r);
/* Addresses are guest-physical, but those of a space, which are virtual. */
void ts_reuse_cleared(struct ts_reuse *r, uint64_t space, uint64_t start, uint64_t end,
                      uint64_t target, ts_time when);
/* A leaf is made. */
void ts_reuse_mapped(struct ts_reuse *r, uint64_t space, uint64_t start, uint64_t end,
                     uint64_t target);
/* The page at ipa is freed; the table at ipa is taken out of the page tables. False: no memory. */
bool ts_reuse_freed(struct ts_reuse *r, uint64_t ipa);
bool ts_reuse_detached(struct ts_reuse *r, uint64_t ipa);
/* Was a leaf that covers va cleared at `since` or later? What is not remembered counts as
 * cleared. */
bool ts_reuse_cleared_since(const struct ts_reuse *r, uint64_t space, uint64_t va, ts_time since);
/* Has the memory at pa been freed since the last clear of what va was when it led there, and has va
 * not been made to lead there again? What is not remembered has not. stage2: NULL: none. */
bool ts_reuse_is_freed(const struct ts_reuse *r, uint64_t space, uint64_t va, uint64_t pa,
                       const struct ts_pgtable *stage2);
/* Has the table been freed since it was last taken out? */
bool ts_reuse_is_freed_table(const struct ts_reuse *r, uint64_t ipa);

#ifdef __cplusplus
}
#endif
#endif
