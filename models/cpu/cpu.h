/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs and tasks: two levels of one shape.
 *
 * A physical CPU (pCPU) runs tasks under a scheduler. A virtual CPU (vCPU) is a CPU that is at the
 * same time a task of the host. On bare metal the guest's tasks run on pCPUs directly. A task that
 * is not a vCPU has a fiber; the code on it is system software written as straight-line C that
 * blocks in the primitives below. A vCPU has no fiber of its own: it executes the fiber of its
 * current task; a VM exit runs the hypervisor's handler nested on that fiber.
 *
 * `self` names who executes and at which level: guest code passes its guest task (self->cpu is the
 * vCPU, or the pCPU on bare metal); the hypervisor's code passes the vCPU's host task (self->cpu is
 * the pCPU). Any primitive that lets time pass may take interrupts, exits, preemption and migration
 * in between, so self->cpu must be read afresh after it unless interrupts are off at that level.
 *
 * Interrupts are a small set of vectors. A handler runs nested on the interrupted task's fiber with
 * interrupts off.
 */
#ifndef TS_MODELS_CPU_H
#define TS_MODELS_CPU_H

#include "models/cpu/sched.h"
#include "models/cpu/vcpu_time.h"
#include "models/line/line.h"
#include "models/topology/topology.h"
#include "sim/clock.h"
#include "sim/cpumask.h"
#include "sim/engine.h"
#include "sim/fiber.h"
#include "sim/stats.h"
#include "sim/steps.h"
#include "sim/timeline.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In order of priority: the lowest pending bit is taken first. That is the order of Linux's vector
 * numbers on x86, highest first (models/interrupt/lapic.h; tests/unit/interrupt_order_test.cpp),
 * and on arm64 of its SGI numbers, lowest first, before the timer's PPI. */
enum ts_vector {
    TS_VEC_RESCHED = 0,
    TS_VEC_KICK = 1,   /* host: leave guest mode (KVM request, IPI_CALL with an empty function) */
    TS_VEC_CALL = 2,   /* call function (single or mask) */
    TS_VEC_WAKEUP = 3, /* host: a blocked vCPU has been posted an interrupt by hardware */
    TS_VEC_TIMER = 4,  /* a sleeping task's timer has run out on this CPU */
    TS_VEC_TICK = 5,
    TS_VEC_POSTED = 6, /* posted-interrupt notification: never pending, see hypervisor */
    TS_VECTORS = 7
};
/* The vector numbers that Linux gives them on x86. */
extern const uint8_t ts_vector_numbers[TS_VECTORS];
/* The vector that a guest means by a number in an ICR (of those that share one, the call's).
 * TS_VECTORS: none has it. */
enum ts_vector ts_vector_of_number(uint32_t number);

/* Where a CPU's time goes; every picosecond of a CPU that exists is in one of them. */
enum ts_cpu_mode {
    TS_MODE_IDLE = 0,
    TS_MODE_USER = 1,
    TS_MODE_SYSTEM = 2, /* kernel, on behalf of the current task */
    TS_MODE_SPIN = 3,   /* kernel, waiting by spinning */
    TS_MODE_IRQ = 4,
    TS_MODE_HOST = 5,  /* vCPU: the hypervisor works for it (exits); pCPU: host kernel */
    TS_MODE_GUEST = 6, /* pCPU: a vCPU runs in guest mode */
    TS_MODE_STEAL = 7, /* vCPU: runnable, but not on a pCPU */
    TS_MODES = 8
};

struct ts_cpu;
struct ts_task;
struct ts_cpu_domain;
struct ts_vm;

typedef void ts_task_fn(struct ts_task *self);

enum ts_task_state {
    TS_TASK_NEW,
    TS_TASK_RUNNABLE,
    TS_TASK_RUNNING,
    TS_TASK_BLOCKED,
    TS_TASK_DEAD
};

