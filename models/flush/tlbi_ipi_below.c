/* SPDX-License-Identifier: Apache-2.0 */
/* arm64: SGIs and local TLBIs to those that have run the address space while they are few, a
 * broadcast from then on; alone, a local TLBI.
 *
 * C. Lameter's tlb_mode of 2023 goes by the weight of the cpumask; Fujitsu's disable_tlbflush_is of
 * 2019, carried in openEuler as CONFIG_ARM64_TLBI_IPI, has no limit, which is native_concurrent
 * here (arm.md 3.7). Where the limit lies is not known: the default is assumed. What
 * tlbi_local_if_single says of the mask and of HCR_EL2.FB holds here too. */
#include "models/flush/flush_tlbi.h"

struct ipi_below_params {
    uint64_t cpus;
};

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    const struct ipi_below_params *p = gc->guest->flush_params;
    uint32_t others = ts_cpumask_count(mask) - (ts_cpumask_test(mask, gc->id) ? 1u : 0u);

    if (others < p->cpus)
        ts_native_flush_tlb_multi(self, mask, info, record);
    else
        ts_tlbi_flush_multi(self, mask, info, record);
}

static const struct ts_param param_rows[] = {
    {"cpus", TS_PARAM_COUNT, offsetof(struct ipi_below_params, cpus), 4, 0, 65536, NULL,
     "a flush that so many other CPUs have to make, or more, is broadcast; 0: each that is not "
     "alone",
     "assumed", TS_CONF_GUESS},
};
static const struct ts_param_table params = {"flush.tlbi_ipi_below", param_rows,
                                             TS_ARRAY_LEN(param_rows)};

const struct ts_flush_ops ts_flush_tlbi_ipi_below = {
    .name = "tlbi_ipi_below",
    .summary =
        "IPIs and local TLBI where few other CPUs have run the address space, else broadcast",
    .reference =
        "C. Lameter, tlb_mode IPI with a threshold, 2023; openEuler CONFIG_ARM64_TLBI_IPI; "
        "neither is in Linux",
    .needs = TS_NEEDS_ARM64,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct ipi_below_params),
    .flush_multi = flush_multi,
};
