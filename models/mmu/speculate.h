/* SPDX-License-Identifier: Apache-2.0 */
/* Walks that hardware makes of its own accord, at any time and for any address: what it finds may
 * be cached, and nothing faults. SDM volume 3, 4.10.2.3 and 4.10.3.1: translations and
 * paging-structure caches may be created by prefetches and by speculation that never comes to be.
 * That Arm does the same is assumed. */
#ifndef TS_MODELS_MMU_SPECULATE_H
#define TS_MODELS_MMU_SPECULATE_H

#include "models/mmu/mmu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As ts_mmu_access of a read, but that a fault drops nothing that is cached; out->cycles are
 * nobody's. */
void ts_mmu_speculate(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, uint64_t now,
                      struct ts_mmu_access *out);

#ifdef __cplusplus
}
#endif
#endif
