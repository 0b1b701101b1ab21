/* SPDX-License-Identifier: Apache-2.0 */
/* arm64: no broadcast for an address space that no other CPU has run: a local TLBI and DSB NSH;
 * else as tlbi_broadcast.
 *
 * What is known of such patches (arm.md 3.7): A. Arcangeli, "arm64: tlb: skip tlbi broadcast",
 * 2020, which RHEL 8 has; C. Lameter's tlb_mode LOCAL, 2023. How they keep
 * who has run an address space was not read, and is assumed: a bit of mm_cpumask, once set, stays
 * (context.c switch_arm64), so a thread that has moved once broadcasts from then on. Under
 * HCR_EL2.FB, which KVM sets, the local operations are broadcast by the hardware, and nothing is
 * gained. */
#include "models/flush/flush_tlbi.h"

const struct ts_flush_ops ts_flush_tlbi_local_if_single = {
    .name = "tlbi_local_if_single",
    .summary = "local TLBI where no other CPU has run the address space, else broadcast",
    .reference =
        "A. Arcangeli, arm64: tlb: skip tlbi broadcast, 2020 (RHEL 8); C. Lameter, tlb_mode "
        "LOCAL, 2023; neither is in Linux",
    .needs = TS_NEEDS_ARM64,
    .remote_by_mask = true,
    .flush_multi = ts_tlbi_flush_multi,
};
