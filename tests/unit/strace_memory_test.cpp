/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace.h"

#include "sim/rng.h"
#include "tests/unit/strace_testing.hpp"
#include "workloads/line_reader.h"
#include "workloads/trace_info.h"

#include <algorithm>
#include <malloc.h>
#include <set>

using namespace strace_testing;

namespace
{

/* --- memory
 * ---------------------------------------------------------------------------------------- */

Lines only(const std::string &text, const ts_strace_params &p = defaults())
{
    Trace t(text, p);
    return show(pull_all(t)[0]);
}

/* Grammar: another thread is given the address before the munmap's line ends. */
TEST(StraceWorkload, AddressReusedInsideAMunmap)
{
    Trace t("1 " + thread_call + map_line("1", 0x10000, 2) +
            "1 munmap(0x10000, 8192 <unfinished ...>\n" + map_line("2", 0x10000, 2) +
            "1 <... munmap resumed>) = 0\n2 munmap(0x10000, 8192) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "mmap r0 2 p3 anon", "munmap r0 0+2"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r1 2 p3 anon", "munmap r1 0+2"}));
    EXPECT_EQ(t.counts().stale_overlaps, 0u);
}

TEST(StraceWorkload, FailedMunmapLeavesTheMemory)
{
    for (const char *end : {"1 <... munmap resumed>) = -1 ENOMEM (Cannot allocate memory)\n",
                            "1 <... munmap resumed>) = ? ERESTARTSYS (To be restarted)\n"})
        EXPECT_EQ(only(map_line("1", 0x10000, 2) + "1 munmap(0x10000, 8192 <unfinished ...>\n" +
                       end + "1 munmap(0x10000, 8192) = 0\n"),
                  (Lines{"mmap r0 2 p3 anon", "munmap r0 0+2"}));
}

TEST(StraceWorkload, FailedCallsAreIgnored)
{
    EXPECT_EQ(only(map_line("1", 0x10000, 2) +
                   "1 munmap(0x10000, 0) = -1 EINVAL (Invalid argument)\n"
                   "1 mmap(NULL, 18446744073709547520, PROT_READ, MAP_PRIVATE, 3, 0) = -1 ENOMEM "
                   "(Cannot allocate memory)\n"
                   "1 mprotect(0x10000, 4096, PROT_READ) = -1 EACCES (Permission denied)\n"),
              (Lines{"mmap r0 2 p3 anon"}));
}

TEST(StraceWorkload, PartsAndSeveralRegions)
{
    EXPECT_EQ(only(map_line("1", 0x10000, 2) + map_line("1", 0x12000, 2) +
                   "1 munmap(0x11000, 8192) = 0\n1 munmap(0x10000, 16384) = 0\n"
                   "1 munmap(0x10000, 16384) = 0\n"),
              (Lines{"mmap r0 2 p3 anon", "mmap r1 2 p3 anon", "munmap r0 1+1",
                     "munmap r1 0+1 same", "munmap r0 0+1", "munmap r1 1+1 same"}));
    Trace t("1 munmap(0x10000, 4096) = 0\n1 mprotect(0x10000, 4096, PROT_READ) = 0\n");
    EXPECT_TRUE(pull_all(t)[0].empty());
    EXPECT_EQ(t.counts().unknown_ranges, 2u);
}

TEST(StraceWorkload, ProtectAndAdvise)
{
    EXPECT_EQ(only(map_line("1", 0x10000, 2) + map_line("1", 0x12000, 2) +
                   "1 mprotect(0x11000, 8192, PROT_READ|PROT_EXEC) = 0\n"
                   "1 madvise(0x10000, 100, MADV_DONTNEED) = 0\n"
                   "1 madvise(0x10000, 8192, MADV_FREE) = 0\n"
                   "1 madvise(0x10000, 8192, MADV_HUGEPAGE) = 0\n"
                   "1 madvise(0x10000, 4096, MADV_NOHUGEPAGE) = 0\n"
                   "1 madvise(0x10000, 8192, MADV_COLLAPSE) = 0\n"
                   "1 madvise(0x10000, 8192, MADV_WILLNEED) = 0\n"),
              (Lines{"mmap r0 2 p3 anon", "mmap r1 2 p3 anon", "mprotect r0 1+1 p5",
                     "mprotect r1 0+1 p5 same", "dontneed r0 0+1", "free r0 0+2", "hugepage r0 0+2",
                     "nohugepage r0 0+1", "collapse r0 0+2"}));
}

