/* SPDX-License-Identifier: Apache-2.0 */
/* Targets to register writes, mode by mode. */
#include "models/interrupt/icr.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace
{

constexpr uint32_t nobody = UINT32_MAX;
using Ids = std::vector<uint32_t>;

struct Write {
    ts_icr_kind kind;
    Ids cpus;
    bool operator==(const Write &o) const
    {
        return kind == o.kind && cpus == o.cpus;
    }
};

std::vector<Write> writes(ts_intr_mode mode, const Ids &targets, bool all_but_self = false,
                          const Ids *apic_ids = nullptr, uint32_t self = nobody,
                          uint64_t shorthand = 1)
{
    ts_interrupt_params p{};
    ts_icr_iter it{};
    ts_icr_write w;
    std::vector<Write> out;

    ts_param_defaults(&ts_interrupt_param_table, &p);
    p.shorthand = shorthand;
    it.params = &p;
    it.mode = mode;
    it.apic_ids = apic_ids ? apic_ids->data() : nullptr;
    it.targets = targets.data();
    it.n = static_cast<uint32_t>(targets.size());
    it.self = self;
    it.all_but_self = all_but_self;
    while (ts_icr_next(&it, &w)) {
        Write one{w.kind, {}};
        for (uint32_t i = w.first; i < w.end; i++)
            if (ts_icr_reaches(&it, &w, i))
                one.cpus.push_back(targets[i]);
        EXPECT_EQ(one.cpus.size(), w.count);
        out.push_back(one);
    }
    return out;
}

const std::vector<ts_intr_mode> modes = {TS_INTR_X2APIC_PHYS, TS_INTR_X2APIC_CLUSTER,
                                         TS_INTR_GIC_SGI, TS_INTR_XAPIC_FLAT, TS_INTR_XAPIC_PHYS};

} // namespace

TEST(ApicIcr, OneWriteEach)
{
    for (ts_intr_mode mode : {TS_INTR_X2APIC_PHYS, TS_INTR_XAPIC_PHYS})
        EXPECT_EQ(writes(mode, {1, 2, 40}),
                  (std::vector<Write>{
                      {TS_ICR_PHYSICAL, {1}}, {TS_ICR_PHYSICAL, {2}}, {TS_ICR_PHYSICAL, {40}}}));
}

TEST(ApicIcr, FlatReachesAllAtOnce)
{
    EXPECT_EQ(writes(TS_INTR_XAPIC_FLAT, {0, 3, 7}),
              (std::vector<Write>{{TS_ICR_LOGICAL, {0, 3, 7}}}));
    EXPECT_EQ(writes(TS_INTR_XAPIC_FLAT, {3}), (std::vector<Write>{{TS_ICR_LOGICAL, {3}}}));
}

TEST(ApicIcr, AClusterIsOneWriteEvenWhereIdsDoNotAscend)
{
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, {1, 15, 16, 47}),
              (std::vector<Write>{
                  {TS_ICR_LOGICAL, {1, 15}}, {TS_ICR_LOGICAL, {16}}, {TS_ICR_LOGICAL, {47}}}));
    /* Linux numbers second threads after all first ones: CPUs 16.. have the odd IDs. */
    Ids ids;
    for (uint32_t cpu = 0; cpu < 32; cpu++)
        ids.push_back(cpu < 16 ? 2 * cpu : 2 * (cpu - 16) + 1);
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, {1, 9, 10, 16, 17, 25}, false, &ids),
              (std::vector<Write>{{TS_ICR_LOGICAL, {1, 16, 17}}, {TS_ICR_LOGICAL, {9, 10, 25}}}));
}

TEST(ApicIcr, AnSgiReachesCpusOfItsGroupThatFollowEachOther)
{
    EXPECT_EQ(
        writes(TS_INTR_GIC_SGI, {0, 1, 15, 16, 33}),
        (std::vector<Write>{{TS_ICR_SGI, {0, 1, 15}}, {TS_ICR_SGI, {16}}, {TS_ICR_SGI, {33}}}));
}

