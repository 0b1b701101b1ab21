/* SPDX-License-Identifier: Apache-2.0 */
/* DVMOp's fields, where they lie, and which invalidation is which operation. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/dvm/dvm_payload.h"
#include "sim/rng.h"

namespace
{

bool same(const ts_dvm_fields &a, const ts_dvm_fields &b)
{
    return a.addr_v == b.addr_v && a.vmid_v == b.vmid_v && a.asid_v == b.asid_v &&
           a.security == b.security && a.exception == b.exception && a.type == b.type &&
           a.vmid == b.vmid && a.asid == b.asid && a.stage == b.stage && a.leaf == b.leaf &&
           a.range == b.range && a.num == b.num && a.scale == b.scale && a.ttl == b.ttl &&
           a.tg == b.tg && a.address == b.address;
}

bool same(const ts_tlb_inval &a, const ts_tlb_inval &b)
{
    return a.kinds == b.kinds && a.any_vmid == b.any_vmid && a.keep_host == b.keep_host &&
           a.all_addresses == b.all_addresses && a.last_level_only == b.last_level_only &&
           a.walk_any_address == b.walk_any_address &&
           a.stage2_any_address == b.stage2_any_address && a.asid_rule == b.asid_rule &&
           a.ep4ta_rule == b.ep4ta_rule && a.ttl_level == b.ttl_level &&
           a.ttl_granule == b.ttl_granule && a.any_thread == b.any_thread && a.thread == b.thread &&
           a.vmid == b.vmid && a.asid == b.asid && a.ep4ta == b.ep4ta && a.start == b.start &&
           a.length == b.length;
}

void expect_round_trip(const ts_dvm_fields &f)
{
    ts_dvm_payload p = ts_dvm_pack(&f);
    EXPECT_TRUE(same(ts_dvm_unpack(&p), f));
    ts_dvm_snoop s = ts_dvm_snoop_of(&p);
    EXPECT_EQ(s.part[0] & 1, 0u);
    EXPECT_EQ(s.part[1] & 1, 1u);
    EXPECT_LT(s.fwd_nid, 64u);
    ts_dvm_payload back = ts_dvm_payload_of(&s);
    EXPECT_EQ(back.addr, p.addr);
    EXPECT_EQ(back.data, p.data);
}

ts_dvm_fields encoded(const ts_tlb_inval &inval, ts_dvm_support support = TS_DVM_V8_4)
{
    ts_dvm_fields f{};
    ts_error err{};
    EXPECT_EQ(ts_dvm_encode(&inval, support, &f, &err), TS_OK) << err.message;
    return f;
}

std::string refused(const ts_tlb_inval &inval, ts_dvm_support support = TS_DVM_V8_4)
{
    ts_dvm_fields f{};
    ts_error err{};
    EXPECT_EQ(ts_dvm_encode(&inval, support, &f, &err), TS_ERR_USER);
    return err.message;
}

constexpr uint64_t page = 4096;

} // namespace

/* Every value of every field by itself, and all of them at random. */
TEST(DvmPayload, FieldsComeBackFromRequestAndSnoop)
{
    for (uint32_t bit = 0; bit < 2; bit++) {
        ts_dvm_fields f{};
        f.addr_v = bit;
        expect_round_trip(f);
        f = {};
        f.vmid_v = bit;
        expect_round_trip(f);
        f = {};
        f.asid_v = bit;
        expect_round_trip(f);
        f = {};
        f.leaf = bit;
        expect_round_trip(f);
        f = {};
        f.range = bit;
        expect_round_trip(f);
    }
    ts_rng rng;
    ts_rng_init(&rng, 1, "dvm payload", 0);
    auto draw = [&](uint64_t n) { return ts_rng_below(&rng, n); };
    for (int i = 0; i < 20000; i++) {
        ts_dvm_fields f{};
        f.addr_v = draw(2);
        f.vmid_v = draw(2);
        f.asid_v = draw(2);
        f.security = uint8_t(draw(4));
        f.exception = uint8_t(draw(4));
        f.type = uint8_t(draw(5));
        f.vmid = uint16_t(draw(65536));
        f.asid = uint16_t(draw(65536));
        f.stage = uint8_t(draw(4));
        f.leaf = draw(2);
        f.range = draw(2);
        f.num = uint8_t(draw(32));
        f.scale = uint8_t(draw(4));
        f.ttl = uint8_t(draw(4));
        f.tg = uint8_t(draw(4));
        f.address = draw(UINT64_C(1) << 45) << 12;
        if (draw(2))
            f.address |= ~UINT64_C(0) << 57;
        expect_round_trip(f);
    }
}

