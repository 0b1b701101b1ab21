/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: each carries out its stream of workload operations on a fiber of its own. */
#include <stdlib.h>

#include "models/guest/mm/numa.h"
#include "models/guest/os/thread.h"

struct barrier {
    uint32_t number;
    uint64_t arrived;
    /* Through wait_next: who waits, and who has been let go but not been woken yet. */
    struct ts_task *head, *tail;
    struct ts_task *released, *released_tail;
};

/* guest->sync */
struct ts_guest_sync {
    struct barrier *barriers; /* sorted by number */
    uint32_t nbarriers, room;
    uint64_t operations;
};

uint64_t ts_guest_operations(const struct ts_guest *g)
{
    const struct ts_guest_sync *sync = g->sync;

    return sync ? sync->operations : 0;
}

/* --- barriers --- */

static struct barrier *find_barrier(struct ts_task *self, struct ts_guest_sync *sync,
                                    uint32_t number)
{
    uint32_t i = 0;

    while (i < sync->nbarriers && sync->barriers[i].number < number)
        i++;
    if (i < sync->nbarriers && sync->barriers[i].number == number)
        return &sync->barriers[i];
    if (sync->nbarriers == sync->room) {
        uint32_t room = sync->room ? 2 * sync->room : 8;
        struct barrier *b = realloc(sync->barriers, room * sizeof(*b));
        if (!b)
            ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for a barrier");
        sync->barriers = b;
        sync->room = room;
    }
    for (uint32_t k = sync->nbarriers++; k > i; k--)
        sync->barriers[k] = sync->barriers[k - 1];
    sync->barriers[i] = (struct barrier){.number = number};
    return &sync->barriers[i];
}

static bool waits_there(const struct ts_task *self, const struct barrier *b)
{
    const struct ts_task *lists[] = {b->head, b->released};

    for (size_t i = 0; i < TS_ARRAY_LEN(lists); i++) {
        for (const struct ts_task *t = lists[i]; t; t = t->wait_next) {
            if (t == self)
                return true;
        }
    }
    return false;
}

static void append(struct ts_task **head, struct ts_task **tail, struct ts_task *first,
                   struct ts_task *last)
{
    if (*head)
        (*tail)->wait_next = first;
    else
        *head = first;
    *tail = last;
}

/* The last to come frees the barrier at that instant and wakes the others one after the other, who
 * may be back at it before the last of them has been woken. Waking takes time, in which barriers
 * may be added: b is looked up again. */
static void wake_barrier(struct ts_task *self, struct ts_guest *g, struct barrier *b)
{
    uint32_t number = b->number;
    struct ts_task *t;

    if (b->head)
        append(&b->released, &b->released_tail, b->head, b->tail);
    b->head = b->tail = NULL;
    b->arrived = 0;
    while ((t = b->released) != NULL) {
        b->released = t->wait_next;
        ts_guest_not_waiting(g);
        ts_task_wake(self, t);
        b = find_barrier(self, g->sync, number);
    }
}

/* A futex: one system call for each thread. */
static void do_barrier(struct ts_task *self, struct ts_guest_thread *thread)
{
    struct ts_guest *g = thread->guest;
    struct ts_guest_sync *sync = g->sync;
    const struct ts_op *op = &thread->op;
    struct barrier *b;

    g->os->enter(self, thread->mm, op);
    b = find_barrier(self, sync, op->region);
    if (++b->arrived >= op->count) {
        wake_barrier(self, g, b);
    } else {
        self->wait_next = NULL;
        append(&b->head, &b->tail, self, self);
        ts_guest_waiting(self, "barrier", op->region);
        while (waits_there(self, find_barrier(self, sync, op->region)))
            ts_task_block(self);
    }
    g->os->leave(self);
}

/* --- other operations --- */

/* hrtimer_nanosleep; ts_task_sleep programmes the timer. */
static void do_sleep(struct ts_task *self, struct ts_guest_thread *thread)
{
    const struct ts_guest *g = thread->guest;

    g->os->enter(self, thread->mm, &thread->op);
    ts_task_work(self, g->params.nanosleep_cycles);
    ts_task_sleep(self, g->os->sleep_ps(g, ts_task_now(self), thread->op.length * TS_NS));
    g->os->leave(self);
}

static enum ts_status start_thread(struct ts_task *self, struct ts_guest *g, uint32_t number,
                                   struct ts_mm *mm, struct ts_error *err);

static const char *const op_names[TS_OP_KINDS] = {
    [TS_OP_MREMAP] = "mremap",
    [TS_OP_VFREE] = "vfree",
    [TS_OP_MADVISE_HUGEPAGE] = "MADV_HUGEPAGE",
    [TS_OP_MADVISE_NOHUGEPAGE] = "MADV_NOHUGEPAGE",
    [TS_OP_MADVISE_COLLAPSE] = "MADV_COLLAPSE",
    [TS_OP_MADVISE_FREE] = "MADV_FREE",
    [TS_OP_MADVISE_COLD] = "MADV_COLD",
    [TS_OP_MADVISE_PAGEOUT] = "MADV_PAGEOUT",
    [TS_OP_FLUSH] = "flush",
    [TS_OP_UCALL] = "ucall",
};

