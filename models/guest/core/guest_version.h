/* SPDX-License-Identifier: Apache-2.0 */
/* What the version of a guest's kernel decides, as one table. The parameter guest.linux names the
 * version; whoever reads a configuration (sim/front) takes from the table each parameter that
 * nothing sets by itself. The models look at the parameters only, never at the version.
 *
 * A version stands for its last stable release: what was put back into a long-term series (6.1,
 * 6.6, 6.12) counts as there. */
#ifndef TS_MODELS_GUEST_VERSION_H
#define TS_MODELS_GUEST_VERSION_H

#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_guest_version_rule {
    const char *key;   /* of a parameter, with its table's prefix */
    const char *since; /* the first version with this value, up to the key's next row */
    const char *value; /* as ts_param_parse reads it */
    const char *source;
    enum ts_confidence confidence; /* of the version, mostly */
};

/* By key, each key's rows by version from the oldest that is known, or from where the parameter
 * begins to matter. */
extern const struct ts_guest_version_rule ts_guest_version_rules[];
extern const size_t ts_guest_version_rules_count;

/* "4.14" to "6.17", oldest first, NULL-ended: the enum_names of guest.linux. A version is an index
 * of this list. */
extern const char *const ts_guest_version_names[];
enum { TS_GUEST_VERSION_COUNT = 45, TS_GUEST_VERSION_DEFAULT = 39 /* 6.12 */ };

/* A user error names the nearest version that is known, or if text is no version those that are. */
enum ts_status ts_guest_version_parse(const char *text, uint64_t *version, struct ts_error *err);
/* What the version says of the parameter; NULL: nothing. */
const struct ts_guest_version_rule *ts_guest_version_rule_of(uint64_t version, const char *key);

#ifdef __cplusplus
}
#endif
#endif
