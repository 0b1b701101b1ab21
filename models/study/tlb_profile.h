/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and counters of the study tlb_profile: one core of the configured machine translates
 * the accesses of a workload. */
#ifndef TS_MODELS_STUDY_TLB_PROFILE_H
#define TS_MODELS_STUDY_TLB_PROFILE_H

#include "models/study/study.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_profile_regime { TS_PROFILE_NATIVE = 0, TS_PROFILE_NESTED = 1 };
/* Of the granule: 4K, 16 of them as a contiguous run, 2M, 1G; 16K, 128 of them, 32M; 64K, 32 of
 * them, 512M. */
enum ts_profile_page {
    TS_PROFILE_BASE = 0,
    TS_PROFILE_CONTIGUOUS = 1,
    TS_PROFILE_LARGE = 2,
    TS_PROFILE_GIANT = 3
};
enum ts_profile_frames { TS_PROFILE_FRAMES_CONTIGUOUS = 0, TS_PROFILE_FRAMES_SCATTERED = 1 };

struct ts_profile_params {
    uint64_t regime;  /* enum ts_profile_regime */
    uint64_t page;    /* enum ts_profile_page: stage 1 */
    uint64_t backing; /* the same of stage 2, where there is one */
    uint64_t granule; /* enum ts_granule, of both stages */
    uint64_t streams;
    uint64_t same_space; /* bool */
    uint64_t outstanding;
    uint64_t issue_cycles;
    uint64_t data_caches; /* bool */
    uint64_t frames;      /* enum ts_profile_frames */
};

/* All since the end of the warm-up, but for the bytes. */
struct ts_profile_stats {
    uint64_t accesses, data_accesses, fetch_accesses;
    uint64_t l1_hits, l1_misses, l2_hits, walks, merged;
    uint64_t fetch_walks;
    uint64_t walks_x1000;
    uint64_t walk_fetches, walk_cycles, walk_cache_hits;
    uint64_t nested_lookups, nested_hits, stage2_walk_cache_hits;
    uint64_t walker_wait_cycles;
    uint64_t translation_cycles, data_cycles;
    uint64_t stream_cycles; /* summed over the streams; what they are made of follows */
    uint64_t issue_cycles, stall_cycles, compute_cycles, invalidation_cycles, wait_cycles;
    uint64_t elapsed_cycles;
    uint64_t cache_fetches, cache_l1, cache_l2, cache_llc, cache_memory;
    uint64_t pages_cleared;
    uint64_t table_bytes, stage1_table_bytes, stage2_table_bytes;
    uint64_t simulator_bytes;
};

extern const struct ts_study_ops ts_study_tlb_profile;

#ifdef __cplusplus
}
#endif
#endif