struct ts_task {
    const char *name;
    uint32_t number;
    enum ts_task_state state;
    struct ts_cpu *cpu; /* runs, waits or last ran there */
    struct ts_cpu_domain *domain;
    struct ts_fiber *fiber;           /* NULL for a vCPU */
    struct ts_cpu *vcpu;              /* the vCPU that this host task is, or NULL */
    struct ts_cpu *pinned;            /* may run there only, or NULL */
    const struct ts_cpumask *allowed; /* CPUs of the domain where it may run; NULL: all. cpu is one
                                         of them */
    ts_task_fn *fn;
    void *user; /* the owner's: guest thread, ... */
    struct ts_sched_entity se;
    struct ts_sched_entity member; /* se's, inside its group (group.h) */
    bool wake_pending;             /* woken while about to block */
    bool is_idle;
    bool spinning; /* parked in ts_task_spin right now */
    /* The owner's: it spins without PAUSE, so that it takes its share of the core. */
    bool spin_executes;
    bool user_mode; /* executes user code (PLE and accounting care) */
    bool spin_signalled;
    bool stall_over;          /* ts_task_stall_done came before the stall */
    struct ts_cpu *timer_cpu; /* where it went to sleep */
    ts_time timer_expires;    /* of timer */
    struct ts_task *sleeps_next;
    ts_time runnable_since;
    ts_time last_ran;
    /* placement.c */
    bool placed;                /* has been woken before */
    uint64_t last_wakee;        /* number of the task it woke last, and 1; 0: none */
    uint64_t wakee_flips;       /* times that was another one than before, halved each second */
    ts_time wakee_flips_halved; /* when */
    struct ts_cpu *recent_cpu;  /* recent_used_cpu: where it ran before; NULL: nowhere */
    uint64_t run_delay_ps;      /* waiting on a run queue */
    struct ts_event timer;      /* ts_task_sleep */
    struct ts_task *expired_next;
    struct ts_task *wait_next;  /* link of one wait list at a time */
    ts_time user_ps, system_ps; /* as getrusage tells; system includes irq and spin */
    ts_time exec_mark;          /* its CPU's local clock when it was last charged */
    struct ts_vcpu_clock clock; /* of a vCPU */
};

/* What differs between a host's pCPU, a guest's vCPU and a bare-metal CPU. Any hook but interrupt
 * may be NULL. */
struct ts_cpu_ops {
    /* A vector has been taken; interrupts are off; self is the interrupted task. */
    void (*interrupt)(struct ts_task *self, enum ts_vector vector, ts_time raised);
    /* self (prev) is about to be replaced by next on its CPU; interrupts off. Guest: switch_mm or
     * lazy TLB; host: vCPU put. */
    void (*switch_out)(struct ts_task *self, struct ts_task *next);
    /* self has just become the running task; interrupts off. Host: vCPU load. */
    void (*switch_in)(struct ts_task *self);
    /* vCPU only: its very first entry into guest mode. */
    void (*first_entry)(struct ts_cpu *vcpu);
    /* Nothing to run: halt until an interrupt is pending. May return spuriously. */
    void (*idle)(struct ts_task *self);
    /* Tells another CPU of the domain to look at its run queue. */
    void (*send_resched)(struct ts_task *self, struct ts_cpu *target);
    /* A timer of `task` on this CPU has run out; hardware context (no fiber). Must see to it that
     * TS_VEC_TIMER reaches the CPU. */
    void (*timer_fired)(struct ts_cpu *cpu);
    /* self programmes its CPU's timer. */
    void (*timer_program)(struct ts_task *self);
    /* self goes to sleep until then: true if that needs programming. NULL: it always does. */
    bool (*timer_first)(struct ts_task *self, ts_time expires);
    /* vCPU only: the pCPU under it wants attention while in guest mode: exit, handle, enter. */
    void (*host_exit)(struct ts_cpu *vcpu);
    /* vCPU only: a spin in kernel mode has lasted the pause-loop window. */
    void (*pause_exit)(struct ts_cpu *vcpu);
    /* vCPU only: vcpu_is_preempted, as its guest is told. */
    bool (*preempted)(const struct ts_cpu *vcpu);
};

/* Groups of CPUs, each within one of the next: what a scheduling domain's groups are (balance.c),
 * and what select_task_rq looks at. A guest's vCPUs are one socket of cores of one thread. */