/* Where MPIDR_EL1.MT is set, cores have Aff0 0; guests of KVM do not see it. */
TEST(ApicIcr, AnSgiReachesOneCoreWhereAff0NumbersThreads)
{
    ts_topology_params p{};
    ts_param_defaults(&ts_topology_param_table, &p);
    p.arch = TS_ARCH_ARM64;
    p.sockets = 2;
    p.cores_per_socket = 20;
    Ids others;
    for (uint32_t cpu = 1; cpu < 40; cpu++)
        others.push_back(cpu);
    for (uint64_t threads : {1, 2})
        for (uint64_t mt : {0, 1}) {
            SCOPED_TRACE(testing::Message() << threads << " threads, mt " << mt);
            ts_topology t{};
            ts_error err{};
            p.threads_per_core = threads;
            p.mpidr_mt = mt;
            ASSERT_EQ(ts_topology_init(&t, &p, &err), TS_OK) << err.message;
            Ids ids(t.apic_id, t.apic_id + t.ncpus);
            /* 19 of the first socket's 20 and all 20 of the second's; groups of 16 numbers, each
             * socket's from a power of two on, a core taking as many numbers as it has threads. */
            size_t groups = threads == 1 ? 2 + 2 : 3 + 3;
            EXPECT_EQ(writes(TS_INTR_GIC_SGI, others, true, &ids).size(), mt ? 39u : groups);
            EXPECT_EQ(std::set<uint32_t>(ids.begin(), ids.end()).size(), t.ncpus);
            ts_topology_fini(&t);
        }
    EXPECT_EQ(writes(TS_INTR_GIC_SGI, others, true).size(), 3u);
}

TEST(ApicIcr, TheShorthandNeedsAllButSelfAndX86)
{
    Ids others;
    for (uint32_t cpu = 1; cpu < 20; cpu++)
        others.push_back(cpu);
    for (ts_intr_mode mode : modes) {
        SCOPED_TRACE(mode);
        ts_interrupt_params p{};
        ts_param_defaults(&ts_interrupt_param_table, &p);
        p.shorthand = 1;
        EXPECT_EQ(ts_icr_shorthand(&p, mode, 19, true), mode != TS_INTR_GIC_SGI);
        auto all = writes(mode, others, true);
        if (mode == TS_INTR_GIC_SGI)
            EXPECT_EQ(all.size(), 2u);
        else
            EXPECT_EQ(all, (std::vector<Write>{{TS_ICR_SHORTHAND, others}}));
        /* Not all of them; one alone, which send_IPI sends; and switched off. */
        for (auto few : {writes(mode, others), writes(mode, {1}, true),
                         writes(mode, others, true, nullptr, nobody, 0)})
            for (const Write &w : few)
                EXPECT_NE(w.kind, TS_ICR_SHORTHAND);
    }
}

TEST(ApicIcr, ToItselfIsASelfIpi)
{
    for (ts_intr_mode mode : modes) {
        ts_icr_kind kind = mode == TS_INTR_GIC_SGI ? TS_ICR_SGI : TS_ICR_SELF;
        EXPECT_EQ(writes(mode, {5}, false, nullptr, 5), (std::vector<Write>{{kind, {5}}}));
        EXPECT_NE(writes(mode, {5}, false, nullptr, 4)[0].kind, TS_ICR_SELF);
    }
}

TEST(ApicIcr, EachModeHasItsLimit)
{
    ts_error err{};

    EXPECT_EQ(ts_interrupt_check_mode(TS_INTR_XAPIC_FLAT, 8, 7, "x", &err), TS_OK);
    EXPECT_EQ(ts_interrupt_check_mode(TS_INTR_XAPIC_FLAT, 9, 8, "x", &err), TS_ERR_USER);
    EXPECT_EQ(ts_interrupt_check_mode(TS_INTR_XAPIC_PHYS, 255, 254, "x", &err), TS_OK);
    EXPECT_EQ(ts_interrupt_check_mode(TS_INTR_XAPIC_PHYS, 9, 255, "x", &err), TS_ERR_USER);
    EXPECT_EQ(ts_interrupt_check_mode(TS_INTR_X2APIC_PHYS, 4096, 4095, "x", &err), TS_OK);
}

/* Random sets, random IDs: every target once, nothing else, and no more writes than needed. */
TEST(ApicIcrDiff, RandomSets)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        ts_rng rng;

        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_rng_init(&rng, seed, "apic icr test", 0);
        auto ncpus = static_cast<uint32_t>(ts_rng_between(&rng, 1, 200));
        Ids ids, targets;
        for (uint32_t cpu = 0; cpu < ncpus; cpu++)
            ids.push_back(3 * cpu);
        for (uint32_t i = 0; i + 1 < ncpus; i++)
            std::swap(ids[i], ids[ts_rng_between(&rng, i, ncpus - 1)]);
        for (uint32_t cpu = 0; cpu < ncpus; cpu++)
            if (ts_rng_below(&rng, 3))
                targets.push_back(cpu);
        for (ts_intr_mode mode : modes) {
            std::multiset<uint32_t> reached;
            auto all = writes(mode, targets, false, &ids);

            for (const Write &w : all)
                reached.insert(w.cpus.begin(), w.cpus.end());
            ASSERT_EQ(Ids(reached.begin(), reached.end()), targets);
            if (mode != TS_INTR_X2APIC_CLUSTER)
                continue;
            std::set<uint32_t> clusters;
            for (uint32_t cpu : targets)
                clusters.insert(ids[cpu] / 16);
            ASSERT_EQ(all.size(), clusters.size());
        }
    }
}
