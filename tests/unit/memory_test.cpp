/* SPDX-License-Identifier: Apache-2.0 */
/* No memory is an error of the environment, wherever it happens: every allocation of a run fails
 * once, alone and with all that follow. */
#include <gtest/gtest.h>
#include <string>

#include "models/interrupt/interrupt.h"
#include "models/line/sharers.h"
#include "models/oracle/oracle.h"
#include "tests/support/dvm_rig.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/line_rig.hpp"
#include "tests/support/machine_rig.hpp"
#include "tests/support/profile_rig.hpp"

using namespace ts_test;

namespace
{

/* A run with allocations [first, first + count) failing. */
template <class Run> auto starved(uint64_t first, uint64_t count, Run run)
{
    memory = {first, count, 0};
    auto out = run();
    memory.count = 0;
    return out;
}

/* One of every n, from the first or a later one. */
struct Which {
    uint64_t first = 0;
    uint64_t every = 1;
};

template <class Run> void every_allocation_may_fail(Run run, Which which = {})
{
    auto whole = starved(0, 0, run);
    const uint64_t n = memory.seen;
    ASSERT_EQ(whole.status, TS_OK) << whole.message;
    ASSERT_GT(n, 20u);
    for (uint64_t count : {UINT64_C(1), UINT64_MAX}) {
        for (uint64_t i = which.first; i < n; i += which.every) {
            auto out = starved(i, count, run);
            ASSERT_EQ(out.status, TS_ERR_ENVIRONMENT) << i << " of " << n << ": " << out.message;
            ASSERT_NE(out.message.find("memory"), std::string::npos) << out.message;
        }
    }
}

/* A workload that cannot be made ends a run as well. */
Outcome storm(const ts_machine_config &c, const char *mechanism, const StormParams &params = {})
{
    StormParams all = params;
    all.insert({{"threads", "6"}, {"rounds", "2"}, {"pages", "600"}, {"sharing", "write"}});
    try {
        return run_storm(c, ts_flush_find(mechanism), all, 1);
    } catch (const std::runtime_error &error) {
        Outcome out;
        out.status = TS_ERR_ENVIRONMENT;
        out.message = error.what();
        return out;
    }
}

} // namespace

TEST(Memory, OfAVirtualMachineMayRunOut)
{
    every_allocation_may_fail([] { return storm(small_machine(), "kvm_pv"); });
}

TEST(Memory, OfAnArmMachineMayRunOut)
{
    ts_machine_config c = small_machine(true);
    set(c, "dvm.vmid_filter", "true");
    every_allocation_may_fail([&] { return storm(c, "tlbi_broadcast"); });
}

TEST(Memory, OfANetworkMayRunOut)
{
    ts_machine_config c = small_machine();
    set(c, "interconnect.detail", "flit");
    every_allocation_may_fail([&] { return storm(c, "native_concurrent"); });
}

/* Each mechanism and operating system another part of the allocations: all of them are many. */
TEST(Memory, OfAMachineOfEachMechanismMayRunOut)
{
    constexpr uint64_t parts = 11;
    uint64_t tried = 0;
    for (size_t k = 0; k < ts_flush_table_count; k++) {
        const ts_flush_ops *m = ts_flush_table[k];
        for (uint64_t os : {TS_OS_LINUX, TS_OS_WINDOWS}) {
            if (!ts_flush_is_for(m, os))
                continue;
            for (bool arm : platforms(m, os)) {
                ts_machine_config c = small_machine(arm, m, os);
                if (c.hypervisor.kind != TS_HYP_NONE)
                    set(c, "host_sched.group", "vm");
                SCOPED_TRACE(m->name);
                every_allocation_may_fail(
                    [&] {
                        return storm(c, m->name, {{"rounds", "1"}, {"pages", "40"}});
                    },
                    {tried++ % parts, parts});
            }
        }
    }
    EXPECT_GT(tried, parts);
}

TEST(Memory, OfAnAddressSpaceMayRunOut)
{
    constexpr uint64_t page = 4096;
    const uint32_t fork = TS_OPF_NEW_MM | TS_OPF_COPY_MM;
    const Script script = {{op_mmap(0, 1024 * page), op_touch(0, 0, 700), op_spawn(1, fork),
                            op_range(TS_OP_MPROTECT, 0, 0, 600 * page, 0),
                            op_range(TS_OP_MPROTECT, 0, 0, 600 * page, TS_PROT_READ),
                            op_mremap(0, 1024 * page, 1, 2048 * page), op_touch(1, 1024 * page, 9),
                            op_range(TS_OP_MUNMAP, 1, 0, 2048 * page)},
                           {op_touch(0, 0, 700), op_range(TS_OP_MUNMAP, 0, 0, 1024 * page)}};
    ts_machine_config c = bare_machine(8);
    every_allocation_may_fail(
        [&] { return run_script(c, script, 1, ts_flush_find("native_sequential")); });
}

