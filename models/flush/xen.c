/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of Xen whose hypervisor flushes for it.
 *
 * hypervisor.xen_guest pv: the flushes of a Linux PV guest (arch/x86/xen/mmu_pv.c, 6.1 and 6.12:
 * xen_flush_tlb_multi, xen_flush_tlb, xen_flush_tlb_one_user), each one hypercall; a multicall of
 * one entry is made as a call by itself (xen_mc_flush). Of such a guest this is all: its page
 * tables are its own here and cost no hypercalls, it has PCIDs, loads CR3 by itself and sends its
 * other IPIs by its APIC, as a guest of hardware virtualisation does. So shootdowns compare, and
 * what PV costs beyond them does not.
 *
 * hvm: HVMOP_flush_tlbs, for whatever is to be flushed: everything, on all the VM's vCPUs. Linux
 * does not use it; it flushes natively there. Local flushes are native.
 *
 * Lazy CPUs are not left out, generations are not raised, and there is nothing to fall back to. */
#include <string.h>

#include "models/abi/xen.h"
#include "models/flush/flush.h"
#include "models/guest/coherence/assisted.h"

struct xen_params {
    uint64_t entry_cycles; /* xen_mc_entry and issue: the block in the CPU's buffer */
};

struct xen_state {
    uint64_t hypercalls, flush_calls, page_calls, local_calls, hvm_calls, targets;
};

/* The per-CPU buffer of multicalls. Interrupts are off. */
static void put(uint8_t *page, uint32_t *bytes, const void *data, size_t n)
{
    TS_ASSERT(*bytes + n <= TS_INPUT_PAGE_BYTES);
    memcpy(page + *bytes, data, n);
    *bytes += (uint32_t)n;
}

/* MULTI_mmuext_op and xen_mc_issue. mask NULL: local. */
static void mmuext(struct ts_task *self, enum ts_xen_mmuext cmd, uint64_t va,
                   const struct ts_cpumask *mask, struct ts_hypercall *call)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    const struct ts_guest *g = gc->guest;
    const struct xen_params *params = g->flush_params;
    uint8_t *page = g->vm->input[gc->id];
    uint32_t bytes = 0;
    struct ts_xen_mmuext_op op = {.cmd = cmd, .linear_addr = va};
    TS_ASSERT(self->cpu->irq_off);
    if (mask)
        op.vcpumask = TS_XEN_MEMORY + sizeof(op);
    put(page, &bytes, &op, sizeof(op));
    if (mask)
        put(page, &bytes, mask->w, (mask->nbits + 63) / 64 * sizeof(mask->w[0]));
    ts_task_work(self, params->entry_cycles);
    *call = (struct ts_hypercall){.abi = TS_ABI_XEN,
                                  .number = TS_XEN_MMUEXT_OP,
                                  .args = {TS_XEN_MEMORY, 1, 0, TS_XEN_DOMID_SELF},
                                  .input = page,
                                  .input_bytes = bytes};
    ts_hypercall(self, g->vm, call);
    TS_ASSERT(call->result == 0);
}

/* Returns whether everything is flushed. */
static bool flush_pv(struct ts_task *self, const struct ts_cpumask *mask,
                     const struct ts_flush_info *info, struct ts_hypercall *call)
{
    struct xen_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    bool one = info->end != UINT64_MAX && info->end - info->start <= 4096;
    state->page_calls += one;
    state->flush_calls += !one;
    mmuext(self, one ? TS_XEN_INVLPG_MULTI : TS_XEN_TLB_FLUSH_MULTI, one ? info->start : 0, mask,
           call);
    return !one;
}

static void flush_hvm(struct ts_task *self, struct ts_hypercall *call)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ((struct xen_state *)g->flush_state)->hvm_calls++;
    *call = (struct ts_hypercall){
        .abi = TS_ABI_XEN, .number = TS_XEN_HVM_OP, .args = {TS_XEN_HVMOP_FLUSH_TLBS}};
    ts_hypercall(self, g->vm, call);
    TS_ASSERT(call->result == 0);
}

/* xen_flush_tlb_multi. No CPU is ever offline. */
static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct xen_state *state = g->flush_state;
    struct ts_hypercall call;
    ts_time mark = ts_task_now(self);
    if (ts_cpumask_empty(mask))
        return;
    ts_irq_disable(self);
    ts_cpumask_copy(&gc->flush_mask, mask); /* who comes into the mask meanwhile is not named */
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    bool whole = true;
    if (g->vm->xen == TS_XEN_PV)
        whole = flush_pv(self, &gc->flush_mask, info, &call);
    else
        flush_hvm(self, &call);
    state->hypercalls++;
    ts_path_add_hypercall(self, record, &call.times, &mark);
    ts_irq_enable(self);
    uint32_t n = ts_cpumask_count(&gc->flush_mask);
    uint32_t others = n - ts_cpumask_test(&gc->flush_mask, gc->id);
    TS_CPUMASK_FOR_EACH(cpu, &gc->flush_mask)
    {
        if (info->mm)
            ts_assisted_flushed(gc, &g->cpus[cpu], info, whole);
    }
    state->targets += n;
    record->targets += others;
    g->stats.targets += others;
}

/* xen_flush_tlb, xen_flush_tlb_one_user. */
static bool flush_here(struct ts_task *self, const uint64_t *va)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct xen_state *state = g->flush_state;
    struct ts_hypercall call;
    if (g->vm->xen != TS_XEN_PV)
        return false;
    state->hypercalls++;
    state->local_calls++;
    mmuext(self, va ? TS_XEN_INVLPG_LOCAL : TS_XEN_TLB_FLUSH_LOCAL, va ? *va & ~UINT64_C(4095) : 0,
           NULL, &call);
    return true;
}

static const struct ts_param param_rows[] = {
    {"entry", TS_PARAM_CYCLES, offsetof(struct xen_params, entry_cycles), 100, 0, 1000000, NULL,
     "xen_mc_entry and xen_mc_issue: the operation and the mask into the CPU's buffer", "assumed",
     TS_CONF_GUESS},
};
static const struct ts_param_table params = {"flush.xen", param_rows, TS_ARRAY_LEN(param_rows)};

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct xen_state, f), "1", h                                 \
    }
static const struct ts_stat rows[] = {
    ROW(hypercalls, "hypercalls for flushes"),
    ROW(flush_calls, "MMUEXT_TLB_FLUSH_MULTI"),
    ROW(page_calls, "MMUEXT_INVLPG_MULTI"),
    ROW(local_calls, "MMUEXT_TLB_FLUSH_LOCAL and INVLPG_LOCAL"),
    ROW(hvm_calls, "HVMOP_flush_tlbs"),
    ROW(targets, "vCPUs that the flush was for, the caller included"),
};
#undef ROW
static const struct ts_stat_rule rules[] = {
    {"every hypercall is of one kind",
     {"+hypercalls", "-flush_calls", "-page_calls", "-local_calls", "-hvm_calls"}},
};
static const struct ts_stat_table stats = {"flush.xen", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_xen = {
    .name = "xen",
    .summary = "Xen's flush hypercalls: one round of interrupts at a time for the whole machine",
    .reference = "arch/x86/xen/mmu_pv.c xen_flush_tlb_multi, 6.1 and 6.12; Xen "
                 "xen/arch/x86/smp.c flush_area_mask, mm.c do_mmuext_op",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_XEN,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct xen_params),
    .stats = &stats,
    .state_size = sizeof(struct xen_state),
    .flush_multi = flush_multi,
    .flush_here = flush_here,
};
