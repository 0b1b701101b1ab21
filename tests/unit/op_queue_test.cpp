// SPDX-License-Identifier: Apache-2.0
// The queue of operations that wait for a thread, in memory and in a file.
#include "workloads/op_queue.h"

#include "sim/rng.h"
#include "tests/unit/strace_testing.hpp"

#include <deque>

using namespace strace_testing;

namespace
{

TEST(OpQueue, KeepsEveryField)
{
    ts_op_queue q{};
    ts_error err{};
    std::vector<ts_op> in;
    const uint64_t values[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX};
    for (int round = 0; round < 3; round++)
        for (uint64_t v : values) {
            ts_op op{};
            op.kind = TS_OP_EXEC;
            op.region = op.target = op.prot = op.flags = static_cast<uint32_t>(v);
            op.offset = op.length = op.length2 = op.stride = op.count = v;
            in.push_back(op);
            ASSERT_EQ(ts_op_queue_push(&q, &op, &err), TS_OK);
        }
    for (const ts_op &op : in) {
        ASSERT_FALSE(ts_op_queue_empty(&q));
        ts_op out;
        ASSERT_EQ(ts_op_queue_pop(&q, &out, &err), TS_OK);
        EXPECT_TRUE(same(op, out));
    }
    EXPECT_TRUE(ts_op_queue_empty(&q));
    ts_op_queue_fini(&q);
}

struct SpilledQueue {
    ts_op_queue q{};
    std::deque<ts_op> truth;
    uint64_t pushed = 0;

    explicit SpilledQueue(ts_op_spill *spill)
    {
        q.spill = spill;
    }
    ~SpilledQueue()
    {
        ts_op_queue_fini(&q);
    }
    SpilledQueue(const SpilledQueue &) = delete;
    SpilledQueue &operator=(const SpilledQueue &) = delete;
    void push(ts_rng *rng)
    {
        ts_op op{};
        ts_error err{};
        op.kind = TS_OP_TOUCH;
        op.region = static_cast<uint32_t>(ts_rng_below(rng, UINT32_MAX));
        op.offset = ts_rng_below(rng, 3) ? ts_rng_next(rng) : 0;
        op.count = ++pushed;
        ASSERT_EQ(ts_op_queue_push(&q, &op, &err), TS_OK) << err.message;
        truth.push_back(op);
    }
    void pop()
    {
        ts_op op{};
        ts_error err{};
        ASSERT_EQ(ts_op_queue_empty(&q), truth.empty());
        if (truth.empty())
            return;
        ASSERT_EQ(ts_op_queue_pop(&q, &op, &err), TS_OK) << err.message;
        ASSERT_TRUE(same(op, truth.front())) << truth.front().count;
        truth.pop_front();
    }
};

// Two queues share the file; each is filled, half emptied, filled again, and emptied to the end.
TEST(OpQueue, KeepsALongTraceInAFile)
{
    ts_op_spill spill{};
    ts_rng rng;
    ts_rng_init(&rng, 7, "test", 0);
    {
        SpilledQueue a(&spill), b(&spill);
        for (const int pops : {10000, 40000, 150000}) {
            for (int i = 0; i < 60000; i++) {
                a.push(&rng);
                b.push(&rng);
                if (HasFatalFailure())
                    return;
            }
            EXPECT_NE(spill.file, nullptr);
            for (const SpilledQueue *own : {&a, &b})
                EXPECT_LE(own->q.cap, 2 * TS_OP_QUEUE_KEEPS) << "memory grows with the trace";
            for (int i = 0; i < pops && !HasFatalFailure(); i++) {
                a.pop();
                b.pop();
            }
        }
        EXPECT_TRUE(ts_op_queue_empty(&a.q) && a.truth.empty());
        EXPECT_TRUE(ts_op_queue_empty(&b.q) && b.truth.empty());
    }
    ts_op_spill_fini(&spill);
}

TEST(OpQueue, AFullDiskIsAnError)
{
    ts_op_spill spill{fopen("/dev/full", "w+"), 0};
    ASSERT_NE(spill.file, nullptr);
    setvbuf(spill.file, nullptr, _IONBF, 0);
    ts_op_queue q{};
    q.spill = &spill;
    ts_op op{};
    op.offset = UINT64_MAX;
    ts_error err{};
    ts_status status = TS_OK;
    for (int i = 0; i < 10000 && status == TS_OK; i++)
        status = ts_op_queue_push(&q, &op, &err);
    EXPECT_EQ(status, TS_ERR_ENVIRONMENT);
    EXPECT_NE(std::string(err.message).find("is the disk full?"), std::string::npos);
    ts_op_queue_fini(&q);
    ts_op_spill_fini(&spill);
}

} // namespace
