/* SPDX-License-Identifier: Apache-2.0 */
/* Stage-2 faults, and what VMM threads do to memslots (arch/arm64/kvm/mmu.c and
 * virt/kvm/kvm_main.c, read in 6.1 and 6.12). */
#include "models/hypervisor/stage2.h"

#include <stdlib.h>

#include "models/hypervisor/hyp_private.h"

/* Toggled by each move of the range: frames of a moved page lie elsewhere. */
struct ts_stage2_moved {
    uint64_t start, end;
    bool away;
};
#define MOVED_BIT (UINT64_C(1) << 43)

/* --- construction --- */

void ts_stage2_init(struct ts_stage2 *s, struct ts_hypervisor *h, struct ts_vm *vm, uint32_t core)
{
    s->hyp = h;
    s->vm = vm;
    ts_line_init(h->w.lines, &s->mmu_lock.line, (UINT64_C(9) << 58) + vm->number, core);
    s->slots[0] = (struct ts_memslot){
        .live = true, .size = h->params.memory, .level = (uint8_t)h->params.backing};
}

void ts_stage2_fini(struct ts_stage2 *s)
{
    free(s->moved);
    s->moved = NULL;
}

uint64_t ts_stage2_frame(const struct ts_stage2 *s, uint64_t ipa)
{
    uint64_t frame = ((uint64_t)(s->vm->number + 1) << TS_VM_MEMORY_SHIFT) + ipa;
    for (uint32_t i = 0; i < s->nmoved; i++) {
        const struct ts_stage2_moved *m = &s->moved[i];
        if (m->away && ipa >= m->start && ipa < m->end)
            frame ^= MOVED_BIT;
    }
    return frame;
}

static struct ts_memslot *slot_of(struct ts_stage2 *s, uint64_t ipa)
{
    for (uint32_t i = 0; i < TS_STAGE2_SLOTS; i++) {
        struct ts_memslot *slot = &s->slots[i];
        if (slot->live && ipa - slot->base < slot->size)
            return slot;
    }
    return NULL;
}

/* --- statistics --- */

#define CNT(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_stage2_stats, f), "1", h                           \
    }
static const struct ts_stat rows[] = {
    CNT(faults, "stage-2 aborts or EPT violations"),
    CNT(faults_translation, "of these where nothing was mapped"),
    CNT(faults_permission, "of these by a write to what may only be read"),
    CNT(fault_retry,
        "faults that changed nothing: locked, already there, or a notifier was quicker"),
    CNT(mapped, "pages and blocks that faults mapped"),
    CNT(mapped_new, "of these over nothing, or over one with another frame"),
    CNT(collapsed, "of these blocks in the place of a table"),
    CNT(split, "of these pages in the place of a block"),
    CNT(relaxed, "entries that faults made writable"),
    CNT(dirtied, "pages marked dirty while a memslot logs"),
    CNT(unmapped_pages, "pages unmapped"),
    CNT(unmapped_blocks, "blocks unmapped"),
    CNT(unmapped_tables, "tables freed by unmapping"),
    CNT(protected_leaves, "entries write-protected"),
    CNT(flush_ipa, "__kvm_tlb_flush_vmid_ipa"),
    CNT(flush_ipa_local, "__kvm_tlb_flush_vmid_ipa_nsh"),
    CNT(flush_range, "kvm_tlb_flush_vmid_range"),
    CNT(flush_vmid, "__kvm_tlb_flush_vmid"),
    CNT(lock_waits, "acquisitions of mmu_lock that had to wait"),
    CNT(lock_breaks, "times mmu_lock was let go between two GiB"),
    {"unmap_ps", TS_STAT_TIME_PS, offsetof(struct ts_stage2_stats, unmap_ps), "ps",
     "deleting memslots and notifiers: from before mmu_lock to after it"},
    CNT(vmid_rollovers, "generations of VMIDs that ended"),
};
static const struct ts_stat_rule rules[] = {
    {"a fault is of translation or permission",
     {"+faults", "-faults_translation", "-faults_permission"}},
    {"what is mapped is new, collapsed or split",
     {"+mapped", "-mapped_new", "-collapsed", "-split"}},
    {"a fault maps, relaxes or is made again", {"+faults", "-mapped", "-relaxed", "-fault_retry"}},
};
const struct ts_stat_table ts_stage2_stat_table = {"stage2", rows, TS_ARRAY_LEN(rows), rules,
                                                   TS_ARRAY_LEN(rules)};

