/* SPDX-License-Identifier: Apache-2.0 */
/* Where vCPUs are, as the host's scheduler sees it, and for how long: each picosecond of a vCPU is
 * in one place. Kept by models/cpu/task.c, at no time of the simulation. */
#ifndef TS_MODELS_CPU_VCPU_TIME_H
#define TS_MODELS_CPU_VCPU_TIME_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_vcpu_place {
    TS_VCPU_HALTED,  /* blocked; until the waker has put it into a queue */
    TS_VCPU_WAITING, /* runnable; until the switch to it is complete */
    TS_VCPU_RUNNING, /* its pCPU's current task; until the pCPU picks another */
    TS_VCPU_PLACES
};

struct ts_vcpu_clock {
    enum ts_vcpu_place place;
    ts_time since;
    ts_time ps[TS_VCPU_PLACES]; /* up to since */
};

/* All vCPUs of a host. The host is contended while at least one of them waits. */
struct ts_vcpu_load {
    uint32_t n[TS_VCPU_PLACES];
    ts_time since;
    ts_time contended_ps; /* up to since */
    uint64_t runnable_ps; /* while contended: sum over vCPUs of the time waiting or running */
};

/* A vCPU that is halted. */
void ts_vcpu_clock_init(struct ts_vcpu_clock *c, struct ts_vcpu_load *load, ts_time now);
void ts_vcpu_clock_set(struct ts_vcpu_clock *c, struct ts_vcpu_load *load, enum ts_vcpu_place place,
                       ts_time now);
/* In a place so far. */
ts_time ts_vcpu_clock_ps(const struct ts_vcpu_clock *c, enum ts_vcpu_place place, ts_time now);
/* The load up to now. */
struct ts_vcpu_load ts_vcpu_load_at(const struct ts_vcpu_load *load, ts_time now);

#ifdef __cplusplus
}
#endif
#endif
