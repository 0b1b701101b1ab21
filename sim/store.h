/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that others do not see yet. A hardware thread's stores wait in its store buffer, and it
 * goes on to later loads meanwhile: x86-TSO (Intel SDM vol. 3, "Memory Ordering in P6 and More
 * Recent Processor Families": loads may be reordered with older stores to different locations;
 * Sewell et al., CACM 53(7), 2010). A locked operation, a fence and a serialising instruction wait
 * until the buffer is empty. What Arm does besides is not here, but for one: a store to a
 * translation table is seen by walks only when a DSB has ended (Arm ARM, "Ordering and completion
 * of TLB maintenance instructions").
 *
 * A model writes its word at once, which is what the thread itself sees, and keeps a ts_store
 * beside it: while that is hidden, others see what was there before. */
#ifndef TS_SIM_STORE_H
#define TS_SIM_STORE_H

#include "sim/engine.h"
#include "sim/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_store_kind {
    TS_STORE_DATA = 0, /* waits for a barrier of either kind */
    TS_STORE_TABLE = 1 /* of a translation table: for a DSB */
};

/* Of one hardware thread. */
struct ts_store_buffer {
    const struct ts_engine *engine;
    ts_time max_ps;       /* a store is hidden for 0 to so long, drawn */
    uint64_t barriers[2]; /* that have been, by what they wait for */
    ts_time last;         /* stores of data are seen in their order: the newest one */
    struct ts_rng rng;
};

/* Zero: others see the word as it is. */
struct ts_store {
    const struct ts_store_buffer *buffer;
    uint64_t made; /* behind so many barriers */
    ts_time until;
    enum ts_store_kind kind;
};

/* cpu: whose, of a run's seed. */
void ts_store_buffer_init(struct ts_store_buffer *b, const struct ts_engine *engine, ts_time max_ps,
                          uint64_t seed, uint32_t cpu);
/* The word of *store has been written now. */
void ts_store_put(struct ts_store_buffer *b, struct ts_store *store, enum ts_store_kind kind);
/* A locked operation, fence or serialising instruction. */
void ts_store_barrier(struct ts_store_buffer *b);
/* A DSB, which is one of those too. */
void ts_store_dsb(struct ts_store_buffer *b);

static inline bool ts_store_is_hidden(const struct ts_store *s)
{
    return s->buffer && s->made == s->buffer->barriers[s->kind] &&
           ts_engine_now(s->buffer->engine) < s->until;
}

#ifdef __cplusplus
}
#endif
#endif
