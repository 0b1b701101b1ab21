/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace.h"

#include "sim/rng.h"
#include "tests/unit/strace_testing.hpp"
#include "workloads/line_reader.h"
#include "workloads/op_queue.h"
#include "workloads/trace_info.h"

#include <algorithm>
#include <set>

using namespace strace_testing;

namespace
{

/* --- the text, counted by other means than the parser's -----------------------------------------
 */

struct Expected {
    uint64_t mmaps = 0, munmaps = 0, mprotects = 0, dontneeds = 0, exits = 0;
};

uint64_t number_after(const std::string &line, const std::string &word, int base)
{
    return std::stoull(line.substr(line.find(word) + word.size()), nullptr, base);
}

/* What a -f -ttt -T text of one process that keeps to mmap, munmap, mprotect, madvise and brk must
 * become, per thread in the order of the threads' first lines. */
std::vector<Expected> count_text(const std::vector<std::string> &lines)
{
    std::map<std::string, size_t> order;
    std::map<std::string, std::string> open; /* first half of a call, by tid */
    std::vector<Expected> threads;
    std::map<uint64_t, uint64_t> ever_mapped; /* end by start */
    uint64_t heap = 0;
    for (const std::string &line : lines) {
        std::string tid = line.substr(0, line.find(' '));
        auto [it, fresh] = order.emplace(tid, threads.size());
        if (fresh)
            threads.emplace_back();
        Expected &e = threads[it->second];
        std::string body = line.substr(line.find(' ', tid.size() + 1) + 1);
        if (body.rfind("+++", 0) == 0) {
            e.exits++;
            continue;
        }
        size_t half = body.find(" <unfinished");
        if (half != std::string::npos) {
            open[tid] = body.substr(0, half);
            continue;
        }
        if (body.rfind("<...", 0) == 0)
            body = open[tid] + body.substr(body.find('>') + 1);
        uint64_t ret = std::stoull(body.substr(body.rfind(" = ") + 3), nullptr, 0);
        if (body.rfind("mmap(", 0) == 0) {
            uint64_t len = std::stoull(body.substr(body.find(',') + 2));
            ever_mapped[ret] = ret + len;
            e.mmaps++;
            /* The loader's: it falls into the one mapping made before it. */
            e.munmaps += body.find("MAP_FIXED") != std::string::npos;
        } else if (body.rfind("munmap(", 0) == 0) {
            e.munmaps++;
        } else if (body.rfind("mprotect(", 0) == 0) {
            uint64_t addr = number_after(body, "mprotect(", 16);
            auto m = ever_mapped.upper_bound(addr);
            e.mprotects += m != ever_mapped.begin() && std::prev(m)->second > addr;
        } else if (body.rfind("madvise(", 0) == 0) {
            e.dontneeds += body.find("MADV_DONTNEED") != std::string::npos;
        } else if (body.rfind("brk(", 0) == 0) {
            e.mmaps += heap != 0 && ret > heap;
            heap = ret;
        }
    }
    return threads;
}

std::map<ts_op_kind, uint64_t> kinds(const std::vector<ts_op> &ops)
{
    std::map<ts_op_kind, uint64_t> n;
    for (const ts_op &op : ops)
        n[op.kind]++;
    return n;
}

TEST(StraceWorkload, MmapstormHasTheOperationsOfItsText)
{
    const std::string text = read_file("workloads/traces/mmapstorm.strace.zst");
    const std::vector<std::string> lines = lines_of(text);
    const std::vector<Expected> want = count_text(lines);
    Trace t(text);
    Ops ops = pull_all(t);
    ASSERT_EQ(want.size(), 66u);
    ASSERT_EQ(ops.size(), want.size());
    for (uint32_t i = 0; i < want.size(); i++) {
        SCOPED_TRACE("thread " + std::to_string(i));
        auto n = kinds(ops[i]);
        EXPECT_EQ(n[TS_OP_MMAP], want[i].mmaps);
        EXPECT_EQ(n[TS_OP_MUNMAP], want[i].munmaps);
        EXPECT_EQ(n[TS_OP_MPROTECT], want[i].mprotects);
        EXPECT_EQ(n[TS_OP_MADVISE_DONTNEED], want[i].dontneeds);
        EXPECT_EQ(n[TS_OP_EXIT], want[i].exits);
        EXPECT_EQ(n[TS_OP_SPAWN], i == 0 ? want.size() - 1 : 0u);
        EXPECT_EQ(n[TS_OP_TOUCH] + n[TS_OP_COMPUTE] + n[TS_OP_SLEEP] + n[TS_OP_EXEC], 0u);
        EXPECT_EQ(ops[i].back().kind, TS_OP_EXIT);
        if (i > 0) {
            EXPECT_EQ(n[TS_OP_MMAP], 50u);
        }
    }
    EXPECT_EQ(t.counts().lines, lines.size());
    EXPECT_EQ(t.counts().assumed_spawns, want.size() - 1);
    EXPECT_EQ(t.counts().stale_overlaps, 0u);
    EXPECT_EQ(t.counts().pairs, 6714u); /* workloads/traces/README.md */
}

/* Every round of every worker unmaps exactly what it mapped, and regions are made once. */
TEST(StraceWorkload, MmapstormRoundsMatch)
{
    Trace t(read_file("workloads/traces/mmapstorm.strace.zst"));
    Ops ops = pull_all(t);
    std::set<uint32_t> regions;
    for (const auto &[thread, list] : ops) {
        uint32_t open = UINT32_MAX;
        for (const ts_op &op : list) {
            if (op.kind == TS_OP_MMAP) {
                ASSERT_TRUE(regions.insert(op.region).second);
                open = op.region;
            }
            if (thread > 0 && op.kind == TS_OP_MMAP) {
                ASSERT_EQ(op.length, 16384u * 4096u);
                ASSERT_EQ(op.flags, TS_OPF_ANONYMOUS);
                ASSERT_EQ(op.prot, TS_PROT_READ | TS_PROT_WRITE);
            }
            if (thread > 0 && op.kind == TS_OP_MUNMAP) {
                ASSERT_EQ(op.region, open);
                ASSERT_EQ(op.offset, 0u);
                ASSERT_EQ(op.length, 16384u * 4096u);
            }
        }
    }
    EXPECT_EQ(regions.size(), t.counts().regions);
    EXPECT_EQ(*regions.rbegin(), regions.size() - 1);
}

/* --- the order of asking -------------------------------------------------------------------------
 */

ts_strace_params busy()
{
    ts_strace_params p = defaults();
    p.touch_pages = 5;
    p.touch_placement = TS_PLACEMENT_RANDOM;
    p.touch_min_length = 1 << 20;
    p.think = TS_STRACE_THINK_SLEEP;
    return p;
}

Ops pull_shuffled(const std::string &text, uint64_t order_seed, size_t piece)
{
    Trace t(text, busy());
    t.source.piece = piece;
    Ops ops;
    std::vector<uint32_t> live{0};
    ts_rng rng;
    ts_rng_init(&rng, order_seed, "test.order", 0);
    while (!live.empty()) {
        size_t i = ts_rng_below(&rng, live.size());
        ts_op op;
        int got = t.next(live[i], op);
        EXPECT_GE(got, 0) << t.err.message;
        if (got <= 0) {
            live.erase(live.begin() + static_cast<ptrdiff_t>(i));
            continue;
        }
        ops[op.thread].push_back(op);
        if (op.kind == TS_OP_SPAWN)
            live.push_back(op.target);
    }
    return ops;
}

void expect_same(const Ops &a, const Ops &b)
{
    ASSERT_EQ(a.size(), b.size());
    for (const auto &[thread, list] : a) {
        const auto &other = b.at(thread);
        ASSERT_EQ(list.size(), other.size()) << "thread " << thread;
        for (size_t i = 0; i < list.size(); i++)
            ASSERT_TRUE(same(list[i], other[i]))
                << "thread " << thread << " operation " << i << ": " << show(list[i]) << " / "
                << show(other[i]);
    }
}

TEST(StraceWorkload, OperationsDoNotDependOnTheOrderOfAsking)
{
    for (const char *file :
         {"workloads/traces/mmapstorm.strace.zst", "tests/data/strace/storm8.ns.strace.zst",
          "tests/data/strace/stressng-tlb-shootdown.strace.zst",
          "tests/data/strace/ninja-gcc.strace.zst"}) {
        SCOPED_TRACE(file);
        const std::string text = read_file(file);
        Trace t(text, busy());
        Ops first = pull_all(t);
        for (uint64_t seed = 1; seed <= 3; seed++) {
            SCOPED_TRACE("order seed " + std::to_string(seed));
            expect_same(first, pull_shuffled(text, seed, seed * 777));
        }
    }
}

TEST(StraceWorkload, RandomStreamsHangOnSeedAndInstance)
{
    const std::string text = read_file("tests/data/strace/storm8.ns.strace.zst");
    Trace a(text, busy(), 1, 0), b(text, busy(), 1, 0), c(text, busy(), 2, 0),
        d(text, busy(), 1, 1);
    Ops first = pull_all(a);
    expect_same(first, pull_all(b));
    for (Trace *t : {&c, &d}) {
        Ops other = pull_all(*t);
        size_t differ = 0, touches = 0;
        for (size_t i = 0; i < first[1].size(); i++)
            if (first[1][i].kind == TS_OP_TOUCH) {
                touches++;
                differ += first[1][i].offset != other[1][i].offset;
            }
        /* Its rounds, and its stack, which it purges when it ends. */
        EXPECT_EQ(touches, 5u * 101u);
        EXPECT_GT(differ, touches / 2);
    }
}

/* The same program under every output option: the same operations but for the numbers of regions,
 * which tell in what order the threads got theirs. */
TEST(StraceWorkload, EveryVariantIsTheSameProgram)
{
    Ops first;
    for (const char *file :
         {"mini.f-notime.strace", "mini.Xraw.strace", "mini.Xverbose-n.strace", "mini.Y-yy.strace",
          "mini.f-r.strace", "mini.f-t.strace", "mini.f-tt-T.stderr.strace"}) {
        SCOPED_TRACE(file);
        Trace t(read_file(std::string("tests/data/strace/variants/") + file));
        Ops ops = pull_all(t);
        ASSERT_EQ(ops.size(), 3u);
        EXPECT_EQ(t.counts().assumed_spawns, 0u);
        EXPECT_EQ(t.counts().stale_overlaps, 0u);
        if (first.empty())
            first = ops;
        for (uint32_t i = 0; i < 3; i++)
            EXPECT_EQ(show(ops[i], false), show(first[i], false)) << "thread " << i;
        EXPECT_EQ(kinds(ops[1])[TS_OP_MUNMAP], 3u);
    }
}

/* As if the recording ended after so many lines: the same operations as those lines alone. */
TEST(StraceWorkload, ReadsOnlyTheFirstLines)
{
    const std::string file = read_file("tests/data/strace/variants/mini.f-tt-T.stderr.strace");
    for (uint64_t lines : {1u, 7u, 20u}) {
        SCOPED_TRACE(lines);
        ts_strace_params p = defaults();
        size_t at = 0;
        for (uint64_t i = 0; i < lines; i++)
            at = file.find('\n', at) + 1;
        ASSERT_GT(at, 0u);
        p.lines = lines;
        Trace part(file, p), alone(file.substr(0, at));
        Ops got = pull_all(part), want = pull_all(alone);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < want.size(); i++)
            EXPECT_EQ(show(got[uint32_t(i)]), show(want[uint32_t(i)])) << "thread " << i;
    }
}

