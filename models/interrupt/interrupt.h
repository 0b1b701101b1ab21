/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt transport between physical CPUs: xAPIC, x2APIC (physical, cluster, shorthand) and GICv3
 * SGIs. Which writes a set of targets takes: models/interrupt/icr.h; what a local APIC does with
 * what it has accepted: models/interrupt/lapic.h.
 *
 * The sender's software writes a register once per "write" (ICR WRMSR, ICC_SGI1R); each write
 * leaves the core as one message per destination CPU over the interconnect, one cycle apart, and is
 * accepted at the target's local interface after a fixed time, at which moment the sink is called.
 * Whether the target is running a guest, has interrupts masked or sleeps is the sink's business
 * (models/cpu, models/hypervisor).
 */
#ifndef TS_MODELS_INTERRUPT_H
#define TS_MODELS_INTERRUPT_H

#include "models/interconnect/interconnect.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_intr_mode {
    TS_INTR_X2APIC_PHYS = 0,
    TS_INTR_X2APIC_CLUSTER = 1,
    TS_INTR_GIC_SGI = 2,
    TS_INTR_XAPIC_FLAT = 3, /* logical, at most 8 CPUs */
    TS_INTR_XAPIC_PHYS = 4
};

struct ts_interrupt_params {
    uint64_t mode;              /* of the host; enum ts_intr_mode */
    uint64_t guest_mode;        /* what a guest's APIC driver uses (physical without interrupt
                                   remapping: x86.md 2.5) */
    uint64_t icr_write_cycles;  /* one ICR or SGI1R write that does not exit, fences included */
    uint64_t mmio_write_cycles; /* xAPIC: one write of ICR2 or ICR */
    uint64_t icr_poll_cycles;   /* xAPIC: one read of ICR that looks at the delivery status */
    uint64_t accept_ps;         /* local APIC / GIC CPU interface: arrival to IRR */
    uint64_t transport_ps;      /* fixed part of the flight beyond the interconnect's hops */
    uint64_t cross_socket_ps;   /* the same, in addition, to another socket */
    uint64_t shorthand;         /* all-but-self in one write when all are targets; bool */
    uint64_t cluster_size;      /* 16 */
};
extern const struct ts_param_table ts_interrupt_param_table; /* prefix "interrupt" */

struct ts_interrupt_stats {
    uint64_t writes;    /* register writes that went out */
    uint64_t sent;      /* messages to targets */
    uint64_t delivered; /* rule: sent == delivered + in_flight */
    uint64_t in_flight; /* when the run ended */
    struct ts_hist flight_ps;
};
extern const struct ts_stat_table ts_interrupt_stat_table;

struct ts_interrupt;
/* Called in TS_PHASE_INTERRUPT when pCPU `target` has accepted `vector`. cookie is the sender's. */
typedef void ts_intr_sink_fn(void *user, uint32_t target, uint32_t vector, uint64_t cookie);

enum ts_status ts_interrupt_create(struct ts_interrupt **out, struct ts_engine *engine,
                                   const struct ts_topology *topology, struct ts_interconnect *ic,
                                   const struct ts_interrupt_params *params, ts_intr_sink_fn *sink,
                                   void *user, struct ts_error *err);
void ts_interrupt_destroy(struct ts_interrupt *in);
/* Can CPUs with APIC IDs up to highest_id be reached in this mode? who names the parameter. */
enum ts_status ts_interrupt_check_mode(enum ts_intr_mode mode, uint32_t ncpus, uint32_t highest_id,
                                       const char *who, struct ts_error *err);

/* How many register writes `mode` needs for a set of targets given by their APIC IDs (affinity
 * values), in ascending order: cluster: one per distinct (id / cluster_size); physical: one per
 * target; SGI: one per distinct (id / 16) (ICC_SGI1R target list). ids_all_but_self: the set is
 * every CPU but the sender, so that the shorthand applies to more than one (x86.md 2.5, ipi.c).
 * xAPIC: flat: one; physical: one per target; each is a pair of MMIO writes, but for the
 * shorthand's. */
uint32_t ts_interrupt_writes(const struct ts_interrupt_params *params, enum ts_intr_mode mode,
                             const uint32_t *ids, uint32_t n, bool ids_all_but_self);
/* Sends vector from pCPU src to pCPU dst as one message; counts no write. Messages leave src one
 * core cycle apart: the first now, one that follows at once a cycle later. */
void ts_interrupt_send(struct ts_interrupt *in, uint32_t src, uint32_t dst, uint32_t vector,
                       uint64_t cookie);
/* Time at which the sink would be called for a message sent now, nothing else being in the way. */
ts_time ts_interrupt_arrival(const struct ts_interrupt *in, uint32_t src, uint32_t dst,
                             ts_time sent);
/* xAPIC's ICR delivery status of src: has an interrupt that it sent not been accepted yet? */
bool ts_interrupt_busy(const struct ts_interrupt *in, uint32_t src);
/* The register write has been made by software (statistics). */
void ts_interrupt_count_write(struct ts_interrupt *in);
const struct ts_interrupt_stats *ts_interrupt_stats(const struct ts_interrupt *in);

#ifdef __cplusplus
}
#endif
#endif
