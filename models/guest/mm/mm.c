/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces and the system calls that change them (Linux 6.12 mm/mmap.c, mm/vma.c,
 * mm/madvise.c); protections and moves are in protect.c. */
#include <stdlib.h>

#include "models/guest/coherence/pti.h"
#include "models/guest/mm/numa.h"

/* --- creation --- */

static uint64_t alloc_table(void *user)
{
    struct ts_mm *mm = user;

    return ts_mm_private_of(mm)->withdrawing ? ts_huge_withdraw(mm)
                                             : ts_guest_frame_alloc(mm->guest);
}

static uint64_t alloc_run(void *user, uint64_t count)
{
    struct ts_mm *mm = user;

    return ts_guest_frames_fresh(mm->guest, count);
}

void ts_mm_note_mapped(struct ts_mm *mm, uint64_t va, uint64_t bytes, const struct ts_pte *pte)
{
    if (mm->guest->oracle)
        ts_oracle_mapped(mm->guest->oracle, mm->ctx_id, va, va + bytes, pte->target);
}

uint32_t ts_mm_map(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte)
{
    ts_mm_note_mapped(mm, va, UINT64_C(1) << pte->size_shift, pte);
    return ts_pgtable_map(mm->pgtable, va, pte);
}

static void no_table(void *user)
{
    const struct ts_mm *mm = user;

    ts_engine_fail(mm->guest->engine, TS_ERR_ENVIRONMENT, "out of memory for page tables");
}

void ts_mm_table_detached(struct ts_mm *mm, uint64_t address)
{
    if (mm->guest->oracle && !ts_oracle_table_detached(mm->guest->oracle, address))
        ts_engine_fail(mm->guest->engine, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
}

/* A table may still be walked by a CPU that has not flushed: it waits in the gather. */
static void free_table(void *user, uint64_t address)
{
    struct ts_mm *mm = user;
    struct ts_gather *g = ts_mm_private_of(mm)->sink;

    ts_mm_table_detached(mm, address);
    if (ts_mm_private_of(mm)->depositing) {
        if (!ts_huge_deposit_table(mm, address))
            no_table(mm);
        return;
    }
    if (!g) {
        ts_guest_frame_free(mm->guest, address);
        return;
    }
    if (g->ntables == g->tables_room) {
        uint32_t room = g->tables_room ? 2 * g->tables_room : 64;
        uint64_t *tables = realloc(g->tables, room * sizeof(*tables));
        if (!tables) {
            g->out_of_memory = true; /* the caller ends the run */
            return;
        }
        g->tables = tables;
        g->tables_room = room;
    }
    g->tables[g->ntables++] = address;
}

/* Tables of pages that the hardware cannot see need no place in memory. */
static uint64_t alloc_none_table(void *user)
{
    struct ts_mm_private *pm = ts_mm_private_of(user);

    return pm->none_tables++ << TS_PAGE_SHIFT;
}

static void free_none_table(void *user, uint64_t address)
{
    (void)user;
    (void)address;
}

static enum ts_status create_tables(struct ts_mm *mm, struct ts_error *err)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t levels = mm->guest->pt_levels;
    struct ts_pt_frames frames = {.alloc_table = alloc_table,
                                  .free_table = free_table,
                                  .alloc_run = alloc_run,
                                  .no_memory = no_table,
                                  .user = mm};
    struct ts_pt_frames none = {.alloc_table = alloc_none_table,
                                .free_table = free_none_table,
                                .no_memory = no_table,
                                .user = mm};
    enum ts_status s = ts_pgtable_create(&mm->pgtable, TS_GRANULE_4K, levels, &frames, err);

    if (s == TS_OK)
        s = ts_pgtable_create(&pm->none, TS_GRANULE_4K, levels, &none, err);
    if (s == TS_OK)
        s = ts_pgtable_create(&pm->swapped, TS_GRANULE_4K, levels, &none, err);
    if (s != TS_OK || mm->guest->arch == TS_ARCH_X86 || !mm->guest->domain->stores)
        return s;
    mm->late = calloc(1, sizeof(*mm->late));
    return mm->late ? TS_OK : ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a table");
}

