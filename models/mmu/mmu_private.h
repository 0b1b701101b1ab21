/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_mmu; for the files of this folder only. */
#ifndef TS_MODELS_MMU_PRIVATE_H
#define TS_MODELS_MMU_PRIVATE_H

#include "models/mmu/late_leaves.h"
#include "models/mmu/mmu.h"

enum mmu_structure {
    MMU_L1D_4K = 0,
    MMU_L1D_2M,
    MMU_L1D_1G,
    MMU_L1D_ANY,
    MMU_L1I_4K,
    MMU_L1I_2M,
    MMU_L1I_ANY,
    MMU_L2,
    MMU_L2_1G,
    MMU_L2I,
    MMU_WALK_1, /* level of the descriptors held: 1, 2, 3 */
    MMU_WALK_2,
    MMU_WALK_3,
    MMU_WALK_ANY,
    MMU_WALK2,
    MMU_NESTED,
    MMU_STRUCTURES
};
#define MMU_L1_LAST MMU_L1I_ANY
#define MMU_L2_LAST MMU_L2I
#define MMU_WALK_LEVELS 3u

/* Sizes of leaves and of contiguous runs, over all granules: 4K, 16K, 64K; 2M, 32M, 512M; 1G, 16G.
 */
#define MMU_SIZES 8u
#define MMU_SHIFTS                                                                                 \
    {                                                                                              \
        12, 14, 16, 21, 25, 29, 30, 34                                                             \
    }
#define MMU_SHIFT_MAX 34u
#define MMU_SHIFT_LARGE 21u /* from here on a page is large, or giant */

enum mmu_group { MMU_GROUP_L1, MMU_GROUP_L2, MMU_GROUP_WALK };
enum { MMU_DATA = 0, MMU_INSTRUCTION = 1, MMU_SIDES = 2 };

/* Where a page of some size is cached at one level of the hierarchy. */
struct mmu_place {
    struct mmu_unit *unit; /* NULL: nowhere */
    uint8_t size_shift;    /* at most the page's; less: in pieces */
};
/* By log2 of the size and granule of the table. */
struct mmu_places {
    struct mmu_place of[MMU_SHIFT_MAX + 1][TS_GRANULES];
};

/* A structure; siblings that share it share this. */
struct mmu_unit {
    struct ts_tlb *tlb;
    uint64_t sizes; /* bit log2: combined entries of the size came since it was last empty */
    uint8_t kinds;  /* TS_TLB_KIND_BIT set that may lie in it */
    uint8_t structure;
};

/* Look-ups start in order: none before one that was decided earlier. */
struct mmu_port {
    uint64_t cycle; /* of the last look-up */
    uint64_t used;  /* look-ups that started then */
};

/* A walk under way, and what it will have found. */
struct mmu_flight {
    struct ts_tlb_entry entry;
    uint64_t end;
    bool instruction;
    bool for_dirty; /* there was an entry, which reads may go on using */
};
#define MMU_FLIGHTS 64u /* more are forgotten, the one that ends first before the others */

/* What the threads of a core have in common; in thread 0. */
struct mmu_core {
    struct ts_mmu *thread[TS_TLB_THREADS_MAX];
    struct mmu_port l2[MMU_SIDES];
    uint64_t blocked_until; /* a miss found the miss queue full, and holds up those behind it */
    uint64_t busy_until;    /* end of the last invalidation */
    uint64_t *walker_free;  /* when each walker is free again */
    uint64_t *queue;        /* starts of the last walks, as many as have a place in the queue */
    uint64_t queue_next;
    struct mmu_flight flight[MMU_FLIGHTS];
    uint32_t flights;
    uint64_t flights_end; /* none ends later */
};

/* Pages whose entries differ in the addresses alone. */
struct mmu_stretch {
    uint64_t first, last;
    struct ts_tlb_entry entry; /* of the first */
};
#define MMU_STRETCHES 16u

