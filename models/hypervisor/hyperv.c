/* SPDX-License-Identifier: Apache-2.0 */
/* The Hyper-V hypercalls of a host: flushes, IPIs and the notice of a long spin
 * (arch/x86/kvm/hyperv.c kvm_hv_hypercall, kvm_hv_flush_tlb, kvm_hv_send_ipi; x86.md 4.3). A flush
 * call's processors get a request each, and those in guest mode are made to leave it. Who is not in
 * guest mode flushes at its next entry.
 *
 * | hv_flush | flush of a VP that is named                        | empty mask   | input    |
 * |----------|----------------------------------------------------|--------------|----------|
 * | 4.18     | all, whatever the list says: INVEPT of the VM's    | names nobody | no fast  |
 * |          | tables                                             |              | calls    |
 * | fifo16   | a queue of 16 entries, each flushed page by page   | names all    | fast too |
 * |          | at entry; all if a call has more than 15 or they   |              |          |
 * |          | do not fit                                         |              |          |
 * | hyperv   | running: as fifo16; not running: all of its tag    | names nobody | fast too |
 *
 * 4.18 is KVM as posted in the thread pv-tlb-flush-windows-guests-kvm; that an empty mask names all
 * came with 5.1 (da66761c2d93, remembered). hyperv stands for Hyper-V itself: of its flush only the
 * specification's promise is known, that on return no VP named uses what was to go, and that one
 * which does not run may flush later. How it does so is assumed. */
#include <string.h>

#include "models/hypervisor/host_call.h"
#include "models/hypervisor/host_tlb.h"

static enum ts_hv_flush kind_of(const struct ts_vcpu *v)
{
    return (enum ts_hv_flush)v->hyp->params.hv_flush;
}

/* --- the target's side --- */

/* Linear addresses of 48 bits. */
static bool is_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static void flush_entry(struct ts_vcpu *v, uint64_t entry)
{
    uint64_t start = ts_hv_gva_start(entry);
    if (!is_canonical(entry))
        return;
    for (uint64_t k = 0; k < ts_hv_gva_pages(entry); k++) {
        struct ts_tlb_inval inval = ts_inval_invvpid_address(ts_vcpu_vmid(v), start + (k << 12));
        ts_task_work(&v->task, v->hyp->params.invvpid_addr_cycles);
        ts_vcpu_invalidate(v, &inval);
    }
    v->hyp->stats.tlb_flush++;
    v->hyp->stats.hv_entries++;
}

/* KVM 4.18 kvm_vcpu_flush_tlb(vcpu, true): vmx ept_sync_context, svm a new ASID. */
static void flush_4_18(struct ts_vcpu *v)
{
    v->hyp->stats.tlb_flush++;
    if (v->hyp->params.tlb_tags == TS_TAGS_SVM_ASID)
        ts_vcpu_flush_all(v);
    else
        ts_host_invept(&v->task, v->vm);
}

/* kvm_hv_vcpu_flush_tlb, and what falls back to kvm_vcpu_flush_tlb_guest. Interrupts are off, so
 * nothing of this vCPU comes between; others may queue more meanwhile. */
void ts_vcpu_hv_drain(struct ts_vcpu *v)
{
    uint64_t entries[TS_HV_FIFO_MAX];
    TS_ASSERT(v->task.cpu->irq_off && (v->requests & TS_REQUEST_HV_FLUSH));
    ts_vcpu_check_request(v, TS_REQUEST_HV_FLUSH);
    if (kind_of(v) == TS_HV_4_18) {
        flush_4_18(v);
        return;
    }
    ts_task_line(&v->task, &v->hv_line, TS_LINE_RMW);
    /* Empty: an earlier request's drain took what was queued for this one. */
    uint32_t n = v->hv_count;
    memcpy(entries, v->hv_entries, n * sizeof(entries[0]));
    v->hv_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i] == TS_HV_FLUSHALL) {
            v->hv_count = 0; /* kfifo_reset_out: what has come meanwhile is in it */
            ts_vcpu_flush_guest(v);
            return;
        }
        flush_entry(v, entries[i]);
    }
}

void ts_vcpu_hv_purge(struct ts_vcpu *v)
{
    if (!(v->requests & TS_REQUEST_HV_FLUSH) || kind_of(v) == TS_HV_4_18)
        return;
    ts_vcpu_check_request(v, TS_REQUEST_HV_FLUSH);
    v->hv_count = 0;
}

