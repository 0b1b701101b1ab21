/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/core/guest_version.h"

#include <stdlib.h>
#include <string.h>

#define V TS_CONF_VERBATIM
#define R TS_CONF_REMEMBERED

const char *const ts_guest_version_names[TS_GUEST_VERSION_COUNT + 1] = {
    "4.14", "4.15", "4.16", "4.17", "4.18", "4.19", "4.20", "5.0",  "5.1",  "5.2",  "5.3",  "5.4",
    "5.5",  "5.6",  "5.7",  "5.8",  "5.9",  "5.10", "5.11", "5.12", "5.13", "5.14", "5.15", "5.16",
    "5.17", "5.18", "5.19", "6.0",  "6.1",  "6.2",  "6.3",  "6.4",  "6.5",  "6.6",  "6.7",  "6.8",
    "6.9",  "6.10", "6.11", "6.12", "6.13", "6.14", "6.15", "6.16", "6.17", NULL,
};

/* A row may repeat the value of the one before: from there on it has been read. */
const struct ts_guest_version_rule ts_guest_version_rules[] = {
    {"guest.delayed_rmap", "4.14", "false", "mm/memory.c zap_pte_range; read in 6.1", V},
    {"guest.delayed_rmap", "6.2", "true",
     "L. Torvalds, mm: delay page_remove_rmap() until after the TLB has been flushed", R},
    {"guest.delayed_rmap", "6.12", "true", "mm/mmu_gather.c tlb_next_batch, read in 6.12", V},
    {"guest.flush_concurrent", "4.14", "false",
     "arch/x86/mm/tlb.c flush_tlb_mm_range: the local flush, then flush_tlb_others", R},
    {"guest.flush_concurrent", "5.13", "true",
     "N. Amit, x86/mm/tlb: Flush remote and local TLBs concurrently", R},
    {"guest.flush_concurrent", "6.1", "true",
     "arch/x86/mm/tlb.c native_flush_tlb_multi, read in 6.1 and 6.12", V},
    {"guest.flush_gen_early_exit", "4.14", "false",
     "arch/x86/mm/tlb.c flush_tlb_func_common reads mm->context.tlb_gen first", R},
    {"guest.flush_gen_early_exit", "6.0", "true",
     "N. Amit, x86/mm/tlb: Avoid reading mm_tlb_gen when possible", R},
    {"guest.flush_gen_early_exit", "6.1", "true",
     "arch/x86/mm/tlb.c flush_tlb_func, read in 6.1 and 6.12", V},
    {"guest.gather_spare", "4.14", "false", "mm/mmu_gather.c __tlb_remove_page_size; read in 6.1",
     V},
    {"guest.gather_spare", "6.9", "true",
     "D. Hildenbrand, mm/mmu_gather: add __tlb_remove_folio_pages()", R},
    {"guest.gather_spare", "6.12", "true",
     "mm/mmu_gather.c __tlb_remove_folio_pages_size, read in 6.12", V},
    {"guest.lazy_mm_cpumask", "4.14", "false",
     "arch/x86/mm/tlb.c switch_mm_irqs_off clears the CPU's bit; read in 6.1 and 6.12", V},
    {"guest.lazy_mm_cpumask", "6.14", "true", "R. van Riel, x86/mm/tlb: Update mm_cpumask lazily",
     R},
    {"guest.lazy_rule", "4.14", "init_mm",
     "arch/x86/mm/tlb.c tlb_defer_switch_to_init_mm: not deferred where there are PCIDs; the "
     "lazier "
     "mode of 4.19-rc1 was taken back before 4.19",
     R},
    {"guest.lazy_rule", "4.20", "skip", "R. van Riel, x86/mm/tlb: Make lazy TLB mode lazier", R},
    {"guest.lazy_rule", "6.1", "skip",
     "arch/x86/mm/tlb.c native_flush_tlb_multi, read in 6.1 and 6.12", V},
    {"guest.migrate_batch", "4.14", "false", "mm/migrate.c __unmap_and_move; read in 6.1", V},
    {"guest.migrate_batch", "6.3", "true", "Huang Ying, migrate_pages: batch flushing TLB", R},
    {"guest.migrate_batch", "6.12", "true", "mm/migrate.c migrate_folio_unmap, read in 6.12", V},
    {"guest.munmap_downgrade", "4.14", "false", "mm/mmap.c do_munmap under the write lock", R},
    {"guest.munmap_downgrade", "4.20", "true",
     "Yang Shi, mm: mmap: zap pages with read mmap_sem in munmap", R},
    {"guest.munmap_downgrade", "6.1", "true",
     "mm/mmap.c, later mm/vma.c: mmap_write_downgrade, read in 6.1 and 6.12", V},
    {"guest.nohz_after_tick", "4.14", "false",
     "kernel/sched/idle.c: tick_nohz_idle_stop_tick before default_idle_call", R},
    {"guest.nohz_after_tick", "6.1", "true",
     "kernel/sched/idle.c cpuidle_idle_call of the stable series; read in 6.1.192", V},
    {"guest.nohz_after_tick", "6.2", "false", "no long-term series", R},
    {"guest.nohz_after_tick", "6.6", "true", "cpuidle_idle_call of the stable series", R},
    {"guest.nohz_after_tick", "6.7", "false", "no long-term series", R},
    {"guest.nohz_after_tick", "6.12", "true",
     "kernel/sched/idle.c cpuidle_idle_call of the stable series; read in 6.12.117", V},
    {"guest.pageout_clears_young", "4.14", "true",
     "mm/madvise.c madvise_cold_or_pageout_pte_range (MADV_PAGEOUT is of 5.4); read in 6.1", V},
    {"guest.pageout_clears_young", "6.10", "false",
     "mm: madvise: pageout: ignore references rather than clearing young", R},
    {"guest.pageout_clears_young", "6.12", "false",
     "mm/madvise.c madvise_cold_or_pageout_pte_range, read in 6.12", V},
    {"guest.per_vma_lock", "4.14", "false", "arch/x86/mm/fault.c takes mmap_lock; read in 6.1", V},
    {"guest.per_vma_lock", "6.4", "true",
     "S. Baghdasaryan, x86/mm: try VMA lock-based page fault handling first", R},
    {"guest.per_vma_lock", "6.12", "true", "arch/x86/mm/fault.c lock_vma_under_rcu, read in 6.12",
     V},
    {"guest.pv_wait_early_preempted", "4.14", "true",
     "Pan Xinhui, locking/pvqspinlock: Don't wait if vCPU is preempted (4.10)", R},
    {"guest.pv_wait_early_preempted", "5.4", "false", "its revert by Wanpeng Li", R},
    {"guest.pv_wait_early_preempted", "6.1", "false",
     "kernel/locking/qspinlock_paravirt.h pv_wait_early, read in 6.1 and 6.12", V},
    {"guest.range_split", "4.14", "legacy",
     "arch/arm64/include/asm/tlbflush.h __flush_tlb_range_op: scale upwards; read in 6.1", V},
    {"guest.range_split", "6.9", "modern",
     "R. Roberts, arm64/mm: Modify range-based tlbi to decrement scale", R},
    {"guest.range_split", "6.12", "modern",
     "arch/arm64/include/asm/tlbflush.h __flush_tlb_range_op, read in 6.12", V},
    {"guest.rcu_table_free", "4.14", "pv",
     "V. Kuznetsov, x86/mm: Enable RCU based page table freeing", R},
    {"guest.rcu_table_free", "6.1", "pv",
     "arch/x86/kernel/kvm.c, arch/x86/hyperv/mmu.c tlb_remove_table, read in 6.1 and 6.12", V},
    {"guest.rcu_table_free", "6.15", "always",
     "R. van Riel, x86/mm: Make MMU_GATHER_RCU_TABLE_FREE unconditional", R},
    {"guest.reclaim_free_batch", "4.14", "0", "mm/vmscan.c shrink_page_list; read in 6.1", V},
    {"guest.reclaim_free_batch", "6.10", "31",
     "M. Wilcox, mm: use a folio_batch for freeing in shrink_folio_list()", R},
    {"guest.reclaim_free_batch", "6.12", "31", "mm/vmscan.c shrink_folio_list, read in 6.12", V},
    {"guest.should_flush_mm", "4.14", "false", "arch/x86/mm/tlb.c tlb_is_not_lazy at most", R},
    {"guest.should_flush_mm", "6.1", "true",
     "arch/x86/mm/tlb.c should_flush_tlb of the stable series; read in 6.1.192", V},
    {"guest.should_flush_mm", "6.2", "false", "no long-term series", R},
    {"guest.should_flush_mm", "6.6", "true", "should_flush_tlb of the stable series", R},
    {"guest.should_flush_mm", "6.7", "false", "no long-term series", R},
    {"guest.should_flush_mm", "6.12", "true",
     "arch/x86/mm/tlb.c should_flush_tlb: merged in 6.14, read in the stable 6.12.117", V},
    {"guest.thp_align", "4.14", "never", "mm/mmap.c get_unmapped_area; read in 6.1", V},
    {"guest.thp_align", "6.7", "large",
     "R. van Riel, mm: align larger anonymous mappings on THP boundaries", R},
    {"guest.thp_align", "6.12", "multiples", "mm/mmap.c __get_unmapped_area, read in 6.12.117", V},
    {"guest.tlbi_batch", "4.14", "false",
     "arch/arm64 does not select ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH; read in 6.1", V},
    {"guest.tlbi_batch", "6.6", "true",
     "arm64: support batched/deferred tlb shootdown during page reclamation/migration", R},
    {"guest.tlbi_batch", "6.12", "true",
     "arch/arm64/include/asm/tlbflush.h arch_tlbbatch_should_defer, read in 6.12", V},
    {"guest.vma_merge", "4.14", "true", "mm/mmap.c vma_merge; read in 6.1 and 6.12", V},
    {"guest_sched.latency", "4.14", "24ms",
     "kernel/sched/fair.c: 6 ms, times 4 on 8 CPUs or more (read in 6.1)", V},
    {"guest_sched.min_granularity", "4.14", "3ms",
     "kernel/sched/fair.c: 0.75 ms, times 4 on 8 CPUs or more (read in 6.1)", V},
    {"guest_sched.policy", "4.14", "cfs", "kernel/sched/fair.c before 6.6 (read in 6.1)", V},
    {"guest_sched.policy", "6.6", "eevdf", "P. Zijlstra, sched/fair: EEVDF", R},
    {"guest_sched.policy", "6.12", "eevdf", "kernel/sched/fair.c pick_eevdf, read in 6.12", V},
    {"guest_sched.slice", "6.6", "3ms",
     "kernel/sched/fair.c sysctl_sched_base_slice: 0.75 ms, times 4 on 8 CPUs or more", R},
    {"guest_sched.slice", "6.12", "2.8ms",
     "kernel/sched/fair.c sysctl_sched_base_slice: 0.70 ms, times 4 on 8 CPUs or more", V},
    {"guest_sched.wakeup_granularity", "4.14", "4ms",
     "kernel/sched/fair.c: 1 ms, times 4 on 8 CPUs or more (read in 6.1)", V},
};
const size_t ts_guest_version_rules_count = TS_ARRAY_LEN(ts_guest_version_rules);

