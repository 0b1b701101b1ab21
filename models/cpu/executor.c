/* SPDX-License-Identifier: Apache-2.0 */
/* Execution: how the code on fibers lets time pass, and how interrupts and exits cut in. */
#include "models/cpu/cpu_private.h"
#include "models/interrupt/lapic.h"

static void on_park_event(struct ts_engine *engine, struct ts_event *event)
{
    (void)engine;
    ts_cpu_execute(TS_CONTAINER_OF(event, struct ts_cpu, park_event));
}

void ts_cpu_executor_init(struct ts_cpu *p)
{
    ts_event_init(&p->park_event, on_park_event);
    p->park = TS_PARK_NONE;
    p->line_came = TS_TIME_NEVER;
}

struct ts_cpu *ts_cpu_physical(struct ts_cpu *cpu)
{
    if (!cpu->is_virtual)
        return cpu;
    struct ts_cpu *p = cpu->host_task->cpu;
    return p->current == cpu->host_task ? p : NULL;
}

void ts_cpu_execute(struct ts_cpu *p)
{
    TS_ASSERT(!p->is_virtual && p->current);
    do {
        p->switching = false;
        p->park = TS_PARK_NONE;
        ts_fiber_resume(ts_cpu_leaf(p)->fiber);
    } while (p->switching);
}

void ts_cpu_hand_over(struct ts_cpu *p, struct ts_task *leaf)
{
    TS_ASSERT(p->park == TS_PARK_NONE && !p->switching);
    p->switching = true;
    ts_fiber_suspend(leaf->fiber);
}

/* Of CPUs that go on at one time the lowest number does first, in whatever order events came. */
static void wake_at(struct ts_cpu *p, ts_time when)
{
    ts_engine_schedule_ticket(p->domain->engine, &p->park_event, when, TS_PHASE_SOFTWARE, p->id);
}

void ts_cpu_park(struct ts_cpu *p, ts_time until, uint32_t kind)
{
    TS_ASSERT(p && !p->is_virtual && p->park == TS_PARK_NONE);
    struct ts_task *leaf = ts_cpu_leaf(p);
    p->park = kind;
    if (until != TS_TIME_NEVER)
        wake_at(p, until);
    ts_fiber_suspend(leaf->fiber);
}

/* Lets the parked fiber of p go on at this very time, after the hardware of this instant. */
static void unpark(struct ts_cpu *p)
{
    struct ts_engine *engine = p->domain->engine;
    p->park = TS_PARK_NONE;
    ts_engine_cancel(engine, &p->park_event);
    wake_at(p, ts_engine_now(engine));
}

/* Before whatever comes next: the part under way is the last. One that ends at this instant has not
 * been looked at yet, unless this CPU has had its turn: then the next has begun. (The end of all of
 * them would have been looked at.) */
static void settle(struct ts_cpu *p)
{
    struct ts_engine *engine = p->domain->engine;
    const struct ts_clock *clock = p->domain->clock;
    struct ts_work_run *run = p->run;
    ts_time now = ts_engine_now(engine);
    uint64_t cycle = ts_clock_cycle_at(clock, now), passed = cycle - run->start;
    bool begun = p->park != TS_PARK_NONE &&
                 ts_engine_is_past(engine, now, TS_PHASE_SOFTWARE, p->id) &&
                 ts_clock_cycle_time(clock, cycle) == now;
    TS_ASSERT(passed + begun <= run->cycles);
    p->run = NULL;
    run->settled = true;
    run->end = run->settle(run, passed + (begun || passed == 0));
}

void ts_cpu_disturb(struct ts_cpu *pcpu)
{
    if (!pcpu->run)
        return;
    settle(pcpu);
    ts_cpu_kick(pcpu);
}

void ts_cpu_kick(struct ts_cpu *pcpu)
{
    if (pcpu->run)
        settle(pcpu);
    if (pcpu->park == TS_PARK_INTERRUPTIBLE)
        unpark(pcpu);
}

