/* SPDX-License-Identifier: Apache-2.0 */
/* The table of trace formats: what every format keeps, over example files of each; then what single
 * lines say, and recordings of one program by five tools against each other. */
#include "tests/unit/strace_testing.hpp"
#include "workloads/access_replay.h"
#include "workloads/own_trace.h"
#include "workloads/trace_info.h"

#include <algorithm>
#include <filesystem>
#include <set>

using namespace strace_testing;

namespace
{

const std::string folder = "tests/data/traces";

/* Example files, with the format that each is named after. */
std::vector<std::pair<std::string, std::string>> examples()
{
    std::vector<std::pair<std::string, std::string>> list;
    for (const auto &entry :
         std::filesystem::directory_iterator(std::string(TS_SOURCE_DIR) + "/" + folder)) {
        const std::string name = entry.path().filename().string();
        if (name != "README.md")
            list.emplace_back(folder + "/" + name, name.substr(0, name.find_first_of(".-")));
    }
    std::sort(list.begin(), list.end());
    return list;
}

const ts_trace_format *recognise(const std::string &text, ts_error *err, bool whole = true)
{
    return ts_trace_recognise(text.data(), std::min(text.size(), TS_TRACE_HEAD),
                              whole && text.size() <= TS_TRACE_HEAD, "file", err);
}

struct Info {
    ts_error err{};
    std::unique_ptr<ts_trace_info> info = std::make_unique<ts_trace_info>();
    std::string text;
    ts_status status;

    explicit Info(const std::string &bytes, bool strict = false, uint64_t records = 0)
    {
        Source source(bytes);
        ts_trace_reading how{};
        how.strict = strict;
        how.records = records;
        how.user = this;
        how.text = [](void *user, const char *line, size_t len, ts_error *) {
            static_cast<Info *>(user)->text.append(line, len).append("\n");
            return TS_OK;
        };
        status = ts_trace_info_read(info.get(), &source.source, &how, &err);
        EXPECT_EQ(source.closed, 1);
    }
    const ts_strace_counts &counts() const
    {
        return info->calls.counts;
    }
    std::string own() const
    {
        return std::string(info->format->family == TS_TRACE_CALLS ? TS_OWN_TRACE_CALLS
                                                                  : TS_OWN_TRACE_ACCESSES) +
               "\n" + text;
    }
};

ts_strace_record parse(const char *format, const std::string &line)
{
    ts_strace_record r;
    EXPECT_TRUE(ts_trace_format_find(format)->call(nullptr, line.data(), line.size(), &r))
        << line << ": " << r.why << " at " << r.column;
    return r;
}

std::string refusal(const char *format, const std::string &line)
{
    ts_strace_record r;
    EXPECT_FALSE(ts_trace_format_find(format)->call(nullptr, line.data(), line.size(), &r)) << line;
    return std::to_string(r.column) + ": " + (r.why ? r.why : "");
}

/* The line as tlbstorm's own. */
std::string own(const char *format, const std::string &line)
{
    char text[TS_OWN_TRACE_LINE];
    const ts_strace_record r = parse(format, line);
    ts_own_trace_write(text, &r, r.time_kind != TS_STRACE_TIME_NONE, r.time_ns);
    return text;
}

} // namespace

/* --- the table ---------------------------------------------------------------------------------
 */

TEST(TraceFormats, Table)
{
    ASSERT_GE(ts_trace_formats_count, 9u);
    std::set<std::string> named;
    for (const auto &example : examples())
        named.insert(example.second);
    for (size_t i = 0; i < ts_trace_formats_count; i++) {
        const ts_trace_format *f = ts_trace_formats[i];
        if (i > 0) {
            EXPECT_LT(std::strcmp(ts_trace_formats[i - 1]->name, f->name), 0);
        }
        for (const char *text : {f->name, f->summary, f->reference, f->near_hint})
            EXPECT_TRUE(text && *text) << f->name;
        EXPECT_EQ(ts_trace_format_find(f->name), f);
        EXPECT_TRUE(f->fit != nullptr);
        EXPECT_EQ(f->accesses != nullptr, f->family == TS_TRACE_ACCESSES) << f->name;
        if (std::string(f->name) != "strace") {
            EXPECT_EQ(f->call != nullptr, f->family == TS_TRACE_CALLS) << f->name;
        }
        EXPECT_EQ(named.count(f->name), 1u) << "no example of " << f->name << " in " << folder;
    }
    EXPECT_EQ(ts_trace_format_find("perf"), nullptr);
}

