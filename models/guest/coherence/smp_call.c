/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-CPU function calls: smp_call_function_many_cond and its handler (kernel/smp.c; x86.md 2.3),
 * with the stamps from which a shootdown's critical path is read. */
#include "models/guest/coherence/smp_call.h"

#include "models/guest/coherence/ipi.h"
#include "models/guest/coherence/pti.h"

/* --- the initiator's side --- */

void ts_smp_call_begin(struct ts_smp_call *call, struct ts_task *self)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    TS_ASSERT(gc->cpu->preempt_off);
    *call = (struct ts_smp_call){.self = self,
                                 .tail = &call->csds,
                                 .started = ts_task_now(self),
                                 .off_mark = ts_vcpu_not_running_ps(gc->cpu)};
}

struct ts_csd *ts_smp_call_prepare(struct ts_smp_call *call, struct ts_guest_cpu *target,
                                   ts_call_fn *fn, void *arg)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(call->self);
    struct ts_csd *csd = ts_csd_get(gc->guest->csds, gc->id, target->id);
    if (!csd)
        ts_guest_no_memory(call->self, gc->guest, "calls between CPUs");
    TS_ASSERT(!csd->locked && target != gc);
    csd->locked = true;
    ts_task_line(call->self, csd->line, TS_LINE_WRITE);
    csd->fn = fn;
    csd->arg = arg;
    csd->take = NULL;
    csd->waiter = NULL;
    csd->sender = NULL;
    csd->initiator = gc->cpu;
    csd->call_next = NULL;
    *call->tail = csd;
    call->tail = &csd->call_next;
    call->ntargets++;
    gc->guest->stats.targets++;
    return csd;
}

bool ts_smp_call_queue(struct ts_task *self, struct ts_csd *csd)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_guest_cpu *target = &g->cpus[csd->target];
    TS_ASSERT(csd->locked && !csd->sender && target != gc);
    csd->sender = gc;
    ts_task_line(self, &target->queue_line, TS_LINE_RMW);
    csd->first = target->queue == NULL;
    csd->unsent = csd->first;
    csd->next = target->queue;
    target->queue = csd;
    /* Until the IPI leaves, a handler that is already on its way may take it. */
    csd->entered = 0;
    csd->sent = ts_task_now(self);
    csd->not_running_mark = ts_vcpu_not_running_ps(target->cpu);
    csd->host_mark = ts_vcpu_host_ps(target->cpu);
    csd->initiator_mark = ts_vcpu_not_running_ps(csd->initiator);
    csd->flow = ((uint64_t)g->number << 48) + g->stats.csd_queued++;
    ts_timeline_emit(g->timeline, csd->sent, TS_TL_FLOW, g->domain->group, gc->id, "call",
                     csd->flow);
    if (!csd->first)
        g->stats.csd_piggyback++;
    return csd->first;
}

static void send_to(struct ts_task *self, const uint32_t *ids, uint32_t n)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    /* send_call_function_single_ipi: a single target that polls in its idle loop finds the queue by
     * itself. It is charged as an interrupt's handler all the same. */
    if (n == 1 && ts_guest_wake_polling(self, &g->cpus[ids[0]])) {
        g->stats.ipis_polling++;
        ts_cpu_raise(g->cpus[ids[0]].cpu, TS_VEC_CALL);
        return;
    }
    g->stats.ipis += n;
    ts_guest_send_call_ipi(self, ids, n);
}

/* IPIs leave after all csds are queued: the path's send part ends when the write has left. */
static void stamp_sent(struct ts_guest_cpu *gc, struct ts_smp_call *call, ts_time now)
{
    for (struct ts_csd *csd = call->csds; csd; csd = csd->call_next) {
        const struct ts_cpu *t = gc->guest->cpus[csd->target].cpu;
        if (csd->sender != gc || !csd->first || !csd->locked || csd->entered >= csd->sent)
            continue;
        csd->sent = now;
        csd->not_running_mark = ts_vcpu_not_running_ps(t);
        csd->host_mark = ts_vcpu_host_ps(t);
        csd->initiator_mark = ts_vcpu_not_running_ps(csd->initiator);
    }
}

