/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces and the operations on them. self is a guest thread's task. */
#ifndef TS_MODELS_GUEST_MM_H
#define TS_MODELS_GUEST_MM_H

#include "models/guest/coherence/flush_mm.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vma_lock;
enum ts_thp_advice { TS_ADVICE_NONE = 0, TS_ADVICE_HUGEPAGE, TS_ADVICE_NOHUGEPAGE };
struct ts_vma {
    uint64_t start, end;
    uint32_t prot;
    uint32_t flags; /* TS_OPF_ANONYMOUS, TS_OPF_SHARED */
    enum ts_thp_advice advice;
    bool has_anon;            /* anon_vma: has had a private page */
    bool inherited;           /* by fork, with an anon_vma: its chain names the parent's too */
    uint64_t moved_by;        /* start minus the address that vm_pgoff stands for */
    uint64_t lock_seq;        /* vm_lock_seq: write-locked while it equals the mm's */
    struct ts_vma_lock *lock; /* mm_locks.c; NULL until first taken */
};

enum ts_status ts_mm_create(struct ts_guest *g, struct ts_mm **out, struct ts_error *err);
void ts_mm_destroy(struct ts_mm *mm);
void ts_mm_mmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_munmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_mprotect(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_madvise_dontneed(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* MADV_COLD, MADV_PAGEOUT, MADV_FREE */
void ts_mm_madvise_reclaim(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE */
void ts_mm_madvise_thp(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_mremap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_vfree(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op); /* mm/vmalloc.c */
void ts_mm_touch(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* dup_mmap: child, which nobody uses yet, becomes a copy-on-write copy of parent. */
void ts_mm_fork(struct ts_task *self, struct ts_mm *parent, struct ts_mm *child);
/* exit_mmap: by the last thread. */
void ts_mm_exit(struct ts_task *self, struct ts_mm *mm);
/* Address of a region's byte, or false while it is not mapped (yet or any more). */
bool ts_mm_region_address(const struct ts_mm *mm, uint32_t region, uint64_t offset, uint64_t *va);

/* The mode the CPU was in; code in between is kernel code of self. */
void ts_kernel_enter(struct ts_task *self);
void ts_kernel_exit(struct ts_task *self);
/* ts_kernel_enter, with what a system call costs unless op goes on with the one before. */
void ts_syscall_enter(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);

#ifdef __cplusplus
}
#endif
#endif