static void init_lines(struct ts_mm *mm)
{
    struct ts_line *lines[] = {&mm->gen_line, &mm->mask_line, &mm->mmap_lock.line,
                               &mm->mmap_lock.osq_line, &mm->lru_line};

    for (size_t i = 0; i < TS_ARRAY_LEN(lines); i++)
        ts_guest_line_init(mm->guest, lines[i], 0);
}

static bool add_to_guest(struct ts_guest *g, struct ts_mm *mm)
{
    if (g->nmms == g->mms_room) {
        uint32_t room = g->mms_room ? 2 * g->mms_room : 4;
        struct ts_mm **mms = realloc(g->mms, room * sizeof(struct ts_mm *));
        if (!mms)
            return false;
        g->mms = mms;
        g->mms_room = room;
    }
    g->mms[g->nmms++] = mm;
    return true;
}

enum ts_status ts_mm_create(struct ts_guest *g, struct ts_mm **out, struct ts_error *err)
{
    struct ts_mm *mm = calloc(1, sizeof(*mm));
    struct ts_mm_private *pm = calloc(1, sizeof(*pm));
    enum ts_status s;

    if (!mm || !pm) {
        free(mm);
        free(pm);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for an address space");
    }
    mm->guest = g;
    mm->private_mm = pm;
    pm->region_waiters_tail = &pm->region_waiters;
    pm->lock_seq = 1;
    mm->ctx_id = ++g->last_ctx_id;
    mm->tlb_gen = 1;
    /* ASIDs are never reused while there are fewer than 2^16 address spaces, or half of that with
     * KPTI (arch/arm64/mm/context.c set_kpti_asid_bits: even ones only); roll-over is not
     * modelled. ASID 0 is the kernel's. */
    mm->asid = g->params.kpti ? (uint16_t)(2 * ((mm->ctx_id - 1) % (UINT16_MAX / 2) + 1))
                              : (uint16_t)((mm->ctx_id - 1) % UINT16_MAX + 1);
    mm->next_trim = ts_engine_now(g->engine) + TS_S;
    mm->mmap_base = TS_MMAP_BASE;
    ts_cpumask_init(&mm->cpumask, g->ncpus);
    ts_rwsem_init(&mm->mmap_lock, g->params.rwsem_spin != 0, g->params.rwsem_handoff_ps);
    init_lines(mm);
    s = create_tables(mm, err);
    if (s == TS_OK && !add_to_guest(g, mm))
        s = ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for an address space");
    if (s != TS_OK) {
        ts_mm_destroy(mm);
        return s;
    }
    if (g->flush->mm_create)
        g->flush->mm_create(mm);
    *out = mm;
    return TS_OK;
}

void ts_mm_destroy(struct ts_mm *mm)
{
    struct ts_mm_private *pm;

    if (!mm)
        return;
    pm = ts_mm_private_of(mm);
    if (mm->pgtable)
        ts_pgtable_destroy(mm->pgtable);
    free(mm->late);
    if (pm->none)
        ts_pgtable_destroy(pm->none);
    if (pm->swapped)
        ts_pgtable_destroy(pm->swapped);
    ts_gather_pool_free(pm);
    ts_mm_locks_free(pm);
    free(pm->regions);
    free(pm->pieces);
    free(pm->ever);
    free(pm->detached);
    free(pm->deposits);
    free(pm);
    free(mm->vmas);
    free(mm);
}

/* --- what every path shares --- */

void ts_kernel_enter(struct ts_task *self)
{
    self->user_mode = false;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_SYSTEM);
}

/* Return to user mode reschedules if need be (exit_to_user_mode_loop). */
void ts_kernel_exit(struct ts_task *self)
{
    ts_task_cond_resched(self);
    ts_numa_resume(self); /* resume_user_mode_work */
    ts_pti_return(self);
    self->user_mode = true;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_USER);
}

