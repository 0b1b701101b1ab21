/* SPDX-License-Identifier: Apache-2.0 */
/* As many CPUs as there may be: short runs of one VM over all of them, and of as many VMs. */
#include <gtest/gtest.h>

#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

ts_machine_config large(bool arm)
{
    ts_machine_config c = small_machine(arm);
    set(c, "topology.sockets", "16");
    set(c, "topology.cores_per_socket", "256");
    if (!arm) {
        set(c, "interrupt.mode", "x2apic_cluster");
        set(c, "interrupt.guest_mode", "x2apic_cluster");
    }
    return c;
}

} // namespace

TEST(LargeMachine, OneVmOf4096VcpusFinishesClean)
{
    for (bool arm : {false, true}) {
        ts_machine_config c = large(arm);
        set(c, "run.vms", "1");
        set(c, "run.vcpus", "4096");
        Outcome got =
            run_storm(c, ts_flush_find("native_concurrent"),
                      {{"threads", arm ? "2" : "31"}, {"rounds", "2"}, {"pages", "16"}}, 1);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(got.result.shootdowns, 0u);
    }
}

TEST(LargeMachine, ManyVmsFinishClean)
{
    ts_machine_config c = large(false);
    set(c, "topology.sockets", "1");
    set(c, "run.vms", "1024");
    set(c, "run.vcpus", "1");
    set(c, "host_sched.policy", "cfs");
    set(c, "host_sched.group", "vm");
    Outcome got =
        run_storm(c, ts_flush_find("native_concurrent"),
                  {{"threads", "1"}, {"rounds", "1"}, {"pages", "4"}, {"touch_pages", "4"}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
}