TEST(TraceFormats, EveryExampleIsRecognisedAndReadToItsEnd)
{
    for (const auto &[path, name] : examples()) {
        const std::string text = read_file(path);
        const Info read(text, true);
        ASSERT_EQ(read.status, TS_OK) << path << ": " << read.err.message << " " << read.err.line;
        EXPECT_STREQ(read.info->format->name, name.c_str()) << path;
        EXPECT_FALSE(read.text.empty()) << path;
        EXPECT_GT(read.counts().lines + read.info->accesses.accesses, 0u) << path;
    }
}

/* Wherever it is cut, it stays what it is, or nothing is recognised; it is never taken for another
 * format, and every other byte stream has an error that says something. */
TEST(TraceFormats, CutAnywhere)
{
    for (const auto &[path, name] : examples()) {
        const std::string text = read_file(path);
        for (size_t n = 0; n < std::min<size_t>(text.size(), 6000); n += 61) {
            ts_error err{};
            const ts_trace_format *f = recognise(text.substr(0, n), &err);
            if (f)
                EXPECT_STREQ(f->name, name.c_str()) << path << " up to " << n;
            else
                EXPECT_TRUE(err.status == TS_ERR_USER && err.message[0]) << path << " " << n;
        }
    }
}

/* Carriage returns, and a file handed out byte by byte. */
TEST(TraceFormats, LineEndsAndPieces)
{
    for (const auto &[path, name] : examples()) {
        const std::string text = read_file(path);
        if (ts_trace_format_find(name.c_str())->record_bytes || text.size() > 100000)
            continue;
        std::string crlf;
        for (const char c : text)
            crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
        const Info plain(text), windows(crlf);
        if (name != "strace") { /* which has no such option */
            EXPECT_EQ(plain.text, windows.text) << path;
        }
    }
}

TEST(TraceFormats, UnknownIsNamedWithWhatIsNear)
{
    const std::pair<std::string, const char *> cases[] = {
        {"", "an empty recording"},
        {"The quick brown fox\n", "known are bpftrace, champsim, ftrace"},
        {std::string("PERFILE2") + std::string(100, '\0'), "perf script"},
        {"\x7f"
         "ELF1234",
         "a program"},
        {"  swapper     0 [001]  1.000000: irq:irq_handler_entry: irq=1 name=x\n",
         "1 of its first 1 lines are of perf_script"},
        {"          <idle>-0       [001] d..1.     1.000000: irq_handler_entry: irq=1\n",
         "are of ftrace"},
        {"==12== Lackey, an example Valgrind tool\n==12== Command: ls\n", "--trace-mem=yes"},
        {"--- SIGCHLD {si_signo=SIGCHLD} ---\n+++ exited with 0 +++\n", "are of strace"},
        {"@x: 12\n@munmaps[ls, 3]: 4\n", "2 of its first 2 lines are of bpftrace"},
    };
    for (const auto &[text, want] : cases) {
        ts_error err{};
        EXPECT_EQ(recognise(text, &err), nullptr) << text;
        EXPECT_NE(std::string(err.message).find(want), std::string::npos) << err.message;
    }
}

/* --- differential -------------------------------------------------------------------------------
 */

/* One program, five tools: what is recorded is the same. */
TEST(TraceDifferential, OneProgramByFiveTools)
{
    const char *const files[] = {"strace", "perf_script", "ftrace", "perf_trace", "bpftrace"};
    for (const std::string name : files) {
        SCOPED_TRACE(name);
        const Info read(read_file(folder + "/" + name + ".txt.zst"));
        const ts_strace_counts &c = read.counts();
        const bool machine = name == "ftrace"; /* other programs are in it */
        if (!machine) {
            EXPECT_EQ(c.threads, 5u);
            EXPECT_EQ(c.processes, 1u);
            EXPECT_EQ(c.regions, 53u);
        }
        EXPECT_GE(read.info->calls.pages[TS_TRACE_UNMAPPED][9], 39u); /* 256 pages */
        EXPECT_EQ(c.stale_overlaps, 0u);
        EXPECT_EQ(c.foreign_lines, 0u);
        /* perf trace tells no ends of threads. */
        const uint64_t operations = name == "perf_trace" ? 111 : 116;
        EXPECT_TRUE(machine || read.info->calls.operations == operations);
        const bool faults = name == "perf_script" || name == "bpftrace";
        EXPECT_TRUE(!faults || c.touches == 361) << c.touches;
    }
}

