/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that differ on one host: sizes, mechanisms, guests; those in the background; and where their
 * vCPUs may be. */
#include <gtest/gtest.h>

#include <list>
#include <set>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

/* Compute for so long, in pieces; 0: for ever. */
struct Spinner {
    ts_workload workload{};
    uint64_t left; /* by all threads, in pieces of 10 us */
    bool endless;
    uint64_t piece_ns = 10000;

    explicit Spinner(uint32_t threads, uint64_t pieces) : left(pieces), endless(pieces == 0)
    {
        workload.initial_threads = threads;
        workload.endless = endless;
        workload.next = next;
    }
    static int next(ts_workload *w, uint32_t, ts_op *op, ts_error *)
    {
        auto *s = reinterpret_cast<Spinner *>(w);
        if (!s->endless && s->left-- == 0) {
            s->left = 0;
            return 0;
        }
        *op = op_ns(TS_OP_COMPUTE, s->piece_ns);
        op->flags = TS_OPF_RECORD;
        return 1;
    }
};

ts_vm_shape shape_of(const ts_machine_config &c, const char *name, uint64_t vcpus)
{
    ts_vm_shape s{};
    s.name = name;
    s.vcpus = vcpus;
    s.guest = c.guest;
    s.nt = c.nt;
    s.guest_sched = c.guest_sched;
    s.shares = TS_SHARES_DEFAULT;
    return s;
}

void confine(ts_vm_shape &s, const ts_machine_config &c, std::set<uint32_t> pcpus)
{
    const ts_topology_params &t = c.topology;
    ts_cpumask_init(&s.pcpus, uint32_t(t.sockets * t.cores_per_socket * t.threads_per_core));
    for (uint32_t p : pcpus)
        ts_cpumask_set(&s.pcpus, p);
}

struct Mixed {
    ts_status status = TS_OK;
    std::string message;
    struct ts_machine_result result = {};
    std::vector<struct ts_machine_vm_result> vms;
    std::map<std::string, uint64_t> stats;
    /* By the name of a host's task, the pCPUs that it has been on. */
    std::map<std::string, std::set<uint32_t>> where;
};

void on_timeline(void *user, const ts_timeline_record *e)
{
    if (e->group == 0 && e->kind == TS_TL_BEGIN)
        static_cast<Mixed *>(user)->where[e->name].insert(e->track);
}

Mixed run_mixed(ts_machine_config c, const std::vector<const ts_vm_shape *> &shapes,
                const std::vector<ts_machine_vm> &vms)
{
    Mixed out;
    ts_error err{};
    ts_machine *m = nullptr;
    c.run.vms = shapes.size();
    c.shapes = shapes.data();
    out.status = ts_machine_create(&m, &c, vms.data(), 1, &err);
    if (out.status == TS_OK) {
        ts_machine_set_timeline(m, on_timeline, &out);
        out.status = ts_machine_start(m, &err);
        if (out.status == TS_OK) {
            ts_machine_run(m);
            out.status = ts_machine_finish(m, &err);
        }
        ts_machine_result(m, &out.result);
        ts_machine_visit_stats(m, collect, &out.stats);
        for (uint32_t v = 0; v < shapes.size(); v++) {
            out.vms.emplace_back();
            ts_machine_vm_result(m, v, &out.vms.back());
        }
        ts_machine_destroy(m);
    }
    out.message = err.message;
    return out;
}

const ts_flush_ops *native()
{
    return ts_flush_find("native_concurrent");
}

} // namespace

