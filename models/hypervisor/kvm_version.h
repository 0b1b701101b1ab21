/* SPDX-License-Identifier: Apache-2.0 */
/* What the version of the host's kernel decides (models/abi/linux_version.h): hypervisor.kvm. */
#ifndef TS_MODELS_HYP_KVM_VERSION_H
#define TS_MODELS_HYP_KVM_VERSION_H

#include "models/abi/linux_version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a host of that version offers to guests by default, beside its rules. Settings of the VMM
 * (realtime_hint, hv_ipi) and what the machine has (apicv, ipiv, avic, ple) are no part of it. */
extern const struct ts_version_table ts_kvm_versions;

/* "none", which decides nothing, then "4.14" to "6.12": the enum_names of hypervisor.kvm. */
extern const char *const ts_kvm_version_names[];
enum { TS_KVM_VERSION_NONE = 0, TS_KVM_VERSION_COUNT = 41, TS_KVM_VERSION_LAST = 40 /* 6.12 */ };

#ifdef __cplusplus
}
#endif
#endif
