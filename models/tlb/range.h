/* SPDX-License-Identifier: Apache-2.0 */
/* FEAT_TLBIRANGE operands and the Linux splitters (Arm ARM, TLBI RVAE1; Linux
 * arch/arm64/include/asm/tlbflush.h, __flush_tlb_range_op), and the sequence with which KVM drops a
 * range of guest-physical addresses (arch/arm64/kvm/hyp/pgtable.c, kvm_tlb_flush_vmid_range). */
#ifndef TS_MODELS_TLB_RANGE_H
#define TS_MODELS_TLB_RANGE_H

#include "models/tlb/granule.h"
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
/* Operations of one split by range: five, and with LPA2 and 4K pages up to 15 single pages before
 * them. */
#define TS_RANGE_OPS_MAX 5u
#define TS_RANGE_OPS_MAX_LPA2 20u

struct ts_range_op {
    bool range; /* else one page */
    uint8_t scale, num;
    uint64_t start; /* bytes */
    uint64_t pages; /* covered, in pages of the granule: 1, or (num+1) << (5*scale+1) */
};

/* What an operand says beside the range. */
struct ts_range_format {
    uint8_t granule;   /* enum ts_granule */
    bool lpa2;         /* TCR_EL1.DS or VTCR_EL2.DS: BaseADDR counts 64K, so a range starts there */
    uint8_t ttl_level; /* 0: no hint; else 1 + level of the leaf, as in inval.h; 1 to 3 */
};

/* Splits pages of the format's granule from start into operations, at most max; returns their
 * number. start is aligned to a page. The range splitters take at most TS_RANGE_MAX_PAGES (more is
 * a full flush, which is the caller's decision) and max must suffice: TS_RANGE_OPS_MAX, with lpa2
 * TS_RANGE_OPS_MAX_LPA2. TS_RANGE_SPLIT_PAGES takes any number and stops after max: go on behind
 * the last operation. The legacy splitter knows no lpa2.
 *
 * *fault is set when the legacy splitter runs off its scales, which it does for 2^21 pages. The
 * operations are then what the hardware makes of the operand that the kernel hands it, and do not
 * cover the range: see ts_range_operand_raw. */
uint32_t ts_range_split_of(enum ts_range_split split, const struct ts_range_format *format,
                           uint64_t start, uint64_t pages, struct ts_range_op *ops, uint32_t max,
                           bool *fault);
/* With 4K pages, no LPA2 and no hint. */
uint32_t ts_range_split(enum ts_range_split split, uint64_t start, uint64_t pages,
                        struct ts_range_op *ops, uint32_t max, bool *fault);

/* May the range form give this hint? Level 0 of the architecture has no code, and a start that is
 * not aligned to a block of the level makes the operation unpredictable (Arm ARM, TLBI RVAE1,
 * TTL). */
bool ts_range_ttl_is_valid(const struct ts_range_format *format, uint64_t start);
/* 64-bit operand of RVAE1IS (ASID, TG, SCALE, NUM, TTL, BaseADDR) and back. Range operations only;
 * start is a sign-extended address of at most 49, 51 or 53 bits, by granule (with lpa2 53), and
 * aligned to a page, with lpa2 to 64K; a hint must be valid. */
uint64_t ts_range_encode_of(const struct ts_range_format *format, uint16_t asid,
                            const struct ts_range_op *op);
/* lpa2 is not in the operand. The TG of the operand is not the reserved 0. format may be NULL. */
struct ts_range_op ts_range_decode_of(uint64_t operand, bool lpa2, uint16_t *asid,
                                      struct ts_range_format *format);
/* With TG=4K, no LPA2 and TTL 0. */
uint64_t ts_range_encode(uint16_t asid, const struct ts_range_op *op);
struct ts_range_op ts_range_decode(uint64_t operand, uint16_t *asid);
/* The operand as the kernel's __TLBI_VADDR_RANGE composes it: fields are shifted and ORed and none
 * but BaseADDR is masked, so a scale that does not exist runs over into TG and ASID. Kernels 5.9 to
 * 6.8 hand it scale 4, num 0 for 2^21 pages: with 4K and 64K pages the bit falls on one that TG has
 * anyway, and the operand says SCALE 0, NUM 0: two pages. With 16K pages TG becomes 64K, and
 * nothing need go. 6.9-rc, scale downwards with the old num, came to scale -9, num 1 (mail
 * 20240405035852.1532010-2, "arm64: tlb: Fix TLBI RANGE operand"). */
uint64_t ts_range_operand_raw(uint32_t granule, uint16_t asid, uint64_t start, int scale, int num);

/* One step of KVM's flush of a range of guest-physical addresses. */
enum ts_range_step_kind {
    TS_RANGE_STEP_DSB_ISHST = 0, /* the table writes before the TLBI */
    TS_RANGE_STEP_RIPAS2E1 = 1,  /* op says what */
    TS_RANGE_STEP_IPAS2E1 = 2,   /* a single page of op */
    TS_RANGE_STEP_VMALLE1 = 3,
    TS_RANGE_STEP_VMALLS12E1 = 4,
    TS_RANGE_STEP_DSB_ISH = 5,
    TS_RANGE_STEPS = 6
};
struct ts_range_step {
    enum ts_range_step_kind kind;
    struct ts_range_op op;
};
struct ts_range_vmid_counts {
    uint64_t chunks; /* hypervisor calls */
    uint64_t steps[TS_RANGE_STEPS];
    uint64_t faults; /* chunks that the splitter got wrong */
};
/* The steps one by one: no memory grows with the range. Members are private. */
struct ts_range_vmid_flush {
    struct ts_range_format format;
    enum ts_range_split split;
    uint64_t at, left;
    uint32_t phase, nops, op;
    struct ts_range_op ops[TS_RANGE_OPS_MAX_LPA2];
    struct ts_range_vmid_counts counts;
};
/* TS_RANGE_SPLIT_PAGES: a CPU without FEAT_TLBIRANGE, for which KVM gives up the range and drops
 * all of the VMID with one VMALLS12E1IS. Else chunks of at most 2^21 pages, each of them:
 * RIPAS2E1IS operations, DSB, VMALLE1IS, DSB. */
void ts_range_vmid_begin(struct ts_range_vmid_flush *flush, enum ts_range_split split,
                         const struct ts_range_format *format, uint64_t start, uint64_t pages);
/* False after the last step. */
bool ts_range_vmid_next(struct ts_range_vmid_flush *flush, struct ts_range_step *step);
/* All of it at once, in numbers. */
struct ts_range_vmid_counts ts_range_vmid_count(enum ts_range_split split,
                                                const struct ts_range_format *format,
                                                uint64_t start, uint64_t pages);

#ifdef __cplusplus
}
#endif
#endif