TEST(StraceWorkload, MapFixedReplaces)
{
    EXPECT_EQ(only("1 mmap(NULL, 20000, PROT_READ, MAP_PRIVATE|MAP_DENYWRITE, 3, 0) = 0x10000\n"
                   "1 mmap(0x11000, 4096, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED, 3, 0x1000) = "
                   "0x11000\n"
                   "1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = "
                   "0x20000\n"),
              (Lines{"mmap r0 5 p1", "munmap r0 1+1", "mmap r1 1 p5 same", "mmap r2 1 p3 shared"}));
}

TEST(StraceWorkload, MappingOverMemoryThatShouldBeFree)
{
    Trace t(map_line("1", 0x10000, 2) + map_line("1", 0x11000, 2));
    EXPECT_EQ(show(pull_all(t)[0]),
              (Lines{"mmap r0 2 p3 anon", "munmap r0 1+1", "mmap r1 2 p3 anon same"}));
    EXPECT_EQ(t.counts().stale_overlaps, 1u);
    EXPECT_EQ(t.counts().separated, 0u);
}

TEST(StraceWorkload, Brk)
{
    EXPECT_EQ(only("1 brk(NULL) = 0x10800\n1 brk(0x12800) = 0x12800\n1 brk(0x13000) = 0x13000\n"
                   "1 brk(0x15000) = 0x15000\n1 brk(0x12000) = 0x12000\n"
                   "1 brk(0x99999000) = 0x12000\n1 brk(NULL) = 0x12000\n"
                   "1 brk(0x11000 <unfinished ...>\n1 <... brk resumed>) = 0x11000\n"),
              (Lines{"mmap r0 2 p3 anon", "mmap r1 2 p3 anon", "munmap r0 1+1",
                     "munmap r1 0+2 same", "munmap r0 0+1"}));
}

TEST(StraceWorkload, Mremap)
{
    const std::string map = map_line("1", 0x10000, 4);
    EXPECT_EQ(only(map + "1 mremap(0x10000, 16384, 32768, MREMAP_MAYMOVE) = 0x90000\n"
                         "1 munmap(0x90000, 32768) = 0\n1 munmap(0x10000, 4096) = 0\n"),
              (Lines{"mmap r0 4 p3 anon", "mremap r0 4 -> r1 8", "munmap r1 0+8"}));
    EXPECT_EQ(only(map + "1 mremap(0x10000, 16384, 8192, 0) = 0x10000\n"
                         "1 mremap(0x10000, 8192, 16384, 0) = 0x10000\n"
                         "1 munmap(0x10000, 16384) = 0\n"),
              (Lines{"mmap r0 4 p3 anon", "munmap r0 2+2", "mmap r1 2 p3 anon", "munmap r0 0+2",
                     "munmap r1 0+2 same"}));
    /* A part of a region: what TS_OP_MREMAP cannot name is an unmap and a map. */
    EXPECT_EQ(only(map + "1 mremap(0x11000, 4096, 8192, MREMAP_MAYMOVE) = 0x90000\n"),
              (Lines{"mmap r0 4 p3 anon", "munmap r0 1+1", "mmap r1 2 p3 anon same"}));
    EXPECT_EQ(only(map + map_line("1", 0x90000, 1) +
                   "1 mremap(0x10000, 16384, 16384, MREMAP_MAYMOVE|MREMAP_FIXED, 0x90000) = "
                   "0x90000\n"),
              (Lines{"mmap r0 4 p3 anon", "mmap r1 1 p3 anon", "munmap r1 0+1",
                     "mremap r0 4 -> r2 4 same"}));
    EXPECT_EQ(
        only(map + "1 mremap(0x10000, 16384, 16384, MREMAP_MAYMOVE|MREMAP_DONTUNMAP) = "
                   "0x90000\n1 munmap(0x10000, 16384) = 0\n"),
        (Lines{"mmap r0 4 p3 anon", "dontneed r0 0+4", "mmap r1 4 p3 anon same", "munmap r0 0+4"}));
    EXPECT_EQ(only(map + "1 mremap(0x10000, 16384, 32768, 0) = -1 ENOMEM (Cannot allocate memory)\n"
                         "1 munmap(0x10000, 16384) = 0\n"),
              (Lines{"mmap r0 4 p3 anon", "munmap r0 0+4"}));
}

