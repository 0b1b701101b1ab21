/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cpumask.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

namespace
{

const uint32_t sizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, TS_CPU_MAX};

/* Words that are not in use hold junk: no function may look at them. */
ts_cpumask junk_mask(uint32_t nbits)
{
    ts_cpumask m;

    memset(&m, 0xa5, sizeof(m));
    ts_cpumask_init(&m, nbits);
    return m;
}

std::set<uint32_t> members(const ts_cpumask &m)
{
    std::set<uint32_t> s;

    TS_CPUMASK_FOR_EACH(cpu, &m)
    s.insert(cpu);
    return s;
}

ts_cpumask random_mask(uint32_t nbits, ts_rng *rng, std::set<uint32_t> *set)
{
    ts_cpumask m = junk_mask(nbits);

    for (uint32_t i = 0; i < nbits; i++) {
        if (ts_rng_chance(rng, 1, 3)) {
            ts_cpumask_set(&m, i);
            set->insert(i);
        }
    }
    return m;
}

TEST(Cpumask, InitIsEmptyAndSetAllIsFull)
{
    for (uint32_t n : sizes) {
        ts_cpumask m = junk_mask(n);

        EXPECT_EQ(m.nbits, n);
        EXPECT_TRUE(ts_cpumask_empty(&m));
        EXPECT_EQ(ts_cpumask_count(&m), 0u);
        EXPECT_EQ(ts_cpumask_next(&m, 0), n);
        ts_cpumask_set_all(&m);
        EXPECT_EQ(ts_cpumask_count(&m), n);
        EXPECT_EQ(members(m).size(), n);
        EXPECT_EQ(ts_cpumask_empty(&m), n == 0);
        ts_cpumask_clear_all(&m);
        EXPECT_TRUE(ts_cpumask_empty(&m));
    }
}

TEST(Cpumask, EachBitAlone)
{
    for (uint32_t n : sizes) {
        for (uint32_t i = 0; i<n; i += n> 200 ? 31 : 1) {
            ts_cpumask m = junk_mask(n);

            ts_cpumask_set(&m, i);
            EXPECT_TRUE(ts_cpumask_test(&m, i));
            EXPECT_EQ(ts_cpumask_count(&m), 1u);
            EXPECT_EQ(ts_cpumask_next(&m, 0), i);
            EXPECT_EQ(ts_cpumask_next(&m, i), i);
            EXPECT_EQ(ts_cpumask_next(&m, i + 1), n);
            ts_cpumask_clear(&m, i);
            EXPECT_TRUE(ts_cpumask_empty(&m));
        }
    }
}

TEST(Cpumask, AlgebraAgreesWithSets)
{
    ts_rng rng;

    ts_rng_init(&rng, 1, "cpumask_test", 0);
    for (uint32_t n : sizes) {
        std::set<uint32_t> a, b, both, either, only;
        ts_cpumask ma = random_mask(n, &rng, &a), mb = random_mask(n, &rng, &b);
        ts_cpumask m = junk_mask(1);

        for (uint32_t i = 0; i < n; i++) {
            if (a.count(i) && b.count(i))
                both.insert(i);
            if (a.count(i) || b.count(i))
                either.insert(i);
            if (a.count(i) && !b.count(i))
                only.insert(i);
        }
        ts_cpumask_copy(&m, &ma);
        EXPECT_EQ(m.nbits, n);
        EXPECT_EQ(members(m), a);
        EXPECT_TRUE(ts_cpumask_equal(&m, &ma));
        EXPECT_EQ(ts_cpumask_equal(&ma, &mb), a == b);
        ts_cpumask_and(&m, &mb);
        EXPECT_EQ(members(m), both);
        ts_cpumask_copy(&m, &ma);
        ts_cpumask_or(&m, &mb);
        EXPECT_EQ(members(m), either);
        EXPECT_EQ(ts_cpumask_count(&m), either.size());
        ts_cpumask_copy(&m, &ma);
        ts_cpumask_andnot(&m, &mb);
        EXPECT_EQ(members(m), only);
    }
}

TEST(Cpumask, NextAgreesWithSetsFromEveryPlace)
{
    ts_rng rng;

    ts_rng_init(&rng, 2, "cpumask_test", 0);
    for (uint32_t n : {1u, 64u, 130u, 500u}) {
        std::set<uint32_t> s;
        ts_cpumask m = random_mask(n, &rng, &s);

        for (uint32_t from = 0; from <= n + 1; from++) {
            auto it = s.lower_bound(from);

            EXPECT_EQ(ts_cpumask_next(&m, from), it == s.end() ? n : *it);
        }
    }
}

TEST(CpumaskDeath, MembersOutsideTheCapacityAreBugs)
{
    ts_cpumask m = junk_mask(10), other = junk_mask(11);

    EXPECT_DEATH(ts_cpumask_set(&m, 10), "broken invariant");
    EXPECT_DEATH(ts_cpumask_test(&m, 10), "broken invariant");
    EXPECT_DEATH(ts_cpumask_clear(&m, 10), "broken invariant");
    EXPECT_DEATH(ts_cpumask_or(&m, &other), "broken invariant");
    EXPECT_DEATH(ts_cpumask_init(&m, TS_CPU_MAX + 1), "broken invariant");
}

} // namespace
