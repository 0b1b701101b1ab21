/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/mmap_storm.h"

#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/machine_rig.hpp"
#include "tests/unit/strace_testing.hpp"

#include <set>

using strace_testing::Lines;
using strace_testing::show;

namespace
{

struct Storm {
    ts_mmap_storm_params p;
    ts_workload *w = nullptr;
    ts_error err{};

    Storm()
    {
        ts_param_defaults(ts_workload_kind_find("mmap_storm")->ops.params, &p);
    }
    ~Storm()
    {
        if (w)
            w->destroy(w);
    }
    Storm(const Storm &) = delete;
    Storm &operator=(const Storm &) = delete;

    ts_status create(uint64_t seed = 1, uint64_t instance = 0)
    {
        ts_workload_config config{&p, seed, instance, nullptr};
        return ts_workload_kind_find("mmap_storm")->create(&w, &config, &err);
    }
    std::vector<ts_op> pull(uint32_t thread, size_t most = SIZE_MAX)
    {
        std::vector<ts_op> ops;
        ts_op op;
        while (ops.size() < most && w->next(w, thread, &op, &err) == 1) {
            EXPECT_EQ(op.thread, thread);
            ops.push_back(op);
        }
        return ops;
    }
};

TEST(MmapStorm, DefaultsAreTheRecordedProgram)
{
    Storm s;
    EXPECT_EQ(s.p.threads, 65u);
    EXPECT_EQ(s.p.rounds, 50u);
    EXPECT_EQ(s.p.pages, 16384u);
    EXPECT_EQ(s.p.touch_pages, 16u);
    EXPECT_EQ(s.p.sleep_min, 0u);
    EXPECT_EQ(s.p.sleep_max, 999u * TS_NS);
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(s.w->initial_threads, 1u);
    std::vector<ts_op> first = s.pull(0);
    ASSERT_EQ(first.size(), 66u);
    for (uint32_t i = 0; i < 65; i++)
        EXPECT_EQ(show(first[i]), "spawn t" + std::to_string(i + 1));
    EXPECT_EQ(first.back().kind, TS_OP_EXIT);
    std::set<uint32_t> regions;
    for (uint32_t thread = 1; thread <= 65; thread++) {
        std::vector<ts_op> ops = s.pull(thread);
        ASSERT_EQ(ops.size(), 50u * 4u + 1u); /* map, touch, unmap, sleep */
        for (size_t i = 0; i + 1 < ops.size(); i += 4) {
            std::string r = " r" + std::to_string(ops[i].region);
            EXPECT_TRUE(regions.insert(ops[i].region).second);
            EXPECT_EQ(show(ops[i]), "mmap" + r + " 16384 p3 anon");
            EXPECT_EQ(show(ops[i + 1]), "touch" + r + " 0 16x1024 write");
            EXPECT_EQ(show(ops[i + 2]), "munmap" + r + " 0+16384");
            EXPECT_EQ(ops[i + 3].kind, TS_OP_SLEEP);
            EXPECT_LE(ops[i + 3].length, 999u);
        }
        EXPECT_EQ(ops.back().kind, TS_OP_EXIT);
    }
    EXPECT_EQ(*regions.rbegin(), 65u * 50u - 1u);
}

TEST(MmapStorm, MadviseKeepsTheMapping)
{
    Storm s;
    s.p.threads = 2;
    s.p.rounds = 2;
    s.p.pages = 8;
    s.p.touch_pages = 4;
    s.p.write = 0;
    s.p.sleep_max = 0;
    s.p.unmap = TS_MMAP_STORM_MADVISE;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(show(s.pull(2)),
              (Lines{"mmap r1 8 p3 anon", "touch r1 0 4x2", "dontneed r1 0+8", "touch r1 0 4x2",
                     "dontneed r1 0+8", "munmap r1 0+8", "exit"}));
}

TEST(MmapStorm, NothingToTouchNothingToSleep)
{
    Storm s;
    s.p.threads = 1;
    s.p.rounds = 2;
    s.p.pages = 1;
    s.p.touch_pages = 0;
    s.p.sleep_max = 0;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(show(s.pull(1)), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1", "mmap r1 1 p3 anon",
                                      "munmap r1 0+1", "exit"}));
    EXPECT_TRUE(s.pull(1).empty());
}

