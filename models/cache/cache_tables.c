/* SPDX-License-Identifier: Apache-2.0 */
/* The defaults are a core of a Xeon Gold 6142 (Skylake-SP), as the profile x86-2s-64t. */
#include "models/cache/cache.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const char *const home_names[] = {"local", "interleave", NULL};

#define ANANDTECH "AnandTech, EPYC Rome review, p. 7, Xeon 8280"

#define ROW(field) offsetof(struct ts_cache_params, field)
static const struct ts_param rows[] = {
    {"walks", TS_PARAM_BOOL, ROW(walks), 0, 0, 1, NULL,
     "page walks are charged by these caches; else mmu.fetch_cycles and mmu.leaf_fetch_cycles",
     "setting of the experiment", TS_CONF_CHOICE},
    {"l1_bytes", TS_PARAM_BYTES, ROW(l1_bytes), 32 * KIB, 0, 64 * MIB, NULL,
     "size of a core's first level; 0: there is none", "Skylake: 32 KiB", TS_CONF_REMEMBERED},
    {"l1_ways", TS_PARAM_COUNT, ROW(l1_ways), 8, 1, 1024, NULL, "ways of a set of the L1",
     "Skylake: 8 ways", TS_CONF_REMEMBERED},
    {"l1_cycles", TS_PARAM_CYCLES, ROW(l1_cycles), 4, 0, 10000, NULL,
     "core cycles of an L1 hit, load to use", ANANDTECH ": 4 cycles", TS_CONF_VERBATIM},
    {"l2_bytes", TS_PARAM_BYTES, ROW(l2_bytes), 1 * MIB, 0, 64 * MIB, NULL,
     "size of a core's second level; 0: there is none", "Skylake-SP: 1 MiB", TS_CONF_REMEMBERED},
    {"l2_ways", TS_PARAM_COUNT, ROW(l2_ways), 16, 1, 1024, NULL, "ways of a set of the L2",
     "Skylake-SP: 16 ways", TS_CONF_REMEMBERED},
    {"l2_cycles", TS_PARAM_CYCLES, ROW(l2_cycles), 14, 0, 10000, NULL,
     "core cycles of an L2 hit in all", ANANDTECH ": 14 cycles", TS_CONF_VERBATIM},
    {"llc_bytes", TS_PARAM_BYTES, ROW(llc_bytes), 22 * MIB, 0, 4 * GIB, NULL,
     "size of one last-level cache; 0: there is none", "Xeon Gold 6142: 22 MB, not inclusive",
     TS_CONF_REMEMBERED},
    {"llc_ways", TS_PARAM_COUNT, ROW(llc_ways), 11, 1, 1024, NULL,
     "ways of a set of the last level", "Skylake-SP: 1.375 MiB of 11 ways a core",
     TS_CONF_REMEMBERED},
    {"llc_cycles", TS_PARAM_CYCLES, ROW(llc_cycles), 46, 0, 10000, NULL,
     "core cycles of a hit in the last level in all, the same for every slice",
     ANANDTECH ": 46 cycles on average", TS_CONF_VERBATIM},
    {"llc_cores", TS_PARAM_COUNT, ROW(llc_cores), 0, 0, 256, NULL,
     "cores that share a last level; 0: all of a socket", "Skylake-SP: one of all slices",
     TS_CONF_REMEMBERED},
    {"walk_from_l2", TS_PARAM_BOOL, ROW(walk_from_l2), 0, 0, 1, NULL,
     "walkers ask the L2 first and leave the L1 alone", "Intel's walkers load through the L1",
     TS_CONF_REMEMBERED},
    {"memory_ps", TS_PARAM_TIME, ROW(memory_ps), 85 * TS_NS, 0, 100 * TS_US, NULL,
     "a line from memory of the core's own socket, in all; whole core cycles, rounded up",
     "Skylake-SP: 80-90 ns", TS_CONF_REMEMBERED},
    {"memory_remote_ps", TS_PARAM_TIME, ROW(memory_remote_ps), 145 * TS_NS, 0, 100 * TS_US, NULL,
     "a line from memory of another socket, in all; whole core cycles, rounded up",
     "Skylake-SP: 140-150 ns", TS_CONF_REMEMBERED},
    {"home", TS_PARAM_ENUM, ROW(home), TS_CACHE_HOME_LOCAL, TS_CACHE_HOME_LOCAL,
     TS_CACHE_HOME_INTERLEAVE, home_names,
     "socket whose memory an address is in: the asking core's, or by 4K frame round the sockets",
     "setting of the experiment", TS_CONF_CHOICE},
};
#undef ROW

const struct ts_param_table ts_cache_param_table = {"cache", rows, TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_cache_stats, field)
static const struct ts_stat stat_rows[] = {
    {"fetches", TS_STAT_COUNTER, STAT(fetches), "1", "table entries fetched by walkers"},
    {"l1_hits", TS_STAT_COUNTER, STAT(l1_hits), "1", "of these, found in the core's L1"},
    {"l2_hits", TS_STAT_COUNTER, STAT(l2_hits), "1", "in the core's L2"},
    {"llc_hits", TS_STAT_COUNTER, STAT(llc_hits), "1", "in the last level"},
    {"memory_local", TS_STAT_COUNTER, STAT(memory_local), "1", "in memory of the core's socket"},
    {"memory_remote", TS_STAT_COUNTER, STAT(memory_remote), "1", "in memory of another socket"},
    {"fetch_cycles", TS_STAT_COUNTER, STAT(fetch_cycles), "cycles", "walkers waited for them"},
    {"data_accesses", TS_STAT_COUNTER, STAT(data_accesses), "1", "accesses to data"},
    {"data_l1_hits", TS_STAT_COUNTER, STAT(data_l1_hits), "1", "of these, found in the L1"},
    {"data_l2_hits", TS_STAT_COUNTER, STAT(data_l2_hits), "1", "in the L2"},
    {"data_llc_hits", TS_STAT_COUNTER, STAT(data_llc_hits), "1", "in the last level"},
    {"data_memory", TS_STAT_COUNTER, STAT(data_memory), "1", "in memory, local or remote"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every fetch is found at one place",
     {"+fetches", "-l1_hits", "-l2_hits", "-llc_hits", "-memory_local", "-memory_remote", NULL}},
    {"every data access is found at one place",
     {"+data_accesses", "-data_l1_hits", "-data_l2_hits", "-data_llc_hits", "-data_memory", NULL}},
};
const struct ts_stat_table ts_cache_stat_table = {"cache", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                  stat_rules, TS_ARRAY_LEN(stat_rules)};