enum ts_cpu_level { TS_LEVEL_CPU, TS_LEVEL_CORE, TS_LEVEL_SOCKET, TS_LEVEL_ALL };
enum { TS_LEVELS = TS_LEVEL_ALL };

struct ts_cpu_stats {
    uint64_t mode_ps[TS_MODES];
    uint64_t interrupts[TS_VECTORS];
    uint64_t context_switches;
    uint64_t wakeups;
    uint64_t migrations;      /* tasks that came here from another CPU */
    uint64_t preemptions;     /* the running task gave way while runnable */
    uint64_t smt_lost_cycles; /* pCPU: what its work took longer for other threads of its core */
    uint64_t held_cycles;     /* what its work took longer because its look-ups were held up */
    uint64_t held_foreign_cycles; /* of those, for operations that do not concern it */
};

struct ts_cpu {
    uint32_t id; /* within its domain */
    struct ts_cpu_domain *domain;
    const struct ts_cpu_ops *ops;
    struct ts_task *current;
    struct ts_task *incoming; /* picked, the switch to it is under way; else NULL */
    struct ts_task *idle;
    struct ts_runqueue rq;
    struct ts_event tick;
    bool need_resched;
    uint32_t balance_due;                /* levels to balance at its next tick (balance.c) */
    uint32_t periodic_failed[TS_LEVELS]; /* by level: times in a row that nothing could be moved */
    uint32_t balance_failed;    /* times an idle CPU found only tasks that had run too recently */
    bool irq_from_user;         /* of the handler that runs: it interrupted user code */
    uint32_t irq_off;           /* nesting depth; 0: interrupts on */
    uint32_t preempt_off;       /* nesting depth */
    uint32_t pending;           /* bit per enum ts_vector */
    ts_time raised[TS_VECTORS]; /* when the pending vector arrived */
    ts_time irq_off_since;
    ts_time irq_off_total_ps;
    struct ts_task *sleepers; /* timers that run, the earliest first */
    struct ts_task *expired;  /* timers that ran out, for the handler */
    void *user;               /* owner's per-CPU state (guest CPU, host CPU) */
    enum ts_cpu_mode mode;
    ts_time mode_since;
    struct ts_cpu_stats stats;
    bool polling;        /* idle, watching its flags: the owner may wake it without an IPI */
    ts_time idle_since;  /* idle_stamp: since it found nothing to run; TS_TIME_NEVER: it runs */
    ts_time avg_idle_ps; /* avg_idle of the kernel's run queue, capped as it is */
    ts_time avg_scan_ps; /* avg_scan_cost of its socket's domain */

    /* vCPU */
    bool is_virtual;
    bool started;  /* has entered guest mode once */
    bool in_guest; /* pCPU executes it in non-root mode */
    struct ts_task *host_task;
    ts_time not_running_total_ps; /* descheduled or halted, up to not_running_since */
    ts_time not_running_since;    /* TS_TIME_NEVER while on a pCPU */
    ts_time host_total_ps;        /* in exits, up to host_since */
    ts_time host_since;           /* TS_TIME_NEVER while in guest mode or not running */
    uint64_t pause_window_cycles; /* 0: no pause-loop exiting */

    /* pCPU: the executor */
    uint32_t park; /* 0 executing or about to, 1 interruptible, 2 stalled in hardware, 3 frozen */
    bool frozen;   /* ts_cpu_freeze */
    struct ts_event park_event;
    bool switching;          /* the fiber that suspends hands over to the CPU's new leaf task */
    struct ts_cpu *working;  /* whose work it is parked in, itself or a vCPU; NULL: in none */
    uint64_t held;           /* cycles that this work, or what follows, stands still for */
    uint64_t held_since;     /* the cycle from which on it does so */
    uint64_t stood;          /* for so many it has, in this work */
    uint64_t work_start;     /* cycle at which that began */
    struct ts_work_run *run; /* that it is parked in, and that has not been settled; or NULL */
    struct ts_line_req line_req;
    struct ts_task *line_task; /* which waits for a line: in an exit, a host's */
    uint64_t line_cycles;      /* of work, once the line is there; 0: the fiber sees to it */
    bool line_worked;          /* it has been begun when the line came */
    ts_time line_came;         /* at this instant, before software has had its turn */
};