/* arm.md 3.4: where CHI has each field. */
TEST(DvmPayload, FieldsAreWhereTheManualHasThem)
{
    struct Row {
        ts_dvm_fields f;
        uint64_t addr, data;
    };
    std::vector<Row> rows(17);
    auto bits = [](uint64_t value, uint32_t at) { return value << at; };
    rows[0] = {{}, 0, 0};
    rows[1].f.addr_v = true, rows[1].addr = bits(1, 4);
    rows[2].f.vmid_v = true, rows[2].addr = bits(1, 5);
    rows[3].f.asid_v = true, rows[3].addr = bits(1, 6);
    rows[4].f.security = 3, rows[4].addr = bits(3, 7);
    rows[5].f.exception = 3, rows[5].addr = bits(3, 9);
    rows[6].f.type = 4, rows[6].addr = bits(4, 11);
    rows[7].f.vmid = 0x12fe, rows[7].addr = bits(0xfe, 14), rows[7].data = bits(0x12, 56);
    rows[8].f.asid = 0xabcd, rows[8].addr = bits(0xabcd, 22);
    rows[9].f.stage = 2, rows[9].addr = bits(2, 38);
    rows[10].f.leaf = true, rows[10].addr = bits(1, 40);
    rows[11].f.range = true, rows[11].addr = bits(1, 41);
    rows[12].f.num = 0x1d, rows[12].addr = bits(1, 42), rows[12].data = bits(0xd, 0);
    rows[13].f.scale = 3, rows[13].data = bits(3, 4);
    rows[14].f.ttl = 3, rows[14].data = bits(3, 6);
    rows[15].f.tg = 2, rows[15].data = bits(2, 8);
    rows[16].f.address = 0x7ffe12345000, rows[16].data = bits(0x7ffe12345, 10);
    for (size_t i = 0; i < rows.size(); i++) {
        ts_dvm_payload p = ts_dvm_pack(&rows[i].f);
        EXPECT_EQ(p.addr, rows[i].addr) << i;
        EXPECT_EQ(p.data, rows[i].data) << i;
    }
    /* Range and Num of a snoop ride on FwdNID. */
    ts_dvm_fields f{};
    f.range = true;
    f.num = 0x15;
    ts_dvm_payload p = ts_dvm_pack(&f);
    ts_dvm_snoop s = ts_dvm_snoop_of(&p);
    EXPECT_EQ(s.part[0], 0u);
    EXPECT_EQ(s.part[1], 1u);
    EXPECT_EQ(s.fwd_nid, 0x15u << 1 | 1u);
}