/* --- threads and processes -----------------------------------------------------------------------
 */

const std::string thread_open = "clone3({flags=CLONE_VM|CLONE_THREAD, tls=0x7f} <unfinished ...>\n";

TEST(StraceWorkload, ThreadByClone)
{
    Trace t("1 " + thread_call + map_line("2", 0x10000, 2) + "1 munmap(0x10000, 8192) = 0\n" +
            "2 +++ exited with 0 +++\n1 +++ exited with 0 +++\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "munmap r0 0+2", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 2 p3 anon", "exit"}));
    EXPECT_EQ(t.counts().assumed_spawns, 0u);
}

/* The child's lines come before the parent's call returns. */
TEST(StraceWorkload, ThreadSeenBeforeCloneReturns)
{
    Trace t("1 " + thread_open + map_line("2", 0x10000, 2) +
            "1 <... clone3 resumed> => {parent_tid=[2]}, 88) = 2\n1 munmap(0x10000, 8192) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "munmap r0 0+2"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 2 p3 anon"}));
    EXPECT_EQ(t.counts().assumed_spawns, 0u);
}

/* It even ends before. */
TEST(StraceWorkload, ThreadEndsBeforeCloneReturns)
{
    Trace t("1 " + thread_open + map_line("2", 0x10000, 2) + "2 +++ exited with 0 +++\n" +
            "1 <... clone3 resumed> => {parent_tid=[2]}, 88) = 2\n1 munmap(0x10000, 8192) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "munmap r0 0+2"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 2 p3 anon", "exit"}));
    EXPECT_EQ(t.counts().threads, 2u);
}

