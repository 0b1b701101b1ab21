/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/recording.h"
#include "sim/rng.h"
#include "workloads/grow.h"
#include "workloads/line_reader.h"
#include "workloads/op_queue.h"
#include "workloads/regions.h"

#include <string.h>

/* Lines that are read ahead for the CPU of a thread. */
#define CPU_LINES_MAX 4096u

const char *const ts_recording_touch_placement_names[] = {"strided", "random", "first", NULL};
const char *const ts_recording_think_names[] = {"none", "recorded", "sleep", NULL};

struct stream {
    struct ts_op_queue queue;
    uint32_t cpu;          /* where the thread was recorded first, plus 1; 0: not known */
    bool ended;            /* its EXIT is in the queue or was handed out */
    uint64_t touches_left; /* of touch, a random placement handed out page by page */
    struct ts_op touch;
    uint64_t touch_offset;
    uint64_t touch_length;
    struct ts_rng touch_rng;
    struct ts_rng think_rng;
};

/* A thread that has ended and whose operations are all handed out keeps no stream. */
struct slot {
    struct stream *stream;
    bool over;
};

struct recording {
    struct ts_workload base;
    struct ts_strace_params params;
    uint64_t seed;
    uint64_t instance;
    struct ts_line_reader reader;
    struct ts_strace_replay *replay;
    struct ts_op_spill spill; /* of all streams */
    struct slot *slots;       /* by thread */
    size_t nslots;
    size_t cap_slots;
    bool finished; /* the whole text is read */
    bool failed;
    struct ts_error error; /* the failure, for every later call */
};

static struct stream *stream_of(struct recording *s, uint32_t thread, struct ts_error *err)
{
    if (thread >= s->nslots) {
        struct slot *v = ts_grow(s->slots, &s->cap_slots, (size_t)thread + 1, sizeof(*v), err);
        if (!v)
            return NULL;
        s->slots = v;
        memset(v + s->nslots, 0, (thread + 1u - s->nslots) * sizeof(*v));
        s->nslots = (size_t)thread + 1;
    }
    struct stream *st = s->slots[thread].stream;
    TS_ASSERT(!s->slots[thread].over);
    if (st)
        return st;
    st = calloc(1, sizeof(*st));
    if (!st) {
        ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        return NULL;
    }
    /* A virtual machine's threads take 2^32 numbers. */
    uint64_t number = (s->instance << 32) | thread;
    ts_rng_init(&st->touch_rng, s->seed, "workload.strace.touch", number);
    ts_rng_init(&st->think_rng, s->seed, "workload.strace.think", number);
    st->queue.spill = &s->spill;
    s->slots[thread].stream = st;
    return st;
}

/* v * permille / 1000, saturated. */
static uint64_t scale(uint64_t v, uint64_t permille)
{
    uint64_t whole = v / 1000u;
    if (permille > 0 && whole > UINT64_MAX / 2u / permille)
        return UINT64_MAX / 2u;
    return whole * permille + v % 1000u * permille / 1000u;
}

/* memory: a TS_OP_TOUCH that names the whole of it. */
static enum ts_status push_touches(const struct recording *s, struct stream *st,
                                   const struct ts_op *memory, struct ts_error *err)
{
    const uint64_t pages = memory->length / TS_REGIONS_PAGE;
    struct ts_op op = {.kind = TS_OP_TOUCH,
                       .region = memory->region,
                       .offset = memory->offset,
                       .count = s->params.touch_pages};
    op.flags = s->params.touch_write ? TS_OPF_WRITE : 0u;
    op.stride = TS_REGIONS_PAGE;
    if (s->params.touch_placement == TS_PLACEMENT_RANDOM) {
        /* Drawn one by one when they are handed out: the queue stays short. */
        op.length = memory->length;
        return ts_op_queue_push(&st->queue, &op, err);
    }
    if (op.count > pages)
        op.count = pages;
    if (s->params.touch_placement == TS_PLACEMENT_STRIDED)
        op.stride = pages / op.count * TS_REGIONS_PAGE;
    return ts_op_queue_push(&st->queue, &op, err);
}

static enum ts_status push_sleep(const struct recording *s, struct stream *st, struct ts_error *err)
{
    /* Parameters are in ps. */
    struct ts_op op = {.kind = TS_OP_SLEEP};
    op.length =
        ts_rng_between(&st->think_rng, s->params.sleep_min / TS_NS, s->params.sleep_max / TS_NS);
    return ts_op_queue_push(&st->queue, &op, err);
}