void ts_cpu_freeze(struct ts_cpu *pcpu)
{
    TS_ASSERT(!pcpu->is_virtual && !pcpu->frozen);
    pcpu->frozen = true;
    ts_cpu_kick(pcpu);
}

void ts_cpu_thaw(struct ts_cpu *pcpu)
{
    TS_ASSERT(pcpu->frozen);
    pcpu->frozen = false;
    if (pcpu->park == TS_PARK_FROZEN)
        unpark(pcpu);
}

static const char *const vector_names[TS_VECTORS] = {
    [TS_VEC_RESCHED] = "reschedule", [TS_VEC_KICK] = "kick",   [TS_VEC_CALL] = "call function",
    [TS_VEC_WAKEUP] = "wake-up",     [TS_VEC_TIMER] = "timer", [TS_VEC_TICK] = "tick",
    [TS_VEC_POSTED] = "posted"};

/* A kick is a call with an empty function; a timer and a tick are one interrupt with two causes. */
const uint8_t ts_vector_numbers[TS_VECTORS] = {
    [TS_VEC_RESCHED] = TS_LINUX_RESCHEDULE, [TS_VEC_KICK] = TS_LINUX_CALL_FUNCTION,
    [TS_VEC_CALL] = TS_LINUX_CALL_FUNCTION, [TS_VEC_WAKEUP] = TS_LINUX_POSTED_INTR_WAKEUP,
    [TS_VEC_TIMER] = TS_LINUX_LOCAL_TIMER,  [TS_VEC_TICK] = TS_LINUX_LOCAL_TIMER,
    [TS_VEC_POSTED] = TS_LINUX_POSTED_INTR};

enum ts_vector ts_vector_of_number(uint32_t number)
{
    if (number == ts_vector_numbers[TS_VEC_CALL])
        return TS_VEC_CALL;
    for (uint32_t i = 0; i < TS_VECTORS; i++) {
        if (ts_vector_numbers[i] == number)
            return (enum ts_vector)i;
    }
    return TS_VECTORS;
}

/* A vector has been accepted: the handler runs nested on the interrupted task's fiber. */
static void take_interrupt(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    enum ts_vector v = (enum ts_vector)__builtin_ctz(c->pending);
    bool user = self->user_mode;
    uint32_t depth = c->irq_off;
    c->pending &= ~(1u << v);
    c->stats.interrupts[v]++;
    if (c->irq_off++ == 0)
        c->irq_off_since = ts_task_now(self);
    enum ts_cpu_mode mode = ts_cpu_set_mode(c, TS_MODE_IRQ);
    self->user_mode = false;
    c->irq_from_user = user;
    ts_timeline_emit(c->domain->timeline, ts_task_now(self), TS_TL_BEGIN, c->domain->group, c->id,
                     vector_names[v], 0);
    c->ops->interrupt(self, v, c->raised[v]);
    ts_timeline_emit(c->domain->timeline, ts_task_now(self), TS_TL_END, c->domain->group, c->id,
                     vector_names[v], 0);
    self->user_mode = user;
    TS_ASSERT(self->cpu == c && c->current == self && c->irq_off == depth + 1);
    (void)ts_cpu_set_mode(c, mode);
    if (--c->irq_off == 0)
        c->irq_off_total_ps += ts_task_now(self) - c->irq_off_since;
}

void ts_task_poll(struct ts_task *self)
{
    for (;;) {
        struct ts_cpu *c = self->cpu;
        if (ts_task_is_frozen(self)) {
            ts_cpu_park(ts_cpu_physical(c), TS_TIME_NEVER, TS_PARK_FROZEN);
            continue;
        }
        if (c->is_virtual && c->in_guest) {
            const struct ts_cpu *p = c->host_task->cpu;
            if (p->pending | (uint32_t)p->need_resched) {
                c->ops->host_exit(c);
                continue;
            }
        }
        if (c->irq_off)
            return;
        if (c->pending)
            take_interrupt(self);
        else if (c->need_resched && !c->preempt_off)
            ts_task_schedule(self);
        else
            return;
    }
}