TEST(StraceWorkload, ForkCopiesTheMap)
{
    Trace t(map_line("1", 0x10000, 4) + "1 fork() = 2\n" + "2 munmap(0x10000, 8192) = 0\n" +
            "1 munmap(0x10000, 16384) = 0\n2 munmap(0x12000, 8192) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm copy", "munmap r0 0+4"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+2", "munmap r0 2+2"}));
    EXPECT_EQ(t.counts().processes, 2u);
    EXPECT_EQ(t.counts().mapped_peak_bytes, 8u * 4096u);
    EXPECT_EQ(t.counts().mapped_bytes, 0u);
}

/* Two forks in progress in two processes: whose child is 4 shows only when one of them returns, and
 * until then its lines wait. */
TEST(StraceWorkload, ChildOfOneOfTwoForks)
{
    const std::string flags = "clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD";
    Trace t(map_line("1", 0x10000, 4) + "1 " + flags + ") = 2\n2 munmap(0x10000, 4096) = 0\n" +
            "1 " + flags + " <unfinished ...>\n2 " + flags + " <unfinished ...>\n" +
            "4 munmap(0x10000, 16384) = 0\n" + map_line("4", 0x50000, 1) +
            "2 <... clone resumed>) = 4\n4 munmap(0x50000, 4096) = 0\n" +
            "1 <... clone resumed>) = 3\n3 munmap(0x10000, 16384) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(t.counts().assumed_spawns, 0u);
    EXPECT_EQ(t.counts().processes, 4u);
    EXPECT_EQ(show(ops[0]),
              (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm copy", "spawn t3 new_mm copy"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+1", "spawn t2 new_mm copy"}));
    /* Process 2 had unmapped the first page before it forked; process 1 had not. */
    EXPECT_EQ(show(ops[2]), (Lines{"munmap r0 1+3", "mmap r1 1 p3 anon", "munmap r1 0+1"}));
    EXPECT_EQ(show(ops[3]), (Lines{"munmap r0 0+4"}));
}

/* A thread of a process whose own parent is not known yet: both wait, and keep their order. */
TEST(StraceWorkload, ThreadOfAHeldProcess)
{
    Trace t("1 fork( <unfinished ...>\n1 +++ exited with 0 +++\n");
    ASSERT_EQ(pull_all(t).size(), 1u);
    Trace u(map_line("1", 0x10000, 4) + "1 fork( <unfinished ...>\n2 " + thread_open +
            map_line("3", 0x50000, 1) + "2 <... clone3 resumed> => {}, 88) = 3\n" +
            "3 munmap(0x50000, 4096) = 0\n" + map_line("2", 0x50000, 2) +
            "1 <... fork resumed>) = 2\n");
    Ops ops = pull_all(u);
    EXPECT_EQ(u.counts().assumed_spawns, 0u);
    EXPECT_EQ(u.counts().stale_overlaps, 0u);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm copy"}));
    EXPECT_EQ(show(ops[1]), (Lines{"spawn t2", "mmap r2 2 p3 anon"}));
    EXPECT_EQ(show(ops[2]), (Lines{"mmap r1 1 p3 anon", "munmap r1 0+1"}));
}

/* posix_spawn: the child shares memory until its execve, which leaves the parent's alone; vfork
 * returns after that. */
TEST(StraceWorkload, VforkAndExec)
{
    Trace t(map_line("1", 0x10000, 4) + "1 vfork( <unfinished ...>\n" +
            "2 munmap(0x10000, 4096) = 0\n" + "2 execve(\"/bin/true\", [\"true\"], 0x7f) = 0\n" +
            "1 <... vfork resumed>) = 2\n" + map_line("2", 0x10000, 4) +
            "2 munmap(0x10000, 4096) = 0\n1 munmap(0x10000, 16384) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1", "munmap r0 1+3"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+1", "exec", "mmap r1 4 p3 anon", "munmap r1 0+1"}));
}

/* execve by a thread that is not the first: it takes the first one's number. */
TEST(StraceWorkload, ExecByAnotherThread)
{
    Trace t(map_line("1", 0x10000, 1) + "1 " + thread_call + map_line("2", 0x20000, 1) +
            "2 execve(\"/bin/true\", [\"true\"], 0x7f <unfinished ...>\n" +
            "1 +++ superseded by execve in pid 2 +++\n1 <... execve resumed>) = 0\n" +
            map_line("1", 0x10000, 1) + "1 +++ exited with 0 +++\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 1 p3 anon", "spawn t1", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r1 1 p3 anon", "exec", "mmap r2 1 p3 anon", "exit"}));
    EXPECT_EQ(t.counts().stale_overlaps, 0u);
}

TEST(StraceWorkload, FailedCloneAndExecMakeNothing)
{
    Trace t("1 clone3(NULL, 0) = -1 EINVAL (Invalid argument)\n"
            "1 fork() = -1 EAGAIN (Resource temporarily unavailable)\n"
            "1 execve(\"/none\", [\"none\"], 0x7f) = -1 ENOENT (No such file or directory)\n"
            "1 +++ exited with 1 +++\n");
    EXPECT_EQ(show(pull_all(t)[0]), (Lines{"exit"}));
    EXPECT_EQ(t.counts().failed_calls, 3u);
    EXPECT_EQ(t.counts().threads, 1u);
}

TEST(StraceWorkload, UnexplainedThreadIsAssumed)
{
    Trace t(map_line("1", 0x10000, 1) + "2 munmap(0x10000, 4096) = 0\n1 brk(NULL) = 0x1000\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 1 p3 anon", "spawn t1"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+1"}));
    EXPECT_EQ(t.counts().assumed_spawns, 1u);
}

/* A clone in progress is abandoned when its thread is killed: the child is assumed to be its. */
TEST(StraceWorkload, ParentKilledInItsClone)
{
    Trace t("1 " + thread_open + map_line("2", 0x10000, 1) +
            "1 +++ killed by SIGKILL +++\n2 munmap(0x10000, 4096) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1"}));
    EXPECT_EQ(t.counts().assumed_spawns, 1u);
    EXPECT_EQ(t.counts().left_unfinished, 1u);
}

TEST(StraceWorkload, UnrecordedProgram)
{
    Trace t("1 brk(NULL) = 0x1000\n1 brk(0x3000) = 0x3000\n2 brk(NULL) = 0x1000\n"
            "2 brk(0x2000) = 0x2000\n2 brk(NULL) = 0x9000\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 2 p3 anon", "spawn t1"}));
    EXPECT_EQ(show(ops[1]), (Lines{"exec", "mmap r1 1 p3 anon", "exec"}));
    EXPECT_EQ(t.counts().assumed_programs, 2u);
}

