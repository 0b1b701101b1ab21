/* SPDX-License-Identifier: Apache-2.0 */
/* What ticks leave for work: what is refused, and what it is reckoned from. */
#include <gtest/gtest.h>

#include <string>

#include "models/cpu/sched_table.h"
#include "models/machine/machine.h"

namespace
{

struct Check {
    Check()
    {
        ts_param_defaults(&ts_host_sched_param_table, &params);
        params.policy = TS_SCHED_TABLE_RR;
        params.tick_ps = 100 * TS_US; /* 10000 cycles */
        params.switch_cycles = 6000;
        params.slice_ps = TS_US;
    }
    ts_status run(uint64_t tick_cycles, uint64_t switch_cycles, uint64_t taken = 0)
    {
        ppm = taken;
        return ts_sched_check(&params, &ts_host_sched_param_table, 100'000'000,
                              {tick_cycles, switch_cycles}, &ppm, &err);
    }
    ts_sched_params params{};
    ts_error err{};
    uint64_t ppm = 0;
};

} // namespace

TEST(SchedCheck, RefusesTicksThatTakeTheWholeCpu)
{
    Check c;
    EXPECT_EQ(c.run(1000, 2999), TS_OK);
    EXPECT_EQ(c.ppm, 999'900u);
    EXPECT_EQ(c.run(1000, 3000), TS_ERR_USER);
    EXPECT_STREQ(c.err.message,
                 "host_sched.tick is 100us, which can leave no time for work: at topology.core_hz "
                 "of 100 MHz ticks and the context switches at them may take 100 % of a CPU");
}

TEST(SchedCheck, CountsOneSwitchAQuantumAndEveryTick)
{
    Check c;
    c.params.slice_ps = 250 * TS_US; /* three ticks */
    EXPECT_EQ(c.run(1000, 3000), TS_OK);
    EXPECT_EQ(c.ppm, 400'000u);
    EXPECT_EQ(c.run(7000, 3000), TS_ERR_USER);
    c.params.policy = TS_SCHED_TABLE_CFS;
    c.params.min_granularity_ps = 900 * TS_US;
    EXPECT_EQ(c.run(1000, 3000), TS_OK);
    EXPECT_EQ(c.ppm, 200'000u);
}

TEST(SchedCheck, AddsToWhatTheHostTakes)
{
    Check c;
    EXPECT_EQ(c.run(1000, 0, 299'999), TS_OK);
    EXPECT_EQ(c.run(1000, 0, 300'000), TS_ERR_USER);
}

TEST(SchedCheck, RefusesAPolicyThatIsNone)
{
    Check c;
    c.params.policy = ts_sched_table_count;
    EXPECT_EQ(c.run(0, 0), TS_ERR_USER);
}

/* A machine's check asks for both levels, and on bare metal for the one there is. */
TEST(SchedCheck, AMachineIsCheckedForHostAndGuest)
{
    ts_machine_config config;
    ts_machine_config_defaults(&config);
    config.topology.core_hz = 100'000'000;
    config.host_sched.tick_ps = config.guest_sched.tick_ps = 100 * TS_US;
    auto check = [&] {
        ts_error err{};
        const ts_flush_ops *mechanism = ts_flush_find("native_concurrent");
        return ts_machine_check(&config, mechanism, &err) == TS_OK ? std::string() : err.message;
    };
    EXPECT_EQ(check(), "");
    config.host_sched.policy = TS_SCHED_TABLE_RR;
    config.host_sched.slice_ps = TS_US;
    EXPECT_EQ(check().find("host_sched.tick is 100us"), 0u);
    /* Enough for the host, not for both: this one was seen to stand still. */
    config.host_sched.tick_ps = 175 * TS_US;
    EXPECT_EQ(check().find("guest_sched.tick is 100us"), 0u);
    config.host_sched.tick_ps = 195 * TS_US;
    EXPECT_EQ(check(), "");
    config.hypervisor.kind = TS_HYP_NONE;
    config.host_sched.tick_ps = 100 * TS_US;
    EXPECT_EQ(check(), "");
    config.guest_sched.switch_cycles = 10'000'000;
    EXPECT_EQ(check().find("guest_sched.tick is 100us"), 0u);
}
