/* SPDX-License-Identifier: Apache-2.0 */
/* No memory is an error of the environment, wherever it happens: every allocation of a run fails
 * once, alone and with all that follow. */
#include <gtest/gtest.h>
#include <regex>

#include "tests/support/failing_memory.hpp"
#include "tests/support/machine_rig.hpp"
#include "tests/support/profile_rig.hpp"

using namespace ts_test;

namespace
{

/* A run with allocations [first, first + count) failing. */
template <class Run> auto starved(uint64_t first, uint64_t count, Run run)
{
    memory = {first, count, 0};
    auto out = run();
    memory.count = 0;
    return out;
}

template <class Run> void every_allocation_may_fail(Run run)
{
    auto whole = starved(0, 0, run);
    const uint64_t n = memory.seen;
    ASSERT_EQ(whole.status, TS_OK) << whole.message;
    ASSERT_GT(n, 20u);
    for (uint64_t count : {UINT64_C(1), UINT64_MAX}) {
        for (uint64_t i = 0; i < n; i++) {
            auto out = starved(i, count, run);
            ASSERT_EQ(out.status, TS_ERR_ENVIRONMENT) << i << " of " << n << ": " << out.message;
            ASSERT_TRUE(std::regex_search(out.message, std::regex("memory"))) << out.message;
        }
    }
}

/* A workload that cannot be made ends a run as well. */
Outcome storm(const ts_machine_config &c, const char *mechanism)
{
    try {
        return run_storm(
            c, ts_flush_find(mechanism),
            {{"threads", "6"}, {"rounds", "2"}, {"pages", "600"}, {"sharing", "write"}}, 1);
    } catch (const std::runtime_error &error) {
        Outcome out;
        out.status = TS_ERR_ENVIRONMENT;
        out.message = error.what();
        return out;
    }
}

} // namespace

TEST(Memory, OfAVirtualMachineMayRunOut)
{
    every_allocation_may_fail([] { return storm(small_machine(), "kvm_pv"); });
}

TEST(Memory, OfAnArmMachineMayRunOut)
{
    ts_machine_config c = small_machine(true);
    set(c, "dvm.vmid_filter", "true");
    every_allocation_may_fail([&] { return storm(c, "tlbi_broadcast"); });
}

TEST(Memory, OfANetworkMayRunOut)
{
    ts_machine_config c = small_machine();
    set(c, "interconnect.detail", "flit");
    every_allocation_may_fail([&] { return storm(c, "native_concurrent"); });
}

TEST(Memory, OfAnAddressSpaceMayRunOut)
{
    constexpr uint64_t page = 4096;
    const uint32_t fork = TS_OPF_NEW_MM | TS_OPF_COPY_MM;
    const Script script = {{op_mmap(0, 1024 * page), op_touch(0, 0, 700), op_spawn(1, fork),
                            op_range(TS_OP_MPROTECT, 0, 0, 600 * page, 0),
                            op_range(TS_OP_MPROTECT, 0, 0, 600 * page, TS_PROT_READ),
                            op_mremap(0, 1024 * page, 1, 2048 * page), op_touch(1, 1024 * page, 9),
                            op_range(TS_OP_MUNMAP, 1, 0, 2048 * page)},
                           {op_touch(0, 0, 700), op_range(TS_OP_MUNMAP, 0, 0, 1024 * page)}};
    ts_machine_config c = bare_machine(8);
    every_allocation_may_fail(
        [&] { return run_script(c, script, 1, ts_flush_find("native_sequential")); });
}
