/* SPDX-License-Identifier: Apache-2.0 */
/* The study tlb_profile: how often do the TLBs of one core miss, and what does it cost? One core of
 * the configured machine translates the accesses of a workload, native or nested, with the tables
 * mapped before each access needs them: no page faults, no operating system.
 *
 * Of the operations, MMAP, TOUCH, BARRIER, SPAWN, COMPUTE and SLEEP are taken at their word (SPAWN
 * only of threads that have a stream). MUNMAP, MADVISE_DONTNEED and MREMAP clear the pages and
 * invalidate them as Linux does, page by page up to the architecture's ceiling, above it the whole
 * address space. MPROTECT and EXEC do nothing. */
#include "models/study/tlb_profile_streams.h"

#include <inttypes.h>
#include <stdlib.h>

#define OFFSET(field) offsetof(struct ts_profile_params, field)
#define CHOICE "setting of the experiment", TS_CONF_CHOICE

static const char *const regimes[] = {"native", "nested", NULL};
static const char *const pages[] = {"base", "contiguous", "large", "giant", NULL};
static const char *const granules[] = {"4k", "16k", "64k", NULL};
static const char *const placements[] = {"contiguous", "scattered", NULL};

static const struct ts_param rows[] = {
    {"regime", TS_PARAM_ENUM, OFFSET(regime), TS_PROFILE_NATIVE, 0, 1, regimes,
     "native: one stage; nested: in a guest, two stages", CHOICE},
    {"page", TS_PARAM_ENUM, OFFSET(page), TS_PROFILE_BASE, 0, 3, pages,
     "pages of stage 1; with the 4K granule 4K, runs of 16, 2M, 1G; 16K: 16K, runs of 128, 32M; "
     "64K: 64K, runs of 32, 512M",
     CHOICE},
    {"backing", TS_PARAM_ENUM, OFFSET(backing), TS_PROFILE_BASE, 0, 3, pages,
     "pages of stage 2, also behind the guest's tables; nested only", CHOICE},
    {"granule", TS_PARAM_ENUM, OFFSET(granule), TS_GRANULE_4K, 0, 2, granules,
     "of both stages; 16k and 64k on arm64 only", CHOICE},
    {"streams", TS_PARAM_COUNT, OFFSET(streams), 1, 1, TS_PROFILE_SPACES, NULL,
     "SMT threads of the core that run, each a thread of the workload", CHOICE},
    {"same_space", TS_PARAM_BOOL, OFFSET(same_space), 1, 0, 1, NULL,
     "the streams are threads of one process; else each has the same regions at the same addresses "
     "in a process of its own",
     CHOICE},
    {"outstanding", TS_PARAM_COUNT, OFFSET(outstanding), 1, 1, 4096, NULL,
     "accesses of a stream in flight; 1: in order, each waits for the one before", CHOICE},
    {"issue_cycles", TS_PARAM_CYCLES, OFFSET(issue_cycles), 1, 1, 1000000, NULL,
     "from the start of an access to the start of the next, at least", CHOICE},
    {"data_caches", TS_PARAM_BOOL, OFFSET(data_caches), 0, 0, 1, NULL,
     "data accesses go through the caches too and compete with page-table lines; else they take "
     "no time beyond their translation; needs cache.walks",
     CHOICE},
    {"frames", TS_PARAM_ENUM, OFFSET(frames), TS_PROFILE_FRAMES_CONTIGUOUS, 0, 1, placements,
     "contiguous: neighbouring pages, tables and backing have neighbouring frames, regions are "
     "mapped as a whole; scattered: spread by a random bijection, mapped on the first touch",
     CHOICE},
};
static const struct ts_param_table params_table = {"tlb_profile", rows, TS_ARRAY_LEN(rows)};

#define COUNTER(field, unit, help)                                                                 \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_profile_stats, field), unit, help              \
    }

