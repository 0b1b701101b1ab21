/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's stage 2: faults, memslots, dirty logging, notifiers. */
#include <gtest/gtest.h>

#include "models/hypervisor/stage2.h"
#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t block = UINT64_C(1) << 21;
constexpr uint64_t gib = UINT64_C(1) << 30;
constexpr uint64_t at = TS_STAGE2_SLOTS_FROM;
constexpr uint64_t us = 1000; /* of a workload's compute */

/* One VM, a vCPU a pCPU, whose memory is mapped by faults. */
ts_machine_config faulting(bool arm, const char *backing)
{
    ts_machine_config c = small_machine(arm);
    set(c, "run.vms", "1");
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.prefault", "false");
    set(c, "hypervisor.backing", backing);
    set(c, "hypervisor.memory", "1GiB");
    return c;
}

const char *mechanism(bool arm)
{
    return arm ? "tlbi_broadcast" : "native_concurrent";
}

ts_host_op on_slot(ts_host_op_kind kind, uint32_t slot, uint32_t level = 0, uint64_t size = 0,
                   uint64_t start = at)
{
    ts_host_op op = host_op(kind, size, 0, start);
    op.slot = slot;
    op.level = level;
    return op;
}

uint64_t stat(const Outcome &got, const std::string &name)
{
    return got.stats.at("stage2." + name);
}

Outcome vmm(const ts_machine_config &c, std::vector<ts_host_op> ops)
{
    HostRun run(c);
    run.task(std::move(ops), 3);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(true));
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

} // namespace

/* --- faults --- */

/* user_mem_abort: each page of the backing faults once, whoever touches it, and nothing is
 * flushed. */
TEST(Stage2Fault, MapsEachHostPageOnce)
{
    for (bool arm : {false, true}) {
        for (const char *backing : {"4KiB", "2MiB"}) {
            HostRun run(faulting(arm, backing));
            Script s(4);
            for (uint32_t t = 0; t < 4; t++)
                s[t] = {op_mmap(t, 64 * page), op_touch(t, 0, 64), op_touch(t, 0, 64, false)};
            Outcome got = run.run(s, 4, mechanism(arm));
            ASSERT_EQ(got.status, TS_OK) << got.message;
            uint64_t leaves = stat(got, "mapped");
            EXPECT_EQ(leaves, stat(got, "mapped_new"));
            EXPECT_EQ(got.stats.at("hypervisor.exit_stage2"), stat(got, "faults"));
            EXPECT_EQ(stat(got, "faults"), leaves + stat(got, "fault_retry"));
            EXPECT_EQ(stat(got, "faults_permission"), 0u);
            EXPECT_EQ(stat(got, "lock_waits"), 0u); /* all at a time */
            /* 256 pages and the tables that map them; or the block that they lie in. */
            if (std::string(backing) == "4KiB") {
                EXPECT_GE(leaves, 4u * 64 + 4);
                EXPECT_LE(leaves, 4u * 64 + 16);
            } else {
                EXPECT_EQ(leaves, 1u);
            }
            EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"), 0u);
            EXPECT_EQ(stat(got, "flush_ipa") + stat(got, "flush_ipa_local"), 0u);
        }
    }
}

/* The default of today: no fault, and no group of statistics. */
TEST(Stage2Fault, DoNotComeWhereMemoryIsPrefaulted)
{
    ts_machine_config c = faulting(true, "2MiB");
    set(c, "hypervisor.prefault", "true");
    HostRun run(c);
    Outcome got = run.run({{op_mmap(0, 64 * page), op_touch(0, 0, 64)}}, 1, mechanism(true));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.at("hypervisor.exit_stage2"), 0u);
    EXPECT_EQ(got.stats.count("stage2.faults"), 0u);
}

TEST(Stage2Fault, BeyondTheMemslotEndsTheRun)
{
    HostRun run(faulting(true, "4KiB"));
    ts_vm *vm = nullptr;
    run.at(0, [&] {});
    run.task({run.code([&](ts_task *self, ts_hypervisor *h) {
                 (void)self;
                 vm = h->w.vms[0];
                 h->stage2[0].slots[0].size = 8 * page;
             })},
             3);
    Outcome got =
        run.run({{op_ns(TS_OP_COMPUTE, 100 * us), op_mmap(0, 64 * page), op_touch(0, 0, 64)}}, 1,
                mechanism(true));
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("there is no memslot"), std::string::npos) << got.message;
}

