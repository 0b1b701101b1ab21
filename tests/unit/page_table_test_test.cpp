/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_page_table_test: what its vCPUs do in each stage, and what a machine makes of it. */
#include <gtest/gtest.h>

#include "models/hypervisor/vcpu_stage.h"
#include "tests/support/host_rig.hpp"
#include "tests/support/pull_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096, block = UINT64_C(1) << 21;
constexpr uint64_t at = UINT64_C(1) << 42;
enum { THREADS, SIZE, START, BACKING, BACK, STAGES, PARAMS };

struct PageTest {
    uint32_t vcpus = 2;
    uint64_t blocks = 3;
    bool huge = true;
    uint64_t back = 0;
    bool all = true; /* stages, or adjust alone */
    std::vector<uint64_t> params() const
    {
        return {vcpus, blocks * block, at, huge ? 1u : 0u, back, all ? 0u : 1u};
    }
};

ts_host_op on_slot(ts_host_op_kind kind, const PageTest &t)
{
    ts_host_op op = host_op(kind, kind == TS_HOST_SLOT_ADD ? t.blocks * block : 0, 0, at);
    op.slot = 1;
    op.level = t.huge ? 1 : 0;
    return op;
}

ts_host_op stage(uint32_t number)
{
    ts_host_op op = host_op(TS_HOST_STAGE);
    op.stage = number;
    return op;
}

/* What the selftest's main thread does. */
std::vector<ts_host_op> vmm(const PageTest &t)
{
    std::vector<ts_host_op> ops{on_slot(TS_HOST_SLOT_ADD, t)};
    if (!t.all) {
        ops.push_back(on_slot(TS_HOST_SLOT_FILL, t));
        ops.push_back(on_slot(TS_HOST_SLOT_SPLIT, t));
    }
    ops.push_back(stage(TS_STAGE_BEFORE));
    if (t.all)
        for (const ts_host_op &op : {stage(TS_STAGE_CREATE), on_slot(TS_HOST_LOG_START, t),
                                     stage(TS_STAGE_UPDATE), on_slot(TS_HOST_LOG_STOP, t)})
            ops.push_back(op);
    for (const ts_host_op &op :
         {stage(TS_STAGE_ADJUST), on_slot(TS_HOST_SLOT_DELETE, t), stage(TS_STAGE_QUIT)})
        ops.push_back(op);
    return ops;
}

ts_machine_config machine(const PageTest &t)
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(t.vcpus));
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.prefault", "false");
    set(c, "hypervisor.backing", "4KiB");
    set(c, "hypervisor.memory", "1GiB");
    return c;
}

/* The workload's operations as a script, so that a host task can be put beside them. */
Script script_of(const PageTest &t)
{
    std::vector<uint64_t> p = t.params();
    WorkloadPtr w = make_workload("kvm_page_table_test", p.data());
    Script s;
    for (uint32_t v = 0; v < t.vcpus; v++)
        s.push_back(pull(w.get(), v));
    return s;
}

