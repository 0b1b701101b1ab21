/* SPDX-License-Identifier: Apache-2.0 */
/* Replacement policies: one file each, replacement_<name>.c, exporting
 * `const struct ts_replacement_ops ts_replacement_<name>`. State is ways+1 64-bit words a set,
 * owned by the TLB. Order of calls: on_hit for a hit; for a fill, victim (only if all ways are
 * valid), then on_fill. victim may change state only as far as the policy's own scan does (NRU,
 * SRRIP, random). */
#ifndef TS_MODELS_TLB_REPLACEMENT_H
#define TS_MODELS_TLB_REPLACEMENT_H

#include "sim/base.h"
#include "sim/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_replacement_ops {
    const char *name;
    const char *summary;
    const char *reference;
    void (*init)(uint64_t *state, uint32_t ways);
    void (*on_hit)(uint64_t *state, uint32_t ways, uint32_t way);
    void (*on_fill)(uint64_t *state, uint32_t ways, uint32_t way);
    uint32_t (*victim)(uint64_t *state, uint32_t ways, struct ts_rng *rng);
};

extern const struct ts_replacement_ops *const ts_replacement_table[];
extern const size_t ts_replacement_table_count;
const struct ts_replacement_ops *ts_replacement_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
