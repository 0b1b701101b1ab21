/* SPDX-License-Identifier: Apache-2.0 */
/* Free flushes keep the generations by flush_tlb_func's rule (arch/x86/mm/tlb.c, 6.1 and 6.12). */
#include <gtest/gtest.h>

#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000, us = 1000;

} // namespace

/* CPU 0 has dropped page 0 and not flushed it; CPU 1 writes to a page that was all zeroes, which is
 * replaced and flushed alone, and all CPUs take over that generation, which is behind page 0's. */
TEST(FreeFlush, WhatAnotherHasNotFlushedYetGoesWithALaterGeneration)
{
    ts_machine_config c = small_machine();
    set(c, "run.oracle", "true");
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "2");
    const std::vector<ts_op> first = {
        op_mmap(0, 8 * page), op_touch(0, 0, 4), op_ns(TS_OP_COMPUTE, 2 * ms),
        op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page), op_ns(TS_OP_COMPUTE, ms)};
    const std::vector<ts_op> uses = {op_ns(TS_OP_COMPUTE, ms), op_touch(0, 4 * page, 1, false),
                                     op_touch(0, 0, 4),        op_ns(TS_OP_COMPUTE, ms + 50 * us),
                                     op_touch(0, 4 * page, 1), op_touch(0, 0, 2),
                                     op_touch(0, 0, 2),        op_ns(TS_OP_COMPUTE, ms)};
    const ts_flush_ops ops = late("free_flush");
    const Outcome out = run_script(c, {first, uses}, 2, &ops);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.cow_copied"), 1u);
    ASSERT_GE(out.shootdowns.size(), 2u);
    EXPECT_EQ(out.shootdowns[0].initiator, 1u); /* it ends first */
    EXPECT_GT(out.shootdowns[0].started, out.shootdowns[1].started);
    EXPECT_GT(out.stats.at("oracle.hits_checked"), 0u);
}