void ts_stage2_stats_of(const struct ts_hypervisor *h, struct ts_stage2_stats *sum)
{
    *sum = (struct ts_stage2_stats){0};
    for (uint32_t v = 0; v < h->w.nvms; v++)
        ts_stat_accumulate(&ts_stage2_stat_table, sum, &h->stage2[v].stats);
    sum->vmid_rollovers = h->vmids.rollovers;
}

bool ts_stage2_is_used(const struct ts_hypervisor *h)
{
    return !h->params.prefault || h->uses_slots || h->vmids.rollovers;
}

/* --- faults --- */

static _Noreturn void no_slot(struct ts_vcpu *v, uint64_t ipa)
{
    struct ts_hypervisor *h = v->hyp;
    (void)ts_error_set(&h->failure, TS_ERR_USER,
                       "VM %u accesses guest-physical address 0x%llx, where there is no memslot",
                       v->vm->number, (unsigned long long)ipa);
    ts_engine_stop(h->w.engine);
    for (;;)
        ts_task_stall(&v->task); /* the run has been stopped */
}

/* The largest page that the backing and the slot's bounds allow (fault_supports_stage2_huge_
 * mapping). */
static uint32_t level_for(const struct ts_memslot *slot, uint64_t ipa)
{
    uint32_t level = slot->logging ? 0 : slot->level;
    while (level) {
        uint64_t base = ipa & ~(ts_stage2_bytes(level) - 1);
        if (base >= slot->base && base + ts_stage2_bytes(level) <= slot->base + slot->size)
            break;
        level--;
    }
    return level;
}

/* mmu_invalidate_retry. */
static bool was_notified(const struct ts_stage2 *s, uint64_t seq)
{
    return s->invalidating || s->invalidate_seq != seq;
}

/* The rest of user_mem_abort, from mmu_lock on. Up to 6.1 it was shared only where dirty logging
 * makes a page writable again (fault_status == FSC_PERM, logging_active and write_fault: 6.1). */
static enum ts_stage2_result resolve(struct ts_vcpu *v, struct ts_stage2 *s,
                                     const struct ts_memslot *slot, const struct ts_stage2_abort *a,
                                     uint64_t seq)
{
    struct ts_task *self = &v->task;
    bool logging = slot->logging;
    bool shared = s->hyp->params.stage2_shared_faults || (logging && a->permission && a->write);
    uint32_t level = level_for(slot, a->ipa);
    bool writable = !logging || a->write;
    enum ts_stage2_result result = TS_STAGE2_AGAIN;
    s->stats.lock_waits +=
        shared ? ts_host_read_lock(self, &s->mmu_lock) : ts_host_write_lock(self, &s->mmu_lock);
    if (!was_notified(s, seq)) {
        if (a->permission && a->level == level)
            result = ts_stage2_relax(self, s, a->ipa);
        else
            result = ts_stage2_map(self, s, a->ipa, level, writable);
    }
    if (shared)
        ts_host_read_unlock(self, &s->mmu_lock);
    else
        ts_host_write_unlock(self, &s->mmu_lock);
    s->stats.dirtied += logging && writable && result == TS_STAGE2_DONE;
    return result;
}

void ts_hypervisor_stage2_fault(struct ts_task *self, const struct ts_stage2_abort *report)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    struct ts_stage2 *s = &v->hyp->stage2[v->vm->number];
    const struct ts_stage2_abort a = *report;
    uint64_t cycles = s->hyp->params.stage2_fault_cycles;
    TS_ASSERT(v->cpu->in_guest);
    ts_vm_exit(v, TS_EXIT_STAGE2);
    s->stats.faults++;
    s->stats.faults_permission += a.permission;
    s->stats.faults_translation += !a.permission;
    const struct ts_memslot *slot = slot_of(s, a.ipa);
    if (!slot)
        no_slot(v, a.ipa);
    ts_task_work(&v->task, cycles / 2); /* the cache of tables, the VMA */
    uint64_t seq = s->invalidate_seq;
    ts_task_work(&v->task, cycles - cycles / 2); /* its pages */
    if (resolve(v, s, slot, &a, seq) == TS_STAGE2_AGAIN)
        s->stats.fault_retry++;
    ts_vm_entry(v);
}

