/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay.h"

#include <stdlib.h>
#include <string.h>

/* Of one kind in one phase. */
struct entry {
    ts_time phase;
    uint32_t made;
    ts_time duration; /* 0: not written down */
    uint64_t *delta;  /* [words] */
    uint64_t skipped; /* not yet added */
};

struct source {
    const struct ts_stat_table *table;
    char *base;
};

struct ts_replay {
    struct ts_engine *engine;
    ts_time period;
    struct source *sources;
    uint32_t nsources, sources_room;
    size_t words; /* of all statistics, histograms with all their buckets */
    uint64_t *before;
    struct entry entries[TS_REPLAY_KINDS][TS_REPLAY_PHASES];
    uint32_t nentries[TS_REPLAY_KINDS];
    uint64_t skipped;
    /* the step under way */
    struct entry *step;
    ts_time start, due;
};

/* --- statistics as a row of words --- */

typedef void word_fn(uint64_t *wide, uint32_t *narrow, uint64_t *word);

static void read_word(uint64_t *wide, uint32_t *narrow, uint64_t *word)
{
    *word = wide ? *wide : *narrow;
}

/* word: what is to be added. */
static void add_word(uint64_t *wide, uint32_t *narrow, uint64_t *word)
{
    if (wide)
        TS_ASSERT(!__builtin_add_overflow(*wide, *word, wide));
    else
        *narrow = *word < UINT32_MAX - *narrow ? *narrow + (uint32_t)*word : UINT32_MAX;
}

static size_t words_of(const struct ts_stat_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->nrows; i++)
        n += t->rows[i].kind == TS_STAT_HIST ? 2 + TS_HIST_BUCKETS : 1;
    return n;
}

static void each_word(const struct ts_replay *r, word_fn *fn, uint64_t *word)
{
    for (uint32_t s = 0; s < r->nsources; s++) {
        const struct ts_stat_table *t = r->sources[s].table;
        for (size_t i = 0; i < t->nrows; i++) {
            void *at = r->sources[s].base + t->rows[i].offset;
            if (t->rows[i].kind != TS_STAT_HIST) {
                fn(at, NULL, word++);
                continue;
            }
            struct ts_hist *h = at;
            fn(&h->count, NULL, word++);
            fn(&h->sum, NULL, word++);
            for (uint32_t b = 0; b < TS_HIST_BUCKETS; b++)
                fn(NULL, &h->buckets[b], word++);
        }
    }
}

/* --- construction --- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

enum ts_status ts_replay_create(struct ts_replay **out, struct ts_engine *engine,
                                const uint64_t *hz, uint32_t nclocks, struct ts_error *err)
{
    uint64_t common = 0;
    *out = NULL;
    for (uint32_t i = 0; i < nclocks; i++)
        common = gcd(common, hz[i]);
    if (common == 0 || TS_S % common)
        return TS_OK;
    struct ts_replay *r = calloc(1, sizeof(*r));
    if (!r)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for replays");
    r->engine = engine;
    r->period = TS_S / common;
    *out = r;
    return TS_OK;
}

void ts_replay_destroy(struct ts_replay *r)
{
    if (!r)
        return;
    for (uint32_t k = 0; k < TS_REPLAY_KINDS; k++) {
        for (uint32_t i = 0; i < r->nentries[k]; i++)
            free(r->entries[k][i].delta);
    }
    free(r->sources);
    free(r->before);
    free(r);
}

enum ts_status ts_replay_add(struct ts_replay *r, const struct ts_stat_table *table, void *base,
                             struct ts_error *err)
{
    if (r->nsources == r->sources_room) {
        uint32_t room = r->sources_room ? 2 * r->sources_room : 16;
        struct source *more = realloc(r->sources, room * sizeof(*more));
        if (!more)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for replays");
        r->sources = more;
        r->sources_room = room;
    }
    r->sources[r->nsources++] = (struct source){table, base};
    r->words += words_of(table);
    uint64_t *before = realloc(r->before, r->words * sizeof(*before));
    if (!before)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for replays");
    r->before = before;
    return TS_OK;
}

/* --- steps --- */

static struct entry *entry_of(struct ts_replay *r, uint32_t kind, bool make)
{
    ts_time phase = ts_engine_now(r->engine) % r->period;
    struct entry *e = r->entries[kind];
    TS_ASSERT(kind < TS_REPLAY_KINDS);
    for (uint32_t i = 0; i < r->nentries[kind]; i++, e++) {
        if (e->phase == phase)
            return e;
    }
    if (!make || r->nentries[kind] == TS_REPLAY_PHASES)
        return NULL;
    r->nentries[kind]++;
    *e = (struct entry){.phase = phase};
    return e;
}

bool ts_replay_skip(struct ts_replay *r, uint32_t kind)
{
    struct entry *e = entry_of(r, kind, false);
    if (!e || !e->duration ||
        !ts_engine_try_advance(r->engine, ts_engine_now(r->engine) + e->duration))
        return false;
    e->skipped++;
    r->skipped++;
    return true;
}

void ts_replay_begin(struct ts_replay *r, uint32_t kind)
{
    ts_replay_settle(r);
    r->step = entry_of(r, kind, true);
    r->start = ts_engine_now(r->engine);
    r->due = ts_engine_next_time(r->engine);
    if (r->step && r->step->made && !r->step->duration)
        each_word(r, read_word, r->before);
}

bool ts_replay_end(struct ts_replay *r, bool exact)
{
    struct entry *e = r->step;
    ts_time end = ts_engine_now(r->engine);
    bool alone = r->due > end;
    r->step = NULL;
    if (!e || !alone || !exact)
        return alone;
    if (e->made++ == 0 || e->duration)
        return alone;
    /* Without memory its steps go on being made. */
    e->delta = malloc(r->words * sizeof(*e->delta));
    if (!e->delta)
        return alone;
    each_word(r, read_word, e->delta);
    for (size_t i = 0; i < r->words; i++) {
        TS_ASSERT(e->delta[i] >= r->before[i]);
        e->delta[i] -= r->before[i];
    }
    e->duration = end - r->start;
    return alone;
}

void ts_replay_settle(struct ts_replay *r)
{
    for (uint32_t k = 0; k < TS_REPLAY_KINDS; k++) {
        for (uint32_t i = 0; i < r->nentries[k]; i++) {
            struct entry *e = &r->entries[k][i];
            if (!e->skipped)
                continue;
            for (size_t w = 0; w < r->words; w++)
                r->before[w] = e->delta[w] * e->skipped;
            each_word(r, add_word, r->before);
            e->skipped = 0;
        }
    }
}

uint64_t ts_replay_skipped(const struct ts_replay *r)
{
    return r->skipped;
}