/* --- dirty logging --- */

namespace
{

/* Writes 256 pages, waits for logging to begin and writes them again; waits for its end and reads
 * each of them. */
Outcome logged(ts_machine_config c, uint32_t threads = 1)
{
    Script s(threads);
    for (uint32_t t = 0; t < threads; t++) {
        s[t] = {op_mmap(t, 256 * page),        op_touch(t, 0, 256),
                op_ns(TS_OP_SLEEP, 5000 * us), op_touch(t, 0, 256),
                op_touch(t, 0, 256, false),    op_ns(TS_OP_SLEEP, 20000 * us),
                op_touch(t, 0, 256, false),    op_ns(TS_OP_SLEEP, 1000 * us)};
    }
    HostRun run(c);
    run.task({host_op(TS_HOST_SLEEP, 2 * TS_MS), on_slot(TS_HOST_LOG_START, 0),
              host_op(TS_HOST_SLEEP, 10 * TS_MS), on_slot(TS_HOST_LOG_STOP, 0)},
             3);
    Outcome got = run.run(s, threads, mechanism(true));
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    return got;
}

} // namespace

/* kvm_pgtable_stage2_relax_perms: a page of the size that it is mapped with only becomes writable,
 * and this CPU alone hears of it; up to 6.4 all do. */
TEST(Stage2Logging, MakesPagesWritableAgainOneByOne)
{
    for (bool local : {true, false}) {
        ts_machine_config c = faulting(true, "4KiB");
        set(c, "hypervisor.stage2_relax_local", local ? "true" : "false");
        Outcome got = logged(c);
        EXPECT_GE(stat(got, "protected_leaves"), 256u);
        EXPECT_EQ(stat(got, "faults_permission"), 256u);
        EXPECT_EQ(stat(got, "relaxed"), 256u);
        EXPECT_EQ(stat(got, "dirtied"), 256u);
        EXPECT_EQ(stat(got, "split") + stat(got, "collapsed"), 0u);
        EXPECT_EQ(stat(got, "flush_ipa_local"), local ? 256u : 0u);
        EXPECT_EQ(stat(got, "flush_ipa"), local ? 0u : 256u);
        EXPECT_EQ(stat(got, "flush_range"), 1u);
        /* The memslot's range and the stage 1 behind it; then two for each page that is broadcast.
         */
        EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"), 2u + (local ? 0u : 512u));
    }
}

/* stage2_map_walk_leaf, then stage2_map_walk_table_pre: the block is broken for one page, the
 * others come back by faults, and a fault after logging puts the block back. */
TEST(Stage2Logging, SplitsBlocksAndCollapsesThemAfterwards)
{
    for (bool range : {true, false}) {
        ts_machine_config c = faulting(true, "2MiB");
        set(c, "hypervisor.stage2_range_flush", range ? "true" : "false");
        Outcome got = logged(c);
        uint64_t blocks = stat(got, "split");
        EXPECT_EQ(stat(got, "protected_leaves"), blocks);
        EXPECT_GE(blocks, 1u);
        EXPECT_EQ(stat(got, "faults_permission"), blocks);
        EXPECT_EQ(stat(got, "collapsed"), 0u); /* all its pages are there: nobody faults */
        EXPECT_EQ(stat(got, "flush_ipa"), blocks);
        EXPECT_EQ(stat(got, "flush_range"), range ? 1u : 0u);
        EXPECT_EQ(stat(got, "flush_vmid"), range ? 0u : 1u);
        /* 256 pages written again and the tables above them read. */
        EXPECT_GE(stat(got, "mapped"), 1 + 256u);
        EXPECT_EQ(stat(got, "dirtied"), 256u);
    }
}

