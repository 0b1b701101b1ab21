/* SPDX-License-Identifier: Apache-2.0 */
/* INVLPGB as Linux uses it (x86.md 5.2): who gets a global ASID, how a flush is cut into
 * instructions, how CPUs come to the ASID, and when numbers are used again. */
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

using Params = std::map<std::string, std::string>;
const Params at_once = {{"promote_sample", "1"}};

ts_machine_config machine(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores);
    set(c, "dvm.invlpgb", "true");
    return c;
}

/* Thread 0 flushes; so many others compute. */
Outcome flushes(const ts_machine_config &c, const std::vector<ts_op> &ops, uint32_t others,
                const Params &params, uint64_t compute = 20 * ms)
{
    Script script = {ops};
    for (uint32_t i = 0; i < others; i++)
        script.push_back({op_ns(TS_OP_COMPUTE, compute)});
    const ts_flush_ops *m = ts_flush_find("invlpgb");
    const auto p = mechanism_params(m, params);
    Outcome out = run_script(c, script, others + 1, m, p.data());
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

/* Drops the first `pages` of a region of 64, n times. */
std::vector<ts_op> drops(int n, uint64_t pages)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 64 * page)};
    for (int i = 0; i < n; i++) {
        ops.push_back(op_touch(0, 0, 64));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
    }
    return ops;
}

uint64_t at(const Outcome &out, const char *name)
{
    return out.stats.at(std::string("flush.invlpgb.") + name);
}

} // namespace

TEST(Invlpgb, FourCpusAreNeededForAGlobalAsid)
{
    for (uint32_t others : {2u, 3u}) {
        Outcome out = flushes(machine(4), drops(4, 1), others, at_once);
        EXPECT_EQ(at(out, "asid_promotions"), others == 3 ? 1u : 0u);
        EXPECT_EQ(at(out, "broadcasts") > 0, others == 3);
    }
    /* A CPU that idles does not count. */
    Script script = {drops(4, 1)};
    for (int i = 0; i < 3; i++)
        script.push_back({op_ns(i ? TS_OP_COMPUTE : TS_OP_SLEEP, 20 * ms)});
    const ts_flush_ops *m = ts_flush_find("invlpgb");
    const auto p = mechanism_params(m, at_once);
    Outcome out = run_script(machine(4), script, 4, m, p.data());
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(at(out, "asid_promotions"), 0u);
}

/* pid and jiffies agree in their low five bits for one tick in 32. */
TEST(Invlpgb, ATaskAsksInOneJiffyOf32)
{
    ts_machine_config c = machine(4);
    std::vector<ts_op> ops = drops(1, 1);
    const uint64_t tick_ns = c.guest_sched.tick_ps / 1000;
    for (uint32_t jiffy = 0; jiffy < 40; jiffy++) {
        ops.push_back(op_touch(0, 0, 1));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
        ops.push_back(op_ns(TS_OP_COMPUTE, tick_ns));
    }
    Outcome out = flushes(c, ops, 3, {}, 42 * tick_ns);
    EXPECT_EQ(at(out, "asid_promotions"), 1u);
    /* Until then each flush was by interrupt; once asked at the first flush, two would be. */
    EXPECT_GE(std::count_if(out.shootdowns.begin(), out.shootdowns.end(),
                            [](const ts_shootdown_record &r) { return r.targets > 0; }),
              4);
}

/* The first flush is by interrupt, the second finds three CPUs on ASIDs of their own and tells them
 * as well, the third that all have come. */
TEST(Invlpgb, CpusComeToTheGlobalAsidByOneMoreInterrupt)
{
    Outcome out = flushes(machine(4), drops(6, 1), 3, at_once, 4 * ms);
    EXPECT_EQ(at(out, "asid_promotions"), 1u);
    EXPECT_EQ(at(out, "transition_ipis"), 1u);
    EXPECT_EQ(at(out, "stragglers"), 4u);
    EXPECT_EQ(at(out, "transitions_ended"), 1u);
    ASSERT_GE(out.shootdowns.size(), 6u);
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(out.shootdowns[i].targets, i < 2 ? 3u : 0u) << i;
}

/* A CPU that is lazy when the others are told is told too: else it would keep the address space on
 * an ASID of its own, and every broadcast would have to interrupt. */
TEST(Invlpgb, ALazyCpuComesToTheGlobalAsidTooBeforeItRuns)
{
    std::vector<ts_op> flusher = drops(1, 1);
    for (int i = 0; i < 5; i++) {
        flusher.push_back(op_ns(TS_OP_COMPUTE, 3 * ms));
        flusher.push_back(op_touch(0, 0, 64));
        flusher.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
    }
    Script script = {flusher,
                     {op_ns(TS_OP_COMPUTE, 2 * ms), op_ns(TS_OP_SLEEP, 60 * ms)},
                     {op_ns(TS_OP_COMPUTE, 40 * ms)},
                     {op_ns(TS_OP_COMPUTE, 40 * ms)}};
    const ts_flush_ops *m = ts_flush_find("invlpgb");
    const auto p = mechanism_params(m, at_once);
    Outcome out = run_script(machine(4), script, 4, m, p.data());
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(at(out, "asid_promotions"), 1u);
    EXPECT_EQ(at(out, "transition_ipis"), 1u);
    EXPECT_EQ(at(out, "transitions_ended"), 1u);
}

