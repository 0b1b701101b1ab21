/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cache/cache.h"
#include "sim/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SHIFT 6u
#define LINE_BYTES (UINT64_C(1) << LINE_SHIFT)
#define FRAME_SHIFT 12u

/* All caches of one level. A set's ways are in the order of use, the most recent first, so the
 * order itself is the LRU state. */
struct level {
    uint64_t *tags; /* by unit, set and place: line number + 1, or 0 for an empty place */
    uint64_t sets;
    bool power_of_two;
    uint32_t ways; /* 0: there is no such level */
};

enum found { FOUND_L1, FOUND_L2, FOUND_LLC, FOUND_LOCAL, FOUND_REMOTE, FOUND_COUNT };

struct core {
    uint32_t socket;
    uint32_t llc;
};

struct ts_cache {
    struct level l1, l2, llc;
    uint64_t cycles[FOUND_COUNT];
    struct core *cores;
    uint32_t ncores;
    uint32_t sockets;
    bool walk_from_l2;
    bool interleave;
    struct ts_cache_stats stats;
};

static enum ts_status check_level(const char *name, uint64_t bytes, uint64_t ways,
                                  struct ts_error *err)
{
    uint64_t set_bytes = ways * LINE_BYTES;

    if (bytes % set_bytes != 0)
        return ts_error_set(err, TS_ERR_USER,
                            "cache.%s_bytes is %" PRIu64 ": must be a multiple of %" PRIu64
                            ", a set of cache.%s_ways = %" PRIu64 " lines of %" PRIu64 " bytes",
                            name, bytes, set_bytes, name, ways, LINE_BYTES);
    return TS_OK;
}

enum ts_status ts_cache_check(const struct ts_cache_params *params, struct ts_error *err)
{
    enum ts_status status = ts_param_check(&ts_cache_param_table, params, err);

    if (status == TS_OK)
        status = check_level("l1", params->l1_bytes, params->l1_ways, err);
    if (status == TS_OK)
        status = check_level("l2", params->l2_bytes, params->l2_ways, err);
    if (status == TS_OK)
        status = check_level("llc", params->llc_bytes, params->llc_ways, err);
    return status;
}

static enum ts_status level_init(struct level *l, const char *name, uint64_t bytes, uint64_t ways,
                                 uint32_t units, struct ts_error *err)
{
    uint64_t set_bytes = ways * LINE_BYTES;

    if (bytes == 0)
        return TS_OK;
    l->ways = (uint32_t)ways;
    l->sets = bytes / set_bytes;
    l->power_of_two = (l->sets & (l->sets - 1)) == 0;
    /* Zeroed by the system page by page at first use: a core that never runs costs nothing. */
    l->tags = calloc(units, (size_t)(l->sets * ways) * sizeof(*l->tags));
    if (!l->tags)
        return ts_error_set(err, TS_ERR_ENVIRONMENT,
                            "cache.%s_bytes: out of memory for %" PRIu32 " caches of %" PRIu64
                            " bytes",
                            name, units, bytes);
    return TS_OK;
}

/* Gives every core its socket and last level; returns the number of last levels. */
static uint32_t place_cores(struct ts_cache *c, const struct ts_topology *topology,
                            const struct ts_cache_params *params)
{
    uint32_t per_socket = (uint32_t)topology->params.cores_per_socket;
    uint32_t group = (uint32_t)params->llc_cores;
    uint32_t groups;

    if (group == 0)
        group = per_socket;
    groups = (per_socket + group - 1) / group;
    for (uint32_t core = 0; core < c->ncores; core++) {
        c->cores[core].socket = core / per_socket;
        c->cores[core].llc = core / per_socket * groups + core % per_socket / group;
    }
    return c->cores[c->ncores - 1].llc + 1;
}

static void set_cycles(struct ts_cache *c, uint64_t core_hz, const struct ts_cache_params *params)
{
    struct ts_clock clock;

    ts_clock_init(&clock, core_hz);
    c->cycles[FOUND_L1] = params->l1_cycles;
    c->cycles[FOUND_L2] = params->l2_cycles;
    c->cycles[FOUND_LLC] = params->llc_cycles;
    c->cycles[FOUND_LOCAL] = ts_clock_cycle_at(&clock, params->memory_ps);
    c->cycles[FOUND_REMOTE] = ts_clock_cycle_at(&clock, params->memory_remote_ps);
}

