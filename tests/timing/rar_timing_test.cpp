/* SPDX-License-Identifier: Apache-2.0 */
/* Remote Action Requests to the picosecond: what a pCPU loses, and when its TLB has lost what a
 * payload names (models/cpu/rar.h). */
#include <gtest/gtest.h>

#include "models/cpu/rar.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

struct Applied {
    ts_time when;
    uint32_t cpu;
    ts_tlb_inval inval;
};

class Rar
{
  public:
    explicit Rar(uint32_t cores = 2) : rig(cores)
    {
        ts_error err{};
        ts_line_params lp{};
        ts_param_defaults(&ts_rar_param_table, &params);
        ts_param_defaults(&ts_line_param_table, &lp);
        hit = lp.hit_cycles;
        params.dispatch_cycles = 300;
        params.payload_cycles = 200;
        params.page_cycles = 60;
        if (ts_rar_create(&rar, &rig.domain, &params, apply, this, &err) != TS_OK)
            throw std::runtime_error(err.message);
    }
    ~Rar()
    {
        ts_rar_destroy(rar);
    }
    static uint64_t apply(void *user, uint32_t cpu, const ts_tlb_inval *inval)
    {
        Rar *self = static_cast<Rar *>(user);
        self->applied.push_back({self->rig.now(), cpu, *inval});
        return self->busy;
    }
    /* What one round costs a pCPU whose core has all the lines. */
    uint64_t round(uint64_t work) const
    {
        return params.dispatch_cycles + 4 * hit + work;
    }

    CpuRig rig;
    ts_rar_params params{};
    ts_rar *rar = nullptr;
    uint64_t hit = 0, busy = 1;
    std::vector<Applied> applied;
};

constexpr uint64_t page = 4096;
const ts_rar_payload three_pages = {TS_RAR_ADDR, 7, 3, 16 * page};

} // namespace

/* A pCPU that is its own target has every line: dispatch, vector, payload, invalidation, status,
 * and the vector once more. It goes on with what it was at, interrupts on or off. */
TEST(RarTiming, APcpuLosesDispatchLinesAndInvalidations)
{
    for (bool irq_off : {false, true}) {
        Rar r;
        ts_time began = 0, ended = 0;
        r.rig.spawn(0, [&](ts_task *self) {
            ts_rar_set_payload(self, r.rar, 5, &three_pages);
            ts_rar_set_action(self, r.rar, 5, 0);
            if (irq_off)
                ts_irq_disable(self);
            began = r.rig.now();
            r.rig.at(began + r.rig.cycles(100), [&] { ts_rar_signal(r.rar, 0); });
            ts_task_work(self, 1000);
            ended = r.rig.now();
            if (irq_off)
                ts_irq_enable(self);
        });
        r.rig.run();
        const uint64_t lost = r.round(200 + 3 * 60);
        EXPECT_EQ(ended - began, r.rig.cycles(1000 + lost)) << irq_off;
        EXPECT_EQ(ts_rar_stats(r.rar)->frozen_ps, r.rig.cycles(lost));
        ASSERT_EQ(r.applied.size(), 1u);
        EXPECT_EQ(r.applied[0].when, began + r.rig.cycles(100 + 300 + 2 * r.hit));
        EXPECT_EQ(r.applied[0].inval.start, 16 * page);
        EXPECT_EQ(r.applied[0].inval.length, 3 * page);
        EXPECT_EQ(r.applied[0].inval.asid, 7u);
        EXPECT_EQ(ts_rar_stats(r.rar)->pages, 3u);
        EXPECT_EQ(r.rig.taken.size(), 0u); /* no handler */
    }
}

/* A sweep that takes longer than the microcode keeps the pCPU as long. */
TEST(RarTiming, ASlowTlbKeepsThePcpu)
{
    Rar r;
    r.busy = 5000;
    ts_time began = 0, ended = 0;
    r.rig.spawn(0, [&](ts_task *self) {
        const ts_rar_payload all = {TS_RAR_PCID, 7, 0, 0};
        ts_rar_set_payload(self, r.rar, 0, &all);
        ts_rar_set_action(self, r.rar, 0, 0);
        began = r.rig.now();
        ts_rar_signal(r.rar, 0);
        ts_task_work(self, 10);
        ended = r.rig.now();
    });
    r.rig.run();
    EXPECT_EQ(ended - began, r.rig.cycles(10 + r.round(5000)));
}