void ts_syscall_enter(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    ts_kernel_enter(self);
    if (!(op->flags & TS_OPF_SAME_CALL))
        ts_task_work(self, mm->guest->params.syscall_cycles + ts_pti_cycles(mm->guest));
}

static void account_waits(struct ts_mm *mm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_rwsem *sem = &mm->mmap_lock;

    mm->guest->stats.mmap_lock_waits += sem->waits - pm->waits_seen;
    mm->guest->stats.mmap_lock_wait_ps += sem->wait_ps - pm->wait_ps_seen;
    pm->waits_seen = sem->waits;
    pm->wait_ps_seen = sem->wait_ps;
}

void ts_mm_read_lock(struct ts_task *self, struct ts_mm *mm)
{
    ts_down_read(self, &mm->mmap_lock);
    account_waits(mm);
}

void ts_mm_write_lock(struct ts_task *self, struct ts_mm *mm)
{
    ts_down_write(self, &mm->mmap_lock);
    account_waits(mm);
}

static void add_region_waiter(struct ts_task *self, struct ts_mm_private *pm)
{
    struct ts_guest_thread *thread = self->user;

    thread->region_waiter_next = NULL;
    *pm->region_waiters_tail = self;
    pm->region_waiters_tail = &thread->region_waiter_next;
}

static bool is_region_waiter(const struct ts_task *self, const struct ts_mm_private *pm)
{
    const struct ts_task *t = pm->region_waiters;

    while (t && t != self)
        t = ((const struct ts_guest_thread *)t->user)->region_waiter_next;
    return t != NULL;
}

bool ts_mm_wait_region(struct ts_task *self, struct ts_mm *mm, uint32_t region)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    if (ts_region_find(mm, region))
        return true;
    if (!ts_region_was_mapped(mm, region)) {
        ts_kernel_enter(self);
        while (!ts_region_was_mapped(mm, region)) {
            add_region_waiter(self, pm);
            ts_guest_waiting(self, "region", region);
            while (is_region_waiter(self, pm))
                ts_task_block(self);
        }
        ts_kernel_exit(self);
    }
    if (ts_region_find(mm, region))
        return true;
    pm->ops_on_gone++;
    return false;
}

/* Takes the first waiter whose region is there now off the list. */
static struct ts_task *take_served_waiter(struct ts_mm *mm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_task **link = &pm->region_waiters;

    while (*link) {
        struct ts_task *t = *link;
        struct ts_guest_thread *thread = t->user;
        if (ts_region_was_mapped(mm, thread->op.region)) {
            *link = thread->region_waiter_next;
            if (!*link)
                pm->region_waiters_tail = link;
            return t;
        }
        link = &thread->region_waiter_next;
    }
    return NULL;
}

void ts_mm_wake_regions(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_task *t;

    /* Waking takes time, in which others come and go: each is looked for from the start. */
    while ((t = take_served_waiter(mm)) != NULL) {
        ts_guest_not_waiting(mm->guest);
        ts_task_wake(self, t);
    }
}

bool ts_mm_op_range(const struct ts_mm *mm, const struct ts_op *op, uint64_t *start, uint64_t *end)
{
    const struct ts_region *r = ts_region_find(mm, op->region);

    if (!r)
        return false;
    *start = r->base + ts_page_floor(op->offset);
    *end = r->base + ts_page_ceil(op->offset + op->length);
    return *start < *end;
}

/* --- mmap --- */

/* The VMAs that meet at va become one if they can; both are locked first, as they change. */
static void merge_at(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    uint32_t i = ts_vma_index(mm, va);

    if (i == 0 || i == mm->nvmas || !ts_vma_mergeable(&mm->vmas[i - 1], &mm->vmas[i]))
        return;
    ts_vma_start_write(self, mm, mm->vmas[i - 1].start);
    ts_vma_start_write(self, mm, va);
    (void)ts_vma_merge_at(mm, va);
}

