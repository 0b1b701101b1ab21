/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a spinning vCPU boosts (kvm_vcpu_on_spin): one VM's vCPUs as tasks of a host, each put into
 * the state that a rule is about. */
#include <gtest/gtest.h>

#include "models/hypervisor/hyp_private.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

/* vCPU 0 is the spinner, on pCPU 0; the others wait behind a busy task of pCPU 1 or sleep. */
class Spin
{
  public:
    enum Where { waiting, asleep };

    explicit Spin(std::vector<Where> others, ts_boost_rule rule = TS_BOOST_READY_IRQ)
        : rig(2, 2'500'000'000, "eevdf"), vcpus(others.size() + 1)
    {
        ts_error err{};
        hyp.params.boost_rule = rule;
        hyp.vcpus = vcpus.data();
        hyp.nvcpus = vm.nvcpus = uint32_t(vcpus.size());
        vm.host = &hyp;
        rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
        for (size_t i = 0; i < vcpus.size(); i++) {
            ts_vcpu &v = vcpus[i];
            v.hyp = &hyp;
            v.accel = TS_ACCEL_APICV;
            v.vm = &vm;
            v.id = v.number = uint32_t(i);
            v.guest_mode = TS_MODE_SYSTEM;
            v.preempted = v.ready = true;
            if (ts_task_init(&v.task, &rig.domain, "vcpu", i ? rest : spin, this, &err) != TS_OK)
                throw std::runtime_error(err.message);
            v.task.cpu = v.task.pinned = &rig.domain.cpus[i ? 1 : 0];
            if (i == 0 || others[i - 1] == waiting)
                ts_task_wake(nullptr, &v.task);
        }
    }
    ~Spin()
    {
        for (ts_vcpu &v : vcpus)
            ts_task_fini(&v.task);
    }
    /* The spinner's exits, and how many boosts have been tried by then. */
    uint64_t exits(int n, bool in_kernel = true)
    {
        times = n;
        kernel = in_kernel;
        rig.run(rig.domain.sched_params.tick_ps - 1);
        EXPECT_EQ(times, 0) << "the spinner did not come back";
        return hyp.stats.directed_yield_attempted;
    }
    uint64_t successes() const
    {
        return hyp.stats.directed_yield_successful;
    }

    CpuRig rig;
    ts_vm vm{};
    ts_hypervisor hyp{};
    std::vector<ts_vcpu> vcpus;
    int64_t yields_to = -1; /* an APIC ID: KVM_HC_SCHED_YIELD instead of spinning */

  private:
    static void rest(ts_task *self)
    {
        ts_task_work_ps(self, TS_S);
    }
    static void spin(ts_task *self)
    {
        auto *s = static_cast<Spin *>(self->user);
        ts_task_work_ps(self, TS_US);
        for (; s->times > 0; s->times--) {
            s->vcpus[0].dy_eligible = true; /* others have left it so */
            if (s->yields_to < 0)
                ts_vcpu_on_spin(&s->vcpus[0], s->kernel);
            else
                ts_vcpu_sched_yield(&s->vcpus[0], uint64_t(s->yields_to));
            EXPECT_FALSE(s->vcpus[0].in_spin_loop);
            EXPECT_EQ(s->vcpus[0].dy_eligible, s->yields_to >= 0);
        }
    }
    int times = 0;
    bool kernel = true;
};

constexpr auto waits = Spin::waiting;
constexpr auto sleeps = Spin::asleep;

} // namespace

TEST(OnSpin, TheBoostedOneIsRememberedForTheNextSpin)
{
    Spin s({sleeps, waits, waits});
    EXPECT_EQ(s.exits(1), 2u); /* the sleeper refuses */
    EXPECT_EQ(s.successes(), 1u);
    EXPECT_EQ(s.vcpus[0].last_boosted, 2u);
}

/* kvm->last_boosted_vcpu is written where yield_to has returned 1, nowhere else. */
TEST(OnSpin, WhoCouldNotBeBoostedIsNotRemembered)
{
    Spin s({sleeps, sleeps, sleeps});
    s.vcpus[0].last_boosted = 2;
    s.vcpus[2].ready = false; /* tried, and refused, are 3 and then 1 */
    EXPECT_EQ(s.exits(2), 4u);
    EXPECT_EQ(s.successes(), 0u);
    EXPECT_EQ(s.vcpus[0].last_boosted, 2u);
}

