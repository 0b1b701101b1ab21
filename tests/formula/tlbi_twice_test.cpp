/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest issues twice on arm64: for both ASIDs of an address space under KPTI
 * (__tlbi_user), and again where the CPU needs ARM64_WORKAROUND_REPEAT_TLBI (arm.md 1.6, 1.7). That
 * no stale translation is used diff/mechanism_shared_test shows. */
#include <gtest/gtest.h>

#include "models/cpu/dvm_port.h"
#include "models/guest/coherence/arm64.h"
#include "models/tlb/range.h"
#include "tests/support/dsb_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

enum Form { OFF, EACH, SYNC };

void set_form(ts_machine_config &c, Form form)
{
    set(c, "guest.repeat_tlbi", form == OFF ? "false" : "true");
    set(c, "guest.repeat_tlbi_form", form == EACH ? "each" : "sync");
}

ts_machine_config machine(bool kpti, Form form)
{
    ts_machine_config c = quiet(true, "2");
    set(c, "guest.kpti", kpti ? "true" : "false");
    set_form(c, form);
    return c;
}

/* What the kernel's own source would issue without any of it. */
struct Plain {
    uint64_t tlbi, range_ops, flushes;
};

Plain plain(const std::string &mechanism, uint64_t pages)
{
    Plain p{1, 0, 2}; /* the whole ASID at the end of the address space */
    ts_range_op ops[8];
    bool fault = false;
    if (mechanism == "tlbi_broadcast") {
        p.tlbi += pages >= 512 ? 1 : pages;
        return p;
    }
    const uint32_t n = ts_range_split(TS_RANGE_SPLIT_MODERN, 0, pages, ops, 8, &fault);
    EXPECT_FALSE(fault);
    p.tlbi += n;
    for (uint32_t i = 0; i < n; i++)
        p.range_ops += ops[i].range;
    return p;
}

std::vector<ts_op> drop(uint64_t pages)
{
    return {op_mmap(0, 600 * page), op_touch(0, 0, pages),
            op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page), op_touch(0, 0, 1)};
}

} // namespace

TEST(TlbiTwice, AFlushIssuesForBothAsidsAndAgainWhereTheCpuNeedsIt)
{
    for (const char *mechanism : {"tlbi_broadcast", "tlbi_range"}) {
        for (uint64_t pages : {1u, 5u, 511u, 512u}) {
            const Plain p = plain(mechanism, pages);
            for (bool kpti : {false, true}) {
                for (Form form : {OFF, EACH, SYNC}) {
                    SCOPED_TRACE(std::string(mechanism) + " " + std::to_string(pages) +
                                 (kpti ? " kpti " : " ") + std::to_string(form));
                    Outcome out = run_script(machine(kpti, form), {drop(pages)}, 1, mechanism);
                    ASSERT_EQ(out.status, TS_OK) << out.message;
                    const uint64_t asids = kpti ? 2 : 1, n = p.tlbi * asids;
                    const uint64_t again = form == EACH ? n : form == SYNC ? p.flushes : 0;
                    EXPECT_EQ(out.stats.at("guest.tlbi_issued"), n + again);
                    EXPECT_EQ(out.stats.at("guest.tlbi_user"), kpti ? p.tlbi : 0);
                    EXPECT_EQ(out.stats.at("guest.tlbi_repeated"), again);
                    EXPECT_EQ(out.stats.at("guest.tlbi_range_ops"),
                              p.range_ops * asids * (form == EACH ? 2 : 1));
                    EXPECT_EQ(out.stats.at("guest.dsb"), p.flushes + again);
                    EXPECT_EQ(out.stats.at("dvm.issued"), n + again);
                    EXPECT_EQ(out.stats.at("dvm.syncs"), p.flushes + again);
                }
            }
        }
    }
}

