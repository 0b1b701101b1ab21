/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of memory management and thread.c. */
#ifndef TS_MODELS_GUEST_MM_PRIVATE_H
#define TS_MODELS_GUEST_MM_PRIVATE_H

#include "models/guest/coherence/smp_call.h"
#include "models/guest/lock/spinlock.h"
#include "models/guest/mm/mm.h"
#include "models/mmu/late_leaves.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TS_PAGE_SHIFT = 12,
    TS_TABLE_SPAN_SHIFT = 21,
    TS_PMD_SPAN_SHIFT = 30,
    TS_TABLE_BITS = 9,
    TS_TABLE_PTES = 512
};
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
    uint64_t mapped; /* bytes of it that pieces still hold */
};
/* What of a region is mapped. VMAs are another division of the same addresses: one may hold several
 * regions or a part of one. */
struct ts_piece {
    uint64_t start, end;
    uint32_t region;
};

/* mmu_gather. Frames and tables wait here until the flush has returned. */
struct ts_gather {
    struct ts_gather *next; /* in the address space's pool */
    struct ts_gather
        *next_made; /* of all that were made: a run may end in the middle of an unmap */
    struct ts_mm *mm;
    bool fullmm;
    bool zaps; /* of an unmap or MADV_DONTNEED: what it clears is freed */
    bool freed_tables;
    bool out_of_memory;
    bool cleared_ptes, cleared_pmds, cleared_puds; /* a table freed clears an entry above it */
    uint64_t start, end;           /* hull of what was cleared; start > end: nothing */
    uint64_t page_start, page_end; /* of this the pages, without tables */
    ts_time begun;
    uint64_t *frames;
    uint32_t nframes, room;
    bool delayed_rmap; /* a dirty shared page is among them */
    uint64_t *tables;
    uint32_t ntables, tables_room;
    bool window_open;
    uint32_t window; /* the oracle's handle */
    uint64_t window_end;
    uint64_t all_start, all_end; /* of all windows so far; 0, 0: none */
};

struct ts_mm_private {
    struct ts_region *regions; /* live ones, sorted by number */
    uint32_t nregions, regions_room;
    struct ts_piece *pieces; /* sorted by address */
    uint32_t npieces, pieces_room;
    uint64_t *ever; /* bit per region number: has been mapped once */
    uint32_t ever_words;
    struct ts_vma *detached; /* VMAs taken out by the unmap in progress; one at a time */
    uint32_t ndetached, detached_room;
    /* Pages whose VMA forbids every access: present for the kernel, not for the hardware. */
    struct ts_pgtable *none;
    uint64_t none_tables;
    struct ts_pgtable *swapped; /* entries that are swap entries now (swap.c) */
    uint64_t
        *deposits; /* page-table pages laid aside for huge entries (pgtable_trans_huge_deposit) */
    uint32_t ndeposits, deposits_room;
    bool depositing;           /* a table that is freed becomes one of them */
    bool withdrawing;          /* the next table is one of them */
    struct ts_gather *gathers; /* pool */
    struct ts_gather *made;
    struct ts_gather *sink; /* takes the tables that are being freed */
    struct ts_task *region_waiters, **region_waiters_tail;
    struct ts_pte moved[TS_TABLE_PTES]; /* mremap, mprotect: leaves between two places */
    uint64_t moved_va[TS_TABLE_PTES];
    uint32_t nmoved;
    struct ts_ptl *ptls; /* hash table by span */
    uint32_t nptls, ptls_room;
    struct ts_vma_lock *vma_locks, *vma_locks_made; /* spare ones; all */
    uint64_t lock_seq;                              /* mm_lock_seq, from 1 */
    uint64_t waits_seen, wait_ps_seen; /* of mmap_lock, already in the guest's statistics */
    ts_time numa_next_scan;            /* mm/numa.c */
    uint64_t numa_scan_offset;
    uint64_t physical_bytes;   /* of regions that stand for physical addresses */
    uint64_t ops_on_gone;      /* operations on regions that are no more */
    uint64_t touches_unmapped; /* touches without a VMA or against its protection */
};

