/* SPDX-License-Identifier: Apache-2.0 */
/* HvFlushVirtualAddress{Space,List}{,Ex} of the host: the cases of Linux's selftest
 * (tools/testing/selftests/kvm/x86_64/hyperv_tlb_flush.c, 6.12) by name, and what kvm_hv_flush_tlb
 * and kvm_hv_vcpu_flush_tlb (arch/x86/kvm/hyperv.c) do beyond them. Its vCPUs 2 and 65 are ours. */
#include "tests/support/hyperv_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint32_t vp_1 = 2, vp_2 = 65, nvps = 66;
constexpr uint64_t spaces = TS_HV_FLUSH_ALL_SPACES;
constexpr uint64_t all_processors = TS_HV_FLUSH_ALL_PROCESSORS;
constexpr uint64_t refused = TS_HV_STATUS_INVALID_HYPERCALL_INPUT;

uint64_t bit(uint32_t n)
{
    return UINT64_C(1) << n;
}

Vps everybody(uint32_t n = nvps)
{
    Vps vps;
    for (uint32_t vp = 0; vp < n; vp++)
        vps.insert(vp);
    return vps;
}

/* One stage of the selftest. The list, if any, is page a. */
struct Stage {
    const char *name;
    ts_hv_call code;
    uint32_t banks;
    std::vector<uint64_t> head; /* without the list */
    Vps flushed;
};

const std::vector<Stage> &stages()
{
    static const Vps all = everybody();
    static const uint64_t both = bit(vp_1 / 64) | bit(vp_2 / 64);
    static const std::vector<Stage> stages = {
        {"SpaceOfVp2", TS_HVCALL_FLUSH_SPACE, 0, {0, spaces, bit(vp_1)}, {vp_1}},
        {"ListOfVp2", TS_HVCALL_FLUSH_LIST, 0, {0, spaces, bit(vp_1)}, {vp_1}},
        {"SpaceOfAllProcessors", TS_HVCALL_FLUSH_SPACE, 0, {0, spaces | all_processors, 0}, all},
        {"ListOfAllProcessors", TS_HVCALL_FLUSH_LIST, 0, {0, spaces | all_processors, 0}, all},
        {"SpaceExOfVp65",
         TS_HVCALL_FLUSH_SPACE_EX,
         1,
         {0, spaces, TS_HV_SET_SPARSE_4K, bit(vp_2 / 64), bit(vp_2 % 64)},
         {vp_2}},
        {"ListExOfVp65",
         TS_HVCALL_FLUSH_LIST_EX,
         1,
         {0, spaces, TS_HV_SET_SPARSE_4K, bit(vp_2 / 64), bit(vp_2 % 64)},
         {vp_2}},
        {"SpaceExOfBoth",
         TS_HVCALL_FLUSH_SPACE_EX,
         2,
         {0, spaces, TS_HV_SET_SPARSE_4K, both, bit(vp_1), bit(vp_2 % 64)},
         {vp_1, vp_2}},
        {"ListExOfBoth",
         TS_HVCALL_FLUSH_LIST_EX,
         2,
         {0, spaces, TS_HV_SET_SPARSE_4K, both, bit(vp_1), bit(vp_2 % 64)},
         {vp_1, vp_2}},
        {"SpaceExOfSetAll", TS_HVCALL_FLUSH_SPACE_EX, 0, {0, spaces, TS_HV_SET_ALL, 0}, all},
        {"ListExOfSetAll", TS_HVCALL_FLUSH_LIST_EX, 0, {0, spaces, TS_HV_SET_ALL, 0}, all},
    };
    return stages;
}

struct Case {
    const Stage *stage;
    const char *host;
    bool fast;
};

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (const char *host : {"fifo16", "hyperv", "4.18"})
        for (bool fast : {false, true})
            for (const Stage &stage : stages())
                all.push_back({&stage, host, fast});
    return all;
}

class HypervTlbFlush : public testing::TestWithParam<Case>
{
};

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    std::string name = info.param.stage->name;
    name += info.param.fast ? "_fast_" : "_slow_";
    for (const char *c = info.param.host; *c; c++)
        name += *c == '.' ? '_' : *c;
    return name;
}

