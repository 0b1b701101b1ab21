/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_replay.h"
#include "sim/stats.h"
#include "workloads/grow.h"
#include "workloads/line_reader.h"

#include <string.h>

#define LINE UINT64_C(64)
#define CHUNKS (UINT64_C(1) << (TS_LACKEY_ADDRESS_BITS - TS_LACKEY_REGION_BITS))

/* What is left to touch of the access line at hand. */
struct touches {
    uint64_t at;
    uint64_t end; /* at == end: nothing */
    uint64_t begin;
    uint32_t flags;
    bool then_write; /* of a modify: its stores come after its loads */
};

struct lackey {
    struct ts_workload base;
    struct ts_lackey_params params;
    struct ts_line_reader reader;
    const struct ts_trace_format *format;
    struct ts_trace_accesses accesses; /* of the line or record at hand */
    uint32_t next_access;
    struct ts_lackey_counts counts;
    uint64_t pass;   /* 0: reading the file */
    uint64_t nlines; /* access lines of a pass, so far while pass is 0 */
    uint64_t at;     /* the next one, later */
    uint64_t warm_left;
    bool measuring; /* the barrier is behind us */
    bool ended;     /* no access line is left */
    bool over;
    struct touches touches;
    struct ts_op pending; /* the operation that grows; count 0: none */
    uint64_t *kept;       /* the access lines, if there is more than one pass */
    size_t cap_kept;
    uint32_t *regions; /* by chunk: the region's number + 1 */
    bool failed;
    struct ts_error error; /* the failure, for every later call */
};

/* --- access lines --- */

/* One in 62 bits: address, size - 1, kind. */
#define KIND_BITS 2u
#define SIZE_BITS 12u

static uint64_t pack(const struct ts_lackey_record *r)
{
    return (r->address << SIZE_BITS | (r->size - 1u)) << KIND_BITS | (uint64_t)r->kind;
}

static void unpack(uint64_t v, struct ts_lackey_record *r)
{
    r->kind = (enum ts_lackey_kind)(v & ((1u << KIND_BITS) - 1u));
    r->size = (v >> KIND_BITS & ((1u << SIZE_BITS) - 1u)) + 1u;
    r->address = v >> (KIND_BITS + SIZE_BITS);
}

static enum ts_status keep(struct lackey *w, const struct ts_lackey_record *r, struct ts_error *err)
{
    if (w->nlines == TS_LACKEY_KEEP_MAX)
        return ts_error_set_at(err, TS_ERR_USER, w->reader.source.name,
                               ts_line_reader_line(&w->reader), 1,
                               "a trace that is repeated may have %llu access lines; set limit",
                               (unsigned long long)TS_LACKEY_KEEP_MAX);
    uint64_t *v = ts_grow(w->kept, &w->cap_kept, (size_t)w->nlines + 1u, sizeof(*v), err);
    if (!v)
        return err->status;
    w->kept = v;
    v[w->nlines] = pack(r);
    return TS_OK;
}

/* A line that is no access, and should be one. */
static enum ts_status on_bad(struct lackey *w, uint32_t column, const char *why,
                             struct ts_error *err)
{
    const uint32_t number = ts_line_reader_line(&w->reader);
    const bool lackey = strcmp(w->format->name, "lackey") == 0;
    if (w->params.strict)
        return ts_error_set_at(err, TS_ERR_USER, w->reader.source.name, number, column, "%s%s", why,
                               lackey
                                   ? "; valgrind's option --log-file=FILE keeps what the program "
                                     "prints out"
                                   : "");
    if (!w->reader.whole) {
        w->counts.cut_lines++; /* how a recording that was stopped ends */
        return TS_OK;
    }
    w->counts.bad_lines++;
    if (w->counts.first_bad == 0)
        w->counts.first_bad = number;
    return TS_OK;
}

