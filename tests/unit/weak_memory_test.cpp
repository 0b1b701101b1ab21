/* SPDX-License-Identifier: Apache-2.0 */
/* The barriers of the flush protocols, each where only it keeps a CPU from missing a flush: stores
 * wait for up to a millisecond (line.store_delay), and a CPU goes on to use what another one takes
 * away. */
#include <gtest/gtest.h>

#include "models/guest/coherence/arm64.h"
#include "models/guest/coherence/flush_mm.h"
#include "models/guest/coherence/speculate.h"
#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096, pages = 4, bytes = pages * page;
constexpr uint32_t rounds = 100;

void delay(ts_machine_config &c)
{
    set(c, "line.store_delay", "1ms");
}

/* Thread 0 drops pages, seldom, that thread 1 goes on to read, often, in stretches of some 20 us
 * without a call of the kernel. Before each it sleeps for less. */
Script drops_what_another_reads()
{
    Script s(2);
    s[0] = {op_mmap(0, bytes), op_touch(0, 0, pages), op_spawn(1)};
    for (uint32_t r = 0; r < rounds; r++) {
        s[0].push_back(op_touch(0, 0, pages));
        s[0].push_back(op_ns(TS_OP_COMPUTE, 150000 + r % 7 * 1700));
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, bytes));
    }
    for (uint32_t r = 0; r < 5 * rounds; r++) {
        s[1].push_back(op_ns(TS_OP_SLEEP, 5000));
        for (int more = 0; more < 20; more++) {
            s[1].push_back(op_touch(0, 0, pages, false));
            s[1].push_back(op_ns(TS_OP_COMPUTE, 1000));
        }
    }
    return s;
}

void is_right(const ts_machine_config &c, const Script &s, const ts_flush_ops *mechanism)
{
    const Outcome out = run_script(c, s, 1, mechanism);
    ASSERT_EQ(out.status, TS_OK) << mechanism->name << ": " << out.message;
    EXPECT_EQ(out.stats.at("oracle.hits_stale"), 0u);
    /* A flush is under way while it is used: the test tests something. */
    EXPECT_GT(out.stats.at("oracle.hits_in_window"), 0u) << mechanism->name;
}

} // namespace

namespace
{

ts_machine_config arm(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores);
    set_arm(c);
    set(c, "guest.tlbirange", "true");
    /* Long between what a TLBI drops and the end of its DSB, which completes the stores as well. */
    set(c, "dvm.sync_drain_ps", "5us");
    delay(c);
    return c;
}

ts_op protect(uint32_t prot)
{
    return op_range(TS_OP_MPROTECT, 0, 0, bytes, prot);
}

constexpr uint32_t all = TS_PROT_READ | TS_PROT_WRITE;

struct Change {
    const char *name;
    std::vector<ts_op> ops; /* thread 0 takes something away from region 0, and gives it back */
    bool writes;            /* what thread 1 does meanwhile */
};

const ts_op waits = op_ns(TS_OP_COMPUTE, 5000);
const Change changes[] = {
    {"zap", {op_range(TS_OP_MADVISE_DONTNEED, 0, 0, bytes)}, false},
    {"write access", {protect(TS_PROT_READ), waits, protect(all)}, true},
    {"all access", {protect(0), waits, protect(all)}, false},
    {"move",
     {op_mremap(0, bytes, 1, bytes + page), waits, op_range(TS_OP_MUNMAP, 1, 0, bytes + page),
      op_mmap(0, bytes)},
     false},
    {"fork", {op_spawn(2, TS_OPF_NEW_MM | TS_OPF_COPY_MM)}, true},
};

Script changes_what_another_uses(const Change &change)
{
    const bool forks = change.ops[0].kind == TS_OP_SPAWN;
    const uint32_t times = forks ? 1 : 40;
    Script s(forks ? 3 : 2);
    /* Behind a page, so that a mapping that grows must move. */
    s[0] = {op_mmap(9, page), op_mmap(0, bytes), op_touch(0, 0, pages), op_spawn(1)};
    for (uint32_t r = 0; r < times; r++) {
        s[0].push_back(op_touch(0, 0, pages));
        s[0].push_back(op_ns(TS_OP_COMPUTE, 30000 + r % 7 * 1700));
        s[0].insert(s[0].end(), change.ops.begin(), change.ops.end());
        for (int more = 0; more < 6; more++) {
            s[1].push_back(op_touch(0, 0, 6000, change.writes, 0));
            s[1].push_back(op_ns(TS_OP_COMPUTE, 100));
        }
    }
    if (forks)
        s[2] = {op_ns(TS_OP_COMPUTE, 1000)};
    return s;
}

void invalidates_too_early(ts_task *self, const ts_cpumask *, ts_flush_info *info,
                           ts_shootdown_record *)
{
    const ts_tlb_inval inval = ts_arm64_inval_all(ts_guest_cpu_of(self)->guest, info->mm);
    (void)ts_arm64_tlbi(self, &inval);
    ts_arm64_sync(self);
}

} // namespace

/* DSB ISHST before the TLBI, or before the SGI: else walks put back what was cleared. */
TEST(WeakMemory, Arm64CompletesTheStoresBeforeItInvalidates)
{
    for (const char *name : {"tlbi_broadcast", "tlbi_range", "tlbi_ipi_below",
                             "tlbi_local_if_single", "native_concurrent", "free_flush"})
        for (const Change &change : changes) {
            SCOPED_TRACE(change.name);
            is_right(arm(2), changes_what_another_uses(change), ts_flush_find(name));
        }
}

