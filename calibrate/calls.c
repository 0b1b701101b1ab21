/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/spin.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    TABLE_SPAN = 2 << 20,
    SYSCALLS = 256,
    ROUNDS_LEAST = 3,
    WARM_UP = 3,              /* rounds that are not counted */
    WAIT_BEFORE_NS = 5000000, /* some slices of a scheduler */
    WAIT_BEHIND_NS = 3000,
    /* Reserved without access, so that the mappings within have neighbours of another kind, and
     * none is merged: pages from the second one on share one page table with the first, which is in
     * use; TABLE_SPAN below the middle and above are one table's and more. */
    ARENA = 8 * TABLE_SPAN
};

struct arena {
    char *mapping, *base; /* base: a multiple of TABLE_SPAN */
    char *pages;          /* where the pages of a bench are */
    char *spans;          /* room of 4 MiB, in which the second half has a table of its own */
    double clock_cost;
};

static int rw_at(char *at, size_t bytes)
{
    void *p =
        mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static void write_pages(char *at, size_t pages)
{
    for (size_t i = 0; i < pages; i++)
        *(volatile char *)(at + i * PAGE) = 1;
}

static int arena_get(struct arena *a)
{
    int error;

    a->mapping = mmap(NULL, ARENA + TABLE_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a->mapping == MAP_FAILED)
        return errno;
    a->base = (char *)(((uintptr_t)a->mapping + TABLE_SPAN - 1) / TABLE_SPAN * TABLE_SPAN);
    a->pages = a->base + 2 * PAGE;
    a->spans = a->base + 2 * TABLE_SPAN;
    /* The table of a->pages stays for this page's sake; the one behind it is left without access.
     */
    error = rw_at(a->base, PAGE);
    if (error) {
        munmap(a->mapping, ARENA + TABLE_SPAN);
        return error;
    }
    write_pages(a->base, 1);
    a->clock_cost = ts_cal_clock_cost();
    return 0;
}

static double since(const struct arena *a, uint64_t start)
{
    double ns = (double)(ts_cal_now() - start) - a->clock_cost;
    return ns > 0 ? ns : 0;
}

/* --- one round each: *ns is the sample --- */

static int round_syscall(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start = ts_cal_now();

    (void)pages;
    for (int i = 0; i < SYSCALLS; i++)
        (void)syscall(SYS_getppid);
    *ns = since(a, start) / SYSCALLS;
    return 0;
}

static int round_mmap(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start;
    int error;

    munmap(a->pages, pages * PAGE);
    start = ts_cal_now();
    error = rw_at(a->pages, pages * PAGE);
    *ns = since(a, start);
    return error;
}

static int round_mprotect(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start;
    int failed;

    write_pages(a->pages, pages);
    start = ts_cal_now();
    failed = mprotect(a->pages, pages * PAGE, PROT_READ) ||
             mprotect(a->pages, pages * PAGE, PROT_READ | PROT_WRITE);
    *ns = since(a, start);
    return failed ? errno : 0;
}

static int round_dontneed(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start;
    int failed;

    write_pages(a->pages, pages);
    start = ts_cal_now();
    failed = madvise(a->pages, pages * PAGE, MADV_DONTNEED);
    *ns = since(a, start);
    return failed ? errno : 0;
}

static int round_fault(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start;

    if (madvise(a->pages, pages * PAGE, MADV_DONTNEED))
        return errno;
    start = ts_cal_now();
    write_pages(a->pages, pages);
    *ns = since(a, start);
    return 0;
}

static int round_munmap(const struct arena *a, size_t pages, double *ns)
{
    int error = rw_at(a->pages, pages * PAGE), failed;
    uint64_t start;

    if (error)
        return error;
    write_pages(a->pages, pages);
    start = ts_cal_now();
    failed = munmap(a->pages, pages * PAGE);
    *ns = since(a, start);
    return failed ? errno : 0;
}

static int fault_and_unmap(const struct arena *a, double *fault, double *unmap)
{
    int error = rw_at(a->spans, 2 * TABLE_SPAN), failed;
    uint64_t start;

    if (error)
        return error;
    start = ts_cal_now();
    write_pages(a->spans + TABLE_SPAN, 1);
    *fault = since(a, start);
    start = ts_cal_now();
    failed = munmap(a->spans, 2 * TABLE_SPAN);
    *unmap = since(a, start);
    return failed ? errno : 0;
}

static int round_fault_table(const struct arena *a, size_t pages, double *ns)
{
    double other;

    (void)pages;
    return fault_and_unmap(a, ns, &other);
}

static int round_munmap_table(const struct arena *a, size_t pages, double *ns)
{
    double other;

    (void)pages;
    return fault_and_unmap(a, &other, ns);
}

static int round_membarrier(const struct arena *a, size_t pages, double *ns)
{
    uint64_t start = ts_cal_now();
    long failed = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);

    (void)pages;
    *ns = since(a, start);
    return failed ? errno : 0;
}

