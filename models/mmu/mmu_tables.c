/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and statistics of the MMU. The defaults are a Skylake-SP core; Arm cores come as
 * configuration files. */
#include "models/mmu/mmu.h"

#define OFFSET(field) offsetof(struct ts_mmu_params, field)
#define ENTRIES_MAX 65536
#define CYCLES_MAX 100000

#define COUNT(key, def, min, help, source, confidence)                                             \
    {                                                                                              \
#key, TS_PARAM_COUNT, OFFSET(key), def, min, ENTRIES_MAX, NULL, help, source, confidence   \
    }
#define CYCLES(key, def, help, source, confidence)                                                 \
    {                                                                                              \
#key, TS_PARAM_CYCLES, OFFSET(key), def, 0, CYCLES_MAX, NULL, help, source, confidence     \
    }
#define SWITCH(key, def, help, source, confidence)                                                 \
    {                                                                                              \
#key, TS_PARAM_BOOL, OFFSET(key), def, 0, 1, NULL, help, source, confidence                \
    }

/* Sorted as ts_replacement_table is; a test holds the two together. */
static const char *const policies[] = {"bit_plru", "fifo",  "lru",       "nru",
                                       "random",   "srrip", "tree_plru", NULL};
#define POLICY_TREE_PLRU 6
#define POLICY_LAST 6

static const char skl[] = "Skylake-SP data TLB, remembered";
static const char stlb[] =
    "Skylake second-level TLB (entries published for the client core), remembered";
static const char psc[] =
    "Intel paging-structure caches, not disclosed; remembered range PML4 2-4, "
    "PDPT 4-8, PDE 24-32";
static const char ipa[] = "Cortex-A55 IPA cache, 64 entries, 4 ways (Agilex 5 TRM), taken for all";
static const char warm[] =
    "so that a warm walk of 4 levels takes about 30 cycles on Skylake, which is remembered";
static const char fetches[] = "Xeon 8280: L1 4 cycles, L2 14 cycles (AnandTech, EPYC Rome review, "
                              "page 7); that tables lie there is a guess";

