/* SPDX-License-Identifier: Apache-2.0 */
/* RAR as its series uses it (x86.md 5.3): whom a payload is for, what it names, who shares one, and
 * who must flush because it was not in the mask. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

using Params = std::map<std::string, std::string>;
const Params at_once = {{"promote_sample", "1"}};

ts_machine_config machine(uint32_t cores = 4)
{
    ts_machine_config c = bare_machine(cores);
    set(c, "rar.present", "true");
    return c;
}

Outcome run(const ts_machine_config &c, const Script &script, uint32_t initial,
            const Params &params = at_once)
{
    const ts_flush_ops *m = ts_flush_find("rar");
    const auto p = mechanism_params(m, params);
    Outcome out = run_script(c, script, initial, m, p.data());
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

/* Drops the first `pages` of a region of 128, n times. */
std::vector<ts_op> drops(int n, uint64_t pages, uint64_t pause_ns = 0)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 128 * page)};
    for (int i = 0; i < n; i++) {
        ops.push_back(op_touch(0, 0, 128));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
        if (pause_ns)
            ops.push_back(op_ns(TS_OP_COMPUTE, pause_ns));
    }
    return ops;
}

/* Thread 0 flushes; three others compute. */
Outcome flushes(const ts_machine_config &c, const std::vector<ts_op> &ops,
                uint64_t compute = 20 * ms)
{
    Script script = {ops};
    for (int i = 0; i < 3; i++)
        script.push_back({op_ns(TS_OP_COMPUTE, compute)});
    return run(c, script, 4);
}

uint64_t at(const Outcome &out, const std::string &name)
{
    return out.stats.at(name.find('.') == std::string::npos ? "flush.rar." + name : name);
}

/* What the fifth flush adds to the fourth. */
uint64_t of_one(const ts_machine_config &c, uint64_t pages, const char *what)
{
    return at(flushes(c, drops(5, pages)), what) - at(flushes(c, drops(4, pages)), what);
}

} // namespace

/* A range of n pages is sent as n + 1, and as a whole PCID from 62 on. */
TEST(Rar, APayloadNamesOnePageMoreThanTheRange)
{
    ts_machine_config c = machine();
    set(c, "guest.flush_ceiling", "100");
    const std::pair<uint64_t, uint64_t> expected[] = {{1, 2}, {33, 34}, {61, 62}, {62, 0}};
    for (auto [pages, named] : expected) {
        EXPECT_EQ(of_one(c, pages, "rar.pages"), 4 * named) << pages;
        EXPECT_EQ(of_one(c, pages, "ranges"), named ? 1u : 0u) << pages;
    }
    /* The kernel's own limit comes first. */
    EXPECT_EQ(of_one(machine(), 34, "rar.pages"), 0u);
}

/* All four CPUs carry it out, the initiator's too, which flushes once more by itself; nobody takes
 * an interrupt. With PTI there are two rounds. */
TEST(Rar, EveryCpuOfTheMaskCarriesItOut)
{
    for (bool pti : {false, true}) {
        ts_machine_config c = machine();
        set(c, "guest.pti", pti ? "true" : "false");
        const uint64_t rounds = pti ? 2 : 1;
        EXPECT_EQ(of_one(c, 1, "rounds"), rounds);
        EXPECT_EQ(of_one(c, 1, "targets"), 4 * rounds);
        EXPECT_EQ(of_one(c, 1, "rar.actions"), 4 * rounds);
        EXPECT_EQ(of_one(c, 1, "guest.targets"), 3u);
        EXPECT_EQ(of_one(c, 1, "guest.ipis"), 0u);
        EXPECT_EQ(of_one(c, 1, "pcpu.irq_call"), 0u);
        EXPECT_EQ(of_one(c, 1, "guest.flush_full"), 1u);
    }
}

/* A CPU that idles is told as well: its generation would not say what it has missed. */
TEST(Rar, LazyCpusAreNotLeftOut)
{
    Script script = {drops(10, 1, ms)};
    for (int i = 0; i < 3; i++)
        script.push_back({op_ns(TS_OP_COMPUTE, i ? 20 * ms : 6 * ms)});
    script[1].push_back(op_ns(TS_OP_SLEEP, 12 * ms));
    script[1].push_back(op_ns(TS_OP_COMPUTE, ms));
    Outcome out = run(machine(), script, 4);
    ASSERT_GE(out.shootdowns.size(), 10u);
    EXPECT_EQ(out.shootdowns[9].targets, 3u);
    EXPECT_EQ(at(out, "guest.targets_lazy_skipped"), 0u);
    EXPECT_EQ(at(out, "targets"), 4 * at(out, "rounds"));
}

