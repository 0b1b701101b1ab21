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

static bool ep4ta_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags)
{
    switch ((enum ts_inval_ep4ta)inval->ep4ta_rule) {
    case TS_INVAL_EP4TA_ANY:
        return true;
    case TS_INVAL_EP4TA_MATCH:
        return tags->ep4ta == inval->ep4ta;
    case TS_INVAL_EP4TA_SOME:
        return tags->ep4ta != 0;
    }
    ts_bug(__FILE__, __LINE__, "an EP4TA rule that does not exist");
}

static bool vmid_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags)
{
    if (inval->any_vmid)
        return !(inval->keep_host && tags->vmid == 0);
    return tags->vmid == inval->vmid;
}

/* With a wrong hint nothing need go (Arm ARM, TLBI VAE1, TTL field). The hint names the level of
 * the leaf, so it is wrong for a leaf of another level and for a table at that level or below,
 * under which no such leaf can lie. */
static bool hint_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags,
                         bool walk)
{
    if (inval->ttl_granule != 0 && tags->granule + 1u != inval->ttl_granule)
        return false;
    if (inval->ttl_level == 0)
        return true;
    uint32_t level = inval->ttl_level - 1u;
    return walk ? tags->level > level : tags->level == level;
}

/* The bytes an address form must overlap: of a table its reach, of a contiguous run all of it. A
 * page cached in pieces goes as a whole, whichever of its bytes is named: one INVLPG is enough for
 * a 2M page however it is cached (SDM 4.10.4). */
static bool address_matches(const struct ts_tlb_inval *inval, const struct ts_tlb_tags *tags,
                            bool walk)
{
    uint32_t shift = tags->size_shift;
    uint32_t page_shift = ts_granule_level_shift(tags->granule, tags->level);
    if (!walk && page_shift > shift)
        shift = page_shift;
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
    if (!inval->any_thread && tags->thread != inval->thread)
        return false;
    if (!vmid_matches(inval, tags) || !ep4ta_matches(inval, tags) || !asid_matches(inval, tags) ||
        !hint_matches(inval, tags, walk))
        return false;
    if (inval->all_addresses || (walk && inval->walk_any_address) ||
        ((kind & STAGE2_KINDS) && inval->stage2_any_address))
        return true;
    return address_matches(inval, tags, walk);
}

/* Of one VMID: every thread's own, whatever ASID, EP4TA and address. */
static struct ts_tlb_inval everything(uint32_t kinds, uint16_t vmid)
{
    struct ts_tlb_inval i = {0};
    i.kinds = (uint8_t)kinds;
    i.vmid = vmid;
    i.all_addresses = true;
    i.asid_rule = TS_INVAL_ASID_ANY;
    i.ep4ta_rule = TS_INVAL_EP4TA_ANY;
    return i;
}

