/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/host_task.h"

#include <stdio.h>
#include <stdlib.h>

#include "models/hypervisor/hyp_private.h"
#include "models/hypervisor/stage2.h"
#include "models/hypervisor/vcpu_stage.h"

struct ts_host_task {
    struct ts_host_task *next;
    struct ts_hypervisor *hyp;
    struct ts_task task;
    char name[24];
    struct ts_host_stream *stream;
    bool background, ended;
    ts_host_task_ended_fn *on_ended;
    void *on_ended_user;
    uint64_t operations, maintenance, stage2, ops[TS_HOST_OPS];
    struct ts_host_op op;
};

const struct ts_host_op_info ts_host_ops[TS_HOST_OPS] = {
    [TS_HOST_COMPUTE] = {.name = "compute", .summary = "user code"},
    [TS_HOST_SLEEP] = {.name = "sleep", .summary = "waits for a timer"},
    [TS_HOST_TLBI] = {"tlbi", "one broadcast TLBI", .maintenance = true, .arm64_only = true},
    [TS_HOST_DSB] = {"dsb", "DSB ISH", .maintenance = true, .arm64_only = true},
    [TS_HOST_INVEPT] = {"invept", "INVEPT on its own pCPU", .maintenance = true, .vmx_only = true},
    [TS_HOST_FLUSH] = {"flush", "kvm_flush_remote_tlbs", .maintenance = true, .of_vm = true},
    [TS_HOST_FLUSH_RANGE] = {"flush_range", "kvm_flush_remote_tlbs_range", .maintenance = true,
                             .of_vm = true},
    [TS_HOST_FLUSH_IPA] = {"flush_ipa", "__kvm_tlb_flush_vmid_ipa", .maintenance = true,
                           .arm64_only = true, .of_vm = true},
    [TS_HOST_FLUSH_ALL] = {"flush_all", "__kvm_flush_vm_context", .maintenance = true,
                           .arm64_only = true},
    [TS_HOST_KICK] = {.name = "kick", .summary = "kvm_vcpu_kick", .of_vm = true, .of_vcpu = true},
    [TS_HOST_KERNEL] = {.name = "kernel", .summary = "kernel code"},
    [TS_HOST_CODE] = {.name = "code", .summary = "any code of the host"},
    [TS_HOST_SLOT_ADD] = {"slot_add", "KVM_SET_USER_MEMORY_REGION", .arm64_only = true,
                          .of_vm = true, .stage2 = true},
    [TS_HOST_SLOT_FILL] = {"slot_fill", "a memslot is mapped, in no time", .arm64_only = true,
                           .of_vm = true, .stage2 = true},
    [TS_HOST_SLOT_DELETE] = {"slot_delete", "KVM_SET_USER_MEMORY_REGION of size 0",
                             .arm64_only = true, .of_vm = true, .stage2 = true},
    [TS_HOST_LOG_START] = {"log_start", "dirty logging on", .arm64_only = true, .of_vm = true,
                           .stage2 = true},
    [TS_HOST_LOG_STOP] = {"log_stop", "dirty logging off", .arm64_only = true, .of_vm = true,
                          .stage2 = true},
    [TS_HOST_NOTIFY] = {"notify", "an MMU notifier unmaps", .arm64_only = true, .of_vm = true,
                        .stage2 = true},
    [TS_HOST_SLOT_SPLIT] = {"slot_split", "blocks become tables, in no time", .arm64_only = true,
                            .of_vm = true, .stage2 = true},
    [TS_HOST_STAGE] = {.name = "stage", .summary = "vCPUs do a stage of a test", .of_vm = true},
};

/* --- streams --- */

static int script_next(struct ts_host_stream *stream, struct ts_host_op *op, struct ts_error *err)
{
    struct ts_host_script *s = TS_CONTAINER_OF(stream, struct ts_host_script, stream);
    (void)err;
    if (s->at == s->nops) {
        s->at = 0;
        s->round++;
    }
    if (s->nops == 0 || s->round >= s->repeat)
        return 0;
    *op = s->ops[s->at++];
    return 1;
}

