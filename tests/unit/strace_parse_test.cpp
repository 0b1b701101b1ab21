/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace_parse.h"

#include "tests/unit/strace_testing.hpp"

namespace
{

using strace_testing::lines_of;
using strace_testing::read_file;

struct Parsed : ts_strace_record {
    std::string text; /* the record points into it */
    bool ok;
    explicit Parsed(std::string line) : text(std::move(line))
    {
        ok = ts_strace_parse(text.data(), text.size(), this);
    }
};

const std::string map_call = "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, "
                             "-1, 0) = 0x7f5980d91000";

void expect_map(const Parsed &r)
{
    ASSERT_TRUE(r.ok) << r.why << " at " << r.column;
    EXPECT_EQ(r.kind, TS_STRACE_CALL);
    EXPECT_EQ(r.call, TS_STRACE_MMAP);
    EXPECT_EQ(r.addr, 0u);
    EXPECT_EQ(r.length, 8192u);
    EXPECT_EQ(r.prot, 3u);
    EXPECT_EQ(r.flags, TS_STRACE_MAP_PRIVATE | TS_STRACE_MAP_ANONYMOUS);
    EXPECT_EQ(r.result, TS_STRACE_RESULT_VALUE);
    EXPECT_EQ(r.ret, 0x7f5980d91000u);
}

TEST(StraceParse, PidColumn)
{
    struct Case {
        const char *head;
        uint32_t tid; /* 0: none */
    };
    for (const Case &c : {Case{"", 0},
                          {"10645 ", 10645},
                          {"7     ", 7},
                          {"[pid 14698] ", 14698},
                          {"[pid    12] ", 12},
                          {"10884<mmapstorm> ", 10884},
                          {"10884<Web Content> ", 10884},
                          {"[pid 14698<a b>] ", 14698},
                          {"3 /* 10884 in strace's PID NS */ ", 10884},
                          {"3<sh> /* 10884 in strace's PID NS */ ", 10884},
                          {"4194304 ", 4194304}}) {
        SCOPED_TRACE(c.head);
        Parsed r(c.head + map_call);
        expect_map(r);
        EXPECT_EQ(r.has_tid, c.tid != 0);
        EXPECT_EQ(r.tid, c.tid);
    }
}

TEST(StraceParse, Time)
{
    struct Case {
        const char *head;
        ts_strace_time kind;
        uint64_t ns;
    };
    const uint64_t s = 1000000000u;
    const uint64_t day = ((11 * 60 + 17) * 60 + 25) * s;
    const Case cases[] = {
        {"", TS_STRACE_TIME_NONE, 0},
        {"11:17:25 ", TS_STRACE_TIME_DAY, day},
        {"11:17:25.776203 ", TS_STRACE_TIME_DAY, day + 776203000u},
        {"11:17:25.7 ", TS_STRACE_TIME_DAY, day + 700000000u},
        {"1795259309.820576 ", TS_STRACE_TIME_UNIX, 1795259309u * s + 820576000u},
        {"1795259309.820576123 ", TS_STRACE_TIME_UNIX, 1795259309u * s + 820576123u},
        {"1795259309 ", TS_STRACE_TIME_UNIX, 1795259309u * s},
        {"     0.000031 ", TS_STRACE_TIME_RELATIVE, 31000u},
        {"     0 ", TS_STRACE_TIME_RELATIVE, 0u},
        {"11:17:25 (+     0.000229) ", TS_STRACE_TIME_DAY, day},
        {"1795259309.820576 (+     0) ", TS_STRACE_TIME_UNIX, 1795259309u * s + 820576000u},
    };
    for (const char *pid : {"", "10645 ", "[pid 10645] "})
        for (const Case &c : cases) {
            SCOPED_TRACE(std::string(pid) + c.head);
            Parsed r(pid + std::string(c.head) + map_call);
            expect_map(r);
            EXPECT_EQ(r.tid, *pid ? 10645u : 0u);
            EXPECT_EQ(r.time_kind, c.kind);
            EXPECT_EQ(r.time_ns, c.ns);
        }
}

TEST(StraceParse, ColumnsOfNumberAndInstructionPointer)
{
    for (const char *head :
         {"[   9] ", "[00007f4ca05b7ce7] ", "[????????????????] ", "[????] ", "12 [  59] ",
          "12 [  11] [00007f9510c44ce7] ", "[pid 12] 11:17:25 [  11] [00007f9510c44ce7] "}) {
        SCOPED_TRACE(head);
        expect_map(Parsed(head + map_call));
    }
}

TEST(StraceParse, Duration)
{
    for (auto [tail, ns] : {std::pair<const char *, uint64_t>{" <0.000030>", 30000u},
                            {" <0.000031847>", 31847u},
                            {" <0.003>", 3000000u},
                            {" <2>", 2000000000u}}) {
        Parsed r(map_call + tail);
        expect_map(r);
        EXPECT_TRUE(r.has_duration) << tail;
        EXPECT_EQ(r.duration_ns, ns);
    }
    EXPECT_FALSE(Parsed(map_call).has_duration);
    /* The name of a thread that looks like a duration is none. */
    Parsed r("5 clone(child_stack=NULL, flags=SIGCHLD) = 7<8>");
    ASSERT_TRUE(r.ok);
    EXPECT_FALSE(r.has_duration);
    EXPECT_EQ(r.ret, 7u);
}

TEST(StraceParse, FlagsInEveryStyle)
{
    for (const char *args : {"0x3, 0x22",
                             "0x3 /* PROT_READ|PROT_WRITE */, 0x22 /* MAP_PRIVATE|"
                             "MAP_ANONYMOUS */",
                             "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS",
                             "PROT_WRITE|PROT_READ, MAP_ANONYMOUS|MAP_PRIVATE", "3, 34"}) {
        expect_map(Parsed(std::string("mmap(NULL, 8192, ") + args + ", -1, 0) = 0x7f5980d91000"));
    }
    Parsed none("mmap(0x1000, 8192, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|0x8000000, -1, "
                "0) = 0x1000");
    ASSERT_TRUE(none.ok);
    EXPECT_EQ(none.prot, 0u);
    EXPECT_EQ(none.addr, 0x1000u);
    EXPECT_EQ(none.flags, 0x8000032u);
    Parsed huge("mmap(NULL, 2097152, PROT_READ|PROT_GROWSDOWN, "
                "MAP_SHARED|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, 3</dev/hugepages/a>, 0x200000) = "
                "0x7f0000000000 <0.000001>");
    ASSERT_TRUE(huge.ok) << huge.why;
    EXPECT_EQ(huge.prot, 1u);
    EXPECT_EQ(huge.flags, TS_STRACE_MAP_SHARED | TS_STRACE_MAP_HUGETLB);
}

TEST(StraceParse, FileDescriptorsOfYy)
{
    for (const char *fd :
         {"3</etc/ld.so.cache>", "3</tmp/a) = 5>", "3</tmp/a(b>", "3</tmp/x>(deleted)",
          "3<TCP:[127.0.0.1:80->127.0.0.1:90]>", "3<socket:[12]>"}) {
        Parsed r(std::string("mmap(NULL, 54295, PROT_READ, MAP_PRIVATE, ") + fd +
                 ", 0) = 0x7f967fd07000 <0.000011>");
        ASSERT_TRUE(r.ok) << fd << ": " << r.why << " at " << r.column;
        EXPECT_EQ(r.ret, 0x7f967fd07000u) << fd;
        EXPECT_EQ(r.duration_ns, 11000u);
    }
}

TEST(StraceParse, CallsAndTheirArguments)
{
    Parsed unmap("munmap(0x7f59, 54295)             = 0");
    ASSERT_TRUE(unmap.ok);
    EXPECT_EQ(unmap.call, TS_STRACE_MUNMAP);
    EXPECT_EQ(unmap.addr, 0x7f59u);
    EXPECT_EQ(unmap.length, 54295u);

    Parsed protect("mprotect(0x7f59, 4096, PROT_READ|PROT_EXEC) = 0");
    ASSERT_TRUE(protect.ok);
    EXPECT_EQ(protect.call, TS_STRACE_MPROTECT);
    EXPECT_EQ(protect.prot, 5u);
    EXPECT_EQ(Parsed("pkey_mprotect(0x7f59, 4096, PROT_READ, 1) = 0").call, TS_STRACE_MPROTECT);

    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, MADV_DONTNEED) = 0").advice, TS_STRACE_MADV_DONTNEED);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, 0x4) = 0").advice, TS_STRACE_MADV_DONTNEED);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, 0x4 /* MADV_DONTNEED */) = 0").advice,
              TS_STRACE_MADV_DONTNEED);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, MADV_FREE) = 0").advice, TS_STRACE_MADV_FREE);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, MADV_HUGEPAGE) = 0").advice, TS_STRACE_MADV_HUGEPAGE);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, MADV_NOHUGEPAGE) = 0").advice,
              TS_STRACE_MADV_NOHUGEPAGE);
    EXPECT_EQ(Parsed("madvise(0x7f59, 4096, MADV_WILLNEED) = 0").advice, 0u);

    Parsed remap("mremap(0x7000, 266240, 528384, MREMAP_MAYMOVE) = 0x9000");
    ASSERT_TRUE(remap.ok);
    EXPECT_EQ(remap.call, TS_STRACE_MREMAP);
    EXPECT_EQ(remap.length, 266240u);
    EXPECT_EQ(remap.new_length, 528384u);
    Parsed fixed("mremap(0x7000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_FIXED, 0x9000) = 0x9000");
    ASSERT_TRUE(fixed.ok);
    EXPECT_EQ(fixed.flags & TS_STRACE_MREMAP_FIXED, TS_STRACE_MREMAP_FIXED);
    EXPECT_EQ(fixed.new_addr, 0x9000u);

    Parsed brk("brk(NULL)       = 0x564974354000 <0.000030>");
    ASSERT_TRUE(brk.ok);
    EXPECT_EQ(brk.call, TS_STRACE_BRK);
    EXPECT_EQ(brk.addr, 0u);
    EXPECT_EQ(brk.ret, 0x564974354000u);

    EXPECT_EQ(Parsed("mmap2(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = 0xf7d0").call,
              TS_STRACE_MMAP);
    EXPECT_EQ(Parsed("fork() = 12").call, TS_STRACE_FORK);
    EXPECT_EQ(Parsed("vfork() = 12").call, TS_STRACE_VFORK);
    Parsed other("mlock(0x7f59, 4096) = 0");
    ASSERT_TRUE(other.ok);
    EXPECT_EQ(other.call, TS_STRACE_OTHER);
    EXPECT_EQ(std::string(other.name, other.name_len), "mlock");
}

