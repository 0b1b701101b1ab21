/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: a program reads a page and then, page by page, those below it; then a page further up,
 * and those below that; and so on. Where the structures replace the least recently used entry, what
 * they hold follows from where the program is, and nothing is looked up or put in until somebody
 * wants to know. Every function of mmu.h answers as if it had been. */
#ifndef TS_MODELS_MMU_PASSES_H
#define TS_MODELS_MMU_PASSES_H

#include "models/mmu/mmu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The read of va, by a walk, has just been made: from now on passes are kept as such, if that is
 * possible for this MMU, and va's page is all that its structures for pages hold. It ends when
 * anything else than the next read of a pass is made, or an invalidation asks for single pages. */
void ts_mmu_passes_begin(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va);
bool ts_mmu_passes_are_kept(const struct ts_mmu *m);

enum ts_mmu_walks { TS_MMU_WALKS_NONE, TS_MMU_WALKS_FIRST, TS_MMU_WALKS_ALL };

/* Reads that follow one another: groups of them, each of a page and then of those below it; the
 * page of the next group is the next further up. */
struct ts_mmu_course {
    uint64_t va; /* of the first read */
    uint64_t groups, size;
    uint64_t first, other; /* cycles of a group's first read, and of each other */
    enum ts_mmu_walks walks;
};

/* The course of the reads to come, which begin at the cycle `now` with va and of which `left` are
 * those of this pass; if that is a whole one, of `pages` reads, there may be `passes` of them, this
 * one included. False: it is not known, or reads would have to wait first. What walks find is taken
 * from the stage-1 entries as they are now: the caller sees to it that none changes before the
 * reads have been made, but by a change that an invalidation here follows. */
bool ts_mmu_passes_ahead(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                         uint64_t now, uint64_t left, uint64_t pages, uint64_t passes,
                         struct ts_mmu_course *out);
/* Makes the first n reads of a course, in which nothing has come in between. */
void ts_mmu_passes_go(struct ts_mmu *m, const struct ts_mmu_course *course, uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