uint64_t success(uint32_t reps)
{
    return ts_hv_result(TS_HV_STATUS_SUCCESS, reps);
}

/* Makes list calls of VP 2 of another length. */
uint64_t list_of(HvCaller &c, const std::vector<uint64_t> &entries, uint64_t mask = bit(vp_1))
{
    std::vector<uint64_t> words = {0, spaces, mask};
    words.insert(words.end(), entries.begin(), entries.end());
    return c.slow(ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, static_cast<uint32_t>(entries.size())),
                  words);
}

void on(const char *host, uint32_t vcpus, const HvRig::Body &body)
{
    SCOPED_TRACE(host);
    HvRig rig(vcpus, host);
    const Outcome got = rig.run(body);
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

} // namespace

/* Whom it names and nobody else; a list takes its page and no other, but from KVM 4.18, which takes
 * everything; and that KVM has no fast calls. */
TEST_P(HypervTlbFlush, ReachesWhomItNames)
{
    const auto [stage, host, fast] = GetParam();
    const bool list = stage->code == TS_HVCALL_FLUSH_LIST || stage->code == TS_HVCALL_FLUSH_LIST_EX;
    const bool old = std::string(host) == "4.18";
    on(host, nvps, [&, stage = stage, fast = fast](HvCaller &c) {
        std::vector<uint64_t> words = stage->head;
        if (list)
            words.push_back(c.page_a);
        c.fill();
        const uint64_t asked = c.stat("hypervisor.hv_requests");
        const uint64_t invepts = c.stat("hypervisor.invept");
        const uint64_t result =
            c.call(fast, ts_hv_control(stage->code, stage->banks, list ? 1 : 0), words);
        c.wait_us(200);
        if (old && fast) {
            EXPECT_EQ(result, refused);
            EXPECT_EQ(c.gone(c.page_a), Vps{});
            return;
        }
        EXPECT_EQ(result, success(list ? 1 : 0));
        EXPECT_EQ(c.gone(c.page_a), stage->flushed);
        EXPECT_EQ(c.gone(c.page_b), list && !old ? Vps{} : stage->flushed);
        EXPECT_EQ(c.stat("hypervisor.hv_requests") - asked, stage->flushed.size());
        /* KVM_REQ_TLB_FLUSH, which is of the VM's tables and not of a VPID. */
        EXPECT_EQ(c.stat("hypervisor.invept") - invepts, old ? stage->flushed.size() : 0u);
    });
}

INSTANTIATE_TEST_SUITE_P(Selftest, HypervTlbFlush, testing::ValuesIn(cases()), case_name);

/* --- beyond the selftest --- */

TEST(HypervTlbFlushHost, AnEmptyMaskNamesAllOnlyOnAKvmThatKnowsWs2012)
{
    for (const char *host : {"fifo16", "hyperv", "4.18"}) {
        on(host, 4, [host](HvCaller &c) {
            c.fill();
            EXPECT_EQ(c.slow(ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0), {0, spaces, 0}),
                      success(0));
            c.wait_us(200);
            EXPECT_EQ(c.gone(c.page_a), std::string(host) == "fifo16" ? everybody(4) : Vps{});
        });
    }
}

/* The low twelve bits count pages; tlb_flush goes by entries. */
TEST(HypervTlbFlushHost, AnEntryNamesAsManyPagesAsItSays)
{
    on("fifo16", 4, [](HvCaller &c) {
        c.fill();
        const uint64_t before = c.stat("hypervisor.tlb_flush");
        EXPECT_EQ(list_of(c, {c.page_a | 1}), success(1));
        c.wait_us(200);
        EXPECT_EQ(c.gone(c.page_b), Vps{vp_1});
        EXPECT_EQ(list_of(c, {c.page_a, c.page_b, c.page_b + page}), success(3));
        c.wait_us(200);
        EXPECT_EQ(c.stat("hypervisor.tlb_flush") - before, 1u + 3u);
        EXPECT_EQ(c.stat("hypervisor.hv_entries"), 1u + 3u);
    });
}

