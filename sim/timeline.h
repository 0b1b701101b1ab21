/* SPDX-License-Identifier: Apache-2.0 */
/* Timeline records: what a viewer draws. A sink is given by the caller; without one the calls cost
 * one test. Records come in time order. Strings are static or live as long as the sink. */
#ifndef TS_SIM_TIMELINE_H
#define TS_SIM_TIMELINE_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_timeline_kind {
    TS_TL_BEGIN,   /* a slice opens on a track */
    TS_TL_END,     /* the innermost open slice of the track closes */
    TS_TL_INSTANT, /* a mark */
    TS_TL_FLOW,    /* an arrow starts (id) */
    TS_TL_FLOW_END /* the arrow ends on another track */
};

/* Tracks: group 0 is the host (track = pCPU), group v+1 is VM v (track = vCPU). */
struct ts_timeline_record {
    ts_time when;
    enum ts_timeline_kind kind;
    uint32_t group;
    uint32_t track;
    const char *name;
    uint64_t id; /* flow id, or an argument of the slice */
};

typedef void ts_timeline_fn(void *user, const struct ts_timeline_record *record);

struct ts_timeline {
    ts_timeline_fn *fn; /* NULL: off */
    void *user;
};

static inline void ts_timeline_emit(const struct ts_timeline *t, ts_time when,
                                    enum ts_timeline_kind kind, uint32_t group, uint32_t track,
                                    const char *name, uint64_t id)
{
    if (t->fn) {
        struct ts_timeline_record r;
        r.when = when;
        r.kind = kind;
        r.group = group;
        r.track = track;
        r.name = name;
        r.id = id;
        t->fn(t->user, &r);
    }
}

#ifdef __cplusplus
}
#endif
#endif
