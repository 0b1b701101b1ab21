/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of this process that spin on CPUs of their own, and the caller's own place. */
#ifndef TS_CALIBRATE_SPIN_H
#define TS_CALIBRATE_SPIN_H

#include "calibrate/calibrate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The calling thread's affinity, to be given back. Private fields. */
struct ts_cal_place {
    void *old;
    size_t bytes;
};
int ts_cal_place_take(struct ts_cal_place *place, int cpu);
void ts_cal_place_give(struct ts_cal_place *place);

struct ts_cal_spinners;
/* Returns when all of them spin. Owned by the caller until ts_cal_spinners_end. n may be 0. */
int ts_cal_spinners_start(struct ts_cal_spinners **out, const int *cpus, size_t n);
void ts_cal_spinners_end(struct ts_cal_spinners *s);
/* Waits until each of them has been seen to run at `since` of the clock or later; false: one was
 * not by `until`, since something else runs on its CPU. */
bool ts_cal_spinners_run(struct ts_cal_spinners *s, uint64_t since, uint64_t until);

#ifdef __cplusplus
}
#endif
#endif
