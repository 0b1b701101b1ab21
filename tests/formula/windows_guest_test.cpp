/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a Windows-like guest (docs/windows-guest.md) against counts and times that follow
 * from them. */
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096, us = 1000, ms = 1000 * us;

/* vCPU i on pCPU i; costs nothing but what a test sets. */
ts_machine_config machine(uint32_t vcpus, uint32_t pcpus = 0)
{
    ts_machine_config c = small_machine();
    set_os(c, TS_OS_WINDOWS);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(pcpus ? pcpus : vcpus));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.halt_poll", "0");
    return c;
}

Outcome run(const ts_machine_config &c, const Script &s,
            const char *mechanism = "native_concurrent")
{
    Outcome out = run_script(c, s, static_cast<uint32_t>(s.size()), mechanism);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

/* Maps and touches `pages`, and gives back the first n of them. */
std::vector<ts_op> gives_back(uint64_t pages, uint64_t n, ts_op_kind how = TS_OP_MADVISE_DONTNEED)
{
    return {op_mmap(0, pages * page), op_touch(0, 0, pages), op_range(how, 0, 0, n * page)};
}

} // namespace

/* --- by list or everything --- */

TEST(WindowsFlush, IsByListUpToTheBoundAndOfEverythingBeyond)
{
    ts_machine_config c = machine(1);
    set(c, "nt.flush_list_max", "4");
    for (uint64_t n = 1; n <= 6; n++) {
        Outcome out = run(c, {gives_back(16, n)});
        /* The other flush is that of the process's end, with its page table: of everything. */
        EXPECT_EQ(out.stats["nt.flushes"], 2u);
        EXPECT_EQ(out.stats["nt.flush_lists"], n <= 4 ? 1u : 0u) << n;
        EXPECT_EQ(out.stats["nt.flush_list_pages"], n <= 4 ? n : 0u);
        EXPECT_EQ(out.stats["guest.flush_partial"], n <= 4 ? 1u : 0u);
        EXPECT_EQ(out.stats["guest.flush_pages"], n <= 4 ? n : 0u);
        EXPECT_EQ(out.stats["guest.flush_full"], n <= 4 ? 1u : 2u);
    }
}

/* What INVLPG and MOV CR3 cost more is paid as often as they are executed, to the picosecond. */
TEST(WindowsFlush, PaysForEachPageOfAListOrOnceForEverything)
{
    ts_machine_config c = machine(1);
    set(c, "hypervisor.kind", "none");
    set(c, "hypervisor.pv_tlb_flush", "false");
    set(c, "hypervisor.hv_flush", "off");
    set(c, "topology.core_hz", "2500MHz");
    for (uint64_t n : {1, 31, 32, 33}) {
        ts_time base = run(c, {gives_back(64, n)}).result.completion_ps;
        ts_machine_config dear = c;
        set(dear, "guest.invlpg", std::to_string(c.guest.invlpg_cycles + 1000) + "cycles");
        EXPECT_EQ(run(dear, {gives_back(64, n)}).result.completion_ps - base,
                  (n <= 32 ? n : 0) * 1000 * 400);
        dear = c;
        set(dear, "guest.mov_cr3_flush",
            std::to_string(c.guest.mov_cr3_flush_cycles + 1000) + "cycles");
        /* The thread's first switch, the process's end, and the flush if it is of everything. */
        EXPECT_EQ(run(dear, {gives_back(64, n)}).result.completion_ps - base,
                  (n <= 32 ? 2 : 3) * UINT64_C(1000) * 400);
    }
}

TEST(WindowsFlush, OnlyPagesThatAreThereAreOnTheList)
{
    ts_machine_config c = machine(1);
    Script s = {{op_mmap(0, 400 * page), op_touch(0, 0, 10, true, 40 * page),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 400 * page),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 400 * page)}};
    Outcome out = run(c, s);
    EXPECT_EQ(out.stats["nt.flush_lists"], 1u);
    EXPECT_EQ(out.stats["nt.flush_list_pages"], 10u);
    EXPECT_EQ(out.stats["guest.pages_freed"], 10u);
}