TEST(HypervTlbFlushHost, AnEntryThatIsNoAddressIsPassedOver)
{
    on("fifo16", 4, [](HvCaller &c) {
        c.fill();
        EXPECT_EQ(list_of(c, {UINT64_C(0x8000000000000000) | c.page_a, c.page_a}), success(2));
        c.wait_us(200);
        EXPECT_EQ(c.gone(c.page_a), Vps{vp_1});
        EXPECT_EQ(c.stat("hypervisor.hv_entries"), 1u);
    });
}

/* One of the fifo's 16 places is kept free. */
TEST(HypervTlbFlushHost, MoreThan15EntriesAreAFlushOfEverything)
{
    for (uint32_t n : {15u, 16u}) {
        on("fifo16", 4, [n](HvCaller &c) {
            c.fill();
            EXPECT_EQ(list_of(c, std::vector<uint64_t>(n, c.page_a)), success(n));
            c.wait_us(200);
            EXPECT_EQ(c.gone(c.page_a), Vps{vp_1});
            EXPECT_EQ(c.gone(c.page_b), n == 15 ? Vps{} : Vps{vp_1});
            EXPECT_EQ(c.stat("hypervisor.hv_entries"), n == 15 ? 15u : 0u);
        });
    }
}

/* The same of other sizes than KVM's. */
TEST(HypervTlbFlushHost, AFifoOfAnySizeKeepsOnePlaceFree)
{
    for (const uint32_t places : {1u, 4u, 32u}) {
        SCOPED_TRACE(places);
        HvRig rig(4);
        rig.config("hypervisor.hv_fifo", std::to_string(places));
        const Outcome got = rig.run([places](HvCaller &c) {
            const uint32_t fits = places - 1;
            if (fits) {
                c.fill();
                EXPECT_EQ(list_of(c, std::vector<uint64_t>(fits, c.page_a)), success(fits));
                c.wait_us(200);
                EXPECT_EQ(c.gone(c.page_a), Vps{vp_1});
                EXPECT_EQ(c.gone(c.page_b), Vps{});
                EXPECT_EQ(c.slow(ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, fits), {0, spaces, 1}),
                          refused);
            }
            c.fill();
            EXPECT_EQ(list_of(c, std::vector<uint64_t>(places, c.page_a)), success(places));
            c.wait_us(200);
            EXPECT_EQ(c.gone(c.page_b), Vps{vp_1});
            EXPECT_EQ(c.slow(ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, places), {0, spaces, 1}),
                      success(places));
            EXPECT_EQ(c.stat("hypervisor.hv_entries"), fits);
        });
        EXPECT_EQ(got.status, TS_OK) << got.message;
    }
}

/* A list that is not read may be cut: of more than 15 entries, of nobody, and any on 4.18. */
TEST(HypervTlbFlushHost, AListIsReadOnlyWhereItIsUsed)
{
    const auto list = [](uint32_t reps) { return ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, reps); };
    const auto list_ex = [](uint32_t reps) {
        return ts_hv_control(TS_HVCALL_FLUSH_LIST_EX, 0, reps);
    };
    on("fifo16", 4, [&](HvCaller &c) {
        EXPECT_EQ(c.slow(list(1), {0, spaces, 1}), refused);
        EXPECT_EQ(c.slow(list(15), {0, spaces, 1}), refused);
        EXPECT_EQ(c.slow(list(16), {0, spaces, 1}), success(16));
        EXPECT_EQ(c.slow(list_ex(1), {0, spaces, TS_HV_SET_SPARSE_4K, 0}), success(1));
        EXPECT_EQ(c.slow(list_ex(1), {0, spaces, TS_HV_SET_ALL, 0}), refused);
        /* Twelve halves of registers, of which a call's own words are some. */
        EXPECT_EQ(c.fast(list(11), {0, spaces, 1}), success(11));
        EXPECT_EQ(c.fast(list(12), {0, spaces, 1}), refused);
        EXPECT_EQ(c.fast(list_ex(10), {0, spaces, TS_HV_SET_ALL, 0}), success(10));
        EXPECT_EQ(c.fast(list_ex(11), {0, spaces, TS_HV_SET_ALL, 0}), refused);
    });
    on("4.18", 4, [&](HvCaller &c) { EXPECT_EQ(c.slow(list(1), {0, spaces, 1}), success(1)); });
}