/* Reads lines up to one of accesses. 1, 0 at the end of the file, -1. */
static int read_accesses(struct lackey *w)
{
    const struct ts_trace_format *f = w->format;
    struct ts_error *err = &w->error;
    for (;;) {
        const char *line = NULL, *why = "the record is cut off";
        size_t len = 0;
        uint32_t column = 1;
        int got = f->record_bytes
                      ? ts_line_reader_record(&w->reader, f->record_bytes, &line, &len, err)
                      : ts_line_reader_next(&w->reader, &line, &len, err);
        if (got <= 0)
            return got;
        if (len < f->record_bytes || !f->accesses(NULL, line, len, &w->accesses, &column, &why)) {
            if (on_bad(w, column, why, err) != TS_OK)
                return -1;
        } else if (w->accesses.n == 0) {
            w->counts.other_lines++;
        } else {
            w->next_access = 0;
            return 1;
        }
    }
}

/* 1, 0 at the end of the file, -1. */
static int read_record(struct lackey *w, struct ts_lackey_record *r)
{
    if (w->next_access == w->accesses.n) {
        int got = read_accesses(w);
        if (got <= 0)
            return got;
    }
    *r = w->accesses.v[w->next_access++];
    w->counts.lines[r->kind]++;
    return 1;
}

/* The trace's length is known now. */
static enum ts_status check_length(const struct lackey *w, struct ts_error *err)
{
    const struct ts_lackey_params *p = &w->params;
    const uint64_t used = w->nlines - (p->instructions ? 0u : w->counts.lines[TS_LACKEY_FETCH]);
    if (used == 0)
        return ts_error_set_at(err, TS_ERR_USER, w->reader.source.name, 0, 0, "no line is %s as %s",
                               p->instructions ? "a memory access" : "a data access",
                               strcmp(w->format->name, "lackey") == 0
                                   ? "valgrind --tool=lackey --trace-mem=yes prints it"
                                   : w->format->summary);
    /* No overflow: keep() bounds the lines of a repeated trace. */
    if (p->warmup >= w->nlines * p->repeat)
        return ts_error_set_at(err, TS_ERR_USER, w->reader.source.name, 0, 0,
                               "warmup takes all of the %llu access lines that are replayed",
                               (unsigned long long)(w->nlines * p->repeat));
    return TS_OK;
}

/* 1, 0 at the end of the last pass, -1. */
static int next_record(struct lackey *w, struct ts_lackey_record *r, struct ts_error *err)
{
    if (w->pass == 0) {
        int got = 0;
        if (w->params.limit == 0 || w->nlines < w->params.limit)
            got = read_record(w, r);
        if (got > 0 && w->params.repeat > 1 && keep(w, r, err) != TS_OK)
            return -1;
        if (got > 0)
            w->nlines++;
        if (got != 0)
            return got;
        if (check_length(w, err) != TS_OK)
            return -1;
        w->pass = 1;
    }
    if (w->at == w->nlines) {
        w->at = 0;
        w->pass++;
    }
    if (w->pass >= w->params.repeat)
        return 0;
    unpack(w->kept[w->at++], r);
    return 1;
}

/* --- touches --- */

static void begin_touches(struct lackey *w, const struct ts_lackey_record *r)
{
    struct touches *t = &w->touches;
    if (r->kind == TS_LACKEY_FETCH && !w->params.instructions)
        return;
    t->begin = r->address;
    t->at = r->address;
    t->end = r->address + r->size;
    t->then_write = r->kind == TS_LACKEY_MODIFY;
    t->flags = r->kind == TS_LACKEY_FETCH   ? TS_OPF_FETCH
               : r->kind == TS_LACKEY_STORE ? TS_OPF_WRITE
                                            : 0u;
}

static void advance(struct touches *t)
{
    t->at = (t->at / LINE + 1u) * LINE;
    if (t->at < t->end)
        return;
    t->at = t->end;
    if (t->then_write) {
        t->then_write = false;
        t->flags = TS_OPF_WRITE;
        t->at = t->begin;
    }
}

