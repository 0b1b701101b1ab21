/* SPDX-License-Identifier: Apache-2.0 */
/* One set-associative translation structure: an L1 or L2 TLB, a walk cache. Keys are
 * {kind, VMID, ASID or global, EP4TA, thread, page number at a page size}. A look-up probes each
 * page size the structure holds. Pure state: no time passes inside; the MMU charges cycles. */
#ifndef TS_MODELS_TLB_H
#define TS_MODELS_TLB_H

#include "models/tlb/inval.h"
#include "models/tlb/replacement.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_TLB_SIZES_MAX 16u

struct ts_tlb_geometry {
    uint32_t entries; /* 0: the structure does not exist (every look-up misses) */
    uint32_t ways;  /* divides entries; ways == entries: fully associative; entries/ways is a power
                       of two */
    uint8_t nsizes; /* page sizes it may hold, ascending log2, 12 to 56 */
    uint8_t size_shift[TS_TLB_SIZES_MAX];
    const struct ts_replacement_ops *replacement;
};

struct ts_tlb_entry {
    struct ts_tlb_tags tags;
    uint64_t target; /* physical (or table) address of base */
    bool writable;
    bool fractured;       /* guest page larger than the host page behind it */
    bool stage1_writable; /* combined entries of two stages: a denied write is stage 2's */
    bool dirty;           /* the dirty bit is known to be set: a write needs no walk */
};

struct ts_tlb_counters {
    uint64_t lookups, hits, misses; /* lookups == hits + misses */
    uint64_t fills, evictions;
    uint64_t invalidated, flushes; /* entries dropped; invalidations of all addresses */
};

/* What a look-up is made for. */
struct ts_tlb_space {
    uint16_t vmid;
    uint16_t asid;
    uint16_t ep4ta;
    uint8_t thread;
};
#define TS_TLB_THREADS_MAX 8u

/* The space as one number, made once for many look-ups. Stage-2 kinds have no ASID: it is ignored.
 */
static inline uint64_t ts_tlb_key(enum ts_tlb_kind kind, struct ts_tlb_space space)
{
    uint64_t asid = kind >= TS_TLB_STAGE2_LEAF ? 0 : space.asid;
    return (uint64_t)kind | asid << 3 | (uint64_t)space.vmid << 19 | (uint64_t)space.ep4ta << 35 |
           (uint64_t)space.thread << 51;
}

struct ts_tlb;
/* What ts_tlb_create refuses as a user's error. */
enum ts_status ts_tlb_check_geometry(const struct ts_tlb_geometry *geometry, struct ts_error *err);
enum ts_status ts_tlb_create(struct ts_tlb **out, const struct ts_tlb_geometry *geometry,
                             uint64_t seed, uint64_t instance, struct ts_error *err);
void ts_tlb_destroy(struct ts_tlb *t);
/* The matching entry, which counts as used, or NULL. key: ts_tlb_key. The pointer is good until the
 * next call. Where several match, the smallest page wins, then a non-global one before a global one
 * (hardware may use any of them: SDM 4.10.2.3; Arm ARM, TLB conflict). Addresses are canonical for
 * 57 bits. */
const struct ts_tlb_entry *ts_tlb_lookup(struct ts_tlb *t, uint64_t key, uint64_t address);
/* The same without statistics or replacement state. */
bool ts_tlb_probe(const struct ts_tlb *t, uint64_t key, uint64_t address, struct ts_tlb_entry *out);
/* Does another entry, of a size other than shift, match as well? (A TLB conflict on Arm.) */
bool ts_tlb_probe_other(const struct ts_tlb *t, uint64_t key, uint64_t address, uint8_t shift);
/* Page sizes that a look-up that misses has to probe now: those that came since the structure was
 * last empty. */
uint32_t ts_tlb_active_sizes(const struct ts_tlb *t);
/* Replaces an entry with the same key (kind, VMID, ASID or global, EP4TA, thread, size, page),
 * takes the lowest invalid way, or evicts. The entry's size must be one the structure holds;
 * returns false and does nothing otherwise. *evicted (may be NULL) is set when a valid entry had to
 * go. */
bool ts_tlb_insert(struct ts_tlb *t, const struct ts_tlb_entry *entry, struct ts_tlb_entry *evicted,
                   bool *did_evict);
/* Drops the one entry with these tags (size and page too), if it is there: an eviction by hand, and
 * counted as one. */
bool ts_tlb_remove(struct ts_tlb *t, const struct ts_tlb_tags *tags, struct ts_tlb_entry *removed);
/* Drops what matches. Returns the entries dropped; *work (may be NULL) gets the number of sets the
 * hardware has to look at: for an address form one for each page of each size it may hold, but
 * never more than there are, and all of them while a page is cached in pieces; all sets for a form
 * that selects by tag; 0 for a flash clear whatever the tags. (The simulator itself selects by
 * generation tags: a flush by VMID or ASID costs it the number of address spaces dropped, not
 * entries.) */
uint32_t ts_tlb_invalidate(struct ts_tlb *t, const struct ts_tlb_inval *inval, uint32_t *work);
/* Valid entries now, for tests and the oracle: calls fn for each. */
void ts_tlb_for_each(const struct ts_tlb *t, void (*fn)(void *user, const struct ts_tlb_entry *e),
                     void *user);
uint32_t ts_tlb_valid_count(const struct ts_tlb *t);
/* Valid entries that are pieces of a larger page (size below that of their level). */
uint32_t ts_tlb_piece_count(const struct ts_tlb *t);
uint32_t ts_tlb_sets(const struct ts_tlb *t);
bool ts_tlb_holds_size(const struct ts_tlb *t, uint8_t size_shift);
const struct ts_tlb_counters *ts_tlb_counters(const struct ts_tlb *t);

#ifdef __cplusplus
}
#endif
#endif
