/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics: plain uint64_t fields in a model's own struct, named once by a table beside it.
 * A counter is a field; a distribution is a struct ts_hist. Sum rules are rows too and are checked
 * at the end of every run. */
#ifndef TS_SIM_STATS_H
#define TS_SIM_STATS_H

#include "sim/base.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Log-linear histogram: 32 sub-buckets an octave, so a quantile is exact to about 3 %; count, sum,
 * min and max are exact. */
#define TS_HIST_SUB_BITS 5u
#define TS_HIST_BUCKETS (((64u - TS_HIST_SUB_BITS) << TS_HIST_SUB_BITS) + (1u << TS_HIST_SUB_BITS))

struct ts_hist {
    uint64_t count;
    uint64_t sum;
    uint64_t min; /* UINT64_MAX while empty */
    uint64_t max;
    uint32_t buckets[TS_HIST_BUCKETS];
};

void ts_hist_init(struct ts_hist *h);
static inline void ts_hist_add(struct ts_hist *h, uint64_t value);
/* Largest value of the bucket that holds the q-th permille, clamped to [min,max]; 0 if empty. */
uint64_t ts_hist_quantile(const struct ts_hist *h, uint32_t permille);
void ts_hist_merge(struct ts_hist *dst, const struct ts_hist *src);
/* Bounds of bucket i, inclusive. */
void ts_hist_bucket_range(uint32_t i, uint64_t *lo, uint64_t *hi);
/* Values below 2^TS_HIST_SUB_BITS have a bucket each. */
static inline uint32_t ts_hist_bucket(uint64_t value)
{
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value | (1u << TS_HIST_SUB_BITS));
    uint32_t shift = top - TS_HIST_SUB_BITS;

    return (shift << TS_HIST_SUB_BITS) + (uint32_t)(value >> shift);
}

static inline void ts_hist_add(struct ts_hist *h, uint64_t value)
{
    uint32_t *bucket = &h->buckets[ts_hist_bucket(value)];

    h->count++;
    TS_ASSERT(!__builtin_add_overflow(h->sum, value, &h->sum));
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    /* Full at 2^32 - 1: a quantile of more samples than that is only less sharp. */
    *bucket += *bucket != UINT32_MAX;
}

enum ts_stat_kind { TS_STAT_COUNTER, TS_STAT_TIME_PS, TS_STAT_GAUGE, TS_STAT_HIST };

/* One statistic of a struct. unit: "1", "ps", "cycles", "flits", "pages", "bytes". */
struct ts_stat {
    const char *name; /* kernel or hardware counter name where one exists */
    enum ts_stat_kind kind;
    size_t offset; /* of a uint64_t, or of a struct ts_hist for TS_STAT_HIST */
    const char *unit;
    const char *help;
};

/* sum over i of sign[i] * field(name[i]) == 0, over the rows of one table; a histogram counts with
 * its count. Ended by a NULL name unless all terms are used. */
struct ts_stat_rule {
    const char *help;
    const char *terms[12]; /* "+name" or "-name" */
};

struct ts_stat_table {
    const char *group; /* "guest", "tlb", ... */
    const struct ts_stat *rows;
    size_t nrows;
    const struct ts_stat_rule *rules; /* may be NULL */
    size_t nrules;
};

/* TS_ERR_FINDING with the rule's help and both sides when a rule of the table does not hold for
 * the struct at base. A rule that names an unknown row is a bug. */
enum ts_status ts_stat_check(const struct ts_stat_table *table, const void *base,
                             struct ts_error *err);
/* dst += src for every row: counters add, gauges take the maximum, histograms merge. */
void ts_stat_accumulate(const struct ts_stat_table *table, void *dst, const void *src);

#ifdef __cplusplus
}
#endif
#endif