/* Scratch of the scheduler: what the CPUs of a group have. */
struct ts_cpu_group {
    uint32_t idle, runnable;
    bool allowed;        /* a task that is placed may run on one of them */
    uint32_t most;       /* runnable tasks of `from` */
    struct ts_cpu *from; /* the busiest CPU that has one to give */
};

/* All CPUs that share tasks: the host's pCPUs, or one VM's vCPUs. */
struct ts_cpu_domain {
    const char *name;
    void *owner; /* of the host's CPUs, bare metal's too, struct ts_hypervisor; of a VM's, struct
                    ts_vm */
    struct ts_vm *vm; /* the VM whose CPUs these are; NULL: a host's, or a test's */
    uint32_t group;   /* timeline group: 0 host, v+1 VM v */
    struct ts_engine *engine;
    const struct ts_clock *clock;
    const struct ts_topology *topology; /* of the pCPUs underneath */
    struct ts_line_system *lines;
    struct ts_store_buffer *stores; /* of the pCPUs underneath; NULL: none */
    const struct ts_timeline *timeline;
    const struct ts_steps *steps; /* NULL: nobody asks */
    const struct ts_sched_ops *sched;
    struct ts_sched_params sched_params;
    struct ts_groups *groups; /* group.h; NULL: none */
    struct ts_cpu *cpus;      /* array of ncpus, owned */
    uint32_t ncpus;
    uint64_t next_number;
    struct ts_vcpu_load load; /* of a host */
    bool balance;             /* wake placement, idle pull and balancing may move tasks */
    struct ts_event balance_event;
    struct ts_cpu_group *scratch; /* [ncpus], owned */
    bool express; /* of pCPUs: a line that has come costs no event, and no result either */
    uint32_t *busy_threads; /* of pCPUs that share cores: by core, those that execute; owned. NULL:
                               nothing is shared */
    size_t stack_bytes;     /* of the fibers of its tasks */
};

extern const struct ts_stat_table ts_cpu_stat_table; /* base: struct ts_cpu_stats */

enum ts_status ts_cpu_domain_init(struct ts_cpu_domain *d, uint32_t ncpus,
                                  const struct ts_cpu_ops *ops, struct ts_error *err);
void ts_cpu_domain_fini(struct ts_cpu_domain *d);

/* A task with its own fiber, not yet runnable. */
enum ts_status ts_task_init(struct ts_task *t, struct ts_cpu_domain *d, const char *name,
                            ts_task_fn *fn, void *user, struct ts_error *err);
/* The host task of a vCPU. */
void ts_task_init_vcpu(struct ts_task *t, struct ts_cpu_domain *host, struct ts_cpu *vcpu,
                       const char *name);
void ts_task_fini(struct ts_task *t);
/* Creates every CPU's idle task; physical CPUs begin to execute theirs at the current time, vCPUs
 * when the host first runs them. */
enum ts_status ts_cpu_domain_start(struct ts_cpu_domain *d, struct ts_error *err);

/* The pCPU that executes cpu now (cpu itself if physical); NULL for a descheduled vCPU. */
struct ts_cpu *ts_cpu_physical(struct ts_cpu *cpu);
static inline ts_time ts_task_now(const struct ts_task *self)
{
    return ts_engine_now(self->domain->engine);
}

/* The core cycle that begins now or next. */
static inline uint64_t ts_task_cycle(const struct ts_task *self)
{
    return ts_clock_cycle_at(self->domain->clock, ts_task_now(self));
}

/* --- primitives that let time pass; on self's own fiber only --- */

/* Executes for a number of core cycles; for longer while other threads of the core execute, too
 * (topology.smt_throughput): those that idle take nothing, nor those that spin, but for tasks that
 * are spin_executes. */
void ts_task_work(struct ts_task *self, uint64_t cycles);
/* The same at once, if nothing else is due before its end: false if something is, and nothing has
 * been done. Interrupts are not looked for. */
bool ts_task_try_work(struct ts_task *self, uint64_t cycles);
/* Work in parts, which between them nobody looks for anything: as a ts_task_work for each part, as
 * long as nothing comes in between. */
