/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that become free later, in the order in which they were put in: of a grace period, of a
 * flush that others have yet to make. Zeroed: empty. */
#ifndef TS_MODELS_GUEST_FRAME_QUEUE_H
#define TS_MODELS_GUEST_FRAME_QUEUE_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_queued_frame {
    uint64_t when, frame;
};

struct ts_frame_queue {
    struct ts_queued_frame *ring; /* owned */
    uint64_t first, n, room;      /* room: a power of two */
};

/* when: a time or a number that does not fall from one call to the next. False: out of memory. */
bool ts_frame_queue_put(struct ts_frame_queue *q, uint64_t when, uint64_t frame);
/* The next frame that was put in with no more than now; false: there is none. */
bool ts_frame_queue_take(struct ts_frame_queue *q, uint64_t now, uint64_t *frame);
void ts_frame_queue_fini(struct ts_frame_queue *q);

#ifdef __cplusplus
}
#endif
#endif