TEST(WindowsFlush, WherePageTablesGoIsOfEverything)
{
    ts_machine_config c = machine(1);
    Script s = {{op_mmap(1, page), op_touch(1, 0, 1), op_mmap(0, 4 * page), op_touch(0, 0, 4),
                 op_range(TS_OP_MUNMAP, 0, 0, 4 * page), op_range(TS_OP_MUNMAP, 1, 0, page)}};
    Outcome out = run(c, s);
    EXPECT_EQ(out.stats["nt.flush_lists"], 1u); /* the neighbour keeps the table */
    EXPECT_EQ(out.stats["nt.flush_whole"], 1u);
    EXPECT_EQ(out.stats["guest.shootdown_all"], 2u);
    EXPECT_GT(out.stats["guest.tables_freed"], 0u);
}

TEST(WindowsFree, FlushesOnceABatchOfAPageTable)
{
    for (uint64_t batch : {1, 100, 512}) {
        ts_machine_config c = machine(1);
        set(c, "nt.free_batch", std::to_string(batch));
        Script s = {{op_mmap(0, 512 * page * 2), op_touch(0, 0, 1024),
                     op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 1024 * page)}};
        Outcome out = run(c, s);
        /* Where the mapping begins in its first table is the guest's choice. */
        const uint64_t least = (1024 + batch - 1) / batch;
        EXPECT_GE(out.stats["nt.flushes"] - 1, least);
        EXPECT_LE(out.stats["nt.flushes"] - 1, least + 2);
        EXPECT_EQ(out.stats["guest.pages_freed"], 1024u);
    }
}

/* --- whom flushes go to --- */

namespace
{

/* Thread 1 looks at the page and sleeps; meanwhile thread 0 gives a page back. */
Script sleeper()
{
    return {{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_ns(TS_OP_COMPUTE, 3 * ms),
             op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page), op_barrier(0, 2)},
            {op_touch(0, 0, 1, false), op_ns(TS_OP_SLEEP, 10 * ms), op_touch(0, 0, 1, false),
             op_barrier(0, 2)}};
}

} // namespace

TEST(WindowsActiveProcessors, AnIdleOneStaysUnlessItLeaves)
{
    for (const char *rule : {"stays", "leaves", "grows"}) {
        const bool leaves = std::string(rule) == "leaves";
        ts_machine_config c = machine(2);
        set(c, "nt.active_processors", rule);
        Outcome out = run(c, sleeper());
        EXPECT_EQ(out.stats["guest.shootdowns"] > 0, !leaves) << rule;
        /* Each return of an idle processor that has left loads the page tables again. */
        EXPECT_EQ(out.stats["guest.flush_on_switch"] > 2, leaves) << rule;
    }
}

/* A thread of another process takes the second processor for good; then pages go. */
TEST(WindowsActiveProcessors, AnotherProcessTakesAProcessorOutUnlessTheSetGrows)
{
    Script s = {{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_spawn(1), op_spawn(2, TS_OPF_NEW_MM),
                 op_ns(TS_OP_COMPUTE, 5 * ms), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page)},
                {op_touch(0, 0, 1, false)},
                {op_ns(TS_OP_COMPUTE, 10 * ms)}};
    for (const char *rule : {"stays", "leaves", "grows"}) {
        ts_machine_config c = machine(2);
        set(c, "nt.active_processors", rule);
        set(c, "guest_sched.balance_factor", "0");
        Outcome out = run_script(c, s, 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        const bool grows = std::string(rule) == "grows";
        EXPECT_EQ(out.stats["guest.nr_tlb_remote_flush_received"] > 0, grows) << rule;
    }
}

TEST(WindowsSwitch, OfTheSameProcessCostsNoFlush)
{
    Script s = {{op_mmap(0, page), op_ns(TS_OP_COMPUTE, 30 * ms)}, {op_ns(TS_OP_COMPUTE, 30 * ms)}};
    ts_machine_config c = machine(1);
    set(c, "nt.active_processors", "stays"); /* else the way back from idle is one, too */
    Outcome out = run(c, s);
    EXPECT_GT(out.stats["vcpu.context_switches"], 4u);
    EXPECT_EQ(out.stats["guest.flush_on_switch"], 1u);
}

/* --- hypercalls --- */

namespace
{

/* n processors read the pages; the first gives all or a few of them back. */
Script readers(uint32_t n, uint64_t back)
{
    Script s(n);
    s[0] = {op_mmap(0, 600 * page), op_touch(0, 0, 600)};
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            s[i].push_back(op_touch(0, 0, 1, false));
        s[i].push_back(op_barrier(0, n));
        s[i].push_back(op_ns(TS_OP_COMPUTE, i ? 2 * ms : 100 * us));
    }
    s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, back * page));
    return s;
}

