/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/range.h"

#define PAGE_SHIFT 12u
#define SCALE_MAX 3
#define NUM_MAX 31u
#define TG_4K UINT64_C(1)
#define BASE_BITS 37u

/* Pages of one unit of num at a scale: 2^(5*scale+1). */
static uint32_t unit_shift(uint32_t scale)
{
    return 5u * scale + 1u;
}

struct splitter {
    struct ts_range_op *ops;
    uint32_t max, n;
    uint64_t at, left;
};

static void emit_page(struct splitter *s)
{
    TS_ASSERT(s->n < s->max);
    struct ts_range_op *op = &s->ops[s->n++];
    op->range = false;
    op->scale = 0;
    op->num = 0;
    op->start = s->at;
    op->pages = 1;
    s->at += UINT64_C(1) << PAGE_SHIFT;
    s->left--;
}

static void emit_range(struct splitter *s, uint32_t scale, uint64_t units)
{
    TS_ASSERT(s->n < s->max && units >= 1 && units <= NUM_MAX + 1);
    struct ts_range_op *op = &s->ops[s->n++];
    op->range = true;
    op->scale = (uint8_t)scale;
    op->num = (uint8_t)(units - 1);
    op->start = s->at;
    op->pages = units << unit_shift(scale);
    s->at += op->pages << PAGE_SHIFT;
    s->left -= op->pages;
}

/* Linux 5.9 to 6.8: five bits of the page count a scale, upwards, so a scale takes at most 31 units
 * and the bit of 2^21 pages belongs to none. The kernel then goes on with scales that do not exist
 * (fixed by "arm64: tlb: Fix TLBI RANGE operand", April 2024); here the split ends with a fault. */
static bool split_legacy(struct splitter *s)
{
    for (uint32_t scale = 0; s->left > 0;) {
        if (s->left & 1u) {
            emit_page(s);
            continue;
        }
        if (scale > SCALE_MAX)
            return false;
        uint64_t units = (s->left >> unit_shift(scale)) & NUM_MAX;
        if (units > 0)
            emit_range(s, scale, units);
        scale++;
    }
    return true;
}

/* Linux 6.9 and later: the largest scale first, up to 32 units each; a last odd page alone. */
static void split_modern(struct splitter *s)
{
    for (int scale = SCALE_MAX; s->left > 0;) {
        if (s->left == 1) {
            emit_page(s);
            continue;
        }
        TS_ASSERT(scale >= 0);
        uint64_t units = s->left >> unit_shift((uint32_t)scale);
        if (units > NUM_MAX + 1)
            units = NUM_MAX + 1;
        if (units > 0)
            emit_range(s, (uint32_t)scale, units);
        scale--;
    }
}

uint32_t ts_range_split(enum ts_range_split split, uint64_t start, uint64_t pages,
                        struct ts_range_op *ops, uint32_t max, bool *fault)
{
    TS_ASSERT((start & ((UINT64_C(1) << PAGE_SHIFT) - 1)) == 0);
    struct splitter s = {ops, max, 0, start, pages};
    *fault = false;
    if (split == TS_RANGE_SPLIT_PAGES) {
        while (s.left > 0 && s.n < max)
            emit_page(&s);
        return s.n;
    }
    TS_ASSERT(pages <= TS_RANGE_MAX_PAGES);
    if (split == TS_RANGE_SPLIT_LEGACY)
        *fault = !split_legacy(&s);
    else
        split_modern(&s);
    return s.n;
}

/* Arm ARM, TLBI RVAE1: ASID [63:48], TG [47:46], SCALE [45:44], NUM [43:39], TTL [38:37],
 * BaseADDR [36:0]. */
uint64_t ts_range_encode(uint16_t asid, const struct ts_range_op *op)
{
    TS_ASSERT(op->range && op->scale <= SCALE_MAX && op->num <= NUM_MAX);
    uint32_t unused = 64u - PAGE_SHIFT - BASE_BITS;
    TS_ASSERT((uint64_t)((int64_t)(op->start << unused) >> unused) == op->start);
    uint64_t base = (op->start >> PAGE_SHIFT) & ((UINT64_C(1) << BASE_BITS) - 1);
    return (uint64_t)asid << 48 | TG_4K << 46 | (uint64_t)op->scale << 44 |
           (uint64_t)op->num << 39 | base;
}

struct ts_range_op ts_range_decode(uint64_t operand, uint16_t *asid)
{
    TS_ASSERT((operand >> 46 & 3u) == TG_4K);
    struct ts_range_op op;
    op.range = true;
    op.scale = (uint8_t)(operand >> 44 & 3u);
    op.num = (uint8_t)(operand >> 39 & NUM_MAX);
    /* The top bit of BaseADDR extends upwards. */
    op.start =
        (uint64_t)((int64_t)(operand << (64u - BASE_BITS)) >> (64u - BASE_BITS - PAGE_SHIFT));
    op.start &= ~((UINT64_C(1) << PAGE_SHIFT) - 1);
    op.pages = (uint64_t)(op.num + 1u) << unit_shift(op.scale);
    *asid = (uint16_t)(operand >> 48);
    return op;
}
