/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/queue.h"

#include <stdlib.h>
#include <string.h>

static inline uint32_t first_bit(uint64_t word)
{
    return (uint32_t)__builtin_ctzll(word);
}

static inline ts_time block_mask(const struct ts_wheel *wheel)
{
    return ((ts_time)1 << wheel->slot_shift) - 1;
}

/* Number of the first list in use of a level that is in use. */
static inline uint32_t level_first(const struct ts_wheel_level *level)
{
    uint32_t w = first_bit(level->summary);

    return level->first + (w << 6 | first_bit(level->words[w]));
}

static inline void level_mark(struct ts_wheel *wheel, uint32_t l, uint32_t list)
{
    struct ts_wheel_level *level = &wheel->levels[l];
    uint32_t n = list - level->first;

    level->words[n >> 6] |= UINT64_C(1) << (n & 63u);
    level->summary |= UINT64_C(1) << (n >> 6);
    wheel->used |= 1u << l;
}

static inline void level_unmark(struct ts_wheel *wheel, uint32_t l, uint32_t list)
{
    struct ts_wheel_level *level = &wheel->levels[l];
    uint32_t n = list - level->first;

    level->words[n >> 6] &= ~(UINT64_C(1) << (n & 63u));
    if (level->words[n >> 6])
        return;
    level->summary &= ~(UINT64_C(1) << (n >> 6));
    if (!level->summary)
        wheel->used &= ~(1u << l);
}

/* Bits of x that level 0 covers are set first, so that every x below a block gives level 0. */
static inline uint32_t level_of(const struct ts_wheel *wheel, ts_time x)
{
    uint32_t top = 63u - (uint32_t)__builtin_clzll(x | block_mask(wheel));

    return (top - wheel->slot_shift + TS_WHEEL_DIGIT_BITS) / TS_WHEEL_DIGIT_BITS;
}

/* Its place in a list of level 0 before later tickets; most events go to the end. */
static void wheel_insert(struct ts_wheel_list *q, struct ts_event *event)
{
    struct ts_event *before = q->tail;

    while (before && before->order > event->order)
        before = before->prev;
    event->prev = before;
    event->next = before ? before->next : q->head;
    if (before)
        before->next = event;
    else
        q->head = event;
    event->next->prev = event;
}

/* Adds the event to its list; its level is known to be in the wheel. */
static inline void wheel_add(struct ts_wheel *wheel, struct ts_event *event, uint32_t l)
{
    const struct ts_wheel_level *level = &wheel->levels[l];
    uint64_t key = event->when << TS_WHEEL_PHASE_BITS | event->order >> TS_ORDER_PHASE_SHIFT;
    uint32_t list = level->first + (uint32_t)(key >> level->shift & level->mask);
    struct ts_wheel_list *q = &wheel->lists[list];

    event->state = l + 1;
    event->index = list;
    event->next = NULL;
    if (q->head) {
        if (l == 0 && q->tail->order > event->order) {
            wheel_insert(q, event);
            return;
        }
        event->prev = q->tail;
        q->tail->next = event;
    } else {
        event->prev = NULL;
        q->head = event;
        level_mark(wheel, l, list);
    }
    q->tail = event;
}

/* Start of the time that list n of level l > 0 stands for. */
static inline ts_time list_start(const struct ts_wheel *wheel, uint32_t l, uint32_t list)
{
    const struct ts_wheel_level *level = &wheel->levels[l];
    uint32_t shift = level->shift - TS_WHEEL_PHASE_BITS;
    ts_time above = ~(ts_time)0 << shift << TS_WHEEL_DIGIT_BITS;

    return (wheel->base & above) | (ts_time)(list - level->first) << shift;
}

/* Deals the list out to the levels below. All of them are empty, so base may move to its start.
 * A long list is a chain of cache misses: its far end is fetched at the same time, back to front.
 * The pointers of events that were dealt out already lead back elsewhere, to no harm. */
static void wheel_cascade(struct ts_wheel *wheel, uint32_t l, uint32_t list)
{
    struct ts_event *event = wheel->lists[list].head;
    const struct ts_event *back = wheel->lists[list].tail;

    wheel->base = list_start(wheel, l, list);
    wheel->lists[list].head = NULL;
    level_unmark(wheel, l, list);
    while (event) {
        struct ts_event *next = event->next;

        if (back) {
            back = back->prev;
            __builtin_prefetch(back);
        }
        wheel_add(wheel, event, level_of(wheel, event->when ^ wheel->base));
        event = next;
    }
}

static inline void wheel_pop_head(struct ts_wheel *wheel, uint32_t l, uint32_t list)
{
    struct ts_wheel_list *q = &wheel->lists[list];
    struct ts_event *next = q->head->next;

    q->head = next;
    if (next)
        next->prev = NULL;
    else
        level_unmark(wheel, l, list);
}

static bool overflow_before(const struct ts_heap *heap, const struct ts_event *event)
{
    const struct ts_heap_entry *top = heap->entries;

    return top->when < event->when || (top->when == event->when && top->order < event->order);
}