void ts_mm_merge(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    uint32_t i;

    if (!mm->guest->params.vma_merge)
        return;
    merge_at(self, mm, end);
    i = ts_vma_index(mm, end - 1);
    if (i == mm->nvmas && i > 0)
        i--;
    for (; i > 0 && mm->vmas[i].start >= start; i--)
        merge_at(self, mm, mm->vmas[i].start);
}

static void insert_mapping(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_vma vma = {0};
    uint64_t length = ts_page_ceil(op->length);

    if (length == 0 || length > TS_USER_END)
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u: length %llu is out of bounds",
                      op->region, (unsigned long long)op->length);
    if (ts_region_find(mm, op->region))
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u, which is still mapped", op->region);
    vma.flags = op->flags & (TS_OPF_ANONYMOUS | TS_OPF_SHARED);
    vma.start = ts_vma_find_gap(mm, length, vma.flags);
    if (!vma.start)
        ts_guest_fail(self, TS_ERR_USER,
                      "mmap of region %u: no address range of %llu bytes is free", op->region,
                      (unsigned long long)length);
    vma.end = vma.start + length;
    vma.prot = op->prot;
    vma.lock_seq = ts_mm_private_of(mm)->lock_seq;
    if (!ts_vma_reserve(mm, 1) || !ts_region_add(mm, op->region, vma.start) ||
        !ts_region_map(mm, op->region, vma.start, vma.end))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for region %u", op->region);
    ts_vma_insert(mm, &vma);
    ts_mm_mapped_anew(mm, vma.start, vma.end);
    ts_mm_merge(self, mm, vma.start, vma.end);
}

/* Where the kernel has memory mapped for itself, beyond all of the program's. */
static void insert_physical(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint64_t length = ts_page_ceil(op->length), va = TS_USER_END + pm->physical_bytes;
    struct ts_pte pte = {.target = op->offset,
                         .size_shift = TS_PAGE_SHIFT,
                         .writable = true,
                         .accessed = true,
                         .dirty = true};

    if (length == 0 || op->offset % TS_PAGE_BYTES || length > TS_USER_END - pm->physical_bytes)
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u: its physical addresses are no pages",
                      op->region);
    if (ts_region_find(mm, op->region))
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u, which is still mapped", op->region);
    if (!ts_region_add(mm, op->region, va) || !ts_region_map(mm, op->region, va, va + length))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for region %u", op->region);
    pm->physical_bytes += (length + TS_TABLE_SPAN - 1) & ~(TS_TABLE_SPAN - 1);
    ts_mm_note_mapped(mm, va, length, &pte);
    (void)ts_pgtable_map_run(mm->pgtable, va, length >> TS_PAGE_SHIFT, &pte);
}

void ts_mm_mmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = mm->guest;
    ts_time start = ts_task_now(self);

    ts_syscall_enter(self, mm, op);
    ts_mm_write_lock(self, mm);
    ts_task_work(self, g->params.mmap_cycles);
    if (op->flags & TS_OPF_PHYSICAL)
        insert_physical(self, mm, op);
    else
        insert_mapping(self, mm, op);
    ts_mm_write_unlock(self, mm);
    ts_mm_wake_regions(self, mm);
    ts_kernel_exit(self);
    g->stats.mmaps++;
    ts_hist_add(&g->stats.mmap_ps, ts_task_now(self) - start);
}

/* --- munmap --- */

/* Its pages are in the page cache, those of shared anonymous memory too (shmem). */
static bool is_shared(const struct ts_vma *v)
{
    return (v->flags & TS_OPF_SHARED) != 0;
}

void ts_lru_drain(struct ts_task *self, struct ts_mm *mm)
{
    if (mm->guest->params.lru_drain)
        ts_task_line(self, &mm->lru_line, TS_LINE_RMW);
}

/* vms_clear_ptes over the detached VMAs. */
static void clear_detached(struct ts_task *self, struct ts_mm *mm, bool fullmm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint64_t start = pm->detached[0].start, end = pm->detached[pm->ndetached - 1].end;
    struct ts_gather *g;

    ts_lru_drain(self, mm);
    g = ts_gather_begin(self, mm, fullmm);
    ts_gather_window(g, start, end);
    for (uint32_t i = 0; i < pm->ndetached; i++)
        ts_gather_zap(self, g, pm->detached[i].start, pm->detached[i].end,
                      is_shared(&pm->detached[i]));
    ts_gather_free_tables(self, g, start, end, ts_vma_floor(mm, start), ts_vma_ceiling(mm, end));
    ts_gather_finish(self, g);
}

