/* SPDX-License-Identifier: Apache-2.0 */
/* The event engine: a total order of callbacks in simulated time.
 *
 * Events are intrusive: the owner embeds struct ts_event, and neither scheduling nor running
 * allocates. The order is (time, phase, sequence), where sequence counts schedule calls and
 * tickets: first scheduled, first run among equals. Two queue implementations (a timing wheel with
 * an overflow heap, and a plain heap) hold the same order; a differential test compares them. One
 * engine is one thread; many engines may live in one process.
 */
#ifndef TS_SIM_ENGINE_H
#define TS_SIM_ENGINE_H

#include "sim/base.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Order among events of one picosecond. */
enum ts_phase {
    TS_PHASE_HARDWARE = 0,  /* messages and hardware completions: software must see them */
    TS_PHASE_INTERRUPT = 1, /* acceptance, after the hardware state has settled */
    TS_PHASE_SOFTWARE = 2,  /* a task goes on */
    TS_PHASE_TIMER = 3,     /* ticks and time-outs: work that ends now beats its time-out */
    TS_PHASE_SAMPLE = 4,    /* observers see the settled state */
    TS_PHASE_COUNT = 5
};

struct ts_engine;
struct ts_event;
typedef void ts_event_fn(struct ts_engine *engine, struct ts_event *event);

/* Zero-initialise (or ts_event_init) before the first use. All fields are private to the engine
 * except fn, which the owner sets. */
struct ts_event {
    ts_time when;
    uint64_t order; /* phase in the top byte, sequence below */
    ts_event_fn *fn;
    struct ts_event *next;
    struct ts_event *prev;
    uint32_t index; /* heap position or wheel slot */
    uint32_t state; /* 0: idle */
};

/* Of these numbers ts_engine_ticket gives none. */
#define TS_TICKETS_FIXED (UINT64_C(1) << 20)

enum ts_queue_kind { TS_QUEUE_WHEEL = 0, TS_QUEUE_HEAP = 1 };

struct ts_engine_config {
    enum ts_queue_kind queue;
    uint32_t slot_shift; /* wheel: a slot of the first coarse level is 2^slot_shift ps, 3 to 9;
                            0 takes the default. It changes speed, never order. */
    uint32_t max_events; /* how many events may be pending at once; 0 takes the default. It grows
                            only by ts_engine_reserve; one event more is a bug of the model. */
};

/* config may be NULL: all defaults. */
enum ts_status ts_engine_create(struct ts_engine **out, const struct ts_engine_config *config,
                                struct ts_error *err);
/* Pending events are forgotten, not run. */
void ts_engine_destroy(struct ts_engine *engine);
/* Makes room for n more events pending at once: called by each model at construction. */
enum ts_status ts_engine_reserve(struct ts_engine *engine, uint32_t n, struct ts_error *err);

void ts_event_init(struct ts_event *event, ts_event_fn *fn);
bool ts_event_pending(const struct ts_event *event);

static inline ts_time ts_engine_now(const struct ts_engine *engine);
/* when >= now, when < TS_TIME_NEVER; the event must not be pending. */
void ts_engine_schedule(struct ts_engine *engine, struct ts_event *event, ts_time when,
                        enum ts_phase phase);
/* A place in the order of the moment of this call, for events that are scheduled later, perhaps
 * more than once: what happens in one step or in many then has one order. Each is of one event at a
 * time.
 */
uint64_t ts_engine_ticket(struct ts_engine *engine);
/* As ts_engine_schedule, but among equals of time and phase as if scheduled when the ticket was
 * taken. Tickets below TS_TICKETS_FIXED are the owner's to give, one event each of a phase: they
 * come before all others, in this order. An event whose place the run has passed at this time is
 * next. */
void ts_engine_schedule_ticket(struct ts_engine *engine, struct ts_event *event, ts_time when,
                               enum ts_phase phase, uint64_t ticket);
/* No effect on an event that is not pending. */
void ts_engine_cancel(struct ts_engine *engine, struct ts_event *event);
/* No event is pending any more, and none may be scheduled: for owners of events that take them down
 * in whatever order after a run that was cut short. */
void ts_engine_discard(struct ts_engine *engine);
/* Time of the earliest pending event, TS_TIME_NEVER if none. */
ts_time ts_engine_next_time(struct ts_engine *engine);

/* Advances now to when (>= now) without an event, if nothing pending is due at or before when, when
 * does not pass the limit of the running ts_engine_run, and that run was not told to stop;
 * otherwise does nothing and returns false. This is the fast path of a task whose own next step
 * comes first; it is exact because one thread runs everything. Outside a run there is no limit. */
static inline bool ts_engine_try_advance(struct ts_engine *engine, ts_time when);

/* Runs events with time <= limit in order until none is left or ts_engine_stop is called. now is
 * afterwards the time of the last event run (not limit). Returns the number of events run. */
uint64_t ts_engine_run(struct ts_engine *engine, ts_time limit);
/* Did ts_engine_stop or ts_engine_fail end the last ts_engine_run, and not its limit? */
bool ts_engine_was_stopped(const struct ts_engine *engine);
/* Would an event of this time, phase and ticket have run by now? That of the event under way has,
 * and so have all up to the limit of a run that reached it. */
bool ts_engine_is_past(const struct ts_engine *engine, ts_time when, enum ts_phase phase,
                       uint64_t ticket);
/* Of the event under way. */
enum ts_phase ts_engine_phase(const struct ts_engine *engine);
/* Makes ts_engine_run return after the current event. No effect outside a run. */
void ts_engine_stop(struct ts_engine *engine);
/* For a part that can neither go on nor tell its caller, as when there is no memory for a message:
 * keeps the error, if it is the first, and stops the run; no later one runs an event. The caller
 * leaves its own state such that the rest of the event can run and that it can be destroyed. Also
 * outside a run. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void ts_engine_fail(struct ts_engine *engine, enum ts_status status, const char *fmt, ...);
/* TS_OK, or what ts_engine_fail was told. */
enum ts_status ts_engine_status(const struct ts_engine *engine, struct ts_error *err);
/* Events run since creation, and in-place advances. */
uint64_t ts_engine_events_run(const struct ts_engine *engine);
uint64_t ts_engine_advances(const struct ts_engine *engine);

/* Private part: the head of struct ts_engine, here so that reading the clock and advancing it in
 * place are a few instructions at the call. Nothing outside the engine touches the fields. */
struct ts_engine_head {
    ts_time now;
    ts_time bound; /* nothing pending is earlier */
    ts_time limit; /* of the running ts_engine_run; TS_TIME_NEVER outside */
    uint64_t advances;
};

bool ts_engine_try_advance_slow(struct ts_engine *engine, ts_time when);

static inline ts_time ts_engine_now(const struct ts_engine *engine)
{
    return ((const struct ts_engine_head *)(const void *)engine)->now;
}

static inline bool ts_engine_try_advance(struct ts_engine *engine, ts_time when)
{
    struct ts_engine_head *head = (struct ts_engine_head *)(void *)engine;

    TS_ASSERT(when >= head->now);
    if (when >= head->bound || when > head->limit)
        return ts_engine_try_advance_slow(engine, when);
    head->now = when;
    head->advances++;
    return true;
}

#ifdef __cplusplus
}
#endif
#endif