/* Hands the pending operation out, if there is one. */
static bool flush(struct lackey *w, struct ts_op *op)
{
    if (w->pending.count == 0)
        return false;
    *op = w->pending;
    w->pending.count = 0;
    return true;
}

/* Adds a touch to the pending operation if it goes on there, or begins one with it. */
static bool merge(struct ts_op *p, uint32_t region, uint32_t flags, uint64_t offset)
{
    if (p->count == 0) {
        *p = (struct ts_op){.kind = TS_OP_TOUCH,
                            .region = region,
                            .flags = flags,
                            .offset = offset,
                            .stride = LINE,
                            .count = 1};
        return true;
    }
    if (p->region != region || p->flags != flags || offset < p->offset)
        return false;
    if (p->count == 1)
        p->stride = offset - p->offset;
    else if (offset != p->offset + p->count * p->stride)
        return false;
    p->count++;
    return true;
}

/* Takes the next touch. True when *op must go first. */
static bool take_touch(struct lackey *w, struct ts_op *op)
{
    struct touches *t = &w->touches;
    uint32_t *region = &w->regions[t->at >> TS_LACKEY_REGION_BITS];
    if (*region == 0) {
        if (flush(w, op))
            return true;
        *op = (struct ts_op){.kind = TS_OP_MMAP,
                             .region = (uint32_t)w->counts.regions,
                             .prot = TS_PROT_READ | TS_PROT_WRITE | TS_PROT_EXEC,
                             .flags = TS_OPF_ANONYMOUS | TS_OPF_AT,
                             .offset = t->at & ~(TS_LACKEY_REGION_BYTES - 1u),
                             .length = TS_LACKEY_REGION_BYTES};
        *region = (uint32_t)++w->counts.regions;
        return true;
    }
    if (!merge(&w->pending, *region - 1u, t->flags, t->at & (TS_LACKEY_REGION_BYTES - 1u)))
        return flush(w, op);
    advance(t);
    return false;
}

static int lackey_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                       struct ts_error *err)
{
    struct lackey *w = (struct lackey *)base;
    TS_ASSERT(thread == 0);
    while (!w->over && !w->failed) {
        struct ts_lackey_record r;
        if (w->touches.at < w->touches.end) {
            if (take_touch(w, op))
                return 1;
            continue;
        }
        if (!w->measuring && w->warm_left == 0) {
            if (flush(w, op))
                return 1;
            *op = (struct ts_op){.kind = TS_OP_BARRIER, .count = 1};
            w->measuring = true;
            return 1;
        }
        int got = w->ended ? 0 : next_record(w, &r, &w->error);
        if (got > 0) {
            begin_touches(w, &r);
            if (!w->measuring)
                w->warm_left--;
        } else if (got < 0) {
            w->failed = true;
        } else {
            w->ended = true;
            if (flush(w, op))
                return 1;
            *op = (struct ts_op){.kind = TS_OP_EXIT};
            w->over = true;
            return 1;
        }
    }
    if (w->failed)
        *err = w->error;
    return w->failed ? -1 : 0;
}

/* --- creation --- */

static void lackey_destroy(struct ts_workload *base)
{
    struct lackey *w = (struct lackey *)base;
    ts_line_reader_fini(&w->reader);
    free(w->kept);
    free(w->regions);
    free(w);
}

#define LOSS(field, help)                                                                          \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_lackey_counts, field), "1", help               \
    }

static const struct ts_stat losses[] = {
    LOSS(bad_lines, "lines that begin as an access and cannot be read: ignored"),
    LOSS(first_bad, "number of the first of these, 0: none"),
    LOSS(cut_lines, "a last line that is cut off: ignored"),
};

static const struct ts_stat_table loss_table = {"trace", losses, TS_ARRAY_LEN(losses), NULL, 0};

