/* SPDX-License-Identifier: Apache-2.0 */
/* The MMU of one pCPU: L1 data TLBs, a unified second level, paging-structure (walk) caches for
 * stage 1, a nested TLB for stage 2, and a walker that charges every fetch. Instruction fetches are
 * not modelled: the code footprint of the workloads is small and constant.
 *
 * A write needs an entry that knows the dirty bit to be set; otherwise it walks, sets the bit and
 * takes the new entry (SDM 4.8). A write that a cached entry denies faults without a walk if stage
 * 1 denies it, and walks if stage 2 does, as the fault needs the IPA. Faulting translations are not
 * cached, and a fault drops what was cached for its address (SDM 4.10.4.1; Arm allows it).
 *
 * A walk-cache entry of a two-stage walk holds its table already translated, as a combined
 * paging-structure-cache entry does (SDM vol. 3C, "Information That May Be Cached"), so the table
 * that a walk starts from costs no stage-2 translation.
 *
 * Time: an access is decided at one instant and returns the core cycles it takes, which the CPU
 * then lets pass; parallel walks and TLB ports are not contended by one in-order access stream. */
#ifndef TS_MODELS_MMU_H
#define TS_MODELS_MMU_H

#include "models/mmu/pgtable.h"
#include "models/tlb/tlb.h"
#include "sim/param.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_mmu_params {
    /* Entries and ways of each structure. 0 entries: there is none. A page of a size that no
     * structure of a level holds is cached there in pieces of the next smaller size. */
    uint64_t l1d_4k_entries, l1d_4k_ways;
    uint64_t l1d_2m_entries, l1d_2m_ways;
    uint64_t l1d_1g_entries, l1d_1g_ways;
    uint64_t l2_entries, l2_ways; /* 4K and 2M shared */
    uint64_t l2_1g_entries, l2_1g_ways;
    uint64_t walk_l1_entries, walk_l2_entries, walk_l3_entries; /* PDE (level 1), PDPTE, PML4E;
                                                                   fully associative */
    uint64_t nested_entries, nested_ways; /* stage-2 leaves (nTLB / IPA cache) */
    uint64_t replacement;                 /* policy of all of them: an index into the row's names */
    uint64_t l1_hit_cycles;               /* extra cycles, 0: hidden behind L1D */
    uint64_t l2_hit_cycles;               /* extra on L1 miss, L2 hit */
    uint64_t walk_start_cycles;           /* fixed cost of starting a walk */
    uint64_t fetch_cycles;      /* one page-table fetch from level 1 or above: normally in L1/L2 */
    uint64_t leaf_fetch_cycles; /* a fetch from a level-0 table, of either stage: normally L2/LLC */
    uint64_t levels;        /* 4 or 5, stage 1: for those who make the tables; a walk takes the */
    uint64_t levels_stage2; /* levels of the table it is given */
    uint64_t sweep_sets_per_cycle;  /* invalidation sweep; 0: flash clear in one cycle */
    uint64_t l1_flush_on_any_inval; /* bool: any invalidation clears the L1 as a whole (Cortex-A35
                                       TRM) */
    uint64_t fracture_full_flush;   /* bool: selective flush with a fractured entry present = full
                                       flush (nadav.amit.zone 2018-10-21) */
};
extern const struct ts_param_table ts_mmu_param_table; /* prefix "mmu" */

struct ts_mmu_stats { /* sums over the pCPU */
    uint64_t accesses;
    uint64_t l1_hits;
    uint64_t l2_hits;
    uint64_t walks; /* accesses == l1_hits + l2_hits + walks */
    uint64_t walk_fetches;
    uint64_t walk_cycles;
    uint64_t walk_faults;     /* walks that ended at a missing or read-only entry of either stage */
    uint64_t stage2_faults;   /* those of stage 2 */
    uint64_t walk_cache_hits; /* walks that did not start at the top */
    uint64_t nested_hits;     /* stage-2 translations without a stage-2 walk */
    uint64_t invalidations;
    uint64_t entries_invalidated;
    uint64_t full_flushes; /* sweeps or flash clears of everything of a VMID or more */
};
extern const struct ts_stat_table ts_mmu_stat_table; /* with the rule above */

/* The translation regime an access is made in. */
struct ts_mmu_context {
    uint16_t vmid; /* 0: host */
    uint16_t asid;
    struct ts_pgtable *stage1;
    const struct ts_pgtable *stage2; /* NULL: none */
};

enum ts_mmu_result { TS_MMU_OK = 0, TS_MMU_FAULT_STAGE1 = 1, TS_MMU_FAULT_STAGE2 = 2 };

struct ts_mmu_access {
    enum ts_mmu_result result;
    bool from_tlb;          /* no walk was made: what the oracle checks */
    uint64_t cycles;        /* to be charged, on a fault too */
    uint64_t pa;            /* on OK */
    uint64_t fault_address; /* VA for stage 1, IPA for stage 2 */
    uint8_t size_shift;     /* of the TLB entry */
};

struct ts_mmu;
enum ts_status ts_mmu_create(struct ts_mmu **out, const struct ts_mmu_params *params, uint64_t seed,
                             uint32_t cpu, struct ts_error *err);
void ts_mmu_destroy(struct ts_mmu *m);
void ts_mmu_access(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va, bool write,
                   struct ts_mmu_access *out);
/* Applies inval to every structure, all at the same time; returns the cycles that the slowest is
 * busy, at least 1. */
uint64_t ts_mmu_invalidate(struct ts_mmu *m, const struct ts_tlb_inval *inval);
/* Would an access now hit in the TLB, and to what? For tests and the oracle. */
bool ts_mmu_probe(const struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                  struct ts_tlb_entry *out);
const struct ts_mmu_stats *ts_mmu_stats(const struct ts_mmu *m);
/* The cached combined translations, for conformance checks. */
void ts_mmu_for_each(const struct ts_mmu *m,
                     void (*fn)(void *user, const struct ts_tlb_entry *entry), void *user);

#ifdef __cplusplus
}
#endif
#endif
