/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cpumask.h"

static inline uint32_t words_of(uint32_t nbits)
{
    return (nbits + 63u) / 64u;
}

/* No bit at or above nbits is ever set, so counts and comparisons need no mask. */
static inline uint64_t last_word_mask(uint32_t nbits)
{
    return nbits & 63u ? (UINT64_C(1) << (nbits & 63u)) - 1 : UINT64_MAX;
}

void ts_cpumask_init(struct ts_cpumask *m, uint32_t nbits)
{
    TS_ASSERT(nbits <= TS_CPU_MAX);
    m->nbits = nbits;
    ts_cpumask_clear_all(m);
}

void ts_cpumask_clear_all(struct ts_cpumask *m)
{
    for (uint32_t i = 0; i < words_of(m->nbits); i++)
        m->w[i] = 0;
}

void ts_cpumask_set_all(struct ts_cpumask *m)
{
    uint32_t n = words_of(m->nbits);

    for (uint32_t i = 0; i < n; i++)
        m->w[i] = UINT64_MAX;
    if (n > 0)
        m->w[n - 1] = last_word_mask(m->nbits);
}

void ts_cpumask_copy(struct ts_cpumask *dst, const struct ts_cpumask *src)
{
    dst->nbits = src->nbits;
    for (uint32_t i = 0; i < words_of(src->nbits); i++)
        dst->w[i] = src->w[i];
}

void ts_cpumask_and(struct ts_cpumask *dst, const struct ts_cpumask *other)
{
    TS_ASSERT(dst->nbits == other->nbits);
    for (uint32_t i = 0; i < words_of(dst->nbits); i++)
        dst->w[i] &= other->w[i];
}

void ts_cpumask_or(struct ts_cpumask *dst, const struct ts_cpumask *other)
{
    TS_ASSERT(dst->nbits == other->nbits);
    for (uint32_t i = 0; i < words_of(dst->nbits); i++)
        dst->w[i] |= other->w[i];
}

void ts_cpumask_andnot(struct ts_cpumask *dst, const struct ts_cpumask *other)
{
    TS_ASSERT(dst->nbits == other->nbits);
    for (uint32_t i = 0; i < words_of(dst->nbits); i++)
        dst->w[i] &= ~other->w[i];
}

uint32_t ts_cpumask_count(const struct ts_cpumask *m)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < words_of(m->nbits); i++)
        count += (uint32_t)__builtin_popcountll(m->w[i]);
    return count;
}

bool ts_cpumask_empty(const struct ts_cpumask *m)
{
    for (uint32_t i = 0; i < words_of(m->nbits); i++)
        if (m->w[i])
            return false;
    return true;
}

bool ts_cpumask_equal(const struct ts_cpumask *a, const struct ts_cpumask *b)
{
    TS_ASSERT(a->nbits == b->nbits);
    for (uint32_t i = 0; i < words_of(a->nbits); i++)
        if (a->w[i] != b->w[i])
            return false;
    return true;
}

uint32_t ts_cpumask_next(const struct ts_cpumask *m, uint32_t from)
{
    uint32_t i = from >> 6;
    uint64_t word;

    if (from >= m->nbits)
        return m->nbits;
    word = m->w[i] & (UINT64_MAX << (from & 63u));
    while (!word) {
        if (++i >= words_of(m->nbits))
            return m->nbits;
        word = m->w[i];
    }
    return i * 64u + (uint32_t)__builtin_ctzll(word);
}
