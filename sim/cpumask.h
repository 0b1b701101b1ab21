/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of CPU numbers, up to TS_CPU_MAX. All loops run over the words in use only: the set keeps
 * the capacity it was initialised with. Two sets of one operation have the same capacity. */
#ifndef TS_SIM_CPUMASK_H
#define TS_SIM_CPUMASK_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_CPU_MAX 4096u
#define TS_CPUMASK_WORDS (TS_CPU_MAX / 64u)

struct ts_cpumask {
    uint32_t nbits;
    uint64_t w[TS_CPUMASK_WORDS];
};

void ts_cpumask_init(struct ts_cpumask *m, uint32_t nbits); /* empty; nbits <= TS_CPU_MAX */
void ts_cpumask_clear_all(struct ts_cpumask *m);
void ts_cpumask_set_all(struct ts_cpumask *m);
void ts_cpumask_copy(struct ts_cpumask *dst, const struct ts_cpumask *src); /* takes src's nbits */
void ts_cpumask_and(struct ts_cpumask *dst, const struct ts_cpumask *other);
void ts_cpumask_or(struct ts_cpumask *dst, const struct ts_cpumask *other);
void ts_cpumask_andnot(struct ts_cpumask *dst, const struct ts_cpumask *other);
uint32_t ts_cpumask_count(const struct ts_cpumask *m);
bool ts_cpumask_empty(const struct ts_cpumask *m);
bool ts_cpumask_equal(const struct ts_cpumask *a, const struct ts_cpumask *b);
/* First member at or after from; m->nbits if none. */
uint32_t ts_cpumask_next(const struct ts_cpumask *m, uint32_t from);

static inline void ts_cpumask_set(struct ts_cpumask *m, uint32_t cpu)
{
    TS_ASSERT(cpu < m->nbits);
    m->w[cpu >> 6] |= UINT64_C(1) << (cpu & 63u);
}
static inline void ts_cpumask_clear(struct ts_cpumask *m, uint32_t cpu)
{
    TS_ASSERT(cpu < m->nbits);
    m->w[cpu >> 6] &= ~(UINT64_C(1) << (cpu & 63u));
}
static inline bool ts_cpumask_test(const struct ts_cpumask *m, uint32_t cpu)
{
    TS_ASSERT(cpu < m->nbits);
    return (m->w[cpu >> 6] >> (cpu & 63u)) & 1u;
}

#define TS_CPUMASK_FOR_EACH(cpu, m)                                                                \
    for (uint32_t cpu = ts_cpumask_next((m), 0); cpu < (m)->nbits;                                 \
         cpu = ts_cpumask_next((m), cpu + 1))

#ifdef __cplusplus
}
#endif
#endif
