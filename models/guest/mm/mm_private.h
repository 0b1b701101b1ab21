/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of memory management and thread.c. */
#ifndef TS_MODELS_GUEST_MM_PRIVATE_H
#define TS_MODELS_GUEST_MM_PRIVATE_H

#include "models/guest/mm/mm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_PAGE_SHIFT = 12, TS_TABLE_SPAN_SHIFT = 21, TS_TABLE_BITS = 9, TS_TABLE_PTES = 512 };
#define TS_PAGE_BYTES (UINT64_C(1) << TS_PAGE_SHIFT)
#define TS_TABLE_SPAN (UINT64_C(1) << TS_TABLE_SPAN_SHIFT)
/* TASK_SIZE of x86-64 with 4 levels and the place where the stack and its gap end. */
#define TS_USER_END (UINT64_C(1) << 47)
#define TS_MMAP_BASE UINT64_C(0x7ffff7ff0000)
#define TS_MMAP_MIN UINT64_C(0x10000) /* vm.mmap_min_addr */

/* A region that still has memory. Pieces may be missing: see the VMAs. */
struct ts_region {
    uint32_t number;
    uint64_t base;   /* address of offset 0 */
    uint64_t mapped; /* bytes that VMAs still hold */
};

/* mmu_gather. Frames and tables wait here until the flush has returned. */
struct ts_gather {
    struct ts_gather *next; /* in the address space's pool */
    struct ts_gather
        *next_made; /* of all that were made: a run may end in the middle of an unmap */
    struct ts_mm *mm;
    bool fullmm;
    bool freed_tables;
    bool cleared_ptes;
    uint64_t start, end; /* hull of what was cleared; start > end: nothing */
    uint64_t *frames;
    uint32_t nframes, room;
    uint64_t *tables;
    uint32_t ntables, tables_room;
    bool window_open;
    uint32_t window; /* the oracle's handle */
    uint64_t window_end;
};

struct ts_mm_private {
    struct ts_region *regions; /* live ones, sorted by number */
    uint32_t nregions, regions_room;
    uint64_t *ever; /* bit per region number: has been mapped once */
    uint32_t ever_words;
    struct ts_vma *detached; /* VMAs taken out by the unmap in progress; one at a time */
    uint32_t ndetached, detached_room;
    /* Pages whose VMA forbids every access: present for the kernel, not for the hardware. */
    struct ts_pgtable *none;
    uint64_t none_tables;
    struct ts_gather *gathers; /* pool */
    struct ts_gather *made;
    struct ts_gather *sink; /* takes the tables that are being freed */
    struct ts_task *region_waiters, **region_waiters_tail;
    struct ts_pte moved[TS_TABLE_PTES]; /* mremap, mprotect: leaves between two places */
    uint64_t moved_va[TS_TABLE_PTES];
    uint32_t nmoved;
    uint64_t waits_seen, wait_ps_seen; /* of mmap_lock, already in the guest's statistics */
    uint64_t ops_on_gone;              /* operations on regions that are no more */
    uint64_t touches_unmapped;         /* touches without a VMA or against its protection */
};

static inline struct ts_mm_private *ts_mm_private_of(const struct ts_mm *mm)
{
    return (struct ts_mm_private *)mm->private_mm;
}
static inline uint64_t ts_page_floor(uint64_t x)
{
    return x & ~(TS_PAGE_BYTES - 1);
}
static inline uint64_t ts_page_ceil(uint64_t x)
{
    return ts_page_floor(x + TS_PAGE_BYTES - 1);
}
/* End of the last-level table's span that holds va, at most end. */
static inline uint64_t ts_table_span_end(uint64_t va, uint64_t end)
{
    uint64_t next = (va | (TS_TABLE_SPAN - 1)) + 1;
    return next < end ? next : end;
}

