/* SPDX-License-Identifier: Apache-2.0 */
/* What a run that gets nowhere is said to be held up by. */
#include <gtest/gtest.h>

#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t ms = 1000000, page = 4096;

void soon(ts_machine_config &c)
{
    set(c, "run.progress", "100ms");
    set(c, "run.limit", "10s");
}

/* One pCPU for two vCPUs, which are switched once in `slice`. */
ts_machine_config crowd(const char *slice)
{
    ts_machine_config c = small_machine();
    soon(c);
    for (const auto &[key, value] :
         {std::pair("topology.sockets", "1"), std::pair("topology.cores_per_socket", "1"),
          std::pair("topology.threads_per_core", "1"), std::pair("run.vms", "1"),
          std::pair("run.vcpus", "2"), std::pair("host_sched.policy", "rr"),
          std::pair("host_sched.slice", slice)})
        set(c, key, value);
    return c;
}

std::string stalls(const ts_machine_config &c, const Script &s, uint32_t initial,
                   const ts_flush_ops *m = ts_flush_find("native_concurrent"))
{
    const Outcome out = run_script(c, s, initial, m);
    EXPECT_EQ(out.status, TS_ERR_FINDING) << out.message;
    return out.message;
}

} // namespace

TEST(Stall, AnInitiatorThatDoesNotReturn)
{
    ts_machine_config c = bare_machine(2);
    soon(c);
    const ts_flush_ops *m = broken::mechanism<broken::never_returns>("never_returns");
    const Script s = {{op_mmap(0, page), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 150 * ms),
                       op_range(TS_OP_MUNMAP, 0, 0, page)},
                      {op_ns(TS_OP_COMPUTE, 1000 * ms)}};
    const std::string message = stalls(c, s, 2, m);
    EXPECT_EQ(message.rfind("no progress: an initiator does not return: the flush of 0x", 0), 0u)
        << message;
    EXPECT_NE(message.find("by VM 0 CPU 0, begun at 15"), std::string::npos) << message;
    EXPECT_NE(message.find("; at 300000000000 ps no operation"), std::string::npos) << message;
}

/* A flush that has returned holds nobody up, nor does one that has just begun. */
TEST(Stall, AFlushThatHasReturnedOrIsYoungIsNotBlamed)
{
    ts_machine_config c = bare_machine(2);
    soon(c);
    Script s = {{op_mmap(0, page), op_touch(0, 0, 1), op_range(TS_OP_MUNMAP, 0, 0, page),
                 op_ns(TS_OP_COMPUTE, 1000 * ms)},
                {op_ns(TS_OP_COMPUTE, 1000 * ms)}};
    std::string message = stalls(c, s, 2);
    EXPECT_EQ(message.rfind("no progress: at ", 0), 0u) << message;
    /* Begun 105 ms and 79 ms before the look at 200 ms. */
    for (const bool young : {false, true}) {
        set(c, "guest.zap_page", young ? "1000000cycles" : "100cycles");
        s[0] = {op_mmap(0, 64 * page), op_touch(0, 0, 64), op_ns(TS_OP_COMPUTE, 95 * ms),
                op_range(TS_OP_MUNMAP, 0, 0, 64 * page)};
        message = stalls(c, s, 2, broken::mechanism<broken::never_returns>("never_returns"));
        EXPECT_NE(message.find("at 200000000000 ps no operation"), std::string::npos) << message;
        EXPECT_EQ(message.rfind("no progress: an initiator does not return", 0) == 0, !young)
            << message;
    }
}

TEST(Stall, AVcpuThatDoesNotRun)
{
    const Script s = {{op_ns(TS_OP_COMPUTE, 1000 * ms)}, {op_ns(TS_OP_COMPUTE, 1000 * ms)}};
    std::string message = stalls(crowd("5s"), s, 2);
    EXPECT_EQ(message.rfind(
                  "no progress: a vCPU does not run: VM 0 CPU 1, which waits for pCPU 0 since ", 0),
              0u)
        << message;
    /* Each runs half of the time. */
    message = stalls(crowd("20ms"), s, 2);
    EXPECT_EQ(message.rfind("no progress: at ", 0), 0u) << message;
}

/* One sleeps for ever with mmap_lock held, the other one wants it. */
TEST(Stall, ThreadsThatWaitForEachOther)
{
    ts_machine_config c = bare_machine(2);
    soon(c);
    static ts_flush_ops sleeps = *ts_flush_find("native_concurrent");
    sleeps.frame_release = [](ts_guest *g, uint64_t) -> bool {
        ts_task_block(&g->threads[0]->task);
        return false;
    };
    Script s = {{op_mmap(0, page), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, ms),
                 op_range(TS_OP_MUNMAP, 0, 0, page)},
                {op_ns(TS_OP_COMPUTE, 10 * ms), op_mmap(1, page)}};
    std::string message = stalls(c, s, 2, &sleeps);
    EXPECT_EQ(
        message.rfind("no progress: deadlock: all threads of guests, 2, wait for another; at ", 0),
        0u)
        << message;
    s[1] = {op_ns(TS_OP_SLEEP, ms)}; /* has ended */
    message = stalls(c, s, 2, &sleeps);
    EXPECT_EQ(message.rfind("no progress: deadlock: all threads of guests, 1, wait", 0), 0u)
        << message;
    s[1] = {op_ns(TS_OP_SLEEP, 2000 * ms)}; /* will wake up */
    message = stalls(c, s, 2, &sleeps);
    EXPECT_EQ(message.rfind("no progress: at ", 0), 0u) << message;
}
