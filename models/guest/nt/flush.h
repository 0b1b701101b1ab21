/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes of a Windows-like kernel: to the process's active processors (mm->cpumask), of the pages
 * on a list, or of all that the process has if they are more than nt.flush_list_max
 * (KeFlushMultiple, KeFlushEntire...). No generations: a flush that is asked for is made. */
#ifndef TS_MODELS_GUEST_NT_FLUSH_H
#define TS_MODELS_GUEST_NT_FLUSH_H

#include "models/guest/nt/process.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is to be flushed; belongs to who holds the working-set lock exclusively. */
struct ts_nt_flush {
    uint64_t npages;     /* changed; those beyond nt.flush_list_max are not on the list */
    uint64_t first, end; /* hull of them */
    bool freed_tables;   /* page-table pages are about to be freed: everything goes (assumed) */
};

/* Nothing yet; one more page. */
void ts_nt_flush_begin(struct ts_nt_flush *f);
void ts_nt_flush_add(struct ts_mm *mm, struct ts_nt_flush *f, uint64_t va);
/* Makes it, if there is anything. The process is self's. */
void ts_nt_flush(struct ts_task *self, struct ts_mm *mm, const struct ts_nt_flush *f);
/* ts_guest_paths.flush_func: a processor that has loaded another process's page tables since has
 * nothing to flush, as loading them was a flush. */
void ts_nt_flush_func(struct ts_task *self, struct ts_flush_info *info);
/* The context switch to a thread of next: the page tables are loaded, with a flush, if they are
 * another process's. Interrupts are off. */
void ts_nt_switch(struct ts_task *self, struct ts_mm *next);
/* To the idle thread. */
void ts_nt_switch_idle(struct ts_task *self);

#ifdef __cplusplus
}
#endif
#endif
