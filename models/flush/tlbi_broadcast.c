/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 without range operations: one broadcast TLBI a page, or one for the ASID above MAX_DVM_OPS,
 * then DSB ISH. No CPU is interrupted, and no vCPU has to run. */
#include "models/flush/flush_tlbi.h"

const struct ts_flush_ops ts_flush_tlbi_broadcast = {
    .name = "tlbi_broadcast",
    .summary = "broadcast TLBI, one a page or one an ASID",
    .reference = "arch/arm64/include/asm/tlbflush.h __flush_tlb_range without FEAT_TLBIRANGE, 6.12",
    .needs = TS_NEEDS_ARM64,
    .flush_multi = ts_tlbi_flush_multi,
};
