/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/os/nohz.h"

#include <stdlib.h>

#include "models/guest/coherence/mechanism.h"

struct ts_guest_tick {
    struct ts_event event; /* ts->sched_timer */
    struct ts_guest *guest;
    struct ts_cpu *cpu;
    ts_time expires;        /* of event */
    bool stopped;           /* TS_FLAG_STOPPED */
    bool due;               /* it has run out, and its interrupt is not over */
    bool got_idle_tick;     /* of the idle loop's last round */
    const void *programmed; /* whose expiry the timer stands at: a task's, the tick, nobody's */
};

static struct ts_guest_tick *tick_of(const struct ts_task *self)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);

    return gc->guest->ticks ? &gc->guest->ticks[gc->id] : NULL;
}

/* KVM: for a vCPU that has halted an hrtimer of the host stands in for the timer. */
static void on_tick(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_guest_tick *t = TS_CONTAINER_OF(event, struct ts_guest_tick, event);
    struct ts_cpu *c = t->cpu;

    (void)engine;
    t->due = true;
    if (c->is_virtual && !c->in_guest && c->mode != TS_MODE_STEAL && c->ops->timer_fired)
        c->ops->timer_fired(c);
    else
        ts_cpu_raise(c, TS_VEC_TICK);
}

enum ts_status ts_nohz_init(struct ts_guest *g, struct ts_error *err)
{
    if (g->params.tick == TS_TICK_WAITING)
        return TS_OK;
    g->ticks = calloc(g->ncpus, sizeof(*g->ticks));
    if (!g->ticks)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for ticks");
    for (uint32_t i = 0; i < g->ncpus; i++) {
        struct ts_guest_tick *t = &g->ticks[i];
        t->guest = g;
        t->cpu = &g->domain->cpus[i];
        t->stopped = true;
        ts_event_init(&t->event, on_tick);
    }
    return TS_OK;
}

void ts_nohz_fini(struct ts_guest *g)
{
    for (uint32_t i = 0; g->ticks && i < g->ncpus; i++)
        ts_engine_cancel(g->engine, &g->ticks[i].event);
    free(g->ticks);
    g->ticks = NULL;
}

/* hrtimer_forward to the next multiple of the period: all CPUs tick at the same time
 * (skew_tick=0). The last thread ends the guest's time. */
static void forward(struct ts_guest_tick *t)
{
    ts_time period = t->guest->domain->sched_params.tick_ps;

    if (!t->guest->threads_alive) {
        t->stopped = true;
        return;
    }
    t->expires = (ts_engine_now(t->guest->engine) / period + 1) * period;
    ts_engine_schedule(t->guest->engine, &t->event, t->expires, TS_PHASE_TIMER);
}

static const void *earliest(const struct ts_guest_tick *t)
{
    const struct ts_task *sleeper = t->cpu->sleepers;

    if (t->stopped || t->due)
        return sleeper;
    return sleeper && sleeper->timer_expires < t->expires ? (const void *)sleeper : (const void *)t;
}

static void write_timer(struct ts_task *self, struct ts_guest_tick *t)
{
    t->programmed = earliest(t);
    t->guest->stats.timer_writes++;
    t->cpu->ops->timer_program(self);
}

static void reprogram(struct ts_task *self, struct ts_guest_tick *t)
{
    if (earliest(t) != t->programmed)
        write_timer(self, t);
}

/* cpuidle_idle_call without a driver of idle states. A kernel that stops the tick only after one
 * has come spares short naps both writes; a stopped one stays so. */
void ts_nohz_idle(struct ts_task *self)
{
    struct ts_guest_tick *t = tick_of(self);
    bool got;

    if (!t)
        return;
    got = t->got_idle_tick;
    t->got_idle_tick = false;
    if (t->stopped || t->due || t->guest->params.tick == TS_TICK_PERIODIC ||
        (t->guest->params.nohz_after_tick && !got))
        return;
    ts_engine_cancel(t->guest->engine, &t->event);
    t->stopped = true;
    t->guest->stats.ticks_stopped++;
    reprogram(self, t);
}

void ts_nohz_idle_exit(struct ts_task *self)
{
    struct ts_guest_tick *t = tick_of(self);

    if (!t)
        return;
    t->got_idle_tick = false;
    if (!t->stopped || !t->guest->threads_alive)
        return;
    t->stopped = false;
    forward(t);
    reprogram(self, t);
}

uint64_t ts_nohz_ticks_due(struct ts_task *self)
{
    struct ts_guest_tick *t = tick_of(self);
    uint64_t missed;

    if (!t || !t->due)
        return 0;
    missed = (ts_task_now(self) - t->expires) / t->guest->domain->sched_params.tick_ps;
    t->due = false;
    t->guest->stats.ticks++;
    t->got_idle_tick = self->is_idle;
    forward(t);
    return 1 + missed;
}

static void tick(struct ts_task *self)
{
    const struct ts_flush_ops *flush = ts_guest_cpu_of(self)->guest->flush;

    ts_cpu_handle_tick(self);
    if (flush->tick)
        flush->tick(self);
}

uint64_t ts_nohz_interrupt(struct ts_task *self, enum ts_vector vector)
{
    uint64_t ticks = ts_nohz_ticks_due(self);

    if (!ticks && vector == TS_VEC_TICK)
        ticks = 1;
    if (ticks)
        tick(self);
    if (vector == TS_VEC_TIMER)
        ts_cpu_handle_timer(self);
    ts_nohz_interrupt_end(self);
    return ticks;
}

void ts_nohz_interrupt_end(struct ts_task *self)
{
    struct ts_guest_tick *t = tick_of(self);

    if (t)
        write_timer(self, t);
}

bool ts_nohz_sleep(struct ts_task *self, ts_time expires)
{
    struct ts_guest_tick *t = tick_of(self);
    const struct ts_task *sleeper = self->cpu->sleepers;

    if (!t)
        return true;
    if ((!t->stopped && !t->due && t->expires <= expires) ||
        (sleeper && sleeper->timer_expires <= expires))
        return false;
    t->programmed = self;
    t->guest->stats.timer_writes++;
    return true;
}
