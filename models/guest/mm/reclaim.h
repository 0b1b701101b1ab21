/* SPDX-License-Identifier: Apache-2.0 */
/* Reclaim: unmaps whose flush waits for the end of a batch, and what decides which pages go.
 *
 * What is left out: LRU lists and their sizes (what kswapd looks at is found by a hand that goes
 * round over the address spaces, which is assumed), folios between 8K and 1 MiB, pages of PROT_NONE
 * mappings, and pages that several address spaces map, which stay. */
#ifndef TS_MODELS_GUEST_RECLAIM_H
#define TS_MODELS_GUEST_RECLAIM_H

#include "models/guest/mm/mm_private.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_SWAP_CLUSTER_MAX = 32 };

/* A page or a huge page on its way out. */
struct ts_folio {
    struct ts_mm *mm;
    uint64_t va, frame;
    bool huge;
};

/* Frames that wait for the flush: one, or the 512 of a huge page. */
struct ts_batch_frames {
    uint64_t frame;
    uint32_t n;
    bool kept; /* in the page cache: not freed by this */
};

/* tlbflush_unmap_batch (current->tlb_ubc) and the lists of one shrink_folio_list. Of one task at a
 * time; nothing waits in it between two calls. */
struct ts_unmap_batch {
    struct ts_unmap_batch *next, *next_made;
    struct ts_guest *guest;
    struct ts_cpumask cpus; /* arch.cpumask */
    bool flush_required;
    bool writable;     /* one of the entries was dirty: flush before it is written out */
    uint32_t *windows; /* of the oracle */
    uint32_t nwindows, windows_room;
    struct ts_folio folios[TS_TABLE_PTES];
    uint32_t nfolios;
    struct ts_batch_frames frames[TS_TABLE_PTES];
    uint32_t nframes, nfree;           /* nfree: of those, folios to be freed */
    struct ts_pte ptes[TS_TABLE_PTES]; /* of a huge page that is being split */
};

/* --- unmap_batch.c --- */
/* An empty one; put gives it back. Out of memory ends the run. */
struct ts_unmap_batch *ts_unmap_batch_get(struct ts_task *self, struct ts_guest *g);
void ts_unmap_batch_put(struct ts_unmap_batch *b);
void ts_unmap_batches_free(struct ts_guest *g);
/* try_to_unmap_flush, try_to_unmap_flush_dirty. No lock is held. */
void ts_unmap_flush(struct ts_task *self, struct ts_unmap_batch *b);
void ts_unmap_flush_dirty(struct ts_task *self, struct ts_unmap_batch *b);
/* An entry of 4K is unmapped in three steps under its table's lock. Time passes in the first and in
 * the last, not between them: whoever holds other locks than this one finds the entry or does not.
 * Defers: should_defer_flush. Clear: the entry, which is present, goes; returns the oracle's
 * window. Cleared: set_tlb_ubc_flush_pending, or a flush at once. */
bool ts_unmap_defers(struct ts_task *self, struct ts_mm *mm);
uint32_t ts_unmap_clear(struct ts_mm *mm, uint64_t va);
void ts_unmap_cleared(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t va,
                      bool dirty, bool defer, uint32_t window);

/* A page that has just been taken out of reach, and may be in TLBs: set_tlb_ubc_flush_pending and
 * try_to_unmap_flush, or ptep_clear_flush where the guest does not batch migrations (before 6.3).
 * The table's lock is held. */
void ts_unmap_flush_one(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm,
                        uint64_t va, bool dirty);

/* --- reclaim.c --- */
/* shrink_folio_list over b->folios, which is empty afterwards. references: a folio that has been
 * used since it was last looked at stays. */
void ts_shrink_folios(struct ts_task *self, struct ts_unmap_batch *b, bool references);
/* Looks at the next n pages, at most TS_SWAP_CLUSTER_MAX, of all address spaces, and reclaims those
 * not in use. Returns how many there were; 0: there is nothing at all. */
uint32_t ts_reclaim_next(struct ts_task *self, struct ts_guest *g, uint32_t n);
/* split_folio for the huge page that is mapped at va, by one entry or by 512: it becomes pages of
 * 4K. False: it is not mapped as a whole, or by others too. No lock is held. */
bool ts_split_folio(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t va);

#ifdef __cplusplus
}
#endif
#endif
