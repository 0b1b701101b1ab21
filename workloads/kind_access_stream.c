/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/access_draw.h"
#include "workloads/access_stream.h"

#include <stdlib.h>

#define PAGE TS_ACCESS_STREAM_PAGE
#define LINE TS_ACCESS_STREAM_LINE
#define LINES_PER_PAGE (PAGE / LINE)
#define WORD UINT64_C(8)

enum step {
    STEP_MAP_CODE,
    STEP_PREFAULT_CODE,
    STEP_MAP,
    STEP_PREFAULT,
    STEP_SPAWN,
    STEP_WARM,
    STEP_BARRIER,
    STEP_RUN,
    STEP_EXIT,
    STEP_OVER
};

/* Each kind of choice has a random stream of its own, so that, say, the percentage of writes does
 * not change which pages are accessed. */
struct stream {
    enum step step;
    uint64_t left;       /* data accesses of the step */
    uint64_t position;   /* sequential, strided, chase: in the round */
    uint64_t window;     /* phases: its first page */
    uint64_t phase_left; /* phases: accesses before it moves */
    uint64_t word;       /* gups: what was read last */
    bool word_read;      /* gups: and is to be written */
    bool write_drawn;    /* next_write is set */
    bool next_write;
    uint64_t code_left; /* lines to fetch before the next data access */
    uint64_t code_line; /* next line */
    uint64_t code_run;  /* lines before the next jump */
    struct ts_rng place_rng;
    struct ts_rng line_rng;
    struct ts_rng write_rng;
    struct ts_rng code_rng;
    struct ts_access_perm chase;
};

struct access_stream {
    struct ts_workload base;
    struct ts_access_stream_params params;
    uint64_t pages;
    uint64_t round; /* sequential, strided: accesses of one */
    uint64_t stride;
    uint64_t page_key; /* of the lines of pages */
    uint32_t spawned;
    struct ts_access_zipf zipf;
    struct ts_access_perm scatter; /* rank - 1 to page: the same for all threads */
    struct stream *streams;
};

static uint32_t data_region(const struct access_stream *s, uint32_t thread)
{
    return s->params.shared ? 0u : thread;
}

static uint32_t code_region(const struct access_stream *s)
{
    return s->params.shared ? 1u : (uint32_t)s->params.threads;
}

static uint64_t round_up(uint64_t v, uint64_t to)
{
    return (v + to - 1u) / to * to;
}

/* --- data accesses --- */

static bool draw_write(const struct access_stream *s, struct stream *st)
{
    if (s->params.write_percent == 0 || s->params.write_percent == 100)
        return s->params.write_percent != 0;
    if (st->write_drawn) {
        st->write_drawn = false;
        return st->next_write;
    }
    return ts_rng_chance(&st->write_rng, s->params.write_percent, 100);
}

/* A run ends where reads turn to writes, at the end of the footprint, and before code. */
static uint64_t next_run(const struct access_stream *s, struct stream *st, struct ts_op *op)
{
    uint64_t most = s->round - st->position;
    if (most > st->left)
        most = st->left;
    if (most > TS_ACCESS_STREAM_BATCH)
        most = TS_ACCESS_STREAM_BATCH;
    if (s->params.code_footprint > 0)
        most = 1;
    const bool write = draw_write(s, st);
    op->offset = st->position * s->stride;
    op->stride = s->stride;
    op->flags = write ? TS_OPF_WRITE : 0u;
    op->count = 1;
    if (s->params.write_percent == 0 || s->params.write_percent == 100)
        op->count = most;
    while (op->count < most) {
        bool next = draw_write(s, st);
        if (next != write) {
            st->write_drawn = true;
            st->next_write = next;
            break;
        }
        op->count++;
    }
    st->position += op->count;
    if (st->position == s->round)
        st->position = 0;
    return op->count;
}