/* Of every ASID: none is the user's own. */
TEST(TlbiTwice, AFlushOfKernelPagesHasNoUserTwin)
{
    for (Form form : {OFF, EACH, SYNC}) {
        ts_machine_config c = machine(true, form);
        set(c, "guest.vmap_lazy_max", "4096B");
        ts_op vfree{};
        vfree.kind = TS_OP_VFREE;
        vfree.length = 4 * page;
        Outcome out = run_script(c, {{vfree, op_mmap(0, page)}}, 1, "tlbi_broadcast");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_EQ(out.stats.at("guest.kernel_flushes"), 1u);
        EXPECT_EQ(out.stats.at("guest.tlbi_user"), 0u);
        EXPECT_GE(out.stats.at("guest.tlbi_issued"), 4u);
        EXPECT_EQ(out.stats.at("guest.tlbi_repeated"), form == OFF ? 0u
                                                       : form == EACH
                                                           ? out.stats.at("guest.tlbi_issued") / 2
                                                           : 1u);
    }
}

/* By IPIs, where HCR_EL2.FB lets local TLBIs be: the older kernels' form repeats these too, and its
 * DSB in between is ISH. */
TEST(TlbiTwice, LocalTlbisAreRepeatedByTheOlderForm)
{
    for (bool kpti : {false, true}) {
        for (Form form : {OFF, EACH, SYNC}) {
            ts_machine_config c = machine(kpti, form);
            set(c, "hypervisor.hcr_fb", "false");
            Outcome out = run_script(c, {drop(5)}, 1, "native_concurrent");
            ASSERT_EQ(out.status, TS_OK) << out.message;
            const uint64_t n = (5 + 1) * (kpti ? 2 : 1);
            EXPECT_EQ(out.stats.at("dvm.local"),
                      n * (form == EACH ? 2 : 1) + out.stats.at("hypervisor.stage1_flush_switch"));
            EXPECT_EQ(out.stats.at("guest.tlbi_repeated"), form == EACH ? n : 0);
            EXPECT_EQ(out.stats.at("guest.dsb"), form == EACH ? n : 0);
            EXPECT_EQ(out.stats.at("guest.dsb_nsh"), 2u);
            EXPECT_EQ(out.stats.at("guest.tlbi_issued"), 0u);
        }
    }
}

/* arch_tlbbatch_should_defer of the older kernels. */
TEST(TlbiTwice, ReclaimDoesNotBatchUnderTheOlderForm)
{
    for (Form form : {OFF, EACH, SYNC}) {
        std::vector<ts_op> ops = {op_mmap(0, 64 * page), op_touch(0, 0, 64),
                                  op_range(TS_OP_MADVISE_PAGEOUT, 0, 0, 64 * page)};
        Outcome out = run_script(machine(false, form), {ops}, 1, "tlbi_broadcast");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.batch_deferred"), form == EACH ? 0u : 64u);
    }
}

/* --- the ASIDs --- */

namespace
{

struct Asids {
    std::vector<std::pair<uint16_t, uint16_t>> seen; /* kernel's and user's */
};
Asids asids;

void look(ts_task *self, const ts_cpumask *mask, ts_flush_info *info, ts_shootdown_record *record)
{
    const ts_guest_cpu *gc = ts_guest_cpu_of(self);
    asids.seen.push_back({ts_guest_asid(gc, info->mm), ts_guest_user_asid(gc, info->mm)});
    ts_flush_find("tlbi_broadcast")->flush_multi(self, mask, info, record);
}

} // namespace

TEST(TlbiTwice, UserCodeHasTheOddAsidOfThePair)
{
    for (bool kpti : {false, true}) {
        ts_flush_ops ops = *ts_flush_find("tlbi_broadcast");
        ops.flush_multi = look;
        asids.seen.clear();
        Script s(3, drop(1));
        s[0].push_back(op_spawn(1, TS_OPF_NEW_MM));
        s[0].push_back(op_spawn(2, TS_OPF_NEW_MM));
        Outcome out = run_script(machine(kpti, OFF), s, 1, &ops);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_GE(asids.seen.size(), 6u);
        std::set<uint16_t> all;
        for (const auto &[kernel, user] : asids.seen) {
            EXPECT_NE(kernel, 0u);
            if (kpti) {
                EXPECT_EQ(kernel % 2, 0u);
            }
            EXPECT_EQ(user, kpti ? kernel + 1 : kernel);
            all.insert(kernel);
        }
        EXPECT_EQ(all.size(), 3u);
    }
}

