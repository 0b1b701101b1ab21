/* SPDX-License-Identifier: Apache-2.0 */
/* The core of the study tlb_profile: SMT threads that each take operations of one thread of the
 * workload, with a clock each, in cycles of the core.
 *
 * The stream whose next operation is due first goes on, the lower number first among equals, so the
 * time given to the MMU never falls. With n accesses outstanding, access i starts issue_cycles
 * after access i - 1 did, but not before access i - n is done; other operations take a place in the
 * window as an access would. The time of a stream is exactly the sum of what it issues, waits for
 * the window (stall), computes, invalidates, and waits for other streams. */
#ifndef TS_MODELS_STUDY_TLB_PROFILE_STREAMS_H
#define TS_MODELS_STUDY_TLB_PROFILE_STREAMS_H

#include "models/cache/cache.h"
#include "models/mmu/mmu.h"
#include "models/study/tlb_profile_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_profile_state {
    TS_PROFILE_UNSTARTED,
    TS_PROFILE_RUNNING,
    TS_PROFILE_AT_BARRIER,
    TS_PROFILE_WAITS_FOR_REGION,
    TS_PROFILE_ENDED
};

struct ts_profile_stream {
    enum ts_profile_state state;
    uint32_t space;
    struct ts_mmu *mmu;
    struct ts_mmu_context context;
    struct ts_op op;
    uint64_t left;             /* accesses of op that are still to be made */
    uint64_t address;          /* of the next */
    uint64_t clock;            /* the next operation is not before */
    uint64_t *done;            /* when the accesses in the window end, a ring */
    uint64_t place;            /* in it: the oldest, which the next access replaces */
    uint64_t last;             /* when all so far have ended */
    uint64_t begin;            /* measured from */
    uint64_t ns_rest;          /* of a cycle, in 1/10^9 */
    uint64_t flush, flush_end; /* pages that are still to be invalidated one by one */
    bool flush_leaf_only;
};

struct ts_profile_core {
    const struct ts_machine_config *config;
    const struct ts_profile_params *params;
    struct ts_workload *workload;
    struct ts_profile_stats *stats;
    struct ts_profile_memory memory;
    struct ts_cache *cache;            /* NULL: walks cost what mmu.fetch_cycles says */
    struct ts_cache_stats cache_start; /* at the end of the warm-up */
    bool warm;
    uint64_t begin; /* measured from */
    uint32_t nstreams;
    struct ts_profile_stream streams[TS_PROFILE_SPACES];
    uint64_t *rings;
};

/* Zeroed before; ts_profile_core_fini also after a failure. */
enum ts_status ts_profile_core_init(struct ts_profile_core *c, const struct ts_study_input *in,
                                    struct ts_profile_stats *stats, struct ts_error *err);
void ts_profile_core_fini(struct ts_profile_core *c);
/* To the end of all threads. Fills the counters of time and of accesses. */
enum ts_status ts_profile_core_run(struct ts_profile_core *c, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
