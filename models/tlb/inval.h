/* SPDX-License-Identifier: Apache-2.0 */
/* Invalidation is data: what an instruction or a message asks a TLB to drop, with one pure
 * predicate over an entry. Mechanisms build a struct ts_tlb_inval; only the TLB evaluates it.
 * Semantics: Intel SDM vol. 3A 4.10.4 and vol. 3C "Caching Translation Information" for VMX; Arm
 * ARM, TLBI instructions. Each builder gives the architectural minimum. */
#ifndef TS_MODELS_TLB_INVAL_H
#define TS_MODELS_TLB_INVAL_H

#include "models/tlb/granule.h"
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

/* Tags of one entry, as the predicate sees it. vmid is VPID on Intel, ASID on AMD (0: host), asid
 * is the PCID. Intel tags guest-physical mappings by EP4TA alone (vmid 0) and combined ones by
 * EP4TA as well; Arm and AMD have no EP4TA (0), and tag stage 2 by vmid. */
struct ts_tlb_tags {
    enum ts_tlb_kind kind;
    uint16_t vmid;
    uint16_t asid;
    bool global;
    uint8_t size_shift; /* log2 of the bytes it covers */
    uint8_t level;      /* 0: last level (4K), 1, 2, .. upwards; for walk entries the level of the
                           table descriptor. A leaf cached in pieces (size below that of its level)
                           keeps the level of the whole: an address form that names any byte of the
                           page takes every piece. A contiguous run has the level of its leaves and
                           a larger size. */
    uint64_t base;      /* VA or IPA, aligned to size */
    uint16_t ep4ta;     /* 0: a linear mapping, or not Intel */
    uint8_t granule;    /* enum ts_granule, of the table the leaf or descriptor lies in */
    uint8_t thread;     /* SMT thread that made it, in a structure that threads share */
};

enum ts_inval_asid {
    TS_INVAL_ASID_ANY = 0, /* all ASIDs, globals too */
    TS_INVAL_ASID_ANY_NONGLOBAL = 1,
    TS_INVAL_ASID_MATCH = 2, /* this ASID, not globals */
    TS_INVAL_ASID_MATCH_OR_GLOBAL = 3
};

enum ts_inval_ep4ta {
    TS_INVAL_EP4TA_ANY = 0,
    TS_INVAL_EP4TA_MATCH = 1, /* this one */
    TS_INVAL_EP4TA_SOME = 2   /* any but 0: linear mappings stay */
};

struct ts_tlb_inval {
    uint8_t kinds;           /* TS_TLB_KIND_BIT set; 0: nothing goes */
    bool any_vmid;           /* else only vmid */
    bool keep_host;          /* with any_vmid: VMID 0 stays (INVVPID 2, ALLE1) */
    bool all_addresses;      /* else [start, start + length) */
    bool last_level_only;    /* leaves only among the kinds */
    bool walk_any_address;   /* paging-structure entries go whatever the address (INVLPG,
                                SDM 4.10.4.1) */
    bool stage2_any_address; /* stage-2 entries go whatever the address (INVLPGB with nested
                                translations, whose address is a linear one) */
    uint8_t asid_rule;       /* enum ts_inval_asid, for COMBINED and STAGE1_WALK */
    uint8_t ep4ta_rule;      /* enum ts_inval_ep4ta, for all kinds */
    uint8_t ttl_level;       /* 0: no hint; else 1 + level of the leaf: a leaf of another level need
                                not go, nor a table that can have none such below it */
    uint8_t ttl_granule; /* 0: no hint; else 1 + enum ts_granule: nothing of another granule need
                            go (Arm ARM, TLBI, TTL and TG fields) */
    bool any_thread;     /* else only thread: an instruction acts on its own logical processor */
    uint8_t thread;
    uint16_t vmid;
    uint16_t asid;
    uint16_t ep4ta;
    uint64_t start;
    uint64_t length;
};

/* The rule, and nothing else. A walk entry's ASID matches by tag alone: globals concern leaves. */
bool ts_tlb_inval_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags);

/* Builders: one an instruction. All have thread 0: the MMU puts its own there. */
struct ts_tlb_inval ts_inval_nothing(void); /* MOV CR3 with bit 63; VM entry and exit with VPID;
                                               TLB_CONTROL 0: no entry need go */
