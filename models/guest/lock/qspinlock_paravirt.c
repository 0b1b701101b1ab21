/* SPDX-License-Identifier: Apache-2.0 */
/* Queued spinlocks of a guest whose host wakes a halted vCPU on demand (Linux 6.12 kernel/locking/
 * qspinlock.c, qspinlock_paravirt.h, arch/x86/kernel/kvm.c kvm_wait, kvm_kick_cpu; 6.1 the same).
 *
 * The word's bytes change at one instant, between two primitives that let time pass. Left out: the
 * hash table's lines, and the queue nodes' (spinlock.h). */
#include "models/abi/vm.h"
#include "models/guest/lock/spinlock_private.h"

enum { PREV_CHECK_LOOPS = 256 }; /* PV_PREV_CHECK_MASK + 1 */

static ts_time loops_ps(const struct ts_task *self, const struct ts_spinlocks *locks,
                        uint64_t loops)
{
    return ts_clock_cycle_time(self->domain->clock, loops * locks->pause_cycles);
}

/* --- halting and kicking --- */

/* pv_wait. kvm_wait looks at the byte with interrupts off, and HLT lets them in again, so that
 * nothing comes between: here no time passes. */
static void halt_if(struct ts_task *self, struct ts_spinlocks *locks, bool still)
{
    const struct ts_vm *vm = self->domain->vm;
    ts_time *kicked = &locks->kicked[self->cpu->id];

    *kicked = 0;
    if (still)
        vm->pv->halt_until_kicked(self);
    if (*kicked) {
        locks->events->pv_latency_wake_ps += ts_task_now(self) - *kicked;
        locks->events->pv_kick_wake++;
    }
}

static void kick(struct ts_task *self, struct ts_spinlocks *locks, uint32_t cpu)
{
    struct ts_vm *vm = self->domain->vm;
    struct ts_hypercall call = {.abi = TS_ABI_KVM, .number = TS_KVM_HC_KICK_CPU};
    ts_time start = ts_task_now(self);

    call.args[1] = vm->apic_ids ? vm->apic_ids[cpu] : cpu;
    locks->events->pv_kick_unlock++;
    locks->kicked[cpu] = start;
    ts_hypercall(self, vm, &call);
    locks->events->pv_latency_kick_ps += ts_task_now(self) - start;
}

/* The one behind looks at it, when it comes to that. */
static void set_state(struct ts_spin_node *node, enum ts_spin_state state)
{
    node->state = state;
    if (node->next)
        ts_task_spin_signal(node->next->task);
}

/* --- a newcomer --- */

static bool steal_or_queue(void *arg)
{
    const struct ts_spinlock *lock = arg;

    return !lock->owner || !lock->head || lock->pending;
}

/* pv_hybrid_queued_unfair_trylock */
static bool steal(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spinlock *lock)
{
    for (;;) {
        if (!lock->owner && !lock->pending) {
            ts_task_line(self, &lock->line, TS_LINE_RMW);
            if (!lock->owner) {
                lock->owner = self;
                locks->events->pv_lock_stealing++;
                return true;
            }
        }
        if (!lock->head || lock->pending)
            return false;
        ts_spin_watch(self, lock, steal_or_queue);
    }
}

/* --- in the queue --- */

/* pv_wait_early. Until 5.3 a vCPU that its host has preempted counted as one that does not run. */
static bool prev_is_out(const struct ts_spin_node *node)
{
    const struct ts_task *prev = node->prev->task;

    return node->prev->state != TS_SPIN_RUNNING ||
           (node->locks->early_if_preempted &&
            ts_vm_vcpu_is_preempted(prev->domain->vm, prev->cpu->id));
}

static bool is_head(void *arg)
{
    return ((const struct ts_spin_node *)arg)->locked;
}

static bool is_head_or_prev_is_out(void *arg)
{
    const struct ts_spin_node *node = arg;

    return node->locked || prev_is_out(node);
}

/* The spin of pv_wait_node, with a look at the one before at every 256th loop. True: it is not
 * running. */
static bool spin_behind(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spin_node *node)
{
    const ts_time all = loops_ps(self, locks, locks->spin_threshold);
    const ts_time step = loops_ps(self, locks, PREV_CHECK_LOOPS);
    ts_time left = all;

    while (left && ts_spin_for(self, is_head_or_prev_is_out, node, NULL, &left) && !node->locked) {
        ts_time since = step ? (all - left) % step : 0;
        ts_time rest = since ? step - since : 0;
        rest = rest < left ? rest : left;
        left -= rest;
        if (ts_spin_for(self, is_head, node, NULL, &rest))
            return false;
        if (left && prev_is_out(node))
            return true;
    }
    return false;
}

static void wait_node(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spin_node *node)
{
    for (;;) {
        bool early = spin_behind(self, locks, node);
        if (node->locked)
            return;
        set_state(node, TS_SPIN_HALTED);
        locks->events->pv_wait_node++;
        locks->events->pv_wait_early += early;
        halt_if(self, locks, node->state == TS_SPIN_HALTED);
        if (node->state == TS_SPIN_HALTED)
            set_state(node, TS_SPIN_RUNNING);
        locks->events->pv_spurious_wakeup += !node->locked;
    }
}

