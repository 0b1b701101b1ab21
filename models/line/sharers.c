/* SPDX-License-Identifier: Apache-2.0 */
#include "models/line/sharers.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BITMAPS_MIN 64u

struct ts_sharer_chunk {
    struct ts_sharer_chunk *next;
    uint64_t words[];
};

void ts_sharer_pool_init(struct ts_sharer_pool *pool, uint32_t ncores)
{
    memset(pool, 0, sizeof(*pool));
    pool->words = ncores > TS_LINE_SHARERS ? (ncores + 63) / 64 : 0;
}

void ts_sharer_pool_fini(struct ts_sharer_pool *pool)
{
    while (pool->chunks) {
        struct ts_sharer_chunk *chunk = pool->chunks;

        pool->chunks = chunk->next;
        free(chunk);
    }
    free(pool->free);
    memset(pool, 0, sizeof(*pool));
}

/* Doubles the pool. */
static bool grow(struct ts_sharer_pool *pool)
{
    uint32_t add = pool->capacity > CHUNK_BITMAPS_MIN ? pool->capacity : CHUNK_BITMAPS_MIN;
    size_t bytes = sizeof(uint64_t) * pool->words * add;
    struct ts_sharer_chunk *chunk = malloc(sizeof(*chunk) + bytes);
    uint64_t **stack = realloc(pool->free, sizeof(*stack) * ((size_t)pool->capacity + add));

    if (stack)
        pool->free = stack;
    if (!stack || !chunk) {
        free(chunk);
        return false;
    }
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    for (uint32_t i = 0; i < add; i++)
        pool->free[pool->nfree++] = chunk->words + (size_t)i * pool->words;
    pool->capacity += add;
    return true;
}

bool ts_sharer_pool_add_line(struct ts_sharer_pool *pool)
{
    pool->lines++;
    return pool->words == 0 || pool->lines <= pool->capacity || grow(pool);
}

void ts_sharer_pool_remove_line(struct ts_sharer_pool *pool, struct ts_line *line)
{
    TS_ASSERT(pool->lines > 0);
    pool->lines--;
    if (line->many)
        pool->free[pool->nfree++] = line->many;
    line->many = NULL;
    line->nsharers = 0;
}

bool ts_sharers_has(const struct ts_line *line, uint32_t core)
{
    if (line->many)
        return (line->many[core >> 6] >> (core & 63u)) & 1u;
    for (uint32_t i = 0; i < line->nsharers; i++)
        if (line->sharers[i] == core)
            return true;
    return false;
}

static void spill(struct ts_sharer_pool *pool, struct ts_line *line)
{
    TS_ASSERT(pool->nfree > 0);
    line->many = pool->free[--pool->nfree];
    memset(line->many, 0, sizeof(uint64_t) * pool->words);
    for (uint32_t i = 0; i < line->nsharers; i++)
        line->many[line->sharers[i] >> 6] |= UINT64_C(1) << (line->sharers[i] & 63u);
}

void ts_sharers_add(struct ts_sharer_pool *pool, struct ts_line *line, uint32_t core)
{
    uint32_t i;

    if (ts_sharers_has(line, core))
        return;
    if (!line->many && line->nsharers == TS_LINE_SHARERS)
        spill(pool, line);
    if (line->many) {
        line->many[core >> 6] |= UINT64_C(1) << (core & 63u);
    } else {
        for (i = line->nsharers; i > 0 && line->sharers[i - 1] > core; i--)
            line->sharers[i] = line->sharers[i - 1];
        line->sharers[i] = core;
    }
    line->nsharers++;
}

void ts_sharers_remove(struct ts_sharer_pool *pool, struct ts_line *line, uint32_t core)
{
    uint32_t i = 0;

    TS_ASSERT(ts_sharers_has(line, core));
    line->nsharers--;
    if (line->many) {
        line->many[core >> 6] &= ~(UINT64_C(1) << (core & 63u));
        if (line->nsharers == 0) {
            pool->free[pool->nfree++] = line->many;
            line->many = NULL;
        }
        return;
    }
    while (line->sharers[i] != core)
        i++;
    for (; i < line->nsharers; i++)
        line->sharers[i] = line->sharers[i + 1];
}

uint32_t ts_sharers_next(const struct ts_sharer_pool *pool, const struct ts_line *line,
                         uint32_t from)
{
    if (!line->many) {
        for (uint32_t i = 0; i < line->nsharers; i++)
            if (line->sharers[i] >= from)
                return line->sharers[i];
        return UINT32_MAX;
    }
    for (uint32_t w = from >> 6; w < pool->words; w++) {
        uint64_t bits = line->many[w];

        if (w == from >> 6)
            bits &= UINT64_MAX << (from & 63u);
        if (bits)
            return w * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return UINT32_MAX;
}