TEST(StraceWorkload, HalvesWithoutTheirOtherHalf)
{
    Trace t("1 <... munmap resumed>) = 0\n" + map_line("1", 0x10000, 1) +
            "1 munmap(0x10000, 4096 <unfinished ...>\n1 <... mmap resumed>) = 0x20000\n"
            "1 brk(NULL) = 0x1000\n1 munmap(0x10000, 4096) = 0\n");
    EXPECT_EQ(show(pull_all(t)[0]), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1"}));
    EXPECT_EQ(t.counts().resumed_alone, 2u);
    EXPECT_EQ(t.counts().left_unfinished, 1u);
}

/* --- what strace does not record
 * ------------------------------------------------------------------ */

TEST(StraceWorkload, StridedTouches)
{
    ts_strace_params p = defaults();
    p.touch_pages = 4;
    p.touch_min_length = 8192;
    const std::string text =
        map_line("1", 0x10000, 10) + map_line("1", 0x30000, 2) + map_line("1", 0x40000, 1) +
        "1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x50000\n"
        "1 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = 0x60000\n"
        "1 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE, 3, 0) = 0x70000\n";
    /* Shared memory and files too: dirty pages of shared files flush in another way. */
    EXPECT_EQ(only(text, p),
              (Lines{"mmap r0 10 p3 anon", "touch r0 0 4x2 write", "mmap r1 2 p3 anon",
                     "touch r1 0 2x1 write", "mmap r2 1 p3 anon", "mmap r3 2 p1 anon",
                     "mmap r4 2 p3 shared", "touch r4 0 2x1 write", "mmap r5 2 p3",
                     "touch r5 0 2x1 write"}));
    p.touch_write = 0;
    EXPECT_EQ(only(map_line("1", 0x10000, 4), p), (Lines{"mmap r0 4 p3 anon", "touch r0 0 4x1"}));
}

/* Memory is touched whenever it becomes writable, whatever call did it. */
TEST(StraceWorkload, TouchesFollowTheRightToWrite)
{
    ts_strace_params p = defaults();
    p.touch_pages = 2;
    const std::string reserve =
        "1 mmap(NULL, 32768, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x10000\n";
    const std::string commit = "1 mprotect(0x12000, 16384, PROT_READ|PROT_WRITE) = 0\n";
    EXPECT_EQ(only(reserve + commit + commit, p),
              (Lines{"mmap r0 8 p0 anon", "mprotect r0 2+4 p3", "touch r0 2 2x2 write",
                     "mprotect r0 2+4 p3"}));
    /* A part that is writable already is not touched again; rights lost and won again are. */
    EXPECT_EQ(only(reserve + commit + "1 mprotect(0x14000, 16384, PROT_READ|PROT_WRITE) = 0\n" +
                       "1 mprotect(0x14000, 4096, PROT_READ) = 0\n" +
                       "1 mprotect(0x14000, 4096, PROT_READ|PROT_WRITE) = 0\n",
                   p),
              (Lines{"mmap r0 8 p0 anon", "mprotect r0 2+4 p3", "touch r0 2 2x2 write",
                     "mprotect r0 4+4 p3", "touch r0 6 2x1 write", "mprotect r0 4+1 p1",
                     "mprotect r0 4+1 p3", "touch r0 4 1x1 write"}));
    /* After all operations of one call. */
    EXPECT_EQ(only("1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x10000\n"
                   "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x11000\n"
                   "1 mprotect(0x10000, 8192, PROT_WRITE) = 0\n",
                   p),
              (Lines{"mmap r0 1 p1", "mmap r1 1 p1", "mprotect r0 0+1 p2",
                     "mprotect r1 0+1 p2 same", "touch r0 0 1x1 write", "touch r1 0 1x1 write"}));
    EXPECT_EQ(only("1 brk(NULL) = 0x10000\n1 brk(0x14000) = 0x14000\n", p),
              (Lines{"mmap r0 4 p3 anon", "touch r0 0 2x2 write"}));
    EXPECT_EQ(only(map_line("1", 0x10000, 1) +
                       "1 mremap(0x10000, 4096, 16384, MREMAP_MAYMOVE) = 0x90000\n",
                   p),
              (Lines{"mmap r0 1 p3 anon", "touch r0 0 1x1 write", "mremap r0 1 -> r1 4",
                     "touch r1 1 2x1 write"}));
    /* What is too short is not, and a failed call does nothing. */
    p.touch_min_length = 16384 + 1;
    EXPECT_EQ(only(reserve + commit, p), (Lines{"mmap r0 8 p0 anon", "mprotect r0 2+4 p3"}));
    p.touch_min_length = 0;
    EXPECT_EQ(only(reserve + "1 mprotect(0x12000, 16384, PROT_WRITE) = -1 ENOMEM (Cannot)\n" +
                       "1 madvise(0x12000, 4096, MADV_DONTNEED) = 0\n",
                   p),
              (Lines{"mmap r0 8 p0 anon", "dontneed r0 2+1"}));
}

TEST(StraceWorkload, RandomTouchesStayInside)
{
    ts_strace_params p = defaults();
    p.touch_pages = 1000;
    p.touch_placement = TS_PLACEMENT_RANDOM;
    Trace t(map_line("1", 0x10000, 7), p, 5);
    Ops ops = pull_all(t);
    ASSERT_EQ(ops[0].size(), 1001u);
    std::map<uint64_t, int> hits;
    for (size_t i = 1; i < ops[0].size(); i++) {
        const ts_op &op = ops[0][i];
        ASSERT_EQ(op.kind, TS_OP_TOUCH);
        ASSERT_EQ(op.count, 1u);
        ASSERT_EQ(op.flags, TS_OPF_WRITE);
        ASSERT_EQ(op.length, 0u);
        hits[op.offset]++;
    }
    EXPECT_EQ(hits.size(), 7u);
    EXPECT_EQ(hits.rbegin()->first, 6u * 4096u);
}

TEST(StraceWorkload, SleepAfterTouchedMemoryOnly)
{
    ts_strace_params p = defaults();
    p.touch_pages = 1;
    p.touch_min_length = 8192;
    p.think = TS_STRACE_THINK_SLEEP;
    p.sleep_min = 20 * TS_NS;
    p.sleep_max = 22 * TS_NS;
    std::set<uint64_t> lengths;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        Trace t(map_line("1", 0x10000, 2) + map_line("1", 0x12000, 1) +
                    "1 munmap(0x10000, 12288) = 0\n" + map_line("1", 0x12000, 1) +
                    "1 munmap(0x12000, 4096) = 0\n",
                p, seed);
        std::vector<ts_op> ops = pull_all(t)[0];
        ASSERT_EQ(ops.size(), 8u);
        EXPECT_EQ(ops[4].flags, TS_OPF_SAME_CALL); /* the sleep comes after the whole call */
        ASSERT_EQ(ops[5].kind, TS_OP_SLEEP);
        lengths.insert(ops[5].length);
    }
    EXPECT_EQ(lengths, (std::set<uint64_t>{20, 21, 22}));
}