TEST(StraceParse, Clone)
{
    struct Case {
        const char *line;
        bool has_flags, vm;
    };
    for (const Case &c :
         {Case{"clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, "
               "child_tidptr=0x7fc5ea033fd0) = 11175 <0.000330>",
               true, false},
          {"clone3({flags=CLONE_VM|CLONE_FS, child_tid=0x7f, stack_size=0x7fff80} => "
           "{parent_tid=[11175]}, 88) = 11175",
           true, true},
          {"clone3({flags=0x3d0f00, child_tid=0x7f} => {parent_tid=[11175]}, 88) = 11175", true,
           true},
          {"clone3({flags=0x3d0f00 /* CLONE_VM|CLONE_FS */, tls=0x7f} => {parent_tid=[11175]}, 88) "
           "= 11175<mmapstorm> <0.000061>",
           true, true},
          {"clone(child_stack=NULL, flags=0x1200011) = 11175", true, false},
          {"clone(0x1200011, 0, 0, 0x7f5a10, 0) = 0x2ba7", true, false},
          {"clone(0x3d0f00, 0x7f5a10, 0x7f5a11, 0x7f5a12, 0) = 0x2ba7", true, true},
          {"clone(child_stack=NULL, flags=SIGCHLD) = 2 /* 11175 in strace's PID NS */", true,
           false},
          {"clone3(0x7ffc10, 0x58) = 0x2ba7", false, false},
          {"clone(0x7ffc) = 11175", false, false}}) {
        Parsed r(c.line);
        ASSERT_TRUE(r.ok) << c.line << ": " << r.why << " at " << r.column;
        EXPECT_EQ(r.has_flags, c.has_flags) << c.line;
        EXPECT_EQ((r.flags & TS_STRACE_CLONE_VM) != 0, c.vm) << c.line;
        EXPECT_EQ(r.ret, 11175u);
    }
}