/* One flush for each table that a block replaces: of its 2 MiB since 6.6, of all the VM before. */
TEST(Stage2Logging, CollapseIsBreakBeforeMake)
{
    for (bool range : {true, false}) {
        ts_machine_config c = faulting(true, "2MiB");
        set(c, "hypervisor.stage2_range_flush", range ? "true" : "false");
        Script s = {{op_mmap(0, 256 * page), op_touch(0, 0, 256), op_ns(TS_OP_SLEEP, 5000 * us),
                     op_touch(0, 0, 8), op_ns(TS_OP_SLEEP, 20000 * us), op_touch(0, 0, 256, false),
                     op_touch(0, 0, 256)}};
        HostRun run(c);
        run.task({host_op(TS_HOST_SLEEP, 2 * TS_MS), on_slot(TS_HOST_LOG_START, 0),
                  host_op(TS_HOST_SLEEP, 10 * TS_MS), on_slot(TS_HOST_LOG_STOP, 0)},
                 3);
        Outcome got = run.run(s, 1, mechanism(true));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(stat(got, "split"), 1u);
        EXPECT_EQ(stat(got, "collapsed"), 1u);
        EXPECT_EQ(stat(got, "dirtied"), 8u);
        EXPECT_EQ(got.stats.at("oracle.entries_made"), 2u);
        EXPECT_EQ(got.stats.at("oracle.made_too_early"), 0u);
        EXPECT_EQ(stat(got, "flush_range"), range ? 2u : 0u);
        EXPECT_EQ(stat(got, "flush_vmid"), range ? 0u : 2u);
        EXPECT_EQ(stat(got, "flush_ipa"), 1u);
    }
}

/* Whoever comes while an entry is broken gives up and faults again (-EAGAIN); with the lock of 6.1
 * it waits instead, and finds all done. */
TEST(Stage2Logging, ASecondVcpuFindsTheEntryLocked)
{
    for (bool shared : {true, false}) {
        ts_machine_config c = faulting(true, "2MiB");
        set(c, "hypervisor.stage2_shared_faults", shared ? "true" : "false");
        Script s(4);
        for (uint32_t t = 0; t < 4; t++) {
            s[t] = {op_mmap(t, 64 * page),          op_touch(t, 0, 64),
                    op_ns(TS_OP_SLEEP, 5000 * us),  op_touch(t, 0, 4),
                    op_ns(TS_OP_SLEEP, 20000 * us), op_barrier(0, 4),
                    op_touch(t, 4, 60, false)};
        }
        HostRun run(c);
        run.task({host_op(TS_HOST_SLEEP, 2 * TS_MS), on_slot(TS_HOST_LOG_START, 0),
                  host_op(TS_HOST_SLEEP, 10 * TS_MS), on_slot(TS_HOST_LOG_STOP, 0)},
                 3);
        Outcome got = run.run(s, 4, mechanism(true));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(stat(got, "split"), 1u);
        EXPECT_EQ(stat(got, "collapsed"), 1u);
        EXPECT_GE(stat(got, "fault_retry"), 1u);
        EXPECT_GE(stat(got, "lock_waits"), shared ? 0u : 1u);
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    }
}

/* --- memslots: closed formulas --- */

/* arm.md 4.5: leaves and tables that go, and the flushes for them, by version. */
TEST(Stage2Slots, UnmapFlushesAsItsVersionDoes)
{
    struct Case {
        const char *flush;
        const char *range; /* FEAT_TLBIRANGE */
        const char *fwb;
        bool defers, tables;
    };
    const Case cases[] = {{"each", "true", "true", false, true},
                          {"deferred", "true", "true", true, false},
                          {"deferred_leaves", "true", "true", true, true},
                          {"deferred", "false", "true", false, true},
                          {"deferred", "true", "false", false, true}};
    for (const Case &k : cases) {
        for (uint32_t level : {0u, 1u}) {
            ts_machine_config c = small_machine(true);
            set(c, "hypervisor.stage2_unmap_flush", k.flush);
            set(c, "guest.tlbirange", k.range);
            set(c, "hypervisor.s2fwb", k.fwb);
            /* Two GiB from the middle of one: three pieces. */
            const uint64_t size = level ? 2 * gib : 6 * block;
            const uint64_t start = at + gib - (level ? gib / 2 : 3 * block);
            Outcome got =
                vmm(c, {on_slot(TS_HOST_SLOT_ADD, 1, 1, size, start),
                        on_slot(TS_HOST_SLOT_FILL, 1, level), on_slot(TS_HOST_SLOT_DELETE, 1)});
            const uint64_t leaves = level ? 1024 : 6 * 512;
            const uint64_t pieces = level ? 3 : 2;
            /* Of 4K entries six; of 2M entries one a GiB touched, and the one above them. */
            const uint64_t tables = (level ? 0 : 6) + pieces + 1;
            EXPECT_EQ(stat(got, level ? "unmapped_blocks" : "unmapped_pages"), leaves);
            EXPECT_EQ(stat(got, level ? "unmapped_pages" : "unmapped_blocks"), 0u);
            EXPECT_EQ(stat(got, "unmapped_tables"), tables) << level;
            EXPECT_EQ(stat(got, "flush_ipa"), (k.defers ? 0 : leaves) + (k.tables ? tables : 0))
                << k.flush << level;
            EXPECT_EQ(stat(got, "flush_range"), k.defers ? pieces : 0) << k.flush;
            EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"),
                      2 * (stat(got, "flush_ipa") + stat(got, "flush_range")));
        }
    }
}

