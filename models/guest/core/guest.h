/* SPDX-License-Identifier: Apache-2.0 */
/* A Linux-like operating system: one VM's, or the host's own on bare metal. Here is what all its
 * modules share: parameters, statistics, physical frames, and the struct that holds it together.
 *
 * Its modules, each on those before it: lock (spinlocks, rwsem), core, coherence (TLB state,
 * cross-CPU calls, flushes), mm (address spaces), os (threads, and the operating system as a table
 * of functions). Kernel names are kept so that results map back (x86.md 1 and 2).
 *
 * Context rules: every function that takes `self` runs on self's fiber and may let time pass. */
#ifndef TS_MODELS_GUEST_GUEST_H
#define TS_MODELS_GUEST_GUEST_H

#include "models/abi/vm.h"
#include "models/cpu/cpu.h"
#include "models/cpu/rar.h"
#include "models/dvm/dvm.h"
#include "models/guest/core/frame_queue.h"
#include "models/guest/core/nt_params.h"
#include "models/guest/lock/ex_lock.h"
#include "models/guest/lock/spinlock.h"
#include "models/interrupt/interrupt.h"
#include "models/mmu/mmu.h"
#include "models/oracle/oracle.h"
#include "sim/rng.h"
#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_guest;
struct ts_guest_cpu;
struct ts_csd_pool;
struct ts_mm;
struct ts_flush_ops;
struct ts_guest_os;
struct ts_guest_tick;
struct ts_flush_info;

/* guest.os: the index of ts_guest_os_table (os/thread.h), and of the names of its row. */
enum ts_guest_os_kind { TS_OS_LINUX = 0, TS_OS_WINDOWS = 1, TS_OS_KINDS = 2 };

enum { TS_ASIDS_MAX = 16 };

/* What becomes of the address space that a CPU has loaded when it has nothing of it to run. */
enum ts_lazy_rule {
    TS_LAZY_INIT_MM, /* it switches to init_mm at once: 4.14 to 4.19 where there are PCIDs */
    TS_LAZY_IPI_ALL, /* it keeps it, gets every flush and then switches to init_mm */
    TS_LAZY_SKIP     /* it keeps it, gets no flush unless tables are freed: 4.20 and later */
};
/* MMU_GATHER_RCU_TABLE_FREE: how page-table pages are freed */
enum ts_rcu_table_free {
    TS_RCU_TABLES_NEVER = 0,
    TS_RCU_TABLES_PV = 1, /* x86: with a paravirtual flush; arm64 */
    TS_RCU_TABLES_ALWAYS = 2
};
/* /sys/kernel/mm/transparent_hugepage/enabled */
enum ts_thp { TS_THP_NEVER = 0, TS_THP_MADVISE = 1, TS_THP_ALWAYS = 2 };
/* Which private anonymous mappings begin at a multiple of 2 MiB if there is room. */
enum ts_thp_align {
    TS_THP_ALIGN_NONE = 0,
    TS_THP_ALIGN_LARGE = 1,    /* from 2 MiB on */
    TS_THP_ALIGN_MULTIPLES = 2 /* of whole 2 MiB */
};

/* Which CPUs tick, and whether that costs anything (os/nohz.h). */
enum ts_tick { TS_TICK_WAITING = 0, TS_TICK_NOHZ = 1, TS_TICK_PERIODIC = 2 };

