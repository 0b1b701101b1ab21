/* SPDX-License-Identifier: Apache-2.0 */
/* A mechanism that calls CPUs in its own way, made of the steps of a call (smp_call.h) and of
 * nothing else of the kernel's insides: the initiator interrupts one CPU of each group, which
 * interrupts the others of its group and then flushes. All acknowledge to the initiator. */
#include <gtest/gtest.h>

#include "models/flush/flush.h"
#include "tests/support/shared_scripts.hpp"

using namespace ts_test;

namespace
{

constexpr uint32_t fanout = 2;

struct Tree {
    ts_smp_call call;
    ts_flush_info *info;
};

/* On a target. The first of a group finds the others' csds not yet queued. */
void tree_func(ts_task *self, void *arg)
{
    auto *tree = static_cast<Tree *>(arg);
    const uint32_t group = ts_guest_cpu_of(self)->id / fanout;
    bool forwards = false;
    for (ts_csd *csd = tree->call.csds; csd; csd = csd->call_next) {
        if (csd->target / fanout == group && !csd->sender) {
            ts_smp_call_queue(self, csd);
            forwards = true;
        }
    }
    if (forwards)
        ts_smp_call_send(self, &tree->call);
    ts_flush_tlb_func(self, tree->info);
}

void tree_flush(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                ts_shootdown_record *record)
{
    const ts_guest_cpu *gc = ts_guest_cpu_of(self);
    Tree tree{};
    tree.info = info;
    ts_smp_call_begin(&tree.call, self);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        if (cpu != gc->id)
            ts_smp_call_prepare(&tree.call, &gc->guest->cpus[cpu], tree_func, &tree);
    }
    uint32_t group = UINT32_MAX;
    for (ts_csd *csd = tree.call.csds; csd; csd = csd->call_next) {
        if (csd->target / fanout != group)
            ts_smp_call_queue(self, csd);
        group = csd->target / fanout;
    }
    ts_smp_call_send(self, &tree.call);
    ts_time local_start = ts_task_now(self);
    if (ts_cpumask_test(mask, gc->id))
        ts_flush_local(self, info);
    ts_time local_end = ts_task_now(self);
    ts_smp_call_wait(&tree.call);
    ts_smp_call_account(&tree.call, record, local_start, local_end);
    ts_smp_call_end(&tree.call);
}

const ts_flush_ops *tree_mechanism()
{
    static const ts_flush_ops ops = [] {
        ts_flush_ops o{};
        o.name = "tree";
        o.remote_by_mask = true;
        o.flush_multi = tree_flush;
        return o;
    }();
    return &ops;
}

ts_machine_config machine(const char *vms, const char *kind, bool arm = false)
{
    ts_machine_config c = small_machine(arm);
    if (arm && std::string(kind) != "none") {
        set(c, "hypervisor.pin", "true"); /* a local TLBI stays on its pCPU */
        set(c, "hypervisor.hcr_fb", "false");
    }
    set(c, "run.vms", vms);
    set(c, "hypervisor.kind", kind);
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    return c;
}

} // namespace

TEST(TreeShootdown, NoStaleTranslationIsUsed)
{
    struct {
        const char *vms, *kind;
        bool arm;
    } machines[] = {{"1", "none", false},
                    {"1", "kvm", false},
                    {"3", "kvm", false},
                    {"1", "none", true},
                    {"3", "kvm", true}};
    for (auto [vms, kind, arm] : machines) {
        for (const SharedScript &script : shared_scripts()) {
            SCOPED_TRACE(std::string(script.name) + " on " + kind + " x " + vms +
                         (arm ? ", arm64" : ""));
            Outcome got = run_shared(machine(vms, kind, arm), tree_mechanism(), script, 24);
            ASSERT_EQ(got.status, TS_OK) << got.message;
            EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
            EXPECT_GT(got.stats.at("guest.shootdowns"), 6u);
        }
    }
}

/* The path of a leaf goes through the CPU that forwarded to it: until then it is the call's
 * sending, and the parts add up all the same. */
TEST(TreeShootdown, ItsPathsAddUpAndLeadToCpusThatWereNamed)
{
    ts_machine_config c = machine("1", "none");
    set(c, "topology.cores_per_socket", "8");
    const std::vector<ts_op> busy = {op_ns(TS_OP_COMPUTE, 9000000)};
    std::vector<ts_op> unmaps = {op_ns(TS_OP_COMPUTE, 1000000)};
    for (uint32_t region = 0; region < 20; region++) {
        unmaps.push_back(op_mmap(region, 8 * 4096));
        unmaps.push_back(op_touch(region, 0, 8));
        unmaps.push_back(op_range(TS_OP_MUNMAP, region, 0, 8 * 4096));
    }
    const Script script = {unmaps, busy, busy, busy, busy, busy, busy, busy};
    Outcome tree = run_script(c, script, 8, tree_mechanism());
    Outcome flat = run_script(c, script, 8, "native_concurrent");
    ASSERT_EQ(tree.status, TS_OK) << tree.message;
    ASSERT_GE(tree.shootdowns.size(), 20u);
    for (const auto &r : tree.shootdowns) {
        ts_time sum = 0;
        for (ts_time part : r.part_ps)
            sum += part;
        EXPECT_EQ(sum, r.total_ps);
        EXPECT_EQ(r.targets, 7u);
        EXPECT_LT(r.last_target, 16u);
        EXPECT_GT(r.part_ps[TS_PATH_HANDLER], 0u);
        EXPECT_GT(r.part_ps[TS_PATH_TRANSPORT], 0u);
        EXPECT_GT(r.part_ps[TS_PATH_FLUSH], 0u);
    }
    /* One interrupt a target either way; the initiator writes its register for the leaders only. */
    EXPECT_EQ(tree.stats.at("guest.ipis"), flat.stats.at("guest.ipis"));
    EXPECT_EQ(tree.stats.at("guest.targets"), flat.stats.at("guest.targets"));
}
