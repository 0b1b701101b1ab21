/* SPDX-License-Identifier: Apache-2.0 */
/* The MMU of one logical CPU: L1 TLBs for data and for instructions, a second level (unified or
 * split), paging-structure (walk) caches of both stages, a nested TLB for stage 2, and walkers that
 * charge every fetch. Siblings of an SMT core may share, partition or own each group of structures;
 * entries of a shared one carry the thread that made them.
 *
 * Pages of any granule are cached by size class: small (below 2M), large (2M to 512M), giant (1G
 * and more). A page of a size that no structure of a level holds is cached there in pieces of the
 * next smaller size of its granule. A contiguous run is cached as one entry if the MMU knows the
 * hint.
 *
 * A write needs an entry that knows the dirty bit to be set; otherwise it walks, sets the bit and
 * takes the new entry (SDM 4.8). A write that a cached entry denies faults without a walk if stage
 * 1 denies it, and walks if stage 2 does, as the fault needs the IPA. Faulting translations are not
 * cached. On x86 a fault drops what was cached for its address (SDM vol. 3, 4.10.4.1, and 28.3.3.1
 * for EPT violations); on arm64 nothing is dropped, so software has to flush even when it only
 * gives rights (Linux, arch/arm64/mm/fault.c, ptep_set_access_flags; arch/arm64/kvm/hyp/pgtable.c,
 * kvm_pgtable_stage2_relax_perms).
 *
 * A walk-cache entry of a two-stage walk holds its table already translated, as a combined
 * paging-structure-cache entry does (SDM vol. 3C, "Information That May Be Cached"), so the table
 * that a walk starts from costs no stage-2 translation.
 *
 * Time, in cycles of the core: an access is decided at one instant and returns the cycles it takes.
 * Where accesses can overlap (SMT siblings on shared structures, an out-of-order stream, a sweep
 * that blocks look-ups) the caller gives the cycle it is made at, which never falls for one core;
 * the access then waits for a port of each structure it reads, for a free walker, and for a place
 * in the miss queue. A second miss to a page whose walk is under way waits for that walk (hit under
 * miss). One in-order stream by itself never waits, so its caller may leave the cycle at 0: see
 * ts_mmu_needs_time. Where that says no, a cycle of 0 is no time at all, and nothing waits.
 *
 * Look-ups of a structure start in the order of the calls. An access that finds the miss queue full
 * keeps those behind it from the second level until there is room. A merged access is served by
 * what the walk found, even a faulting write; a walk that faults serves nobody else. Simplified:
 * what a walk learns of tables is in the walk caches and the nested TLB from its start, its own
 * look-ups take no port, and at most 64 walks under way can be merged with.
 *
 * A contiguous run is one entry for the dirty bit too: the walker sets it in the leaf written, and
 * it stands for the run (Linux, arch/arm64/mm/contpte.c, contpte_ptep_get). A read-only stage-2
 * page may hold stage-1 tables; only its dirty bit is not set then. */
#ifndef TS_MODELS_MMU_H
#define TS_MODELS_MMU_H

#include "models/mmu/pgtable.h"
#include "models/tlb/tlb.h"
#include "sim/param.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_mmu_smt {
    TS_MMU_SMT_OWN = 0,       /* each thread has all of it */
    TS_MMU_SMT_PARTITION = 1, /* each thread has an equal part: entries and sets divided; ways where
                                 there is one set */
    TS_MMU_SMT_SHARE = 2      /* competitively shared */
};
enum ts_mmu_inclusion {
    TS_MMU_NON_INCLUSIVE = 0, /* walks fill both levels; each evicts for itself */
    TS_MMU_INCLUSIVE = 1, /* an eviction from the second level drops the L1 entries of the page */
    TS_MMU_EXCLUSIVE = 2  /* walks fill the L1; what it evicts goes to the second level, and a
                             second-level hit moves up */
};

