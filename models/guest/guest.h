/* SPDX-License-Identifier: Apache-2.0 */
/* A Linux-like operating system: one VM's, or the host's own on bare metal.
 *
 * What is here is what TLB coherence needs: address spaces with their generation and CPU mask, the
 * per-CPU TLB state, cross-CPU function calls, the flush path, and threads that carry out a
 * workload's operations. Kernel names are kept so that results map back (x86.md 1 and 2).
 *
 * Context rules: every function that takes `self` runs on self's fiber and may let time pass.
 */
#ifndef TS_MODELS_GUEST_H
#define TS_MODELS_GUEST_H

#include "models/cpu/cpu.h"
#include "models/dvm/dvm.h"
#include "models/guest/rwsem.h"
#include "models/interrupt/icr.h"
#include "models/interrupt/interrupt.h"
#include "models/mmu/mmu.h"
#include "sim/cpumask.h"
#include "sim/rng.h"
#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_guest;
struct ts_guest_cpu;
struct ts_mm;
struct ts_flush_ops;
struct ts_hypervisor;
struct ts_oracle;

/* Costs are core cycles unless the name says otherwise. */
struct ts_guest_params {
    /* x86 TLB bookkeeping (x86.md 1.1, 1.5, 1.7) */
    uint64_t nr_dyn_asids;       /* TLB_NR_DYN_ASIDS */
    uint64_t flush_ceiling;      /* tlb_single_page_flush_ceiling, strides */
    uint64_t lazy_tlb;           /* bool */
    uint64_t idle_polling;       /* bool: bare-metal x86 idles in MWAIT and watches need_resched */
    uint64_t gather_inline;      /* 8 */
    uint64_t gather_batch;       /* 510 */
    uint64_t gather_max_batches; /* 19 */
    /* arm64 (arm.md 1.6, 2.3) */
    uint64_t max_dvm_ops; /* 512: above, without range ops, the whole ASID goes */
    uint64_t range_split; /* enum ts_range_split */
    uint64_t tlbirange;   /* bool: FEAT_TLBIRANGE */
    uint64_t ttl;         /* bool: FEAT_TTL level hints */
    uint64_t repeat_tlbi; /* bool: errata workaround */
    /* instructions */
    uint64_t invlpg_cycles;
    uint64_t mov_cr3_flush_cycles;
    uint64_t mov_cr3_noflush_cycles;
    uint64_t tlbi_local_cycles; /* local TLBI + DSB NSH + ISB */
    uint64_t tlbi_issue_cycles; /* issue of one broadcast TLBI */
    uint64_t dsb_ishst_cycles;
    /* kernel paths, without what is charged by itself (lines, faults' walks, flushes, locks) */
    uint64_t syscall_cycles; /* entry and exit */
    uint64_t mmap_cycles;
    uint64_t munmap_cycles;
    uint64_t mprotect_cycles;
    uint64_t vma_split_cycles;   /* each extra VMA touched or made */
    uint64_t fault_entry_cycles; /* exception entry and exit */
    uint64_t fault_anon_cycles;  /* handle_mm_fault, allocation and clearing of one 4K page */
    uint64_t fault_file_cycles;
    uint64_t fault_locked_cycles;    /* the part of either that is done under the page-table lock */
    uint64_t cow_copy_cycles;        /* copying one page, beyond what clearing one costs */
    uint64_t fork_page_cycles;       /* copying one present entry at fork */
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
    uint64_t clock_read_cycles;       /* ktime_get */
    uint64_t flush_func_cycles;       /* flush_tlb_func's decisions */
    uint64_t switch_mm_cycles;        /* switch_mm_irqs_off without CR3 writes and lines */
    uint64_t nanosleep_cycles;        /* hrtimer set-up and return */
    uint64_t timer_slack_ps;          /* 50 us for ordinary tasks (man prctl, PR_SET_TIMERSLACK) */
    uint64_t timer_program_cycles;
    uint64_t spawn_cycles;     /* clone of a thread */
    uint64_t rwsem_spin;       /* bool: RWSEM_SPIN_ON_OWNER */
    uint64_t rwsem_handoff_ps; /* RWSEM_WAIT_TIMEOUT, 4 ms */
    uint64_t per_vma_lock;     /* bool: faults do not take mmap_lock (6.4+) */
    uint64_t vma_merge;        /* bool: adjacent private anonymous mappings become one VMA */
    uint64_t munmap_downgrade; /* bool: zap and flush under the read lock (4.20+) */
    uint64_t touch_cycles;     /* the user's own work for one touched page */
    uint64_t page_by_page;     /* bool: never join touches of one run into one advance */
};
extern const struct ts_param_table ts_guest_param_table; /* prefix "guest" */