ts_strace_params recorded(uint64_t permille = 1000)
{
    ts_strace_params p = defaults();
    p.think = TS_STRACE_THINK_RECORDED;
    p.think_scale = permille;
    return p;
}

TEST(StraceWorkload, RecordedTimeBetweenCalls)
{
    const std::string map = "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x10000";
    const std::string unmap = "munmap(0x10000, 4096";
    /* From the end of a call, by its duration or its resumed line, to the start of the next. */
    const std::string with_t = "1 1795259309.000100 " + map + " <0.000010>\n1 1795259309.000150 " +
                               unmap + ") = 0 <0.000005>\n";
    EXPECT_EQ(only(with_t, recorded()), (Lines{"mmap r0 1 p1", "compute 40000", "munmap r0 0+1"}));
    EXPECT_EQ(only(with_t, recorded(2500)),
              (Lines{"mmap r0 1 p1", "compute 100000", "munmap r0 0+1"}));
    EXPECT_EQ(only(with_t, recorded(0)), (Lines{"mmap r0 1 p1", "munmap r0 0+1"}));
    EXPECT_EQ(only("1 1795259309.000100 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0 <unfinished "
                   "...>\n1 1795259309.000107 <... mmap resumed>) = 0x10000\n1 1795259309.000110 " +
                       unmap + ") = 0\n",
                   recorded()),
              (Lines{"mmap r0 1 p1", "compute 3000", "munmap r0 0+1"}));
    /* A call that is not replayed takes its own time out. */
    EXPECT_EQ(only("1 1795259309.000100 " + map +
                       " <0.000010>\n1 1795259309.000120 futex(0x1, FUTEX_WAIT, 0, NULL) = 0 "
                       "<0.500000>\n1 1795259309.500121 " +
                       unmap + ") = 0 <0.000001>\n",
                   recorded()),
              (Lines{"mmap r0 1 p1", "compute 11000", "munmap r0 0+1"}));
    /* Midnight; and times relative to the line before, whosever it is. */
    EXPECT_EQ(
        only("1 23:59:59.999999 " + map + "\n1 00:00:00.000001 " + unmap + ") = 0\n", recorded()),
        (Lines{"mmap r0 1 p1", "compute 2000", "munmap r0 0+1"}));
    EXPECT_EQ(only("1      0.000000 " + map + "\n1      0.000003 --- SIGUSR1 {} ---\n" +
                       "1      0.000004 " + unmap + ") = 0\n",
                   recorded()),
              (Lines{"mmap r0 1 p1", "compute 7000", "munmap r0 0+1"}));
    /* Without times there is nothing to replay. */
    EXPECT_EQ(only("1 " + map + "\n1 " + unmap + ") = 0\n", recorded()),
              (Lines{"mmap r0 1 p1", "munmap r0 0+1"}));
}