static inline struct ts_mm_private *ts_mm_private_of(const struct ts_mm *mm)
{
    return (struct ts_mm_private *)mm->private_mm;
}
/* Where the 2 MiB that hold va begin. */
static inline uint64_t ts_huge_base(uint64_t va)
{
    return va & ~(TS_TABLE_SPAN - 1);
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
/* x86 and arm64 have no write-only and no execute-only user pages by default. v may be NULL. */
static inline bool ts_vma_allows(const struct ts_vma *v, bool write)
{
    return v && (write ? (v->prot & TS_PROT_WRITE) : v->prot) != 0;
}
/* The VMA that holds va, or NULL. Good until VMAs change. */
struct ts_vma *ts_vma_at(const struct ts_mm *mm, uint64_t va);
/* Room must have been reserved; the range must be free. */
void ts_vma_insert(struct ts_mm *mm, const struct ts_vma *vma);
/* Joins the VMAs that meet at va if they are of one kind (mm/vma.c vma_merge_new_range and
 * vma_merge_existing_range; private anonymous memory only, as files and offsets are not known).
 * Where one of them has a lock the result keeps it. */
bool ts_vma_mergeable(const struct ts_vma *left, const struct ts_vma *right);
bool ts_vma_merge_at(struct ts_mm *mm, uint64_t va);
/* Makes va a VMA boundary; room for one more must have been reserved. True if one was split. */
bool ts_vma_split(struct ts_mm *mm, uint64_t va);
/* Takes [start, end) out into the detached list, splitting at both ends (room for 2); returns the
 * number of splits. */
uint32_t ts_vma_detach(struct ts_mm *mm, uint64_t start, uint64_t end);
/* The lowest address of [start, end) that the mechanism keeps back, because somebody may still use
 * what was there; 0: none. */
uint64_t ts_vma_held(const struct ts_mm *mm, uint64_t start, uint64_t end);
/* Highest free range below mmap_base for a mapping with these flags, by guest.thp_align. 0: none.
 */
uint64_t ts_vma_find_gap(const struct ts_mm *mm, uint64_t length, uint32_t flags);
/* End of the VMA below va (or 0), start of the one at or above it (or the end of user space). */
uint64_t ts_vma_floor(const struct ts_mm *mm, uint64_t va);
uint64_t ts_vma_ceiling(const struct ts_mm *mm, uint64_t va);

struct ts_region *ts_region_find(const struct ts_mm *mm, uint32_t number);
bool ts_region_was_mapped(const struct ts_mm *mm, uint32_t number);
/* False: no memory. The region must not be live. */
bool ts_region_add(struct ts_mm *mm, uint32_t number, uint64_t base);
/* [start, end), free of pieces, is mapped and belongs to the live region. False: no memory. */
bool ts_region_map(struct ts_mm *mm, uint32_t number, uint64_t start, uint64_t end);
/* [start, end) belongs to no region any more; a region goes with its last byte. False: no memory.
 */
bool ts_region_unmap(struct ts_mm *mm, uint64_t start, uint64_t end);
/* The child knows the regions that the parent knows. False: no memory. */
bool ts_region_copy_all(struct ts_mm *child, const struct ts_mm *parent);

/* --- mm_locks.c --- */
/* pte_lockptr: the lock of the last-level table that va's entry is in, taken. */
struct ts_spinlock *ts_ptl_lock(struct ts_task *self, struct ts_mm *mm, uint64_t va);
/* pmd_lockptr: that of the table one level up. */
struct ts_spinlock *ts_pmd_lock(struct ts_task *self, struct ts_mm *mm, uint64_t va);
/* lock_vma_under_rcu: NULL if va has no VMA or a writer has locked it; mmap_lock is to be taken
 * then. */
struct ts_vma_lock *ts_vma_start_read(struct ts_task *self, struct ts_mm *mm, uint64_t va);
void ts_vma_end_read(struct ts_task *self, struct ts_vma_lock *lock);
/* Locks the VMA at va, or all in a range, until mmap_lock, which is held for writing, is let go or
 * downgraded; waits for faults under way in them. */
void ts_vma_start_write(struct ts_task *self, struct ts_mm *mm, uint64_t va);
void ts_vma_start_write_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end);
/* A VMA that is no more gives its lock back. */
void ts_vma_lock_recycle(struct ts_mm *mm, struct ts_vma *v);
void ts_mm_write_unlock(struct ts_task *self, struct ts_mm *mm);
void ts_mm_write_downgrade(struct ts_task *self, struct ts_mm *mm);
void ts_mm_locks_free(struct ts_mm_private *pm);

