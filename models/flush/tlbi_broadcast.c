/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 without range operations: one broadcast TLBI a page, or one for the ASID above MAX_DVM_OPS,
 * then DSB ISH. No CPU is interrupted, and no vCPU has to run. */
#include "models/flush/flush.h"
#include "models/guest/coherence/arm64.h"

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    uint16_t vmid = ts_arm64_vmid(g);
    uint16_t asid = info->mm->asid;
    ts_time mark = record->started;
    (void)mask; /* hardware reaches every CPU */

    ts_task_work(self, g->params.dsb_ishst_cycles);
    if (info->end == UINT64_MAX ||
        (info->end - info->start) >> info->stride_shift >= g->params.max_dvm_ops) {
        struct ts_tlb_inval all = ts_inval_tlbi_aside1(vmid, asid);
        ts_arm64_tlbi(self, &all);
    } else {
        uint64_t step = UINT64_C(1) << info->stride_shift;
        uint8_t ttl = (uint8_t)(g->params.ttl ? 1 + (info->stride_shift - 12) / 9 : 0);
        for (uint64_t va = info->start; va < info->end; va += step) {
            struct ts_tlb_inval one = ts_inval_tlbi_vae1(vmid, asid, va, !info->freed_tables, 0);
            if (ttl != 0)
                one = ts_inval_with_hint(one, 1 + TS_GRANULE_4K, ttl);
            ts_arm64_tlbi(self, &one);
        }
    }
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    ts_arm64_dsb_ish(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
}

const struct ts_flush_ops ts_flush_tlbi_broadcast = {
    .name = "tlbi_broadcast",
    .summary = "broadcast TLBI, one a page or one an ASID",
    .reference = "arch/arm64/include/asm/tlbflush.h __flush_tlb_range without FEAT_TLBIRANGE, 6.12",
    .needs = TS_NEEDS_ARM64,
    .flush_multi = flush_multi,
};
