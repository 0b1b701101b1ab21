/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv_2017 does wrong what the patch of April 2017 did wrong (thread
 * hyperv-guest-flush-hypercall; x86.md 4.1), and the oracle says so. */
#include "tests/support/hyperv_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

const ts_flush_ops *patch()
{
    return ts_flush_find("hyperv_2017");
}

/* One thread drops pages again and again that all others read. */
Outcome dropped(const ts_flush_ops *mechanism, const std::string &host, uint32_t vcpus,
                uint32_t threads, uint64_t pages)
{
    ts_machine_config c = small_machine();
    set(c, "topology.cores_per_socket", std::to_string((vcpus + 1) / 2));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.hv_flush", host);
    set(c, "run.progress", "50ms");
    Script s(threads);
    s[0] = {op_mmap(0, 64 * page), op_touch(0, 0, 64)};
    for (uint32_t t = 0; t < threads; t++) {
        s[t].push_back(op_barrier(0, threads));
        s[t].push_back(op_ns(TS_OP_COMPUTE, ms)); /* until all have woken */
        for (uint32_t r = 0; r < 10; r++) {
            if (t == 0)
                s[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
            for (uint32_t k = 0; k < 10 && t > 0 && t != 31; k++) {
                s[t].push_back(op_touch(0, 0, 64, false));
                s[t].push_back(op_ns(TS_OP_COMPUTE, 20000));
            }
            s[t].push_back(op_ns(TS_OP_COMPUTE, 200000));
        }
        s[t].push_back(op_barrier(1, threads));
    }
    return run_script(c, s, threads, mechanism);
}

void expect_stale(const Outcome &got)
{
    EXPECT_EQ(got.status, TS_ERR_FINDING) << got.message;
    EXPECT_NE(got.message.find("stale translation used"), std::string::npos) << got.message;
    EXPECT_GT(got.stats.at("oracle.hits_stale"), 0u);
}

void expect_clean(const Outcome &got)
{
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
}

/* A flush of these VPs by the patch. */
void flush_of(HvCaller &c, const Vps &vps, bool whole)
{
    c.fill();
    c.flush(patch(), vps, c.page_a, whole ? 0 : 1);
    c.wait_us(100);
}

Vps range(uint32_t first, uint32_t last)
{
    Vps vps;
    for (uint32_t vp = first; vp <= last; vp++)
        vps.insert(vp);
    return vps;
}

} // namespace

TEST(X86Checks, C6_LeavesAStaleTranslationInTheAllProcessorsCase)
{
    const uint64_t whole = 40, range = 4; /* the flush of everything begins above 33 pages */
    for (const char *host : {"hyperv", "4.18"}) {
        SCOPED_TRACE(host);
        const Outcome stale = dropped(patch(), host, 4, 4, whole);
        expect_stale(stale);
        EXPECT_GT(stale.stats.at("flush.hyperv_2017.all_processors"), 0u);
        EXPECT_GT(stale.stats.at("flush.hyperv_2017.space_calls"), 0u);
        expect_clean(dropped(patch(), host, 4, 4, range)); /* a list keeps its flags */
        expect_clean(dropped(patch(), host, 4, 3, whole)); /* a mask is kept */
    }
    /* A host on which an empty mask names everybody hides it; the patch of today has it right. */
    expect_clean(dropped(patch(), "fifo16", 4, 4, whole));
    for (const char *host : {"hyperv", "4.18", "fifo16"})
        expect_clean(dropped(ts_flush_find("hyperv"), host, 4, 4, whole));
}