/* --- the call's input --- */

/* Words, wherever they are: of a fast call RDX, R8 and the XMM registers, of another one the input
 * block. */
struct input {
    const struct ts_hypercall *call;
    uint32_t at, n;
};

static struct input input_of(const struct ts_hypercall *call)
{
    struct input in = {call, 0, 2 + TS_HV_XMM_HALVES};
    if (!ts_hv_control_fast(call->number))
        in.n = call->input ? call->input_bytes / (uint32_t)sizeof(uint64_t) : 0;
    return in;
}

/* kvm_hv_get_hc_data; false: they are not there. */
static bool take(struct input *in, uint64_t *out, uint32_t n)
{
    if (in->at > in->n || n > in->n - in->at)
        return false;
    for (uint32_t i = 0; i < n; i++, in->at++) {
        if (!ts_hv_control_fast(in->call->number))
            memcpy(&out[i], in->call->input + in->at * sizeof(*out), sizeof(*out));
        else
            out[i] = in->at < 2 ? in->call->args[in->at] : in->call->xmm[in->at - 2];
    }
    return true;
}

/* Whom a call names. */
struct processors {
    bool all;
    uint64_t valid_banks;
    uint64_t banks[TS_HV_BANKS]; /* of a set those that are valid, one after the other */
};

/* hv_is_vp_in_sparse_set; VP v is vCPU v. */
static bool names(const void *arg, uint32_t vp)
{
    const struct processors *p = arg;
    uint32_t bank = vp / 64;
    if (p->all)
        return true;
    if (bank >= TS_HV_BANKS || !(p->valid_banks >> bank & 1u))
        return false;
    uint64_t before = bank ? p->valid_banks << (TS_HV_BANKS - bank) : 0;
    return p->banks[__builtin_popcountll(before)] >> (vp % 64) & 1u;
}

/* The banks behind a set's header {format, valid_bank_mask}. False: invalid input. 4.18 does not
 * look at the control word's count of them. */
static bool take_set(struct input *in, enum ts_hv_flush kind, uint64_t valid, struct processors *p)
{
    uint32_t n = (uint32_t)__builtin_popcountll(valid);
    if (kind != TS_HV_4_18 && ts_hv_control_var_header(in->call->number) != n)
        return false;
    p->valid_banks = valid;
    if (!p->all)
        return take(in, p->banks, n);
    in->at += n; /* not forbidden, nor looked at */
    return true;
}

/* What no call may have (kvm_hv_hypercall): banks that its form has no place for, reps. */
static bool well_formed(const struct ts_vcpu *v, uint64_t control)
{
    uint32_t reps = ts_hv_control_rep_count(control), start = ts_hv_control_rep_start(control);
    enum ts_hv_flush kind = kind_of(v);
    switch (ts_hv_control_code(control)) {
    case TS_HVCALL_FLUSH_LIST:
    case TS_HVCALL_FLUSH_SPACE:
    case TS_HVCALL_SEND_IPI:
        if (kind != TS_HV_4_18 && ts_hv_control_var_header(control))
            return false;
        break;
    default:
        break;
    }
    if (kind == TS_HV_4_18 && ts_hv_control_fast(control))
        return false;
    switch (ts_hv_control_code(control)) {
    case TS_HVCALL_FLUSH_LIST:
    case TS_HVCALL_FLUSH_LIST_EX:
        return reps && !start;
    default:
        return !reps && !start;
    }
}

/* --- flushes --- */

struct request {
    struct processors who;
    uint32_t nentries; /* 0: the whole space */
    uint64_t entries[TS_HV_FIFO_MAX - 1];
};

static bool is_ex(uint32_t code)
{
    return code == TS_HVCALL_FLUSH_SPACE_EX || code == TS_HVCALL_FLUSH_LIST_EX;
}