enum ts_status ts_cache_create(struct ts_cache **out, const struct ts_topology *topology,
                               uint32_t ncores, const struct ts_cache_params *params,
                               struct ts_error *err)
{
    enum ts_status status = ts_cache_check(params, err);
    struct ts_cache *c;
    uint32_t llcs;

    TS_ASSERT(ncores <= topology->nnodes);
    if (status != TS_OK)
        return status;
    c = calloc(1, sizeof(*c));
    if (!c)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "cache: out of memory");
    c->ncores = ncores ? ncores : topology->nnodes;
    c->sockets = (uint32_t)topology->params.sockets;
    c->walk_from_l2 = params->walk_from_l2 != 0;
    c->interleave = params->home == TS_CACHE_HOME_INTERLEAVE;
    set_cycles(c, topology->params.core_hz, params);
    c->cores = calloc(c->ncores, sizeof(*c->cores));
    if (!c->cores) {
        ts_cache_destroy(c);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "cache: out of memory");
    }
    llcs = place_cores(c, topology, params);
    status = level_init(&c->l1, "l1", params->l1_bytes, params->l1_ways, c->ncores, err);
    if (status == TS_OK)
        status = level_init(&c->l2, "l2", params->l2_bytes, params->l2_ways, c->ncores, err);
    if (status == TS_OK)
        status = level_init(&c->llc, "llc", params->llc_bytes, params->llc_ways, llcs, err);
    if (status != TS_OK) {
        ts_cache_destroy(c);
        return status;
    }
    *out = c;
    return TS_OK;
}

void ts_cache_destroy(struct ts_cache *c)
{
    if (!c)
        return;
    free(c->llc.tags);
    free(c->l2.tags);
    free(c->l1.tags);
    free(c->cores);
    free(c);
}

/* Makes line the most recent of its set in the unit's cache: the others move back to the place
 * that it had, or the least recent drops out. Returns whether it was there. */
static inline bool touch(const struct level *l, uint32_t unit, uint64_t line)
{
    uint64_t tag = line + 1;
    uint64_t moved = tag;
    uint64_t set;
    uint64_t *tags;

    if (l->ways == 0)
        return false;
    set = l->power_of_two ? line & (l->sets - 1) : line % l->sets;
    tags = l->tags + (unit * l->sets + set) * l->ways;
    for (uint32_t i = 0; i < l->ways; i++) {
        uint64_t held = tags[i];

        tags[i] = moved;
        if (held == tag)
            return true;
        moved = held;
    }
    return false;
}

static enum found find(const struct ts_cache *c, uint32_t core, uint64_t pa, bool from_l2)
{
    uint64_t line = pa >> LINE_SHIFT;
    const struct core *at;

    TS_ASSERT(core < c->ncores);
    if (!from_l2 && touch(&c->l1, core, line))
        return FOUND_L1;
    if (touch(&c->l2, core, line))
        return FOUND_L2;
    at = &c->cores[core];
    if (touch(&c->llc, at->llc, line))
        return FOUND_LLC;
    if (c->interleave && (pa >> FRAME_SHIFT) % c->sockets != at->socket)
        return FOUND_REMOTE;
    return FOUND_LOCAL;
}

uint64_t ts_cache_fetch(struct ts_cache *c, uint32_t core, uint64_t pa)
{
    enum found found = find(c, core, pa, c->walk_from_l2);
    struct ts_cache_stats *s = &c->stats;

    s->fetches++;
    s->l1_hits += found == FOUND_L1;
    s->l2_hits += found == FOUND_L2;
    s->llc_hits += found == FOUND_LLC;
    s->memory_local += found == FOUND_LOCAL;
    s->memory_remote += found == FOUND_REMOTE;
    s->fetch_cycles += c->cycles[found];
    return c->cycles[found];
}

uint64_t ts_cache_data(struct ts_cache *c, uint32_t core, uint64_t pa)
{
    enum found found = find(c, core, pa, false);
    struct ts_cache_stats *s = &c->stats;

    s->data_accesses++;
    s->data_l1_hits += found == FOUND_L1;
    s->data_l2_hits += found == FOUND_L2;
    s->data_llc_hits += found == FOUND_LLC;
    s->data_memory += found == FOUND_LOCAL || found == FOUND_REMOTE;
    return c->cycles[found];
}

const struct ts_cache_stats *ts_cache_stats(const struct ts_cache *c)
{
    return &c->stats;
}

void ts_cache_stats_clear(struct ts_cache *c)
{
    memset(&c->stats, 0, sizeof(c->stats));
}
