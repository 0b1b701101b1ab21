/* SPDX-License-Identifier: Apache-2.0 */
/* The flush calls that a Linux guest makes: whom they name and how, read in its input page
 * (arch/x86/hyperv/mmu.c hyperv_flush_tlb_multi, include/asm-generic/mshyperv.h __cpumask_to_vpset;
 * 6.12). */
#include "models/flush/flush_hyperv.h"
#include "tests/support/hyperv_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t ms = 1000000;

/* What one flush of these VPs has put into the input page, and done. */
struct Made {
    std::vector<uint64_t> words;
    uint64_t calls, ex_calls, list_calls, requests;
};

Made flush_of(HvCaller &c, const Vps &vps, uint64_t pages, bool freed_tables = false,
              const std::map<std::string, std::string> &own_params = {})
{
    const std::vector<uint64_t> params = mechanism_params(ts_flush_find("hyperv"), own_params);
    Made made{std::vector<uint64_t>(8), 0, 0, 0, 0};
    const auto *calls = static_cast<const ts_hv_flush_calls *>(c.guest->flush_state);
    const ts_hv_flush_calls before = *calls;
    const uint64_t asked = c.stat("hypervisor.hv_requests");
    const void *const own = c.guest->flush_params;
    c.guest->flush_params = params.data();
    c.flush(ts_flush_find("hyperv"), vps, c.page_a, pages, freed_tables);
    c.guest->flush_params = own;
    std::memcpy(made.words.data(), c.vm->input[0], made.words.size() * sizeof(uint64_t));
    made.calls = calls->hypercalls - before.hypercalls;
    made.ex_calls = calls->ex_calls - before.ex_calls;
    made.list_calls = calls->list_calls - before.list_calls;
    made.requests = c.stat("hypervisor.hv_requests") - asked;
    return made;
}

/* VPs whose threads sleep are lazy. */
void with_lazy(uint32_t vcpus, const Vps &lazy, const HvRig::Body &body)
{
    HvRig rig(vcpus);
    for (uint32_t vp : lazy)
        rig.thread(vp, {op_ns(TS_OP_SLEEP, 10 * ms)});
    const Outcome got = rig.run(body);
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

} // namespace

TEST(HypervGuest, AllProcessorsAreNamedByAFlagWhetherLazyOrNot)
{
    with_lazy(4, {3}, [](HvCaller &c) {
        const Made all = flush_of(c, {0, 1, 2, 3}, 1);
        EXPECT_EQ(all.words[1], static_cast<uint64_t>(TS_HV_FLUSH_ALL_PROCESSORS));
        EXPECT_EQ(all.words[2], 0u);
        EXPECT_EQ(all.requests, 4u);
        const Made whole = flush_of(c, {0, 1, 2, 3}, 0);
        EXPECT_EQ(whole.words[1],
                  uint64_t(TS_HV_FLUSH_ALL_PROCESSORS) | TS_HV_FLUSH_NON_GLOBAL_ONLY);
        EXPECT_EQ(whole.list_calls, 0u);
    });
}

TEST(HypervGuest, LazyCpusAreLeftOutOfAMaskUnlessTablesAreFreed)
{
    with_lazy(4, {3}, [](HvCaller &c) {
        EXPECT_EQ(flush_of(c, {2, 3}, 1).words[2], 1u << 2);
        EXPECT_EQ(flush_of(c, {2, 3}, 1, true).words[2], 1u << 2 | 1u << 3);
        EXPECT_EQ(flush_of(c, {3}, 1).calls, 0u); /* nobody is left */
    });
}

/* The highest CPU of the mask decides, be it lazy. */
TEST(HypervGuest, TheExFormGoesByTheHighestCpuOfTheMask)
{
    with_lazy(66, {65}, [](HvCaller &c) {
        const Made made = flush_of(c, {2, 65}, 1);
        EXPECT_EQ(made.ex_calls, 1u);
        EXPECT_EQ(made.requests, 1u);
        EXPECT_EQ(made.words[2], static_cast<uint64_t>(TS_HV_SET_SPARSE_4K));
        EXPECT_EQ(made.words[3], 1u);
        EXPECT_EQ(made.words[4], 1u << 2);
        EXPECT_EQ(made.words[5], c.page_a);
        /* An empty set is sent nevertheless. */
        const Made empty = flush_of(c, {65}, 1);
        EXPECT_EQ(empty.ex_calls, 1u);
        EXPECT_EQ(empty.requests, 0u);
        EXPECT_EQ(empty.words[4], 0u);
        EXPECT_EQ(flush_of(c, {2, 63}, 1).ex_calls, 0u);
    });
}