static int round_nanosleep(const struct arena *a, size_t pages, double *ns)
{
    const struct timespec nap = {0, TS_CAL_NAP_NS};
    uint64_t start = ts_cal_now();

    (void)pages;
    (void)nanosleep(&nap, NULL);
    *ns = since(a, start);
    return 0;
}

typedef int round_fn(const struct arena *a, size_t pages, double *ns);

static round_fn *const rounds[TS_CAL_CALLS] = {
    [TS_CAL_SYSCALL] = round_syscall,
    [TS_CAL_MMAP] = round_mmap,
    [TS_CAL_MPROTECT] = round_mprotect,
    [TS_CAL_DONTNEED] = round_dontneed,
    [TS_CAL_FAULT] = round_fault,
    [TS_CAL_MUNMAP] = round_munmap,
    [TS_CAL_FAULT_TABLE] = round_fault_table,
    [TS_CAL_MUNMAP_TABLE] = round_munmap_table,
    [TS_CAL_MEMBARRIER] = round_membarrier,
    [TS_CAL_NANOSLEEP] = round_nanosleep,
};

/* What is there before the first round. */
static int prepare(const struct arena *a, const struct ts_cal_bench *b)
{
    if (b->call == TS_CAL_MEMBARRIER &&
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0))
        return errno;
    if (b->call == TS_CAL_MPROTECT || b->call == TS_CAL_DONTNEED || b->call == TS_CAL_FAULT ||
        b->call == TS_CAL_MMAP) {
        int error = rw_at(a->pages, b->pages * PAGE);
        if (error)
            return error;
        write_pages(a->pages, b->pages);
    }
    return 0;
}

/* One round, which counts only if every spinner runs before and after it: where another program has
 * taken a CPU, there is nobody to be told. */
static int one_round(const struct arena *a, const struct ts_cal_bench *b, struct ts_cal_spinners *s,
                     bool *counts, double *ns)
{
    uint64_t now = ts_cal_now();
    int error;

    *counts = ts_cal_spinners_run(s, now, now + WAIT_BEFORE_NS);
    error = rounds[b->call](a, b->pages, ns);
    now = ts_cal_now();
    *counts = *counts && ts_cal_spinners_run(s, now, now + WAIT_BEHIND_NS);
    return error;
}

static int measure(const struct arena *a, const struct ts_cal_bench *b, struct ts_cal_spinners *s,
                   uint64_t until, struct ts_cal_samples *out)
{
    size_t first = out->n, skipped = 0;
    int error = prepare(a, b);
    bool counts;
    double ns = 0;

    for (int i = 0; i < WARM_UP && !error; i++, out->rounds++)
        error = one_round(a, b, s, &counts, &ns);
    while (!error && out->n < out->capacity &&
           (ts_cal_now() < until || out->n + skipped - first < ROUNDS_LEAST)) {
        error = one_round(a, b, s, &counts, &ns);
        out->rounds++;
        if (!error && counts)
            out->values[out->n++] = ns;
        else
            skipped++;
    }
    return error || out->n > first ? error : EBUSY;
}

int ts_cal_bench_run(const struct ts_cal_bench *b, uint64_t until, struct ts_cal_samples *out)
{
    struct ts_cal_spinners *spinners = NULL;
    struct ts_cal_place place;
    struct arena a;
    int error, huge_off;

    if (b->ncpus == 0 || b->pages == 0 || b->pages > TS_CAL_PAGES_MAX ||
        (unsigned)b->call >= TS_CAL_CALLS)
        return EINVAL;
    error = ts_cal_place_take(&place, b->cpus[0]);
    if (error)
        return error;
    huge_off = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    error = arena_get(&a);
    if (!error) {
        error = ts_cal_spinners_start(&spinners, b->cpus + 1, b->ncpus - 1);
        if (!error)
            error = measure(&a, b, spinners, until, out);
        ts_cal_spinners_end(spinners);
        munmap(a.mapping, ARENA + TABLE_SPAN);
    }
    if (huge_off == 0)
        (void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    ts_cal_place_give(&place);
    return error;
}
