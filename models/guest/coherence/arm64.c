/* SPDX-License-Identifier: Apache-2.0 */
/* What the arm64 mechanisms share: broadcast TLBI and DSB ISH as instructions of the executing
 * pCPU (arm.md 3.9). */
#include "models/guest/coherence/arm64.h"

#include "models/cpu/dvm_port.h"

uint16_t ts_arm64_vmid(const struct ts_guest *g)
{
    return ts_vm_vmid(g->vm, 0);
}

struct ts_tlb_inval ts_arm64_inval_all(const struct ts_guest *g, const struct ts_mm *mm)
{
    return mm ? ts_inval_tlbi_aside1(ts_arm64_vmid(g), mm->asid)
              : ts_inval_tlbi_vmalle1(ts_arm64_vmid(g));
}

struct ts_arm64_range ts_arm64_range_of(const struct ts_guest *g, const struct ts_flush_info *info)
{
    uint64_t stride = UINT64_C(1) << info->stride_shift;
    struct ts_arm64_range r = {
        .start = info->start & ~(stride - 1),
        .end = (info->end + stride - 1) & ~(stride - 1),
        .last_level = !info->freed_tables,
    };
    TS_ASSERT(info->end != UINT64_MAX && info->start <= info->end);
    r.pages = (r.end - r.start) >> 12;
    if (g->params.ttl && !info->freed_tables)
        r.ttl = (uint8_t)(1 + (info->stride_shift - 12) / 9);
    return r;
}

void ts_arm64_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_work(self, g->params.tlbi_issue_cycles);
    ts_dvm_port_tlbi(self, g->dvm, inval);
    g->stats.tlbi_issued++;
}

void ts_arm64_dsb_ishst(struct ts_task *self)
{
    ts_dvm_port_dsb_st(self, ts_guest_cpu_of(self)->guest->params.dsb_ishst_cycles);
}

void ts_arm64_tlbi_local(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_work(self, g->params.tlbi_issue_cycles);
    ts_dvm_port_tlbi_local(self, g->dvm, inval);
}

void ts_arm64_dsb_nsh(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_work(self, g->params.tlbi_local_cycles);
    g->stats.dsb_nsh++;
    ts_dvm_port_dsb_nsh(self, g->dvm);
}

void ts_arm64_dsb_ish(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    g->stats.dsb++;
    ts_dvm_port_dsb(self, g->dvm);
    if (!g->params.repeat_tlbi)
        return;
    /* ARM64_WORKAROUND_REPEAT_TLBI: one more VALE1IS of address 0 and its DSB (arm.md 1.6). */
    struct ts_tlb_inval again = ts_inval_tlbi_vae1(ts_arm64_vmid(g), 0, 0, true, 0);
    ts_arm64_tlbi(self, &again);
    ts_dvm_port_dsb(self, g->dvm);
}
