/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's hypercalls that flush TLBs, as bytes in the caller's memory (xen/include/public/xen.h,
 * public/hvm/hvm_op.h; Linux include/xen/interface/xen.h, the same in 6.1 and 6.12; x86.md 5.1).
 *
 * A call is a number and arguments (struct ts_hypercall, args[0..3]); what an argument points to
 * lies in the caller's input page, which stands for all of its memory: a pointer is TS_XEN_MEMORY
 * plus the offset into it, and what is not wholly in the part that has been written is a fault.
 *
 * | number                  | arguments                                                          |
 * |-------------------------|--------------------------------------------------------------------|
 * | HYPERVISOR_multicall    | array of entries, their count; each entry's result is written back |
 * | HYPERVISOR_mmuext_op    | array of operations, their count, where to write how many were     |
 * |                         | done (or 0), DOMID_SELF; PV guests                                 |
 * | HYPERVISOR_hvm_op       | operation, its argument; HVM guests                                |
 *
 * The result is 0, or a negative error number. */
#ifndef TS_MODELS_ABI_XEN_H
#define TS_MODELS_ABI_XEN_H

#include "models/abi/hypercall.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_XEN_MEMORY UINT64_C(0xffff888000000000)

enum ts_xen_call { TS_XEN_MULTICALL = 13, TS_XEN_MMUEXT_OP = 26, TS_XEN_HVM_OP = 34 };
enum ts_xen_mmuext {
    TS_XEN_TLB_FLUSH_LOCAL = 6,
    TS_XEN_INVLPG_LOCAL = 7,
    TS_XEN_TLB_FLUSH_MULTI = 8,
    TS_XEN_INVLPG_MULTI = 9,
    TS_XEN_TLB_FLUSH_ALL = 10,
    TS_XEN_INVLPG_ALL = 11
};
enum ts_xen_hvmop { TS_XEN_HVMOP_FLUSH_TLBS = 5 };
enum { TS_XEN_DOMID_SELF = 0x7ff0 };
enum ts_xen_error {
    TS_XEN_EPERM = -1,
    TS_XEN_ESRCH = -3,
    TS_XEN_EFAULT = -14,
    TS_XEN_EINVAL = -22,
    TS_XEN_ENOSYS = -38
};

/* struct mmuext_op, 64-bit. */
struct ts_xen_mmuext_op {
    uint32_t cmd, pad;
    uint64_t linear_addr; /* arg1 */
    uint64_t vcpumask;    /* arg2: pointer to words of 64 vCPUs, as many as the guest has */
};
/* struct multicall_entry. */
struct ts_xen_multicall_entry {
    uint64_t op;
    int64_t result;
    uint64_t args[6];
};

#ifdef __cplusplus
}
#endif
#endif
