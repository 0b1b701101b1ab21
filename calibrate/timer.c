/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/spin.h"

#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    NEAR_NS = 200000, /* before most ticks, and long after the sample */
    FAR_S = 1000,     /* behind every other timer of the CPU */
    WRITES = 2,       /* of the deadline in a sample: for the near timer, and back */
    SAMPLES_LEAST = 20
};

static int set(int fd, time_t s, long ns)
{
    const struct itimerspec at = {.it_value = {s, ns}};

    return timerfd_settime(fd, 0, &at, NULL) ? errno : 0;
}

/* The second timer goes behind all others. If the first is the next one of its CPU, its coming and
 * its going each write the deadline (kernel/time/hrtimer.c hrtimer_reprogram,
 * __remove_hrtimer); if it is another far one, neither does. */
static int pair(int fd, bool near, double *ns)
{
    uint64_t start = ts_cal_now();
    int error = set(fd, near ? 0 : FAR_S, near ? NEAR_NS : 1);

    if (!error)
        error = set(fd, FAR_S, 2);
    *ns = (double)(ts_cal_now() - start);
    return error;
}

int ts_cal_timer_run(int cpu, uint64_t until, struct ts_cal_samples *out)
{
    struct ts_cal_place place;
    size_t first = out->n;
    double with, without;
    int error = ts_cal_place_take(&place, cpu), fd;

    if (error)
        return error;
    fd = timerfd_create(CLOCK_MONOTONIC, 0);
    error = fd < 0 ? errno : set(fd, FAR_S, 2);
    while (!error && out->n < out->capacity &&
           (ts_cal_now() < until || out->n - first < SAMPLES_LEAST)) {
        error = pair(fd, true, &with);
        if (!error)
            error = pair(fd, false, &without);
        if (!error)
            out->values[out->n++] = (with - without) / WRITES;
    }
    if (fd >= 0)
        close(fd);
    ts_cal_place_give(&place);
    return error;
}
