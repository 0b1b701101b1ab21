/* SPDX-License-Identifier: Apache-2.0 */
/* IPI shootdown with the local flush at the same time as the remote ones (Linux 5.13+). */
#include "models/flush/flush.h"

const struct ts_flush_ops ts_flush_native_concurrent = {
    .name = "native_concurrent",
    .summary = "IPIs to mm_cpumask; local and remote flush at the same time",
    .reference =
        "arch/x86/mm/tlb.c native_flush_tlb_multi, 5.13+; on arm64: SGIs and local TLBI as "
        "in the out-of-tree IPI flushes",
    .guests = TS_FOR_LINUX | TS_FOR_WINDOWS,
    .order = TS_ORDER_CONCURRENT,
    .remote_by_mask = true,
    .flush_multi = ts_native_flush_tlb_multi,
};