static void next_gups(const struct access_stream *s, struct stream *st, struct ts_op *op)
{
    if (st->word_read) {
        op->flags = TS_OPF_WRITE;
        st->word_read = false;
    } else {
        st->word = ts_rng_below(&st->place_rng, s->params.footprint / WORD) * WORD;
        st->word_read = true;
    }
    op->offset = st->word;
}

static uint64_t next_page(const struct access_stream *s, struct stream *st)
{
    switch (s->params.pattern) {
    case TS_ACCESS_ZIPF:
        return ts_access_perm_at(&s->scatter, ts_access_zipf_draw(&s->zipf, &st->place_rng) - 1u);
    case TS_ACCESS_CHASE: {
        uint64_t page = ts_access_perm_at(&st->chase, st->position);
        if (++st->position == s->pages)
            st->position = 0;
        return page;
    }
    case TS_ACCESS_PHASES: {
        const uint64_t window = s->params.working_set / PAGE;
        if (st->phase_left == 0) {
            st->window = ts_rng_below(&st->place_rng, s->pages - window + 1u);
            st->phase_left = s->params.phase_accesses;
        }
        st->phase_left--;
        return st->window + ts_rng_below(&st->place_rng, window);
    }
    default:
        return ts_rng_below(&st->place_rng, s->pages);
    }
}

static uint64_t line_of(const struct access_stream *s, struct stream *st, uint64_t page)
{
    switch (s->params.line) {
    case TS_ACCESS_LINE_PAGE:
        /* Fibonacci hashing: the high bits of a product. */
        return ((page ^ s->page_key) * UINT64_C(0x9e3779b97f4a7c15) >> 58) % LINES_PER_PAGE;
    case TS_ACCESS_LINE_RANDOM:
        return ts_rng_below(&st->line_rng, LINES_PER_PAGE);
    default:
        return 0;
    }
}

static void next_data(const struct access_stream *s, struct stream *st, struct ts_op *op)
{
    op->kind = TS_OP_TOUCH;
    op->region = data_region(s, op->thread);
    op->count = 1;
    op->stride = LINE;
    switch (s->params.pattern) {
    case TS_ACCESS_SEQUENTIAL:
    case TS_ACCESS_STRIDED:
        st->left -= next_run(s, st, op);
        break;
    case TS_ACCESS_GUPS:
        next_gups(s, st, op);
        st->left--;
        break;
    default: {
        uint64_t page = next_page(s, st);
        op->offset = page * PAGE + line_of(s, st, page) * LINE;
        op->flags = draw_write(s, st) ? TS_OPF_WRITE : 0u;
        st->left--;
    }
    }
    st->code_left = s->params.code_lines;
}

/* --- code --- */

static void next_code(const struct access_stream *s, struct stream *st, struct ts_op *op)
{
    const uint64_t lines = s->params.code_footprint / LINE;
    if (st->code_run == 0) {
        st->code_line = ts_rng_below(&st->code_rng, lines);
        st->code_run = ts_rng_between(&st->code_rng, 1, 2u * s->params.code_run - 1u);
        if (st->code_run > lines - st->code_line)
            st->code_run = lines - st->code_line;
    }
    op->kind = TS_OP_TOUCH;
    op->region = code_region(s);
    op->flags = TS_OPF_FETCH;
    op->offset = st->code_line * LINE;
    op->stride = LINE;
    op->count = st->code_run < st->code_left ? st->code_run : st->code_left;
    st->code_line += op->count;
    st->code_run -= op->count;
    st->code_left -= op->count;
}

/* --- steps --- */

static void map(struct ts_op *op, uint32_t region, uint64_t address, uint64_t length)
{
    op->kind = TS_OP_MMAP;
    op->region = region;
    op->offset = address;
    op->length = length;
    op->flags = TS_OPF_AT;
}

static void touch_pages(struct ts_op *op, uint32_t region, uint64_t length, uint32_t flags)
{
    op->kind = TS_OP_TOUCH;
    op->region = region;
    op->count = (length + PAGE - 1u) / PAGE;
    op->stride = PAGE;
    op->flags = flags;
}

