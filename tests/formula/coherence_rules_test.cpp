/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the flush path that depend on the kernel's version or on what is flushed: who is asked,
 * who flushes when, what arm64 names. */
#include <gtest/gtest.h>

#include "models/guest/coherence/arm64.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint64_t span = 512 * page;

/* Two shootdowns of one page that keep the page table, beside a thread that computes. */
Outcome two_shootdowns(const ts_machine_config &c, const char *mechanism)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(9, 64 * page), op_touch(9, 0, 64)};
    for (uint32_t region = 0; region < 2; region++) {
        ops.push_back(op_mmap(region, page));
        ops.push_back(op_touch(region, 0, 1));
        ops.push_back(op_range(TS_OP_MUNMAP, region, 0, page));
    }
    return run_script(c, {ops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2, mechanism);
}

ts_machine_config one_vm(ts_machine_config c)
{
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "2");
    return c;
}
ts_machine_config one_vm(bool arm = false)
{
    return one_vm(small_machine(arm));
}

} // namespace

TEST(CoherenceRules, SinceShouldFlushTlbTheInitiatorReadsWhatEachTargetHasLoaded)
{
    ts_time took[2];
    for (bool reads : {false, true}) {
        ts_machine_config c = bare_machine(2);
        set(c, "guest.should_flush_mm", reads ? "true" : "false");
        Outcome out = two_shootdowns(c, "native_concurrent");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_GE(out.shootdowns.size(), 2u);
        ASSERT_EQ(out.shootdowns[1].targets, 1u);
        took[reads] = out.shootdowns[1].part_ps[TS_PATH_SEND];
    }
    /* The target wrote the line when it flushed for the first one, so this is a transfer. */
    EXPECT_GT(took[1], took[0] + 20 * TS_NS);
}

TEST(CoherenceRules, TheKernelsVersionDecidesWhetherTheLocalFlushComesFirst)
{
    for (const char *mechanism : {"kvm_pv", "native_sequential", "native_concurrent"}) {
        for (bool concurrent : {false, true}) {
            ts_machine_config c = one_vm();
            set(c, "guest.flush_concurrent", concurrent ? "true" : "false");
            Outcome out = two_shootdowns(c, mechanism);
            ASSERT_EQ(out.status, TS_OK) << out.message;
            ASSERT_GE(out.shootdowns.size(), 2u);
            bool local_first = out.shootdowns[1].part_ps[TS_PATH_LOCAL] > 0;
            std::string name = mechanism;
            bool expected = name == "native_sequential" || (name == "kvm_pv" && !concurrent);
            EXPECT_EQ(local_first, expected) << name << " concurrent " << concurrent;
        }
    }
}

TEST(CoherenceRules, VmsMayHaveMechanismsOfTheirOwn)
{
    ts_machine_config c = small_machine();
    set(c, "run.vcpus", "2");
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, page), op_touch(0, 0, 1),
                              op_range(TS_OP_MUNMAP, 0, 0, page)};
    Script script{ops, {op_ns(TS_OP_COMPUTE, 5 * ms)}};
    ScriptWorkload a(script, 2), b(script, 2);
    ts_machine_vm vms[] = {{a.get(), ts_flush_find("kvm_pv"), nullptr},
                           {b.get(), ts_flush_find("hyperv"), nullptr}};
    ts_error err{};
    ts_machine *m = nullptr;
    std::map<std::string, uint64_t> stats;
    ASSERT_EQ(ts_machine_create(&m, &c, vms, 1, &err), TS_OK) << err.message;
    ASSERT_EQ(ts_machine_start(m, &err), TS_OK);
    ts_machine_run(m);
    EXPECT_EQ(ts_machine_finish(m, &err), TS_OK) << err.message;
    ts_machine_visit_stats(m, collect, &stats);
    ts_machine_destroy(m);
    EXPECT_GE(stats.at("flush.kvm_pv.examined"), 1u);
    EXPECT_GE(stats.at("flush.hyperv.hypercalls"), 1u);
}

