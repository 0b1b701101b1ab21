/* SPDX-License-Identifier: Apache-2.0 */
/* A cache hierarchy with its topology, for tests. */
#ifndef TS_TESTS_CACHE_RIG_HPP
#define TS_TESTS_CACHE_RIG_HPP

#include "models/cache/cache.h"

#include <gtest/gtest.h>

namespace ts_test
{

constexpr uint64_t cache_line = 64;
constexpr uint64_t cache_frame = 4096;

inline ts_cache_params cache_defaults()
{
    ts_cache_params p{};

    ts_param_defaults(&ts_cache_param_table, &p);
    return p;
}

struct Machine {
    uint64_t sockets = 2, cores = 4;
    uint64_t hz = 2600000000;
};

class CacheRig
{
  public:
    explicit CacheRig(const ts_cache_params &params, const Machine &machine = {},
                      uint32_t ncores = 0)
    {
        ts_topology_params t{};
        ts_error err{};

        ts_param_defaults(&ts_topology_param_table, &t);
        t.sockets = machine.sockets;
        t.cores_per_socket = machine.cores;
        t.core_hz = machine.hz;
        EXPECT_EQ(ts_topology_init(&topology, &t, &err), TS_OK) << err.message;
        status = ts_cache_create(&cache, &topology, ncores, &params, &error);
    }
    ~CacheRig()
    {
        ts_cache_destroy(cache);
        ts_topology_fini(&topology);
    }
    CacheRig(const CacheRig &) = delete;
    CacheRig &operator=(const CacheRig &) = delete;

    uint64_t fetch(uint32_t core, uint64_t pa)
    {
        return ts_cache_fetch(cache, core, pa);
    }
    uint64_t data(uint32_t core, uint64_t pa)
    {
        return ts_cache_data(cache, core, pa);
    }
    const struct ts_cache_stats &stats() const
    {
        return *ts_cache_stats(cache);
    }
    ::testing::AssertionResult sums_hold() const
    {
        ts_error err{};

        if (ts_stat_check(&ts_cache_stat_table, &stats(), &err) == TS_OK)
            return ::testing::AssertionSuccess();
        return ::testing::AssertionFailure() << err.message;
    }

    ts_topology topology{};
    ts_cache *cache = nullptr;
    ts_status status = TS_OK;
    ts_error error{};
};

} // namespace ts_test

#endif