TEST(StraceParse, Results)
{
    Parsed error("munmap(0x7f59, 0) = -1 EINVAL (Invalid argument) <0.000007>");
    ASSERT_TRUE(error.ok);
    EXPECT_EQ(error.result, TS_STRACE_RESULT_ERROR);
    EXPECT_EQ(error.duration_ns, 7000u);
    EXPECT_EQ(Parsed("mmap(0x1000, 18446744073709547520, PROT_READ, MAP_PRIVATE, 3, 0) = -1 "
                     "ENOMEM (Cannot allocate memory)")
                  .result,
              TS_STRACE_RESULT_ERROR);
    EXPECT_EQ(Parsed("exit(0)                           = ?").result, TS_STRACE_RESULT_UNKNOWN);
    EXPECT_EQ(Parsed("munmap(0x7f59, 4096) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)")
                  .result,
              TS_STRACE_RESULT_UNKNOWN);
    EXPECT_EQ(Parsed("exit_group(0) = ? <unavailable>").result, TS_STRACE_RESULT_UNKNOWN);
    EXPECT_EQ(Parsed("brk(NULL) = 0x1000 (INJECTED)").ret, 0x1000u);
}

TEST(StraceParse, UnfinishedAndResumed)
{
    Parsed first("10647 1795259309.826504 munmap(0x7f597b200000, 67108864 <unfinished ...>");
    ASSERT_TRUE(first.ok);
    EXPECT_EQ(first.kind, TS_STRACE_UNFINISHED);
    EXPECT_EQ(first.length, 67108864u);
    EXPECT_EQ(first.result, TS_STRACE_RESULT_NONE);
    Parsed second("10647 1795259309.826621 <... munmap resumed>)    = 0 <0.000111>");
    ASSERT_TRUE(second.ok);
    EXPECT_EQ(second.kind, TS_STRACE_RESUMED);
    EXPECT_EQ(second.call, TS_STRACE_MUNMAP);
    EXPECT_EQ(second.ret, 0u);
    EXPECT_EQ(second.duration_ns, 111000u);
    EXPECT_EQ(Parsed("1 <... mmap resumed> ) = 0x7000").ret, 0x7000u);

    /* Before the comma of the next argument. */
    Parsed clone("9 clone3({flags=CLONE_VM|CLONE_FS, tls=0x7f89166f96c0} <unfinished ...>");
    ASSERT_TRUE(clone.ok);
    EXPECT_EQ(clone.kind, TS_STRACE_UNFINISHED);
    EXPECT_EQ(clone.flags, TS_STRACE_CLONE_VM);
    EXPECT_EQ(Parsed("9 <... clone3 resumed> => {parent_tid=[14709]}, 88) = 14709").ret, 14709u);
    EXPECT_EQ(Parsed("9 <... clone resumed>, child_tidptr=0x7fc5ea033fd0) = 11177 <0.003208>").ret,
              11177u);
    EXPECT_EQ(Parsed("9 <... exit resumed>) = ?").result, TS_STRACE_RESULT_UNKNOWN);
    /* strace 4.x prints clone's arguments when it ends. */
    Parsed old(
        "9 <... clone resumed> child_stack=0, flags=CLONE_VM|SIGCHLD, child_tidptr=0x7f) = 3");
    ASSERT_TRUE(old.ok);
    EXPECT_TRUE(old.has_flags);
    EXPECT_EQ(old.flags, TS_STRACE_CLONE_VM);
    EXPECT_EQ(old.ret, 3u);
    EXPECT_FALSE(Parsed("9 <... clone resumed>, child_tidptr=0x7f) = 11177").has_flags);

    for (const char *line : {"9 exit_group(0 <ptrace(SYSCALL):No such process>",
                             "9 read(0,  <detached ...>", "9 wait4(-1,  <unfinished ...>"})
        EXPECT_EQ(Parsed(line).kind, TS_STRACE_UNFINISHED) << line;
    EXPECT_EQ(Parsed("9 <... nanosleep resumed> <unfinished ...>) = ?").kind, TS_STRACE_RESUMED);
    EXPECT_EQ(Parsed("9 <... read resumed> <unfinished ...>").kind, TS_STRACE_NOTE);
    EXPECT_EQ(Parsed("9 ????"
                     "( <unfinished ...>")
                  .kind,
              TS_STRACE_UNFINISHED);
    EXPECT_EQ(Parsed("9 restart_syscall(<... resuming interrupted read ...>) = 0").kind,
              TS_STRACE_CALL);
}