/* kvm_tlb_flush_vmid_range of a memslot: chunks of 2^21 pages, RIPAS2E1 and VMALLE1 each; without
 * FEAT_TLBIRANGE one VMALLS12E1. */
TEST(Stage2Slots, WriteProtectionFlushesTheMemslotInChunks)
{
    for (uint64_t g : {1, 7, 8, 9, 16, 17}) {
        for (bool has : {true, false}) {
            ts_machine_config c = small_machine(true);
            set(c, "guest.tlbirange", has ? "true" : "false");
            Outcome got =
                vmm(c, {on_slot(TS_HOST_SLOT_ADD, 1, 2, g * gib), on_slot(TS_HOST_SLOT_FILL, 1, 1),
                        on_slot(TS_HOST_LOG_START, 1), on_slot(TS_HOST_LOG_START, 1)});
            const uint64_t chunks = (g + 7) / 8;
            EXPECT_EQ(stat(got, "protected_leaves"), 512 * g);
            EXPECT_EQ(stat(got, "flush_range"), 1u);
            EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"), has ? 2 * chunks : 1) << g;
            EXPECT_EQ(got.stats.at("hypervisor.dsb"), has ? 2 * chunks : 1) << g;
        }
    }
}

TEST(Stage2Slots, WhatAVmmCannotDoEndsTheRunWithAMessage)
{
    struct Case {
        std::vector<ts_host_op> ops;
        const char *says;
    };
    const ts_host_op add = on_slot(TS_HOST_SLOT_ADD, 1, 1, gib);
    const Case cases[] = {
        {{on_slot(TS_HOST_SLOT_ADD, 0, 1, gib)}, "1 to 7 are free"},
        {{on_slot(TS_HOST_SLOT_ADD, 1, 1, gib, 0)}, "between 4 and 8 TiB"},
        {{on_slot(TS_HOST_SLOT_ADD, 1, 1, 3 * page)}, "whole host pages"},
        {{add, add}, "is there already"},
        {{add, on_slot(TS_HOST_SLOT_ADD, 2, 1, gib, at + gib / 2)}, "is there already"},
        {{on_slot(TS_HOST_SLOT_DELETE, 1)}, "has no memslot 1"},
        {{on_slot(TS_HOST_SLOT_DELETE, 0)}, "has no memslot 0"},
        {{add, on_slot(TS_HOST_SLOT_FILL, 1, 2)}, "smaller pages"},
        {{host_op(TS_HOST_NOTIFY, 100)}, "whole pages"},
    };
    for (const Case &k : cases) {
        HostRun run(small_machine(true));
        run.task(k.ops, 3);
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(true));
        EXPECT_EQ(got.status, TS_ERR_USER);
        EXPECT_NE(got.message.find(k.says), std::string::npos) << got.message;
    }
}

/* --- the oracle --- */

namespace
{

/* Three threads that read and write all the time; the fourth pCPU is the host's. */
Script busy(uint64_t rounds)
{
    Script s(3);
    for (uint32_t t = 0; t < 3; t++) {
        s[t] = {op_mmap(t, 64 * page), op_touch(t, 0, 64)};
        for (uint64_t r = 0; r < rounds; r++) {
            s[t].push_back(op_touch(t, r % 64 * page, 64 - r % 64, r % 3 == 0));
            s[t].push_back(op_ns(TS_OP_COMPUTE, 100));
        }
    }
    return s;
}

/* Beside them a VMM thread does this, over and over. */
Outcome beside(ts_machine_config c, std::vector<ts_host_op> ops, uint64_t repeat = 6)
{
    set(c, "run.vcpus", "3");
    HostRun run(c);
    ops.push_back(host_op(TS_HOST_SLEEP, 400 * TS_US)); /* longer than all faults take */
    run.task(std::move(ops), 3, repeat);
    return run.run(busy(6000), 3, mechanism(true));
}

} // namespace