/* --- vma.c: no time passes, nothing is charged --- */
/* Room for n more VMAs, and for as many detached ones as there can be then. False: no memory. */
bool ts_vma_reserve(struct ts_mm *mm, uint32_t n);
/* Index of the first VMA that ends above va; nvmas if none. */
uint32_t ts_vma_index(const struct ts_mm *mm, uint64_t va);
/* The VMA that holds va, or NULL. Good until VMAs change. */
struct ts_vma *ts_vma_at(const struct ts_mm *mm, uint64_t va);
/* Room must have been reserved; the range must be free. */
void ts_vma_insert(struct ts_mm *mm, const struct ts_vma *vma);
/* Makes va a VMA boundary; room for one more must have been reserved. True if one was split. */
bool ts_vma_split(struct ts_mm *mm, uint64_t va);
/* Takes [start, end) out into the detached list, splitting at both ends (room for 2); returns the
 * number of splits. */
uint32_t ts_vma_detach(struct ts_mm *mm, uint64_t start, uint64_t end);
/* Highest free range below mmap_base; aligned to 2 MiB if it is that long. 0: none. */
uint64_t ts_vma_find_gap(const struct ts_mm *mm, uint64_t length);
/* End of the VMA below va (or 0), start of the one at or above it (or the end of user space). */
uint64_t ts_vma_floor(const struct ts_mm *mm, uint64_t va);
uint64_t ts_vma_ceiling(const struct ts_mm *mm, uint64_t va);

struct ts_region *ts_region_find(const struct ts_mm *mm, uint32_t number);
bool ts_region_was_mapped(const struct ts_mm *mm, uint32_t number);
/* False: no memory. The region must not be live. */
bool ts_region_add(struct ts_mm *mm, uint32_t number, uint64_t base);
/* bytes of the region are mapped more (or less); it goes with its last byte. */
void ts_region_grow(struct ts_mm *mm, uint32_t number, uint64_t bytes);
void ts_region_shrink(struct ts_mm *mm, uint32_t number, uint64_t bytes);

/* --- gather.c --- */
/* True if a last-level table exists for va; else *skip_to is where the empty span ends. */
bool ts_mm_has_table(const struct ts_mm *mm, uint64_t va, uint64_t *skip_to);
/* Entries that a gather holds before it must flush. */
uint64_t ts_gather_capacity(const struct ts_guest_params *p);
struct ts_gather *ts_gather_begin(struct ts_task *self, struct ts_mm *mm, bool fullmm);
/* Opens the oracle's window for [start, end), before the first PTE in it changes. */
void ts_gather_window(struct ts_gather *g, uint64_t start, uint64_t end);
/* A present leaf of [start, end) has changed so that TLBs must forget it. */
void ts_gather_changed(struct ts_gather *g, uint64_t start, uint64_t end);
/* Clears the leaves of one VMA's part; shared_file: dirty ones force a flush under the table lock.
 */
void ts_gather_zap(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                   bool shared_file);
void ts_gather_free_tables(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                           uint64_t floor, uint64_t ceiling);
void ts_gather_finish(struct ts_task *self, struct ts_gather *g);
void ts_gather_pool_free(struct ts_mm_private *pm);

/* --- mm.c --- */
void ts_mm_read_lock(struct ts_task *self, struct ts_mm *mm);
void ts_mm_write_lock(struct ts_task *self, struct ts_mm *mm);
/* Waits until op's region has been mapped. False: it is gone, which is counted. */
bool ts_mm_wait_region(struct ts_task *self, struct ts_mm *mm, uint32_t region);
void ts_mm_wake_regions(struct ts_task *self, struct ts_mm *mm);
/* [start, end) of op within its region, in whole pages. */
bool ts_mm_op_range(const struct ts_mm *mm, const struct ts_op *op, uint64_t *start, uint64_t *end);
/* do_vmi_align_munmap: mmap_lock is held for writing. downgrade: it is held for reading afterwards
 * if the guest does so. Returns true if it has been downgraded. */
bool ts_mm_unmap(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                 bool downgrade);

/* --- fault.c --- */
/* Handles a stage-1 fault at va. False: a bad access, which is ignored and counted. */
bool ts_mm_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write);

#ifdef __cplusplus
}
#endif
#endif