/* Through tlbstorm's own text nothing changes but the lines. */
TEST(TraceDifferential, OwnTextIsTheSameRecording)
{
    std::vector<std::string> files;
    for (const auto &example : examples())
        files.push_back(example.first);
    for (const char *name :
         {"storm8.ns", "ninja-gcc", "stressng-malloc-4threads", "stressng-tlb-shootdown"})
        files.push_back("tests/data/strace/" + std::string(name) + ".strace.zst");
    for (const std::string &path : files) {
        SCOPED_TRACE(path);
        Info direct(read_file(path)), again(direct.own());
        ASSERT_EQ(again.status, TS_OK) << again.err.message;
        EXPECT_EQ(again.text, direct.text);
        EXPECT_EQ(again.info->calls.operations, direct.info->calls.operations);
        EXPECT_EQ(std::memcmp(again.info->calls.pages, direct.info->calls.pages,
                              sizeof direct.info->calls.pages),
                  0);
        EXPECT_EQ(std::memcmp(&again.info->accesses.accesses, &direct.info->accesses.accesses,
                              3 * sizeof(uint64_t)),
                  0);
        ts_strace_counts a = direct.counts(), b = again.counts();
        for (ts_strace_counts *c : {&a, &b}) { /* of the text, not of what it says */
            c->lines = c->notes = c->foreign_lines = c->first_unread = c->prefixed_lines = 0;
            c->first_ns = c->last_ns = 0;
        }
        EXPECT_EQ(std::memcmp(&a, &b, sizeof a), 0);
    }
}

/* The same operations too, with touches and times. */
TEST(TraceDifferential, OwnTextReplaysTheSame)
{
    const std::string text = read_file(folder + "/perf_script.txt.zst");
    const std::string texts[] = {text, Info(text).own()};
    Ops ops[2];
    const ts_workload_kind *kind = ts_workload_kind_find("recording");
    for (int i = 0; i < 2; i++) {
        ts_strace_params params;
        ts_param_defaults(kind->ops.params, &params);
        params.think = TS_STRACE_THINK_RECORDED;
        Source source(texts[i]);
        ts_workload_config config{&params, 1, 0, &source.source};
        ts_error err{};
        ts_workload *w = nullptr;
        ASSERT_EQ(kind->create(&w, &config, &err), TS_OK) << err.message;
        std::vector<uint32_t> todo{0};
        for (size_t t = 0; t < todo.size(); t++)
            for (ts_op op; w->next(w, todo[t], &op, &err) == 1;) {
                ops[i][todo[t]].push_back(op);
                if (op.kind == TS_OP_SPAWN)
                    todo.push_back(op.target);
            }
        w->destroy(w);
        EXPECT_EQ(source.closed, 1);
    }
    ASSERT_EQ(ops[0].size(), 5u);
    for (const auto &[thread, list] : ops[0]) {
        ASSERT_EQ(list.size(), ops[1][thread].size());
        EXPECT_TRUE(std::equal(list.begin(), list.end(), ops[1][thread].begin(), same));
    }
}

/* --- lines --------------------------------------------------------------------------------------
 */

TEST(TraceLines, LeadersOfPerfScript)
{
    const std::string event = ": tlb:tlb_flush: pages:-1 reason:remote IPI send (4)";
    struct {
        const char *leader, *want;
    } cases[] = {
        {"   mmapstorm 11030 [000]  3476.057176021", "3476057176021 ~G/11030 @0 flush 4 1"},
        {"mmapstorm 11030 3476.057176", "3476057176000 ~G/11030 flush 4 1"},
        {"mmapstorm 77/11030 [013] 3476.057176", "3476057176000 77/11030 @13 flush 4 1"},
        {"Web Content: 1.5 77/11030 [013] 3476.057176", "3476057176000 77/11030 @13 flush 4 1"},
        {"kworker/0:1-ev 5 [000] 1.000001", "1000001000 ~G/5 @0 flush 4 1"},
        {":11128 11128 [001] 1.000001", "1000001000 ~G/11128 @1 flush 4 1"},
        {"cafe 9 [001] 1.000001", "1000001000 ~G/9 @1 flush 4 1"},
        {":-1 -1 [000] 1.000001", "1000001000 -/- @0 flush 4 1"},
    };
    for (const auto &c : cases) {
        std::string got = own("perf_script", c.leader + event);
        const size_t name = got.find('~');
        if (name != std::string::npos)
            got.replace(name + 1, got.find('/') - name - 1, "G");
        EXPECT_EQ(got, c.want) << c.leader;
    }
    /* Names alone tell groups apart. */
    EXPECT_NE(parse("perf_script", "a 1 [000] 1.000001" + event).group,
              parse("perf_script", "b 1 [000] 1.000001" + event).group);
    EXPECT_EQ(parse("perf_script", "  a b 1 [000] 1.000001" + event).group,
              parse("perf_script", "a b 2 3.000001" + event).group);
}

