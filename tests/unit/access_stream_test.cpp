/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_stream.h"

#include "tests/unit/chi_square.hpp"
#include "tests/unit/strace_testing.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

using chi_square_testing::chi_square;
using chi_square_testing::chi_square_limit;
using strace_testing::same;

namespace
{

constexpr uint64_t page = TS_ACCESS_STREAM_PAGE;
constexpr uint64_t line = TS_ACCESS_STREAM_LINE;

/* One access, operations taken apart. */
struct Access {
    uint32_t region;
    uint32_t flags;
    uint64_t offset;

    bool operator==(const Access &o) const
    {
        return region == o.region && flags == o.flags && offset == o.offset;
    }
};

std::vector<Access> accesses_of(const std::vector<ts_op> &ops)
{
    std::vector<Access> out;
    for (const ts_op &op : ops)
        for (uint64_t i = 0; op.kind == TS_OP_TOUCH && i < op.count; i++)
            out.push_back({op.region, op.flags, op.offset + i * op.stride});
    return out;
}

struct Stream {
    ts_access_stream_params p;
    ts_workload *w = nullptr;
    ts_error err{};

    Stream()
    {
        ts_param_defaults(ts_workload_kind_find("access_stream")->ops.params, &p);
        p.prefault = 0;
        p.warmup = 0;
    }
    Stream(uint64_t pattern, uint64_t pages, uint64_t accesses) : Stream()
    {
        p.pattern = pattern;
        p.footprint = pages * page;
        p.accesses = accesses;
    }
    ~Stream()
    {
        if (w)
            w->destroy(w);
    }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    ts_status create(uint64_t seed = 1, uint64_t instance = 0)
    {
        ts_workload_config config{&p, seed, instance, nullptr};
        return ts_workload_kind_find("access_stream")->create(&w, &config, &err);
    }
    bool next(uint32_t thread, ts_op &op)
    {
        if (w->next(w, thread, &op, &err) != 1)
            return false;
        EXPECT_EQ(op.thread, thread);
        return true;
    }
    std::vector<ts_op> pull(uint32_t thread = 0)
    {
        std::vector<ts_op> ops;
        ts_op op;
        while (next(thread, op))
            ops.push_back(op);
        return ops;
    }
    /* What is measured: behind the barrier. */
    std::vector<ts_op> measured(uint32_t thread = 0)
    {
        std::vector<ts_op> ops = pull(thread);
        auto barrier = std::find_if(ops.begin(), ops.end(),
                                    [](const ts_op &op) { return op.kind == TS_OP_BARRIER; });
        EXPECT_NE(barrier, ops.end());
        return {barrier + 1, ops.end()};
    }
    std::vector<Access> create_and_measure(uint64_t seed = 1, uint64_t instance = 0)
    {
        EXPECT_EQ(create(seed, instance), TS_OK) << err.message;
        return accesses_of(measured());
    }
};

bool all_same(const std::vector<ts_op> &a, const std::vector<ts_op> &b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::vector<ts_op_kind> kinds(const std::vector<ts_op> &ops)
{
    std::vector<ts_op_kind> out;
    for (const ts_op &op : ops)
        out.push_back(op.kind);
    return out;
}

/* --- the frame around the accesses --- */

TEST(AccessStream, SharedMemoryIsMappedAndTouchedBeforeTheOthersStart)
{
    Stream s(TS_ACCESS_RANDOM, 10, 3);
    s.p.threads = 3;
    s.p.prefault = 1;
    s.p.warmup = 2;
    s.p.code_footprint = 2 * page + line;
    s.p.code_lines = 1;
    ASSERT_EQ(s.create(), TS_OK);
    EXPECT_EQ(s.w->initial_threads, 1u);
    std::vector<ts_op> ops = s.pull(0);
    const ts_op_kind M = TS_OP_MMAP, T = TS_OP_TOUCH, S = TS_OP_SPAWN, B = TS_OP_BARRIER;
    EXPECT_EQ(kinds(ops), (std::vector<ts_op_kind>{M, T, M, T, S, S, /* fetch and data */ T, T, T,
                                                   T, B, T, T, T, T, T, T, TS_OP_EXIT}));
    EXPECT_EQ(ops[0].region, 1u);
    EXPECT_EQ(ops[0].flags, TS_OPF_AT);
    EXPECT_EQ(ops[0].prot, TS_PROT_READ | TS_PROT_EXEC);
    EXPECT_EQ(ops[0].offset, TS_ACCESS_STREAM_CODE_AT);
    EXPECT_EQ(ops[0].length, 3 * page);
    EXPECT_EQ(ops[1].region, 1u);
    EXPECT_EQ(ops[1].flags, TS_OPF_FETCH);
    EXPECT_EQ(ops[1].count, 3u);
    EXPECT_EQ(ops[1].stride, page);
    EXPECT_EQ(ops[2].region, 0u);
    EXPECT_EQ(ops[2].flags, TS_OPF_AT | TS_OPF_ANONYMOUS);
    EXPECT_EQ(ops[2].prot, TS_PROT_READ | TS_PROT_WRITE);
    EXPECT_EQ(ops[2].offset, TS_ACCESS_STREAM_DATA_AT);
    EXPECT_EQ(ops[2].length, 10 * page);
    EXPECT_EQ(ops[3].flags, TS_OPF_WRITE);
    EXPECT_EQ(ops[3].offset, 0u);
    EXPECT_EQ(ops[3].count, 10u);
    EXPECT_EQ(ops[3].stride, page);
    EXPECT_EQ(ops[4].target, 1u);
    EXPECT_EQ(ops[5].target, 2u);
    for (uint32_t thread = 1; thread < 3; thread++)
        EXPECT_EQ(kinds(s.pull(thread)),
                  (std::vector<ts_op_kind>{T, T, T, T, B, T, T, T, T, T, T, TS_OP_EXIT}));
}

TEST(AccessStream, OwnMemoryIsMappedByItsThread)
{
    Stream s(TS_ACCESS_RANDOM, (UINT64_C(1) << 18) + 1, 4); /* a page more than 1 GiB */
    s.p.threads = 3;
    s.p.shared = 0;
    s.p.prefault = 1;
    s.p.code_footprint = line;
    ASSERT_EQ(s.create(), TS_OK);
    for (uint32_t thread = 0; thread < 3; thread++) {
        std::vector<ts_op> ops = s.pull(thread);
        auto map = std::find_if(ops.begin(), ops.end(), [&](const ts_op &op) {
            return op.kind == TS_OP_MMAP && op.region == thread;
        });
        ASSERT_NE(map, ops.end());
        EXPECT_EQ(map->offset, TS_ACCESS_STREAM_DATA_AT + thread * (UINT64_C(2) << 30));
        EXPECT_EQ(map->length, s.p.footprint);
        EXPECT_EQ(map[1].count, s.p.footprint / page);
        uint64_t data = 0, code = 0;
        for (const ts_op &op : ops)
            if (op.kind == TS_OP_TOUCH)
                (op.flags & TS_OPF_FETCH ? code : data) += op.count;
        EXPECT_EQ(data, s.p.footprint / page + s.p.accesses);
        EXPECT_EQ(code, (thread == 0) + s.p.accesses);
        for (const ts_op &op : ops) {
            if (op.kind == TS_OP_TOUCH) {
                EXPECT_EQ(op.region, op.flags & TS_OPF_FETCH ? 3u : thread);
            }
        }
    }
}

TEST(AccessStream, OneBarrierOfAllThreadsAfterTheWarmup)
{
    for (uint64_t warmup : {0u, 1u, 777u}) {
        Stream s(TS_ACCESS_SEQUENTIAL, 3, 1000);
        s.p.threads = 4;
        s.p.warmup = warmup;
        ASSERT_EQ(s.create(), TS_OK);
        for (uint32_t thread = 0; thread < 4; thread++) {
            std::vector<ts_op> ops = s.pull(thread);
            uint64_t before = 0, after = 0, barriers = 0;
            for (const ts_op &op : ops) {
                if (op.kind == TS_OP_BARRIER) {
                    barriers++;
                    EXPECT_EQ(op.region, 0u);
                    EXPECT_EQ(op.count, 4u);
                }
                if (op.kind == TS_OP_TOUCH)
                    (barriers ? after : before) += op.count;
            }
            EXPECT_EQ(barriers, 1u);
            EXPECT_EQ(before, warmup);
            EXPECT_EQ(after, 1000u);
            EXPECT_EQ(ops.back().kind, TS_OP_EXIT);
            ts_op op;
            EXPECT_FALSE(s.next(thread, op));
        }
    }
}

/* --- patterns --- */

TEST(AccessStream, SequentialIsEveryLineInLongRuns)
{
    Stream s(TS_ACCESS_SEQUENTIAL, 20, 3000);
    ASSERT_EQ(s.create(), TS_OK);
    std::vector<ts_op> ops = s.measured();
    std::vector<Access> got = accesses_of(ops);
    ASSERT_EQ(got.size(), 3000u);
    for (uint64_t i = 0; i < got.size(); i++)
        ASSERT_EQ(got[i].offset, i * line % s.p.footprint);
    /* 1280 lines a round, 512 in an operation: 512, 512, 256, again, then 440; and the exit. */
    EXPECT_EQ(ops.size(), 3u + 3u + 1u + 1u);
    EXPECT_EQ(ops[0].count, TS_ACCESS_STREAM_BATCH);
}

TEST(AccessStream, StridedComesBackToTheBeginning)
{
    for (uint64_t stride : {UINT64_C(8), UINT64_C(100), page, 3 * page + 8, 7 * page}) {
        Stream s(TS_ACCESS_STRIDED, 7, 2000);
        s.p.stride = stride;
        std::vector<Access> got = s.create_and_measure();
        ASSERT_EQ(got.size(), 2000u);
        uint64_t want = 0;
        for (const Access &a : got) {
            ASSERT_EQ(a.offset, want) << "stride " << stride;
            want = want + stride < s.p.footprint ? want + stride : 0;
        }
    }
}

TEST(AccessStream, ThreadsOfASharedRoundStartSpreadOverIt)
{
    Stream s(TS_ACCESS_SEQUENTIAL, 4, 300);
    s.p.threads = 4;
    ASSERT_EQ(s.create(), TS_OK);
    for (uint32_t thread = 0; thread < 4; thread++) {
        std::vector<Access> got = accesses_of(s.measured(thread));
        for (uint64_t i = 0; i < got.size(); i++)
            ASSERT_EQ(got[i].offset, (thread * page + i * line) % s.p.footprint);
    }
}

TEST(AccessStream, ChaseVisitsEveryPageOnceInEachCycle)
{
    for (uint64_t pages : {1u, 2u, 3u, 5u, 64u, 1000u}) {
        Stream s(TS_ACCESS_CHASE, pages, 3 * pages);
        std::vector<Access> got = s.create_and_measure();
        std::set<uint64_t> seen;
        for (uint64_t i = 0; i < got.size(); i++) {
            uint64_t at = got[i].offset / page;
            if (i < pages) {
                ASSERT_TRUE(seen.insert(at).second) << pages;
            } else {
                ASSERT_EQ(at, got[i - pages].offset / page);
            }
        }
        EXPECT_EQ(seen.size(), pages);
        EXPECT_EQ(*seen.rbegin(), pages - 1);
    }
}

TEST(AccessStream, ChaseIsInAnotherOrderForEachThread)
{
    Stream s(TS_ACCESS_CHASE, 1000, 1000);
    s.p.threads = 2;
    s.p.line = TS_ACCESS_LINE_FIRST;
    ASSERT_EQ(s.create(), TS_OK);
    std::vector<Access> a = accesses_of(s.measured(0)), b = accesses_of(s.measured(1));
    EXPECT_FALSE(a == b);
    /* Two random orders have on average one page at the same place. */
    uint64_t equal = 0, next_page = 0;
    for (size_t i = 0; i < 1000; i++)
        equal += a[i].offset == b[i].offset;
    for (size_t i = 1; i < 1000; i++)
        next_page += a[i].offset == a[i - 1].offset + page;
    EXPECT_LT(equal, 10u);
    EXPECT_LT(next_page, 10u);
}

TEST(AccessStream, GupsReadsAWordThenWritesIt)
{
    Stream s(TS_ACCESS_GUPS, 100, 20001);
    s.p.write_percent = 50; /* without effect */
    std::vector<Access> got = s.create_and_measure();
    ASSERT_EQ(got.size(), 20001u);
    std::set<uint64_t> words;
    for (size_t i = 0; i < got.size(); i++) {
        EXPECT_EQ(got[i].flags, i % 2 ? TS_OPF_WRITE : 0u);
        EXPECT_EQ(got[i].offset % 8, 0u);
        EXPECT_LT(got[i].offset, s.p.footprint);
        if (i % 2) {
            EXPECT_EQ(got[i].offset, got[i - 1].offset);
        }
        words.insert(got[i].offset);
    }
    /* 10001 draws of 51200 words: n (1 - e^(-draws / n)) different ones. */
    const double n = 51200;
    EXPECT_NEAR(static_cast<double>(words.size()), n * (1 - std::exp(-10001 / n)), 150);
}

TEST(AccessStream, RandomPagesAndLinesAreUniform)
{
    Stream s(TS_ACCESS_RANDOM, 500, 200000);
    std::vector<uint64_t> pages(500), lines(64);
    for (const Access &a : s.create_and_measure()) {
        ASSERT_EQ(a.offset % line, 0u);
        pages.at(a.offset / page)++;
        lines.at(a.offset % page / line)++;
    }
    EXPECT_LT(chi_square(pages, [](size_t) { return 200000.0 / 500; }), chi_square_limit(499));
    EXPECT_LT(chi_square(lines, [](size_t) { return 200000.0 / 64; }), chi_square_limit(63));
}

TEST(AccessStream, LineChoices)
{
    Stream first(TS_ACCESS_RANDOM, 50, 2000), own(TS_ACCESS_RANDOM, 50, 2000);
    first.p.line = TS_ACCESS_LINE_FIRST;
    own.p.line = TS_ACCESS_LINE_PAGE;
    std::vector<Access> a = first.create_and_measure(), b = own.create_and_measure();
    std::map<uint64_t, uint64_t> line_of;
    std::set<uint64_t> lines;
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++) {
        EXPECT_EQ(a[i].offset % page, 0u);
        EXPECT_EQ(a[i].offset / page, b[i].offset / page); /* pages do not hang on lines */
        auto [at, fresh] = line_of.emplace(b[i].offset / page, b[i].offset % page);
        EXPECT_EQ(at->second, b[i].offset % page);
        lines.insert(b[i].offset % page);
    }
    EXPECT_EQ(line_of.size(), 50u);
    EXPECT_GT(lines.size(), 25u);
}

TEST(AccessStream, ZipfPagesHaveTheirWeightsAndAreScattered)
{
    const uint64_t n = 1000, draws = 300000;
    Stream s(TS_ACCESS_ZIPF, n, draws), t(TS_ACCESS_ZIPF, n, draws);
    t.p.threads = 2;
    std::vector<uint64_t> seen(n);
    for (const Access &a : s.create_and_measure())
        seen.at(a.offset / page)++;
    std::vector<uint64_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](uint64_t x, uint64_t y) { return seen[x] > seen[y]; });
    /* The most popular pages are far enough apart in frequency to be told by it. */
    double total = 0;
    for (uint64_t r = 1; r <= n; r++)
        total += std::pow(r, -0.99);
    for (uint64_t r = 1; r <= 5; r++) {
        double want = static_cast<double>(draws) * std::pow(r, -0.99) / total;
        EXPECT_NEAR(static_cast<double>(seen[order[r - 1]]), want, 5 * std::sqrt(want));
    }
    /* Neighbours in rank are not neighbours in memory. */
    uint64_t neighbours = 0;
    for (size_t i = 1; i < 100; i++)
        neighbours += order[i] == order[i - 1] + 1 || order[i - 1] == order[i] + 1;
    EXPECT_LT(neighbours, 5u);
    /* All threads have the same popular pages. */
    ASSERT_EQ(t.create(), TS_OK);
    std::vector<uint64_t> other(n);
    for (const Access &a : accesses_of(t.measured(1)))
        other.at(a.offset / page)++;
    EXPECT_EQ(std::max_element(other.begin(), other.end()) - other.begin(),
              static_cast<std::ptrdiff_t>(order[0]));
}

