/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/inval.h"

#define COMBINED TS_TLB_KIND_BIT(TS_TLB_COMBINED)
#define STAGE1_WALK TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK)
#define STAGE2_LEAF TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF)
#define STAGE2_WALK TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK)
#define STAGE1_KINDS (COMBINED | STAGE1_WALK)
#define STAGE2_KINDS (STAGE2_LEAF | STAGE2_WALK)
#define WALK_KINDS (STAGE1_WALK | STAGE2_WALK)
#define PAGE_BYTES UINT64_C(4096)
#define PAGE_MASK (~(PAGE_BYTES - 1))

static bool asid_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags)
{
    /* Stage-2 entries have no ASID. */
    if (TS_TLB_KIND_BIT(tags->kind) & STAGE2_KINDS)
        return true;
    /* Only leaves can be global. */
    bool global = tags->kind == TS_TLB_COMBINED && tags->global;
    switch ((enum ts_inval_asid)inval->asid_rule) {
    case TS_INVAL_ASID_ANY:
        return true;
    case TS_INVAL_ASID_ANY_NONGLOBAL:
        return !global;
    case TS_INVAL_ASID_MATCH:
        return !global && tags->asid == inval->asid;
    case TS_INVAL_ASID_MATCH_OR_GLOBAL:
        return global || tags->asid == inval->asid;
    }
    ts_bug(__FILE__, __LINE__, "an ASID rule that does not exist");
}

/* The bytes an address form must overlap. A page cached in pieces goes as a whole, whichever of its
 * bytes is named: one INVLPG is enough for a 2M page however it is cached (SDM 4.10.4). */
static bool address_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags,
                            bool walk)
{
    uint32_t shift = tags->size_shift;
    if (!walk && 12u + 9u * tags->level > shift)
        shift = 12u + 9u * tags->level;
    uint64_t first = tags->base >> shift << shift;
    uint64_t last = first + ((UINT64_C(1) << shift) - 1);
    return inval->length != 0 && first <= inval->start + (inval->length - 1) &&
           last >= inval->start;
}

bool ts_tlb_inval_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags)
{
    uint32_t kind = TS_TLB_KIND_BIT(tags->kind);
    bool walk = (kind & WALK_KINDS) != 0;
    if (!(inval->kinds & kind) || (walk && inval->last_level_only))
        return false;
    if (inval->any_vmid ? inval->keep_host && tags->vmid == 0 : tags->vmid != inval->vmid)
        return false;
    if (!asid_matches(inval, tags))
        return false;
    /* The hint names the level of the leaf; above-leaf entries go all the same. With a wrong hint
     * nothing need go (Arm ARM, TLBI VAE1, TTL field). */
    if (!walk && inval->ttl_level != 0 && tags->level + 1u != inval->ttl_level)
        return false;
    if (inval->all_addresses || (walk && inval->walk_any_address))
        return true;
    return address_matches(inval, tags, walk);
}

static struct ts_tlb_inval everything(uint32_t kinds, uint16_t vmid)
{
    struct ts_tlb_inval i = {0};
    i.kinds = (uint8_t)kinds;
    i.vmid = vmid;
    i.all_addresses = true;
    i.asid_rule = TS_INVAL_ASID_ANY;
    return i;
}

static struct ts_tlb_inval address_form(uint32_t kinds, uint16_t vmid, uint64_t start,
                                        uint64_t length)
{
    struct ts_tlb_inval i = everything(kinds, vmid);
    i.all_addresses = false;
    i.start = start;
    i.length = length;
    return i;
}

static struct ts_tlb_inval page_form(uint32_t kinds, uint16_t vmid, uint64_t address)
{
    return address_form(kinds, vmid, address & PAGE_MASK, PAGE_BYTES);
}

static struct ts_tlb_inval with_asid(struct ts_tlb_inval i, enum ts_inval_asid rule, uint16_t asid)
{
    i.asid_rule = (uint8_t)rule;
    i.asid = asid;
    return i;
}

/* SDM 4.10.4.1, INVLPG: TLB entries for the page number of the current PCID, global ones whatever
 * their PCID, and all paging-structure-cache entries of the current PCID regardless of address. */
