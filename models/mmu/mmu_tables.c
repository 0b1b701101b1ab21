/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and statistics of the MMU. The defaults are a Skylake-SP core; Arm cores come as
 * configuration files. */
#include "models/mmu/mmu.h"
#include "models/tlb/replacement_table.h"

#define OFFSET(field) offsetof(struct ts_mmu_params, field)
#define ENTRIES_MAX 65536
#define CYCLES_MAX 100000
#define PORTS_MAX 64
#define QUEUE_MAX 1024

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

#define CHOICE(key, def, names, last, help, source, confidence)                                    \
    {                                                                                              \
#key, TS_PARAM_ENUM, OFFSET(key), def, 0, last, names, help, source, confidence            \
    }
#define LIMIT(key, def, max, help, source, confidence)                                             \
    {                                                                                              \
#key, TS_PARAM_COUNT, OFFSET(key), def, 0, max, NULL, help, source, confidence             \
    }

/* As the enums in mmu.h. */
static const char *const smt[] = {"own", "partition", "share", NULL};
static const char *const inclusions[] = {"non_inclusive", "inclusive", "exclusive", NULL};

static const char skl[] = "Skylake-SP data TLB, remembered";
static const char skl_code[] = "Skylake client table (51cto 6626242)";
static const char stlb[] =
    "Skylake second-level TLB (entries published for the client core), remembered";
static const char psc[] =
    "Intel paging-structure caches, not disclosed; remembered range PML4 2-4, "
    "PDPT 4-8, PDE 24-32";
static const char psc_one[] = "Intel has one for each level, remembered";
static const char no_any[] = "Skylake has one for each page size, remembered";
static const char no_l2i[] = "Skylake's second level is unified, remembered";
static const char ipa[] = "Cortex-A55 IPA cache, 64 entries, 4 ways (Agilex 5 TRM), taken for all";
static const char arm_l2[] = "true of Cortex-A76 (TRM A5.2); Intel's has leaves only, remembered";
static const char plru[] = "pseudo-LRU on Intel cores, remembered";
static const char smt_source[] = "Skylake shares its data TLBs competitively, remembered";
static const char warm[] =
    "so that a warm walk of 4 levels takes about 30 cycles on Skylake, which is remembered";
static const char fetches[] = "Xeon 8280: L1 4 cycles, L2 14 cycles (AnandTech, EPYC Rome review, "
                              "page 7); that tables lie there is a guess";

