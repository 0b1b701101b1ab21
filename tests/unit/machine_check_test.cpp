/* SPDX-License-Identifier: Apache-2.0 */
/* What constructing a machine would refuse is refused by the check before, with the key. */
#include "models/flush/flush.h"
#include "models/interconnect/fabric.h"
#include "models/machine/machine.h"
#include "models/study/line_sharing.h"
#include "models/study/tlb_profile.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace
{

using Change = std::function<void(ts_machine_config &)>;

struct Case {
    const char *key;
    Change change;
};

const std::vector<Case> cases = {
    {"mmu.l2_entries", [](auto &c) { c.mmu.l2_entries = 1537; }},
    {"mmu.l1d_4k_entries", [](auto &c) { c.mmu.l1d_4k_ways = 3; }},
    {"mmu.nested_entries", [](auto &c) { c.mmu.nested_ways = 5; }},
    {"mmu.l2_entries",
     [](auto &c) { /* one set's ways for two threads */
                   c.topology.threads_per_core = 2;
                   c.mmu.l2_smt = TS_MMU_SMT_PARTITION;
                   c.mmu.l2_entries = c.mmu.l2_ways = 7;
     }},
    {"cache.llc_bytes",
     [](auto &c) {
         c.cache.walks = 1;
         c.cache.llc_bytes++;
     }},
    {"interconnect.vcs",
     [](auto &c) {
         c.interconnect.detail = TS_IC_FLIT;
         c.interconnect.vcs = 3;
         for (size_t i = 0; i < ts_fabric_table_count; i++)
             if (std::string(ts_fabric_table[i]->name) == "ring")
                 c.interconnect.fabric = i;
     }},
    {"interconnect.background_permille",
     [](auto &c) {
         c.interconnect.detail = TS_IC_FLIT;
         c.interconnect.background_permille = 1;
     }},
    {"interconnect.detail",
     [](auto &c) {
         c.interconnect.detail = TS_IC_FLIT;
         c.topology.sockets = 16;
         c.topology.cores_per_socket = 256;
     }},
    {"interconnect.mesh_hz", [](auto &c) { c.interconnect.mesh_hz = 0; }},
    {"line.data_flits", [](auto &c) { c.line.data_flits = 0; }},
    {"dvm.rn_queue",
     [](auto &c) {
         c.topology.arch = TS_ARCH_ARM64;
         c.interrupt.mode = c.interrupt.guest_mode = TS_INTR_GIC_SGI;
         c.dvm.rn_queue = 0;
     }},
};

} // namespace

TEST(MachineCheck, RefusesWhatConstructionWould)
{
    for (const Case &k : cases) {
        SCOPED_TRACE(k.key);
        ts_machine_config config;
        ts_error err{};
        ts_machine_config_defaults(&config);
        config.hypervisor.kind = TS_HYP_NONE;
        bool arm = std::string(k.key).find("dvm") == 0;
        const ts_flush_ops *mechanism = ts_flush_find(arm ? "tlbi_broadcast" : "native_sequential");
        ASSERT_NE(mechanism, nullptr);
        if (!arm) {
            ASSERT_EQ(ts_machine_check(&config, mechanism, &err), TS_OK) << err.message;
        }
        k.change(config);
        ASSERT_EQ(ts_machine_check(&config, mechanism, &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find(k.key), std::string::npos) << err.message;
    }
}

TEST(MachineCheck, StudiesCheckWhatTheyBuild)
{
    ts_machine_config config;
    ts_error err{};
    ts_machine_config_defaults(&config);
    std::vector<uint64_t> params(ts_study_tlb_profile.params_size);
    ts_param_defaults(ts_study_tlb_profile.params, params.data());
    ASSERT_EQ(ts_study_tlb_profile.check(&config, params.data(), &err), TS_OK) << err.message;
    config.mmu.l2_entries = 1537;
    EXPECT_EQ(ts_study_tlb_profile.check(&config, params.data(), &err), TS_ERR_USER);

    params.resize(ts_study_line_sharing.params_size);
    ts_param_defaults(ts_study_line_sharing.params, params.data());
    ASSERT_EQ(ts_study_line_sharing.check(&config, params.data(), &err), TS_OK) << err.message;
    config.interconnect.detail = TS_IC_FLIT;
    config.interconnect.background_permille = 1;
    EXPECT_EQ(ts_study_line_sharing.check(&config, params.data(), &err), TS_ERR_USER);
}
