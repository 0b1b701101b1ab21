/* SPDX-License-Identifier: Apache-2.0 */
/* How Xen flushes TLBs (xen/arch/x86/flushtlb.c, read at commit 01acc256eb71; smp.c
 * flush_area_mask; mm/hap/hap.c flush_tlb; x86.md 5.1).
 *
 * A flush of other pCPUs is one round for the whole machine: under flush_lock, one mask, one
 * interrupt to all of it, and each target takes its bit out of the mask when it has flushed.
 * Whoever waits for the lock has interrupts on and serves the rounds of others. Every flush of
 * everything ticks a clock, a line that all pCPUs write, and leaves its time at its pCPU
 * (pre_flush, post_flush). The filter by these times (NEED_FLUSH) spares flushes when a page goes
 * from one guest to another, which nothing here does.
 *
 * A pCPU holds the state of the vCPU that it ran last (dirty_cpu) until it loads another one, so an
 * idle pCPU is still interrupted for its vCPU. The call that fetches a state which is held
 * elsewhere (FLUSH_VCPU_STATE) is not modelled: it costs nothing here.
 *
 * | guest | a vCPU whose state a pCPU holds       | another one                               |
 * |-------|---------------------------------------|-------------------------------------------|
 * | pv    | the pCPU flushes, at the interrupt    | flushes when it is loaded: the switch of  |
 * |       |                                       | CR3 flushes everything                    |
 * | hvm   | the same, but if it runs only; it     | gets a new ASID at its next entry         |
 * |       | gets a new ASID at its next entry     |                                           |
 *
 * A flush of everything on a pCPU takes the translations of all guests (hvm_flush_guest_tlbs).
 *
 * Locks are ticket locks: in order, and of those that wait only the next pays for the line here. */
#include <stdlib.h>

#include "models/hypervisor/host_call.h"

struct waiter {
    struct waiter *next;
    struct ts_task *task;
    bool granted;
};

/* flush_lock with flush_cpumask, flush_va and flush_flags; and call_lock with call_data. */
struct round {
    struct ts_line lock_line, mask_line, data_line;
    bool locked;
    struct waiter *head, *tail;
    uint64_t *mask;
    uint32_t left;
    struct ts_task *initiator;
    bool is_call; /* of an empty function */
    bool one;     /* the page at va, else everything */
    uint64_t va;
};

struct ts_xen {
    struct round flush, call;
    struct ts_line clock_line;
    uint32_t clock; /* tlbflush_clock */
    uint32_t words;
    uint64_t *masks;   /* [npcpus + 2][words]: scratch_cpumask by pCPU, then the rounds' */
    uint32_t *targets; /* [2][npcpus] of the rounds */
};

static struct ts_hypervisor *host_of(const struct ts_task *self)
{
    TS_ASSERT(!self->cpu->is_virtual);
    return self->domain->owner;
}

static bool test_bit(const uint64_t *mask, uint32_t i)
{
    return mask[i / 64] >> i % 64 & 1u;
}

static uint64_t *scratch_of(const struct ts_task *self)
{
    struct ts_xen *x = host_of(self)->xen;
    uint64_t *mask = x->masks + (size_t)self->cpu->id * x->words;
    for (uint32_t i = 0; i < x->words; i++)
        mask[i] = 0;
    return mask;
}

/* --- one pCPU --- */

static void flush_everything(struct ts_task *self)
{
    struct ts_hypervisor *h = host_of(self);
    struct ts_tlb_inval inval =
        h->params.tlb_tags == TS_TAGS_SVM_ASID ? ts_inval_svm_flush_all() : ts_inval_invvpid_all();
    ts_task_line(self, &h->xen->clock_line, TS_LINE_RMW);
    uint32_t time = ++h->xen->clock;
    ts_task_work(self, h->params.xen_flush_cycles);
    (void)ts_mmu_invalidate(h->w.mmus[self->cpu->id], &inval, ts_task_cycle(self));
    h->pcpus[self->cpu->id].tlbflush_time = time;
    h->stats.xen_flush_all++;
}

/* INVLPG, of the vCPU whose state is here. */
static void flush_page(struct ts_task *self, uint64_t va)
{
    struct ts_hypervisor *h = host_of(self);
    const struct ts_vcpu *v = h->pcpus[self->cpu->id].curr_vcpu;
    ts_task_work(self, h->params.invvpid_addr_cycles);
    h->stats.xen_flush_one++;
    if (!v)
        return;
    struct ts_tlb_inval inval = ts_inval_invvpid_address(ts_vcpu_vmid(v), va);
    (void)ts_mmu_invalidate(h->w.mmus[self->cpu->id], &inval, ts_task_cycle(self));
}

