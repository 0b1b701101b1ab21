/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, each of which carries out its stream of workload operations, and the operating system
 * as a table of functions. */
#ifndef TS_MODELS_GUEST_THREAD_H
#define TS_MODELS_GUEST_THREAD_H

#include "models/guest/mm/mm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An operating system: what its CPUs' hardware, its host and its threads call. */
struct ts_guest_os {
    const char *name;
    const char *summary;
    struct ts_os_ops cpu; /* interrupts, switches: what a host calls too */
    struct ts_guest_paths paths;
    /* A new address space; owned by the guest. */
    enum ts_status (*mm_create)(struct ts_guest *g, struct ts_mm **out, struct ts_error *err);
    void (*mm_destroy)(struct ts_mm *mm);
    /* child, which nobody uses yet, becomes a copy of self's address space (fork). NULL: there is
     * no fork. */
    void (*mm_fork)(struct ts_task *self, struct ts_mm *parent, struct ts_mm *child);
    /* The last thread leaves it. */
    void (*mm_exit)(struct ts_task *self, struct ts_mm *mm);
    /* self's thread goes on in mm, which its CPU loads now; interrupts off. */
    void (*mm_switch)(struct ts_task *self, struct ts_mm *mm);
    /* System call entry for op, and return to the program. */
    void (*enter)(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
    void (*leave)(struct ts_task *self);
    /* How long a sleep lasts that is asked for now, for ps, until its timer runs out. */
    ts_time (*sleep_ps)(const struct ts_guest *g, ts_time now, ts_time ps);
    /* Operations on memory, by enum ts_op_kind; NULL: it has none such. */
    void (*op[TS_OP_KINDS])(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
};
extern const struct ts_guest_os ts_guest_os_linux, ts_guest_os_windows;
/* By enum ts_guest_os_kind. */
extern const struct ts_guest_os *const ts_guest_os_table[TS_OS_KINDS];

/* The guest's CPUs and init_mm; sets vm->os and vm->guest. g is zeroed. After an error only
 * ts_guest_fini may follow. */
enum ts_status ts_guest_init(struct ts_guest *g, const struct ts_guest_wiring *w,
                             struct ts_error *err);
void ts_guest_fini(struct ts_guest *g);
/* CPU operations and paravirt operations of an operating system on bare metal. */
extern const struct ts_cpu_ops ts_bare_metal_cpu_ops;
extern const struct ts_pv_ops ts_bare_metal_pv_ops;

/* Creates the initial threads and makes them runnable; the guest's CPUs must have been started. */
enum ts_status ts_guest_threads_start(struct ts_guest *g, struct ts_error *err);
void ts_guest_threads_fini(struct ts_guest *g);
/* Threads of the kernel, which have no address space (os/kthread.c): kswapd,
 * khugepaged. Each ends with the
 * last thread of the workload. */
enum ts_status ts_guest_kthreads_start(struct ts_guest *g, struct ts_error *err);
void ts_guest_kthreads_fini(struct ts_guest *g);
/* Operations of the workload that its threads have finished. */
uint64_t ts_guest_operations(const struct ts_guest *g);

/* The cross-CPU call benchmark (os/call_bench.c): TS_OP_CALL. */
void ts_call_bench(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* The range-flush benchmark (os/flush_bench.c): TS_OP_FLUSH. */
void ts_flush_bench(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);

#ifdef __cplusplus
}
#endif
#endif
