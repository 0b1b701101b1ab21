/* SPDX-License-Identifier: Apache-2.0 */
/* What the workload `recording` makes of events that strace has not: touches, groups of threads,
 * new threads, switches. */
#include "tests/unit/strace_testing.hpp"
#include "workloads/own_trace.h"

using namespace strace_testing;

namespace
{

ts_strace_params recording_defaults()
{
    ts_strace_params p;
    ts_param_defaults(ts_workload_kind_find("recording")->ops.params, &p);
    return p;
}

struct Replay {
    Source source;
    ts_error err{};
    ts_workload *w = nullptr;
    std::map<uint32_t, Lines> ops;

    explicit Replay(const std::string &text, const ts_strace_params &params = recording_defaults(),
                    uint64_t seed = 1)
        : source(TS_OWN_TRACE_CALLS + ("\n" + text))
    {
        ts_workload_config config{&params, seed, 0, &source.source};
        EXPECT_EQ(ts_workload_kind_find("recording")->create(&w, &config, &err), TS_OK)
            << err.message;
    }
    ~Replay()
    {
        w->destroy(w);
    }
    Replay(const Replay &) = delete;
    Replay &operator=(const Replay &) = delete;

    Replay &pull()
    {
        std::vector<uint32_t> todo{0};
        for (size_t i = 0; i < todo.size(); i++) {
            ops[todo[i]];
            for (ts_op op; w->next(w, todo[i], &op, &err) == 1;) {
                ops[todo[i]].push_back(show(op));
                if (op.kind == TS_OP_SPAWN)
                    todo.push_back(op.target);
            }
            EXPECT_EQ(err.status, TS_OK) << err.message << " " << err.line;
        }
        return *this;
    }
    const ts_strace_counts &counts() const
    {
        return *ts_strace_workload_counts(w);
    }
};

const std::string map4 = "1 5/5 mmap 0 16384 3 34 = 0x10000\n"; /* four pages */

} // namespace

TEST(Recording, TouchesWhereMemoryIs)
{
    Replay r(map4 + "2 5/5 touch 0x10000 w\n"
                    "3 5/5 touch 0x13fff r\n"
                    "4 5/5 touch 0x14000 w\n" /* behind it */
                    "5 5/5 munmap 0x11000 0x1000 = 0\n"
                    "6 5/5 touch 0x11000 w\n" /* in the hole */
                    "7 5/5 touch 0x12008 x\n"
                    "8 9/9 touch 0x10000 w\n"); /* of another program */
    r.pull();
    const Lines want = {"mmap r0 4 p3 anon", "touch r0 0 1x1 write", "touch r0 3 1x1",
                        "munmap r0 1+1", "touch r0 2 1x1"};
    EXPECT_EQ(r.ops[0], want);
    EXPECT_EQ(r.counts().touches, 3u);
    EXPECT_EQ(r.counts().unknown_touches, 3u);
    EXPECT_EQ(r.counts().threads, 1u);

    ts_strace_params off = recording_defaults();
    off.touch_recorded = 0;
    Replay without(map4 + "2 5/5 touch 0x10000 w\n", off);
    without.pull();
    EXPECT_EQ(without.ops[0], Lines{"mmap r0 4 p3 anon"});
    EXPECT_EQ(without.counts().touches, 1u);
}

/* The unmap of memory with a recorded touch sleeps behind it, as one with the touch policy's. */
TEST(Recording, RecordedTouchesCountAsTouched)
{
    ts_strace_params p = recording_defaults();
    p.think = TS_STRACE_THINK_SLEEP;
    p.sleep_min = p.sleep_max = 5 * TS_NS;
    const std::string unmap = "3 5/5 munmap 0x10000 0x4000 = 0\n";
    Replay touched(map4 + "2 5/5 touch 0x12000 w\n" + unmap, p), plain(map4 + unmap, p);
    touched.pull();
    plain.pull();
    EXPECT_EQ(touched.ops[0].back(), "sleep 5");
    EXPECT_EQ(plain.ops[0].back(), "munmap r0 0+4");
}

TEST(Recording, TouchPolicies)
{
    ts_strace_params p = recording_defaults();
    p.touch_pages = 2;
    const std::pair<uint64_t, const char *> cases[] = {
        {TS_PLACEMENT_STRIDED, "touch r0 0 2x2 write"},
        {TS_PLACEMENT_FIRST, "touch r0 0 2x1 write"}};
    for (const auto &[placement, want] : cases) {
        p.touch_placement = placement;
        Replay r(map4, p);
        r.pull();
        EXPECT_EQ(r.ops[0].back(), want);
    }
    p.touch_placement = TS_PLACEMENT_FIRST;
    p.touch_pages = UINT64_C(1) << 45; /* all */
    Replay all(map4, p);
    all.pull();
    EXPECT_EQ(all.ops[0].back(), "touch r0 0 4x1 write");
}