/* Eight pages an instruction; the whole space, one; and a TLBSYNC each. */
TEST(Invlpgb, AFlushIsCutIntoInstructionsOfEightPages)
{
    const std::pair<uint64_t, uint64_t> expected[] = {{1, 1}, {8, 1}, {9, 2}, {33, 5}, {34, 1}};
    for (auto [pages, instructions] : expected) {
        auto count = [pages = pages](int n, const char *what, const Params &params) {
            return at(flushes(machine(4), drops(n, pages), 3, params), what);
        };
        EXPECT_EQ(count(5, "instructions", at_once) - count(4, "instructions", at_once),
                  instructions)
            << pages;
        EXPECT_EQ(count(5, "tlbsyncs", at_once) - count(4, "tlbsyncs", at_once), 1u);
        const Params single = {{"promote_sample", "1"}, {"count_max", "1"}};
        EXPECT_EQ(count(5, "instructions", single) - count(4, "instructions", single),
                  pages == 34 ? 1 : pages);
    }
}

/* The latency of one flush grows by what one instruction costs, times their number. */
TEST(Invlpgb, EachInstructionIsOnTheInitiatorsPath)
{
    auto latency = [](const char *cycles) {
        const Params p = {{"promote_sample", "1"}, {"issue", cycles}};
        Outcome out = flushes(machine(4), drops(6, 33), 3, p);
        return out.shootdowns.at(4).total_ps;
    };
    const ts_time cycle = TS_S / 2600000000;
    EXPECT_NEAR(double(latency("1100cycles") - latency("100cycles")), 5 * 1000 * double(cycle),
                5 * 1000.0);
}

/* Three numbers above two dynamic ones: each process in turn takes one, and after the last of them
 * all CPUs are flushed. */
/* vfree of so many pages twice, with a guard page each, is one purge: no CPU is called, eight pages
 * an instruction, or one instruction for everything above the ceiling. */
TEST(Invlpgb, KernelRangesAreBroadcastToo)
{
    for (uint64_t pages : {5u, 16u}) {
        ts_machine_config c = machine(4);
        set(c, "guest.vmap_lazy_max", std::to_string((pages + 2) * page) + "B");
        ts_op vfree = op_of(TS_OP_VFREE);
        vfree.length = pages * page;
        Outcome out = flushes(c, {op_ns(TS_OP_COMPUTE, ms), vfree, vfree}, 2, {});
        EXPECT_EQ(out.stats.at("guest.kernel_flushes"), 1u);
        EXPECT_EQ(out.stats.at("guest.csd_queued"), 0u);
        EXPECT_EQ(at(out, "instructions"), pages == 5 ? 2u : 1u); /* 12 pages, 34 pages */
        EXPECT_EQ(at(out, "tlbsyncs"), 1u);
    }
}

TEST(Invlpgb, FreedNumbersAreUsedAgainAfterAFlushOfAllCpus)
{
    ts_machine_config c = machine(4);
    set(c, "guest.nr_dyn_asids", "2");
    constexpr uint32_t processes = 7;
    Script script(1 + processes * 4);
    for (uint32_t p = 0; p < processes; p++) {
        const uint32_t leader = 1 + p * 4;
        script[0].push_back(op_spawn(leader, TS_OPF_NEW_MM));
        script[0].push_back(op_ns(TS_OP_COMPUTE, 6 * ms));
        for (uint32_t t = 1; t < 4; t++) {
            script[leader].push_back(op_spawn(leader + t));
            script[leader + t].push_back(op_ns(TS_OP_COMPUTE, 3 * ms));
        }
        for (ts_op op : drops(4, 1)) {
            op.region = p;
            script[leader].push_back(op);
        }
    }
    const ts_flush_ops *m = ts_flush_find("invlpgb");
    const auto p =
        mechanism_params(m, {{"promote_sample", "1"}, {"promote_cpus", "1"}, {"asids", "5"}});
    Outcome out = run_script(c, script, 1, m, p.data());
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(at(out, "asid_promotions"), processes);
    EXPECT_EQ(at(out, "asid_exhausted"), 0u);
    /* The first search starts behind the end; then every third number is the last. */
    EXPECT_EQ(at(out, "asid_rollovers"), 1 + (processes - 1) / 3);
}

/* A CPU that comes back to an address space on a global ASID need not flush, however often others
 * have flushed it meanwhile. */
TEST(Invlpgb, AReturnFromIdleFlushesNothing)
{
    Script script = {
        drops(12, 1), {}, {op_ns(TS_OP_COMPUTE, 60 * ms)}, {op_ns(TS_OP_COMPUTE, 60 * ms)}};
    script[1].push_back(op_ns(TS_OP_COMPUTE, 2 * ms));
    for (int i = 0; i < 5; i++) {
        script[0].push_back(op_ns(TS_OP_COMPUTE, ms));
        script[0].push_back(op_touch(0, 0, 1));
        script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
        script[1].push_back(op_ns(TS_OP_SLEEP, ms));
        script[1].push_back(op_ns(TS_OP_COMPUTE, ms / 10));
    }
    const ts_flush_ops *m = ts_flush_find("invlpgb");
    const auto p = mechanism_params(m, at_once);
    Outcome by_hardware = run_script(machine(4), script, 4, m, p.data());
    Outcome native = run_script(machine(4), script, 4, "native_concurrent");
    ASSERT_EQ(by_hardware.status, TS_OK) << by_hardware.message;
    EXPECT_GE(native.stats.at("guest.flush_on_switch"),
              by_hardware.stats.at("guest.flush_on_switch") + 4);
}

TEST(Invlpgb, IsRefusedToGuestsAndWithoutTheInstruction)
{
    ts_error err{};
    ts_machine_config c = small_machine();
    set(c, "dvm.invlpgb", "true");
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("invlpgb"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("no hypervisor offers it"), std::string::npos);
    c = bare_machine(4);
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("invlpgb"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("dvm.invlpgb"), std::string::npos);
}
