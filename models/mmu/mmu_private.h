/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_mmu; for the files of this folder only. */
#ifndef TS_MODELS_MMU_PRIVATE_H
#define TS_MODELS_MMU_PRIVATE_H

#include "models/mmu/mmu.h"

enum mmu_structure {
    MMU_L1_4K = 0,
    MMU_L1_2M,
    MMU_L1_1G,
    MMU_L2,
    MMU_L2_1G,
    MMU_WALK_1, /* level of the descriptors held: 1, 2, 3 */
    MMU_WALK_2,
    MMU_WALK_3,
    MMU_NESTED,
    MMU_STRUCTURES
};
#define MMU_WALK_LEVELS 3u
#define MMU_SIZES 3u /* 4K, 2M, 1G: by level of the leaf */

/* Where a page of some size is cached at one level of the hierarchy. */
struct mmu_place {
    struct ts_tlb *tlb; /* NULL: nowhere */
    uint8_t size_shift; /* at most the page's; less: in pieces */
};

struct ts_mmu {
    struct ts_tlb *t[MMU_STRUCTURES];
    struct ts_mmu_params params;
    struct mmu_place l1[MMU_SIZES], l2[MMU_SIZES], nested[MMU_SIZES];
    uint64_t l2_cycles; /* of a look-up in the second level; 0 without one */
    bool fractured;     /* sticky: a fractured entry came since the last flush that left none */
    struct ts_mmu_stats stats;
};

/* walker.c: translates by the tables. On TS_MMU_OK *entry is what to cache; otherwise
 * *fault_address is set. Adds to *cycles. */
enum ts_mmu_result ts_mmu_walk_(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                                bool write, struct ts_tlb_entry *entry, uint64_t *cycles,
                                uint64_t *fault_address);
/* Caches the part of entry around address that the place can hold. */
void ts_mmu_fill_(const struct mmu_place *place, const struct ts_tlb_entry *entry,
                  uint64_t address);

static inline uint64_t mmu_page(uint64_t address, uint32_t shift)
{
    return address >> shift << shift;
}

#endif
