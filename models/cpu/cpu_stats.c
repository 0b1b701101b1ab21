/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU statistics table. */
#include "models/cpu/cpu.h"

#define OFF(f) offsetof(struct ts_cpu_stats, f)
#define MODE(n, m, h)                                                                              \
    {                                                                                              \
        n, TS_STAT_TIME_PS, OFF(mode_ps) + (m) * sizeof(uint64_t), "ps", h                         \
    }
#define IRQ(n, v, h)                                                                               \
    {                                                                                              \
        n, TS_STAT_COUNTER, OFF(interrupts) + (v) * sizeof(uint64_t), "1", h                       \
    }
#define CNT(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, OFF(f), "1", h                                                        \
    }

static const struct ts_stat rows[] = {
    MODE("idle_ps", TS_MODE_IDLE, "nothing to run, or halted"),
    MODE("user_ps", TS_MODE_USER, "user code"),
    MODE("system_ps", TS_MODE_SYSTEM, "kernel code"),
    MODE("spin_ps", TS_MODE_SPIN, "kernel code waiting by spinning"),
    MODE("irq_ps", TS_MODE_IRQ, "interrupt handlers"),
    MODE("host_ps", TS_MODE_HOST, "hypervisor, host kernel"),
    MODE("guest_ps", TS_MODE_GUEST, "pCPU: a vCPU in guest mode"),
    MODE("steal_ps", TS_MODE_STEAL, "vCPU: runnable, not on a pCPU"),
    IRQ("irq_kick", TS_VEC_KICK, "kicks out of guest mode taken"),
    IRQ("irq_call", TS_VEC_CALL, "call function interrupts taken"),
    IRQ("irq_resched", TS_VEC_RESCHED, "reschedule interrupts taken"),
    IRQ("irq_timer", TS_VEC_TIMER, "timer interrupts taken"),
    IRQ("irq_tick", TS_VEC_TICK, "ticks taken (of a host: simulated only where a task waits)"),
    IRQ("irq_wakeup", TS_VEC_WAKEUP, "posted-interrupt wake-ups of blocked vCPUs taken (host)"),
    CNT(context_switches, "context switches"),
    CNT(wakeups, "tasks woken onto this CPU"),
    CNT(migrations, "tasks that came from another CPU"),
    CNT(preemptions, "running tasks that gave way while runnable"),
    {"smt_lost_cycles", TS_STAT_COUNTER, OFF(smt_lost_cycles), "cycles",
     "what a pCPU's work took longer for the other threads of its core"},
    {"held_cycles", TS_STAT_COUNTER, OFF(held_cycles), "cycles",
     "what its work took longer because broadcast invalidations kept its TLB busy"},
    {"held_foreign_cycles", TS_STAT_COUNTER, OFF(held_foreign_cycles), "cycles",
     "of those, for invalidations that do not concern what executed: of other VMs, or of the host"},
};
const struct ts_stat_table ts_cpu_stat_table = {"cpu", rows, TS_ARRAY_LEN(rows), NULL, 0};