/* --- parameters of a mechanism --- */

namespace
{

struct Params {
    uint64_t factor;
};
const ts_param param_rows[] = {{"factor", TS_PARAM_COUNT, offsetof(Params, factor), 7, 1, 100,
                                nullptr, "for the test", "made up", TS_CONF_CHOICE}};
const ts_param_table param_table = {"flush.trial", param_rows, 1};
uint64_t seen_factor;

void flush_and_look(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                    ts_shootdown_record *record)
{
    seen_factor = static_cast<const Params *>(ts_guest_cpu_of(self)->guest->flush_params)->factor;
    ts_native_flush_tlb_multi(self, mask, info, record);
}

} // namespace

TEST(CoherenceRules, AMechanismsParametersHaveTheirDefaultsWhereNoneAreGiven)
{
    static const ts_flush_ops trial = [] {
        ts_flush_ops ops{};
        ops.name = "trial";
        ops.remote_by_mask = true;
        ops.params = &param_table;
        ops.params_size = sizeof(Params);
        ops.flush_multi = flush_and_look;
        return ops;
    }();
    const Params given = {9};
    for (const Params *params : {static_cast<const Params *>(nullptr), &given}) {
        ts_machine_config c = bare_machine(2);
        std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, page), op_touch(0, 0, 1),
                                  op_range(TS_OP_MUNMAP, 0, 0, page)};
        ScriptWorkload w({ops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2);
        ts_machine_vm vm{w.get(), &trial, params};
        ts_error err{};
        ts_machine *m = nullptr;
        seen_factor = 0;
        ASSERT_EQ(ts_machine_create(&m, &c, &vm, 1, &err), TS_OK) << err.message;
        ASSERT_EQ(ts_machine_start(m, &err), TS_OK);
        ts_machine_run(m);
        EXPECT_EQ(ts_machine_finish(m, &err), TS_OK) << err.message;
        ts_machine_destroy(m);
        EXPECT_EQ(seen_factor, params ? 9u : 7u);
    }
}

/* --- flushes of no one address space --- */

namespace
{

const ts_flush_ops *wrapped;

/* Reclaim batches and kernel ranges name no mm (info->mm NULL, all of it). */
void flush_of_no_mm_first(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                          ts_shootdown_record *record)
{
    const ts_flush_info saved = *info;
    info->mm = nullptr;
    info->start = 0;
    info->end = UINT64_MAX;
    info->new_tlb_gen = 0; /* TLB_GENERATION_INVALID */
    ts_shootdown_record other = *record;
    wrapped->flush_multi(self, mask, info, &other);
    const ts_time before = ts_task_now(self) - record->started;
    info->mm = saved.mm;
    info->start = saved.start;
    info->end = saved.end;
    info->new_tlb_gen = saved.new_tlb_gen;
    record->started += before;
    wrapped->flush_multi(self, mask, info, record);
}

} // namespace

TEST(CoherenceRules, EveryMechanismTakesAFlushOfNoAddressSpace)
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        wrapped = ts_flush_table[i];
        for (bool arm : platforms(wrapped)) {
            ts_flush_ops ops = *wrapped;
            ops.flush_multi = flush_of_no_mm_first;
            std::vector<ts_op> script = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 4 * page),
                                         op_touch(0, 0, 4), op_range(TS_OP_MUNMAP, 0, 0, 4 * page)};
            ScriptWorkload w({script, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2);
            Outcome out = run_workloads(one_vm(small_machine(arm, wrapped)), &ops, {w.get()}, 1);
            if (ops.faults) { /* hyperv_2017, B4 */
                EXPECT_EQ(out.status, TS_ERR_FINDING) << ops.name;
                EXPECT_NE(out.message.find("oops"), std::string::npos) << out.message;
                continue;
            }
            EXPECT_EQ(out.status, TS_OK) << ops.name << ": " << out.message;
            EXPECT_GE(out.result.shootdowns, 1u) << ops.name;
        }
    }
}