struct ts_guest_stats {
    uint64_t nr_tlb_remote_flush; /* as /proc/vmstat counts, per guest */
    uint64_t nr_tlb_remote_flush_received;
    uint64_t nr_tlb_local_flush_all;
    uint64_t nr_tlb_local_flush_one;
    uint64_t shootdowns;      /* flushes with at least one other CPU to reach */
    uint64_t shootdown_local; /* flushes that no other CPU was concerned by */
    uint64_t shootdown_all;   /* == shootdowns + shootdown_local */
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
    uint64_t mmaps, munmaps, mprotects, madvises, faults, faults_spurious, touches;
    uint64_t pages_freed, tables_freed;
    uint64_t faults_mmap_lock; /* faults that took mmap_lock; all of them without per-VMA locks */
    uint64_t ptl_waits;
    uint64_t forks, cow_reused, cow_copied;
    uint64_t mmap_lock_waits;
    uint64_t mmap_lock_wait_ps;
    uint64_t calls;          /* of TS_OP_CALL; each has one call_total_ps */
    uint64_t call_functions; /* that they ran; each has one call_delay_ps */
    uint64_t tlbi_issued, tlbi_range_ops, tlbi_range_pages, dsb;
    struct ts_hist shootdown_ps;       /* latency at the initiator, shootdowns only */
    struct ts_hist mmap_ps, munmap_ps; /* of the system calls */
    struct ts_hist fault_ps;
    struct ts_hist call_delay_ps; /* send to the start of the function */
    struct ts_hist call_total_ps; /* of the whole call, at the caller */
};
extern const struct ts_stat_table ts_guest_stat_table; /* group "guest" */

/* Where one shootdown's time went; the parts add up to total_ps exactly. The path is that of the
 * acknowledgement that came last. */
enum ts_path_part {
    TS_PATH_SEND = 0,        /* enqueue, mask work, ICR writes and their exits, hypercall issue */
    TS_PATH_TRANSPORT = 1,   /* IPI flight, messages */
    TS_PATH_NOT_RUNNING = 2, /* target vCPU descheduled or halted */
    TS_PATH_IRQ_OFF = 3,     /* target running, interrupts masked */
    TS_PATH_EXIT = 4,        /* target in exits and entries */
    TS_PATH_HANDLER = 5,     /* interrupt entry, dispatch, earlier csds */
    TS_PATH_FLUSH = 6,       /* the invalidation itself */
    TS_PATH_ACK = 7,         /* release to the initiator's seeing it */
    TS_PATH_LOCAL = 8, /* the initiator's own flush after all remote ones are done, or alone */
    TS_PATH_LOCK = 9,  /* csd or flush locks */
    TS_PATH_INITIATOR_OFF = 10, /* the initiator's own vCPU descheduled */
    TS_PATH_HYPERVISOR = 11,    /* work in the hypercall */
    TS_PATH_PARTS = 12
};
extern const char *const ts_path_part_names[TS_PATH_PARTS];

struct ts_shootdown_record {
    uint64_t number;
    uint32_t guest;
    uint32_t initiator;   /* CPU number in the guest */
    uint32_t targets;     /* CPUs named */
    uint32_t last_target; /* whose acknowledgement came last; UINT32_MAX: none */
    uint64_t start;       /* VA; 0 and end UINT64_MAX: whole address space */
    uint64_t end;
    bool freed_tables;
    ts_time started;
    ts_time total_ps;
    ts_time part_ps[TS_PATH_PARTS];
};
typedef void ts_shootdown_fn(void *user, const struct ts_shootdown_record *record);