TEST(StraceParse, SignalsAndEnds)
{
    for (const char *line :
         {"--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_utime=1 /* 0.01 s */} ---",
          "7 --- stopped by SIGSTOP ---", "7 11:17:25 --- SIGRT_1 {si_signo=SIGRT_1} ---"})
        EXPECT_EQ(Parsed(line).kind, TS_STRACE_SIGNAL) << line;
    for (const char *line :
         {"7 +++ exited with 0 +++", "+++ exited with 255 +++", "7 +++ killed by SIGKILL +++",
          "7 1795259458.020079 +++ killed by SIGSEGV (core dumped) +++"}) {
        Parsed r(line);
        EXPECT_TRUE(r.ok) << line;
        EXPECT_EQ(r.kind, TS_STRACE_EXITED) << line;
    }
    Parsed over("14 +++ superseded by execve in pid 15 +++");
    ASSERT_TRUE(over.ok);
    EXPECT_EQ(over.kind, TS_STRACE_SUPERSEDED);
    EXPECT_EQ(over.tid, 14u);
    EXPECT_EQ(over.peer, 15u);
    EXPECT_EQ(Parsed("14<a> +++ superseded by execve in pid 15<b> +++").peer, 15u);
}

TEST(StraceParse, NotesOfStraceItself)
{
    for (const char *line :
         {"",
          "   ",
          "\t",
          "strace: Process 12 detached",
          "^Cstrace: Process 12 detached",
          "Process 12 detached",
          "/usr/bin/strace: Process 12 detached",
          "/opt/strace-6.1/bin/strace: WARNING: Cannot...",
          "^C/usr/bin/strace: Process 12 detached",
          "10884 [ Process PID=5 runs in 32 bit mode. ]",
          "[pid     5] [ Process PID=5 runs in x32 mode. ]",
          "07:34:26 [ Process PID=2824 runs in 32 bit mode. ]",
          "5<a> 07:34:26.123456 [   9] [00007f4ca05b7ce7] [ Process PID=2824 runs in 64 bit mode. "
          "]",
          "1795259309.820576 (+     0.000229) [ Process PID=2824 runs in 32 bit mode. ]",
          " | 00000  68 65 6c 6c 6f 0a                                 hello.           |",
          "strace: [ Process PID=5 runs in 32 bit mode. ]",
          "[ Process PID=5 runs in 32 bit mode. ]",
          " > /usr/lib/libc.so.6(_exit+0x29) [0xd4409]",
          "% time     seconds  usecs/call     calls    errors syscall",
          "------ ----------- ----------- --------- --------- ----------------",
          "  0.00    0.000000           0         3         1 munmap",
          "100.00    0.000000           0        36           total"}) {
        Parsed r(line);
        EXPECT_TRUE(r.ok) << line << ": " << r.why;
        EXPECT_EQ(r.kind, TS_STRACE_NOTE) << line;
    }
    for (const char *line :
         {"strace: Process 14700 attached", "Process 14700 attached",
          "strace: Process 14700 attached with 3 threads",
          "/usr/bin/strace: Process 14700 attached", "strace: Process 14700<a> attached"}) {
        Parsed r(line);
        EXPECT_EQ(r.kind, TS_STRACE_ATTACHED) << line;
        EXPECT_EQ(r.peer, 14700u);
    }
}