/* Threads of one process share memory, those of another do not, whoever is seen first. */
TEST(Recording, Groups)
{
    Replay r(map4 + "2 5/6 munmap 0x10000 0x1000 = 0\n"
                    "3 7/7 mmap 0 4096 3 34 = 0x10000\n"
                    "4 5/8 touch 0x11000 w\n" /* a thread that only computes */
                    "5 7/9 touch 0x10000 w\n"
                    "6 3/3 touch 0x10000 w\n"); /* of a program that makes no call */
    r.pull();
    EXPECT_EQ(r.ops[0], (Lines{"mmap r0 4 p3 anon", "spawn t1", "spawn t2 new_mm", "spawn t3"}));
    EXPECT_EQ(r.ops[1], Lines{"munmap r0 0+1"});
    EXPECT_EQ(r.ops[2], (Lines{"mmap r1 1 p3 anon", "spawn t4"}));
    EXPECT_EQ(r.ops[3], Lines{"touch r0 1 1x1 write"});
    EXPECT_EQ(r.ops[4], Lines{"touch r1 0 1x1 write"});
    EXPECT_EQ(r.counts().processes, 2u);
    EXPECT_EQ(r.counts().assumed_spawns, 0u);
    EXPECT_EQ(r.counts().assumed_programs, 1u);

    /* By name it is assumed. */
    Replay named("1 ~1/5 mmap 0 16384 3 34 = 0x10000\n2 ~1/6 munmap 0x10000 4096 = 0\n"
                 "3 ~2/7 munmap 0x10000 4096 = 0\n");
    named.pull();
    EXPECT_EQ(named.counts().processes, 2u);
    EXPECT_EQ(named.counts().assumed_spawns, 1u);
    EXPECT_EQ(named.counts().unknown_ranges, 1u);
}

/* clone3's flags are behind an address, so that its event does not tell them: the new task's does,
 * or the numbers of the processes. */
TEST(Recording, Children)
{
    const std::string begin = "2 5/5 clone3 - ...\n", end = "4 5/5 ... clone3 = 6\n";
    const std::string use = "5 %/6 munmap 0x10000 0x1000 = 0\n";
    const auto run = [&](const std::string &event, const std::string &process) {
        std::string last = use;
        last.replace(last.find('%'), 1, process);
        auto r = std::make_unique<Replay>(map4 + begin + event + end + last);
        r->pull();
        return r;
    };
    const auto thread = run("3 5/5 child 6 0x3d0f00\n", "5");
    EXPECT_EQ(thread->ops[0].back(), "spawn t1");
    EXPECT_EQ(thread->ops[1], Lines{"munmap r0 0+1"});
    EXPECT_EQ(thread->counts().assumed_spawns, 0u);
    const auto process = run("3 5/5 child 6 0x1200000\n", "6");
    EXPECT_EQ(process->ops[0].back(), "spawn t1 new_mm copy");
    EXPECT_EQ(process->counts().processes, 2u);
    /* The child's own line comes before the call returns. */
    const auto early = run("3 6/6 brk 0 = 0x500000\n", "6");
    EXPECT_EQ(early->ops[0].back(), "spawn t1 new_mm copy");
    EXPECT_EQ(early->counts().assumed_spawns, 0u);
    const auto kin = run("3 5/6 brk 0 = 0x500000\n", "5");
    EXPECT_EQ(kin->ops[0].back(), "spawn t1");
    /* Nothing tells: assumed to share, until its process has another number. */
    const auto late = run("", "6");
    EXPECT_EQ(late->ops[0].back(), "spawn t1");
    EXPECT_EQ(late->ops[1].front(), "exec");
    EXPECT_EQ(late->counts().separated, 1u);
    EXPECT_EQ(late->counts().processes, 2u);
}

/* Computing is what is between two calls while the thread has a CPU; sleep is told apart, and a
 * wait for a CPU is left to the simulated machine. */
