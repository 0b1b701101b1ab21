/* SPDX-License-Identifier: Apache-2.0 */
/* Native shootdowns whose interrupts to several CPUs leave by KVM's send-IPI hypercall, on a host
 * that would otherwise not offer it. */
#include "models/flush/flush.h"

const struct ts_flush_ops ts_flush_kvm_pv_ipi = {
    .name = "kvm_pv_ipi",
    .summary = "native shootdown, its IPIs to several vCPUs by hypercall",
    .reference = "arch/x86/kernel/kvm.c __send_ipi_mask, kvm/lapic.c kvm_pv_send_ipi, 4.19 and "
                 "later; thread pv-ipi-kvm",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM,
    .offers = TS_OFFERS_PV_IPI,
    .remote_by_mask = true,
    .flush_multi = ts_native_flush_tlb_multi,
};
