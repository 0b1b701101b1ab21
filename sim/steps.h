/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of CPUs that others may see, for who explores their orders (tlbstorm check --systematic):
 * each is told before it is done, and may be put off. What a step is:
 *
 * | kind           | told by                                 | object, range                     |
 * |----------------|-----------------------------------------|-----------------------------------|
 * | TS_STEP_LINE   | ts_task_line: a shared word of software | the line                          |
 * | TS_STEP_TOUCH  | a program's access                      | the page table; the page          |
 * | TS_STEP_CHANGE | page tables are about to change:        | the page table; all of it         |
 * |                | mmu_gather                              |                                   |
 * | TS_STEP_BARRIER| with line.store_delay: the end of what  | the line of that store            |
 * |                | a store of its CPU may wait for         |                                   |
 * | TS_STEP_MESSAGE| an interrupt arrives                    | NULL; start: the node it goes to  |
 *
 * Between two of its steps a CPU does nothing that another one could meet, but for what hardware
 * does by itself: walks, and the invalidations that messages bring. */
#ifndef TS_SIM_STEPS_H
#define TS_SIM_STEPS_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_step_kind { TS_STEP_LINE, TS_STEP_TOUCH, TS_STEP_CHANGE, TS_STEP_BARRIER, TS_STEP_MESSAGE };

struct ts_step {
    ts_time now;
    enum ts_step_kind kind;
    bool write;          /* else others of its kind commute with it */
    uint32_t group, cpu; /* the domain's (ts_cpu_domain.group) and its CPU */
    uint32_t pcpu;       /* that executes it */
    const void *object;  /* not to be looked into: only which one it is */
    uint64_t start, end;
};

/* Returns how long the step is put off, in ps: as if the CPU stood still, or the message were on
 * its way, for so much longer. */
typedef ts_time ts_step_fn(void *user, const struct ts_step *step);

struct ts_steps {
    ts_step_fn *fn; /* NULL: nobody asks */
    void *user;
};

#ifdef __cplusplus
}
#endif
#endif
