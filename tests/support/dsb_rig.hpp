/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on which nothing moves but one thread, and when its DSBs end by the DVM model alone. */
#ifndef TS_TESTS_SUPPORT_DSB_RIG_HPP
#define TS_TESTS_SUPPORT_DSB_RIG_HPP

#include "tests/support/dvm_rig.hpp"
#include "tests/support/script_workload.hpp"

namespace ts_test
{

/* One VM; pCPUs from its number of vCPUs on are the host's. */
inline ts_machine_config quiet(bool arm, const char *vcpus)
{
    ts_machine_config c = small_machine(arm);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", vcpus);
    set(c, "hypervisor.pin", "true");
    return c;
}

struct Cycles {
    explicit Cycles(const ts_machine_config &c)
    {
        ts_clock_init(&clock, c.topology.core_hz);
    }
    ts_time time(uint64_t n) const
    {
        return ts_clock_cycle_time(&clock, n);
    }
    /* n cycles that begin at the first edge from t on. */
    ts_time after(ts_time t, uint64_t n) const
    {
        return ts_clock_after(&clock, t, n);
    }
    ts_clock clock{};
};

/* When a DSB ISH ends that begins with the last of the TLBIs issued at those times, all of pCPU
 * `cpu`; nothing of it is under way before the first. */
inline ts_time dsb_end(const ts_machine_config &c, uint32_t cpu, const std::vector<ts_time> &issued)
{
    struct Issue {
        ts_event event;
        rig::Dvm *d;
        rig::Done *done; /* of the last */
        uint32_t cpu;
    };
    rig::Dvm d(c.topology, c.dvm, c.interconnect);
    d.busy = [](uint32_t, uint64_t) { return UINT64_C(1); };
    rig::Done done(d.net.engine);
    std::vector<Issue> issues(issued.size());
    for (size_t i = 0; i < issued.size(); i++) {
        issues[i] = {{}, &d, i + 1 == issued.size() ? &done : nullptr, cpu};
        ts_event_init(&issues[i].event, [](ts_engine *, ts_event *e) {
            auto *one = reinterpret_cast<Issue *>(e);
            EXPECT_TRUE(ts_dvm_can_issue(one->d->dvm, one->cpu, rig::Done::call, nullptr));
            one->d->issue(one->cpu, 1);
            if (one->done) {
                EXPECT_FALSE(ts_dvm_dsb(one->d->dvm, one->cpu, rig::Done::call, one->done));
            }
        });
        ts_engine_schedule(d.net.engine, &issues[i].event, issued[i], TS_PHASE_SOFTWARE);
    }
    ts_engine_run(d.net.engine, issued.back() + TS_MS);
    EXPECT_EQ(done.calls, 1u);
    return done.when;
}

/* TLBs that are done with an operation in a cycle. */
inline ts_machine_config flash_clear()
{
    ts_machine_config c = quiet(true, "1");
    set(c, "mmu.sweep_sets_per_cycle", "0");
    return c;
}

} // namespace ts_test
#endif