/* --- memslots --- */

/* slots_lock, a mutex. */
static void lock_slots(struct ts_task *self, struct ts_stage2 *s)
{
    while (s->slots_owner) {
        struct ts_task **tail = &s->slots_waiters;
        while (*tail && *tail != self)
            tail = &(*tail)->wait_next;
        if (!*tail) {
            self->wait_next = NULL;
            *tail = self;
        }
        ts_task_block(self);
    }
    s->slots_owner = self;
}

static void unlock_slots(struct ts_task *self, struct ts_stage2 *s)
{
    struct ts_task *next = s->slots_waiters;
    TS_ASSERT(s->slots_owner == self);
    s->slots_owner = NULL;
    if (next) {
        s->slots_waiters = next->wait_next;
        ts_task_wake(self, next);
    }
}

enum ts_status ts_stage2_slot_check(const struct ts_stage2 *s, uint32_t slot, uint64_t base,
                                    uint64_t size, uint32_t level, struct ts_error *err)
{
    if (slot == 0 || slot >= TS_STAGE2_SLOTS)
        return ts_error_set(err, TS_ERR_USER, "memslot %u: 1 to %d are free to use", slot,
                            TS_STAGE2_SLOTS - 1);
    if (base < TS_STAGE2_SLOTS_FROM || size == 0 || base + size > MOVED_BIT || base + size < base)
        return ts_error_set(err, TS_ERR_USER,
                            "memslot %u: it lies between 4 and 8 TiB of guest-physical addresses",
                            slot);
    if (base % ts_stage2_bytes(level) || size % ts_stage2_bytes(level))
        return ts_error_set(err, TS_ERR_USER, "memslot %u: start and length are whole host pages",
                            slot);
    for (uint32_t i = 1; i < TS_STAGE2_SLOTS; i++) {
        const struct ts_memslot *o = &s->slots[i];
        if (o->live && (i == slot || (base < o->base + o->size && o->base < base + size)))
            return ts_error_set(err, TS_ERR_USER, "memslot %u: memslot %u is there already", slot,
                                i);
    }
    return TS_OK;
}

void ts_stage2_slot_add(struct ts_task *self, struct ts_stage2 *s, uint32_t slot, uint64_t base,
                        uint64_t size, uint32_t level)
{
    lock_slots(self, s);
    TS_ASSERT(slot && slot < TS_STAGE2_SLOTS && !s->slots[slot].live);
    s->slots[slot] =
        (struct ts_memslot){.live = true, .base = base, .size = size, .level = (uint8_t)level};
    s->hyp->uses_slots = true;
    unlock_slots(self, s);
}

/* __kvm_set_memory_region with size 0: kvm_arch_flush_shadow_memslot. */
void ts_stage2_slot_delete(struct ts_task *self, struct ts_stage2 *s, uint32_t slot)
{
    struct ts_memslot *m = &s->slots[slot];
    lock_slots(self, s);
    TS_ASSERT(m->live);
    m->live = false;
    s->hyp->uses_slots = true;
    ts_time start = ts_task_now(self);
    s->stats.lock_waits += ts_host_write_lock(self, &s->mmu_lock);
    ts_stage2_unmap(self, s, m->base, m->base + m->size);
    ts_host_write_unlock(self, &s->mmu_lock);
    s->stats.unmap_ps += ts_task_now(self) - start;
    unlock_slots(self, s);
}

/* kvm_flush_remote_tlbs_memslot: the slot's range since 6.6; before that all of the VM. */
static void flush_memslot(struct ts_task *self, struct ts_stage2 *s, const struct ts_memslot *m)
{
    if (s->hyp->params.stage2_range_flush) {
        s->stats.flush_range++;
        ts_kvm_flush_remote_tlbs_range(self, s->vm, m->base, m->size);
    } else {
        s->stats.flush_vmid++;
        ts_kvm_flush_remote_tlbs(self, s->vm);
    }
}

