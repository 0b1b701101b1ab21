/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the engine: the two event queues. Both hold the order (when, order), where order is
 * the phase in the top byte and the sequence below it.
 *
 * The heap is 4-ary and keeps the keys beside the pointers, so that a comparison touches no event.
 *
 * The wheel is hierarchical. Level 0 has one list for each picosecond and phase of the block
 * that holds base; level l > 0 has 256 lists, each as wide as the whole level below. An event
 * sits at the level of the highest digit in which its time differs from base, so everything at a
 * level is earlier than everything above it, and the first list of the lowest level in use holds
 * the earliest event. When that list is not of level 0 it is dealt out to the levels below
 * (cascade), front to back: a list gets the older events first, so FIFO is sequence order but for
 * events with tickets, which find their place in a list of level 0. The heap takes what the wheel
 * cannot hold: times in another block of the top level, and times before base. It is compared with
 * the wheel at each pop, so it is exact too.
 */
#ifndef TS_SIM_QUEUE_H
#define TS_SIM_QUEUE_H

#include "sim/engine.h"

__extension__ typedef unsigned __int128 ts_u128;

#define TS_ORDER_PHASE_SHIFT 56u

/* Values of ts_event.state. A value in between is 1 + the level of a wheel list. */
#define TS_EVENT_IDLE 0u
#define TS_EVENT_IN_HEAP 64u

struct ts_heap_entry {
    ts_time when;
    uint64_t order;
    struct ts_event *event;
};

struct ts_heap {
    struct ts_heap_entry *entries;
    uint32_t count;
    uint32_t allocated;
};

/* Room for n entries; false when memory is short. */
bool ts_heap_reserve(struct ts_heap *heap, uint32_t n);
void ts_heap_fini(struct ts_heap *heap);
void ts_heap_push(struct ts_heap *heap, struct ts_event *event);
/* The heap must not be empty. */
struct ts_event *ts_heap_pop(struct ts_heap *heap);
void ts_heap_remove(struct ts_heap *heap, struct ts_event *event);

static inline ts_time ts_heap_next_time(const struct ts_heap *heap)
{
    return heap->count > 0 ? heap->entries[0].when : TS_TIME_NEVER;
}

#define TS_WHEEL_LEVELS 5u
#define TS_WHEEL_DIGIT_BITS 8u
#define TS_WHEEL_DIGITS (1u << TS_WHEEL_DIGIT_BITS)
/* Five phases in use; eight lists keep the index a shift. */
#define TS_WHEEL_PHASE_BITS 3u
#define TS_WHEEL_SHIFT_MIN 3u
#define TS_WHEEL_SHIFT_MAX 9u
#define TS_WHEEL_SHIFT_DEFAULT 8u

struct ts_wheel_list {
    struct ts_event *head;
    struct ts_event *tail; /* meaningless while head is NULL */
};

/* words has a bit for each list in use, summary a bit for each word that is not zero. */
struct ts_wheel_level {
    uint64_t summary;
    uint64_t words[64];
    uint64_t mask;  /* of the list number */
    uint32_t shift; /* of (when << TS_WHEEL_PHASE_BITS | phase) */
    uint32_t first; /* number of the level's first list */
};

struct ts_wheel {
    ts_time base;  /* start of a level-0 block; no event of the wheel is earlier */
    uint32_t used; /* bit l: level l has events */
    uint32_t slot_shift;
    struct ts_wheel_list *lists;
    struct ts_heap overflow;
    struct ts_wheel_level levels[TS_WHEEL_LEVELS];
};

bool ts_wheel_init(struct ts_wheel *wheel, uint32_t slot_shift);
void ts_wheel_fini(struct ts_wheel *wheel);
void ts_wheel_push(struct ts_wheel *wheel, struct ts_event *event, ts_time now);
/* The earliest event if its time is at most limit, else NULL. */
struct ts_event *ts_wheel_pop(struct ts_wheel *wheel, ts_time limit);
void ts_wheel_remove(struct ts_wheel *wheel, struct ts_event *event);
/* A time no event is earlier than: the exact one (*exact) or one later than when. */
ts_time ts_wheel_bound(struct ts_wheel *wheel, ts_time when, bool *exact);
/* The exact time of the earliest event; moves nothing. */
ts_time ts_wheel_next_time(const struct ts_wheel *wheel);

#endif
