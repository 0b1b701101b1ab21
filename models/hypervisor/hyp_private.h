/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the hypervisor's files: the vCPU's host side. */
#ifndef TS_MODELS_HYP_PRIVATE_H
#define TS_MODELS_HYP_PRIVATE_H

#include "models/hypervisor/hypervisor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_exit_reason {
    TS_EXIT_NONE,
    TS_EXIT_INTERRUPT,
    TS_EXIT_ICR,
    TS_EXIT_HYPERCALL,
    TS_EXIT_HALT,
    TS_EXIT_PAUSE,
    TS_EXIT_TIMER,
    TS_EXIT_EOI,
    TS_EXIT_APIC_ACCESS,
    TS_EXIT_AVIC,
    TS_EXIT_STAGE2,
    TS_EXIT_USER /* to the program that runs the VM */
};

/* What others may ask of a vCPU before its next entry. All are KVM_REQUEST_WAIT and
 * KVM_REQUEST_NO_WAKEUP (linux/kvm_host.h, asm/kvm_host.h; 6.12). */
enum ts_vcpu_request {
    TS_REQUEST_HV_FLUSH = 1u << 0,  /* KVM_REQ_HV_TLB_FLUSH */
    TS_REQUEST_TLB_FLUSH = 1u << 1, /* KVM_REQ_TLB_FLUSH, x86 */
    TS_REQUEST_NEW_ASID = 1u << 2   /* Xen: hvm_asid_flush_vcpu */
};

#define TS_HV_FLUSHALL UINT64_MAX /* KVM_HV_TLB_FLUSHALL_ENTRY */

struct ts_vcpu {
    struct ts_hypervisor *hyp;
    struct ts_vm *vm;
    uint32_t id;         /* within the VM */
    struct ts_cpu *cpu;  /* the guest's view */
    struct ts_task task; /* the host's view */
    char name[24];
    uint32_t number;     /* global */
    enum ts_accel accel; /* that its VM gets */
    enum ts_exit_reason reason;
    enum ts_cpu_mode guest_mode; /* the vCPU's mode around an exit */
    bool entering;               /* vcpu->mode == IN_GUEST_MODE: requests must kick */
    struct ts_store entering_store;
    bool blocked;     /* waits in kvm_vcpu_block */
    bool halt_masked; /* halted with its interrupts off */
    bool pv_unhalted; /* kicked: its next halt, or the one it is in, is over */
    bool polling;     /* halt polling */
    bool poll_over;
    ts_time poll_ps; /* vcpu->halt_poll_ns */
    struct ts_event poll_event;
    /* On its pCPU (ts_vcpu_on_pcpu_ps): when it began to poll, when it last left the guest; and
     * sums of what is over. */
    ts_time poll_mark, host_mark;
    ts_time polled_ps, exits_from_user_ps;
    /* The posted-interrupt descriptor; also what stands in for IRR in software and in AVIC's
     * backing page. */
    uint32_t pir;   /* posted, not yet visible to the guest */
    bool notified;  /* ON; without posting: it has been kicked */
    bool sn;        /* preempted: hardware does not notify */
    bool nv_wakeup; /* NV is the wake-up vector: blocked */
    uint32_t ndst;  /* pCPU that notifications go to */
    struct ts_vcpu *wakeup_next;
    bool loaded;       /* between vcpu_load and vcpu_put */
    bool in_service;   /* a handler runs and has not done EOI */
    bool pv_eoi;       /* the guest may skip the EOI of what is in service */
    bool steal_update; /* KVM_REQ_STEAL_UPDATE */
    bool timer_queued;
    struct ts_vcpu *timer_next;
    uint32_t last_pcpu;    /* UINT32_MAX: never ran */
    uint32_t xen_pcpu;     /* the same for Xen, which asks after last_pcpu has been set */
    uint32_t last_boosted; /* of the VM; kept at its vCPU 0 */
    bool preempted;        /* put while runnable (kvm_sched_out) */
    bool ready;            /* preempted, or woken and not yet loaded */
    bool in_spin_loop, dy_eligible;
    uint32_t requests; /* bits of enum ts_vcpu_request that others have set */
    /* Hyper-V flush requests, the oldest first */
    uint32_t hv_count;
    uint64_t hv_entries[TS_HV_FIFO_MAX]; /* GVA list entries, TS_HV_FLUSHALL */
    struct ts_line hv_line;              /* the fifo and its lock */
    struct ts_line request_line;         /* kvm_vcpu.requests and .mode (kvm_host.h) */
};