static void not_there(struct ts_task *self, const struct ts_guest_thread *thread, const char *what)
{
    ts_guest_fail(
        self, TS_ERR_USER,
        "workload: thread %u asks for %s, which guest.os %s does not have; guest.os linux "
        "does",
        thread->number, what, thread->guest->os->name);
}

static void do_spawn(struct ts_task *self, struct ts_guest_thread *thread)
{
    struct ts_guest *g = thread->guest;
    struct ts_mm *mm = thread->mm;
    struct ts_error err;
    enum ts_status s = TS_OK;

    g->os->enter(self, mm, &thread->op);
    if ((thread->op.flags & TS_OPF_COPY_MM) && !g->os->mm_fork)
        not_there(self, thread, "fork");
    ts_task_work(self, g->params.spawn_cycles);
    if (thread->op.flags & TS_OPF_NEW_MM)
        s = g->os->mm_create(g, &mm, &err);
    if (s == TS_OK && mm != thread->mm && (thread->op.flags & TS_OPF_COPY_MM))
        g->os->mm_fork(self, thread->mm, mm);
    if (s == TS_OK)
        s = start_thread(self, g, thread->op.target, mm, &err);
    if (s != TS_OK)
        ts_guest_fail(self, s, "%s", err.message);
    g->os->leave(self);
}

/* Leaves the address space: its last thread takes it down (mmput, exit_mmap). */
static void leave_mm(struct ts_task *self, struct ts_mm *mm)
{
    if (--mm->users == 0)
        mm->guest->os->mm_exit(self, mm);
}

/* execve, which costs as much as a clone (assumed). exec_mmap loads the new address space before it
 * lets the old one go (fs/exec.c), so that its last flush does not find this CPU in it. */
static void do_exec(struct ts_task *self, struct ts_guest_thread *thread)
{
    struct ts_guest *g = thread->guest;
    struct ts_mm *mm, *old = thread->mm;
    struct ts_error err;
    enum ts_status s;

    g->os->enter(self, thread->mm, &thread->op);
    ts_task_work(self, g->params.spawn_cycles);
    s = g->os->mm_create(g, &mm, &err);
    if (s != TS_OK)
        ts_guest_fail(self, s, "%s", err.message);
    ts_irq_disable(self);
    thread->mm = mm;
    mm->users = 1;
    ts_numa_thread_init(thread, true);
    g->os->mm_switch(self, mm);
    ts_irq_enable(self);
    leave_mm(self, old);
    g->os->leave(self);
}

static void do_ucall(struct ts_task *self, const struct ts_guest_thread *thread)
{
    const struct ts_guest *g = thread->guest;

    if (!g->vm->pv->user_exit)
        ts_guest_fail(self, TS_ERR_USER,
                      "workload: thread %u leaves for a VMM, and there is none: hypervisor.kind is "
                      "none",
                      thread->number);
    if (thread->op.count != g->ncpus)
        ts_guest_fail(self, TS_ERR_USER,
                      "workload.threads is %llu, run.vcpus is %u: the VMM waits for a thread on "
                      "each vCPU",
                      (unsigned long long)thread->op.count, g->ncpus);
    g->vm->pv->user_exit(self, thread->op.region);
}

static void do_op(struct ts_task *self, struct ts_guest_thread *thread)
{
    const struct ts_op *op = &thread->op;

    switch (op->kind) {
    case TS_OP_COMPUTE:
        ts_task_work_ps(self, op->length * TS_NS);
        break;
    case TS_OP_SLEEP:
        do_sleep(self, thread);
        break;
    case TS_OP_SPAWN:
        do_spawn(self, thread);
        break;
    case TS_OP_BARRIER:
        do_barrier(self, thread);
        break;
    case TS_OP_EXEC:
        do_exec(self, thread);
        break;
    case TS_OP_EXIT:
        break;
    case TS_OP_UCALL:
        do_ucall(self, thread);
        break;
    default:
        TS_ASSERT((uint32_t)op->kind < TS_OP_KINDS);
        if (!thread->guest->os->op[op->kind])
            not_there(self, thread, op_names[op->kind]);
        thread->guest->os->op[op->kind](self, thread->mm, op);
        break;
    }
}

/* do_exit */
static void exit_thread(struct ts_task *self, struct ts_guest_thread *thread)
{
    struct ts_guest *g = thread->guest;
    const struct ts_op exit_op = {.kind = TS_OP_EXIT};

    g->os->enter(self, thread->mm, &exit_op);
    leave_mm(self, thread->mm);
    thread->done = true;
    thread->ended_at = ts_task_now(self);
    if (--g->threads_alive == 0 ||
        (g->threads_waiting == g->threads_alive && ts_guest_is_over(g, thread->ended_at))) {
        ts_guest_finished(g, thread->ended_at);
    } else if (g->threads_waiting == g->threads_alive) {
        ts_guest_fail(self, TS_ERR_USER,
                      "workload: every thread but those that have ended waits for a region or a "
                      "barrier");
    }
}