/* arm.md 1.3, from CHI p. 344-346: VMIDV, ASIDV, AddrV, Stage, Leaf; and each comes back. */
TEST(DvmPayload, OperationsAreEncodedAsTheManualsTableHasThem)
{
    struct Row {
        const char *name;
        ts_tlb_inval inval;
        bool vmid_v, asid_v, addr_v;
        uint8_t stage, exception;
        bool leaf;
    };
    const Row rows[] = {
        {"VMALLE1", ts_inval_tlbi_vmalle1(9), true, false, false, 1, 2, false},
        {"VMALLS12E1", ts_inval_tlbi_vmalls12e1(9), true, false, false, 0, 2, false},
        {"ALLE1", ts_inval_tlbi_alle1(), false, false, false, 0, 2, false},
        {"ASIDE1", ts_inval_tlbi_aside1(9, 7), true, true, false, 0, 2, false},
        {"VAE1", ts_inval_tlbi_vae1(9, 7, page, false, 0), true, true, true, 0, 2, false},
        {"VALE1", ts_inval_tlbi_vae1(9, 7, page, true, 0), true, true, true, 0, 2, true},
        {"VAAE1", ts_inval_tlbi_vaae1(9, page, false, 0), true, false, true, 0, 2, false},
        {"VAALE1", ts_inval_tlbi_vaae1(9, page, true, 0), true, false, true, 0, 2, true},
        {"IPAS2E1", ts_inval_tlbi_ipas2e1(9, page, false, 0), true, false, true, 2, 2, false},
        {"IPAS2LE1", ts_inval_tlbi_ipas2e1(9, page, true, 0), true, false, true, 2, 2, true},
        {"ALLE2", ts_inval_tlbi_alle2(), false, false, false, 1, 3, false},
        {"VAE2", ts_inval_tlbi_vae1(0, 7, page, false, 0), false, true, true, 0, 3, false},
    };
    for (const Row &r : rows) {
        ts_dvm_fields f = encoded(r.inval);
        EXPECT_EQ(f.type, TS_DVM_TYPE_TLBI);
        EXPECT_EQ(f.vmid_v, r.vmid_v) << r.name;
        EXPECT_EQ(f.asid_v, r.asid_v) << r.name;
        EXPECT_EQ(f.addr_v, r.addr_v) << r.name;
        EXPECT_EQ(f.stage, r.stage) << r.name;
        EXPECT_EQ(f.exception, r.exception) << r.name;
        EXPECT_EQ(f.leaf, r.leaf) << r.name;
        EXPECT_EQ(f.range, false);
        EXPECT_TRUE(same(ts_dvm_decode(&f, 16, 16), r.inval)) << r.name;
    }
}

/* Each length that a range operation has, of each granule and hint. */
TEST(DvmPayload, RangesComeBack)
{
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K}) {
        const uint32_t shift = ts_granule_shift(granule);
        for (uint32_t scale = 0; scale < 4; scale++) {
            for (uint32_t num = 0; num < 32; num++) {
                for (uint8_t level = 0; level < 4; level++) {
                    const uint64_t length = (num + UINT64_C(1)) << (5 * scale + 1) << shift;
                    const uint64_t start = UINT64_C(5) << 39;
                    ts_tlb_inval i = ts_inval_tlbi_rvae1(3, 0xfffe, start, length, num % 2 != 0);
                    i = ts_inval_with_hint(i, uint8_t(1 + granule), level);
                    ts_dvm_fields f = encoded(i);
                    EXPECT_TRUE(f.range);
                    EXPECT_EQ(f.tg, 1 + granule);
                    EXPECT_EQ(f.ttl, level ? 4 - level : 0);
                    EXPECT_EQ((f.num + 1u) << (5 * f.scale + 1), length >> shift);
                    EXPECT_TRUE(same(ts_dvm_decode(&f, 16, 16), i));
                }
            }
        }
    }
    /* What the kernels issue names no granule: 4K. */
    ts_tlb_inval s2 = ts_inval_tlbi_ripas2e1(3, UINT64_C(1) << 42, 512 * page, false);
    ts_dvm_fields f = encoded(s2);
    EXPECT_EQ(f.scale, 1u);
    EXPECT_EQ(f.num, 7u);
    s2.ttl_granule = 1;
    EXPECT_TRUE(same(ts_dvm_decode(&f, 16, 16), s2));
}

TEST(DvmPayload, KernelAddressesComeBack)
{
    for (uint64_t va : {UINT64_C(0xffff800012345000), UINT64_C(0xfff0000000000000),
                        UINT64_C(0x000ffffffffff000), UINT64_C(0)}) {
        ts_tlb_inval i = ts_inval_tlbi_vaae1(1, va, true, 0);
        ts_dvm_fields f = encoded(i);
        ts_dvm_payload p = ts_dvm_pack(&f);
        f = ts_dvm_unpack(&p);
        EXPECT_TRUE(same(ts_dvm_decode(&f, 16, 16), i)) << va;
    }
}