/* --- times --- */

namespace
{

struct Times {
    ts_time began = 0, issued = 0, ended = 0;
};
Times times;

void take_times(ts_task *self, const ts_cpumask *, ts_flush_info *info, ts_shootdown_record *)
{
    ts_tlb_inval inval =
        ts_inval_tlbi_vae1(ts_arm64_vmid(ts_guest_cpu_of(self)->guest), info->mm->asid, 0, true, 0);
    ts_irq_disable(self);
    times.began = ts_task_now(self);
    (void)ts_arm64_tlbi(self, &inval);
    times.issued = ts_task_now(self);
    ts_arm64_sync(self);
    times.ended = ts_task_now(self);
    ts_irq_enable(self);
}

} // namespace

TEST(TlbiTwice, EachFormTakesThatLongToThePicosecond)
{
    for (bool kpti : {false, true}) {
        for (Form form : {OFF, EACH, SYNC}) {
            SCOPED_TRACE(std::string(kpti ? "kpti " : "") + std::to_string(form));
            ts_machine_config c = flash_clear();
            set(c, "guest.kpti", kpti ? "true" : "false");
            set_form(c, form);
            set(c, "run.oracle", "false"); /* the callback flushes nothing that was asked for */
            ts_flush_ops ops = *ts_flush_find("tlbi_broadcast");
            ops.flush_multi = take_times;
            Outcome out =
                run_script(c,
                           {{op_mmap(0, page), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, ms),
                             op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page)}},
                           1, &ops);
            ASSERT_EQ(out.status, TS_OK) << out.message;
            Cycles cycles(c);
            const uint64_t cost = c.guest.tlbi_issue_cycles;
            std::vector<ts_time> posted;
            ts_time t = times.began;
            for (int asid = 0; asid < (kpti ? 2 : 1); asid++) {
                posted.push_back(t = cycles.after(t, cost));
                if (form != EACH)
                    continue;
                t = dsb_end(c, 0, posted);
                posted = {t = cycles.after(t, cost)};
            }
            EXPECT_EQ(times.issued, t);
            t = dsb_end(c, 0, posted);
            if (form == SYNC)
                t = dsb_end(c, 0, {cycles.after(t, cost)});
            EXPECT_EQ(times.ended, t);
        }
    }
}

/* System calls and faults go through the trampoline, which a process alone pays. */
TEST(TlbiTwice, EachSystemCallAndFaultPassesTheTrampoline)
{
    for (auto [calls, faults] : {std::pair(200u, 0u), std::pair(0u, 200u)}) {
        std::vector<ts_op> ops = {op_mmap(0, 512 * page)};
        if (faults)
            ops.push_back(op_touch(0, 0, faults));
        for (uint32_t i = 0; i < calls; i++)
            ops.push_back(op_mmap(1 + i, page));
        ts_time took[2][2][2];
        for (int kpti : {0, 1}) {
            for (int in : {0, 1}) {
                for (int back : {0, 1}) {
                    ts_machine_config c = machine(kpti != 0, OFF);
                    set(c, "guest.kpti_enter", in ? "10000cycles" : "0cycles");
                    set(c, "guest.kpti_exit", back ? "20000cycles" : "0cycles");
                    Outcome out = run_script(c, {ops}, 1, "tlbi_broadcast");
                    ASSERT_EQ(out.status, TS_OK) << out.message;
                    took[kpti][in][back] = out.result.system_ps;
                }
            }
        }
        ts_machine_config c = machine(true, OFF);
        const double way = 10000.0 * 200 * 1e12 / double(c.topology.core_hz);
        EXPECT_EQ(took[0][1][1], took[0][0][0]);
        EXPECT_NEAR(double(took[1][1][0] - took[1][0][0]), way, 0.1 * way);
        EXPECT_NEAR(double(took[1][0][1] - took[1][0][0]), 2 * way, 0.1 * way);
        EXPECT_NEAR(double(took[1][1][1] - took[1][0][0]), 3 * way, 0.1 * way);
    }
}
