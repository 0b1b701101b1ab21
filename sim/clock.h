/* SPDX-License-Identifier: Apache-2.0 */
/* Exact rational clocks: cycle n of a clock of hz falls on floor(n * 10^12 / hz) ps, computed from
 * the cycle index, so nothing drifts at 3 GHz. */
#ifndef TS_SIM_CLOCK_H
#define TS_SIM_CLOCK_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_CLOCK_HZ_MIN UINT64_C(1000)
#define TS_CLOCK_HZ_MAX UINT64_C(1000000000000)

/* Exact division by a constant without a divide instruction. Private to the clock. */
struct ts_clock_divisor {
    uint64_t magic;
    uint32_t shift1;
    uint32_t shift2;
};

/* num/den is 10^12/hz in lowest terms. Treat as private. */
struct ts_clock {
    uint64_t hz;
    uint64_t num;
    uint64_t den;
    struct ts_clock_divisor by_num;
    struct ts_clock_divisor by_den;
};

/* 1 kHz <= hz <= 1 THz. */
void ts_clock_init(struct ts_clock *clock, uint64_t hz);
/* Time of cycle n. A time beyond 2^64 ps is a bug. */
static inline ts_time ts_clock_cycle_time(const struct ts_clock *clock, uint64_t cycle);
/* Number of the first cycle that falls at or after t. */
static inline uint64_t ts_clock_cycle_at(const struct ts_clock *clock, ts_time t);
/* Number of the last cycle that falls at or before t. */
static inline uint64_t ts_clock_cycle_before(const struct ts_clock *clock, ts_time t);
/* The time n whole cycles after the first edge at or after now. */
static inline ts_time ts_clock_after(const struct ts_clock *clock, ts_time now, uint64_t cycles);

/* Private part: conversions whose products fit in 64 bits (at 3 GHz: times below 71 days) are a
 * few instructions at the call; the others take the 128-bit functions. */
ts_time ts_clock_cycle_time_wide(const struct ts_clock *clock, uint64_t cycle);
uint64_t ts_clock_cycle_at_wide(const struct ts_clock *clock, ts_time t);
uint64_t ts_clock_cycle_before_wide(const struct ts_clock *clock, ts_time t);

/* floor(x / divisor): Granlund and Montgomery, "Division by Invariant Integers using
 * Multiplication", PLDI 1994, figure 4.1. */
static inline uint64_t ts_clock_divide(const struct ts_clock_divisor *d, uint64_t x)
{
    __extension__ typedef unsigned __int128 u128;
    uint64_t high = (uint64_t)((u128)d->magic * x >> 64);

    return (high + ((x - high) >> d->shift1)) >> d->shift2;
}

static inline ts_time ts_clock_cycle_time(const struct ts_clock *clock, uint64_t cycle)
{
    uint64_t product;

    if (__builtin_mul_overflow(cycle, clock->num, &product))
        return ts_clock_cycle_time_wide(clock, cycle);
    return clock->den == 1 ? product : ts_clock_divide(&clock->by_den, product);
}

/* floor(x) >= t for a whole t is x >= t, so the first cycle is ceil(t * den / num). */
static inline uint64_t ts_clock_cycle_at(const struct ts_clock *clock, ts_time t)
{
    uint64_t product;

    if (__builtin_mul_overflow(t, clock->den, &product) ||
        __builtin_add_overflow(product, clock->num - 1, &product))
        return ts_clock_cycle_at_wide(clock, t);
    return ts_clock_divide(&clock->by_num, product);
}

/* floor(x) <= t is x < t + 1, so the last cycle is ceil((t + 1) * den / num) - 1. */
static inline uint64_t ts_clock_cycle_before(const struct ts_clock *clock, ts_time t)
{
    uint64_t product;

    if (__builtin_mul_overflow(t, clock->den, &product) ||
        __builtin_add_overflow(product, clock->den - 1, &product))
        return ts_clock_cycle_before_wide(clock, t);
    return ts_clock_divide(&clock->by_num, product);
}

static inline ts_time ts_clock_after(const struct ts_clock *clock, ts_time now, uint64_t cycles)
{
    return ts_clock_cycle_time(clock, ts_clock_cycle_at(clock, now) + cycles);
}

#ifdef __cplusplus
}
#endif
#endif
