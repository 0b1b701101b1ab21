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

bool same(const ts_op &a, const ts_op &b)
{
    return a.kind == b.kind && a.thread == b.thread && a.region == b.region &&
           a.target == b.target && a.prot == b.prot && a.flags == b.flags && a.offset == b.offset &&
           a.length == b.length && a.length2 == b.length2 && a.stride == b.stride &&
           a.count == b.count;
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
        EXPECT_EQ(touches, 5u * 100u);
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

/* --- threads and processes -----------------------------------------------------------------------
 */

const std::string thread_call =
    "clone3({flags=CLONE_VM|CLONE_THREAD, tls=0x7f} => {parent_tid=[2]}, "
    "88) = 2\n";
const std::string thread_open = "clone3({flags=CLONE_VM|CLONE_THREAD, tls=0x7f} <unfinished ...>\n";

std::string map_line(const std::string &tid, uint64_t addr, uint64_t pages)
{
    std::ostringstream s;
    s << tid << " mmap(NULL, " << pages * 4096
      << ", PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x" << std::hex << addr
      << "\n";
    return s.str();
}

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
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm", "munmap r0 0+4"}));
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
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm", "spawn t3 new_mm"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+1", "spawn t2 new_mm"}));
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
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 4 p3 anon", "spawn t1 new_mm"}));
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
    EXPECT_EQ(show(ops[1]), (Lines{"spawn t2 new_mm"}));
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
                   "1 madvise(0x10000, 8192, MADV_HUGEPAGE) = 0\n"),
              (Lines{"mmap r0 2 p3 anon", "mmap r1 2 p3 anon", "mprotect r0 1+1 p5",
                     "mprotect r1 0+1 p5 same", "dontneed r0 0+1", "dontneed r0 0+2"}));
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
    EXPECT_EQ(only(text, p),
              (Lines{"mmap r0 10 p3 anon", "touch r0 0 4x2 write", "mmap r1 2 p3 anon",
                     "touch r1 0 2x1 write", "mmap r2 1 p3 anon", "mmap r3 2 p1 anon",
                     "mmap r4 2 p3 shared", "mmap r5 2 p3"}));
    p.touch_write = 0;
    EXPECT_EQ(only(map_line("1", 0x10000, 4), p), (Lines{"mmap r0 4 p3 anon", "touch r0 0 4x1"}));
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

TEST(OpQueue, KeepsEveryField)
{
    ts_op_queue q{};
    ts_error err{};
    std::vector<ts_op> in;
    const uint64_t values[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX};
    for (int round = 0; round < 3; round++)
        for (uint64_t v : values) {
            ts_op op{};
            op.kind = TS_OP_EXEC;
            op.region = op.target = op.prot = op.flags = static_cast<uint32_t>(v);
            op.offset = op.length = op.length2 = op.stride = op.count = v;
            in.push_back(op);
            ASSERT_EQ(ts_op_queue_push(&q, &op, &err), TS_OK);
        }
    for (const ts_op &op : in) {
        ASSERT_FALSE(ts_op_queue_empty(&q));
        ts_op out;
        ts_op_queue_pop(&q, &out);
        EXPECT_TRUE(same(op, out));
    }
    EXPECT_TRUE(ts_op_queue_empty(&q));
    ts_op_queue_fini(&q);
}

/* --- errors
 * ---------------------------------------------------------------------------------------- */

struct Failure {
    ts_error err{};
    uint64_t ops = 0;
};

Failure fail(const std::string &text, size_t fail_at = SIZE_MAX)
{
    Trace t(text);
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
}

TEST(StraceWorkloadErrors, NotAnStraceText)
{
    Failure f = fail("The quick brown fox\n");
    EXPECT_EQ(f.err.line, 1u);
    EXPECT_NE(std::string(f.err.message).find("not an strace text"), std::string::npos);
    EXPECT_NE(std::string(fail(std::string("\x28\xb5\x2f\xfd\x00\x00\n", 7)).err.message)
                  .find("not an strace text"),
              std::string::npos);
    EXPECT_NE(std::string(fail("").err.message).find("no system call"), std::string::npos);
    f = fail(std::string(200, '\n'));
    EXPECT_EQ(f.err.line, 100u);
    EXPECT_NE(std::string(f.err.message).find("first 100 lines"), std::string::npos);
    f = fail(read_file("tests/data/strace/variants/mini.c-summary.txt"));
    EXPECT_NE(std::string(f.err.message).find("not an strace text"), std::string::npos);
    /* Ninety-nine notes are not too many. */
    Trace t(std::string(99, '\n') + map_line("1", 0x1000, 1));
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
}

TEST(StraceWorkloadErrors, LongLine)
{
    const std::string head = "1 brk(NULL) = 0x1000\n1 write(1, \"";
    Failure f = fail(head + std::string(TS_LINE_MAX + 1, 'x') + "\n");
    EXPECT_EQ(f.err.line, 2u);
    EXPECT_NE(std::string(f.err.message).find("1048576"), std::string::npos);
    /* A line of the limit is read. */
    const std::string tail = "\", 5) = 5\n";
    std::string fits = "1 write(1, \"";
    fits += std::string(TS_LINE_MAX - fits.size() - tail.size() + 1, 'x') + tail;
    Trace t(fits + map_line("1", 0x1000, 1));
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
}

TEST(StraceWorkloadErrors, SourceThatFailsMidway)
{
    std::string text;
    for (int i = 0; i < 10; i++)
        text += map_line("1", 0x1000 + 0x1000u * static_cast<unsigned>(i), 1);
    /* In the middle of the sixth line: the five before it were good. */
    Failure f = fail(text, text.find("0x6000") + 2);
    EXPECT_EQ(f.ops, 5u);
    EXPECT_EQ(f.err.status, TS_ERR_ENVIRONMENT);
    EXPECT_STREQ(f.err.message, "the disk is gone");
}

TEST(StraceWorkloadErrors, LastLineCutOff)
{
    Trace t(map_line("1", 0x1000, 1) + "1 munmap(0x1000, 40");
    EXPECT_EQ(pull_all(t)[0].size(), 1u);
    EXPECT_EQ(t.counts().partial_lines, 1u);
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

TEST(StraceWorkloadErrors, ThreadThatNothingCanHaveStarted)
{
    Trace t("1 +++ exited with 0 +++\n2 brk(NULL) = 0x1000\n");
    ts_op op;
    EXPECT_EQ(t.next(0, op), 1);
    EXPECT_EQ(t.next(0, op), 0);
    EXPECT_EQ(t.next(1, op), -1);
    EXPECT_EQ(t.err.line, 2u);
    EXPECT_NE(std::string(t.err.message).find("record clone"), std::string::npos);
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
    ASSERT_EQ(ts_strace_info_read(info.get(), &s.source, &err), TS_OK) << err.message;
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
    EXPECT_EQ(ts_strace_info_read(info.get(), &s.source, &err), TS_ERR_USER);
    EXPECT_EQ(err.line, 2u);
    EXPECT_EQ(s.closed, 1);
}

} // namespace