/* Who finds the entry cleared has had the lock after who cleared it: its own flush does. */
TEST(WeakMemory, WhatIsFoundClearedUnderTheLockIsSeenByWalks)
{
    const auto thinks = [](uint64_t us) { return op_ns(TS_OP_COMPUTE, us * 1000); };
    const ts_op drop = op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096);
    const ts_flush_ops ops = late("tlbi_broadcast");
    Script s{{op_mmap(0, 4096), op_touch(0, 0, 1), op_spawn(1), thinks(100), drop},
             {op_touch(0, 0, 1, false), op_touch(0, 0, 1, false), thinks(140), drop,
              op_touch(0, 0, 1, false), op_touch(0, 0, 1, false), thinks(400)}};
    const Outcome out = run_script(arm(2), s, 1, &ops);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_GE(out.shootdowns.size(), 2u);
    EXPECT_EQ(out.shootdowns[0].initiator, 1u); /* it ends first */
    EXPECT_GT(out.shootdowns[0].started, out.shootdowns[1].started);
}

/* Each kind of change is seen late. */
TEST(WeakMemory, WithoutThatAnyChangeIsMissed)
{
    ts_flush_ops hasty = *ts_flush_find("tlbi_broadcast");
    hasty.flush_multi = invalidates_too_early;
    for (const Change &change : changes) {
        SCOPED_TRACE(change.name);
        ts_machine_config c = arm(2);
        Outcome out = run_script(c, changes_what_another_uses(change), 1, &hasty);
        EXPECT_EQ(out.status, TS_ERR_FINDING);
        EXPECT_NE(out.message.find("stale translation used"), std::string::npos) << out.message;
        set(c, "line.store_delay", "0");
        out = run_script(c, changes_what_another_uses(change), 1, &hasty);
        EXPECT_EQ(out.status, TS_OK) << out.message;
    }
}

namespace
{

/* While a local TLBI is under way. */
struct Walk {
    ts_event event{};
    ts_guest *guest = nullptr;
    uint64_t va = 0;
    uint32_t made = 0;
} walk;

bool walks_meanwhile(ts_task *self, ts_flush_info *info)
{
    if (ts_event_pending(&walk.event) || !info->mm)
        return false;
    walk.guest = ts_guest_cpu_of(self)->guest;
    walk.va = info->start;
    ts_engine_schedule(walk.guest->engine, &walk.event, ts_task_now(self) + 500 * TS_NS,
                       TS_PHASE_HARDWARE);
    return false;
}

} // namespace

/* DSB NSHST before a local TLBI: else the CPU's own walks do. */
TEST(WeakMemory, Arm64CompletesTheStoresBeforeALocalTlbi)
{
    ts_event_init(&walk.event, [](ts_engine *, ts_event *) {
        ts_guest_speculate(walk.guest, 0, walk.va);
        walk.made++;
    });
    walk.made = 0;
    ts_flush_ops ops = *ts_flush_find("native_concurrent");
    ops.flush_func = walks_meanwhile;
    Script s = {{op_mmap(0, page)}};
    for (uint32_t r = 0; r < rounds; r++) {
        s[0].push_back(op_touch(0, 0, 1));
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
        s[0].push_back(op_touch(0, 0, 1, false));
    }
    ts_machine_config c = arm(1);
    set(c, "guest.tlbi_local", "3000cycles");
    const Outcome out = run_script(c, s, 1, &ops);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(walk.made, rounds);
}

namespace
{

/* Something keeps the initiator from its own flush, whose DSB comes too late for the others. */
bool is_late(ts_task *self, ts_flush_info *info)
{
    if (info->initiator == ts_guest_cpu_of(self)->id)
        ts_task_work_ps(self, 50 * TS_US);
    return false;
}

} // namespace

TEST(WeakMemory, Arm64CompletesTheStoresBeforeItInterrupts)
{
    ts_flush_ops ops = *ts_flush_find("native_concurrent");
    ops.flush_func = is_late;
    is_right(arm(2), changes_what_another_uses(changes[0]), &ops);
}

/* A CPU that leaves lazy TLB mode reads the generation when others see that it has. */
TEST(WeakMemory, ALazyCpuThatComesBackIsSeenBeforeItReadsTheGeneration)
{
    for (const char *name : {"native_concurrent", "native_sequential"}) {
        ts_machine_config c = bare_machine(2);
        set(c, "guest.lazy_rule", "skip");
        set(c, "guest.timer_slack", "1us");
        set(c, "guest.pti", "false"); /* MOV CR3 on the way to user code is a barrier */
        delay(c);
        is_right(c, drops_what_another_reads(), ts_flush_find(name));
    }
}

/* A vCPU's mode is seen before its requests are looked at. */
TEST(WeakMemory, AVcpuIsSeenToEnterBeforeItLooksForRequests)
{
    for (const char *flush : {"4.18", "fifo16"}) {
        ts_machine_config c = small_machine();
        set(c, "topology.sockets", "1");
        set(c, "run.vms", "1");
        set(c, "run.vcpus", "2");
        set(c, "hypervisor.pv_tlb_flush", "false");
        set(c, "hypervisor.hv_flush", flush);
        set(c, "guest.lazy_rule", "ipi_all");
        set(c, "guest.timer_slack", "1us");
        set(c, "guest.pti", "false");
        delay(c);
        is_right(c, drops_what_another_reads(), ts_flush_find("hyperv"));
    }
}
