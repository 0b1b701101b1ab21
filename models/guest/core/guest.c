/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "models/guest/core/guest.h"

/* --- frames: last freed, first reused, which is what makes stale translations dangerous --- */

uint64_t ts_guest_frame_alloc(struct ts_guest *g)
{
    if (g->nfree_frames)
        return g->free_frames[--g->nfree_frames];
    uint64_t frame = g->next_frame;
    g->next_frame += 4096;
    if (g->vm->pv->populate)
        g->vm->pv->populate(g->vm, frame);
    return frame;
}

void ts_guest_frame_free(struct ts_guest *g, uint64_t frame)
{
    if (g->nfree_frames == g->free_frames_room) {
        uint64_t room = g->free_frames_room ? 2 * g->free_frames_room : 4096;
        uint64_t *frames = realloc(g->free_frames, room * sizeof(*frames));
        if (!frames) {
            struct ts_error err;
            (void)ts_error_set(&err, TS_ERR_ENVIRONMENT, "out of memory for free frames");
            ts_guest_report(g, &err);
            return;
        }
        g->free_frames = frames;
        g->free_frames_room = room;
    }
    g->free_frames[g->nfree_frames++] = frame;
}

void ts_guest_line_init(struct ts_guest *g, struct ts_line *line, uint32_t near_cpu)
{
    uint32_t pcpu = near_cpu % g->topology->ncpus;
    ts_line_init(g->lines, line, ((uint64_t)(g->number + 1) << 40) + g->line_ids++,
                 g->topology->core[pcpu]);
}
