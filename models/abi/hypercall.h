/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls: one entry, a call as the guest's registers and memory describe it.
 *
 * A call names its interface (ABI), its number or control word, register arguments and, where the
 * interface has one, an input block of bytes in the caller's input page. The host decodes what is
 * there and nothing else, and answers with the interface's own status. Times that the call spent in
 * the host are reported beside it, for the reader of a run; no guest could know them. */
#ifndef TS_MODELS_ABI_HYPERCALL_H
#define TS_MODELS_ABI_HYPERCALL_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_hypercall_abi { TS_ABI_KVM = 0, TS_ABI_HYPERV = 1, TS_ABI_XEN = 2, TS_HYPERCALL_ABIS = 3 };

enum { TS_HYPERCALL_ARGS = 5, TS_INPUT_PAGE_BYTES = 4096 };
/* Six XMM registers, HV_HYPERCALL_MAX_XMM_REGISTERS (arch/x86/include/asm/hyperv-tlfs.h). */
enum { TS_HV_XMM_HALVES = 12 };

/* Where a call's time went, in ps; off: the calling vCPU was not running. They add up to the time
 * from the call to the return. */
struct ts_hypercall_times {
    ts_time work_ps;  /* exit and the host's work for the call */
    ts_time wait_ps;  /* the host waited for other vCPUs */
    ts_time entry_ps; /* back into the guest, requests of its own included */
    ts_time off_ps;
};

struct ts_hypercall {
    enum ts_hypercall_abi abi;
    uint64_t number;                  /* KVM, Xen: hypercall number; Hyper-V: control word */
    uint64_t args[TS_HYPERCALL_ARGS]; /* KVM: a0 to a3 (and one more, see pv_ipi.h); Hyper-V, fast
                                         calls: RDX and R8, the first two words of the input */
    uint64_t xmm[TS_HV_XMM_HALVES];   /* Hyper-V, fast calls: what follows, XMM0 low, high, ... */
    const uint8_t *input;             /* input block, in the caller's input page; or NULL */
    uint32_t input_bytes;             /* how much of it the guest has written */
    uint8_t *output;                  /* output block, or NULL: no call uses one yet */
    uint32_t output_bytes;
    /* Filled in by the host. */
    uint64_t result; /* KVM, Xen: signed; Hyper-V: status and reps completed */
    struct ts_hypercall_times times;
};

/* --- KVM (include/uapi/linux/kvm_para.h) --- */
enum ts_kvm_hypercall {
    TS_KVM_HC_KICK_CPU = 5,
    TS_KVM_HC_SEND_IPI = 10,
    TS_KVM_HC_SCHED_YIELD = 11
};
/* KVM_ENOSYS is 1000; the rest are the kernel's error numbers, negative in result. */
#define TS_KVM_ENOSYS (-1000)

/* --- Hyper-V (Hypervisor Top Level Functional Specification, "Hypercall Interface" and "Virtual
 * Address Translation Hypercalls"; Linux include/asm-generic/hyperv-tlfs.h) --- */
enum ts_hv_call {
    TS_HVCALL_FLUSH_SPACE = 0x0002,
    TS_HVCALL_FLUSH_LIST = 0x0003,
    TS_HVCALL_NOTIFY_LONG_SPIN = 0x0008,
    TS_HVCALL_SEND_IPI = 0x000b,
    TS_HVCALL_FLUSH_SPACE_EX = 0x0013,
    TS_HVCALL_FLUSH_LIST_EX = 0x0014,
    TS_HVCALL_SEND_IPI_EX = 0x0015
};
enum ts_hv_status {
    TS_HV_STATUS_SUCCESS = 0,
    TS_HV_STATUS_INVALID_HYPERCALL_CODE = 2,
    TS_HV_STATUS_INVALID_HYPERCALL_INPUT = 3,
    TS_HV_STATUS_INVALID_PARAMETER = 5
};
enum ts_hv_flush_flags {
    TS_HV_FLUSH_ALL_PROCESSORS = 1u << 0,
    TS_HV_FLUSH_ALL_SPACES = 1u << 1,
    TS_HV_FLUSH_NON_GLOBAL_ONLY = 1u << 2,
    TS_HV_FLUSH_EXTENDED_RANGE = 1u << 3 /* entries of 2M and 1G; no host here has it */
};
enum ts_hv_set_format { TS_HV_SET_SPARSE_4K = 0, TS_HV_SET_ALL = 1 };
/* A bank of a set is 64 VPs; a set has at most this many (HV_MAX_SPARSE_VCPU_BANKS). */
enum { TS_HV_BANKS = 64 };
/* Vectors that the IPI calls take (HV_IPI_LOW_VECTOR, HV_IPI_HIGH_VECTOR). */
enum { TS_HV_IPI_LOW_VECTOR = 0x10, TS_HV_IPI_HIGH_VECTOR = 0xff };

