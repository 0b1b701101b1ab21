/* SPDX-License-Identifier: Apache-2.0 */
#include "models/topology/topology.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MAX 16u
#define CORES_MAX 256u
#define THREADS_MAX 4u
/* ICC_SGI1R_EL1 addresses 16 values of Aff0 (Arm GICv3, IHI 0069, TargetList). */
#define SGI_LIST_BITS 4u

static const char *const arch_names[] = {"x86", "arm64", NULL};

#define ROW(field) offsetof(struct ts_topology_params, field)
static const struct ts_param rows[] = {
    {"arch", TS_PARAM_ENUM, ROW(arch), TS_ARCH_X86, TS_ARCH_X86, TS_ARCH_ARM64, arch_names,
     "instruction set of the machine", "setting of the experiment", TS_CONF_CHOICE},
    {"sockets", TS_PARAM_COUNT, ROW(sockets), 2, 1, SOCKETS_MAX, NULL,
     "sockets (chips), fully connected to each other", "setting of the experiment", TS_CONF_CHOICE},
    {"cores_per_socket", TS_PARAM_COUNT, ROW(cores_per_socket), 16, 1, CORES_MAX, NULL,
     "cores of one socket, one router each", "setting of the experiment", TS_CONF_CHOICE},
    {"threads_per_core", TS_PARAM_COUNT, ROW(threads_per_core), 1, 1, THREADS_MAX, NULL,
     "hardware threads of one core", "setting of the experiment", TS_CONF_CHOICE},
    {"smt_throughput", TS_PARAM_COUNT, ROW(smt_throughput), 125, 0, 400, NULL,
     "percent: what the threads of a core do together while more than one executes, of what one "
     "does "
     "alone. One that idles or spins (PAUSE, YIELD) does not execute. 0: each as much as alone",
     "D. Marr et al., Hyper-Threading Technology Architecture and Microarchitecture, Intel "
     "Technology "
     "Journal 6(1), 2002: gains of 16 to 28 %. Intel SDM, PAUSE, on spinning",
     TS_CONF_GUESS},
    {"core_hz", TS_PARAM_FREQ, ROW(core_hz), UINT64_C(2600000000), UINT64_C(100000000),
     UINT64_C(10000000000), NULL, "clock of the cores; constant",
     "base clock of a Skylake-SP class server part", TS_CONF_CHOICE},
    {"mpidr_mt", TS_PARAM_BOOL, ROW(mpidr_mt), 0, 0, 1, NULL,
     "arm64: Aff0 numbers a core's threads and Aff1 the cores (MPIDR_EL1.MT), so on bare metal one "
     "SGI write reaches the threads of one core; off: Aff0 numbers cores, and it reaches 16",
     "Arm ARM (DDI 0487), MPIDR_EL1; set by Cortex-A55, Cortex-A76 and later cores",
     TS_CONF_REMEMBERED},
};
#undef ROW

const struct ts_param_table ts_topology_param_table = {"topology", rows, TS_ARRAY_LEN(rows)};

/* Bits of a field that holds 0..n-1: each field of an APIC ID is a power of two wide (SDM vol. 3,
 * 9.9.1), so IDs have gaps where n is not one. */
static uint32_t field_bits(uint32_t n)
{
    uint32_t bits = 0;

    while ((UINT32_C(1) << bits) < n)
        bits++;
    return bits;
}

/* A caller that fills the struct itself gets the same checks as one that goes by the rows. */
static enum ts_status check(const struct ts_topology_params *params, struct ts_error *err)
{
    uint64_t ncpus;

    if (ts_param_check(&ts_topology_param_table, params, err) != TS_OK)
        return err->status;
    ncpus = params->sockets * params->cores_per_socket * params->threads_per_core;
    if (ncpus > TS_CPU_MAX)
        return ts_error_set(err, TS_ERR_USER,
                            "topology: %" PRIu64 " sockets of %" PRIu64 " cores of %" PRIu64
                            " threads are %" PRIu64 " CPUs: at most %u are supported",
                            params->sockets, params->cores_per_socket, params->threads_per_core,
                            ncpus, TS_CPU_MAX);
    return TS_OK;
}

enum ts_status ts_topology_init(struct ts_topology *t, const struct ts_topology_params *params,
                                struct ts_error *err)
{
    enum ts_status status = check(params, err);
    uint32_t cores, thread_bits, core_bits;

    if (status != TS_OK)
        return status;
    memset(t, 0, sizeof(*t));
    t->params = *params;
    cores = (uint32_t)params->cores_per_socket;
    t->nnodes = (uint32_t)params->sockets * cores;
    t->ncpus = t->nnodes * (uint32_t)params->threads_per_core;
    /* One block for the four arrays; socket is its start. */
    t->socket = malloc(4u * sizeof(uint32_t) * t->ncpus);
    if (!t->socket)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "topology: out of memory for %u CPUs",
                            t->ncpus);
    t->core = t->socket + t->ncpus;
    t->thread = t->core + t->ncpus;
    t->apic_id = t->thread + t->ncpus;
    thread_bits = field_bits((uint32_t)params->threads_per_core);
    if (params->arch == TS_ARCH_ARM64 && params->mpidr_mt)
        thread_bits = SGI_LIST_BITS;
    core_bits = field_bits(cores);
    for (uint32_t cpu = 0; cpu < t->ncpus; cpu++) {
        uint32_t core = cpu % t->nnodes;

        t->core[cpu] = core;
        t->thread[cpu] = cpu / t->nnodes;
        t->socket[cpu] = core / cores;
        t->apic_id[cpu] = t->socket[cpu] << (core_bits + thread_bits) |
                          (core % cores) << thread_bits | t->thread[cpu];
    }
    return TS_OK;
}

void ts_topology_fini(struct ts_topology *t)
{
    free(t->socket);
    memset(t, 0, sizeof(*t));
}
