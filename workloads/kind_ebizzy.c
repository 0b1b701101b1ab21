/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/arena.h"
#include "workloads/ebizzy.h"
#include "workloads/storm_threads.h"

#define PAGE TS_STORM_PAGE
#define KEY UINT64_C(8) /* record_t */

enum step {
    STEP_START,
    STEP_HEAP,
    STEP_FIRST, /* what new_heap makes accessible */
    STEP_ALLOCATE,
    STEP_READ,
    STEP_WRITE,
    STEP_COPY,
    STEP_LOOK,
    STEP_SEARCH,
    STEP_FREE,
    STEP_EXIT,
    STEP_OVER
};

struct worker {
    enum step step;
    uint64_t start_ns;
    uint64_t records; /* done */
    struct ts_arena arena;
    uint32_t random; /* state of rand_num */
    uint64_t chunk;  /* offset in region 0 */
    uint64_t copy;   /* offset in the heap */
    uint64_t kept;   /* end of what the heap still had of the last record */
    uint64_t at, to; /* bytes copied; with those of this step */
    uint64_t key, low, high, looks;
};

struct ebizzy {
    struct ts_storm storm;
    struct ts_ebizzy_params params;
    enum { MAIN_MAP, MAIN_WRITE, MAIN_OVER } main;
    struct worker workers[]; /* thread t is workers[t - 1] */
};

static uint64_t page_up(uint64_t x)
{
    return (x + PAGE - 1) / PAGE;
}

static int prelude(struct ts_storm *storm, struct ts_op *op)
{
    struct ebizzy *s = (struct ebizzy *)storm;
    uint64_t pages = page_up(s->params.chunk_size) * s->params.chunks;
    switch (s->main) {
    case MAIN_MAP:
        ts_storm_map(op, pages);
        s->main = MAIN_WRITE;
        return 1;
    case MAIN_WRITE:
        op->kind = TS_OP_TOUCH;
        op->count = pages;
        op->stride = PAGE;
        op->flags = TS_OPF_WRITE;
        s->main = MAIN_OVER;
        return 1;
    case MAIN_OVER:
        break;
    }
    return 0;
}

/* ebizzy's own generator. */
static uint64_t rand_num(struct worker *w, uint64_t max)
{
    w->random = w->random * 1103515245u + 12345u;
    return w->random / 65536u % max;
}

static void make_accessible(struct ts_op *op, const struct ts_arena_range *range)
{
    op->kind = TS_OP_MPROTECT;
    op->offset = range->offset;
    op->length = range->length;
    op->prot = TS_PROT_READ | TS_PROT_WRITE;
}

static void touch(struct ts_op *op, uint64_t offset, uint64_t pages, bool write)
{
    op->kind = TS_OP_TOUCH;
    op->offset = offset;
    op->count = pages;
    op->stride = PAGE;
    op->flags = write ? TS_OPF_WRITE : 0u;
}

static int compute(struct ts_op *op, uint64_t ns)
{
    op->kind = TS_OP_COMPUTE;
    op->region = 0;
    op->length = ns;
    return ns > 0;
}

/* The pages that free has left in the heap are copied in one step, the others, which fault, one by
 * one. */
static void begin_step(const struct ts_ebizzy_params *p, struct worker *w)
{
    uint64_t end = w->copy + w->at;
    end = w->at == 0 && w->kept > end ? w->kept : (end / PAGE + 1) * PAGE;
    w->to = end - w->copy < p->chunk_size ? end - w->copy : p->chunk_size;
    w->step = STEP_READ;
}

/* A record begins. Returns 1 if that is a call. */
static int allocate(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    struct ts_arena_range made;
    w->chunk = rand_num(w, p->chunks) * page_up(p->chunk_size) * PAGE;
    w->kept = w->arena.size;
    w->copy = ts_arena_malloc(&w->arena, p->chunk_size, &made);
    w->at = 0;
    begin_step(p, w);
    if (made.length)
        make_accessible(op, &made);
    return made.length > 0;
}

