/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 ts_u128;

#define RULE_TERMS TS_ARRAY_LEN(((struct ts_stat_rule *)NULL)->terms)

void ts_hist_init(struct ts_hist *h)
{
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
}

void ts_hist_bucket_range(uint32_t i, uint64_t *lo, uint64_t *hi)
{
    uint32_t octave = i >> TS_HIST_SUB_BITS;
    uint32_t shift = octave > 0 ? octave - 1 : 0;

    TS_ASSERT(i < TS_HIST_BUCKETS);
    *lo = (uint64_t)(i - (shift << TS_HIST_SUB_BITS)) << shift;
    *hi = *lo + ((UINT64_C(1) << shift) - 1);
}

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
    if (value < min)
        return min;
    return value > max ? max : value;
}

uint64_t ts_hist_quantile(const struct ts_hist *h, uint32_t permille)
{
    uint64_t rank, seen = 0, lo, hi;

    TS_ASSERT(permille <= 1000);
    if (h->count == 0)
        return 0;
    rank = (uint64_t)(((ts_u128)h->count * permille + 999) / 1000);
    if (rank == 0)
        rank = 1;
    for (uint32_t i = 0; i < TS_HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            ts_hist_bucket_range(i, &lo, &hi);
            return clamp(hi, h->min, h->max);
        }
    }
    /* Only full buckets can have lost samples. */
    return h->max;
}

void ts_hist_merge(struct ts_hist *dst, const struct ts_hist *src)
{
    dst->count += src->count;
    TS_ASSERT(!__builtin_add_overflow(dst->sum, src->sum, &dst->sum));
    if (src->min < dst->min)
        dst->min = src->min;
    if (src->max > dst->max)
        dst->max = src->max;
    for (uint32_t i = 0; i < TS_HIST_BUCKETS; i++) {
        uint32_t room = UINT32_MAX - dst->buckets[i];

        dst->buckets[i] += src->buckets[i] < room ? src->buckets[i] : room;
    }
}

static const void *field_at(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

static void *field_at_mut(void *base, size_t offset)
{
    return (char *)base + offset;
}

/* From row *at on, where the row after it is left: rules name rows about in their order. */
static const struct ts_stat *stat_find(const struct ts_stat_table *table, const char *name,
                                       size_t *at)
{
    for (size_t n = table->nrows; n > 0; n--) {
        const struct ts_stat *row = &table->rows[*at];

        *at = *at + 1 < table->nrows ? *at + 1 : 0;
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static uint64_t stat_value(const struct ts_stat *row, const void *base)
{
    if (row->kind == TS_STAT_HIST)
        return ((const struct ts_hist *)field_at(base, row->offset))->count;
    return *(const uint64_t *)field_at(base, row->offset);
}

static uint64_t term_value(const struct ts_stat_table *table, const void *base, const char *term,
                           size_t *at)
{
    const struct ts_stat *row;

    TS_ASSERT(term[0] == '+' || term[0] == '-');
    row = stat_find(table, term + 1, at);
    TS_ASSERT(row != NULL);
    return stat_value(row, base);
}

/* Appends "a (1) + b (2)" of one sign to text. */
static void describe_side(const struct ts_stat_table *table, const void *base,
                          const struct ts_stat_rule *rule, char sign, char *text, size_t size)
{
    size_t used = 0, at = 0;

    snprintf(text, size, "nothing");
    for (size_t i = 0; i < RULE_TERMS && rule->terms[i]; i++) {
        int n;

        if (rule->terms[i][0] != sign)
            continue;
        n = snprintf(text + used, size - used, "%s%s (%" PRIu64 ")", used > 0 ? " + " : "",
                     rule->terms[i] + 1, term_value(table, base, rule->terms[i], &at));
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

static enum ts_status rule_check(const struct ts_stat_table *table, const void *base,
                                 const struct ts_stat_rule *rule, size_t *at, struct ts_error *err)
{
    ts_u128 plus = 0, minus = 0;
    char left[256], right[256];

    for (size_t i = 0; i < RULE_TERMS && rule->terms[i]; i++) {
        uint64_t value = term_value(table, base, rule->terms[i], at);

        if (rule->terms[i][0] == '+')
            plus += value;
        else
            minus += value;
    }
    if (plus == minus)
        return TS_OK;
    describe_side(table, base, rule, '+', left, sizeof(left));
    describe_side(table, base, rule, '-', right, sizeof(right));
    return ts_error_set(err, TS_ERR_FINDING, "%s: sum rule broken: %s: %s is not %s", table->group,
                        rule->help, left, right);
}

enum ts_status ts_stat_check(const struct ts_stat_table *table, const void *base,
                             struct ts_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < table->nrules; i++) {
        enum ts_status status = rule_check(table, base, &table->rules[i], &at, err);

        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}

void ts_stat_accumulate(const struct ts_stat_table *table, void *dst, const void *src)
{
    for (size_t i = 0; i < table->nrows; i++) {
        const struct ts_stat *row = &table->rows[i];
        uint64_t *to = field_at_mut(dst, row->offset);
        const uint64_t *from = field_at(src, row->offset);

        switch (row->kind) {
        case TS_STAT_COUNTER:
        case TS_STAT_TIME_PS:
            *to += *from;
            break;
        case TS_STAT_GAUGE:
            *to = *to > *from ? *to : *from;
            break;
        case TS_STAT_HIST:
            ts_hist_merge(field_at_mut(dst, row->offset), field_at(src, row->offset));
            break;
        }
    }
}