/* Per-mm state (struct mm_struct's context). */
struct ts_vma_lock;
struct ts_vma {
    uint64_t start, end;
    uint32_t prot;
    uint32_t flags;           /* TS_OPF_ANONYMOUS, TS_OPF_SHARED */
    bool has_anon;            /* anon_vma: has had a private page */
    bool inherited;           /* by fork, with an anon_vma: its chain names the parent's too */
    uint64_t moved_by;        /* start minus the address that vm_pgoff stands for */
    uint64_t lock_seq;        /* vm_lock_seq: write-locked while it equals the mm's */
    struct ts_vma_lock *lock; /* mm_locks.c; NULL until first taken */
};
struct ts_mm {
    struct ts_guest *guest;
    uint64_t ctx_id;  /* never reused, from 1 */
    uint64_t tlb_gen; /* starts at 1 */
    struct ts_line gen_line;
    struct ts_cpumask cpumask; /* mm_cpumask */
    struct ts_line mask_line;
    struct ts_rwsem mmap_lock;
    struct ts_pgtable *pgtable;
    struct ts_vma *vmas; /* sorted by start; owned */
    uint32_t nvmas, vmas_room;
    uint64_t mmap_base;     /* addresses are handed out downwards from here, first fit */
    uint32_t flush_pending; /* open gathers: tlb_flush_pending */
    uint32_t users;         /* threads */
    uint16_t asid;          /* arm64 */
    struct ts_line lru_line;
    void *private_mm; /* mm.c: regions, frames, oracle state */
};

enum { TS_ASIDS_MAX = 16 };
struct ts_tlb_context {
    uint64_t ctx_id, tlb_gen;
};

/* flush_tlb_info: one outstanding a CPU. */
struct ts_flush_info {
    struct ts_mm *mm;    /* NULL: every address space */
    uint64_t start, end; /* end UINT64_MAX: TLB_FLUSH_ALL */
    uint64_t new_tlb_gen;
    uint32_t stride_shift;
    bool freed_tables;
    uint32_t initiator; /* guest CPU number */
    struct ts_line line;
    struct ts_shootdown_record *record; /* being filled in; belongs to the initiator's CPU */
};

/* One call-single-data, of the pair (initiator, target). Stamps serve the critical path. */
typedef void ts_call_fn(struct ts_task *self, void *arg);
struct ts_csd {
    struct ts_csd *next;
    ts_call_fn *fn;
    void *arg;
    bool locked;
    bool sync;
    struct ts_line line;
    struct ts_task *waiter;
    ts_time sent, raised, entered, started, finished, released;
    ts_time not_running_mark, host_mark; /* the target's clocks when sent */
    ts_time not_running_ps, host_ps;     /* of the target, between sent and entered */
    struct ts_cpu *initiator;
    uint64_t flow;          /* of the timeline */
    ts_time initiator_mark; /* the initiator's not-running clock when sent */
    ts_time initiator_done; /* the same when the function had finished */
};

struct ts_guest_cpu {
    struct ts_guest *guest;
    struct ts_cpu *cpu;
    uint32_t id;
    /* cpu_tlbstate */
    struct ts_mm *loaded_mm; /* &guest->init_mm when none */
    bool switching;          /* LOADED_MM_SWITCHING */
    uint32_t loaded_asid;
    uint32_t next_asid;
    struct ts_tlb_context ctxs[TS_ASIDS_MAX];
    struct ts_line private_line;
    bool is_lazy;
    struct ts_line lazy_line; /* shared line read by shooters */
    struct ts_flush_info info;
    struct ts_shootdown_record record;
    /* call function */
    struct ts_csd *csds;  /* [ncpus], one a target */
    struct ts_csd *queue; /* call_single_queue, newest first */
    struct ts_line queue_line;
    struct ts_line resched_line; /* thread_info.flags of the idle task */
    struct ts_cpumask scratch, ipi_mask,
        flush_mask; /* flush_mask: a mechanism's own working copy */
    uint32_t *ids;  /* [ncpus] scratch: targets of one register write */
    /* kvm_steal_time */
    uint32_t preempted; /* bit 0 PREEMPTED, bit 1 FLUSH_TLB */
    struct ts_line steal_line;
    ts_time off_mark; /* not-running clock at the last ts_path_add */
};

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
};