TEST(DvmPayload, WhatCannotBeSaidIsRefusedByItsPart)
{
    EXPECT_NE(refused(ts_inval_tlbi_vaae1(1, UINT64_C(1) << 52, true, 0)).find("53 bits"),
              std::string::npos);
    for (uint64_t pages : {3u, 66u, 65u * 64, 513u})
        EXPECT_NE(refused(ts_inval_tlbi_rvae1(1, 1, 0, pages * page, true)).find("pages"),
                  std::string::npos)
            << pages;
    EXPECT_NE(refused(ts_inval_tlbi_rvae1(1, 1, 0, (UINT64_C(1) << 22) * page, true)).find("pages"),
              std::string::npos);
    ts_tlb_inval unaligned = ts_inval_tlbi_rvae1(1, 1, page, 8 * page, true);
    unaligned.ttl_granule = 1 + TS_GRANULE_16K;
    EXPECT_NE(refused(unaligned).find("whole page"), std::string::npos);
    EXPECT_NE(refused(ts_inval_tlbi_vae1(1, 1, 0, true, 4)).find("hint"), std::string::npos);
    ts_tlb_inval granule = ts_inval_tlbi_vae1(1, 1, 0, true, 0);
    granule.ttl_granule = 1;
    EXPECT_NE(refused(granule).find("without its level"), std::string::npos);
    EXPECT_NE(refused(ts_inval_nothing()).find("kinds"), std::string::npos);
    EXPECT_NE(refused(ts_inval_tlbi_vmalls12e1(0)).find("kinds"), std::string::npos);
    EXPECT_NE(refused(ts_inval_tlbi_ipas2e1(0, 0, false, 0)).find("kinds"), std::string::npos);
    EXPECT_NE(refused(ts_inval_invlpg(1, 1, 0)).find("x86"), std::string::npos);
    EXPECT_NE(refused(ts_inval_invpcid_all(1, false)).find("ASIDs"), std::string::npos);
    ts_tlb_inval any = ts_inval_tlbi_alle1();
    any.keep_host = false;
    EXPECT_NE(refused(any).find("every VMID"), std::string::npos);
}

/* The interconnect runs at what its oldest part can carry. */
TEST(DvmPayload, AnOlderInterconnectCarriesLess)
{
    EXPECT_NE(refused(ts_inval_tlbi_vmalle1(256), TS_DVM_V8).find("v8.1"), std::string::npos);
    encoded(ts_inval_tlbi_vmalle1(255), TS_DVM_V8);
    encoded(ts_inval_tlbi_vmalle1(256), TS_DVM_V8_1);
    EXPECT_NE(refused(ts_inval_tlbi_rvaae1(1, 0, 2 * page, true), TS_DVM_V8_1).find("v8.4"),
              std::string::npos);
    EXPECT_NE(refused(ts_inval_tlbi_vae1(1, 1, 0, true, 1), TS_DVM_V8_1).find("v8.4"),
              std::string::npos);
}

/* arm.md 7: a core with 8 bits of ASID drops what its own comparison cannot tell apart. */
TEST(DvmPayload, AReceiverOf8BitsOverInvalidates)
{
    ts_tlb_tags tags{};
    tags.kind = TS_TLB_COMBINED;
    tags.size_shift = 12;
    tags.vmid = 2;
    tags.asid = 0x34;
    ts_dvm_fields f = encoded(ts_inval_tlbi_aside1(0x102, 0x1334));
    for (bool narrow : {false, true}) {
        ts_tlb_inval i = ts_dvm_decode(&f, narrow ? 8 : 16, narrow ? 8 : 16);
        EXPECT_EQ(ts_tlb_inval_matches(&i, &tags), narrow);
        tags.asid = 0x35;
        EXPECT_FALSE(ts_tlb_inval_matches(&i, &tags));
        tags.asid = 0x34;
    }
}

TEST(DvmPayload, ASyncIsNoOperation)
{
    ts_dvm_fields f = ts_dvm_sync_fields();
    expect_round_trip(f);
    EXPECT_EQ(f.type, 4u);
}
