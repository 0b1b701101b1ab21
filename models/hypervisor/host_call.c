/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/host_call.h"

#include <stdlib.h>

/* The pair's call_single_data_t, in the target's per-CPU memory. */
struct ts_host_csd {
    struct ts_host_csd *next;      /* in the target's queue */
    struct ts_host_csd *newer;     /* of the initiator's, in order of use */
    struct ts_host_csd *call_next; /* of the initiator's call */
    struct ts_line line;
    uint32_t target;
    bool locked;
    struct ts_task *waiter;
    const struct ts_vcpu *vmclear; /* of whom; NULL: the function is empty */
    ts_time used_at;
};

static struct ts_hypervisor *host_of(const struct ts_task *self)
{
    return self->domain->owner;
}

static struct ts_host_calls *calls_of(const struct ts_task *self)
{
    return &host_of(self)->pcpus[self->cpu->id].calls;
}

bool ts_host_calls_init(struct ts_hypervisor *h)
{
    uint32_t n = h->w.host->ncpus;
    uint64_t *masks = calloc((size_t)n * ((n + 63) / 64), sizeof(*masks));
    if (!masks)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        h->pcpus[i].calls.mask = masks + (size_t)i * ((n + 63) / 64);
        ts_line_init(h->w.lines, &h->pcpus[i].calls.queue_line, (UINT64_C(5) << 58) + i,
                     h->w.topology->core[i]);
    }
    return true;
}

void ts_host_calls_fini(struct ts_hypervisor *h)
{
    free(h->pcpus[0].calls.mask);
    for (uint32_t i = 0; i < h->w.host->ncpus; i++) {
        struct ts_host_calls *c = &h->pcpus[i].calls;
        while (c->csds) {
            struct ts_host_csd *csd = c->csds;
            c->csds = csd->newer;
            free(csd);
        }
        free(c->ids);
    }
}

void ts_host_call_add(struct ts_task *self, uint32_t pcpu)
{
    struct ts_host_calls *c = calls_of(self);
    TS_ASSERT(pcpu < self->domain->ncpus && pcpu != self->cpu->id);
    TS_ASSERT(self->cpu->preempt_off && !c->calling);
    c->mask[pcpu / 64] |= UINT64_C(1) << (pcpu % 64);
}

/* --- the initiator's csds --- */

static _Noreturn void out_of_memory(struct ts_task *self)
{
    struct ts_hypervisor *h = host_of(self);
    (void)ts_error_set(&h->failure, TS_ERR_ENVIRONMENT, "out of memory for calls between %u pCPUs",
                       h->w.host->ncpus);
    ts_engine_stop(h->w.engine);
    for (;;)
        ts_task_stall(self); /* the run has been stopped */
}

static void append(struct ts_host_calls *c, struct ts_host_csd *csd)
{
    csd->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->csds) = csd;
    c->newest = csd;
}

/* Takes out the pair's, or else the one that was used longest ago if it may give way. Calls for
 * the same pCPUs find theirs at the head. */
static struct ts_host_csd *take(struct ts_host_calls *c, uint32_t target, ts_time now)
{
    struct ts_host_csd *before = NULL, *csd = c->csds;
    while (csd && csd->target != target) {
        before = csd;
        csd = csd->newer;
    }
    if (!csd) {
        before = NULL;
        csd = c->csds;
        if (c->ncsds < TS_HOST_CSD_LINES || csd->locked || now - csd->used_at < TS_MS)
            return NULL;
    }
    *(before ? &before->newer : &c->csds) = csd->newer;
    if (c->newest == csd)
        c->newest = before;
    return csd;
}

static struct ts_host_csd *csd_of(struct ts_task *self, uint32_t target)
{
    struct ts_hypervisor *h = host_of(self);
    struct ts_host_calls *c = calls_of(self);
    struct ts_host_csd *csd = take(c, target, ts_task_now(self));
    bool other = !csd || csd->target != target;
    if (csd && other)
        ts_line_fini(&csd->line);
    if (!csd) {
        csd = malloc(sizeof(*csd));
        if (!csd)
            out_of_memory(self);
        c->ncsds++;
    }
    if (other) {
        *csd = (struct ts_host_csd){.target = target};
        ts_line_init(h->w.lines, &csd->line,
                     (UINT64_C(6) << 58) + (uint64_t)self->cpu->id * h->w.host->ncpus + target,
                     h->w.topology->core[target]);
    }
    TS_ASSERT(!csd->locked && !csd->waiter);
    append(c, csd);
    return csd;
}

/* --- the call --- */

/* Locks the target's csd, queues it and puts it behind the call's others. True: the queue was
 * empty, so it wants an interrupt. */
static bool enqueue(struct ts_task *self, uint32_t target, struct ts_host_csd ***tail)
{
    struct ts_hypervisor *h = host_of(self);
    struct ts_host_calls *t = &h->pcpus[target].calls;
    struct ts_host_csd *csd = csd_of(self, target);
    csd->locked = true;
    csd->vmclear = h->pcpus[self->cpu->id].calls.vmclear;
    csd->call_next = NULL;
    **tail = csd;
    *tail = &csd->call_next;
    ts_task_line(self, &csd->line, TS_LINE_WRITE);
    ts_task_line(self, &t->queue_line, TS_LINE_RMW); /* llist_add */
    bool first = t->queue == NULL;
    csd->next = t->queue;
    t->queue = csd;
    h->stats.call_targets++;
    h->stats.call_piggyback += !first;
    return first;
}