/* Pages of the chunk that begin in this step. */
static int read_chunk(struct worker *w, struct ts_op *op)
{
    uint64_t first = page_up(w->at), pages = page_up(w->to) - first;
    touch(op, w->chunk + first * PAGE, pages, false);
    op->region = 0;
    w->step = STEP_WRITE;
    return pages > 0;
}

static void write_copy(struct worker *w, struct ts_op *op)
{
    uint64_t first = (w->copy + w->at) / PAGE;
    touch(op, first * PAGE, page_up(w->copy + w->to) - first, true);
    w->step = STEP_COPY;
}

static uint64_t copy_ns(const struct ts_ebizzy_params *p, uint64_t bytes)
{
    return bytes * 1000 / (p->copy_rate / 1000000);
}

static int copy(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    uint64_t ns = copy_ns(p, w->to) - copy_ns(p, w->at);
    w->at = w->to;
    if (w->at < p->chunk_size) {
        begin_step(p, w);
    } else {
        w->step = STEP_LOOK;
        w->key = rand_num(w, p->chunk_size / KEY);
        w->low = w->looks = 0;
        w->high = p->chunk_size / KEY;
    }
    return compute(op, ns);
}

/* bsearch of glibc; the copy's n-th key is n. */
static void look(struct worker *w, struct ts_op *op)
{
    uint64_t middle = (w->low + w->high) / 2;
    touch(op, w->copy + middle * KEY, 1, false);
    w->looks++;
    if (w->key == middle)
        w->step = STEP_SEARCH;
    else if (w->key < middle)
        w->high = middle;
    else
        w->low = middle + 1;
}

static void end_record(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    op->flags |= TS_OPF_RECORD;
    w->records++;
    w->step = p->records && w->records == p->records ? STEP_EXIT : STEP_ALLOCATE;
}

/* The record ends with the search if nothing is given back. */
static int search(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    struct ts_arena after = w->arena;
    struct ts_arena_range dropped;
    ts_arena_free(&after, &dropped);
    w->step = STEP_FREE;
    (void)compute(op, w->looks * p->search_step / TS_NS);
    if (!dropped.length)
        end_record(p, w, op);
    return 1;
}

static void free_copy(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    struct ts_arena_range dropped;
    ts_arena_free(&w->arena, &dropped);
    op->kind = TS_OP_MADVISE_DONTNEED;
    op->offset = dropped.offset;
    op->length = dropped.length;
    end_record(p, w, op);
}

/* One step; 0: it is none. */
static int do_step(const struct ts_ebizzy_params *p, struct worker *w, struct ts_op *op)
{
    struct ts_arena_range made;
    switch (w->step) {
    case STEP_START:
        w->step = STEP_HEAP;
        return compute(op, w->start_ns);
    case STEP_HEAP: /* inaccessible; that it is cut out of twice as much is left out */
        ts_storm_map(op, TS_ARENA_HEAP_MAX / PAGE);
        op->prot = 0;
        w->step = STEP_FIRST;
        return 1;
    case STEP_FIRST:
        ts_arena_init(&w->arena, p->top_pad, p->trim_threshold, &made);
        make_accessible(op, &made);
        w->step = STEP_ALLOCATE;
        return 1;
    case STEP_ALLOCATE:
        return allocate(p, w, op);
    case STEP_READ:
        return read_chunk(w, op);
    case STEP_WRITE:
        write_copy(w, op);
        return 1;
    case STEP_COPY:
        return copy(p, w, op);
    case STEP_LOOK:
        look(w, op);
        return 1;
    case STEP_SEARCH:
        return search(p, w, op);
    case STEP_FREE:
        free_copy(p, w, op);
        return 1;
    default:
        op->kind = TS_OP_EXIT;
        op->region = 0;
        w->step = STEP_OVER;
        return 1;
    }
}

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct ebizzy *s = (struct ebizzy *)storm;
    struct worker *w = &s->workers[thread - 1u];
    while (w->step != STEP_OVER) {
        *op = (struct ts_op){.thread = thread, .region = thread};
        if (do_step(&s->params, w, op))
            return 1;
    }
    return 0;
}

