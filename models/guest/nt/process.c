/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, and what is reserved of their addresses. */
#include <stdlib.h>

#include "models/guest/mm/mm_private.h"
#include "models/guest/nt/space.h"

/* --- beginning and end --- */

static void init_lock(struct ts_guest *g, struct ts_ex_lock *lock, enum ts_ex_kind kind,
                      uint64_t *waits, ts_time *wait_ps)
{
    ts_guest_line_init(g, &lock->line, 0);
    ts_ex_lock_init(lock, &g->ex_locks, kind, waits, wait_ps);
}

enum ts_status ts_nt_create(struct ts_guest *g, struct ts_mm **out, struct ts_error *err)
{
    struct ts_nt_stats *s = &g->nt_stats;
    struct ts_nt_process *p = calloc(1, sizeof(*p));
    enum ts_status status;

    if (p)
        p->flush_list = malloc((g->nt.flush_list_max + 1) * sizeof(*p->flush_list));
    if (!p || !p->flush_list) {
        free(p);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a process");
    }
    status = ts_mm_create(g, out, err);
    if (status != TS_OK) {
        free(p->flush_list);
        free(p);
        return status;
    }
    init_lock(g, &p->library, TS_EX_PUSH, &s->library_waits, &s->library_wait_ps);
    init_lock(g, &p->address_space, TS_EX_PUSH, &s->address_space_waits, &s->address_space_wait_ps);
    init_lock(g, &p->working_set, (enum ts_ex_kind)g->nt.working_set_lock, &s->working_set_waits,
              &s->working_set_wait_ps);
    (*out)->nt_process = p;
    return TS_OK;
}

void ts_nt_destroy(struct ts_mm *mm)
{
    struct ts_nt_process *p = mm ? ts_nt_process_of(mm) : NULL;

    if (p) {
        free(p->flush_list);
        free(p);
    }
    ts_mm_destroy(mm);
}

/* --- a call that changes the address space, from its entry to its exit --- */

static void enter_space(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_nt_process *p = ts_nt_process_of(mm);

    ts_syscall_enter(self, mm, op);
    if (mm->guest->nt.library_lock)
        ts_ex_acquire(self, &p->library, false);
    ts_ex_acquire(self, &p->address_space, false);
}

static void leave_space(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_nt_process *p = ts_nt_process_of(mm);

    ts_ex_release(self, &p->address_space, false);
    if (mm->guest->nt.library_lock)
        ts_ex_release(self, &p->library, false);
}

static void need_memory(struct ts_task *self, bool ok)
{
    if (!ok)
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an address space");
}

/* --- calls --- */

static void reserve(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t length = ts_page_ceil(op->length);
    struct ts_vma vma = {.prot = op->prot, .flags = op->flags & (TS_OPF_ANONYMOUS | TS_OPF_SHARED)};

    if (length == 0 || length > TS_USER_END)
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u: length %llu is out of bounds",
                      op->region, (unsigned long long)op->length);
    if (ts_region_find(mm, op->region))
        ts_guest_fail(self, TS_ERR_USER, "mmap of region %u, which is still mapped", op->region);
    vma.start = ts_vma_find_gap(mm, length, vma.flags);
    if (!vma.start)
        ts_guest_fail(self, TS_ERR_USER,
                      "mmap of region %u: no address range of %llu bytes is free", op->region,
                      (unsigned long long)length);
    vma.end = vma.start + length;
    need_memory(self, ts_vma_reserve(mm, 1) && ts_region_add(mm, op->region, vma.start) &&
                          ts_region_map(mm, op->region, vma.start, vma.end));
    ts_vma_insert(mm, &vma);
    ts_mm_mapped_anew(mm, vma.start, vma.end);
}

void ts_nt_allocate(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = mm->guest;
    ts_time start = ts_task_now(self);

    enter_space(self, mm, op);
    ts_task_work(self, g->params.mmap_cycles);
    reserve(self, mm, op);
    leave_space(self, mm);
    ts_mm_wake_regions(self, mm);
    ts_kernel_exit(self);
    g->stats.mmaps++;
    ts_hist_add(&g->stats.mmap_ps, ts_task_now(self) - start);
}

