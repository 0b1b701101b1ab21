/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 with FEAT_TLBIRANGE: any range up to 2^21 pages in at most five broadcast operations. */
#include "models/flush/flush_tlbi.h"
#include "models/tlb/range.h"

enum { OPS_AT_ONCE = 8 };

static void issue(struct ts_task *self, struct ts_guest *g, const struct ts_flush_info *info,
                  const struct ts_arm64_range *r, const struct ts_range_op *op)
{
    uint16_t vmid = ts_arm64_vmid(g);
    uint16_t asid = info->mm->asid;
    TS_ASSERT(op->pages > 0 && (op->range || op->pages == 1));
    TS_ASSERT(op->start >= r->start && op->start + (op->pages << 12) <= r->end);
    struct ts_tlb_inval inval =
        op->range ? ts_inval_tlbi_rvae1(vmid, asid, op->start, op->pages << 12, r->last_level)
                  : ts_inval_tlbi_vae1(vmid, asid, op->start, r->last_level, 0);
    uint32_t n = ts_arm64_tlbi(self, &inval);
    if (op->range) {
        g->stats.tlbi_range_ops += n;
        g->stats.tlbi_range_pages += op->pages;
    }
}

/* The splitter by pages stops when its output is full and is asked again behind it; those by range
 * never fill it. */
static void range_ops(struct ts_task *self, struct ts_guest *g, const struct ts_flush_info *info,
                      const struct ts_arm64_range *r)
{
    enum ts_range_split split = (enum ts_range_split)g->params.range_split;
    uint64_t start = r->start, left = r->pages;
    struct ts_range_op ops[OPS_AT_ONCE];
    bool fault = false;
    uint32_t n;

    do {
        n = ts_range_split(split, start, left, ops, OPS_AT_ONCE, &fault);
        TS_ASSERT(n > 0 && n <= OPS_AT_ONCE && !fault); /* a guest asks for what can be said */
        for (uint32_t i = 0; i < n; i++)
            issue(self, g, info, r, &ops[i]);
        if (split != TS_RANGE_SPLIT_PAGES)
            return;
        start += (uint64_t)n << 12;
        left -= n;
    } while (left > 0);
}

/* Linux up to 6.8 flushes all from 2^21 pages on, since 6.9 beyond them (arm.md 2.2): the splitter
 * of each generation gets what it can say, but for KVM's, which asked the old one for 2^21. Without
 * FEAT_TLBIRANGE the limit is MAX_DVM_OPS operations. */
static bool too_many(const struct ts_guest *g, const struct ts_flush_info *info,
                     const struct ts_arm64_range *r)
{
    uint64_t pages = r->pages;
    (void)info;
    if (g->params.range_split == TS_RANGE_SPLIT_PAGES)
        return pages >= g->params.max_dvm_ops;
    return g->params.range_split == TS_RANGE_SPLIT_LEGACY ? pages >= TS_RANGE_MAX_PAGES
                                                          : pages > TS_RANGE_MAX_PAGES;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    static const struct ts_tlbi_form by_range = {too_many, range_ops};
    (void)mask; /* hardware reaches every CPU */
    ts_tlbi_flush(self, info, record, &by_range);
}

const struct ts_flush_ops ts_flush_tlbi_range = {
    .name = "tlbi_range",
    .summary = "broadcast range TLBI (FEAT_TLBIRANGE)",
    .reference = "arch/arm64/include/asm/tlbflush.h __flush_tlb_range_op, 6.12; thread "
                 "range-tlbi-kvm-arm64",
    .needs = TS_NEEDS_ARM64 | TS_NEEDS_TLBIRANGE,
    .flush_multi = flush_multi,
};
