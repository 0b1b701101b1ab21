/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clock.h"

__extension__ typedef unsigned __int128 ts_u128;

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

static void divisor_init(struct ts_clock_divisor *d, uint64_t n)
{
    uint32_t log2_up = n > 1 ? 64u - (uint32_t)__builtin_clzll(n - 1) : 0;
    ts_u128 excess = ((ts_u128)1 << log2_up) - n;

    d->magic = (uint64_t)((excess << 64) / n + 1);
    d->shift1 = log2_up > 0 ? 1 : 0;
    d->shift2 = log2_up > 0 ? log2_up - 1 : 0;
}

void ts_clock_init(struct ts_clock *clock, uint64_t hz)
{
    uint64_t common;

    TS_ASSERT(hz >= TS_CLOCK_HZ_MIN && hz <= TS_CLOCK_HZ_MAX);
    common = greatest_common_divisor(TS_S, hz);
    clock->hz = hz;
    clock->num = TS_S / common;
    clock->den = hz / common;
    divisor_init(&clock->by_num, clock->num);
    divisor_init(&clock->by_den, clock->den);
}

static uint64_t narrow(ts_u128 x)
{
    TS_ASSERT(x <= UINT64_MAX);
    return (uint64_t)x;
}

ts_time ts_clock_cycle_time_wide(const struct ts_clock *clock, uint64_t cycle)
{
    return narrow((ts_u128)cycle * clock->num / clock->den);
}

uint64_t ts_clock_cycle_at_wide(const struct ts_clock *clock, ts_time t)
{
    return narrow(((ts_u128)t * clock->den + (clock->num - 1)) / clock->num);
}

uint64_t ts_clock_cycle_before_wide(const struct ts_clock *clock, ts_time t)
{
    return narrow(((ts_u128)t * clock->den + (clock->den - 1)) / clock->num);
}
