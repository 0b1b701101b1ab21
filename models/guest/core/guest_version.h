/* SPDX-License-Identifier: Apache-2.0 */
/* What the version of a guest's kernel decides (models/abi/linux_version.h): guest.linux. */
#ifndef TS_MODELS_GUEST_VERSION_H
#define TS_MODELS_GUEST_VERSION_H

#include "models/abi/linux_version.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct ts_version_table ts_guest_versions;

/* "4.14" to "6.17", the enum_names of guest.linux. */
extern const char *const ts_guest_version_names[];
enum { TS_GUEST_VERSION_COUNT = 45, TS_GUEST_VERSION_DEFAULT = 39 /* 6.12 */ };

#ifdef __cplusplus
}
#endif
#endif