Outcome by_hypercall(ts_machine_config c, uint32_t n, uint64_t back)
{
    Outcome out = run(c, readers(n, back), "hyperv_windows");
    EXPECT_EQ(out.stats["flush.hyperv_windows.native_fallbacks"], 0u);
    EXPECT_EQ(out.stats["guest.ipis"], 0u);
    return out;
}

} // namespace

TEST(WindowsHypercall, HasItsInputInRegistersWhereBothCan)
{
    for (const char *host : {"4.18", "fifo16", "hyperv"}) {
        for (const char *fast : {"true", "false"}) {
            ts_machine_config c = machine(3);
            set(c, "hypervisor.hv_flush", host);
            set(c, "nt.fast_calls", fast);
            Outcome out = by_hypercall(c, 3, 5);
            const bool can = std::string(host) != "4.18" && std::string(fast) == "true";
            const uint64_t calls = out.stats["flush.hyperv_windows.hypercalls"];
            EXPECT_GE(calls, 1u);
            EXPECT_EQ(out.stats["flush.hyperv_windows.fast_calls"], can ? calls : 0u);
        }
    }
}

/* Neighbouring pages are one entry: a call with room for 11 entries in registers takes 32 pages. */
TEST(WindowsHypercall, NamesNeighbouringPagesByOneEntry)
{
    ts_machine_config c = machine(3);
    Outcome out = by_hypercall(c, 3, 32);
    EXPECT_EQ(out.stats["flush.hyperv_windows.list_calls"], 1u);
    EXPECT_EQ(out.stats["flush.hyperv_windows.fast_calls"],
              out.stats["flush.hyperv_windows.hypercalls"]);
    EXPECT_EQ(out.stats["hypervisor.hv_entries"], 3u); /* one on each processor */
}

TEST(WindowsHypercall, ReadsAListThatDoesNotFitFromMemory)
{
    ts_machine_config c = machine(2);
    set(c, "nt.active_processors", "stays"); /* one may wait at the barrier */
    Script s = {{op_mmap(0, 400 * page), op_touch(0, 0, 20, true, 20 * page), op_barrier(0, 2),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 400 * page)},
                {op_touch(0, 0, 1, false), op_barrier(0, 2), op_ns(TS_OP_COMPUTE, ms)}};
    Outcome out = run(c, s, "hyperv_windows");
    EXPECT_EQ(out.stats["flush.hyperv_windows.list_calls"], 1u);
    EXPECT_EQ(out.stats["flush.hyperv_windows.hypercalls"] -
                  out.stats["flush.hyperv_windows.fast_calls"],
              1u);
}

TEST(WindowsHypercall, NamesProcessorsAbove63ByASparseSet)
{
    for (uint32_t n : {64u, 66u}) {
        ts_machine_config c = machine(70);
        Outcome out = by_hypercall(c, n, 600);
        EXPECT_EQ(out.stats["flush.hyperv_windows.ex_calls"] > 0, n > 64) << n;
    }
    ts_machine_config c = machine(70);
    set(c, "hypervisor.hv_ex_masks", "false");
    Outcome out = run(c, readers(66, 600), "hyperv_windows");
    EXPECT_GT(out.stats["flush.hyperv_windows.native_fallbacks"], 0u);
    EXPECT_GT(out.stats["guest.ipis"], 0u);
}

/* --- locks --- */

namespace
{

Outcome faulters(const ts_machine_config &c)
{
    Script s(4);
    for (uint32_t t = 0; t < 4; t++)
        s[t] = {op_mmap(t, 200 * page), op_barrier(0, 4), op_touch(t, 0, 200)};
    return run(c, s);
}

} // namespace

TEST(WindowsLocks, FaultsShareTheWorkingSetLock)
{
    ts_machine_config c = machine(4);
    Outcome shared = faulters(c);
    EXPECT_EQ(shared.stats["nt.working_set_waits"], 0u);
    set(c, "nt.fault_shared", "false");
    Outcome alone = faulters(c);
    EXPECT_GT(alone.stats["nt.working_set_waits"], 400u);
    EXPECT_GT(alone.stats["nt.working_set_wait_ps"], shared.stats["nt.working_set_wait_ps"]);
    EXPECT_GT(alone.result.completion_ps, shared.result.completion_ps);
}

