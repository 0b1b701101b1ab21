/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of the study tlb_profile: where regions lie, which frames are behind them, and the
 * tables of both stages, all made before an access needs them.
 *
 * A region has a span of frames of its own, in each address space that uses it, so a page cleared
 * and touched again comes back to its frame. Frames contiguous: pages take the span in order.
 * Scattered: a bijection spreads the pages over the span, the span's backing over host memory, and
 * tables over windows of frames, as in a machine that has run for a while (assumed). Pages are
 * accessed and dirty from the start: no walk updates them, as after Linux's fault handler has made
 * them young and dirty (mm/memory.c, do_anonymous_page). Every page may be written. */
#ifndef TS_MODELS_STUDY_TLB_PROFILE_MEMORY_H
#define TS_MODELS_STUDY_TLB_PROFILE_MEMORY_H

#include "models/mmu/pgtable.h"
#include "models/study/tlb_profile.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_PROFILE_SPACES 8u

/* What one stage maps at a time: a page, or a contiguous run. */
struct ts_profile_unit {
    uint8_t level;
    uint8_t leaf_shift;
    uint8_t shift; /* log2 of the unit's bytes */
    bool contiguous;
};

struct ts_profile_region {
    bool known;
    bool at;    /* its address is the workload's */
    bool alone; /* no other region has a part of its units */
    /* Bits, one a space. */
    uint8_t used;  /* has frames */
    uint8_t whole; /* every page is mapped, by runs */
    uint8_t gone;  /* unmapped */
    uint64_t base, length;
    uint64_t start, end; /* in whole units */
    uint64_t frames[TS_PROFILE_SPACES];
};

struct ts_profile_memory;
/* Frames of tables of one stage, in ascending windows. */
struct ts_profile_tables {
    struct ts_profile_memory *memory;
    uint64_t base;
    uint64_t next;   /* number of the next frame */
    uint64_t backed; /* stage 2 maps them up to here; frames contiguous */
    bool nested;     /* they lie in guest memory */
};

struct ts_profile_memory {
    uint64_t seed;
    enum ts_granule granule;
    bool scattered;
    uint32_t spaces;
    struct ts_profile_unit page, backing;
    struct ts_pgtable *stage1[TS_PROFILE_SPACES];
    struct ts_pgtable *stage2; /* NULL: native */
    struct ts_profile_tables tables, host_tables;
    uint64_t next_address, address_end;
    uint64_t next_frame;
    struct ts_profile_region *regions;
    size_t nregions, regions_cap;
};

struct ts_profile_cleared {
    uint64_t start, end;
    uint64_t leaves; /* 0: nothing was mapped there */
    uint32_t tables; /* freed */
};

/* What unit a page size stands for. */
struct ts_profile_unit ts_profile_unit_of(enum ts_granule granule, enum ts_profile_page page);
/* A bijection of [0, count) chosen by key; index < count. */
uint64_t ts_profile_permute(uint64_t key, uint64_t index, uint64_t count);

/* Zeroed before; ts_profile_memory_fini also after a failure. */
enum ts_status ts_profile_memory_init(struct ts_profile_memory *m,
                                      const struct ts_machine_config *config,
                                      const struct ts_profile_params *params, uint64_t seed,
                                      struct ts_error *err);
void ts_profile_memory_fini(struct ts_profile_memory *m);
enum ts_status ts_profile_memory_add(struct ts_profile_memory *m, uint32_t region, uint64_t length,
                                     bool at, uint64_t address, struct ts_error *err);
/* NULL: nobody has made it yet. Good until the next add. */
struct ts_profile_region *ts_profile_memory_find(struct ts_profile_memory *m, uint32_t region);
/* The page of the address, which lies in the region, is mapped afterwards. */
enum ts_status ts_profile_memory_map(struct ts_profile_memory *m, uint32_t space,
                                     struct ts_profile_region *r, uint64_t address,
                                     struct ts_error *err);
/* Clears the units that lie in [offset, offset + length) of the region as a whole; a part of one
 * stays mapped. With unmap, empty tables go too, and a region that went as a whole is gone. */
struct ts_profile_cleared ts_profile_memory_clear(struct ts_profile_memory *m, uint32_t space,
                                                  struct ts_profile_region *r, uint64_t offset,
                                                  uint64_t length, bool unmap);

static inline enum ts_status ts_profile_memory_need(struct ts_profile_memory *m, uint32_t space,
                                                    struct ts_profile_region *r, uint64_t address,
                                                    struct ts_error *err)
{
    return r->whole >> space & 1 ? TS_OK : ts_profile_memory_map(m, space, r, address, err);
}

#ifdef __cplusplus
}
#endif
#endif