TEST(AccessStream, PhasesStayInAWindowThatJumps)
{
    Stream s(TS_ACCESS_PHASES, 1000, 20000);
    s.p.working_set = 16 * page;
    s.p.phase_accesses = 500;
    std::vector<Access> got = s.create_and_measure();
    std::set<uint64_t> windows;
    for (size_t at = 0; at < got.size(); at += 500) {
        std::set<uint64_t> pages;
        for (size_t i = at; i < at + 500; i++)
            pages.insert(got[i].offset / page);
        /* 500 draws miss a given one of 16 pages with probability 10^-14. */
        EXPECT_EQ(pages.size(), 16u);
        EXPECT_EQ(*pages.rbegin() - *pages.begin(), 15u);
        windows.insert(*pages.begin());
    }
    EXPECT_GT(windows.size(), 30u); /* of 40 */
    EXPECT_GT(*windows.rbegin() - *windows.begin(), 500u);
}

/* --- writes, code, random streams --- */

TEST(AccessStream, WritesAreAsOftenAsAskedAndDoNotMovePages)
{
    for (uint64_t pattern : {TS_ACCESS_SEQUENTIAL, TS_ACCESS_RANDOM, TS_ACCESS_CHASE}) {
        Stream none(pattern, 100, 50000);
        std::vector<Access> reads = none.create_and_measure();
        for (uint64_t percent : {0u, 1u, 30u, 100u}) {
            Stream s(pattern, 100, 50000);
            s.p.write_percent = percent;
            std::vector<Access> got = s.create_and_measure();
            ASSERT_EQ(got.size(), reads.size());
            uint64_t writes = 0;
            for (size_t i = 0; i < got.size(); i++) {
                ASSERT_EQ(got[i].offset, reads[i].offset);
                writes += got[i].flags == TS_OPF_WRITE;
            }
            double p = static_cast<double>(percent) / 100;
            EXPECT_NEAR(static_cast<double>(writes), p * 50000,
                        4 * std::sqrt(50000 * p * (1 - p)) + 1e-9);
        }
    }
}

