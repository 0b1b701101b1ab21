/* SPDX-License-Identifier: Apache-2.0 */
/* IPI shootdown that flushes locally first, then asks the others (Linux up to 5.12). */
#include "models/flush/flush.h"

const struct ts_flush_ops ts_flush_native_sequential = {
    .name = "native_sequential",
    .summary = "IPIs to mm_cpumask after the local flush",
    .reference = "arch/x86/mm/tlb.c flush_tlb_others, up to 5.12; on arm64: SGIs and local TLBI",
    .guests = TS_FOR_LINUX | TS_FOR_WINDOWS,
    .order = TS_ORDER_SEQUENTIAL,
    .remote_by_mask = true,
    .flush_multi = ts_native_flush_tlb_multi,
};