/* A recorded time as it is replayed. */
static uint64_t think_time(const struct recording *s, struct stream *st, uint64_t ns)
{
    const struct ts_strace_params *p = &s->params;
    uint64_t permille = p->think_scale;
    if (ns == 0)
        return 0;
    if (p->think_spread > 0)
        permille =
            permille *
            (1000u - p->think_spread + ts_rng_below(&st->think_rng, 2u * p->think_spread + 1u)) /
            1000u;
    return scale(ns, permille);
}

static enum ts_status push_recorded_think(const struct recording *s, struct stream *st,
                                          const struct ts_strace_event *event, struct ts_error *err)
{
    enum ts_status status = TS_OK;
    struct ts_op op = {.kind = TS_OP_COMPUTE, .length = think_time(s, st, event->gap_ns)};
    if (op.length > 0)
        status = ts_op_queue_push(&st->queue, &op, err);
    op = (struct ts_op){.kind = TS_OP_SLEEP, .length = think_time(s, st, event->sleep_ns)};
    if (op.length > 0 && status == TS_OK)
        status = ts_op_queue_push(&st->queue, &op, err);
    return status;
}

static enum ts_status on_event(void *user, const struct ts_strace_event *event,
                               struct ts_error *err)
{
    struct recording *s = user;
    const struct ts_strace_params *p = &s->params;
    struct stream *st = stream_of(s, event->op.thread, err);
    if (!st)
        return err->status;
    if (event->cpu > 0 && st->cpu == 0)
        st->cpu = event->cpu;
    if (event->op.kind == TS_OP_TOUCH && !event->recorded)
        return push_touches(s, st, &event->op, err);
    enum ts_status status = TS_OK;
    if (p->think == TS_STRACE_THINK_RECORDED)
        status = push_recorded_think(s, st, event, err);
    if (status == TS_OK)
        status = ts_op_queue_push(&st->queue, &event->op, err);
    if (status == TS_OK && event->touch && p->think == TS_STRACE_THINK_SLEEP)
        status = push_sleep(s, st, err);
    if (event->op.kind == TS_OP_EXIT)
        st->ended = true;
    return status;
}

/* Reads one line more. */
static enum ts_status read_on(struct recording *s, struct ts_error *err)
{
    const char *line = NULL;
    size_t len = 0;
    bool enough = s->params.lines && ts_line_reader_line(&s->reader) >= s->params.lines;
    int got = enough ? 0 : ts_line_reader_next(&s->reader, &line, &len, err);
    if (got < 0)
        return err->status;
    if (got == 0) {
        s->finished = true;
        return ts_strace_replay_finish(s->replay, err);
    }
    if (s->reader.too_long)
        return ts_strace_replay_skip(s->replay, ts_line_reader_line(&s->reader), err);
    return ts_strace_replay_line(s->replay, line, len, ts_line_reader_line(&s->reader),
                                 s->reader.whole, err);
}

static void free_stream(struct slot *slot)
{
    if (!slot->stream)
        return;
    ts_op_queue_fini(&slot->stream->queue);
    free(slot->stream);
    slot->stream = NULL;
}

/* The next page of a random placement. */
static void next_touch(struct stream *st, struct ts_op *op)
{
    *op = st->touch;
    op->offset = st->touch_offset +
                 ts_rng_below(&st->touch_rng, st->touch_length / TS_REGIONS_PAGE) * TS_REGIONS_PAGE;
    st->touches_left--;
}

static int take(struct stream *st, uint32_t thread, struct ts_op *op, struct ts_error *err)
{
    if (st->touches_left == 0) {
        if (ts_op_queue_pop(&st->queue, op, err))
            return -1;
        op->thread = thread;
        if (op->kind == TS_OP_TOUCH && op->length > 0) {
            st->touch_offset = op->offset;
            st->touch_length = op->length;
            st->touches_left = op->count;
            op->length = 0;
            op->count = 1;
            st->touch = *op;
        }
    }
    if (st->touches_left > 0)
        next_touch(st, op);
    return 1;
}

static int recording_next(struct ts_workload *w, uint32_t thread, struct ts_op *op,
                          struct ts_error *err)
{
    struct recording *s = (struct recording *)w;
    for (;;) {
        struct slot *slot = thread < s->nslots ? &s->slots[thread] : NULL;
        struct stream *st = slot ? slot->stream : NULL;
        if (st && (st->touches_left > 0 || !ts_op_queue_empty(&st->queue)))
            return take(st, thread, op, err);
        if (st && st->ended) {
            slot->over = true;
            free_stream(slot);
        }
        if (slot && slot->over)
            return 0;
        if (s->failed) {
            *err = s->error;
            return -1;
        }
        if (s->finished)
            return 0;
        if (read_on(s, &s->error) != TS_OK)
            s->failed = true;
    }
}

/* The guest asks when the thread starts, which may be before its first record: the text is read on
 * for a while. */
