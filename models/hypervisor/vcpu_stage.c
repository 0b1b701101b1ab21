/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/vcpu_stage.h"

#include "models/hypervisor/hyp_private.h"

const char *const ts_vm_stage_names[TS_VM_STAGES + 1] = {"before", "create", "update",
                                                         "adjust", "quit",   NULL};

static _Noreturn void wrong_stage(struct ts_task *self, struct ts_hypervisor *h, uint32_t vm,
                                  uint32_t stage, uint32_t expected)
{
    (void)ts_error_set(&h->failure, TS_ERR_USER,
                       "stage %s of VM %u: its vCPUs are ready for stage %s",
                       ts_vm_stage_names[stage], vm, ts_vm_stage_names[expected]);
    ts_engine_stop(h->w.engine);
    for (;;)
        ts_task_stall(self); /* the run has been stopped */
}

/* --- vCPUs --- */

/* The last vCPU that the VMM's thread waits for (sem_post of test_stage_completed). */
static void arrive(struct ts_vcpu *v, struct ts_vm_stages *s, uint32_t stage)
{
    if (s->waiting && s->next != stage)
        wrong_stage(&v->task, v->hyp, v->vm->number, stage, s->next);
    s->next = stage;
    s->stats.ucalls++;
    if (++s->waiting == v->vm->nvcpus && s->vmm) {
        struct ts_task *vmm = s->vmm;
        s->vmm = NULL;
        ts_task_wake(&v->task, vmm);
    }
}

void ts_vcpu_user_exit(struct ts_task *self, uint32_t stage)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    struct ts_vm_stages *s = &v->hyp->stages[v->vm->number];
    uint64_t cycles = v->hyp->params.user_exit_cycles, begun = s->begun;
    TS_ASSERT(stage < TS_VM_STAGES && v->cpu->in_guest);
    ts_vm_exit(v, TS_EXIT_USER);
    ts_task_work(&v->task, cycles / 2);
    arrive(v, s, stage);
    while (s->begun == begun)
        ts_task_block(&v->task);
    ts_task_work(&v->task, cycles - cycles / 2);
    ts_vm_entry(v);
}

/* --- the VMM's thread --- */

static void wait_for_all(struct ts_task *self, struct ts_vm_stages *s, uint32_t nvcpus)
{
    while (s->waiting < nvcpus) {
        s->vmm = self;
        ts_task_block(self);
    }
    s->vmm = NULL;
}

void ts_vm_run_stage(struct ts_task *self, struct ts_hypervisor *h, uint32_t vm, uint32_t stage)
{
    struct ts_vm_stages *s = &h->stages[vm];
    const struct ts_vm *of = h->w.vms[vm];
    wait_for_all(self, s, of->nvcpus);
    if (s->next != stage)
        wrong_stage(self, h, vm, stage, s->next);
    ts_time start = ts_task_now(self);
    s->waiting = 0;
    s->begun++;
    s->stats.stages++;
    for (uint32_t i = 0; i < of->nvcpus; i++)
        ts_task_wake(self, &ts_vm_vcpu(of, i)->task);
    if (stage == TS_STAGE_QUIT)
        return;
    wait_for_all(self, s, of->nvcpus);
    s->stats.ps[stage] += ts_task_now(self) - start;
}

/* --- statistics --- */

#define OFF(f) offsetof(struct ts_vm_stage_stats, f)
#define STAGE(n, k)                                                                                \
    {                                                                                              \
        n "_ps", TS_STAT_TIME_PS, OFF(ps) + (k) * sizeof(uint64_t), "ps",                          \
            "stage " n ": until the last vCPU has ended it"                                        \
    }
static const struct ts_stat rows[] = {
    {"ucalls", TS_STAT_COUNTER, OFF(ucalls), "1", "exits of vCPUs that wait for a stage"},
    {"stages", TS_STAT_COUNTER, OFF(stages), "1", "stages begun"},
    STAGE("before", TS_STAGE_BEFORE),
    STAGE("create", TS_STAGE_CREATE),
    STAGE("update", TS_STAGE_UPDATE),
    STAGE("adjust", TS_STAGE_ADJUST),
};
const struct ts_stat_table ts_vm_stage_stat_table = {"vm_stage", rows, TS_ARRAY_LEN(rows), NULL, 0};

void ts_vm_stages_stats(const struct ts_hypervisor *h, struct ts_vm_stage_stats *sum)
{
    *sum = (struct ts_vm_stage_stats){0};
    for (uint32_t v = 0; v < h->w.nvms; v++)
        ts_stat_accumulate(&ts_vm_stage_stat_table, sum, &h->stages[v].stats);
}
