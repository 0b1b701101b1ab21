/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of tables in somebody else's memory. */
#include "models/mmu/pgtable_foreign.h"

#include <stdlib.h>

#include "models/mmu/pgtable_private.h"

/* Intel SDM vol. 3A, 4.5. */
#define X86_P (UINT64_C(1) << 0)
#define X86_RW (UINT64_C(1) << 1)
#define X86_A (UINT64_C(1) << 5)
#define X86_D (UINT64_C(1) << 6)
#define X86_PS (UINT64_C(1) << 7)
#define X86_G (UINT64_C(1) << 8)
#define X86_ADDRESS UINT64_C(0x000ffffffffff000) /* 51:12 */

/* Arm ARM, "VMSAv8-64 translation table format descriptors". */
#define ARM_VALID (UINT64_C(1) << 0)
#define ARM_TABLE (UINT64_C(1) << 1) /* a page, at the last level */
#define ARM_AP2 (UINT64_C(1) << 7)   /* read-only */
#define ARM_AF (UINT64_C(1) << 10)
#define ARM_NG (UINT64_C(1) << 11)
#define ARM_DBM (UINT64_C(1) << 51)
#define ARM_CONTIGUOUS (UINT64_C(1) << 52)
#define ARM_ADDRESS UINT64_C(0x0000fffffffff000) /* 47:12 */

struct pt_foreign {
    enum ts_pt_format format;
    struct ts_pt_memory memory;
    uint64_t root;
    bool bus_error;
    /* The leaf of the last walk, for the mark that follows it. */
    uint64_t leaf_va, leaf_address, leaf_entry;
    bool has_leaf;
};

enum ts_status ts_pgtable_create_foreign(struct ts_pgtable **out, enum ts_pt_format format,
                                         enum ts_granule granule, uint32_t levels,
                                         const struct ts_pt_memory *memory, struct ts_error *err)
{
    uint32_t most = granule == TS_GRANULE_64K ? 3 : 4;
    if (format == TS_PT_X86_64 ? granule != TS_GRANULE_4K || (levels != 4 && levels != 5)
                               : levels != most)
        return ts_error_set(err, TS_ERR_USER, "no page table has this format with %u levels",
                            levels);
    struct ts_pgtable *pt = calloc(1, sizeof(*pt));
    struct pt_foreign *foreign = calloc(1, sizeof(*foreign));
    if (!pt || !foreign) {
        free(pt);
        free(foreign);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a page table");
    }
    foreign->format = format;
    foreign->memory = *memory;
    pt->foreign = foreign;
    pt->granule = (uint8_t)granule;
    pt->bits = (uint8_t)ts_granule_bits(granule);
    pt->last = (1u << pt->bits) - 1u;
    pt->levels = levels;
    for (uint32_t l = 0; l <= levels; l++)
        pt->shift[l] = (uint8_t)ts_granule_level_shift(granule, l);
    *out = pt;
    return TS_OK;
}

void ts_pt_destroy_foreign_(struct ts_pgtable *pt)
{
    free(pt->foreign);
    free(pt);
}

void ts_pgtable_set_root(struct ts_pgtable *pt, uint64_t root)
{
    TS_ASSERT(pt->foreign);
    pt->foreign->root = root;
}

uint64_t ts_pt_root_foreign_(const struct ts_pgtable *pt)
{
    return pt->foreign->root;
}

bool ts_pgtable_bus_error(struct ts_pgtable *pt)
{
    bool failed = pt->foreign->bus_error;
    pt->foreign->bus_error = false;
    return failed;
}

enum found { NOT_PRESENT, A_TABLE, A_LEAF };

static enum found decode_x86(uint64_t entry, uint32_t level, struct ts_pte *pte)
{
    if (!(entry & X86_P))
        return NOT_PRESENT;
    pte->target = entry & X86_ADDRESS;
    /* PML4 and PML5 entries have no PS bit (reserved). */
    if (level > 0 && (level > 2 || !(entry & X86_PS)))
        return A_TABLE;
    pte->writable = (entry & X86_RW) != 0;
    pte->global = (entry & X86_G) != 0;
    pte->accessed = (entry & X86_A) != 0;
    pte->dirty = (entry & X86_D) != 0;
    return A_LEAF;
}