/* --- unmap_batch.c --- */
/* flush_tlb_batched_pending: before entries are changed, with their table's lock held. */
void ts_flush_batched_pending(struct ts_task *self, struct ts_mm *mm);

/* --- swap.c --- */
/* The entry at va, which is clear, becomes a swap entry that says what *pte said; returns the
 * tables allocated. */
uint32_t ts_mm_map_swapped(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte);
bool ts_mm_is_swapped(const struct ts_mm *mm, uint64_t va);
/* Swap entries of [start, end) go, and their swap space with them; returns their number. */
uint64_t ts_mm_clear_swapped(struct ts_mm *mm, uint64_t start, uint64_t end);
/* do_swap_page. The VMA's lock or mmap_lock is held. */
void ts_swap_in(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write);

/* --- gather.c --- */
/* Entries that a gather holds before it must flush. */
uint64_t ts_gather_capacity(const struct ts_guest_params *p);
struct ts_gather *ts_gather_begin(struct ts_task *self, struct ts_mm *mm, bool fullmm);
/* Opens the oracle's window for [start, end), before the first PTE in it changes. */
void ts_gather_window(struct ts_gather *g, uint64_t start, uint64_t end);
/* Opens a window of the guest's oracle, which there is; the end of a run if there is no memory. */
uint32_t ts_mm_window_open(struct ts_mm *mm, uint64_t start, uint64_t end);
/* Another mapping has these addresses from now on. */
void ts_mm_mapped_anew(struct ts_mm *mm, uint64_t start, uint64_t end);
/* A present leaf of [start, end) has changed so that TLBs must forget it; the huge one at base. */
void ts_gather_changed(struct ts_gather *g, uint64_t start, uint64_t end);
void ts_gather_changed_pmd(struct ts_gather *g, uint64_t base);
/* tlb_remove_page_size: the page waits for the flush; a gather that is full then flushes. Clearing
 * goes on at next. */
void ts_gather_page(struct ts_task *self, struct ts_gather *g, uint64_t frame, uint64_t next);
/* Clears the leaves of one VMA's part; shared: dirty ones force a flush under the table lock. */
void ts_gather_zap(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                   bool shared);
/* tlb_flush_mmu_tlbonly; then, for what was flushed: the oracle's window, pages and tables. */
void ts_gather_flush(struct ts_task *self, struct ts_gather *g);
void ts_gather_window_close(struct ts_gather *g);
void ts_gather_free_pages(struct ts_task *self, struct ts_gather *g);
/* An unmap or drop has cleared the leaf at va, which was *was, and which hardware saw. */
void ts_gather_cleared(struct ts_task *self, struct ts_gather *g, uint64_t va,
                       const struct ts_pte *was);
void ts_gather_widen(struct ts_gather *g, uint64_t start, uint64_t end);
void ts_gather_finish(struct ts_task *self, struct ts_gather *g);
/* Back to the pool: there is nothing in it. */
void ts_gather_put(struct ts_gather *g);
void ts_gather_pool_free(struct ts_mm_private *pm);

/* --- tables.c --- */
/* free_pgtables */
void ts_gather_free_tables(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                           uint64_t floor, uint64_t ceiling);
/* tlb_remove_table_sync_one */
void ts_table_sync(struct ts_task *self, struct ts_guest *guest);
/* The first n tables of the gather have been flushed: they go back, or to RCU. */
void ts_gather_tables_done(struct ts_task *self, struct ts_gather *g, uint32_t n);

/* --- mm.c --- */
/* The oracle is told: that leaves, the first *pte, are about to stand for [va, va + bytes), or that
 * a table is taken out of what the hardware sees. */