void ts_host_script_init(struct ts_host_script *s, const struct ts_host_op *ops, size_t nops,
                         uint64_t repeat)
{
    *s = (struct ts_host_script){
        .stream = {script_next}, .ops = ops, .nops = nops, .repeat = repeat};
}

enum ts_status ts_host_op_check(const struct ts_host_op *op, const struct ts_hypervisor_params *p,
                                enum ts_arch arch, uint32_t nvms, uint32_t nvcpus,
                                struct ts_error *err)
{
    TS_ASSERT((uint32_t)op->kind < TS_HOST_OPS);
    const struct ts_host_op_info *info = &ts_host_ops[op->kind];
    if (info->arm64_only && arch != TS_ARCH_ARM64)
        return ts_error_set(err, TS_ERR_USER, "%s is of arm64 (topology.arch is x86)", info->name);
    if (info->vmx_only && (arch != TS_ARCH_X86 || p->tlb_tags != TS_TAGS_VPID_EPT))
        return ts_error_set(err, TS_ERR_USER, "%s is Intel's: it needs %s", info->name,
                            arch != TS_ARCH_X86 ? "topology.arch x86"
                                                : "hypervisor.tlb_tags vpid_ept");
    bool of_vm = info->of_vm || (info->vmx_only && op->vm != TS_HOST_ALL_VMS);
    if (of_vm && op->vm >= nvms)
        return ts_error_set(err, TS_ERR_USER, "%s: there is no VM %u, run.vms is %u", info->name,
                            op->vm, nvms);
    if (info->of_vcpu && op->vcpu >= nvcpus)
        return ts_error_set(err, TS_ERR_USER, "%s: there is no vCPU %u, run.vcpus is %u",
                            info->name, op->vcpu, nvcpus);
    bool ranged = op->kind == TS_HOST_FLUSH_RANGE || op->kind == TS_HOST_NOTIFY;
    if (ranged && (op->start % 4096 || op->amount % 4096 || !op->amount))
        return ts_error_set(err, TS_ERR_USER, "%s: start and length are whole pages of 4 KiB",
                            info->name);
    return TS_OK;
}

/* What depends on what the VM has by now. */
static enum ts_status check_slot(const struct ts_host_op *op, const struct ts_hypervisor *h,
                                 struct ts_error *err)
{
    const char *name = ts_host_ops[op->kind].name;
    if (!ts_host_ops[op->kind].stage2 || op->kind == TS_HOST_NOTIFY)
        return TS_OK;
    const struct ts_stage2 *s = &h->stage2[op->vm];
    if (op->level > 2)
        return ts_error_set(err, TS_ERR_USER, "%s: pages are of level 0, 1 or 2", name);
    if (op->kind == TS_HOST_SLOT_ADD)
        return ts_stage2_slot_check(s, op->slot, op->start, op->amount, op->level, err);
    bool logs = op->kind == TS_HOST_LOG_START || op->kind == TS_HOST_LOG_STOP;
    if ((op->slot == 0 && !logs) || op->slot >= TS_STAGE2_SLOTS || !s->slots[op->slot].live)
        return ts_error_set(err, TS_ERR_USER, "%s: VM %u has no memslot %u", name, op->vm,
                            op->slot);
    if (op->kind == TS_HOST_SLOT_FILL && op->level > s->slots[op->slot].level)
        return ts_error_set(err, TS_ERR_USER, "%s: the backing of memslot %u has smaller pages",
                            name, op->slot);
    if (op->kind == TS_HOST_SLOT_SPLIT && s->slots[op->slot].level != 1)
        return ts_error_set(err, TS_ERR_USER, "%s: the backing of memslot %u is no 2 MiB pages",
                            name, op->slot);
    return TS_OK;
}