/* Pages are numbers of 4K. See mmu_passes.c. */
struct mmu_passes {
    bool kept;
    struct ts_mmu_context ctx;
    /* The pass under way: its first page, and how many it has read. */
    uint64_t top, made;
    /* The passes before it have read the pages from lo to mid (lo above mid: none have); the last
     * of them down to low. */
    uint64_t lo, mid, low;
    struct ts_tlb_entry of_all; /* in the structures, for all */
    struct mmu_stretch stretch[MMU_STRETCHES];
    uint32_t stretches;
    struct ts_tlb_entry walked; /* by the last walk */
    /* Walks of so many pages from this one on take the last one's course. */
    uint64_t walk_from, walk_pages, walk_cycles, walk_cache_hits, nested_hits;
};

struct ts_mmu {
    /* What an L1 hit reads comes first. Lists of the structures that there are, NULL-ended. */
    struct ts_tlb *l1[MMU_SIDES][5];
    struct ts_mmu_stats stats;
    uint64_t thread;
    bool needs_time;
    bool conflict_abort;
    bool fault_invalidates;
    bool checks_more; /* any of them, or passes are kept */
    uint64_t l1_hit_cycles;

    struct mmu_unit *l2[MMU_SIDES][3];
    struct ts_tlb *walk[MMU_WALK_LEVELS + 1]; /* one level each, deepest first */
    struct ts_tlb *walk_mixed[3];             /* all levels */
    bool has_walk_cache, has_nested;
    struct mmu_places l1_places[MMU_SIDES], l2_places[MMU_SIDES], nested_places;
    struct mmu_unit *unit[MMU_STRUCTURES]; /* own or shared; NULL: there is none */
    struct mmu_unit own[MMU_STRUCTURES];
    struct mmu_port own_l1_port[MMU_SIDES];
    struct mmu_port *l1_port;
    struct mmu_core *core;
    struct mmu_core own_core;
    struct mmu_passes passes;
    struct ts_mmu_params params;
    struct ts_mmu_memory memory; /* fetch NULL: none */
    uint32_t granules;           /* seen in tables, a bit each; that of 4K before any */
    bool watch_tables;
    uint64_t stale_table, stale_span; /* of the last walk; struct ts_mmu_access */
    uint64_t stale2_ipa, stale2_table, stale2_span;
    bool seen_granules;
    uint8_t page_probes[MMU_STRUCTURES][2]; /* sizes to be looked for: of leaves, of tables too */
    bool fractured; /* sticky: a fractured entry came since the last flush that left none */
};

struct mmu_request {
    const struct ts_mmu_context *ctx;
    uint64_t va;
    enum ts_mmu_kind kind;
    uint64_t key; /* of combined entries */
    uint64_t now;
    uint64_t t; /* how far the access has come */
    bool timed; /* others can be in its way */
};

static inline uint32_t mmu_side(enum ts_mmu_kind kind)
{
    return kind == TS_MMU_FETCH ? MMU_INSTRUCTION : MMU_DATA;
}

static inline uint64_t mmu_page(uint64_t address, uint32_t shift)
{
    return address >> shift << shift;
}

static inline struct ts_tlb_space mmu_space(const struct ts_mmu *m,
                                            const struct ts_mmu_context *ctx)
{
    struct ts_tlb_space space = {ctx->vmid, ctx->asid, ctx->ep4ta, (uint8_t)m->thread};
    return space;
}

/* Stage 2 is tagged by the EP4TA alone where there is one. */
static inline struct ts_tlb_space mmu_stage2_space(const struct ts_mmu *m,
                                                   const struct ts_mmu_context *ctx)
{
    struct ts_tlb_space space = {(uint16_t)(ctx->ep4ta != 0 ? 0 : ctx->vmid), 0, ctx->ep4ta,
                                 (uint8_t)m->thread};
    return space;
}

/* mmu_structures.c */
enum ts_status ts_mmu_make_structures_(struct ts_mmu *m, uint64_t seed,
                                       const struct ts_mmu_wiring *wiring, struct ts_error *err);

/* mmu_fill.c */
/* Caches the part of entry around address that the places can hold. */
void ts_mmu_fill_place_(struct ts_mmu *m, const struct mmu_places *places,
                        const struct ts_tlb_entry *entry, uint64_t address);
void ts_mmu_insert_(struct ts_mmu *m, struct mmu_unit *unit, const struct ts_tlb_entry *entry);
/* After a walk. */
void ts_mmu_fill_(struct ts_mmu *m, const struct ts_tlb_entry *entry, const struct mmu_request *q);
/* After a hit in the second level. */
void ts_mmu_fill_from_l2_(struct ts_mmu *m, struct mmu_unit *from, const struct ts_tlb_entry *entry,
                          const struct mmu_request *q);

