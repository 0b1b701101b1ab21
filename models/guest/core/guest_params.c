/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and statistics of a guest: tables only. Cycles are of a 2.6 GHz Skylake-SP core unless
 * the source says otherwise. */
#include "models/cpu/dvm_port.h"
#include "models/guest/core/guest.h"
#include "models/guest/core/guest_version.h"
#include "models/tlb/range.h"

/* --- parameters --- */

#define FIELD(f) offsetof(struct ts_guest_params, f)
#define COUNT(key, f, def, min, max, help, source, conf)                                           \
    {                                                                                              \
        key, TS_PARAM_COUNT, FIELD(f), def, min, max, NULL, help, source, conf                     \
    }
#define BOOL(key, f, def, help, source, conf)                                                      \
    {                                                                                              \
        key, TS_PARAM_BOOL, FIELD(f), def, 0, 1, NULL, help, source, conf                          \
    }
#define CYCLES(key, f, def, help, source, conf)                                                    \
    {                                                                                              \
        key, TS_PARAM_CYCLES, FIELD(f), def, 0, CYCLES_MAX, NULL, help, source, conf               \
    }
#define TIME(key, f, def, help, source, conf)                                                      \
    {                                                                                              \
        key, TS_PARAM_TIME, FIELD(f), def, 0, 10 * TS_S, NULL, help, source, conf                  \
    }
#define CYCLES_MAX 100000000u
#define V TS_CONF_VERBATIM
#define D TS_CONF_DERIVED
#define R TS_CONF_REMEMBERED
#define G TS_CONF_GUESS
#define CHOICE TS_CONF_CHOICE

static const char *const lazy_rule_names[] = {"init_mm", "ipi_all", "skip", NULL};
static const char *const range_split_names[] = {"legacy", "modern", "pages", NULL};
static const char *const rcu_tables_names[] = {"never", "pv", "always", NULL};
static const char *const thp_align_names[] = {"never", "large", "multiples", NULL};
static const char *const repeat_names[] = {"each", "sync", NULL};
static const char *const tick_names[] = {"waiting", "nohz", "periodic", NULL};
static const char *const thp_names[] = {"never", "madvise", "always", NULL};

static const char *const os_names[] = {"linux", "windows", NULL};

