/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/arena.h"

/* MALLOC_ALIGNMENT, SIZE_SZ, MINSIZE, FASTBIN_CONSOLIDATION_THRESHOLD, HEAP_MIN_SIZE on x86-64 and
 * arm64; what comes before the top chunk: heap_info, malloc_state and the thread's tcache, as the
 * first address that malloc returns shows. */
enum {
    PAGE = 4096,
    ALIGNMENT = 16,
    CHUNK_HEAD = 8,
    CHUNK_MIN = 32,
    CONSOLIDATION = 65536,
    HEAP_MIN = 32768,
    BEFORE_TOP = 0xb60
};

static uint64_t up(uint64_t x, uint64_t unit)
{
    return (x + unit - 1) / unit * unit;
}

static struct ts_arena_range grow(struct ts_arena *a, uint64_t bytes)
{
    struct ts_arena_range made = {0};
    a->size += up(bytes, PAGE);
    TS_ASSERT(a->size <= TS_ARENA_HEAP_MAX);
    if (a->size > a->accessible) {
        made = (struct ts_arena_range){a->accessible, a->size - a->accessible};
        a->accessible = a->size;
    }
    return made;
}

void ts_arena_init(struct ts_arena *a, uint64_t top_pad, uint64_t trim_threshold,
                   struct ts_arena_range *made)
{
    uint64_t first = BEFORE_TOP + top_pad;
    *a = (struct ts_arena){.top = BEFORE_TOP, .top_pad = top_pad, .trim_threshold = trim_threshold};
    *made = grow(a, first < HEAP_MIN ? HEAP_MIN : first);
}

/* _int_malloc takes the top chunk only if another one of the least size remains. */
uint64_t ts_arena_malloc(struct ts_arena *a, uint64_t bytes, struct ts_arena_range *made)
{
    uint64_t need = up(bytes + CHUNK_HEAD, ALIGNMENT) + CHUNK_MIN;
    uint64_t has = a->size - a->top;
    *made = (struct ts_arena_range){0};
    if (has < need)
        *made = grow(a, need - has);
    return a->top + 2 * CHUNK_HEAD;
}

void ts_arena_free(struct ts_arena *a, struct ts_arena_range *dropped)
{
    uint64_t top_size = a->size - a->top, spare;
    *dropped = (struct ts_arena_range){0};
    if (top_size < CONSOLIDATION || top_size < a->trim_threshold ||
        top_size < CHUNK_MIN + 1 + a->top_pad)
        return;
    spare = (top_size - CHUNK_MIN - 1 - a->top_pad) / PAGE * PAGE;
    a->size -= spare;
    *dropped = (struct ts_arena_range){a->size, spare};
}
