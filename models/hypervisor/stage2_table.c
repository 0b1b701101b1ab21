/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a stage-2 table and their invalidations (arch/arm64/kvm/hyp/pgtable.c, read in 6.1 and
 * 6.12). */
#include "models/cpu/dvm_port.h"
#include "models/hypervisor/hyp_private.h"
#include "models/hypervisor/stage2.h"

/* KVM_INVALID_PTE_LOCKED. */
struct ts_stage2_locked {
    struct ts_stage2_locked *next;
    uint64_t base, size;
    struct ts_pt_broken broken;
    uint32_t window;
};

/* --- flushes --- */

static void flush_ipa(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa, uint8_t ttl)
{
    s->stats.flush_ipa++;
    ts_kvm_tlb_flush_vmid_ipa(self, s->vm, ipa, ttl);
}

static void flush_range(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t bytes)
{
    s->stats.flush_range++;
    ts_kvm_tlb_flush_vmid_range(self, s->vm, start, bytes);
}

static void flush_vmid(struct ts_task *self, struct ts_stage2 *s)
{
    s->stats.flush_vmid++;
    ts_kvm_tlb_flush_vmid(self, s->vm);
}

/* The hint of a leaf, as struct ts_tlb_inval has it, for cores that take one. */
static uint8_t hint(const struct ts_stage2 *s, uint32_t level)
{
    return s->hyp->w.ttl ? (uint8_t)(1 + level) : 0;
}

/* --- break before make --- */

static bool is_locked(const struct ts_stage2 *s, uint64_t ipa)
{
    for (const struct ts_stage2_locked *l = s->locked; l; l = l->next) {
        if (ipa - l->base < l->size)
            return true;
    }
    return false;
}

/* stage2_try_break_pte. Nobody else has locked it: no time has passed since that was asked. The
 * caller makes it again at once. */
static void break_entry(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa, uint32_t level,
                        struct ts_stage2_locked *l)
{
    l->size = ts_stage2_bytes(level);
    l->base = ipa & ~(l->size - 1);
    l->window = ts_host_stage2_window_open(self, s->vm, l->base, l->base + l->size);
    if (!ts_pgtable_break(s->vm->stage2, l->base, level, &l->broken))
        TS_ASSERT(ts_pgtable_out_of_memory(s->vm->stage2));
    l->next = s->locked;
    s->locked = l;
    if (!l->broken.was_table)
        flush_ipa(self, s, l->base, hint(s, level));
    else if (s->hyp->params.stage2_range_flush)
        flush_range(self, s, l->base, l->size);
    else
        flush_vmid(self, s);
    ts_host_stage2_window_close(self, s->vm, l->window);
    ts_host_stage2_make(self, s->vm, l->base, l->base + l->size, ts_stage2_frame(s, l->base));
}