struct ts_guest {
    uint32_t number;
    bool bare_metal;
    enum ts_arch arch;
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_cpu_domain *domain; /* the CPUs its kernel sees */
    struct ts_guest_cpu *cpus;
    uint32_t ncpus;
    struct ts_guest_params params;
    struct ts_line_system *lines;
    struct ts_interrupt *interrupt;
    struct ts_interrupt_params interrupt_params;
    struct ts_dvm *dvm;               /* arm64, else NULL */
    struct ts_mmu **mmus;             /* by pCPU */
    struct ts_hypervisor *hypervisor; /* NULL on bare metal */
    uint16_t vmid_base;        /* x86: VPID of vCPU i is vmid_base + i; arm64: the VM's VMID */
    uint16_t ep4ta;            /* Intel guests: names the VM's EPT root; else 0 */
    uint32_t pt_levels;        /* of stage-1 tables */
    struct ts_pgtable *stage2; /* NULL on bare metal */
    uint32_t backing_shift;    /* log2 of the host's page size behind guest memory */
    uint64_t host_base;        /* physical address of guest-physical 0 */
    const struct ts_flush_ops *flush;
    const void *flush_params;
    void *flush_state;
    struct ts_oracle *oracle; /* NULL: off */
    struct ts_workload *workload;
    struct ts_guest_thread **threads; /* by number; grows */
    uint32_t nthreads, threads_room;
    uint32_t threads_alive;
    struct ts_mm init_mm;
    struct ts_mm **mms;
    uint32_t nmms, mms_room;
    uint64_t last_ctx_id;
    uint64_t line_ids;     /* next id for ts_line_init */
    uint64_t next_frame;   /* guest-physical frames never used yet */
    uint64_t *free_frames; /* stack of freed ones */
    uint64_t nfree_frames, free_frames_room;
    uint32_t *frame_shares; /* fork.c, by frame number; NULL until a page is shared */
    uint64_t frame_shares_room;
    struct ts_guest_stats stats;
    ts_shootdown_fn *shootdown_fn; /* may be NULL */
    void *shootdown_user;
    uint64_t shootdown_number;
    ts_time finished_at;      /* when its last thread ended */
    struct ts_error *failure; /* first error of the workload; stops the run */
    uint64_t seed;
    ts_time idle_wakeup_ps;     /* bare metal: idle CPU, interrupt to running */
    bool local_tlbi_broadcasts; /* arm64 under HCR_EL2.FB: a local TLBI acts inner-shareable */
    const struct ts_timeline *timeline;
    void (*on_finished)(struct ts_guest *g, void *user);
    void *on_finished_user;
    void *sync; /* thread.c: barriers and region waits */
};

/* --- guest.c --- */
static inline struct ts_guest_cpu *ts_guest_cpu_of(const struct ts_task *self)
{
    return (struct ts_guest_cpu *)self->cpu->user;
}
/* The MMU of the pCPU that executes self now, and the regime it is in. */
struct ts_mmu *ts_guest_mmu(struct ts_task *self, struct ts_mmu_context *ctx);
/* A fresh or recycled guest-physical 4K frame. */
uint64_t ts_guest_frame_alloc(struct ts_guest *g);
void ts_guest_frame_free(struct ts_guest *g, uint64_t frame);
void ts_guest_line_init(struct ts_guest *g, struct ts_line *line, uint32_t near_cpu);

/* The guest's CPUs, lines and init_mm; params, domain, engine and the like are set by the caller.
 */