/* Pages move to other frames under the guest; who still has the old ones after the notifier's
 * flush would be found. */
TEST(Stage2Oracle, NotifiersLoseNoTranslation)
{
    for (const char *backing : {"4KiB", "2MiB"}) {
        for (const char *flush : {"each", "deferred", "deferred_leaves"}) {
            ts_machine_config c = faulting(true, backing);
            set(c, "hypervisor.stage2_unmap_flush", flush);
            Outcome got = beside(c, {host_op(TS_HOST_NOTIFY, 2 * block)});
            EXPECT_EQ(got.status, TS_OK) << got.message;
            /* The first flush of a page takes all combined entries, and faults then wait. */
            bool at_once = std::string(backing) + flush == "4KiBeach";
            EXPECT_GE(got.stats.at("oracle.hits_in_window"), at_once ? 0u : 1u) << backing << flush;
            EXPECT_GT(stat(got, "unmapped_pages") + stat(got, "unmapped_blocks"), 0u);
            EXPECT_GT(stat(got, "unmap_ps"), 0u);
        }
    }
}

TEST(Stage2Oracle, DirtyLoggingLosesNoTranslation)
{
    for (const char *backing : {"4KiB", "2MiB"}) {
        Outcome got = beside(faulting(true, backing),
                             {on_slot(TS_HOST_LOG_START, 0), host_op(TS_HOST_SLEEP, 60 * TS_US),
                              on_slot(TS_HOST_LOG_STOP, 0)});
        EXPECT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(got.stats.at("oracle.hits_in_window"), 0u);
        EXPECT_GT(stat(got, "faults_permission"), 0u) << backing;
    }
}

/* The legacy splitter loses the whole of a memslot of exactly 2^21 pages: writes go on that the
 * host believes to be seen (mail 20240405035852.1532010-2). */
TEST(Stage2Oracle, FindsTheLegacySplittersFaultAtEightGib)
{
    for (uint64_t g : {7, 8}) {
        ts_machine_config c = faulting(true, "4KiB");
        set(c, "hypervisor.memory", std::to_string(g) + "GiB");
        set(c, "hypervisor.range_split", "legacy");
        set(c, "mmu.nested_entries", "64");
        set(c, "mmu.nested_ways", "64");
        Outcome got = beside(c, {on_slot(TS_HOST_LOG_START, 0), host_op(TS_HOST_SLEEP, 60 * TS_US),
                                 on_slot(TS_HOST_LOG_STOP, 0)});
        EXPECT_EQ(got.status, g == 8 ? TS_ERR_FINDING : TS_OK) << g << got.message;
    }
}