/* Preemption is off while the lock is held, so that another thread of the processor gets a turn in
 * the middle of a long free only between its batches. */
TEST(WindowsLocks, AFreeCanBePreemptedBetweenItsBatches)
{
    Script s = {{op_mmap(0, 16384 * page), op_touch(0, 0, 16384), op_barrier(0, 2),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 16384 * page)},
                {op_barrier(0, 2), op_ns(TS_OP_COMPUTE, 10 * ms)}};
    ts_machine_config c = machine(1);
    set(c, "guest_sched.policy", "rr");
    set(c, "guest_sched.slice", "200us");
    set(c, "guest_sched.tick", "200us");
    Outcome lets = run(c, s);
    set(c, "nt.free_unlocks", "false");
    Outcome holds = run(c, s);
    EXPECT_GT(lets.stats["vcpu.preemptions"], holds.stats["vcpu.preemptions"] + 2);
    EXPECT_EQ(holds.stats["nt.flushes"], lets.stats["nt.flushes"]);
}

TEST(WindowsLocks, AWaiterForTheWorkingSetSpinsOrSleepsByItsKind)
{
    Script s = {{op_mmap(0, 4096 * page), op_touch(0, 0, 4096), op_barrier(0, 2),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096 * page)},
                {op_mmap(1, 4096 * page), op_barrier(0, 2), op_ns(TS_OP_COMPUTE, 20 * us),
                 op_touch(1, 0, 1)}};
    ts_machine_config c = machine(2);
    set(c, "nt.free_unlocks", "false");
    set(c, "nt.free_shared", "false");
    Outcome spins = run(c, s);
    set(c, "nt.working_set_lock", "push");
    Outcome sleeps = run(c, s);
    EXPECT_GT(spins.stats["vcpu.spin_ps"], sleeps.stats["vcpu.spin_ps"] + 100 * TS_US);
    EXPECT_GT(sleeps.stats["vcpu.wakeups"], spins.stats["vcpu.wakeups"]);
}

/* A fault that meets a long free, or a long change of protection. */
TEST(WindowsLocks, FreesLetFaultsInIfSoSet)
{
    for (ts_op_kind how : {TS_OP_MADVISE_DONTNEED, TS_OP_MPROTECT}) {
        Script s = {{op_mmap(0, 4096 * page), op_touch(0, 0, 4096), op_barrier(0, 2),
                     op_range(how, 0, 0, 4096 * page, 0)},
                    {op_mmap(1, 4096 * page), op_barrier(0, 2), op_ns(TS_OP_COMPUTE, 20 * us),
                     op_touch(1, 0, 64)}};
        ts_machine_config c = machine(2);
        set(c, "nt.free_unlocks", "false");
        set(c, "nt.free_shared", "false");
        EXPECT_GT(run(c, s).stats["nt.working_set_waits"], 0u);
        set(c, "nt.free_shared", "true");
        Outcome shared = run(c, s);
        EXPECT_EQ(shared.stats["nt.working_set_waits"], 0u);
        EXPECT_EQ(shared.stats["guest.faults"], 4096u + 64u);
    }
}

/* What the library has made inaccessible is in no TLB when it is freed: one flush is of its pages,
 * the other of the table. */
TEST(WindowsProtect, TheLibraryTakesAccessAwayBeforeItFrees)
{
    for (const char *protects : {"false", "true"}) {
        const bool is = std::string(protects) == "true";
        ts_machine_config c = machine(1);
        set(c, "nt.library_protects", protects);
        Script s = {{op_mmap(0, 8 * page), op_touch(0, 0, 5), op_mmap(1, 8 * page),
                     op_touch(1, 0, 1), op_range(TS_OP_MUNMAP, 0, 0, 8 * page)}};
        Outcome out = run(c, s);
        EXPECT_EQ(out.stats["nt.flush_lists"], 1u) << protects;
        EXPECT_EQ(out.stats["nt.flush_list_pages"], 5u);
        EXPECT_EQ(out.stats["guest.pages_freed"], 5u + 1u);
        c.guest.syscall_cycles += 1000;
        ts_time dear = run(c, s).result.completion_ps;
        c.guest.syscall_cycles -= 1000;
        /* mmap, mmap, munmap, which is two calls then, and the thread's end. */
        EXPECT_NEAR(double(dear - run(c, s).result.completion_ps),
                    (is ? 5e15 : 4e15) / double(c.topology.core_hz), 1000.0);
    }
}

