/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual IPI, KVM_HC_SEND_IPI: how a guest cuts a mask into hypercalls, and what the
 * host answers (x86.md 3.2; arch/x86/kernel/kvm.c __send_ipi_mask, kvm/lapic.c kvm_pv_send_ipi).
 * Pure.
 *
 * | kind        | one hypercall reaches                                     | source           |
 * |-------------|-----------------------------------------------------------|------------------|
 * | sliding     | 128 APIC IDs from the lowest on, in the order of the mask | merged, 4.19     |
 * | absolute128 | APIC IDs 0 to 127; a VM with others sends natively        | v3 of the series |
 * | cluster128  | 128 APIC IDs from a multiple of 128 on                    | R. Krcmar on v3  |
 * | cluster192  | 192 from a multiple of 192 on: a third word of the bitmap | R. Krcmar on v3  |
 */
#ifndef TS_MODELS_ABI_PV_IPI_H
#define TS_MODELS_ABI_PV_IPI_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_pv_ipi {
    TS_PV_IPI_OFF = 0,
    TS_PV_IPI_SLIDING = 1,
    TS_PV_IPI_ABSOLUTE128 = 2,
    TS_PV_IPI_CLUSTER128 = 3,
    TS_PV_IPI_CLUSTER192 = 4
};

enum { TS_PV_IPI_WORDS = 3 };

/* Arguments of one hypercall: bit i stands for APIC ID min + i. */
struct ts_pv_ipi_window {
    uint64_t bits[TS_PV_IPI_WORDS];
    uint32_t min;
    uint32_t count; /* bits set */
};

struct ts_pv_ipi_iter {
    enum ts_pv_ipi kind;
    const uint32_t *ids; /* APIC IDs in the order of the mask; distinct */
    uint32_t n;
    uint32_t at;      /* sliding: next id */
    uint64_t cluster; /* cluster kinds: first cluster not looked at */
};

/* Can every ID below nr_ids be named? */
bool ts_pv_ipi_reaches(enum ts_pv_ipi kind, uint32_t nr_ids);
/* The next hypercall of the mask; false: all have been made. at and cluster start at 0. The cluster
 * kinds go by ascending cluster. */
bool ts_pv_ipi_next(struct ts_pv_ipi_iter *it, struct ts_pv_ipi_window *w);

/* Register arguments of the hypercall: a0 and a1 the bitmap, a2 the lowest ID, a3 the ICR; the
 * third word of cluster192, which was never merged, comes behind them. */
enum { TS_PV_IPI_ARG_MIN = 2, TS_PV_IPI_ARG_ICR = 3, TS_PV_IPI_ARG_WORD2 = 4 };
void ts_pv_ipi_args(const struct ts_pv_ipi_window *w, uint32_t icr, uint64_t *args);
struct ts_pv_ipi_window ts_pv_ipi_window_of(const uint64_t *args);

/* --- host --- */

/* Bits of the ICR argument (APIC_DEST_LOGICAL, shorthand field; asm/apicdef.h). */
#define TS_ICR_DEST_LOGICAL 0x800u
#define TS_ICR_SHORTHAND_MASK 0xc0000u
#define TS_ICR_VECTOR_MASK 0xffu

/* What KVM returns instead of a count. */
#define TS_PV_IPI_EINVAL (-22)
#define TS_PV_IPI_EOPNOTSUPP (-95)

/* 0: go on, or the error: an ICR with a destination mode or shorthand, or no APIC map. */
int ts_pv_ipi_check(uint32_t icr, bool has_map);
/* Next APIC ID of the window at or after bit *bit that is not above max_id; false: no more. *bit
 * moves behind it. */
bool ts_pv_ipi_target(const struct ts_pv_ipi_window *w, uint32_t max_id, uint32_t *bit,
                      uint32_t *id);

#ifdef __cplusplus
}
#endif
#endif