static void add_id(struct ts_task *self, struct ts_host_calls *c, uint32_t n, uint32_t target)
{
    if (n == c->ids_room) {
        uint32_t room = c->ids_room ? 2 * c->ids_room : 16;
        uint32_t *ids = realloc(c->ids, room * sizeof(*ids));
        if (!ids)
            out_of_memory(self);
        c->ids = ids;
        c->ids_room = room;
    }
    TS_ASSERT(n == 0 || c->ids[n - 1] < target);
    c->ids[n] = target;
}

void ts_host_send_call(struct ts_task *self, const uint32_t *ids, uint32_t n)
{
    struct ts_hypervisor *h = host_of(self);
    const struct ts_interrupt_params *ip = &h->interrupt_params;
    struct ts_icr_iter it = {
        .params = ip,
        .mode = (enum ts_intr_mode)ip->mode,
        .apic_ids = h->w.topology->apic_id,
        .targets = ids,
        .n = n,
        .self = self->cpu->id,
        .all_but_self = n == h->w.host->ncpus - 1,
    };
    struct ts_icr_write w;
    bool xapic = ts_intr_is_xapic(it.mode);
    h->stats.call_ipis += n;
    if (xapic)
        ts_irq_disable(self);
    while (ts_icr_next(&it, &w)) {
        ts_icr_work(self, h->w.interrupt, ip, it.mode, w.kind);
        ts_interrupt_count_write(h->w.interrupt);
        for (uint32_t i = w.first; i < w.end; i++) {
            if (ts_icr_reaches(&it, &w, i))
                ts_interrupt_send(h->w.interrupt, self->cpu->id, ids[i], TS_VEC_CALL, 0);
        }
    }
    if (xapic)
        ts_irq_enable(self);
}

static bool unlocked(void *arg)
{
    return !((const struct ts_host_csd *)arg)->locked;
}

/* csd_lock_wait for each, in the order of pCPUs. */
static void wait_for_all(struct ts_task *self, struct ts_host_csd *called)
{
    for (struct ts_host_csd *csd = called; csd; csd = csd->call_next) {
        ts_task_line(self, &csd->line, TS_LINE_READ);
        if (csd->locked) {
            csd->waiter = self;
            ts_task_spin(self, unlocked, csd, &csd->line);
            csd->waiter = NULL;
        }
        TS_ASSERT(!csd->locked);
        csd->used_at = ts_task_now(self);
    }
}

ts_time ts_host_call_many(struct ts_task *self)
{
    struct ts_host_calls *c = calls_of(self);
    struct ts_host_csd **tail = &c->called;
    uint32_t n = 0;
    TS_ASSERT(self->cpu->preempt_off && !self->cpu->irq_off && !c->calling);
    c->called = NULL;
    c->calling = true;
    for (uint32_t pcpu = 0; pcpu < self->domain->ncpus; pcpu++) {
        if ((c->mask[pcpu / 64] >> (pcpu % 64) & 1u) && enqueue(self, pcpu, &tail))
            add_id(self, c, n++, pcpu);
    }
    if (n)
        ts_host_send_call(self, c->ids, n);
    host_of(self)->stats.kicks += c->vmclear ? 0 : n;
    ts_time sent = ts_task_now(self);
    wait_for_all(self, c->called);
    for (uint32_t w = 0; w < (self->domain->ncpus + 63) / 64; w++)
        c->mask[w] = 0;
    TS_ASSERT(c->calling);
    c->calling = false;
    return ts_task_now(self) - sent;
}

ts_time ts_host_call_vmclear(struct ts_task *self, uint32_t pcpu, const struct ts_vcpu *v)
{
    struct ts_host_calls *c = calls_of(self);
    ts_time called = ts_task_now(self);
    TS_ASSERT(!c->vmclear);
    c->vmclear = v;
    ts_host_call_add(self, pcpu);
    (void)ts_host_call_many(self);
    c->vmclear = NULL;
    return ts_task_now(self) - called;
}

void ts_host_call_handle(struct ts_task *self)
{
    struct ts_host_calls *c = calls_of(self);
    struct ts_host_csd *list = NULL;
    TS_ASSERT(self->cpu->irq_off);
    ts_task_line(self, &c->queue_line, TS_LINE_RMW); /* llist_del_all */
    while (c->queue) {
        struct ts_host_csd *csd = c->queue;
        c->queue = csd->next;
        csd->next = list;
        list = csd;
    }
    while (list) {
        struct ts_host_csd *csd = list;
        list = csd->next;
        TS_ASSERT(csd->locked && csd->target == self->cpu->id);
        ts_task_line(self, &csd->line, TS_LINE_READ);
        /* ack_kick does nothing. The unlock is the acknowledgement. */
        if (csd->vmclear)
            ts_vcpu_vmclear(self, csd->vmclear);
        ts_task_line(self, &csd->line, TS_LINE_WRITE);
        csd->next = NULL;
        csd->locked = false;
        if (csd->waiter)
            ts_task_spin_signal(csd->waiter);
    }
}