/* The VADs go first, so that faults find none; the addresses stay taken by the address-space lock.
 */
static void release_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t extra;

    need_memory(self, ts_vma_reserve(mm, 2));
    extra = ts_vma_detach(mm, start, end);
    if (!pm->ndetached)
        return;
    ts_task_work(self, (extra + pm->ndetached - 1) * mm->guest->params.vma_split_cycles);
    need_memory(self,
                ts_region_unmap(mm, pm->detached[0].start, pm->detached[pm->ndetached - 1].end));
    for (uint32_t i = 0; i < pm->ndetached; i++)
        ts_nt_delete(self, mm, pm->detached[i].start, pm->detached[i].end, true);
}

void ts_nt_exit(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_nt_process *p = ts_nt_process_of(mm);

    ts_ex_acquire(self, &p->address_space, false);
    release_range(self, mm, 0, TS_USER_END);
    ts_ex_release(self, &p->address_space, false);
    if (mm->guest->flush->mm_exit)
        mm->guest->flush->mm_exit(mm);
}

typedef void range_fn(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end);

/* Of each VAD the part in op's range. VADs do not change meanwhile. */
static void for_vads(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op, range_fn *fn)
{
    uint64_t start, end;

    if (!ts_mm_op_range(mm, op, &start, &end))
        return;
    for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++) {
        const struct ts_vma *v = &mm->vmas[i];
        fn(self, mm, v->start > start ? v->start : start, v->end < end ? v->end : end);
    }
}

static void decommit(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    ts_nt_delete(self, mm, start, end, false);
}

void ts_nt_decommit(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    enter_space(self, mm, op);
    for_vads(self, mm, op, decommit);
    leave_space(self, mm);
    ts_kernel_exit(self);
    mm->guest->stats.madvises++;
}

/* First the VADs: a fault that is under way decides by them when it writes its entry. */
static void protect_vads(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t start, end;
    uint32_t extra;

    if (!ts_mm_op_range(mm, op, &start, &end))
        return;
    need_memory(self, ts_vma_reserve(mm, 2));
    extra = (uint32_t)ts_vma_split(mm, start) + (uint32_t)ts_vma_split(mm, end);
    for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++)
        mm->vmas[i].prot = op->prot;
    ts_task_work(self, extra * mm->guest->params.vma_split_cycles);
}

void ts_nt_protect(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    enter_space(self, mm, op);
    ts_task_work(self, mm->guest->params.mprotect_cycles);
    protect_vads(self, mm, op);
    for_vads(self, mm, op, ts_nt_reprotect);
    leave_space(self, mm);
    ts_kernel_exit(self);
    mm->guest->stats.mprotects++;
}

/* What a C library such as Cygwin's does of its munmap before it frees, in a system call of its
 * own: nobody may access the pages any more. */
static void library_protects(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_nt_process *p = ts_nt_process_of(mm);
    struct ts_op no_access = *op;

    no_access.prot = 0;
    ts_task_work(self, mm->guest->params.mprotect_cycles);
    protect_vads(self, mm, &no_access);
    for_vads(self, mm, &no_access, ts_nt_reprotect);
    ts_ex_release(self, &p->address_space, false);
    ts_kernel_exit(self);
    ts_syscall_enter(self, mm, op);
    ts_ex_acquire(self, &p->address_space, false);
}

void ts_nt_release(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = mm->guest;
    uint64_t start, end;
    ts_time entered;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    entered = ts_task_now(self);
    enter_space(self, mm, op);
    if (g->nt.library_protects)
        library_protects(self, mm, op);
    ts_task_work(self, g->params.munmap_cycles);
    if (ts_mm_op_range(mm, op, &start, &end))
        release_range(self, mm, start, end);
    leave_space(self, mm);
    ts_kernel_exit(self);
    g->stats.munmaps++;
    ts_hist_add(&g->stats.munmap_ps, ts_task_now(self) - entered);
}