static void on_stage2(struct ts_task *self, struct ts_stage2 *s, const struct ts_host_op *op)
{
    switch (op->kind) {
    case TS_HOST_SLOT_ADD:
        ts_stage2_slot_add(self, s, op->slot, op->start, op->amount, op->level);
        break;
    case TS_HOST_SLOT_FILL:
        ts_stage2_slot_fill(s, op->slot, op->level);
        break;
    case TS_HOST_SLOT_SPLIT:
        ts_stage2_slot_split(s, op->slot);
        break;
    case TS_HOST_SLOT_DELETE:
        ts_stage2_slot_delete(self, s, op->slot);
        break;
    case TS_HOST_NOTIFY:
        ts_stage2_notify(self, s, op->start, op->amount);
        break;
    default:
        ts_stage2_slot_log(self, s, op->slot, op->kind == TS_HOST_LOG_START);
        break;
    }
}

/* --- the thread --- */

static _Noreturn void fail(struct ts_host_task *t, const struct ts_error *err)
{
    struct ts_hypervisor *h = t->hyp;
    (void)ts_error_set(&h->failure, err->status, "host task '%s': %s", t->name, err->message);
    ts_engine_stop(h->w.engine);
    for (;;)
        ts_task_stall(&t->task); /* the run has been stopped */
}

static void in_kernel(struct ts_task *self, const struct ts_host_op *op)
{
    struct ts_hypervisor *h = self->domain->owner;
    struct ts_vm *vm = ts_host_ops[op->kind].of_vm ? h->w.vms[op->vm] : NULL;
    if (ts_host_ops[op->kind].stage2) {
        on_stage2(self, &h->stage2[op->vm], op);
        return;
    }
    switch (op->kind) {
    case TS_HOST_SLEEP:
        if (op->amount)
            ts_task_sleep(self, op->amount);
        break;
    case TS_HOST_TLBI:
        ts_host_tlbi(self, &op->inval);
        break;
    case TS_HOST_DSB:
        ts_host_dsb_ish(self);
        break;
    case TS_HOST_INVEPT:
        ts_host_invept(self, op->vm == TS_HOST_ALL_VMS ? NULL : h->w.vms[op->vm]);
        break;
    case TS_HOST_FLUSH:
        ts_kvm_flush_remote_tlbs(self, vm);
        break;
    case TS_HOST_FLUSH_RANGE:
        ts_kvm_flush_remote_tlbs_range(self, vm, op->start, op->amount);
        break;
    case TS_HOST_FLUSH_IPA:
        ts_kvm_tlb_flush_vmid_ipa(self, vm, op->start, 0);
        break;
    case TS_HOST_FLUSH_ALL:
        ts_kvm_flush_vm_context(self);
        break;
    case TS_HOST_KICK:
        ts_vcpu_kick(ts_vm_vcpu(vm, op->vcpu), self);
        break;
    case TS_HOST_KERNEL:
        ts_task_work_ps(self, op->amount);
        break;
    case TS_HOST_STAGE:
        ts_vm_run_stage(self, h, op->vm, op->stage);
        break;
    default:
        TS_ASSERT(op->kind == TS_HOST_CODE && op->code);
        op->code(self, op);
        break;
    }
}

static void do_op(struct ts_host_task *t)
{
    struct ts_task *self = &t->task;
    bool user = t->op.kind == TS_HOST_COMPUTE;
    (void)ts_cpu_set_mode(self->cpu, user ? TS_MODE_USER : TS_MODE_SYSTEM);
    self->user_mode = user;
    if (user)
        ts_task_work(self, t->op.amount);
    else
        in_kernel(self, &t->op);
    TS_ASSERT(!self->cpu->irq_off && !self->cpu->preempt_off && self->cpu->current == self);
    t->ops[t->op.kind]++;
}