static void unlock_entry(struct ts_stage2 *s, const struct ts_stage2_locked *l)
{
    struct ts_stage2_locked **at = &s->locked;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

struct ts_pte ts_stage2_leaf(const struct ts_stage2 *s, uint64_t ipa, uint32_t level, bool writable)
{
    return (struct ts_pte){.target = ts_stage2_frame(s, ipa),
                           .size_shift = (uint8_t)TS_PT_SHIFT(level),
                           .level = (uint8_t)level,
                           .writable = writable,
                           .accessed = true,
                           .dirty = writable};
}

/* stage2_map_walk_table_pre: a block takes the place of a table and of all below it. */
static void collapse(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa,
                     const struct ts_pte *pte)
{
    struct ts_stage2_locked l;
    break_entry(self, s, ipa, pte->level, &l);
    TS_ASSERT(l.broken.was_table);
    (void)ts_pgtable_make_leaf(s->vm->stage2, &l.broken, pte);
    unlock_entry(s, &l);
    s->stats.collapsed++;
}

/* stage2_map_walk_leaf: a table with nothing in it takes the place of the block; what is not asked
 * for comes back by faults. */
static void split(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa, uint32_t level)
{
    struct ts_stage2_locked l;
    uint64_t resume;
    break_entry(self, s, ipa, level, &l);
    (void)ts_pgtable_make_table(s->vm->stage2, &l.broken);
    (void)ts_pgtable_clear(s->vm->stage2, l.base, l.base + l.size, UINT64_MAX, NULL, NULL, &resume);
    unlock_entry(s, &l);
}

enum ts_stage2_result ts_stage2_map(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa,
                                    uint32_t level, bool writable)
{
    struct ts_pgtable *pt = s->vm->stage2;
    uint64_t base = ipa & ~(ts_stage2_bytes(level) - 1);
    struct ts_pte pte = ts_stage2_leaf(s, base, level, writable), old;
    bool was_split = false;
    ts_task_work(self, s->hyp->params.stage2_map_cycles);
    for (;;) {
        if (is_locked(s, ipa))
            return TS_STAGE2_AGAIN;
        if (!ts_pgtable_lookup(pt, ipa, &old) || old.level < level)
            break;
        /* stage2_pte_needs_update: the same, or other permissions only. */
        if (old.level == level && old.target == pte.target)
            return TS_STAGE2_AGAIN;
        if (old.level == level) {
            struct ts_stage2_locked l;
            break_entry(self, s, ipa, level, &l);
            (void)ts_pgtable_make_leaf(pt, &l.broken, &pte);
            unlock_entry(s, &l);
            s->stats.mapped++;
            s->stats.mapped_new++;
            return TS_STAGE2_DONE;
        }
        split(self, s, ipa, old.level);
        was_split = true;
    }
    s->stats.mapped++;
    if (ts_pgtable_can_map(pt, base, level)) {
        (void)ts_pgtable_map(pt, base, &pte);
        s->stats.split += was_split;
        s->stats.mapped_new += !was_split;
    } else {
        collapse(self, s, base, &pte);
    }
    ts_dvm_port_dsb_st(self, s->hyp->params.dsb_ishst_cycles);
    return TS_STAGE2_DONE;
}

/* kvm_pgtable_stage2_relax_perms, stage2_attr_walker. On -EAGAIN 6.12 flushes all the same. */
enum ts_stage2_result ts_stage2_relax(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa)
{
    struct ts_pte pte = {0};
    ts_task_work(self, s->hyp->params.stage2_map_cycles);
    bool found = !is_locked(s, ipa) && ts_pgtable_lookup(s->vm->stage2, ipa, &pte);
    if (found) {
        uint64_t base = ipa & ~(ts_stage2_bytes(pte.level) - 1);
        (void)ts_pgtable_protect(s->vm->stage2, base, base + ts_stage2_bytes(pte.level), true, NULL,
                                 NULL);
        s->stats.relaxed++;
    }
    if (s->vm->arch == TS_ARCH_ARM64) {
        uint8_t ttl = found ? hint(s, pte.level) : 0;
        if (s->hyp->params.stage2_relax_local) {
            s->stats.flush_ipa_local++;
            ts_kvm_tlb_flush_vmid_ipa_nsh(self, s->vm, ipa, ttl);
        } else if (found) {
            flush_ipa(self, s, ipa, ttl);
        }
    }
    return found ? TS_STAGE2_DONE : TS_STAGE2_AGAIN;
}

/* --- unmap --- */

struct unmapped {
    uint64_t at; /* behind the leaf */
    uint32_t level;
    uint64_t va;
    /* Nobody notices the flushes of these addresses. */
    uint64_t clean_from, clean_to;
    uint64_t seen_to; /* up to here somebody does */
};

static void note_leaf(void *user, uint64_t va, const struct ts_pte *pte)
{
    struct unmapped *u = user;
    u->va = va;
    u->level = pte->level;
    u->at = va + ts_stage2_bytes(pte->level);
}

/* stage2_unmap_defer_tlb_flush. */
static bool defers(const struct ts_stage2 *s)
{
    return s->hyp->params.stage2_unmap_flush != TS_UNMAP_FLUSH_EACH && s->hyp->params.s2fwb &&
           s->hyp->w.range_split != TS_RANGE_SPLIT_PAGES;
}

/* Would a flush find something of the VM's stage 1, or of these addresses at stage 2, or hold up a
 * core that executes? */
static bool is_noticed(const struct ts_task *self, const struct ts_stage2 *s, uint64_t start,
                       uint64_t end)
{
    const struct ts_cpu_domain *host = s->hyp->w.host;
    struct ts_tlb_inval stage1 = ts_inval_tlbi_vmalle1(s->vm->vmid_base);
    struct ts_tlb_inval stage2 =
        ts_inval_tlbi_ripas2e1(s->vm->vmid_base, start, end - start, false);
    stage1.any_thread = stage2.any_thread = true;
    for (uint32_t i = 0; i < host->ncpus; i++) {
        if (host->cpus[i].held || (host->cpus[i].working && &host->cpus[i] != self->cpu))
            return true;
        if (ts_mmu_holds(s->hyp->w.mmus[i], &stage1) || ts_mmu_holds(s->hyp->w.mmus[i], &stage2))
            return true;
    }
    return false;
}

/* Do the flushes of this address find nothing, as those of its neighbours? Looked up for all that
 * is left of the GiB, or else for 2 MiB. */
static bool finds_nothing(const struct ts_task *self, const struct ts_stage2 *s, uint64_t ipa,
                          uint64_t end, struct unmapped *u)
{
    uint64_t table = (ipa & ~(ts_stage2_bytes(1) - 1)) + ts_stage2_bytes(1);
    if (ipa >= u->clean_from && ipa < u->clean_to)
        return true;
    if (ipa < u->seen_to)
        return false;
    u->clean_from = ipa;
    u->clean_to = end;
    if (is_noticed(self, s, ipa, end))
        u->clean_to = is_noticed(self, s, ipa, table) ? ipa : table;
    u->seen_to = u->clean_to == ipa ? table : ipa;
    return u->clean_to > ipa;
}

/* What goes in one step of unmapping, and the kinds of these that are replayed. */
enum { STEP_PAGE = 0, STEP_BLOCK = 1, STEP_TABLE = 2, STEP_GIANT = 3 };

static void make_step(struct ts_task *self, struct ts_stage2 *s, uint32_t kind, uint64_t ipa)
{
    bool is_leaf = kind != STEP_TABLE;
    uint64_t cycles = kind == STEP_PAGE || kind == STEP_TABLE
                          ? s->hyp->params.stage2_unmap_page_cycles
                          : s->hyp->params.stage2_unmap_block_cycles;
    s->stats.unmapped_pages += kind == STEP_PAGE;
    s->stats.unmapped_blocks += kind == STEP_BLOCK || kind == STEP_GIANT;
    s->stats.unmapped_tables += kind == STEP_TABLE;
    ts_task_work(self, cycles);
    if (!defers(s))
        flush_ipa(self, s, ipa, is_leaf ? hint(s, kind == STEP_GIANT ? 2 : kind) : 0);
    else if (!is_leaf && s->hyp->params.stage2_unmap_flush == TS_UNMAP_FLUSH_LEAVES)
        flush_ipa(self, s, ipa, 0);
}

/* A step is as the one before of its kind if its flushes find nothing and nobody wants self's pCPU;
 * its mode's last change would tell of an interrupt. */
static void unmap_step(struct ts_task *self, struct ts_stage2 *s, uint32_t kind, uint64_t ipa,
                       uint64_t end, struct unmapped *u)
{
    struct ts_replay *replay = kind < TS_REPLAY_KINDS ? s->hyp->w.replay : NULL;
    const struct ts_cpu *cpu = self->cpu;
    if (replay && !cpu->pending && !cpu->need_resched && finds_nothing(self, s, ipa, end, u)) {
        if (ts_replay_skip(replay, kind))
            return;
        ts_time mark = cpu->mode_since;
        ts_replay_begin(replay, kind);
        make_step(self, s, kind, ipa);
        if (ts_replay_end(replay, mark == cpu->mode_since))
            return;
    } else {
        if (replay)
            ts_replay_settle(replay);
        make_step(self, s, kind, ipa);
    }
    u->clean_to = u->clean_from; /* others may have run */
}

static void unmap_leaf(struct ts_task *self, struct ts_stage2 *s, uint64_t end, struct unmapped *u)
{
    uint64_t resume;
    (void)ts_pgtable_clear(s->vm->stage2, u->va, end, 1, note_leaf, u, &resume);
    unmap_step(self, s, u->level == 2 ? STEP_GIANT : u->level, u->va, end, u);
}

/* KVM_PGTABLE_WALK_TABLE_POST: those that have become empty, the deepest first. */
static void free_tables(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end,
                        struct unmapped *u)
{
    uint32_t freed[TS_PT_LEVELS_MAX] = {0};
    uint32_t n = ts_pgtable_free_tables(s->vm->stage2, start, end, 0, 0, freed);
    for (uint32_t i = 0; i < n; i++)
        unmap_step(self, s, STEP_TABLE, start, end, u);
}

/* The first leaf from va on; false: none below end. */
static bool find_leaf(const struct ts_stage2 *s, uint64_t va, uint64_t end, uint64_t *at)
{
    struct ts_pte pte;
    *at = va;
    if (ts_pgtable_lookup(s->vm->stage2, va, &pte)) {
        *at = va & ~(ts_stage2_bytes(pte.level) - 1);
        return true;
    }
    (void)ts_pgtable_clear(s->vm->stage2, va, end, 0, NULL, NULL, at);
    return *at < end;
}

static void unmap_chunk(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end)
{
    uint32_t window = ts_host_stage2_window_open(self, s->vm, start, end);
    uint64_t span = ts_stage2_bytes(1);
    struct unmapped u = {.at = start, .clean_from = start, .clean_to = start, .seen_to = start};
    uint64_t table = UINT64_MAX; /* whose leaves go, and which may be empty behind them */
    while (find_leaf(s, u.at, end, &u.va)) {
        if (table != UINT64_MAX && u.va - table >= span) {
            free_tables(self, s, table, table + span, &u);
            table = UINT64_MAX;
        }
        unmap_leaf(self, s, end, &u);
        table = u.va & ~(span - 1);
        if (u.at >= end)
            break;
    }
    /* Tables that faults and splits have left empty go too. */
    free_tables(self, s, start, end, &u);
    if (s->hyp->w.replay)
        ts_replay_settle(s->hyp->w.replay);
    if (defers(s))
        flush_range(self, s, start, end - start);
    ts_host_stage2_window_close(self, s->vm, window);
}

typedef void chunk_fn(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end);

/* stage2_apply_range with cond_resched_rwlock_write; rwlock_needbreak holds on preemptible kernels
 * only, and is not modelled. */
static void apply_range(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end,
                        chunk_fn *fn)
{
    for (uint64_t next; start < end; start = next) {
        next = (start + ts_stage2_bytes(2)) & ~(ts_stage2_bytes(2) - 1);
        next = next < end ? next : end;
        fn(self, s, start, next);
        if (next == end || !self->cpu->need_resched)
            continue;
        s->stats.lock_breaks++;
        ts_host_write_unlock(self, &s->mmu_lock);
        ts_task_cond_resched(self);
        s->stats.lock_waits += ts_host_write_lock(self, &s->mmu_lock);
    }
}

void ts_stage2_unmap(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end)
{
    apply_range(self, s, start, end, unmap_chunk);
}

/* --- write protection --- */

static void protect_chunk(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end)
{
    uint64_t n = ts_pgtable_protect(s->vm->stage2, start, end, false, NULL, NULL);
    s->stats.protected_leaves += n;
    ts_task_work(self, n * s->hyp->params.stage2_protect_cycles);
}

void ts_stage2_write_protect(struct ts_task *self, struct ts_stage2 *s, uint64_t start,
                             uint64_t end)
{
    apply_range(self, s, start, end, protect_chunk);
}