/* flush_area_local. */
static void flush_local(struct ts_task *self, const uint64_t *va)
{
    ts_irq_disable(self);
    if (va)
        flush_page(self, *va);
    else
        flush_everything(self);
    host_of(self)->stats.xen_flushes++; /* with its kind: a run may end in between */
    ts_irq_enable(self);
}

/* --- rounds --- */

static bool is_granted(void *arg)
{
    return ((const struct waiter *)arg)->granted;
}

static void lock(struct ts_task *self, struct round *r)
{
    struct waiter w = {.task = self};
    ts_task_line(self, &r->lock_line, TS_LINE_RMW);
    if (!r->locked) {
        r->locked = true;
        return;
    }
    host_of(self)->stats.xen_lock_waits++;
    *(r->tail ? &r->tail->next : &r->head) = &w;
    r->tail = &w;
    ts_task_spin(self, is_granted, &w, &r->lock_line);
}

static void unlock(struct ts_task *self, struct round *r)
{
    ts_task_line(self, &r->lock_line, TS_LINE_RMW);
    struct waiter *next = r->head;
    if (!next) {
        r->locked = false;
        return;
    }
    r->head = next->next;
    if (!r->head)
        r->tail = NULL;
    next->granted = true;
    ts_task_spin_signal(next->task);
}

static bool is_empty(void *arg)
{
    return ((const struct round *)arg)->left == 0;
}

/* The pCPUs of mask but self's, if there are any. Preemption is off, interrupts are on. Returns the
 * time from sending to the last one's answer. */
static ts_time make_round(struct ts_task *self, struct round *r, const uint64_t *mask,
                          const uint64_t *va)
{
    struct ts_hypervisor *h = host_of(self);
    uint32_t *targets = h->xen->targets + (r->is_call ? h->w.host->ncpus : 0);
    uint32_t n = 0;
    TS_ASSERT(self->cpu->preempt_off && !self->cpu->irq_off);
    for (uint32_t i = 0; i < h->w.host->ncpus && n == 0; i++)
        n += i != self->cpu->id && test_bit(mask, i);
    if (n == 0)
        return 0;
    ts_time started = ts_task_now(self);
    lock(self, r);
    n = 0;
    ts_task_line(self, &r->data_line, TS_LINE_WRITE);
    r->one = va != NULL;
    r->va = va ? *va : 0;
    ts_task_line(self, &r->mask_line, TS_LINE_WRITE);
    for (uint32_t i = 0; i < h->w.host->ncpus; i++) {
        if (i != self->cpu->id && test_bit(mask, i))
            targets[n++] = i;
    }
    for (uint32_t i = 0; i < n; i++)
        r->mask[targets[i] / 64] |= UINT64_C(1) << targets[i] % 64;
    r->left = n;
    r->initiator = self;
    h->stats.xen_rounds++;
    h->stats.xen_round_targets += n;
    h->stats.call_targets += n;
    ts_host_send_call(self, targets, n);
    h->stats.kicks += n;
    ts_task_spin(self, is_empty, r, &r->mask_line);
    r->initiator = NULL;
    unlock(self, r);
    return ts_task_now(self) - started;
}

/* Self's bit of a round, if it is set. */
static void serve(struct ts_task *self, struct round *r)
{
    uint32_t id = self->cpu->id;
    if (!test_bit(r->mask, id))
        return;
    ts_task_line(self, &r->data_line, TS_LINE_READ);
    if (!r->is_call)
        flush_local(self, r->one ? &r->va : NULL);
    ts_task_line(self, &r->mask_line, TS_LINE_RMW);
    r->mask[id / 64] &= ~(UINT64_C(1) << id % 64);
    TS_ASSERT(r->left);
    if (--r->left == 0)
        ts_task_spin_signal(r->initiator);
}

void ts_xen_interrupt(struct ts_task *self)
{
    struct ts_xen *x = host_of(self)->xen;
    TS_ASSERT(self->cpu->irq_off);
    serve(self, &x->flush);
    serve(self, &x->call);
}

/* --- vCPUs --- */