struct ts_work_run {
    uint64_t cycles; /* of all parts */
    /* Hardware context or the task's own: the part that is under way, or has just ended, when so
     * many cycles have passed (not 0) is the last. Does what its parts up to that one do, and
     * returns the cycles to its end. Called once. */
    uint64_t (*settle)(struct ts_work_run *run, uint64_t passed);
    /* --- private --- */
    uint64_t start, end;
    bool settled;
};
/* Returns the cycles of the parts done: all, or fewer if an interrupt, an exit or ts_cpu_disturb
 * came before their end, of which the first two have been seen to if the part that they came into
 * had some cycles left. 0, and nothing done: there is
 * something to be looked at first, or others share the core. */
uint64_t ts_task_work_run(struct ts_task *self, struct ts_work_run *run);
/* What the work under way on pcpu meets is about to change: an invalidation, say. Hardware
 * context. */
void ts_cpu_disturb(struct ts_cpu *pcpu);
/* The same given as time, rounded up to cycles. */
void ts_task_work_ps(struct ts_task *self, ts_time ps);
/* Tells of a step that others may see, and puts it off if it is asked to (sim/steps.h). */
void ts_task_tell_step(struct ts_task *self, enum ts_step_kind kind, bool write, const void *object,
                       uint64_t start, uint64_t end);
static inline bool ts_task_is_watched(const struct ts_task *self)
{
    return self->domain->steps && self->domain->steps->fn;
}
static inline void ts_task_step(struct ts_task *self, enum ts_step_kind kind, bool write,
                                const void *object, uint64_t start, uint64_t end)
{
    if (ts_task_is_watched(self))
        ts_task_tell_step(self, kind, write, object, start, end);
}
/* One access to a contended line: hit cycles, or a stall until the line has come. */
void ts_task_line(struct ts_task *self, struct ts_line *line, enum ts_line_op op);
/* self has written a word that others read, whose ts_store this is; or a table's entry. */
void ts_task_store(struct ts_task *self, struct ts_store *store, enum ts_store_kind kind);
/* All of the pCPU's stores of data are seen: smp_mb, a serialising instruction. A locked operation
 * of ts_task_line is one too, and a switch between tasks is a DSB. */
static inline void ts_task_barrier(struct ts_task *self)
{
    if (self->domain->stores)
        ts_store_barrier(&self->domain->stores[ts_cpu_physical(self->cpu)->id]);
}
/* The same, and those of translation tables: a DSB of any kind. No time passes. */
void ts_task_store_dsb(struct ts_task *self);
/* Of the hardware thread that self is on; NULL: without store buffers. */
const struct ts_store_buffer *ts_task_store_buffer(const struct ts_task *self);
/* Waits in hardware: starts whatever will call ts_task_stall_done(self) later, and stalls until it
 * has been called. Interrupts wait. The caller arranges the call before it calls this. */
void ts_task_stall(struct ts_task *self);
void ts_task_stall_done(struct ts_task *self);
/* Spins until cond(arg) holds. Interrupts are taken if they are on. Whoever makes the condition
 * true calls ts_task_spin_signal(self); if line is not NULL, the spinner re-reads it after each
 * signal, which costs the transfer. A vCPU spinning in the kernel is subject to pause-loop exits.
 */
void ts_task_spin(struct ts_task *self, bool (*cond)(void *arg), void *arg, struct ts_line *line);
/* The same, but gives up at deadline: false if cond does not hold then. */
bool ts_task_spin_deadline(struct ts_task *self, bool (*cond)(void *arg), void *arg,
                           struct ts_line *line, ts_time deadline);
void ts_task_spin_signal(struct ts_task *spinner);
/* sum_exec_runtime of the running task: what it has executed so far. No time passes. */
ts_time ts_task_executed(const struct ts_task *self);
/* Blocks until ts_task_wake; returns at once if a wake-up came since state was last running
 * (callers re-check their condition in a loop). */
