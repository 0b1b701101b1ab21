/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine.h"
#include "sim/queue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ENGINE_MAX_EVENTS_DEFAULT 65536u

struct ts_engine {
    struct ts_engine_head head; /* first: the inline functions read it there */
    bool bound_exact;           /* head.bound is the time of a pending event, or nothing pends */
    bool running;
    bool stopped;
    bool was_stopped; /* the last run */
    bool use_heap;
    uint32_t pending;
    uint32_t max_events;
    uint64_t sequence;
    uint64_t events_run;
    uint64_t order; /* of the event under way, or the last */
    ts_time passed; /* all events up to here have run, though now may be earlier; 0: not known */
    struct ts_heap heap;
    struct ts_wheel wheel;
    struct ts_error failure; /* status TS_OK: none */
};

/* The heap that holds what the kind of queue needs room for: any number of events may end up in
 * the wheel's overflow. */
static struct ts_heap *engine_heap(struct ts_engine *engine)
{
    return engine->use_heap ? &engine->heap : &engine->wheel.overflow;
}

static enum ts_status check_config(const struct ts_engine_config *config, struct ts_error *err)
{
    if (config->queue != TS_QUEUE_WHEEL && config->queue != TS_QUEUE_HEAP)
        return ts_error_set(err, TS_ERR_USER, "engine: no queue of kind %d", (int)config->queue);
    if (config->slot_shift != 0 &&
        (config->slot_shift < TS_WHEEL_SHIFT_MIN || config->slot_shift > TS_WHEEL_SHIFT_MAX))
        return ts_error_set(err, TS_ERR_USER, "engine: slot_shift is %u: must be %u to %u",
                            config->slot_shift, TS_WHEEL_SHIFT_MIN, TS_WHEEL_SHIFT_MAX);
    return TS_OK;
}

enum ts_status ts_engine_create(struct ts_engine **out, const struct ts_engine_config *config,
                                struct ts_error *err)
{
    struct ts_engine_config c = {TS_QUEUE_WHEEL, 0, 0};
    struct ts_engine *engine;
    enum ts_status status;

    if (config)
        c = *config;
    status = check_config(&c, err);
    if (status != TS_OK)
        return status;
    engine = calloc(1, sizeof(*engine));
    if (!engine)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "engine: out of memory");
    engine->head.bound = TS_TIME_NEVER;
    engine->head.limit = TS_TIME_NEVER;
    engine->bound_exact = true;
    engine->sequence = TS_TICKETS_FIXED;
    engine->use_heap = c.queue == TS_QUEUE_HEAP;
    engine->max_events = c.max_events ? c.max_events : ENGINE_MAX_EVENTS_DEFAULT;
    if (!ts_wheel_init(&engine->wheel, c.slot_shift ? c.slot_shift : TS_WHEEL_SHIFT_DEFAULT) ||
        !ts_heap_reserve(engine_heap(engine), engine->max_events)) {
        ts_engine_destroy(engine);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "engine: out of memory for %u events",
                            c.max_events);
    }
    *out = engine;
    return TS_OK;
}

void ts_engine_destroy(struct ts_engine *engine)
{
    if (!engine)
        return;
    TS_ASSERT(!engine->running);
    ts_wheel_fini(&engine->wheel);
    ts_heap_fini(&engine->heap);
    free(engine);
}

enum ts_status ts_engine_reserve(struct ts_engine *engine, uint32_t n, struct ts_error *err)
{
    if (n > UINT32_MAX - engine->max_events ||
        !ts_heap_reserve(engine_heap(engine), engine->max_events + n))
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "engine: no memory for %u events more than %u",
                            n, engine->max_events);
    engine->max_events += n;
    return TS_OK;
}

void ts_event_init(struct ts_event *event, ts_event_fn *fn)
{
    event->when = 0;
    event->order = 0;
    event->fn = fn;
    event->next = NULL;
    event->prev = NULL;
    event->index = 0;
    event->state = TS_EVENT_IDLE;
}

bool ts_event_pending(const struct ts_event *event)
{
    return event->state != TS_EVENT_IDLE;
}

uint64_t ts_engine_ticket(struct ts_engine *engine)
{
    return engine->sequence++;
}

void ts_engine_schedule(struct ts_engine *engine, struct ts_event *event, ts_time when,
                        enum ts_phase phase)
{
    ts_engine_schedule_ticket(engine, event, when, phase, engine->sequence++);
}

void ts_engine_schedule_ticket(struct ts_engine *engine, struct ts_event *event, ts_time when,
                               enum ts_phase phase, uint64_t ticket)
{
    TS_ASSERT(when >= engine->head.now && when < TS_TIME_NEVER);
    TS_ASSERT(event->state == TS_EVENT_IDLE && event->fn != NULL);
    TS_ASSERT((uint32_t)phase < TS_PHASE_COUNT);
    TS_ASSERT(engine->pending < engine->max_events);
    if (when <= engine->passed)
        engine->passed = 0;
    engine->pending++;
    event->when = when;
    event->order = (uint64_t)phase << TS_ORDER_PHASE_SHIFT | ticket;
    if (engine->use_heap)
        ts_heap_push(&engine->heap, event);
    else
        ts_wheel_push(&engine->wheel, event, engine->head.now);
    if (when < engine->head.bound) {
        engine->head.bound = when;
        engine->bound_exact = true;
    }
}

