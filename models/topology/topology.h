/* SPDX-License-Identifier: Apache-2.0 */
/* Who sits where: sockets, cores, SMT threads, APIC IDs, and the router each pCPU hangs on.
 * pCPU numbers run as Linux numbers them on such machines: all first threads of all cores (socket
 * by socket), then all second threads. Immutable after init. */
#ifndef TS_MODELS_TOPOLOGY_H
#define TS_MODELS_TOPOLOGY_H

#include "sim/cpumask.h"
#include "sim/error.h"
#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_arch { TS_ARCH_X86 = 0, TS_ARCH_ARM64 = 1 };

struct ts_topology_params {
    uint64_t arch; /* enum ts_arch */
    uint64_t sockets;
    uint64_t cores_per_socket;
    uint64_t threads_per_core;
    uint64_t smt_throughput; /* percent; 0: threads of a core do not slow each other */
    uint64_t core_hz;
    uint64_t mpidr_mt; /* bool, arm64: MPIDR_EL1.MT of the cores */
};
extern const struct ts_param_table ts_topology_param_table; /* prefix "topology" */

struct ts_topology {
    struct ts_topology_params params;
    uint32_t ncpus;
    uint32_t nnodes; /* routers: one per core */
    /* Arrays of ncpus, owned. */
    uint32_t *socket;
    uint32_t *core;    /* machine-wide core number = router number */
    uint32_t *thread;  /* 0.. within the core */
    uint32_t *apic_id; /* x2APIC ID: socket, core and thread packed in power-of-two fields, so there
                          are gaps where counts are no powers of two (SDM vol. 3, 9.9.1). On Arm the
                          affinity value packed alike; with mpidr_mt threads have 16 values to
                          themselves, so that cores are of different groups of an SGI's targets. */
};

enum ts_status ts_topology_init(struct ts_topology *t, const struct ts_topology_params *params,
                                struct ts_error *err);
void ts_topology_fini(struct ts_topology *t);

#ifdef __cplusplus
}
#endif
#endif
