/* SPDX-License-Identifier: Apache-2.0 */
/* What flushes that the hypervisor makes leave to be flushed again, by kind (x86.md 5.4, R1 to R6),
 * and the remote write of tlb_gen that spares it, with its caveats. */
#include <gtest/gtest.h>

#include "models/guest/coherence/assisted.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint64_t table = 512 * page;

std::vector<uint64_t> update_params(const char *mode, const char *atomic = "true",
                                    const char *mechanism = "kvm_pv_update_gen")
{
    return mechanism_params(ts_flush_find(mechanism),
                            {{"update_gen", mode}, {"update_atomic", atomic}});
}

ts_machine_config one_vm(uint32_t vcpus = 2)
{
    ts_machine_config c = small_machine();
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    return c;
}

/* Munmap of a region of its own table: tables are freed, so that lazy CPUs are flushed as well. */
void unmap_with_table(std::vector<ts_op> &ops, uint32_t region)
{
    ops.push_back(op_mmap(region, table));
    ops.push_back(op_touch(region, 0, 1));
    ops.push_back(op_range(TS_OP_MUNMAP, region, 0, table));
}

/* A mechanism whose flush_multi is fn over the state of the native one. */
template <void (*F)(ts_task *, const ts_cpumask *, ts_flush_info *, ts_shootdown_record *)>
const ts_flush_ops *trial()
{
    static const ts_flush_ops ops = [] {
        ts_flush_ops o{};
        o.name = "trial";
        o.remote_by_mask = true;
        o.flush_multi = F;
        return o;
    }();
    return &ops;
}

uint64_t sum_of(const Outcome &out, const char *prefix)
{
    uint64_t sum = 0;
    for (const auto &[name, value] : out.stats)
        sum += name.rfind(prefix, 0) == 0 ? value : 0;
    return sum;
}

/* What the trial mechanisms saw. */
struct Seen {
    ts_update_result read, written;
    uint64_t before, after;
    ts_time read_ps, write_ps;
};
std::vector<Seen> seen;
bool recycle, atomic_write, newer, behind, switching, raised;

/* Reads the other CPU's slot, lets something happen to it, writes. Then flushes natively, from a
 * slot put back to what it was. */
void update_between(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                    ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_guest_cpu *target = &g->cpus[1 - ts_guest_cpu_of(self)->id];
    ts_tlb_context *slot = &target->ctxs[target->loaded_asid];
    const ts_tlb_context was = *slot;
    Seen s{};
    ts_gen_update update{};
    ts_time t0 = ts_task_now(self);
    if (behind)
        slot->tlb_gen = info->new_tlb_gen - 2;
    const bool was_switching = target->switching;
    target->switching = switching;
    s.read = ts_gen_update_read(self, target, info, &update);
    target->switching = was_switching;
    s.read_ps = ts_task_now(self) - t0;
    if (s.read == TS_UPDATE_DONE) {
        if (recycle)
            slot->ctx_id += 1000;
        if (newer)
            slot->tlb_gen = info->new_tlb_gen + 5;
        s.before = slot->tlb_gen;
        t0 = ts_task_now(self);
        info->mm->tlb_gen += raised ? 3 : 0;
        s.written = ts_gen_update_write(self, &update, info, atomic_write);
        info->mm->tlb_gen -= raised ? 3 : 0;
        s.write_ps = ts_task_now(self) - t0;
        s.after = slot->tlb_gen;
    }
    seen.push_back(s);
    *slot = was;
    ts_native_flush_tlb_multi(self, mask, info, record);
}

Seen one_update(bool whole, bool atomic)
{
    seen.clear();
    atomic_write = atomic;
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 64 * page), op_touch(0, 0, 64)};
    ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, (whole ? 40 : 4) * page));
    Outcome out =
        run_script(one_vm(), {ops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2, trial<update_between>());
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(seen.size(), 1u);
    return seen.empty() ? Seen{} : seen[0];
}

class AssistedFlush : public testing::Test
{
  protected:
    void SetUp() override
    {
        recycle = newer = behind = switching = raised = false;
    }
};

} // namespace

