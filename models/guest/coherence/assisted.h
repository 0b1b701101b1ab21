/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes that somebody else than flush_tlb_func has done: the hypervisor, at a vCPU's entry or in
 * a hypercall. The CPU's generation (cpu_tlbstate.ctxs[].tlb_gen) does not rise by them, so that it
 * flushes again later (x86.md 5.4):
 *
 * | kind        | the redundant flush                                                         |
 * |-------------|-----------------------------------------------------------------------------|
 * | lazy_return | R1: idle CPU back to the same process: MOV CR3 that flushes                 |
 * | switch_back | R2: a slot found again, behind in its generation                            |
 * | software    | R3: the next flush by flush_tlb_func is a whole one, not page by page       |
 * | batch       | R4: a flush of no one address space finds the slot behind                   |
 * | raced       | R5: flush_tlb_func runs for a generation that has been flushed already      |
 * | initiator   | R6: any of these on the CPU that asked for the flush, and was flushed by it |
 *
 * What counts them is a shadow of each slot that no kernel has; it steers nothing. With the idea of
 * the kvm-flush-tlb-multi thread (A. Lutomirski, 25 June 2019: write the remote tlb_gen after an
 * assisted flush) they go away, and are counted as avoided. */
#ifndef TS_MODELS_GUEST_ASSISTED_H
#define TS_MODELS_GUEST_ASSISTED_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the shadow; no time passes --- */
/* target's translations of info's address space have been flushed up to info->new_tlb_gen: all of
 * them (whole), or those of info's range. info->mm is not NULL. self: who asked for it. */
void ts_assisted_flushed(const struct ts_guest_cpu *self, struct ts_guest_cpu *target,
                         const struct ts_flush_info *info, bool whole);
/* The CPU has written generation gen of an address space into the slot itself. */
void ts_assisted_own(struct ts_tlb_context *slot, uint64_t gen);
/* The slot was asked whether it has seen generation gen, and said no (flushed) or yes. Counts the
 * flush as redundant if an assisted one had done it, or as avoided if only a remote write told. */
void ts_assisted_asked(struct ts_guest_cpu *gc, uint32_t slot, enum ts_redundant kind, uint64_t gen,
                       bool flushed);

/* --- the remote write; time passes --- */
enum ts_update_gen { TS_UPDATE_OFF = 0, TS_UPDATE_FULL_ONLY = 1, TS_UPDATE_FULL_AND_PARTIAL = 2 };

/* What became of one. The last two of these cost no write. */
enum ts_update_result {
    TS_UPDATE_DONE,
    TS_UPDATE_LOST,   /* the slot had changed hands or generation in between */
    TS_UPDATE_BEHIND, /* a partial flush, and the slot had missed one before it (caveat 5) */
    TS_UPDATE_NO_SLOT /* the CPU is switching (caveat 4), or holds the address space in no slot */
};

/* Two timed steps. Read: looks for the slot of info->mm on target. Write: one compare-and-exchange
 * of 16 bytes {ctx_id, tlb_gen} if atomic (caveat 2), which never lowers a generation (caveat 3);
 * else a plain store of whatever slot it is by then: a lost flush if it was given to another
 * address space. The generation written is that of info, captured before the flush (caveat 1). */
struct ts_gen_update {
    struct ts_guest_cpu *target;
    uint32_t slot;
    struct ts_tlb_context seen;
};
enum ts_update_result ts_gen_update_read(struct ts_task *self, struct ts_guest_cpu *target,
                                         const struct ts_flush_info *info,
                                         struct ts_gen_update *update);
enum ts_update_result ts_gen_update_write(struct ts_task *self, const struct ts_gen_update *update,
                                          const struct ts_flush_info *info, bool atomic);

#ifdef __cplusplus
}
#endif
#endif