uint32_t ts_smp_call_send(struct ts_task *self, struct ts_smp_call *call)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    uint32_t *ids = ts_csd_ids_get(g->csds);
    uint32_t n = 0;
    if (!ids)
        ts_guest_no_memory(self, g, "calls between CPUs");
    for (struct ts_csd *csd = call->csds; csd; csd = csd->call_next) {
        if (csd->sender != gc || !csd->unsent)
            continue;
        csd->unsent = false;
        ids[n++] = csd->target;
    }
    if (n)
        send_to(self, ids, n);
    ts_csd_ids_put(g->csds, ids);
    stamp_sent(gc, call, ts_task_now(self));
    return n;
}

static bool csd_unlocked(void *arg)
{
    return !((const struct ts_csd *)arg)->locked;
}

/* csd_lock_wait: spins with interrupts on, so mutual shootdowns do not deadlock. */
static void wait_for(struct ts_task *self, struct ts_csd *csd)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_line(self, csd->line, TS_LINE_READ);
    if (!csd->locked)
        return;
    csd->waiter = self;
    if (ts_guest_is_windows(g) && g->nt.wait_notifies)
        ts_ex_spin(self, &g->ex_locks, csd_unlocked, csd, csd->line);
    else
        ts_task_spin(self, csd_unlocked, csd, csd->line);
    csd->waiter = NULL;
}

void ts_smp_call_wait(struct ts_smp_call *call)
{
    for (struct ts_csd *csd = call->csds; csd; csd = csd->call_next)
        wait_for(call->self, csd);
}

static ts_time minus(ts_time a, ts_time b)
{
    return a > b ? a - b : 0;
}

static ts_time take(ts_time *left, ts_time want)
{
    ts_time got = want < *left ? want : *left;
    *left -= got;
    return got;
}

/* The path of the acknowledgement that came last, from the call's start to now. Each part is cut
 * from what is left of its span, so the parts of a span add up to it. */
void ts_smp_call_account(const struct ts_smp_call *c, struct ts_shootdown_record *r,
                         ts_time local_start, ts_time local_end)
{
    ts_time now = ts_task_now(c->self);
    ts_time off_now = ts_vcpu_not_running_ps(ts_guest_cpu_of(c->self)->cpu);
    const struct ts_csd *last = NULL;
    for (const struct ts_csd *csd = c->csds; csd; csd = csd->call_next) {
        if (!last || csd->released > last->released) {
            last = csd;
            r->last_target = csd->target;
        }
    }
    ts_time left = now - c->started;
    r->targets += c->ntargets;
    if (!last || last->released <= local_end) {
        r->last_target = UINT32_MAX;
        r->part_ps[TS_PATH_INITIATOR_OFF] += take(&left, off_now - c->off_mark);
        r->part_ps[TS_PATH_LOCAL] += take(&left, local_end - local_start);
        r->part_ps[TS_PATH_SEND] += left;
        return;
    }
    left = last->sent - c->started;
    r->part_ps[TS_PATH_INITIATOR_OFF] += take(&left, last->initiator_mark - c->off_mark);
    r->part_ps[TS_PATH_SEND] += left;

    left = last->entered - last->sent;
    ts_time flight = minus(minus(last->raised, last->sent), last->not_running_ps + last->host_ps);
    r->part_ps[TS_PATH_NOT_RUNNING] += take(&left, last->not_running_ps);
    r->part_ps[TS_PATH_EXIT] += take(&left, last->host_ps);
    r->part_ps[TS_PATH_TRANSPORT] += take(&left, flight);
    r->part_ps[TS_PATH_IRQ_OFF] += left;

    r->part_ps[TS_PATH_HANDLER] += last->started - last->entered;
    r->part_ps[TS_PATH_FLUSH] += last->finished - last->started;
    left = now - last->finished;
    r->part_ps[TS_PATH_INITIATOR_OFF] += take(&left, off_now - last->initiator_done);
    r->part_ps[TS_PATH_ACK] += left;
}