TEST(TraceLines, LeadersOfFtrace)
{
    const std::string event = ": sys_munmap(addr: 0x7fa39cfe3000, len: 0x40000)";
    const std::string what = "munmap 0x7fa39cfe3000 0x40000 ...";
    EXPECT_EQ(own("ftrace", "  mmapstorm-11078   (  11070) [001] .....  3478.184515" + event),
              "3478184515000 11070/11078 @1 " + what);
    for (const char *leader :
         {"mmapstorm-11078   [001] d..1.  3478.184515", "mmapstorm-11078 [001] 3478.184515",
          "m-m a:p-11078 (-------) [001] d..1 3478.184515"}) {
        const ts_strace_record r = parse("ftrace", leader + event);
        EXPECT_EQ(r.tid, 11078u);
        EXPECT_TRUE(r.has_cpu && r.cpu == 1);
        EXPECT_EQ(r.time_ns, 3478184515000u);
        EXPECT_TRUE(r.group & TS_STRACE_GROUP_BY_NAME);
    }
    /* trace-cmd report has the names of the events. */
    EXPECT_EQ(
        parse("ftrace", "a-1 [001] 1.000001: sys_enter_munmap: addr: 0x1000, len: 0x2000").addr,
        0x1000u);
    EXPECT_EQ(parse("ftrace", "a-1 [001] .... 1.000001: sys_munmap -> 0x0").kind,
              TS_STRACE_RESUMED);
    EXPECT_EQ(parse("ftrace", "a-1 [001] .... 1.000001: sys_munmap -> 0xffffffffffffffea").result,
              TS_STRACE_RESULT_ERROR);
    EXPECT_EQ(parse("ftrace", "CPU:1 [LOST 123 EVENTS]").length, 123u);
}