static const struct ts_stat stat_rows[] = {
    COUNTER(accesses, "1", "accesses made after the warm-up"),
    COUNTER(data_accesses, "1", "of them, reads and writes"),
    COUNTER(fetch_accesses, "1", "of them, instruction fetches"),
    COUNTER(l1_hits, "1", "served by an L1 TLB"),
    COUNTER(l1_misses, "1", "not served by an L1 TLB"),
    COUNTER(l2_hits, "1", "of them, served by the second level"),
    COUNTER(walks, "1", "of them, page walks"),
    COUNTER(merged, "1", "of them, misses that waited for the walk of another access"),
    COUNTER(fetch_walks, "1", "walks for instruction fetches"),
    COUNTER(walks_x1000, "1", "walks times 1000, for the ratio to 1000 accesses"),
    COUNTER(walk_fetches, "1", "page-table entries fetched, both stages"),
    COUNTER(walk_cycles, "cycles", "spent in walks"),
    COUNTER(walk_cache_hits, "1", "walks that did not start at the top"),
    COUNTER(nested_lookups, "1", "stage-2 translations in walks"),
    COUNTER(nested_hits, "1", "those that needed no stage-2 walk"),
    COUNTER(stage2_walk_cache_hits, "1", "stage-2 walks that did not start at the top"),
    COUNTER(walker_wait_cycles, "cycles", "that misses waited for a walker"),
    COUNTER(translation_cycles, "cycles", "that accesses took to be translated, waiting included"),
    COUNTER(data_cycles, "cycles", "that data accesses took in the caches"),
    COUNTER(stream_cycles, "cycles", "from the end of the warm-up to the end, over all streams"),
    COUNTER(issue_cycles, "cycles", "of them, issuing accesses"),
    COUNTER(stall_cycles, "cycles", "of them, waiting for accesses in flight to end"),
    COUNTER(compute_cycles, "cycles", "of them, computing or sleeping"),
    COUNTER(invalidation_cycles, "cycles", "of them, invalidating"),
    COUNTER(wait_cycles, "cycles", "of them, waiting for other streams"),
    COUNTER(elapsed_cycles, "cycles", "from the end of the warm-up to the end of the last stream"),
    COUNTER(cache_fetches, "1", "page-table fetches through the caches; 0 without cache.walks"),
    COUNTER(cache_l1, "1", "of them, found in the L1"),
    COUNTER(cache_l2, "1", "of them, found in the L2"),
    COUNTER(cache_llc, "1", "of them, found in the last level"),
    COUNTER(cache_memory, "1", "of them, found in memory"),
    COUNTER(pages_cleared, "pages", "leaves cleared by MUNMAP, MADVISE_DONTNEED and MREMAP"),
    COUNTER(table_bytes, "bytes", "page tables that the modelled machine has at the end"),
    COUNTER(stage1_table_bytes, "bytes", "of them, stage 1"),
    COUNTER(stage2_table_bytes, "bytes", "of them, stage 2"),
    COUNTER(simulator_bytes, "bytes", "that the page tables take in the simulator"),
};

static const struct ts_stat_rule rules[] = {
    {"every access is of data or of instructions",
     {"+accesses", "-data_accesses", "-fetch_accesses"}},
    {"every access hits an L1 TLB or misses it", {"+accesses", "-l1_hits", "-l1_misses"}},
    {"every L1 miss hits the second level, walks, or joins a walk",
     {"+l1_misses", "-l2_hits", "-walks", "-merged"}},
    {"a stream's time is what it issues, stalls, computes, invalidates and waits",
     {"+stream_cycles", "-issue_cycles", "-stall_cycles", "-compute_cycles", "-invalidation_cycles",
      "-wait_cycles"}},
    {"every fetch is found somewhere",
     {"+cache_fetches", "-cache_l1", "-cache_l2", "-cache_llc", "-cache_memory"}},
    {"tables are of one stage or the other",
     {"+table_bytes", "-stage1_table_bytes", "-stage2_table_bytes"}},
};
static const struct ts_stat_table stats_table = {"tlb_profile", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                 rules, TS_ARRAY_LEN(rules)};

static const struct ts_study_column columns[] = {
    {"l1_miss_ratio", "ratio", "l1_misses", "accesses", "L1 TLB misses an access", true},
    {"walk_ratio", "ratio", "walks", "accesses", "page walks an access", true},
    {"walks_per_1000", "1", "walks_x1000", "accesses", "page walks in 1000 accesses", false},
    {"l2_miss_ratio", "ratio", "walks", "l1_misses", "page walks an L1 TLB miss", false},
    {"merged_ratio", "ratio", "merged", "accesses",
     "accesses that waited for the walk of another, an access", false},
    {"fetch_walk_ratio", "ratio", "fetch_walks", "fetch_accesses",
     "page walks an instruction fetch", false},
    {"fetches_per_walk", "1", "walk_fetches", "walks", "page-table fetches a walk", true},
    {"cycles_per_walk", "cycles", "walk_cycles", "walks", "cycles of a walk", true},
    {"walk_cycles_per_access", "cycles", "walk_cycles", "accesses", "walk cycles an access", true},
    {"translation_cycles_per_access", "cycles", "translation_cycles", "accesses",
     "cycles to translate an access, waiting included", false},
    {"cycles_per_access", "cycles", "stream_cycles", "accesses", "cycles of its stream an access",
     true},
    {"core_cycles_per_access", "cycles", "elapsed_cycles", "accesses",
     "cycles of the core an access, all streams together", false},
    {"walker_wait_per_access", "cycles", "walker_wait_cycles", "accesses",
     "cycles that an access waits for a walker", false},
    {"walk_cache_hit_ratio", "ratio", "walk_cache_hits", "walks",
     "walks that did not start at the top", true},
    {"nested_hit_ratio", "ratio", "nested_hits", "nested_lookups",
     "stage-2 translations without a stage-2 walk", true},
    {"fetch_l1_ratio", "ratio", "cache_l1", "cache_fetches", "page-table fetches that hit the L1",
     false},
    {"fetch_l2_ratio", "ratio", "cache_l2", "cache_fetches", "page-table fetches that hit the L2",
     false},
    {"fetch_llc_ratio", "ratio", "cache_llc", "cache_fetches",
     "page-table fetches that hit the last level", false},
    {"fetch_memory_ratio", "ratio", "cache_memory", "cache_fetches",
     "page-table fetches from memory", false},
    {"page_table_bytes", "bytes", "table_bytes", NULL, "page tables of the modelled machine",
     false},
    {"page_table_simulator_bytes", "bytes", "simulator_bytes", NULL,
     "what they take in the simulator", false},
};