TEST(Memory, OfTheTablesOfAStudyMayRunOut)
{
    ProfileRig rig;
    rig.set("tlb_profile.regime", "nested");
    const uint64_t length = UINT64_C(1) << 24;
    const Script script = {{op_mmap(0, length), op_touch(0, 0, 300, true, 5 * 4096),
                            op_range(TS_OP_MADVISE_DONTNEED, 0, 4096, length / 2),
                            op_touch(0, 0, 300), op_range(TS_OP_MUNMAP, 0, 0, length)}};
    every_allocation_may_fail([&] { return rig.run(script); });
}

namespace
{

/* What the engine says was missing. */
std::string failure(const ts_engine *engine)
{
    ts_error err{};
    return ts_engine_status(engine, &err) == TS_ERR_ENVIRONMENT ? err.message : "";
}

} // namespace

TEST(Memory, TheOracleSaysThatItHasNoRoomForAWindow)
{
    ts_error err{};
    ts_oracle *o = nullptr;
    ASSERT_EQ(ts_oracle_create(&o, &err), TS_OK);
    memory = {0, UINT64_MAX, 0};
    uint32_t opened = 0, window = 0;
    while ((window = ts_oracle_window_open(o, 1, 0, 4096)) != TS_ORACLE_NO_WINDOW)
        opened++;
    EXPECT_GE(opened, 64u);
    ts_oracle_window_close(o, window);
    memory.count = 0;
    EXPECT_EQ(ts_oracle_window_open(o, 1, 0, 4096), opened);
    ts_oracle_destroy(o);
}

/* The line goes on without a bitmap, and is taken away as any other. */
TEST(Memory, ForTheSharersOfALineIsMissing)
{
    rig::Network net(rig::topology(1, 64));
    rig::Lines lines(net);
    std::vector<ts_line> many(200);

    memory = {0, UINT64_MAX, 0};
    for (size_t i = 0; i < many.size(); i++) {
        ts_line_init(lines.system, &many[i], i, 0);
        if (i % 2)
            ts_line_fini(&many[i]);
    }
    memory.count = 0;
    EXPECT_NE(failure(net.engine).find("sharers of 1 lines"), std::string::npos);
    for (size_t i = 0; i < many.size(); i += 2)
        ts_line_fini(&many[i]);
}

TEST(Memory, ForAnInterruptIsMissing)
{
    rig::Network net(rig::topology(1, 4));
    const auto p = rig::defaults<ts_interrupt_params>(ts_interrupt_param_table);
    ts_interrupt *in = nullptr;
    uint32_t taken = 0;
    net.check(ts_interrupt_create(
        &in, net.engine, &net.topo, net.ic, &p,
        [](void *user, uint32_t, uint32_t, uint64_t) { ++*static_cast<uint32_t *>(user); }, &taken,
        &net.err));
    memory = {0, UINT64_MAX, 0};
    for (int i = 0; i < 1000 && failure(net.engine).empty(); i++)
        ts_interrupt_send(in, 0, 1, 33, 0);
    memory.count = 0;
    const uint64_t sent = ts_interrupt_stats(in)->sent;
    EXPECT_GE(sent, 64u);
    EXPECT_NE(failure(net.engine).find("memory"), std::string::npos);
    ts_interrupt_send(in, 0, 1, 33, 0);
    EXPECT_EQ(ts_interrupt_stats(in)->sent, sent + 1);
    /* No event runs any more. */
    EXPECT_EQ(ts_engine_run(net.engine, TS_TIME_NEVER - 1), 0u);
    EXPECT_EQ(ts_engine_run(net.engine, TS_TIME_NEVER - 1), 0u);
    EXPECT_EQ(taken, 0u);
    ts_interrupt_destroy(in);
}

TEST(Memory, ForADomainOfBroadcastsIsMissing)
{
    auto params = rig::defaults<ts_dvm_params>(ts_dvm_param_table);
    params.vmid_filter = 1;
    rig::Dvm d(rig::arm_topology(), params);
    ts_cpumask vm;
    ts_cpumask_init(&vm, 64);
    memory = {0, UINT64_MAX, 0};
    ts_dvm_set_domain(d.dvm, 7, &vm);
    memory.count = 0;
    EXPECT_NE(failure(d.net.engine).find("domain of VMID 7"), std::string::npos);
}