struct ts_host_csd;

/* What a pCPU has for such calls. Zeroed: empty. Each initiator uses its own pCPU's, with
 * preemption off, so that there is one call at a time. */
struct ts_host_calls {
    struct ts_line queue_line;  /* call_single_queue */
    struct ts_host_csd *queue;  /* the newest first */
    uint64_t *mask;             /* cpu_kick_mask: pCPUs that the next call is for */
    struct ts_host_csd *csds;   /* as an initiator: all, the last used last */
    struct ts_host_csd *newest; /* of them */
    struct ts_host_csd *called; /* of the call under way, by ascending target */
    uint32_t ncsds;
    uint32_t *ids; /* targets to interrupt */
    uint32_t ids_room;
    bool calling;
    const struct ts_vcpu *vmclear; /* of the call under way */
};

struct ts_hyp_pcpu {
    struct ts_vcpu *timers;  /* vCPUs whose timer ran out here */
    struct ts_vcpu *wakeups; /* blocked here, to be woken by notifications */
    struct ts_host_calls calls;
    const struct ts_vcpu *current_vmcs; /* KVM's current_vmcs or current_vmcb; NULL: none */
    /* xen.c */
    struct ts_vcpu *curr_vcpu; /* whose state it holds (its dirty_cpu), loaded or not; or NULL */
    uint32_t tlbflush_time;
};

/* The vCPU that is this CPU of a guest. */
static inline struct ts_vcpu *ts_vcpu_of(const struct ts_cpu *cpu)
{
    TS_ASSERT(cpu->is_virtual && cpu->host_task);
    return TS_CONTAINER_OF(cpu->host_task, struct ts_vcpu, task);
}
static inline struct ts_vcpu *ts_vm_vcpu(const struct ts_vm *vm, uint32_t id)
{
    const struct ts_hypervisor *h = (const struct ts_hypervisor *)vm->host;
    TS_ASSERT(id < vm->nvcpus);
    return &h->vcpus[vm->first_vcpu + id];
}
/* Its mode, as other pCPUs see it. */
static inline bool ts_vcpu_seen_entering(const struct ts_vcpu *v)
{
    return v->entering && !ts_store_is_hidden(&v->entering_store);
}
static inline struct ts_steal_area *ts_vcpu_steal(const struct ts_vcpu *v)
{
    return &v->vm->steal[v->id];
}
static inline uint16_t ts_vcpu_vmid(const struct ts_vcpu *v)
{
    return ts_vm_vmid(v->vm, v->id);
}

/* For how long it has been on a pCPU so far. */
static inline ts_time ts_vcpu_on_pcpu_ps(const struct ts_vcpu *v)
{
    return ts_vcpu_clock_ps(&v->task.clock, TS_VCPU_RUNNING, ts_task_now(&v->task));
}
/* Of that: in halt polls, and in the host for code of the guest's users. */
static inline ts_time ts_vcpu_polled_ps(const struct ts_vcpu *v)
{
    return v->polled_ps + (v->polling ? ts_vcpu_on_pcpu_ps(v) - v->poll_mark : 0);
}
static inline ts_time ts_vcpu_exits_from_user_ps(const struct ts_vcpu *v)
{
    bool in_exit = v->cpu->host_since != TS_TIME_NEVER && v->guest_mode == TS_MODE_USER;
    return v->exits_from_user_ps + (in_exit ? ts_vcpu_on_pcpu_ps(v) - v->host_mark : 0);
}
/* It is in the host from now on, and no longer. */
static inline void ts_vcpu_host_begins(struct ts_vcpu *v)
{
    v->cpu->host_since = ts_task_now(&v->task);
    v->host_mark = ts_vcpu_on_pcpu_ps(v);
}
static inline void ts_vcpu_host_ends(struct ts_vcpu *v)
{
    v->exits_from_user_ps = ts_vcpu_exits_from_user_ps(v);
    v->cpu->host_total_ps += ts_task_now(&v->task) - v->cpu->host_since;
    v->cpu->host_since = TS_TIME_NEVER;
}

