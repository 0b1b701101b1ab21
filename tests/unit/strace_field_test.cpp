/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings as they come from the field (tests/data/strace/field). */
#include "tests/unit/strace_testing.hpp"
#include "workloads/trace_info.h"

#include <set>

using namespace strace_testing;

namespace
{

std::string field(const std::string &name)
{
    return read_file("tests/data/strace/field/" + name);
}

std::map<ts_op_kind, uint64_t> kinds(const std::vector<ts_op> &ops)
{
    std::map<ts_op_kind, uint64_t> n;
    for (const ts_op &op : ops)
        n[op.kind]++;
    return n;
}

/* What strict refuses: 0, or the line. */
uint32_t strict_line(const std::string &text)
{
    Trace t(text, strict());
    std::vector<uint32_t> todo{0};
    for (size_t i = 0; i < todo.size(); i++) {
        ts_op op;
        int got;
        while ((got = t.next(todo[i], op)) == 1)
            if (op.kind == TS_OP_SPAWN)
                todo.push_back(op.target);
        if (got < 0)
            return t.err.line;
    }
    return 0;
}

uint64_t unread(const ts_strace_counts &c)
{
    return c.foreign_lines + c.cut_calls + c.impossible_calls + c.partial_lines;
}

const Lines map_unmap{"mmap r0 16 p3 anon", "munmap r0 0+16"};

/* --- whose memory it is -------------------------------------------------------------------------
 */

/* Four processes that never share memory, whatever strace says of their clone. */
TEST(StraceField, FlagsOfCloneInEveryForm)
{
    Trace whole(field("oldclone-whole.strace.zst"));
    const Ops want = pull_all(whole);
    ASSERT_EQ(want.size(), 4u);
    EXPECT_EQ(show(want.at(0))[0], "spawn t1 new_mm copy");
    for (const char *name :
         {"oldclone-resumed.strace.zst", "pidns-comment.strace.zst", "raw-clone.strace.zst"}) {
        SCOPED_TRACE(name);
        Trace t(field(name));
        Ops ops = pull_all(t);
        EXPECT_EQ(t.counts().threads, 4u);
        EXPECT_EQ(t.counts().processes, 4u);
        EXPECT_EQ(t.counts().assumed_spawns, 0u);
        EXPECT_EQ(t.counts().stale_overlaps, 0u);
        ASSERT_EQ(ops.size(), want.size());
        for (const auto &[thread, list] : want)
            EXPECT_EQ(show(ops[thread]), show(list)) << thread;
        EXPECT_EQ(strict_line(field(name)), 0u);
    }
}

/* The message is printed where strace would go on, and old strace has printed no argument yet. */
TEST(StraceField, OldCloneCutByTheMessage)
{
    for (const char *message : {"strace: Process 501 attached", "Process 501 attached",
                                "/usr/bin/strace: Process 501 attached"}) {
        Trace t(map_line("500", 0x10000, 1) + "500 clone(" + message +
                "\nchild_stack=0, flags=CLONE_CHILD_CLEARTID|SIGCHLD, child_tidptr=0x7f) = 501\n" +
                "501 munmap(0x10000, 4096) = 0\n500 munmap(0x10000, 4096) = 0\n");
        Ops ops = pull_all(t);
        EXPECT_EQ(show(ops[0]),
                  (Lines{"mmap r0 1 p3 anon", "spawn t1 new_mm copy", "munmap r0 0+1"}));
        EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+1"}));
        EXPECT_EQ(t.counts().processes, 2u);
    }
}

/* In a container without --decode-pids=pidns: clone returns the container's numbers. */
TEST(StraceField, NumbersOfAContainer)
{
    const std::string fork = "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD";
    Trace t(map_line("500", 0x10000, 1) + "500 " + fork + ") = 2\n" + "500 " + fork +
            " <unfinished ...>\n501 munmap(0x10000, 4096) = 0\n" +
            "500 <... clone resumed>) = 3\n502 munmap(0x10000, 4096) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(t.counts().threads, 3u);
    EXPECT_EQ(t.counts().processes, 3u);
    EXPECT_EQ(t.counts().assumed_spawns, 0u);
    for (uint32_t thread : {1u, 2u})
        EXPECT_EQ(show(ops[thread]), (Lines{"munmap r0 0+1"}));
}

/* Flags that are nowhere: shared, and counted. */
TEST(StraceField, CloneWithoutFlagsIsSaid)
{
    Trace t(map_line("1", 0x10000, 1) + "1 clone3(0x7ffc10, 0x58) = 0x2\n" +
            "2 munmap(0x10000, 4096) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 1 p3 anon", "spawn t1"}));
    EXPECT_EQ(t.counts().assumed_spawns, 1u);
    EXPECT_EQ(t.counts().threads, 2u);
}