TEST(VmShapes, EachVmHasItsOwnSizeAndMechanism)
{
    ts_machine_config c = small_machine();
    ts_vm_shape one = shape_of(c, "one", 1), three = shape_of(c, "three", 3),
                eight = shape_of(c, "eight", 8);
    Spinner a(1, 10), b(3, 10), d(8, 10);
    Mixed got = run_mixed(c, {&one, &three, &eight},
                          {{&a.workload, native(), nullptr},
                           {&b.workload, ts_flush_find("kvm_pv"), nullptr},
                           {&d.workload, ts_flush_find("native_sequential"), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.vms[0].vcpus, 1u);
    EXPECT_EQ(got.vms[1].vcpus, 3u);
    EXPECT_EQ(got.vms[2].vcpus, 8u);
    EXPECT_STREQ(got.vms[0].mechanism->name, "native_concurrent");
    EXPECT_STREQ(got.vms[1].mechanism->name, "kvm_pv");
    EXPECT_STREQ(got.vms[2].mechanism->name, "native_sequential");
    EXPECT_EQ(got.result.operations,
              got.vms[0].operations + got.vms[1].operations + got.vms[2].operations);
    EXPECT_EQ(got.where.count("vm2/vcpu7"), 1u);
    EXPECT_EQ(got.where.count("vm0/vcpu1"), 0u);
}

/* A Linux guest beside one that is like Windows, with a rule of its own: a list of one page. */
TEST(VmShapes, EachVmHasItsOwnOperatingSystem)
{
    ts_machine_config c = small_machine();
    ts_vm_shape linux_vm = shape_of(c, "linux", 1), windows = shape_of(c, "windows", 1);
    windows.guest.os = TS_OS_WINDOWS;
    windows.nt.flush_list_max = 1;
    Script script{{op_mmap(0, 4 * 4096), op_touch(0, 0, 4),
                   op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4 * 4096)}};
    ScriptWorkload a(script, 1), b(script, 1);
    Mixed got = run_mixed(c, {&linux_vm, &windows},
                          {{a.get(), native(), nullptr}, {b.get(), native(), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.count("nt.flushes"), 1u);
    EXPECT_EQ(got.stats["nt.flush_lists"], 0u);
    EXPECT_EQ(got.stats["nt.flush_whole"], 2u); /* and what the exit unmaps */
    got = run_mixed(c, {&linux_vm}, {{ScriptWorkload(script, 1).get(), native(), nullptr}});
    EXPECT_EQ(got.stats.count("nt.flushes"), 0u);
}

/* A guest's own parameters: a system call that takes longer. */
TEST(VmShapes, EachVmHasItsOwnGuest)
{
    ts_machine_config c = small_machine();
    ts_vm_shape fast = shape_of(c, "fast", 1), slow = shape_of(c, "slow", 1);
    slow.guest.nanosleep_cycles += 1000000;
    Script script{{op_ns(TS_OP_SLEEP, 1000)}};
    ScriptWorkload a(script, 1), b(script, 1);
    Mixed got =
        run_mixed(c, {&fast, &slow}, {{a.get(), native(), nullptr}, {b.get(), native(), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.vms[1].system_ps, got.vms[0].system_ps + 300 * TS_US);
}

/* It runs as long as the measured one, however short or long its own stream is, and counts in
 * nothing but its own row. */
TEST(VmShapes, AVmInTheBackgroundEndsWithTheOthers)
{
    ts_machine_config c = small_machine();
    ts_vm_shape own = shape_of(c, "own", 2), other = shape_of(c, "other", 2);
    other.background = true;
    for (uint64_t pieces : {UINT64_C(0), UINT64_C(3), UINT64_C(100000000)}) {
        Spinner a(2, 2000), b(2, pieces);
        Mixed got = run_mixed(c, {&own, &other},
                              {{&a.workload, native(), nullptr}, {&b.workload, native(), nullptr}});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.vms[0].operations, 2000u);
        EXPECT_EQ(got.result.operations, 2000u);
        EXPECT_EQ(got.result.records, got.vms[0].records);
        EXPECT_EQ(got.result.record_rate_uhz, got.vms[0].record_rate_uhz);
        EXPECT_EQ(got.result.user_ps, got.vms[0].user_ps);
        EXPECT_EQ(got.result.completion_ps, got.vms[0].completion_ps);
        EXPECT_EQ(got.result.mean_completion_ps, got.vms[0].completion_ps);
        EXPECT_TRUE(got.vms[1].background);
        if (pieces == 3) {
            EXPECT_EQ(got.vms[1].operations, 3u);
            EXPECT_LT(got.vms[1].completion_ps, got.vms[0].completion_ps);
        } else {
            /* Each of its threads ends with the piece that it is at. */
            EXPECT_GT(got.vms[1].operations, 1000u);
            EXPECT_GE(got.vms[1].completion_ps, got.vms[0].completion_ps);
            EXPECT_LT(got.vms[1].completion_ps, got.vms[0].completion_ps + 100 * TS_US);
        }
    }
}

TEST(VmShapes, AVmInTheBackgroundMayFinishWhatItIsAt)
{
    ts_machine_config c = small_machine();
    ts_vm_shape own = shape_of(c, "own", 1), other = shape_of(c, "other", 1);
    other.background = true;
    Spinner a(1, 700), b(1, 0);
    b.piece_ns = 5000000;
    Mixed got = run_mixed(c, {&own, &other},
                          {{&a.workload, native(), nullptr}, {&b.workload, native(), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.vms[1].operations, 2u);
    EXPECT_GT(got.vms[1].completion_ps, 10 * TS_MS);
}

/* The watchdog looks at those that are measured. */
TEST(VmShapes, ABackgroundVmIsNoProgress)
{
    ts_machine_config c = small_machine();
    set(c, "run.progress", "5ms");
    ts_vm_shape own = shape_of(c, "own", 1), other = shape_of(c, "other", 1);
    other.background = true;
    Script script{{op_ns(TS_OP_SLEEP, 50000000)}};
    ScriptWorkload a(script, 1);
    Spinner b(1, 0);
    Mixed got = run_mixed(c, {&own, &other},
                          {{a.get(), native(), nullptr}, {&b.workload, native(), nullptr}});
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_NE(got.message.find("1 of 1 guests"), std::string::npos) << got.message;
}

/* Wake-up placement, idle pull and balancing stay within the set, and use all of it. */
TEST(VmShapes, VcpusStayWhereTheyMayBe)
{
    for (size_t p = 0; p < ts_sched_table_count; p++) {
        for (bool beside : {false, true}) {
            ts_machine_config c = small_machine();
            c.host_sched.policy = p;
            ts_vm_shape own = shape_of(c, "own", 5), other = shape_of(c, "other", 6);
            other.background = true;
            confine(own, c, {1, 2});
            Spinner a(5, 20000), b(beside ? 6 : 1, beside ? 0 : 1);
            Mixed got =
                run_mixed(c, {&own, &other},
                          {{&a.workload, native(), nullptr}, {&b.workload, native(), nullptr}});
            ASSERT_EQ(got.status, TS_OK) << got.message << ts_sched_table[p]->name;
            std::set<uint32_t> all;
            for (int i = 0; i < 5; i++)
                for (uint32_t cpu : got.where["vm0/vcpu" + std::to_string(i)])
                    all.insert(cpu);
            EXPECT_EQ(all, (std::set<uint32_t>{1, 2})) << ts_sched_table[p]->name;
            if (!beside) {
                /* 200 ms of work on two pCPUs, but for ticks and switches. */
                EXPECT_LT(got.result.completion_ps, 108 * TS_MS) << ts_sched_table[p]->name;
            }
        }
    }
}

TEST(VmShapes, APinnedVcpuStaysWhereItBegins)
{
    ts_machine_config c = small_machine();
    ts_vm_shape own = shape_of(c, "own", 2), twin = shape_of(c, "twin", 2);
    confine(own, c, {3, 1});
    confine(twin, c, {0, 1, 2, 3});
    own.pin = twin.pin = true;
    Spinner a(2, 3000), b(2, 3000), d(2, 3000);
    Mixed got = run_mixed(c, {&own, &twin, &twin},
                          {{&a.workload, native(), nullptr},
                           {&b.workload, native(), nullptr},
                           {&d.workload, native(), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    using Set = std::set<uint32_t>;
    EXPECT_EQ(got.where["vm0/vcpu0"], Set{1});
    EXPECT_EQ(got.where["vm0/vcpu1"], Set{3});
    /* VMs of one shape lie side by side. */
    EXPECT_EQ(got.where["vm1/vcpu0"], Set{0});
    EXPECT_EQ(got.where["vm1/vcpu1"], Set{1});
    EXPECT_EQ(got.where["vm2/vcpu0"], Set{2});
    EXPECT_EQ(got.where["vm2/vcpu1"], Set{3});
}

/* An idle pCPU that a busy one's tick sends to look is one that may take something: here no other
 * way leads there, as all tasks are hot and busy pCPUs do not balance. */
TEST(VmShapes, AnIdlePcpuOfTheSetIsSentToLook)
{
    ts_machine_config c = small_machine();
    set(c, "topology.cores_per_socket", "4");
    set(c, "host_sched.policy", "cfs");
    set(c, "host_sched.balance_factor", "0");
    set(c, "host_sched.migration_cost", "10s");
    ts_vm_shape first = shape_of(c, "first", 1), own = shape_of(c, "own", 1),
                twin = shape_of(c, "twin", 1);
    confine(first, c, {7});
    confine(own, c, {0, 7});
    confine(twin, c, {0, 7});
    Spinner brief(1, 500), a(1, 10000), b(1, 10000);
    Mixed got = run_mixed(c, {&first, &own, &twin},
                          {{&brief.workload, native(), nullptr},
                           {&a.workload, native(), nullptr},
                           {&b.workload, native(), nullptr}});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_LT(got.result.completion_ps, 130 * TS_MS);
}

/* Xen's weights, and shares of groups: with one pCPU the time of VMs of two vCPUs each. */
TEST(VmShapes, SharesDecideWhoGetsTheTime)
{
    for (const char *policy : {"cfs", "eevdf", "credit2"}) {
        ts_machine_config c = small_machine();
        set(c, "host_sched.policy", policy);
        set(c, "host_sched.group", std::string(policy) == "credit2" ? "none" : "vm");
        set(c, "run.window", "2s");
        set(c, "run.progress", "0");
        ts_vm_shape light = shape_of(c, "light", 2), heavy = shape_of(c, "heavy", 2);
        light.shares = 512;
        heavy.shares = 1536;
        confine(light, c, {2});
        confine(heavy, c, {2});
        Spinner a(2, 0), b(2, 0);
        Mixed got = run_mixed(c, {&light, &heavy},
                              {{&a.workload, native(), nullptr}, {&b.workload, native(), nullptr}});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        double part = double(got.vms[0].records) / double(got.vms[0].records + got.vms[1].records);
        EXPECT_NEAR(part, 0.25, 0.02) << policy;
    }
}

TEST(VmShapes, WhatCannotBeIsRefused)
{
    ts_machine_config c = small_machine();
    Spinner a(1, 1), endless(1, 0);
    auto refusal = [&](auto change) {
        ts_vm_shape s = shape_of(c, "it", 2);
        ts_machine_config own = c;
        ts_machine_vm vm{&a.workload, native(), nullptr};
        change(s, own, vm);
        Mixed got = run_mixed(own, {&s}, {vm});
        EXPECT_EQ(got.status, TS_ERR_USER);
        return got.message;
    };
    using Shape = ts_vm_shape;
    using Config = ts_machine_config;
    using Vm = ts_machine_vm;
    auto has = [](const std::string &text, const char *part) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
    };
    has(refusal([](Shape &s, Config &, Vm &) { s.vcpus = 0; }), "0 vCPUs");
    has(refusal([](Shape &s, Config &, Vm &) { s.vcpus = TS_CPU_MAX + 1; }), "4097 vCPUs");
    has(refusal([](Shape &s, Config &, Vm &) { s.shares = 1; }), "1 shares");
    has(refusal([](Shape &s, Config &, Vm &) { ts_cpumask_init(&s.pcpus, 4); }), "none of the 4");
    has(refusal([](Shape &s, Config &, Vm &) { ts_cpumask_init(&s.pcpus, 3); }), "none of the 4");
    has(refusal([](Shape &s, Config &, Vm &) {
            s.vcpus = 5;
            s.pin = true;
        }),
        "5 vCPUs for 4 pCPUs");
    has(refusal([](Shape &s, Config &, Vm &) { s.background = true; }), "nothing to measure");
    has(refusal([&](Shape &, Config &, Vm &vm) { vm.workload = &endless.workload; }), "has no end");
    has(refusal([](Shape &, Config &own, Vm &) {
            set(own, "host_sched.policy", "rr");
            set(own, "host_sched.group", "vm");
        }),
        "schedules no groups");
    has(refusal([](Shape &, Config &, Vm &vm) { vm.mechanism = ts_flush_find("rar"); }),
        "mechanism 'rar'");
}

/* VMs on one pCPU or on both take turns with three VMIDs: whatever a VM's number is now, and whose
 * it was before, a filter by VMID lets its broadcasts reach its own pCPUs. */
TEST(VmShapes, ItsPcpusGoWithAVmToItsNextVmid)
{
    ts_machine_config c = small_machine(true);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "2");
    set(c, "topology.threads_per_core", "1");
    set(c, "dvm.vmid_filter", "true");
    set(c, "hypervisor.vmid_bits", "2");
    set(c, "hypervisor.last_vcpu_ran_flush", "false");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    ts_vm_shape one = shape_of(c, "one", 1), both = shape_of(c, "both", 2);
    confine(one, c, {0});
    both.pin = true;
    Script script = {{op_mmap(0, 8 * 4096)}, {}};
    for (int i = 0; i < 400; i++) {
        script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 4096 * (i % 8), 4096));
        script[0].push_back(op_ns(TS_OP_COMPUTE, 5000));
        script[1].push_back(op_touch(0, 0, 8));
        script[1].push_back(op_ns(TS_OP_COMPUTE, 5000));
    }
    const std::vector<const ts_vm_shape *> shapes = {&one, &one, &both, &both};
    std::list<ScriptWorkload> scripts;
    std::vector<ts_machine_vm> vms;
    for (size_t v = 0; v < shapes.size(); v++) {
        scripts.emplace_back(script, 2);
        vms.push_back({scripts.back().get(), ts_flush_find("tlbi_broadcast"), nullptr});
    }
    const Mixed got = run_mixed(c, shapes, vms);
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("stage2.vmid_rollovers"), 10u);
    EXPECT_GT(got.stats.at("dvm.vmid_filtered"), 10u); /* by the numbers of VMs on one pCPU */
}