/* Initiators whose numbers are equal modulo the payloads wait for each other, and only they. */
TEST(Rar, PayloadsAreSharedByNumber)
{
    struct Row {
        const char *slots;
        uint32_t other; /* initiator beside CPU 0 */
        bool wait;
    };
    for (Row row : {Row{"1", 1, true}, Row{"2", 1, false}, Row{"2", 2, true}, Row{"3", 2, false},
                    Row{"3", 3, true}, Row{"64", 1, false}}) {
        ts_machine_config c = machine();
        set(c, "rar.slots", row.slots);
        set(c, "rar.payload", "20000cycles"); /* rounds overlap */
        Script script(4, {op_ns(TS_OP_COMPUTE, 40 * ms)});
        for (uint32_t t : {0u, row.other}) {
            script[t] = drops(20, 1);
            for (ts_op &op : script[t])
                op.region = t;
        }
        Outcome out = run(c, script, 4);
        EXPECT_GT(at(out, "rounds"), 20u);
        EXPECT_EQ(at(out, "lock_waits") > 0, row.wait) << row.slots << " " << row.other;
    }
}

/* Two processes take turns on one CPU of four. Where its bit stays in the mask (6.14) it is told of
 * what it misses, and a switch flushes nothing; where it leaves the mask each return flushes. */
TEST(Rar, WhoWasNotInTheMaskFlushesAtTheSwitch)
{
    uint64_t on_switch[2];
    for (bool stays : {false, true}) {
        ts_machine_config c = machine();
        set(c, "guest.lazy_mm_cpumask", stays ? "true" : "false");
        set(c, "guest_sched.policy", "rr");
        set(c, "guest_sched.slice", "1ms");
        set(c, "guest_sched.tick", "1ms");
        Script script(5);
        script[0] = drops(30, 1, ms);
        script[0].insert(script[0].begin() + 1, op_spawn(4, TS_OPF_NEW_MM));
        for (uint32_t t = 1; t < 4; t++)
            script[t] = {op_ns(TS_OP_COMPUTE, 40 * ms)};
        script[4] = {op_ns(TS_OP_COMPUTE, 20 * ms)};
        on_switch[stays] = at(run(c, script, 4), "guest.flush_on_switch");
    }
    EXPECT_GT(on_switch[0], on_switch[1] + 4);
}

/* Once a second a flush goes by interrupts, to all of the mask; the ones between do not. */
TEST(Rar, TheMaskIsTrimmedOnceASecond)
{
    Outcome out = flushes(machine(), drops(35, 1, 100 * ms), 3700 * ms);
    EXPECT_EQ(at(out, "trims"), 3u);
    /* The first is by interrupts because there is no global ASID yet. */
    EXPECT_EQ(at(out, "broadcasts"), at(out, "guest.shootdown_all") - 1 - 3);
    EXPECT_EQ(at(out, "transition_ipis"), 1u);
}

/* A CPU changes to the global ASID by an interrupt after the first broadcast, and flushes then:
 * what was said before was not for it. */
TEST(Rar, StragglersAreTold)
{
    Outcome out = flushes(machine(), drops(6, 1));
    EXPECT_EQ(at(out, "asid_promotions"), 1u);
    EXPECT_EQ(at(out, "transition_ipis"), 1u);
    EXPECT_EQ(at(out, "transitions_ended"), 1u);
    EXPECT_EQ(at(out, "stragglers"), 4u);
}

/* Kernel pages are global, which the form by address spares: everything goes on every CPU. */
TEST(Rar, KernelRangesAreOfEverything)
{
    ts_machine_config c = machine();
    set(c, "guest.vmap_lazy_max", "4KiB");
    ts_op vfree = op_of(TS_OP_VFREE);
    vfree.length = 4 * page;
    Outcome out = flushes(c, {op_ns(TS_OP_COMPUTE, ms), vfree, vfree});
    EXPECT_EQ(at(out, "guest.kernel_flushes"), 2u);
    EXPECT_EQ(at(out, "rounds"), 2u);
    EXPECT_EQ(at(out, "rar.actions"), 8u);
    EXPECT_EQ(at(out, "rar.pages"), 0u);
    EXPECT_EQ(at(out, "pcpu.irq_call"), 0u);
}

TEST(Rar, IsRefusedToGuestsAndWithoutTheHardware)
{
    ts_error err{};
    ts_machine_config c = small_machine();
    set(c, "rar.present", "true");
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("rar"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("no hypervisor offers it"), std::string::npos);
    c = bare_machine(4);
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("rar"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("rar.present"), std::string::npos);
}