/* The detached VMAs' locks, which nobody holds, and their regions. */
static void forget_detached(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    for (uint32_t i = 0; i < pm->ndetached; i++)
        ts_vma_lock_recycle(mm, &pm->detached[i]);
    if (pm->ndetached &&
        !ts_region_unmap(mm, pm->detached[0].start, pm->detached[pm->ndetached - 1].end))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
}

bool ts_mm_unmap(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                 bool downgrade)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_guest_params *p = &mm->guest->params;
    uint32_t extra;

    if (!ts_vma_reserve(mm, 2))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
    ts_vma_start_write_range(self, mm, start, end);
    ts_huge_split_at(self, mm, start);
    ts_huge_split_at(self, mm, end);
    extra = ts_vma_detach(mm, start, end);
    if (pm->ndetached == 0)
        return false;
    forget_detached(self, mm);
    extra += pm->ndetached - 1;
    ts_task_work(self, extra * p->vma_split_cycles);
    downgrade = downgrade && p->munmap_downgrade;
    if (downgrade)
        ts_mm_write_downgrade(self, mm);
    clear_detached(self, mm, false);
    return downgrade;
}

void ts_mm_munmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = mm->guest;
    uint64_t start, end;
    bool downgraded = false;
    ts_time entered;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    entered = ts_task_now(self);
    ts_syscall_enter(self, mm, op);
    ts_mm_write_lock(self, mm);
    ts_task_work(self, g->params.munmap_cycles);
    if (ts_mm_op_range(mm, op, &start, &end))
        downgraded = ts_mm_unmap(self, mm, start, end, true);
    if (downgraded)
        ts_up_read(self, &mm->mmap_lock);
    else
        ts_mm_write_unlock(self, mm);
    ts_kernel_exit(self);
    g->stats.munmaps++;
    ts_hist_add(&g->stats.munmap_ps, ts_task_now(self) - entered);
}

void ts_mm_exit(struct ts_task *self, struct ts_mm *mm)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);

    ts_mm_write_lock(self, mm);
    if (!ts_vma_reserve(mm, 2))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
    (void)ts_vma_detach(mm, 0, TS_USER_END);
    forget_detached(self, mm);
    if (pm->ndetached)
        clear_detached(self, mm, true);
    ts_mm_write_unlock(self, mm);
    if (mm->guest->flush->mm_exit)
        mm->guest->flush->mm_exit(mm);
}

/* --- madvise(MADV_DONTNEED) --- */

/* zap_page_range_single: a gather of its own for each VMA. The table pages stay. */
static void dontneed_vma(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                         bool shared)
{
    struct ts_gather *g;

    ts_lru_drain(self, mm);
    g = ts_gather_begin(self, mm, false);
    ts_gather_window(g, start, end);
    ts_gather_zap(self, g, start, end, shared);
    ts_gather_finish(self, g);
}

void ts_mm_madvise_dontneed(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t start, end;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    ts_syscall_enter(self, mm, op);
    ts_mm_read_lock(self, mm);
    ts_task_work(self, mm->guest->params.madvise_cycles);
    if (ts_mm_op_range(mm, op, &start, &end)) {
        uint64_t va = start;
        /* VMAs do not change under the read lock. */
        for (uint32_t i = ts_vma_index(mm, va); i < mm->nvmas && mm->vmas[i].start < end; i++) {
            struct ts_vma v = mm->vmas[i];
            dontneed_vma(self, mm, v.start > start ? v.start : start, v.end < end ? v.end : end,
                         is_shared(&v));
        }
    }
    ts_up_read(self, &mm->mmap_lock);
    ts_kernel_exit(self);
    mm->guest->stats.madvises++;
}
