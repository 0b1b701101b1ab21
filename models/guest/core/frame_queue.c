/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/core/frame_queue.h"

#include <stdlib.h>

static struct ts_queued_frame *at(const struct ts_frame_queue *q, uint64_t i)
{
    return &q->ring[(q->first + i) & (q->room - 1)];
}

static bool grow(struct ts_frame_queue *q)
{
    uint64_t room = q->room ? 2 * q->room : 1024;
    struct ts_queued_frame *ring = malloc(room * sizeof(*ring));

    if (!ring)
        return false;
    for (uint64_t i = 0; i < q->n; i++)
        ring[i] = *at(q, i);
    free(q->ring);
    *q = (struct ts_frame_queue){ring, 0, q->n, room};
    return true;
}

bool ts_frame_queue_put(struct ts_frame_queue *q, uint64_t when, uint64_t frame)
{
    if (q->n == q->room && !grow(q))
        return false;
    TS_ASSERT(!q->n || at(q, q->n - 1)->when <= when);
    *at(q, q->n++) = (struct ts_queued_frame){when, frame};
    return true;
}

bool ts_frame_queue_take(struct ts_frame_queue *q, uint64_t now, uint64_t *frame)
{
    if (!q->n || at(q, 0)->when > now)
        return false;
    *frame = at(q, 0)->frame;
    q->first = (q->first + 1) & (q->room - 1);
    q->n--;
    return true;
}

void ts_frame_queue_fini(struct ts_frame_queue *q)
{
    free(q->ring);
    *q = (struct ts_frame_queue){0};
}
