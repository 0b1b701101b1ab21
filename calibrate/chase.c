/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, SMALL_PAGE = 4096, HUGE_PAGE = 2 << 20 };

int ts_cal_memory_get(struct ts_cal_memory *m, size_t bytes, enum ts_cal_pages pages)
{
    uintptr_t at;

    memset(m, 0, sizeof(*m));
    bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    m->mapped = bytes + HUGE_PAGE;
    m->mapping = mmap(NULL, m->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->mapping == MAP_FAILED) {
        m->mapping = NULL;
        return errno;
    }
    at = ((uintptr_t)m->mapping + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    m->base = (char *)at;
    m->bytes = bytes;
    /* A kernel without huge pages refuses the advice: what it gives then is seen in smaps. */
    (void)madvise(m->mapping, m->mapped, pages == TS_CAL_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    for (size_t i = 0; i < bytes; i += SMALL_PAGE)
        m->base[i] = 1;
    return 0;
}

void ts_cal_memory_free(struct ts_cal_memory *m)
{
    if (m->mapping)
        munmap(m->mapping, m->mapped);
    memset(m, 0, sizeof(*m));
}

static uint64_t draw(uint64_t *state)
{
    /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static char *place_of(const struct ts_cal_memory *m, const struct ts_cal_chain *c, size_t i)
{
    return m->base + i * c->stride + i * c->line_step % (c->stride / LINE) * LINE;
}

int ts_cal_chain_make(const struct ts_cal_memory *m, const struct ts_cal_chain *c)
{
    uint64_t state = c->seed | 1;
    size_t *order;

    if (c->n < 2 || c->stride < LINE || c->stride % LINE || c->n > m->bytes / c->stride)
        return EINVAL;
    order = malloc(c->n * sizeof(*order));
    if (!order)
        return ENOMEM;
    for (size_t i = 0; i < c->n; i++)
        order[i] = i;
    for (size_t i = c->n - 1; i > 0; i--) {
        size_t j = (size_t)(draw(&state) % (i + 1)), other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (size_t i = 0; i < c->n; i++) {
        char *next = place_of(m, c, order[(i + 1) % c->n]);
        memcpy(place_of(m, c, order[i]), &next, sizeof(next));
    }
    free(order);
    return 0;
}

double ts_cal_chain_follow(const struct ts_cal_memory *m, uint64_t loads)
{
    void *const *at = (void *const *)(const void *)m->base;
    uint64_t start = ts_cal_now();

    for (uint64_t i = 0; i < loads; i += 8) {
        at = *at;
        at = *at;
        at = *at;
        at = *at;
        at = *at;
        at = *at;
        at = *at;
        at = *at;
    }
    __asm__ volatile("" : : "r"(at));
    return (double)(ts_cal_now() - start) / (double)((loads + 7) / 8 * 8);
}
