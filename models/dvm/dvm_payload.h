/* SPDX-License-Identifier: Apache-2.0 */
/* What a DVMOp says: its fields, where they lie in the request and its data and in the two parts of
 * a snoop, and which invalidation of a TLB is which operation (CHI issue F.b, B8.2, p. 336 to 347;
 * arm.md 1.3, 3.4).
 *
 * Assumed, as arm.md does not give them: Security 0b11 is non-secure; the address fills all of bits
 * 10 to 55 of the data, sign-extended; in a snoop part the bits stay where request and data have
 * them, bit 0 is the part's number, and FwdNID holds Range in bit 0 and Num above it. */
#ifndef TS_MODELS_DVM_PAYLOAD_H
#define TS_MODELS_DVM_PAYLOAD_H

#include "models/tlb/inval.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_dvm_type {
    TS_DVM_TYPE_TLBI = 0,
    TS_DVM_TYPE_BPI = 1,
    TS_DVM_TYPE_PICI = 2,
    TS_DVM_TYPE_VICI = 3,
    TS_DVM_TYPE_SYNC = 4
};
enum ts_dvm_exception {
    TS_DVM_HYP_AND_GUESTS = 0,
    TS_DVM_EL3 = 1,
    TS_DVM_GUEST_OS = 2,
    TS_DVM_HYP = 3
};
enum ts_dvm_stage { TS_DVM_STAGE_BOTH = 0, TS_DVM_STAGE_1 = 1, TS_DVM_STAGE_2 = 2 };

/* Widths in bits. */
struct ts_dvm_fields {
    bool addr_v, vmid_v, asid_v;
    uint8_t security;  /* 2 */
    uint8_t exception; /* 2, enum ts_dvm_exception */
    uint8_t type;      /* 3, enum ts_dvm_type */
    uint16_t vmid, asid;
    uint8_t stage; /* 2, enum ts_dvm_stage */
    bool leaf, range;
    uint8_t num;      /* 5 */
    uint8_t scale;    /* 2 */
    uint8_t ttl;      /* 2: the architecture's level; 0: none */
    uint8_t tg;       /* 2: 1 + enum ts_granule; 0: none */
    uint64_t address; /* of a page of 4K; VA or IPA, sign-extended from bit 57 */
};
/* Request and data. */
struct ts_dvm_payload {
    uint64_t addr, data;
};
struct ts_dvm_snoop {
    uint64_t part[2];
    uint8_t fwd_nid; /* 6 bits */
};

/* What the interconnect can carry (DVM_Support). */
enum ts_dvm_support {
    TS_DVM_V8 = 0,   /* VMIDs of 8 bits, no range */
    TS_DVM_V8_1 = 1, /* VMIDs of 16 */
    TS_DVM_V8_4 = 2  /* ranges, TTL */
};

/* A field that is wider than it may be is a bug. */
struct ts_dvm_payload ts_dvm_pack(const struct ts_dvm_fields *fields);
struct ts_dvm_fields ts_dvm_unpack(const struct ts_dvm_payload *payload);
struct ts_dvm_snoop ts_dvm_snoop_of(const struct ts_dvm_payload *payload);
struct ts_dvm_payload ts_dvm_payload_of(const struct ts_dvm_snoop *snoop);

/* The fields of a broadcast TLBI. VMID 0 is the host's regime, EL2&0. A range without a granule is
 * one of 4K, and so is a page with a level hint: the instruction has none without. TS_ERR_USER: no
 * instruction says that, or the interconnect cannot carry it; err says which part. */
enum ts_status ts_dvm_encode(const struct ts_tlb_inval *inval, enum ts_dvm_support support,
                             struct ts_dvm_fields *fields, struct ts_error *err);
/* What a core makes of a TLBI. One with 8 bits of ASID or VMID looks at no others, and drops more.
 */
struct ts_tlb_inval ts_dvm_decode(const struct ts_dvm_fields *fields, uint32_t asid_bits,
                                  uint32_t vmid_bits);
struct ts_dvm_fields ts_dvm_sync_fields(void);

#ifdef __cplusplus
}
#endif
#endif
