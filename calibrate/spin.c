/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/spin.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The largest set that sched_getaffinity is asked with; a kernel has a few thousand CPUs at most.
 */
enum { CPUS_MAX = 1 << 17 };

int ts_cal_place_take(struct ts_cal_place *place, int cpu)
{
    int error = EINVAL;

    place->old = NULL;
    for (size_t cpus = CPU_SETSIZE; cpus <= CPUS_MAX && error == EINVAL; cpus *= 2) {
        CPU_FREE(place->old);
        place->old = CPU_ALLOC(cpus);
        if (!place->old)
            return ENOMEM;
        place->bytes = CPU_ALLOC_SIZE(cpus);
        error = pthread_getaffinity_np(pthread_self(), place->bytes, place->old);
    }
    if (!error)
        error = ts_cal_pin(cpu);
    if (error) {
        CPU_FREE(place->old);
        place->old = NULL;
    }
    return error;
}

void ts_cal_place_give(struct ts_cal_place *place)
{
    (void)pthread_setaffinity_np(pthread_self(), place->bytes, place->old);
    CPU_FREE(place->old);
    place->old = NULL;
}

struct spinner {
    _Alignas(128) _Atomic uint64_t seen; /* the clock, as the thread last read it */
    struct ts_cal_spinners *all;
    pthread_t thread;
    int cpu;
};

struct ts_cal_spinners {
    size_t n;
    _Atomic size_t ready;
    _Atomic int error;
    _Atomic bool stop;
    struct spinner each[];
};

static void *spin(void *arg)
{
    struct spinner *s = arg;
    struct ts_cal_spinners *all = s->all;
    int error = ts_cal_pin(s->cpu);

    if (error)
        atomic_store(&all->error, error);
    atomic_fetch_add(&all->ready, 1);
    while (!error && !atomic_load_explicit(&all->stop, memory_order_relaxed))
        atomic_store_explicit(&s->seen, ts_cal_now(), memory_order_relaxed);
    return NULL;
}

int ts_cal_spinners_start(struct ts_cal_spinners **out, const int *cpus, size_t n)
{
    size_t bytes = sizeof(struct ts_cal_spinners) + n * sizeof(struct spinner);
    struct ts_cal_spinners *s = aligned_alloc(_Alignof(struct spinner), bytes);
    int error = 0;

    *out = NULL;
    if (!s)
        return ENOMEM;
    memset(s, 0, bytes);
    for (size_t i = 0; i < n && !error; i++) {
        s->each[i].all = s;
        s->each[i].cpu = cpus[i];
        error = pthread_create(&s->each[i].thread, NULL, spin, &s->each[i]);
        s->n += !error;
    }
    while (!error && atomic_load(&s->ready) < s->n)
        sched_yield();
    if (!error)
        error = atomic_load(&s->error);
    if (error)
        ts_cal_spinners_end(s);
    else
        *out = s;
    return error;
}

void ts_cal_spinners_end(struct ts_cal_spinners *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    for (size_t i = 0; i < s->n; i++)
        pthread_join(s->each[i].thread, NULL);
    free(s);
}

bool ts_cal_spinners_run(struct ts_cal_spinners *s, uint64_t since, uint64_t until)
{
    for (size_t i = 0; i < s->n; i++)
        while (atomic_load_explicit(&s->each[i].seen, memory_order_relaxed) < since)
            if (ts_cal_now() > until)
                return false;
    return true;
}