/* Banks are read past even where all are named, to find the list. */
TEST(HypervTlbFlushHost, TheListBeginsBehindTheBanks)
{
    for (bool fast : {false, true}) {
        on("fifo16", 4, [fast](HvCaller &c) {
            c.fill();
            EXPECT_EQ(c.call(fast, ts_hv_control(TS_HVCALL_FLUSH_LIST_EX, 2, 1),
                             {0, spaces, TS_HV_SET_ALL, 3, c.page_b, c.page_b, c.page_a}),
                      success(1));
            c.wait_us(200);
            EXPECT_EQ(c.gone(c.page_a), everybody(4));
            EXPECT_EQ(c.gone(c.page_b), Vps{});
        });
    }
}

TEST(HypervTlbFlushHost, ControlWordsThatAreRefused)
{
    struct Row {
        const char *what;
        uint64_t control;
        bool old_takes_it; /* KVM 4.18 does not look */
    };
    const uint64_t space = ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0);
    const uint64_t list = ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 1);
    const Row rows[] = {
        {"space with reps", ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 1), false},
        {"space with a start", space | bit(48), false},
        {"list without reps", ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 0), false},
        {"list with a start", list | bit(48), false},
        {"space with banks", ts_hv_control(TS_HVCALL_FLUSH_SPACE, 1, 0), true},
        {"list with banks", ts_hv_control(TS_HVCALL_FLUSH_LIST, 1, 1), true},
        {"a set's banks not counted", ts_hv_control(TS_HVCALL_FLUSH_SPACE_EX, 0, 0), true},
        {"reserved bit 27", space | bit(27), true},
        {"nested bit 31", space | bit(31), true},
        {"reserved bit 44", space | bit(44), true},
        {"reserved bit 63", space | bit(63), true},
    };
    for (const char *host : {"fifo16", "hyperv", "4.18"}) {
        on(host, 4, [&](HvCaller &c) {
            for (const Row &row : rows) {
                const bool ex = ts_hv_control_code(row.control) == TS_HVCALL_FLUSH_SPACE_EX;
                const std::vector<uint64_t> words =
                    ex ? std::vector<uint64_t>{0, spaces, TS_HV_SET_SPARSE_4K, 1, bit(2)}
                       : std::vector<uint64_t>{0, spaces, bit(2), c.page_a};
                const bool taken = row.old_takes_it && std::string(host) == "4.18";
                c.fill();
                const uint64_t result = c.slow(row.control, words);
                c.wait_us(200);
                EXPECT_EQ(ts_hv_result_status(result), taken ? 0u : refused) << row.what;
                EXPECT_EQ(c.gone(c.page_a), taken ? Vps{2} : Vps{}) << row.what;
            }
        });
    }
}

/* KVM does not look at flags that it has no use for. */
TEST(HypervTlbFlushHost, AnUnknownFlagIsAParameterThatHyperVRefuses)
{
    for (const char *host : {"fifo16", "hyperv", "4.18"}) {
        on(host, 4, [host](HvCaller &c) {
            const uint64_t space = ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0);
            const uint64_t result = c.slow(space, {0, TS_HV_FLUSH_EXTENDED_RANGE, 1});
            EXPECT_EQ(result, std::string(host) == "hyperv"
                                  ? static_cast<uint64_t>(TS_HV_STATUS_INVALID_PARAMETER)
                                  : success(0));
        });
    }
}

/* --- who does not run --- */

