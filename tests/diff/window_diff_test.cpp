/* SPDX-License-Identifier: Apache-2.0 */
/* Loops over a window of pages, joined as far as nothing comes in between, against each read made
 * by itself: equal statistics, whoever invalidates, preempts and interrupts in between. */
#include <gtest/gtest.h>

#include <random>

#include "models/hypervisor/vcpu_stage.h"
#include "tests/support/host_rig.hpp"
#include "tests/support/pull_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t block = UINT64_C(1) << 21, at = UINT64_C(1) << 42;

struct Loop {
    uint32_t vcpus = 1, cores = 4;
    uint64_t blocks = 2, back = 512, seed = 0, noise = 0;
    std::map<std::string, std::string> settings{};
    uint64_t foreign = 0; /* TLBI of a VMID that nobody has */
    /* Invalidations by pCPU 0's TLB, so far apart: of all that it has, or of VMID 9's. */
    uint64_t drops = 0, between = 0;
    bool drops_all = true;
};

ts_host_op on_slot(ts_host_op_kind kind, uint64_t bytes = 0)
{
    ts_host_op op = host_op(kind, bytes, 0, at);
    op.slot = op.level = 1;
    return op;
}

ts_host_op stage(uint32_t number)
{
    ts_host_op op = host_op(TS_HOST_STAGE);
    op.stage = number;
    return op;
}

ts_machine_config machine(const Loop &l)
{
    ts_machine_config c = small_machine(true);
    for (const auto &[key, value] :
         std::map<std::string, std::string>{{"topology.sockets", "1"},
                                            {"topology.cores_per_socket", std::to_string(l.cores)},
                                            {"topology.core_hz", "2.5GHz"},
                                            {"run.vms", "1"},
                                            {"run.vcpus", std::to_string(l.vcpus)},
                                            {"run.oracle", "false"},
                                            {"hypervisor.pin", "true"},
                                            {"hypervisor.backing", "4KiB"},
                                            {"hypervisor.last_vcpu_ran_flush", "true"},
                                            {"mmu.l1d_4k_entries", "48"},
                                            {"mmu.l1d_4k_ways", "48"},
                                            {"mmu.l2_entries", "1280"},
                                            {"mmu.l2_ways", "5"},
                                            {"mmu.l2_hit_cycles", "3cycles"},
                                            {"mmu.nested_entries", "64"},
                                            {"mmu.nested_ways", "4"},
                                            {"mmu.walk_l1_entries", "64"},
                                            {"mmu.replacement", "lru"},
                                            {"mmu.l1_replacement", "lru"},
                                            {"mmu.sweep_blocking", "true"},
                                            {"mmu.sweep_sets_per_cycle", "1"},
                                            {"guest_sched.tick", "1ms"},
                                            {"host_sched.tick", "300us"},
                                            {"host_sched.slice", "700us"}})
        set(c, key, value);
    for (const auto &[key, value] : l.settings)
        set(c, key, value);
    return c;
}

/* Threads that now and then flush, kick and compute. */
std::vector<ts_host_op> noise(const Loop &l, uint64_t seed)
{
    std::mt19937_64 random(seed);
    std::vector<ts_host_op> ops;
    for (uint64_t i = 0; i < l.noise; i++) {
        ts_host_op kick = host_op(TS_HOST_KICK);
        kick.vcpu = static_cast<uint32_t>(random() % l.vcpus);
        const uint64_t page = at + random() % (l.blocks * 512) * 4096;
        const ts_host_op kinds[] = {host_op(TS_HOST_FLUSH),
                                    host_op(TS_HOST_FLUSH_RANGE, 4 * 4096, 0, page),
                                    host_op(TS_HOST_FLUSH_IPA, 0, 0, page),
                                    kick,
                                    host_op(TS_HOST_NOTIFY, 4096, 0, page),
                                    host_op(TS_HOST_COMPUTE, 1 + random() % 50000)};
        ops.push_back(host_op(TS_HOST_SLEEP, 1 + random() % (400 * TS_US)));
        ops.push_back(kinds[random() % TS_ARRAY_LEN(kinds)]);
    }
    return ops;
}