namespace
{

enum Flush { none, stage2_only, stage1_only, own_core_only, too_early, complete };

void flush_broken(ts_task *self, ts_hypervisor *h, Flush how, uint64_t ipa)
{
    const ts_vm *vm = h->w.vms[0];
    uint16_t vmid = ts_vm_vmid(vm, 0);
    ts_tlb_inval stage2 = ts_inval_tlbi_ripas2e1(vmid, ipa, block, false);
    ts_tlb_inval stage1 = ts_inval_tlbi_vmalle1(vmid);
    if (how == stage2_only || how == stage1_only) {
        ts_host_tlbi(self, how == stage2_only ? &stage2 : &stage1);
        ts_host_dsb_ish(self);
    } else if (how == own_core_only) {
        ts_kvm_tlb_flush_vmid_ipa_nsh(self, vm, ipa, 0);
    } else if (how != none) {
        ts_kvm_tlb_flush_vmid_range(self, vm, ipa, block);
    }
}

/* Every block of the VM becomes a table with the same contents, and a block again, while its vCPUs
 * read: whatever a TLB keeps, it goes to the right memory. */
Outcome remade(Flush how, const Script &guest = busy(3000))
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "3");
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.backing", "2MiB");
    set(c, "mmu.nested_entries", "64");
    set(c, "mmu.nested_ways", "64");
    HostRun run(c);
    auto change = run.code([how](ts_task *self, ts_hypervisor *h) {
        ts_vm *vm = h->w.vms[0];
        for (uint64_t ipa = 0; ipa < 64 * block; ipa += block) {
            ts_pte pte{};
            ts_pt_broken b{};
            if (!ts_pgtable_lookup(vm->stage2, ipa, &pte))
                continue;
            for (bool to_table : {true, false}) {
                if (how == too_early)
                    flush_broken(self, h, how, ipa);
                if (how == too_early)
                    ts_task_work_ps(self, 20 * TS_US);
                ASSERT_TRUE(ts_pgtable_break(vm->stage2, ipa, 1, &b));
                uint32_t w = ts_host_stage2_window_open(self, vm, ipa, ipa + block);
                if (how != too_early)
                    flush_broken(self, h, how, ipa);
                ts_host_stage2_window_close(self, vm, w);
                ts_host_stage2_make(self, vm, ipa, ipa + block, pte.target);
                if (to_table)
                    ts_pgtable_make_table(vm->stage2, &b);
                else
                    ts_pgtable_make_leaf(vm->stage2, &b, &pte);
            }
        }
    });
    run.task({host_op(TS_HOST_SLEEP, 400 * TS_US), change, host_op(TS_HOST_SLEEP, 50 * TS_US)}, 3,
             4);
    return run.run(guest, 3, mechanism(true));
}

} // namespace

/* Arm ARM, break-before-make. What is read stays right, so that no use of it would ever tell. */
TEST(Stage2Oracle, FindsAMissingBreakBeforeMake)
{
    for (Flush how : {none, stage2_only, stage1_only, own_core_only, too_early, complete}) {
        Outcome got = remade(how);
        EXPECT_EQ(got.status, how == complete ? TS_OK : TS_ERR_FINDING) << how << got.message;
        EXPECT_GT(got.stats["oracle.entries_made"], 0u);
        EXPECT_EQ(got.stats["oracle.made_too_early"] > 0, how != complete) << how;
        EXPECT_EQ(got.stats["oracle.hits_stale"], 0u) << how;
        if (how != complete) {
            EXPECT_NE(got.message.find("break-before-make missed: VM 0"), std::string::npos)
                << got.message;
        }
    }
}

/* vCPUs that sleep walk nothing: what a flush of stage 1 alone leaves are entries of stage 2. */
TEST(Stage2Oracle, FindsWhatOnlyStage2Keeps)
{
    Script asleep(3, {op_ns(TS_OP_SLEEP, 3000 * us)});
    asleep[0] = {op_mmap(0, 64 * page), op_touch(0, 0, 64), op_ns(TS_OP_SLEEP, 3000 * us)};
    EXPECT_EQ(remade(complete, asleep).status, TS_OK);
    Outcome got = remade(stage1_only, asleep);
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_GT(got.stats["oracle.made_too_early"], 0u);
}

/* --- VMIDs --- */

/* Nine VMs and seven numbers: generations begin again and again, and nobody uses what another VM
 * has left under the number. */
TEST(Stage2Vmid, StartsOverWithOneFlushOfEverything)
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "9");
    set(c, "run.vcpus", "2");
    set(c, "hypervisor.vmid_bits", "3");
    set(c, "hypervisor.last_vcpu_ran_flush", "false");
    set(c, "hypervisor.pin", "true");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    HostRun run(c);
    Script s(2);
    for (uint32_t t = 0; t < 2; t++) {
        s[t] = {op_mmap(t, 16 * page)};
        for (int r = 0; r < 300; r++) {
            s[t].push_back(op_touch(t, 0, 16));
            s[t].push_back(op_ns(TS_OP_COMPUTE, 5 * us));
        }
    }
    Outcome got = run.run(s, 2, mechanism(true));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(stat(got, "vmid_rollovers"), 2u);
    EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"), stat(got, "vmid_rollovers"));
    EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
}

TEST(Stage2Vmid, NeedMoreNumbersThanPcpus)
{
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.vmid_bits", "2");
    HostRun run(c);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(true));
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("vmid_bits"), std::string::npos) << got.message;
}