TEST(AccessStream, CodeIsFetchedBeforeEachAccessInRunsWithJumps)
{
    Stream s(TS_ACCESS_SEQUENTIAL, 10, 20000), bare(TS_ACCESS_SEQUENTIAL, 10, 20000);
    s.p.code_footprint = 256 * line;
    s.p.code_lines = 3;
    s.p.code_run = 8;
    std::vector<Access> got = s.create_and_measure(), data;
    uint64_t in_row = 0, jumps = 0, last = UINT64_MAX;
    for (const Access &a : got) {
        if (!(a.flags & TS_OPF_FETCH)) {
            EXPECT_EQ(in_row, 3u);
            in_row = 0;
            data.push_back(a);
            continue;
        }
        in_row++;
        EXPECT_EQ(a.region, 1u);
        EXPECT_EQ(a.flags, TS_OPF_FETCH);
        EXPECT_EQ(a.offset % line, 0u);
        EXPECT_LT(a.offset, s.p.code_footprint);
        jumps += a.offset != last + line;
        last = a.offset;
    }
    EXPECT_EQ(data, bare.create_and_measure());
    /* A run is 1 to 15 lines, 8 on average, and seldom cut by the end of the code. */
    EXPECT_NEAR(static_cast<double>(jumps), 60000.0 / 8, 60000.0 / 8 * 0.05);
}

