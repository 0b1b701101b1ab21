/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_tlbi.h"

static void issue_pages(struct ts_task *self, struct ts_guest *g, const struct ts_flush_info *info,
                        const struct ts_arm64_range *r)
{
    uint64_t step = UINT64_C(1) << info->stride_shift;
    for (uint64_t va = r->start; va < r->end; va += step) {
        struct ts_tlb_inval one =
            ts_inval_tlbi_vae1(ts_arm64_vmid(g), info->mm->asid, va, r->last_level, 0);
        if (r->ttl != 0)
            one = ts_inval_with_hint(one, 1 + TS_GRANULE_4K, r->ttl);
        (void)ts_arm64_tlbi(self, &one);
    }
}

static bool too_many_pages(const struct ts_guest *g, const struct ts_flush_info *info,
                           const struct ts_arm64_range *r)
{
    TS_ASSERT(((r->end - r->start) & ((UINT64_C(1) << info->stride_shift) - 1)) == 0);
    return (r->end - r->start) >> info->stride_shift >= g->params.max_dvm_ops;
}

void ts_tlbi_flush(struct ts_task *self, const struct ts_flush_info *info,
                   struct ts_shootdown_record *record, const struct ts_tlbi_form *form)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_time mark = record->started;
    struct ts_arm64_range r = {0};
    bool all = !info->mm || info->end == UINT64_MAX;

    ts_arm64_dsb_ishst(self);
    if (!all)
        r = ts_arm64_range_of(g, info);
    TS_ASSERT(all || (r.start <= info->start && info->end <= r.end && r.pages > 0));
    if (all || form->too_many(g, info, &r)) {
        struct ts_tlb_inval inval = ts_arm64_inval_all(g, info->mm);
        (void)ts_arm64_tlbi(self, &inval);
    } else {
        form->issue(self, g, info, &r);
    }
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    ts_arm64_sync(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
}

void ts_tlbi_flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                         struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    static const struct ts_tlbi_form by_page = {too_many_pages, issue_pages};
    (void)mask; /* hardware reaches every CPU */
    ts_tlbi_flush(self, info, record, &by_page);
}