/* --- work --- */

/* Speeds are in units of work a cycle. Where threads share cores a cycle alone is FULL_SPEED units,
 * else one. */
enum { FULL_SPEED = 1000 };

static uint64_t units_of(const struct ts_cpu *p)
{
    return p->domain->busy_threads ? FULL_SPEED : 1;
}

/* How fast p executes beside the other threads of its core. */
static uint64_t speed_of(const struct ts_cpu *p)
{
    const struct ts_topology *t = p->domain->topology;
    uint64_t speed;
    uint32_t busy = p->domain->busy_threads ? p->domain->busy_threads[t->core[p->id]] : 1;
    if (busy <= 1)
        return units_of(p);
    speed = t->params.smt_throughput * (FULL_SPEED / 100) / busy;
    return speed < FULL_SPEED ? speed : FULL_SPEED;
}

static uint64_t cycles_at(uint64_t work, uint64_t speed)
{
    return speed == 1 ? work : (work + speed - 1) / speed;
}

/* Up to now p has stood still for as long as it was held. */
static void stand(struct ts_cpu *p)
{
    uint64_t now = ts_clock_cycle_at(p->domain->clock, ts_engine_now(p->domain->engine));
    uint64_t passed = now - p->held_since, n = p->held < passed ? p->held : passed;
    p->held -= n;
    p->stood += n;
    p->held_since = now;
}

void ts_cpu_hold(struct ts_cpu *pcpu, uint64_t cycles, bool foreign)
{
    struct ts_cpu *c = pcpu->working;
    TS_ASSERT(!pcpu->is_virtual);
    /* It has not begun to work before software has had its turn. */
    if (!c || pcpu->line_came == ts_engine_now(pcpu->domain->engine))
        return;
    stand(pcpu);
    pcpu->held += cycles;
    pcpu->stats.held_cycles += cycles;
    pcpu->stats.held_foreign_cycles += foreign ? cycles : 0;
    if (c == pcpu)
        return;
    c->stats.held_cycles += cycles;
    c->stats.held_foreign_cycles += foreign ? cycles : 0;
}

/* p is about to be parked in self's work. */
static void begin_work(struct ts_task *self, struct ts_cpu *p, uint64_t start)
{
    p->working = self->cpu;
    p->held_since = start;
    p->work_start = start;
    p->stood = 0;
}

/* Returns the cycles since then that p did not stand still. */
static uint64_t end_work(struct ts_task *self, struct ts_cpu *p)
{
    p->working = NULL;
    stand(p);
    return ts_clock_cycle_at(self->domain->clock, ts_engine_now(self->domain->engine)) -
           p->work_start - p->stood;
}

bool ts_task_try_work(struct ts_task *self, uint64_t cycles)
{
    struct ts_engine *engine = self->domain->engine;
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    uint64_t taken;
    if (p->held)
        return false;
    taken = cycles_at(cycles * units_of(p), speed_of(p));
    if (!ts_engine_try_advance(engine,
                               ts_clock_after(self->domain->clock, ts_engine_now(engine), taken)))
        return false;
    p->stats.smt_lost_cycles += taken - cycles;
    return true;
}

void ts_cpu_note_busy(struct ts_cpu *p, bool busy)
{
    uint32_t *n;
    if (!p->domain->busy_threads)
        return;
    n = &p->domain->busy_threads[p->domain->topology->core[p->id]];
    TS_ASSERT(busy || *n > 0);
    *n = busy ? *n + 1 : *n - 1;
    for (struct ts_cpu *o = ts_cpu_next_thread(p); o != p; o = ts_cpu_next_thread(o)) {
        if (o->working)
            ts_cpu_kick(o);
    }
}

