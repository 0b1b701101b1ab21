// SPDX-License-Identifier: Apache-2.0
// A whole machine inside SystemC, in slices and event by event: every statistic and every shootdown
// as in the native kernel.
#include <gtest/gtest.h>

#include <cstdio>

#include "sim/front/kernel.hpp"
#include "sim/systemc/host.hpp"
#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

bool same(const ts_shootdown_record &a, const ts_shootdown_record &b)
{
    for (uint32_t i = 0; i < TS_PATH_PARTS; i++) {
        if (a.part_ps[i] != b.part_ps[i])
            return false;
    }
    return a.guest == b.guest && a.number == b.number && a.started == b.started &&
           a.total_ps == b.total_ps && a.last_target == b.last_target;
}

} // namespace

TEST(MachineInSystemC, GivesTheSameResultsAsTheNativeKernel)
{
    ASSERT_NE(ts::systemc_kernel(), nullptr);
    const StormParams storm = {
        {"threads", "6"}, {"rounds", "4"}, {"pages", "64"}, {"touch_pages", "9"}};
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        for (bool arm : platforms(m)) {
            SCOPED_TRACE(std::string(m->name) + (arm ? " arm64" : " x86"));
            Outcome native = run_storm(small_machine(arm, m), m, storm, 1);
            ASSERT_EQ(native.status, TS_OK) << native.message;
            for (const ts::KernelRun kernel : {ts::systemc_kernel(), &ts::systemc_run_stepwise}) {
                Outcome hosted = run_storm(small_machine(arm, m), m, storm, 1, kernel);
                EXPECT_EQ(native.stats, hosted.stats);
                EXPECT_EQ(native.result.completion_ps, hosted.result.completion_ps);
                // Nobody else is there: in slices it keeps its short ways.
                if (kernel == ts::systemc_kernel()) {
                    EXPECT_EQ(native.result.events, hosted.result.events);
                }
                ASSERT_EQ(native.shootdowns.size(), hosted.shootdowns.size());
                for (size_t k = 0; k < native.shootdowns.size(); k++)
                    EXPECT_TRUE(same(native.shootdowns[k], hosted.shootdowns[k])) << k;
            }
        }
    }
}
