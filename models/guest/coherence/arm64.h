/* SPDX-License-Identifier: Apache-2.0 */
/* TLBI and DSB as instructions of the executing pCPU (arm.md 3.9), for the arm64
 * mechanisms. */
#ifndef TS_MODELS_GUEST_ARM64_H
#define TS_MODELS_GUEST_ARM64_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One broadcast TLBI, with its tracker stalls: __tlbi, and with guest.kpti __tlbi_user behind it if
 * inval names an ASID, which is the kernel's. Under guest.repeat_tlbi in the form of older kernels
 * each of them is TLBI, DSB ISH and the same TLBI. Returns how many TLBI that were. */
uint32_t ts_arm64_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval);
/* The same of the executing pCPU alone; the DSB in between is still ISH. */
void ts_arm64_tlbi_local(struct ts_task *self, const struct ts_tlb_inval *inval);
/* DSB ISHST before the first TLBI: its stores, and no TLBI. */
void ts_arm64_dsb_ishst(struct ts_task *self);
/* DSB NSH and ISB behind local TLBIs: guest.tlbi_local, and longer where the TLB is not done. */
void ts_arm64_dsb_nsh(struct ts_task *self);
/* __tlbi_sync_s1ish: DSB ISH with its wait; under guest.repeat_tlbi in the form of newer kernels
 * one more VALE1IS, of address 0 and ASID 0, with a DSB of its own. */
void ts_arm64_sync(struct ts_task *self);
/* What __flush_tlb_range makes of info: whole strides around it (up to 6.17; asm/tlbflush.h). */
struct ts_arm64_range {
    uint64_t start, end;
    uint64_t pages;  /* of 4K */
    uint8_t ttl;     /* level hint + 1 as in inval.h; 0: none, as whenever tables go
                        (tlb_get_level, asm/tlb.h) */
    bool last_level; /* walk caches may keep what they have */
};
/* info->end is not UINT64_MAX. */
struct ts_arm64_range ts_arm64_range_of(const struct ts_guest *g, const struct ts_flush_info *info);
/* All of an address space, or, for NULL, of the VM's stage 1. */
struct ts_tlb_inval ts_arm64_inval_all(const struct ts_guest *g, const struct ts_mm *mm);
uint16_t ts_arm64_vmid(const struct ts_guest *g);

#ifdef __cplusplus
}
#endif
#endif