/* strace -p A -p B: addresses tell that the two share nothing. */
TEST(StraceField, TwoProgramsAttached)
{
    Trace t(field("two-attached.strace.zst"));
    Ops ops = pull_all(t);
    EXPECT_EQ(t.counts().processes, 2u);
    EXPECT_EQ(t.counts().separated, 1u);
    EXPECT_EQ(t.counts().assumed_spawns, 1u);
    EXPECT_EQ(t.counts().stale_overlaps, 0u);
    EXPECT_EQ(t.counts().unknown_ranges, 0u);
    EXPECT_EQ(show(ops[0])[1], "spawn t1 new_mm"); /* with nothing of the other's */
    EXPECT_EQ(kinds(ops[0])[TS_OP_MUNMAP], 50u);
    EXPECT_EQ(kinds(ops[1])[TS_OP_MUNMAP], 50u);
}

/* It shows later: the thread goes on in memory of its own. */
TEST(StraceField, ContradictionFoundLater)
{
    Trace t(map_line("1", 0x10000, 1) + "2 getpid() = 2\n" + map_line("2", 0x10000, 1) +
            "2 munmap(0x10000, 4096) = 0\n1 munmap(0x10000, 4096) = 0\n");
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 1 p3 anon", "spawn t1", "munmap r0 0+1"}));
    EXPECT_EQ(show(ops[1]), (Lines{"exec", "mmap r1 1 p3 anon", "munmap r1 0+1"}));
    EXPECT_EQ(t.counts().processes, 2u);
    EXPECT_EQ(t.counts().stale_overlaps, 0u);
}

/* The contradiction is found by the thread that was there before; what the other has mapped stays
 * behind, and its munmap is counted as one of unknown memory. */
