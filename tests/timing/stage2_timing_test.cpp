/* SPDX-License-Identifier: Apache-2.0 */
/* Exact times of a VM's stage 2: faults, unmapping, and the lock. */
#include <gtest/gtest.h>

#include "models/hypervisor/stage2.h"
#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000; /* of a workload's compute */
constexpr uint64_t page = 4096;

ts_machine_config one(const char *vcpus = "1")
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", vcpus);
    set(c, "hypervisor.pin", "true");
    return c;
}

ts_host_op on_slot(ts_host_op_kind kind, uint32_t slot, uint32_t level = 0, uint64_t size = 0)
{
    ts_host_op op = host_op(kind, size, 0, TS_STAGE2_SLOTS_FROM);
    op.slot = slot;
    op.level = level;
    return op;
}

ts_time cycles(const ts_machine_config &c, uint64_t n)
{
    ts_clock clock;
    ts_clock_init(&clock, c.topology.core_hz);
    return ts_clock_cycle_time(&clock, n);
}

/* To two cycles: where computations in ns begin decides how they are rounded. */
void expect_cycles(const ts_machine_config &c, ts_time took, uint64_t n)
{
    EXPECT_GE(took, cycles(c, n - 2));
    EXPECT_LE(took, cycles(c, n + 2));
}

/* Of the second of two writes to a page that has been protected meanwhile, without the first. */
ts_time fault_time(ts_machine_config c)
{
    set(c, "hypervisor.prefault", "false");
    set(c, "hypervisor.backing", "4KiB");
    HostRun run(c);
    run.task({host_op(TS_HOST_SLEEP, TS_MS), on_slot(TS_HOST_LOG_START, 0)}, 3);
    Outcome got = run.run(
        {{op_mmap(0, page), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 3000 * us), op_touch(0, 0, 1)}},
        1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.at("stage2.relaxed"), 1u);
    return got.result.completion_ps;
}

} // namespace

/* Every cost of a permission fault is in it, once: two runs that differ in one cost differ by it.
 */
TEST(Stage2Timing, APermissionFaultIsTheSumOfItsParts)
{
    const ts_machine_config base = one();
    const ts_time whole = fault_time(base);
    struct Case {
        const char *key;
        uint64_t cycles, times;
    };
    /* The accesses before: a fault for the page itself and one for each of its tables. */
    const uint64_t first = 5;
    const Case cases[] = {{"hypervisor.tlbi_local", 3000, 2},
                          {"hypervisor.stage2_fault", 30000, first + 1},
                          {"hypervisor.stage2_map", 3000, first + 1}};
    for (const Case &k : cases) {
        ts_machine_config c = base;
        void *params = nullptr;
        const ts_param *row = find_param(c, k.key, &params);
        const uint64_t was = ts_param_get(row, params);
        set(c, k.key, std::to_string(was + k.cycles) + "cycles");
        expect_cycles(c, fault_time(c) - whole, k.cycles * k.times);
    }
}

/* nvhe/tlb.c: each flush is a call to EL2 and back. */
TEST(Stage2Timing, WithoutVheEachFlushIsACall)
{
    const ts_machine_config vhe = one();
    ts_machine_config nvhe = vhe;
    set(nvhe, "hypervisor.nvhe", "true");
    expect_cycles(vhe, fault_time(nvhe) - fault_time(vhe), vhe.hypervisor.hyp_call_cycles);
}

/* Deferred: the pages and tables, and one flush behind them. */
TEST(Stage2Timing, UnmappingTakesItsEntriesAndOneFlush)
{
    ts_time took[2];
    for (int k = 0; k < 2; k++) {
        ts_machine_config c = one();
        set(c, "hypervisor.stage2_unmap_flush", "deferred");
        HostRun run(c);
        ts_time start = 0;
        run.task({on_slot(TS_HOST_SLOT_ADD, 1, 0, (k ? 100 : 40) * page),
                  on_slot(TS_HOST_SLOT_FILL, 1),
                  host_op(TS_HOST_SLEEP, 10 * TS_US), /* so that the core's phase is the same */
                  run.code([&](ts_task *self, ts_hypervisor *) { start = ts_task_now(self); }),
                  on_slot(TS_HOST_SLOT_DELETE, 1), run.code([&](ts_task *self, ts_hypervisor *) {
                      took[k] = ts_task_now(self) - start;
                  })},
                 3);
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, "tlbi_broadcast");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("hypervisor.dsb"), 2u);
        EXPECT_EQ(got.stats.at("stage2.unmapped_tables"), 3u);
    }
    ts_machine_config c = one();
    const ts_time more = cycles(c, 60 * c.hypervisor.stage2_unmap_page_cycles);
    /* The messages wait for the mesh's clock, a cycle each at most. */
    EXPECT_NEAR(static_cast<double>(took[1] - took[0]), static_cast<double>(more), 10000.0);
}

/* --- mmu_lock --- */

namespace
{

struct Locked {
    ts_time from[4] = {}, to[4] = {};
};

/* Thread i comes after i us and holds the lock for ten, shared or not. */
Locked hold(const std::vector<bool> &shared)
{
    Locked out;
    ts_machine_config c = one();
    set(c, "topology.cores_per_socket", "3");
    HostRun run(c);
    for (uint32_t i = 0; i < shared.size(); i++) {
        const bool is_shared = shared[i];
        run.task({host_op(TS_HOST_COMPUTE, 2500 * (1 + i)),
                  run.code([&out, i, is_shared](ts_task *self, ts_hypervisor *h) {
                      ts_host_rwlock *lock = &h->stage2[0].mmu_lock;
                      if (is_shared)
                          (void)ts_host_read_lock(self, lock);
                      else
                          (void)ts_host_write_lock(self, lock);
                      out.from[i] = ts_task_now(self);
                      ts_task_work(self, 25000);
                      out.to[i] = ts_task_now(self);
                      if (is_shared)
                          ts_host_read_unlock(self, lock);
                      else
                          ts_host_write_unlock(self, lock);
                  })},
                 i + 1); /* pCPU 0 has the vCPU */
    }
    Outcome got = run.run({{op_ns(TS_OP_SLEEP, us)}}, 1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return out;
}

} // namespace

TEST(Stage2Lock, ReadersShareIt)
{
    Locked l = hold({true, true, true});
    for (int i = 1; i < 3; i++)
        EXPECT_LT(l.from[i], l.to[0]);
}

TEST(Stage2Lock, WritersExcludeEverybodyInTheOrderOfArrival)
{
    for (const auto &kinds : {std::vector<bool>{false, false, false, false},
                              std::vector<bool>{false, true, false, true},
                              std::vector<bool>{true, false, true, false}}) {
        Locked l = hold(kinds);
        for (int i = 1; i < 4; i++)
            EXPECT_GE(l.from[i], l.to[i - 1]) << i;
    }
}

/* A writer that waits keeps new readers out; those behind it share again. */
TEST(Stage2Lock, AWaitingWriterGoesBeforeLaterReaders)
{
    Locked l = hold({true, false, true, true});
    EXPECT_GE(l.from[1], l.to[0]);
    EXPECT_GE(l.from[2], l.to[1]);
    EXPECT_LT(l.from[3], l.to[2]);
}