/* --- arm64 --- */

TEST(CoherenceRules, Arm64NamesWholeStridesAndGivesNoLevelHintWhenTablesGo)
{
    ts_guest g{};
    ts_flush_info info{};
    g.params.ttl = 1;
    info.start = 5 * span + page;
    info.end = 6 * span + 2 * page;
    for (bool freed : {false, true}) {
        for (uint32_t shift : {12u, 21u}) {
            uint64_t stride = UINT64_C(1) << shift;
            info.stride_shift = shift;
            info.freed_tables = freed;
            ts_arm64_range r = ts_arm64_range_of(&g, &info);
            EXPECT_EQ(r.start, info.start / stride * stride);
            EXPECT_EQ(r.end, (info.end + stride - 1) / stride * stride);
            EXPECT_EQ(r.pages * page, r.end - r.start);
            EXPECT_EQ(r.last_level, !freed);
            EXPECT_EQ(r.ttl, freed ? 0u : shift == 12 ? 1u : 2u);
        }
    }
    g.params.ttl = 0;
    EXPECT_EQ(ts_arm64_range_of(&g, &info).ttl, 0u);
}

TEST(CoherenceRules, Arm64NamesEveryTableOfAnUnmapThatFreesNothingElse)
{
    /* The region lies across a 2 MiB boundary; its pages have gone before, so that only tables are
     * left to free, a stride apart. A step from the unaligned start would miss the second. */
    const uint64_t length = 257 * page;
    std::vector<ts_op> ops = {op_mmap(0, 0x170000),
                              op_mmap(1, length),
                              op_mmap(2, 0x200000), /* keeps the tables above */
                              op_touch(2, 0, 1),
                              op_range(TS_OP_MUNMAP, 0, 0, 0x170000),
                              op_touch(1, 0, 257),
                              op_range(TS_OP_MADVISE_DONTNEED, 1, 0, length),
                              op_range(TS_OP_MUNMAP, 1, 0, length)};
    ts_machine_config c = one_vm(true);
    Outcome out = run_script(c, {ops}, 1, "tlbi_broadcast");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_GE(out.stats.at("guest.tables_freed"), 2u);
    EXPECT_EQ(out.stats.at("guest.tlbi_issued"), 257u + 2u + 1u); /* and at the end */
}

TEST(CoherenceRules, Arm64CoversEveryPageWhateverTheSplit)
{
    for (const char *split : {"legacy", "modern", "pages"}) {
        for (uint64_t n : {1u, 2u, 8u, 9u, 16u, 17u, 255u, 511u, 512u}) {
            ts_machine_config c = one_vm(true);
            set(c, "guest.range_split", split);
            /* Dropped and used again, by the one CPU that would find what was not named. */
            std::vector<ts_op> ops = {op_mmap(0, 600 * page),
                                      op_touch(0, 0, n),
                                      op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page),
                                      op_mmap(1, n * page),
                                      op_touch(1, 0, n),
                                      op_touch(0, 0, n)};
            Outcome out = run_script(c, {ops}, 1, "tlbi_range");
            ASSERT_EQ(out.status, TS_OK) << split << " " << n << ": " << out.message;
            if (std::string(split) == "pages") {
                EXPECT_EQ(out.stats.at("guest.tlbi_range_ops"), 0u);
            }
        }
    }
}

/* Without HCR_EL2.FB a guest's local TLBIs stay local, and the DSB NSH behind them waits for the
 * CPU's own TLB where that takes longer than guest.tlbi_local. */
