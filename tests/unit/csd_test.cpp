/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between CPUs keep two csds to a line, and memory that is linear in the CPUs. */
#include <gtest/gtest.h>

#include "models/guest/coherence/csd.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

struct Pool : CpuRig {
    ts_guest guest{};
    ts_csd_pool *pool = nullptr;

    explicit Pool(uint32_t cpus) : CpuRig(4)
    {
        ts_error err{};
        guest.ncpus = cpus;
        guest.engine = engine;
        guest.lines = lines;
        guest.topology = &topology;
        if (ts_csd_pool_create(&pool, &guest, &err) != TS_OK)
            throw std::runtime_error(err.message);
    }
    ~Pool()
    {
        ts_csd_pool_destroy(pool);
    }
    ts_csd *once(uint32_t initiator, uint32_t target)
    {
        ts_csd *csd = ts_csd_get(pool, initiator, target);
        ts_csd_put(pool, csd);
        return csd;
    }
    void wait(ts_time ps)
    {
        spawn(0, [=](ts_task *self) { ts_task_work_ps(self, ps); });
        run(1000 * TS_S);
    }
};

} // namespace

TEST(Csd, TwoInitiatorsShareTheTargetsLine)
{
    Pool p(8);
    ts_csd *a = p.once(0, 5), *b = p.once(1, 5), *c = p.once(2, 5), *d = p.once(0, 6);
    EXPECT_NE(a, b);
    EXPECT_EQ(a->line, b->line);
    EXPECT_NE(a->line, c->line);
    EXPECT_NE(a->line, d->line);
    EXPECT_EQ(p.once(0, 5), a) << "a pair's line and what caches hold of it stay";
    EXPECT_EQ(ts_csd_pool_lines(p.pool), 3u);
}

TEST(Csd, SmallMachinesKeepEveryLine)
{
    Pool p(128);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 128; i++) {
            for (uint32_t t = 0; t < 128; t++)
                p.once(i, t);
        }
        p.wait(2 * TS_MS);
    }
    EXPECT_EQ(ts_csd_pool_lines(p.pool), 128u * 64u);
    EXPECT_LE(ts_csd_pool_lines(p.pool), 128u * TS_CSD_LINES_PER_CPU);
}

TEST(Csd, LargeOnesReuseLinesThatHaveNotBeenUsedForAWhile)
{
    const uint32_t n = 1024;
    Pool p(n);
    const uint64_t bound = static_cast<uint64_t>(n) * TS_CSD_LINES_PER_CPU;
    for (uint32_t i = 0; i < n / 2; i++) {
        for (uint32_t t = 0; t < n; t++)
            p.once(i, t);
        p.wait(2 * TS_MS);
        ASSERT_LE(ts_csd_pool_lines(p.pool), bound);
    }
    EXPECT_EQ(ts_csd_pool_lines(p.pool), bound);
}

TEST(Csd, WhatIsInUseStaysAndThePoolGrows)
{
    const uint32_t n = 2 * TS_CSD_LINES_PER_CPU * 2 + 4;
    Pool p(n);
    std::vector<ts_csd *> held;
    const uint64_t bound = static_cast<uint64_t>(n) * TS_CSD_LINES_PER_CPU;
    for (uint32_t i = 0; i < n; i += 2) {
        for (uint32_t t = 0; t < n; t++) {
            held.push_back(ts_csd_get(p.pool, i, t));
            held.back()->arg = &held;
        }
    }
    p.wait(2 * TS_MS);
    EXPECT_GT(ts_csd_pool_lines(p.pool), bound);
    for (ts_csd *csd : held) {
        ASSERT_EQ(csd->arg, &held);
        ts_csd_put(p.pool, csd);
    }
}
