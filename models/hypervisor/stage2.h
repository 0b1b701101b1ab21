/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's memory of one VM: memslots, mmu_lock, the stage-2 table and what changes it.
 *
 * | what          | does                                          | Linux, arch/arm64/kvm        |
 * |---------------|-----------------------------------------------|------------------------------|
 * | fault         | maps or relaxes, mmu_lock shared since 6.2    | mmu.c user_mem_abort         |
 * | map           | over nothing: no TLBI; a table for a block,   | hyp/pgtable.c                |
 * |               | or a block for a table: break before make     | stage2_map_walker            |
 * | relax         | TLBI on this CPU only since 6.5               | ..._relax_perms              |
 * | unmap         | 1 GiB at a time; TLBI for each entry, or one  | stage2_unmap_walker,         |
 * |               | of the range behind it                        | stage2_apply_range           |
 * | write-protect | 1 GiB at a time, then one flush of the slot   | kvm_mmu_wp_memory_region     |
 *
 * An entry that is being broken is locked: whoever finds it gives up (-EAGAIN), and its vCPU
 * enters, faults again and comes back. Tables that a block has taken the place of are freed behind
 * RCU, which costs the fault nothing.
 *
 * On x86 a VM has the same object for EPT violations that map or relax (tdp_mmu.c
 * kvm_tdp_mmu_map: shared lock, no flush over nothing); the operations of VMM threads are arm64's.
 *
 * Simplified: get_user_pages always succeeds and costs the same; the guest's kernel does not write
 * its page tables through stage 2, so they are never dirty; S2FWB spares cache maintenance or, when
 * it is off, only stands for the flushes that unmap then makes one by one. */
#ifndef TS_MODELS_HYP_STAGE2_H
#define TS_MODELS_HYP_STAGE2_H

#include "models/hypervisor/host_rwlock.h"
#include "models/hypervisor/host_tlb.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_stage2_unmap_flush {
    TS_UNMAP_FLUSH_EACH = 0,     /* each leaf and each table, by IPA */
    TS_UNMAP_FLUSH_DEFERRED = 1, /* with FEAT_TLBIRANGE and S2FWB one range behind all of it */
    TS_UNMAP_FLUSH_LEAVES = 2    /* the same, but tables still at once */
};

/* Slot 0 is there from the start, hypervisor.memory bytes at 0, and is where the guest's kernel has
 * its memory. The others lie above TS_STAGE2_SLOTS_FROM. */
enum { TS_STAGE2_SLOTS = 8 };
#define TS_STAGE2_SLOTS_FROM (UINT64_C(1) << 42)

struct ts_memslot {
    bool live;
    uint64_t base, size; /* whole pages of the backing */
    uint8_t level;       /* of the backing: 0 4K, 1 2M, 2 1G */
    bool logging;        /* KVM_MEM_LOG_DIRTY_PAGES */
};

struct ts_stage2_stats {
    uint64_t faults; /* rule: translation and permission */
    uint64_t faults_translation, faults_permission;
    uint64_t fault_retry; /* -EAGAIN: locked, already there, or notified meanwhile; of the faults */
    uint64_t mapped;      /* leaves that a fault made; rule: over nothing, collapse, split */
    uint64_t mapped_new, collapsed, split;
    uint64_t relaxed;
    uint64_t dirtied; /* mark_page_dirty_in_slot while logging */
    uint64_t unmapped_pages, unmapped_blocks, unmapped_tables;
    uint64_t protected_leaves;
    uint64_t flush_ipa, flush_ipa_local, flush_range, flush_vmid; /* calls of the hypervisor's */
    uint64_t lock_waits;                                          /* mmu_lock */
    uint64_t lock_breaks; /* mmu_lock let go between two GiB because another task waits */
    uint64_t unmap_ps;    /* kvm_arch_flush_shadow_memslot and notifiers, locks included */
    uint64_t vmid_rollovers;
};
extern const struct ts_stat_table ts_stage2_stat_table; /* group "stage2" */

struct ts_stage2_locked;
struct ts_stage2_moved;