static struct ts_tlb_inval of_every_vmid(uint32_t kinds, bool keep_host)
{
    struct ts_tlb_inval i = everything(kinds, 0);
    i.any_vmid = true;
    i.keep_host = keep_host;
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

/* SDM vol. 3A 4.10.4.1, MOV to CR3 with CR4.PCIDE = 1 and bit 63 set: not required to invalidate
 * anything. SDM vol. 3C, "Operations that Invalidate Cached Mappings": VMX transitions invalidate
 * nothing while VPIDs are in use. APM vol. 2 15.16.1: TLB_CONTROL 0. */
struct ts_tlb_inval ts_inval_nothing(void)
{
    struct ts_tlb_inval i = {0};
    return i;
}

/* SDM vol. 3A 4.10.4.1, INVLPG: TLB entries for the page number of the current PCID, global ones
 * whatever their PCID, and all paging-structure-cache entries of the current PCID regardless of
 * address. In a guest it acts on the current VPID (vol. 3C). */
struct ts_tlb_inval ts_inval_invlpg(uint16_t vmid, uint16_t asid, uint64_t va)
{
    struct ts_tlb_inval i = page_form(STAGE1_KINDS, vmid, va);
    i.walk_any_address = true;
    return with_asid(i, TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* SDM vol. 3A 4.10.4.1, MOV to CR3 with CR4.PCIDE = 1 and bit 63 clear: everything of the PCID
 * loaded except global pages. */
struct ts_tlb_inval ts_inval_mov_cr3(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* SDM vol. 3A 4.10.4.1, MOV to CR3 with CR4.PCIDE = 0: the same of PCID 000H. */
struct ts_tlb_inval ts_inval_mov_cr3_nopcid(uint16_t vmid)
{
    return ts_inval_mov_cr3(vmid, 0);
}

/* SDM vol. 3A 4.10.4.1, MOV to CR4 that changes PGE, or PCIDE from 1 to 0: all TLB entries, global
 * ones included, and all paging-structure caches, for all PCIDs. */
struct ts_tlb_inval ts_inval_mov_cr4_all(uint16_t vmid)
{
    return everything(STAGE1_KINDS, vmid);
}

/* SDM vol. 3A 4.10.4.1, MOV to CR4 that changes PAE, or SMEP from 0 to 1: all TLB entries and all
 * paging-structure caches for the current PCID. Neither are global pages excepted here, as for MOV
 * to CR3, nor included, as for PGE; the safe reading takes them, and those of every PCID, since a
 * TLB does not keep the PCID of a global entry. */
struct ts_tlb_inval ts_inval_mov_cr4_pcid(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* SDM vol. 3A 4.10.4.1, INVPCID type 0: the mappings of one address and PCID, not the global ones.
 * Unlike INVLPG it names no other paging-structure entries than those of the address. */
struct ts_tlb_inval ts_inval_invpcid_addr(uint16_t vmid, uint16_t asid, uint64_t va)
{
    return with_asid(page_form(STAGE1_KINDS, vmid, va), TS_INVAL_ASID_MATCH, asid);
}

/* SDM vol. 3A 4.10.4.1, INVPCID type 1. */
struct ts_tlb_inval ts_inval_invpcid_single(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* SDM vol. 3A 4.10.4.1, INVPCID types 2 (with global translations) and 3 (without). */
struct ts_tlb_inval ts_inval_invpcid_all(uint16_t vmid, bool include_global)
{
    return with_asid(everything(STAGE1_KINDS, vmid),
                     include_global ? TS_INVAL_ASID_ANY : TS_INVAL_ASID_ANY_NONGLOBAL, 0);
}

/* SDM vol. 3C, "Operations that Invalidate Cached Mappings", INVVPID: linear and combined mappings
 * of the VPID for all PCIDs and all EP4TAs. Guest-physical mappings stay with every type. Type 0,
 * individual address. */
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
    return of_every_vmid(STAGE1_KINDS, true);
}

/* SDM vol. 3C, "Operations that Invalidate Cached Mappings", INVEPT type 1: guest-physical and
 * combined mappings of the EP4TA, whatever VPID and PCID; they include paging-structure-cache
 * entries. Linear mappings have no EP4TA and stay, whosever they are. */
struct ts_tlb_inval ts_inval_invept_single(uint16_t ep4ta)
{
    TS_ASSERT(ep4ta != 0);
    struct ts_tlb_inval i = of_every_vmid(STAGE1_KINDS | STAGE2_KINDS, false);
    i.ep4ta_rule = TS_INVAL_EP4TA_MATCH;
    i.ep4ta = ep4ta;
    return i;
}

/* INVEPT type 2: the same of every EP4TA. */
struct ts_tlb_inval ts_inval_invept_global(void)
{
    struct ts_tlb_inval i = of_every_vmid(STAGE1_KINDS | STAGE2_KINDS, false);
    i.ep4ta_rule = TS_INVAL_EP4TA_SOME;
    return i;
}

/* SDM vol. 3C, "Operations that Invalidate Cached Mappings", VMX transitions with "enable VPID" 0:
 * linear and combined mappings of VPID 0000H, for all PCIDs and all EP4TAs; guest-physical mappings
 * stay. */
struct ts_tlb_inval ts_inval_vm_transition(void)
{
    return everything(STAGE1_KINDS, 0);
}

/* APM vol. 2 15.16.1, "TLB Flush", TLB_CONTROL 01h: the entire TLB, all ASIDs, the host's ASID 0
 * among them. What is cached of the nested tables is tagged by the ASID and goes with it. */
struct ts_tlb_inval ts_inval_svm_flush_all(void)
{
    return of_every_vmid(STAGE1_KINDS | STAGE2_KINDS, false);
}

/* TLB_CONTROL 03h: this guest's entries. */
struct ts_tlb_inval ts_inval_svm_flush_asid(uint16_t vmid)
{
    return everything(STAGE1_KINDS | STAGE2_KINDS, vmid);
}

/* TLB_CONTROL 07h: this guest's non-global entries. What stands above a leaf, and nested
 * translations, are never global. */
struct ts_tlb_inval ts_inval_svm_flush_asid_nonglobal(uint16_t vmid)
{
    return with_asid(everything(STAGE1_KINDS | STAGE2_KINDS, vmid), TS_INVAL_ASID_ANY_NONGLOBAL, 0);
}

/* APM vol. 3, INVLPGA: the mappings of one virtual page and one ASID. It has no PCID operand and
 * excepts no global pages, so it takes the page whatever they are, with the tables above it
 * (remembered, not read). */
struct ts_tlb_inval ts_inval_invlpga(uint16_t vmid, uint64_t va)
{
    return page_form(STAGE1_KINDS, vmid, va);
}

/* APM vol. 3, INVLPGB: rAX[5:0] say which of address, PCID and ASID count, and whether global,
 * upper-level and nested entries go as well. Upper-level entries are those that lead to the page,
 * as with EFER.TCE set, which Linux sets (6.15, arch/x86/mm). An address is a virtual one, which
 * nested translations cannot be found by. With a stride of 2M only the pages that hold the steps
 * are named; here goes all from the first step to the last. */
struct ts_tlb_inval ts_inval_invlpgb(const struct ts_invlpgb *op)
{
    uint32_t kinds = STAGE1_KINDS | (op->include_nested ? STAGE2_KINDS : 0u);
    struct ts_tlb_inval i = everything(kinds, op->vmid);
    if (op->va_valid) {
        TS_ASSERT(op->pages >= 1);
        uint64_t stride = op->stride_2m ? UINT64_C(1) << 21 : PAGE_BYTES;
        i = address_form(kinds, op->vmid, op->va & PAGE_MASK,
                         stride * (op->pages - 1u) + PAGE_BYTES);
        i.stage2_any_address = true;
    }
    i.any_vmid = !op->asid_valid;
    i.last_level_only = op->final_only;
    if (op->pcid_valid)
        return with_asid(
            i, op->include_global ? TS_INVAL_ASID_MATCH_OR_GLOBAL : TS_INVAL_ASID_MATCH, op->pcid);
    return with_asid(i, op->include_global ? TS_INVAL_ASID_ANY : TS_INVAL_ASID_ANY_NONGLOBAL, 0);
}

/* SDM vol. 3A 4.10.4.1: a page fault drops the TLB entries of its address and PCID and the
 * paging-structure entries that it would use, so that it cannot recur from stale entries alone.
 * Global entries must go as well for that. */
struct ts_tlb_inval ts_inval_page_fault(uint16_t vmid, uint16_t asid, uint64_t va)
{
    return with_asid(page_form(STAGE1_KINDS, vmid, va), TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* SDM vol. 3C, "Operations that Invalidate Cached Mappings": an EPT violation drops guest-physical
 * mappings of the EP4TA that would be used for the address. (The combined ones go by
 * ts_inval_page_fault.) Elsewhere stage 2 is tagged by vmid, and a fault may drop as much. */
struct ts_tlb_inval ts_inval_stage2_fault(uint16_t vmid, uint16_t ep4ta, uint64_t ipa)
{
    struct ts_tlb_inval i = page_form(STAGE2_KINDS, ep4ta != 0 ? 0 : vmid, ipa);
    i.ep4ta_rule = TS_INVAL_EP4TA_MATCH;
    i.ep4ta = ep4ta;
    return i;
}

/* The Arm forms: Arm ARM, TLBI; also the DVM encodings of CHI issue F.b table B8 (VMIDV, ASIDV,
 * AddrV, Stage, Leaf). */

/* Arm ARM, TLBI ALLE1: EL1&0 of every VM, both stages. VMID 0 is the host's, whose regime under VHE
 * is EL2&0. */
struct ts_tlb_inval ts_inval_tlbi_alle1(void)
{
    return of_every_vmid(STAGE1_KINDS | STAGE2_KINDS, true);
}

/* Arm ARM, TLBI ALLE2: the EL2 or EL2&0 regime, which has no second stage. */
struct ts_tlb_inval ts_inval_tlbi_alle2(void)
{
    return everything(STAGE1_KINDS, 0);
}

/* Arm ARM, TLBI VMALLE1: stage 1 of the current VMID, every ASID, global entries too. */
struct ts_tlb_inval ts_inval_tlbi_vmalle1(uint16_t vmid)
{
    return everything(STAGE1_KINDS, vmid);
}

/* Arm ARM, TLBI VMALLS12E1: both stages. */
struct ts_tlb_inval ts_inval_tlbi_vmalls12e1(uint16_t vmid)
{
    return everything(STAGE1_KINDS | STAGE2_KINDS, vmid);
}

/* Arm ARM, TLBI ASIDE1: global leaves stay, above-leaf entries of the ASID go. */
struct ts_tlb_inval ts_inval_tlbi_aside1(uint16_t vmid, uint16_t asid)
{
    return with_asid(everything(STAGE1_KINDS, vmid), TS_INVAL_ASID_MATCH, asid);
}

/* Arm ARM, TLBI VAE1, VALE1: a leaf goes if its ASID matches or it is global; an above-leaf entry
 * only if its ASID matches. */
struct ts_tlb_inval ts_inval_tlbi_vae1(uint16_t vmid, uint16_t asid, uint64_t va, bool last_level,
                                       uint8_t ttl_level)
{
    struct ts_tlb_inval i = ts_inval_tlbi_vaae1(vmid, va, last_level, ttl_level);
    return with_asid(i, TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* Arm ARM, TLBI VAAE1, VAALE1. */
struct ts_tlb_inval ts_inval_tlbi_vaae1(uint16_t vmid, uint64_t va, bool last_level,
                                        uint8_t ttl_level)
{
    struct ts_tlb_inval i = page_form(STAGE1_KINDS, vmid, va);
    i.last_level_only = last_level;
    i.ttl_level = ttl_level;
    return i;
}

/* Arm ARM, TLBI IPAS2E1, IPAS2LE1: not required to apply to structures that combine both stages. */
struct ts_tlb_inval ts_inval_tlbi_ipas2e1(uint16_t vmid, uint64_t ipa, bool last_level,
                                          uint8_t ttl_level)
{
    struct ts_tlb_inval i = page_form(STAGE2_KINDS, vmid, ipa);
    i.last_level_only = last_level;
    i.ttl_level = ttl_level;
    return i;
}

/* Arm ARM, TLBI RVAE1, RVALE1: as VAE1, of what overlaps the range. */
struct ts_tlb_inval ts_inval_tlbi_rvae1(uint16_t vmid, uint16_t asid, uint64_t start,
                                        uint64_t length, bool last_level)
{
    return with_asid(ts_inval_tlbi_rvaae1(vmid, start, length, last_level),
                     TS_INVAL_ASID_MATCH_OR_GLOBAL, asid);
}

/* Arm ARM, TLBI RVAAE1, RVAALE1. */
struct ts_tlb_inval ts_inval_tlbi_rvaae1(uint16_t vmid, uint64_t start, uint64_t length,
                                         bool last_level)
{
    struct ts_tlb_inval i = address_form(STAGE1_KINDS, vmid, start, length);
    i.last_level_only = last_level;
    return i;
}

/* Arm ARM, TLBI RIPAS2E1, RIPAS2LE1. */
struct ts_tlb_inval ts_inval_tlbi_ripas2e1(uint16_t vmid, uint64_t start, uint64_t length,
                                           bool last_level)
{
    struct ts_tlb_inval i = address_form(STAGE2_KINDS, vmid, start, length);
    i.last_level_only = last_level;
    return i;
}

/* Arm ARM, TLBI VAE1, TTL field (its upper bits are the granule), and TLBI RVAE1, TG and TTL. With
 * TG the low bits of the address, below the page of the granule, are not part of the operand. */
struct ts_tlb_inval ts_inval_with_hint(struct ts_tlb_inval inval, uint8_t ttl_granule,
                                       uint8_t ttl_level)
{
    TS_ASSERT(!inval.all_addresses && ttl_granule <= TS_GRANULES);
    inval.ttl_granule = ttl_granule;
    if (ttl_level != 0)
        inval.ttl_level = ttl_level;
    /* No range is shorter than two pages. */
    if (ttl_granule != 0 && inval.length == PAGE_BYTES) {
        inval.length = UINT64_C(1) << ts_granule_shift(ttl_granule - 1u);
        inval.start &= ~(inval.length - 1);
    }
    return inval;
}