static enum ts_hv_status read_request(const struct ts_vcpu *v, const struct ts_hypercall *call,
                                      struct request *r)
{
    enum ts_hv_flush kind = kind_of(v);
    bool ex = is_ex(ts_hv_control_code(call->number));
    uint32_t reps = ts_hv_control_rep_count(call->number);
    struct input in = input_of(call);
    uint64_t head[4]; /* struct ts_hv_flush_input or ts_hv_flush_ex_input */
    if (!well_formed(v, call->number) || !take(&in, head, ex ? 4 : 3))
        return TS_HV_STATUS_INVALID_HYPERCALL_INPUT;
    /* KVM ignores the flags that it does not know. */
    if (kind == TS_HV_HYPERV && head[1] >= TS_HV_FLUSH_EXTENDED_RANGE)
        return TS_HV_STATUS_INVALID_PARAMETER;
    if (ex) {
        r->who.all = head[2] != TS_HV_SET_SPARSE_4K;
        if (!take_set(&in, kind, head[3], &r->who))
            return TS_HV_STATUS_INVALID_HYPERCALL_INPUT;
        if (!r->who.all && !head[3])
            return TS_HV_STATUS_SUCCESS; /* nobody: the list is not looked at */
    } else {
        /* As WS2012 expects it (kvm_hv_flush_tlb). */
        bool empty_is_all = kind == TS_HV_FIFO16 && head[2] == 0;
        r->who.all = (head[1] & TS_HV_FLUSH_ALL_PROCESSORS) || empty_is_all;
        r->who.valid_banks = 1;
        r->who.banks[0] = head[2];
    }
    /* A list that is too long, or of no use, is not read. */
    if (kind == TS_HV_4_18 || !reps || reps >= v->hyp->params.hv_fifo)
        return TS_HV_STATUS_SUCCESS;
    r->nentries = reps;
    return take(&in, r->entries, reps) ? TS_HV_STATUS_SUCCESS
                                       : TS_HV_STATUS_INVALID_HYPERCALL_INPUT;
}

/* hv_tlb_flush_enqueue: all entries, or "flush all" in the place that is kept free for it. A full
 * fifo has one already. */
static void enqueue(struct ts_vcpu *from, struct ts_vcpu *t, const uint64_t *entries, uint32_t n)
{
    ts_task_line(&from->task, &t->hv_line, TS_LINE_RMW);
    uint32_t places = (uint32_t)t->hyp->params.hv_fifo;
    uint32_t room = places - t->hv_count;
    if (n && n < room) {
        memcpy(&t->hv_entries[t->hv_count], entries, n * sizeof(*entries));
        t->hv_count += n;
    } else if (room) {
        t->hv_entries[t->hv_count++] = TS_HV_FLUSHALL;
    }
    TS_ASSERT(t->hv_count <= places);
}

static void flush(struct ts_vcpu *v, struct ts_hypercall *call)
{
    enum ts_hv_flush kind = kind_of(v);
    struct request r = {0};
    enum ts_hv_status status = read_request(v, call, &r);
    if (status != TS_HV_STATUS_SUCCESS) {
        call->result = ts_hv_result(status, 0);
        return;
    }
    for (uint32_t i = 0; kind != TS_HV_4_18 && i < v->vm->nvcpus; i++) {
        struct ts_vcpu *t = ts_vm_vcpu(v->vm, i);
        bool by_tag = kind == TS_HV_HYPERV && t != v && !t->entering;
        if (names(&r.who, i))
            enqueue(v, t, r.entries, by_tag ? 0 : r.nentries);
    }
    (void)ts_vcpus_request(&v->task, v->vm, TS_REQUEST_HV_FLUSH, names, &r.who,
                           &call->times.wait_ps);
    call->result = ts_hv_result(TS_HV_STATUS_SUCCESS, ts_hv_control_rep_count(call->number));
}

/* --- IPIs --- */

/* False: invalid input. *nobody: an empty set, of which KVM does not look at the vector. */
static bool read_ipi(const struct ts_vcpu *v, const struct ts_hypercall *call,
                     struct processors *who, uint32_t *vector, bool *nobody)
{
    bool ex = ts_hv_control_code(call->number) == TS_HVCALL_SEND_IPI_EX;
    struct input in = input_of(call);
    uint64_t head[3]; /* struct ts_hv_send_ipi or ts_hv_send_ipi_ex */
    if (!well_formed(v, call->number) || !take(&in, head, ex ? 3 : 2))
        return false;
    *vector = (uint32_t)head[0];
    if (!ex) {
        who->valid_banks = 1;
        who->banks[0] = head[1];
        return !(ts_hv_control_fast(call->number) && head[0] >> 32);
    }
    who->all = head[1] == TS_HV_SET_ALL;
    *nobody = !who->all && !head[2];
    return take_set(&in, kind_of(v), head[2], who);
}