/* What is left of so many units, p having worked for some cycles at this speed. */
static uint64_t less(struct ts_cpu *p, uint64_t left, uint64_t cycles, uint64_t speed)
{
    uint64_t done = cycles * speed < left ? cycles * speed : left;
    p->stats.smt_lost_cycles += cycles - done / units_of(p);
    return left - done;
}

/* Interrupted, or at another speed: the cycle in progress completes, the rest is still to be
 * done. What holds the CPU from the end on is part of it. */
static void work(struct ts_task *self, uint64_t left)
{
    struct ts_engine *engine = self->domain->engine;
    const struct ts_clock *clock = self->domain->clock;
    for (;;) {
        if (ts_task_attention(self))
            ts_task_poll(self);
        struct ts_cpu *p = ts_cpu_physical(self->cpu);
        if (left == 0 && p->held == 0)
            return;
        uint64_t speed = speed_of(p), passed = cycles_at(left, speed);
        uint64_t start = ts_clock_cycle_at(clock, ts_engine_now(engine));
        ts_time end = ts_clock_cycle_time(clock, start + p->held + passed);
        if (ts_engine_try_advance(engine, end)) {
            p->held = 0;
        } else {
            begin_work(self, p, start);
            ts_cpu_park(p, end, TS_PARK_INTERRUPTIBLE);
            passed = end_work(self, p);
        }
        left = less(p, left, passed, speed);
        if (left == 0 && p->held == 0)
            return;
    }
}

void ts_task_work(struct ts_task *self, uint64_t cycles)
{
    TS_ASSERT(self->cpu->current == self);
    work(self, cycles * units_of(ts_cpu_physical(self->cpu)));
}

/* A part that ends at this instant was held up by what has come at it, as in ts_task_work, which
 * leaves an interrupt that comes then to the next. */
uint64_t ts_task_work_run(struct ts_task *self, struct ts_work_run *run)
{
    struct ts_engine *engine = self->domain->engine;
    const struct ts_clock *clock = self->domain->clock;
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(self->cpu->current == self && !p->run);
    if (p->held || p->domain->busy_threads || ts_task_attention(self))
        return 0;
    run->start = ts_clock_cycle_at(clock, ts_engine_now(engine));
    run->settled = false;
    ts_time end = ts_clock_cycle_time(clock, run->start + run->cycles);
    if (ts_engine_try_advance(engine, end))
        return run->settle(run, run->cycles);
    p->run = run;
    p->working = self->cpu;
    p->held_since = run->start;
    ts_cpu_park(p, end, TS_PARK_INTERRUPTIBLE);
    p->working = NULL;
    if (!run->settled)
        settle(p);
    uint64_t left = run->start + run->end - ts_clock_cycle_at(clock, ts_engine_now(engine));
    if (left || p->held)
        ts_task_work(self, left);
    return run->end;
}

void ts_task_work_ps(struct ts_task *self, ts_time ps)
{
    const struct ts_clock *clock = self->domain->clock;
    ts_task_work(self, ts_clock_cycle_at(clock, ps));
}

/* p's fiber would go on, find nothing that wants its attention, and work: it is left alone until
 * that is done. What comes yet at this instant kicks it before it has worked for a cycle, as if it
 * had seen it first. */
static bool work_at_once(struct ts_cpu *p)
{
    struct ts_engine *engine = p->domain->engine;
    const struct ts_clock *clock = p->domain->clock;
    struct ts_task *t = p->line_task;
    if (p->line_cycles == 0 || p->held || p->domain->busy_threads || ts_task_attention(t))
        return false;
    uint64_t start = ts_clock_cycle_at(clock, ts_engine_now(engine));
    begin_work(t, p, start);
    p->line_worked = true;
    p->line_came = ts_engine_now(engine);
    p->park = TS_PARK_INTERRUPTIBLE;
    wake_at(p, ts_clock_cycle_time(clock, start + p->line_cycles));
    return true;
}