TEST(AccessStream, StreamsHangOnSeedInstanceAndThreadAlone)
{
    for (uint64_t pattern = 0; pattern <= TS_ACCESS_PHASES; pattern++) {
        SCOPED_TRACE(pattern);
        Stream a(pattern, 2000, 500), b(pattern, 2000, 500), c(pattern, 2000, 500),
            d(pattern, 2000, 500);
        for (Stream *s : {&a, &b, &c, &d}) {
            s->p.threads = 3;
            s->p.warmup = 100;
            s->p.write_percent = 25;
            s->p.code_footprint = 64 * page;
            s->p.code_lines = 2;
        }
        ASSERT_EQ(a.create(7, 0), TS_OK);
        ASSERT_EQ(b.create(7, 0), TS_OK);
        ASSERT_EQ(c.create(8, 0), TS_OK);
        ASSERT_EQ(d.create(7, 1), TS_OK);
        std::vector<ts_op> first = a.pull(2), mixed;
        ts_op op;
        while (b.next(2, op)) { /* and is asked for other threads in between */
            mixed.push_back(op);
            b.next(0, op);
            b.next(1, op);
            b.next(0, op);
        }
        EXPECT_TRUE(all_same(first, mixed));
        EXPECT_FALSE(all_same(first, c.pull(2)));
        EXPECT_FALSE(all_same(first, d.pull(2)));
        EXPECT_FALSE(all_same(first, a.pull(1)));
    }
}

