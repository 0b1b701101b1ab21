/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's emulation of the Hyper-V flush hypercalls (arch/x86/kvm/hyperv.c kvm_hv_flush_tlb; x86.md
 * 4.3): the call's processors get a request each, and those in guest mode are made to leave it. Who
 * is not in guest mode flushes at its next entry.
 *
 * hv_flush 4.18, as posted in the thread pv-tlb-flush-windows-guests-kvm: the request is a flush of
 * all, whatever the call names. fifo16 (6.2 and later): a queue of 16 entries a vCPU. */
#include <string.h>

#include "models/hypervisor/host_call.h"

/* --- the target's side --- */

static void flush_entries(struct ts_vcpu *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t start = ts_hv_gva_start(v->hv_entries[i]);
        for (uint64_t k = 0; k < ts_hv_gva_pages(v->hv_entries[i]); k++) {
            struct ts_tlb_inval inval =
                ts_inval_invvpid_address(ts_vcpu_vmid(v), start + (k << 12));
            ts_task_work(&v->task, v->hyp->params.invvpid_addr_cycles);
            ts_vcpu_invalidate(v, &inval);
        }
        v->hyp->stats.tlb_flush++;
    }
}

/* kvm_hv_vcpu_flush_tlb, and what falls back to kvm_vcpu_flush_tlb_guest. Interrupts are off, so
 * nothing of this vCPU comes between; others may queue more while the line is on its way. */
void ts_vcpu_hv_drain(struct ts_vcpu *v)
{
    TS_ASSERT(v->task.cpu->irq_off && (v->requests & TS_REQUEST_HV_FLUSH));
    ts_vcpu_check_request(v, TS_REQUEST_HV_FLUSH);
    if (v->hyp->params.hv_flush == TS_HV_4_18) {
        ts_vcpu_flush_guest(v);
        return;
    }
    ts_task_line(&v->task, &v->hv_line, TS_LINE_RMW);
    uint32_t n = v->hv_count;
    bool full = v->hv_full;
    /* Empty: an earlier request's drain took what was queued for this one. */
    TS_ASSERT(n < TS_HV_FIFO_SIZE);
    v->hv_count = 0;
    v->hv_full = false;
    if (full)
        ts_vcpu_flush_guest(v);
    else
        flush_entries(v, n);
}

/* --- the initiator's side --- */

/* hv_tlb_flush_enqueue: all entries, or "flush all" in the place that is kept free for it. */
static void enqueue(struct ts_vcpu *from, struct ts_vcpu *t, const uint64_t *entries, uint32_t n)
{
    ts_task_line(&from->task, &t->hv_line, TS_LINE_RMW);
    uint32_t room = TS_HV_FIFO_SIZE - t->hv_count - t->hv_full;
    if (n && n < room) {
        memcpy(&t->hv_entries[t->hv_count], entries, n * sizeof(*entries));
        t->hv_count += n;
    } else {
        t->hv_full = true;
    }
    TS_ASSERT(t->hv_count < TS_HV_FIFO_SIZE);
}

/* --- the call --- */

/* What a flush hypercall asks for, read from its input block. */
struct request {
    bool all_processors;
    uint64_t valid_banks;
    uint64_t banks[64];
    uint32_t nentries; /* 0: the whole space */
    uint64_t entries[TS_HV_FIFO_SIZE - 1];
};

static bool is_ex(uint32_t code)
{
    return code == TS_HVCALL_FLUSH_SPACE_EX || code == TS_HVCALL_FLUSH_LIST_EX;
}

static bool is_list(uint32_t code)
{
    return code == TS_HVCALL_FLUSH_LIST || code == TS_HVCALL_FLUSH_LIST_EX;
}

static bool take(const struct ts_hypercall *call, size_t *at, void *out, size_t bytes)
{
    if (*at + bytes > call->input_bytes)
        return false;
    memcpy(out, call->input + *at, bytes);
    *at += bytes;
    return true;
}