TEST(StraceParse, CallCutByAMessage)
{
    Parsed cut("11:17:25.778169 clone3({flags=CLONE_VM, tls=0x7f}strace: Process 14699 attached");
    ASSERT_TRUE(cut.ok) << cut.why;
    EXPECT_EQ(cut.kind, TS_STRACE_CUT);
    EXPECT_EQ(cut.call, TS_STRACE_CLONE3);
    EXPECT_EQ(cut.flags, TS_STRACE_CLONE_VM);
    EXPECT_EQ(cut.peer, 14699u);
    ts_strace_record rest;
    std::string line = " => {parent_tid=[14699]}, 88) = 14699 <0.000073>";
    ASSERT_TRUE(ts_strace_parse_rest(line.data(), line.size(), &rest));
    EXPECT_EQ(rest.kind, TS_STRACE_RESUMED);
    EXPECT_EQ(rest.ret, 14699u);
    EXPECT_EQ(rest.duration_ns, 73000u);
    line = " <unfinished ...>";
    ASSERT_TRUE(ts_strace_parse_rest(line.data(), line.size(), &rest));
    EXPECT_EQ(rest.kind, TS_STRACE_NOTE);
    line = "[pid 7] munmap(0x1000, 4096) = 0";
    EXPECT_FALSE(ts_strace_parse_rest(line.data(), line.size(), &rest));
}

