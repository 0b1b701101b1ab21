/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "calibrate/spin.h"

/* turn goes up by one a transfer: the even values are the caller's to raise. */
struct ball {
    _Alignas(128) _Atomic uint64_t turn;
    _Alignas(128) _Atomic int state; /* 0: not there yet; 1: ready; else an error, below zero */
    _Atomic bool stop;
    int cpu;
};

/* Passes the line once the other has; false: the end was called instead. */
static bool pass(struct ball *b, uint64_t from)
{
    uint64_t expected = from;

    while (!atomic_compare_exchange_weak_explicit(&b->turn, &expected, from + 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
        expected = from;
        if (atomic_load_explicit(&b->stop, memory_order_relaxed))
            return false;
    }
    return true;
}

static void *partner(void *arg)
{
    struct ball *b = arg;
    int error = ts_cal_pin(b->cpu);

    atomic_store(&b->state, error ? -error : 1);
    for (uint64_t at = 1; !error && pass(b, at); at += 2)
        continue;
    return NULL;
}

static void play(struct ball *b, uint64_t rounds, struct ts_cal_samples *out)
{
    uint64_t at = 0;

    while (out->n < out->capacity) {
        uint64_t start = ts_cal_now();
        for (uint64_t i = 0; i < rounds; i += 2, at += 2)
            pass(b, at);
        out->values[out->n++] = (double)(ts_cal_now() - start) / (double)((rounds + 1) / 2 * 2);
    }
    /* The partner has the line: it ends by the flag. */
}

int ts_cal_line(int cpu_a, int cpu_b, uint64_t rounds, struct ts_cal_samples *out)
{
    struct ball b = {0};
    struct ts_cal_place place;
    pthread_t thread;
    int error;

    if (cpu_a == cpu_b)
        return EINVAL;
    b.cpu = cpu_b;
    error = ts_cal_place_take(&place, cpu_a);
    if (error)
        return error;
    error = pthread_create(&thread, NULL, partner, &b);
    if (!error) {
        while (atomic_load(&b.state) == 0)
            sched_yield();
        error = atomic_load(&b.state) < 0 ? -atomic_load(&b.state) : 0;
        if (!error)
            play(&b, rounds, out);
        atomic_store(&b.stop, true);
        pthread_join(thread, NULL);
    }
    ts_cal_place_give(&place);
    return error;
}