struct ts_tlb_inval ts_inval_invlpg(uint16_t vmid, uint16_t asid, uint64_t va)
{
    struct ts_tlb_inval i = page_form(STAGE1_KINDS, vmid, va);
    i.walk_any_address = true;
    return with_asid(i, TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* SDM 4.10.4.1, MOV to CR3 with CR4.PCIDE = 1 and bit 63 clear: everything of the PCID loaded
 * except global pages. */
struct ts_tlb_inval ts_inval_mov_cr3(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* SDM 4.10.4.1, INVPCID type 0: the mappings of one address and PCID, not the global ones. Unlike
 * INVLPG it names no other paging-structure entries than those of the address. */
struct ts_tlb_inval ts_inval_invpcid_addr(uint16_t vmid, uint16_t asid, uint64_t va)
{
    return with_asid(page_form(STAGE1_KINDS, vmid, va), TS_INVAL_ASID_MATCH, asid);
}

/* SDM 4.10.4.1, INVPCID type 1. */
struct ts_tlb_inval ts_inval_invpcid_single(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* SDM 4.10.4.1, INVPCID types 2 (with global translations) and 3 (without). */
struct ts_tlb_inval ts_inval_invpcid_all(uint16_t vmid, bool include_global)
{
    return with_asid(everything(STAGE1_KINDS, vmid),
                     include_global ? TS_INVAL_ASID_ANY : TS_INVAL_ASID_ANY_NONGLOBAL, 0);
}

/* SDM vol. 3C, INVVPID: linear and combined mappings of the VPID for all PCIDs. Guest-physical
 * mappings stay with every type. Type 0, individual address. */
struct ts_tlb_inval ts_inval_invvpid_address(uint16_t vmid, uint64_t va)
{
    return page_form(STAGE1_KINDS, vmid, va);
}

/* Type 1, single context. */
struct ts_tlb_inval ts_inval_invvpid_single(uint16_t vmid)
{
    return everything(STAGE1_KINDS, vmid);
}

/* Type 3, single context retaining global translations. */
struct ts_tlb_inval ts_inval_invvpid_keep_global(uint16_t vmid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_ANY_NONGLOBAL, 0);
}

/* Type 2, all contexts: every VPID except 0000H. */
struct ts_tlb_inval ts_inval_invvpid_all(void)
{
    struct ts_tlb_inval i = everything(STAGE1_KINDS, 0);
    i.any_vmid = true;
    i.keep_host = true;
    return i;
}

/* SDM vol. 3C, INVEPT type 2: guest-physical and combined mappings of every EP4TA, whatever VPID
 * and PCID; combined ones include paging-structure-cache entries. Linear mappings stay: those of
 * VMID 0. A guest without EPT has linear mappings too, which are dropped here; more may always go.
 */
struct ts_tlb_inval ts_inval_invept_global(void)
{
    struct ts_tlb_inval i = everything(STAGE1_KINDS | STAGE2_KINDS, 0);
    i.any_vmid = true;
    i.keep_host = true;
    return i;
}

/* SDM 4.10.4.1: a page fault drops the TLB entries of its address and PCID and the paging-structure
 * entries that it would use, so that it cannot recur from stale entries alone. Global entries must
 * go as well for that. */
struct ts_tlb_inval ts_inval_page_fault(uint16_t vmid, uint16_t asid, uint64_t va)
{
    return with_asid(page_form(STAGE1_KINDS, vmid, va), TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* SDM vol. 3C, "Operations that invalidate cached mappings": an EPT violation drops guest-physical
 * mappings that would be used for the address. (The combined ones go by ts_inval_page_fault.) */
struct ts_tlb_inval ts_inval_ept_violation(uint16_t vmid, uint64_t ipa)
{
    return page_form(STAGE2_KINDS, vmid, ipa);
}

/* The Arm forms: Arm ARM, TLBI; also the DVM encodings of CHI issue F.b table B8 (VMIDV, ASIDV,
 * AddrV, Stage, Leaf). */
struct ts_tlb_inval ts_inval_tlbi_alle1(void)
{
    struct ts_tlb_inval i = everything(STAGE1_KINDS | STAGE2_KINDS, 0);
    i.any_vmid = true;
    /* EL1&0 of every VM; VMID 0 is the host's, whose regime under VHE is EL2&0. */
    i.keep_host = true;
    return i;
}

struct ts_tlb_inval ts_inval_tlbi_vmalle1(uint16_t vmid)
{
    return everything(STAGE1_KINDS, vmid);
}

struct ts_tlb_inval ts_inval_tlbi_vmalls12e1(uint16_t vmid)
{
    return everything(STAGE1_KINDS | STAGE2_KINDS, vmid);
}

/* Global leaves stay, above-leaf entries of the ASID go. */
struct ts_tlb_inval ts_inval_tlbi_aside1(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* A leaf goes if its ASID matches or it is global; an above-leaf entry only if its ASID matches. */
struct ts_tlb_inval ts_inval_tlbi_vae1(uint16_t vmid, uint16_t asid, uint64_t va, bool last_level,
                                       uint8_t ttl_level)
{
    struct ts_tlb_inval i = ts_inval_tlbi_vaae1(vmid, va, last_level, ttl_level);
    return with_asid(i, TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

struct ts_tlb_inval ts_inval_tlbi_vaae1(uint16_t vmid, uint64_t va, bool last_level,
                                        uint8_t ttl_level)
{
    struct ts_tlb_inval i = page_form(STAGE1_KINDS, vmid, va);
    i.last_level_only = last_level;
    i.ttl_level = ttl_level;
    return i;
}

struct ts_tlb_inval ts_inval_tlbi_rvae1(uint16_t vmid, uint16_t asid, uint64_t start,
                                        uint64_t length, bool last_level)
{
    struct ts_tlb_inval i = address_form(STAGE1_KINDS, vmid, start, length);
    i.last_level_only = last_level;
    return with_asid(i, TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

struct ts_tlb_inval ts_inval_tlbi_ipas2e1(uint16_t vmid, uint64_t ipa, bool last_level,
                                          uint8_t ttl_level)
{
    struct ts_tlb_inval i = page_form(STAGE2_KINDS, vmid, ipa);
    i.last_level_only = last_level;
    i.ttl_level = ttl_level;
    return i;
}

struct ts_tlb_inval ts_inval_tlbi_ripas2e1(uint16_t vmid, uint64_t start, uint64_t length,
                                           bool last_level)
{
    struct ts_tlb_inval i = address_form(STAGE2_KINDS, vmid, start, length);
    i.last_level_only = last_level;
    return i;
}