/* Costs are core cycles unless the name says otherwise. */
struct ts_guest_params {
    uint64_t os;            /* enum ts_guest_os_kind */
    uint64_t linux_version; /* index of ts_guest_version_names; for who fills the rest in */
    /* x86 TLB bookkeeping (x86.md 1.1, 1.5, 1.7) */
    uint64_t nr_dyn_asids;         /* TLB_NR_DYN_ASIDS */
    uint64_t flush_ceiling;        /* tlb_single_page_flush_ceiling, strides */
    uint64_t lazy_rule;            /* enum ts_lazy_rule */
    uint64_t lazy_mm_cpumask;      /* bool: a CPU stays in the mask when it switches away */
    uint64_t mask_barrier;         /* bool: a full barrier where the bit is set already */
    uint64_t flush_concurrent;     /* bool: local and remote flush at the same time */
    uint64_t flush_gen_early_exit; /* bool: flush_tlb_func asks its own generation first */
    uint64_t should_flush_mm;      /* bool: should_flush_tlb looks at what the CPU has loaded */
    uint64_t pti;                  /* bool: page-table isolation, a PCID of its own for user mode */
    uint64_t invpcid;              /* bool: the CPU has INVPCID */
    uint64_t idle_polling;       /* bool: bare-metal x86 idles in MWAIT and watches need_resched */
    uint64_t gather_inline;      /* 8 */
    uint64_t gather_batch;       /* 510 */
    uint64_t gather_max_batches; /* 19 */
    uint64_t gather_spare;       /* bool: an entry of each list is kept free (6.9+) */
    uint64_t delayed_rmap;       /* bool: rmaps of dirty shared pages wait for the flush (6.2+) */
    uint64_t rcu_table_free;     /* enum ts_rcu_table_free */
    uint64_t table_batch;        /* 509; 0: no page for a batch is ever to be had */
    uint64_t rcu_grace_ps;       /* call_rcu to its callback */
    uint64_t thp;                /* enum ts_thp */
    uint64_t thp_align;          /* enum ts_thp_align */
    /* arm64 (arm.md 1.6, 2.3) */
    uint64_t max_dvm_ops; /* 512: above, without range ops, the whole ASID goes */
    uint64_t range_split; /* enum ts_range_split */
    uint64_t tlbirange;   /* bool: FEAT_TLBIRANGE */
    uint64_t ttl;         /* bool: FEAT_TTL level hints */
    uint64_t kpti;        /* bool: kernel and user have an ASID each, the even and the odd one */
    uint64_t repeat_tlbi; /* bool: errata workaround */
    uint64_t repeat_tlbi_form; /* enum ts_repeat_tlbi_form */
    /* instructions */
    uint64_t invlpg_cycles;
    uint64_t invpcid_cycles; /* type 0, one address of another PCID */
    uint64_t mov_cr3_flush_cycles;
    uint64_t mov_cr3_noflush_cycles;
    uint64_t tlbi_local_cycles; /* local TLBI + DSB NSH + ISB, at least */
    uint64_t tlbi_issue_cycles; /* issue of one broadcast TLBI */
    uint64_t dsb_ishst_cycles;
    /* kernel paths, without what is charged by itself (lines, faults' walks, flushes, locks) */
    uint64_t syscall_cycles;   /* entry and exit */
    uint64_t pti_enter_cycles; /* with PTI more, from user mode: SWITCH_TO_KERNEL_CR3 */
    uint64_t pti_exit_cycles;  /* and back: SWITCH_TO_USER_CR3 that flushes nothing */
    uint64_t kpti_enter_cycles, kpti_exit_cycles; /* arm64: tramp_map_kernel, tramp_unmap_kernel */
    uint64_t mmap_cycles;
    uint64_t munmap_cycles;
    uint64_t mprotect_cycles;
    uint64_t madvise_cycles;
    uint64_t vma_split_cycles;   /* each extra VMA touched or made */
    uint64_t fault_entry_cycles; /* exception entry and exit */
    uint64_t fault_anon_cycles;  /* handle_mm_fault, allocation and clearing of one 4K page */
    uint64_t fault_file_cycles;
    uint64_t fault_zero_cycles;      /* map the zero page */
    uint64_t fault_huge_cycles;      /* as fault_anon_cycles, for a page of 2 MiB */
    uint64_t thp_collapse_cycles;    /* 512 pages become a huge one, without flush and calls */
    uint64_t thp_split_cycles;       /* a huge entry becomes a table, without the flush */
    uint64_t fault_locked_cycles;    /* the part of either that is done under the page-table lock */
    uint64_t cow_copy_cycles;        /* copying one page, beyond what clearing one costs */
    uint64_t fork_page_cycles;       /* copying one present entry at fork */
    uint64_t flush_global_cycles;    /* everything: INVPCID type 2, or CR4.PGE off and on */
    uint64_t vfree_cycles;           /* vfree without freeing pages and without a purge */
    uint64_t vmap_lazy_max;          /* bytes; 0: lazy_max_pages */
    uint64_t alloc_table_cycles;     /* one page-table page */
    uint64_t zap_page_cycles;        /* clear, rmap, queue one page */
    uint64_t zap_empty_table_cycles; /* skip over one empty 2M span */
    uint64_t free_page_cycles;       /* free one page at the end of a gather */
    uint64_t free_table_cycles;
    uint64_t irq_entry_cycles; /* interrupt entry to handler */
    uint64_t irq_exit_cycles;
    uint64_t smp_call_setup_cycles;   /* smp_call_function_many_cond, fixed part */
    uint64_t smp_call_target_cycles;  /* each target: mask walk, csd fill */
    uint64_t smp_call_handler_cycles; /* dispatch of one csd on the target */
    uint64_t call_loop_cycles;        /* a turn of an IPI benchmark's loop */
    uint64_t clock_read_cycles;       /* ktime_get */
    uint64_t flush_func_cycles;       /* flush_tlb_func's decisions */
    uint64_t switch_mm_cycles;        /* switch_mm_irqs_off without CR3 writes and lines */
    uint64_t nanosleep_cycles;        /* hrtimer set-up and return */
    uint64_t timer_slack_ps;          /* 50 us for ordinary tasks (man prctl, PR_SET_TIMERSLACK) */
    uint64_t timer_program_cycles;
    uint64_t tick;                    /* enum ts_tick */
    uint64_t nohz_after_tick;         /* bool: an idle CPU's tick stops when one has come */
    uint64_t spawn_cycles;            /* clone of a thread */
    uint64_t pv_spinlocks;            /* bool: nopvspin is not given */
    uint64_t spin_threshold;          /* SPIN_THRESHOLD */
    uint64_t pause_cycles;            /* one loop with PAUSE */
    uint64_t pv_wait_early_preempted; /* bool: pv_wait_early asks vcpu_is_preempted */
    uint64_t rwsem_spin;              /* bool: RWSEM_SPIN_ON_OWNER */
    uint64_t rwsem_handoff_ps;        /* RWSEM_WAIT_TIMEOUT, 4 ms */
    uint64_t per_vma_lock;            /* bool: faults do not take mmap_lock (6.4+) */
    uint64_t lru_drain;               /* bool: lru_add_drain before pages are unmapped */
    uint64_t zero_page;        /* bool: a read of untouched anonymous memory maps the zero page */
    uint64_t vma_merge;        /* bool: adjacent private anonymous mappings become one VMA */
    uint64_t munmap_downgrade; /* bool: zap and flush under the read lock (4.20+) */
    /* reclaim (mm/reclaim.c) */
    uint64_t reclaim_free_batch;   /* PAGEVEC_SIZE: pages freed after one flush (6.10+); 0: all */
    uint64_t reclaim_page_cycles;  /* shrink_folio_list and rmap, each folio, without the PTE */
    uint64_t swap_out_cycles;      /* write one page to swap, synchronously */
    uint64_t swap_in_cycles;       /* fault, rest: read one page from swap and map it */
    uint64_t pageout_clears_young; /* bool: MADV_PAGEOUT ages entries first, with a flush */
    uint64_t tlbi_batch;           /* bool: arm64 defers the DSB of reclaim (6.6+) */
    uint64_t reclaim_period_ps;    /* kswapd: 0: off */
    uint64_t reclaim_pages;        /* looked at in a period */
    uint64_t khugepaged;           /* bool: there is one unless thp is never */
    uint64_t khugepaged_sleep_ps;  /* between two scans */
    uint64_t khugepaged_pages;     /* of a scan */
    uint64_t khugepaged_max_ptes_none;
    uint64_t khugepaged_pte_cycles; /* scan of one entry */
    /* NUMA balancing (mm/numa.c) */
    uint64_t numa_balancing; /* bool */
    uint64_t numa_scan_delay_ps, numa_scan_period_ps;
    uint64_t numa_scan_bytes;
    uint64_t numa_migrate_percent; /* of hint faults */
    uint64_t migrate_batch;        /* bool: TTU_BATCH_FLUSH of migrations (6.3+) */
    uint64_t fault_numa_cycles;
    uint64_t numa_migrate_cycles;
    uint64_t touch_cycles; /* the user's own work for one touched page */
    uint64_t page_by_page; /* bool: never join touches of one run into one advance */
};
extern const struct ts_param_table ts_guest_param_table; /* prefix "guest" */