/* From the one after the last that was boosted, and round to it. */
TEST(OnSpin, GoesRoundTheVcpus)
{
    Spin s({waits, sleeps, sleeps});
    s.vcpus[0].last_boosted = 1;
    EXPECT_EQ(s.exits(1), 3u); /* 2, 3 and then 1 */
    EXPECT_EQ(s.vcpus[0].last_boosted, 1u);
    Spin t({waits, sleeps, waits});
    t.vcpus[0].last_boosted = 1;
    EXPECT_EQ(t.exits(1), 2u);
    EXPECT_EQ(t.vcpus[0].last_boosted, 3u);
}

/* yield_to returns 0 for one that does not wait in a queue, which costs no try; -ESRCH, where both
 * pCPUs have one task, costs one of three. */
TEST(OnSpin, OnlyTheLackOfACompetitorSpendsTries)
{
    Spin refused({sleeps, sleeps, sleeps, sleeps, sleeps, waits});
    refused.rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
    EXPECT_EQ(refused.exits(1), 6u);
    EXPECT_EQ(refused.successes(), 1u);
    /* Nobody but the spinner and the busy task of pCPU 1. */
    Spin nobody({sleeps, sleeps, sleeps, sleeps, sleeps});
    EXPECT_EQ(nobody.exits(1), 3u);
}

/* kvm_vcpu_eligible_for_directed_yield: who spins itself is tried every other time, first not. */
TEST(OnSpin, ASpinnerIsEligibleEveryOtherTime)
{
    for (int exits = 1; exits <= 4; exits++) {
        Spin s({sleeps, waits});
        s.vcpus[1].in_spin_loop = true;
        s.vcpus[2].ready = false;
        EXPECT_EQ(s.exits(exits), uint64_t(exits / 2)) << exits;
        EXPECT_EQ(s.vcpus[1].dy_eligible, exits % 2 == 1);
    }
    Spin s({sleeps, waits});
    s.vcpus[1].dy_eligible = true; /* left over: it does not spin */
    s.vcpus[2].ready = false;
    EXPECT_EQ(s.exits(3), 3u);
    EXPECT_TRUE(s.vcpus[1].dy_eligible);
}

/* --- who is a candidate, rule by rule --- */

namespace
{

/* Is one in this state tried? blocked: in kvm_vcpu_block; pending: an interrupt is posted. */
struct State {
    bool preempted, ready, blocked, user, pending;
    bool tried[3]; /* by enum ts_boost_rule, the spinner in the kernel */
};

bool is_tried(const State &state, ts_boost_rule rule, bool in_kernel)
{
    Spin s({sleeps, waits}, rule);
    ts_vcpu &t = s.vcpus[1];
    s.vcpus[2].preempted = s.vcpus[2].ready = false;
    t.preempted = state.preempted;
    t.ready = state.ready;
    t.blocked = state.blocked;
    t.guest_mode = state.user ? TS_MODE_USER : TS_MODE_SYSTEM;
    t.pir = state.pending ? 1 : 0;
    return s.exits(1, in_kernel) == 1;
}

} // namespace

TEST(OnSpin, CandidatesAreTheVersions)
{
    const State states[] = {
        /* preempted, ready, blocked, user, pending */
        {true, true, false, false, false, {true, true, true}},
        {true, true, false, false, true, {true, true, true}},
        {true, true, false, true, false, {false, false, false}},
        {true, true, false, true, true, {false, false, true}},
        {false, true, false, false, false, {false, true, true}}, /* woken, not yet loaded */
        {false, true, false, true, false, {false, true, true}},
        {false, true, true, false, false, {false, false, false}}, /* woken and to block again */
        {false, true, true, false, true, {false, true, true}},
        {false, false, true, false, true, {false, false, false}}, /* nobody has woken it */
        {false, false, false, false, true, {false, false, false}},
    };
    for (const State &state : states) {
        SCOPED_TRACE(testing::Message() << "state " << &state - states);
        for (int rule = TS_BOOST_PREEMPTED; rule <= TS_BOOST_READY_IRQ; rule++) {
            EXPECT_EQ(is_tried(state, ts_boost_rule(rule), true), state.tried[rule]) << rule;
            /* A spinner in user mode takes either level. */
            bool either = rule == TS_BOOST_PREEMPTED ? state.preempted : state.ready;
            either = either && (!state.blocked || state.pending);
            EXPECT_EQ(is_tried(state, ts_boost_rule(rule), false), either) << rule;
        }
    }
}

