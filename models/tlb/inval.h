/* SPDX-License-Identifier: Apache-2.0 */
/* Invalidation is data: what an instruction or a message asks a TLB to drop, with one pure
 * predicate over an entry. Mechanisms build a struct ts_tlb_inval; only the TLB evaluates it.
 * Semantics: Intel SDM vol. 3A 4.10.4 and vol. 3C "Caching Translation Information" for VMX; Arm
 * ARM, TLBI instructions. Each builder gives the architectural minimum. */
#ifndef TS_MODELS_TLB_INVAL_H
#define TS_MODELS_TLB_INVAL_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an entry translates. */
enum ts_tlb_kind {
    TS_TLB_COMBINED = 0, /* VA -> PA; native linear mappings are combined ones of the host's VMID */
    TS_TLB_STAGE1_WALK = 1, /* VA prefix -> table (paging-structure cache, S1 walk cache) */
    TS_TLB_STAGE2_LEAF = 2, /* guest-physical -> physical */
    TS_TLB_STAGE2_WALK = 3,
    TS_TLB_KINDS = 4
};
#define TS_TLB_KIND_BIT(kind) (1u << (kind))

/* Tags of one entry, as the predicate sees it. vmid is VPID on x86 (0: host), asid is the PCID. */
struct ts_tlb_tags {
    enum ts_tlb_kind kind;
    uint16_t vmid;
    uint16_t asid;
    bool global;
    uint8_t size_shift; /* log2 of the bytes it covers */
    uint8_t level;      /* 0: last level (4K), 1, 2, .. upwards; for walk entries the level of the
                           table descriptor. A leaf cached in pieces keeps the level of the whole:
                           an address form that names any byte of the page takes every piece. */
    uint64_t base;      /* VA or IPA, aligned to size */
};

enum ts_inval_asid {
    TS_INVAL_ASID_ANY = 0, /* all ASIDs, globals too */
    TS_INVAL_ASID_ANY_NONGLOBAL = 1,
    TS_INVAL_ASID_MATCH = 2, /* this ASID, not globals */
    TS_INVAL_ASID_MATCH_OR_GLOBAL = 3
};

struct ts_tlb_inval {
    uint8_t kinds;         /* TS_TLB_KIND_BIT set */
    bool any_vmid;         /* else only vmid */
    bool keep_host;        /* with any_vmid: VMID 0 stays (INVVPID 2, INVEPT) */
    bool all_addresses;    /* else [start, start + length) */
    bool last_level_only;  /* leaves only among the kinds */
    bool walk_any_address; /* paging-structure entries go whatever the address (INVLPG,
                              SDM 4.10.4.1) */
    uint8_t asid_rule;     /* enum ts_inval_asid, for COMBINED and STAGE1_WALK */
    uint8_t ttl_level;     /* 0: no hint; else 1 + level; a leaf of another level need not go */
    uint16_t vmid;
    uint16_t asid;
    uint64_t start;
    uint64_t length;
};

/* The rule, and nothing else. A walk entry's ASID matches by tag alone: globals concern leaves. */
bool ts_tlb_inval_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags);

/* Builders: one an instruction. */
struct ts_tlb_inval ts_inval_invlpg(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_mov_cr3(uint16_t vmid, uint16_t asid); /* PCIDE=1, bit 63 clear */
struct ts_tlb_inval ts_inval_invpcid_addr(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_invpcid_single(uint16_t vmid, uint16_t asid);
struct ts_tlb_inval ts_inval_invpcid_all(uint16_t vmid, bool include_global);
struct ts_tlb_inval ts_inval_invvpid_address(uint16_t vmid, uint64_t va);
struct ts_tlb_inval ts_inval_invvpid_single(uint16_t vmid);
struct ts_tlb_inval ts_inval_invvpid_keep_global(uint16_t vmid);
struct ts_tlb_inval ts_inval_invvpid_all(void);   /* every VPID but 0 */
struct ts_tlb_inval ts_inval_invept_global(void); /* guest-physical and combined, every VM; the
                                                     host's own mappings are linear and stay */
/* What a fault itself drops. */
struct ts_tlb_inval ts_inval_page_fault(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_ept_violation(uint16_t vmid, uint64_t ipa);
struct ts_tlb_inval ts_inval_tlbi_alle1(void);
struct ts_tlb_inval ts_inval_tlbi_vmalle1(uint16_t vmid);
struct ts_tlb_inval ts_inval_tlbi_vmalls12e1(uint16_t vmid);
struct ts_tlb_inval ts_inval_tlbi_aside1(uint16_t vmid, uint16_t asid);
struct ts_tlb_inval ts_inval_tlbi_vae1(uint16_t vmid, uint16_t asid, uint64_t va, bool last_level,
                                       uint8_t ttl_level);
/* VAAE1, VAALE1: every ASID. */
struct ts_tlb_inval ts_inval_tlbi_vaae1(uint16_t vmid, uint64_t va, bool last_level,
                                        uint8_t ttl_level);
/* Stage 2 only: combined entries stay: hardware cannot find them by IPA (Arm ARM,
 * TLBI IPAS2E1). */
struct ts_tlb_inval ts_inval_tlbi_ipas2e1(uint16_t vmid, uint64_t ipa, bool last_level,
                                          uint8_t ttl_level);
struct ts_tlb_inval ts_inval_tlbi_ripas2e1(uint16_t vmid, uint64_t start, uint64_t length,
                                           bool last_level);
/* Range form; [start, start+length) as the operand encodes it (range.h). */
struct ts_tlb_inval ts_inval_tlbi_rvae1(uint16_t vmid, uint16_t asid, uint64_t start,
                                        uint64_t length, bool last_level);

#ifdef __cplusplus
}
#endif
#endif
