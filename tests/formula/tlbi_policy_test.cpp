/* SPDX-License-Identifier: Apache-2.0 */
/* arm64: who is reached by what, for flushes that are not always broadcast (arm.md 3.7). */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint64_t drops = 10;

/* Thread 0 drops a page as often as that, while `others` threads of its process compute. */
Outcome run(const char *mechanism, uint32_t others, const std::string &limit = "")
{
    const ts_flush_ops *m = ts_flush_find(mechanism);
    ts_machine_config c = small_machine(true, m);
    set(c, "hypervisor.kind", "none");
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "8");
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "8");
    Script script(1 + others, {op_ns(TS_OP_COMPUTE, 3 * ms)});
    script[0] = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 16 * page)};
    for (uint64_t i = 0; i < drops; i++) {
        script[0].push_back(op_touch(0, 0, 16));
        script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
    }
    std::vector<uint64_t> params;
    if (!limit.empty())
        params = mechanism_params(m, {{"cpus", limit}});
    Outcome out = run_script(c, script, 1 + others, m, params.empty() ? nullptr : params.data());
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

uint64_t issued(const Outcome &o)
{
    return o.stats.at("dvm.issued");
}

} // namespace

TEST(TlbiPolicy, AloneALocalFlushIsEnough)
{
    EXPECT_GE(issued(run("tlbi_broadcast", 0)), drops);
    for (const char *mechanism : {"tlbi_local_if_single", "tlbi_ipi_below"}) {
        Outcome out = run(mechanism, 0);
        EXPECT_EQ(issued(out), 0u) << mechanism;
        EXPECT_EQ(out.stats.at("guest.flush_partial"), drops) << mechanism;
        EXPECT_EQ(out.result.ipis, 0u) << mechanism;
    }
}

TEST(TlbiPolicy, OneOtherCpuIsEnoughForABroadcast)
{
    const Outcome broadcast = run("tlbi_broadcast", 1), got = run("tlbi_local_if_single", 1);
    EXPECT_EQ(issued(got), issued(broadcast));
    EXPECT_EQ(got.result.ipis, 0u);
}

/* As many interrupts as there are others, up to the limit. */
TEST(TlbiPolicy, FewAreInterruptedAndManyHearABroadcast)
{
    for (uint32_t others : {1u, 2u, 3u, 4u, 5u}) {
        const Outcome broadcast = run("tlbi_broadcast", others);
        for (uint32_t limit : {0u, 1u, 2u, 4u}) {
            SCOPED_TRACE(std::to_string(others) + " others, limit " + std::to_string(limit));
            const Outcome got = run("tlbi_ipi_below", others, std::to_string(limit));
            const bool few = others < limit;
            ASSERT_EQ(got.result.shootdowns, drops + 1); /* and the address space's end */
            EXPECT_EQ(got.result.ipis, few ? (drops + 1) * others : 0);
            EXPECT_EQ(issued(got), few ? 0 : issued(broadcast));
        }
        const Outcome usual = run("tlbi_ipi_below", others);
        EXPECT_EQ(usual.result.ipis > 0, others < 4);
    }
}