/* A call that strace leaves alone: the message stands in its line. */
TEST(StraceParse, CallLeftByDetaching)
{
    for (const char *head : {"", "[pid  4242] ", "07:34:26 ", "4242 1795259309.820576 "})
        for (const char *call : {"pause(", "nanosleep({1, 0}, ", "futex(0x7f, FUTEX_WAIT, 2, NULL",
                                 "munmap(0x1000, 4096"})
            for (const char *tail : {"strace: Process 4242 detached", "Process 4242 detached",
                                     "^Cstrace: Process 4242 detached", "^CProcess 4242 detached",
                                     "/usr/bin/strace: Process 4242 detached", " <detached ...>"}) {
                Parsed r(std::string(head) + call + tail);
                ASSERT_TRUE(r.ok) << r.text << ": " << r.why;
                EXPECT_EQ(r.kind, TS_STRACE_UNFINISHED) << r.text;
                if (r.call == TS_STRACE_MUNMAP) {
                    EXPECT_EQ(r.length, 4096u) << r.text;
                }
            }
    for (const char *line : {" <detached ...>", "<unfinished ...>", " <unfinished ...>"}) {
        Parsed r(line);
        ASSERT_TRUE(r.ok) << line;
        EXPECT_EQ(r.kind, TS_STRACE_BREAK) << line;
    }
}

/* Refused, but the call may go on in a later line. */
TEST(StraceParse, CallThatStaysOpen)
{
    Parsed open("12 munmap(0x1000, 4096Ready");
    EXPECT_FALSE(open.ok);
    EXPECT_EQ(open.kind, TS_STRACE_OPEN);
    EXPECT_EQ(open.call, TS_STRACE_MUNMAP);
    EXPECT_EQ(open.length, 4096u);
    EXPECT_EQ(open.column, 28u);
    EXPECT_EQ(Parsed("write(1, \"a\\n\", 2he said \"").kind, TS_STRACE_OPEN);
    EXPECT_EQ(Parsed("munmap(0x1000, 4096)").kind, TS_STRACE_OPEN);
    for (const char *line : {"munmap(0x1000", "hello (world", "munmap(0x1000; 4096) = 0",
                             "munmap(0x1000, 4096) done", "12 bottles"})
        EXPECT_EQ(Parsed(line).kind, TS_STRACE_NOTE) << line;
}

TEST(StraceParse, WhatALogCollectorPutsBefore)
{
    for (const char *head :
         {"Nov 28 07:34:26 host strace[12]: ", "Nov  8 07:34:26 ",
          "2026-11-28T07:34:26.123Z stdout F ", "2026-11-28 07:34:26,123 INFO ", "app_1  | ",
          "app.strace:12:", "[  12.345678] ", "<6>host app: ", "13:"})
        for (const char *pid : {"10645 ", "[pid 10645] ", "10645 1795259309.820576 ", ""}) {
            const std::string line = head + (pid + map_call);
            SCOPED_TRACE(line);
            ts_strace_record r;
            if (ts_strace_parse(line.data(), line.size(), &r)) {
                /* A date alone cannot be told from strace's own time. */
                EXPECT_EQ(std::string(head), "");
                continue;
            }
            ASSERT_TRUE(ts_strace_parse_prefixed(line.data(), line.size(), &r)) << r.why;
            EXPECT_EQ(r.call, TS_STRACE_MMAP);
            EXPECT_EQ(r.ret, 0x7f5980d91000u);
            EXPECT_EQ(r.tid, *pid ? 10645u : 0u);
        }
    for (const char *line : {"", "hello", "hello world", "Nov 28", "Nov 28 07:34:26 "}) {
        ts_strace_record r;
        EXPECT_FALSE(ts_strace_parse_prefixed(line, strlen(line), &r)) << line;
    }
}

