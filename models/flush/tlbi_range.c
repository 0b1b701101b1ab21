/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 with FEAT_TLBIRANGE: any range up to 2^21 pages in at most five broadcast operations. */
#include "models/flush/flush.h"
#include "models/guest/coherence/arm64.h"
#include "models/tlb/range.h"

enum { RANGE_OPS_MAX = 8 };

static void range_ops(struct ts_task *self, struct ts_guest *g, struct ts_flush_info *info)
{
    struct ts_range_op ops[RANGE_OPS_MAX];
    uint16_t vmid = ts_arm64_vmid(g);
    uint16_t asid = info->mm->asid;
    bool last_level = !info->freed_tables;
    bool fault = false;
    uint32_t n = ts_range_split((enum ts_range_split)g->params.range_split, info->start,
                                (info->end - info->start) >> 12, ops, RANGE_OPS_MAX, &fault);
    for (uint32_t i = 0; i < n; i++) {
        struct ts_tlb_inval inval =
            ops[i].range
                ? ts_inval_tlbi_rvae1(vmid, asid, ops[i].start, ops[i].pages << 12, last_level)
                : ts_inval_tlbi_vae1(vmid, asid, ops[i].start, last_level, 0);
        ts_arm64_tlbi(self, &inval);
        if (ops[i].range) {
            g->stats.tlbi_range_ops++;
            g->stats.tlbi_range_pages += ops[i].pages;
        }
    }
}

/* Linux up to 6.8 flushes all from 2^21 pages on, since 6.9 beyond them (arm.md 2.2): the splitter
 * of each generation gets what it can say, but for KVM's, which asked the old one for 2^21. */
static bool too_many(const struct ts_guest *g, const struct ts_flush_info *info)
{
    uint64_t pages;

    if (info->end == UINT64_MAX)
        return true;
    pages = (info->end - info->start) >> 12;
    return g->params.range_split == TS_RANGE_SPLIT_LEGACY ? pages >= TS_RANGE_MAX_PAGES
                                                          : pages > TS_RANGE_MAX_PAGES;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_time mark = record->started;
    (void)mask; /* hardware reaches every CPU */

    ts_task_work(self, g->params.dsb_ishst_cycles);
    if (too_many(g, info)) {
        struct ts_tlb_inval all = ts_inval_tlbi_aside1(ts_arm64_vmid(g), info->mm->asid);
        ts_arm64_tlbi(self, &all);
    } else {
        range_ops(self, g, info);
    }
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    ts_arm64_dsb_ish(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
}

const struct ts_flush_ops ts_flush_tlbi_range = {
    .name = "tlbi_range",
    .summary = "broadcast range TLBI (FEAT_TLBIRANGE)",
    .reference = "arch/arm64/include/asm/tlbflush.h __flush_tlb_range_op, 6.12; thread "
                 "range-tlbi-kvm-arm64",
    .needs = TS_NEEDS_ARM64 | TS_NEEDS_TLBIRANGE,
    .flush_multi = flush_multi,
};
