/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's arena: the calls that strace shows of a thread under glibc 2.36 with M_MMAP_MAX 0 that
 * allocates, writes and frees the same size four times. */
#include <gtest/gtest.h>

#include "workloads/arena.h"

namespace
{

constexpr uint64_t pad = 131072, trim = 131072;

struct Seen {
    uint64_t bytes;
    uint64_t made;    /* mprotect of the first record; of the others there is none */
    uint64_t dropped; /* madvise of each record, from offset 0x21000 */
};

} // namespace

TEST(Arena, MakesTheCallsOfGlibc)
{
    const Seen table[] = {
        {32768, 0, 0},
        {65536, 0, 0},
        {100000, 0, 0},
        {131072, 0, 0},
        {200000, 69632, 69632},
        {262144, 131072, 131072},
        {524288, 393216, 393216},
        {1000000, 868352, 868352},
        {1048576, 917504, 917504},
        {4194304, 4063232, 4063232},
        {33554432, 33423360, 33423360},
    };
    for (const Seen &seen : table) {
        ts_arena a;
        ts_arena_range range;
        ts_arena_init(&a, pad, trim, &range);
        EXPECT_EQ(range.offset, 0u);
        EXPECT_EQ(range.length, 135168u);
        for (int i = 0; i < 4; i++) {
            EXPECT_EQ(ts_arena_malloc(&a, seen.bytes, &range), 0xb70u) << seen.bytes;
            EXPECT_EQ(range.length, i ? 0 : seen.made) << seen.bytes << " in record " << i;
            if (range.length) {
                EXPECT_EQ(range.offset, 0x21000u);
            }
            ts_arena_free(&a, &range);
            EXPECT_EQ(range.length, seen.dropped) << seen.bytes << " in record " << i;
            if (range.length) {
                EXPECT_EQ(range.offset, 0x21000u);
            }
        }
    }
}

TEST(Arena, KeepsTheTopPadAndGivesNothingBackBelowTheThreshold)
{
    ts_arena a;
    ts_arena_range range;
    ts_arena_init(&a, 0, trim, &range);
    EXPECT_EQ(range.length, 32768u); /* HEAP_MIN_SIZE */
    EXPECT_EQ(ts_arena_malloc(&a, 524288, &range), 0xb70u);
    EXPECT_EQ(range.offset, 32768u);
    ts_arena_free(&a, &range);
    /* One page of the top chunk stays, of which a chunk of the least size is needed. */
    EXPECT_EQ(range.offset, 0x1000u);
    EXPECT_EQ(range.length, 0x80000u);
    EXPECT_EQ(a.size, 0x1000u);
    /* What has been accessible once stays so. */
    EXPECT_EQ(ts_arena_malloc(&a, 524288, &range), 0xb70u);
    EXPECT_EQ(range.length, 0u);
    EXPECT_EQ(a.size, 0x81000u);
    ts_arena_init(&a, pad, 525473, &range);
    (void)ts_arena_malloc(&a, 524288, &range);
    EXPECT_EQ(a.size - a.top, 525472u); /* the top chunk after free */
    ts_arena_free(&a, &range);
    EXPECT_EQ(range.length, 0u);
    /* A top chunk that is just as large as what is asked for does not do. */
    ts_arena full;
    ts_arena_init(&full, pad, trim, &range);
    (void)ts_arena_malloc(&full, full.size - full.top - 8, &range);
    EXPECT_EQ(range.length, 4096u);
    a.trim_threshold = 525472;
    ts_arena_free(&a, &range);
    EXPECT_EQ(range.length, 393216u);
}
