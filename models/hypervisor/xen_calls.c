/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's hypercalls that flush TLBs (xen/common/multicall.c do_multicall; xen/arch/x86/mm.c
 * do_mmuext_op; hvm/hvm.c do_hvm_op; models/abi/xen.h). The errors of the calls that are not
 * flushes are those of a hypervisor that does not know them. */
#include "models/abi/xen.h"

#include <string.h>

#include "models/hypervisor/hyp_private.h"

/* copy_from_guest. */
static bool copy_in(const struct ts_hypercall *call, uint64_t at, void *to, uint64_t bytes)
{
    uint64_t offset = at - TS_XEN_MEMORY;
    if (!call->input || at < TS_XEN_MEMORY || offset > call->input_bytes ||
        bytes > call->input_bytes - offset)
        return false;
    memcpy(to, call->input + offset, bytes);
    return true;
}

/* copy_to_guest. */
static bool copy_out(struct ts_vcpu *v, const struct ts_hypercall *call, uint64_t at,
                     const void *from, uint64_t bytes)
{
    uint64_t offset = at - TS_XEN_MEMORY;
    if (!call->input || at < TS_XEN_MEMORY || offset > call->input_bytes ||
        bytes > call->input_bytes - offset)
        return false;
    memcpy(v->vm->input[v->id] + offset, from, bytes);
    return true;
}

static bool is_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* A mask of vCPUs, read as far as the guest has some. */
struct names {
    uint64_t words[TS_CPU_MAX / 64];
};

static bool is_named(const void *arg, uint32_t vcpu)
{
    return ((const struct names *)arg)->words[vcpu / 64] >> vcpu % 64 & 1u;
}

/* One operation of do_mmuext_op. */
static int64_t mmuext(struct ts_vcpu *v, struct ts_hypercall *call,
                      const struct ts_xen_mmuext_op *op)
{
    uint64_t words = (v->vm->nvcpus + UINT64_C(63)) / 64;
    bool one = op->cmd & 1u; /* INVLPG_*: the odd ones */
    const uint64_t *va = one ? &op->linear_addr : NULL;
    struct names names;
    switch (op->cmd) {
    case TS_XEN_TLB_FLUSH_LOCAL:
    case TS_XEN_INVLPG_LOCAL:
        if (!one || is_canonical(op->linear_addr))
            ts_xen_flush_local(v, va);
        return 0;
    case TS_XEN_TLB_FLUSH_MULTI:
    case TS_XEN_INVLPG_MULTI:
        if (!copy_in(call, op->vcpumask, names.words, words * sizeof(uint64_t)))
            return TS_XEN_EINVAL;
        if (!one || is_canonical(op->linear_addr))
            ts_xen_flush_vcpus(v, is_named, &names, va, &call->times.wait_ps);
        return 0;
    case TS_XEN_TLB_FLUSH_ALL:
    case TS_XEN_INVLPG_ALL:
        if (!one || is_canonical(op->linear_addr))
            ts_xen_flush_vcpus(v, NULL, NULL, va, &call->times.wait_ps);
        return 0;
    default:
        return TS_XEN_ENOSYS;
    }
}

static int64_t mmuext_op(struct ts_vcpu *v, struct ts_hypercall *call, const uint64_t *args)
{
    uint32_t done = 0;
    int64_t result = 0;
    if (v->vm->xen != TS_XEN_PV)
        return TS_XEN_ENOSYS;
    if (args[3] != TS_XEN_DOMID_SELF)
        return TS_XEN_ESRCH; /* get_pg_owner knows nobody else here */
    for (; done < args[1] && result == 0; done++) {
        struct ts_xen_mmuext_op op;
        if (!copy_in(call, args[0] + done * sizeof(op), &op, sizeof(op)))
            result = TS_XEN_EFAULT;
        else
            result = mmuext(v, call, &op);
        if (result)
            break;
    }
    if (args[2] && !copy_out(v, call, args[2], &done, sizeof(done)))
        return TS_XEN_EFAULT;
    return result;
}

static int64_t hvm_op(struct ts_vcpu *v, struct ts_hypercall *call, const uint64_t *args)
{
    if (args[0] != TS_XEN_HVMOP_FLUSH_TLBS)
        return TS_XEN_ENOSYS;
    if (args[1])
        return TS_XEN_EINVAL;
    if (v->vm->xen != TS_XEN_HVM)
        return TS_XEN_EPERM;
    ts_xen_flush_hvm(v, &call->times.wait_ps);
    return 0;
}

static int64_t single(struct ts_vcpu *v, struct ts_hypercall *call, uint64_t number,
                      const uint64_t *args)
{
    switch (number) {
    case TS_XEN_MMUEXT_OP:
        return mmuext_op(v, call, args);
    case TS_XEN_HVM_OP:
        return hvm_op(v, call, args);
    case TS_XEN_MULTICALL:
        return TS_XEN_EINVAL; /* one within another */
    default:
        return TS_XEN_ENOSYS;
    }
}

static void one_call(struct ts_vcpu *v, struct ts_hypercall *call)
{
    call->result = (uint64_t)single(v, call, call->number, call->args);
}

static int64_t do_multicall(struct ts_vcpu *v, struct ts_hypercall *call)
{
    for (uint64_t i = 0; i < call->args[1]; i++) {
        struct ts_xen_multicall_entry entry;
        uint64_t at = call->args[0] + i * sizeof(entry);
        if (!copy_in(call, at, &entry, sizeof(entry)))
            return TS_XEN_EFAULT;
        ts_task_work(&v->task, v->hyp->params.hypercall_cycles);
        entry.result = single(v, call, entry.op, entry.args);
        if (!copy_out(v, call, at + offsetof(struct ts_xen_multicall_entry, result), &entry.result,
                      sizeof(entry.result)))
            return TS_XEN_EFAULT;
    }
    return 0;
}

static void multicall(struct ts_vcpu *v, struct ts_hypercall *call)
{
    call->result = (uint64_t)do_multicall(v, call);
}

static uint64_t xen_key(uint64_t number)
{
    return number;
}

static bool xen_offered(const struct ts_hypervisor_params *params)
{
    return params->kind == TS_HYP_XEN;
}

static const struct ts_hypercall_row rows[] = {
    {TS_XEN_MULTICALL, "multicall", multicall},
    {TS_XEN_MMUEXT_OP, "mmuext_op", one_call},
    {TS_XEN_HVM_OP, "hvm_op", one_call},
};
const struct ts_hypercall_table ts_xen_hypercalls = {
    .rows = rows,
    .nrows = TS_ARRAY_LEN(rows),
    .key = xen_key,
    .unknown = (uint64_t)(int64_t)TS_XEN_ENOSYS,
    .offered = xen_offered,
};
