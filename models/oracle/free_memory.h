/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a VM that nobody has, by either address; for the oracle. */
#ifndef TS_MODELS_FREE_MEMORY_H
#define TS_MODELS_FREE_MEMORY_H

#include "models/oracle/page_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All 0: none is free. */
struct ts_free_memory {
    struct ts_page_map by_ipa, by_pa;
};

void ts_free_memory_destroy(struct ts_free_memory *m);
/* Nobody has the page at ipa any more, which stands for pa. False: out of memory. */
bool ts_free_memory_add(struct ts_free_memory *m, uint64_t ipa, uint64_t pa);
/* Somebody has it again. */
void ts_free_memory_take(struct ts_free_memory *m, uint64_t ipa);
bool ts_free_memory_has(const struct ts_free_memory *m, uint64_t ipa);
/* The guest-physical address of the free page that pa is in, or was when it was freed. */
bool ts_free_memory_find(const struct ts_free_memory *m, uint64_t pa, uint64_t *ipa);

#ifdef __cplusplus
}
#endif
#endif
