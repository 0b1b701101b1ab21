/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

uint64_t ts_cal_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

double ts_cal_clock_cost(void)
{
    enum { READINGS = 1000 };
    uint64_t start = ts_cal_now(), last = start;

    for (int i = 0; i < READINGS; i++)
        last = ts_cal_now();
    return (double)(last - start) / READINGS;
}

int ts_cal_pin(int cpu)
{
    size_t bytes;
    cpu_set_t *set;
    int error;

    if (cpu < 0)
        return EINVAL;
    set = CPU_ALLOC((size_t)cpu + 1);
    if (!set)
        return ENOMEM;
    bytes = CPU_ALLOC_SIZE((size_t)cpu + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S((size_t)cpu, bytes, set);
    error = pthread_setaffinity_np(pthread_self(), bytes, set);
    CPU_FREE(set);
    return error;
}

#if defined(__x86_64__)
#define ADD "add %1, %0\n"
#elif defined(__aarch64__)
#define ADD "add %0, %0, %1\n"
#endif

double ts_cal_addition(void)
{
#ifdef ADD
    enum { EACH = 10, LOOPS = TS_CAL_ADDITIONS / EACH };
    uint64_t sum = 1, step = 3, start = ts_cal_now();

    /* Registers on both sides: what adds a constant may take no cycle (Golden Cove). */
    for (int i = 0; i < LOOPS; i++)
        __asm__ volatile(ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD : "+r"(sum) : "r"(step));
    return (double)(ts_cal_now() - start) / TS_CAL_ADDITIONS;
#else
    return 0;
#endif
}

static uint64_t counter(void)
{
#if defined(__x86_64__)
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t value;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return 0;
#endif
}

double ts_cal_counter_hz(void)
{
    enum { WINDOW_NS = 20000000 };
    uint64_t first = counter(), start = ts_cal_now(), now = start;

    while (now - start < WINDOW_NS)
        now = ts_cal_now();
    return (double)(counter() - first) * 1e9 / (double)(now - start);
}
