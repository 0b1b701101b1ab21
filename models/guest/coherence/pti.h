/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table isolation on x86 (Linux 4.15 and later; read in 6.12: arch/x86/mm/tlb.c,
 * arch/x86/entry/calling.h; x86.md 1.9). A slot has two PCIDs: the kernel's, a + 1, and the user's,
 * with bit 11 set. Whatever flushes the user's waits for the return to user mode, but for single
 * pages where there is INVPCID.
 *
 * Here only user code touches user memory, so that with PTI all translations carry the user PCID
 * and the kernel's has none; it is flushed all the same. A thread that was preempted in user mode
 * comes back without passing the code of a kernel exit, so what is pending is also looked for
 * before its next touch. That is the same to the TLB, as nothing is filled in between.
 *
 * arm64 has KPTI (guest.kpti), where a flush names both ASIDs (arm64.h) and nothing is left to the
 * return to user mode: of this file only what entry and exit cost is of it.
 *
 * Every function may be called without PTI, and does nothing then. */
#ifndef TS_MODELS_GUEST_PTI_H
#define TS_MODELS_GUEST_PTI_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TS_PTI_USER_PCID = 1 << 11,      /* X86_CR3_PTI_PCID_USER_BIT */
    TS_PTI_MAX_ASID = (1 << 11) - 2, /* MAX_ASID_AVAILABLE: one bit for PTI; PCID 0 is not used */
};

/* What PTI or KPTI adds to a system call or an exception of user code: entry and exit. */
uint64_t ts_pti_cycles(const struct ts_guest *g);
/* invalidate_user_asid: the slot's user PCID is flushed before it is used next. No time passes. */
void ts_pti_flush_later(struct ts_guest_cpu *gc, uint32_t asid);
/* invalidate_user_asid of a slot or a global ASID, whose flush does not wait: user_pcid_flush_mask
 * has no bit for it. (The RAR series sets one all the same, beyond the end of the mask; that is not
 * followed here.) Interrupts are off; time passes for a global ASID. */
void ts_pti_flush_all(struct ts_task *self, uint32_t asid);
/* The part of flush_tlb_one_user that is of the user PCID. Interrupts are off; time passes. */
void ts_pti_flush_one(struct ts_task *self, uint64_t va);
/* Is the user PCID of what is loaded to be flushed before it is used? The CPU has not come to user
 * mode then, whatever it is about to execute. */
bool ts_pti_is_pending(const struct ts_guest_cpu *gc);
/* SWITCH_TO_USER_CR3: flushes the user PCID of what is loaded, if that is pending. Time may pass;
 * on return nothing is pending. */
void ts_pti_return(struct ts_task *self);

/* Entry and exit of an interrupt's handler, which with PTI cost more from user mode. */
void ts_irq_enter(struct ts_task *self);
void ts_irq_exit(struct ts_task *self);

#ifdef __cplusplus
}
#endif
#endif
