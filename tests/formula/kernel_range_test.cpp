/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes of kernel addresses: on every CPU, by no mechanism of a guest, page by page up to the
 * ceiling. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

ts_op vfree(uint64_t pages)
{
    ts_op op = op_of(TS_OP_VFREE);
    op.length = pages * page;
    return op;
}

/* Four CPUs: one gives kernel memory back twice, one computes, one sleeps, one has nothing. A purge
 * comes with the second, of 2 * pages and a guard page each. */
Outcome purge(ts_machine_config c, uint64_t pages, const char *mechanism = "native_concurrent")
{
    set(c, "guest.vmap_lazy_max", std::to_string((pages + 2) * page) + "B");
    return run_script(c,
                      {{op_ns(TS_OP_COMPUTE, ms), vfree(pages), vfree(pages)},
                       {op_ns(TS_OP_COMPUTE, 5 * ms)},
                       {op_ns(TS_OP_SLEEP, 5 * ms)}},
                      3, mechanism);
}

} // namespace

TEST(KernelRange, PagesUpToTheCeilingAreFlushedOneByOneOnEveryCpu)
{
    for (uint64_t pages : {5u, 15u}) {
        Outcome out = purge(bare_machine(4), pages);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.vfrees"), 2u);
        EXPECT_EQ(out.stats.at("guest.vmap_purges"), 1u);
        EXPECT_EQ(out.stats.at("guest.kernel_flushes"), 1u);
        EXPECT_EQ(out.stats.at("guest.nr_tlb_local_flush_one"), 4 * 2 * (pages + 1));
        EXPECT_EQ(out.stats.at("guest.csd_queued"), 3u);
        EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush_received"), 0u);
    }
}

TEST(KernelRange, MoreThanTheCeilingFlushesEverythingOnEveryCpu)
{
    Outcome out = purge(bare_machine(4), 16); /* 34 pages */
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.kernel_flushes"), 1u);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush_received"), 4u);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_local_flush_one"), 0u);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush"), 0u);
    EXPECT_EQ(out.stats.at("guest.shootdowns"), 0u);
}

TEST(KernelRange, ThirtyThreePagesAreTheLastThatGoOneByOne)
{
    for (uint64_t pages : {32u, 33u}) { /* and a guard page */
        ts_machine_config c = bare_machine(1);
        set(c, "guest.vmap_lazy_max", "4096B");
        Outcome out = run_script(c, {{vfree(pages)}}, 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.nr_tlb_local_flush_one"), pages == 32 ? 33u : 0u);
    }
}

TEST(KernelRange, UserTranslationsGoWithEverything)
{
    uint64_t walks[2];
    for (bool big : {false, true}) {
        ts_machine_config c = bare_machine(1);
        set(c, "guest.vmap_lazy_max", "4096B");
        Outcome out = run_script(c,
                                 {{op_mmap(0, 32 * page), op_touch(0, 0, 32), op_touch(0, 0, 32),
                                   vfree(big ? 100 : 1), op_touch(0, 0, 32)}},
                                 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_EQ(out.stats.at("guest.vmap_purges"), 1u);
        walks[big] = out.stats.at("mmu.walks");
    }
    EXPECT_EQ(walks[1], walks[0] + 32);
}

TEST(KernelRange, NoMechanismHelps)
{
    ts_machine_config c = small_machine();
    set(c, "run.vms", "1");
    for (const char *mechanism : {"kvm_pv", "hyperv"}) {
        Outcome out = purge(c, 16, mechanism);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.csd_queued"), 3u) << mechanism;
    }
}

TEST(KernelRange, ThePurgeWaitsForThirtyTwoMebibytesForEachBitOfTheCpus)
{
    for (uint32_t cpus : {1u, 4u}) { /* fls: 1 and 3 */
        const uint64_t limit = (cpus == 1 ? 1 : 3) * (32u << 20) / page;
        for (uint64_t over : {0u, 1u}) {
            Outcome out = run_script(bare_machine(cpus), {{vfree(limit - 1 + over)}}, 1);
            ASSERT_EQ(out.status, TS_OK) << out.message;
            EXPECT_EQ(out.stats.at("guest.vmap_purges"), over) << cpus;
        }
    }
}

/* Two processes in slots of one CPU, one of which frees kernel pages now and then. */
TEST(KernelRange, UnderPtiTheOtherSlotsAreFlushedWhenTheyAreLoadedNext)
{
    uint64_t flushes[2];
    for (bool pti : {false, true}) {
        ts_machine_config c = bare_machine(1);
        set(c, "guest.pti", pti ? "true" : "false");
        set(c, "guest.vmap_lazy_max", "4096B");
        Script s(3);
        s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
        for (uint32_t r = 0; r < 20; r++) {
            s[1].push_back(vfree(2));
            s[1].push_back(op_ns(TS_OP_SLEEP, ms));
            s[2].push_back(op_ns(TS_OP_COMPUTE, 1000));
            s[2].push_back(op_ns(TS_OP_SLEEP, ms));
        }
        Outcome out = run_script(c, s, 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        flushes[pti] = out.stats.at("guest.flush_on_switch");
    }
    EXPECT_LE(flushes[0], 8u);
    EXPECT_GE(flushes[1], 20u);
}

TEST(KernelRange, Arm64BroadcastsEachPageOrAll)
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "1");
    for (uint64_t pages : {5u, 300u}) {
        Outcome out = purge(c, pages, "tlbi_broadcast");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.kernel_flushes"), 1u);
        EXPECT_EQ(out.stats.at("guest.tlbi_issued"), pages == 5 ? 2u * 6 : 1u);
        EXPECT_EQ(out.stats.at("guest.csd_queued"), 0u);
    }
}

TEST(KernelRange, UpTo512TheOthersComeFirst)
{
    ts_time took[2];
    for (bool at_once : {false, true}) {
        ts_machine_config c = bare_machine(4);
        set(c, "guest.flush_concurrent", at_once ? "true" : "false");
        set(c, "guest.flush_global", "100000cycles");
        Outcome out = purge(c, 16);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        took[at_once] = out.result.system_ps;
    }
    EXPECT_GT(took[0], took[1] + 30 * TS_US); /* the initiator waits, then flushes */
}