static enum found decode_arm(const struct ts_pgtable *pt, uint64_t entry, uint32_t level,
                             struct ts_pte *pte)
{
    if (!(entry & ARM_VALID))
        return NOT_PRESENT;
    pte->target = entry & ARM_ADDRESS;
    if (level > 0 && (entry & ARM_TABLE))
        return A_TABLE;
    /* A block where there is none, or 0b01 at the last level: reserved, as not valid. */
    if (level == 0 ? !(entry & ARM_TABLE) : level >= ts_granule_leaf_levels(pt->granule))
        return NOT_PRESENT;
    pte->writable = !(entry & ARM_AP2) || (entry & ARM_DBM);
    pte->global = !(entry & ARM_NG);
    pte->accessed = (entry & ARM_AF) != 0;
    pte->dirty = !(entry & ARM_AP2);
    pte->contiguous = (entry & ARM_CONTIGUOUS) != 0;
    return A_LEAF;
}

uint32_t ts_pt_walk_foreign_(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                             uint64_t start_table, uint64_t *fetch, uint8_t *levels_seen,
                             bool *found, struct ts_pte *pte)
{
    struct pt_foreign *f = pt->foreign;
    uint64_t table = start_table;
    uint32_t n = 0;
    *found = false;
    f->has_leaf = false;
    for (uint32_t level = start_level;; level--) {
        uint64_t address = table + pt_index(pt, va, level) * sizeof(uint64_t), entry = 0;
        struct ts_pte leaf = {.level = (uint8_t)level, .size_shift = pt->shift[level]};
        fetch[n] = address;
        levels_seen[n++] = (uint8_t)level;
        if (!f->memory.read(f->memory.user, address, &entry)) {
            f->bus_error = true;
            return n;
        }
        enum found what = f->format == TS_PT_X86_64 ? decode_x86(entry, level, &leaf)
                                                    : decode_arm(pt, entry, level, &leaf);
        if (what == NOT_PRESENT)
            return n;
        /* Low address bits of a leaf or table are flags, reserved or zero. */
        uint32_t shift = what == A_LEAF ? leaf.size_shift : ts_granule_shift(pt->granule);
        leaf.target = leaf.target >> shift << shift;
        if (what == A_LEAF) {
            f->leaf_va = va;
            f->leaf_address = address;
            f->leaf_entry = entry;
            f->has_leaf = *found = true;
            *pte = leaf;
            return n;
        }
        table = leaf.target;
    }
}

bool ts_pt_lookup_foreign_(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out)
{
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    bool found;
    (void)ts_pt_walk_foreign_(pt, va, pt->levels - 1, pt->foreign->root, fetch, levels, &found,
                              out);
    return found;
}

/* Somebody else may have changed the entry in between: then nothing is written, as a locked update
 * fails, and the next walk sees what stands there. */
bool ts_pt_mark_foreign_(struct ts_pgtable *pt, uint64_t va, bool dirty)
{
    struct pt_foreign *f = pt->foreign;
    struct ts_pte pte;
    if (!f->memory.update ||
        ((!f->has_leaf || f->leaf_va != va) && !ts_pt_lookup_foreign_(pt, va, &pte)))
        return false;
    uint64_t value = f->leaf_entry;
    if (f->format == TS_PT_X86_64) {
        value |= X86_A | (dirty ? X86_D : 0);
    } else {
        value |= ARM_AF;
        if (dirty && (value & ARM_DBM))
            value &= ~ARM_AP2;
    }
    if (value == f->leaf_entry ||
        !f->memory.update(f->memory.user, f->leaf_address, f->leaf_entry, value))
        return false;
    f->leaf_entry = value;
    return true;
}
