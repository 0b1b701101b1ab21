// SPDX-License-Identifier: Apache-2.0
// hypervisor.kvm in files: what a version sets, what wins over it, and what the hosts that come
// with the program are.
#include "models/cpu/sched.h"
#include "sim/front/experiment.hpp"
#include "source_dir.h"
#include "tests/unit/front_support.hpp"

namespace
{

class FrontKvm : public FrontTest
{
  protected:
    ts::Resolved first(const std::string &text)
    {
        const std::string all = "schema: 1\nname: t\nworkload: {kind: mmap_storm}\n"
                                "mechanisms: [free_flush]\n" +
                                text;
        const ts::Experiment e = ts::experiment_parse(all, write("e.yaml", all), {}, false);
        return ts::resolve(e, ts::experiment_points(e).at(0));
    }
    ts::Resolved host(const std::string &name)
    {
        return first("hypervisor: " + std::string(TS_SOURCE_DIR) + "/configs/hypervisors/" + name +
                     ".yaml\n");
    }
};

std::string policy_of(const ts_machine_config &c)
{
    return ts_sched_table[c.host_sched.policy]->name;
}

} // namespace

TEST_F(FrontKvm, AVersionSetsTheHostAndWhatIsSetAloneWins)
{
    const ts::Resolved old = first("hypervisor: {hypervisor.kvm: 4.14}\n");
    EXPECT_EQ(old.config.hypervisor.boost_rule, uint64_t(TS_BOOST_PREEMPTED));
    EXPECT_EQ(old.config.hypervisor.pv_tlb_flush, 0u);
    EXPECT_EQ(old.config.hypervisor.halt_poll_shrink, 0u);
    EXPECT_EQ(policy_of(old.config), "cfs");
    EXPECT_EQ(ts_sched_table[old.config.guest_sched.policy]->name, std::string("eevdf"));
    const ts::Resolved mixed =
        first("hypervisor: {hypervisor.kvm: 4.14, hypervisor.pv_tlb_flush: true}\n"
              "set: {host_sched.policy: rr, guest.linux: 4.15}\n");
    EXPECT_EQ(mixed.config.hypervisor.pv_tlb_flush, 1u);
    EXPECT_EQ(mixed.config.hypervisor.boost_rule, uint64_t(TS_BOOST_PREEMPTED));
    EXPECT_EQ(policy_of(mixed.config), "rr");
    EXPECT_EQ(ts_sched_table[mixed.config.guest_sched.policy]->name, std::string("cfs"));
    const ts::Resolved none = first("hypervisor: {hypervisor.kvm: none}\n");
    EXPECT_EQ(policy_of(none.config), "eevdf");
}

TEST_F(FrontKvm, AnUnknownVersionIsNamedAtItsPlace)
{
    const std::string message =
        user_error_of([&] { first("hypervisor: {hypervisor.kvm: 6.13}\n"); });
    EXPECT_NE(message.find("e.yaml:5:30: hypervisor.kvm: version '6.13' is unknown, the nearest "
                           "known is 6.12"),
              std::string::npos)
        << message;
}

TEST_F(FrontKvm, TheHostsThatComeWithTheProgram)
{
    const ts_hypervisor_params h415 = host("kvm-4.15").config.hypervisor;
    EXPECT_EQ(h415.boost_rule, uint64_t(TS_BOOST_PREEMPTED));
    EXPECT_EQ(h415.pv_preempted_rule, uint64_t(TS_PREEMPTED_ANY_PUT));
    EXPECT_EQ(h415.pv_tlb_flush, 1u); /* the patches, before 4.16 */
    EXPECT_EQ(h415.hv_flush, uint64_t(TS_HV_OFF));
    EXPECT_EQ(h415.ibpb_on_switch, 0u);
    EXPECT_EQ(policy_of(host("kvm-4.15").config), "cfs");
    const ts_hypervisor_params hv = host("kvm-hyperv-4.18").config.hypervisor;
    EXPECT_EQ(hv.hv_flush, uint64_t(TS_HV_4_18));
    EXPECT_EQ(hv.ibpb_on_switch, 1u);
    const ts_hypervisor_params h419 = host("kvm-4.19").config.hypervisor;
    EXPECT_EQ(h419.hv_flush, uint64_t(TS_HV_4_18));
    EXPECT_EQ(h419.pv_ipi, uint64_t(TS_PV_IPI_OFF));
    const ts_hypervisor_params h517 = host("kvm-5.17").config.hypervisor;
    EXPECT_EQ(h517.boost_rule, uint64_t(TS_BOOST_READY_IRQ));
    EXPECT_EQ(h517.pv_preempted_rule, uint64_t(TS_PREEMPTED_ANY_PUT));
    EXPECT_EQ(h517.halt_poll_shrink, 0u);
    EXPECT_EQ(policy_of(host("kvm-5.17").config), "cfs");
    for (const char *name : {"kvm-6.12", "kvm-arm64-6.12", "hyperv"}) {
        const ts_machine_config c = host(name).config;
        EXPECT_EQ(c.hypervisor.boost_rule, uint64_t(TS_BOOST_READY_IRQ)) << name;
        EXPECT_EQ(c.hypervisor.pv_ipi, uint64_t(TS_PV_IPI_OFF)) << name;
        EXPECT_EQ(c.hypervisor.pv_sched_yield, 0u) << name;
        EXPECT_EQ(policy_of(c), "eevdf") << name;
        EXPECT_EQ(c.host_sched.slice_ps, 2800 * TS_US) << name;
    }
    EXPECT_EQ(host("kvm-arm64-6.12").config.hypervisor.halt_poll_ps, 500 * TS_US);
    EXPECT_EQ(host("xen-4.19").config.hypervisor.kvm_version, uint64_t(TS_KVM_VERSION_NONE));
}
