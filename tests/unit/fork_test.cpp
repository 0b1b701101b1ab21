/* SPDX-License-Identifier: Apache-2.0 */
/* fork: what the child has, who copies, and which flushes there are (kernel/fork.c dup_mmap,
 * mm/memory.c do_wp_page, Linux 6.12). The oracle watches every run. */
#include <gtest/gtest.h>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES;
constexpr uint32_t FORK = TS_OPF_NEW_MM | TS_OPF_COPY_MM;
constexpr uint32_t R = TS_PROT_READ, RW = TS_PROT_READ | TS_PROT_WRITE;

ts_machine_config machine(bool arm, uint32_t cores = 2)
{
    ts_machine_config c = bare_machine(cores);
    if (arm)
        set_arm(c);
    return c;
}

Outcome run(const Script &script, uint32_t initial = 1, bool arm = false, uint32_t cores = 2)
{
    return run_script(machine(arm, cores), script, initial,
                      arm ? "tlbi_broadcast" : "native_concurrent");
}

} // namespace

TEST(Fork, TheChildNamesTheSameRegionsAndUnmapsItsOwnCopy)
{
    for (bool arm : {false, true}) {
        Outcome got = run({{op_mmap(0, 4 * page), op_touch(0, 0, 4), op_spawn(1, FORK),
                            op_ns(TS_OP_SLEEP, 10000000), op_touch(0, 0, 4, false)},
                           {op_touch(0, 0, 4, false), op_range(TS_OP_MUNMAP, 0, 0, 4 * page)}},
                          1, arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.forks"], 1u);
        EXPECT_EQ(got.stats["guest.munmaps"], 1u);
        EXPECT_EQ(got.stats["guest.touches"], 12u);
        EXPECT_EQ(got.stats["guest.faults"], 4u); /* reads share */
        EXPECT_EQ(got.stats["guest.pages_freed"], 4u);
    }
}

TEST(Fork, WithoutTheFlagTheChildHasNothing)
{
    Outcome got = run({{op_mmap(0, page), op_spawn(1, TS_OPF_NEW_MM)}, {op_touch(0, 0, 1)}});
    EXPECT_EQ(got.status, TS_ERR_USER);
}

TEST(Fork, TheFirstWriterCopiesAndTheLastReuses)
{
    for (bool arm : {false, true}) {
        Outcome got = run({{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_spawn(1, FORK),
                            op_ns(TS_OP_SLEEP, 10000000), op_touch(0, 0, 8)},
                           {op_touch(0, 0, 5), op_ns(TS_OP_SLEEP, 30000000)}},
                          1, arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        /* The child copies five, the parent finds those five its own and copies three. */
        EXPECT_EQ(got.stats["guest.cow_copied"], 5u + 3u);
        EXPECT_EQ(got.stats["guest.cow_reused"], 5u);
        EXPECT_EQ(got.stats["guest.pages_freed"], 8u + 5u + 3u);
    }
}

TEST(Fork, OneFlushOfTheParentAndOneForEachCopiedPage)
{
    /* A second thread of the parent keeps the other CPU in its address space. */
    for (bool arm : {false, true}) {
        Outcome got = run({{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_spawn(2, FORK),
                            op_touch(0, 0, 8), op_ns(TS_OP_COMPUTE, 100000)},
                           {op_ns(TS_OP_COMPUTE, 20000000)},
                           {op_ns(TS_OP_SLEEP, 10000000)}},
                          2, arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_GE(got.shootdowns.size(), 9u);
        EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX);
        for (uint32_t i = 1; i <= 8; i++) {
            EXPECT_EQ(got.shootdowns[i].end - got.shootdowns[i].start, page) << i;
            EXPECT_FALSE(got.shootdowns[i].freed_tables);
        }
        EXPECT_EQ(got.stats["guest.cow_copied"], 8u);
    }
}

TEST(Fork, TheUpgradeOfAReusedPageIsFlushedOnArm64Alone)
{
    for (bool arm : {false, true}) {
        Outcome got = run({{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_spawn(2, FORK),
                            op_ns(TS_OP_SLEEP, 10000000), op_touch(0, 0, 8)},
                           {op_ns(TS_OP_COMPUTE, 30000000)},
                           {}},
                          2, arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.cow_reused"], 8u);
        uint64_t single = 0;
        for (const auto &s : got.shootdowns)
            single += s.end != UINT64_MAX && s.end - s.start == page;
        EXPECT_EQ(single, arm ? 8u : 0u);
    }
}

TEST(Fork, MprotectDoesNotMakeASharedPageWritable)
{
    Outcome got = run({{op_mmap(0, 4 * page), op_touch(0, 0, 4), op_spawn(1, FORK),
                        op_range(TS_OP_MPROTECT, 0, 0, 4 * page, R),
                        op_range(TS_OP_MPROTECT, 0, 0, 4 * page, RW), op_touch(0, 0, 4)},
                       {op_ns(TS_OP_SLEEP, 20000000), op_touch(0, 0, 4, false)}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.cow_copied"], 4u);
}

TEST(Fork, WhatIsUntouchedOrSharedIsLeftToTheChildsFaults)
{
    Outcome got = run({{op_mmap(0, 4 * page), op_mmap(1, 4 * page, TS_OPF_SHARED),
                        op_touch(1, 0, 4), op_spawn(1, FORK), op_ns(TS_OP_SLEEP, 20000000)},
                       {op_touch(0, 0, 4), op_touch(1, 0, 4)}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.faults"], 4u + 8u);
    EXPECT_EQ(got.stats["guest.cow_copied"], 0u);
    EXPECT_EQ(got.stats["guest.cow_reused"], 0u);
}

TEST(Fork, ForbiddenPagesAreInheritedToo)
{
    Outcome got =
        run({{op_mmap(0, 4 * page), op_touch(0, 0, 4), op_range(TS_OP_MPROTECT, 0, 0, 4 * page, 0),
              op_spawn(1, FORK), op_ns(TS_OP_SLEEP, 20000000)},
             {op_range(TS_OP_MPROTECT, 0, 0, 4 * page, RW), op_touch(0, 0, 4, false),
              op_touch(0, 0, 4)}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.faults"], 4u + 4u);
    EXPECT_EQ(got.stats["guest.cow_copied"], 4u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8u);
}

/* Everybody writes while forks happen: a lost flush would let the parent write a page that a child
 * has, which the oracle sees. */
TEST(Fork, ManyForksUnderWritersAreCoherent)
{
    for (bool arm : {false, true}) {
        const uint32_t forks = 6;
        Script script(2 + forks);
        script[0] = {op_mmap(0, 16 * page), op_touch(0, 0, 16)};
        for (uint32_t i = 0; i < 200; i++)
            script[1].push_back(op_touch(0, 0, 16));
        for (uint32_t i = 0; i < forks; i++) {
            script[0].push_back(op_spawn(2 + i, FORK));
            script[0].push_back(op_touch(0, 0, 16));
            script[2 + i] = {op_touch(0, 0, 16), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 8 * page),
                             op_touch(0, 0, 16), op_range(TS_OP_MUNMAP, 0, 0, 16 * page)};
        }
        Outcome got = run(script, 2, arm, 4);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.forks"], forks);
        EXPECT_GT(got.stats["guest.cow_copied"], 16u);
    }
}

TEST(Exec, TheNewAddressSpaceIsLoadedBeforeTheOldOneGoes)
{
    /* exit_mmap's flush finds no CPU in the old address space, so nobody runs a flush function. */
    Outcome got = run_script(machine(false, 1),
                             {{op_mmap(0, 8 * page), op_touch(0, 0, 8), op_of(TS_OP_EXEC)}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.flush_full"] + got.stats["guest.flush_partial"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8u);
}