static bool recording_cpu_of(struct ts_workload *w, uint32_t thread, uint32_t *cpu)
{
    struct recording *s = (struct recording *)w;
    for (unsigned line = 0;; line++) {
        const struct stream *st = thread < s->nslots ? s->slots[thread].stream : NULL;
        if (st && st->cpu > 0) {
            *cpu = st->cpu - 1u;
            return true;
        }
        if ((st && st->ended) || s->failed || s->finished || line == CPU_LINES_MAX)
            return false;
        if (read_on(s, &s->error) != TS_OK)
            s->failed = true;
    }
}

static void recording_destroy(struct ts_workload *w)
{
    struct recording *s = (struct recording *)w;
    for (size_t i = 0; i < s->nslots; i++)
        free_stream(&s->slots[i]);
    free(s->slots);
    ts_strace_replay_destroy(s->replay);
    ts_op_spill_fini(&s->spill);
    ts_line_reader_fini(&s->reader);
    free(s);
}

static const void *recording_losses(const struct ts_workload *w, const struct ts_stat_table **table)
{
    *table = &ts_strace_losses;
    return ts_strace_replay_counts(((const struct recording *)w)->replay);
}

/* Opens the text, tells its format if `format` is NULL, and makes the replay. */
static enum ts_status open_replay(struct recording *s, const struct ts_workload_config *config,
                                  const struct ts_trace_format *format, struct ts_error *err)
{
    const struct ts_strace_params *p = &s->params;
    const char *head = NULL;
    size_t len = 0;
    bool whole = false;
    struct ts_byte_source source = *config->source;
    source.close = NULL; /* as long as this can fail */
    enum ts_status status = ts_line_reader_init(&s->reader, &source, err);
    if (status == TS_OK && !format) {
        status = ts_line_reader_peek(&s->reader, TS_TRACE_HEAD, &head, &len, &whole, err);
        if (status == TS_OK) {
            format = ts_trace_recognise(head, len, whole, source.name, err);
            status = format ? TS_OK : err->status;
        }
        if (status == TS_OK && format->family != TS_TRACE_CALLS)
            status = ts_error_set_at(err, TS_ERR_USER, source.name, 0, 0,
                                     "%s holds memory accesses of one thread: the workload that "
                                     "replays them is `accesses`",
                                     format->summary);
    }
    struct ts_strace_replay_config rc = {.emit = on_event,
                                         .user = s,
                                         .format = format,
                                         .source_name = config->source->name,
                                         .strict = p->strict != 0,
                                         .calls_needed = true,
                                         .recorded_touches = p->touch_recorded != 0,
                                         .touch = p->touch_pages > 0,
                                         .touch_min_length = p->touch_min_length};
    if (status == TS_OK)
        status = ts_strace_replay_create(&s->replay, &rc, err);
    if (status == TS_OK)
        s->reader.source.close = config->source->close;
    return status;
}

enum ts_status ts_recording_create(struct ts_workload **out,
                                   const struct ts_workload_config *config,
                                   const struct ts_trace_format *format, struct ts_error *err)
{
    const struct ts_strace_params *p = config->params;
    if (!config->source)
        return ts_error_set(err, TS_ERR_USER, "the workload %s needs a trace file",
                            format ? format->name : "recording");
    if (p->sleep_min > p->sleep_max)
        return ts_error_set(err, TS_ERR_USER, "sleep_min is larger than sleep_max");
    struct recording *s = calloc(1, sizeof(*s));
    if (!s)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    s->base.next = recording_next;
    s->base.initial_threads = 1;
    s->base.destroy = recording_destroy;
    s->base.losses = recording_losses;
    s->base.cpu_of = p->placement == TS_STRACE_PLACEMENT_RECORDED ? recording_cpu_of : NULL;
    s->params = *p;
    s->seed = config->seed;
    s->instance = config->instance;
    enum ts_status status = open_replay(s, config, format, err);
    if (status != TS_OK) {
        ts_strace_replay_destroy(s->replay);
        ts_line_reader_fini(&s->reader);
        free(s);
        return status;
    }
    *out = &s->base;
    return TS_OK;
}

const struct ts_strace_counts *ts_strace_workload_counts(const struct ts_workload *w)
{
    TS_ASSERT(w->next == recording_next);
    return ts_strace_replay_counts(((const struct recording *)w)->replay);
}

size_t ts_strace_workload_queued(const struct ts_workload *w)
{
    TS_ASSERT(w->next == recording_next);
    const struct recording *s = (const struct recording *)w;
    size_t sum = 0;
    for (size_t i = 0; i < s->nslots; i++)
        if (s->slots[i].stream)
            sum += s->slots[i].stream->queue.end - s->slots[i].stream->queue.begin;
    return sum;
}