TEST(Recording, SwitchesTellSleep)
{
    ts_strace_params p = recording_defaults();
    p.think = TS_STRACE_THINK_RECORDED;
    const std::string text = map4 + /* ends at 1 */
                             "11 5/5 @0 switch 9 sleep\n"
                             "31 9/9 @0 switch 5 sleep\n"
                             "36 5/5 @0 switch 9 wait\n"
                             "66 9/9 @0 switch 5 sleep\n"
                             "69 5/5 @0 munmap 0x10000 0x1000 = 0\n";
    Replay r(text, p);
    r.pull();
    EXPECT_EQ(r.ops[0], (Lines{"mmap r0 4 p3 anon", "compute 18", "sleep 20", "munmap r0 0+1"}));
    EXPECT_EQ(r.counts().switches, 4u);
    p.think_scale = 2000;
    Replay twice(text, p);
    twice.pull();
    EXPECT_EQ(twice.ops[0][1], "compute 36");
    EXPECT_EQ(twice.ops[0][2], "sleep 40");
    /* A spread draws by the seed and stays in its bounds. */
    p.think_scale = 1000;
    p.think_spread = 500;
    std::map<std::string, int> seen;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Replay drawn(text, p, seed);
        drawn.pull();
        seen[drawn.ops[0][1]]++;
        const int ns = std::stoi(drawn.ops[0][1].substr(8));
        EXPECT_GE(ns, 9);
        EXPECT_LE(ns, 27);
    }
    EXPECT_GT(seen.size(), 3u);
}

/* Time between touches is time between calls, too. */
TEST(Recording, TouchesHaveTheirTimes)
{
    ts_strace_params p = recording_defaults();
    p.think = TS_STRACE_THINK_RECORDED;
    Replay r(map4 + "5 5/5 touch 0x10000 w\n15 5/5 munmap 0x10000 0x1000 = 0\n", p);
    r.pull();
    EXPECT_EQ(r.ops[0], (Lines{"mmap r0 4 p3 anon", "compute 4", "touch r0 0 1x1 write",
                               "compute 10", "munmap r0 0+1"}));
}

TEST(Recording, Placement)
{
    const std::string text = "1 5/5 @3 mmap 0 16384 3 34 = 0x10000\n2 5/5 clone 0x100 = 6\n"
                             "3 5/5 @4 brk 0 = 0x500000\n4 5/6 @1 munmap 0x10000 4096 = 0\n"
                             "5 5/6 @7 munmap 0x11000 4096 = 0\n";
    Replay free_threads(text);
    EXPECT_TRUE(free_threads.w->cpu_of == nullptr);
    ts_strace_params p = recording_defaults();
    p.placement = TS_STRACE_PLACEMENT_RECORDED;
    Replay r(text, p);
    uint32_t cpu = 99;
    ASSERT_TRUE(r.w->cpu_of(r.w, 1, &cpu)); /* before anybody has asked for an operation */
    EXPECT_EQ(cpu, 1u);
    ASSERT_TRUE(r.w->cpu_of(r.w, 0, &cpu));
    EXPECT_EQ(cpu, 3u);
    EXPECT_FALSE(r.w->cpu_of(r.w, 2, &cpu));
    r.pull();
    EXPECT_EQ(r.ops[1].size(), 2u);
    EXPECT_EQ(r.counts().cpus, 8u);
}

TEST(Recording, FlushesOfOtherProgramsAreApart)
{
    Replay r(map4 + "2 5/5 flush 4 2\n3 5/6 flush 1 1\n4 8/8 flush 4 7\n5 -/- flush 0 3\n");
    r.pull();
    EXPECT_EQ(r.counts().flushes[TS_STRACE_FLUSH_REMOTE_SEND_IPI], 2u);
    EXPECT_EQ(r.counts().flushes[TS_STRACE_FLUSH_REMOTE_SHOOTDOWN], 1u);
    EXPECT_EQ(r.counts().flushes[TS_STRACE_FLUSH_ON_TASK_SWITCH], 3u);
    EXPECT_EQ(r.counts().flushes_elsewhere, 7u);
    EXPECT_EQ(r.counts().threads, 1u);
}

TEST(Recording, EndsOfThreadsThatAreNotKnown)
{
    Replay r(map4 + "2 8/8 ended\n3 8/8 ... mmap = 0x5000\n4 8/8 child 9 0x100\n"
                    "5 5/5 ended\n6 5/5 touch 0x10000 w\n");
    r.pull();
    EXPECT_EQ(r.ops[0], (Lines{"mmap r0 4 p3 anon", "exit"}));
    EXPECT_EQ(r.counts().threads, 1u);
}

TEST(Recording, NothingToReplay)
{
    Source source(std::string(TS_OWN_TRACE_CALLS) + "\n1 5/5 flush 4 2\n");
    ts_strace_params p = recording_defaults();
    ts_workload_config config{&p, 1, 0, &source.source};
    ts_error err{};
    ts_workload *w = nullptr;
    ASSERT_EQ(ts_workload_kind_find("recording")->create(&w, &config, &err), TS_OK);
    ts_op op;
    EXPECT_EQ(w->next(w, 0, &op, &err), -1);
    EXPECT_NE(std::string(err.message).find("no system call"), std::string::npos) << err.message;
    w->destroy(w);
}