/* ---- check ------------------------------------------------------------------------------------
 */

static enum ts_status check_page(const struct ts_profile_params *p, bool x86, const char *key,
                                 uint64_t page, struct ts_error *err)
{
    if (page == TS_PROFILE_GIANT && p->granule != TS_GRANULE_4K)
        return ts_error_set(err, TS_ERR_USER,
                            "tlb_profile.%s is giant, but the %s granule has no page above large",
                            key, granules[p->granule]);
    if (page == TS_PROFILE_CONTIGUOUS && x86)
        return ts_error_set(err, TS_ERR_USER,
                            "tlb_profile.%s is contiguous, but tables of x86 have no contiguous "
                            "bit (topology.arch)",
                            key);
    return TS_OK;
}

static enum ts_status check_levels(const struct ts_profile_params *p, const char *key,
                                   uint64_t levels, struct ts_error *err)
{
    static const uint64_t least[] = {4, 3, 3}, most[] = {5, 4, 3};
    if (levels >= least[p->granule] && levels <= most[p->granule])
        return TS_OK;
    return ts_error_set(err, TS_ERR_USER,
                        "%s is %" PRIu64 ", but tables of the %s granule have %" PRIu64
                        " to %" PRIu64 " levels",
                        key, levels, granules[p->granule], least[p->granule], most[p->granule]);
}

static enum ts_status check_tables(const struct ts_machine_config *config,
                                   const struct ts_profile_params *p, struct ts_error *err)
{
    bool x86 = config->topology.arch == TS_ARCH_X86;
    bool nested = p->regime == TS_PROFILE_NESTED;
    if (p->granule != TS_GRANULE_4K && x86)
        return ts_error_set(err, TS_ERR_USER,
                            "tlb_profile.granule is %s, but x86 has 4k only (topology.arch)",
                            granules[p->granule]);
    enum ts_status status = check_page(p, x86, "page", p->page, err);
    if (status == TS_OK && nested)
        status = check_page(p, x86, "backing", p->backing, err);
    if (status == TS_OK)
        status = check_levels(p, "mmu.levels", config->mmu.levels, err);
    if (status == TS_OK && nested)
        status = check_levels(p, "mmu.levels_stage2", config->mmu.levels_stage2, err);
    return status;
}

static enum ts_status check(const struct ts_machine_config *config, const void *params,
                            struct ts_error *err)
{
    const struct ts_profile_params *p = params;
    enum ts_status status = check_tables(config, p, err);
    if (status != TS_OK)
        return status;
    if (p->streams > config->topology.threads_per_core)
        return ts_error_set(err, TS_ERR_USER,
                            "tlb_profile.streams is %" PRIu64 ", but the core has %" PRIu64
                            " threads (topology.threads_per_core)",
                            p->streams, config->topology.threads_per_core);
    status = ts_mmu_check(&config->mmu, (uint32_t)p->streams, err);
    if (status == TS_OK && config->cache.walks)
        status = ts_cache_check(&config->cache, err);
    if (status != TS_OK)
        return status;
    if (p->data_caches && !config->cache.walks)
        return ts_error_set(err, TS_ERR_USER,
                            "tlb_profile.data_caches needs walks that go through the caches: set "
                            "cache.walks to true");
    return TS_OK;
}

/* ---- run --------------------------------------------------------------------------------------
 */

static void subtract(const struct ts_stat_table *table, void *base, const void *from)
{
    for (size_t i = 0; i < table->nrows; i++) {
        size_t at = table->rows[i].offset;
        TS_ASSERT(table->rows[i].kind == TS_STAT_COUNTER || table->rows[i].kind == TS_STAT_TIME_PS);
        *(uint64_t *)(void *)((char *)base + at) -= *(const uint64_t *)((const char *)from + at);
    }
}