TEST(WindowsLocks, TheLibraryMapsOneAtATime)
{
    Script s(4);
    for (uint32_t t = 0; t < 4; t++)
        s[t] = {op_mmap(t, 300 * page), op_touch(t, 0, 300), op_barrier(0, 4),
                op_range(TS_OP_MUNMAP, t, 0, 300 * page)};
    ts_machine_config c = machine(4);
    Outcome without = run(c, s);
    EXPECT_EQ(without.stats["nt.library_waits"], 0u);
    EXPECT_GT(without.stats["nt.address_space_waits"], 0u);
    set(c, "nt.library_lock", "true");
    Outcome with = run(c, s);
    EXPECT_GT(with.stats["nt.library_waits"], 0u);
    EXPECT_EQ(with.stats["nt.address_space_waits"], 0u);
}

TEST(WindowsLocks, WhoWaitsForFlushesNotifiesIfSoSet)
{
    for (const char *notifies : {"true", "false"}) {
        ts_machine_config c = machine(2);
        set(c, "hypervisor.hv_spinlocks", "1");
        set(c, "nt.wait_notifies", notifies);
        Outcome out = run(c, readers(2, 600));
        EXPECT_EQ(out.stats["nt.long_spins"] > 0, std::string(notifies) == "true");
        EXPECT_EQ(out.stats["nt.long_spins"], out.stats["hypervisor.hypercalls_long_spin"]);
    }
}

/* --- protections --- */

TEST(WindowsProtect, PagesWithoutAccessComeBackByAFault)
{
    Script s = {{op_mmap(0, 8 * page), op_touch(0, 0, 8),
                 op_range(TS_OP_MPROTECT, 0, 0, 8 * page, 0), op_touch(0, 0, 1, false),
                 op_range(TS_OP_MPROTECT, 0, 0, 8 * page, TS_PROT_READ | TS_PROT_WRITE),
                 op_touch(0, 0, 8), op_range(TS_OP_MUNMAP, 0, 0, 8 * page)}};
    Outcome out = run(machine(1), s);
    EXPECT_EQ(out.stats["guest.faults"], 8u + 1u + 8u);
    EXPECT_EQ(out.stats["guest.touches"], 16u);
    EXPECT_EQ(out.stats["guest.pages_freed"], 8u);
}

TEST(WindowsProtect, EachChangedEntryIsFlushed)
{
    Script s = {{op_mmap(0, 8 * page), op_touch(0, 0, 5),
                 op_range(TS_OP_MPROTECT, 0, 0, 8 * page, TS_PROT_READ),
                 op_range(TS_OP_MPROTECT, 0, 0, 8 * page, TS_PROT_READ | TS_PROT_WRITE)}};
    Outcome out = run(machine(1), s);
    EXPECT_EQ(out.stats["nt.flush_lists"], 2u);
    EXPECT_EQ(out.stats["nt.flush_list_pages"], 10u);
}

/* --- times --- */

TEST(WindowsTime, ASleepEndsWithAClockInterrupt)
{
    ts_machine_config c = machine(1);
    set(c, "nt.timer_resolution", "1ms");
    Script s = {{op_ns(TS_OP_COMPUTE, 100 * us), op_ns(TS_OP_SLEEP, 100)}};
    ts_time early = run(c, s).result.completion_ps;
    s[0][0] = op_ns(TS_OP_COMPUTE, 700 * us);
    EXPECT_EQ(run(c, s).result.completion_ps, early);
    EXPECT_GT(early, TS_MS);
    EXPECT_LT(early, TS_MS + 50 * TS_US);
    s[0][0] = op_ns(TS_OP_COMPUTE, 1100 * us);
    EXPECT_EQ(run(c, s).result.completion_ps, early + TS_MS);
}

TEST(WindowsTime, IsChargedByClockInterrupts)
{
    ts_machine_config c = machine(1);
    set(c, "guest.tick", "nohz");
    set(c, "guest_sched.tick", "1ms");
    Script s = {{op_ns(TS_OP_COMPUTE, 20 * ms + 500 * us)}};
    Outcome out = run(c, s);
    EXPECT_EQ(out.stats["nt.ticks_charged"], 20u);
    EXPECT_EQ(out.stats["nt.user_time_ps"], 20 * TS_MS);
    EXPECT_EQ(out.stats["nt.kernel_time_ps"], 0u);
}

