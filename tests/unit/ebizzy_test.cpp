/* SPDX-License-Identifier: Apache-2.0 */
/* ebizzy: what one record is, and what it makes of a machine. */
#include <gtest/gtest.h>

#include "tests/support/pull_workload.hpp"
#include "tests/support/script_workload.hpp"
#include "workloads/ebizzy.h"

using namespace ts_test;

namespace
{

ts_ebizzy_params params_of(uint64_t threads, uint64_t records)
{
    ts_ebizzy_params p = workload_defaults<ts_ebizzy_params>("ebizzy");
    p.threads = threads;
    p.records = records;
    return p;
}

/* ebizzy's rand_num, as the program has it. */
struct Rand {
    uint32_t state = 0;
    uint64_t operator()(uint64_t max)
    {
        state = state * 1103515245u + 12345u;
        return state / 65536u % max;
    }
};

} // namespace

TEST(Ebizzy, TheMainThreadWritesTheChunksAndStartsTheOthers)
{
    ts_ebizzy_params p = params_of(3, 1);
    std::vector<ts_op> ops = pull(make_workload("ebizzy", &p).get(), 0);
    ASSERT_EQ(ops.size(), 6u);
    EXPECT_EQ(ops[0].kind, TS_OP_MMAP);
    EXPECT_EQ(ops[0].length, 10u * 524288);
    EXPECT_EQ(ops[1].kind, TS_OP_TOUCH);
    EXPECT_EQ(ops[1].count, 1280u);
    EXPECT_EQ(ops[1].flags, TS_OPF_WRITE);
    for (uint32_t i = 2; i < 5; i++) {
        EXPECT_EQ(ops[i].kind, TS_OP_SPAWN);
        EXPECT_EQ(ops[i].target, i - 1);
    }
    EXPECT_EQ(ops[5].kind, TS_OP_EXIT);
}

TEST(Ebizzy, ARecordCopiesAChunkSearchesItAndGivesBackAllButTheTopPad)
{
    ts_ebizzy_params p = params_of(2, 2);
    std::vector<ts_op> ops = pull(make_workload("ebizzy", &p).get(), 2);
    Rand rand;
    uint64_t chunk = 0, key = 0, steps = 0, read = 0, written = 0, ns = 0, records = 0, at = 0;
    size_t i = 0;
    for (; i < ops.size() && ops[i].kind != TS_OP_EXIT; i++) {
        const ts_op &op = ops[i];
        switch (op.kind) {
        case TS_OP_MMAP:
            EXPECT_EQ(op.length, 64u << 20);
            EXPECT_EQ(op.prot, 0u);
            EXPECT_EQ(op.region, 2u);
            break;
        case TS_OP_MPROTECT:
            EXPECT_EQ(records, 0u);
            EXPECT_EQ(op.prot, TS_PROT_READ | TS_PROT_WRITE);
            break;
        case TS_OP_TOUCH:
            if (op.region == 0) {
                if (read == 0)
                    chunk = rand(10);
                EXPECT_EQ(op.offset, chunk * 524288 + read * 4096);
                read += op.count;
            } else if (op.flags & TS_OPF_WRITE) {
                EXPECT_EQ(op.offset, written * 4096);
                written += op.count;
            } else {
                if (steps == 0)
                    key = rand(65536);
                at = (op.offset - 0xb70) / 8;
                steps++;
            }
            break;
        case TS_OP_COMPUTE:
            ns += op.length;
            break;
        case TS_OP_MADVISE_DONTNEED:
            EXPECT_EQ(op.flags, TS_OPF_RECORD);
            EXPECT_EQ(op.offset, 0x21000u);
            EXPECT_EQ(op.length, 96u * 4096);
            EXPECT_EQ(read, 128u);
            EXPECT_EQ(written, 129u); /* the copy is not aligned */
            EXPECT_EQ(at, key);       /* the last look has found it */
            EXPECT_LE(steps, 17u);
            EXPECT_EQ(ns, 524288u / 8 + steps * 10); /* 8 GB/s: 8 bytes a ns */
            records++;
            read = written = steps = ns = 0;
            break;
        default:
            FAIL() << op.kind;
        }
    }
    EXPECT_EQ(records, 2u);
    EXPECT_EQ(i, ops.size() - 1);
}

