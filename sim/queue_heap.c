/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/queue.h"

#include <stdlib.h>
#include <string.h>

#define HEAP_ARITY 4u

static inline bool entry_before(const struct ts_heap_entry *a, const struct ts_heap_entry *b)
{
    return ((ts_u128)a->when << 64 | a->order) < ((ts_u128)b->when << 64 | b->order);
}

static inline void heap_place(struct ts_heap *heap, uint32_t i, const struct ts_heap_entry *entry)
{
    heap->entries[i] = *entry;
    entry->event->index = i;
}

static void heap_sift_up(struct ts_heap *heap, uint32_t i, const struct ts_heap_entry *entry)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / HEAP_ARITY;

        if (!entry_before(entry, &heap->entries[parent]))
            break;
        heap_place(heap, i, &heap->entries[parent]);
        i = parent;
    }
    heap_place(heap, i, entry);
}

/* The hole at i goes down to a leaf along the earliest children. */
static uint32_t heap_sink_hole(struct ts_heap *heap, uint32_t i)
{
    uint32_t child = i * HEAP_ARITY + 1;

    while (child < heap->count) {
        uint32_t last = child + HEAP_ARITY < heap->count ? child + HEAP_ARITY : heap->count;
        uint32_t best = child;

        for (uint32_t c = child + 1; c < last; c++)
            best = entry_before(&heap->entries[c], &heap->entries[best]) ? c : best;
        heap_place(heap, i, &heap->entries[best]);
        i = best;
        child = i * HEAP_ARITY + 1;
    }
    return i;
}

/* Takes out entry i. The last entry fills the hole; it comes from a leaf, so it rarely rises far
 * from the leaf that the hole has sunk to. */
static void heap_delete(struct ts_heap *heap, uint32_t i)
{
    struct ts_heap_entry last = heap->entries[--heap->count];

    if (i == heap->count)
        return;
    heap_sift_up(heap, heap_sink_hole(heap, i), &last);
}

bool ts_heap_reserve(struct ts_heap *heap, uint32_t n)
{
    struct ts_heap_entry *entries;
    uint32_t grown;

    if (n <= heap->allocated)
        return true;
    grown = heap->allocated > UINT32_MAX / 2 ? UINT32_MAX : heap->allocated * 2;
    if (grown < n)
        grown = n;
    /* Not realloc: most of it is empty while a machine is put together. */
    entries = malloc((size_t)grown * sizeof(*entries));
    if (!entries)
        return false;
    if (heap->count)
        memcpy(entries, heap->entries, heap->count * sizeof(*entries));
    free(heap->entries);
    heap->entries = entries;
    heap->allocated = grown;
    return true;
}

void ts_heap_fini(struct ts_heap *heap)
{
    free(heap->entries);
    heap->entries = NULL;
    heap->count = heap->allocated = 0;
}

void ts_heap_push(struct ts_heap *heap, struct ts_event *event)
{
    struct ts_heap_entry entry = {event->when, event->order, event};

    TS_ASSERT(heap->count < heap->allocated);
    event->state = TS_EVENT_IN_HEAP;
    heap_sift_up(heap, heap->count++, &entry);
}

struct ts_event *ts_heap_pop(struct ts_heap *heap)
{
    struct ts_event *event;

    TS_ASSERT(heap->count > 0);
    event = heap->entries[0].event;
    heap_delete(heap, 0);
    return event;
}

void ts_heap_remove(struct ts_heap *heap, struct ts_event *event)
{
    TS_ASSERT(event->index < heap->count && heap->entries[event->index].event == event);
    heap_delete(heap, event->index);
}