/* Thread 2 starts 3 before its own parent is known, and that never comes to be: 3 must not become
 * the parent of 2. */
TEST(StraceWorkload, ChildOutlivesItsUnknownGrandparent)
{
    Trace t("1 " + thread_open + map_line("2", 0x10000, 1) +
            "2 clone3({flags=CLONE_VM} => {}, 88) = 3\n1 +++ killed by SIGKILL +++\n"
            "3 munmap(0x10000, 4096) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 1 p3 anon", "spawn t2"}));
    EXPECT_EQ(show(ops[2]), (Lines{"munmap r0 0+1"}));
}

/* A thread cannot be its own child, nor its parent's parent. */
TEST(StraceWorkload, ImpossibleFamilies)
{
    Trace t("1 " + thread_open + "2 vfork() = 2\n2 fork() = 3\n3 fork() = 2\n" +
            "1 <... clone3 resumed> => {}, 88) = 1\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1"}));
    EXPECT_EQ(show(ops[1]), (Lines{"spawn t2 new_mm copy"}));
    EXPECT_EQ(ops.size(), 3u);
}

/* Numbers that are reused after an end are new threads. */
TEST(StraceWorkload, ReusedNumber)
{
    Trace t("1 " + thread_call + "2 +++ exited with 0 +++\n1 " + thread_call +
            "2 +++ exited with 0 +++\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "spawn t2"}));
    EXPECT_EQ(show(ops[1]), (Lines{"exit"}));
    EXPECT_EQ(show(ops[2]), (Lines{"exit"}));
}

} // namespace