void ts_task_block(struct ts_task *self);
/* Sleeps for at least ps: timer interrupt on the CPU where it went to sleep, then a wake-up. */
void ts_task_sleep(struct ts_task *self, ts_time ps);
/* The scheduler's part of a tick, and of a timer interrupt: for interrupt handlers. */
void ts_cpu_handle_tick(struct ts_task *self);
void ts_cpu_handle_timer(struct ts_task *self);
/* Waits, as an idle CPU does, until something is pending; physical CPUs only. */
void ts_task_idle_wait(struct ts_task *self);
/* What yield_to returns: 1, 0 or -ESRCH. */
enum ts_yield {
    TS_YIELD_DONE,    /* t is marked, self has given way as far as its policy makes it */
    TS_YIELD_REFUSED, /* nothing done: t is not waiting in a run queue */
    TS_YIELD_NOBODY   /* nothing done: both CPUs have one runnable task, no use to go on trying */
};
/* yield_to (Linux 6.12 kernel/sched/syscalls.c, 6.1 core.c): asks that t, of self's domain, run
 * next on its CPU, and gives way. What either means is the policy's (struct ts_sched_ops). */
enum ts_yield ts_task_yield_to(struct ts_task *self, struct ts_task *t);
/* sched_yield: gives way as far as its policy makes it. */
void ts_task_yield(struct ts_task *self);
/* single_task_running: nothing but what executes could run on c. */
bool ts_cpu_single_task_running(const struct ts_cpu *c);
/* Gives way if another task should run. */
void ts_task_cond_resched(struct ts_task *self);
/* Ends the task; does not return to fn. */
void ts_task_exit(struct ts_task *self);

/* --- state, no time passes (except that enabling takes pending interrupts) --- */
void ts_irq_disable(struct ts_task *self);
void ts_irq_enable(struct ts_task *self);
void ts_preempt_disable(struct ts_task *self);
void ts_preempt_enable(struct ts_task *self);
/* Mode of the CPU's time from now on; returns the one before. */
enum ts_cpu_mode ts_cpu_set_mode(struct ts_cpu *cpu, enum ts_cpu_mode mode);
/* Makes a blocked task runnable: chooses a CPU, enqueues, sends a reschedule IPI if needed (charged
 * to self). self NULL: from hardware context at construction (no IPI cost). */
void ts_task_wake(struct ts_task *self, struct ts_task *t);
/* A vector arrives at cpu's local interface now; hardware context or software. */
void ts_cpu_raise(struct ts_cpu *cpu, enum ts_vector vector);
/* Something changed that the code executing on this pCPU must look at. */
void ts_cpu_kick(struct ts_cpu *pcpu);
/* Deliverable work for the code that executes at this level? */
void ts_task_poll(struct ts_task *self);
/* Microcode has taken the pCPU, and gives it back: in between it executes nothing, whatever it was
 * at, interrupts off or in a guest; what is under way in hardware (a line, a stall, the wait of an
 * idle loop) goes on. Hardware context. The time counts as that of the code it has stopped. */
void ts_cpu_freeze(struct ts_cpu *pcpu);
void ts_cpu_thaw(struct ts_cpu *pcpu);
/* The look-ups of pcpu wait for so many cycles from now on (an invalidation from elsewhere keeps
 * its TLB busy): work under way stands still for that long. What is idle, or waits for a line or
 * for another CPU, loses nothing. foreign: the operation is not of what executes there. Hardware
 * context. */
void ts_cpu_hold(struct ts_cpu *pcpu, uint64_t cycles, bool foreign);
/* Runs the scheduler now; returns when self is running again. */
void ts_task_schedule(struct ts_task *self);
/* Is the task executing on a CPU at its own level? (optimistic spinning asks) */
bool ts_task_on_cpu(const struct ts_task *t);
/* Sets need_resched of cpu and sees to it that it is noticed. */
void ts_cpu_resched(struct ts_task *self, struct ts_cpu *cpu);
/* vCPU clocks for critical paths: time not running, and time in exits, until now. */
ts_time ts_vcpu_not_running_ps(const struct ts_cpu *vcpu);
ts_time ts_vcpu_host_ps(const struct ts_cpu *vcpu);
ts_time ts_cpu_irq_off_ps(const struct ts_cpu *cpu);
/* Moves the running or parked time of every mode up to now (before statistics are read). */
void ts_cpu_account(struct ts_cpu *cpu);

#ifdef __cplusplus
}
#endif
#endif