TEST(CoherenceRules, Arm64LocalFlushesWaitForTheOwnTlb)
{
    for (bool slow : {true, false}) {
        ts_machine_config c = one_vm(true);
        set(c, "hypervisor.hcr_fb", "false");
        set(c, "hypervisor.flush_cpu_context", "1000000cycles");
        set(c, "guest.max_dvm_ops", "1"); /* of the whole ASID: a sweep */
        set(c, "guest.tlbi_local", slow ? "1cycles" : "100000cycles");
        set(c, "mmu.sweep_sets_per_cycle", "1");
        std::vector<ts_op> ops = {op_mmap(0, 8 * page), op_touch(0, 0, 8),
                                  op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 8 * page),
                                  op_touch(0, 0, 8)};
        Outcome out = run_script(c, {ops}, 1, "native_concurrent");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_GT(out.stats.at("guest.dsb_nsh"), 0u);
        EXPECT_EQ(out.stats.at("guest.dsb"), 0u);
        EXPECT_EQ(out.stats.at("dvm.dsb_local"), slow ? out.stats.at("guest.dsb_nsh") : 0u);
        EXPECT_EQ(out.stats.at("dvm.local"),
                  out.stats.at("guest.dsb_nsh") + out.stats.at("hypervisor.stage1_flush_switch"));
        EXPECT_EQ(out.stats.at("dvm.issued"), 0u);
    }
}

/* --- a switch and a flush at the same time --- */

namespace
{

/* Another CPU's flush, at one moment after the other of a switch: it raises the generation, and
 * where it does not find this CPU in the mask it sends nothing. */
struct Meanwhile {
    ts_event event; /* first: the engine hands back its address */
    ts_mm *mm;
    uint32_t cpu;
    uint64_t switches, raised;
} meanwhile;

void raise_unseen(ts_engine *, ts_event *event)
{
    auto *m = reinterpret_cast<Meanwhile *>(event);
    if (ts_cpumask_test(&m->mm->cpumask, m->cpu))
        return;
    m->mm->tlb_gen++;
    m->raised++;
}

void begin_switch(ts_task *self, ts_mm *, ts_mm *next)
{
    ts_guest_cpu *gc = ts_guest_cpu_of(self);
    if (!next || next == gc->guest->init_mm || next == gc->loaded_mm ||
        ts_event_pending(&meanwhile.event))
        return;
    meanwhile.mm = next;
    meanwhile.cpu = gc->id;
    ts_engine_schedule(self->domain->engine, &meanwhile.event,
                       ts_task_now(self) + meanwhile.switches++ * 100, TS_PHASE_HARDWARE);
}

uint32_t see_generation(ts_guest_cpu *, const ts_mm *next, uint64_t next_gen, bool *need_flush)
{
    EXPECT_EQ(next_gen, next->tlb_gen) << "a flush " << meanwhile.switches << " * 100 ps after "
                                       << "the switch began is neither seen nor told of";
    *need_flush = true;
    return 0;
}

} // namespace

/* switch_mm_irqs_off sets the bit in mm_cpumask and then reads tlb_gen: who raises it before the
 * read is seen there, who raises it later sees the bit. */
TEST(CoherenceRules, AFlushInTheMiddleOfASwitchIsSeenOrTold)
{
    ts_flush_ops ops = *ts_flush_find("native_concurrent");
    ops.switch_mm = begin_switch;
    ops.choose_asid = see_generation;
    ts_event_init(&meanwhile.event, raise_unseen);
    meanwhile.switches = meanwhile.raised = 0;
    Script s(3);
    s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
    for (int r = 0; r < 400; r++)
        for (uint32_t p : {1u, 2u}) {
            s[p].push_back(op_ns(TS_OP_COMPUTE, 3000));
            s[p].push_back(op_ns(TS_OP_SLEEP, 20000));
        }
    Outcome got = run_script(bare_machine(1), s, 1, &ops);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(meanwhile.switches, 400u);
    EXPECT_GT(meanwhile.raised, 50u);
    EXPECT_LT(meanwhile.raised,
              meanwhile.switches - 50); /* the sweep passes the end of the switch */
}