TEST(HypervGuest, BanksOfASetBeginAtZero)
{
    with_lazy(66, {}, [](HvCaller &c) {
        const Made made = flush_of(c, {65}, 2);
        EXPECT_EQ(made.words[3], 3u);
        EXPECT_EQ(made.words[4], 0u);
        EXPECT_EQ(made.words[5], 1u << 1);
        EXPECT_EQ(made.words[6], c.page_a | 1);
        EXPECT_EQ(made.requests, 1u);
    });
}

/* 4,096 pages an entry; a list that is too long is a flush of the whole space, or goes on in
 * further calls, each for the rest. */
TEST(HypervGuest, AListOfSoManyEntries)
{
    constexpr uint64_t unit = TS_HV_GVA_PAGES_MAX;
    with_lazy(4, {}, [](HvCaller &c) {
        const std::map<std::string, std::string> two = {{"max_gvas", "2"}};
        const std::map<std::string, std::string> split = {{"max_gvas", "2"},
                                                          {"split_list", "true"}};
        Made made = flush_of(c, {2}, 2 * unit, false, two);
        EXPECT_EQ(made.list_calls, 1u);
        EXPECT_EQ(made.words[3], c.page_a | (unit - 1));
        EXPECT_EQ(made.words[4], (c.page_a + unit * 4096) | (unit - 1));
        made = flush_of(c, {2}, 2 * unit + 1, false, two);
        EXPECT_EQ(made.calls, 1u);
        EXPECT_EQ(made.list_calls, 0u);
        made = flush_of(c, {2}, 2 * unit, false, split);
        EXPECT_EQ(made.calls, 1u);
        made = flush_of(c, {2}, 4 * unit + 1, false, split);
        EXPECT_EQ(made.calls, 3u);
        EXPECT_EQ(made.list_calls, 3u);
        EXPECT_EQ(made.words[3], c.page_a + 4 * unit * 4096); /* of the last one */
        /* Without a limit the page is one: 3 words, and 509 entries. */
        made = flush_of(c, {2}, 509 * unit);
        EXPECT_EQ(made.list_calls, 1u);
        made = flush_of(c, {2}, 509 * unit + 1);
        EXPECT_EQ(made.calls, 1u);
        EXPECT_EQ(made.list_calls, 0u);
    });
}

TEST(HypervGuest, ExMasksAreTheHostsToOffer)
{
    /* One CPU is idle: else ALL_PROCESSORS would name them. */
    for (bool offered : {true, false}) {
        ts_machine_config c = small_machine(false);
        set(c, "hypervisor.hv_ex_masks", offered ? "true" : "false");
        set(c, "run.vms", "1");
        set(c, "run.vcpus", "67");
        set(c, "topology.sockets", "1");
        set(c, "topology.cores_per_socket", "67");
        set(c, "topology.threads_per_core", "1");
        std::vector<ts_op> ops = {op_mmap(0, 4 * 4096), op_ns(TS_OP_COMPUTE, 200 * 1000),
                                  op_touch(0, 0, 4), op_range(TS_OP_MUNMAP, 0, 0, 4 * 4096)};
        Script script(66, {op_ns(TS_OP_COMPUTE, 3 * ms)});
        script[0] = ops;
        Outcome out = run_script(c, script, 66, "hyperv");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("flush.hyperv.native_fallbacks") > 0, !offered);
    }
}

TEST(HypervGuest, WithoutExMasksAVpAbove63IsFlushedNatively)
{
    HvRig rig(66);
    const Outcome got = rig.run([](HvCaller &c) {
        c.vm->ex_processor_masks = false;
        const uint64_t received = c.stat("guest.nr_tlb_remote_flush_received");
        EXPECT_EQ(flush_of(c, {2, 65}, 1).calls, 0u);
        EXPECT_EQ(c.stat("guest.nr_tlb_remote_flush_received"), received + 2);
        c.vm->ex_processor_masks = true;
    });
    EXPECT_EQ(got.status, TS_OK) << got.message;
}