void ts_mm_note_mapped(struct ts_mm *mm, uint64_t va, uint64_t bytes, const struct ts_pte *pte);
/* ts_pgtable_map there, told. */
uint32_t ts_mm_map(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte);
void ts_mm_table_detached(struct ts_mm *mm, uint64_t address);
void ts_mm_read_lock(struct ts_task *self, struct ts_mm *mm);
void ts_mm_write_lock(struct ts_task *self, struct ts_mm *mm);
/* Waits until op's region has been mapped. False: it is gone, which is counted. */
bool ts_mm_wait_region(struct ts_task *self, struct ts_mm *mm, uint32_t region);
void ts_mm_wake_regions(struct ts_task *self, struct ts_mm *mm);
/* Joins what has been made or changed in [start, end) with its like and its neighbours. mmap_lock
 * is held for writing. */
void ts_mm_merge(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end);
/* lru_add_drain: what this CPU has queued goes onto the lists, under their lock. */
void ts_lru_drain(struct ts_task *self, struct ts_mm *mm);
/* [start, end) of op within its region, in whole pages. */
bool ts_mm_op_range(const struct ts_mm *mm, const struct ts_op *op, uint64_t *start, uint64_t *end);
/* do_vmi_align_munmap: mmap_lock is held for writing. downgrade: it is held for reading afterwards
 * if the guest does so. Returns true if it has been downgraded. */
bool ts_mm_unmap(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                 bool downgrade);

/* --- fault.c --- */
/* ts_guest_paths.fault of Linux. */
bool ts_mm_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write);

enum ts_fault_result {
    TS_FAULT_DONE,
    TS_FAULT_BAD,     /* the VMA does not allow it */
    TS_FAULT_RETRY,   /* again, under mmap_lock */
    TS_FAULT_FALLBACK /* go on with a page of 4K */
};
/* vmf_anon_prepare: the first private page of a VMA is prepared under mmap_lock. */
enum ts_fault_result ts_anon_prepare(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                     bool vma_locked);
/* An entry has been made more permissive by a fault; the page-table lock is held. */
void ts_fault_flush_upgraded(struct ts_task *self, struct ts_mm *mm, uint64_t va);

/* --- protect.c --- */
/* Takes the leaves of one table's part, [start, end), out of pt, into moved and moved_va. */
/* self has cleared the leaf at va, or taken write access from it: where stores wait, walks go on to
 * see *was until a DSB, for a while (arm64; on x86 what clears an entry is atomic, and a flush
 * raises tlb_gen by a locked operation before it asks who is to be told). */
void ts_mm_store_late(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                      const struct ts_pte *was);
void ts_mm_take_leaves(struct ts_mm_private *pm, struct ts_pgtable *pt, uint64_t start,
                       uint64_t end);

/* --- fork.c --- */
/* do_wp_page: a write to a present, read-only page of a VMA that allows it. */
enum ts_fault_result ts_mm_write_protected(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                           bool vma_locked);

/* --- folio.c --- */
/* Room to share every frame that there is. False: no memory. */
bool ts_frame_reserve_shares(struct ts_guest *g);
/* my_zero_pfn: everybody's page of zeroes, of which no mappings are counted. */
uint64_t ts_frame_zero(struct ts_guest *g);
bool ts_frame_is_zero(const struct ts_guest *g, uint64_t frame);
/* One mapping more of a 4K page, which nobody has exclusively now. */
void ts_frame_share(struct ts_guest *g, uint64_t frame);
/* Nobody else has the page and it may be written in place (PageAnonExclusive). */
bool ts_frame_exclusive(const struct ts_guest *g, uint64_t frame);
/* One mapping less, of 4K or of a huge page as one entry. Returns the 4K frames that have gone back
 * to the allocator with it. */