/* Flushes that are made twice: R1 to R6 of coherence/assisted.h. */
enum ts_redundant {
    TS_REDUNDANT_LAZY_RETURN,
    TS_REDUNDANT_SWITCH_BACK,
    TS_REDUNDANT_SOFTWARE,
    TS_REDUNDANT_BATCH,
    TS_REDUNDANT_RACED,
    TS_REDUNDANT_INITIATOR,
    TS_REDUNDANT_KINDS
};

/* Reasons of the trace point tlb:tlb_flush (enum tlb_flush_reason, linux/mm_types.h; 6.1, 6.12).
 * The sixth, since 6.14, is nr_tlb_remote_wrong_cpu. */
enum ts_tlb_reason {
    TS_TLB_ON_TASK_SWITCH,
    TS_TLB_REMOTE_SHOOTDOWN,
    TS_TLB_LOCAL_SHOOTDOWN,
    TS_TLB_LOCAL_MM_SHOOTDOWN,
    TS_TLB_REMOTE_SEND_IPI,
    TS_TLB_REASONS
};
struct ts_tlb_trace {
    uint64_t events;
    uint64_t all;   /* of these with TLB_FLUSH_ALL for their pages */
    uint64_t pages; /* of the others */
};

struct ts_guest_stats {
    uint64_t nr_tlb_remote_flush; /* as /proc/vmstat counts, per guest */
    uint64_t nr_tlb_remote_flush_received;
    uint64_t nr_tlb_local_flush_all;
    uint64_t nr_tlb_local_flush_one;
    struct ts_tlb_trace tlb_trace[TS_TLB_REASONS];
    uint64_t nr_tlb_remote_wrong_cpu; /* TLB_REMOTE_WRONG_CPU of the tlb_flush trace point */
    uint64_t shootdowns;              /* flushes with at least one other CPU to reach */
    uint64_t shootdown_local;         /* flushes that no other CPU was concerned by */
    uint64_t shootdown_all;           /* == shootdowns + shootdown_local */
    uint64_t shootdown_freed_tables;
    uint64_t shootdown_full; /* whole address space */
    uint64_t targets;        /* CPUs named, summed over shootdowns */
    uint64_t targets_lazy_skipped;
    uint64_t csd_queued;
    uint64_t csd_piggyback; /* queue was not empty: no IPI */
    uint64_t ipis;          /* IPIs sent for calls */
    uint64_t ipis_polling;  /* elided: idle target was polling */
    uint64_t icr_writes;    /* register writes made for calls */
    uint64_t resched_ipis;
    uint64_t flush_full, flush_partial, flush_skipped; /* outcomes on targets, self included */
    uint64_t flush_pages;
    uint64_t flush_on_switch;
    uint64_t flush_user_exit;  /* PTI: user PCIDs flushed at a return to user mode */
    uint64_t flush_user_pages; /* PTI: INVPCID of one page of a user PCID */
    /* Flushes that an assisted one had done before, and such as a remote write spared
     * (coherence/assisted.h). */
    uint64_t redundant[TS_REDUNDANT_KINDS], redundant_avoided[TS_REDUNDANT_KINDS];
    uint64_t mmaps, munmaps, mprotects, madvises, faults, faults_spurious, touches;
    uint64_t pages_freed, tables_freed;
    uint64_t table_batches, table_syncs;
    uint64_t faults_mmap_lock; /* faults that took mmap_lock; all of them without per-VMA locks */
    uint64_t ptl_waits;
    uint64_t vfrees, vmap_purges, kernel_flushes;
    uint64_t forks, cow_reused, cow_copied, zero_mapped, zero_copied;
    uint64_t thp_fault_alloc, thp_collapse_alloc, thp_split_pmd; /* as /proc/vmstat counts them */
    struct ts_lock_events lock_events;
    uint64_t ticks, ticks_stopped, timer_writes;
    uint64_t batch_flushes, batch_deferred, batch_late;
    uint64_t pgscan, pgsteal, pswpout, pswpin, pglazyfree, pglazyfreed; /* as /proc/vmstat */
    uint64_t pages_aged;
    uint64_t khugepaged_scans;
    uint64_t numa_scans, numa_pte_updates, numa_hint_faults, numa_pages_migrated;
    uint64_t mmap_lock_waits;
    uint64_t mmap_lock_wait_ps;
    uint64_t records;        /* within the time in which they count */
    uint64_t range_flushes;  /* of TS_OP_FLUSH; each has one range_flush_ps */
    uint64_t calls;          /* of TS_OP_CALL; each has one call_total_ps */
    uint64_t call_functions; /* that they ran; each has one call_delay_ps */
    uint64_t tlbi_issued, tlbi_range_ops, tlbi_range_pages, dsb, dsb_nsh;
    uint64_t tlbi_user;                /* KPTI: for the user's ASID, local ones too */
    uint64_t tlbi_repeated;            /* guest.repeat_tlbi: further TLBI, local ones too */
    struct ts_hist shootdown_ps;       /* latency at the initiator, shootdowns only */
    struct ts_hist mmap_ps, munmap_ps; /* of the system calls */
    struct ts_hist fault_ps;
    struct ts_hist call_delay_ps; /* send to the start of the function */
    struct ts_hist call_total_ps; /* of the whole call, at the caller */
    struct ts_hist range_flush_ps;
};
extern const struct ts_stat_table ts_guest_stat_table; /* group "guest" */