namespace
{

/* VP 3 sleeps from the beginning to the fourth millisecond. */
void asleep(const char *host, const HvRig::Body &body)
{
    SCOPED_TRACE(host);
    HvRig rig(4, host);
    rig.config("hypervisor.halt_poll", "0");
    rig.thread(3, {op_ns(TS_OP_SLEEP, 4 * ms), op_ns(TS_OP_COMPUTE, 20 * ms)});
    const Outcome got = rig.run(body);
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

} // namespace

TEST(HypervTlbFlushHost, WhoDoesNotRunFlushesWhenItIsEntered)
{
    for (const char *host : {"fifo16", "hyperv", "4.18"}) {
        asleep(host, [host](HvCaller &c) {
            c.fill();
            const uint64_t kicks = c.stat("hypervisor.call_targets");
            EXPECT_EQ(list_of(c, {c.page_a}, bit(3)), success(1));
            c.wait_us(200);
            EXPECT_EQ(c.stat("hypervisor.call_targets"), kicks);
            EXPECT_EQ(c.gone(c.page_a), Vps{});
            c.wait_us(6000);
            EXPECT_EQ(c.gone(c.page_a), Vps{3});
            /* By its list, or by its tag. */
            EXPECT_EQ(c.gone(c.page_b), std::string(host) == "fifo16" ? Vps{} : Vps{3});
        });
    }
}

/* What does not fit behind what is queued is a flush of everything, in its turn: what came before
 * it is flushed one by one. */
TEST(HypervTlbFlushHost, AFullFifoIsAFlushOfEverythingAfterWhatItHolds)
{
    asleep("fifo16", [](HvCaller &c) {
        c.fill();
        const uint64_t before = c.stat("hypervisor.tlb_flush");
        const std::vector<uint64_t> ten(10, c.page_a), five(5, c.page_a);
        EXPECT_EQ(list_of(c, ten, bit(3)), success(10));
        EXPECT_EQ(list_of(c, five, bit(3)), success(5)); /* 15 are queued */
        EXPECT_EQ(list_of(c, {c.page_a}, bit(3)), success(1));
        EXPECT_EQ(list_of(c, {c.page_a}, bit(3)), success(1)); /* no place is left */
        c.wait_us(6000);
        EXPECT_EQ(c.gone(c.page_b), Vps{3});
        EXPECT_EQ(c.stat("hypervisor.hv_entries"), 15u);
        EXPECT_EQ(c.stat("hypervisor.tlb_flush") - before, 15u + 1u);
    });
}

/* Nothing is queued behind a flush of everything but what fits, and it is of no use. */
TEST(HypervTlbFlushHost, WhatIsQueuedBehindAFlushOfEverythingIsDroppedWithIt)
{
    asleep("fifo16", [](HvCaller &c) {
        c.fill();
        const uint64_t before = c.stat("hypervisor.tlb_flush");
        EXPECT_EQ(c.slow(ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0), {0, spaces, bit(3)}),
                  success(0));
        EXPECT_EQ(list_of(c, {c.page_a, c.page_b}, bit(3)), success(2));
        c.wait_us(6000);
        EXPECT_EQ(c.gone(c.page_b), Vps{3});
        EXPECT_EQ(c.stat("hypervisor.hv_entries"), 0u);
        EXPECT_EQ(c.stat("hypervisor.tlb_flush") - before, 1u);
    });
}

/* kvm_hv_vcpu_purge_flush_tlb: a PV flush at the same entry has done it all. */
TEST(HypervTlbFlushHost, AFlushOfTheWholeGuestEmptiesTheFifo)
{
    asleep("fifo16", [](HvCaller &c) {
        c.fill();
        const uint64_t before = c.stat("hypervisor.tlb_flush");
        EXPECT_EQ(list_of(c, {c.page_a}, bit(3)), success(1));
        c.vm->steal[3].preempted = TS_STEAL_PREEMPTED | TS_STEAL_FLUSH_TLB;
        c.wait_us(6000);
        EXPECT_EQ(c.gone(c.page_b), Vps{3});
        EXPECT_EQ(c.stat("hypervisor.hv_entries"), 0u);
        EXPECT_EQ(c.stat("hypervisor.tlb_flush") - before, 1u);
    });
}