/* All of VMID 9's: the TLBs are swept and keep what they have. */
std::vector<ts_host_op> foreign(const Loop &l)
{
    std::mt19937_64 random(l.seed);
    std::vector<ts_host_op> ops;
    for (uint64_t i = 0; i < l.foreign; i++) {
        ops.push_back(host_op(TS_HOST_COMPUTE, 1 + random() % 3000));
        ops.push_back(host_tlbi(ts_inval_tlbi_vmalls12e1(9)));
        ops.push_back(host_op(TS_HOST_DSB));
    }
    return ops;
}

/* As a message that comes at that very time, when the pCPU has no work that it could hold up
 * (models/machine/machine.c apply_message, ts_cpu_hold). */
void drop(const ts_hypervisor *h, bool all)
{
    const ts_tlb_inval what = all ? ts_inval_tlbi_alle1() : ts_inval_tlbi_vmalls12e1(9);
    const uint64_t now = ts_clock_cycle_at(h->w.host->clock, ts_engine_now(h->w.engine));
    ts_cpu_disturb(&h->w.host->cpus[0]);
    (void)ts_mmu_invalidate(h->w.mmus[0], &what, now);
}

Outcome run(const Loop &l, bool single)
{
    std::vector<uint64_t> p{l.vcpus, l.blocks * block, at, 1, l.back, 1};
    WorkloadPtr w = make_workload("kvm_page_table_test", p.data());
    Script s;
    for (uint32_t v = 0; v < l.vcpus; v++)
        s.push_back(pull(w.get(), v));
    ts_machine_config c = machine(l);
    set(c, "guest.page_by_page", single ? "true" : "false");
    HostRun r(c);
    r.pinned = true;
    r.task({on_slot(TS_HOST_SLOT_ADD, l.blocks * block), on_slot(TS_HOST_SLOT_SPLIT),
            stage(TS_STAGE_BEFORE), stage(TS_STAGE_ADJUST), on_slot(TS_HOST_SLOT_DELETE),
            stage(TS_STAGE_QUIT)},
           l.cores - 1);
    if (l.noise)
        for (uint64_t i = 0; i < 2; i++)
            r.task(noise(l, l.seed * 2 + i), static_cast<uint32_t>(i), 1, true);
    if (l.foreign)
        r.task(foreign(l), l.cores - 1);
    ts_hypervisor *host = nullptr;
    r.task({r.code([&host](ts_task *, ts_hypervisor *h) { host = h; })}, l.cores - 1);
    for (uint64_t i = 1; i <= l.drops; i++)
        r.at(i * l.between, [&host, &l] {
            if (host)
                drop(host, l.drops_all);
        });
    Outcome got = r.run(s, l.vcpus, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

/* How many times as many events the single reads are. */
uint64_t compare(const Loop &l)
{
    Outcome joined = run(l, false), single = run(l, true);
    EXPECT_EQ(joined.stats.size(), single.stats.size());
    for (const auto &[key, value] : single.stats)
        EXPECT_EQ(joined.stats.at(key), value) << key;
    EXPECT_EQ(joined.result.completion_ps, single.result.completion_ps);
    return single.result.events / joined.result.events;
}

} // namespace

TEST(WindowDiff, OfOneVcpu)
{
    compare({.blocks = 3});
}

TEST(WindowDiff, OfVcpusThatCollapseBlocksForEachOther)
{
    EXPECT_GT(compare({.vcpus = 3}), 20u);
}

TEST(WindowDiff, OfVcpusThatPreemptEachOther)
{
    EXPECT_GT(compare({.vcpus = 5, .cores = 2}), 4u);
}

TEST(WindowDiff, WhoeverComesInBetween)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        SCOPED_TRACE(seed);
        Loop l{.vcpus = 1 + static_cast<uint32_t>(seed % 3), .cores = 3, .seed = seed, .noise = 40};
        l.settings["mmu.sweep_blocking"] = seed % 2 ? "true" : "false";
        l.settings["hypervisor.stage2_range_flush"] = seed % 3 ? "true" : "false";
        if (seed % 3 == 2) /* smaller structures, another window */
            for (const char *key : {"mmu.l2_entries", "mmu.l1d_4k_entries", "mmu.l1d_4k_ways"})
                l.settings[key] = key[4] == 'l' && key[5] == '2' ? "640" : "20";
        l.back = seed % 3 == 2 ? 300 : 512;
        compare(l);
    }
}

