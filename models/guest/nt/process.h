/* SPDX-License-Identifier: Apache-2.0 */
/* A process's memory under a Windows-like kernel (docs/windows-guest.md). VMAs stand for VADs, page
 * tables and frames are those of mm; locks, faults, frees and flushes are this folder's.
 *
 * Three locks, taken in this order: the program's C library's (nt.library_lock), the address-space
 * lock (AddressCreationLock), a push lock that is held from the start of an allocation, free or
 * change of protection to its end, and the working-set lock, under which entries change. Pages go
 * back to the free list under the working-set lock, after the flush that covers them has returned.
 *
 * Left out: fork (there is none), mremap, large pages, page-table isolation (KVA shadow), trimming
 * of working sets, the zeroing of pages ahead of time. */
#ifndef TS_MODELS_GUEST_NT_PROCESS_H
#define TS_MODELS_GUEST_NT_PROCESS_H

#include "models/guest/mm/mm.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_nt_process {
    struct ts_ex_lock library, address_space, working_set;
    uint64_t *flush_list; /* [nt.flush_list_max]; of who holds working_set exclusively */
};

static inline struct ts_nt_process *ts_nt_process_of(const struct ts_mm *mm)
{
    return (struct ts_nt_process *)mm->nt_process;
}

/* ts_guest_os.mm_create and its opposite. */
enum ts_status ts_nt_create(struct ts_guest *g, struct ts_mm **out, struct ts_error *err);
void ts_nt_destroy(struct ts_mm *mm);
/* The last thread has ended (or goes on in another process). */
void ts_nt_exit(struct ts_task *self, struct ts_mm *mm);
/* VirtualAlloc, reserved and committed. */
void ts_nt_allocate(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* VirtualFree: MEM_RELEASE, and MEM_DECOMMIT with a new commit of the same pages. */
void ts_nt_release(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_nt_decommit(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* VirtualProtect. Pages without access leave the tables and come back by a fault. */
void ts_nt_protect(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* MmAccessFault: ts_guest_paths.fault. */
bool ts_nt_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write);

#ifdef __cplusplus
}
#endif
#endif
