/* SPDX-License-Identifier: Apache-2.0 */
#include "models/study/tlb_profile_streams.h"

#include <inttypes.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 ts_u128;

/* Pages above which a whole address space is invalidated: tlb_single_page_flush_ceiling
 * (arch/x86/mm/tlb.c), MAX_DVM_OPS without range operations (arm64 asm/tlbflush.h, 512 entries of a
 * table: at most 511 pages one by one). */
#define X86_CEILING 33
#define ARM64_CEILING 511
/* Clocks start here: to the MMU, cycle 0 can mean that its caller has no time. */
#define FIRST_CYCLE 1
#define GUEST_VMID 1
#define GUEST_EP4TA 1

static uint64_t fetch(void *user, uint32_t core, uint64_t pa)
{
    return ts_cache_fetch(user, core, pa);
}

static enum ts_status create_mmus(struct ts_profile_core *c, uint64_t seed, struct ts_error *err)
{
    struct ts_mmu_memory memory = {fetch, c->cache, 0};
    for (uint32_t i = 0; i < c->nstreams; i++) {
        struct ts_mmu_wiring wiring = {0};
        wiring.cpu = i;
        wiring.thread = i;
        /* A sibling that runs nothing leaves partitioned structures whole (assumed). */
        wiring.threads = c->nstreams;
        wiring.first = i == 0 ? NULL : c->streams[0].mmu;
        wiring.fault_invalidates = c->config->topology.arch == TS_ARCH_X86;
        wiring.memory = c->cache != NULL ? &memory : NULL;
        enum ts_status status =
            ts_mmu_create(&c->streams[i].mmu, &c->config->mmu, seed, &wiring, err);
        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}

static void init_stream(struct ts_profile_core *c, uint32_t i)
{
    struct ts_profile_stream *s = &c->streams[i];
    bool nested = c->params->regime == TS_PROFILE_NESTED;
    s->space = c->params->same_space ? 0 : i;
    s->done = c->rings + i * c->params->outstanding;
    s->context.vmid = nested ? GUEST_VMID : 0;
    s->context.ep4ta = nested && c->config->topology.arch == TS_ARCH_X86 ? GUEST_EP4TA : 0;
    s->context.asid = (uint16_t)(1 + s->space);
    s->context.stage1 = c->memory.stage1[s->space];
    s->context.stage2 = c->memory.stage2;
    s->clock = FIRST_CYCLE;
    s->begin = FIRST_CYCLE;
    s->state = i < c->workload->initial_threads ? TS_PROFILE_RUNNING : TS_PROFILE_UNSTARTED;
}

static enum ts_status create_cache(struct ts_profile_core *c, struct ts_error *err)
{
    if (!c->config->cache.walks)
        return TS_OK;
    struct ts_topology topology;
    enum ts_status status = ts_topology_init(&topology, &c->config->topology, err);
    if (status != TS_OK)
        return status;
    status = ts_cache_create(&c->cache, &topology, 1, &c->config->cache, err);
    ts_topology_fini(&topology);
    return status;
}

enum ts_status ts_profile_core_init(struct ts_profile_core *c, const struct ts_study_input *in,
                                    struct ts_profile_stats *stats, struct ts_error *err)
{
    c->config = in->config;
    c->params = in->params;
    c->workload = in->workload;
    c->stats = stats;
    c->nstreams = (uint32_t)c->params->streams;
    c->begin = FIRST_CYCLE;
    c->rings = calloc(c->nstreams * c->params->outstanding, sizeof(*c->rings));
    if (c->rings == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    enum ts_status status = create_cache(c, err);
    if (status == TS_OK)
        status = ts_profile_memory_init(&c->memory, c->config, c->params, in->seed, err);
    if (status == TS_OK)
        status = create_mmus(c, in->seed, err);
    for (uint32_t i = 0; i < c->nstreams && status == TS_OK; i++)
        init_stream(c, i);
    return status;
}

void ts_profile_core_fini(struct ts_profile_core *c)
{
    for (uint32_t i = TS_PROFILE_SPACES; i-- > 0;)
        if (c->streams[i].mmu != NULL)
            ts_mmu_destroy(c->streams[i].mmu);
    ts_profile_memory_fini(&c->memory);
    if (c->cache != NULL)
        ts_cache_destroy(c->cache);
    free(c->rings);
}

static uint32_t number(const struct ts_profile_core *c, const struct ts_profile_stream *s)
{
    return (uint32_t)(s - c->streams);
}

/* When the next operation can take place. */
static uint64_t due(const struct ts_profile_stream *s)
{
    uint64_t oldest = s->done[s->place];
    return s->clock > oldest ? s->clock : oldest;
}

static void wait_until(struct ts_profile_stream *s, uint64_t time, uint64_t *counter)
{
    if (time > s->clock) {
        *counter += time - s->clock;
        s->clock = time;
    }
}

static void spend(struct ts_profile_stream *s, uint64_t cycles, uint64_t *counter)
{
    *counter += cycles;
    s->clock += cycles;
}

/* ---- accesses ---------------------------------------------------------------------------------
 */

static enum ts_status failed(const struct ts_profile_core *c, const struct ts_profile_stream *s,
                             const struct ts_mmu_access *out, struct ts_error *err)
{
    return ts_error_set(err, TS_ERR_FINDING,
                        "thread %" PRIu32 ": the MMU's result for address %#" PRIx64
                        " is %d, but the page is mapped",
                        number(c, s), s->address, (int)out->result);
}

static enum ts_status access_one(struct ts_profile_core *c, struct ts_profile_stream *s,
                                 struct ts_profile_region *r, enum ts_mmu_kind kind,
                                 struct ts_error *err)
{
    struct ts_profile_stats *stats = c->stats;
    enum ts_status status = ts_profile_memory_need(&c->memory, s->space, r, s->address, err);
    if (status != TS_OK)
        return status;
    uint64_t start = due(s);
    struct ts_mmu_access out;
    ts_mmu_access(s->mmu, &s->context, s->address, kind, start, &out);
    if (out.result != TS_MMU_OK)
        return failed(c, s, &out, err);
    uint64_t end = start + out.cycles;
    stats->accesses++;
    stats->translation_cycles += out.cycles;
    if (kind == TS_MMU_FETCH) {
        stats->fetch_accesses++;
    } else {
        stats->data_accesses++;
        if (c->params->data_caches) {
            uint64_t cycles = ts_cache_data(c->cache, 0, out.pa);
            stats->data_cycles += cycles;
            end += cycles;
        }
    }
    wait_until(s, start, &stats->stall_cycles);
    spend(s, c->params->issue_cycles, &stats->issue_cycles);
    s->done[s->place] = end;
    s->place = s->place + 1 == c->params->outstanding ? 0 : s->place + 1;
    s->last = end > s->last ? end : s->last;
    return TS_OK;
}

/* One access of the operation, or all of them where nobody else is there to take turns with. */
static enum ts_status touch(struct ts_profile_core *c, struct ts_profile_stream *s,
                            struct ts_error *err)
{
    struct ts_profile_region *r = ts_profile_memory_find(&c->memory, s->op.region);
    TS_ASSERT(r != NULL);
    enum ts_mmu_kind kind = s->op.flags & TS_OPF_FETCH   ? TS_MMU_FETCH
                            : s->op.flags & TS_OPF_WRITE ? TS_MMU_WRITE
                                                         : TS_MMU_READ;
    do {
        enum ts_status status = access_one(c, s, r, kind, err);
        if (status != TS_OK)
            return status;
        s->address += s->op.stride;
        s->left--;
    } while (s->left > 0 && c->nstreams == 1);
    return TS_OK;
}

static enum ts_status start_touch(struct ts_profile_core *c, struct ts_profile_stream *s,
                                  struct ts_error *err)
{
    const struct ts_op *op = &s->op;
    struct ts_profile_region *r = ts_profile_memory_find(&c->memory, op->region);
    if (r == NULL) {
        s->state = TS_PROFILE_WAITS_FOR_REGION;
        return TS_OK;
    }
    if (op->count == 0)
        return TS_OK;
    uint64_t last;
    if (op->offset >= r->length || __builtin_mul_overflow(op->count - 1, op->stride, &last) ||
        last >= r->length - op->offset)
        return ts_error_set(err, TS_ERR_USER,
                            "thread %" PRIu32 " touches region %" PRIu32
                            " behind its end, at %" PRIu64 " bytes",
                            number(c, s), op->region, r->length);
    s->left = op->count;
    s->address = r->base + op->offset;
    return TS_OK;
}

/* ---- changes of the tables --------------------------------------------------------------------
 */

static struct ts_tlb_inval page_form(const struct ts_profile_core *c,
                                     const struct ts_profile_stream *s)
{
    if (c->config->topology.arch == TS_ARCH_X86)
        return ts_inval_invlpg(s->context.vmid, s->context.asid, s->flush);
    return ts_inval_tlbi_vae1(s->context.vmid, s->context.asid, s->flush, s->flush_leaf_only, 0);
}

static struct ts_tlb_inval space_form(const struct ts_profile_core *c,
                                      const struct ts_profile_stream *s)
{
    if (c->config->topology.arch == TS_ARCH_X86)
        return ts_inval_invpcid_single(s->context.vmid, s->context.asid);
    return ts_inval_tlbi_aside1(s->context.vmid, s->context.asid);
}

/* At every thread of the space at once: what a shootdown costs is not this study's business. */
static void invalidate(struct ts_profile_core *c, struct ts_profile_stream *s,
                       const struct ts_tlb_inval *inval)
{
    uint64_t cycles = 0;
    for (uint32_t i = 0; i < c->nstreams; i++) {
        if (c->streams[i].space != s->space)
            continue;
        uint64_t busy = ts_mmu_invalidate(c->streams[i].mmu, inval, s->clock);
        cycles = busy > cycles ? busy : cycles;
    }
    spend(s, cycles, &c->stats->invalidation_cycles);
}

static void unmap(struct ts_profile_core *c, struct ts_profile_stream *s,
                  struct ts_profile_region *r, uint64_t offset, uint64_t length, bool gone)
{
    struct ts_profile_cleared cleared =
        ts_profile_memory_clear(&c->memory, s->space, r, offset, length, gone);
    if (cleared.leaves == 0)
        return;
    c->stats->pages_cleared += cleared.leaves;
    uint32_t shift = c->memory.page.leaf_shift;
    uint64_t ceiling = c->config->topology.arch == TS_ARCH_X86 ? X86_CEILING : ARM64_CEILING;
    if ((cleared.end - cleared.start) >> shift > ceiling) {
        struct ts_tlb_inval inval = space_form(c, s);
        invalidate(c, s, &inval);
        return;
    }
    s->flush = cleared.start;
    s->flush_end = cleared.end;
    s->flush_leaf_only = cleared.tables == 0;
}

/* One page at a time, so that the siblings' accesses come between. */
static void flush_one(struct ts_profile_core *c, struct ts_profile_stream *s)
{
    struct ts_tlb_inval inval = page_form(c, s);
    invalidate(c, s, &inval);
    s->flush += UINT64_C(1) << c->memory.page.leaf_shift;
}

static enum ts_status map(struct ts_profile_core *c, const struct ts_profile_stream *s,
                          uint32_t region, uint64_t length, struct ts_error *err)
{
    enum ts_status status = ts_profile_memory_add(
        &c->memory, region, length, s->op.kind == TS_OP_MMAP && (s->op.flags & TS_OPF_AT) != 0,
        s->op.offset, err);
    for (uint32_t i = 0; i < c->nstreams && status == TS_OK; i++) {
        struct ts_profile_stream *o = &c->streams[i];
        if (o->state != TS_PROFILE_WAITS_FOR_REGION || o->op.region != region)
            continue;
        wait_until(o, s->clock, &c->stats->wait_cycles);
        o->state = TS_PROFILE_RUNNING;
        status = start_touch(c, o, err);
    }
    return status;
}

static enum ts_status change(struct ts_profile_core *c, struct ts_profile_stream *s,
                             struct ts_error *err)
{
    const struct ts_op *op = &s->op;
    struct ts_profile_region *r = ts_profile_memory_find(&c->memory, op->region);
    if (r == NULL)
        return ts_error_set(err, TS_ERR_USER,
                            "thread %" PRIu32 " unmaps region %" PRIu32 ", which nothing maps",
                            number(c, s), op->region);
    if (op->kind != TS_OP_MREMAP) {
        unmap(c, s, r, op->offset, op->length, op->kind == TS_OP_MUNMAP);
        return TS_OK;
    }
    unmap(c, s, r, 0, r->length, true);
    return map(c, s, op->target, op->length2, err);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static enum ts_status spawn(struct ts_profile_core *c, const struct ts_profile_stream *s,
                            struct ts_error *err)
{
    const struct ts_op *op = &s->op;
    if (op->target >= c->nstreams)
        return ts_error_set(err, TS_ERR_USER,
                            "the workload starts thread %" PRIu32 ", but tlb_profile.streams is "
                            "%" PRIu32 ": one core runs one thread a stream",
                            op->target, c->nstreams);
    if (op->flags & TS_OPF_NEW_MM && c->params->same_space)
        return ts_error_set(err, TS_ERR_USER,
                            "the workload starts thread %" PRIu32 " in an address space of its own:"
                            " set tlb_profile.same_space to false",
                            op->target);
    struct ts_profile_stream *o = &c->streams[op->target];
    if (o->state != TS_PROFILE_UNSTARTED)
        return ts_error_set(err, TS_ERR_USER, "the workload starts thread %" PRIu32 " twice",
                            op->target);
    o->state = TS_PROFILE_RUNNING;
    o->clock = s->clock;
    o->begin = s->clock;
    return TS_OK;
}

/* What was counted so far was the warm-up. */
static void end_warmup(struct ts_profile_core *c, uint64_t now)
{
    c->warm = true;
    c->begin = now;
    *c->stats = (struct ts_profile_stats){0};
    for (uint32_t i = 0; i < c->nstreams; i++) {
        ts_mmu_stats_clear(c->streams[i].mmu);
        c->streams[i].begin = now;
    }
    if (c->cache != NULL)
        c->cache_start = *ts_cache_stats(c->cache);
}

static enum ts_status barrier(struct ts_profile_core *c, struct ts_profile_stream *s,
                              struct ts_error *err)
{
    const struct ts_op *op = &s->op;
    if (op->count == 0 || op->count > c->nstreams)
        return ts_error_set(err, TS_ERR_USER,
                            "%" PRIu64 " threads meet at barrier %" PRIu32
                            ", but tlb_profile.streams is %" PRIu32,
                            op->count, op->region, c->nstreams);
    s->state = TS_PROFILE_AT_BARRIER;
    wait_until(s, s->last, &c->stats->stall_cycles);
    uint64_t met = 0, now = 0;
    for (uint32_t i = 0; i < c->nstreams; i++) {
        struct ts_profile_stream *o = &c->streams[i];
        if (o->state != TS_PROFILE_AT_BARRIER || o->op.region != op->region)
            continue;
        met++;
        now = o->clock > now ? o->clock : now;
    }
    if (met < op->count)
        return TS_OK;
    for (uint32_t i = 0; i < c->nstreams; i++) {
        struct ts_profile_stream *o = &c->streams[i];
        if (o->state != TS_PROFILE_AT_BARRIER || o->op.region != op->region)
            continue;
        wait_until(o, now, &c->stats->wait_cycles);
        o->state = TS_PROFILE_RUNNING;
    }
    if (op->region == 0 && met == c->nstreams && !c->warm)
        end_warmup(c, now);
    return TS_OK;
}

static void compute(struct ts_profile_core *c, struct ts_profile_stream *s)
{
    ts_u128 part = (ts_u128)s->op.length * c->config->topology.core_hz + s->ns_rest;
    s->ns_rest = (uint64_t)(part % 1000000000u);
    spend(s, (uint64_t)(part / 1000000000u), &c->stats->compute_cycles);
}

static void end(struct ts_profile_core *c, struct ts_profile_stream *s)
{
    wait_until(s, s->last, &c->stats->stall_cycles);
    s->state = TS_PROFILE_ENDED;
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static enum ts_status step(struct ts_profile_core *c, struct ts_profile_stream *s,
                           struct ts_error *err)
{
    if (s->flush < s->flush_end) {
        flush_one(c, s);
        return TS_OK;
    }
    if (s->left > 0)
        return touch(c, s, err);
    int more = c->workload->next(c->workload, number(c, s), &s->op, err);
    if (more < 0)
        return err->status;
    if (more == 0) {
        end(c, s);
        return TS_OK;
    }
    if (s->op.kind == TS_OP_TOUCH)
        return start_touch(c, s, err);
    wait_until(s, due(s), &c->stats->stall_cycles);
    switch (s->op.kind) {
    case TS_OP_MMAP:
        return map(c, s, s->op.region, s->op.length, err);
    case TS_OP_MUNMAP:
    case TS_OP_MADVISE_DONTNEED:
    case TS_OP_MADVISE_PAGEOUT:
    case TS_OP_MREMAP:
        return change(c, s, err);
    case TS_OP_COMPUTE:
    case TS_OP_SLEEP:
        compute(c, s);
        return TS_OK;
    case TS_OP_SPAWN:
        return spawn(c, s, err);
    case TS_OP_BARRIER:
        return barrier(c, s, err);
    case TS_OP_EXIT:
        end(c, s);
        return TS_OK;
    case TS_OP_TOUCH:
    case TS_OP_MPROTECT:         /* every page may be written */
    case TS_OP_CALL:             /* other CPUs are not there */
    case TS_OP_UCALL:            /* there is no host */
    case TS_OP_FLUSH:            /* nothing has changed */
    case TS_OP_MADVISE_HUGEPAGE: /* page sizes are the study's choice */
    case TS_OP_MADVISE_NOHUGEPAGE:
    case TS_OP_MADVISE_COLLAPSE:
    case TS_OP_MADVISE_FREE: /* memory is not short: the pages stay */
    case TS_OP_MADVISE_COLD:
    case TS_OP_VFREE: /* nor is the kernel */
    case TS_OP_EXEC:  /* the regions of the program before are no longer named */
        break;
    }
    return TS_OK;
}

static struct ts_profile_stream *next_due(struct ts_profile_core *c)
{
    struct ts_profile_stream *first = NULL;
    for (uint32_t i = 0; i < c->nstreams; i++) {
        struct ts_profile_stream *s = &c->streams[i];
        if (s->state == TS_PROFILE_RUNNING && (first == NULL || due(s) < due(first)))
            first = s;
    }
    return first;
}

/* Nobody can go on. Have all ended? */
static enum ts_status check_ended(const struct ts_profile_core *c, struct ts_error *err)
{
    for (uint32_t i = 0; i < c->nstreams; i++) {
        const struct ts_profile_stream *s = &c->streams[i];
        if (s->state == TS_PROFILE_UNSTARTED)
            return ts_error_set(err, TS_ERR_USER,
                                "the workload has no thread %" PRIu32 ", but tlb_profile.streams "
                                "is %" PRIu32,
                                i, c->nstreams);
        if (s->state == TS_PROFILE_AT_BARRIER)
            return ts_error_set(err, TS_ERR_USER,
                                "thread %" PRIu32 " waits at barrier %" PRIu32 " for ever: %" PRIu64
                                " threads should meet there",
                                i, s->op.region, s->op.count);
        if (s->state == TS_PROFILE_WAITS_FOR_REGION)
            return ts_error_set(err, TS_ERR_USER,
                                "thread %" PRIu32 " touches region %" PRIu32 ", which nothing maps",
                                i, s->op.region);
        TS_ASSERT(s->state == TS_PROFILE_ENDED);
    }
    if (c->stats->accesses == 0)
        return ts_error_set(err, TS_ERR_USER,
                            "the workload makes no access behind its warm-up: nothing to measure");
    return TS_OK;
}

enum ts_status ts_profile_core_run(struct ts_profile_core *c, struct ts_error *err)
{
    if (c->workload->initial_threads > c->nstreams)
        return ts_error_set(err, TS_ERR_USER,
                            "the workload has %" PRIu32 " threads, but tlb_profile.streams is "
                            "%" PRIu32 ": one core runs one thread a stream",
                            c->workload->initial_threads, c->nstreams);
    struct ts_profile_stream *s;
    while ((s = next_due(c)) != NULL) {
        enum ts_status status = step(c, s, err);
        if (status != TS_OK)
            return status;
    }
    enum ts_status status = check_ended(c, err);
    for (uint32_t i = 0; i < c->nstreams; i++) {
        s = &c->streams[i];
        c->stats->stream_cycles += s->clock - s->begin;
        if (s->clock - c->begin > c->stats->elapsed_cycles)
            c->stats->elapsed_cycles = s->clock - c->begin;
    }
    return status;
}