void ts_engine_cancel(struct ts_engine *engine, struct ts_event *event)
{
    if (event->state == TS_EVENT_IDLE)
        return;
    if (engine->use_heap)
        ts_heap_remove(&engine->heap, event);
    else
        ts_wheel_remove(&engine->wheel, event);
    event->state = TS_EVENT_IDLE;
    engine->pending--;
    engine->bound_exact = false;
}

ts_time ts_engine_next_time(struct ts_engine *engine)
{
    ts_time next;

    if (engine->bound_exact)
        return engine->head.bound;
    next = engine->use_heap ? ts_heap_next_time(&engine->heap) : ts_wheel_next_time(&engine->wheel);
    /* The bound of a stopped run stays 0. */
    if (!engine->stopped) {
        engine->head.bound = next;
        engine->bound_exact = true;
    }
    return next;
}

bool ts_engine_try_advance_slow(struct ts_engine *engine, ts_time when)
{
    if (when > engine->head.limit || engine->stopped)
        return false;
    if (!engine->bound_exact) {
        if (engine->use_heap) {
            engine->head.bound = ts_heap_next_time(&engine->heap);
            engine->bound_exact = true;
        } else {
            engine->head.bound = ts_wheel_bound(&engine->wheel, when, &engine->bound_exact);
        }
    }
    if (when >= engine->head.bound)
        return false;
    engine->head.now = when;
    engine->head.advances++;
    return true;
}

static inline struct ts_event *engine_pop(struct ts_engine *engine, ts_time limit)
{
    if (!engine->use_heap)
        return ts_wheel_pop(&engine->wheel, limit);
    return engine->heap.count > 0 && engine->heap.entries[0].when <= limit
               ? ts_heap_pop(&engine->heap)
               : NULL;
}

void ts_engine_discard(struct ts_engine *engine)
{
    struct ts_event *event;

    TS_ASSERT(!engine->running);
    while ((event = engine_pop(engine, TS_TIME_NEVER)) != NULL)
        event->state = TS_EVENT_IDLE;
    engine->pending = 0;
    engine->bound_exact = false;
}

uint64_t ts_engine_run(struct ts_engine *engine, ts_time limit)
{
    uint64_t before = engine->events_run;
    struct ts_event *event;

    TS_ASSERT(!engine->running);
    engine->running = true;
    engine->head.limit = limit;
    engine->passed = 0;
    while (!engine->stopped && (event = engine_pop(engine, limit)) != NULL) {
        event->state = TS_EVENT_IDLE;
        engine->pending--;
        engine->events_run++;
        engine->bound_exact = false;
        engine->head.now = event->when;
        engine->order = event->order;
        event->fn(engine, event);
    }
    engine->head.limit = TS_TIME_NEVER;
    if (!engine->stopped)
        engine->passed = limit;
    engine->was_stopped = engine->stopped;
    engine->stopped = engine->failure.status != TS_OK;
    engine->running = false;
    return engine->events_run - before;
}

bool ts_engine_was_stopped(const struct ts_engine *engine)
{
    return engine->was_stopped;
}

bool ts_engine_is_past(const struct ts_engine *engine, ts_time when, enum ts_phase phase,
                       uint64_t ticket)
{
    uint64_t order = (uint64_t)phase << TS_ORDER_PHASE_SHIFT | ticket;

    return when < engine->head.now || when <= engine->passed ||
           (when == engine->head.now && order <= engine->order);
}

enum ts_phase ts_engine_phase(const struct ts_engine *engine)
{
    return (enum ts_phase)(engine->order >> TS_ORDER_PHASE_SHIFT);
}

static void engine_halt(struct ts_engine *engine)
{
    engine->stopped = true;
    /* Sends ts_engine_try_advance to its slow path, where it fails. */
    engine->head.bound = 0;
    engine->bound_exact = false;
}

void ts_engine_stop(struct ts_engine *engine)
{
    if (engine->running)
        engine_halt(engine);
}

void ts_engine_fail(struct ts_engine *engine, enum ts_status status, const char *fmt, ...)
{
    char text[sizeof(engine->failure.message)];
    va_list args;

    if (engine->failure.status == TS_OK) {
        va_start(args, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        (void)ts_error_set(&engine->failure, status, "%s", text);
    }
    engine_halt(engine);
}

enum ts_status ts_engine_status(const struct ts_engine *engine, struct ts_error *err)
{
    if (engine->failure.status != TS_OK)
        *err = engine->failure;
    return engine->failure.status;
}

uint64_t ts_engine_events_run(const struct ts_engine *engine)
{
    return engine->events_run;
}

uint64_t ts_engine_advances(const struct ts_engine *engine)
{
    return engine->head.advances;
}
