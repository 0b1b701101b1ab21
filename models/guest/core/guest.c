/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "models/guest/core/guest.h"

/* --- frames: last freed, first reused, which is what makes stale translations dangerous --- */

enum { HUGE_FRAMES = 512 };
#define FRAME_BYTES UINT64_C(4096)
#define HUGE_BYTES (HUGE_FRAMES * FRAME_BYTES)

static uint64_t fresh_frame(struct ts_guest *g)
{
    uint64_t frame = g->next_frame;

    g->next_frame += FRAME_BYTES;
    if (g->vm->pv->populate)
        g->vm->pv->populate(g->vm, frame);
    return frame;
}

static void out_of_memory(struct ts_guest *g)
{
    struct ts_error err;

    (void)ts_error_set(&err, TS_ERR_ENVIRONMENT, "out of memory for free frames");
    ts_guest_report(g, &err);
}

static void push_free(struct ts_guest *g, uint64_t **stack, uint64_t *n, uint64_t *room,
                      uint64_t frame)
{
    if (*n == *room) {
        uint64_t more = *room ? 2 * *room : 4096;
        uint64_t *frames = realloc(*stack, more * sizeof(*frames));
        if (!frames) {
            out_of_memory(g);
            return;
        }
        *stack = frames;
        *room = more;
    }
    (*stack)[(*n)++] = frame;
}

/* Tells the oracle. What has never been mapped in stage 2 nobody has used. */
static void note_free(struct ts_guest *g, uint64_t frame, uint64_t bytes)
{
    const uint64_t end = frame + bytes;
    struct ts_pte pte;

    for (; g->oracle && frame < end; frame += FRAME_BYTES) {
        uint64_t pa = frame;
        if (g->vm->stage2) {
            if (!ts_pgtable_lookup(g->vm->stage2, frame, &pte))
                continue;
            pa = ts_pte_address(&pte, frame);
        }
        if (!ts_oracle_freed(g->oracle, frame, pa, FRAME_BYTES))
            out_of_memory(g);
    }
}

static uint64_t note_taken(struct ts_guest *g, uint64_t frame, uint64_t bytes)
{
    if (g->oracle)
        ts_oracle_taken(g->oracle, frame, bytes);
    return frame;
}

void ts_guest_frame_free(struct ts_guest *g, uint64_t frame)
{
    note_free(g, frame, FRAME_BYTES);
    push_free(g, &g->free_frames, &g->nfree_frames, &g->free_frames_room, frame);
}

void ts_guest_huge_free(struct ts_guest *g, uint64_t frame)
{
    TS_ASSERT(frame % HUGE_BYTES == 0);
    note_free(g, frame, HUGE_BYTES);
    push_free(g, &g->free_huge, &g->nfree_huge, &g->free_huge_room, frame);
}

void ts_guest_frame_free_at(struct ts_guest *g, uint64_t frame, ts_time when)
{
    if (!ts_frame_queue_put(&g->late, when, frame))
        out_of_memory(g);
}

static void free_what_is_due(struct ts_guest *g)
{
    uint64_t frame;

    while (ts_frame_queue_take(&g->late, ts_engine_now(g->engine), &frame))
        ts_guest_frame_free(g, frame);
}

/* As the buddy allocator does, a free huge frame is broken up before memory that was never used is
 * taken; unlike it, frames freed one by one are never put together again. */
uint64_t ts_guest_frame_alloc(struct ts_guest *g)
{
    free_what_is_due(g);
    if (!g->nfree_frames && g->nfree_huge) {
        uint64_t huge = g->free_huge[--g->nfree_huge];
        for (uint32_t i = HUGE_FRAMES; i-- > 0;)
            ts_guest_frame_free(g, huge + i * FRAME_BYTES);
    }
    if (!g->nfree_frames)
        return fresh_frame(g);
    return note_taken(g, g->free_frames[--g->nfree_frames], FRAME_BYTES);
}

uint64_t ts_guest_frames_fresh(struct ts_guest *g, uint64_t count)
{
    uint64_t first = g->next_frame;

    while (count-- > 0)
        (void)fresh_frame(g);
    return first;
}

uint64_t ts_guest_huge_alloc(struct ts_guest *g)
{
    uint64_t frame;

    if (g->nfree_huge)
        return note_taken(g, g->free_huge[--g->nfree_huge], HUGE_BYTES);
    while (g->next_frame % HUGE_BYTES)
        ts_guest_frame_free(g, fresh_frame(g));
    frame = g->next_frame;
    for (uint32_t i = 0; i < HUGE_FRAMES; i++)
        (void)fresh_frame(g);
    return frame;
}

void ts_guest_line_init(struct ts_guest *g, struct ts_line *line, uint32_t near_cpu)
{
    uint32_t pcpu = near_cpu % g->topology->ncpus;
    ts_line_init(g->lines, line, ((uint64_t)(g->number + 1) << 40) + g->line_ids++,
                 g->topology->core[pcpu]);
}
