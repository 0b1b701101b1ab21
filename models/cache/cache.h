/* SPDX-License-Identifier: Apache-2.0 */
/* A small cache hierarchy for page walks: private L1 and L2 a core, a last level shared by a group
 * of cores, memory at the socket of an address. It answers one question: how many core cycles does
 * a fetch of this physical address take now? Tags only, LRU, 64-byte lines, filled at every level
 * on the way (not inclusive: an eviction from the last level leaves the private copies). Data
 * accesses may be sent through it too, so that page-table lines compete with them.
 *
 * Not modelled: coherence between the cores' copies (a page-table line that another core wrote
 * still hits), prefetchers, bandwidth. Time: an access is decided at one instant; nothing queues.
 */
#ifndef TS_MODELS_CACHE_H
#define TS_MODELS_CACHE_H

#include "models/topology/topology.h"
#include "sim/error.h"
#include "sim/param.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_cache_home {
    TS_CACHE_HOME_LOCAL = 0,     /* every address at the socket that asks: first touch */
    TS_CACHE_HOME_INTERLEAVE = 1 /* by 4K frame, round the sockets */
};

struct ts_cache_params {
    uint64_t walks;             /* bool: page walks are charged here; else mmu.fetch_cycles */
    uint64_t l1_bytes, l1_ways; /* 0 bytes: there is none */
    uint64_t l1_cycles;         /* of a hit, load to use */
    uint64_t l2_bytes, l2_ways;
    uint64_t l2_cycles;           /* in all, not added to the L1's */
    uint64_t llc_bytes, llc_ways; /* of one */
    uint64_t llc_cycles;
    uint64_t llc_cores;    /* cores that share one; 0: all of a socket. Never beyond the socket: its
                              last group may be smaller */
    uint64_t walk_from_l2; /* bool: walkers ask the L2 first, not the L1 */
    uint64_t memory_ps;    /* in all, local */
    uint64_t memory_remote_ps;
    uint64_t home; /* enum ts_cache_home */
};
extern const struct ts_param_table ts_cache_param_table; /* prefix "cache" */

struct ts_cache_stats { /* walk fetches by where they were found */
    uint64_t fetches;
    uint64_t l1_hits, l2_hits, llc_hits;
    uint64_t memory_local, memory_remote; /* fetches == the sum of these five */
    uint64_t fetch_cycles;
    uint64_t data_accesses;
    uint64_t data_l1_hits, data_l2_hits, data_llc_hits;
    uint64_t data_memory; /* data_accesses == the sum of these four */
};
extern const struct ts_stat_table ts_cache_stat_table; /* with the rules above */

struct ts_cache;
/* For ncores cores of the topology from the first on (0: all): a study of one core needs one.
 * A cache is a whole number of sets, not only powers of two: last levels have 40960 (27.5 MiB of 11
 * ways). The set is the line's number modulo that. A user error says which parameter is wrong. */
/* What ts_cache_create refuses as a user's error. */
enum ts_status ts_cache_check(const struct ts_cache_params *params, struct ts_error *err);
enum ts_status ts_cache_create(struct ts_cache **out, const struct ts_topology *topology,
                               uint32_t ncores, const struct ts_cache_params *params,
                               struct ts_error *err);
void ts_cache_destroy(struct ts_cache *c);
/* Cycles that core's walker waits for the line of pa. core: 0.., in the topology's order. */
uint64_t ts_cache_fetch(struct ts_cache *c, uint32_t core, uint64_t pa);
/* A data access: changes what is cached; returns the cycles it takes. */
uint64_t ts_cache_data(struct ts_cache *c, uint32_t core, uint64_t pa);
/* Sums over all cores. */
const struct ts_cache_stats *ts_cache_stats(const struct ts_cache *c);
/* Counters to 0, contents kept: the end of a warm-up. */
void ts_cache_stats_clear(struct ts_cache *c);

#ifdef __cplusplus
}
#endif
#endif