enum ts_status ts_guest_init(struct ts_guest *g, struct ts_error *err);
void ts_guest_fini(struct ts_guest *g);
/* CPU operations of an operating system on bare metal, and the parts that vCPUs share. */
extern const struct ts_cpu_ops ts_bare_metal_cpu_ops;
void ts_guest_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised);
void ts_guest_switch_out(struct ts_task *self, struct ts_task *next);

/* --- sending interrupts (guest/ipi.c) --- */
/* The register accesses of one write by the driver of `mode` on self's own pCPU. xAPIC: interrupts
 * must be off; it waits until what the pCPU sent last has been accepted. */
void ts_icr_work(struct ts_task *self, const struct ts_interrupt *in,
                 const struct ts_interrupt_params *ip, enum ts_intr_mode mode,
                 enum ts_icr_kind kind);
/* Sends vector to n CPUs by the register writes its interrupt controller needs, or by KVM's
 * hypercall: targets ascending.
 * broadcast: they are all online CPUs but self. */
void ts_guest_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                       enum ts_vector vector);
void ts_guest_send_resched(struct ts_task *self, struct ts_cpu *target);
/* set_nr_if_polling: true if target idles in MWAIT and has been told by its flags' line, so that it
 * needs no IPI. */
bool ts_guest_wake_polling(struct ts_task *self, struct ts_guest_cpu *target);

/* --- tlb state (guest/context.c) --- */
/* The tags that this CPU's translations of an ASID slot carry. */
uint16_t ts_guest_vmid(const struct ts_guest_cpu *gc);
uint16_t ts_guest_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm);
/* Applies inval to the TLB of the pCPU that executes self. */
void ts_guest_invalidate(struct ts_task *self, const struct ts_tlb_inval *inval);
void ts_switch_mm(struct ts_task *self, struct ts_mm *next); /* interrupts off */
void ts_enter_lazy_tlb(struct ts_task *self);

/* --- flush path (guest/flush_mm.c) --- */
/* flush_tlb_mm_range: end UINT64_MAX flushes all. */
void ts_flush_tlb_mm_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                           uint32_t stride_shift, bool freed_tables);
/* flush_tlb_func: the decision table of x86.md 1.6; interrupts off. */
void ts_flush_tlb_func(struct ts_task *self, struct ts_flush_info *info);

/* --- smp calls (guest/smp_call.c) --- */
/* smp_call_function_many_cond with wait: remote part for every CPU of mask that cond (may be NULL)
 * lets through, local call of local_fn (may be NULL) between sending and waiting. */
void ts_smp_call_many(struct ts_task *self, const struct ts_cpumask *mask,
                      bool (*cond)(struct ts_guest_cpu *cpu, void *arg), ts_call_fn *fn, void *arg,
                      ts_call_fn *local_fn, struct ts_shootdown_record *record);
/* Interrupt handler's part: runs what is queued for this CPU. */
void ts_smp_call_handle(struct ts_task *self, ts_time raised);

/* --- the cross-CPU call benchmark (guest/call_bench.c): TS_OP_CALL --- */
void ts_call_bench(struct ts_task *self, const struct ts_op *op);

/* --- memory management (guest/mm.c, fault.c, gather.c); self is a guest thread's task --- */
enum ts_status ts_mm_create(struct ts_guest *g, struct ts_mm **out, struct ts_error *err);
void ts_mm_destroy(struct ts_mm *mm);
void ts_mm_mmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_munmap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_mprotect(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_madvise_dontneed(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_mremap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
void ts_mm_touch(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op);
/* Address of a region's byte, or false while it is not mapped (yet or any more). */
bool ts_mm_region_address(const struct ts_mm *mm, uint32_t region, uint64_t offset, uint64_t *va);

/* --- threads (guest/thread.c) --- */
/* Creates the initial threads and makes them runnable; the guest's CPUs must have been started. */
enum ts_status ts_guest_threads_start(struct ts_guest *g, struct ts_error *err);
void ts_guest_threads_fini(struct ts_guest *g);
/* Operations of the workload that its threads have finished. */
uint64_t ts_guest_operations(const struct ts_guest *g);

#ifdef __cplusplus
}
#endif
#endif