TEST(TraceLines, EventsOfTheKernel)
{
    const std::string at = "a 7/8 [001] 1.000000001: ";
    const std::string to = "1000000001 7/8 @1 ";
    struct {
        const char *event, *want;
    } cases[] = {
        {"syscalls:sys_enter_mmap: addr: 0x00000000, len: 0x00002000, prot: 0x00000003, flags: "
         "0x00000022, fd: 0xffffffff, off: 0x00000000",
         "mmap 0 8192 3 34 ..."},
        {"syscalls:sys_exit_mmap: 0x7f6e9239d000", "... mmap = 0x7f6e9239d000"},
        {"syscalls:sys_exit_mmap: -12", "... mmap = !"},
        {"syscalls:sys_enter_mremap: addr: 0x1000, old_len: 0x2000, new_len: 0x3000, flags: 0x1, "
         "new_addr: 0x0",
         "mremap 4096 8192 12288 1 0 ..."},
        {"syscalls:sys_enter_madvise: start: 0x1000, len_in: 0x2000, behavior: 0x00000004",
         "madvise 4096 8192 4 ..."},
        {"syscalls:sys_enter_clone: clone_flags: 0x003d0f00, newsp: 0x0, parent_tidptr: 0x0",
         "clone 0x3d0f00 ..."},
        {"syscalls:sys_enter_read: fd: 0x3, buf: 0x1, count: 0x2", "read ..."},
        {"exceptions:page_fault_user: address=0x7f ip=0x5 error_code=0x6", "touch 0x7f w"},
        {"exceptions:page_fault_kernel: address=0x7f ip=0x5 error_code=0x0", "touch 0x7f r"},
        {"exceptions:page_fault_user: address=0x7f ip=0x5 error_code=0x14", "touch 0x7f x"},
        {"1 page-faults:u:  7f6e00001000 main 55d1c0000000 main", "touch 0x7f6e00001000 w"},
        {"page-faults:     7fffbc47ef20", "touch 0x7fffbc47ef20 w"},
        {"task:task_newtask: pid=12 comm=a clone_flags=3d0f00 oom_score_adj=0",
         "child 12 0x3d0f00"},
        {"sched:sched_process_fork: comm=a pid=8 child_comm=a child_pid=12", "child 12 -"},
        {"sched:sched_process_exec: filename=./a pid=8 old_pid=8", "execve = 0"},
        {"tlb:tlb_flush: pages:1 reason:local MM shootdown (3)", "flush 3 1"},
        {"tlb:tlb_flush: pages:1 reason:whatever (77)", "flush 6 1"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(own("perf_script", at + c.event), to + c.want) << c.event;
    /* A switch is of the thread that leaves, whoever the line is of; one that has ended is told. */
    EXPECT_EQ(own("perf_script", at + "sched:sched_switch: prev_comm=a prev_pid=8 prev_prio=120 "
                                      "prev_state=S ==> next_comm=b next_pid=9 next_prio=120"),
              "1000000001 ~0x0/8 @1 switch 9 sleep");
    EXPECT_EQ(own("perf_script", at + "sched:sched_switch: prev_comm=a prev_pid=8 prev_prio=120 "
                                      "prev_state=R+ ==> next_comm=b next_pid=9 next_prio=120"),
              "1000000001 ~0x0/8 @1 switch 9 wait");
    EXPECT_EQ(own("perf_script", ":-1 -1 [001] 1.000000001: sched:sched_switch: prev_comm=a "
                                 "prev_pid=8 prev_prio=120 prev_state=X ==> next_comm=b next_pid=9 "
                                 "next_prio=120"),
              "1000000001 ~0x0/8 @1 ended");
    /* The address of the instruction is no touch. */
    EXPECT_EQ(parse("perf_script", at + "1 page-faults:  ffffffff81775b9a elf_load+0x28a (k)").prot,
              0u);
    /* The new thread's return from clone3. */
    EXPECT_EQ(parse("perf_script", at + "syscalls:sys_exit_clone3: 0x0").kind, TS_STRACE_NOTE);
    /* A stack's frame, a comment, an event of something else. */
    for (const char *line : {"\t    20ce7 munmap+0x7 (/usr/lib/ld.so)", "# captured on x", "",
                             "a 1 [0] 1.000001: irq:x: y"})
        EXPECT_EQ(parse("perf_script", line).kind, TS_STRACE_NOTE) << line;
    EXPECT_EQ(refusal("perf_script", "no event"),
              "1: expected NAME, thread, [CPU], time and an event");
    EXPECT_EQ(refusal("perf_script", "a 1 [0] 1.000001: syscalls:sys_exit_mmap: what").substr(0, 4),
              "43: ");
}

TEST(TraceLines, PerfTrace)
{
    struct {
        const char *line, *want;
    } cases[] = {
        {"     0.169 ( 0.024 ms): mmapstorm/28166 mmap(len: 8192, prot: READ|WRITE, flags: "
         "PRIVATE|ANONYMOUS)           = 0x7fe80271b000",
         "169000 -/28166 mmap 0 8192 3 34 = 0x7fe80271b000 +24000"},
        {"     0.295 ( 0.020 ms): m/1 mmap(addr: 0x7fe802554000, len: 1400832, prot: "
         "PROT_READ|PROT_EXEC, flags: MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, fd: 4, off: 0x26000) = "
         "0x7fe802554000",
         "295000 -/1 mmap 0x7fe802554000 0x156000 5 18 = 0x7fe802554000 +20000"},
        {"         ? (         ): m/1  ... [continued]: execve())    = 0", "- -/1 ... execve = 0"},
        {"     1.000 (         ): a b/c/7 munmap(addr: 0x1000, len: 4096)  ...",
         "1000000 -/7 munmap 4096 4096 ..."},
        {"     2.609 (         ): m/28166 exit_group()   = ?", "2609000 -/28166 exit_group = ?"},
        {"     0.066 ( 0.009 ms): brk()     = 0x55c80918d000",
         "66000 -/- brk 0 = 0x55c80918d000 +9000"},
        {"     2.0 ( 0.001 ms): m/3 madvise(start: 0x1000, len_in: 4096, behavior: DONTNEED) = -1 "
         "EINVAL (Invalid argument)",
         "2000000 -/3 madvise 4096 4096 4 = ! +1000"},
        {"     5.732 ( 0.000 ms): m/9 minfault [worker+0xa6] => //anon@0x7f82b8b56000 (d.)",
         "5732000 -/9 touch 0x7f82b8b56000 w +0"},
    };
    for (const auto &c : cases) {
        std::string want = c.want;
        if (want.size() > 3 && want.compare(want.size() - 3, 3, " +0") == 0)
            want.resize(want.size() - 3); /* a touch has no duration */
        EXPECT_EQ(own("perf_trace", c.line), want) << c.line;
    }
    /* In a file's mapping the address is a place in the file. */
    EXPECT_EQ(parse("perf_trace", "5.7 ( 0.000 ms): m/9 minfault [x] => /usr/bin/m@0x40 (d.)").prot,
              0u);
    EXPECT_EQ(refusal("perf_trace", "  0.1 ( 0.1 s): x"), "12: expected the duration in ms");
}

TEST(TraceLines, Bpftrace)
{
    EXPECT_EQ(parse("bpftrace", "@[3, mmapstorm]: 18").kind, TS_STRACE_FLUSH);
    EXPECT_EQ(own("bpftrace", "@[4]: 7"), "- -/- flush 4 7");
    for (const char *line : {"Attaching 3 probes...", "@x[3]: 18", "@[comm]: 3",
                             "@[3, a]: ", "[2, 4)  12 |@@@ |", "@: 12", ""})
        EXPECT_EQ(parse("bpftrace", line).kind, TS_STRACE_NOTE) << line;
    EXPECT_EQ(own("bpftrace", "12 3/4 @1 brk (nil) ..."), "12 3/4 @1 brk 0 ...");
    const Info counts(read_file(folder + "/bpftrace-counts.txt"));
    EXPECT_EQ(counts.counts().flushes[TS_STRACE_FLUSH_LOCAL_MM_SHOOTDOWN], 18u);
    EXPECT_EQ(counts.counts().threads, 0u);
}

TEST(TraceLines, OwnTextComesBack)
{
    const char *const lines[] = {
        "12 3/4 @1 mmap 0 8192 3 34 = 0x7fe80271b000 +24",
        "12 -/4 munmap 4096 8192 ...",
        "- -/- ... munmap = 0",
        "- -/4 ... munmap = !",
        "7 3/4 exit_group = ?",
        "7 3/4 clone 0x3d0f00 = 9",
        "7 3/4 clone3 - = 9",
        "7 3/4 shmat 5 0 4096 = 0x7fe80271b000",
        "7 3/4 shmget 0 8192 = 5",
        "7 ~0x12/4 touch 0x7f82b8b56000 x",
        "7 3/4 touch 0x0 ?",
        "7 3/4 child 9 -",
        "7 3/4 child 9 0x3d0f00",
        "7 3/4 attached 9",
        "7 3/4 superseded 9",
        "7 3/4 ended",
        "7 3/4 flush 5 3",
        "7 3/4 @63 switch 9 wait",
        "7 3/4 signal",
        "7 3/4 lost 12",
        "7 3/4 read = 12",
    };
    for (const char *line : lines)
        EXPECT_EQ(own("tlbstorm", line), line);
    const std::pair<const char *, const char *> bad[] = {
        {"x", "1: expected a number"},
        {"1 2", "4: expected PROCESS/THREAD"},
        {"1 2/3", "6: expected what happened"},
        {"1 2/3 touch 5 q", "15: expected r, w, x or ?"},
        {"1 2/3 munmap 5", "15: expected a number"},
        {"1 2/3 munmap 5 6", "17: expected '= RESULT' or '...' behind the call's arguments"},
        {"1 2/3 munmap 5 6 = 0 0", "22: expected the end of the line"},
        {"1 2/9999999999 ended", "5: a number that is too large"},
        {"1 2/3 switch 4 now", "19: expected sleep or wait"},
        {"1 2/3 flush 7 1", "13: a number that is too large"},
    };
    for (const auto &[line, want] : bad)
        EXPECT_EQ(refusal("tlbstorm", line), want) << line;
}

/* --- accesses -----------------------------------------------------------------------------------
 */

TEST(TraceAccesses, ChampSim)
{
    const Info read(read_file(folder + "/champsim.bin"));
    ASSERT_EQ(read.status, TS_OK);
    const ts_access_info &a = read.info->accesses;
    EXPECT_EQ(a.counts.lines[TS_LACKEY_FETCH], 200u);
    EXPECT_EQ(a.counts.lines[TS_LACKEY_STORE], 40u);
    EXPECT_EQ(a.counts.lines[TS_LACKEY_LOAD], 67u);
    EXPECT_EQ(a.accesses, 307u);
    EXPECT_EQ(a.lowest, 0x401000u);
    EXPECT_EQ(a.highest, 0x7ffe00001000u + 8 * 195);
    EXPECT_EQ(lines_of(read.text)[0], "fetch 0x401000 1");
    EXPECT_EQ(lines_of(read.text)[1], "load 0x600000 1");
    EXPECT_EQ(lines_of(read.text)[2], "store 0x7ffe00001000 1");

    /* A record cut off, and one that is none. */
    std::string bytes = read_file(folder + "/champsim.bin");
    const Info cut(bytes.substr(0, bytes.size() - 5));
    EXPECT_EQ(cut.info->accesses.counts.cut_lines, 1u);
    EXPECT_EQ(cut.info->accesses.counts.lines[TS_LACKEY_FETCH], 199u);
    std::string large;
    for (int i = 0; i < 6; i++)
        large += bytes;
    large[1100 * 64 + 8] = 2; /* behind the head, by which it is recognised */
    const Info bad(large), strict(large, true);
    EXPECT_EQ(bad.info->accesses.counts.bad_lines, 1u);
    EXPECT_EQ(bad.info->accesses.counts.first_bad, 1101u);
    EXPECT_EQ(strict.status, TS_ERR_USER);
    EXPECT_EQ(strict.err.line, 1101u);
}

/* The workload `accesses` over the three formats of one stream. */
TEST(TraceAccesses, ReplayIsTheSame)
{
    const std::string lackey = read_file(folder + "/lackey.txt");
    const std::string own_text = read_file(folder + "/tlbstorm_accesses.txt");
    std::vector<std::vector<ts_op>> ops;
    for (const auto &[kind_name, text] : {std::pair<const char *, std::string>{"lackey", lackey},
                                          {"accesses", lackey},
                                          {"accesses", own_text}}) {
        const ts_workload_kind *kind = ts_workload_kind_find(kind_name);
        ts_lackey_params params;
        ts_param_defaults(kind->ops.params, &params);
        Source source(text);
        ts_workload_config config{&params, 1, 0, &source.source};
        ts_error err{};
        ts_workload *w = nullptr;
        ASSERT_EQ(kind->create(&w, &config, &err), TS_OK) << err.message;
        ops.emplace_back();
        for (ts_op op; w->next(w, 0, &op, &err) == 1;)
            ops.back().push_back(op);
        w->destroy(w);
    }
    ASSERT_GT(ops[0].size(), 10u);
    for (size_t i = 1; i < ops.size(); i++) {
        ASSERT_EQ(ops[i].size(), ops[0].size());
        EXPECT_TRUE(std::equal(ops[i].begin(), ops[i].end(), ops[0].begin(), same));
    }
}

TEST(TraceAccesses, TheWrongWorkloadSaysWhichIsRight)
{
    const std::pair<const char *, const char *> cases[] = {{"recording", "lackey.txt"},
                                                           {"accesses", "tlbstorm.txt"}};
    for (const auto &[name, file] : cases) {
        const ts_workload_kind *kind = ts_workload_kind_find(name);
        std::vector<uint64_t> params(kind->ops.params_size / 8 + 1);
        ts_param_defaults(kind->ops.params, params.data());
        Source source(read_file(folder + "/" + file));
        ts_workload_config config{params.data(), 1, 0, &source.source};
        ts_error err{};
        ts_workload *w = nullptr;
        EXPECT_EQ(kind->create(&w, &config, &err), TS_ERR_USER);
        const std::string other = name == std::string("recording") ? "`accesses`" : "`recording`";
        EXPECT_NE(std::string(err.message).find(other), std::string::npos) << err.message;
        EXPECT_EQ(source.closed, 0); /* stays the caller's */
    }
}