static const struct ts_param param_rows[] = {
    {"os", TS_PARAM_ENUM, FIELD(os), TS_OS_LINUX, 0, TS_OS_KINDS - 1, os_names,
     "the operating system. windows: one like it, on x86, with rules of its own "
     "(docs/windows-guest.md, "
     "`nt` parameters); costs that are not named there are those of this table",
     "setting", CHOICE},
    {"linux", TS_PARAM_ENUM, FIELD(linux_version), TS_GUEST_VERSION_DEFAULT, 0,
     TS_GUEST_VERSION_COUNT - 1, ts_guest_version_names,
     "version of the kernel: sets each parameter that differs by version and that nothing sets by "
     "itself (`tlbstorm explain linux`)",
     "the defaults are those of Linux 6.12.117 (Debian)", CHOICE},
    COUNT("nr_dyn_asids", nr_dyn_asids, 6, 1, TS_ASIDS_MAX,
          "x86: address spaces a CPU keeps translations of", "Linux TLB_NR_DYN_ASIDS", V),
    COUNT("flush_ceiling", flush_ceiling, 33, 0, 1000000,
          "x86: pages above which a flush takes the whole address space",
          "Linux arch/x86/mm/tlb.c tlb_single_page_flush_ceiling", V),
    {"lazy_rule", TS_PARAM_ENUM, FIELD(lazy_rule), TS_LAZY_SKIP, 0, TS_LAZY_SKIP, lazy_rule_names,
     "x86: an idle CPU leaves its address space at once (init_mm), or keeps it lazily and is sent "
     "every flush (ipi_all), or only those that free tables (skip)",
     "Linux arch/x86/mm/tlb.c enter_lazy_tlb, native_flush_tlb_multi: 4.14 to 4.19 with PCID, "
     "without PCID, 4.20 and later",
     V},
    BOOL("lazy_mm_cpumask", lazy_mm_cpumask, 0,
         "x86: a CPU stays in mm_cpumask when it switches away, until a flush finds it elsewhere; "
         "once a second a flush is sent to all such",
         "Linux 6.14 and later, arch/x86/mm/tlb.c switch_mm_irqs_off, should_flush_tlb", R),
    BOOL("mask_barrier", mask_barrier, 1,
         "x86: a switch to an address space whose mask has the CPU already is a full barrier; "
         "without it (6.14 to 6.17 as released) the generation may be read before others see that "
         "the CPU is switching, and a flush is lost",
         "Linux commit 83b0177a6c48, arch/x86/mm/tlb.c switch_mm_irqs_off", R),
    BOOL("flush_concurrent", flush_concurrent, 1,
         "x86: an initiator flushes its own TLB while the others flush theirs, not before",
         "Linux 5.13 and later, arch/x86/mm/tlb.c flush_tlb_mm_range, kernel/smp.c "
         "on_each_cpu_cond_mask; up to 5.12 flush_tlb_others came after the local flush",
         V),
    BOOL("flush_gen_early_exit", flush_gen_early_exit, 1,
         "x86: flush_tlb_func leaves without reading the address space's generation if its own is "
         "new enough",
         "Linux 6.0 and later, arch/x86/mm/tlb.c flush_tlb_func; read in 6.1 and 6.12", V),
    BOOL(
        "should_flush_mm", should_flush_mm, 1,
        "x86: an initiator leaves out CPUs that have loaded another address space by now, for "
        "which it reads their cpu_tlbstate; before, only lazy ones, by cpu_tlbstate_shared",
        "Linux 6.12.117 arch/x86/mm/tlb.c should_flush_tlb (merged in 6.14, in the stable series); "
        "6.1 tlb_is_not_lazy",
        V),
    BOOL("pti", pti, 0, "x86: page-table isolation; a CPU that is open to Meltdown needs it",
         "machine's choice", CHOICE),
    BOOL("invpcid", invpcid, 1,
         "x86: INVPCID is there; without it PTI flushes one page of a user PCID by flushing it all",
         "machine's choice; Haswell and later", CHOICE),
    BOOL("idle_polling", idle_polling, 1,
         "x86 on bare metal: the idle loop watches its flags in MWAIT, so that a single target "
         "needs "
         "no IPI; guests without MWAIT halt",
         "Linux kernel/smp.c send_call_function_single_ipi, kernel/sched/core.c set_nr_if_polling",
         V),
    COUNT("gather_inline", gather_inline, 8, 2, 65536, "pages in an mmu_gather's own list",
          "Linux 6.12 include/asm-generic/tlb.h MMU_GATHER_BUNDLE", V),
    COUNT("gather_batch", gather_batch, 510, 2, 65536,
          "pages in each further list of an mmu_gather",
          "Linux 6.12 include/asm-generic/tlb.h MAX_GATHER_BATCH: (4096 - 16) / 8", V),
    COUNT("gather_max_batches", gather_max_batches, 19, 0, 1024,
          "further lists of an mmu_gather before it must flush",
          "Linux 6.12 include/asm-generic/tlb.h MAX_GATHER_BATCH_COUNT: 10000 / 510", V),
    BOOL("gather_spare", gather_spare, 1,
         "each list of an mmu_gather is full with one entry left, so that a run of pages, which "
         "takes two, would still fit: 9678 pages in all, before 9698",
         "Linux 6.9 and later, mm/mmu_gather.c __tlb_remove_folio_pages_size; 6.1 "
         "__tlb_remove_page_size",
         V),
    BOOL("delayed_rmap", delayed_rmap, 1,
         "the rmap of a dirty shared page is removed after the flush, so that an mmu_gather with "
         "such pages takes no further list beyond its own and the one it is filling; the flush "
         "itself, under the page-table lock, is older",
         "Linux 6.2 and later, mm/mmu_gather.c tlb_next_batch, mm/memory.c zap_present_folio_ptes; "
         "6.1 mm/memory.c zap_pte_range",
         V),
    {"rcu_table_free", TS_PARAM_ENUM, FIELD(rcu_table_free), TS_RCU_TABLES_PV, 0,
     TS_RCU_TABLES_ALWAYS, rcu_tables_names,
     "page-table pages are freed by RCU, in batches: never, then with the pages after the flush; "
     "pv: on x86 with a mechanism that replaces pv_ops.mmu.tlb_remove_table, as KVM's and "
     "Hyper-V's do, and on arm64; always: x86 since 6.15 (remembered)",
     "Linux 6.12 arch/x86/Kconfig MMU_GATHER_RCU_TABLE_FREE, arch/x86/kernel/kvm.c, "
     "arch/x86/hyperv/mmu.c, arch/arm64/Kconfig",
     V},
    COUNT("table_batch", table_batch, 509, 0, 65536,
          "page-table pages that RCU frees at a time; 0: no memory is ever to be had for the list, "
          "so that each table costs a flush and a call of every CPU",
          "Linux 6.12 include/asm-generic/tlb.h MAX_TABLE_BATCH: (4096 - 24) / 8; mm/mmu_gather.c "
          "tlb_remove_table",
          V),
    TIME("rcu_grace", rcu_grace_ps, 10 * TS_MS,
         "an RCU grace period, from call_rcu to the callback; what the callback costs is left out",
         "two to three ticks of 4 ms (assumed)", G),
    {"thp", TS_PARAM_ENUM, FIELD(thp), TS_THP_NEVER, 0, TS_THP_ALWAYS, thp_names,
     "huge pages of 2 MiB for private anonymous memory: never, where MADV_HUGEPAGE asks for them, "
     "or wherever an aligned 2 MiB lies in one mapping. Kernels as distributions configure them "
     "begin with always (Debian) or madvise (remembered)",
     "Linux mm/huge_memory.c __thp_vma_allowable_orders, "
     "/sys/kernel/mm/transparent_hugepage/enabled",
     CHOICE},
    {"thp_align", TS_PARAM_ENUM, FIELD(thp_align), TS_THP_ALIGN_MULTIPLES, 0,
     TS_THP_ALIGN_MULTIPLES, thp_align_names,
     "private anonymous mappings that begin at a multiple of 2 MiB where there is room, whatever "
     "guest.thp says: never (before 6.7), large: of 2 MiB and more (6.7, remembered), multiples: "
     "whose length is one",
     "Linux 6.12.117 mm/mmap.c __get_unmapped_area, mm/huge_memory.c __thp_get_unmapped_area; 6.1 "
     "mm/mmap.c get_unmapped_area",
     V},
    COUNT("max_dvm_ops", max_dvm_ops, 512, 1, UINT32_MAX,
          "arm64: page operations above which the whole ASID is flushed",
          "Linux arch/arm64/include/asm/tlbflush.h MAX_DVM_OPS", V),
    {"range_split", TS_PARAM_ENUM, FIELD(range_split), TS_RANGE_SPLIT_MODERN, 0,
     TS_RANGE_SPLIT_PAGES, range_split_names, "arm64: how a range is cut into range operations",
     "Linux arch/arm64/include/asm/tlbflush.h, before and since 6.9", CHOICE},
    BOOL("tlbirange", tlbirange, 0, "arm64: FEAT_TLBIRANGE is there", "machine's choice", CHOICE),
    BOOL("ttl", ttl, 1, "arm64: FEAT_TTL level hints are given",
         "Linux arch/arm64/include/asm/tlbflush.h __tlbi_level", CHOICE),
    BOOL("kpti", kpti, 0,
         "arm64, Linux 4.16 and later: the kernel is unmapped in user mode, which has an ASID of "
         "its own: each TLBI by ASID or by address is issued for both",
         "Linux arch/arm64/kernel/cpufeature.c unmap_kernel_at_el0, 6.1: off on CPUs of its safe "
         "list or with ID_AA64PFR0_EL1.CSV3, but on with KASLR and no E0PD",
         CHOICE),
    BOOL("repeat_tlbi", repeat_tlbi, 0,
         "arm64: the workaround for CPUs whose DSB may complete before their TLBI (Cortex-A76 "
         "1286807, A55 2441007, A510 2441009, Falkor 1009 and others)",
         "Linux arch/arm64/kernel/cpu_errata.c arm64_repeat_tlbi_list, read in 6.1 and 6.12",
         CHOICE),
    {"repeat_tlbi_form", TS_PARAM_ENUM, FIELD(repeat_tlbi_form), TS_REPEAT_TLBI_SYNC, 0,
     TS_REPEAT_TLBI_SYNC, repeat_names,
     "arm64: what that workaround does. each: every TLBI, local ones too, is followed by DSB ISH "
     "and the same TLBI, and reclaim does not batch; sync: one more VALE1IS and DSB ISH behind a "
     "flush",
     "Linux arch/arm64/include/asm/tlbflush.h __tlbi, __tlbi_sync_s1ish, read in 6.1 and 6.12", V},
    CYCLES("invlpg", invlpg_cycles, 180, "INVLPG", "Haswell and Skylake host, 120 to 200 cycles",
           R),
    CYCLES("invpcid_one", invpcid_cycles, 300, "INVPCID of one address of another PCID", "estimate",
           G),
    CYCLES("mov_cr3_flush", mov_cr3_flush_cycles, 300, "MOV to CR3 that flushes the PCID",
           "Skylake, 250 to 400 cycles", R),
    CYCLES("mov_cr3_noflush", mov_cr3_noflush_cycles, 190, "MOV to CR3 with bit 63 set",
           "Skylake, 180 to 200 cycles", R),
    CYCLES("tlbi_local", tlbi_local_cycles, 910,
           "arm64: local TLBI, DSB NSH, ISB; more where the TLB takes longer",
           "Linux commit c320dbb7c80d: mprotect 0.35 us shorter without it, taken at 2.6 GHz", D),
    CYCLES("tlbi_issue", tlbi_issue_cycles, 20, "arm64: issue of one broadcast TLBI", "estimate",
           G),
    CYCLES("dsb_ishst", dsb_ishst_cycles, 30, "arm64: DSB ISHST before the first TLBI", "estimate",
           G),
    CYCLES("syscall", syscall_cycles, 250, "system call entry and exit",
           "Skylake-SP without PTI, 70 to 100 ns", R),
    CYCLES("pti_enter", pti_enter_cycles, 200,
           "PTI: what an entry to the kernel from user mode takes more (SWITCH_TO_KERNEL_CR3)",
           "MOV to CR3 with bit 63 set on Skylake, 180 to 200 cycles", R),
    CYCLES("pti_exit", pti_exit_cycles, 210,
           "PTI: what the return to user mode takes more, if it flushes nothing "
           "(SWITCH_TO_USER_CR3)",
           "MOV to CR3 with bit 63 set on Skylake, 180 to 200 cycles, and the test of the mask", R),
    CYCLES("kpti_enter", kpti_enter_cycles, 40,
           "KPTI: what an entry to the kernel from user mode takes more: MSR TTBR1 and ISB",
           "arch/arm64/kernel/entry.S tramp_map_kernel; its time is assumed", G),
    CYCLES("kpti_exit", kpti_exit_cycles, 40,
           "KPTI: what the return to user mode takes more: MSR TTBR1, and ERET instead of an ISB",
           "arch/arm64/kernel/entry.S tramp_unmap_kernel; its time is assumed", G),
    CYCLES("mmap", mmap_cycles, 1500, "mmap or mremap, fixed part", "estimate", G),
    CYCLES("munmap", munmap_cycles, 1800, "munmap, fixed part", "estimate", G),
    CYCLES("mprotect", mprotect_cycles, 1200, "mprotect, fixed part", "estimate", G),
    CYCLES("madvise", madvise_cycles, 1000, "madvise, fixed part", "estimate", G),
    CYCLES("vma_split", vma_split_cycles, 400, "each further VMA that is split, made or removed",
           "estimate", G),
    CYCLES("fault_entry", fault_entry_cycles, 350, "page fault, exception entry and exit",
           "estimate", G),
    CYCLES("fault_anon", fault_anon_cycles, 1470,
           "page fault, rest: allocate, clear and map one 4K page",
           "x86 server, 0.7 us in all (0.4 to 1.2), less the entry", R),
    CYCLES("fault_zero", fault_zero_cycles, 400,
           "page fault by a read of untouched anonymous memory, rest: map the zero page",
           "estimate", G),
    CYCLES("fault_file", fault_file_cycles, 900, "page fault, rest: map one page-cache page",
           "estimate", G),
    CYCLES("fault_huge", fault_huge_cycles, 520000,
           "page fault, rest: allocate, clear and map one page of 2 MiB",
           "clearing at 10.5 GB/s, 200 us (assumed)", G),
    CYCLES("thp_collapse", thp_collapse_cycles, 800000,
           "512 pages become a huge one: scan, isolate and copy them; flush and calls come on top",
           "copying 2 MiB at 7 GB/s, 300 us (assumed)", G),
    CYCLES("thp_split", thp_split_cycles, 4000,
           "a huge entry becomes a table of 512: fill it, rmap; the flush comes on top",
           "8 cycles an entry (assumed)", G),
    CYCLES("fault_locked", fault_locked_cycles, 200,
           "page fault: part of the rest that is done under the page-table lock", "estimate", G),
    CYCLES("cow_copy", cow_copy_cycles, 400,
           "write fault on a shared page: copying it, beyond what clearing one costs", "estimate",
           G),
    CYCLES("fork_page", fork_page_cycles, 70, "fork: copy and write-protect one present entry",
           "estimate", G),
    CYCLES("flush_global", flush_global_cycles, 500,
           "x86: flush of everything, globals too: INVPCID of all, or CR4.PGE off and on",
           "estimate", G),
    CYCLES("vfree", vfree_cycles, 1500, "vfree, without freeing the pages and without a purge",
           "estimate", G),
    {"vmap_lazy_max", TS_PARAM_BYTES, FIELD(vmap_lazy_max), 0, 0, UINT64_C(1) << 46, NULL,
     "kernel memory that is unmapped and not flushed yet, above which it is; 0: 32 MiB for each "
     "bit "
     "of the number of CPUs",
     "Linux 6.12 mm/vmalloc.c lazy_max_pages", V},
    CYCLES("alloc_table", alloc_table_cycles, 500, "allocate and clear one page-table page",
           "estimate", G),
    CYCLES("zap_page", zap_page_cycles, 250, "unmap, first half: clear, rmap, queue one page",
           "munmap at 215 ns a page (Yang Shi 2018, linux-kernel 1808.1/04967: 320 GB in 18 s at "
           "2.7 GHz), 250 of 580 cycles",
           D),
    CYCLES("zap_empty_table", zap_empty_table_cycles, 20,
           "unmap: step over an empty table or a span without one", "estimate", G),
    CYCLES("free_page", free_page_cycles, 330, "unmap, second half: free one page",
           "munmap at 215 ns a page (Yang Shi 2018, linux-kernel 1808.1/04967), 330 of 580 cycles",
           D),
    CYCLES("free_table", free_table_cycles, 300, "free one page-table page", "estimate", G),
    CYCLES("irq_entry", irq_entry_cycles, 500, "interrupt entry up to the handler",
           "entry and exit 350 ns on Skylake-SP, 500 of 910 cycles", R),
    CYCLES("irq_exit", irq_exit_cycles, 410, "interrupt exit",
           "entry and exit 350 ns on Skylake-SP, 410 of 910 cycles", R),
    CYCLES("smp_call_setup", smp_call_setup_cycles, 300, "smp_call_function_many, fixed part",
           "estimate", G),
    CYCLES("smp_call_target", smp_call_target_cycles, 60,
           "smp_call_function_many, each target, without its lines", "estimate", G),
    CYCLES("smp_call_handler", smp_call_handler_cycles, 390, "dispatch of one call on its target",
           "150 ns (80 to 300)", G),
    CYCLES("call_loop", call_loop_cycles, 60,
           "one turn of the loop of the workloads ipi_bench and ipi_spin, without clock and call",
           "E3's dry run, a loop without either, takes 23.9 ns at 2.5 GHz", D),
    CYCLES("clock_read", clock_read_cycles, 30, "reading the clock (ktime_get by TSC)",
           "RDTSC and arithmetic on Skylake, 25 to 40 cycles", R),
    CYCLES("flush_func", flush_func_cycles, 60, "flush_tlb_func without flushes and lines",
           "estimate", G),
    CYCLES("switch_mm", switch_mm_cycles, 150, "switch_mm without CR3 writes and lines", "estimate",
           G),
    CYCLES("nanosleep", nanosleep_cycles, 1500, "nanosleep: set a timer up and return", "estimate",
           G),
    TIME("timer_slack", timer_slack_ps, 50 * TS_US, "how much later a sleep may end",
         "Linux 6.12 init/init_task.c timer_slack_ns", V),
    CYCLES("timer_program", timer_program_cycles, 100, "write of the timer's deadline", "estimate",
           G),
    {"tick", TS_PARAM_ENUM, FIELD(tick), TS_TICK_NOHZ, 0, TS_TICK_PERIODIC, tick_names,
     "the tick of a CPU, each guest_sched.tick: nohz: of those that run, and of idle ones until it "
     "stops; periodic: of all (nohz=off). Each is a timer interrupt and a write of the timer. "
     "waiting: only where another task waits, and without the write, so that neither is in the way "
     "of what is to be measured",
     "Linux kernel/time/tick-sched.c, CONFIG_NO_HZ_IDLE and boot parameter nohz: 6.1 and 6.12", V},
    BOOL("nohz_after_tick", nohz_after_tick, 1,
         "an idle CPU without a driver of idle states keeps its tick until one has come, so that "
         "short naps programme nothing; before, it stops it at once",
         "Linux 6.12.117 and 6.1.192 kernel/sched/idle.c do_idle, cpuidle_idle_call (stable "
         "series); else remembered",
         V),
    CYCLES("spawn", spawn_cycles, 30000, "clone of a thread", "estimate", G),
    BOOL("pv_spinlocks", pv_spinlocks, 1,
         "x86, guests of several vCPUs: spinlocks whose waiters halt after a while and are kicked, "
         "if the host offers hypervisor.pv_unhalt and gives no hypervisor.realtime_hint; false: "
         "nopvspin, queued spinlocks as on bare metal. Where the host does not offer it, and "
         "nothing else decides for queued ones, test and set",
         "Linux 6.12 and 6.1 arch/x86/kernel/kvm.c kvm_spinlock_init, asm/qspinlock.h "
         "virt_spin_lock",
         V),
    COUNT("spin_threshold", spin_threshold, 1 << 15, 0, 1u << 30,
          "paravirtual spinlocks: loops before a waiter halts",
          "Linux 6.12 arch/x86/include/asm/spinlock.h SPIN_THRESHOLD", V),
    CYCLES("pause", pause_cycles, 140, "one loop of a waiter that spins with PAUSE",
           "PAUSE on Skylake and later, 140 cycles; about 10 before", R),
    BOOL("pv_wait_early_preempted", pv_wait_early_preempted, 0,
         "paravirtual spinlocks: a waiter halts early also if the one before it is preempted, not "
         "only if it has halted",
         "Linux 4.10 to 5.3 (remembered), kernel/locking/qspinlock_paravirt.h pv_wait_early; not "
         "in 6.1 and 6.12",
         R),
    BOOL("rwsem_spin", rwsem_spin, 1, "writers spin for mmap_lock while its owner runs",
         "Linux 6.12 kernel/locking/rwsem.c CONFIG_RWSEM_SPIN_ON_OWNER", V),
    TIME("rwsem_handoff", rwsem_handoff_ps, 4 * TS_MS,
         "wait after which a sleeper asks for mmap_lock to be handed to it",
         "Linux 6.12 kernel/locking/rwsem.c RWSEM_WAIT_TIMEOUT", V),
    BOOL("per_vma_lock", per_vma_lock, 1, "page faults do not take mmap_lock",
         "Linux 6.4 and later on x86 and arm64", V),
    BOOL("lru_drain", lru_drain, 1,
         "an unmap or MADV_DONTNEED first drains the CPU's new pages to the LRU lists",
         "Linux lru_add_drain in 6.12 mm/memory.c zap_page_range_single, mm/vma.c vms_clear_ptes; "
         "6.1 mm/memory.c, mm/mmap.c unmap_region",
         V),
    BOOL("zero_page", zero_page, 1,
         "a read of untouched anonymous memory maps the shared zero page, which the first write "
         "replaces, with a flush",
         "Linux mm/memory.c do_anonymous_page, wp_page_copy: 6.1 and 6.12, and every version", V),
    BOOL("vma_merge", vma_merge, 1,
         "adjacent private anonymous mappings of one protection become one VMA, which an unmap "
         "splits",
         "Linux 6.12 mm/vma.c vma_merge_new_range, every version", V),
    BOOL("munmap_downgrade", munmap_downgrade, 1,
         "munmap holds mmap_lock for reading while it clears, flushes and frees",
         "Linux 4.20 and later, mm/vma.c vms_complete_munmap_vmas", V),
    COUNT("reclaim_free_batch", reclaim_free_batch, 31, 0, 65536,
          "reclaim: pages that are freed after one flush; 0: all of a list, as before 6.10",
          "Linux 6.12 mm/vmscan.c shrink_folio_list, include/linux/pagevec.h PAGEVEC_SIZE; 6.1 "
          "frees the list at its end",
          V),
    CYCLES("reclaim_page", reclaim_page_cycles, 1500,
           "reclaim of one page: list, lock, rmap walk; its entry, swap and freeing come on top",
           "estimate", G),
    CYCLES(
        "swap_out", swap_out_cycles, 8000,
        "reclaim of anonymous memory: writing one page to a swap device that is done at once, as "
        "zram is (SWP_SYNCHRONOUS_IO)",
        "compressing 4K at 1.3 GB/s, 3 us (assumed)", G),
    CYCLES("swap_in", swap_in_cycles, 5000,
           "page fault, rest: reading one page from such a swap device, and mapping it",
           "expanding 4K at 3 GB/s and a fault, 2 us (assumed)", G),
    BOOL("pageout_clears_young", pageout_clears_young, 0,
         "MADV_PAGEOUT clears the accessed bits of what it reclaims, which are flushed at its end "
         "(before 6.10)",
         "Linux 6.1 mm/madvise.c madvise_cold_or_pageout_pte_range; 6.12 clears them for MADV_COLD "
         "alone",
         V),
    BOOL("tlbi_batch", tlbi_batch, 1,
         "arm64: reclaim issues its TLBI page by page and waits for them once, at the end of a "
         "batch",
         "Linux 6.6 and later, arch/arm64/include/asm/tlbflush.h arch_tlbbatch_add_pending, read "
         "in 6.12; 6.1 has no batches on arm64",
         V),
    TIME("reclaim_period", reclaim_period_ps, 0,
         "kswapd of the guest looks at guest.reclaim_pages pages once in so long; 0: there is no "
         "memory pressure",
         "setting of the experiment", CHOICE),
    COUNT("reclaim_pages", reclaim_pages, 32, 1, UINT32_MAX,
          "pages that kswapd looks at in a period, 32 (SWAP_CLUSTER_MAX) at a time; those used "
          "since it last came by are spared once",
          "setting of the experiment", CHOICE),
    BOOL(
        "khugepaged", khugepaged, 1,
        "the kernel thread that makes huge pages of small ones is there, unless guest.thp is never",
        "Linux 6.12 mm/khugepaged.c start_stop_khugepaged, every version", V),
    TIME("khugepaged_sleep", khugepaged_sleep_ps, 10 * TS_S,
         "khugepaged sleeps so long before each scan, the first one too (assumed)",
         "Linux 6.12 mm/khugepaged.c khugepaged_scan_sleep_millisecs", V),
    COUNT("khugepaged_pages", khugepaged_pages, 4096, 1, UINT32_MAX,
          "pages of 4K that a scan of khugepaged looks at",
          "Linux 6.12 mm/khugepaged.c khugepaged_pages_to_scan: 512 * 8", V),
    COUNT("khugepaged_max_ptes_none", khugepaged_max_ptes_none, 511, 0, 511,
          "entries of the 512 that may be empty where khugepaged makes a huge page",
          "Linux 6.12 mm/khugepaged.c khugepaged_max_ptes_none", V),
    CYCLES("khugepaged_pte", khugepaged_pte_cycles, 20, "khugepaged: looking at one entry",
           "estimate", G),
    BOOL("numa_balancing", numa_balancing, 0,
         "automatic NUMA balancing; kernels begin with it where they see more than one node, and a "
         "guest sees one",
         "Linux 6.12 mm/mempolicy.c check_numabalancing_enable", CHOICE),
    TIME("numa_scan_delay", numa_scan_delay_ps, TS_S,
         "NUMA balancing: how long an address space, and a thread by its own time, is left alone",
         "Linux 6.12 kernel/sched/fair.c sysctl_numa_balancing_scan_delay", V),
    TIME(
        "numa_scan_period", numa_scan_period_ps, TS_S,
        "NUMA balancing: time between two scans of an address space of numa_scan_size; larger ones "
        "are scanned more often, up to ten times a second with 256 MiB. That the time grows up to "
        "60 s where faults are local is left out",
        "Linux 6.12 kernel/sched/fair.c sysctl_numa_balancing_scan_period_min, task_scan_min", V),
    {"numa_scan_size", TS_PARAM_BYTES, FIELD(numa_scan_bytes), UINT64_C(256) << 20, 1 << 12,
     UINT64_C(1) << 40, NULL, "NUMA balancing: memory that a scan makes inaccessible",
     "Linux 6.12 kernel/sched/fair.c sysctl_numa_balancing_scan_size", V},
    COUNT(
        "numa_migrate_percent", numa_migrate_percent, 0, 0, 100,
        "NUMA balancing: of 100 faults so many find a page of 4K on the wrong node and migrate it",
        "setting of the experiment", CHOICE),
    BOOL("migrate_batch", migrate_batch, 1,
         "migration flushes at the end of a batch of unmaps, not for each entry",
         "Linux 6.3 and later, mm/migrate.c migrate_folio_unmap: TTU_BATCH_FLUSH; 6.1 has none", V),
    CYCLES("fault_numa", fault_numa_cycles, 600,
           "page fault on an entry that NUMA balancing has made inaccessible, rest", "estimate", G),
    CYCLES("numa_migrate", numa_migrate_cycles, 4000,
           "migration of one page: isolate, allocate, copy, remap", "estimate", G),
    CYCLES("touch", touch_cycles, 10, "the program's own work for each page it touches", "estimate",
           G),
    BOOL("page_by_page", page_by_page, 0,
         "simulate every touch on its own instead of joining runs; the results are the same",
         "debugging aid", CHOICE),
};
const struct ts_param_table ts_guest_param_table = {"guest", param_rows, TS_ARRAY_LEN(param_rows)};