/* kvm_arch_commit_memory_region: off costs the table nothing. */
void ts_stage2_slot_log(struct ts_task *self, struct ts_stage2 *s, uint32_t slot, bool on)
{
    struct ts_memslot *m = &s->slots[slot];
    lock_slots(self, s);
    TS_ASSERT(m->live);
    s->hyp->uses_slots = true;
    bool was = m->logging;
    m->logging = on;
    if (on && !was) {
        uint32_t window = ts_host_stage2_window_open(self, s->vm, m->base, m->base + m->size);
        s->stats.lock_waits += ts_host_write_lock(self, &s->mmu_lock);
        ts_stage2_write_protect(self, s, m->base, m->base + m->size);
        ts_host_write_unlock(self, &s->mmu_lock);
        flush_memslot(self, s, m);
        ts_host_stage2_window_close(self, s->vm, window);
    }
    unlock_slots(self, s);
}

void ts_stage2_slot_fill(struct ts_stage2 *s, uint32_t slot, uint32_t level)
{
    const struct ts_memslot *m = &s->slots[slot];
    struct ts_pte pte = ts_stage2_leaf(s, m->base, level, true);
    TS_ASSERT(m->live && level <= m->level);
    (void)ts_pgtable_map_run(s->vm->stage2, m->base, m->size >> pte.size_shift, &pte);
    s->hyp->uses_slots = true;
}

void ts_stage2_slot_split(struct ts_stage2 *s, uint32_t slot)
{
    const struct ts_memslot *m = &s->slots[slot];
    struct ts_pgtable *pt = s->vm->stage2;
    uint64_t end = m->base + m->size, half = ts_stage2_bytes(1) / 2, resume;
    uint32_t freed[TS_PT_LEVELS_MAX];
    TS_ASSERT(m->live && m->level == 1);
    (void)ts_pgtable_clear(pt, m->base, end, UINT64_MAX, NULL, NULL, &resume);
    (void)ts_pgtable_free_tables(pt, m->base, end, 0, 0, freed);
    for (uint64_t ipa = m->base; ipa < end; ipa += ts_stage2_bytes(1)) {
        struct ts_pte first = ts_stage2_leaf(s, ipa, 0, true);
        struct ts_pte upper = ts_stage2_leaf(s, ipa + half, 0, false);
        (void)ts_pgtable_map(pt, ipa, &first);
        (void)ts_pgtable_map_run(pt, ipa + half, half >> TS_PT_SHIFT(0), &upper);
    }
    s->hyp->uses_slots = true;
}

/* --- notifiers --- */

static bool move(struct ts_stage2 *s, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < s->nmoved; i++) {
        struct ts_stage2_moved *m = &s->moved[i];
        if (m->start == start && m->end == end) {
            m->away = !m->away;
            return true;
        }
    }
    if (s->nmoved == s->moved_room) {
        uint32_t room = s->moved_room ? 2 * s->moved_room : 16;
        struct ts_stage2_moved *more = realloc(s->moved, room * sizeof(*more));
        if (!more)
            return false;
        s->moved = more;
        s->moved_room = room;
    }
    s->moved[s->nmoved++] = (struct ts_stage2_moved){start, end, true};
    return true;
}

/* kvm_mmu_notifier_invalidate_range_start, kvm_unmap_gfn_range, .._end. */
void ts_stage2_notify(struct ts_task *self, struct ts_stage2 *s, uint64_t start, uint64_t length)
{
    const struct ts_memslot *slot = slot_of(s, start);
    uint64_t unit = ts_stage2_bytes(slot ? slot->level : 0);
    uint64_t end = (start + length + unit - 1) & ~(unit - 1);
    start &= ~(unit - 1);
    s->hyp->uses_slots = true;
    ts_time began = ts_task_now(self);
    s->stats.lock_waits += ts_host_write_lock(self, &s->mmu_lock);
    s->invalidating++;
    ts_stage2_unmap(self, s, start, end);
    ts_host_write_unlock(self, &s->mmu_lock);
    s->stats.unmap_ps += ts_task_now(self) - began;
    if (!move(s, start, end))
        ts_engine_fail(s->hyp->w.engine, TS_ERR_ENVIRONMENT, "out of memory for moved pages");
    s->stats.lock_waits += ts_host_write_lock(self, &s->mmu_lock);
    s->invalidate_seq++;
    s->invalidating--;
    ts_host_write_unlock(self, &s->mmu_lock);
}
