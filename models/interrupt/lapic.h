/* SPDX-License-Identifier: Apache-2.0 */
/* A local APIC's interrupt acceptance as a pure state machine: IRR, ISR, TPR, PPR and EOI over 256
 * vectors (Intel SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller", sections
 * "Interrupt, Task, and Processor Priority", "Interrupt Acceptance for Fixed Interrupts" and
 * "Signaling Interrupt Servicing Completion"). No time passes and nothing is sent here.
 *
 * The priority class of a vector is vector / 16. An accepted vector waits in the IRR; it is
 * dispensed when its class is above the processor priority's, moves to the ISR, and leaves it by
 * EOI. So a vector is held at most twice: once pending and once in service. A third merges.
 */
#ifndef TS_MODELS_INTERRUPT_LAPIC_H
#define TS_MODELS_INTERRUPT_LAPIC_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_LAPIC_VECTORS 256u
/* Vectors 0 to 15 are reserved: an interrupt with one of them is not accepted ("Valid Interrupt
 * Vectors"). */
#define TS_LAPIC_FIRST_VECTOR 16u
#define TS_LAPIC_NONE (-1)

/* System vectors of Linux on x86, arch/x86/include/asm/irq_vectors.h (6.12). */
enum ts_linux_vector {
    TS_LINUX_LOCAL_TIMER = 0xec,
    TS_LINUX_POSTED_INTR_NESTED = 0xf0,
    TS_LINUX_POSTED_INTR_WAKEUP = 0xf1,
    TS_LINUX_POSTED_INTR = 0xf2,
    TS_LINUX_REBOOT = 0xf8,
    TS_LINUX_CALL_FUNCTION_SINGLE = 0xfb,
    TS_LINUX_CALL_FUNCTION = 0xfc,
    TS_LINUX_RESCHEDULE = 0xfd,
    TS_LINUX_ERROR = 0xfe,
    TS_LINUX_SPURIOUS = 0xff
};

enum ts_lapic_accept { TS_LAPIC_ACCEPTED, TS_LAPIC_MERGED, TS_LAPIC_ILLEGAL };

struct ts_lapic {
    uint64_t irr[TS_LAPIC_VECTORS / 64];
    uint64_t isr[TS_LAPIC_VECTORS / 64];
    uint8_t tpr;
};

void ts_lapic_init(struct ts_lapic *apic);
/* A fixed, edge-triggered interrupt arrives, from elsewhere or by self-IPI. */
enum ts_lapic_accept ts_lapic_accept(struct ts_lapic *apic, uint32_t vector);
void ts_lapic_set_tpr(struct ts_lapic *apic, uint8_t tpr);
/* MOV CR8: the class alone. */
void ts_lapic_set_cr8(struct ts_lapic *apic, uint8_t cr8);
/* Processor priority, from TPR and the highest vector in service. */
uint8_t ts_lapic_ppr(const struct ts_lapic *apic);
/* Highest vector of IRR or ISR, TS_LAPIC_NONE if empty. */
int ts_lapic_highest_irr(const struct ts_lapic *apic);
int ts_lapic_highest_isr(const struct ts_lapic *apic);
/* What would be dispensed if the processor took interrupts now; TS_LAPIC_NONE: nothing. */
int ts_lapic_deliverable(const struct ts_lapic *apic);
/* The processor takes an interrupt: from IRR to ISR. interrupts_on is RFLAGS.IF; with it clear
 * everything waits. Returns the vector or TS_LAPIC_NONE. */
int ts_lapic_take(struct ts_lapic *apic, bool interrupts_on);
/* EOI: the highest vector in service is done. Returns it; TS_LAPIC_NONE if none was, which is
 * allowed. */
int ts_lapic_eoi(struct ts_lapic *apic);
bool ts_lapic_in_irr(const struct ts_lapic *apic, uint32_t vector);
bool ts_lapic_in_isr(const struct ts_lapic *apic, uint32_t vector);

#ifdef __cplusplus
}
#endif
#endif
