/* SPDX-License-Identifier: Apache-2.0 */
#include "models/dvm/dvm_payload.h"

#include <inttypes.h>

#define STAGE1_KINDS (TS_TLB_KIND_BIT(TS_TLB_COMBINED) | TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK))
#define STAGE2_KINDS (TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF) | TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK))
#define NON_SECURE 3u
/* Of the data: VA or IPA from bit 12 on. */
#define ADDRESS_AT 10u
#define ADDRESS_BITS 46u
#define CANONICAL_BITS 53u

/* --- bits --- */

static uint64_t put(uint64_t value, uint32_t at, uint32_t width)
{
    TS_ASSERT(value >> width == 0);
    return value << at;
}

static uint64_t get(uint64_t word, uint32_t at, uint32_t width)
{
    return word >> at & ((UINT64_C(1) << width) - 1);
}

struct ts_dvm_payload ts_dvm_pack(const struct ts_dvm_fields *f)
{
    struct ts_dvm_payload p;
    uint64_t pages = f->address >> 12 & ((UINT64_C(1) << ADDRESS_BITS) - 1);

    TS_ASSERT(f->address % 4096 == 0);
    p.addr = put(f->addr_v, 4, 1) | put(f->vmid_v, 5, 1) | put(f->asid_v, 6, 1) |
             put(f->security, 7, 2) | put(f->exception, 9, 2) | put(f->type, 11, 3) |
             put(f->vmid & 0xffu, 14, 8) | put(f->asid, 22, 16) | put(f->stage, 38, 2) |
             put(f->leaf, 40, 1) | put(f->range, 41, 1) | put(f->num >> 4, 42, 1);
    p.data = put(f->num & 0xfu, 0, 4) | put(f->scale, 4, 2) | put(f->ttl, 6, 2) | put(f->tg, 8, 2) |
             put(pages, ADDRESS_AT, ADDRESS_BITS) | put(f->vmid >> 8, 56, 8);
    return p;
}

struct ts_dvm_fields ts_dvm_unpack(const struct ts_dvm_payload *p)
{
    /* From its highest bit on. */
    uint64_t pages = get(p->data, ADDRESS_AT, ADDRESS_BITS);
    uint64_t sign = UINT64_C(1) << (ADDRESS_BITS - 1);

    return (struct ts_dvm_fields){
        .addr_v = get(p->addr, 4, 1) != 0,
        .vmid_v = get(p->addr, 5, 1) != 0,
        .asid_v = get(p->addr, 6, 1) != 0,
        .security = (uint8_t)get(p->addr, 7, 2),
        .exception = (uint8_t)get(p->addr, 9, 2),
        .type = (uint8_t)get(p->addr, 11, 3),
        .vmid = (uint16_t)(get(p->addr, 14, 8) | get(p->data, 56, 8) << 8),
        .asid = (uint16_t)get(p->addr, 22, 16),
        .stage = (uint8_t)get(p->addr, 38, 2),
        .leaf = get(p->addr, 40, 1) != 0,
        .range = get(p->addr, 41, 1) != 0,
        .num = (uint8_t)(get(p->data, 0, 4) | get(p->addr, 42, 1) << 4),
        .scale = (uint8_t)get(p->data, 4, 2),
        .ttl = (uint8_t)get(p->data, 6, 2),
        .tg = (uint8_t)get(p->data, 8, 2),
        .address = ((pages ^ sign) - sign) << 12,
    };
}

/* Range and Num leave the address for FwdNID, and bit 0 of a part is its number. */
struct ts_dvm_snoop ts_dvm_snoop_of(const struct ts_dvm_payload *p)
{
    uint64_t num = get(p->data, 0, 4) | get(p->addr, 42, 1) << 4;

    return (struct ts_dvm_snoop){
        .part = {get(p->addr, 0, 41), (p->data & ~UINT64_C(0xf)) | 1},
        .fwd_nid = (uint8_t)(get(p->addr, 41, 1) | num << 1),
    };
}

struct ts_dvm_payload ts_dvm_payload_of(const struct ts_dvm_snoop *s)
{
    uint64_t num = get(s->fwd_nid, 1, 5);