TEST(X86Checks, C6_FlushesVpLess32ForVps32To63)
{
    HvRig rig(70);
    const Outcome got = rig.run([](HvCaller &c) {
        for (bool whole : {false, true}) {
            for (uint32_t vp : {32u, 35u, 62u}) {
                flush_of(c, {vp}, whole);
                EXPECT_EQ(c.gone(c.page_a), Vps{vp - 32}) << vp;
                EXPECT_EQ(c.gone(c.page_b), whole ? Vps{vp - 32} : Vps{}) << vp;
            }
            flush_of(c, {5, 40}, whole);
            EXPECT_EQ(c.gone(c.page_a), (Vps{5, 8}));
            /* A shifted int's sign: what it says of VP 31 it says of all above, and 63 of 31. */
            flush_of(c, {31}, whole);
            EXPECT_EQ(c.gone(c.page_a), range(31, 63));
            flush_of(c, {63}, whole);
            EXPECT_EQ(c.gone(c.page_a), range(31, 63));
        }
    });
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

/* Threads on VPs 0 to 38; the one on VP 31 is of another process. */
TEST(Hyperv2017, TheOracleFindsTheVpsThatItForgets)
{
    static const ts_flush_ops without_31 = [] {
        ts_flush_ops o = *patch();
        o.flush_multi = [](ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                           ts_shootdown_record *record) {
            ts_cpumask rest;
            ts_cpumask_copy(&rest, mask);
            ts_cpumask_clear(&rest, 31);
            patch()->flush_multi(self, &rest, info, record);
        };
        return o;
    }();
    expect_stale(dropped(&without_31, "fifo16", 40, 39, 4));
    expect_clean(dropped(&without_31, "fifo16", 40, 30, 4));
    expect_clean(dropped(ts_flush_find("hyperv"), "fifo16", 40, 39, 4));
}

TEST(Hyperv2017, GoesOnNativelyForAVpAbove63)
{
    HvRig rig(70);
    const Outcome got = rig.run([](HvCaller &c) {
        const uint64_t calls = c.stat("hypervisor.exit_hypercall");
        const uint64_t received = c.stat("guest.nr_tlb_remote_flush_received");
        flush_of(c, {2, 65}, false);
        EXPECT_EQ(c.stat("hypervisor.exit_hypercall"), calls);
        EXPECT_EQ(c.stat("guest.nr_tlb_remote_flush_received"), received + 2);
    });
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

TEST(Hyperv2017, NamesLazyCpus)
{
    HvRig rig(4);
    rig.thread(3, {op_ns(TS_OP_SLEEP, 10 * ms)});
    const Outcome got = rig.run([](HvCaller &c) {
        const uint64_t asked = c.stat("hypervisor.hv_requests");
        ASSERT_TRUE(c.guest->cpus[3].is_lazy);
        flush_of(c, {2, 3}, false);
        EXPECT_EQ(c.stat("hypervisor.hv_requests") - asked, 2u);
    });
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

TEST(Hyperv2017, AFlushOfNoOneAddressSpaceIsAnOops)
{
    static const ts_flush_ops of_none = [] {
        ts_flush_ops o = *patch();
        o.flush_multi = [](ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                           ts_shootdown_record *record) {
            info->mm = nullptr;
            info->new_tlb_gen = 0;
            patch()->flush_multi(self, mask, info, record);
        };
        return o;
    }();
    const Outcome got = dropped(&of_none, "fifo16", 4, 4, 4);
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_NE(got.message.find("oops"), std::string::npos) << got.message;
}

/* The others' slots stay behind, so that the next flush in software is a whole one (B5). */
TEST(Hyperv2017, WritesNoGenerations)
{
    const Outcome got = dropped(patch(), "fifo16", 4, 3, 4);
    expect_clean(got);
    EXPECT_EQ(got.stats.at("guest.nr_tlb_remote_flush_received"), 0u);
    EXPECT_EQ(got.stats.at("guest.redundant_initiator"), 0u); /* it flushes itself, once */
}

/* 16 entries of 16 MiB a call. */
TEST(Hyperv2017, ALongRangeTakesSeveralCalls)
{
    HvRig rig(4);
    const Outcome got = rig.run([](HvCaller &c) {
        struct Row {
            uint64_t pages, calls;
        };
        constexpr uint64_t unit = TS_HV_GVA_PAGES_MAX;
        for (const Row &row : {Row{1, 1}, Row{16 * unit, 1}, Row{16 * unit + 1, 2}}) {
            const uint64_t before = c.stat("hypervisor.exit_hypercall");
            c.flush(patch(), {2}, c.page_a, row.pages);
            EXPECT_EQ(c.stat("hypervisor.exit_hypercall") - before, row.calls) << row.pages;
        }
    });
    EXPECT_EQ(got.status, TS_OK) << got.message;
}