/* --- streaming
 * ------------------------------------------------------------------------------------- */

/* Two threads that alternate: what waits does not grow with the text. */
TEST(StraceWorkload, MemoryIsTheDistanceBetweenThreads)
{
    std::string text = "1 " + thread_call;
    for (int i = 0; i < 20000; i++)
        text += map_line("1", 0x100000, 1) + "1 munmap(0x100000, 4096) = 0\n" +
                map_line("2", 0x200000, 1) + "2 munmap(0x200000, 4096) = 0\n";
    Trace t(text);
    ts_op op;
    ASSERT_EQ(t.next(0, op), 1);
    size_t most = 0, read_ahead = 0;
    for (int i = 0; i < 40000; i++)
        for (uint32_t thread : {0u, 1u}) {
            ASSERT_EQ(t.next(thread, op), 1);
            most = std::max(most, ts_strace_workload_queued(t.w));
            read_ahead = t.source.at;
            if (i == 100) {
                EXPECT_LT(read_ahead, text.size() / 4);
            }
        }
    EXPECT_LT(most, 200u);
    EXPECT_EQ(t.next(0, op), 0);
    EXPECT_EQ(t.next(1, op), 0);
    EXPECT_EQ(t.next(7, op), 0); /* never a thread */
}

TEST(StraceWorkload, SourceIsClosedOnce)
{
    const ts_strace_params p = defaults();
    Source s("1 brk(NULL) = 0x1000\n");
    ts_workload_config config{&p, 1, 0, &s.source};
    ts_workload *w = nullptr;
    ts_error err{};
    ASSERT_EQ(ts_workload_kind_find("strace")->create(&w, &config, &err), TS_OK);
    EXPECT_EQ(s.closed, 0);
    w->destroy(w);
    EXPECT_EQ(s.closed, 1);
}