struct ts_stage2 {
    struct ts_hypervisor *hyp;
    struct ts_vm *vm;
    struct ts_host_rwlock mmu_lock;
    struct ts_memslot slots[TS_STAGE2_SLOTS];
    struct ts_stage2_stats stats;
    /* --- private --- */
    struct ts_stage2_locked *locked; /* entries that somebody breaks, on their stacks */
    uint64_t invalidate_seq;
    uint32_t invalidating;
    struct ts_task *slots_owner; /* slots_lock */
    struct ts_task *slots_waiters;
    struct ts_stage2_moved *moved;
    uint32_t nmoved, moved_room;
};

static inline uint64_t ts_stage2_bytes(uint32_t level)
{
    return UINT64_C(1) << TS_PT_SHIFT(level);
}

/* --- construction (hypervisor.c) --- */
void ts_stage2_init(struct ts_stage2 *s, struct ts_hypervisor *h, struct ts_vm *vm, uint32_t core);
void ts_stage2_fini(struct ts_stage2 *s);
/* The frame that stands behind a guest-physical page of the level. */
uint64_t ts_stage2_frame(const struct ts_stage2 *s, uint64_t ipa);
/* Sum over all VMs. */
void ts_stage2_stats_of(const struct ts_hypervisor *h, struct ts_stage2_stats *sum);
/* Has anything of this been used? */
bool ts_stage2_is_used(const struct ts_hypervisor *h);

/* --- faults --- */

/* A stage-2 abort or EPT violation of guest code `self`: exits, sees to it, enters. The access is
 * then made again, and may fault again. */
void ts_hypervisor_stage2_fault(struct ts_task *self, const struct ts_stage2_abort *report);

/* --- what VMM threads do (host_task.h); self: a thread of the host --- */

/* KVM_SET_USER_MEMORY_REGION. base from TS_STAGE2_SLOTS_FROM on, no overlap: checked before
 * (ts_stage2_slot_check). */
enum ts_status ts_stage2_slot_check(const struct ts_stage2 *s, uint32_t slot, uint64_t base,
                                    uint64_t size, uint32_t level, struct ts_error *err);
void ts_stage2_slot_add(struct ts_task *self, struct ts_stage2 *s, uint32_t slot, uint64_t base,
                        uint64_t size, uint32_t level);
void ts_stage2_slot_delete(struct ts_task *self, struct ts_stage2 *s, uint32_t slot);
void ts_stage2_slot_log(struct ts_task *self, struct ts_stage2 *s, uint32_t slot, bool on);
/* mmu_notifier_invalidate_range_start and _end around the host's move of the pages of [start, start
 * + length), rounded out to whole pages of the backing: they are mapped by faults again, from other
 * frames. */
void ts_stage2_notify(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t length);
/* All of the slot as its vCPUs' writes would have left it, with leaves of the level, in no time. */
void ts_stage2_slot_fill(struct ts_stage2 *s, uint32_t slot, uint32_t level);
/* Each block of the slot, mapped or not, as KVM_UPDATE_MAPPINGS of kvm_page_table_test leaves it
 * (hugetlb: guest_code writes page 0 while dirty logging is on, and reads the upper half): a table
 * with page 0, writable, and pages 256 to 511, which may be read. In no time and without a flush:
 * no vCPU has used the slot. */
void ts_stage2_slot_split(struct ts_stage2 *s, uint32_t slot);

/* --- the table (stage2_table.c); mmu_lock is held --- */

/* What is mapped there. */
struct ts_pte ts_stage2_leaf(const struct ts_stage2 *s, uint64_t ipa, uint32_t level,
                             bool writable);
enum ts_stage2_result { TS_STAGE2_DONE, TS_STAGE2_AGAIN };
/* Shared is enough. kvm_pgtable_stage2_map of the page or block of the level at ipa. */
enum ts_stage2_result ts_stage2_map(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa,
                                    uint32_t level, bool writable);
/* Shared is enough. kvm_pgtable_stage2_relax_perms: gives write permission. */
enum ts_stage2_result ts_stage2_relax(struct ts_task *self, struct ts_stage2 *s, uint64_t ipa);
/* For writing; let go between two GiB if self should give way. */
void ts_stage2_unmap(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t end);
void ts_stage2_write_protect(struct ts_task *self, struct ts_stage2 *s, uint64_t start,
                             uint64_t end);

#ifdef __cplusplus
}
#endif
#endif