struct ts_tlb_inval ts_inval_invlpg(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_mov_cr3(uint16_t vmid, uint16_t asid); /* PCIDE=1, bit 63 clear */
struct ts_tlb_inval ts_inval_mov_cr3_nopcid(uint16_t vmid);         /* PCIDE=0: PCID 0 */
/* CR4.PGE changed, or PCIDE 1 to 0: everything, globals and all PCIDs. */
struct ts_tlb_inval ts_inval_mov_cr4_all(uint16_t vmid);
/* CR4.PAE changed, or SMEP 0 to 1: the current PCID, and globals, which the SDM leaves open. */
struct ts_tlb_inval ts_inval_mov_cr4_pcid(uint16_t vmid, uint16_t asid);
struct ts_tlb_inval ts_inval_invpcid_addr(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_invpcid_single(uint16_t vmid, uint16_t asid);
struct ts_tlb_inval ts_inval_invpcid_all(uint16_t vmid, bool include_global);
struct ts_tlb_inval ts_inval_invvpid_address(uint16_t vmid, uint64_t va);
struct ts_tlb_inval ts_inval_invvpid_single(uint16_t vmid);
struct ts_tlb_inval ts_inval_invvpid_keep_global(uint16_t vmid);
struct ts_tlb_inval ts_inval_invvpid_all(void); /* every VPID but 0 */
/* Guest-physical and combined mappings of one EP4TA, or of all; linear mappings stay. */
struct ts_tlb_inval ts_inval_invept_single(uint16_t ep4ta);
struct ts_tlb_inval ts_inval_invept_global(void);
/* VM entry or exit without VPID: linear and combined mappings of VPID 0, whatever PCID or EP4TA. */
struct ts_tlb_inval ts_inval_vm_transition(void);
/* SVM. asid is the VMCB's, which is vmid here; the PCID is asid here (APM vol. 2, 15.16). */
struct ts_tlb_inval ts_inval_svm_flush_all(void);                     /* TLB_CONTROL 1 */
struct ts_tlb_inval ts_inval_svm_flush_asid(uint16_t vmid);           /* 3 */
struct ts_tlb_inval ts_inval_svm_flush_asid_nonglobal(uint16_t vmid); /* 7 */
struct ts_tlb_inval ts_inval_invlpga(uint16_t vmid, uint64_t va);
struct ts_invlpgb {
    bool va_valid, pcid_valid, asid_valid;
    bool include_global, final_only, include_nested;
    bool stride_2m;
    uint16_t vmid; /* ASID operand */
    uint16_t pcid;
    uint32_t pages; /* ECX[15:0] + 1 */
    uint64_t va;
};
struct ts_tlb_inval ts_inval_invlpgb(const struct ts_invlpgb *op);
/* What a fault itself drops. ep4ta 0: stage 2 is tagged by vmid. */
struct ts_tlb_inval ts_inval_page_fault(uint16_t vmid, uint16_t asid, uint64_t va);
struct ts_tlb_inval ts_inval_stage2_fault(uint16_t vmid, uint16_t ep4ta, uint64_t ipa);

/* Arm. The IS and OS forms are the same, at every PE that they reach. ttl_level and ttl_granule as
 * in the struct. */
struct ts_tlb_inval ts_inval_tlbi_alle1(void);
struct ts_tlb_inval ts_inval_tlbi_alle2(void); /* the host's: EL2 or EL2&0, VMID 0 */
struct ts_tlb_inval ts_inval_tlbi_vmalle1(uint16_t vmid);
struct ts_tlb_inval ts_inval_tlbi_vmalls12e1(uint16_t vmid);
struct ts_tlb_inval ts_inval_tlbi_aside1(uint16_t vmid, uint16_t asid);
/* VAE1, VALE1 (last_level); of VMID 0 also VAE2, VALE2. */
struct ts_tlb_inval ts_inval_tlbi_vae1(uint16_t vmid, uint16_t asid, uint64_t va, bool last_level,
                                       uint8_t ttl_level);
/* VAAE1, VAALE1: every ASID. */
struct ts_tlb_inval ts_inval_tlbi_vaae1(uint16_t vmid, uint64_t va, bool last_level,
                                        uint8_t ttl_level);
/* Stage 2 only: combined entries stay: hardware cannot find them by IPA (Arm ARM,
 * TLBI IPAS2E1). */
struct ts_tlb_inval ts_inval_tlbi_ipas2e1(uint16_t vmid, uint64_t ipa, bool last_level,
                                          uint8_t ttl_level);
/* Range forms; [start, start+length) as the operand encodes it (range.h). */
struct ts_tlb_inval ts_inval_tlbi_rvae1(uint16_t vmid, uint16_t asid, uint64_t start,
                                        uint64_t length, bool last_level);
struct ts_tlb_inval ts_inval_tlbi_rvaae1(uint16_t vmid, uint64_t start, uint64_t length,
                                         bool last_level);
struct ts_tlb_inval ts_inval_tlbi_ripas2e1(uint16_t vmid, uint64_t start, uint64_t length,
                                           bool last_level);
/* Adds the TG field, and the TTL of a range form, to any of the address forms above; also sets the
 * granule that the operation's page has where no range is given. ttl_level 0 leaves the level as it
 * is. */
struct ts_tlb_inval ts_inval_with_hint(struct ts_tlb_inval inval, uint8_t ttl_granule,
                                       uint8_t ttl_level);

#ifdef __cplusplus
}
#endif
#endif