TEST(StraceField, ContradictionFoundByTheFirst)
{
    Trace t(map_line("1", 0x90000, 1) + map_line("2", 0x10000, 1) + map_line("1", 0x10000, 1) +
            "2 munmap(0x10000, 4096) = 0\n1 munmap(0x10000, 4096) = 0\n" +
            map_line("2", 0x90000, 2));
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]),
              (Lines{"mmap r0 1 p3 anon", "spawn t1", "mmap r2 1 p3 anon", "munmap r2 0+1"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r1 1 p3 anon", "exec", "mmap r3 2 p3 anon"}));
    EXPECT_EQ(t.counts().separated, 1u);
    EXPECT_EQ(t.counts().unknown_ranges, 1u);
    EXPECT_EQ(t.counts().mapped_bytes, 3u * 4096u);
    /* A thread that clone3 explains is never separated: the recording has lost a munmap. */
    Trace u("1 " + thread_call + map_line("1", 0x10000, 1) + map_line("2", 0x10000, 1));
    EXPECT_EQ(show(pull_all(u)[1]), (Lines{"munmap r0 0+1", "mmap r1 1 p3 anon same"}));
    EXPECT_EQ(u.counts().separated, 0u);
    EXPECT_EQ(u.counts().stale_overlaps, 1u);
}

/* Real recordings of threads that nothing explains hold no contradiction. */
TEST(StraceField, RealThreadsAreNotSeparated)
{
    for (const char *file :
         {"workloads/traces/mmapstorm.strace.zst", "tests/data/strace/storm8.ns.strace.zst",
          "tests/data/strace/stressng-malloc-4threads.strace.zst",
          "tests/data/strace/stressng-tlb-shootdown.strace.zst"}) {
        Trace t(read_file(file));
        pull_all(t);
        EXPECT_EQ(t.counts().separated, 0u) << file;
        EXPECT_EQ(unread(t.counts()), 0u) << file;
    }
}

/* A child's memory is its parent's, by the same numbers; what it maps later has new ones. */
TEST(StraceField, ForkInheritsMemory)
{
    Trace t(field("fork3.strace"));
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 2 p3 anon", "spawn t1 new_mm copy"}));
    EXPECT_EQ(show(ops[1]), (Lines{"munmap r0 0+2"}));
    EXPECT_EQ(t.counts().unknown_ranges, 0u);
    for (const char *call :
         {"fork() = 2", "clone(child_stack=NULL, flags=CLONE_VFORK|SIGCHLD) = 2"}) {
        Trace f(map_line("1", 0x10000, 2) + "1 " + call + "\n" + map_line("2", 0x20000, 1) +
                map_line("1", 0x20000, 1) + "2 mprotect(0x10000, 4096, PROT_READ) = 0\n" +
                "2 munmap(0x20000, 4096) = 0\n1 munmap(0x20000, 4096) = 0\n");
        ops = pull_all(f);
        EXPECT_EQ(show(ops[0]), (Lines{"mmap r0 2 p3 anon", "spawn t1 new_mm copy",
                                       "mmap r2 1 p3 anon", "munmap r2 0+1"}));
        EXPECT_EQ(show(ops[1]),
                  (Lines{"mmap r1 1 p3 anon", "mprotect r0 0+1 p1", "munmap r1 0+1"}));
    }
    for (const char *call :
         {"vfork() = 2", "clone(child_stack=0x7f, flags=CLONE_VM|CLONE_VFORK|SIGCHLD) = 2"}) {
        Trace f(map_line("1", 0x10000, 2) + "1 " + call + "\n2 munmap(0x10000, 4096) = 0\n");
        EXPECT_EQ(show(pull_all(f)[0]), (Lines{"mmap r0 2 p3 anon", "spawn t1"}));
    }
}

TEST(StraceField, OneRecordingAfterTheOther)
{
    Trace t(field("two-recordings.strace"));
    Ops ops = pull_all(t);
    EXPECT_EQ(show(ops[0]),
              (Lines{"mmap r0 16 p3 anon", "munmap r0 0+16", "spawn t1 new_mm", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r1 16 p3 anon", "munmap r1 0+16", "exit"}));
    EXPECT_EQ(t.counts().processes, 2u);
    EXPECT_EQ(strict_line(field("two-recordings.strace")), 0u);
    /* Without numbers, and three of them; a late line of the first starts nothing. */
    const std::string one = "execve(\"/bin/x\", [\"x\"], 0x1) = 0\nbrk(NULL) = 0x1000\n"
                            "brk(0x2000) = 0x2000\n+++ exited with 0 +++\n";
    Trace u(one + "+++ exited with 0 +++\n<... read resumed>) = 0\n" + one + one);
    ops = pull_all(u);
    ASSERT_EQ(ops.size(), 3u);
    for (uint32_t i = 0; i < 3; i++)
        EXPECT_EQ(kinds(ops[i])[TS_OP_MMAP], 1u);
    EXPECT_EQ(u.counts().exits, 3u);
    EXPECT_EQ(u.counts().processes, 3u);
}

/* --- lines of others ----------------------------------------------------------------------------
 */

TEST(StraceField, WhatTheProgramPrints)
{
    const std::string text = field("stderr-mixed-in.strace");
    Trace t(text);
    Ops ops = pull_all(t); /* 701 is seen first, by strace's message */
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "exit"}));
    EXPECT_EQ(show(ops[1]), (Lines{"mmap r0 16 p3 anon", "munmap r0 0+16", "exit"}));
    EXPECT_EQ(t.counts().foreign_lines, 1u);
    EXPECT_EQ(t.counts().first_unread, 4u);
    EXPECT_EQ(t.counts().exits, 2u);
    EXPECT_EQ(strict_line(text), 4u);
}

TEST(StraceField, WhatALogCollectorPutsBefore)
{
    const std::string text = field("two-recordings.strace");
    Trace plain(text);
    const Ops want = pull_all(plain);
    for (const char *head : {"Nov 28 07:34:26 host strace[12]: ", "2026-11-28T07:34:26Z stdout F ",
                             "app_1  | ", "t.strace:", "[  12.345678] "}) {
        std::string all;
        for (const std::string &line : lines_of(text))
            all += head + line + "\n";
        Trace t(all + head + "the program says munmap(0x1000, 4096) = well\n");
        Ops ops = pull_all(t);
        ASSERT_EQ(ops.size(), 2u) << head;
        for (const auto &[thread, list] : want)
            EXPECT_EQ(show(ops[thread]), show(list)) << head;
        EXPECT_EQ(t.counts().prefixed_lines, 10u) << head;
        EXPECT_EQ(t.counts().foreign_lines, 1u) << head;
    }
    /* Where lines stand by themselves, what a program prints behind something is not read. */
    Trace t(map_line("1", 0x10000, 1) + "log: 1 munmap(0x10000, 4096) = 0\n");
    EXPECT_EQ(show(pull_all(t)[0]), (Lines{"mmap r0 1 p3 anon"}));
    EXPECT_EQ(t.counts().foreign_lines, 1u);
}

TEST(StraceField, LeftWhileItRuns)
{
    for (const char *name : {"detach-new.strace", "detach-old.strace"}) {
        Trace t(field(name));
        EXPECT_EQ(show(pull_all(t)[0]), map_unmap) << name;
        EXPECT_EQ(t.counts().left_unfinished, 1u) << name;
        EXPECT_EQ(t.counts().notes, 2u) << name;
        EXPECT_EQ(t.counts().threads, 1u) << name;
        EXPECT_EQ(strict_line(field(name)), 0u) << name;
    }
    Trace t(field("detach-threads.strace"));
    Ops ops = pull_all(t);
    EXPECT_EQ(t.counts().threads, 2u);
    EXPECT_EQ(t.counts().left_unfinished, 2u);
    EXPECT_EQ(unread(t.counts()), 0u);
    EXPECT_EQ(show(ops[0]), (Lines{"spawn t1", "mmap r0 16 p3 anon"}));
    /* With -o the message is elsewhere. */
    Trace o(map_line("7", 0x10000, 1) + "7 pause( <detached ...>\n");
    pull_all(o);
    EXPECT_EQ(o.counts().left_unfinished, 1u);
}

/* The program writes to the terminal after strace has printed its call. */
TEST(StraceField, OutputInACall)
{
    const std::string text = field("output-in-call.strace");
    Trace t(text);
    EXPECT_EQ(show(pull_all(t)[0]), map_unmap);
    EXPECT_EQ(t.counts().pairs, 1u);
    EXPECT_EQ(unread(t.counts()), 0u);
    EXPECT_EQ(strict_line(text), 0u);
    /* In a call that counts; in several lines, of which the others are not of strace. */
    const std::string map = map_line("1", 0x10000, 1);
    Trace u(map + "1 munmap(0x10000, 4096Ready\nto go\n\n)          = 0\n" + map);
    EXPECT_EQ(show(pull_all(u)[0]),
              (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1", "mmap r1 1 p3 anon"}));
    EXPECT_EQ(u.counts().foreign_lines, 1u);
    /* Another thread's line in between. */
    Trace v(map + "1 munmap(0x10000, 4096Ready\n <unfinished ...>\n2 getpid() = 1\n" +
            "1 <... munmap resumed>) = 0\n");
    EXPECT_EQ(show(pull_all(v)[0]), (Lines{"mmap r0 1 p3 anon", "spawn t1", "munmap r0 0+1"}));
    EXPECT_EQ(unread(v.counts()), 0u);
    /* The end is nowhere: as if it had not been called. */
    const std::string lost = map + "1 munmap(0x10000, 4096Ready\n1 munmap(0x10000, 4096) = 0\n";
    Trace w(lost);
    EXPECT_EQ(show(pull_all(w)[0]), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1"}));
    EXPECT_EQ(w.counts().cut_calls, 1u);
    EXPECT_EQ(w.counts().first_unread, 2u);
    EXPECT_EQ(strict_line(lost), 2u);
    /* What looks like a call does not end one that is in progress. */
    Trace x(map + "1 munmap(0x10000, 4096 <unfinished ...>\n1 say(hello\n" +
            "1 <... munmap resumed>) = 0\n");
    EXPECT_EQ(show(pull_all(x)[0]), (Lines{"mmap r0 1 p3 anon", "munmap r0 0+1"}));
    EXPECT_EQ(x.counts().foreign_lines, 1u);
}

TEST(StraceField, LastLineCutOff)
{
    const std::string text = field("lastline-cut.strace");
    for (const std::string &t : {text, text.substr(0, text.size() - 1)}) {
        Trace trace(t);
        EXPECT_EQ(pull_all(trace)[0].size(), 1u);
        EXPECT_EQ(trace.counts().partial_lines, 1u);
        EXPECT_EQ(trace.counts().cut_calls, 0u);
        EXPECT_EQ(strict_line(t), 2u);
    }
}

TEST(StraceField, FormsThatAreRead)
{
    struct Case {
        const char *name;
        Lines ops;
        uint64_t notes;
    };
    const Lines map{"mmap r0 16 p3 anon"};
    for (const Case &c :
         {Case{"bom.strace", map, 0}, Case{"secontext-full.strace", map, 0},
          Case{"riscv-sv57.strace", map, 0}, Case{"hexdump.strace", map_unmap, 1},
          Case{"mode-32bit.strace", {"mmap r0 16 p3 anon", "munmap r0 0+16", "exit"}, 1}}) {
        Trace t(field(c.name));
        EXPECT_EQ(show(pull_all(t)[0]), c.ops) << c.name;
        EXPECT_EQ(t.counts().notes, c.notes) << c.name;
        EXPECT_EQ(unread(t.counts()), 0u) << c.name;
        EXPECT_EQ(strict_line(field(c.name)), 0u) << c.name;
    }
}

/* --- calls --------------------------------------------------------------------------------------
 */

/* What an allocator does: reserve, commit, purge. */
TEST(StraceField, ReserveCommitPurge)
{
    ts_strace_params p = defaults();
    p.touch_pages = 16;
    Trace t(field("reserve-commit-purge.strace.zst"), p);
    uint64_t purges = 0, touches = 0, commits = 0;
    for (const auto &[thread, ops] : pull_all(t))
        for (size_t i = 0; i < ops.size(); i++) {
            touches += ops[i].kind == TS_OP_TOUCH;
            commits += ops[i].kind == TS_OP_MPROTECT;
            if (ops[i].kind != TS_OP_MADVISE_DONTNEED)
                continue;
            purges++;
            /* Each finds pages, and is followed by new ones. */
            EXPECT_EQ(ops[i - 1].kind, TS_OP_TOUCH);
            ASSERT_LT(i + 1, ops.size());
            EXPECT_EQ(ops[i + 1].kind, TS_OP_TOUCH);
            EXPECT_EQ(ops[i + 1].count, 16u);
        }
    EXPECT_EQ(purges, 400u);
    EXPECT_EQ(commits, 4u);
    EXPECT_EQ(touches, purges + commits);
}

Lines only(const std::string &text, const ts_strace_params &p)
{
    Trace t(text, p);
    return show(pull_all(t)[0]);
}

TEST(StraceField, TouchesComeBackAfterAPurge)
{
    ts_strace_params p = defaults();
    p.touch_pages = 2;
    using Row = std::pair<const char *, const char *>;
    for (auto [advice, op] : {Row{"MADV_DONTNEED", "dontneed"}, Row{"MADV_FREE", "free"},
                              Row{"MADV_DONTNEED_LOCKED", "dontneed"}})
        EXPECT_EQ(
            only(map_line("1", 0x10000, 8) + "1 madvise(0x12000, 16384, " + advice + ") = 0\n", p),
            (Lines{"mmap r0 8 p3 anon", "touch r0 0 2x4 write", std::string(op) + " r0 2+4",
                   "touch r0 2 2x2 write"}))
            << advice;
    /* These change entries too, but nothing says that the pages are used again. */
    for (auto [advice, op] : {Row{"MADV_REMOVE", "dontneed"}, Row{"MADV_PAGEOUT", "pageout"},
                              Row{"MADV_COLD", "cold"}, Row{"MADV_GUARD_INSTALL", "dontneed"}})
        EXPECT_EQ(
            only(map_line("1", 0x10000, 8) + "1 madvise(0x12000, 16384, " + advice + ") = 0\n", p),
            (Lines{"mmap r0 8 p3 anon", "touch r0 0 2x4 write", std::string(op) + " r0 2+4"}))
            << advice;
    /* Random pages lie in the part. */
    p.touch_placement = TS_PLACEMENT_RANDOM;
    p.touch_pages = 200;
    Trace t("1 mmap(NULL, 32768, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x10000\n"
            "1 mprotect(0x12000, 8192, PROT_READ|PROT_WRITE) = 0\n",
            p);
    std::set<uint64_t> pages;
    const std::vector<ts_op> ops = pull_all(t)[0];
    for (const ts_op &op : ops)
        if (op.kind == TS_OP_TOUCH)
            pages.insert(op.offset / 4096);
    EXPECT_EQ(pages, (std::set<uint64_t>{2, 3}));
}

TEST(StraceField, EveryCallOnMemoryIsReplayedOrSaid)
{
    Trace t(field("shm-hugetlb-pkey.strace"));
    EXPECT_EQ(show(pull_all(t)[0]),
              (Lines{"mmap r0 512 p3 anon", "mmap r1 4 p3 anon", "mmap r2 1 p1 anon",
                     "mmap r3 33 p3 anon", "munmap r3 1+32", "mprotect r0 0+512 p0",
                     "munmap r0 0+512", "mprotect r1 0+1 p1"}));
    EXPECT_EQ(t.counts().huge_mappings, 1u);
    EXPECT_EQ(t.counts().not_modelled, 3u); /* process_madvise, shmat, shmdt */
    EXPECT_EQ(t.counts().failed_calls, 1u);
    Trace u(map_line("1", 0x10000, 1) +
            "1 madvise(0x10000, 4096, MADV_COLLAPSE) = 0\n"
            "1 ioctl(4, UFFDIO_WRITEPROTECT, {range={start=0x10000, len=0x1000}, mode=0}) = 0\n"
            "1 madvise(0x10000, 4096, MADV_WILLNEED) = 0\n");
    EXPECT_EQ(pull_all(u)[0].size(), 2u);
    EXPECT_EQ(u.counts().not_modelled, 1u);
    EXPECT_EQ(u.counts().advice_ignored, 1u);
}

TEST(StraceField, SharedSegments)
{
    const std::string get = "1 shmget(IPC_PRIVATE, 10000, IPC_CREAT|0600) = 3\n";
    const std::string at = "1 shmat(3, NULL, 0) = 0x10000\n";
    ts_strace_params p = defaults();
    p.touch_pages = 1;
    Trace t(get + at + "1 shmat(3, NULL, SHM_RDONLY) = 0x20000\n1 munmap(0x11000, 4096) = 0\n" +
                "1 shmdt(0x10000) = 0\n1 shmdt(0x20000) = 0\n1 shmdt(0x20000) = -1 EINVAL (Inv)\n",
            p);
    EXPECT_EQ(show(pull_all(t)[0]),
              (Lines{"mmap r0 3 p3 shared", "touch r0 0 1x3 write", "mmap r1 3 p1 shared",
                     "munmap r0 1+1", "munmap r0 0+1", "munmap r1 0+3"}));
    EXPECT_EQ(t.counts().not_modelled, 0u);
    /* Its address is free from the start of the call on, as with munmap. */
    Trace u("1 " + thread_call + get + at + "1 shmdt(0x10000 <unfinished ...>\n" +
            map_line("2", 0x10000, 1) + "1 <... shmdt resumed>) = 0\n");
    EXPECT_EQ(show(pull_all(u)[0]), (Lines{"spawn t1", "mmap r0 3 p3 shared", "munmap r0 0+3"}));
    EXPECT_EQ(u.counts().stale_overlaps, 0u);
    /* What was not attached as a segment is not detached. */
    Trace v(map_line("1", 0x10000, 1) + "1 shmdt(0x10000) = 0\n");
    EXPECT_EQ(pull_all(v)[0].size(), 1u);
    EXPECT_EQ(v.counts().not_modelled, 1u);
}

/* --- what a run says of it ----------------------------------------------------------------------
 */

TEST(StraceField, LossesAreNamed)
{
    Trace t("hello\n" + field("two-attached.strace.zst") + "800 munmap(0x1000, 4096) = 0\n");
    pull_all(t);
    const ts_stat_table *table = nullptr;
    const void *counts = t.w->losses(t.w, &table);
    std::map<std::string, uint64_t> told;
    for (size_t i = 0; i < table->nrows; i++) {
        EXPECT_EQ(table->rows[i].kind, TS_STAT_COUNTER);
        const uint64_t v = *reinterpret_cast<const uint64_t *>(static_cast<const char *>(counts) +
                                                               table->rows[i].offset);
        if (v > 0)
            told[table->rows[i].name] = v;
    }
    EXPECT_EQ(told, (std::map<std::string, uint64_t>{{"assumed_spawns", 1},
                                                     {"first_unread", 1},
                                                     {"foreign_lines", 1},
                                                     {"separated", 1},
                                                     {"unknown_ranges", 1}}));
}

} // namespace