/* --- statistics --- */

#define STAT(f, kind, unit, help)                                                                  \
    {                                                                                              \
#f, kind, offsetof(struct ts_guest_stats, f), unit, help                                   \
    }
#define N(f, help) STAT(f, TS_STAT_COUNTER, "1", help)
#define PAGES(f, help) STAT(f, TS_STAT_COUNTER, "pages", help)
#define HIST(f, help) STAT(f, TS_STAT_HIST, "ps", help)
#define LOCK_ROW(name, f, kind, unit, help)                                                        \
    {                                                                                              \
#name, kind, offsetof(struct ts_guest_stats, lock_events.f), unit, help                    \
    }
#define LOCK(name, f, help) LOCK_ROW(name, f, TS_STAT_COUNTER, "1", help)
#define LOCK_TIME(name, f, help) LOCK_ROW(name, f, TS_STAT_TIME_PS, "ps", help)
/* One reason of tlb:tlb_flush. */
#define TRACE_ROW(name, reason, f, unit, help)                                                     \
    {                                                                                              \
        name, TS_STAT_COUNTER, offsetof(struct ts_guest_stats, tlb_trace[reason].f), unit,         \
            "trace point tlb_flush: " help                                                         \
    }
#define TRACE(name, reason)                                                                        \
    TRACE_ROW("tlb_flush_" #name, reason, events, "1", "events of this reason"),                   \
        TRACE_ROW("tlb_flush_" #name "_all", reason, all, "1", "of these for all pages"),          \
        TRACE_ROW("tlb_flush_" #name "_pages", reason, pages, "pages", "pages of the others")
/* Two rows: done twice, and spared by a remote write of the generation. */
#define REDUNDANT(name, kind, help)                                                                \
    {"redundant_" #name, TS_STAT_COUNTER, offsetof(struct ts_guest_stats, redundant[kind]), "1",   \
     "flushes that an assisted one had made already: " help},                                      \
    {                                                                                              \
        "avoided_" #name, TS_STAT_COUNTER,                                                         \
            offsetof(struct ts_guest_stats, redundant_avoided[kind]), "1",                         \
            "flushes spared by a remote write of the generation: " help                            \
    }

static const struct ts_stat stat_rows[] = {
    N(nr_tlb_remote_flush, "flushes that named other CPUs, as /proc/vmstat counts them"),
    N(nr_tlb_remote_flush_received, "flush requests taken, as /proc/vmstat counts them"),
    N(nr_tlb_local_flush_all, "own flushes of everything, as /proc/vmstat counts them"),
    PAGES(nr_tlb_local_flush_one, "pages flushed one by one, as /proc/vmstat counts them"),
    TRACE(on_task_switch, TS_TLB_ON_TASK_SWITCH),
    TRACE(remote_shootdown, TS_TLB_REMOTE_SHOOTDOWN),
    TRACE(local_shootdown, TS_TLB_LOCAL_SHOOTDOWN),
    TRACE(local_mm_shootdown, TS_TLB_LOCAL_MM_SHOOTDOWN),
    TRACE(remote_send_ipi, TS_TLB_REMOTE_SEND_IPI),
    N(nr_tlb_remote_wrong_cpu,
      "flush requests taken by CPUs that had loaded another address space, "
      "and left its mask"),
    N(shootdowns, "flushes with at least one other CPU to reach"),
    N(shootdown_local, "flushes that concerned no other CPU"),
    N(shootdown_all, "all flushes of address spaces"),
    N(shootdown_freed_tables, "shootdowns after which page tables are freed"),
    N(shootdown_full, "shootdowns of a whole address space"),
    N(targets, "CPUs named, summed over the shootdowns"),
    N(targets_lazy_skipped, "CPUs left out because they were lazy"),
    N(csd_queued, "calls queued for other CPUs"),
    N(csd_piggyback, "calls that found the queue in use: no IPI"),
    N(ipis, "IPIs sent for calls"),
    N(ipis_polling, "IPIs spared because the idle target was polling"),
    N(icr_writes, "interrupt command register writes"),
    N(resched_ipis, "IPIs sent for rescheduling"),
    N(flush_full, "flush functions that flushed everything, on any CPU"),
    N(flush_partial, "flush functions that flushed page by page, on any CPU"),
    N(flush_skipped, "flush functions that found nothing to do, on any CPU"),
    PAGES(flush_pages, "pages flushed one by one, on any CPU"),
    N(flush_on_switch, "flushes at a switch of the address space"),
    N(flush_user_exit, "PTI: flushes of a user PCID at the return to user mode"),
    PAGES(flush_user_pages, "PTI: pages of user PCIDs flushed one by one"),
    REDUNDANT(lazy_return, TS_REDUNDANT_LAZY_RETURN, "return from lazy"),
    REDUNDANT(switch_back, TS_REDUNDANT_SWITCH_BACK, "slot found again"),
    REDUNDANT(software, TS_REDUNDANT_SOFTWARE, "whole flush instead of page by page"),
    REDUNDANT(batch, TS_REDUNDANT_BATCH, "flush of no one address space"),
    REDUNDANT(raced, TS_REDUNDANT_RACED, "flush function"),
    REDUNDANT(initiator, TS_REDUNDANT_INITIATOR,
              "any of these on the CPU that had asked for the flush"),
    N(mmaps, "mmap calls done"),
    N(munmaps, "munmap calls done"),
    N(mprotects, "mprotect calls done"),
    N(madvises, "madvise calls done"),
    N(faults, "page faults"),
    N(faults_spurious, "page faults that found the page in order"),
    PAGES(touches, "pages touched"),
    PAGES(pages_freed, "pages freed by unmaps"),
    N(tables_freed, "page-table pages freed by unmaps"),
    N(table_batches, "lists of page-table pages given to RCU"),
    N(table_syncs, "calls of every CPU before a page-table page was freed"),
    N(faults_mmap_lock, "page faults that took mmap_lock"),
    N(ptl_waits, "acquisitions of a page-table lock that found it taken"),
    N(vfrees, "vfree calls done"),
    N(vmap_purges, "purges of what vfree had left unflushed"),
    N(kernel_flushes, "flushes of kernel addresses"),
    N(forks, "forks that copied an address space"),
    N(thp_fault_alloc, "page faults that mapped a huge page, as /proc/vmstat counts them"),
    N(thp_collapse_alloc, "huge pages made of small ones, as /proc/vmstat counts them"),
    N(thp_split_pmd, "huge entries replaced by a table, as /proc/vmstat counts them"),
    PAGES(cow_reused, "write faults that made a page writable in place"),
    PAGES(cow_copied, "write faults that copied a shared page"),
    PAGES(zero_mapped, "reads that mapped the zero page"),
    PAGES(zero_copied, "writes that replaced the zero page, of those in cow_copied"),
    LOCK(lock_pending, lock_pending,
         "waits for a spinlock as the one whom the pending bit names, as lock_event_counts"),
    LOCK(lock_slowpath, lock_slowpath,
         "waits for a spinlock in its queue; paravirtual: at its head, as lock_event_counts"),
    LOCK(pv_kick_unlock, pv_kick_unlock, "unlocks that kicked a vCPU, as lock_event_counts"),
    LOCK(pv_kick_wake, pv_kick_wake, "kicks that found who had gone to wait, as lock_event_counts"),
    LOCK(pv_lock_stealing, pv_lock_stealing,
         "spinlocks taken on the way to the queue, as lock_event_counts"),
    LOCK(pv_spurious_wakeup, pv_spurious_wakeup,
         "halts in the queue that ended before their turn, as lock_event_counts"),
    LOCK(pv_wait_again, pv_wait_again,
         "halts at the queue's head after another one, as lock_event_counts"),
    LOCK(pv_wait_early, pv_wait_early,
         "halts in the queue since the one before did not run, as lock_event_counts"),
    LOCK(pv_wait_head, pv_wait_head, "halts at the queue's head, as lock_event_counts"),
    LOCK(pv_wait_node, pv_wait_node, "halts in the queue, as lock_event_counts"),
    LOCK_TIME(pv_latency_kick, pv_latency_kick_ps, "time spent kicking"),
    LOCK_TIME(pv_latency_wake, pv_latency_wake_ps, "kick to the end of the halt, summed"),
    N(ticks, "ticks taken, with guest.tick nohz or periodic"),
    N(ticks_stopped, "ticks stopped by idle CPUs"),
    N(timer_writes, "writes of the timer, those for sleepers included"),
    N(batch_flushes, "flushes of no one address space, at the end of a batch of unmaps"),
    PAGES(batch_deferred, "entries cleared whose flush was left to the end of a batch"),
    N(batch_late, "flushes of an address space because a batch may not have ended yet"),
    PAGES(pgscan, "pages that reclaim has looked at, as /proc/vmstat counts them"),
    PAGES(pgsteal, "pages reclaimed, as /proc/vmstat counts them"),
    PAGES(pswpout, "pages written to swap, as /proc/vmstat counts them"),
    PAGES(pswpin, "pages read from swap, as /proc/vmstat counts them"),
    PAGES(pglazyfree, "pages given up by MADV_FREE, as /proc/vmstat counts them"),
    PAGES(pglazyfreed, "of those, pages reclaimed, as /proc/vmstat counts them"),
    PAGES(pages_aged, "entries whose accessed bit was cleared"),
    N(khugepaged_scans, "scans of khugepaged"),
    N(numa_scans, "scans of NUMA balancing"),
    PAGES(numa_pte_updates, "pages made inaccessible, as /proc/vmstat counts them"),
    N(numa_hint_faults, "faults on such, as /proc/vmstat counts them"),
    PAGES(numa_pages_migrated, "pages migrated, as /proc/vmstat counts them"),
    N(mmap_lock_waits, "acquisitions of mmap_lock that did not succeed at once"),
    STAT(mmap_lock_wait_ps, TS_STAT_TIME_PS, "ps", "time spent waiting for mmap_lock"),
    N(records, "records of the workload that ended within the window"),
    N(range_flushes, "flushes of the range-flush benchmark"),
    N(calls, "cross-CPU calls of the call benchmark"),
    N(call_functions, "functions that they ran"),
    N(tlbi_issued, "arm64: TLBI instructions"),
    N(tlbi_range_ops, "arm64: range TLBI among them"),
    PAGES(tlbi_range_pages, "arm64: pages that range TLBI covered"),
    N(dsb, "arm64: DSB ISH that waited for TLBI"),
    N(dsb_nsh, "arm64: DSB NSH behind local TLBIs"),
    N(tlbi_user, "arm64: TLBI for the user's ASID under KPTI, local ones too"),
    N(tlbi_repeated, "arm64: TLBI that guest.repeat_tlbi adds, local ones too"),
    HIST(shootdown_ps, "latency of shootdowns at the initiator"),
    HIST(mmap_ps, "latency of mmap, entry to exit"),
    HIST(munmap_ps, "latency of munmap, entry to exit"),
    HIST(fault_ps, "latency of page faults"),
    HIST(call_delay_ps, "call benchmark: sending to the function's start"),
    HIST(call_total_ps, "call benchmark: the whole call"),
    HIST(range_flush_ps, "range-flush benchmark: one flush"),
};

static const struct ts_stat_rule stat_rules[] = {
    {"a flush is a shootdown or local", {"+shootdown_all", "-shootdowns", "-shootdown_local"}},
    {"every shootdown has a latency", {"+shootdowns", "-shootdown_ps"}},
    {"every mmap has a latency", {"+mmaps", "-mmap_ps"}},
    {"every munmap has a latency", {"+munmaps", "-munmap_ps"}},
    {"every fault has a latency", {"+faults", "-fault_ps"}},
    {"every call of the benchmark has a latency", {"+calls", "-call_total_ps"}},
    {"every flush of the benchmark has a latency", {"+range_flushes", "-range_flush_ps"}},
    {"every function that it ran has a delay", {"+call_functions", "-call_delay_ps"}},
};
const struct ts_stat_table ts_guest_stat_table = {"guest", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                  stat_rules, TS_ARRAY_LEN(stat_rules)};