TEST(StraceParse, SharedMemoryAndWhatIsNotModelled)
{
    Parsed get("shmget(IPC_PRIVATE, 65536, IPC_CREAT|0600) = 3");
    ASSERT_TRUE(get.ok) << get.why;
    EXPECT_EQ(get.length, 65536u);
    EXPECT_EQ(get.ret, 3u);
    EXPECT_EQ(Parsed("shmget(0x51, 4096, 0) = 3").length, 4096u);
    Parsed at("shmat(3, NULL, SHM_RDONLY) = 0x7f0000300000");
    ASSERT_TRUE(at.ok) << at.why;
    EXPECT_EQ(at.addr, 3u);
    EXPECT_EQ(at.flags, TS_STRACE_SHM_RDONLY);
    EXPECT_EQ(Parsed("shmdt(0x7f0000300000) = 0").addr, 0x7f0000300000u);
    for (const char *line :
         {"ioctl(4, UFFDIO_COPY, {dst=0x7f, src=0x7e, len=0x1000, mode=0, copy=0x1000}) = 0",
          "remap_file_pages(0x7f, 4096, 0, 0, 0) = 0", "move_pages(0, 1, [0x7f], NULL, [0], 0) = 0",
          "process_madvise(5, [{iov_base=0x7f, iov_len=4096}], 1, MADV_COLD, 0) = 4096"})
        EXPECT_EQ(Parsed(line).call, TS_STRACE_UNMODELLED) << line;
    EXPECT_EQ(Parsed("ioctl(4, TCGETS, {B38400}) = 0").call, TS_STRACE_OTHER);
    EXPECT_EQ(Parsed("madvise(0x7f, 4096, MADV_GUARD_INSTALL) = 0").advice, 102u);
    EXPECT_EQ(Parsed("madvise(0x7f, 4096, 0x15) = 0").advice, TS_STRACE_MADV_PAGEOUT);
}

/* Wherever it is in the line; a blank of another kind and letters of other languages are none. */
TEST(StraceParse, ControlBytesEverywhere)
{
    for (size_t at = 0; at < 40; at++)
        for (int c = 1; c < 256; c++) {
            if (c == '\n')
                continue;
            std::string line(40, 'x');
            line[at] = static_cast<char>(c);
            Parsed r(line);
            const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
            ASSERT_FALSE(r.ok);
            const bool said = std::string(r.why).find("control byte") != std::string::npos;
            /* A carriage return at the end is passed over. */
            ASSERT_EQ(said, control && !(c == '\r' && at == 39)) << at << " " << c;
            if (said) {
                ASSERT_EQ(r.column, at + 1);
            }
        }
}

TEST(StraceParse, MarkAndContext)
{
    expect_map(Parsed("\xef\xbb\xbf" + map_call));
    expect_map(Parsed("700  [unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023] " + map_call));
    expect_map(Parsed("700 11:17:25 [  9] [unconfined_t] " + map_call));
}