/* major.minor, as a number that grows with the version; false: text is not of that form. *rest:
 * what follows, a stable release perhaps. */
static bool number_of(const char *text, long *number, const char **rest)
{
    char *end;
    long major, minor;

    if (*text < '0' || *text > '9')
        return false;
    major = strtol(text, &end, 10);
    if (*end != '.' || end[1] < '0' || end[1] > '9')
        return false;
    minor = strtol(end + 1, &end, 10);
    *rest = end;
    *number = (major > 1000 ? 1000 : major) * 1000 + (minor > 999 ? 999 : minor);
    return true;
}

static uint64_t nearest_to(long wanted)
{
    uint64_t best = 0;
    long best_distance = 0;

    for (uint64_t i = 0; i < TS_GUEST_VERSION_COUNT; i++) {
        const char *rest;
        long number = 0;
        long distance;
        (void)number_of(ts_guest_version_names[i], &number, &rest);
        distance = labs(number - wanted);
        if (i == 0 || distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    return best;
}

enum ts_status ts_guest_version_parse(const char *text, uint64_t *version, struct ts_error *err)
{
    const char *rest;
    long wanted;

    for (uint64_t i = 0; i < TS_GUEST_VERSION_COUNT; i++) {
        if (strcmp(ts_guest_version_names[i], text) == 0) {
            *version = i;
            return TS_OK;
        }
    }
    if (!number_of(text, &wanted, &rest))
        return ts_error_set(err, TS_ERR_USER,
                            "guest.linux: '%s' is no version of Linux: expected one of 4.14 to "
                            "4.20, 5.0 to 5.19, 6.0 to 6.17",
                            text);
    return ts_error_set(err, TS_ERR_USER,
                        "guest.linux: version '%s' is unknown, the nearest known is %s (4.14 to "
                        "4.20, 5.0 to 5.19, 6.0 to 6.17%s)",
                        text, ts_guest_version_names[nearest_to(wanted)],
                        *rest ? ", each with its last stable release" : "");
}

static uint64_t index_of(const char *name)
{
    uint64_t i = 0;

    while (strcmp(ts_guest_version_names[i], name) != 0)
        i++;
    return i;
}

const struct ts_guest_version_rule *ts_guest_version_rule_of(uint64_t version, const char *key)
{
    const struct ts_guest_version_rule *rule = NULL;

    TS_ASSERT(version < TS_GUEST_VERSION_COUNT);
    for (size_t i = 0; i < ts_guest_version_rules_count; i++) {
        const struct ts_guest_version_rule *r = &ts_guest_version_rules[i];
        if (strcmp(r->key, key) == 0 && index_of(r->since) <= version)
            rule = r;
    }
    return rule;
}
