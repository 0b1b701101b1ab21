/* SPDX-License-Identifier: Apache-2.0 */
/* How an operating system's interrupt controller driver turns a set of targets into register
 * writes (x86.md 2.5; Linux arch/x86/kernel/apic and drivers/irqchip/irq-gic-v3.c). Pure.
 *
 * | mode           | one write reaches                                                          |
 * |----------------|----------------------------------------------------------------------------|
 * | xapic_flat     | all of at most 8 CPUs, by logical ID; a pair of MMIO writes                |
 * | xapic_phys     | one CPU; a pair of MMIO writes, after the last one's has been accepted     |
 * | x2apic_phys    | one CPU; one WRMSR                                                         |
 * | x2apic_cluster | the targets of one cluster of 16 APIC IDs; one WRMSR                       |
 * | gic_sgi        | up to 16 targets of one affinity group that follow each other; ICC_SGI1R   |
 *
 * Of one affinity group are 16 values of Aff0, which number the threads of a core where
 * MPIDR_EL1.MT is set (topology.mpidr_mt): one write a core. A guest of KVM has Aff0 of 0 to 15 on
 * any core (arch/arm64/kvm/sys_regs.c, reset_mpidr, 6.1 and 6.12): 16 targets a write.
 *
 * On x86 a mask send to every CPU but the sender takes one write with a destination shorthand
 * (native_send_call_func_ipi; apic_use_ipi_shorthand). A self-IPI is one write with none.
 */
#ifndef TS_MODELS_INTERRUPT_ICR_H
#define TS_MODELS_INTERRUPT_ICR_H

#include "models/interrupt/interrupt.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_icr_kind {
    TS_ICR_PHYSICAL,  /* fixed, physical destination, one target */
    TS_ICR_LOGICAL,   /* fixed, logical destination: flat, or one cluster */
    TS_ICR_SHORTHAND, /* all but self */
    TS_ICR_SELF,      /* SELF_IPI register, or the shorthand */
    TS_ICR_SGI        /* ICC_SGI1R */
};

struct ts_icr_write {
    enum ts_icr_kind kind;
    uint32_t first; /* index of its first target */
    uint32_t count; /* its targets; they follow each other except in x2apic_cluster with APIC IDs
                       that do not ascend: ts_icr_reaches tells */
    uint32_t end;   /* beyond its last target's index */
};

struct ts_icr_iter {
    const struct ts_interrupt_params *params;
    enum ts_intr_mode mode;
    const uint32_t *apic_ids; /* by CPU number; NULL: APIC ID = CPU number */
    const uint32_t *targets;  /* CPU numbers, ascending */
    uint32_t n;
    uint32_t self;     /* CPU number of the sender; UINT32_MAX: not among the targets */
    bool all_but_self; /* a mask send to every CPU but the sender */
    uint32_t at, highest;
};

static inline bool ts_intr_is_xapic(enum ts_intr_mode mode)
{
    return mode == TS_INTR_XAPIC_FLAT || mode == TS_INTR_XAPIC_PHYS;
}
/* Does the xAPIC driver write ICR2, which holds the destination, before ICR? */
static inline bool ts_icr_has_destination(enum ts_icr_kind kind)
{
    return kind == TS_ICR_PHYSICAL || kind == TS_ICR_LOGICAL;
}
/* Does the shorthand apply? Not to a single target, which the kernel sends by itself
 * (send_call_function_single_ipi). */
bool ts_icr_shorthand(const struct ts_interrupt_params *params, enum ts_intr_mode mode, uint32_t n,
                      bool all_but_self);
/* Next write into *w; false: all have been made. at and highest start at 0. */
bool ts_icr_next(struct ts_icr_iter *it, struct ts_icr_write *w);
/* Is targets[i], w->first <= i < w->end, reached by the write? */
bool ts_icr_reaches(const struct ts_icr_iter *it, const struct ts_icr_write *w, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
