/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcast TLBI that reaches only the cores that the VM's vCPUs are on: the guest's code is that
 * of tlbi_broadcast; the host tells the interconnect, and no kernel has it.
 *
 * What is known of such things (arm.md 3.7): HiSilicon's DVMBM, whose hypervisor keeps a bitmap of
 * the cores that the vCPUs may run on, and flushes the whole VM when it changes (openEuler
 * hisi_virt.c); FEAT_TLBID of the architecture, of which only register names are known. Both go by
 * affinity. Here the host goes by where the vCPUs are (hypervisor.dvm_domain resident): a core
 * joins when a vCPU comes to it, and drops what it holds of the VM first, since it has heard of no
 * invalidation while it was outside; it leaves when the last vCPU has gone elsewhere. Its cost is a
 * flush on one core for each such move, its gain that others hear nothing. Telling the interconnect
 * is free, which is assumed. */
#include "models/flush/flush_tlbi.h"

const struct ts_flush_ops ts_flush_vm_domain = {
    .name = "vm_domain",
    .summary = "broadcast TLBI, limited to the cores that the VM's vCPUs are on",
    .reference =
        "a proposal; nearest are openEuler arch/arm64/kvm/hisilicon/hisi_virt.c (DVMBM) and "
        "FEAT_TLBID",
    .needs = TS_NEEDS_ARM64 | TS_NEEDS_VM | TS_NEEDS_VMID_FILTER,
    .offers = TS_OFFERS_RESIDENT_DOMAIN,
    .flush_multi = ts_tlbi_flush_multi,
};
