/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/range.h"

#define SCALE_MAX 3
#define NUM_MAX 31u
#define BASE_BITS 37u
#define BASE_MASK ((UINT64_C(1) << BASE_BITS) - 1)
#define LPA2_SHIFT 16u
#define TTL_LEVELS 3u

static const struct ts_range_format plain = {TS_GRANULE_4K, false, 0};

/* Pages of one unit of num at a scale: 2^(5*scale+1). */
static uint32_t unit_shift(uint32_t scale)
{
    return 5u * scale + 1u;
}

static uint64_t page_bytes(const struct ts_range_format *format)
{
    return UINT64_C(1) << ts_granule_shift(format->granule);
}

/* log2 of what BaseADDR counts. */
static uint32_t base_shift(uint32_t granule, bool lpa2)
{
    return lpa2 ? LPA2_SHIFT : ts_granule_shift(granule);
}

/* TG: 1, 2, 3 for 4K, 16K, 64K; 0 is reserved. */
static uint64_t translation_granule(uint32_t granule)
{
    return granule + 1u;
}

struct splitter {
    const struct ts_range_format *format;
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
    s->at += page_bytes(s->format);
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
    s->at += op->pages * page_bytes(s->format);
    s->left -= op->pages;
}

/* The operation that an operand with a scale too large turns into. The kernel counts the range as
 * done. */
static void emit_garbage(struct splitter *s, int scale, uint64_t units)
{
    uint16_t asid;
    struct ts_range_format seen;
    uint64_t operand = ts_range_operand_raw(s->format->granule, 0, s->at, scale, (int)units - 1);
    struct ts_range_op op = ts_range_decode_of(operand, false, &asid, &seen);
    if (seen.granule != s->format->granule)
        return;
    TS_ASSERT(s->n < s->max);
    s->ops[s->n++] = op;
}

/* Linux 5.9 to 6.8: five bits of the page count a scale, upwards, so a scale takes at most 31 units
 * and the bit of 2^21 pages belongs to none. The kernel then goes on with scales that do not exist
 * (fixed by "arm64: tlb: Fix TLBI RANGE operand", April 2024). */
static bool split_legacy(struct splitter *s)
{
    TS_ASSERT(!s->format->lpa2);
    for (int scale = 0; s->left > 0;) {
        if (s->left & 1u) {
            emit_page(s);
            continue;
        }
        uint64_t units = (s->left >> unit_shift((uint32_t)scale)) & NUM_MAX;
        if (scale > SCALE_MAX) {
            emit_garbage(s, scale, units);
            return false;
        }
        if (units > 0)
            emit_range(s, (uint32_t)scale, units);
        scale++;
    }
    return true;
}

/* Linux 6.9 and later: the largest scale first, up to 32 units each; a last odd page alone. Where
 * BaseADDR counts 64K, single pages up to the first such boundary; what the larger scales take is a
 * multiple of 64 pages, so the start stays aligned for as long as ranges follow. */