void ts_spinlocks_recheck(struct ts_spinlocks *locks)
{
    for (struct ts_spin_node *n = locks->waiting; n; n = n->next_waiting)
        ts_task_spin_signal(n->task);
}

static void wait_behind(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spin_node *node)
{
    struct ts_spin_node **link;

    if (locks->early_if_preempted) {
        node->next_waiting = locks->waiting;
        locks->waiting = node;
    }
    wait_node(self, locks, node);
    for (link = &locks->waiting; *link && *link != node;)
        link = &(*link)->next_waiting;
    if (*link)
        *link = node->next_waiting;
}

/* --- at its head --- */

static bool is_free(void *arg)
{
    return !((const struct ts_spinlock *)arg)->owner;
}

static void set_pending(struct ts_task *self, struct ts_spinlock *lock, bool pending)
{
    ts_task_line(self, &lock->line, TS_LINE_WRITE);
    lock->pending = pending;
    ts_spin_word_changed(lock);
}

/* trylock_clear_pending, as often as the threshold says. */
static bool spin_for_lock(struct ts_task *self, struct ts_spinlocks *locks,
                          struct ts_spinlock *lock)
{
    ts_time left = loops_ps(self, locks, locks->spin_threshold);

    while (ts_spin_for(self, is_free, lock, &lock->line, &left)) {
        ts_task_line(self, &lock->line, TS_LINE_RMW);
        if (!lock->owner) {
            lock->pending = false;
            lock->owner = self;
            return true;
        }
    }
    return false;
}

/* pv_wait_head_or_lock. A lock that was stolen is not _Q_SLOW_VAL any more: then there is no halt
 * however long it lasts. */
static void wait_head_or_lock(struct ts_task *self, struct ts_spinlocks *locks,
                              struct ts_spinlock *lock, struct ts_spin_node *node)
{
    bool hashed = node->state == TS_SPIN_HASHED;

    locks->events->lock_slowpath++;
    for (uint64_t waits = 0;; waits++) {
        set_state(node, TS_SPIN_RUNNING);
        set_pending(self, lock, true);
        if (spin_for_lock(self, locks, lock))
            return;
        set_pending(self, lock, false);
        if (!hashed) {
            hashed = true;
            ts_task_line(self, &lock->line, TS_LINE_RMW);
            if (!lock->owner) {
                lock->owner = self;
                return;
            }
            lock->slow = true;
            lock->kick_cpu = self->cpu->id;
        }
        set_state(node, TS_SPIN_HASHED);
        locks->events->pv_wait_head++;
        locks->events->pv_wait_again += waits > 0;
        halt_if(self, locks, lock->slow);
    }
}

/* The next one becomes the head; one that has halted is left to sleep, and the lock's word says
 * that it must be kicked (pv_kick_node). */
static void pass_head_on(struct ts_task *self, struct ts_spinlock *lock, struct ts_spin_node *node)
{
    struct ts_spin_node *next;

    if (lock->tail == node)
        ts_task_line(self, &lock->line, TS_LINE_RMW);
    next = node->next;
    lock->head = next;
    if (!next) {
        lock->tail = NULL;
        ts_spin_word_changed(lock);
        return;
    }
    bool halted = next->state == TS_SPIN_HALTED;
    uint32_t cpu = next->task->cpu->id;
    next->locked = true;
    if (halted)
        next->state = TS_SPIN_HASHED;
    ts_task_spin_signal(next->task);
    if (halted) {
        lock->slow = true;
        lock->kick_cpu = cpu;
        ts_task_line(self, &lock->line, TS_LINE_WRITE);
    }
}

void ts_pv_spin_lock_slowpath(struct ts_task *self, struct ts_spinlocks *locks,
                              struct ts_spinlock *lock)
{
    struct ts_spin_node node = {.task = self, .locks = locks};

    if (steal(self, locks, lock))
        return;
    ts_task_line(self, &lock->line, TS_LINE_RMW); /* xchg_tail */
    node.prev = lock->tail;
    if (node.prev)
        node.prev->next = &node;
    else
        lock->head = &node;
    lock->tail = &node;
    if (node.prev)
        wait_behind(self, locks, &node);
    wait_head_or_lock(self, locks, lock, &node);
    TS_ASSERT(lock->owner == self && lock->head == &node);
    pass_head_on(self, lock, &node);
}

void ts_pv_spin_unlock(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spinlock *lock)
{
    uint32_t cpu;
    bool slow;

    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(lock->owner == self);
    slow = lock->slow;
    cpu = lock->kick_cpu;
    lock->owner = NULL;
    lock->slow = false;
    if (lock->head)
        ts_task_spin_signal(lock->head->task);
    ts_spin_word_changed(lock);
    if (slow)
        kick(self, locks, cpu);
}
