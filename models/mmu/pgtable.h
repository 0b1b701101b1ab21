/* SPDX-License-Identifier: Apache-2.0 */
/* A radix page table of 2 to 5 levels in one of the granules (granule.h). Level 0 is the last.
 * Tables are allocated from the table's own pool and freed when their last entry goes, which the
 * caller is told: that is freed_tables of the kernel's mmu_gather. Every table has a physical
 * address so that walkers can charge each fetch where it lies.
 *
 * Memory: a table with few entries is stored as a short list, a full one as an array. What
 * ts_pgtable_map_run maps is stored as runs: an entry stands for the whole subtree below it, leaves
 * with ascending targets and equal flags, so terabytes cost kilobytes. A run's tables have
 * addresses as if they were there, and a walk through them fetches what it would fetch. The first
 * change of a part of a run replaces it by tables of smaller runs, down to the leaf changed, at the
 * same addresses. A change of all of it, clearing it included, leaves it a run. ts_pgtable_bytes
 * reports what is used.
 *
 * A table remembers the last way taken through it, const calls included: no two threads may use one
 * at once. */
#ifndef TS_MODELS_PGTABLE_H
#define TS_MODELS_PGTABLE_H

#include "models/tlb/granule.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_PT_LEVELS_MAX 5u
/* log2 of the bytes that one entry of a table of the level covers; 4K granule. */
#define TS_PT_SHIFT(level) (12u + 9u * (level))

struct ts_pgtable;

struct ts_pte {
    uint64_t target;    /* physical address of the page */
    uint8_t size_shift; /* of the granule's leaf of this level, also in a contiguous run */
    uint8_t level;
    bool writable;
    bool global;
    bool accessed, dirty;
    bool contiguous; /* one of a contiguous run: a hint to TLBs. Aligning the run is the caller's */
};

/* Where an address that the leaf covers leads. */
static inline uint64_t ts_pte_address(const struct ts_pte *pte, uint64_t address)
{
    return pte->target + (address & ((UINT64_C(1) << pte->size_shift) - 1));
}

/* Addresses of the table pages themselves come from alloc_table (an intermediate-physical or
 * physical address of a fresh frame of the granule's size) and go back through free_table. */
struct ts_pt_frames {
    uint64_t (*alloc_table)(void *user);
    void (*free_table)(void *user, uint64_t address);
    void *user;
    /* count neighbouring frames, at least 2, lowest address, for the tables of one run; NULL: no
     * runs are stored, every table is real. (The one table of a run with no more comes from
     * alloc_table.) They go back through free_run as they came, if it is not NULL and all of them
     * go while no part of the run was ever changed by itself; else one by one through free_table,
     * deeper tables first. */
    uint64_t (*alloc_run)(void *user, uint64_t count);
    void (*free_run)(void *user, uint64_t address, uint64_t count);
    /* The host has no memory for a change, which was made in part or not at all. From now on the
     * tables may be looked at, changed and destroyed, but what they say is worthless: the owner
     * ends the run. Called at each such change. NULL: the owner asks ts_pgtable_out_of_memory. */
    void (*no_memory)(void *user);
};

/* 4 or 5 levels with the 4K granule, 3 or 4 with 16K, 2 or 3 with 64K: VAs of 48 and 57, 47 and 58,
 * 42 and 55 bits. */
enum ts_status ts_pgtable_create(struct ts_pgtable **out, enum ts_granule granule, uint32_t levels,
                                 const struct ts_pt_frames *frames, struct ts_error *err);
/* Gives every table back, those of entries broken and not made again too. */
void ts_pgtable_destroy(struct ts_pgtable *pt);

/* Addresses: the low bits that the levels translate count. A range [start,end) lies in one window
 * of that size; an end beyond it is taken as the window's, and 0 after a start that is not is 2^64.
 * Leaves must lie in a range as a whole: a caller that means a part of a large page splits it
 * first. */

/* Maps one page; va and target aligned to the size; nothing may stand there, not even an empty
 * table (the kernel's pmd_none: see ts_pgtable_can_map). Returns the number of table pages that had
 * to be allocated. */
uint32_t ts_pgtable_map(struct ts_pgtable *pt, uint64_t va, const struct ts_pte *pte);
/* Maps pages neighbouring leaves, the first at va as *pte says, the targets ascending. The same
 * result as that many ts_pgtable_map, as runs. */
uint64_t ts_pgtable_map_run(struct ts_pgtable *pt, uint64_t va, uint64_t pages,
                            const struct ts_pte *pte);
/* Neither a leaf nor a table stands where a leaf of this level for va would go, nor is the entry
 * broken. */