/* Two payloads in one round, and a message that comes meanwhile reads the vector once more. */
TEST(RarTiming, OneRoundTakesAllThatIsPendingAndMessagesMerge)
{
    Rar r;
    ts_time began = 0, ended = 0;
    r.rig.spawn(0, [&](ts_task *self) {
        for (uint32_t slot : {1u, 9u}) {
            ts_rar_set_payload(self, r.rar, slot, &three_pages);
            ts_rar_set_action(self, r.rar, slot, 0);
        }
        began = r.rig.now();
        ts_rar_signal(r.rar, 0);
        r.rig.at(began + r.rig.cycles(10), [&] { ts_rar_signal(r.rar, 0); });
        ts_task_work(self, 10);
        ended = r.rig.now();
    });
    r.rig.run();
    const uint64_t one = 200 + 3 * 60;
    EXPECT_EQ(ended - began, r.rig.cycles(10 + r.round(one) + (one + 3 * r.hit) + r.hit));
    EXPECT_EQ(ts_rar_stats(r.rar)->messages, 2u);
    EXPECT_EQ(ts_rar_stats(r.rar)->rounds, 1u);
    EXPECT_EQ(ts_rar_stats(r.rar)->merged, 1u);
    EXPECT_EQ(ts_rar_stats(r.rar)->actions, 2u);
    EXPECT_EQ(ts_rar_stats(r.rar)->empty, 0u);
}

/* Nothing pending: the vector is read, and that is all. */
TEST(RarTiming, AMessageForNothingCostsDispatchAndALine)
{
    Rar r;
    ts_time began = 0, ended = 0;
    r.rig.spawn(0, [&](ts_task *self) {
        ts_rar_set_payload(self, r.rar, 2, &three_pages);
        ts_rar_set_action(self, r.rar, 2, 0);
        ts_rar_signal(r.rar, 0);
        ts_rar_wait(self, r.rar, 2, 0);
        ts_task_work(self, 5000);
        began = r.rig.now();
        ts_rar_signal(r.rar, 0);
        ts_task_work(self, 10);
        ended = r.rig.now();
    });
    r.rig.run();
    EXPECT_EQ(ended - began, r.rig.cycles(10 + 300 + r.hit));
    EXPECT_EQ(ts_rar_stats(r.rar)->empty, 1u);
    EXPECT_EQ(r.applied.size(), 1u);
}

/* The initiator goes on when the target's TLB has lost the pages, not before; an idle target
 * answers without waking up; an interrupt that comes while the microcode runs waits for its end. */
TEST(RarTiming, TheInitiatorWaitsForTheStatus)
{
    Rar r;
    ts_time waited = 0;
    r.rig.spawn(0, [&](ts_task *self) {
        ts_rar_set_payload(self, r.rar, 3, &three_pages);
        ts_rar_set_action(self, r.rar, 3, 1);
        ts_rar_signal(r.rar, 1);
        ts_rar_wait(self, r.rar, 3, 1);
        waited = r.rig.now();
        r.rig.at(waited + TS_US, [&] {
            ts_rar_signal(r.rar, 1);
            ts_cpu_raise(&r.rig.domain.cpus[1], TS_VEC_CALL);
        });
        ts_task_work(self, 10000);
    });
    r.rig.run();
    ASSERT_EQ(r.applied.size(), 1u);
    EXPECT_EQ(r.applied[0].cpu, 1u);
    EXPECT_GE(waited, r.applied[0].when + r.rig.cycles(200 + 3 * 60));
    ASSERT_EQ(r.rig.taken.size(), 1u);
    EXPECT_GE(r.rig.taken[0].when, waited + TS_US + r.rig.cycles(300 + r.hit));
}

TEST(RarTiming, EverythingHasItsInvalidation)
{
    const std::pair<ts_rar_subtype, uint8_t> rows[] = {
        {TS_RAR_PCID, TS_INVAL_ASID_MATCH},
        {TS_RAR_ALL, TS_INVAL_ASID_ANY},
        {TS_RAR_ALL_NON_GLOBAL, TS_INVAL_ASID_ANY_NONGLOBAL}};
    for (auto [subtype, rule] : rows) {
        Rar r;
        r.rig.spawn(0, [&, subtype = subtype](ts_task *self) {
            const ts_rar_payload p = {subtype, 7, 0, 0};
            ts_rar_set_payload(self, r.rar, 0, &p);
            ts_rar_set_action(self, r.rar, 0, 0);
            ts_rar_signal(r.rar, 0);
            ts_rar_wait(self, r.rar, 0, 0);
        });
        r.rig.run();
        ASSERT_EQ(r.applied.size(), 1u);
        EXPECT_EQ(r.applied[0].inval.asid_rule, rule);
        EXPECT_TRUE(r.applied[0].inval.all_addresses);
    }
}

/* An idle pCPU does not leave its idle state for it. */
TEST(RarTiming, AnIdlePcpuStaysIdle)
{
    static uint32_t idled;
    Rar r;
    idled = 0;
    r.rig.ops.idle = [](ts_task *self) {
        idled += self->cpu->id == 1;
        ts_task_idle_wait(self);
    };
    r.rig.spawn(0, [&](ts_task *self) {
        ts_task_work(self, 1000);
        const uint32_t before = idled;
        ts_rar_set_payload(self, r.rar, 3, &three_pages);
        ts_rar_set_action(self, r.rar, 3, 1);
        ts_rar_signal(r.rar, 1);
        ts_rar_wait(self, r.rar, 3, 1);
        ts_task_work(self, 10000);
        EXPECT_EQ(idled, before);
        EXPECT_EQ(r.applied.size(), 1u);
    });
    r.rig.run();
}