TEST(AccessStream, SettingsThatMakeNoSense)
{
    struct Case {
        std::function<void(ts_access_stream_params &)> set;
        const char *message;
    };
    const Case cases[] = {
        {[](auto &p) { p.footprint = 3 * page + 1; }, "footprint is no multiple of 4KiB"},
        {[](auto &p) {
             p.shared = 0;
             p.threads = 3;
             p.footprint = TS_ACCESS_STREAM_DATA_MAX / 2;
         },
         "the footprints of all threads, each rounded up to 1GiB, are larger than 64TiB"},
        {[](auto &p) {
             p.pattern = TS_ACCESS_STRIDED;
             p.stride = p.footprint + 1;
         },
         "stride is larger than footprint"},
        {[](auto &p) {
             p.pattern = TS_ACCESS_PHASES;
             p.working_set = page + 8;
         },
         "working_set is no multiple of 4KiB"},
        {[](auto &p) {
             p.pattern = TS_ACCESS_PHASES;
             p.working_set = p.footprint + page;
         },
         "working_set is larger than footprint"},
        {[](auto &p) { p.code_footprint = 65; }, "code_footprint is no multiple of 64B"},
    };
    for (const Case &c : cases) {
        Stream s;
        c.set(s.p);
        EXPECT_EQ(s.create(), TS_ERR_USER);
        EXPECT_STREQ(s.err.message, c.message);
    }
    Stream largest;
    largest.p.shared = 0;
    largest.p.threads = 2;
    largest.p.footprint = TS_ACCESS_STREAM_DATA_MAX / 2;
    EXPECT_EQ(largest.create(), TS_OK) << largest.err.message;
}

} // namespace
