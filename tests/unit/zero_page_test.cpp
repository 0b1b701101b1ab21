/* SPDX-License-Identifier: Apache-2.0 */
/* The shared zero page (do_anonymous_page, wp_page_copy): what a read of untouched memory maps, and
 * the flush of the write that comes after it. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint64_t n = 8;

/* Thread 0 reads, then writes; the other runs. */
Outcome run(std::vector<ts_op> ops, const char *zero_page = "true", bool reader = false)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest.zero_page", zero_page);
    ops.insert(ops.begin(), op_mmap(0, 64 * page));
    ops.insert(ops.begin(), op_ns(TS_OP_COMPUTE, ms));
    std::vector<ts_op> other = {op_ns(TS_OP_COMPUTE, 3 * ms)};
    if (reader) {
        other = {op_ns(TS_OP_COMPUTE, ms)};
        for (int i = 0; i < 2000; i++)
            other.push_back(op_touch(0, 0, n, false));
    }
    Outcome out = run_script(c, {ops, other}, 2);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

uint64_t at(const Outcome &out, const char *name)
{
    return out.stats.at(std::string("guest.") + name);
}

} // namespace

TEST(ZeroPage, AReadMapsItAndTheFirstWriteReplacesItWithAFlush)
{
    Outcome read = run({op_touch(0, 0, n, false)});
    EXPECT_EQ(at(read, "zero_mapped"), n);
    EXPECT_EQ(at(read, "pages_freed"), 0u); /* it is nobody's */
    Outcome both = run({op_touch(0, 0, n, false), op_touch(0, 0, n), op_touch(0, 0, n)});
    EXPECT_EQ(at(both, "zero_mapped"), n);
    EXPECT_EQ(at(both, "zero_copied"), n);
    EXPECT_EQ(at(both, "faults"), 2 * n);
    EXPECT_EQ(at(both, "pages_freed"), n);
    EXPECT_EQ(at(both, "shootdowns"), at(read, "shootdowns") + n);
    Outcome written = run({op_touch(0, 0, n), op_touch(0, 0, n, false)});
    EXPECT_EQ(at(written, "zero_mapped"), 0u);
    EXPECT_EQ(at(written, "faults"), n);
    Outcome without = run({op_touch(0, 0, n, false), op_touch(0, 0, n)}, "false");
    EXPECT_EQ(at(without, "zero_mapped"), 0u);
    EXPECT_EQ(at(without, "faults"), n);
}

/* Another CPU reads on through the zero page until the writer's flush. */
TEST(ZeroPage, NobodyReadsZeroesOnceTheWriteIsOver)
{
    std::vector<ts_op> ops;
    for (int i = 0; i < 20; i++) {
        ops.push_back(op_touch(0, 0, n, false));
        ops.push_back(op_touch(0, 0, n));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page));
    }
    Outcome out = run(ops, "true", true);
    EXPECT_GE(at(out, "zero_copied"), 20u);
}

/* A mapping that has read only keeps what fork gives its child, and neither may write it in place.
 */
TEST(ZeroPage, IsInheritedAndNeverWritten)
{
    ts_machine_config c = bare_machine(2);
    std::vector<ts_op> child = {op_touch(0, 0, n, false), op_touch(0, 0, n)};
    std::vector<ts_op> parent = {
        op_mmap(0, 64 * page),
        op_touch(0, 0, n, false),
        op_touch(0, n * page, 1), /* has_anon: fork copies the VMA */
        op_spawn(1, TS_OPF_NEW_MM | TS_OPF_COPY_MM),
        op_ns(TS_OP_COMPUTE, ms),
        op_range(TS_OP_MPROTECT, 0, 0, n * page, TS_PROT_READ),
        op_range(TS_OP_MPROTECT, 0, 0, n * page, TS_PROT_READ | TS_PROT_WRITE),
        op_touch(0, 0, n)};
    Outcome out = run_script(c, {parent, child}, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(at(out, "zero_mapped"), n);
    EXPECT_EQ(at(out, "zero_copied"), 2 * n);
}
