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

Made flush_of(HvCaller &c, const Vps &vps, uint64_t pages, bool freed_tables = false)
{
    static const uint64_t params[8] = {}; /* update_gen off */
    Made made{std::vector<uint64_t>(8), 0, 0, 0, 0};
    const auto *calls = static_cast<const ts_hv_flush_calls *>(c.guest->flush_state);
    const ts_hv_flush_calls before = *calls;
    const uint64_t asked = c.stat("hypervisor.hv_requests");
    const void *const own = c.guest->flush_params;
    c.guest->flush_params = params;
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