void ts_smp_call_end(struct ts_smp_call *call)
{
    struct ts_csd_pool *pool = ts_guest_cpu_of(call->self)->guest->csds;
    for (struct ts_csd *csd = call->csds, *next; csd; csd = next) {
        next = csd->call_next;
        TS_ASSERT(!csd->locked);
        ts_csd_put(pool, csd);
    }
    call->csds = NULL;
}

void ts_smp_call_many(struct ts_task *self, const struct ts_cpumask *mask,
                      const struct ts_call *what, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_smp_call call;
    ts_smp_call_begin(&call, self);
    ts_task_work(self, g->params.smp_call_setup_cycles);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_guest_cpu *target = &g->cpus[cpu];
        if (cpu == gc->id)
            continue;
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (what->cond && !what->cond(self, target, what->arg)) {
            g->stats.targets_lazy_skipped++;
            continue;
        }
        struct ts_csd *csd = ts_smp_call_prepare(&call, target, what->fn, what->arg);
        csd->take = what->take;
        (void)ts_smp_call_queue(self, csd);
    }
    (void)ts_smp_call_send(self, &call);
    ts_time local_start = ts_task_now(self);
    if (what->local)
        what->local(self, what->arg);
    ts_time local_end = ts_task_now(self);
    ts_smp_call_wait(&call);
    if (record)
        ts_smp_call_account(&call, record, local_start, local_end);
    ts_smp_call_end(&call);
}

/* --- the target's side --- */

/* The acknowledgement. */
static void release(struct ts_task *self, struct ts_csd *csd)
{
    csd->finished = ts_task_now(self);
    csd->initiator_done = ts_vcpu_not_running_ps(csd->initiator);
    ts_task_line(self, csd->line, TS_LINE_WRITE);
    csd->released = ts_task_now(self);
    csd->locked = false;
    if (csd->waiter)
        ts_task_spin_signal(csd->waiter);
}

/* flush_smp_call_function_queue: oldest first; the release of the csd is the acknowledgement. */
void ts_smp_call_handle(struct ts_task *self, ts_time raised)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    const struct ts_guest_params *p = &gc->guest->params;
    ts_time entered = ts_task_now(self);
    ts_time not_running = ts_vcpu_not_running_ps(gc->cpu);
    ts_time host = ts_vcpu_host_ps(gc->cpu);
    ts_irq_enter(self);
    gc->guest->vm->pv->eoi(self); /* sysvec_call_function: apic_eoi comes first */
    ts_task_line(self, &gc->queue_line, TS_LINE_RMW);
    struct ts_csd *list = NULL;
    while (gc->queue) {
        struct ts_csd *csd = gc->queue;
        gc->queue = csd->next;
        csd->next = list;
        list = csd;
    }
    while (list) {
        struct ts_csd *csd = list;
        list = csd->next;
        ts_task_line(self, csd->line, TS_LINE_READ);
        ts_task_work(self, p->smp_call_handler_cycles);
        csd->raised = raised;
        /* Queued while the handler was already running: nothing was waited for. */
        csd->entered = entered > csd->sent ? entered : csd->sent;
        csd->not_running_ps = minus(not_running, csd->not_running_mark);
        csd->host_ps = minus(host, csd->host_mark);
        csd->started = ts_task_now(self);
        ts_timeline_emit(gc->guest->timeline, csd->started, TS_TL_FLOW_END,
                         gc->guest->domain->group, gc->id, "call", csd->flow);
        ts_call_fn *fn = csd->fn;
        void *arg = csd->arg;
        bool early = csd->take != NULL;
        if (early)
            arg = csd->take(self, arg);
        else
            fn(self, arg);
        release(self, csd);
        if (early) /* the csd is its initiator's again */
            fn(self, arg);
    }
    ts_irq_exit(self);
}
