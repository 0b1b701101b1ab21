/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fiber.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <vector>

namespace
{

struct Body {
    ts_fiber *fiber = nullptr;
    std::vector<int> *log = nullptr;
    int id = 0;
    int rounds = 0;
};

ts_fiber *create(ts_fiber_fn *fn, void *arg, size_t bytes = 65536)
{
    ts_fiber *fiber = nullptr;
    ts_error err;

    if (ts_fiber_create(&fiber, bytes, fn, arg, &err) != TS_OK)
        ADD_FAILURE() << err.message;
    return fiber;
}

void write_log(void *arg)
{
    auto *b = static_cast<Body *>(arg);

    for (int i = 0; i < b->rounds; i++) {
        b->log->push_back(b->id * 100 + i);
        ts_fiber_suspend(b->fiber);
    }
    b->log->push_back(b->id * 100 + 99);
}

TEST(Fiber, NothingRunsBeforeTheFirstResume)
{
    std::vector<int> log;
    Body b;

    b.log = &log;
    b.rounds = 1;
    b.fiber = create(write_log, &b);
    EXPECT_TRUE(log.empty());
    EXPECT_FALSE(ts_fiber_done(b.fiber));
    ts_fiber_resume(b.fiber);
    EXPECT_EQ(log, (std::vector<int>{0}));
    EXPECT_FALSE(ts_fiber_done(b.fiber));
    ts_fiber_resume(b.fiber);
    EXPECT_EQ(log, (std::vector<int>{0, 99}));
    EXPECT_TRUE(ts_fiber_done(b.fiber));
    ts_fiber_destroy(b.fiber);
}

TEST(Fiber, ManyFibersInterleave)
{
    constexpr int count = 50, rounds = 20;
    std::vector<int> log, expected;
    std::vector<Body> bodies(count);

    for (int i = 0; i < count; i++) {
        Body &b = bodies[static_cast<size_t>(i)];

        b.log = &log;
        b.id = i;
        b.rounds = rounds;
        b.fiber = create(write_log, &b, 16384);
    }
    for (int r = 0; r <= rounds; r++) {
        for (Body &b : bodies) {
            ts_fiber_resume(b.fiber);
            expected.push_back(b.id * 100 + (r < rounds ? r : 99));
        }
    }
    EXPECT_EQ(log, expected);
    for (Body &b : bodies) {
        EXPECT_TRUE(ts_fiber_done(b.fiber));
        ts_fiber_destroy(b.fiber);
    }
}

/* Locals, also those that live in registers, are as they were, however deep the call. */
struct Deep {
    ts_fiber *fiber;
    uint64_t result;
};

uint64_t descend(Deep *d, int depth)
{
    char frame[512];

    memset(frame, depth, sizeof(frame));
    ts_fiber_suspend(d->fiber);
    uint64_t below = depth > 0 ? descend(d, depth - 1) : 0;
    ts_fiber_suspend(d->fiber);
    for (char c : frame)
        EXPECT_EQ(c, static_cast<char>(depth));
    return below + static_cast<uint64_t>(depth);
}

void descend_body(void *arg)
{
    auto *d = static_cast<Deep *>(arg);

    d->result = descend(d, 20);
}

TEST(Fiber, TheStackIsKeptAcrossSuspends)
{
    Deep d[3] = {};
    int resumes = 0;

    for (Deep &x : d)
        x.fiber = create(descend_body, &x);
    while (!ts_fiber_done(d[2].fiber)) {
        for (Deep &x : d)
            ts_fiber_resume(x.fiber);
        resumes++;
    }
    EXPECT_EQ(resumes, 2 * 21 + 1);
    for (Deep &x : d) {
        EXPECT_EQ(x.result, 20u * 21u / 2u);
        ts_fiber_destroy(x.fiber);
    }
}

TEST(Fiber, AnyStateButRunningMayBeDestroyed)
{
    std::vector<int> log;
    Body never, suspended;

    never.log = suspended.log = &log;
    suspended.rounds = 5;
    never.fiber = create(write_log, &never);
    suspended.fiber = create(write_log, &suspended);
    ts_fiber_resume(suspended.fiber);
    ts_fiber_destroy(never.fiber);
    ts_fiber_destroy(suspended.fiber);
    ts_fiber_destroy(nullptr);
    EXPECT_EQ(log, (std::vector<int>{0}));
}

/* Stacks of dropped fibers are mapped again; a sanitizer must not see the old frames. */
TEST(Fiber, StacksAreReusedCleanly)
{
    for (int i = 0; i < 300; i++) {
        Deep d = {};

        d.fiber = create(descend_body, &d);
        for (int r = 0; r < 15; r++)
            ts_fiber_resume(d.fiber);
        ts_fiber_destroy(d.fiber);
    }
}

/* Of several sizes at once, given back in another order than they were taken, more than are kept.
 */
TEST(Fiber, StacksOfAllSizesAreReusedCleanly)
{
    const size_t sizes[] = {16384, 65536, 16384, 4096 * 9};

    for (int round = 0; round < 3; round++) {
        std::vector<Deep> all(200);
        ts_error err{};

        for (size_t i = 0; i < all.size(); i++) {
            ASSERT_EQ(ts_fiber_create(&all[i].fiber, sizes[i % 4], descend_body, &all[i], &err),
                      TS_OK);
            ts_fiber_resume(all[i].fiber);
        }
        for (size_t i = 0; i < all.size(); i++)
            ts_fiber_destroy(all[(i * 7 + 3) % all.size()].fiber);
    }
}

struct Sizes {
    ts_fiber *fiber;
    size_t bytes;
    unsigned sum;
};

void use_stack(void *arg)
{
    auto *s = static_cast<Sizes *>(arg);
    auto *p = static_cast<volatile unsigned char *>(__builtin_alloca(s->bytes));

    for (size_t i = 0; i < s->bytes; i += 512)
        p[i] = 1;
    for (size_t i = 0; i < s->bytes; i += 512)
        s->sum += p[i];
}

TEST(Fiber, TheWholeStackIsUsable)
{
    Sizes s = {nullptr, 1u << 20, 0};

    s.fiber = create(use_stack, &s, (1u << 20) + 16384);
    ts_fiber_resume(s.fiber);
    EXPECT_EQ(s.sum, (1u << 20) / 512u);
    ts_fiber_destroy(s.fiber);
}

#if !defined(TS_FIBER_ASAN)
TEST(FiberDeath, TheGuardPageCatchesAnOverflow)
{
    Sizes s = {nullptr, 65536, 0};

    ts_fiber_destroy(create(use_stack, &s, 32768)); /* so the next has its stack */
    s.fiber = create(use_stack, &s, 32768);
    EXPECT_EXIT(ts_fiber_resume(s.fiber), testing::KilledBySignal(SIGSEGV), "");
    ts_fiber_destroy(s.fiber);
}
#endif

TEST(FiberDeath, MisuseIsABug)
{
    std::vector<int> log;
    Body b;

    b.log = &log;
    b.fiber = create(write_log, &b);
    EXPECT_DEATH(ts_fiber_suspend(b.fiber), "broken invariant");
    ts_fiber_resume(b.fiber);
    ASSERT_TRUE(ts_fiber_done(b.fiber));
    EXPECT_DEATH(ts_fiber_resume(b.fiber), "broken invariant");
    ts_fiber_destroy(b.fiber);
}

TEST(Fiber, ImpossibleStacksAreErrors)
{
    ts_fiber *fiber = nullptr;
    ts_error err;

    EXPECT_EQ(ts_fiber_create(&fiber, 0, write_log, nullptr, &err), TS_ERR_USER);
    EXPECT_EQ(ts_fiber_create(&fiber, SIZE_MAX, write_log, nullptr, &err), TS_ERR_USER);
    EXPECT_EQ(ts_fiber_create(&fiber, SIZE_MAX / 4, write_log, nullptr, &err), TS_ERR_ENVIRONMENT);
    EXPECT_EQ(fiber, nullptr);
}

} // namespace
