/* SPDX-License-Identifier: Apache-2.0 */
/* What holds a machine up in which no operation ends any more. */
#include "models/hypervisor/vcpu_stats.h"
#include "models/machine/machine_private.h"

#include <stdio.h>

struct stall {
    ts_time before; /* what began later has not been waiting for long */
    char *text;
    size_t size;
};

/* The flush that has been under way for longest. */
static bool by_initiator(const struct ts_machine *m, const struct stall *s)
{
    const struct ts_guest_cpu *oldest = NULL;

    for (uint32_t v = 0; v < m->nguests; v++) {
        const struct ts_guest *g = &m->guests[v];
        for (uint32_t i = 0; i < g->ncpus; i++) {
            const struct ts_guest_cpu *gc = &g->cpus[i];
            if (gc->in_shootdown && gc->record.started <= s->before &&
                (!oldest || gc->record.started < oldest->record.started))
                oldest = gc;
        }
    }
    if (!oldest)
        return false;
    (void)snprintf(s->text, s->size,
                   "an initiator does not return: the flush of 0x%llx to 0x%llx by VM %u CPU %u, "
                   "begun at %llu ps; ",
                   (unsigned long long)oldest->record.start, (unsigned long long)oldest->record.end,
                   oldest->guest->number, oldest->id, (unsigned long long)oldest->record.started);
    return true;
}

/* The vCPU that has been waiting for its pCPU for longest. */
static bool by_starvation(const struct ts_machine *m, const struct stall *s)
{
    struct ts_vcpu_wait w;

    if (ts_machine_is_bare(&m->config) || !ts_hypervisor_longest_wait(&m->hypervisor, &w) ||
        w.since > s->before)
        return false;
    (void)snprintf(s->text, s->size,
                   "a vCPU does not run: VM %u CPU %u, which waits for pCPU %u since %llu ps; ",
                   w.vm, w.vcpu, w.pcpu, (unsigned long long)w.since);
    return true;
}

/* Waits for somebody, and no clock will wake it. */
static bool is_blocked(const struct ts_task *t)
{
    return t->state == TS_TASK_BLOCKED && !ts_event_pending(&t->timer);
}

static bool by_deadlock(const struct ts_machine *m, const struct stall *s)
{
    uint32_t blocked = 0, alive = 0;

    for (uint32_t v = 0; v < m->nguests; v++) {
        const struct ts_guest *g = &m->guests[v];
        for (uint32_t i = 0; i < g->nthreads; i++) {
            const struct ts_guest_thread *t = g->threads[i];
            if (!t || !t->started || t->done)
                continue;
            alive++;
            blocked += is_blocked(&t->task);
        }
    }
    if (!alive || blocked < alive)
        return false;
    (void)snprintf(s->text, s->size, "deadlock: all threads of guests, %u, wait for another; ",
                   alive);
    return true;
}

void ts_machine_describe_stall(const struct ts_machine *m, char *text, size_t size)
{
    ts_time now = ts_engine_now(m->engine);
    const struct stall s = {now - m->config.run.progress_ps, text, size};

    text[0] = '\0';
    if (!by_initiator(m, &s) && !by_starvation(m, &s))
        (void)by_deadlock(m, &s);
}