/* kvm_sched_yield: counted in any case; nothing if the caller's pCPU has nothing else to run, the
 * target is not ready, does not exist or is the caller. */
TEST(SchedYieldHypercall, GoesToAReadyTargetOfACrowdedPcpu)
{
    auto yields = [](int64_t to, bool alone, bool ready, Spin::Where where = waits) {
        Spin s({where, waits});
        s.yields_to = to;
        s.vcpus[1].ready = ready;
        if (!alone)
            s.rig.spawn(0, [](ts_task *self) { ts_task_work_ps(self, 10 * TS_US); });
        EXPECT_EQ(s.exits(1), 1u);
        return s.successes();
    };
    EXPECT_EQ(yields(1, false, true), 1u);
    EXPECT_EQ(yields(1, true, true), 0u);
    EXPECT_EQ(yields(1, false, false), 0u);
    EXPECT_EQ(yields(0, false, true), 0u);
    EXPECT_EQ(yields(3, false, true), 0u);
    EXPECT_EQ(yields(1, false, true, sleeps), 0u);
}

/* --- woken by a posted interrupt --- */

/* pi_wakeup_handler: vCPUs 0, 1 and 2 have blocked on pCPU 0 and been posted interrupts. While 0 is
 * being woken, which takes time, somebody else wakes 1, and its pCPU takes it off the list. */
TEST(Wakeups, TheListMayChangeWhileOneOfItIsWoken)
{
    CpuRig rig(2);
    ts_hypervisor hyp{};
    ts_hyp_pcpu pcpus[2]{};
    std::vector<ts_vcpu> vcpus(3);
    std::vector<uint64_t> woken;
    rig.domain.owner = &hyp;
    hyp.pcpus = pcpus;
    hyp.w.host = &rig.domain;
    for (size_t i = 0; i < vcpus.size(); i++) {
        ts_vcpu &v = vcpus[i];
        ts_error err{};
        static ts_cpu cpu{};
        v.hyp = &hyp;
        v.cpu = &cpu;
        v.accel = TS_ACCEL_IPIV;
        v.pir = 1;
        v.nv_wakeup = true;
        v.wakeup_next = i + 1 < vcpus.size() ? &vcpus[i + 1] : nullptr;
        ASSERT_EQ(ts_task_init(
                      &v.task, &rig.domain, "vcpu", [](ts_task *) {}, nullptr, &err),
                  TS_OK);
        v.task.state = TS_TASK_BLOCKED;
        v.task.cpu = v.task.pinned = &rig.domain.cpus[1];
    }
    pcpus[0].wakeups = &vcpus[0];
    rig.spawn(0, [&](ts_task *self) {
        ts_task_work_ps(self, 10 * TS_US);
        ts_hyp_wakeups(self);
        for (const ts_vcpu &v : vcpus)
            woken.push_back(v.task.state != TS_TASK_BLOCKED);
    });
    for (ts_time t = 10 * TS_US; t < 12 * TS_US; t += 100 * TS_NS)
        rig.at(t, [&] {
            if (hyp.stats.wakeups_nv != 1 || !vcpus[1].nv_wakeup)
                return;
            vcpus[1].task.state = TS_TASK_RUNNABLE; /* as if woken, and about to run */
            ts_vcpu_pi_load(&vcpus[1]);
        });
    rig.run(TS_MS);
    EXPECT_EQ(woken, (std::vector<uint64_t>{1, 1, 1}));
    EXPECT_EQ(hyp.stats.wakeups_nv, 2u); /* 0 and 2 */
    EXPECT_EQ(pcpus[0].wakeups, &vcpus[0]);
    EXPECT_EQ(vcpus[0].wakeup_next, &vcpus[2]);
    for (ts_vcpu &v : vcpus)
        ts_task_fini(&v.task);
}