static const struct ts_param rows[] = {
    COUNT(l1d_4k_entries, 64, 0, "L1 data TLB for 4K pages; 0: none", skl, TS_CONF_REMEMBERED),
    COUNT(l1d_4k_ways, 4, 1, "its ways; as many as entries: fully associative", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_2m_entries, 32, 0, "L1 data TLB for 2M pages; 0: cached as 4K pieces", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_2m_ways, 4, 1, "its ways", skl, TS_CONF_REMEMBERED),
    COUNT(l1d_1g_entries, 4, 0, "L1 data TLB for 1G pages; 0: cached as smaller pieces", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_1g_ways, 4, 1, "its ways", skl, TS_CONF_REMEMBERED),
    COUNT(l2_entries, 1536, 0, "second-level TLB for 4K and 2M pages; 0: none", stlb,
          TS_CONF_REMEMBERED),
    COUNT(l2_ways, 12, 1, "its ways", stlb, TS_CONF_REMEMBERED),
    COUNT(l2_1g_entries, 16, 0, "second-level TLB for 1G pages; 0: cached as 2M pieces", stlb,
          TS_CONF_REMEMBERED),
    COUNT(l2_1g_ways, 4, 1, "its ways", stlb, TS_CONF_REMEMBERED),
    COUNT(walk_l1_entries, 32, 0, "walk cache of level-1 descriptors (PDE), fully associative", psc,
          TS_CONF_REMEMBERED),
    COUNT(walk_l2_entries, 4, 0, "walk cache of level-2 descriptors (PDPTE), fully associative",
          psc, TS_CONF_REMEMBERED),
    COUNT(walk_l3_entries, 2, 0, "walk cache of level-3 descriptors (PML4E), fully associative",
          psc, TS_CONF_REMEMBERED),
    COUNT(nested_entries, 64, 0, "stage-2 leaves (nested TLB, IPA cache); 0: none", ipa,
          TS_CONF_GUESS),
    COUNT(nested_ways, 4, 1, "its ways", ipa, TS_CONF_GUESS),
    {"replacement", TS_PARAM_ENUM, OFFSET(replacement), POLICY_TREE_PLRU, 0, POLICY_LAST, policies,
     "replacement policy of all structures", "pseudo-LRU on Intel cores, remembered",
     TS_CONF_REMEMBERED},
    CYCLES(l1_hit_cycles, 0, "added by an L1 TLB hit",
           "hidden behind the L1 data cache's latency, remembered", TS_CONF_REMEMBERED),
    CYCLES(l2_hit_cycles, 9, "added by an L1 miss that hits the second level, or misses it",
           "Skylake 9, remembered; 12 measured on Haswell (mynavi review, 2013-06-21)",
           TS_CONF_REMEMBERED),
    CYCLES(walk_start_cycles, 4, "fixed part of a walk", warm, TS_CONF_GUESS),
    CYCLES(fetch_cycles, 4, "a fetch from a table of level 1 or above", fetches, TS_CONF_GUESS),
    CYCLES(leaf_fetch_cycles, 14, "a fetch from a table of 4K entries, of either stage", fetches,
           TS_CONF_GUESS),
    {"levels", TS_PARAM_COUNT, OFFSET(levels), 4, 4, 5, NULL, "levels of stage-1 tables",
     "4, or 5 with CR4.LA57", TS_CONF_CHOICE},
    {"levels_stage2", TS_PARAM_COUNT, OFFSET(levels_stage2), 4, 4, 5, NULL,
     "levels of stage-2 tables (EPT, NPT)", "4, or 5", TS_CONF_CHOICE},
    COUNT(sweep_sets_per_cycle, 0, 0,
          "sets that an invalidation by tag looks at in a cycle; 0: all at once",
          "nothing published found", TS_CONF_GUESS),
    SWITCH(l1_flush_on_any_inval, 0, "any invalidation clears the L1 TLBs as a whole",
           "true of Cortex-A35 (TRM: main TLB maintenance flushes both micro TLBs); elsewhere not "
           "known",
           TS_CONF_REMEMBERED),
    SWITCH(fracture_full_flush, 1,
           "a selective flush in a guest becomes a full one once a large guest page was cached in "
           "pieces",
           "Intel, nadav.amit.zone 2018-10-21", TS_CONF_VERBATIM),
};

const struct ts_param_table ts_mmu_param_table = {"mmu", rows, TS_ARRAY_LEN(rows)};

#define COUNTER(field, unit, help)                                                                 \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_mmu_stats, field), unit, help                  \
    }

static const struct ts_stat stat_rows[] = {
    COUNTER(accesses, "1", "translations asked for"),
    COUNTER(l1_hits, "1", "served by an L1 data TLB, faults by a cached permission included"),
    COUNTER(l2_hits, "1", "served by the second level"),
    COUNTER(walks, "1", "page walks, also for a first write that sets the dirty bit"),
    COUNTER(walk_fetches, "1", "page-table entries fetched, both stages"),
    COUNTER(walk_cycles, "cycles", "spent in walks"),
    COUNTER(walk_faults, "1", "walks that ended at a missing or read-only entry, either stage"),
    COUNTER(stage2_faults, "1", "those that ended in stage 2"),
    COUNTER(walk_cache_hits, "1", "walks that did not start at the top"),
    COUNTER(nested_hits, "1", "stage-2 translations that needed no stage-2 walk"),
    COUNTER(invalidations, "1", "invalidations applied"),
    COUNTER(entries_invalidated, "1", "entries they dropped, over all structures"),
    COUNTER(full_flushes, "1", "invalidations of all addresses of a VMID or more"),
};

static const struct ts_stat_rule rules[] = {
    {"every access hits the L1 or the second level, or walks",
     {"+accesses", "-l1_hits", "-l2_hits", "-walks"}},
};

const struct ts_stat_table ts_mmu_stat_table = {"mmu", stat_rows, TS_ARRAY_LEN(stat_rows), rules,
                                                TS_ARRAY_LEN(rules)};
