/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store.h"

void ts_store_buffer_init(struct ts_store_buffer *b, const struct ts_engine *engine, ts_time max_ps,
                          uint64_t seed, uint32_t cpu)
{
    *b = (struct ts_store_buffer){.engine = engine, .max_ps = max_ps};
    ts_rng_init(&b->rng, seed, "line.store_delay", cpu);
}

void ts_store_put(struct ts_store_buffer *b, struct ts_store *store, enum ts_store_kind kind)
{
    ts_time until = ts_engine_now(b->engine) + ts_rng_between(&b->rng, 0, b->max_ps);

    if (kind == TS_STORE_DATA) {
        until = until < b->last ? b->last : until;
        b->last = until;
    }
    *store = (struct ts_store){b, b->barriers[kind], until, kind};
}

void ts_store_barrier(struct ts_store_buffer *b)
{
    b->barriers[TS_STORE_DATA]++;
    b->last = 0;
}

void ts_store_dsb(struct ts_store_buffer *b)
{
    ts_store_barrier(b);
    b->barriers[TS_STORE_TABLE]++;
}