static const struct ts_param rows[] = {
    COUNT(l1d_4k_entries, 64, 0, "L1 data TLB for small pages (below 2M); 0: none", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_4k_ways, 4, 1, "its ways; as many as entries: fully associative", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_2m_entries, 32, 0,
          "L1 data TLB for large pages (2M to 512M); 0: cached as smaller pieces", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_2m_ways, 4, 1, "its ways", skl, TS_CONF_REMEMBERED),
    COUNT(l1d_1g_entries, 4, 0,
          "L1 data TLB for giant pages (1G and more); 0: cached as smaller pieces", skl,
          TS_CONF_REMEMBERED),
    COUNT(l1d_1g_ways, 4, 1, "its ways", skl, TS_CONF_REMEMBERED),
    COUNT(l1d_any_entries, 0, 0,
          "L1 data TLB for all sizes that have none of their own; 0: there is none", no_any,
          TS_CONF_REMEMBERED),
    COUNT(l1d_any_ways, 1, 1, "its ways", no_any, TS_CONF_REMEMBERED),
    COUNT(l1i_4k_entries, 128, 0, "L1 instruction TLB for small pages; 0: none", skl_code,
          TS_CONF_VERBATIM),
    COUNT(l1i_4k_ways, 8, 1, "its ways", skl_code, TS_CONF_VERBATIM),
    COUNT(l1i_2m_entries, 8, 0, "L1 instruction TLB for large pages; 0: cached as smaller pieces",
          "Skylake client table (51cto 6626242): 8 a thread, fully associative", TS_CONF_VERBATIM),
    COUNT(l1i_2m_ways, 8, 1, "its ways", skl_code, TS_CONF_VERBATIM),
    COUNT(l1i_any_entries, 0, 0,
          "L1 instruction TLB for all sizes that have none of their own; 0: there is none", no_any,
          TS_CONF_REMEMBERED),
    COUNT(l1i_any_ways, 1, 1, "its ways", no_any, TS_CONF_REMEMBERED),
    COUNT(l2_entries, 1536, 0, "second-level TLB for small and large pages; 0: none", stlb,
          TS_CONF_REMEMBERED),
    COUNT(l2_ways, 12, 1, "its ways", stlb, TS_CONF_REMEMBERED),
    SWITCH(l2_giant, 0, "it holds giant pages too",
           "Skylake has 16 entries of their own for 1G pages, remembered", TS_CONF_REMEMBERED),
    COUNT(l2_1g_entries, 16, 0,
          "second-level TLB for giant pages; 0, and not in the other: cached as smaller pieces",
          stlb, TS_CONF_REMEMBERED),
    COUNT(l2_1g_ways, 4, 1, "its ways", stlb, TS_CONF_REMEMBERED),
    COUNT(l2i_entries, 0, 0, "second-level TLB for instructions; 0: the second level is for both",
          no_l2i, TS_CONF_REMEMBERED),
    COUNT(l2i_ways, 1, 1, "its ways", no_l2i, TS_CONF_REMEMBERED),
    COUNT(walk_l1_entries, 32, 0, "walk cache of level-1 descriptors (PDE), fully associative", psc,
          TS_CONF_REMEMBERED),
    COUNT(walk_l2_entries, 4, 0, "walk cache of level-2 descriptors (PDPTE), fully associative",
          psc, TS_CONF_REMEMBERED),
    COUNT(walk_l3_entries, 2, 0, "walk cache of level-3 descriptors (PML4E), fully associative",
          psc, TS_CONF_REMEMBERED),
    COUNT(walk_any_entries, 0, 0, "walk cache of stage-1 descriptors of all levels; 0: none",
          psc_one, TS_CONF_REMEMBERED),
    COUNT(walk_any_ways, 1, 1, "its ways", psc_one, TS_CONF_REMEMBERED),
    SWITCH(walk_in_l2, 0, "stage-1 descriptors are cached in the second-level TLB", arm_l2,
           TS_CONF_REMEMBERED),
    COUNT(walk2_entries, 0, 0, "walk cache of stage-2 descriptors of all levels; 0: none",
          "nothing published found", TS_CONF_GUESS),
    COUNT(walk2_ways, 1, 1, "its ways", "nothing published found", TS_CONF_GUESS),
    COUNT(nested_entries, 64, 0, "stage-2 leaves (nested TLB, IPA cache); 0: none", ipa,
          TS_CONF_GUESS),
    COUNT(nested_ways, 4, 1, "its ways", ipa, TS_CONF_GUESS),
    SWITCH(nested_in_l2, 0,
           "stage-2 leaves are cached in the second-level TLB, large and giant ones only", arm_l2,
           TS_CONF_REMEMBERED),
    SWITCH(contiguous, 0, "a contiguous run is cached as one entry",
           "Arm's contiguous bit (true of A64FX, manual table 8-1); x86 has no such bit",
           TS_CONF_VERBATIM),
    CHOICE(l1_replacement, TS_REPLACEMENT_TABLE_TREE_PLRU, ts_replacement_table_names,
           TS_REPLACEMENT_TABLE_LAST, "replacement policy of the L1 TLBs", plru,
           TS_CONF_REMEMBERED),
    CHOICE(replacement, TS_REPLACEMENT_TABLE_TREE_PLRU, ts_replacement_table_names,
           TS_REPLACEMENT_TABLE_LAST, "replacement policy of the second level", plru,
           TS_CONF_REMEMBERED),
    CHOICE(walk_replacement, TS_REPLACEMENT_TABLE_TREE_PLRU, ts_replacement_table_names,
           TS_REPLACEMENT_TABLE_LAST, "replacement policy of walk caches and nested TLB", plru,
           TS_CONF_REMEMBERED),
    CHOICE(inclusion, TS_MMU_NON_INCLUSIVE, inclusions, TS_MMU_EXCLUSIVE,
           "what the second level holds of what the L1 TLBs hold",
           "Intel's second level is not inclusive, remembered", TS_CONF_REMEMBERED),
    CHOICE(l1_smt, TS_MMU_SMT_SHARE, smt, TS_MMU_SMT_SHARE, "L1 TLBs of an SMT core", smt_source,
           TS_CONF_REMEMBERED),
    CHOICE(l2_smt, TS_MMU_SMT_SHARE, smt, TS_MMU_SMT_SHARE, "second-level TLBs of an SMT core",
           smt_source, TS_CONF_REMEMBERED),
    CHOICE(walk_smt, TS_MMU_SMT_SHARE, smt, TS_MMU_SMT_SHARE,
           "walk caches and nested TLB of an SMT core", smt_source, TS_CONF_REMEMBERED),
    CYCLES(l1_hit_cycles, 0, "added by an L1 TLB hit",
           "hidden behind the L1 data cache's latency, remembered", TS_CONF_REMEMBERED),
    CYCLES(l2_hit_cycles, 9, "added by an L1 miss that hits the second level, or misses it",
           "Skylake 9, remembered; 12 measured on Haswell (mynavi review, 2013-06-21)",
           TS_CONF_REMEMBERED),
    CYCLES(l2_probe_cycles, 0,
           "added for each further page size that the second level is probed for",
           "Skylake's latency is not known to depend on the size, remembered (Cortex-A76: longer "
           "if other sizes must be probed, TRM A5.2)",
           TS_CONF_REMEMBERED),
    LIMIT(l1_ports, 2, PORTS_MAX,
          "look-ups that may start in a cycle in the L1 TLBs of data, and as many of instructions; "
          "0: any number",
          "two loads a cycle on Skylake, remembered", TS_CONF_REMEMBERED),
    LIMIT(l2_ports, 1, PORTS_MAX,
          "look-ups that may start in a cycle in the second level; 0: any number",
          "nothing published found", TS_CONF_GUESS),
    LIMIT(walkers, 2, PORTS_MAX, "page walks at a time, for the core; 0: any number",
          "Skylake: two walks in parallel", TS_CONF_VERBATIM),
    LIMIT(miss_queue, 8, QUEUE_MAX, "walks that may wait for a walker; 0: any number",
          "nothing published found", TS_CONF_GUESS),
    CYCLES(walk_start_cycles, 4, "fixed part of a walk", warm, TS_CONF_GUESS),
    CYCLES(walk_cache_cycles, 0, "look-up of the walk caches, once a walk",
           "part of walk_start_cycles", TS_CONF_GUESS),
    CYCLES(nested_cycles, 0, "each look-up of stage-2 leaves", "nothing published found",
           TS_CONF_GUESS),
    CYCLES(fetch_cycles, 4, "a fetch from a table of level 1 or above", fetches, TS_CONF_GUESS),
    CYCLES(leaf_fetch_cycles, 14, "a fetch from a table of the last level, of either stage",
           fetches, TS_CONF_GUESS),
    CYCLES(ad_update_cycles, 20, "the walker sets an accessed or a dirty bit",
           "a locked access to the L1 data cache, about 20 cycles, remembered", TS_CONF_GUESS),
    SWITCH(stage2_ad, 1,
           "stage 2 has accessed and dirty bits, and a fetch from a stage-1 table sets both",
           "SDM vol. 3C, Accessed and Dirty Flags for EPT; Linux sets them up where they are there "
           "(kvm_intel.eptad), remembered",
           TS_CONF_REMEMBERED),
    {"levels", TS_PARAM_COUNT, OFFSET(levels), 4, 3, 5, NULL, "levels of stage-1 tables",
     "4, or 5 with CR4.LA57; 3 or 4 with granules of 16K or 64K", TS_CONF_CHOICE},
    {"levels_stage2", TS_PARAM_COUNT, OFFSET(levels_stage2), 4, 3, 5, NULL,
     "levels of stage-2 tables (EPT, NPT)", "4, or 5; 3 or 4 with granules of 16K or 64K",
     TS_CONF_CHOICE},
    COUNT(sweep_sets_per_cycle, 0, 0,
          "sets that an invalidation by tag looks at in a cycle; 0: all at once",
          "nothing published found", TS_CONF_GUESS),
    SWITCH(sweep_blocking, 1,
           "look-ups wait for the end of an invalidation, where sweeps take time",
           "TRMs of Cortex-A53, A57 and A35 say only that the second level's time depends on "
           "maintenance operations under way",
           TS_CONF_GUESS),
    SWITCH(l1_flush_on_any_inval, 0, "any invalidation clears the L1 TLBs as a whole",
           "true of Cortex-A35 (TRM: main TLB maintenance flushes both micro TLBs); elsewhere not "
           "known",
           TS_CONF_REMEMBERED),
    SWITCH(fracture_full_flush, 1,
           "a selective flush in a guest becomes a full one once a large guest page was cached in "
           "pieces",
           "Intel, nadav.amit.zone 2018-10-21", TS_CONF_VERBATIM),
    SWITCH(ttl, 1, "arm64: the core takes the level hints of TLBI (FEAT_TTL); guest.ttl gives them",
           "FEAT_TTL is of Armv8.4 (Arm ARM)", TS_CONF_REMEMBERED),
    SWITCH(conflict_abort, 0,
           "an access that meets entries of two sizes for its address is a TLB conflict",
           "Arm without FEAT_BBM level 2; on x86 any of the entries may be used (SDM 4.10.2.3)",
           TS_CONF_REMEMBERED),
};

