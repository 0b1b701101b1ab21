/* SPDX-License-Identifier: Apache-2.0 */
/* Which statistics a step of the host's code changes that is made while nobody else does anything
 * (sim/replay.h): broadcast invalidations through the interconnect, and what they find in the MMUs,
 * which is nothing. */
#include "models/hypervisor/stage2.h"
#include "models/machine/machine_private.h"

/* The course of a message depends on more than the phase of the clocks where routers arbitrate in
 * turns, and where other traffic takes a share of each link. */
static bool is_replayable(const struct ts_machine_config *c)
{
    return c->hypervisor.replay && c->topology.arch == TS_ARCH_ARM64 && ts_machine_has_dvm(c) &&
           c->interconnect.detail == TS_IC_MESSAGE && c->interconnect.background_permille == 0 &&
           c->interconnect.jitter_cycles == 0;
}

enum ts_status ts_machine_create_replay(struct ts_machine *m, struct ts_error *err)
{
    const uint64_t hz[] = {m->config.topology.core_hz, m->config.interconnect.mesh_hz};
    if (!is_replayable(&m->config))
        return TS_OK;
    return ts_replay_create(&m->replay, m->engine, hz, TS_ARRAY_LEN(hz), err);
}

/* Their owners hand the statistics out to be read; a replay adds to them what they would have. */
static void *writable(const void *stats)
{
    return (void *)(uintptr_t)stats;
}

enum ts_status ts_machine_add_replayed(struct ts_machine *m, struct ts_error *err)
{
    struct ts_replay *r = m->replay;
    enum ts_status s = TS_OK;
    if (!r)
        return TS_OK;
    const struct {
        const struct ts_stat_table *table;
        void *base;
    } of_all[] = {
        {&ts_interconnect_stat_table, writable(ts_interconnect_stats(m->interconnect))},
        {&ts_dvm_stat_table, writable(ts_dvm_stats(m->dvm))},
        {&ts_hypervisor_stat_table, &m->hypervisor.stats},
    };
    for (size_t i = 0; i < TS_ARRAY_LEN(of_all) && s == TS_OK; i++)
        s = ts_replay_add(r, of_all[i].table, of_all[i].base, err);
    for (uint32_t i = 0; i < m->topology.ncpus && s == TS_OK; i++)
        s = ts_replay_add(r, &ts_mmu_stat_table, writable(ts_mmu_stats(m->mmus[i])), err);
    for (uint32_t i = 0; i < m->nguests && s == TS_OK; i++)
        s = ts_replay_add(r, &ts_stage2_stat_table, &m->hypervisor.stage2[i].stats, err);
    return s;
}
