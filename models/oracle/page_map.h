/* SPDX-License-Identifier: Apache-2.0 */
/* From page numbers to numbers; for the oracle. */
#ifndef TS_MODELS_PAGE_MAP_H
#define TS_MODELS_PAGE_MAP_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All 0: it is empty. Keys below UINT64_MAX. */
struct ts_page_map {
    uint64_t *key, *value; /* key UINT64_MAX: the place is empty */
    uint64_t used, room;   /* a power of two, or 0 */
};

void ts_page_map_destroy(struct ts_page_map *m);
/* False: it is not there. */
bool ts_page_map_find(const struct ts_page_map *m, uint64_t key, uint64_t *value);
/* False: out of memory. */
bool ts_page_map_set(struct ts_page_map *m, uint64_t key, uint64_t value);
/* Of a key that is there or not. */
void ts_page_map_drop(struct ts_page_map *m, uint64_t key);

#ifdef __cplusplus
}
#endif
#endif