// The first thread's second line comes behind all of the other's, which has to wait.
TEST(StraceWorkload, WhatWaitsDoesNotGrowInMemory)
{
    constexpr int lines = 200000;
    std::string text = "1 " + thread_call + map_line("1", 0x10000, 2);
    for (int i = 0; i < lines; i++)
        text += "2 mprotect(0x10000, " + std::to_string(4096 * (1 + i % 2)) + ", PROT_READ) = 0\n";
    Trace t(text + "1 munmap(0x10000, 8192) = 0\n");
    ts_op op;
    for (int i = 0; i < 2; i++)
        ASSERT_EQ(t.next(0, op), 1);
    const size_t before = mallinfo2().uordblks; // 0 where the allocator is a sanitizer's
    ASSERT_EQ(t.next(0, op), 1);
    EXPECT_EQ(op.kind, TS_OP_MUNMAP);
    EXPECT_LT(mallinfo2().uordblks, before + (256 << 10));
    uint64_t length = 0;
    for (int i = 0; i < lines; i++) {
        ASSERT_EQ(t.next(1, op), 1);
        ASSERT_EQ(op.kind, TS_OP_MPROTECT);
        length += op.length;
    }
    EXPECT_EQ(length, lines / 2 * 3 * UINT64_C(4096));
}

/* --- errors
 * ---------------------------------------------------------------------------------------- */

struct Failure {
    ts_error err{};
    uint64_t ops = 0;
};

Failure fail(const std::string &text, const ts_strace_params &p = strict(),
             size_t fail_at = SIZE_MAX)
{
    Trace t(text, p);
    t.source.fail_at = fail_at;
    Failure f;
    ts_op op;
    int got;
    while ((got = t.next(0, op)) == 1)
        f.ops++;
    EXPECT_EQ(got, -1) << text;
    f.err = t.err;
    /* It stays failed, for every thread. */
    t.err = ts_error{};
    EXPECT_EQ(t.next(1, op), -1);
    EXPECT_STREQ(t.err.message, f.err.message);
    return f;
}

TEST(StraceWorkloadErrors, PlaceOfALineNoRuleAccepts)
{
    Failure f = fail("1 brk(NULL) = 0x1000\n1 munmap(0x1000; 4096) = 0\n");
    EXPECT_EQ(f.err.status, TS_ERR_USER);
    EXPECT_STREQ(f.err.file, "trace.txt");
    EXPECT_EQ(f.err.line, 2u);
    EXPECT_EQ(f.err.column, 16u);
    EXPECT_STREQ(f.err.message, "expected ',' and another argument");
    /* What no rule is near to may be the program's: the message says how it is kept out. */
    f = fail("1 brk(NULL) = 0x1000\nThe answer is 42\n");
    EXPECT_EQ(f.err.line, 2u);
    EXPECT_NE(std::string(f.err.message).find("-o FILE"), std::string::npos);
}