static enum ts_status ebizzy_create(struct ts_workload **out,
                                    const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_ebizzy_params *p = config->params;
    size_t bytes = sizeof(struct ebizzy) + (size_t)p->threads * sizeof(struct worker);
    struct ts_storm *storm = NULL;
    if (p->chunk_size % KEY)
        return ts_error_set(err, TS_ERR_USER, "chunk_size is not a multiple of 8 bytes");
    enum ts_status status = ts_storm_create(&storm, bytes, p->threads, 0, next_worker, err);
    if (status != TS_OK)
        return status;
    struct ebizzy *s = (struct ebizzy *)storm;
    struct worker *workers = s->workers;
    s->params = *p;
    storm->prelude = prelude;
    storm->base.endless = p->records == 0;
    for (uint64_t i = 0; i < p->threads; i++) {
        struct ts_rng rng;
        ts_rng_init(&rng, config->seed, "workload.ebizzy.stagger",
                    (config->instance << 32) | (i + 1u));
        workers[i].start_ns = ts_rng_between(&rng, 0, p->stagger / TS_NS);
    }
    *out = &storm->base;
    return TS_OK;
}

#define AT(field) offsetof(struct ts_ebizzy_params, field)
#define CHOICE "setting of the experiment"
#define GLIBC "glibc malloc/malloc.c, remembered; seen with strace under 2.36"

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 128, 1, 65535, NULL,
     "threads beside the main one; the program starts two for each CPU",
     "ebizzy 0.3, default of -t, for 64 CPUs", TS_CONF_REMEMBERED},
    {"chunks", TS_PARAM_COUNT, AT(chunks), 10, 1, 1u << 20, NULL,
     "chunks of shared memory, which are read only", "ebizzy 0.3, default of -n",
     TS_CONF_REMEMBERED},
    {"chunk_size", TS_PARAM_BYTES, AT(chunk_size), UINT64_C(512) << 10, 8, TS_ARENA_ALLOCATION_MAX,
     NULL, "size of a chunk and of its copy", "ebizzy 0.3, default of -s: 65536 keys of 8 bytes",
     TS_CONF_REMEMBERED},
    {"records", TS_PARAM_COUNT, AT(records), 0, 0, UINT32_MAX, NULL,
     "records of each thread; 0: until run.window ends", CHOICE, TS_CONF_CHOICE},
    {"copy_rate", TS_PARAM_RATE, AT(copy_rate), UINT64_C(8000000000), 1000000,
     UINT64_C(1000000000000), NULL,
     "rate at which a thread copies, beyond faults and TLB misses; whole megabytes count",
     "estimate of 5 GB/s for a thread that shares its core, from the last-level cache, at "
     "topology.smt_throughput of 125",
     TS_CONF_GUESS},
    {"search_step", TS_PARAM_TIME, AT(search_step), 10 * TS_NS, 0, TS_MS, NULL,
     "one comparison of the binary search, beyond TLB misses", "estimate", TS_CONF_GUESS},
    {"top_pad", TS_PARAM_BYTES, AT(top_pad), UINT64_C(128) << 10, 0, UINT64_C(16) << 20, NULL,
     "M_TOP_PAD of malloc: what free leaves in a heap", GLIBC ": DEFAULT_TOP_PAD", TS_CONF_DERIVED},
    {"trim_threshold", TS_PARAM_BYTES, AT(trim_threshold), UINT64_C(128) << 10, 0,
     UINT64_C(1) << 40, NULL,
     "M_TRIM_THRESHOLD of malloc: free gives nothing back below it. It stays as it is without "
     "mappings, which raise it",
     GLIBC ": DEFAULT_TRIM_THRESHOLD", TS_CONF_DERIVED},
    {"stagger", TS_PARAM_TIME, AT(stagger), 0, 0, TS_S, NULL,
     "each thread begins a random time later, up to this", CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_ebizzy;
const struct ts_workload_kind ts_workload_kind_ebizzy = {
    {"ebizzy", "threads that copy shared memory into new memory, search it, and free it",
     "ebizzy 0.3 -M (V. Henson), as in the KVM PV TLB flush series, v8 cover letter", &table,
     sizeof(struct ts_ebizzy_params), false},
    ebizzy_create};