static void thread_main(struct ts_task *self)
{
    struct ts_host_task *t = self->user;
    struct ts_hypervisor *h = t->hyp;
    struct ts_error err = {0};
    for (;;) {
        int n = t->stream->next(t->stream, &t->op, &err);
        if (n == 0)
            break;
        uint32_t nvcpus = n > 0 && t->op.vm < h->w.nvms ? h->w.vms[t->op.vm]->nvcpus : 0;
        if (n < 0 ||
            ts_host_op_check(&t->op, &h->params, h->w.arch, h->w.nvms, nvcpus, &err) != TS_OK ||
            check_slot(&t->op, h, &err) != TS_OK)
            fail(t, &err);
        do_op(t);
        t->operations++;
        t->maintenance += ts_host_ops[t->op.kind].maintenance;
        t->stage2 += ts_host_ops[t->op.kind].stage2;
    }
    self->user_mode = false;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_SYSTEM);
    t->ended = true;
    if (!t->background)
        t->on_ended(t->on_ended_user);
}

/* --- construction --- */

enum ts_status ts_hypervisor_add_task(struct ts_hypervisor *h,
                                      const struct ts_host_task_config *config,
                                      ts_host_task_ended_fn *ended, void *user,
                                      struct ts_error *err)
{
    TS_ASSERT(h->vcpus && config->stream && config->stream->next && (ended || config->background));
    if (config->pcpu != TS_HOST_ANY_PCPU && config->pcpu >= h->w.host->ncpus)
        return ts_error_set(err, TS_ERR_USER, "host task '%s': there is no pCPU %u, there are %u",
                            config->name, config->pcpu, h->w.host->ncpus);
    struct ts_host_task *t = calloc(1, sizeof(*t));
    if (!t)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a host task");
    (void)snprintf(t->name, sizeof(t->name), "%s", config->name);
    t->hyp = h;
    t->stream = config->stream;
    t->background = config->background;
    t->on_ended = ended;
    t->on_ended_user = user;
    enum ts_status s = ts_task_init(&t->task, h->w.host, t->name, thread_main, t, err);
    if (s != TS_OK) {
        free(t);
        return s;
    }
    t->task.se.group = TS_SCHED_NO_GROUP;
    if (config->pcpu != TS_HOST_ANY_PCPU)
        t->task.pinned = t->task.cpu = &h->w.host->cpus[config->pcpu];
    *(h->last ? &h->last->next : &h->tasks) = t;
    h->last = t;
    h->makes_requests = true;
    return TS_OK;
}

void ts_host_tasks_start(struct ts_hypervisor *h)
{
    for (struct ts_host_task *t = h->tasks; t; t = t->next)
        ts_task_wake(NULL, &t->task);
}

void ts_host_tasks_fini(struct ts_hypervisor *h)
{
    while (h->tasks) {
        struct ts_host_task *t = h->tasks;
        h->tasks = t->next;
        ts_task_fini(&t->task);
        free(t);
    }
    h->last = NULL;
}

/* --- statistics --- */

#define OFF(f) offsetof(struct ts_host_task_stats, f)
#define KIND(n, k, h)                                                                              \
    {                                                                                              \
        n, TS_STAT_COUNTER, OFF(ops) + (k) * sizeof(uint64_t), "1", h                              \
    }
