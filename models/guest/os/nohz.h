/* SPDX-License-Identifier: Apache-2.0 */
/* The tick of a guest's CPUs, when it stops, and when the timer is programmed for it
 * (kernel/time/tick-sched.c, kernel/sched/idle.c).
 *
 * A CPU has one timer, which is programmed for the earliest of its tick and the sleepers' timers
 * (hrtimers); a write is made whenever that changes, and at the end of each timer interrupt. On
 * x86 it is a write of the TSC deadline, which exits; on arm64 it is not trapped.
 *
 * guest.tick | idle CPUs                                            | running CPUs
 * -----------|------------------------------------------------------|-----------------------------
 * waiting    | no tick, nothing is programmed for it                | as if it cost nothing, unless
 *            |                                                      | another task waits
 * nohz       | it stops at once, or as guest.nohz_after_tick has it | one each period
 * periodic   | one each period (nohz=off)                           | one each period
 *
 * Left out: timers of the timer wheel, of which the next is taken to be far away, so that no tick
 * is kept because one is due; full dynticks. */
#ifndef TS_MODELS_GUEST_NOHZ_H
#define TS_MODELS_GUEST_NOHZ_H

#include "models/guest/core/guest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything is idle, with the tick stopped for long. */
enum ts_status ts_nohz_init(struct ts_guest *g, struct ts_error *err);
void ts_nohz_fini(struct ts_guest *g);
/* Before the idle task halts. */
void ts_nohz_idle(struct ts_task *self);
/* The idle task, self, gives way to another one (tick_nohz_idle_exit). */
void ts_nohz_idle_exit(struct ts_task *self);
/* In a timer interrupt: is the tick due? Then it is taken. Returns how many there would have been
 * by now if none had waited for the CPU; 0: none is due. */
uint64_t ts_nohz_ticks_due(struct ts_task *self);
/* hrtimer_interrupt: the tick and the sleepers have one timer. Returns the ticks that it stands for
 * (ts_nohz_ticks_due), 1 of a tick that nothing else is known of. */
uint64_t ts_nohz_interrupt(struct ts_task *self, enum ts_vector vector);
/* The end of a timer interrupt (hrtimer_interrupt). */
void ts_nohz_interrupt_end(struct ts_task *self);
/* self goes to sleep until then: has the timer to be programmed? */
bool ts_nohz_sleep(struct ts_task *self, ts_time expires);

#ifdef __cplusplus
}
#endif
#endif