/* Reads of two cycles, so that every other tick falls where one ends. */
TEST(WindowDiff, TicksAtTheEndOfAReadComeAfterIt)
{
    for (const char *tick : {"100us", "130us"}) {
        SCOPED_TRACE(tick);
        Loop l{.vcpus = 4, .cores = 2, .blocks = 3};
        l.settings = {{"guest_sched.tick", "100us"},
                      {"host_sched.tick", tick},
                      {"host_sched.slice", "100us"},
                      {"mmu.l2_hit_cycles", "1cycles"},
                      {"guest.touch", "1cycles"}};
        compare(l);
    }
}

namespace
{

/* As many invalidations as there is time for. */
void compare_with_drops(Loop l)
{
    l.between = 1000400; /* another place of a pass each time */
    l.drops = run(l, true).result.completion_ps / l.between;
    EXPECT_GT(l.drops, 200u);
    compare(l);
}

} // namespace

/* Whatever read of a pass an invalidation falls into, the last one among them: none of the passes
 * behind it is joined to those before. */
TEST(WindowDiff, AnInvalidationInEveryReadOfAPass)
{
    for (const char *blocking : {"true", "false"}) {
        SCOPED_TRACE(blocking);
        Loop l{.blocks = 8, .back = 8};
        l.settings = {{"mmu.l1d_4k_entries", "4"},
                      {"mmu.l1d_4k_ways", "4"},
                      {"mmu.l2_entries", "64"},
                      {"mmu.l2_ways", "4"},
                      {"mmu.sweep_blocking", blocking}};
        compare_with_drops(l);
    }
}

/* Reads are not joined while they would wait for a sweep. */
TEST(WindowDiff, ASweepThatTakesNothingAway)
{
    for (const char *blocking : {"true", "false"}) {
        SCOPED_TRACE(blocking);
        Loop l{.blocks = 1, .drops_all = false};
        l.settings = {{"mmu.sweep_blocking", blocking}};
        compare_with_drops(l);
    }
}

/* Sweeps that take nothing away, and that reads wait for, are under way most of the time. */
TEST(WindowDiff, SweepsForAnotherVm)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        SCOPED_TRACE(seed);
        Loop l{.vcpus = 2, .cores = 3, .blocks = 1, .seed = seed, .noise = 60, .foreign = 4000};
        l.settings = {{"mmu.l2_entries", "8192"}, {"mmu.l2_ways", "4"}};
        compare(l);
    }
}

/* Where other reads than those expected may hit, nothing is joined that is not so. */
TEST(WindowDiff, StructuresThatAreNotLru)
{
    for (const char *key : {"mmu.replacement", "mmu.l1_replacement"}) {
        for (const char *policy : {"tree_plru", "random"}) {
            SCOPED_TRACE(std::string(key) + " " + policy);
            Loop l{.vcpus = 2, .blocks = 1, .back = 400};
            l.settings = {{key, policy}};
            compare(l);
            l = {.blocks = 2, .back = 300}; /* more than the second level holds */
            l.settings = {{key, policy},
                          {"mmu.l2_entries", "640"},
                          {"mmu.l1d_4k_entries", "20"},
                          {"mmu.l1d_4k_ways", "20"}};
            compare(l);
        }
    }
}