TEST_F(AssistedFlush, NativeFlushesLeaveNothingToBeDoneTwice)
{
    ts_machine_config c = small_machine();
    for (const char *name : {"native_concurrent", "native_sequential"}) {
        Outcome out = run_storm(c, ts_flush_find(name), {{"threads", "6"}, {"rounds", "20"}}, 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(sum_of(out, "guest.redundant_") + sum_of(out, "guest.avoided_"), 0u) << name;
    }
}

TEST_F(AssistedFlush, AnIdleTargetOfTheHypercallFlushesAgainWhenItsProcessReturns)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms)};
    unmap_with_table(ops, 0);
    ops.push_back(op_ns(TS_OP_COMPUTE, 4 * ms));
    for (bool sleeps : {false, true}) {
        Outcome out = run_script(
            one_vm(),
            {ops, {op_ns(sleeps ? TS_OP_SLEEP : TS_OP_COMPUTE, 3 * ms), op_ns(TS_OP_COMPUTE, ms)}},
            2, "hyperv");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.redundant_lazy_return"), sleeps ? 1u : 0u);
    }
}

/* The initiator's own flush is in the hypercall, so its next flush in software is a whole one. */
TEST_F(AssistedFlush, TheInitiatorsNextLocalFlushIsAWholeOne)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms),
                              op_mmap(0, 64 * page),
                              op_touch(0, 0, 64),
                              op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page), /* by hypercall */
                              op_ns(TS_OP_COMPUTE, 9 * ms),                 /* the other ends */
                              op_range(TS_OP_MADVISE_DONTNEED, 0, 8 * page, page),
                              op_range(TS_OP_MADVISE_DONTNEED, 0, 9 * page, page)};
    ts_machine_config c = one_vm();
    set(c, "guest.lazy_rule", "init_mm"); /* it leaves the mask when it ends */
    Outcome out = run_script(c, {ops, {op_ns(TS_OP_COMPUTE, 4 * ms)}}, 2, "hyperv");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.redundant_initiator"), 1u);
    EXPECT_EQ(sum_of(out, "guest.redundant_"), 1u);
}

TEST_F(AssistedFlush, TheWriteTakesTheTargetsLineTwiceAndRaisesItsGeneration)
{
    Seen s = one_update(true, true);
    EXPECT_EQ(s.read, TS_UPDATE_DONE);
    EXPECT_EQ(s.written, TS_UPDATE_DONE);
    EXPECT_EQ(s.after, s.before + 1);
    EXPECT_GT(s.read_ps, 0u);
    EXPECT_GT(s.write_ps, 0u);
}

TEST_F(AssistedFlush, ASlotThatChangedHandsIsNotWritten)
{
    recycle = true;
    Seen s = one_update(true, true);
    EXPECT_EQ(s.written, TS_UPDATE_LOST);
    EXPECT_EQ(s.after, s.before);
    /* A plain store is, which the compare-and-exchange is for. */
    s = one_update(true, false);
    EXPECT_EQ(s.written, TS_UPDATE_DONE);
    EXPECT_EQ(s.after, s.before + 1);
}

/* Its target may run with what that one takes away. */
TEST_F(AssistedFlush, AFlushThatHasBegunMeanwhileIsNotTakenForMade)
{
    raised = true;
    for (const bool atomic : {true, false}) {
        Seen s = one_update(true, atomic);
        EXPECT_EQ(s.written, TS_UPDATE_DONE);
        EXPECT_EQ(s.after, s.before + 1);
    }
}

TEST_F(AssistedFlush, ANewerGenerationIsNeverLowered)
{
    newer = true;
    Seen s = one_update(true, true);
    EXPECT_EQ(s.written, TS_UPDATE_LOST);
    EXPECT_EQ(s.after, s.before);
}

TEST_F(AssistedFlush, AfterAMissedGenerationAFlushOfARangeIsNotWritten)
{
    EXPECT_EQ(one_update(false, true).read, TS_UPDATE_DONE);
    behind = true;
    EXPECT_EQ(one_update(false, true).read, TS_UPDATE_BEHIND);
    EXPECT_EQ(one_update(true, true).read, TS_UPDATE_DONE);
}

TEST_F(AssistedFlush, ACpuThatIsSwitchingIsLeftAlone)
{
    switching = true;
    EXPECT_EQ(one_update(true, true).read, TS_UPDATE_NO_SLOT);
}

