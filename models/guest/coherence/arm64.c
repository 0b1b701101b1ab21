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

/* --- TLBI --- */

static void issue(struct ts_task *self, const struct ts_tlb_inval *inval, bool local)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_work(self, g->params.tlbi_issue_cycles);
    if (local) {
        ts_dvm_port_tlbi_local(self, g->dvm, inval);
        return;
    }
    ts_dvm_port_tlbi(self, g->dvm, inval);
    g->stats.tlbi_issued++;
}

static void dsb_ish(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    g->stats.dsb++;
    ts_dvm_port_dsb(self, g->dvm);
}

static bool repeats(const struct ts_guest *g, enum ts_repeat_tlbi_form form)
{
    return g->params.repeat_tlbi && g->params.repeat_tlbi_form == (uint64_t)form;
}

/* __tlbi; __TLBI_0 and __TLBI_1 of older kernels repeat it, local ones too. */
static uint32_t tlbi(struct ts_task *self, const struct ts_tlb_inval *inval, bool local)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    issue(self, inval, local);
    if (!repeats(g, TS_REPEAT_TLBI_EACH))
        return 1;
    dsb_ish(self);
    g->stats.tlbi_repeated++;
    issue(self, inval, local);
    return 2;
}

/* All that Linux names an ASID for is __tlbi and then __tlbi_user. */
static bool has_user_twin(const struct ts_guest *g, const struct ts_tlb_inval *inval)
{
    return g->params.kpti && (inval->asid_rule == TS_INVAL_ASID_MATCH ||
                              inval->asid_rule == TS_INVAL_ASID_MATCH_OR_GLOBAL);
}

static uint32_t tlbi_and_user(struct ts_task *self, const struct ts_tlb_inval *inval, bool local)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_tlb_inval user = *inval;
    uint32_t n = tlbi(self, inval, local);
    if (!has_user_twin(g, inval))
        return n;
    TS_ASSERT(inval->asid % 2 == 0);
    user.asid |= TS_KPTI_USER_ASID;
    g->stats.tlbi_user++;
    return n + tlbi(self, &user, local);
}

uint32_t ts_arm64_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    return tlbi_and_user(self, inval, false);
}

void ts_arm64_tlbi_local(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    (void)tlbi_and_user(self, inval, true);
}

/* --- DSB --- */

void ts_arm64_dsb_ishst(struct ts_task *self)
{
    ts_dvm_port_dsb_st(self, ts_guest_cpu_of(self)->guest->params.dsb_ishst_cycles);
}

void ts_arm64_dsb_nsh(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_work(self, g->params.tlbi_local_cycles);
    g->stats.dsb_nsh++;
    ts_dvm_port_dsb_nsh(self, g->dvm);
}

void ts_arm64_sync(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_tlb_inval again = ts_inval_tlbi_vae1(ts_arm64_vmid(g), 0, 0, true, 0);
    dsb_ish(self);
    if (!repeats(g, TS_REPEAT_TLBI_SYNC))
        return;
    /* __repeat_tlbi_sync(vale1is, 0): no ASID of a user's, so no twin. */
    g->stats.tlbi_repeated++;
    issue(self, &again, false);
    dsb_ish(self);
}
