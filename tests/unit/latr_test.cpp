/* SPDX-License-Identifier: Apache-2.0 */
/* LATR: unmaps are written down, swept at ticks and switches, and what they unmapped is kept until
 * then. */
#include <set>

#include <gtest/gtest.h>

#include "models/guest/coherence/speculate.h"
#include "tests/support/shared_scripts.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

Outcome run(const ts_machine_config &c, const Script &s, uint32_t initial,
            const std::map<std::string, std::string> &params = {})
{
    const ts_flush_ops *m = ts_flush_find("latr");
    const auto p = mechanism_params(m, params);
    return run_script(c, s, initial, m, p.data());
}

uint64_t at(const Outcome &out, const char *name)
{
    return out.stats.at(std::string("flush.latr.") + name);
}

/* Thread 0 drops one page n times while the other computes. */
Script drops(int n, uint64_t compute_ns)
{
    Script s = {{op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 64 * page)},
                {op_ns(TS_OP_COMPUTE, compute_ns)}};
    for (int i = 0; i < n; i++) {
        s[0].push_back(op_touch(0, 0, 1));
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
    }
    return s;
}

} // namespace

TEST(Latr, NobodyIsInterruptedAndTheTargetFlushesAtItsNextTick)
{
    /* Pages come back at ticks, between the drops. */
    ts_machine_config c = bare_machine(2);
    set(c, "guest.tick", "nohz");
    set(c, "guest_sched.tick", "100us");
    Outcome out = run(c, drops(3, 20 * ms), 2);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.ipis"), 0u);
    EXPECT_GE(at(out, "saved"), 3u);
    EXPECT_EQ(at(out, "named"), at(out, "saved"));
    EXPECT_EQ(at(out, "pending"), 0u);
    const uint64_t kept_with_ticks = at(out, "frames_kept_max");
    /* Ends before its first tick: nothing is flushed by then but at its end. */
    set(c, "guest_sched.tick", "100ms");
    out = run(c, drops(3, 20 * ms), 2);
    EXPECT_LT(kept_with_ticks, at(out, "frames_kept_max"));
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(at(out, "frames_kept_max"), 3u);
    EXPECT_EQ(at(out, "flushed"), at(out, "named")); /* at the switch when it ended */
}

/* A CPU that is lazy may walk a freed table by itself, so it is named then, and only then. */
TEST(Latr, LazyCpusAreNamedWhereTablesAreFreed)
{
    for (bool frees : {false, true}) {
        Script s = {{op_ns(TS_OP_COMPUTE, ms), op_mmap(0, page), op_touch(0, 0, 1),
                     op_range(frees ? TS_OP_MUNMAP : TS_OP_MADVISE_DONTNEED, 0, 0, page)},
                    {op_ns(TS_OP_SLEEP, 20 * ms)}};
        Outcome out = run(bare_machine(2), s, 2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(at(out, "named"), frees ? 1u : 0u);
    }
}

/* A list of eight holds seven. The eighth goes by interrupt, which brings the target's generation
 * up but not its list. */
namespace
{

ts_flush_ops watched;
uint64_t dropped;

/* CPU 1 walks by itself, right after each flush, to the page behind the one that was dropped. */
void walks_besides(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                   ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_flush_find("latr")->flush_multi(self, mask, info, record);
    if (!dropped)
        dropped = info->unmapped_start;
    if (g->cpus[1].is_lazy) /* not at the very end */
        ts_guest_speculate(g, 1, dropped + page);
}

} // namespace

/* What is late is the flush of tables, too, where they lie apart from the pages that go: CPU 1 is
 * lazy, and not told of the page in the second table, but of the table. */
TEST(Latr, AWalkOfAFreedTableIsExcusedUntilItsCpuHasSwept)
{
    constexpr uint64_t second = 1026 * page;
    watched = *ts_flush_find("latr");
    watched.flush_multi = walks_besides;
    dropped = 0;
    Script s = {{op_mmap(0, 2048 * page), op_touch(0, 0, 1), op_mmap(1, page), op_touch(1, 0, 1),
                 op_spawn(1), op_ns(TS_OP_COMPUTE, 100000),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, second, page),
                 op_range(TS_OP_MUNMAP, 0, 0, 2048 * page),
                 op_range(TS_OP_MPROTECT, 1, 0, page, TS_PROT_READ)},
                {op_touch(0, second, 1), op_ns(TS_OP_SLEEP, 9 * ms)}};
    ts_machine_config c = bare_machine(2);
    set(c, "guest.pti", "false");
    set(c, "guest.lazy_rule", "skip");
    const auto p = mechanism_params(&watched, {});
    Outcome out = run_script(c, s, 1, &watched, p.data());
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.stats.at("oracle.tables_in_window"), 0u);
    EXPECT_EQ(out.stats.at("oracle.tables_stale"), 0u);
}

TEST(Latr, AFullListFallsBackToInterrupts)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest_sched.tick", "100ms");
    Outcome out = run(c, drops(9, 20 * ms), 2, {{"entries", "8"}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(at(out, "fallbacks"), 2u);
    EXPECT_EQ(out.stats.at("guest.ipis"), 2u);
}

/* Other changes than unmaps cannot wait. */
TEST(Latr, AProtectionIsFlushedAtOnce)
{
    Script s = {{op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 4 * page), op_touch(0, 0, 4),
                 op_range(TS_OP_MPROTECT, 0, 0, 4 * page, TS_PROT_READ)},
                {op_ns(TS_OP_COMPUTE, 2 * ms)}};
    Outcome out = run(bare_machine(2), s, 2);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_GE(out.shootdowns.size(), 1u);
    EXPECT_EQ(out.stats.at("guest.ipis"), 1u);
}