Outcome run(const ts_machine_config &c, const PageTest &t)
{
    HostRun r(c);
    r.pinned = true;
    r.task(vmm(t), 3);
    Outcome got = r.run(script_of(t), t.vcpus, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

uint64_t stat(const Outcome &got, const std::string &name)
{
    return got.stats.at("stage2." + name);
}

} // namespace

/* --- operations --- */

TEST(KvmPageTableTest, ThreadsAreOnePerVcpuAndStayThere)
{
    std::vector<uint64_t> p = PageTest{}.params();
    WorkloadPtr w = make_workload("kvm_page_table_test", p.data());
    EXPECT_EQ(w->initial_threads, 2u);
    EXPECT_TRUE(w->pinned);
}

TEST(KvmPageTableTest, WithHugePagesAStageTouchesBlocks)
{
    Script s = script_of({.blocks = 2, .back = 512});
    const std::vector<ts_op> &even = s[0], &odd = s[1];
    ASSERT_EQ(even.size(), 14u);
    EXPECT_EQ(even[0].kind, TS_OP_MMAP);
    EXPECT_EQ(even[0].offset, at);
    EXPECT_EQ(even[0].length, 2 * block);
    EXPECT_EQ(even[0].flags, TS_OPF_PHYSICAL);
    ASSERT_EQ(odd.size(), 13u);
    struct Want {
        ts_op_kind kind;
        uint64_t offset, count;
        bool write;
    };
    const Want touches[] = {{TS_OP_UCALL, TS_STAGE_BEFORE, 0, false},
                            {TS_OP_UCALL, TS_STAGE_CREATE, 0, false},
                            {TS_OP_TOUCH, 0, 1, true}, /* even ones only */
                            {TS_OP_TOUCH, block, 1, true},
                            {TS_OP_UCALL, TS_STAGE_UPDATE, 0, false},
                            {TS_OP_TOUCH, 0, 1, true},
                            {TS_OP_TOUCH, block / 2, 256, false},
                            {TS_OP_TOUCH, block, 1, true},
                            {TS_OP_TOUCH, block + block / 2, 256, false},
                            {TS_OP_UCALL, TS_STAGE_ADJUST, 0, false},
                            {TS_OP_TOUCH, 0, 512, false},
                            {TS_OP_TOUCH, block, 512, false},
                            {TS_OP_UCALL, TS_STAGE_QUIT, 0, false}};
    for (size_t i = 0; i < odd.size(); i++) {
        for (const ts_op *op : {&even[i + 1], &odd[i]}) {
            EXPECT_EQ(op->kind, touches[i].kind) << i;
            if (op->kind == TS_OP_UCALL) {
                EXPECT_EQ(op->region, touches[i].offset) << i;
                EXPECT_EQ(op->count, 2u);
                continue;
            }
            EXPECT_EQ(op->region, 0u);
            EXPECT_EQ(op->offset, touches[i].offset) << i;
            EXPECT_EQ(op->count, touches[i].count) << i;
            EXPECT_EQ(op->stride, page);
            bool create = i == 2 || i == 3;
            EXPECT_EQ(op->flags != 0, touches[i].write && !(create && op == &odd[i])) << i;
            EXPECT_EQ(op->length2, i == 10 || i == 11 ? 512u : 0u) << i;
        }
    }
}

TEST(KvmPageTableTest, WithSmallPagesAStageTouchesEachOfThem)
{
    PageTest t{.blocks = 2, .huge = false};
    std::vector<uint64_t> p = t.params();
    p[SIZE] = 2 * block - 8 * page;
    WorkloadPtr w = make_workload("kvm_page_table_test", p.data());
    std::vector<ts_op> ops = pull(w.get(), 1);
    uint64_t pages[TS_VM_STAGES] = {}, writes[TS_VM_STAGES] = {};
    uint32_t in = 0;
    for (const ts_op &op : ops) {
        if (op.kind == TS_OP_UCALL)
            in = op.region;
        pages[in] += op.count * (op.kind == TS_OP_TOUCH);
        writes[in] += op.flags == TS_OPF_WRITE ? op.count : 0;
    }
    EXPECT_EQ(pages[TS_STAGE_CREATE], 1016u);
    EXPECT_EQ(writes[TS_STAGE_CREATE], 0u);
    EXPECT_EQ(pages[TS_STAGE_UPDATE], 1016u);
    EXPECT_EQ(writes[TS_STAGE_UPDATE], 1016u);
    EXPECT_EQ(pages[TS_STAGE_ADJUST], 1016u);
    EXPECT_EQ(writes[TS_STAGE_ADJUST], 0u);
}

TEST(KvmPageTableTest, AdjustAloneFollowsBefore)
{
    Script s = script_of({.blocks = 1, .all = false});
    ASSERT_EQ(s[1].size(), 4u);
    EXPECT_EQ(s[1][0].region, static_cast<uint32_t>(TS_STAGE_BEFORE));
    EXPECT_EQ(s[1][1].region, static_cast<uint32_t>(TS_STAGE_ADJUST));
    EXPECT_EQ(s[1][2].kind, TS_OP_TOUCH);
    EXPECT_EQ(s[1][3].region, static_cast<uint32_t>(TS_STAGE_QUIT));
}

TEST(KvmPageTableTest, SizeAndStartAreWholePagesOfTheBacking)
{
    for (uint32_t field : {SIZE, START}) {
        for (bool huge : {true, false}) {
            PageTest t{.huge = huge};
            std::vector<uint64_t> p = t.params();
            p[field] += huge ? page : 512;
            EXPECT_THROW(make_workload("kvm_page_table_test", p.data()), std::runtime_error);
        }
    }
}

/* --- machines --- */

/* arm.md 4.6, one vCPU: a fault for each block and for each table page of stage 1; 257 a block
 * while logging, of which the first breaks it; one more that puts it back; and all is unmapped. */
TEST(KvmPageTableTest, CountsAreThoseOfTheSelftest)
{
    for (bool range : {true, false}) {
        PageTest t{.vcpus = 1, .blocks = 5};
        ts_machine_config c = machine(t);
        set(c, "hypervisor.stage2_range_flush", range ? "true" : "false");
        set(c, "hypervisor.stage2_unmap_flush", range ? "deferred" : "each");
        Outcome got = run(c, t);
        uint64_t b = t.blocks, tables = b + 3; /* with an upper, an L1 and a root */
        EXPECT_EQ(stat(got, "faults"), b + tables + 257 * b + b);
        EXPECT_EQ(stat(got, "fault_retry"), 0u);
        EXPECT_EQ(stat(got, "split"), b);
        EXPECT_EQ(stat(got, "collapsed"), b);
        EXPECT_EQ(stat(got, "dirtied"), b);
        EXPECT_EQ(stat(got, "unmapped_blocks"), b);
        EXPECT_EQ(stat(got, "unmapped_pages"), 0u);
        /* The memslot's; one of each block broken, one of each table. */
        EXPECT_EQ(stat(got, range ? "flush_range" : "flush_vmid"), 1 + b + (range ? 1 : 0));
        EXPECT_EQ(got.stats.at("guest.touches"), b + 257 * b + 512 * b);
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
        EXPECT_EQ(got.stats.at("vm_stage.ucalls"), 5u);
        EXPECT_EQ(got.stats.at("vm_stage.stages"), 5u);
        EXPECT_EQ(got.stats.at("hypervisor.exit_user"), 5u);
    }
}

/* With 4 KiB: each page faults to be there, and again to be written; nothing to put back. */
TEST(KvmPageTableTest, SmallPagesAreRelaxedOneByOne)
{
    PageTest t{.vcpus = 1, .blocks = 2, .huge = false};
    Outcome got = run(machine(t), t);
    EXPECT_EQ(stat(got, "relaxed"), 1024u);
    EXPECT_EQ(stat(got, "mapped"), 1024u + 2 + 3);
    EXPECT_EQ(stat(got, "collapsed") + stat(got, "split"), 0u);
    EXPECT_EQ(stat(got, "unmapped_pages"), 1024u);
    EXPECT_EQ(got.stats.at("guest.touches"), 3u * 1024);
}

/* 513 N - 131,328 reads a vCPU (arm.md 4.6). */
TEST(KvmPageTableTest, TheModifiedLoopReads512PagesBackwards)
{
    PageTest t{.vcpus = 1, .blocks = 3, .back = 512, .all = false};
    Outcome got = run(machine(t), t);
    EXPECT_EQ(got.stats.at("guest.touches"), 513u * 512 * t.blocks - 131328);
    EXPECT_EQ(got.stats.at("guest.faults"), 0u); /* nothing before the first page */
    EXPECT_EQ(stat(got, "collapsed"), t.blocks);
}

/* slot_split leaves what update leaves: adjust cannot tell. */
TEST(KvmPageTableTest, ASplitSlotIsWhatUpdateLeaves)
{
    uint64_t faults[2], adjust[2];
    for (bool all : {true, false}) {
        PageTest t{.vcpus = 1, .blocks = 3, .all = all};
        ts_machine_config c = machine(t);
        set(c, "run.oracle", "false");
        /* The guest's own tables are there, and no translation is left. */
        set(c, "hypervisor.prefault", "true");
        std::vector<ts_host_op> ops = vmm(t);
        HostRun r(c);
        r.pinned = true;
        for (size_t i = 0; i < ops.size(); i++)
            if (ops[i].kind == TS_HOST_STAGE && ops[i].stage == TS_STAGE_ADJUST) {
                ops.insert(ops.begin() + static_cast<long>(i), host_op(TS_HOST_FLUSH));
                break;
            }
        r.task(ops, 3);
        Outcome got = r.run(script_of(t), 1, "tlbi_broadcast");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        faults[all] = stat(got, "faults") - (all ? 258 * t.blocks : 0);
        adjust[all] = got.stats.at("vm_stage.adjust_ps");
        EXPECT_EQ(stat(got, "collapsed"), t.blocks);
    }
    EXPECT_EQ(faults[0], faults[1]);
    EXPECT_LT(adjust[1] > adjust[0] ? adjust[1] - adjust[0] : adjust[0] - adjust[1],
              adjust[0] / 200);
}

/* Whoever comes while a table is being broken gives up and comes again; one wins each block. */
TEST(KvmPageTableTest, OneVcpuWinsEachBlock)
{
    PageTest t{.vcpus = 3, .blocks = 6, .back = 8};
    Outcome got = run(machine(t), t);
    EXPECT_EQ(stat(got, "collapsed"), t.blocks);
    EXPECT_EQ(stat(got, "split"), t.blocks);
    EXPECT_GT(stat(got, "fault_retry"), t.blocks);
    EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    EXPECT_EQ(got.stats.at("vm_stage.ucalls"), 5u * t.vcpus);
}

/* --- stages --- */

/* A vCPU's exit and return are on the way of a stage once: what they take longer the stage takes
 * longer. */
TEST(KvmPageTableTest, AStageHasOneExitAndOneReturn)
{
    ts_time before[2];
    for (uint32_t i = 0; i < 2; i++) {
        PageTest t{.vcpus = 2, .blocks = 1};
        ts_machine_config c = machine(t);
        set(c, "hypervisor.user_exit", i ? "9000cycles" : "4000cycles");
        before[i] = run(c, t).stats.at("vm_stage.before_ps");
    }
    ts_machine_config c = machine({});
    /* To the cycle that the other clock's edges take or give. */
    EXPECT_NEAR(static_cast<double>(before[1] - before[0]),
                5000e12 / static_cast<double>(c.topology.core_hz),
                1e12 / static_cast<double>(c.topology.core_hz));
}

/* The host's thread waits for the last of the vCPUs, which have unequal work. */
TEST(KvmPageTableTest, AStageEndsWithTheLastVcpu)
{
    auto ready = [](uint32_t number) {
        ts_op op = op_of(TS_OP_UCALL, number);
        op.count = 3;
        return op;
    };
    Script s(3);
    for (uint32_t v = 0; v < 3; v++)
        s[v] = {ready(TS_STAGE_BEFORE), op_ns(TS_OP_COMPUTE, 1000000 * (v + 1)),
                ready(TS_STAGE_QUIT)};
    PageTest t{.vcpus = 3};
    HostRun r(machine(t));
    r.pinned = true;
    r.task({stage(TS_STAGE_BEFORE), stage(TS_STAGE_QUIT)}, 3);
    Outcome got = r.run(s, 3, "tlbi_broadcast");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GE(got.stats.at("vm_stage.before_ps"), 3 * TS_MS);
    EXPECT_LT(got.stats.at("vm_stage.before_ps"), 3 * TS_MS + 100 * TS_US);
}

/* And begins with the last of them, when the thread comes while one is still on its way. */
TEST(KvmPageTableTest, AStageBeginsWithTheLastVcpu)
{
    Script s(3);
    for (uint32_t v = 0; v < 3; v++) {
        ts_op before = op_of(TS_OP_UCALL, TS_STAGE_BEFORE),
              quit = op_of(TS_OP_UCALL, TS_STAGE_QUIT);
        before.count = quit.count = 3;
        s[v] = {op_ns(TS_OP_COMPUTE, v == 2 ? 5000000 : 1000000), before,
                op_ns(TS_OP_COMPUTE, 1000000), quit};
    }
    PageTest t{.vcpus = 3};
    HostRun r(machine(t));
    r.pinned = true;
    ts_time came = 0;
    r.task({host_op(TS_HOST_SLEEP, 3 * TS_MS),
            r.code([&](ts_task *self, ts_hypervisor *) { came = ts_task_now(self); }),
            stage(TS_STAGE_BEFORE), stage(TS_STAGE_QUIT)},
           3);
    Outcome got = r.run(s, 3, "tlbi_broadcast");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_LT(came, 4 * TS_MS);
    EXPECT_GE(got.stats.at("vm_stage.before_ps"), TS_MS);
    EXPECT_LT(got.stats.at("vm_stage.before_ps"), TS_MS + 100 * TS_US);
    EXPECT_GE(got.result.completion_ps, 6 * TS_MS);
    EXPECT_EQ(got.stats.at("vm_stage.ucalls"), 6u);
}

TEST(KvmPageTableTest, VcpusAndVmmAgreeOnTheStage)
{
    PageTest t{.vcpus = 2, .blocks = 1};
    HostRun r(machine(t));
    r.pinned = true;
    r.task({on_slot(TS_HOST_SLOT_ADD, t), stage(TS_STAGE_BEFORE), stage(TS_STAGE_UPDATE)}, 3);
    Outcome got = r.run(script_of(t), 2, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("stage update of VM 0: its vCPUs are ready for stage create"),
              std::string::npos)
        << got.message;
}

TEST(KvmPageTableTest, EachVcpuHasAThread)
{
    PageTest t{.vcpus = 2};
    ts_machine_config c = machine(t);
    set(c, "run.vcpus", "3");
    HostRun r(c);
    r.pinned = true;
    r.task(vmm(t), 3);
    Outcome got = r.run(script_of(t), 2, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("workload.threads is 2, run.vcpus is 3"), std::string::npos)
        << got.message;
}

TEST(KvmPageTableTest, NeedsAVmm)
{
    ts_machine_config c = bare_machine(2);
    Outcome got = run_script(c, script_of({}), 2);
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("there is none"), std::string::npos) << got.message;
}

TEST(KvmPageTableTest, OnlyBlocksOfTwoMegabytesAreSplit)
{
    PageTest t{.vcpus = 1, .huge = false};
    HostRun r(machine(t));
    r.pinned = true;
    r.task({on_slot(TS_HOST_SLOT_ADD, t), on_slot(TS_HOST_SLOT_SPLIT, t)}, 3);
    Outcome got = r.run({{op_ns(TS_OP_COMPUTE, 1000)}}, 1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("is no 2 MiB pages"), std::string::npos) << got.message;
}