    TS_ASSERT(get(s->part[0], 0, 1) == 0 && get(s->part[1], 0, 1) == 1);
    return (struct ts_dvm_payload){
        .addr = s->part[0] | put(get(s->fwd_nid, 0, 1), 41, 1) | put(num >> 4, 42, 1),
        .data = (s->part[1] & ~UINT64_C(0xf)) | (num & 0xf),
    };
}

/* --- operations --- */

struct ts_dvm_fields ts_dvm_sync_fields(void)
{
    return (struct ts_dvm_fields){.type = TS_DVM_TYPE_SYNC};
}

static enum ts_status refuse(struct ts_error *err, const char *what)
{
    return ts_error_set(err, TS_ERR_USER, "a DVMOp cannot say: %s", what);
}

/* Num and Scale of a length; the smallest scale is the one that software uses too. */
static bool encode_length(uint64_t pages, struct ts_dvm_fields *f)
{
    for (uint32_t scale = 0; scale < 4; scale++) {
        uint64_t unit = UINT64_C(1) << (5 * scale + 1);

        if (pages % unit == 0 && pages / unit >= 1 && pages / unit <= 32) {
            f->scale = (uint8_t)scale;
            f->num = (uint8_t)(pages / unit - 1);
            f->range = true;
            return true;
        }
    }
    return false;
}

static enum ts_status encode_address(const struct ts_tlb_inval *inval, enum ts_dvm_support support,
                                     struct ts_dvm_fields *f, struct ts_error *err)
{
    uint32_t shift = ts_granule_shift(inval->ttl_granule ? inval->ttl_granule - 1u : 0u);
    uint64_t high = inval->start >> (CANONICAL_BITS - 1);

    if (high != 0 && high != UINT64_MAX >> (CANONICAL_BITS - 1))
        return ts_error_set(err, TS_ERR_USER,
                            "a DVMOp cannot say: address 0x%" PRIx64
                            ", which has more than %u bits",
                            inval->start, CANONICAL_BITS);
    if (inval->start % (UINT64_C(1) << shift) || inval->length % (UINT64_C(1) << shift))
        return refuse(err, "an address or a length that is no whole page of the granule");
    f->addr_v = true;
    f->address = inval->start;
    f->leaf = inval->last_level_only;
    f->tg = inval->ttl_granule;
    if (inval->length >> shift != 1 && !encode_length(inval->length >> shift, f))
        return ts_error_set(err, TS_ERR_USER,
                            "a DVMOp cannot say: %" PRIu64 " pages; (num + 1) << (5 * scale + 1) "
                            "with num to 31 and scale to 3",
                            inval->length >> shift);
    if (inval->ttl_level > 3)
        return refuse(err, "a hint of the architecture's level 0 or above");
    f->ttl = inval->ttl_level ? (uint8_t)(4 - inval->ttl_level) : 0;
    if (!f->range && f->tg && !f->ttl)
        return refuse(err, "a page's granule without its level");
    if ((f->range || f->ttl) && !f->tg)
        f->tg = 1 + TS_GRANULE_4K;
    if (support < TS_DVM_V8_4 && (f->range || f->ttl))
        return refuse(err, "a range or a level hint before v8.4");
    return TS_OK;
}

static enum ts_status encode_tags(const struct ts_tlb_inval *inval, enum ts_dvm_support support,
                                  struct ts_dvm_fields *f, struct ts_error *err)
{
    bool host = !inval->any_vmid && inval->vmid == 0;

    if (inval->any_vmid != inval->keep_host)
        return refuse(err, "every VMID and the host's");
    if (support < TS_DVM_V8_1 && inval->vmid > 0xff)
        return ts_error_set(err, TS_ERR_USER, "a DVMOp cannot say: VMID %u before v8.1",
                            inval->vmid);
    f->type = TS_DVM_TYPE_TLBI;
    f->security = NON_SECURE;
    f->exception = host ? TS_DVM_HYP : TS_DVM_GUEST_OS;
    f->vmid_v = !inval->any_vmid && !host;
    f->vmid = f->vmid_v ? inval->vmid : 0;
    f->asid_v = inval->asid_rule != TS_INVAL_ASID_ANY;
    f->asid = f->asid_v ? inval->asid : 0;
    return TS_OK;
}