/* exit.c */
void ts_vm_exit(struct ts_vcpu *v, enum ts_exit_reason reason);
void ts_vm_entry(struct ts_vcpu *v);
void ts_vcpu_sync_pir(struct ts_vcpu *v);
/* The operations that every VM gets. */
extern const struct ts_pv_ops ts_kvm_pv_ops;
/* apic.c */
/* Makes `vector` pending for the vCPU; from: the host task that does it, on its pCPU. */
void ts_vcpu_deliver(struct ts_vcpu *v, enum ts_vector vector, struct ts_task *from);
/* One of the host's own interrupts, from the pCPU that executes `from`. */
void ts_hyp_ipi(struct ts_task *from, uint32_t target, enum ts_vector vector, uint64_t cookie);
void ts_hyp_wakeups(struct ts_task *self);
/* kvm_vcpu_wake_up of one that is blocked. */
void ts_vcpu_wake(struct ts_vcpu *v, struct ts_task *from);
void ts_vcpu_pi_load(struct ts_vcpu *v);
void ts_vcpu_pi_put(struct ts_vcpu *v, bool runnable);
void ts_vcpu_pv_eoi_arm(struct ts_vcpu *v);
/* ts_pv_ops.icr_write and .eoi; self is in guest mode. */
void ts_vcpu_icr_write(struct ts_task *self, const struct ts_icr_iter *it,
                       const struct ts_icr_write *w, enum ts_vector vector);
void ts_vcpu_eoi(struct ts_task *self);
/* requests.c: what vcpu_enter_guest does before entry. */
void ts_vcpu_requests(struct ts_vcpu *v);
void ts_vcpu_put(struct ts_vcpu *v, bool runnable);
void ts_vcpu_load(struct ts_vcpu *v);
/* The vCPU writes its mode, on a line that requests take away. A write that hits is in the cost of
 * exit and entry. */
void ts_vcpu_write_mode(struct ts_vcpu *v);
/* One request to be met at this entry: taken off, which others see. Interrupts are off. */
void ts_vcpu_check_request(struct ts_vcpu *v, enum ts_vcpu_request what);
/* kvm_vcpu_flush_tlb_all, x86: at entry, or after a move. */
void ts_vcpu_flush_all(struct ts_vcpu *v);
/* arm64 __switch_to: maintenance that self has issued on its pCPU completes before another task
 * runs there, since self may go on elsewhere. Interrupts are off. */
void ts_host_switch_dsb(struct ts_task *self);
/* vmcs.c */
/* The vCPU's VMCS or VMCB becomes its pCPU's: before last_pcpu is set. Interrupts are off, and on
 * while it waits. */
void ts_vcpu_load_vmcs(struct ts_vcpu *v);
/* __loaded_vmcs_clear on self's pCPU; in the handler. */
void ts_vcpu_vmclear(struct ts_task *self, const struct ts_vcpu *v);
/* vcpu_request.c */
typedef bool ts_vcpu_named_fn(const void *arg, uint32_t vcpu);
/* kvm_make_vcpus_request_mask: asks it of the VM's vCPUs that are named (NULL: all) and returns
 * when each that was in guest mode has left it, not when it has been met, which the next entry
 * does. True: somebody had to be made to leave; what went by in waiting is added to *wait_ps. self:
 * a host task, with interrupts on. */
bool ts_vcpus_request(struct ts_task *self, struct ts_vm *vm, enum ts_vcpu_request what,
                      ts_vcpu_named_fn *named, const void *arg, ts_time *wait_ps);
/* kvm_vcpu_kick: wakes it if it is blocked, makes it leave guest mode if it is there. from: a host
 * task that is not it. */
void ts_vcpu_kick(struct ts_vcpu *v, struct ts_task *from);
/* hyperv.c: the flush fifo of a vCPU, drained before entry. */
void ts_vcpu_hv_drain(struct ts_vcpu *v);
/* kvm_hv_vcpu_purge_flush_tlb: all of the guest's translations have just gone, and what the fifo
 * asks for with them. Interrupts are off. */
void ts_vcpu_hv_purge(struct ts_vcpu *v);
/* kvm_vcpu_flush_tlb_guest: all that the vCPU's context holds, globals included. */
void ts_vcpu_flush_guest(struct ts_vcpu *v);
/* hvm_asid_handle_vmenter: the vCPU finds nothing of its own any more, which costs nothing. The
 * wrap of the pCPU's ASIDs, which flushes all, is not modelled. */