/* vcpumask_to_pcpumask. */
static void pcpus_of(struct ts_vcpu *from, ts_vcpu_named_fn *named, const void *arg, uint64_t *mask)
{
    struct ts_hypervisor *h = from->hyp;
    for (uint32_t i = 0; i < from->vm->nvcpus; i++) {
        struct ts_vcpu *t = ts_vm_vcpu(from->vm, i);
        if (named && !named(arg, i))
            continue;
        ts_task_work(&from->task, h->params.xen_vcpumask_cycles);
        ts_task_line(&from->task, &t->request_line, TS_LINE_READ);
        uint32_t pcpu = t->task.cpu->id;
        if (h->pcpus[pcpu].curr_vcpu == t)
            mask[pcpu / 64] |= UINT64_C(1) << pcpu % 64;
    }
}

void ts_xen_flush_local(struct ts_vcpu *v, const uint64_t *va)
{
    ts_preempt_disable(&v->task);
    flush_local(&v->task, va);
    ts_preempt_enable(&v->task);
}

void ts_xen_flush_vcpus(struct ts_vcpu *v, ts_vcpu_named_fn *named, const void *arg,
                        const uint64_t *va, ts_time *wait_ps)
{
    struct ts_task *self = &v->task;
    ts_preempt_disable(self); /* a hypercall is not preempted */
    uint64_t *mask = scratch_of(self);
    pcpus_of(v, named, arg, mask);
    if (test_bit(mask, self->cpu->id))
        flush_local(self, va);
    *wait_ps += make_round(self, &v->hyp->xen->flush, mask, va);
    ts_preempt_enable(self);
}

void ts_xen_flush_hvm(struct ts_vcpu *v, ts_time *wait_ps)
{
    struct ts_task *self = &v->task;
    ts_preempt_disable(self);
    uint64_t *mask = scratch_of(self);
    for (uint32_t i = 0; i < v->vm->nvcpus; i++) {
        struct ts_vcpu *t = ts_vm_vcpu(v->vm, i);
        ts_task_work(self, v->hyp->params.xen_vcpumask_cycles);
        ts_task_line(self, &t->request_line, TS_LINE_RMW);
        t->requests |= TS_REQUEST_NEW_ASID;
        if (t->loaded)
            mask[t->task.cpu->id / 64] |= UINT64_C(1) << t->task.cpu->id % 64;
    }
    *wait_ps += make_round(self, &v->hyp->xen->call, mask, NULL);
    ts_preempt_enable(self);
}

void ts_xen_load(struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    struct ts_hyp_pcpu *here = &h->pcpus[v->task.cpu->id];
    TS_ASSERT(v->task.cpu->irq_off && !v->loaded);
    if (here->curr_vcpu == v)
        return;
    for (uint32_t i = 0; i < h->w.host->ncpus; i++) {
        if (h->pcpus[i].curr_vcpu == v)
            h->pcpus[i].curr_vcpu = NULL;
    }
    here->curr_vcpu = v;
    if (v->vm->xen == TS_XEN_PV) {
        h->stats.xen_switch_flushes++;
        flush_local(&v->task, NULL);
    } else if (v->xen_pcpu != v->task.cpu->id) {
        ts_vcpu_new_asid(v); /* vmx_do_resume, svm_do_resume */
    }
    v->xen_pcpu = v->task.cpu->id;
}

/* --- construction --- */

static void init_round(struct ts_hypervisor *h, struct round *r, uint64_t number)
{
    struct ts_xen *x = h->xen;
    struct ts_line *lines[] = {&r->lock_line, &r->mask_line, &r->data_line};
    for (uint64_t i = 0; i < TS_ARRAY_LEN(lines); i++)
        ts_line_init(h->w.lines, lines[i], (UINT64_C(10) << 58) + 4 * number + i,
                     h->w.topology->core[0]);
    r->is_call = number == 1;
    r->mask = x->masks + (h->w.host->ncpus + number) * x->words;
}

bool ts_xen_init(struct ts_hypervisor *h)
{
    uint32_t n = h->w.host->ncpus;
    struct ts_xen *x = calloc(1, sizeof(*x));
    h->xen = x;
    if (!x)
        return false;
    x->words = (n + 63) / 64;
    x->masks = calloc(((size_t)n + 2) * x->words, sizeof(*x->masks));
    x->targets = calloc((size_t)n * 2, sizeof(*x->targets));
    if (!x->masks || !x->targets)
        return false;
    init_round(h, &x->flush, 0);
    init_round(h, &x->call, 1);
    ts_line_init(h->w.lines, &x->clock_line, (UINT64_C(10) << 58) + 8, h->w.topology->core[0]);
    x->clock = 1;
    return true;
}

void ts_xen_fini(struct ts_hypervisor *h)
{
    if (!h->xen)
        return;
    free(h->xen->masks);
    free(h->xen->targets);
    free(h->xen);
    h->xen = NULL;
}
