/* SPDX-License-Identifier: Apache-2.0 */
/* HvNotifyLongSpinWait: after how many attempts, to the picosecond, and what the host makes of it.
 */
#include <gtest/gtest.h>

#include "models/guest/lock/ex_lock.h"
#include "tests/support/lock_rig.hpp"

using namespace ts_test;

namespace
{

struct Spin {
    ts_task *self;
    ts_time until;
    std::vector<ts_time> looks;
};

bool over(void *arg)
{
    auto *s = static_cast<Spin *>(arg);
    s->looks.push_back(ts_task_now(s->self));
    return ts_task_now(s->self) >= s->until;
}

struct Result {
    ts_time start, end;
    uint64_t notices;
    std::vector<ts_time> looks;
    uint64_t calls, exits;
};

constexpr ts_time cycle = 400; /* 2.5 GHz */

/* A spin of `last` with 100 attempts to a notice and 40 cycles to an attempt. */
Result spin(ts_time last, uint64_t retries, uint64_t backoff = 1,
            const std::function<void(LockRig &)> &with = nullptr)
{
    LockRig rig(2);
    set(rig.config, "topology.core_hz", "2500MHz");
    if (with)
        with(rig);
    Result r{};
    rig.on(0, 10 * TS_MS, [&](ts_task *self) {
        uint64_t notices = 0;
        ts_ex_locks all{40, backoff, retries, 100, rig.guest->vm, &notices};
        ts_task_work(self, 1);
        r.start = ts_task_now(self);
        Spin s{self, r.start + last, {}};
        ts_ex_spin(self, &all, over, &s, nullptr);
        r.end = ts_task_now(self);
        r.notices = notices;
        r.looks = s.looks;
    });
    /* Who does not look of itself is told. */
    rig.on(1, 10 * TS_MS + last, [&](ts_task *self) {
        ts_task_work(self, 1000000);
        ts_task_spin_signal(&rig.guest->threads[0]->task);
    });
    Outcome out = rig.run();
    EXPECT_EQ(out.status, TS_OK) << out.message;
    r.calls = out.stats.at("hypervisor.hypercalls_long_spin");
    return r;
}

/* exit, dispatch, kvm_vcpu_on_spin, entry */
constexpr ts_time notice = (600 + 200 + 2000 + 600) * cycle;

bool looked_at(const Result &r, ts_time when)
{
    return std::find(r.looks.begin(), r.looks.end(), when) != r.looks.end();
}

} // namespace

TEST(LongSpin, IsNotifiedAfterAsManyAttemptsAsTheHypervisorSays)
{
    const ts_time round = 100 * 40 * cycle;
    Result r = spin(round - cycle, 100);
    EXPECT_EQ(r.notices, 0u);
    r = spin(round + notice / 2, 100);
    EXPECT_EQ(r.notices, 1u);
    EXPECT_EQ(r.calls, 1u);
    EXPECT_TRUE(looked_at(r, r.start + round));
    EXPECT_EQ(r.end, r.start + round + notice);
}

TEST(LongSpin, IsNotifiedAgainAfterAsMany)
{
    const ts_time round = 100 * 40 * cycle;
    Result r = spin(3 * (round + notice) + cycle, 100);
    EXPECT_EQ(r.notices, 3u);
    for (uint64_t k = 1; k <= 3; k++)
        EXPECT_TRUE(looked_at(r, r.start + k * round + (k - 1) * notice)) << k;
}

TEST(LongSpin, CountsAttemptsAndNotLoops)
{
    /* 1, 2, 4, 8 and then 16 loops: five attempts are 31 loops. */
    Result r = spin(31 * 40 * cycle + notice / 2, 5, 16);
    EXPECT_EQ(r.notices, 1u);
    EXPECT_TRUE(looked_at(r, r.start + 31 * 40 * cycle));
    EXPECT_EQ(r.end, r.start + 31 * 40 * cycle + notice);
}

TEST(LongSpin, IsNeverNotifiedIfTheHypervisorSaysSo)
{
    for (uint64_t never : {UINT64_C(0), TS_EX_NEVER_NOTIFY}) {
        Result r = spin(TS_MS, never);
        EXPECT_EQ(r.notices, 0u);
        EXPECT_EQ(r.calls, 0u);
    }
}

/* Who shares the vCPU's pCPU runs next. */
TEST(LongSpin, MakesKvmYieldToAPreemptedVcpu)
{
    auto crowded = [](LockRig &rig) {
        set(rig.config, "topology.cores_per_socket", "1");
        set(rig.config, "host_sched.policy", "cfs");
    };
    Outcome out;
    for (uint64_t retries : {UINT64_C(100), TS_EX_NEVER_NOTIFY}) {
        LockRig rig(2);
        crowded(rig);
        rig.on(0, 10 * TS_MS, [&](ts_task *self) {
            uint64_t notices = 0;
            ts_ex_locks all{40, 1, retries, 100, rig.guest->vm, &notices};
            Spin s{self, ts_task_now(self) + TS_MS, {}};
            ts_ex_spin(self, &all, over, &s, nullptr);
        });
        rig.on(1, 10 * TS_MS, [&](ts_task *self) { ts_task_work(self, 10000000); });
        out = rig.run();
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("hypervisor.directed_yield_successful") > 0, retries == 100);
        EXPECT_EQ(out.stats.at("hypervisor.exit_pause"), 0u);
    }
}