/* Without `strict` the same is counted, and the first line named. */
TEST(StraceWorkloadErrors, WhatCannotBeReadIsCounted)
{
    Trace t("The answer is\n1 brk(NULL) = 0x1000\n1 munmap(0x1000; 4096) = 0\n\x1b[31m42\n" +
            map_line("1", 0x10000, 1) + "1 mremap(0x10000, 4096, 0, MREMAP_MAYMOVE) = 0x5000\n" +
            "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x1001\n1 fork() = 0\n" +
            "1 munmap(0x10000, 4096) = 0\n");
    EXPECT_EQ(show(pull_all(t)[0]), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1"}));
    EXPECT_EQ(t.counts().foreign_lines, 3u);
    EXPECT_EQ(t.counts().impossible_calls, 3u);
    EXPECT_EQ(t.counts().first_unread, 1u);
    EXPECT_EQ(t.counts().lines, 9u);
}

TEST(StraceWorkloadErrors, NotAnStraceText)
{
    for (const ts_strace_params &p : {strict(), defaults()}) {
        Failure f = fail("\nThe quick brown fox\njumps\n", p);
        EXPECT_EQ(f.err.line, 2u);
        EXPECT_EQ(f.err.column, 4u);
        EXPECT_NE(std::string(f.err.message).find("not an strace text"), std::string::npos);
        EXPECT_NE(std::string(fail(std::string("\x28\xb5\x2f\xfd\x00\x00\n", 7), p).err.message)
                      .find("not an strace text"),
                  std::string::npos);
        for (const std::string &text :
             {std::string(), std::string(200, '\n'), std::string("strace: Process 7 attached\n"),
              read_file("tests/data/strace/variants/mini.c-summary.txt")})
            EXPECT_NE(std::string(fail(text, p).err.message).find("no system call"),
                      std::string::npos);
    }
    /* However long the program talks before. */
    std::string text;
    for (int i = 0; i < 500; i++)
        text += "warming up\n";
    Trace t(text + map_line("1", 0x1000, 1));
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
    EXPECT_EQ(t.counts().foreign_lines, 500u);
}

TEST(StraceWorkloadErrors, LongLine)
{
    const std::string head = "1 brk(NULL) = 0x1000\n1 write(1, \"";
    const std::string text = head + std::string(3 * TS_LINE_MAX, 'x') + "\", 5) = 5\n";
    Failure f = fail(text);
    EXPECT_EQ(f.err.line, 2u);
    EXPECT_NE(std::string(f.err.message).find("too long"), std::string::npos);
    for (const char *end : {"\n", ""}) {
        Trace over(text + map_line("1", 0x1000, 1) + head.substr(21) +
                   std::string(TS_LINE_MAX, 'x') + end);
        EXPECT_EQ(pull_all(over)[0].size(), 1u);
        EXPECT_EQ(over.counts().foreign_lines, 2u);
        EXPECT_EQ(over.counts().first_unread, 2u);
        EXPECT_EQ(over.counts().lines, 4u);
    }
    /* A line of the limit is read. */
    const std::string tail = "\", 5) = 5\n";
    std::string fits = "1 write(1, \"";
    fits += std::string(TS_LINE_MAX - fits.size() - tail.size() + 1, 'x') + tail;
    Trace t(fits + map_line("1", 0x1000, 1));
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
    EXPECT_EQ(t.counts().foreign_lines, 0u);
}

TEST(StraceWorkloadErrors, SourceThatFailsMidway)
{
    std::string text;
    for (int i = 0; i < 10; i++)
        text += map_line("1", 0x1000 + 0x1000u * static_cast<unsigned>(i), 1);
    /* In the middle of the sixth line: the five before it were good. */
    Failure f = fail(text, defaults(), text.find("0x6000") + 2);
    EXPECT_EQ(f.ops, 5u);
    EXPECT_EQ(f.err.status, TS_ERR_ENVIRONMENT);
    EXPECT_STREQ(f.err.message, "the disk is gone");
}

TEST(StraceWorkloadErrors, LastLineCutOff)
{
    Trace t(map_line("1", 0x1000, 1) + "1 munmap(0x1000, 40");
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
    EXPECT_EQ(t.counts().partial_lines, 1u);
    EXPECT_EQ(t.counts().cut_calls, 0u);
    EXPECT_EQ(fail(map_line("1", 0x1000, 1) + "1 munmap(0x1000, 40\n").err.line, 2u);
    Trace whole(map_line("1", 0x1000, 1) + "1 munmap(0x1000, 4096) = 0");
    EXPECT_EQ(pull_all(whole)[0].size(), 2u);
}

TEST(StraceWorkloadErrors, ImpossibleResults)
{
    for (const char *line :
         {"1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x1001\n",
          "1 mmap(NULL, 18446744073709551615, PROT_READ, MAP_PRIVATE, 3, 0) = 0x1000\n",
          "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0xfffffffffffff000\n",
          "1 mmap(NULL, 0, PROT_READ, MAP_PRIVATE, 3, 0) = 0x1000\n",
          "1 mremap(0x1000, 4096, 0, MREMAP_MAYMOVE) = 0x5000\n",
          "1 brk(0xffffffffffffffff) = 0xffffffffffffffff\n", "1 fork() = 0\n",
          "1 fork() = 99999999999\n"}) {
        Failure f = fail(std::string("1 exit(0) = ?\n") + line);
        EXPECT_EQ(f.err.status, TS_ERR_USER) << line;
        EXPECT_EQ(f.err.line, 2u) << line;
    }
}

TEST(StraceWorkloadErrors, Configuration)
{
    ts_strace_params p = defaults();
    ts_workload_config config{&p, 1, 0, nullptr};
    ts_workload *w = nullptr;
    ts_error err{};
    const ts_workload_kind *kind = ts_workload_kind_find("strace");
    EXPECT_TRUE(kind->ops.needs_file);
    EXPECT_EQ(kind->create(&w, &config, &err), TS_ERR_USER);
    Source s("");
    config.source = &s.source;
    p.sleep_min = 2;
    p.sleep_max = 1;
    EXPECT_EQ(kind->create(&w, &config, &err), TS_ERR_USER);
    EXPECT_EQ(s.closed, 0);
    EXPECT_EQ(ts_workload_kind_find("no_such_kind"), nullptr);
}

/* --- trace info
 * ------------------------------------------------------------------------------------- */

TEST(StraceInfo, Mmapstorm)
{
    const std::string text = read_file("workloads/traces/mmapstorm.strace.zst");
    const std::vector<std::string> lines = lines_of(text);
    Source s(text);
    auto info = std::make_unique<ts_strace_info>();
    ts_error err{};
    ASSERT_EQ(ts_strace_info_read(info.get(), &s.source, false, &err), TS_OK) << err.message;
    EXPECT_EQ(s.closed, 1);
    std::map<std::string, uint64_t> begun;
    uint64_t exits = 0;
    for (const std::string &line : lines) {
        std::string body = line.substr(line.find(' ', 6) + 1);
        if (body[0] == '+')
            exits++;
        else if (body[0] != '<')
            begun[body.substr(0, body.find('('))]++;
    }
    std::map<std::string, uint64_t> calls;
    for (size_t i = 0; i < info->call_names; i++)
        calls[info->calls[i].name] = info->calls[i].count;
    EXPECT_EQ(calls, begun);
    EXPECT_EQ(info->counts.calls[TS_STRACE_MUNMAP], begun["munmap"]);
    EXPECT_EQ(info->counts.lines, lines.size());
    EXPECT_EQ(info->counts.exits, exits);
    EXPECT_EQ(info->counts.threads, exits);
    auto stamp = [](const std::string &line) {
        return std::stoull(line.substr(6, 10)) * 1000000u + std::stoull(line.substr(17, 6));
    };
    EXPECT_EQ(info->span_ns, (stamp(lines.back()) - stamp(lines.front())) * 1000u);
    Trace t(text);
    uint64_t operations = 0;
    for (const auto &[thread, ops] : pull_all(t))
        operations += ops.size();
    EXPECT_EQ(info->operations, operations);
    /* Every row of the table is one of the struct. */
    for (size_t i = 0; i < ts_strace_info_stats.nrows; i++)
        EXPECT_LE(ts_strace_info_stats.rows[i].offset + 8, offsetof(ts_strace_info, calls));
}

TEST(StraceInfo, ErrorsComeThroughAndTheSourceIsClosed)
{
    Source s("1 brk(NULL) = 0x1000\ngarbage\n");
    auto info = std::make_unique<ts_strace_info>();
    ts_error err{};
    EXPECT_EQ(ts_strace_info_read(info.get(), &s.source, true, &err), TS_ERR_USER);
    EXPECT_EQ(err.line, 2u);
    EXPECT_EQ(s.closed, 1);
}

} // namespace
