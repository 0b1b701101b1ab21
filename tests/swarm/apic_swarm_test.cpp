/* SPDX-License-Identifier: Apache-2.0 */
/* Random guests under every kind of interrupt acceleration, with overcommit, halting and polling:
 * no wake-up is lost (or the watchdog would tell), the oracle is clean, the sums add up.
 * TS_SWARM_SEED=N repeats one; TS_SWARM_RUNS=N runs more. */
#include <gtest/gtest.h>

#include "tests/support/environment.hpp"
#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

struct Scenario {
    ts_machine_config config{};
    StormParams storm;
    std::string text;
    void put(const std::string &key, const std::string &value)
    {
        set(config, key, value);
        text += " " + key + "=" + value;
    }
};

Scenario scenario(uint64_t seed)
{
    ts_rng rng;
    ts_rng_init(&rng, seed, "tests.apic_swarm", 0);
    auto between = [&](uint64_t lo, uint64_t hi) { return ts_rng_between(&rng, lo, hi); };
    auto number = [&](uint64_t lo, uint64_t hi) { return std::to_string(between(lo, hi)); };
    auto flag = [&] { return between(0, 1) ? "true" : "false"; };
    auto one_of = [&](const std::vector<const char *> &names) {
        return std::string(names[between(0, names.size() - 1)]);
    };
    Scenario s;
    bool arm = between(0, 5) == 0, bare = between(0, 7) == 0;
    uint64_t cores = between(1, 4), vcpus = between(2, 8);
    s.config = small_machine(arm);
    s.put("run.limit", "20s");
    s.put("run.progress", "1s");
    s.put("topology.sockets", number(1, 2));
    s.put("topology.cores_per_socket", std::to_string(cores));
    s.put("topology.threads_per_core", bare ? "1" : number(1, 2));
    s.put("run.vms", bare ? "1" : number(1, 2));
    s.put("run.vcpus", std::to_string(vcpus));
    s.put("guest.lazy_rule", one_of({"init_mm", "ipi_all", "skip"}));
    s.put("hypervisor.pin", flag());
    s.put("hypervisor.pv_tlb_flush", arm ? "false" : flag());
    s.put("hypervisor.halt_poll", one_of({"0", "20us", "200us"}));
    s.put("interrupt.shorthand", flag());
    s.put("host_sched.slice", one_of({"100us", "3ms"}));
    s.put("host_sched.tick", "100us");
    if (bare)
        s.put("hypervisor.kind", "none");
    if (arm) {
        s.put("hypervisor.ipiv", flag());
    } else {
        const std::vector<const char *> modes = {"x2apic_phys", "x2apic_cluster", "xapic_phys",
                                                 "xapic_flat"};
        s.put("interrupt.mode", one_of(modes));
        if (s.config.interrupt.mode == TS_INTR_XAPIC_FLAT)
            s.put("topology.threads_per_core", "1"); /* at most 8 */
        s.put("interrupt.guest_mode", one_of(modes));
        s.put("interrupt.icr_poll_cycles", number(1, 300) + "cycles");
        s.put("hypervisor.avic", one_of({"off", "avic", "x2avic"}));
        if (s.config.hypervisor.avic) {
            s.put("hypervisor.apicv", "false");
            s.put("hypervisor.tlb_tags", "svm_asid");
        } else {
            s.put("hypervisor.apicv", flag());
            s.put("hypervisor.ipiv", flag());
        }
        s.put("hypervisor.pv_eoi", flag());
        s.put("hypervisor.pv_ipi",
              one_of({"off", "sliding", "absolute128", "cluster128", "cluster192"}));
        s.put("hypervisor.icr_slowpath", one_of({"0", "200cycles"}));
    }
    s.storm = {{"threads", number(2, 8)},
               {"rounds", number(1, 10)},
               {"pages", number(1, 1500)},
               {"touch_pages", "1"},
               {"placement", "random"},
               {"sleep_max", one_of({"0", "30us", "400us"})},
               {"unmap", one_of({"munmap", "madvise_dontneed"})}};
    for (const auto &[key, value] : s.storm)
        s.text += " workload." + key + "=" + value;
    return s;
}

} // namespace

TEST(ApicSwarm, NoInterruptIsLost)
{
    uint64_t only = from_environment("TS_SWARM_SEED", 0);
    uint64_t runs = from_environment("TS_SWARM_RUNS", 120);
    std::map<std::string, uint64_t> seen;
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : runs); seed++) {
        Scenario s = scenario(seed);
        Outcome got = run_storm(s.config, ts_flush_find("native_concurrent"), s.storm, seed);
        ASSERT_EQ(got.status, TS_OK)
            << got.message << "\nrepeat: TS_SWARM_SEED=" << seed << " swarm_apic_swarm_test\n"
            << s.text;
        for (const auto &[name, value] : got.stats)
            seen[name] += value;
    }
    if (only || runs < 120)
        return;
    /* The swarm goes where it is meant to. */
    for (const char *name :
         {"exit_apic_access", "exit_avic", "icr_fast", "icr_slow", "sgi_traps", "hypercalls_ipi",
          "notify_on", "notify_sn", "doorbells", "wakeups_nv", "eoi_pv", "kicks", "exit_eoi"})
        EXPECT_GT(seen["hypervisor." + std::string(name)], 0u) << name;
}
