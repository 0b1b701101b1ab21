/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the host that wake up at random: what they draw, and what guests lose by them. */
#include <gtest/gtest.h>

#include "models/hypervisor/host_noise.h"
#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

std::vector<ts_host_op> draws(const ts_host_noise_params &p, uint64_t seed, uint64_t instance,
                              size_t n)
{
    ts_host_noise noise{};
    ts_host_noise_init(&noise, &p, 3, seed, instance);
    std::vector<ts_host_op> ops(n);
    ts_error err{};
    for (ts_host_op &op : ops)
        EXPECT_EQ(noise.stream.next(&noise.stream, &op, &err), 1);
    return ops;
}

uint64_t sum(const std::vector<ts_host_op> &ops, ts_host_op_kind kind)
{
    uint64_t s = 0;
    for (const ts_host_op &op : ops)
        s += op.kind == kind ? op.amount : 0;
    return s;
}

} // namespace

TEST(HostNoise, SleepsWorksAndInvalidatesInTurn)
{
    const auto ops = draws({TS_MS, 50 * TS_US, 2}, 1, 0, 9);
    for (size_t i = 0; i < ops.size(); i++)
        EXPECT_EQ(ops[i].kind, i % 3 == 0   ? TS_HOST_SLEEP
                               : i % 3 == 1 ? TS_HOST_KERNEL
                                            : TS_HOST_FLUSH);
    EXPECT_EQ(ops[2].vm, 2u);
    for (const ts_host_op &op : draws({TS_MS, 50 * TS_US, TS_HOST_NO_VM}, 1, 0, 8))
        EXPECT_NE(op.kind, TS_HOST_FLUSH);
    for (const ts_host_op &op : draws({TS_MS, 0, 0}, 1, 0, 8))
        EXPECT_NE(op.kind, TS_HOST_KERNEL);
}

TEST(HostNoise, TimesAndVmsAreDrawnFromSeedAndInstance)
{
    const ts_host_noise_params p = {TS_MS, 50 * TS_US, TS_HOST_ALL_VMS};
    const auto ops = draws(p, 1, 0, 30000);
    EXPECT_NEAR(double(sum(ops, TS_HOST_SLEEP)), 1e4 * double(TS_MS), 500 * double(TS_MS));
    EXPECT_NEAR(double(sum(ops, TS_HOST_KERNEL)), 5e5 * double(TS_US), 25e3 * double(TS_US));
    uint64_t vms[3] = {0, 0, 0};
    for (const ts_host_op &op : ops)
        if (op.kind == TS_HOST_FLUSH)
            vms[op.vm]++;
    for (uint64_t n : vms)
        EXPECT_NEAR(double(n), 10000.0 / 3, 300);
    EXPECT_EQ(sum(draws(p, 1, 0, 300), TS_HOST_SLEEP), sum(draws(p, 1, 0, 300), TS_HOST_SLEEP));
    EXPECT_NE(sum(draws(p, 1, 0, 300), TS_HOST_SLEEP), sum(draws(p, 2, 0, 300), TS_HOST_SLEEP));
    EXPECT_NE(sum(draws(p, 1, 0, 300), TS_HOST_SLEEP), sum(draws(p, 1, 1, 300), TS_HOST_SLEEP));
}

namespace
{

/* A busy VM on all pCPUs, with the noise on each of them. */
Outcome noisy(const ts_host_noise_params &p, bool noise)
{
    ts_machine_config c = small_machine(false);
    set(c, "run.vms", "1");
    set(c, "hypervisor.pin", "true");
    Script s(4, {op_ns(TS_OP_COMPUTE, 200000000)});
    ScriptWorkload workload(s, 4);
    ts_machine_vm vm = {workload.get(), ts_flush_find("native_concurrent"), nullptr};
    ts_machine *m = nullptr;
    ts_error err{};
    Outcome out;
    ts_host_noise threads[4];
    out.status = ts_machine_create(&m, &c, &vm, 1, &err);
    EXPECT_EQ(out.status, TS_OK) << err.message;
    for (uint32_t i = 0; noise && i < 4; i++) {
        ts_host_noise_init(&threads[i], &p, 1, 1, i);
        const ts_host_task_config task = {"noise", i, true, &threads[i].stream};
        EXPECT_EQ(ts_machine_add_host_task(m, &task, &err), TS_OK) << err.message;
    }
    EXPECT_EQ(ts_machine_start(m, &err), TS_OK);
    ts_machine_run(m);
    out.status = ts_machine_finish(m, &err);
    out.message = err.message;
    ts_machine_result(m, &out.result);
    ts_machine_visit_stats(m, collect, &out.stats);
    ts_machine_destroy(m);
    return out;
}

} // namespace

TEST(HostNoise, TakesItsTimeFromTheGuests)
{
    const Outcome quiet = noisy({TS_MS, 50 * TS_US, TS_HOST_NO_VM}, false);
    const Outcome loud = noisy({TS_MS, 50 * TS_US, TS_HOST_NO_VM}, true);
    ASSERT_EQ(loud.status, TS_OK) << loud.message;
    const uint64_t taken = loud.stats.at("host_task.system_ps");
    /* One in twenty-one or so of four times 200 ms. */
    EXPECT_NEAR(double(taken), 40 * double(TS_MS), 10 * double(TS_MS));
    EXPECT_GE(loud.stats.at("vcpu_time.wait_ps"),
              quiet.stats.at("vcpu_time.wait_ps") + taken * 9 / 10);
    EXPECT_GT(loud.result.completion_ps, quiet.result.completion_ps + 5 * TS_MS);
    EXPECT_EQ(loud.stats.at("host_task.flush"), 0u);
    /* A thread is asleep or at work when the run ends. */
    EXPECT_GT(loud.stats.at("host_task.kernel"), 500u);
    EXPECT_LE(loud.stats.at("host_task.sleep") - loud.stats.at("host_task.kernel"), 4u);
}

TEST(HostNoise, InvalidationsFlushTheVm)
{
    const Outcome got = noisy({5 * TS_MS, 0, 0}, true);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("host_task.flush"), 80u);
    EXPECT_EQ(got.stats.at("hypervisor.remote_tlb_flush_requests"),
              got.stats.at("host_task.flush"));
    EXPECT_GT(got.stats.at("hypervisor.tlb_flush_all"), 3 * got.stats.at("host_task.flush"));
}