static void line_done(struct ts_line_req *req)
{
    struct ts_cpu *p = req->user;
    TS_ASSERT(p->park == TS_PARK_STALLED);
    if (!work_at_once(p))
        unpark(p);
}

void ts_task_line(struct ts_task *self, struct ts_line *line, enum ts_line_op op)
{
    ts_task_step(self, TS_STEP_LINE, op != TS_LINE_READ, line, 0, 0);
    if (ts_task_attention(self))
        ts_task_poll(self);
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    uint64_t cycles = 0;
    TS_ASSERT(p && self->cpu->current == self);
    if (op == TS_LINE_RMW)
        ts_task_barrier(self);
    if (!ts_line_access(self->domain->lines, line, self->domain->topology->core[p->id], op,
                        &p->line_req, line_done, p, &cycles)) {
        p->line_task = self;
        p->line_cycles = p->domain->express ? cycles : 0;
        ts_cpu_park(p, TS_TIME_NEVER, TS_PARK_STALLED);
        if (p->line_worked) {
            p->line_worked = false;
            p->line_came = TS_TIME_NEVER;
            cycles = less(p, cycles, end_work(self, p), 1);
            if (cycles == 0 && p->held == 0)
                return;
        }
    }
    ts_task_work(self, cycles);
}

void ts_task_stall(struct ts_task *self)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    if (!self->stall_over)
        ts_cpu_park(p, TS_TIME_NEVER, TS_PARK_STALLED);
    TS_ASSERT(self->stall_over);
    self->stall_over = false;
}

void ts_task_stall_done(struct ts_task *self)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(p && !self->stall_over);
    self->stall_over = true;
    if (p->park == TS_PARK_STALLED) /* else the answer came while it was being arranged */
        unpark(p);
}

bool ts_task_spin_deadline(struct ts_task *self, bool (*cond)(void *arg), void *arg,
                           struct ts_line *line, ts_time deadline)
{
    struct ts_engine *engine = self->domain->engine;
    const struct ts_clock *clock = self->domain->clock;
    TS_ASSERT(self->cpu->current == self && !self->spinning);
    enum ts_cpu_mode mode = ts_cpu_set_mode(self->cpu, TS_MODE_SPIN);
    bool holds;
    for (;;) {
        if (ts_task_attention(self))
            ts_task_poll(self);
        holds = cond(arg);
        if (holds || ts_engine_now(engine) >= deadline)
            break;
        struct ts_cpu *c = self->cpu;
        ts_time pause = TS_TIME_NEVER;
        if (c->is_virtual && c->pause_window_cycles && !self->user_mode)
            pause = ts_clock_after(clock, ts_engine_now(engine), c->pause_window_cycles);
        struct ts_cpu *p = ts_cpu_physical(c);
        self->spinning = true;
        self->spin_signalled = false;
        /* PAUSE leaves the core to its other threads. */
        bool leaves = !self->spin_executes;
        if (leaves)
            ts_cpu_note_busy(p, false);
        ts_cpu_park(p, pause < deadline ? pause : deadline, TS_PARK_INTERRUPTIBLE);
        if (leaves)
            ts_cpu_note_busy(p, true);
        self->spinning = false;
        if (self->spin_signalled) {
            if (line)
                ts_task_line(self, line, TS_LINE_READ);
        } else if (ts_engine_now(engine) >= pause) {
            c->ops->pause_exit(c);
        }
    }
    (void)ts_cpu_set_mode(self->cpu, mode);
    return holds;
}

void ts_task_spin(struct ts_task *self, bool (*cond)(void *arg), void *arg, struct ts_line *line)
{
    (void)ts_task_spin_deadline(self, cond, arg, line, TS_TIME_NEVER);
}

void ts_task_spin_signal(struct ts_task *spinner)
{
    spinner->spin_signalled = true;
    if (spinner->spinning)
        ts_cpu_kick(ts_cpu_physical(spinner->cpu));
}