/* kvm_hv_send_ipi. A vector that the guest has no handler for goes nowhere. */
static void send_ipi(struct ts_vcpu *v, struct ts_hypercall *call)
{
    struct ts_hypervisor *h = v->hyp;
    struct processors who = {0};
    uint32_t number = 0;
    bool nobody = false;
    bool valid = read_ipi(v, call, &who, &number, &nobody);
    h->stats.hypercalls_hv_ipi++;
    call->result = ts_hv_result(TS_HV_STATUS_SUCCESS, 0);
    if (valid && nobody)
        return;
    if (!valid || number < TS_HV_IPI_LOW_VECTOR || number > TS_HV_IPI_HIGH_VECTOR) {
        h->stats.hv_ipi_failed++;
        call->result = ts_hv_result(TS_HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
        return;
    }
    enum ts_vector vector = ts_vector_of_number(number);
    for (uint32_t i = 0; i < v->vm->nvcpus && vector < TS_VECTORS; i++) {
        if (!names(&who, i))
            continue;
        ts_task_work(&v->task, h->params.inject_cycles);
        ts_vcpu_deliver(ts_vm_vcpu(v->vm, i), vector, &v->task);
    }
}

/* --- spinning --- */

/* kvm_hv_hypercall, HVCALL_NOTIFY_LONG_SPIN_WAIT: what a pause-loop exit does; the number of spins
 * is not looked at. */
static void notify_long_spin(struct ts_vcpu *v, struct ts_hypercall *call)
{
    bool banks = kind_of(v) != TS_HV_4_18 && ts_hv_control_var_header(call->number);
    v->hyp->stats.hypercalls_long_spin++;
    if (banks || ts_hv_control_rep_count(call->number) || ts_hv_control_rep_start(call->number)) {
        call->result = ts_hv_result(TS_HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
        return;
    }
    call->result = ts_hv_result(TS_HV_STATUS_SUCCESS, 0);
    ts_task_work(&v->task, v->hyp->params.on_spin_cycles);
    ts_vcpu_on_spin(v, true);
}

/* --- the table --- */

static uint64_t hyperv_key(uint64_t number)
{
    return ts_hv_control_code(number);
}

static bool hyperv_offered(const struct ts_hypervisor_params *params)
{
    return params->hv_flush != TS_HV_OFF;
}

/* 4.18 knows no IPI call (they came with 4.20), nor that some bits are reserved. */
static uint64_t hyperv_refused(const struct ts_hypervisor_params *params, uint64_t number)
{
    uint32_t code = ts_hv_control_code(number);
    if (params->hv_flush == TS_HV_4_18)
        return code == TS_HVCALL_SEND_IPI || code == TS_HVCALL_SEND_IPI_EX
                   ? (uint64_t)TS_HV_STATUS_INVALID_HYPERCALL_CODE
                   : 0;
    return number & TS_HV_CONTROL_RESERVED ? (uint64_t)TS_HV_STATUS_INVALID_HYPERCALL_INPUT : 0;
}

static const struct ts_hypercall_row rows[] = {
    {TS_HVCALL_FLUSH_SPACE, "HvFlushVirtualAddressSpace", flush},
    {TS_HVCALL_FLUSH_LIST, "HvFlushVirtualAddressList", flush},
    {TS_HVCALL_FLUSH_SPACE_EX, "HvFlushVirtualAddressSpaceEx", flush},
    {TS_HVCALL_FLUSH_LIST_EX, "HvFlushVirtualAddressListEx", flush},
    {TS_HVCALL_NOTIFY_LONG_SPIN, "HvNotifyLongSpinWait", notify_long_spin},
    {TS_HVCALL_SEND_IPI, "HvCallSendSyntheticClusterIpi", send_ipi},
    {TS_HVCALL_SEND_IPI_EX, "HvCallSendSyntheticClusterIpiEx", send_ipi},
};
const struct ts_hypercall_table ts_hyperv_hypercalls = {
    .rows = rows,
    .nrows = TS_ARRAY_LEN(rows),
    .key = hyperv_key,
    .unknown = (uint64_t)TS_HV_STATUS_INVALID_HYPERCALL_CODE,
    .offered = hyperv_offered,
    .refused = hyperv_refused,
};