/* The rules of which instruction has which fields (arm.md 1.3). */
static enum ts_status encode_stage(const struct ts_tlb_inval *inval, struct ts_dvm_fields *f,
                                   struct ts_error *err)
{
    bool stage1 = inval->kinds == STAGE1_KINDS, stage2 = inval->kinds == STAGE2_KINDS;
    bool both = inval->kinds == (STAGE1_KINDS | STAGE2_KINDS);

    if ((!stage1 && !stage2 && !both) || (f->exception == TS_DVM_HYP && !stage1))
        return refuse(err, "these kinds of entries");
    if (inval->all_addresses ? stage2 || (both && f->asid_v) : both || (stage2 && f->asid_v))
        return refuse(err, "these kinds of entries by these tags");
    if (inval->any_vmid && (!inval->all_addresses || !both))
        return refuse(err, "every VMID by address or stage");
    if (f->asid_v && inval->asid_rule != (inval->all_addresses ? TS_INVAL_ASID_MATCH
                                                               : TS_INVAL_ASID_MATCH_OR_GLOBAL))
        return refuse(err, "this rule for ASIDs and global entries");
    f->stage = stage2                                         ? TS_DVM_STAGE_2
               : stage1 && inval->all_addresses && !f->asid_v ? TS_DVM_STAGE_1
                                                              : TS_DVM_STAGE_BOTH;
    return TS_OK;
}

enum ts_status ts_dvm_encode(const struct ts_tlb_inval *inval, enum ts_dvm_support support,
                             struct ts_dvm_fields *fields, struct ts_error *err)
{
    enum ts_status s;

    *fields = (struct ts_dvm_fields){0};
    if (inval->any_thread || inval->walk_any_address || inval->stage2_any_address ||
        inval->ep4ta_rule != TS_INVAL_EP4TA_ANY)
        return refuse(err, "what only x86 has");
    s = encode_tags(inval, support, fields, err);
    if (s == TS_OK)
        s = encode_stage(inval, fields, err);
    if (s == TS_OK && !inval->all_addresses)
        s = encode_address(inval, support, fields, err);
    else if (s == TS_OK && (inval->last_level_only || inval->ttl_level || inval->ttl_granule))
        s = refuse(err, "leaves or a hint of all addresses");
    return s;
}

struct ts_tlb_inval ts_dvm_decode(const struct ts_dvm_fields *f, uint32_t asid_bits,
                                  uint32_t vmid_bits)
{
    uint32_t shift = ts_granule_shift(f->tg ? f->tg - 1u : 0u);
    struct ts_tlb_inval i = {0};
    bool all = !f->addr_v && !f->asid_v;

    TS_ASSERT(f->type == TS_DVM_TYPE_TLBI);
    i.kinds = f->stage == TS_DVM_STAGE_2 ? STAGE2_KINDS : STAGE1_KINDS;
    if (f->stage == TS_DVM_STAGE_BOTH && all && f->exception != TS_DVM_HYP)
        i.kinds |= STAGE2_KINDS;
    i.any_vmid = i.keep_host = f->exception == TS_DVM_GUEST_OS && !f->vmid_v;
    i.vmid = (uint16_t)(f->vmid & ((1u << vmid_bits) - 1));
    i.asid = (uint16_t)(f->asid & ((1u << asid_bits) - 1));
    if (f->asid_v)
        i.asid_rule = f->addr_v ? TS_INVAL_ASID_MATCH_OR_GLOBAL : TS_INVAL_ASID_MATCH;
    i.all_addresses = !f->addr_v;
    if (i.all_addresses)
        return i;
    i.last_level_only = f->leaf;
    i.ttl_granule = f->tg;
    i.ttl_level = f->ttl ? (uint8_t)(4 - f->ttl) : 0;
    i.start = f->address;
    i.length =
        f->range ? (f->num + UINT64_C(1)) << (5u * f->scale + 1) << shift : UINT64_C(1) << shift;
    return i;
}