struct ts_guest_thread {
    struct ts_guest *guest;
    struct ts_task task;
    struct ts_mm *mm;
    uint32_t number; /* in the workload */
    bool started, done;
    struct ts_task *region_waiter_next;
    struct ts_op op;
    struct ts_task **call_waiting; /* [ncpus], of TS_OP_CALL's lock; NULL until there is one */
    ts_time started_at, ended_at;
    /* nt: since when it has been on its CPU, and what the CPU had counted of it then */
    ts_time charge_since, charged_user_ps, charged_system_ps;
    ts_time numa_stamp, numa_period; /* node_stamp, numa_scan_period, of the time executed */
    uint64_t numa_tick;              /* the last one looked at */
    bool numa_work;                  /* task_numa_work is to be done */
};

struct ts_shootdown_record;
typedef void ts_shootdown_fn(void *user, const struct ts_shootdown_record *record);

/* What modules below the operating system call of it. */
struct ts_guest_paths {
    /* What a stage-1 fault of user code at va does between its entry and its return. False: a bad
     * access, which is ignored and counted. */
    bool (*fault)(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write);
    /* A flush on one of its targets, self's own CPU perhaps; interrupts off. */
    void (*flush_func)(struct ts_task *self, struct ts_flush_info *info);
};

/* What the machine gives a guest; all of it outlives the guest. */
struct ts_guest_wiring {
    struct ts_vm *vm;                                   /* os and guest are set by the guest */
    const struct ts_guest_params *params;               /* copied */
    const struct ts_nt_params *nt;                      /* copied */
    const struct ts_interrupt_params *interrupt_params; /* copied */
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_line_system *lines;
    struct ts_interrupt *interrupt;
    struct ts_dvm *dvm;   /* arm64, or x86 with INVLPGB; else NULL */
    struct ts_rar *rar;   /* bare metal of x86 with RAR, else NULL */
    struct ts_mmu **mmus; /* by pCPU */
    const struct ts_timeline *timeline;
    uint32_t pt_levels;       /* of stage-1 tables */
    ts_time idle_wakeup_ps;   /* bare metal: idle CPU, interrupt to running */
    struct ts_oracle *oracle; /* NULL: off */
    const struct ts_guest_os *os;
    const struct ts_flush_ops *flush; /* the VM's mechanism */
    const void *flush_params;         /* its parameters; NULL only if it has none */
    struct ts_workload *workload;
    uint64_t seed;
    /* Records are counted that end after record_from and not after record_until. From record_until
     * on threads end with the operation that they are at. TS_TIME_NEVER: with their streams. */
    ts_time record_from, record_until;
    void (*on_finished)(struct ts_guest *g, void *user); /* its last thread has ended */
    void *on_finished_user;
};