static bool read_set(const struct ts_hypercall *call, size_t *at, struct request *r)
{
    struct ts_hv_flush_ex_input in;
    uint32_t var = ts_hv_control_var_header(call->number);
    if (!take(call, at, &in, sizeof(in)) ||
        var != (uint32_t)__builtin_popcountll(in.valid_bank_mask))
        return false;
    r->all_processors = in.set_format != TS_HV_SET_SPARSE_4K;
    r->valid_banks = in.valid_bank_mask;
    for (uint32_t b = 0; b < 64; b++) {
        if ((r->valid_banks >> b & 1u) && !take(call, at, &r->banks[b], sizeof(r->banks[b])))
            return false;
    }
    return true;
}

/* An empty mask names everybody, as some guests expect (kvm_hv_flush_tlb's note on WS2012). */
static bool read_mask(const struct ts_hypercall *call, size_t *at, struct request *r)
{
    struct ts_hv_flush_input in;
    if (!take(call, at, &in, sizeof(in)))
        return false;
    r->all_processors = (in.flags & TS_HV_FLUSH_ALL_PROCESSORS) || in.processor_mask == 0;
    r->valid_banks = 1;
    r->banks[0] = in.processor_mask;
    return true;
}

/* False: invalid input. */
static bool read_request(const struct ts_vcpu *v, const struct ts_hypercall *call,
                         struct request *r)
{
    uint32_t code = ts_hv_control_code(call->number);
    uint32_t reps = ts_hv_control_rep_count(call->number);
    size_t at = 0;
    *r = (struct request){0};
    if (ts_hv_control_fast(call->number) || !call->input ||
        ts_hv_control_rep_start(call->number) != 0 || is_list(code) != (reps != 0))
        return false;
    if (is_ex(code) ? !read_set(call, &at, r) : !read_mask(call, &at, r))
        return false;
    if (at + reps * sizeof(uint64_t) > call->input_bytes)
        return false;
    if (v->hyp->params.hv_flush == TS_HV_4_18 || reps > TS_ARRAY_LEN(r->entries))
        return true;
    r->nentries = reps;
    return take(call, &at, r->entries, reps * sizeof(uint64_t));
}

static bool names(const void *arg, uint32_t vp)
{
    const struct request *r = arg;
    return r->all_processors || (vp / 64 < 64 && (r->valid_banks >> (vp / 64) & 1u) &&
                                 (r->banks[vp / 64] >> (vp % 64) & 1u));
}

static void flush(struct ts_vcpu *v, struct ts_hypercall *call)
{
    struct request r;
    if (!read_request(v, call, &r)) {
        call->result = ts_hv_result(TS_HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
        return;
    }
    for (uint32_t i = 0; v->hyp->params.hv_flush == TS_HV_FIFO16 && i < v->vm->nvcpus; i++) {
        if (names(&r, i))
            enqueue(v, ts_vm_vcpu(v->vm, i), r.entries, r.nentries);
    }
    (void)ts_vcpus_request(&v->task, v->vm, TS_REQUEST_HV_FLUSH, names, &r, &call->times.wait_ps);
    call->result = ts_hv_result(TS_HV_STATUS_SUCCESS, ts_hv_control_rep_count(call->number));
}

static uint64_t hyperv_key(uint64_t number)
{
    return ts_hv_control_code(number);
}

static bool hyperv_offered(const struct ts_hypervisor_params *params)
{
    return params->hv_flush != TS_HV_OFF;
}

static const struct ts_hypercall_row rows[] = {
    {TS_HVCALL_FLUSH_SPACE, "HvFlushVirtualAddressSpace", flush},
    {TS_HVCALL_FLUSH_LIST, "HvFlushVirtualAddressList", flush},
    {TS_HVCALL_FLUSH_SPACE_EX, "HvFlushVirtualAddressSpaceEx", flush},
    {TS_HVCALL_FLUSH_LIST_EX, "HvFlushVirtualAddressListEx", flush},
};
const struct ts_hypercall_table ts_hyperv_hypercalls = {
    rows, TS_ARRAY_LEN(rows), hyperv_key, (uint64_t)TS_HV_STATUS_INVALID_HYPERCALL_CODE,
    hyperv_offered};
