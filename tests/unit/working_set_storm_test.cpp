/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/working_set_storm.h"

#include "tests/support/machine_rig.hpp"
#include "tests/unit/strace_testing.hpp"

using namespace ts_test;
using strace_testing::Lines;
using strace_testing::show;

namespace
{

struct Storm {
    ts_working_set_storm_params p;
    ts_workload *w = nullptr;
    ts_error err{};

    Storm()
    {
        ts_param_defaults(ts_workload_kind_find("working_set_storm")->ops.params, &p);
        p.threads = 2;
        p.rounds = 2;
        p.pages = 8;
        p.sweeps = 2;
        p.drop_pages = 3;
    }
    ~Storm()
    {
        if (w)
            w->destroy(w);
    }
    Storm(const Storm &) = delete;
    Storm &operator=(const Storm &) = delete;

    ts_status create(uint64_t seed = 1)
    {
        ts_workload_config config{&p, seed, 0, nullptr};
        return ts_workload_kind_find("working_set_storm")->create(&w, &config, &err);
    }
    std::vector<ts_op> pull(uint32_t thread)
    {
        std::vector<ts_op> ops;
        ts_op op;
        while (w->next(w, thread, &op, &err) == 1)
            ops.push_back(op);
        return ops;
    }
};

Outcome run(const StormParams &params, const char *l2_entries, const char *ceiling = "33")
{
    ts_machine_config c = small_machine();
    set(c, "run.vms", "1");
    set(c, "mmu.l2_entries", l2_entries);
    set(c, "guest.flush_ceiling", ceiling);
    return run_kind(c, ts_flush_find("native_concurrent"), "working_set_storm", params, 1);
}

} // namespace

TEST(WorkingSetStorm, UnmapsAMappingBesideTheSet)
{
    Storm s;
    s.p.order = TS_WORKING_SET_SEQUENTIAL;
    s.p.write = 0;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(show(s.pull(0)), (Lines{"spawn t1", "spawn t2", "exit"}));
    EXPECT_EQ(show(s.pull(2)),
              (Lines{"mmap r1 8 p3 anon", "touch r1 0 8x1 write", "touch r1 0 8x1",
                     "touch r1 0 8x1", "mmap r4 3 p3 anon", "touch r4 0 3x1 write", "munmap r4 0+3",
                     "touch r1 0 8x1", "touch r1 0 8x1", "mmap r5 3 p3 anon",
                     "touch r5 0 3x1 write", "munmap r5 0+3", "munmap r1 0+8", "exit"}));
    EXPECT_TRUE(s.pull(2).empty());
}

TEST(WorkingSetStorm, DropsAPartThatMovesOn)
{
    Storm s;
    s.p.order = TS_WORKING_SET_SEQUENTIAL;
    s.p.unmap = TS_WORKING_SET_MADVISE;
    s.p.rounds = 3;
    s.p.sweeps = 1;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(show(s.pull(1)),
              (Lines{"mmap r0 8 p3 anon", "touch r0 0 8x1 write", "touch r0 0 8x1 write",
                     "dontneed r0 0+3", "touch r0 0 8x1 write", "dontneed r0 3+3",
                     "touch r0 0 8x1 write", "dontneed r0 0+3", "munmap r0 0+8", "exit"}));
}

TEST(WorkingSetStorm, RandomTouchesHangOnSeedAndThread)
{
    Storm a, b, c;
    ASSERT_EQ(a.create(3), TS_OK);
    ASSERT_EQ(b.create(3), TS_OK);
    ASSERT_EQ(c.create(4), TS_OK);
    std::vector<ts_op> first = a.pull(1);
    EXPECT_EQ(first.size(), 1u + 1u + 2u * (2u * 8u + 3u) + 2u);
    b.pull(2);
    EXPECT_EQ(show(first), show(b.pull(1)));
    EXPECT_NE(show(first), show(c.pull(1)));
}

TEST(WorkingSetStorm, RefusesWhatCannotBe)
{
    Storm a, b;
    a.p.unmap = TS_WORKING_SET_MADVISE;
    a.p.drop_pages = 9;
    EXPECT_EQ(a.create(), TS_ERR_USER);
    a.p.unmap = TS_WORKING_SET_MUNMAP;
    EXPECT_EQ(a.create(), TS_OK);
    b.p.rounds = UINT32_MAX;
    EXPECT_EQ(b.create(), TS_ERR_USER);
}

/* What mmap_storm cannot show: a TLB that holds the working set walks less, and the more so the
 * less a flush takes with it. */
TEST(WorkingSetStorm, TlbSizeAndWidthOfTheFlushShow)
{
    for (const char *unmap : {"munmap", "madvise_dontneed"}) {
        const StormParams params = {{"threads", "4"}, {"rounds", "10"}, {"pages", "1000"},
                                    {"sweeps", "2"},  {"unmap", unmap}, {"drop_pages", "8"}};
        Outcome none = run(params, "0"), small = run(params, "384"), large = run(params, "3072");
        Outcome full = run(params, "3072", "1");
        for (const Outcome *o : {&none, &small, &large, &full})
            ASSERT_EQ(o->status, TS_OK) << o->message;
        EXPECT_GT(none.stats.at("mmu.walks"), small.stats.at("mmu.walks") * 5 / 4);
        EXPECT_GT(small.stats.at("mmu.walks"), large.stats.at("mmu.walks") * 5 / 4);
        EXPECT_GT(small.result.completion_ps, large.result.completion_ps);
        /* Every flush takes the whole address space. */
        EXPECT_GT(full.stats.at("mmu.walks"), large.stats.at("mmu.walks") * 5 / 4);
        EXPECT_GT(full.result.completion_ps, large.result.completion_ps);
        EXPECT_EQ(full.stats.at("guest.touches"), large.stats.at("guest.touches"));
    }
}