static const void *lackey_losses(const struct ts_workload *w, const struct ts_stat_table **table)
{
    *table = &loss_table;
    return &((const struct lackey *)w)->counts;
}

/* Opens the text and tells its format if it is not known. */
static enum ts_status open_text(struct lackey *w, const struct ts_workload_config *config,
                                struct ts_error *err)
{
    const char *head = NULL;
    size_t len = 0;
    bool whole = false;
    struct ts_byte_source source = *config->source;
    source.close = NULL; /* as long as this can fail */
    enum ts_status status = ts_line_reader_init(&w->reader, &source, err);
    if (status != TS_OK)
        return status;
    if (!w->format) {
        status = ts_line_reader_peek(&w->reader, TS_TRACE_HEAD, &head, &len, &whole, err);
        if (status != TS_OK)
            return status;
        w->format = ts_trace_recognise(head, len, whole, source.name, err);
        if (!w->format)
            return err->status;
        if (w->format->family != TS_TRACE_ACCESSES)
            return ts_error_set_at(err, TS_ERR_USER, source.name, 0, 0,
                                   "%s holds system calls: the workload that replays them is "
                                   "`recording`",
                                   w->format->summary);
    }
    w->reader.source.close = config->source->close;
    return TS_OK;
}

enum ts_status ts_access_replay_create(struct ts_workload **out,
                                       const struct ts_workload_config *config,
                                       const struct ts_trace_format *format, struct ts_error *err)
{
    const struct ts_lackey_params *p = config->params;
    if (!config->source)
        return ts_error_set(err, TS_ERR_USER, "the workload %s needs a trace file",
                            format ? format->name : "accesses");
    struct lackey *w = calloc(1, sizeof(*w));
    uint32_t *regions = calloc((size_t)CHUNKS, sizeof(*regions));
    enum ts_status status = TS_OK;
    if (!w || !regions)
        status = ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    if (status == TS_OK) {
        w->format = format;
        status = open_text(w, config, err);
    }
    if (status != TS_OK) {
        if (w)
            ts_line_reader_fini(&w->reader);
        free(regions);
        free(w);
        return status;
    }
    w->base.next = lackey_next;
    w->base.initial_threads = 1;
    w->base.destroy = lackey_destroy;
    w->base.losses = lackey_losses;
    w->params = *p;
    w->warm_left = p->warmup;
    w->regions = regions;
    *out = &w->base;
    return TS_OK;
}

const struct ts_lackey_counts *ts_lackey_workload_counts(const struct ts_workload *w)
{
    TS_ASSERT(w->next == lackey_next);
    return &((const struct lackey *)w)->counts;
}

#define AT(field) offsetof(struct ts_lackey_params, field)
#define CHOICE "setting of the experiment", TS_CONF_CHOICE

static const struct ts_param rows[] = {
    {"instructions", TS_PARAM_BOOL, AT(instructions), 1, 0, 1, NULL,
     "instruction fetches are replayed too, not data accesses alone", CHOICE},
    {"limit", TS_PARAM_COUNT, AT(limit), 0, 0, UINT64_MAX, NULL,
     "access lines used, from the beginning of the trace; 0: all", CHOICE},
    {"repeat", TS_PARAM_COUNT, AT(repeat), 1, 1, 1000000, NULL,
     "times the trace is replayed; above 1 it is kept in memory, 8 bytes for each access line, at "
     "most 2^26 of them",
     CHOICE},
    {"warmup", TS_PARAM_COUNT, AT(warmup), 0, 0, UINT64_MAX, NULL,
     "access lines, fetches included, before the barrier at which measuring starts; may be longer "
     "than one replay",
     CHOICE},
    {"strict", TS_PARAM_BOOL, AT(strict), 0, 0, 1, NULL,
     "an access line that cannot be read is an error; else it is counted and left out", CHOICE},
};

const struct ts_param_table ts_access_replay_params = {"workload", rows, TS_ARRAY_LEN(rows)};