struct ts_mmu_params {
    /* Entries and ways of each structure. 0 entries: there is none. Names 4k, 2m, 1g stand for the
     * small, large and giant size classes; any: one structure for all sizes. */
    uint64_t l1d_4k_entries, l1d_4k_ways;
    uint64_t l1d_2m_entries, l1d_2m_ways;
    uint64_t l1d_1g_entries, l1d_1g_ways;
    uint64_t l1d_any_entries, l1d_any_ways;
    uint64_t l1i_4k_entries, l1i_4k_ways;
    uint64_t l1i_2m_entries, l1i_2m_ways;
    uint64_t l1i_any_entries, l1i_any_ways;
    uint64_t l2_entries, l2_ways;       /* small and large; for data only if l2i_entries */
    uint64_t l2_giant;                  /* bool: it holds giant pages too */
    uint64_t l2_1g_entries, l2_1g_ways; /* giant, of its own */
    uint64_t l2i_entries, l2i_ways;     /* instructions; 0: the L2 is unified */
    uint64_t walk_l1_entries, walk_l2_entries, walk_l3_entries; /* stage 1, by level of descriptor
                                                                   (PDE, PDPTE, PML4E), fully
                                                                   associative */
    uint64_t walk_any_entries, walk_any_ways;                   /* one for all levels of stage 1 */
    uint64_t walk_in_l2;                  /* bool: stage-1 descriptors lie in the L2 (Cortex-A76) */
    uint64_t walk2_entries, walk2_ways;   /* stage-2 descriptors, all levels */
    uint64_t nested_entries, nested_ways; /* stage-2 leaves (nTLB / IPA cache) */
    uint64_t nested_in_l2;                /* bool: they lie in the L2, large and giant ones only
                                             (Cortex-A76) */
    uint64_t contiguous;                  /* bool: a contiguous run is one entry */
    uint64_t l1_replacement;              /* indices into ts_replacement_table */
    uint64_t replacement;                 /* of the second level */
    uint64_t walk_replacement;            /* of walk caches and nested TLB */
    uint64_t inclusion;                   /* enum ts_mmu_inclusion */
    uint64_t l1_smt, l2_smt, walk_smt;    /* enum ts_mmu_smt; nested is of the walk group */
    uint64_t l1_hit_cycles;               /* extra cycles, 0: hidden behind L1D */
    uint64_t l2_hit_cycles;               /* extra on L1 miss, L2 hit */
    uint64_t l2_probe_cycles;             /* for each further page size that the L2 has to probe */
    uint64_t l1_ports, l2_ports;          /* look-ups that may start in a cycle; 0: any number */
    uint64_t walkers;                     /* walks at a time, for the core; 0: any number */
    uint64_t miss_queue;                  /* walks that may wait beyond those; 0: any number */
    uint64_t walk_start_cycles;           /* fixed cost of starting a walk */
    uint64_t walk_cache_cycles;           /* look-up of walk caches, once a walk */
    uint64_t nested_cycles;               /* look-up of the nested TLB, each */
    uint64_t fetch_cycles;      /* one page-table fetch from level 1 or above: normally in L1/L2 */
    uint64_t leaf_fetch_cycles; /* a fetch from a level-0 table, of either stage: normally L2/LLC */
    uint64_t ad_update_cycles;  /* the walker's locked update of accessed or dirty */
    uint64_t stage2_ad;         /* bool: stage 2 has accessed and dirty bits, and fetches of stage-1
                                   tables count as writes for them (SDM vol. 3C, "Accessed and Dirty
                                   Flags for EPT") */
    uint64_t levels;        /* 3 to 5, stage 1: for those who make the tables; a walk takes the */
    uint64_t levels_stage2; /* levels of the table it is given */
    uint64_t sweep_sets_per_cycle;  /* invalidation sweep; 0: flash clear in one cycle */
    uint64_t sweep_blocking;        /* bool: look-ups wait for the end of an invalidation, unless
                                       sweeps take no time (sweep_sets_per_cycle 0) */
    uint64_t l1_flush_on_any_inval; /* bool: any invalidation clears the L1 as a whole (Cortex-A35
                                       TRM) */
    uint64_t fracture_full_flush;   /* bool: selective flush with a fractured entry present = full
                                       flush (nadav.amit.zone 2018-10-21) */
    uint64_t ttl;                   /* bool, arm64: the core takes level hints (FEAT_TTL); for those
                                       who give them */
    uint64_t conflict_abort; /* bool: two entries of different sizes for one address are a TLB
                                conflict (Arm without FEAT_BBM level 2); else any may be used */
};
extern const struct ts_param_table ts_mmu_param_table; /* prefix "mmu" */

struct ts_mmu_stats { /* sums over the CPU */
    uint64_t accesses;
    uint64_t l1_hits;
    uint64_t l2_hits;
    uint64_t walks;                       /* accesses == l1_hits + l2_hits + walks + merged */
    uint64_t merged;                      /* misses that waited for the walk of another access */
    uint64_t fetch_accesses, fetch_walks; /* those of them for instructions */
    uint64_t walk_fetches;
    uint64_t walk_cycles;     /* from a walk's start to its end */
    uint64_t walk_faults;     /* walks that ended at a missing or read-only entry of either stage */
    uint64_t stage2_faults;   /* those of stage 2 */
    uint64_t walk_cache_hits; /* walks that did not start at the top */
    uint64_t nested_hits;     /* stage-2 translations without a stage-2 walk */
    uint64_t nested_walks;    /* stage-2 walks */
    uint64_t stage2_walk_cache_hits; /* those of them that did not start at the top */
    uint64_t ad_updates;             /* accessed or dirty bits set by the walker, either stage */
    uint64_t port_wait_cycles, walker_wait_cycles, sweep_wait_cycles;
    uint64_t conflicts; /* accesses that met two entries of different sizes in the structures of
                           one level; looked for only with conflict_abort */
    uint64_t invalidations;
    uint64_t invalidations_empty; /* those of them that found nothing to drop: over-flushes */
    uint64_t entries_invalidated;
    uint64_t full_flushes; /* sweeps or flash clears of everything of a VMID or more */
};
extern const struct ts_stat_table ts_mmu_stat_table; /* with the rule above */

struct ts_late_leaves;