namespace
{

/* Two vCPUs on one pCPU, each with a thread that computes for 20 ms. */
Outcome crowded(const char *accounting, const char *steal)
{
    ts_machine_config c = machine(2, 1);
    set(c, "guest.tick", "nohz");
    set(c, "guest_sched.tick", "1ms");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "5ms");
    set(c, "nt.accounting", accounting);
    set(c, "nt.charge_steal", steal);
    return run(c, {{op_ns(TS_OP_COMPUTE, 20 * ms)}, {op_ns(TS_OP_COMPUTE, 20 * ms)}});
}

void expect_ms(ts_time got, double want, double off)
{
    EXPECT_NEAR(static_cast<double>(got) / static_cast<double>(TS_MS), want, off);
}

} // namespace

/* Each takes 40 ms of real time, less the other's last turn. */
TEST(WindowsTime, LostTimeIsTheRunningThreadsIfSoSet)
{
    Outcome cycles = crowded("cycles", "true");
    Outcome without = crowded("cycles", "false");
    expect_ms(without.stats["nt.user_time_ps"], 40, 0.5);
    expect_ms(cycles.stats["nt.user_time_ps"] + cycles.stats["nt.kernel_time_ps"], 70, 10);
    Outcome ticks = crowded("ticks", "true");
    expect_ms(ticks.stats["nt.user_time_ps"] + ticks.stats["nt.kernel_time_ps"], 70, 10);
    Outcome one = crowded("ticks", "false");
    EXPECT_LT(one.stats["nt.user_time_ps"] + one.stats["nt.kernel_time_ps"], 60 * TS_MS);
}

/* --- wrong input --- */

TEST(WindowsNeeds, AreUserErrorsThatSayWhatWorks)
{
    struct Row {
        const char *key, *value, *mechanism, *says;
    };
    const Row rows[] = {
        {"guest.flush_ceiling", "10", "native_concurrent", "nt.flush_list_max"},
        {"guest.lazy_rule", "ipi_all", "native_concurrent", "nt.active_processors"},
        {"guest.thp", "always", "native_concurrent", "guest.thp is of Linux"},
        {"guest.pti", "true", "native_concurrent", "guest.pti is of Linux"},
        {"guest.linux", "4.15", "native_concurrent", "guest.linux is of Linux"},
        {"run.vms", "1", "kvm_pv",
         "has free_flush, hyperv_windows, native_concurrent, native_sequential"},
        {"run.vms", "1", "hyperv", "it is of Linux"},
        {"guest.os", "linux", "hyperv_windows", "of a Windows guest"},
        {"guest.os", "linux", "native_concurrent",
         "nt.timer_resolution is of a Windows-like guest"},
    };
    for (const Row &row : rows) {
        ts_machine_config c = machine(2);
        if (std::string(row.mechanism) == "hyperv_windows")
            set(c, "nt.timer_resolution", "15625us");
        set(c, row.key, row.value);
        ts_error err{};
        EXPECT_EQ(ts_machine_check(&c, ts_flush_find(row.mechanism), &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find(row.says), std::string::npos) << err.message;
    }
    ts_machine_config arm = small_machine(true);
    set_os(arm, TS_OS_WINDOWS);
    set(arm, "guest.tlbirange", "false");
    ts_error err{};
    EXPECT_EQ(ts_machine_check(&arm, ts_flush_find("native_concurrent"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("topology.arch is arm64"), std::string::npos)
        << err.message;
}

TEST(WindowsNeeds, WhatAWorkloadAsksForAndIsNotThereIsAUserError)
{
    const std::pair<ts_op, const char *> rows[] = {
        {op_mremap(0, page, 1, 2 * page), "mremap"},
        {op_range(TS_OP_MADVISE_COLD, 0, 0, page), "MADV_COLD"},
        {op_spawn(1, TS_OPF_NEW_MM | TS_OPF_COPY_MM), "fork"},
    };
    for (const auto &[op, says] : rows) {
        Outcome out = run_script(machine(1), {{op_mmap(0, page), op}, {}}, 1);
        EXPECT_EQ(out.status, TS_ERR_USER);
        EXPECT_NE(out.message.find(std::string("asks for ") + says), std::string::npos)
            << out.message;
        EXPECT_NE(out.message.find("guest.os windows"), std::string::npos);
    }
}
