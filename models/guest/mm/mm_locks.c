/* SPDX-License-Identifier: Apache-2.0 */
/* The locks below mmap_lock: one spinlock for each last-level page table, and one reader/writer
 * lock for each VMA. Both come into being when they are first taken. */
#include <stdlib.h>

#include "models/guest/mm/mm_private.h"

/* --- page-table locks --- */

struct ts_ptl {
    uint64_t span; /* table_key; 0: the slot is free */
    struct ts_spinlock *lock;
};

static struct ts_ptl *find_slot(struct ts_ptl *slots, uint32_t room, uint64_t span)
{
    uint32_t i = (uint32_t)((span * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (room - 1);

    while (slots[i].span && slots[i].span != span)
        i = (i + 1) & (room - 1);
    return &slots[i];
}

/* At most half full, a power of two. */
static bool make_room(struct ts_mm_private *pm)
{
    uint32_t room = pm->ptls_room ? 2 * pm->ptls_room : 64;
    struct ts_ptl *slots;

    if (2 * (pm->nptls + 1) <= pm->ptls_room)
        return true;
    slots = calloc(room, sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = 0; i < pm->ptls_room; i++) {
        if (pm->ptls[i].span)
            *find_slot(slots, room, pm->ptls[i].span) = pm->ptls[i];
    }
    free(pm->ptls);
    pm->ptls = slots;
    pm->ptls_room = room;
    return true;
}

/* Names the table whose span of 2^shift bytes holds va. A table that mremap moves leaves its lock
 * behind: mmap_lock keeps others away meanwhile. */
static uint64_t table_key(uint64_t va, uint32_t shift)
{
    return (va >> shift << TS_PAGE_SHIFT) + shift;
}

static struct ts_spinlock *lock_of(struct ts_task *self, struct ts_mm *mm, uint64_t span)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_ptl *slot = pm->ptls_room ? find_slot(pm->ptls, pm->ptls_room, span) : NULL;
    struct ts_spinlock *lock;

    if (slot && slot->span)
        return slot->lock;
    lock = calloc(1, sizeof(*lock));
    if (!lock || !make_room(pm)) {
        free(lock);
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for a page-table lock");
    }
    ts_guest_line_init(mm->guest, &lock->line, ts_guest_cpu_of(self)->id);
    ts_spinlock_init(lock);
    slot = find_slot(pm->ptls, pm->ptls_room, span);
    slot->span = span;
    slot->lock = lock;
    pm->nptls++;
    return lock;
}

static struct ts_spinlock *take(struct ts_task *self, struct ts_mm *mm, uint64_t key)
{
    struct ts_spinlock *lock = lock_of(self, mm, key);

    if (ts_spin_lock(self, lock))
        mm->guest->stats.ptl_waits++;
    return lock;
}

/* Of the table whose span of 2^shift bytes holds va. */
static struct ts_spinlock *lock_table(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                      uint32_t shift)
{
    struct ts_spinlock *lock = take(self, mm, table_key(va, shift));
    uint64_t start = va >> shift << shift;

    if (mm->late)
        ts_late_leaves_acquired(mm->late, start, start + (UINT64_C(1) << shift),
                                shift == TS_PMD_SPAN_SHIFT, ts_task_store_buffer(self));
    return lock;
}

struct ts_spinlock *ts_ptl_lock(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    return lock_table(self, mm, va, TS_TABLE_SPAN_SHIFT);
}

struct ts_spinlock *ts_pmd_lock(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    return lock_table(self, mm, va, TS_PMD_SPAN_SHIFT);
}

/* --- per-VMA locks --- */

struct ts_vma_lock {
    struct ts_rwsem sem;
    struct ts_vma_lock *next, *next_made;
};

static struct ts_vma_lock *vma_lock_of(struct ts_task *self, struct ts_mm *mm, struct ts_vma *v)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_vma_lock *lock = pm->vma_locks;

    if (v->lock)
        return v->lock;
    if (lock) {
        pm->vma_locks = lock->next;
    } else {
        lock = calloc(1, sizeof(*lock));
        if (!lock)
            ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for a VMA's lock");
        ts_guest_line_init(mm->guest, &lock->sem.line, ts_guest_cpu_of(self)->id);
        ts_guest_line_init(mm->guest, &lock->sem.osq_line, ts_guest_cpu_of(self)->id);
        ts_rwsem_init(&lock->sem, p->rwsem_spin != 0, p->rwsem_handoff_ps);
        lock->next_made = pm->vma_locks_made;
        pm->vma_locks_made = lock;
    }
    v->lock = lock;
    return lock;
}

void ts_vma_lock_recycle(struct ts_mm *mm, struct ts_vma *v)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    if (!v->lock)
        return;
    v->lock->next = pm->vma_locks;
    pm->vma_locks = v->lock;
    v->lock = NULL;
}

struct ts_vma_lock *ts_vma_start_read(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_vma *v = ts_vma_at(mm, va);
    struct ts_vma_lock *lock;

    if (!v || v->lock_seq == pm->lock_seq)
        return NULL;
    lock = vma_lock_of(self, mm, v);
    if (!ts_down_read_trylock(self, &lock->sem))
        return NULL;
    /* The lock may serve another VMA by now: whoever took this one away did not see us yet. */
    v = ts_vma_at(mm, va);
    if (v && v->lock == lock && v->lock_seq != pm->lock_seq)
        return lock;
    ts_up_read(self, &lock->sem);
    return NULL;
}

void ts_vma_end_read(struct ts_task *self, struct ts_vma_lock *lock)
{
    ts_up_read(self, &lock->sem);
}

void ts_vma_start_write(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_vma *v = ts_vma_at(mm, va);
    struct ts_vma_lock *lock;

    if (!v || !mm->guest->params.per_vma_lock || v->lock_seq == pm->lock_seq)
        return;
    TS_ASSERT(mm->mmap_lock.write_locked);
    lock = vma_lock_of(self, mm, v);
    ts_down_write(self, &lock->sem);
    ts_vma_at(mm, va)->lock_seq = pm->lock_seq;
    ts_up_write(self, &lock->sem);
}

void ts_vma_start_write_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++)
        ts_vma_start_write(self, mm, mm->vmas[i].start);
}

void ts_mm_write_unlock(struct ts_task *self, struct ts_mm *mm)
{
    ts_mm_private_of(mm)->lock_seq++; /* vma_end_write_all */
    ts_up_write(self, &mm->mmap_lock);
}

void ts_mm_write_downgrade(struct ts_task *self, struct ts_mm *mm)
{
    ts_mm_private_of(mm)->lock_seq++;
    ts_downgrade_write(self, &mm->mmap_lock);
}

void ts_mm_locks_free(struct ts_mm_private *pm)
{
    for (uint32_t i = 0; i < pm->ptls_room; i++)
        free(pm->ptls[i].lock);
    free(pm->ptls);
    while (pm->vma_locks_made) {
        struct ts_vma_lock *lock = pm->vma_locks_made;
        pm->vma_locks_made = lock->next_made;
        free(lock);
    }
}