static const struct ts_stat rows[] = {
    {"operations", TS_STAT_COUNTER, OFF(operations), "1", "operations of the host's threads"},
    KIND("compute", TS_HOST_COMPUTE, "of these, stretches of user code"),
    KIND("sleep", TS_HOST_SLEEP, "sleeps"),
    {"maintenance", TS_STAT_COUNTER, OFF(maintenance), "1", "maintenance of TLBs: seven kinds"},
    KIND("tlbi", TS_HOST_TLBI, "arm64: single broadcast TLBIs"),
    KIND("dsb", TS_HOST_DSB, "arm64: single DSB ISH"),
    KIND("invept", TS_HOST_INVEPT, "INVEPT on the thread's pCPU"),
    KIND("flush", TS_HOST_FLUSH, "kvm_flush_remote_tlbs"),
    KIND("flush_range", TS_HOST_FLUSH_RANGE, "kvm_flush_remote_tlbs_range"),
    KIND("flush_ipa", TS_HOST_FLUSH_IPA, "arm64: __kvm_tlb_flush_vmid_ipa"),
    KIND("flush_all", TS_HOST_FLUSH_ALL, "arm64: __kvm_flush_vm_context"),
    KIND("kick", TS_HOST_KICK, "kvm_vcpu_kick"),
    KIND("kernel", TS_HOST_KERNEL, "stretches of kernel code"),
    KIND("code", TS_HOST_CODE, "other code of the host"),
    KIND("stage", TS_HOST_STAGE, "stages of a test that vCPUs were led through"),
    {"stage2", TS_STAT_COUNTER, OFF(stage2), "1", "a VMM's on a VM's memory: seven kinds"},
    KIND("slot_add", TS_HOST_SLOT_ADD, "arm64: memslots made"),
    KIND("slot_fill", TS_HOST_SLOT_FILL, "arm64: memslots mapped in no time"),
    KIND("slot_split", TS_HOST_SLOT_SPLIT, "arm64: memslots whose blocks became tables"),
    KIND("slot_delete", TS_HOST_SLOT_DELETE, "arm64: memslots deleted"),
    KIND("log_start", TS_HOST_LOG_START, "arm64: dirty logging turned on"),
    KIND("log_stop", TS_HOST_LOG_STOP, "arm64: and off"),
    KIND("notify", TS_HOST_NOTIFY, "arm64: MMU notifiers"),
    {"tasks", TS_STAT_COUNTER, OFF(tasks), "1", "threads of the host"},
    {"ended", TS_STAT_COUNTER, OFF(ended), "1", "of these, whose stream has ended"},
    {"user_ps", TS_STAT_TIME_PS, OFF(user_ps), "ps", "their user code"},
    {"system_ps", TS_STAT_TIME_PS, OFF(system_ps), "ps",
     "kernel code for them, interrupts and spinning included"},
    {"wait_ps", TS_STAT_TIME_PS, OFF(wait_ps), "ps", "runnable, not on a pCPU"},
};
static const struct ts_stat_rule rules[] = {
    {"every operation is of one kind",
     {"+operations", "-compute", "-sleep", "-maintenance", "-kick", "-kernel", "-code", "-stage",
      "-stage2"}},
    {"a VMM's operation is of one kind",
     {"+stage2", "-slot_add", "-slot_fill", "-slot_split", "-slot_delete", "-log_start",
      "-log_stop", "-notify"}},
    {"maintenance is of one kind",
     {"+maintenance", "-tlbi", "-dsb", "-invept", "-flush", "-flush_range", "-flush_ipa",
      "-flush_all"}},
};
const struct ts_stat_table ts_host_task_stat_table = {"host_task", rows, TS_ARRAY_LEN(rows), rules,
                                                      TS_ARRAY_LEN(rules)};

uint64_t ts_host_tasks_operations(const struct ts_hypervisor *h)
{
    uint64_t n = 0;
    for (const struct ts_host_task *t = h->tasks; t; t = t->next)
        n += t->background ? 0 : t->operations;
    return n;
}

void ts_host_tasks_stats(const struct ts_hypervisor *h, struct ts_host_task_stats *sum)
{
    *sum = (struct ts_host_task_stats){0};
    for (const struct ts_host_task *t = h->tasks; t; t = t->next) {
        ts_cpu_account(t->task.cpu);
        sum->operations += t->operations;
        sum->maintenance += t->maintenance;
        sum->stage2 += t->stage2;
        for (uint32_t k = 0; k < TS_HOST_OPS; k++)
            sum->ops[k] += t->ops[k];
        sum->tasks++;
        sum->ended += t->ended;
        sum->user_ps += t->task.user_ps;
        sum->system_ps += t->task.system_ps;
        sum->wait_ps += t->task.run_delay_ps;
    }
}
