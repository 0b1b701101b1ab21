// SPDX-License-Identifier: Apache-2.0
// tlbstorm::machine: whole machines in a simulation of somebody else's.
#include "tests/tlm/rig.hpp"

#include <map>
#include <tlbstorm/machine.hpp>

using namespace ts_test;

namespace
{

const char *const experiment = R"(
schema: 1
name: machine
workload: {kind: mmap_storm, threads: 4, rounds: 2, pages: 32}
machine:
  topology: {sockets: 1, cores_per_socket: 4, threads_per_core: 1}
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent, kvm_pv]
set: {run.vcpus: 4}
)";

using Stats = std::map<std::string, uint64_t>;

void take(void *user, const char *name, const char *, uint64_t value)
{
    (*static_cast<Stats *>(user))[name] = value;
}

Stats stats_of(tlbstorm_machine *machine)
{
    Stats stats;
    EXPECT_EQ(tlbstorm_machine_visit_stats(machine, take, &stats, nullptr), TLBSTORM_OK);
    return stats;
}

TEST(Machine, TwoInOneSimulationAreAsEachByItself)
{
    ts::FreshContext context;
    tlbstorm::machine::config_type config;
    config.text = experiment;
    config.sample = ns(5000);
    tlbstorm::machine a("a", config);
    config.point = 1;
    config.quantum = ns(1000);
    tlbstorm::machine b("b", config);
    config.sample = sc_core::SC_ZERO_TIME;
    tlbstorm::machine ahead("ahead", config);
    sc_core::sc_signal<uint64_t> &walks = a.watch("mmu.walks");
    sc_core::sc_start();
    ASSERT_TRUE(a.done() && b.done() && ahead.done());
    EXPECT_EQ(stats_of(b.handle()), stats_of(ahead.handle()));
    EXPECT_EQ(sc_time_stamp().value(),
              std::max(tlbstorm_machine_now(a.handle()), tlbstorm_machine_now(b.handle())));
    EXPECT_EQ(walks.read(), a.statistic("mmu.walks"));
    EXPECT_GT(walks.read(), 0u);
    tlbstorm_config *c = nullptr;
    ASSERT_EQ(tlbstorm_config_parse(&c, experiment, "x", nullptr, 0, nullptr), TLBSTORM_OK);
    for (size_t point = 0; point < 2; point++) {
        tlbstorm_machine *native = nullptr;
        ASSERT_EQ(tlbstorm_machine_create(&native, c, point, nullptr), TLBSTORM_OK);
        ASSERT_EQ(tlbstorm_machine_run(native, nullptr), TLBSTORM_OK);
        EXPECT_EQ(stats_of(native), stats_of((point ? b : a).handle()));
        tlbstorm_machine_destroy(native);
    }
    tlbstorm_config_destroy(c);
    EXPECT_HAS(error_of([&] { a.statistic("mmu.walk"); }), "a: no statistic 'mmu.walk'");
}

TEST(Machine, FindingsAndWrongConfigurationsAreErrors)
{
    ts::FreshContext context;
    tlbstorm::machine::config_type config;
    config.text = experiment;
    config.settings = {"run.limit=20us"};
    tlbstorm::machine m("m", config);
    EXPECT_HAS(error_of([] { sc_core::sc_start(); }), "/tlbstorm/finding: m: ");
    EXPECT_EQ(m.status(), TLBSTORM_ERR_FINDING);
    config.settings = {"run.limits=20us"};
    const std::string error = error_of([&] {
        ts::FreshContext inner;
        tlbstorm::machine x("x", config);
    });
    EXPECT_HAS(error, "/tlbstorm/settings: x: --set run.limits");
    EXPECT_HAS(error, "'run.limit'");
}

TEST(Machine, TakesOperations)
{
    ts::FreshContext context;
    tlbstorm::machine::config_type config;
    config.text = experiment;
    config.injected = true;
    tlbstorm::machine m("m", config);
    Thread thread("thread", [&] {
        tlbstorm_op op = {TLBSTORM_MMAP, 0, 0, 0x2000, false, false};
        sc_core::wait(ns(20500));
        m.inject(0, 0, &op);
        op = {TLBSTORM_TOUCH, op.region, 0, 0x2000, false, true};
        m.inject(0, 0, &op);
        m.inject(0, 1, &op);
        while (tlbstorm_machine_pending(m.handle(), 0, 0) +
                   tlbstorm_machine_pending(m.handle(), 0, 1) >
               0)
            sc_core::wait(ns(1000));
        EXPECT_EQ(m.statistic("result.shootdowns"), 0u);
        op.kind = TLBSTORM_MUNMAP;
        m.inject(0, 1, &op);
        EXPECT_EQ(tlbstorm_machine_now(m.handle()), sc_time_stamp().value());
        m.close();
        op.offset = 0x1000;
        EXPECT_HAS(error_of([&] { m.inject(0, 1, &op); }), "/tlbstorm/inject: m: ");
    });
    sc_core::sc_start();
    EXPECT_TRUE(m.done());
    EXPECT_EQ(m.statistic("result.shootdowns"), 1u);
    EXPECT_EQ(m.statistic("result.page_touches"), 4u);
}

} // namespace