static struct ts_event *overflow_pop(struct ts_heap *heap, ts_time limit)
{
    return heap->count > 0 && heap->entries[0].when <= limit ? ts_heap_pop(heap) : NULL;
}

bool ts_wheel_init(struct ts_wheel *wheel, uint32_t slot_shift)
{
    uint32_t fine = 1u << (slot_shift + TS_WHEEL_PHASE_BITS);
    uint32_t lists = fine + (TS_WHEEL_LEVELS - 1) * TS_WHEEL_DIGITS;

    memset(wheel, 0, sizeof(*wheel));
    wheel->slot_shift = slot_shift;
    wheel->levels[0].mask = fine - 1;
    for (uint32_t l = 1; l < TS_WHEEL_LEVELS; l++) {
        wheel->levels[l].mask = TS_WHEEL_DIGITS - 1;
        wheel->levels[l].shift = TS_WHEEL_PHASE_BITS + slot_shift + (l - 1) * TS_WHEEL_DIGIT_BITS;
        wheel->levels[l].first = fine + (l - 1) * TS_WHEEL_DIGITS;
    }
    wheel->lists = calloc(lists, sizeof(*wheel->lists));
    return wheel->lists != NULL;
}

void ts_wheel_fini(struct ts_wheel *wheel)
{
    free(wheel->lists);
    wheel->lists = NULL;
    ts_heap_fini(&wheel->overflow);
}

void ts_wheel_push(struct ts_wheel *wheel, struct ts_event *event, ts_time now)
{
    uint32_t l;

    /* An empty wheel follows the clock, so that what comes next starts at a low level. */
    if (!wheel->used)
        wheel->base = now & ~block_mask(wheel);
    l = level_of(wheel, event->when ^ wheel->base);
    if (l >= TS_WHEEL_LEVELS || event->when < wheel->base)
        ts_heap_push(&wheel->overflow, event);
    else
        wheel_add(wheel, event, l);
}

struct ts_event *ts_wheel_pop(struct ts_wheel *wheel, ts_time limit)
{
    struct ts_heap *overflow = &wheel->overflow;
    struct ts_event *event;
    uint32_t l, list;

    for (;;) {
        ts_time start;

        if (!wheel->used)
            return overflow_pop(overflow, limit);
        l = first_bit(wheel->used);
        list = level_first(&wheel->levels[l]);
        event = wheel->lists[list].head;
        /* A list of one need not be dealt out. */
        if (l == 0 || !event->next)
            break;
        start = list_start(wheel, l, list);
        if (ts_heap_next_time(overflow) < start)
            return overflow_pop(overflow, limit);
        /* base stays at or before what may still be scheduled. */
        if (start > limit)
            return NULL;
        wheel_cascade(wheel, l, list);
    }
    if (overflow->count > 0 && overflow_before(overflow, event))
        return overflow_pop(overflow, limit);
    if (event->when > limit)
        return NULL;
    wheel_pop_head(wheel, l, list);
    wheel->base = event->when & ~block_mask(wheel);
    return event;
}

void ts_wheel_remove(struct ts_wheel *wheel, struct ts_event *event)
{
    struct ts_wheel_list *q;

    if (event->state == TS_EVENT_IN_HEAP) {
        ts_heap_remove(&wheel->overflow, event);
        return;
    }
    q = &wheel->lists[event->index];
    if (event->next)
        event->next->prev = event->prev;
    else
        q->tail = event->prev;
    if (event->prev)
        event->prev->next = event->next;
    else
        q->head = event->next;
    if (!q->head)
        level_unmark(wheel, event->state - 1, event->index);
}

ts_time ts_wheel_bound(struct ts_wheel *wheel, ts_time when, bool *exact)
{
    ts_time overflow = ts_heap_next_time(&wheel->overflow);

    *exact = true;
    while (wheel->used) {
        uint32_t l = first_bit(wheel->used);
        uint32_t list = level_first(&wheel->levels[l]);
        const struct ts_event *event = wheel->lists[list].head;
        ts_time start;

        if (l == 0 || !event->next)
            return event->when < overflow ? event->when : overflow;
        start = list_start(wheel, l, list);
        if (overflow <= start)
            return overflow;
        if (start > when) {
            *exact = false;
            return start;
        }
        /* Dealing out is what the next pop would do, and now is about to reach start. */
        wheel_cascade(wheel, l, list);
    }
    return overflow;
}

ts_time ts_wheel_next_time(const struct ts_wheel *wheel)
{
    ts_time first = ts_heap_next_time(&wheel->overflow);

    if (wheel->used) {
        uint32_t l = first_bit(wheel->used);
        const struct ts_event *event = wheel->lists[level_first(&wheel->levels[l])].head;

        do {
            first = event->when < first ? event->when : first;
            event = event->next;
        } while (l > 0 && event);
    }
    return first;
}