uint32_t ts_frame_put(struct ts_guest *g, uint64_t frame);
/* wp_can_reuse_anon_folio: if nobody else has it any more it is this mapping's for good. */
bool ts_frame_take_over(struct ts_guest *g, uint64_t frame);
/* A new huge page with one mapping. */
uint64_t ts_huge_alloc(struct ts_task *self, struct ts_guest *g);
/* Of the mappings by one entry of 2 MiB: one more; one becomes 512; do_huge_pmd_wp_page's test. */
void ts_huge_share(struct ts_guest *g, uint64_t frame);
void ts_huge_split(struct ts_guest *g, uint64_t frame);
bool ts_huge_take_over(struct ts_guest *g, uint64_t frame);

/* One mapping in all: of a page of 4K that is not part of a huge one, of a huge page by one entry.
 */
bool ts_frame_mapped_once(const struct ts_guest *g, uint64_t frame);
bool ts_huge_mapped_once(const struct ts_guest *g, uint64_t frame);
bool ts_frame_is_part_of_huge(const struct ts_guest *g, uint64_t frame);
/* split_folio: a huge page that has 512 mappings becomes as many pages. False: it has others. */
bool ts_huge_make_small(struct ts_guest *g, uint64_t frame);
/* !PG_swapbacked of an anonymous page, of 4K or of the huge page it is part of. It ends when the
 * page is freed. set: false if there is no memory. */
bool ts_frame_is_lazyfree(const struct ts_guest *g, uint64_t frame);
bool ts_frame_set_lazyfree(struct ts_guest *g, uint64_t frame, bool lazyfree);

/* --- huge.c --- */
enum ts_pmd {
    TS_PMD_NONE, /* neither; *skip_to is where the empty span ends */
    TS_PMD_TABLE,
    TS_PMD_HUGE /* a huge entry, perhaps one that the hardware does not see */
};
enum ts_pmd ts_mm_pmd(const struct ts_mm *mm, uint64_t va, uint64_t *skip_to);
/* Address of the last-level table that is there for va. */
uint64_t ts_mm_last_table(const struct ts_mm *mm, uint64_t va);
/* A page that is there for the kernel alone, and the table that its entry would be in; returns the
 * tables allocated. */
uint32_t ts_mm_map_hidden(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte);
/* The same in another table of entries that the hardware does not see. */
uint32_t ts_mm_map_beside(struct ts_mm *mm, struct ts_pgtable *beside, uint64_t va,
                          const struct ts_pte *pte);
/* One more table laid aside; one of them taken. */
void ts_huge_deposit(struct ts_task *self, struct ts_mm *mm);
bool ts_huge_deposit_table(struct ts_mm *mm, uint64_t table);
uint64_t ts_huge_withdraw(struct ts_mm *mm);
/* May the 2 MiB that hold va be a huge page of the VMA, by the settings and its place? */
bool ts_thp_is_allowed(const struct ts_mm *mm, const struct ts_vma *v, uint64_t va);
/* do_huge_pmd_anonymous_page, for an address without an entry of 4K; and a fault on a huge entry
 * that is there (do_huge_pmd_wp_page, huge_pmd_set_accessed). The VMA's lock or mmap_lock is held.
 */
enum ts_fault_result ts_huge_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write,
                                   bool vma_locked);
enum ts_fault_result ts_huge_access(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                    bool write);
void ts_flush_pmd_tlb_range(struct ts_task *self, struct ts_mm *mm, uint64_t base);
/* __split_huge_pmd: the entry at va, if it is a huge one, becomes a table of the same pages. */
void ts_split_huge_pmd(struct ts_task *self, struct ts_mm *mm, uint64_t va);
/* split_huge_pmd_if_needed: a VMA boundary comes to be at va. */
void ts_huge_split_at(struct ts_task *self, struct ts_mm *mm, uint64_t va);
/* zap_huge_pmd. False: there is no huge entry there by now. */
bool ts_huge_zap(struct ts_task *self, struct ts_gather *g, uint64_t base);
/* move_huge_pmd. False: not between these addresses. */
bool ts_huge_move(struct ts_task *self, struct ts_mm *mm, uint64_t from, uint64_t to);
/* copy_huge_pmd. False: there is no huge entry there by now. */
bool ts_huge_copy(struct ts_task *self, struct ts_mm *parent, struct ts_mm *child, uint64_t base);

#ifdef __cplusplus
}
#endif
#endif
