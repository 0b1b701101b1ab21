/* SPDX-License-Identifier: Apache-2.0 */
/* The set of cores that share a line: a short ascending list, then a bitmap from a pool. Private to
 * models/line. */
#ifndef TS_MODELS_LINE_SHARERS_H
#define TS_MODELS_LINE_SHARERS_H

#include "models/line/line.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One bitmap a line, so that taking one never fails and never allocates: the pool grows when a line
 * is made, not when it is shared. */
struct ts_sharer_pool {
    uint32_t words; /* of one bitmap; 0: the short list holds all cores */
    uint32_t lines;
    uint32_t capacity;
    uint32_t nfree;
    uint64_t **free;                /* stack; room for capacity */
    struct ts_sharer_chunk *chunks; /* what the bitmaps were cut from */
};

void ts_sharer_pool_init(struct ts_sharer_pool *pool, uint32_t ncores);
void ts_sharer_pool_fini(struct ts_sharer_pool *pool);
/* A line more, a line less. False: out of memory, and this line may not come to be shared. */
bool ts_sharer_pool_add_line(struct ts_sharer_pool *pool);
void ts_sharer_pool_remove_line(struct ts_sharer_pool *pool, struct ts_line *line);

bool ts_sharers_has(const struct ts_line *line, uint32_t core);
void ts_sharers_add(struct ts_sharer_pool *pool, struct ts_line *line, uint32_t core);
void ts_sharers_remove(struct ts_sharer_pool *pool, struct ts_line *line, uint32_t core);
/* First sharer at or after from; UINT32_MAX if none. */
uint32_t ts_sharers_next(const struct ts_sharer_pool *pool, const struct ts_line *line,
                         uint32_t from);

#ifdef __cplusplus
}
#endif
#endif