/* An address is mapped again only when nobody can use what was there. With sweeps far apart the
 * mappings of one after another lie side by side. */
TEST(Latr, AddressesAndPagesAreKeptUntilAllHaveSwept)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest_sched.tick", "100ms");
    /* Another mapping keeps the page table, which would widen the flush. */
    Script s = {{op_ns(TS_OP_COMPUTE, ms), op_mmap(9, 64 * page), op_touch(9, 0, 1)},
                {op_ns(TS_OP_COMPUTE, 20 * ms)}};
    for (uint32_t r = 0; r < 4; r++) {
        s[0].push_back(op_mmap(r, 3 * page));
        s[0].push_back(op_touch(r, 0, 3));
        s[0].push_back(op_range(TS_OP_MUNMAP, r, 0, 3 * page));
    }
    Outcome out = run(c, s, 2);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    std::set<uint64_t> starts;
    for (const auto &r : out.shootdowns)
        if (r.end - r.start == 3 * page)
            starts.insert(r.start);
    EXPECT_EQ(starts.size(), 4u);
    EXPECT_GE(at(out, "frames_kept_max"), 12u);
    Outcome native = run_script(c, s, 2, "native_concurrent");
    starts.clear();
    for (const auto &r : native.shootdowns)
        if (r.end - r.start == 3 * page)
            starts.insert(r.start);
    EXPECT_EQ(starts.size(), 1u);
}

/* Given out at once, an address is used as what it was by who has not swept. */
TEST(Latr, AddressesGivenOutAtOnceAreUsedAsWhatTheyWere)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest_sched.tick", "100ms");
    Script s = {{op_mmap(9, 64 * page), op_touch(9, 0, 1), op_mmap(0, 3 * page), op_touch(0, 0, 3),
                 op_ns(TS_OP_COMPUTE, 3 * ms), op_range(TS_OP_MUNMAP, 0, 0, 3 * page),
                 op_mmap(1, 3 * page), op_touch(1, 0, 3), op_ns(TS_OP_COMPUTE, 3 * ms)},
                {op_ns(TS_OP_COMPUTE, 2 * ms), op_touch(0, 0, 3, false),
                 op_ns(TS_OP_COMPUTE, 2 * ms), op_touch(1, 0, 3, false)}};
    ts_flush_ops hasty = *ts_flush_find("latr");
    hasty.va_held = [](const ts_mm *, uint64_t, uint64_t) { return uint64_t{0}; };
    const auto p = mechanism_params(&hasty, {});
    Outcome out = run_script(c, s, 2, &hasty, p.data());
    ASSERT_EQ(out.status, TS_ERR_FINDING) << out.message;
    EXPECT_NE(out.message.find("was mapped anew"), std::string::npos) << out.message;
    out = run(c, s, 2);
    EXPECT_EQ(out.status, TS_OK) << out.message;
}

/* A mapping grows where it is, unless what is behind it is kept: the pages of region 0 stay, or
 * move to where nobody has been. */
TEST(Latr, AMappingDoesNotGrowOverAddressesThatAreKept)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest_sched.tick", "100ms");
    for (const bool kept : {true, false}) {
        Script s = {{op_mmap(9, 64 * page), op_touch(9, 0, 1), op_mmap(1, 3 * page),
                     op_touch(1, 0, 3), op_mmap(0, page), op_touch(0, 0, 1),
                     op_ns(TS_OP_COMPUTE, 3 * ms), op_range(TS_OP_MUNMAP, 1, 0, 3 * page),
                     op_mremap(0, page, 2, 4 * page), op_touch(2, 0, 4),
                     op_ns(TS_OP_COMPUTE, 3 * ms)},
                    {op_ns(TS_OP_COMPUTE, 2 * ms), op_touch(1, 0, 3, false),
                     op_ns(TS_OP_COMPUTE, 2 * ms), op_touch(2, 0, 4, false)}};
        Outcome out = run_script(c, s, 2, kept ? "latr" : "native_concurrent");
        EXPECT_EQ(out.status, TS_OK) << out.message;
        /* What has moved is flushed where it was. */
        size_t moves = 0;
        for (const auto &r : out.shootdowns)
            moves += r.end - r.start == page;
        EXPECT_EQ(moves, kept ? 1u : 0u);
    }
}

/* The prototype gives pages out again after two ticks, whoever has swept. A vCPU that has been off
 * its pCPU for longer takes the tick that it has missed, and sweeps, before it uses anything: two
 * ticks are enough on an overcommitted host, too. None are not. */
TEST(Latr, TwoTicksAreEnoughWhereVcpusWaitAndNoneAreNot)
{
    ts_machine_config crowd = small_machine();
    set(crowd, "run.vms", "3");
    set(crowd, "host_sched.policy", "rr");
    set(crowd, "host_sched.slice", "4ms");
    set(crowd, "guest_sched.tick", "100us");
    set(crowd, "hypervisor.pin", "true");
    int found = 0;
    const ts_flush_ops *m = ts_flush_find("latr");
    for (const SharedScript &script : shared_scripts()) {
        for (const char *ticks : {"2", "0"}) {
            const auto p = mechanism_params(m, {{"free", "time"}, {"free_ticks", ticks}});
            Outcome out = run_shared(crowd, m, script, 24, p.data());
            if (*ticks == '2') {
                EXPECT_EQ(out.status, TS_OK) << script.name << ": " << out.message;
            } else {
                found += out.status == TS_ERR_FINDING;
            }
        }
    }
    EXPECT_GT(found, 0);
}