/* The caller's own CPU is flushed by the call as well; its slot is written as the others' are. */
TEST_F(AssistedFlush, TheHypercallsTargetsAreWrittenIfAskedFor)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms)};
    unmap_with_table(ops, 0);
    ops.push_back(op_ns(TS_OP_COMPUTE, 4 * ms));
    const Script script = {ops, {op_ns(TS_OP_SLEEP, 3 * ms), op_ns(TS_OP_COMPUTE, ms)}};
    Outcome out = run_script(one_vm(), script, 2, ts_flush_find("hyperv"),
                             update_params("full_only", "true", "hyperv").data());
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("flush.hyperv.considered"), 2u);
    EXPECT_EQ(out.stats.at("flush.hyperv.updated"), 2u);
    EXPECT_EQ(out.stats.at("guest.redundant_lazy_return"), 0u);
    EXPECT_EQ(out.stats.at("guest.avoided_lazy_return"), 1u);
}

/* --- kvm_pv_update_gen under overcommit, beside kvm_pv --- */

namespace
{

Outcome overcommitted(const char *name, const void *params)
{
    ts_machine_config c = small_machine();
    set(c, "run.vms", "3");
    set(c, "run.vcpus", "4");
    set(c, "hypervisor.pv_preempted_rule", "any_put");
    set(c, "host_sched.slice", "200us");
    std::vector<ts_op> ops, busy;
    for (uint32_t i = 0; i < 40; i++) {
        unmap_with_table(ops, 2 * i);
        ops.push_back(op_mmap(2 * i + 1, page));
        ops.push_back(op_touch(2 * i + 1, 0, 1));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 2 * i + 1, 0, page));
        ops.push_back(op_ns(TS_OP_COMPUTE, ms / 2));
        busy.push_back(op_ns(TS_OP_COMPUTE, 2 * ms));
        busy.push_back(op_ns(TS_OP_SLEEP, ms / 5));
    }
    return run_script(c, {ops, busy, busy, busy}, 4, ts_flush_find(name), params);
}

} // namespace

TEST_F(AssistedFlush, UpdateGenSparesWhatKvmPvFlushesTwice)
{
    Outcome pv = overcommitted("kvm_pv", nullptr);
    ASSERT_EQ(pv.status, TS_OK) << pv.message;
    ASSERT_GT(pv.stats.at("flush.kvm_pv.deferred"), 50u);
    EXPECT_GT(sum_of(pv, "guest.redundant_"), 5u);
    EXPECT_EQ(sum_of(pv, "guest.avoided_"), 0u);

    Outcome gen = overcommitted("kvm_pv_update_gen", nullptr);
    ASSERT_EQ(gen.status, TS_OK) << gen.message;
    EXPECT_EQ(gen.stats.at("oracle.hits_stale"), 0u);
    EXPECT_GT(sum_of(gen, "guest.avoided_"), 5u);
    EXPECT_LT(sum_of(gen, "guest.redundant_"), sum_of(pv, "guest.redundant_") / 4);
    EXPECT_GT(gen.stats.at("flush.kvm_pv_update_gen.updated"), 50u);
    EXPECT_GT(gen.stats.at("flush.kvm_pv_update_gen.update_ps"), 0u);
}

TEST_F(AssistedFlush, ItsModeSaysAfterWhichFlushesItWrites)
{
    Outcome pv = overcommitted("kvm_pv", nullptr);
    Outcome off = overcommitted("kvm_pv_update_gen", update_params("off").data());
    ASSERT_EQ(off.status, TS_OK) << off.message;
    EXPECT_EQ(off.stats.at("flush.kvm_pv_update_gen.considered"), 0u);
    EXPECT_EQ(off.result.completion_ps, pv.result.completion_ps);
    EXPECT_EQ(sum_of(off, "guest."), sum_of(pv, "guest."));

    Outcome full = overcommitted("kvm_pv_update_gen", update_params("full_only").data());
    Outcome both = overcommitted("kvm_pv_update_gen", update_params("full_and_partial").data());
    for (const Outcome *out : {&full, &both}) {
        ASSERT_EQ(out->status, TS_OK) << out->message;
        EXPECT_EQ(out->stats.at("oracle.hits_stale"), 0u);
    }
    const auto considered = [](const Outcome &out) {
        return out.stats.at("flush.kvm_pv_update_gen.considered");
    };
    EXPECT_GT(considered(full), 0u);
    EXPECT_LT(considered(full), full.stats.at("flush.kvm_pv_update_gen.deferred"));
    EXPECT_EQ(considered(both), both.stats.at("flush.kvm_pv_update_gen.deferred"));
}