const struct ts_param_table ts_mmu_param_table = {"mmu", rows, TS_ARRAY_LEN(rows)};

#define COUNTER(field, unit, help)                                                                 \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_mmu_stats, field), unit, help                  \
    }

static const struct ts_stat stat_rows[] = {
    COUNTER(accesses, "1", "translations asked for"),
    COUNTER(l1_hits, "1", "served by an L1 TLB, faults by a cached permission included"),
    COUNTER(l2_hits, "1", "served by the second level"),
    COUNTER(walks, "1", "page walks, also for a first write that sets the dirty bit"),
    COUNTER(merged, "1", "misses that waited for the walk of another access to the page"),
    COUNTER(fetch_accesses, "1", "translations asked for by instruction fetches"),
    COUNTER(fetch_walks, "1", "page walks for instruction fetches"),
    COUNTER(walk_fetches, "1", "page-table entries fetched, both stages"),
    COUNTER(walk_cycles, "cycles", "spent in walks"),
    COUNTER(walk_faults, "1", "walks that ended at a missing or read-only entry, either stage"),
    COUNTER(stage2_faults, "1", "those that ended in stage 2"),
    COUNTER(walk_cache_hits, "1", "walks that did not start at the top"),
    COUNTER(nested_hits, "1", "stage-2 translations that needed no stage-2 walk"),
    COUNTER(nested_walks, "1", "stage-2 walks"),
    COUNTER(stage2_walk_cache_hits, "1", "stage-2 walks that did not start at the top"),
    COUNTER(ad_updates, "1", "leaves whose accessed or dirty bit the walker set, either stage"),
    COUNTER(port_wait_cycles, "cycles", "look-ups that waited for a port of a TLB"),
    COUNTER(walker_wait_cycles, "cycles", "walks that waited for a walker or the miss queue"),
    COUNTER(sweep_wait_cycles, "cycles", "accesses that waited for the end of an invalidation"),
    COUNTER(conflicts, "1", "TLB conflicts, counted where they abort"),
    COUNTER(invalidations, "1", "invalidations applied"),
    COUNTER(invalidations_empty, "1", "those that found nothing to drop: over-flushes"),
    COUNTER(entries_invalidated, "1", "entries they dropped, over all structures"),
    COUNTER(full_flushes, "1", "invalidations of all addresses of a VMID or more"),
};

static const struct ts_stat_rule rules[] = {
    {"every access hits the L1 or the second level, walks, or waits for another's walk",
     {"+accesses", "-l1_hits", "-l2_hits", "-walks", "-merged"}},
};

const struct ts_stat_table ts_mmu_stat_table = {"mmu", stat_rows, TS_ARRAY_LEN(stat_rows), rules,
                                                TS_ARRAY_LEN(rules)};