static enum step begin_part(struct stream *st, enum step step, uint64_t accesses)
{
    st->left = accesses;
    return step;
}

/* False when the step has nothing to do, or no more. */
static bool prepare(struct access_stream *s, struct stream *st, struct ts_op *op)
{
    const struct ts_access_stream_params *p = &s->params;
    const bool code = p->code_footprint > 0;
    switch (st->step) {
    case STEP_MAP_CODE:
        st->step = STEP_PREFAULT_CODE;
        map(op, code_region(s), TS_ACCESS_STREAM_CODE_AT, round_up(p->code_footprint, PAGE));
        op->prot = TS_PROT_READ | TS_PROT_EXEC;
        return code;
    case STEP_PREFAULT_CODE:
        st->step = STEP_MAP;
        touch_pages(op, code_region(s), p->code_footprint, TS_OPF_FETCH);
        return code && p->prefault;
    case STEP_MAP:
        st->step = STEP_PREFAULT;
        map(op, data_region(s, op->thread),
            TS_ACCESS_STREAM_DATA_AT +
                data_region(s, op->thread) * round_up(p->footprint, TS_ACCESS_STREAM_ALIGN),
            p->footprint);
        op->prot = TS_PROT_READ | TS_PROT_WRITE;
        op->flags |= TS_OPF_ANONYMOUS;
        return true;
    case STEP_PREFAULT:
        st->step = op->thread == 0 ? STEP_SPAWN : begin_part(st, STEP_WARM, p->warmup);
        touch_pages(op, data_region(s, op->thread), p->footprint, TS_OPF_WRITE);
        return p->prefault;
    default: /* STEP_SPAWN */
        if (s->spawned + 1u == p->threads) {
            st->step = begin_part(st, STEP_WARM, p->warmup);
            return false;
        }
        op->kind = TS_OP_SPAWN;
        op->target = ++s->spawned;
        return true;
    }
}

static bool next_step(struct access_stream *s, struct stream *st, struct ts_op *op)
{
    switch (st->step) {
    case STEP_WARM:
        st->step = STEP_BARRIER;
        return false;
    case STEP_BARRIER:
        st->step = begin_part(st, STEP_RUN, s->params.accesses);
        op->kind = TS_OP_BARRIER;
        op->count = s->params.threads;
        return true;
    case STEP_RUN:
        st->step = STEP_EXIT;
        return false;
    case STEP_EXIT:
        st->step = STEP_OVER;
        op->kind = TS_OP_EXIT;
        return true;
    default:
        return prepare(s, st, op);
    }
}

static int stream_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                       struct ts_error *err)
{
    struct access_stream *s = (struct access_stream *)base;
    struct stream *st = &s->streams[thread];
    (void)err;
    TS_ASSERT(thread < s->params.threads);
    while (st->step != STEP_OVER) {
        *op = (struct ts_op){.thread = thread};
        if ((st->step == STEP_WARM || st->step == STEP_RUN) && st->left > 0) {
            if (st->code_left > 0)
                next_code(s, st, op);
            else
                next_data(s, st, op);
            return 1;
        }
        if (next_step(s, st, op))
            return 1;
    }
    return 0;
}

/* --- creation --- */

static void stream_destroy(struct ts_workload *base)
{
    struct access_stream *s = (struct access_stream *)base;
    free(s->streams);
    free(s);
}

