/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that differ: the configuration that each is built from, and where its vCPUs may run. */
#include <stdlib.h>

#include "models/machine/machine_private.h"

void ts_machine_vm_config(const struct ts_machine_config *c, uint32_t v,
                          struct ts_machine_config *out)
{
    *out = *c;
    out->shapes = NULL;
    if (!c->shapes)
        return;
    const struct ts_vm_shape *shape = c->shapes[v];
    out->guest = shape->guest;
    out->nt = shape->nt;
    out->guest_sched = shape->guest_sched;
    out->run.vcpus = shape->vcpus;
    if (!ts_machine_is_bare(c))
        out->run.vms = 1;
}

uint32_t ts_machine_vm_first(const struct ts_machine_config *c, uint32_t v)
{
    uint32_t first = 0;
    if (!c->shapes)
        return v * ts_machine_vcpus(c);
    for (uint32_t i = 0; i < v; i++)
        first += (uint32_t)c->shapes[i]->vcpus;
    return first;
}

bool ts_machine_vm_is_background(const struct ts_machine_config *c, uint32_t v)
{
    return c->shapes && c->shapes[v]->background;
}

uint32_t ts_machine_measured(const struct ts_machine_config *c)
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < c->run.vms; v++)
        n += !ts_machine_vm_is_background(c, v);
    return n;
}

static enum ts_status check_shape(const struct ts_machine_config *c, const struct ts_vm_shape *s,
                                  struct ts_error *err)
{
    const struct ts_topology_params *t = &c->topology;
    uint64_t pcpus = t->sockets * t->cores_per_socket * t->threads_per_core;
    if (s->vcpus == 0 || s->vcpus > TS_CPU_MAX)
        return ts_error_set(err, TS_ERR_USER, "VM '%s' has %llu vCPUs: it must be 1 to %u", s->name,
                            (unsigned long long)s->vcpus, TS_CPU_MAX);
    if (s->shares < TS_SHARES_MIN || s->shares > TS_SHARES_MAX)
        return ts_error_set(err, TS_ERR_USER, "VM '%s' has %llu shares: it must be %d to %d",
                            s->name, (unsigned long long)s->shares, TS_SHARES_MIN, TS_SHARES_MAX);
    if (s->pcpus.nbits && (s->pcpus.nbits != pcpus || ts_cpumask_empty(&s->pcpus)))
        return ts_error_set(err, TS_ERR_USER, "VM '%s' may run on none of the %llu pCPUs", s->name,
                            (unsigned long long)pcpus);
    uint64_t room = s->pcpus.nbits ? ts_cpumask_count(&s->pcpus) : pcpus;
    if (s->pin && s->vcpus > room)
        return ts_error_set(err, TS_ERR_USER,
                            "VM '%s' is pinned, one vCPU to a pCPU, but has %llu vCPUs for %llu "
                            "pCPUs",
                            s->name, (unsigned long long)s->vcpus, (unsigned long long)room);
    return TS_OK;
}

enum ts_status ts_machine_check_vm(const struct ts_machine_config *c, uint32_t v,
                                   const struct ts_flush_ops *mechanism, struct ts_error *err)
{
    struct ts_machine_config own;
    TS_ASSERT(v < c->run.vms);
    if (c->shapes && check_shape(c, c->shapes[v], err) != TS_OK)
        return TS_ERR_USER;
    ts_machine_vm_config(c, v, &own);
    return ts_machine_check(&own, mechanism, err);
}

static bool is_same_check(const struct ts_machine_config *c, const struct ts_machine_vm *vms,
                          uint32_t v)
{
    return v > 0 && vms[v].mechanism == vms[v - 1].mechanism &&
           (!c->shapes || c->shapes[v] == c->shapes[v - 1]);
}

enum ts_status ts_machine_check_vms(const struct ts_machine_config *c,
                                    const struct ts_machine_vm *vms, struct ts_error *err)
{
    enum ts_status s = TS_OK;
    uint32_t measured = ts_machine_measured(c);
    if (!measured)
        return ts_error_set(err, TS_ERR_USER,
                            "all VMs run in the background: there is nothing to measure");
    if (c->shapes && ts_machine_vm_first(c, (uint32_t)c->run.vms) > TS_VCPUS_MAX)
        return ts_error_set(err, TS_ERR_USER, TS_VCPUS_MAX_TEXT);
    for (uint32_t v = 0; v < c->run.vms && s == TS_OK; v++) {
        bool waits = !ts_machine_vm_is_background(c, v);
        if (!is_same_check(c, vms, v))
            s = ts_machine_check_vm(c, v, vms[v].mechanism, err);
        if (s == TS_OK && waits && vms[v].workload->endless && !c->run.window_ps)
            s = ts_error_set(err, TS_ERR_USER,
                             "run.window is 0, but the workload of VM %u has no end", v);
    }
    return s;
}

enum ts_status ts_machine_place_vms(struct ts_machine *m, struct ts_error *err)
{
    const struct ts_machine_config *c = &m->config;
    if (!c->shapes)
        return TS_OK;
    m->placements = calloc(m->nguests, sizeof(*m->placements));
    if (!m->placements)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u VMs", m->nguests);
    for (uint32_t v = 0; v < m->nguests; v++) {
        const struct ts_vm_shape *s = c->shapes[v];
        struct ts_vm_placement *p = &m->placements[v];
        p->pcpus = s->pcpus.nbits ? &s->pcpus : NULL;
        p->pin = s->pin;
        p->shares = s->shares;
        /* VMs of one shape lie side by side. */
        p->first = v > 0 && c->shapes[v - 1] == s ? p[-1].first + (uint32_t)s->vcpus : 0;
    }
    return TS_OK;
}