TEST(StraceParse, RefusalsNameThePlace)
{
    struct Case {
        std::string line;
        uint32_t column;
        const char *why;
    };
    using namespace std::string_literals;
    for (const Case &c :
         {Case{"hello world", 6, "expected '('"},
          {"munmap(0x1000)", 14, "expected ','"},
          {"munmap(0x1000, 4096)", 21, "expected '='"},
          {"munmap(0x1000, 4096", 20, "expected ')'"},
          {"munmap(0xzz, 4096) = 0", 8, "hexadecimal"},
          {"munmap(0x1000, 99999999999999999999) = 0", 16, "64 bits"},
          {"munmap(0x11112222333344445, 4096) = 0", 8, "64 bits"},
          {"mmap(NULL, 4096, , MAP_PRIVATE, -1, 0) = 0x1000", 18, "flags"},
          {"mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) = 0x1000z", 57, "not a result"},
          {"brk(NULL) = ", 12, "result"},
          {"[pid 0] brk(NULL) = 0x1000", 7, "thread number"},
          {"12 25:00:00 brk(NULL) = 0x1", 9, "time of the day"},
          {"12 1795259309.0123456789 brk(NULL) = 0x1", 24, "nine digits"},
          {"12 99999999999.0 brk(NULL) = 0x1", 4, "2116"},
          {"12 +++ vanished +++", 8, "exited with"},
          {"12 --- SIGCHLD {}", 8, "---"},
          {"12 <... mmap resumd>) = 0", 13, "resumed"},
          {"munmap(\"abc, 3) = 3", 8, "string without an end"},
          {"12 brk(\0NULL) = 0x1"s, 8, "control byte"},
          {"\x28\xb5\x2f\xfd\x04\x58"s, 5, "control byte"},
          {"12 \x7f", 4, "control byte"}}) {
        Parsed r(c.line);
        ASSERT_FALSE(r.ok) << c.line;
        EXPECT_EQ(r.column, c.column) << c.line << ": " << r.why;
        EXPECT_NE(std::string(r.why).find(c.why), std::string::npos) << c.line << ": " << r.why;
    }
}

/* Every prefix of every kind of line is accepted or refused with a place in it, never read past its
 * end (the sanitizers watch: each prefix is in a buffer of its own length). */
TEST(StraceParse, EveryPrefixOfTheVariants)
{
    const char *const files[] = {"mini.Xraw.strace", "mini.Xverbose-n.strace", "mini.Y-yy.strace",
                                 "mini.f-r.strace", "mini.f-tt-T.stderr.strace"};
    for (const char *file : files)
        for (const std::string &line :
             lines_of(read_file(std::string("tests/data/strace/variants/") + file)))
            for (size_t n = 0; n < line.size(); n += 1 + n / 64) {
                std::vector<char> exact(line.begin(), line.begin() + static_cast<ptrdiff_t>(n));
                ts_strace_record r;
                if (!ts_strace_parse(exact.data(), n, &r)) {
                    ASSERT_NE(r.why, nullptr);
                    ASSERT_GE(r.column, 1u);
                    ASSERT_LE(r.column, n + 1);
                }
            }
}

TEST(StraceParse, EveryLineOfTheRecordings)
{
    for (const char *file :
         {"variants/mini.Xraw.strace", "variants/mini.Xverbose-n.strace",
          "variants/mini.Y-yy.strace", "variants/mini.f-notime.strace", "variants/mini.f-r.strace",
          "variants/mini.f-t.strace", "variants/mini.nof-ttt-T.strace",
          "variants/mini.c-summary.txt", "variants/ff/mini.14756", "variants/ff/mini.14757",
          "variants/ff/mini.14758", "storm8.ns.strace.zst", "ninja-gcc.strace.zst",
          "stressng-tlb-shootdown.strace.zst"}) {
        size_t calls = 0, ends = 0;
        for (const std::string &line :
             lines_of(read_file(std::string("tests/data/strace/") + file))) {
            Parsed r(line);
            ASSERT_TRUE(r.ok) << file << ": " << line << ": " << r.why << " at " << r.column;
            bool unfinished = line.find("<unfinished ...>") != std::string::npos;
            bool resumed = line.find(" resumed>") != std::string::npos;
            ASSERT_EQ(r.kind == TS_STRACE_UNFINISHED, unfinished) << line;
            ASSERT_EQ(r.kind == TS_STRACE_RESUMED, resumed) << line;
            ASSERT_EQ(r.kind == TS_STRACE_EXITED, line.find("+++") != std::string::npos) << line;
            calls += r.kind == TS_STRACE_CALL;
            ends += r.kind == TS_STRACE_EXITED;
        }
        bool summary = std::string(file).find("summary") != std::string::npos;
        EXPECT_EQ(calls > 0, !summary) << file;
        EXPECT_EQ(ends > 0, !summary) << file;
    }
}

} // namespace
