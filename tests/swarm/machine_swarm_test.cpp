/* SPDX-License-Identifier: Apache-2.0 */
/* Random machines under random storms. A seed decides everything: topology, fabric, schedulers,
 * overcommit, host rules, mechanism, workload. Each must finish with a clean oracle and sums that
 * add up. TS_SWARM_SEED=N repeats one; TS_SWARM_RUNS=N runs more. */
#include <gtest/gtest.h>

#include "models/interconnect/fabric.h"
#include "tests/support/environment.hpp"
#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

class Dice
{
  public:
    explicit Dice(uint64_t seed)
    {
        ts_rng_init(&rng_, seed, "tests.swarm", 0);
    }
    uint64_t between(uint64_t lo, uint64_t hi)
    {
        return ts_rng_between(&rng_, lo, hi);
    }
    std::string number(uint64_t lo, uint64_t hi)
    {
        return std::to_string(between(lo, hi));
    }
    std::string flag()
    {
        return between(0, 1) ? "true" : "false";
    }
    template <size_t N> const char *one_of(const char *const (&names)[N])
    {
        return names[between(0, N - 1)];
    }

  private:
    ts_rng rng_;
};

struct Scenario {
    ts_machine_config config{};
    const ts_flush_ops *mechanism = nullptr;
    StormParams storm;
    std::string text;
};

void put(Scenario &s, const std::string &key, const std::string &value)
{
    set(s.config, key, value);
    s.text += " " + key + "=" + value;
}

Scenario scenario(uint64_t seed)
{
    Dice dice(seed);
    Scenario s;
    bool arm = dice.between(0, 1);
    bool bare = dice.between(0, 5) == 0;
    s.config = small_machine(arm);
    put(s, "topology.sockets", dice.number(1, 3));
    put(s, "topology.cores_per_socket", dice.number(1, 5));
    put(s, "topology.threads_per_core", dice.number(1, 2));
    put(s, "run.vms", bare ? "1" : dice.number(1, 3));
    put(s, "run.vcpus", dice.number(1, 9));
    put(s, "run.queue", dice.one_of({"wheel", "heap"}));
    put(s, "guest.page_by_page", dice.flag());
    put(s, "guest.lazy_tlb", dice.flag());
    put(s, "guest.nr_dyn_asids", dice.number(1, 6));
    put(s, "guest.munmap_downgrade", dice.flag());
    put(s, "guest.per_vma_lock", dice.flag());
    put(s, "guest.rwsem_spin", dice.flag());
    s.config.host_sched.policy = dice.between(0, ts_sched_table_count - 1);
    s.config.guest_sched.policy = dice.between(0, ts_sched_table_count - 1);
    s.config.interconnect.fabric = dice.between(0, ts_fabric_table_count - 1);
    s.config.mmu.replacement = dice.between(0, ts_replacement_table_count - 1);
    put(s, "hypervisor.pin", dice.flag());
    put(s, "hypervisor.backing", dice.one_of({"4KiB", "2MiB", "1GiB"}));
    put(s, "hypervisor.halt_poll", dice.one_of({"0", "50us", "200us"}));
    if (bare)
        put(s, "hypervisor.kind", "none");
    if (!arm) {
        put(s, "interrupt.mode", dice.one_of({"x2apic_phys", "x2apic_cluster"}));
        put(s, "interrupt.guest_mode", dice.one_of({"x2apic_phys", "x2apic_cluster"}));
        put(s, "hypervisor.apicv", dice.flag());
        put(s, "hypervisor.ipiv", dice.flag());
        put(s, "hypervisor.hv_flush", dice.one_of({"4.18", "fifo16"}));
        put(s, "hypervisor.pv_preempted_rule", dice.one_of({"any_put", "preempted_at_irq_exit"}));
    } else {
        put(s, "hypervisor.hcr_fb", dice.flag());
        put(s, "guest.repeat_tlbi", dice.flag());
        put(s, "guest.ttl", dice.flag());
    }
    std::vector<const ts_flush_ops *> able;
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        ts_error err{};
        if (ts_machine_check(&s.config, ts_flush_table[i], &err) == TS_OK)
            able.push_back(ts_flush_table[i]);
    }
    s.mechanism = able.at(dice.between(0, able.size() - 1));
    uint64_t pages = dice.between(1, 1500);
    s.storm = {{"threads", dice.number(1, 9)},
               {"rounds", dice.number(1, 8)},
               {"pages", std::to_string(pages)},
               {"touch_pages", dice.number(0, pages < 40 ? pages : 40)},
               {"placement", dice.one_of({"strided", "random"})},
               {"unmap", dice.one_of({"munmap", "madvise_dontneed"})},
               {"sleep_max", dice.one_of({"0", "999ns", "200us"})}};
    for (const auto &[key, value] : s.storm)
        s.text += " workload." + key + "=" + value;
    return s;
}

} // namespace

TEST(MachineSwarm, FinishesCleanWhateverTheMachine)
{
    uint64_t only = from_environment("TS_SWARM_SEED", 0);
    uint64_t runs = from_environment("TS_SWARM_RUNS", 60);
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : runs); seed++) {
        Scenario s = scenario(seed);
        Outcome got = run_storm(s.config, s.mechanism, s.storm, seed);
        ASSERT_EQ(got.status, TS_OK)
            << got.message << "\nrepeat: TS_SWARM_SEED=" << seed << " swarm_machine_swarm_test\n"
            << s.mechanism->name << s.text;
    }
}
