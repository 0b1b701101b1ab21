/* SPDX-License-Identifier: Apache-2.0 */
/* A page table whose entries lie in somebody else's memory, a virtual platform's, and are read
 * through a callback: for walks by ts_mmu, as stage 1 without a stage 2. What changes tables
 * (pgtable.h) must not be called for it; it may be walked, looked up, marked and destroyed.
 *
 * Formats: x86-64 (Intel SDM vol. 3A, 4.5, tables "Format of a Page-Table Entry..."), and the
 * 64-bit descriptors of Arm's stage 1 with 48 bits of address (Arm ARM, "VMSAv8-64 translation
 * table format descriptors"). Simplified: the leaf alone decides whether a page is writable, as
 * Linux leaves the entries above it open (_PAGE_TABLE, arch/x86/include/asm/pgtable_types.h;
 * PMD_TYPE_TABLE, arch/arm64); rights of execution and of user mode are not looked at; accessed
 * bits of entries above the leaf are not written. On Arm the hardware manages the access flag
 * (FEAT_HAFDBS), and the dirty state of descriptors with DBM set; others with AP[2] clear count as
 * dirty. */
#ifndef TS_MODELS_PGTABLE_FOREIGN_H
#define TS_MODELS_PGTABLE_FOREIGN_H

#include "models/mmu/pgtable.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_pt_format { TS_PT_X86_64 = 0, TS_PT_ARM64 = 1 };

struct ts_pt_memory {
    /* The 8 bytes at a physical address, a multiple of 8. False: a bus error; the walk ends as at
     * an entry that is not present. */
    bool (*read)(void *user, uint64_t address, uint64_t *value);
    /* Replaces old by value there, if it is still old; false: it was not, or a bus error. NULL:
     * accessed and dirty bits are not written. */
    bool (*update)(void *user, uint64_t address, uint64_t old, uint64_t value);
    void *user;
};

/* x86-64: 4K granule, 4 or 5 levels; Arm: 4, 4 or 3 levels by granule. memory is copied. The root
 * is 0 at first. */
enum ts_status ts_pgtable_create_foreign(struct ts_pgtable **out, enum ts_pt_format format,
                                         enum ts_granule granule, uint32_t levels,
                                         const struct ts_pt_memory *memory, struct ts_error *err);
/* Physical address of the top table, whole tables. */
void ts_pgtable_set_root(struct ts_pgtable *pt, uint64_t root);
/* Has a read failed since the last call? */
bool ts_pgtable_bus_error(struct ts_pgtable *pt);

#ifdef __cplusplus
}
#endif
#endif