void ts_vcpu_new_asid(struct ts_vcpu *v);
/* Applies inval to the TLB of the pCPU that the vCPU's host task executes on. */
void ts_vcpu_invalidate(struct ts_vcpu *v, const struct ts_tlb_inval *inval);
/* hypercall.c: ts_pv_ops.hypercall. */
void ts_vcpu_hypercall(struct ts_task *self, struct ts_hypercall *call);
/* One hypercall of a table: v is in the host, its exit has been charged. Fills in call->result and
 * adds to call->times.wait_ps what it waited for others. */
typedef void ts_hypercall_fn(struct ts_vcpu *v, struct ts_hypercall *call);
struct ts_hypercall_row {
    uint64_t number; /* KVM: the number; Hyper-V: the code of the control word */
    const char *name;
    ts_hypercall_fn *fn;
};
struct ts_hypercall_table {
    const struct ts_hypercall_row *rows;
    size_t nrows;
    uint64_t (*key)(uint64_t number); /* of a row, from call->number */
    uint64_t unknown;                 /* result of a call that no row has */
    bool (*offered)(const struct ts_hypervisor_params *params);
    /* Not 0: the result of a call whose number the host refuses whatever it asks for. NULL: none.
     */
    uint64_t (*refused)(const struct ts_hypervisor_params *params, uint64_t number);
};
extern const struct ts_hypercall_table ts_kvm_hypercalls;    /* apic.c */
extern const struct ts_hypercall_table ts_hyperv_hypercalls; /* hyperv.c */
extern const struct ts_hypercall_table ts_xen_hypercalls;    /* xen_calls.c */
/* xen.c: Xen's flushes, where the host is Xen. */
bool ts_xen_init(struct ts_hypervisor *h); /* false: out of memory; fini all the same */
void ts_xen_fini(struct ts_hypervisor *h);
/* INVALIDATE_TLB_VECTOR and the call of an empty function, on self's pCPU; in the handler. */
void ts_xen_interrupt(struct ts_task *self);
/* The context switch to v on its pCPU; interrupts are off. */
void ts_xen_load(struct ts_vcpu *v);
/* flush_area_mask over the pCPUs that hold the state of the vCPUs that are named (NULL: all): of
 * everything, or of the page at *va. Adds to *wait_ps what it waited for others. */
void ts_xen_flush_vcpus(struct ts_vcpu *v, ts_vcpu_named_fn *named, const void *arg,
                        const uint64_t *va, ts_time *wait_ps);
/* The same of v's own pCPU only. */
void ts_xen_flush_local(struct ts_vcpu *v, const uint64_t *va);
/* hap flush_tlb of the whole VM: new ASIDs for all its vCPUs, of which those that run are made to
 * leave guest mode. */
void ts_xen_flush_hvm(struct ts_vcpu *v, ts_time *wait_ps);
/* halt.c: ts_pv_ops.halt and .halt_until_kicked. */
void ts_vcpu_halt(struct ts_task *self);
void ts_vcpu_halt_until_kicked(struct ts_task *self);
/* kvm_vcpu_halt: for how long a vCPU polls after a halt of halt_ps, polling included, for which it
 * would have polled for poll_ps (6.1, 6.12; the cap is applied here and not at the next halt). */
ts_time ts_halt_poll_after(const struct ts_hypervisor_params *p, ts_time poll_ps, ts_time halt_ps);
/* kvm_pv_kick_cpu_op of the vCPU t, by v, whose host task executes. */
void ts_vcpu_unhalt(struct ts_vcpu *v, struct ts_vcpu *t);
/* directed_yield.c */
void ts_vcpu_pause_exit(struct ts_cpu *vcpu);
/* x86: the pause-loop window, in cycles, after a pause exit and when the vCPU is scheduled in
 * (kvm/x86.h __grow_ple_window and __shrink_ple_window, 6.1 and 6.12). */
uint64_t ts_ple_window_grow(const struct ts_hypervisor_params *p, uint64_t window);
uint64_t ts_ple_window_shrink(const struct ts_hypervisor_params *p, uint64_t window);
/* v, whose host task executes on a pCPU, spins: the two passes over the vCPUs of its VM, from the
 * one after the last that was boosted. in_kernel: its level, as its exit's handler has it. Takes no
 * time but that for which v gives way. */
void ts_vcpu_on_spin(struct ts_vcpu *v, bool in_kernel);
/* kvm_sched_yield: KVM_HC_SCHED_YIELD of v. */
void ts_vcpu_sched_yield(struct ts_vcpu *v, uint64_t apic_id);

#ifdef __cplusplus
}
#endif
#endif