TEST(MmapStorm, Stagger)
{
    Storm s;
    s.p.threads = 3;
    s.p.start_stagger = 70 * TS_NS + 999;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(show(s.pull(0)),
              (Lines{"spawn t1", "compute 70", "spawn t2", "compute 70", "spawn t3", "exit"}));
    EXPECT_TRUE(s.pull(0).empty());
}

TEST(MmapStorm, RandomPagesAndSleepsHangOnSeedInstanceAndThreadAlone)
{
    Storm a, b, c, d;
    for (Storm *s : {&a, &b, &c, &d}) {
        s->p.threads = 3;
        s->p.rounds = 20;
        s->p.placement = TS_MMAP_STORM_RANDOM;
    }
    ASSERT_EQ(a.create(7, 0), TS_OK);
    ASSERT_EQ(b.create(7, 0), TS_OK);
    ASSERT_EQ(c.create(8, 0), TS_OK);
    ASSERT_EQ(d.create(7, 1), TS_OK);
    std::vector<ts_op> first = a.pull(2);
    /* b is asked for other threads in between. */
    std::vector<ts_op> mixed;
    for (;;) {
        b.pull(1, 3);
        std::vector<ts_op> one = b.pull(2, 1);
        b.pull(3, 2);
        if (one.empty())
            break;
        mixed.push_back(one[0]);
    }
    EXPECT_EQ(show(first), show(mixed));
    EXPECT_NE(show(first), show(c.pull(2)));
    EXPECT_NE(show(first), show(d.pull(2)));
    EXPECT_NE(show(first, false), show(a.pull(3), false));
    size_t touches = 0;
    std::set<uint64_t> offsets;
    for (const ts_op &op : first)
        if (op.kind == TS_OP_TOUCH) {
            EXPECT_EQ(op.count, 1u);
            EXPECT_LT(op.offset, 16384u * 4096u);
            EXPECT_EQ(op.offset % 4096, 0u);
            offsets.insert(op.offset);
            touches++;
        }
    EXPECT_EQ(touches, 20u * 16u);
    EXPECT_GT(offsets.size(), 250u);
}

TEST(MmapStorm, NeighboursTouchTheSameRoundsMappings)
{
    Storm s;
    s.p.threads = 3;
    s.p.rounds = 2;
    s.p.pages = 8;
    s.p.touch_pages = 4;
    s.p.write = 0;
    s.p.sleep_max = 0;
    s.p.sharing = TS_MMAP_STORM_WRITE;
    s.p.sharers = 2;
    ASSERT_EQ(s.create(), TS_OK);
    /* Thread 2 has regions 2 and 3, thread 3 has 4 and 5, thread 1 has 0 and 1. */
    EXPECT_EQ(show(s.pull(2)),
              (Lines{"mmap r2 8 p3 anon", "touch r2 0 4x2", "touch r4 0 4x2 write",
                     "touch r0 0 4x2 write", "munmap r2 0+8", "mmap r3 8 p3 anon", "touch r3 0 4x2",
                     "touch r5 0 4x2 write", "touch r1 0 4x2 write", "munmap r3 0+8", "exit"}));
}

/* A wait for a mapping of round n comes after one's own mapping of round n in every thread. */
TEST(MmapStorm, NobodyNamesAnOthersMappingBeforeItsOwnOfThatRound)
{
    for (uint64_t unmap : {TS_MMAP_STORM_MUNMAP, TS_MMAP_STORM_MADVISE}) {
        Storm s;
        s.p.threads = 5;
        s.p.rounds = 7;
        s.p.placement = TS_MMAP_STORM_RANDOM;
        s.p.unmap = unmap;
        s.p.sharing = TS_MMAP_STORM_READ;
        s.p.sharers = 4;
        ASSERT_EQ(s.create(), TS_OK);
        uint64_t rounds = unmap == TS_MMAP_STORM_MADVISE ? 1 : s.p.rounds;
        for (uint32_t thread = 1; thread <= 5; thread++) {
            uint64_t mapped = 0;
            size_t shared = 0;
            for (const ts_op &op : s.pull(thread)) {
                mapped += op.kind == TS_OP_MMAP;
                if (op.kind != TS_OP_TOUCH || op.region / rounds == thread - 1)
                    continue;
                EXPECT_LT(op.region % rounds, mapped);
                EXPECT_EQ(op.flags, 0u);
                shared++;
            }
            EXPECT_EQ(shared, 7u * 4u * 16u);
        }
    }
}