struct ts_guest {
    uint32_t number;
    uint32_t ncpus;
    enum ts_arch arch;
    struct ts_vm *vm;
    struct ts_cpu_domain *domain; /* the CPUs its kernel sees */
    struct ts_guest_params params;
    struct ts_guest_stats stats;
    struct ts_nt_stats nt_stats;
    struct ts_error *failure; /* first error of the workload; stops the run */
    ts_time finished_at;      /* when its last thread ended */
    ts_time record_from, record_until;

    /* --- private: the guest's own modules and mechanisms --- */
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_line_system *lines;
    struct ts_interrupt *interrupt;
    struct ts_interrupt_params interrupt_params;
    struct ts_dvm *dvm;
    struct ts_rar *rar;
    struct ts_mmu **mmus;
    const struct ts_timeline *timeline;
    struct ts_oracle *oracle;
    uint64_t seed;
    ts_time idle_wakeup_ps;
    uint32_t pt_levels;
    uint64_t line_ids;   /* next id for ts_guest_line_init */
    uint64_t next_frame; /* guest-physical frames never used yet */
    uint64_t zero_frame; /* mm/folio.c: the shared zero page, once it has been mapped */
    bool has_zero_frame;
    uint64_t *free_frames; /* stack of freed ones */
    uint64_t nfree_frames, free_frames_room;
    struct ts_frame_queue late; /* free at a time to come */
    uint64_t *free_huge;        /* stack of free huge frames */
    uint64_t nfree_huge, free_huge_room;
    uint32_t *frame_shares; /* mm/folio.c, by frame number; NULL until a page is shared */
    uint64_t frame_shares_room;
    uint64_t vmap_next,
        vmap_purged;           /* mm/vmalloc.c: bytes of kernel addresses, freed and flushed */
    uint64_t vmap_lazy;        /* vmap_lazy_nr, in bytes */
    struct ts_spinlocks locks; /* what its spinlocks have in common; vm->locks */
    struct ts_line vmap_line;
    struct ts_nt_params nt;
    struct ts_ex_locks ex_locks; /* nt: what its locks have in common */
    uint32_t *huge_refs; /* mm/folio.c, by huge frame number; NULL until there is a huge page */
    uint64_t huge_refs_room;
    uint32_t *lazyfree; /* mm/folio.c, bits by frame number: !PG_swapbacked; NULL until MADV_FREE */
    uint64_t lazyfree_room;
    /* coherence */
    struct ts_guest_cpu *cpus; /* [ncpus] */
    struct ts_csd_pool *csds;
    struct ts_mm *init_mm;
    uint64_t last_ctx_id;
    const struct ts_flush_ops *flush;
    const void *flush_params;
    void *flush_state;
    ts_shootdown_fn *shootdown_fn; /* may be NULL */
    void *shootdown_user;
    uint64_t shootdown_number;
    /* mm */
    struct ts_mm **mms;
    uint32_t nmms, mms_room;
    struct ts_unmap_batch *batches, *batches_made; /* mm/unmap_batch.c: spare ones; all */
    uint32_t hand_mm; /* mm/reclaim.c: where kswapd goes on, an index of mms and an address */
    uint64_t hand_va;
    /* os */
    const struct ts_guest_paths *paths;
    struct ts_guest_thread **kthreads; /* os/kthread.c */
    uint32_t nkthreads;
    const struct ts_guest_os *os;
    struct ts_workload *workload;
    struct ts_guest_thread **threads; /* by number; grows */
    uint32_t nthreads, threads_room;
    uint32_t threads_alive;
    uint32_t threads_waiting;    /* that only another thread can wake */
    void *sync;                  /* barriers */
    struct ts_guest_tick *ticks; /* os/nohz.c: [ncpus]; NULL with guest.tick waiting */
    void (*on_finished)(struct ts_guest *g, void *user);
    void *on_finished_user;
};