static void collect_mmu(struct ts_profile_stats *s, const struct ts_mmu_stats *m)
{
    s->l1_hits = m->l1_hits;
    s->l2_hits = m->l2_hits;
    s->walks = m->walks;
    s->merged = m->merged;
    s->l1_misses = m->l2_hits + m->walks + m->merged;
    s->fetch_walks = m->fetch_walks;
    s->walks_x1000 = 1000 * m->walks;
    s->walk_fetches = m->walk_fetches;
    s->walk_cycles = m->walk_cycles;
    s->walk_cache_hits = m->walk_cache_hits;
    s->nested_lookups = m->nested_hits + m->nested_walks;
    s->nested_hits = m->nested_hits;
    s->stage2_walk_cache_hits = m->stage2_walk_cache_hits;
    s->walker_wait_cycles = m->walker_wait_cycles;
}

static void collect_cache(struct ts_profile_stats *s, const struct ts_cache_stats *c)
{
    s->cache_fetches = c->fetches;
    s->cache_l1 = c->l1_hits;
    s->cache_l2 = c->l2_hits;
    s->cache_llc = c->llc_hits;
    s->cache_memory = c->memory_local + c->memory_remote;
}

static void collect_tables(struct ts_profile_stats *s, const struct ts_profile_memory *m)
{
    uint32_t shift = ts_granule_shift(m->granule);
    for (uint32_t i = 0; i < m->spaces; i++) {
        s->stage1_table_bytes += ts_pgtable_tables(m->stage1[i]) << shift;
        s->simulator_bytes += ts_pgtable_bytes(m->stage1[i]);
    }
    if (m->stage2 != NULL) {
        s->stage2_table_bytes = ts_pgtable_tables(m->stage2) << shift;
        s->simulator_bytes += ts_pgtable_bytes(m->stage2);
    }
    s->table_bytes = s->stage1_table_bytes + s->stage2_table_bytes;
}

static enum ts_status collect(struct ts_profile_core *c, ts_machine_stat_fn *visit, void *user,
                              struct ts_error *err)
{
    struct ts_mmu_stats mmu = {0};
    for (uint32_t i = 0; i < c->nstreams; i++)
        ts_stat_accumulate(&ts_mmu_stat_table, &mmu, ts_mmu_stats(c->streams[i].mmu));
    collect_mmu(c->stats, &mmu);
    collect_tables(c->stats, &c->memory);
    struct ts_cache_stats cache = {0};
    if (c->cache != NULL) {
        cache = *ts_cache_stats(c->cache);
        subtract(&ts_cache_stat_table, &cache, &c->cache_start);
        collect_cache(c->stats, &cache);
    }
    enum ts_status status = ts_stat_check(&stats_table, c->stats, err);
    if (status == TS_OK)
        status = ts_stat_check(&ts_mmu_stat_table, &mmu, err);
    if (status == TS_OK)
        status = ts_stat_check(&ts_cache_stat_table, &cache, err);
    if (status == TS_OK && visit != NULL) {
        visit(user, &ts_mmu_stat_table, &mmu);
        visit(user, &ts_cache_stat_table, &cache);
    }
    return status;
}

/* What follows from a table that had no memory for a change is no finding. */
static enum ts_status run_core(struct ts_profile_core *c, struct ts_error *err)
{
    const struct ts_profile_memory *m = &c->memory;
    enum ts_status status = ts_profile_core_run(c, err);
    bool missing = m->stage2 != NULL && ts_pgtable_out_of_memory(m->stage2);
    for (uint32_t i = 0; i < m->spaces; i++)
        missing = missing || ts_pgtable_out_of_memory(m->stage1[i]);
    return missing ? ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for page tables")
                   : status;
}

static enum ts_status run(const struct ts_study_input *in, void *counters,
                          ts_machine_stat_fn *visit, void *user, struct ts_error *err)
{
    struct ts_profile_core *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    enum ts_status status = check(in->config, in->params, err);
    if (status == TS_OK)
        status = ts_profile_core_init(c, in, counters, err);
    if (status == TS_OK)
        status = run_core(c, err);
    if (status == TS_OK)
        status = collect(c, visit, user, err);
    ts_profile_core_fini(c);
    free(c);
    return status;
}

const struct ts_study_ops ts_study_tlb_profile = {
    .name = "tlb_profile",
    .summary = "TLB misses and walk cycles of one core under a stream of accesses",
    .reference = "as the two-dimensional walks of R. Bhargava et al., Accelerating Two-Dimensional "
                 "Page Walks for Virtualized Systems, ASPLOS 2008",
    .params = &params_table,
    .params_size = sizeof(struct ts_profile_params),
    .needs_workload = true,
    .stats = &stats_table,
    .stats_size = sizeof(struct ts_profile_stats),
    .columns = columns,
    .ncolumns = TS_ARRAY_LEN(columns),
    .check = check,
    .run = run,
};