TEST(MmapStorm, SharingLeavesOwnTouchesAlone)
{
    Storm a, b;
    for (Storm *s : {&a, &b}) {
        s->p.threads = 3;
        s->p.rounds = 5;
        s->p.placement = TS_MMAP_STORM_RANDOM;
    }
    b.p.sharing = TS_MMAP_STORM_READ;
    ASSERT_EQ(a.create(), TS_OK);
    ASSERT_EQ(b.create(), TS_OK);
    std::vector<ts_op> own;
    for (const ts_op &op : b.pull(2))
        if (op.kind != TS_OP_TOUCH || op.flags)
            own.push_back(op);
    EXPECT_EQ(show(a.pull(2)), show(own));
}

TEST(MmapStorm, RefusesWhatCannotBe)
{
    Storm a, b, c, d;
    a.p.sleep_min = 1000 * TS_NS;
    EXPECT_EQ(a.create(), TS_ERR_USER);
    b.p.pages = 15;
    EXPECT_EQ(b.create(), TS_ERR_USER);
    EXPECT_NE(std::string(b.err.message).find("touch_pages"), std::string::npos);
    b.p.placement = TS_MMAP_STORM_RANDOM; /* with repetition: any number can be touched */
    EXPECT_EQ(b.create(), TS_OK);
    c.p.rounds = UINT32_MAX;
    EXPECT_EQ(c.create(), TS_ERR_USER);
    d.p.threads = d.p.sharers = 2;
    EXPECT_EQ(d.create(), TS_OK); /* does not count without sharing */
    d.w->destroy(d.w);
    d.w = nullptr;
    d.p.sharing = TS_MMAP_STORM_READ;
    EXPECT_EQ(d.create(), TS_ERR_USER);
    EXPECT_NE(std::string(d.err.message).find("sharers"), std::string::npos);
}

/* Nobody waits for ever, and every TLB holds what others unmap: a mechanism that tells nobody is
 * found out. On arm64, where no idle CPU flushes by itself when it comes back. */
TEST(MmapStorm, SharedMappingsAreFeltByEveryCpu)
{
    using namespace ts_test;
    const auto *local_only = broken::mechanism<broken::local_only>("local_only");
    const auto *tlbi = ts_flush_find("tlbi_broadcast");
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.hcr_fb", "false");
    set(c, "run.vms", "1");
    /* What a broken mechanism leaves may also be an entry without the right to write, on which a
     * CPU then faults for ever: arm64 drops nothing by a fault. */
    set(c, "run.progress", "20ms");
    for (const char *unmap : {"munmap", "madvise_dontneed"}) {
        StormParams params = {{"threads", "4"}, {"rounds", "20"}, {"pages", "16"},
                              {"unmap", unmap}, {"sharers", "3"}, {"sharing", "none"}};
        Outcome alone = run_storm(c, tlbi, params, 1);
        for (const char *sharing : {"read", "write"}) {
            params["sharing"] = sharing;
            Outcome got = run_storm(c, tlbi, params, 1);
            EXPECT_EQ(got.status, TS_OK) << got.message;
            EXPECT_GT(got.stats.at("guest.touches"), 2 * alone.stats.at("guest.touches"));
            /* Whether an entry is used while it is wrong is a matter of time: of five runs one at
             * least. */
            ts_status found = TS_OK;
            for (uint64_t seed = 1; seed <= 5 && found == TS_OK; seed++)
                found = run_storm(c, local_only, params, seed).status;
            EXPECT_EQ(found, TS_ERR_FINDING);
        }
        /* More threads than CPUs. */
        params["threads"] = "9";
        EXPECT_EQ(run_storm(small_machine(), ts_flush_find("kvm_pv"), params, 1).status, TS_OK);
    }
}

} // namespace
