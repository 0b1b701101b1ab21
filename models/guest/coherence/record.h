/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of a shootdown went. */
#ifndef TS_MODELS_GUEST_RECORD_H
#define TS_MODELS_GUEST_RECORD_H

#include "models/guest/core/guest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where one shootdown's time went; the parts add up to total_ps exactly. The path is that of the
 * acknowledgement that came last. */
enum ts_path_part {
    TS_PATH_SEND = 0,        /* enqueue, mask work, ICR writes and their exits, hypercall issue */
    TS_PATH_TRANSPORT = 1,   /* IPI flight, messages */
    TS_PATH_NOT_RUNNING = 2, /* target vCPU descheduled or halted */
    TS_PATH_IRQ_OFF = 3,     /* target running, interrupts masked */
    TS_PATH_EXIT = 4,        /* target in exits and entries */
    TS_PATH_HANDLER = 5,     /* interrupt entry, dispatch, earlier csds */
    TS_PATH_FLUSH = 6,       /* the invalidation itself */
    TS_PATH_ACK = 7,         /* release to the initiator's seeing it */
    TS_PATH_LOCAL = 8, /* the initiator's own flush after all remote ones are done, or alone */
    TS_PATH_LOCK = 9,  /* csd or flush locks */
    TS_PATH_INITIATOR_OFF = 10, /* the initiator's own vCPU descheduled */
    TS_PATH_HYPERVISOR = 11,    /* work in the hypercall */
    TS_PATH_PARTS = 12
};
extern const char *const ts_path_part_names[TS_PATH_PARTS];

struct ts_shootdown_record {
    uint64_t number;
    uint32_t guest;
    uint32_t initiator;   /* CPU number in the guest */
    uint32_t targets;     /* CPUs named */
    uint32_t last_target; /* whose acknowledgement came last; UINT32_MAX: none */
    uint64_t start;       /* VA; 0 and end UINT64_MAX: whole address space */
    uint64_t end;
    bool freed_tables;
    ts_time started;
    ts_time total_ps;
    ts_time part_ps[TS_PATH_PARTS];
};

struct ts_guest_cpu;
/* A flush by self on its CPU, gc, begins: gc's record, which is its info's from now on. Preemption
 * is off till its end. */
struct ts_shootdown_record *ts_shootdown_begin(struct ts_task *self, struct ts_guest_cpu *gc,
                                               bool freed_tables);
/* It has ended; remote: it concerned other CPUs, too. What no part has becomes SEND. */
void ts_shootdown_end(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_shootdown_record *r,
                      bool remote);

/* Adds the time since *mark to a part and moves the mark to now; what the initiator's own vCPU lost
 * meanwhile goes to INITIATOR_OFF. */
void ts_path_add(struct ts_task *self, struct ts_shootdown_record *record, enum ts_path_part part,
                 ts_time *mark);
/* The same for a hypercall that has just returned: its parts become HYPERVISOR, ACK and FLUSH. */
void ts_path_add_hypercall(struct ts_task *self, struct ts_shootdown_record *record,
                           const struct ts_hypercall_times *times, ts_time *mark);

#ifdef __cplusplus
}
#endif
#endif