static enum ts_status check(const struct ts_access_stream_params *p, struct ts_error *err)
{
    if (p->footprint % PAGE != 0)
        return ts_error_set(err, TS_ERR_USER, "footprint is no multiple of 4KiB");
    if (!p->shared &&
        p->threads > TS_ACCESS_STREAM_DATA_MAX / round_up(p->footprint, TS_ACCESS_STREAM_ALIGN))
        return ts_error_set(err, TS_ERR_USER,
                            "the footprints of all threads, each rounded up to 1GiB, are larger "
                            "than 64TiB");
    if (p->pattern == TS_ACCESS_STRIDED && p->stride > p->footprint)
        return ts_error_set(err, TS_ERR_USER, "stride is larger than footprint");
    if (p->pattern == TS_ACCESS_PHASES && p->working_set % PAGE != 0)
        return ts_error_set(err, TS_ERR_USER, "working_set is no multiple of 4KiB");
    if (p->pattern == TS_ACCESS_PHASES && p->working_set > p->footprint)
        return ts_error_set(err, TS_ERR_USER, "working_set is larger than footprint");
    if (p->code_footprint % LINE != 0)
        return ts_error_set(err, TS_ERR_USER, "code_footprint is no multiple of 64B");
    return TS_OK;
}

static void init_stream(const struct access_stream *s, struct stream *st, uint32_t thread,
                        const struct ts_workload_config *config)
{
    const uint64_t number = (config->instance << 32) | thread;
    ts_rng_init(&st->place_rng, config->seed, "workload.access_stream.place", number);
    ts_rng_init(&st->line_rng, config->seed, "workload.access_stream.line", number);
    ts_rng_init(&st->write_rng, config->seed, "workload.access_stream.write", number);
    ts_rng_init(&st->code_rng, config->seed, "workload.access_stream.code", number);
    ts_access_perm_init(&st->chase, s->pages, &st->place_rng);
    /* Threads that share the footprint start at different places of it. */
    if (s->params.shared && s->params.pattern <= TS_ACCESS_STRIDED)
        st->position = s->round / s->params.threads * thread;
    if (s->params.code_footprint > 0)
        st->code_left = s->params.code_lines;
    st->step = thread == 0 ? STEP_MAP_CODE : STEP_MAP;
    if (thread > 0 && s->params.shared)
        st->step = begin_part(st, STEP_WARM, s->params.warmup);
}

static enum ts_status stream_create(struct ts_workload **out,
                                    const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_access_stream_params *p = config->params;
    struct ts_rng layout_rng;
    enum ts_status status = check(p, err);
    if (status != TS_OK)
        return status;
    struct access_stream *s = calloc(1, sizeof(*s));
    struct stream *streams = calloc((size_t)p->threads, sizeof(*streams));
    if (!s || !streams) {
        free(s);
        free(streams);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    }
    s->base.next = stream_next;
    s->base.initial_threads = 1;
    s->base.destroy = stream_destroy;
    s->params = *p;
    if (p->code_footprint == 0)
        s->params.code_lines = 0;
    s->pages = p->footprint / PAGE;
    s->stride = p->pattern == TS_ACCESS_STRIDED ? p->stride : LINE;
    s->round = (p->footprint - 1u) / s->stride + 1u;
    s->streams = streams;
    ts_rng_init(&layout_rng, config->seed, "workload.access_stream.layout", config->instance);
    s->page_key = ts_rng_next(&layout_rng);
    ts_access_perm_init(&s->scatter, s->pages, &layout_rng);
    ts_access_zipf_init(&s->zipf, s->pages, p->zipf_exponent);
    for (uint32_t i = 0; i < p->threads; i++)
        init_stream(s, &streams[i], i, config);
    *out = &s->base;
    return TS_OK;
}

static const char *const pattern_names[] = {"sequential", "strided", "random", "zipf",
                                            "chase",      "gups",    "phases", NULL};
static const char *const line_names[] = {"first", "page", "random", NULL};