/* Fields of the control word. Out of range: undefined. Fast: the input is in registers. */
#define TS_HV_CONTROL_FAST (UINT64_C(1) << 16)
#define TS_HV_CONTROL_RESERVED                                                                     \
    (UINT64_C(0xf8000000) | UINT64_C(0xf) << 44 |                                                  \
     UINT64_C(0xf) << 60) /* bits 27-31, 44-47, 60-63 */
static inline uint64_t ts_hv_control(enum ts_hv_call code, uint32_t var_header_qwords,
                                     uint32_t rep_count)
{
    return (uint64_t)code | (uint64_t)var_header_qwords << 17 | (uint64_t)rep_count << 32;
}
static inline uint32_t ts_hv_control_code(uint64_t control)
{
    return (uint32_t)(control & 0xffffu);
}
static inline bool ts_hv_control_fast(uint64_t control)
{
    return (control & TS_HV_CONTROL_FAST) != 0;
}
static inline uint32_t ts_hv_control_var_header(uint64_t control)
{
    return (uint32_t)(control >> 17) & 0x3ffu;
}
static inline uint32_t ts_hv_control_rep_count(uint64_t control)
{
    return (uint32_t)(control >> 32) & 0xfffu;
}
static inline uint32_t ts_hv_control_rep_start(uint64_t control)
{
    return (uint32_t)(control >> 48) & 0xfffu;
}
static inline uint64_t ts_hv_result(enum ts_hv_status status, uint32_t reps)
{
    return (uint64_t)status | (uint64_t)reps << 32;
}
static inline enum ts_hv_status ts_hv_result_status(uint64_t result)
{
    return (enum ts_hv_status)(result & 0xffffu);
}
static inline uint32_t ts_hv_result_reps(uint64_t result)
{
    return (uint32_t)(result >> 32) & 0xfffu;
}

/* Input of HvFlushVirtualAddressSpace and -List, then the list. */
struct ts_hv_flush_input {
    uint64_t address_space, flags, processor_mask;
};
/* Input of the Ex calls: the set's banks follow (as many as valid_bank_mask has bits), then the
 * list. */
struct ts_hv_flush_ex_input {
    uint64_t address_space, flags;
    uint64_t set_format, valid_bank_mask;
};
/* Input of HvCallSendSyntheticClusterIpi: VPs 0 to 63. */
struct ts_hv_send_ipi {
    uint32_t vector, reserved;
    uint64_t cpu_mask;
};
/* Input of its Ex call; the set's banks follow. */
struct ts_hv_send_ipi_ex {
    uint32_t vector, reserved;
    uint64_t set_format, valid_bank_mask;
};
/* Banks of a set that names these VPs (ascending, below 64 * TS_HV_BANKS), empty ones between
 * included, as the kernel makes them (__cpumask_to_vpset, include/asm-generic/mshyperv.h): bank 0
 * up to that of the last, at least one. Returns their number. */
uint32_t ts_hv_banks_of(const uint32_t *vps, uint32_t n, uint64_t *banks);
/* Their valid_bank_mask. */
static inline uint64_t ts_hv_valid_banks(uint32_t nbanks)
{
    TS_ASSERT(nbanks >= 1 && nbanks <= TS_HV_BANKS);
    return UINT64_MAX >> (TS_HV_BANKS - nbanks);
}
/* A GVA list entry: a page, and in the low 12 bits how many more follow it. */
enum { TS_HV_GVA_PAGES_MAX = 4096 };
#define TS_HV_GVA_UNIT (UINT64_C(4096) * TS_HV_GVA_PAGES_MAX)
static inline uint64_t ts_hv_gva_start(uint64_t entry)
{
    return entry & ~UINT64_C(0xfff);
}
static inline uint64_t ts_hv_gva_pages(uint64_t entry)
{
    return (entry & 0xfffu) + 1;
}
/* Entries that name [start, end) (whole pages, not empty) into list, at most room; returns how many
 * are needed, which may be more (fill_gva_list, arch/x86/hyperv/mmu.c). */
uint64_t ts_hv_fill_gva_list(uint64_t *list, uint64_t room, uint64_t start, uint64_t end);

#ifdef __cplusplus
}
#endif
#endif
