/* SPDX-License-Identifier: Apache-2.0 */
/* NUMA balancing (Linux 6.12 kernel/sched/fair.c task_tick_numa, task_numa_work; mm/mprotect.c
 * change_prot_numa; mm/memory.c do_numa_page; mm/migrate.c): entries are made inaccessible, so that
 * the next access is a fault that tells who uses the page.
 *
 * Frames have no node here: which of the faults migrate their page is a share, and pages of a
 * process with one thread are taken to lie on its node, where they are left alone. Left out: scan
 * periods that follow the faults, the choice of VMAs by the tasks that use them, and the placement
 * of tasks. Task work is done at the next return to user mode from a call or a fault, or before the
 * next touch, not in the middle of a computation. */
#ifndef TS_MODELS_GUEST_NUMA_H
#define TS_MODELS_GUEST_NUMA_H

#include "models/guest/mm/mm_private.h"

#ifdef __cplusplus
extern "C" {
#endif

/* init_numa_balancing: a thread begins in mm, or with a new address space (first). */
void ts_numa_thread_init(struct ts_guest_thread *thread, bool first);
/* task_tick_numa, if a tick has passed since the thread was last asked: ticks without anybody who
 * waits are not simulated. True: there is task work. No time passes. */
bool ts_numa_has_work(struct ts_task *self);
/* The same, and task_numa_work, on the way to user mode. self is in the kernel, without locks. */
void ts_numa_resume(struct ts_task *self);
/* An entry of va is there for the kernel alone, in a VMA that allows accesses. */
bool ts_numa_is_hint(const struct ts_mm *mm, uint64_t va);
/* do_numa_page, do_huge_pmd_numa_page. The VMA's lock or mmap_lock is held. */
void ts_numa_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va);

#ifdef __cplusplus
}
#endif
#endif
