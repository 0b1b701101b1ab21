/* SPDX-License-Identifier: Apache-2.0 */
/* unmap_bench and tlb_flush_bench: who does what, and that the flushes are those meant. */
#include "tests/support/pull_workload.hpp"
#include "tests/support/script_workload.hpp"
#include "tests/unit/strace_testing.hpp"
#include "workloads/tlb_flush_bench.h"
#include "workloads/unmap_bench.h"

using namespace ts_test;
using strace_testing::Lines;
using strace_testing::show;

namespace
{

std::vector<ts_op> pull(const char *kind, const void *params, uint32_t thread)
{
    return ts_test::pull(make_workload(kind, params).get(), thread);
}

} // namespace

TEST(UnmapBench, OneUnmapsWhatAllHaveTouchedAfterABarrier)
{
    ts_unmap_bench_params p{};
    ts_param_defaults(ts_workload_kind_find("unmap_bench")->ops.params, &p);
    p.touchers = 2;
    p.pages = 3;
    p.iterations = 2;
    std::vector<ts_op> main = pull("unmap_bench", &p, 1);
    const ts_op_kind kinds[] = {TS_OP_MMAP, TS_OP_TOUCH, TS_OP_BARRIER, TS_OP_COMPUTE,
                                TS_OP_MUNMAP};
    ASSERT_EQ(main.size(), 11u);
    for (size_t i = 0; i < 10; i++) {
        EXPECT_EQ(main[i].kind, kinds[i % 5]) << i;
        if (main[i].kind != TS_OP_COMPUTE) {
            EXPECT_EQ(main[i].region, i / 5) << i;
        }
    }
    EXPECT_EQ(main[2].count, 3u);
    EXPECT_EQ(main[4].length, 3 * 4096u);
    EXPECT_EQ(main[10].kind, TS_OP_EXIT);
    std::vector<ts_op> toucher = pull("unmap_bench", &p, 3);
    const ts_op_kind theirs[] = {TS_OP_BARRIER, TS_OP_TOUCH, TS_OP_COMPUTE};
    ASSERT_EQ(toucher.size(), 7u);
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(toucher[i].kind, theirs[i % 3]) << i;
    EXPECT_EQ(toucher[4].region, 1u);
    EXPECT_EQ(toucher[1].count, 3u);
    p.unmap = TS_UNMAP_BENCH_MADVISE;
    p.wait = TS_UNMAP_BENCH_SLEEP;
    EXPECT_EQ(pull("unmap_bench", &p, 1).size(), 10u); /* mapped once */
    EXPECT_EQ(pull("unmap_bench", &p, 2)[2].kind, TS_OP_SLEEP);
}

TEST(UnmapBench, EachUnmapReachesEveryToucherThatRunsAndNoneThatSleeps)
{
    for (const char *wait : {"spin", "sleep"}) {
        Outcome out = run_kind(bare_machine(6), ts_flush_find("native_concurrent"), "unmap_bench",
                               {{"touchers", "4"},
                                {"iterations", "20"},
                                {"wait", wait},
                                {"pages", "2"},
                                {"unmap", "madvise_dontneed"}},
                               1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        uint64_t reached = 0, all = 0;
        for (const auto &r : out.shootdowns) {
            if (r.end - r.start != 2 * 4096)
                continue;
            all++;
            reached += r.targets;
        }
        EXPECT_EQ(all, 20u);
        EXPECT_EQ(reached, *wait == 's' && wait[1] == 'p' ? 80u : 0u);
    }
}

TEST(TlbFlushBench, EachThreadWritesDropsAndReadsPageByPage)
{
    ts_tlb_flush_bench_params p{};
    ts_param_defaults(ts_workload_kind_find("tlb_flush_bench")->ops.params, &p);
    p.threads = 2;
    p.pages = 2;
    p.iterations = 3;
    std::vector<ts_op> ops = pull("tlb_flush_bench", &p, 2);
    const ts_op_kind kinds[] = {TS_OP_MMAP,
                                TS_OP_TOUCH,
                                TS_OP_MADVISE_DONTNEED,
                                TS_OP_TOUCH,
                                TS_OP_TOUCH,
                                TS_OP_MADVISE_DONTNEED,
                                TS_OP_TOUCH,
                                TS_OP_MUNMAP,
                                TS_OP_MMAP,
                                TS_OP_TOUCH,
                                TS_OP_MADVISE_DONTNEED,
                                TS_OP_TOUCH,
                                TS_OP_MUNMAP,
                                TS_OP_EXIT};
    const uint64_t pages[] = {0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0};
    ASSERT_EQ(ops.size(), sizeof(pages) / sizeof(*pages));
    for (size_t i = 0; i < ops.size(); i++) {
        EXPECT_EQ(ops[i].kind, kinds[i]) << i;
        EXPECT_EQ(ops[i].offset, pages[i] * 4096) << i;
        if (kinds[i] != TS_OP_EXIT) {
            EXPECT_EQ(ops[i].region, i < 8 ? 2u : 3u) << i;
        }
        if (kinds[i] == TS_OP_TOUCH) {
            EXPECT_EQ(ops[i].flags & TS_OPF_WRITE,
                      kinds[i + 1] == TS_OP_MADVISE_DONTNEED ? TS_OPF_WRITE : 0u)
                << i;
        }
    }
    Outcome out = run_kind(bare_machine(4), ts_flush_find("native_concurrent"), "tlb_flush_bench",
                           {{"threads", "4"}, {"iterations", "50"}}, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.madvises"), 200u);
    EXPECT_EQ(out.stats.at("guest.faults"), 400u);
    EXPECT_EQ(out.stats.at("guest.zero_mapped"), 200u);
    EXPECT_EQ(out.stats.at("guest.zero_copied"), 0u);
}