/* The translation regime an access is made in. */
struct ts_mmu_context {
    uint16_t vmid; /* 0: host */
    uint16_t asid;
    uint16_t ep4ta; /* Intel guests: names the EPT root, not 0; stage 2 is then tagged by it alone.
                       Else 0: stage 2 is tagged by vmid */
    struct ts_pgtable *stage1;
    struct ts_pgtable *stage2;         /* NULL: none */
    const struct ts_late_leaves *late; /* of stage1; NULL: walks see all that has been stored */
};

enum ts_mmu_kind { TS_MMU_READ = 0, TS_MMU_WRITE = 1, TS_MMU_FETCH = 2 };
enum ts_mmu_result {
    TS_MMU_OK = 0,
    TS_MMU_FAULT_STAGE1 = 1,
    TS_MMU_FAULT_STAGE2 = 2,
    TS_MMU_CONFLICT = 3 /* conflict_abort; the entries of the address have been dropped, so a retry
                           walks */
};

/* What a stage-2 fault tells the hypervisor (Arm ARM, ESR_EL2 and HPFAR_EL2; SDM vol. 3C, EPT
 * violations). */
struct ts_stage2_abort {
    uint64_t ipa;
    bool write;      /* not of the walker's own accesses to stage-1 tables */
    bool permission; /* an entry was there, perhaps a cached one, that denies it */
    uint8_t level;   /* of that entry */
};

struct ts_mmu_access {
    enum ts_mmu_result result;
    bool from_tlb;                /* no walk was made: what the oracle checks */
    uint64_t cycles;              /* to be charged, waiting included, on a fault too */
    uint64_t pa;                  /* on OK */
    uint64_t fault_address;       /* VA for stage 1, IPA for stage 2 */
    struct ts_stage2_abort abort; /* on FAULT_STAGE2 */
    uint8_t size_shift;           /* of the TLB entry */
    /* With ts_mmu_watch_tables, of an access that was not from the TLB: the walk began, by a walk
     * cache, in a table that the tables do not have there. Its address, and the size of what a
     * table of its level maps; 0: it did not. */
    uint64_t stale_table, stale_span;
    /* The same of a walk of stage 2 that this one needed, the first such, for guest-physical
     * stale2_ipa. */
    uint64_t stale2_ipa, stale2_table, stale2_span;
};

/* Where walk fetches are charged. fetch: cycles for the line of pa. */
struct ts_mmu_memory {
    uint64_t (*fetch)(void *user, uint32_t core, uint64_t pa);
    void *user;
    uint32_t core;
};

/* Where this MMU sits. */
struct ts_mmu_wiring {
    uint32_t cpu;                       /* for random streams */
    uint32_t thread, threads;           /* of the core; threads 0 means 1 */
    struct ts_mmu *first;               /* the core's thread 0, alive longer than this one; NULL for
                                           thread 0 itself */
    const struct ts_mmu_memory *memory; /* NULL: fetch_cycles and leaf_fetch_cycles. Copied */
    bool fault_invalidates;             /* a fault drops what was cached for its address: x86 */
};

struct ts_mmu;
/* What ts_mmu_create refuses as a user's error, of a core of so many threads. The message names the
 * parameter. */
enum ts_status ts_mmu_check(const struct ts_mmu_params *params, uint32_t threads,
                            struct ts_error *err);
enum ts_status ts_mmu_create(struct ts_mmu **out, const struct ts_mmu_params *params, uint64_t seed,
                             const struct ts_mmu_wiring *wiring, struct ts_error *err);
/* Thread 0 last. */
void ts_mmu_destroy(struct ts_mmu *m);
/* The MMU's answer can depend on when accesses are made, even for one in-order stream a thread:
 * siblings share something, or sweeps block and take time. Otherwise now may always be 0 for such
 * streams. */
bool ts_mmu_needs_time(const struct ts_mmu *m);
void ts_mmu_access(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                   enum ts_mmu_kind kind, uint64_t now, struct ts_mmu_access *out);
/* Look at the tables that walk caches give, for the oracle. It changes nothing that is simulated.
 */
void ts_mmu_watch_tables(struct ts_mmu *m, bool on);
/* Applies inval, as this thread's, to every structure, all at the same time; returns the cycles
 * that the slowest is busy from now on, at least 1. With any_thread the siblings' entries go too.
 */
uint64_t ts_mmu_invalidate(struct ts_mmu *m, const struct ts_tlb_inval *inval, uint64_t now);
/* Would the invalidation, as this thread's, find anything? Asks every entry of every structure. */
bool ts_mmu_holds(const struct ts_mmu *m, const struct ts_tlb_inval *inval);
/* Would an access now hit in the TLB, and to what? For tests and the oracle. */
bool ts_mmu_probe(const struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                  struct ts_tlb_entry *out);
const struct ts_mmu_stats *ts_mmu_stats(const struct ts_mmu *m);
/* Counters to 0, contents kept: the end of a warm-up. */
void ts_mmu_stats_clear(struct ts_mmu *m);
/* The cached combined translations that this thread may use, for conformance checks. */
void ts_mmu_for_each(const struct ts_mmu *m,
                     void (*fn)(void *user, const struct ts_tlb_entry *entry), void *user);

#ifdef __cplusplus
}
#endif
#endif
