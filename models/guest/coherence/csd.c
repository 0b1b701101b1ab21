/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/csd.h"

#include <stdlib.h>

enum { CELLS_PER_CHUNK = 128, NOTHING = 0 };

/* A line with the csds of two initiators for one target. */
struct cell {
    struct ts_line line;
    struct ts_csd csd[2];
    uint32_t target, pair; /* initiators 2 * pair and 2 * pair + 1 */
    uint32_t in_use;       /* csds that have been got */
    ts_time used_at;
    struct cell *hash_next;
    struct cell *older, *newer; /* of the idle ones, in order of last use */
};

struct chunk {
    struct chunk *next;
    struct cell cells[CELLS_PER_CHUNK];
};

struct ids {
    struct ids *next; /* of the idle ones */
    struct ids *made_before;
    uint32_t id[];
};

struct ts_csd_pool {
    struct ts_guest *g;
    struct ids *ids; /* idle */
    struct ids *all_ids;
    struct cell **buckets;
    uint64_t nbuckets; /* a power of two */
    struct chunk *chunks;
    uint64_t ncells, bound;
    uint32_t fresh; /* cells of the first chunk never used */
    struct cell *oldest, *newest;
};

enum ts_status ts_csd_pool_create(struct ts_csd_pool **out, struct ts_guest *g,
                                  struct ts_error *err)
{
    struct ts_csd_pool *p = calloc(1, sizeof(*p));

    *out = p;
    if (p) {
        p->g = g;
        p->bound = (uint64_t)TS_CSD_LINES_PER_CPU * g->ncpus;
        p->nbuckets = 64;
        while (p->nbuckets < p->bound / 8)
            p->nbuckets *= 2;
        p->buckets = calloc(p->nbuckets, sizeof(struct cell *));
    }
    if (!p || !p->buckets)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for calls between %u CPUs",
                            g->ncpus);
    return TS_OK;
}

void ts_csd_pool_destroy(struct ts_csd_pool *p)
{
    if (!p)
        return;
    while (p->chunks) {
        struct chunk *c = p->chunks;
        p->chunks = c->next;
        free(c);
    }
    while (p->all_ids) {
        struct ids *ids = p->all_ids;
        p->all_ids = ids->made_before;
        free(ids);
    }
    free(p->buckets);
    free(p);
}

static struct cell **bucket_of(struct ts_csd_pool *p, uint32_t target, uint32_t pair)
{
    uint64_t key = ((uint64_t)target << 32 | pair) * UINT64_C(0x9e3779b97f4a7c15);

    return &p->buckets[(key >> 32) & (p->nbuckets - 1)];
}

static void unlink_idle(struct ts_csd_pool *p, struct cell *c)
{
    *(c->older ? &c->older->newer : &p->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &p->newest) = c->older;
}

static void link_idle(struct ts_csd_pool *p, struct cell *c)
{
    c->newer = NULL;
    c->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = c;
    p->newest = c;
}

static struct cell *find(struct ts_csd_pool *p, uint32_t target, uint32_t pair)
{
    struct cell *c = *bucket_of(p, target, pair);

    while (c && (c->target != target || c->pair != pair))
        c = c->hash_next;
    return c;
}

/* The cell that has not been used for the longest time, if that is long enough ago that nothing of
 * its line is under way. */
static struct cell *evict(struct ts_csd_pool *p)
{
    struct cell *c = p->oldest;
    struct cell **link;

    if (!c || ts_engine_now(p->g->engine) - c->used_at < TS_MS)
        return NULL;
    for (link = bucket_of(p, c->target, c->pair); *link != c; link = &(*link)->hash_next)
        ;
    *link = c->hash_next;
    unlink_idle(p, c);
    ts_line_fini(&c->line);
    return c;
}

static struct cell *add_cell(struct ts_csd_pool *p)
{
    if (p->fresh == NOTHING) {
        struct chunk *chunk = calloc(1, sizeof(*chunk));
        if (!chunk)
            return NULL;
        chunk->next = p->chunks;
        p->chunks = chunk;
        p->fresh = CELLS_PER_CHUNK;
    }
    p->ncells++;
    return &p->chunks->cells[CELLS_PER_CHUNK - p->fresh--];
}

static struct cell *make(struct ts_csd_pool *p, uint32_t target, uint32_t pair)
{
    struct ts_guest *g = p->g;
    struct cell *c = p->ncells >= p->bound ? evict(p) : NULL;
    struct cell **bucket = bucket_of(p, target, pair);
    uint64_t id = ((uint64_t)(g->number + 1) << 40) + (UINT64_C(1) << 38) +
                  (uint64_t)target * TS_CPU_MAX + pair;

    if (!c)
        c = add_cell(p);
    if (!c)
        return NULL;
    *c = (struct cell){.target = target, .pair = pair, .hash_next = *bucket};
    *bucket = c;
    ts_line_init(g->lines, &c->line, id, g->topology->core[target % g->topology->ncpus]);
    for (uint32_t i = 0; i < 2; i++) {
        c->csd[i].line = &c->line;
        c->csd[i].target = target;
    }
    return c;
}

struct ts_csd *ts_csd_get(struct ts_csd_pool *p, uint32_t initiator, uint32_t target)
{
    struct cell *c = find(p, target, initiator / 2);

    if (c && !c->in_use)
        unlink_idle(p, c);
    if (!c)
        c = make(p, target, initiator / 2);
    if (!c)
        return NULL;
    c->in_use++;
    TS_ASSERT(c->in_use <= 2 && !c->csd[initiator % 2].locked);
    return &c->csd[initiator % 2];
}

void ts_csd_put(struct ts_csd_pool *p, struct ts_csd *csd)
{
    struct cell *c = TS_CONTAINER_OF(csd->line, struct cell, line);

    TS_ASSERT(!csd->locked && c->in_use > 0);
    c->used_at = ts_engine_now(p->g->engine);
    if (--c->in_use == 0)
        link_idle(p, c);
}

uint64_t ts_csd_pool_lines(const struct ts_csd_pool *p)
{
    return p->ncells;
}

uint32_t *ts_csd_ids_get(struct ts_csd_pool *p)
{
    struct ids *ids = p->ids;

    if (ids) {
        p->ids = ids->next;
        return ids->id;
    }
    ids = malloc(sizeof(*ids) + p->g->ncpus * sizeof(ids->id[0]));
    if (!ids)
        return NULL;
    ids->made_before = p->all_ids;
    p->all_ids = ids;
    return ids->id;
}

void ts_csd_ids_put(struct ts_csd_pool *p, uint32_t *id)
{
    struct ids *ids = TS_CONTAINER_OF(id, struct ids, id);

    ids->next = p->ids;
    p->ids = ids;
}