void ts_task_idle_wait(struct ts_task *self)
{
    struct ts_cpu *p = self->cpu;
    TS_ASSERT(!p->is_virtual);
    enum ts_cpu_mode mode = ts_cpu_set_mode(p, TS_MODE_IDLE);
    while (!ts_task_interrupted(self) && p->rq.nr == 0)
        ts_cpu_park(p, TS_TIME_NEVER, TS_PARK_INTERRUPTIBLE);
    (void)ts_cpu_set_mode(p, mode);
}

void ts_irq_disable(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    if (c->irq_off++ == 0)
        c->irq_off_since = ts_task_now(self);
}

void ts_irq_enable(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    TS_ASSERT(c->irq_off > 0);
    if (--c->irq_off == 0) {
        c->irq_off_total_ps += ts_task_now(self) - c->irq_off_since;
        if (ts_task_attention(self))
            ts_task_poll(self);
    }
}

void ts_preempt_disable(struct ts_task *self)
{
    self->cpu->preempt_off++;
}

void ts_preempt_enable(struct ts_task *self)
{
    TS_ASSERT(self->cpu->preempt_off > 0);
    self->cpu->preempt_off--;
    if (ts_task_attention(self))
        ts_task_poll(self);
}

void ts_cpu_raise(struct ts_cpu *cpu, enum ts_vector vector)
{
    TS_ASSERT(vector < TS_VECTORS && vector != TS_VEC_POSTED);
    if (!(cpu->pending & (1u << vector))) {
        cpu->pending |= 1u << vector;
        cpu->raised[vector] = ts_engine_now(cpu->domain->engine);
    }
    if (!cpu->is_virtual)
        ts_cpu_kick(cpu);
    else if (cpu->in_guest)
        ts_cpu_kick(cpu->host_task->cpu);
}

/* --- clocks --- */

enum ts_cpu_mode ts_cpu_set_mode(struct ts_cpu *cpu, enum ts_cpu_mode mode)
{
    TS_ASSERT(mode < TS_MODES);
    enum ts_cpu_mode before = cpu->mode;
    ts_cpu_account(cpu);
    cpu->mode = mode;
    if (!cpu->is_virtual && (before == TS_MODE_IDLE) != (mode == TS_MODE_IDLE))
        ts_cpu_note_busy(cpu, mode != TS_MODE_IDLE);
    return before;
}

void ts_cpu_account(struct ts_cpu *cpu)
{
    ts_time now = ts_engine_now(cpu->domain->engine);
    TS_ASSERT(now >= cpu->mode_since);
    ts_time delta = now - cpu->mode_since;
    cpu->mode_since = now;
    cpu->stats.mode_ps[cpu->mode] += delta;
    if (!cpu->current)
        return;
    if (cpu->mode == TS_MODE_USER)
        cpu->current->user_ps += delta;
    else if (cpu->mode == TS_MODE_SYSTEM || cpu->mode == TS_MODE_SPIN || cpu->mode == TS_MODE_IRQ)
        cpu->current->system_ps += delta;
}

static ts_time running_sum(const struct ts_cpu *c, ts_time total, ts_time since)
{
    return since == TS_TIME_NEVER ? total : total + (ts_engine_now(c->domain->engine) - since);
}

ts_time ts_vcpu_not_running_ps(const struct ts_cpu *vcpu)
{
    if (!vcpu->is_virtual)
        return 0;
    return running_sum(vcpu, vcpu->not_running_total_ps, vcpu->not_running_since);
}

ts_time ts_vcpu_host_ps(const struct ts_cpu *vcpu)
{
    if (!vcpu->is_virtual)
        return 0;
    return running_sum(vcpu, vcpu->host_total_ps, vcpu->host_since);
}

ts_time ts_cpu_irq_off_ps(const struct ts_cpu *cpu)
{
    return running_sum(cpu, cpu->irq_off_total_ps,
                       cpu->irq_off ? cpu->irq_off_since : TS_TIME_NEVER);
}