/* mmu_inval.c */
void ts_mmu_use_granules_(struct ts_mmu *m, uint32_t granules);
void ts_mmu_drop_(struct ts_mmu *m, struct ts_tlb_inval inval); /* what a fault drops; own thread */

/* mmu_time.c */
void ts_mmu_wait_port_(struct ts_mmu *m, struct mmu_port *port, uint64_t ports,
                       struct mmu_request *q);
void ts_mmu_wait_sweep_(struct ts_mmu *m, struct mmu_request *q);
/* Advances q to the start of its walk; returns the walker, to be given its end. */
uint64_t *ts_mmu_wait_walker_(struct ts_mmu *m, struct mmu_request *q);
void ts_mmu_flight_add_(struct ts_mmu *m, const struct ts_tlb_entry *entry, bool for_dirty,
                        const struct mmu_request *q);
const struct mmu_flight *ts_mmu_flight_find_(struct ts_mmu *m, const struct mmu_request *q);
void ts_mmu_flights_drop_(struct ts_mmu *m, const struct ts_tlb_inval *inval);

static inline void mmu_set_checks(struct ts_mmu *m)
{
    m->checks_more = m->needs_time || m->conflict_abort || m->passes.kept;
}

/* mmu_passes.c; where passes are kept. */
void ts_mmu_passes_end_(struct ts_mmu *m);
/* An access that is about to be made. True: it hits. If it is not a read of a pass, they end. */
bool ts_mmu_passes_hit_(struct ts_mmu *m, const struct mmu_request *q, struct ts_mmu_access *out);
/* What the walk of such a read has found. False: it is to be put into the structures. */
bool ts_mmu_passes_fill_(struct ts_mmu *m, const struct ts_tlb_entry *e, uint64_t va);
/* The walk of va has been made, from these counters on. */
void ts_mmu_passes_learn_(struct ts_mmu *m, const struct ts_mmu_stats *before, uint64_t va);
/* Does the entry that stands for all tell which of them an invalidation takes? */
bool ts_mmu_passes_ask_(const struct ts_mmu *m, const struct ts_tlb_inval *inval);
/* Such an invalidation is about to be applied: entries that it takes besides those that are in the
 * structures. */
uint64_t ts_mmu_passes_drop_(struct ts_mmu *m, const struct ts_tlb_inval *inval);
/* For calls that are const to who makes them. */
static inline void mmu_end_passes(const struct ts_mmu *m)
{
    if (m->passes.kept)
        ts_mmu_passes_end_((struct ts_mmu *)(uintptr_t)m);
}

/* walker.c, walk_stage2.c */
struct mmu_walk {
    struct ts_mmu *m;
    const struct ts_mmu_context *ctx;
    uint64_t cycles;
    struct ts_stage2_abort denied; /* by stage 2 */
};
/* Translates by the tables. On TS_MMU_OK *entry is what to cache; otherwise *report is set, of
 * stage 1 the address alone. *cycles: that it took. */
enum ts_mmu_result ts_mmu_walk_(struct ts_mmu *m, const struct mmu_request *q,
                                struct ts_tlb_entry *entry, uint64_t *cycles,
                                struct ts_stage2_abort *report);
void ts_mmu_charge_fetch_(struct mmu_walk *w, uint32_t level, uint64_t pa);
enum mmu_use { MMU_USE_READ, MMU_USE_WRITE, MMU_USE_TABLE };
/* The stage-2 leaf for an IPA, from the nested TLB or by a walk. False: a stage-2 fault. */
bool ts_mmu_translate_ipa_(struct mmu_walk *w, uint64_t ipa, enum mmu_use use,
                           struct ts_tlb_entry *out);
/* log2 of the bytes that one entry for the leaf at va covers: of its contiguous run, if the MMU
 * knows the hint and the targets are as the hint promises. */
uint8_t ts_mmu_leaf_shift_(const struct ts_mmu *m, uint32_t granule, const struct ts_pte *leaf,
                           uint64_t va);

#endif
