/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/mmap_storm.h"

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

TEST(MmapStorm, RefusesWhatCannotBe)
{
    Storm a, b, c;
    a.p.sleep_min = 1000 * TS_NS;
    EXPECT_EQ(a.create(), TS_ERR_USER);
    b.p.pages = 15;
    EXPECT_EQ(b.create(), TS_ERR_USER);
    EXPECT_NE(std::string(b.err.message).find("touch_pages"), std::string::npos);
    b.p.placement = TS_MMAP_STORM_RANDOM; /* with repetition: any number can be touched */
    EXPECT_EQ(b.create(), TS_OK);
    c.p.rounds = UINT32_MAX;
    EXPECT_EQ(c.create(), TS_ERR_USER);
}

} // namespace
