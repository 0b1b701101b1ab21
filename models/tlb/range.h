/* SPDX-License-Identifier: Apache-2.0 */
/* FEAT_TLBIRANGE operands and the Linux splitter (Arm ARM, TLBI RVAE1; Linux
 * arch/arm64/include/asm/tlbflush.h, __flush_tlb_range_op). */
#ifndef TS_MODELS_TLB_RANGE_H
#define TS_MODELS_TLB_RANGE_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_range_split {
    TS_RANGE_SPLIT_LEGACY = 0, /* 5.9..6.8: scale upwards; wrong for exactly 2^21 pages */
    TS_RANGE_SPLIT_MODERN = 1, /* 6.9+: scale downwards */
    TS_RANGE_SPLIT_PAGES = 2   /* no FEAT_TLBIRANGE: one operation a page */
};
#define TS_RANGE_MAX_PAGES (UINT64_C(1) << 21)

struct ts_range_op {
    bool range; /* else one page */
    uint8_t scale, num;
    uint64_t start; /* bytes */
    uint64_t pages; /* covered: 1, or (num+1) << (5*scale+1) */
};

/* Splits pages 4K pages from start into operations, at most max; returns their number (arrays of 8
 * suffice for every page count up to TS_RANGE_MAX_PAGES with range ops). *fault is set when the
 * legacy splitter runs off its scales (2^21 pages), in which case the operations do not cover the
 * range. start is 4K-aligned. The range splitters take at most TS_RANGE_MAX_PAGES (more is a full
 * flush, which is the caller's decision) and max must suffice; TS_RANGE_SPLIT_PAGES takes any
 * number and stops after max: go on behind the last operation. */
uint32_t ts_range_split(enum ts_range_split split, uint64_t start, uint64_t pages,
                        struct ts_range_op *ops, uint32_t max, bool *fault);
/* 64-bit operand of RVAE1IS (ASID, TG=4K, SCALE, NUM, TTL 0, BaseADDR) and back. Range operations
 * only; start is an address of at most 49 bits, sign-extended. */
uint64_t ts_range_encode(uint16_t asid, const struct ts_range_op *op);
struct ts_range_op ts_range_decode(uint64_t operand, uint16_t *asid);

#ifdef __cplusplus
}
#endif
#endif
