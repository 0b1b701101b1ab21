/* SPDX-License-Identifier: Apache-2.0 */
/* What guests tell the oracle, in whole machines. */
#include <gtest/gtest.h>

#include "models/guest/coherence/flush_mm.h"
#include "models/guest/coherence/speculate.h"
#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;

} // namespace

/* A whole machine whose mechanism forgets to flush: the reused address gives it away. */
TEST(OracleMachine, FindsAMechanismThatDoesNotFlush)
{
    ts_flush_ops broken{};
    broken.name = "broken";
    broken.summary = "does nothing";
    broken.reference = "none";
    broken.flush_multi = broken::nothing;
    const uint64_t n = 4;
    Script round{{op_barrier(0, 2), op_mmap(0, n * page), op_touch(0, 0, n), op_barrier(1, 2),
                  op_barrier(2, 2), op_range(TS_OP_MUNMAP, 0, 0, n * page), op_mmap(1, n * page),
                  op_touch(1, 0, n), op_barrier(3, 2)},
                 {op_barrier(0, 2), op_barrier(1, 2), op_touch(0, 0, n), op_barrier(2, 2),
                  op_barrier(3, 2), op_touch(1, 0, n)}};
    for (bool correct : {true, false}) {
        ts_error err{};
        ts_machine_config c = bare_machine(2);
        ScriptWorkload w(round, 2);
        ts_machine *m = nullptr;
        const ts_flush_ops *ops = correct ? ts_flush_find("native_concurrent") : &broken;
        ts_machine_vm vm{w.get(), ops, nullptr};
        ASSERT_EQ(ts_machine_create(&m, &c, &vm, 1, &err), TS_OK) << err.message;
        ASSERT_EQ(ts_machine_start(m, &err), TS_OK) << err.message;
        ts_machine_run(m);
        EXPECT_EQ(ts_machine_finish(m, &err), correct ? TS_OK : TS_ERR_FINDING) << err.message;
        if (!correct) {
            EXPECT_NE(std::string(err.message).find("stale"), std::string::npos) << err.message;
        }
        ts_machine_destroy(m);
    }
}

/* What a CPU keeps is the generation that its slot says. */
TEST(OracleMachine, FindsAGenerationThatIsRaisedBeforeTheFlush)
{
    const ts_flush_ops *hasty = broken::mechanism<broken::raises_first>("raises_first");
    const uint64_t ms = 1000000;
    Script s{{op_mmap(0, 4096), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 2 * ms),
              op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096)},
             {op_ns(TS_OP_COMPUTE, ms)}};
    for (int i = 0; i < 400; i++) {
        s[1].push_back(op_touch(0, 0, 1, false));
        s[1].push_back(op_ns(TS_OP_COMPUTE, 5000));
    }
    Outcome out = run_script(bare_machine(2), s, 2, hasty);
    ASSERT_EQ(out.status, TS_ERR_FINDING) << out.message;
    EXPECT_EQ(out.message.rfind("tlb_gen ahead of its flush", 0), 0u) << out.message;
    out = run_script(bare_machine(2), s, 2, "native_concurrent");
    EXPECT_EQ(out.status, TS_OK) << out.message;
}

namespace
{

/* Of CPU 1, which has found nothing to clear, no flush is made. */
void forgets_the_nested(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                        ts_shootdown_record *record)
{
    if (info->initiator == 0 || !info->mm || info->mm->flush_pending < 2)
        late_on_cpu_0(self, mask, info, record);
}

} // namespace

/* mm_tlb_flush_nested: who drops what another one has cleared and not flushed yet must not return
 * before that is flushed. */
TEST(OracleMachine, FindsADropThatReturnsBeforeWhatItFoundEmptyIsFlushed)
{
    const auto thinks = [](uint64_t us) { return op_ns(TS_OP_COMPUTE, us * 1000); };
    const ts_op drop = op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page);
    Script s{{op_mmap(0, page), op_touch(0, 0, 1), op_spawn(1), op_spawn(2), thinks(100), drop},
             {thinks(140), drop, thinks(400)},
             {}};
    for (int i = 0; i < 300; i++) {
        s[2].push_back(op_touch(0, 0, 1, false));
        s[2].push_back(thinks(1));
    }
    ts_flush_ops ops = late("native_concurrent");
    for (bool makes : {true, false}) {
        if (!makes)
            ops.flush_multi = forgets_the_nested;
        const Outcome out = run_script(bare_machine(3), s, 1, &ops);
        ASSERT_EQ(out.status, makes ? TS_OK : TS_ERR_FINDING) << out.message;
        EXPECT_GT(out.stats.at("oracle.hits_in_window"), 5u); /* of the first flush */
        if (!makes) {
            EXPECT_NE(out.message.find("was unmapped by another, too"), std::string::npos)
                << out.message;
        }
    }
}