/* --- failure and waiting (core/waiting.c); self is a thread's task --- */
/* Keeps the first error and stops the run. */
void ts_guest_report(struct ts_guest *g, const struct ts_error *err);
/* The same on a task of the guest, an idle one perhaps, that cannot go on. Does not return. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void ts_guest_stop(struct ts_task *self, struct ts_guest *g, const struct ts_error *err);
/* The same: out of memory for what. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void ts_guest_no_memory(struct ts_task *self, struct ts_guest *g, const char *what);
/* The same on one of its threads: the workload cannot go on. */
#if defined(__GNUC__)
__attribute__((noreturn, format(printf, 3, 4)))
#endif
void ts_guest_fail(struct ts_task *self, enum ts_status status, const char *fmt, ...);
/* One thread more is waiting for others of the guest; fails the run when nobody is left to wake it,
 * unless that is because the others have ended with the window, with which the guest ends then.
 * Whoever wakes one calls it off. */
void ts_guest_waiting(struct ts_task *self, const char *what, uint32_t number);
/* The window is over: nobody begins anything more. */
static inline bool ts_guest_is_over(const struct ts_guest *g, ts_time now)
{
    return now >= g->record_until;
}
/* The window is over now, if it is not already. */
void ts_guest_end(struct ts_guest *g, ts_time now);
/* The guest has ended. */
void ts_guest_finished(struct ts_guest *g, ts_time now);
void ts_guest_not_waiting(struct ts_guest *g);

/* --- frames and lines (core/guest.c); no time passes --- */
/* A fresh or recycled guest-physical 4K frame. */
uint64_t ts_guest_frame_alloc(struct ts_guest *g);
void ts_guest_frame_free(struct ts_guest *g, uint64_t frame);
/* count neighbouring ones, never used before: the address of the lowest. */
uint64_t ts_guest_frames_fresh(struct ts_guest *g, uint64_t count);
/* Free from then on; the times never fall. */
void ts_guest_frame_free_at(struct ts_guest *g, uint64_t frame, ts_time when);
/* The same for 2 MiB, aligned. */
uint64_t ts_guest_huge_alloc(struct ts_guest *g);
void ts_guest_huge_free(struct ts_guest *g, uint64_t frame);
/* A contended line of the kernel's, homed near a CPU's memory. */
void ts_guest_line_init(struct ts_guest *g, struct ts_line *line, uint32_t near_cpu);
static inline bool ts_guest_is_windows(const struct ts_guest *g)
{
    return g->params.os == TS_OS_WINDOWS;
}

#ifdef __cplusplus
}
#endif
#endif