static void count_record(struct ts_task *self, struct ts_guest *g)
{
    ts_time now = ts_task_now(self);

    if (now > g->record_from && now <= g->record_until)
        g->stats.records++;
}

static void thread_main(struct ts_task *self)
{
    struct ts_guest_thread *thread = self->user;
    struct ts_guest *g = thread->guest;
    struct ts_guest_sync *sync = g->sync;
    struct ts_error err = {0};

    thread->started_at = ts_task_now(self);
    self->user_mode = true;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_USER);
    while (!ts_guest_is_over(g, ts_task_now(self))) {
        int n = g->workload->next(g->workload, thread->number, &thread->op, &err);
        if (n < 0) {
            ts_guest_fail(self, err.status, "%s", err.message);
        }
        if (n == 0 || thread->op.kind == TS_OP_EXIT)
            break;
        do_op(self, thread);
        sync->operations++;
        if (thread->op.flags & TS_OPF_RECORD)
            count_record(self, g);
    }
    exit_thread(self, thread);
}

/* --- construction --- */

static enum ts_status grow_threads(struct ts_guest *g, uint32_t number, struct ts_error *err)
{
    uint32_t room = g->threads_room ? g->threads_room : 16;
    struct ts_guest_thread **threads;

    if (number >= UINT32_MAX / 2)
        return ts_error_set(err, TS_ERR_USER, "workload: thread number %u is too large", number);
    while (room <= number)
        room *= 2;
    if (room != g->threads_room) {
        threads = realloc(g->threads, room * sizeof(struct ts_guest_thread *));
        if (!threads)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for thread %u", number);
        for (uint32_t i = g->threads_room; i < room; i++)
            threads[i] = NULL;
        g->threads = threads;
        g->threads_room = room;
    }
    if (number >= g->nthreads)
        g->nthreads = number + 1;
    return TS_OK;
}

static enum ts_status start_thread(struct ts_task *self, struct ts_guest *g, uint32_t number,
                                   struct ts_mm *mm, struct ts_error *err)
{
    enum ts_status s = grow_threads(g, number, err);
    struct ts_guest_thread *thread;

    if (s != TS_OK)
        return s;
    if (g->threads[number])
        return ts_error_set(err, TS_ERR_USER, "workload: thread %u is started twice", number);
    thread = calloc(1, sizeof(*thread));
    if (!thread)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for thread %u", number);
    g->threads[number] = thread;
    thread->guest = g;
    thread->mm = mm;
    thread->number = number;
    s = ts_task_init(&thread->task, g->domain, "thread", thread_main, thread, err);
    if (s != TS_OK)
        return s;
    thread->started = true;
    uint32_t cpu = number;
    if (g->workload->pinned ||
        (g->workload->cpu_of && g->workload->cpu_of(g->workload, number, &cpu)))
        thread->task.pinned = thread->task.cpu = &g->domain->cpus[cpu % g->ncpus];
    mm->users++;
    ts_numa_thread_init(thread, mm->users == 1);
    g->threads_alive++;
    ts_task_wake(self, &thread->task);
    return TS_OK;
}

enum ts_status ts_guest_threads_start(struct ts_guest *g, struct ts_error *err)
{
    struct ts_mm *mm;
    enum ts_status s;

    g->sync = calloc(1, sizeof(struct ts_guest_sync));
    if (!g->sync)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for threads");
    if (g->workload->initial_threads == 0)
        return ts_error_set(err, TS_ERR_USER, "workload: it has no thread to begin with");
    s = g->os->mm_create(g, &mm, err);
    for (uint32_t i = 0; s == TS_OK && i < g->workload->initial_threads; i++)
        s = start_thread(NULL, g, i, mm, err);
    return s == TS_OK ? ts_guest_kthreads_start(g, err) : s;
}

void ts_guest_threads_fini(struct ts_guest *g)
{
    struct ts_guest_sync *sync = g->sync;

    for (uint32_t i = 0; i < g->nthreads; i++) {
        if (g->threads[i]) {
            ts_task_fini(&g->threads[i]->task);
            free(g->threads[i]->call_waiting);
        }
        free(g->threads[i]);
    }
    free(g->threads);
    g->threads = NULL;
    g->nthreads = g->threads_room = 0;
    ts_guest_kthreads_fini(g);
    for (uint32_t i = 0; i < g->nmms; i++)
        g->os->mm_destroy(g->mms[i]);
    free(g->mms);
    g->mms = NULL;
    g->nmms = g->mms_room = 0;
    if (sync)
        free(sync->barriers);
    free(sync);
    g->sync = NULL;
}
