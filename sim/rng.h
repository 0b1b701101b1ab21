/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams: xoshiro256** (Blackman and Vigna) seeded by splitmix64 from the run's seed and
 * the stream's name, one stream per component instance, so that a draw added in one model does not
 * shift another. Integer arithmetic only: the same numbers on every machine. */
#ifndef TS_SIM_RNG_H
#define TS_SIM_RNG_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_rng {
    uint64_t s[4];
};

/* instance tells apart components of one name (CPU 3's scheduler: "sched", 3). */
void ts_rng_init(struct ts_rng *rng, uint64_t seed, const char *name, uint64_t instance);
uint64_t ts_rng_next(struct ts_rng *rng);
/* Uniform in [0, n), unbiased; n > 0. */
uint64_t ts_rng_below(struct ts_rng *rng, uint64_t n);
/* Uniform in [lo, hi]; lo <= hi. */
uint64_t ts_rng_between(struct ts_rng *rng, uint64_t lo, uint64_t hi);
/* True with probability num/den; den > 0. */
bool ts_rng_chance(struct ts_rng *rng, uint64_t num, uint64_t den);
/* Exponential with the given mean, by an integer table of -ln(u) (no libm); mean < 2^40. */
uint64_t ts_rng_exponential(struct ts_rng *rng, uint64_t mean);

#ifdef __cplusplus
}
#endif
#endif