static void split_modern(struct splitter *s)
{
    uint64_t low = s->format->lpa2 ? (UINT64_C(1) << LPA2_SHIFT) - 1 : 0;
    for (int scale = SCALE_MAX; s->left > 0;) {
        if (s->left == 1 || (s->at & low) != 0) {
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

uint32_t ts_range_split_of(enum ts_range_split split, const struct ts_range_format *format,
                           uint64_t start, uint64_t pages, struct ts_range_op *ops, uint32_t max,
                           bool *fault)
{
    TS_ASSERT(format->granule < TS_GRANULES);
    TS_ASSERT((start & (page_bytes(format) - 1)) == 0);
    struct splitter s = {format, ops, max, 0, start, pages};
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

uint32_t ts_range_split(enum ts_range_split split, uint64_t start, uint64_t pages,
                        struct ts_range_op *ops, uint32_t max, bool *fault)
{
    return ts_range_split_of(split, &plain, start, pages, ops, max, fault);
}

bool ts_range_ttl_is_valid(const struct ts_range_format *format, uint64_t start)
{
    if (format->ttl_level == 0)
        return true;
    if (format->ttl_level > TTL_LEVELS)
        return false;
    uint32_t shift = ts_granule_level_shift(format->granule, format->ttl_level - 1u);
    return (start & ((UINT64_C(1) << shift) - 1)) == 0;
}

/* Arm ARM, TLBI RVAE1: ASID [63:48], TG [47:46], SCALE [45:44], NUM [43:39], TTL [38:37],
 * BaseADDR [36:0]. */
uint64_t ts_range_operand_raw(uint32_t granule, uint16_t asid, uint64_t start, int scale, int num)
{
    return (uint64_t)asid << 48 | translation_granule(granule) << 46 |
           (uint64_t)(int64_t)scale << 44 | (uint64_t)(int64_t)num << 39 |
           (start >> ts_granule_shift(granule) & BASE_MASK);
}

uint64_t ts_range_encode_of(const struct ts_range_format *format, uint16_t asid,
                            const struct ts_range_op *op)
{
    TS_ASSERT(op->range && op->scale <= SCALE_MAX && op->num <= NUM_MAX);
    TS_ASSERT(format->granule < TS_GRANULES);
    uint32_t shift = base_shift(format->granule, format->lpa2);
    uint32_t unused = 64u - shift - BASE_BITS;
    TS_ASSERT((uint64_t)((int64_t)(op->start << unused) >> unused) == op->start);
    TS_ASSERT((op->start & ((UINT64_C(1) << shift) - 1)) == 0);
    TS_ASSERT(ts_range_ttl_is_valid(format, op->start));
    /* The architecture counts levels from the top: its last is 3. */
    uint64_t ttl = format->ttl_level ? 1u + TTL_LEVELS - format->ttl_level : 0u;
    return (uint64_t)asid << 48 | translation_granule(format->granule) << 46 |
           (uint64_t)op->scale << 44 | (uint64_t)op->num << 39 | ttl << BASE_BITS |
           (op->start >> shift & BASE_MASK);
}

struct ts_range_op ts_range_decode_of(uint64_t operand, bool lpa2, uint16_t *asid,
                                      struct ts_range_format *format)
{
    uint32_t tg = (uint32_t)(operand >> 46 & 3u);
    TS_ASSERT(tg != 0);
    uint32_t ttl = (uint32_t)(operand >> BASE_BITS & 3u);
    if (format) {
        format->granule = (uint8_t)(tg - 1u);
        format->lpa2 = lpa2;
        format->ttl_level = (uint8_t)(ttl ? 1u + TTL_LEVELS - ttl : 0u);
    }
    struct ts_range_op op;
    op.range = true;
    op.scale = (uint8_t)(operand >> 44 & 3u);
    op.num = (uint8_t)(operand >> 39 & NUM_MAX);
    /* The top bit of BaseADDR extends upwards. */
    int64_t base = (int64_t)(operand << (64u - BASE_BITS)) >> (64u - BASE_BITS);
    op.start = (uint64_t)base << base_shift(tg - 1u, lpa2);
    op.pages = (uint64_t)(op.num + 1u) << unit_shift(op.scale);
    *asid = (uint16_t)(operand >> 48);
    return op;
}

uint64_t ts_range_encode(uint16_t asid, const struct ts_range_op *op)
{
    return ts_range_encode_of(&plain, asid, op);
}

struct ts_range_op ts_range_decode(uint64_t operand, uint16_t *asid)
{
    struct ts_range_format format;
    struct ts_range_op op = ts_range_decode_of(operand, false, asid, &format);
    TS_ASSERT(format.granule == TS_GRANULE_4K);
    return op;
}

/* Steps of one hypervisor call, in order (Linux 6.12, arch/arm64/kvm/hyp/vhe/tlb.c,
 * __kvm_tlb_flush_vmid_range and __kvm_tlb_flush_vmid): stage 2 has to be gone everywhere before
 * stage 1 goes, or a walk between the two could refill from it. */
enum { PHASE_CHUNK, PHASE_STAGE2, PHASE_FIRST_DSB, PHASE_STAGE1, PHASE_LAST_DSB, PHASE_END };

void ts_range_vmid_begin(struct ts_range_vmid_flush *flush, enum ts_range_split split,
                         const struct ts_range_format *format, uint64_t start, uint64_t pages)
{
    const struct ts_range_vmid_counts none = {0, {0}, 0};
    flush->format = *format;
    flush->split = split;
    flush->at = start;
    flush->left = pages;
    flush->nops = flush->op = 0;
    flush->counts = none;
    flush->phase = split == TS_RANGE_SPLIT_PAGES || pages > 0 ? PHASE_CHUNK : PHASE_END;
}

static void start_chunk(struct ts_range_vmid_flush *flush)
{
    flush->counts.chunks++;
    flush->op = flush->nops = 0;
    if (flush->split == TS_RANGE_SPLIT_PAGES) {
        flush->left = 0;
        flush->phase = PHASE_STAGE1;
        return;
    }
    uint64_t pages = flush->left < TS_RANGE_MAX_PAGES ? flush->left : TS_RANGE_MAX_PAGES;
    bool fault;
    flush->nops = ts_range_split_of(flush->split, &flush->format, flush->at, pages, flush->ops,
                                    TS_RANGE_OPS_MAX_LPA2, &fault);
    flush->counts.faults += fault;
    flush->at += pages * page_bytes(&flush->format);
    flush->left -= pages;
    flush->phase = flush->nops > 0 ? PHASE_STAGE2 : PHASE_FIRST_DSB;
}

bool ts_range_vmid_next(struct ts_range_vmid_flush *flush, struct ts_range_step *step)
{
    const struct ts_range_op none = {false, 0, 0, 0, 0};
    step->op = none;
    switch (flush->phase) {
    case PHASE_CHUNK:
        step->kind = TS_RANGE_STEP_DSB_ISHST;
        start_chunk(flush);
        break;
    case PHASE_STAGE2:
        step->op = flush->ops[flush->op++];
        step->kind = step->op.range ? TS_RANGE_STEP_RIPAS2E1 : TS_RANGE_STEP_IPAS2E1;
        if (flush->op == flush->nops)
            flush->phase = PHASE_FIRST_DSB;
        break;
    case PHASE_FIRST_DSB:
        step->kind = TS_RANGE_STEP_DSB_ISH;
        flush->phase = PHASE_STAGE1;
        break;
    case PHASE_STAGE1:
        step->kind =
            flush->split == TS_RANGE_SPLIT_PAGES ? TS_RANGE_STEP_VMALLS12E1 : TS_RANGE_STEP_VMALLE1;
        flush->phase = PHASE_LAST_DSB;
        break;
    case PHASE_LAST_DSB:
        step->kind = TS_RANGE_STEP_DSB_ISH;
        flush->phase = flush->left > 0 ? PHASE_CHUNK : PHASE_END;
        break;
    default:
        return false;
    }
    flush->counts.steps[step->kind]++;
    return true;
}

struct ts_range_vmid_counts ts_range_vmid_count(enum ts_range_split split,
                                                const struct ts_range_format *format,
                                                uint64_t start, uint64_t pages)
{
    struct ts_range_vmid_flush flush;
    struct ts_range_step step;
    ts_range_vmid_begin(&flush, split, format, start, pages);
    while (ts_range_vmid_next(&flush, &step))
        ;
    return flush.counts;
}