bool ts_pgtable_can_map(const struct ts_pgtable *pt, uint64_t va, uint32_t level);
/* Replaces the large leaf that covers va by a table of leaves one level down with the same flags;
 * returns the table pages allocated, 0 if no large leaf covers va. */
uint32_t ts_pgtable_split(struct ts_pgtable *pt, uint64_t va);
/* A leaf that covers va, or false. */
bool ts_pgtable_lookup(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out);
/* Do the leaves of the last-level table that va's is in fill it, all with the flags of the first,
 * each with the target that follows? *first is that. False: perhaps not. */
bool ts_pgtable_is_even(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *first);
/* Sets accessed (and dirty) on va's leaf; true if a bit changed. */
bool ts_pgtable_mark(struct ts_pgtable *pt, uint64_t va, bool dirty);
/* The opposite: clears accessed (and dirty, if clean) of va's leaf; true if a bit changed. */
bool ts_pgtable_age(struct ts_pgtable *pt, uint64_t va, bool clean);
/* Changes the permission of leaves in [start,end); calls fn (may be NULL) for each changed leaf, as
 * it is now. No fn may change the table or look at it. */
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
/* Moves the last-level table that stands for from, empty or not, to where nothing stands for to;
 * both aligned to its span (Linux mm/mremap.c move_normal_pmd). Returns the tables allocated above
 * it; those above its old place stay, even empty. A walk from the table itself goes on in it. */
uint32_t ts_pgtable_move_table(struct ts_pgtable *pt, uint64_t from, uint64_t to);
/* One walk as hardware does it, from the top or from the table of start_level at start_table (as a
 * walk cache gives it): addresses of the entries fetched, top first, into fetch[]; returns their
 * number. *found says whether the last is a leaf, then *pte holds it. levels_seen[i] is the level
 * of the table fetched from. A start_table that is no longer where va's table of that level is: if
 * it is another live table of the level, the walk goes on in it, as hardware would with a stale
 * walk cache; if it was freed, its one entry fetched counts as not present. */
uint32_t ts_pgtable_walk(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                         uint64_t start_table, uint64_t fetch[TS_PT_LEVELS_MAX],
                         uint8_t levels_seen[TS_PT_LEVELS_MAX], bool *found, struct ts_pte *pte);
/* Break-before-make (Arm ARM, "Using break-before-make when updating translation table entries";
 * KVM: arch/arm64/kvm/hyp/pgtable.c stage2_try_break_pte, stage2_make_pte). break_entry takes what
 * stands at the level for va, leaf or table, out of the tables; a walk then finds nothing there.
 * The caller invalidates TLBs, then makes: a leaf in its place, for which the table and all below
 * it is freed; or, for a leaf broken, a table of leaves of the next level down with the same
 * targets and flags; or restores what stood there. Between the two no other change of this span is
 * allowed; the table that the entry is in stays. A walk from a table taken out goes on in it, as
 * with a stale walk cache. */
struct ts_pt_broken {
    uint64_t va;
    uint32_t level;
    bool was_table;
    uint64_t held; /* private */
};
/* False if nothing stands at that level for va. */
bool ts_pgtable_break(struct ts_pgtable *pt, uint64_t va, uint32_t level, struct ts_pt_broken *out);
/* Returns the tables freed. */
uint64_t ts_pgtable_make_leaf(struct ts_pgtable *pt, const struct ts_pt_broken *broken,
                              const struct ts_pte *pte);
/* Returns the tables allocated: 1. broken is a leaf above level 0. */
uint32_t ts_pgtable_make_table(struct ts_pgtable *pt, const struct ts_pt_broken *broken);
void ts_pgtable_make_again(struct ts_pgtable *pt, const struct ts_pt_broken *broken);
/* Does the walk of va pass through the table of this level at this address? */
bool ts_pgtable_has_table(const struct ts_pgtable *pt, uint64_t va, uint32_t level, uint64_t table);
enum ts_granule ts_pgtable_granule(const struct ts_pgtable *pt);
uint32_t ts_pgtable_levels(const struct ts_pgtable *pt);
/* Physical (or intermediate-physical) address of the top table. */
uint64_t ts_pgtable_root(const struct ts_pgtable *pt);
uint64_t ts_pgtable_leaves(const struct ts_pgtable *pt);
/* Table pages that the modelled machine has, those of runs included. */
uint64_t ts_pgtable_tables(const struct ts_pgtable *pt);
/* no_memory was or would have been called. */
bool ts_pgtable_out_of_memory(const struct ts_pgtable *pt);
/* Bytes that this structure takes in the simulator, free pool included. */
uint64_t ts_pgtable_bytes(const struct ts_pgtable *pt);

#ifdef __cplusplus
}
#endif
#endif
