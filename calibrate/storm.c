/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SLEEP_NS = 1000 };

struct worker {
    const struct ts_cal_storm *storm;
    pthread_t thread;
    unsigned seed;
    int error;
};

static void *storm_thread(void *arg)
{
    struct worker *w = arg;
    const struct ts_cal_storm *s = w->storm;
    size_t bytes = s->pages * PAGE;

    for (size_t i = 0; i < s->rounds; i++) {
        struct timespec nap = {0, 0};
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            w->error = errno;
            return NULL;
        }
        for (size_t k = 0; k < s->touch_pages; k++)
            *(volatile char *)(p + (size_t)rand_r(&w->seed) % s->pages * PAGE) = 1;
        munmap(p, bytes);
        nap.tv_nsec = rand_r(&w->seed) % SLEEP_NS;
        nanosleep(&nap, NULL);
    }
    return NULL;
}

/* In the child: 0, or the number of an error. */
static int run_threads(const struct ts_cal_storm *s)
{
    struct worker *workers = calloc(s->threads, sizeof(*workers));
    size_t started = 0;
    int error = workers ? 0 : ENOMEM;

    for (; started < s->threads && !error; started += !error) {
        struct worker *w = &workers[started];
        w->storm = s;
        w->seed = (unsigned)started + 1;
        error = pthread_create(&w->thread, NULL, storm_thread, w);
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        if (!error)
            error = workers[i].error;
    }
    free(workers);
    return error;
}

static double ns_of(struct timeval t)
{
    return (double)t.tv_sec * 1e9 + (double)t.tv_usec * 1e3;
}

/* Exit code of the child. */
static int storm_process(const struct ts_cal_storm *s, struct ts_cal_storm_result *result)
{
    struct rusage before, after;
    uint64_t start;
    int error;

    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    getrusage(RUSAGE_SELF, &before);
    start = ts_cal_now();
    error = run_threads(s);
    result->completion_ns = (double)(ts_cal_now() - start);
    getrusage(RUSAGE_SELF, &after);
    result->user_ns = ns_of(after.ru_utime) - ns_of(before.ru_utime);
    result->system_ns = ns_of(after.ru_stime) - ns_of(before.ru_stime);
    return error;
}

static int wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

int ts_cal_storm_run(const struct ts_cal_storm *s, struct ts_cal_storm_result *result)
{
    struct ts_cal_storm_result *shared;
    pid_t child;
    int error;

    if (s->threads == 0 || s->pages == 0)
        return EINVAL;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    child = fork();
    if (child == 0)
        _exit(storm_process(s, shared));
    error = child < 0 ? errno : wait_for(child);
    *result = *shared;
    munmap(shared, sizeof(*shared));
    return error;
}
