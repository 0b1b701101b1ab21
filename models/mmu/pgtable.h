/* SPDX-License-Identifier: Apache-2.0 */
/* A radix page table of 4 or 5 levels with 512 entries a table (x86-64 and arm64 4K granule).
 * Level 0 is the last (4K pages); a leaf at level 1 is 2M, at level 2 is 1G. Tables are allocated
 * from the table's own pool and freed when their last entry goes, which the caller is told: that is
 * freed_tables of the kernel's mmu_gather. Every table has a physical address so that walkers can
 * charge each fetch where it lies. */
#ifndef TS_MODELS_PGTABLE_H
#define TS_MODELS_PGTABLE_H

#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_PT_LEVELS_MAX 5u
/* log2 of the bytes that one entry of a table of the level covers. */
#define TS_PT_SHIFT(level) (12u + 9u * (level))

struct ts_pgtable;

struct ts_pte {
    uint64_t target;    /* physical address of the page */
    uint8_t size_shift; /* 12, 21, 30 */
    uint8_t level;
    bool writable;
    bool global;
    bool accessed, dirty;
};

/* Addresses of the table pages themselves come from alloc_table (an intermediate-physical or
 * physical address of a fresh 4K frame) and go back through free_table. */
struct ts_pt_frames {
    uint64_t (*alloc_table)(void *user);
    void (*free_table)(void *user, uint64_t address);
    void *user;
};

enum ts_status ts_pgtable_create(struct ts_pgtable **out, uint32_t levels,
                                 const struct ts_pt_frames *frames, struct ts_error *err);
/* Gives every table back through free_table. */
void ts_pgtable_destroy(struct ts_pgtable *pt);

/* Addresses: the low 12 + 9 * levels bits count. A range [start,end) lies in one window of that
 * size; an end beyond it is taken as the window's, and 0 after a start that is not is 2^64. Leaves
 * must lie in a range as a whole: a caller that means a part of a large page splits it first. */

/* Maps one page; va and target aligned to the size; nothing may stand there, not even an empty
 * table (the kernel's pmd_none: see ts_pgtable_can_map). Returns the number of table pages that had
 * to be allocated. */
uint32_t ts_pgtable_map(struct ts_pgtable *pt, uint64_t va, const struct ts_pte *pte);
/* Neither a leaf nor a table stands where a leaf of this level for va would go. */
bool ts_pgtable_can_map(const struct ts_pgtable *pt, uint64_t va, uint32_t level);
/* Replaces the large leaf that covers va by a table of leaves one level down with the same flags;
 * returns the table pages allocated, 0 if no large leaf covers va. */
uint32_t ts_pgtable_split(struct ts_pgtable *pt, uint64_t va);
/* A leaf that covers va, or false. */
bool ts_pgtable_lookup(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out);
/* Sets accessed (and dirty) on va's leaf; true if a bit changed. */
bool ts_pgtable_mark(struct ts_pgtable *pt, uint64_t va, bool dirty);
/* Changes the permission of leaves in [start,end); calls fn (may be NULL) for each changed leaf, as
 * it is now. No fn may change the table. */
typedef void ts_pt_leaf_fn(void *user, uint64_t va, const struct ts_pte *pte);
uint64_t ts_pgtable_protect(struct ts_pgtable *pt, uint64_t start, uint64_t end, bool writable,
                            ts_pt_leaf_fn *fn, void *user);
/* Clears leaves in [start,end) in ascending order, at most max of them; fn sees each leaf as it
 * was. Stops after max and stores where to go on in *resume (end when done). Returns leaves
 * cleared. Tables stay, even empty ones: see ts_pgtable_free_tables. */
uint64_t ts_pgtable_clear(struct ts_pgtable *pt, uint64_t start, uint64_t end, uint64_t max,
                          ts_pt_leaf_fn *fn, void *user, uint64_t *resume);
/* Frees tables whose whole span lies in [floor, ceiling) and that hold no leaf in it, as the
 * kernel's free_pgtables does with the neighbouring VMAs' bounds; start itself decides only which
 * tables are looked at. A ceiling of 0 is none. freed[level] counts them (level 0: tables of 4K
 * entries); returns the total. The root stays. */
uint32_t ts_pgtable_free_tables(struct ts_pgtable *pt, uint64_t start, uint64_t end, uint64_t floor,
                                uint64_t ceiling, uint32_t freed[TS_PT_LEVELS_MAX]);
/* One walk as hardware does it, from the top or from the table of start_level at start_table (as a
 * walk cache gives it): addresses of the entries fetched, top first, into fetch[]; returns their
 * number. *found says whether the last is a leaf, then *pte holds it. levels_seen[i] is the level
 * of the table fetched from. A start_table that is no longer where va's table of that level is: if
 * it is another live table of the level, the walk goes on in it, as hardware would with a stale
 * walk cache; if it was freed, its one entry fetched counts as not present. */
uint32_t ts_pgtable_walk(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                         uint64_t start_table, uint64_t fetch[TS_PT_LEVELS_MAX],
                         uint8_t levels_seen[TS_PT_LEVELS_MAX], bool *found, struct ts_pte *pte);
uint32_t ts_pgtable_levels(const struct ts_pgtable *pt);
/* Physical (or intermediate-physical) address of the top table. */
uint64_t ts_pgtable_root(const struct ts_pgtable *pt);
uint64_t ts_pgtable_leaves(const struct ts_pgtable *pt);
uint64_t ts_pgtable_tables(const struct ts_pgtable *pt);

#ifdef __cplusplus
}
#endif
#endif