#define AT(field) offsetof(struct ts_access_stream_params, field)
#define CHOICE "setting of the experiment", TS_CONF_CHOICE
#define MAX_ACCESSES (UINT64_C(1) << 48)

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 1, 1, 65535, NULL, "threads, each with its own stream",
     CHOICE},
    {"shared", TS_PARAM_BOOL, AT(shared), 1, 0, 1, NULL,
     "all threads access the same memory; else each has a footprint of its own", CHOICE},
    {"footprint", TS_PARAM_BYTES, AT(footprint), UINT64_C(64) << 20, PAGE,
     TS_ACCESS_STREAM_DATA_MAX, NULL, "memory that is accessed; a multiple of 4KiB", CHOICE},
    {"accesses", TS_PARAM_COUNT, AT(accesses), 1000000, 1, MAX_ACCESSES, NULL,
     "data accesses of each thread after the warm-up", CHOICE},
    {"warmup", TS_PARAM_COUNT, AT(warmup), 100000, 0, MAX_ACCESSES, NULL,
     "data accesses of each thread before the barrier at which measuring starts", CHOICE},
    {"pattern", TS_PARAM_ENUM, AT(pattern), TS_ACCESS_RANDOM, 0, TS_ACCESS_PHASES, pattern_names,
     "sequential: line after line; strided: by stride; random: pages uniformly; zipf: pages by "
     "popularity, scattered; chase: all pages in one random cycle; gups: random words, each read "
     "and then written; phases: random pages of a window that moves",
     CHOICE},
    {"stride", TS_PARAM_BYTES, AT(stride), PAGE, 1, TS_ACCESS_STREAM_DATA_MAX, NULL,
     "strided: bytes from one access to the next; each round starts at the same place", CHOICE},
    {"zipf_exponent", TS_PARAM_COUNT, AT(zipf_exponent), 990, 0, TS_ACCESS_ZIPF_EXPONENT_MAX, NULL,
     "zipf: exponent in thousandths; the r-th most popular page has weight r^-exponent",
     "as YCSB's request distribution, 0.99 (Cooper et al., SoCC 2010), which also scatters",
     TS_CONF_CHOICE},
    {"working_set", TS_PARAM_BYTES, AT(working_set), UINT64_C(4) << 20, PAGE,
     TS_ACCESS_STREAM_DATA_MAX, NULL, "phases: size of the window; a multiple of 4KiB", CHOICE},
    {"phase_accesses", TS_PARAM_COUNT, AT(phase_accesses), 10000, 1, MAX_ACCESSES, NULL,
     "phases: data accesses before the window moves to a random place", CHOICE},
    {"write_percent", TS_PARAM_COUNT, AT(write_percent), 0, 0, 100, NULL,
     "data accesses that write, drawn one by one; gups: always every second", CHOICE},
    {"line", TS_PARAM_ENUM, AT(line), TS_ACCESS_LINE_RANDOM, 0, TS_ACCESS_LINE_RANDOM, line_names,
     "random, zipf, chase, phases: the 64-byte line accessed in a page; first; page: each page has "
     "one, always the same; random: drawn for each access",
     CHOICE},
    {"prefault", TS_PARAM_BOOL, AT(prefault), 1, 0, 1, NULL,
     "every page is touched once before the warm-up, so that page faults do not count", CHOICE},
    {"code_footprint", TS_PARAM_BYTES, AT(code_footprint), 0, 0, UINT64_C(1) << 30, NULL,
     "code, shared by all threads, from which lines are fetched before each data access; a "
     "multiple of 64B; 0: none",
     CHOICE},
    {"code_lines", TS_PARAM_COUNT, AT(code_lines), 1, 1, 4096, NULL,
     "64-byte lines of code fetched before each data access", CHOICE},
    {"code_run", TS_PARAM_COUNT, AT(code_run), 16, 1, 1000000, NULL,
     "lines of code in sequence between jumps to a random line, on average", CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_access_stream;
const struct ts_workload_kind ts_workload_kind_access_stream = {
    {"access_stream", "threads that access memory by a pattern: sequential, random, zipf, ...",
     "gups: HPC Challenge RandomAccess (Luszczek et al., 2005); zipf: YCSB (Cooper et al., 2010)",
     &table, sizeof(struct ts_access_stream_params), false},
    stream_create};
