/* SPDX-License-Identifier: Apache-2.0 */
/* A guest is put together, and taken apart. */
#include <stdlib.h>

#include "models/guest/os/nohz.h"
#include "models/guest/os/thread.h"

static void wire(struct ts_guest *g, const struct ts_guest_wiring *w)
{
    struct ts_vm *vm = w->vm;
    g->number = vm->number;
    g->ncpus = vm->nvcpus;
    g->arch = vm->arch;
    g->vm = vm;
    g->domain = vm->domain;
    g->params = *w->params;
    g->nt = *w->nt;
    g->engine = w->engine;
    g->topology = w->topology;
    g->lines = w->lines;
    g->interrupt = w->interrupt;
    g->interrupt_params = *w->interrupt_params;
    g->dvm = w->dvm;
    g->rar = w->rar;
    g->mmus = w->mmus;
    g->timeline = w->timeline;
    g->oracle = w->oracle;
    g->seed = w->seed;
    g->idle_wakeup_ps = w->idle_wakeup_ps;
    g->pt_levels = w->pt_levels;
    g->flush = w->flush;
    g->flush_params = w->flush_params;
    g->os = w->os;
    g->paths = &w->os->paths;
    g->workload = w->workload;
    g->record_from = w->record_from;
    g->record_until = w->record_until;
    g->on_finished = w->on_finished;
    g->on_finished_user = w->on_finished_user;
    g->domain->vm = vm;
    vm->guest = g;
    vm->os = &g->os->cpu;
    if (vm->bare_metal)
        vm->pv = &ts_bare_metal_pv_ops;
}

/* native_pv_lock_init and kvm_spinlock_init (arch/x86/kernel/paravirt.c, kvm.c; 6.1 and 6.12): what
 * a guest on a hypervisor has unless something speaks for another form. */
static enum ts_spinlock_kind spinlock_kind(const struct ts_guest *g)
{
    if (g->arch != TS_ARCH_X86 || g->vm->bare_metal || ts_guest_is_windows(g))
        return TS_SPINLOCK_QUEUED;
    if (g->vm->realtime_hint || g->ncpus == 1 || !g->params.pv_spinlocks)
        return TS_SPINLOCK_QUEUED;
    return g->vm->pv_unhalt ? TS_SPINLOCK_PV : TS_SPINLOCK_TEST_AND_SET;
}

static enum ts_status init_locks(struct ts_guest *g, struct ts_error *err)
{
    g->locks = (struct ts_spinlocks){.kind = spinlock_kind(g),
                                     .spin_threshold = g->params.spin_threshold,
                                     .pause_cycles = g->params.pause_cycles,
                                     .early_if_preempted = g->params.pv_wait_early_preempted != 0,
                                     .events = &g->stats.lock_events};
    g->vm->locks = &g->locks;
    g->ex_locks = (struct ts_ex_locks){.pause_cycles = g->params.pause_cycles,
                                       .backoff_max = g->nt.spin_backoff_max,
                                       .retries = g->vm->hv_spin_retries,
                                       .push_spin = g->nt.push_spin,
                                       .vm = g->vm,
                                       .long_spins = &g->nt_stats.long_spins};
    if (!ts_spinlocks_init(&g->locks, g->ncpus))
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a guest's locks");
    return TS_OK;
}

enum ts_status ts_guest_init(struct ts_guest *g, const struct ts_guest_wiring *w,
                             struct ts_error *err)
{
    TS_ASSERT(w->vm->domain && w->vm->domain->ncpus == w->vm->nvcpus && w->vm->steal);
    wire(g, w);
    g->failure = calloc(1, sizeof(*g->failure));
    if (!g->failure)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a guest");
    ts_hist_init(&g->stats.shootdown_ps);
    ts_hist_init(&g->stats.mmap_ps);
    ts_hist_init(&g->stats.munmap_ps);
    ts_hist_init(&g->stats.fault_ps);
    ts_hist_init(&g->stats.call_delay_ps);
    ts_hist_init(&g->stats.call_total_ps);
    enum ts_status s = init_locks(g, err);
    if (s == TS_OK)
        s = ts_nohz_init(g, err);
    return s == TS_OK ? ts_guest_cpus_init(g, err) : s;
}

void ts_guest_fini(struct ts_guest *g)
{
    ts_guest_cpus_fini(g);
    free(g->free_frames);
    ts_frame_queue_fini(&g->late);
    free(g->free_huge);
    free(g->frame_shares);
    free(g->huge_refs);
    ts_nohz_fini(g);
    ts_spinlocks_fini(&g->locks);
    free(g->lazyfree);
    free(g->failure);
    g->failure = NULL;
}