namespace
{

/* Each page, and after it all those before it: it goes on for long, at the old addresses. */
ts_op touch_for_long(uint32_t region, uint64_t pages)
{
    ts_op op = op_touch(region, 0, static_cast<uint32_t>(pages), false);
    op.length2 = pages;
    return op;
}

} // namespace

/* Memory that an address had, that was freed, and that the address has got again: what is moved
 * away then is legal to use as long as its flush is under way. So is a table that was freed once,
 * and is moved as a whole. */
TEST(OracleMachine, ExcusesWhatAnAddressHasGotBack)
{
    const uint64_t pages = 1024, bytes = pages * page;
    const auto thinks = [](uint64_t us) { return op_ns(TS_OP_COMPUTE, us * 1000); };
    Script s(2);
    s[0] = {op_mmap(0, bytes), op_touch(0, 0, 2), op_range(TS_OP_MUNMAP, 0, 0, bytes)};
    s[0].push_back(op_mmap(1, bytes));
    s[0].push_back(op_touch(1, 0, pages));
    s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 1, 0, page));
    s[0].push_back(op_touch(1, 0, 1));
    s[0].push_back(op_spawn(1));
    s[0].push_back(thinks(100));
    s[0].push_back(op_mremap(1, bytes, 2, 2 * bytes));
    s[1] = {touch_for_long(1, pages)};
    const ts_flush_ops ops = late("native_concurrent");
    const Outcome out = run_script(bare_machine(2), s, 1, &ops);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.stats.at("oracle.hits_in_window"), 0u);
    EXPECT_GT(out.stats.at("oracle.tables_in_window"), 0u);
}

namespace
{

/* What stood for the address of a flush of a single page: its memory, and its table. */
uint64_t known_va, known_page, known_table;

/* CPU 0's flush of one page, of an mprotect, tells what is there; its next one, of an unmap, begins
 * when that has been freed, and somebody else has it; CPU 1 walks then, through that table. */
template <uint64_t *Known>
void frees_early(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                 ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    const ts_pgtable *pt = info->mm ? info->mm->pgtable : nullptr;
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t level[TS_PT_LEVELS_MAX];
    bool found = false;
    ts_pte pte{};
    if (pt && info->end - info->start == page && !*Known) {
        const uint32_t n = ts_pgtable_walk(pt, info->start, ts_pgtable_levels(pt) - 1,
                                           ts_pgtable_root(pt), fetch, level, &found, &pte);
        ASSERT_TRUE(found);
        known_va = info->start;
        known_page = pte.target;
        known_table = fetch[n - 1] & ~(page - 1);
    } else if (pt && *Known && info->initiator == 0 &&
               (Known == &known_page || info->freed_tables)) {
        ts_guest_frame_free(g, *Known);
        EXPECT_EQ(ts_guest_frame_alloc(g), *Known);
        ts_guest_speculate(g, 1, known_va - page);
        ts_task_work_ps(self, 100 * TS_US);
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
}

/* CPU 1 uses a page of the range all the while. */
template <uint64_t *Known> Outcome early(const ts_op &unmap)
{
    const uint64_t pages = 1024;
    ts_flush_ops ops = *ts_flush_find("native_concurrent");
    ops.flush_multi = frees_early<Known>;
    known_page = known_table = 0;
    ts_op read_only = op_range(TS_OP_MPROTECT, 0, 400 * page, page);
    read_only.prot = TS_PROT_READ;
    std::vector<ts_op> uses;
    for (int i = 0; i < 300; i++) {
        uses.push_back(op_touch(0, 400 * page, 1, false));
        uses.push_back(op_ns(TS_OP_COMPUTE, 1000));
    }
    const Script s = {{op_mmap(0, pages * page), op_touch(0, 0, 500), op_spawn(1),
                       op_ns(TS_OP_COMPUTE, 30000), read_only, op_ns(TS_OP_COMPUTE, 30000), unmap},
                      std::move(uses)};
    return run_script(bare_machine(2), s, 1, &ops);
}

} // namespace

TEST(OracleMachine, FindsMemoryThatSomebodyHasBeforeItsFlush)
{
    const Outcome out = early<&known_page>(op_range(TS_OP_MADVISE_DONTNEED, 0, 400 * page, page));
    ASSERT_EQ(out.status, TS_ERR_FINDING) << out.message;
    EXPECT_NE(out.message.find("freed and given to somebody else"), std::string::npos)
        << out.message;
}

TEST(OracleMachine, FindsATableThatSomebodyHasBeforeItsFlush)
{
    const Outcome out = early<&known_table>(op_range(TS_OP_MUNMAP, 0, 0, 1024 * page));
    ASSERT_EQ(out.status, TS_ERR_FINDING) << out.message;
    EXPECT_EQ(out.message.rfind("freed page table used", 0), 0u) << out.message;
    EXPECT_NE(out.message.find("freed before its flush"), std::string::npos) << out.message;
}
