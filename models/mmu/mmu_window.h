/* SPDX-License-Identifier: Apache-2.0 */
/* Reads whose course is known before they are made, for who joins many of them. */
#ifndef TS_MODELS_MMU_WINDOW_H
#define TS_MODELS_MMU_WINDOW_H

#include "models/mmu/mmu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Passes of a loop, each of which reads a page and then the `pages` pages before it, all of 4K. Do
 * they find these always in the second level, and never in the L1, once a pass has done so and as
 * long as nothing is invalidated? False: perhaps not. */
bool ts_mmu_window_fits(const struct ts_mmu *m, uint64_t pages);
/* What such a read takes. */
uint64_t ts_mmu_window_hit_cycles(const struct ts_mmu *m);
/* A whole pass whose new page is at va: its walk is made, and the other reads are counted. Their
 * order of use is made up for by the next pass that is made read by read, which has to follow
 * before anything else happens. Returns the cycles of the walk's read; UINT64_MAX: it faults. */
uint64_t ts_mmu_window_pass(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                            uint64_t hits);

enum ts_mmu_found { TS_MMU_IN_L1, TS_MMU_IN_L2, TS_MMU_NOWHERE };
/* Where a read of a page of 4K would find it now. Nothing changes. */
enum ts_mmu_found ts_mmu_where(const struct ts_mmu *m, const struct ts_mmu_context *ctx,
                               uint64_t va);

/* Where ts_mmu_window_fits: a read that ts_mmu_where has said to find it in the second level, or
 * nowhere, but nothing is put into the L1. At least ts_mmu_window_l1 reads of other pages follow,
 * through ts_mmu_access, which replace whatever there is. */
void ts_mmu_window_hit(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va);
uint64_t ts_mmu_window_walk(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va);
uint64_t ts_mmu_window_l1(const struct ts_mmu *m);
/* A sweep is under way that reads wait for. */
bool ts_mmu_is_busy(const struct ts_mmu *m, uint64_t now);

#ifdef __cplusplus
}
#endif
#endif
