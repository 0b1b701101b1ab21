/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the host: tasks of its scheduler beside the vCPUs, each with a stream of operations of
 * its own. A VMM's thread that turns dirty logging on, a kernel thread that merges pages.
 *
 * An operation is one of a few common ones, or any code of the host (TS_HOST_CODE), which is
 * straight-line C on the thread's fiber with all that models/cpu and host_tlb.h offer. What a
 * system call costs beyond its work is the stream's to add. All tasks of a scheduler have equal
 * weight (models/cpu/sched.h), these too. */
#ifndef TS_MODELS_HYP_HOST_TASK_H
#define TS_MODELS_HYP_HOST_TASK_H

#include "models/hypervisor/host_tlb.h"
#include "models/hypervisor/vcpu_stage.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_host_op_kind {
    TS_HOST_COMPUTE,     /* `amount` core cycles of user code */
    TS_HOST_SLEEP,       /* `amount` ps; 0: not at all */
    TS_HOST_TLBI,        /* arm64: `inval`, broadcast; posted */
    TS_HOST_DSB,         /* arm64: DSB ISH, for what this pCPU has issued */
    TS_HOST_INVEPT,      /* VMX: of `vm` (or all with TS_HOST_ALL_VMS), on this pCPU only */
    TS_HOST_FLUSH,       /* kvm_flush_remote_tlbs of `vm` */
    TS_HOST_FLUSH_RANGE, /* kvm_flush_remote_tlbs_range: `amount` bytes from `start` */
    TS_HOST_FLUSH_IPA,   /* arm64: __kvm_tlb_flush_vmid_ipa: the page or block at `start` */
    TS_HOST_FLUSH_ALL,   /* arm64: __kvm_flush_vm_context: every VM's */
    TS_HOST_KICK,        /* kvm_vcpu_kick of `vcpu` of `vm` */
    TS_HOST_KERNEL,      /* `amount` ps of kernel code */
    TS_HOST_CODE,        /* `code` */
    /* A VMM's, of `slot` of `vm`, arm64 (stage2.h): */
    TS_HOST_SLOT_ADD,    /* `amount` bytes at `start`, whose backing is of `level` */
    TS_HOST_SLOT_FILL,   /* mapped with leaves of `level`, in no time */
    TS_HOST_SLOT_DELETE, /* with what is mapped */
    TS_HOST_LOG_START,   /* KVM_MEM_LOG_DIRTY_PAGES */
    TS_HOST_LOG_STOP,
    TS_HOST_NOTIFY, /* an MMU notifier: `amount` bytes from `start` move to other frames */
    /* Blocks of 2M become tables, in no time, as kvm_page_table_test's UPDATE leaves them */
    TS_HOST_SLOT_SPLIT,
    TS_HOST_STAGE, /* leads the vCPUs of `vm` through `stage` (vcpu_stage.h) */
    TS_HOST_OPS
};

#define TS_HOST_ALL_VMS UINT32_MAX
#define TS_HOST_ANY_PCPU UINT32_MAX

struct ts_host_op;
/* self: the thread; it is in the host's kernel, preemptible, and must be so at return. */
typedef void ts_host_code_fn(struct ts_task *self, const struct ts_host_op *op);

struct ts_host_op {
    enum ts_host_op_kind kind;
    uint32_t vm, vcpu;
    uint32_t slot, level, stage;
    uint64_t start;  /* guest-physical; of a range: whole pages of 4K */
    uint64_t amount; /* cycles, ps or bytes, by kind */
    struct ts_tlb_inval inval;
    ts_host_code_fn *code;
    void *user; /* code's */
};

/* What each kind is called and needs. */
struct ts_host_op_info {
    const char *name;
    const char *summary;
    bool maintenance; /* of TLBs */
    bool arm64_only, vmx_only, of_vm, of_vcpu;
    bool stage2; /* of a VM's memory */
};
extern const struct ts_host_op_info ts_host_ops[TS_HOST_OPS];

struct ts_host_stream {
    /* 1: *op is the next operation; 0: the stream has ended; -1: it has failed, err says why, and
     * the run ends with that. Called on the thread's fiber when the one before is done; takes no
     * time. */
    int (*next)(struct ts_host_stream *s, struct ts_host_op *op, struct ts_error *err);
};

/* A stream out of an array: the operations in order, all of them `repeat` times. */
struct ts_host_script {
    struct ts_host_stream stream;
    const struct ts_host_op *ops; /* the caller's */
    size_t nops;
    uint64_t repeat;
    /* --- private --- */
    size_t at;
    uint64_t round;
};
void ts_host_script_init(struct ts_host_script *s, const struct ts_host_op *ops, size_t nops,
                         uint64_t repeat);

typedef void ts_host_task_ended_fn(void *user);

struct ts_host_task_config {
    const char *name;              /* copied, cut to 23 characters */
    uint32_t pcpu;                 /* stays there; TS_HOST_ANY_PCPU: the scheduler's choice */
    bool background;               /* the run does not wait for it, nor counts it as progress */
    struct ts_host_stream *stream; /* the caller's, alive as long as the machine */
};

struct ts_host_task_stats {
    uint64_t operations; /* done; rule: the sum of the kinds */
    uint64_t ops[TS_HOST_OPS];
    uint64_t stage2;      /* of memslots, and notifiers; rule: their sum */
    uint64_t maintenance; /* TLBI, DSB, INVEPT and flushes; rule: their sum */
    uint64_t tasks, ended;
    uint64_t user_ps, system_ps; /* as getrusage tells; system includes interrupts and spinning */
    uint64_t wait_ps;            /* runnable, not on a pCPU */
};
extern const struct ts_stat_table ts_host_task_stat_table; /* group "host_task" */

/* User errors: can this operation be on such a host? nvcpus: of the VM that it names. */
enum ts_status ts_host_op_check(const struct ts_host_op *op, const struct ts_hypervisor_params *p,
                                enum ts_arch arch, uint32_t nvms, uint32_t nvcpus,
                                struct ts_error *err);

/* Before ts_hypervisor_start. ended: called when the stream has ended, unless it is a background
 * task. TS_ERR_USER: no such pCPU. */
enum ts_status ts_hypervisor_add_task(struct ts_hypervisor *h,
                                      const struct ts_host_task_config *config,
                                      ts_host_task_ended_fn *ended, void *user,
                                      struct ts_error *err);
/* For ts_hypervisor_start and ts_hypervisor_fini. */
void ts_host_tasks_start(struct ts_hypervisor *h);
void ts_host_tasks_fini(struct ts_hypervisor *h);
/* The sum over all threads, up to now. */
void ts_host_tasks_stats(const struct ts_hypervisor *h, struct ts_host_task_stats *sum);
/* Operations done by those that are not in the background. */
uint64_t ts_host_tasks_operations(const struct ts_hypervisor *h);

#ifdef __cplusplus
}
#endif
#endif