TEST(Ebizzy, PagesThatFaultAreCopiedOneByOne)
{
    ts_ebizzy_params p = params_of(1, 2);
    std::vector<ts_op> ops = pull(make_workload("ebizzy", &p).get(), 1);
    uint64_t blocks = 0, pages = 0;
    for (const ts_op &op : ops) {
        if (op.kind != TS_OP_TOUCH || !(op.flags & TS_OPF_WRITE))
            continue;
        EXPECT_TRUE(op.count == 33 || op.count == 1) << op.count;
        blocks += op.count == 33;
        pages += op.count == 1;
    }
    EXPECT_EQ(blocks, 2u);
    EXPECT_EQ(pages, 192u);
}

TEST(Ebizzy, ARecordThatGivesNothingBackEndsWithItsSearch)
{
    ts_ebizzy_params p = params_of(1, 3);
    p.chunk_size = 65536;
    std::vector<ts_op> ops = pull(make_workload("ebizzy", &p).get(), 1);
    uint64_t records = 0;
    for (const ts_op &op : ops) {
        EXPECT_NE(op.kind, TS_OP_MADVISE_DONTNEED);
        if (op.flags & TS_OPF_RECORD) {
            EXPECT_EQ(op.kind, TS_OP_COMPUTE);
            records++;
        }
    }
    EXPECT_EQ(records, 3u);
}

TEST(Ebizzy, SeedsDrawStartsAndNothingElse)
{
    ts_ebizzy_params p = params_of(2, 2);
    EXPECT_NE(pull(make_workload("ebizzy", &p).get(), 1)[0].kind, TS_OP_COMPUTE);
    p.stagger = TS_MS;
    std::vector<std::vector<ts_op>> all;
    for (uint64_t seed : {1, 2}) {
        for (uint32_t thread : {1u, 2u})
            all.push_back(pull(make_workload("ebizzy", &p, seed).get(), thread));
    }
    all.push_back(pull(make_workload("ebizzy", &p, 1, 1).get(), 1));
    for (size_t i = 0; i < all.size(); i++) {
        EXPECT_EQ(all[i][0].kind, TS_OP_COMPUTE);
        EXPECT_LE(all[i][0].length, 1000000u);
        for (size_t k = 0; k < i; k++)
            EXPECT_NE(all[i][0].length, all[k][0].length) << i << " " << k;
        ASSERT_EQ(all[i].size(), all[0].size());
        for (size_t n = 1; n < all[i].size(); n++)
            EXPECT_EQ(all[i][n].offset, all[0][n].offset);
    }
}

TEST(Ebizzy, RefusesHalfAKey)
{
    ts_ebizzy_params p = params_of(1, 1);
    p.chunk_size = 4100;
    EXPECT_THROW(make_workload("ebizzy", &p), std::runtime_error);
}

/* Threads x records: 96 faults and a flush of the whole address space each. The first record of a
 * thread has 33 faults more, of what the heap keeps; the main thread 1280 of the chunks. */
TEST(Ebizzy, FaultsCallsAndFlushesAreThoseOfTheFormula)
{
    const uint64_t threads = 4, records = 5;
    Outcome out = run_kind(bare_machine(5), ts_flush_find("native_sequential"), "ebizzy",
                           {{"threads", "4"}, {"records", "5"}}, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.records"), threads * records);
    EXPECT_EQ(out.stats.at("guest.madvises"), threads * records);
    EXPECT_EQ(out.stats.at("guest.mprotects"), threads * 2);
    EXPECT_EQ(out.stats.at("guest.faults"), 1280 + threads * (33 + 96 * records));
    /* What is left goes with the address space. */
    EXPECT_EQ(out.stats.at("guest.pages_freed"), 1280 + threads * (33 + 96 * records));
    uint64_t whole = 0;
    for (const ts_shootdown_record &r : out.shootdowns)
        whole += r.end == UINT64_MAX || r.end - r.start == 96 * 4096;
    /* Two at the same time: the second to end flushes everything (mm_tlb_flush_nested). So does the
     * end of the address space, if another CPU has it still. The last to end find nobody else. */
    EXPECT_LE(whole, threads * records + 1);
    EXPECT_GE(whole, threads * records - 4);
    EXPECT_EQ(out.stats.at("guest.flush_partial"), 0u);
}
