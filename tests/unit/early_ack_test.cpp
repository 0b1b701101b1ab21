/* SPDX-License-Identifier: Apache-2.0 */
/* Shootdowns that are acknowledged before the target has flushed (EuroSys 2020). */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint64_t n = 12;

/* A target takes long to enter its handler, and then long to flush, so that its initiator, which
 * has long flushed itself, goes on while the target flushes. */
ts_machine_config bare_pair()
{
    ts_machine_config c = small_machine();
    set(c, "hypervisor.kind", "none");
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "2");
    set(c, "run.vms", "1");
    set(c, "guest.irq_entry", "200000cycles");
    set(c, "guest.invlpg", "5000cycles");
    return c;
}

} // namespace

TEST(EarlyAck, TheInitiatorDoesNotWaitForTheTargetsFlush)
{
    std::vector<ts_op> drops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, n * page), op_touch(0, 0, n),
                                op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page)};
    for (const char *name : {"native_concurrent", "early_ack"}) {
        Outcome out = run_script(bare_pair(), {drops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2, name);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_GE(out.shootdowns.size(), 1u);
        const bool early = std::string(name) == "early_ack";
        EXPECT_EQ(out.shootdowns[0].part_ps[TS_PATH_FLUSH] < TS_US, early) << name;
    }
}

/* The initiator makes its next flush while the target is in the first: what the target flushes is
 * what it was asked at its entry. */
TEST(EarlyAck, TheNextFlushDoesNotChangeWhatTheTargetFlushes)
{
    std::vector<ts_op> drops = {op_mmap(0, n * page), op_mmap(1, n * page), op_touch(0, 0, n),
                                op_touch(1, 0, n), op_ns(TS_OP_COMPUTE, ms)};
    std::vector<ts_op> reads = {op_ns(TS_OP_COMPUTE, ms / 2)};
    for (uint64_t i = 0; i < 6; i++) {
        drops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page));
        drops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 1, i * page, page));
        drops.push_back(op_touch(0, 0, n));
    }
    for (int i = 0; i < 20000; i++)
        reads.push_back(op_touch(0, 0, n, false));
    Outcome out = run_script(bare_pair(), {drops, reads}, 2, "early_ack");
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(out.stats.at("flush.early_ack.early"), 12u);
}

/* A CPU may walk tables that are being freed, whatever its handler touches. */
TEST(EarlyAck, WhereTablesAreFreedTheFlushComesFirst)
{
    constexpr uint64_t table = 512 * page;
    std::vector<ts_op> drops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, table), op_touch(0, 0, 2),
                                op_range(TS_OP_MUNMAP, 0, 0, table)};
    Outcome out = run_script(bare_pair(), {drops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2, "early_ack");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("flush.early_ack.late"), out.stats.at("guest.shootdown_freed_tables"));
    ASSERT_GE(out.shootdowns.size(), 1u);
    EXPECT_TRUE(out.shootdowns[0].freed_tables);
    EXPECT_EQ(out.shootdowns[0].targets, 1u);
    EXPECT_GE(out.stats.at("flush.early_ack.late"), 1u);
    EXPECT_LT(out.stats.at("flush.early_ack.early"), out.stats.at("guest.shootdowns"));
}
