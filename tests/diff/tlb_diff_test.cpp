/* SPDX-License-Identifier: Apache-2.0 */
/* The TLB against a plain list of entries that drops at once what an invalidation matches. Both
 * must agree on every look-up, eviction, place and count, for every policy, geometry and builder.
 * TS_TLB_DIFF_OPS is the number of operations in total; a failure prints the case that failed. */
#include "tests/diff/tlb_list.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace
{

using namespace tlb_list;

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
constexpr uint64_t kOperations = 400000;
#else
constexpr uint64_t kOperations = 3000000;
#endif
constexpr uint32_t kSteps = 4000; /* of one case */
constexpr uint64_t kPage = 4096;

/* A geometry, and random entries and invalidations out of a world small enough to collide. All of
 * it is the seed's. */
class World
{
  public:
    World(uint64_t seed, const ts_replacement_ops *policy) : random(seed)
    {
        shape(seed);
        g.replacement = policy;
        nasids = chance(3) ? 40000 : 4;
        nthreads = chance(2) ? 1 : 3;
        nep4tas = chance(2) ? 1 : chance(4) ? 1000 : 3;
        pieces = chance(3);
        runs = chance(2);
    }
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    bool chance(uint64_t n)
    {
        return below(n) == 0;
    }
    ts_tlb_entry entry()
    {
        ts_tlb_entry e{};
        e.tags.kind = chance(3) ? static_cast<ts_tlb_kind>(below(TS_TLB_KINDS)) : TS_TLB_COMBINED;
        e.tags.vmid = vmid();
        e.tags.asid = asid();
        e.tags.ep4ta = ep4ta();
        e.tags.thread = thread();
        e.tags.global = chance(4);
        e.tags.size_shift = chance(64) ? uint8_t{56} : g.size_shift[below(g.nsizes)];
        setLevel(e.tags);
        e.tags.base = address() >> e.tags.size_shift << e.tags.size_shift;
        e.target = random();
        e.writable = chance(2);
        e.stage1_writable = chance(2);
        e.fractured = chance(2);
        e.dirty = chance(2);
        recent[below(recent.size())] = e;
        return e;
    }
    /* Where something may be met: an entry that came not long ago, moved within its page. */
    ts_tlb_tags target()
    {
        ts_tlb_tags tags = recent[below(recent.size())].tags;
        tags.base += below(UINT64_C(1) << tags.size_shift);
        if (chance(4))
            tags.asid = asid();
        if (chance(8))
            tags.vmid = vmid();
        if (chance(8))
            tags.ep4ta = ep4ta();
        if (chance(8))
            tags.thread = thread();
        if (chance(4))
            tags.base = address();
        return tags;
    }
    ts_tlb_tags victim()
    {
        ts_tlb_tags tags = target();
        tags.base = tags.base >> tags.size_shift << tags.size_shift;
        return tags;
    }
    ts_tlb_inval inval()
    {
        ts_tlb_tags aim = target();
        ts_tlb_inval i = below(8) < 5 ? byAddress(aim) : chance(2) ? any(aim) : byTag(aim);
        i.thread = chance(6) ? thread() : aim.thread;
        i.any_thread = chance(4);
        return i;
    }

    ts_tlb_geometry g{};

  private:
    /* The first seeds have the shapes where something ends; the others any. */
    void shape(uint64_t seed)
    {
        constexpr std::array<std::array<uint32_t, 2>, 12> fixed = {{{1, 1},
                                                                    {7, 7},
                                                                    {16, 1},
                                                                    {64, 64},
                                                                    {65, 65},
                                                                    {64, 4},
                                                                    {96, 24},
                                                                    {34, 17},
                                                                    {384, 12},
                                                                    {32, 16},
                                                                    {130, 130},
                                                                    {256, 8}}};
        if (seed % 100 < fixed.size()) {
            g.entries = fixed[seed % 100][0];
            g.ways = fixed[seed % 100][1];
        } else if (chance(4)) {
            g.entries = g.ways = static_cast<uint32_t>(1 + below(80));
        } else {
            g.ways = static_cast<uint32_t>(1 + below(24));
            g.entries = g.ways << below(5);
        }
        uint64_t likely = 1 + below(4);
        for (uint8_t size : kSizes)
            if (chance(likely))
                g.size_shift[g.nsizes++] = size;
        if (g.nsizes == 0)
            g.size_shift[g.nsizes++] = kSizes[below(std::size(kSizes))];
    }
    /* A level that has leaves or tables of the size, or runs or pieces of that size. */
    void setLevel(ts_tlb_tags &tags)
    {
        bool leaf = !isWalk(tags.kind);
        bool piece = leaf && pieces && chance(3), run = leaf && runs && chance(3);
        size_t first = below(std::size(kLevels));
        for (size_t i = 0; i < std::size(kLevels); i++) {
            const Level &l = kLevels[(first + i) % std::size(kLevels)];
            if (piece ? l.run != 0 && l.shift > tags.size_shift
                : run ? l.run == tags.size_shift
                      : l.shift == tags.size_shift) {
                tags.granule = l.granule;
                tags.level = l.level;
                return;
            }
        }
        /* The size of a run only, or one that no structure holds. */
        tags.granule = TS_GRANULE_4K;
        tags.level = tags.size_shift >= 30 ? 2 : tags.size_shift >= 21;
    }
    uint16_t vmid()
    {
        return static_cast<uint16_t>(chance(4) ? 64 * below(3) : below(3));
    }
    uint16_t asid()
    {
        return static_cast<uint16_t>(below(nasids));
    }
    uint16_t ep4ta()
    {
        return static_cast<uint16_t>(below(nep4tas));
    }
    uint8_t thread()
    {
        return static_cast<uint8_t>(below(nthreads));
    }
    uint64_t address()
    {
        uint64_t va = below(3) << 30;
        va += below(4) << 21;
        va += below(24) * kPage;
        va += below(kPage);
        if (chance(4))
            va += below(6) << 34;
        if (chance(8))
            va += UINT64_C(0xffff8) << 44; /* a kernel's half */
        if (chance(16))
            va = below(UINT64_C(1) << 52);
        return va;
    }
    uint64_t pages()
    {
        return chance(3) ? below(kManyPages) : below(40);
    }
    ts_invlpgb invlpgb(const ts_tlb_tags &aim)
    {
        ts_invlpgb op{};
        op.va_valid = !chance(3);
        op.pcid_valid = chance(2);
        op.asid_valid = !chance(4);
        op.include_global = chance(2);
        op.final_only = chance(2);
        op.include_nested = chance(2);
        op.stride_2m = chance(3);
        op.vmid = aim.vmid;
        op.pcid = aim.asid;
        op.pages = static_cast<uint32_t>(1 + below(9));
        op.va = aim.base >> 12 << 12;
        return op;
    }
    ts_tlb_inval byAddress(const ts_tlb_tags &aim)
    {
        uint16_t vm = aim.vmid, id = aim.asid;
        uint64_t va = aim.base, length = pages() * kPage, start = va / kPage * kPage;
        bool last = chance(2);
        auto level = static_cast<uint8_t>(chance(2) ? 0 : chance(2) ? aim.level + 1 : 1 + below(3));
        auto granule = static_cast<uint8_t>(chance(3) ? 1 + below(3) : aim.granule + 1);
        auto hinted = [&](const ts_tlb_inval &i) {
            return chance(3) ? ts_inval_with_hint(i, granule, level) : i;
        };
        ts_invlpgb op = invlpgb(aim);
        switch (below(14)) {
        case 0:
            return ts_inval_invlpg(vm, id, va);
        case 1:
            return ts_inval_invpcid_addr(vm, id, va);
        case 2:
            return ts_inval_invvpid_address(vm, va);
        case 3:
            return ts_inval_invlpga(vm, va);
        case 4:
            return ts_inval_invlpgb(&op);
        case 5:
            return ts_inval_page_fault(vm, id, va);
        case 6:
            return ts_inval_stage2_fault(vm, aim.ep4ta, va);
        case 7:
        case 8:
            return hinted(ts_inval_tlbi_vae1(vm, id, va, last, level));
        case 9:
            return hinted(ts_inval_tlbi_vaae1(vm, va, last, level));
        case 10:
            return hinted(ts_inval_tlbi_ipas2e1(vm, va, last, level));
        case 11:
            return hinted(ts_inval_tlbi_rvae1(vm, id, start, length, last));
        case 12:
            return hinted(ts_inval_tlbi_rvaae1(vm, start, length, last));
        default:
            return hinted(ts_inval_tlbi_ripas2e1(vm, start, length, last));
        }
    }
    ts_tlb_inval byTag(const ts_tlb_tags &aim)
    {
        uint16_t vm = aim.vmid, id = aim.asid;
        switch (below(22)) {
        case 0:
            return ts_inval_nothing();
        case 1:
            return ts_inval_mov_cr3(vm, id);
        case 2:
            return ts_inval_mov_cr3_nopcid(vm);
        case 3:
            return ts_inval_mov_cr4_all(vm);
        case 4:
            return ts_inval_mov_cr4_pcid(vm, id);
        case 5:
            return ts_inval_invpcid_single(vm, id);
        case 6:
            return ts_inval_invpcid_all(vm, true);
        case 7:
            return ts_inval_invpcid_all(vm, false);
        case 8:
            return ts_inval_invvpid_single(vm);
        case 9:
            return ts_inval_invvpid_keep_global(vm);
        case 10:
            return ts_inval_invvpid_all();
        case 11:
            return ts_inval_invept_single(aim.ep4ta ? aim.ep4ta : uint16_t{1});
        case 12:
            return ts_inval_invept_global();
        case 13:
            return ts_inval_vm_transition();
        case 14:
            return ts_inval_svm_flush_all();
        case 15:
            return ts_inval_svm_flush_asid(vm);
        case 16:
            return ts_inval_svm_flush_asid_nonglobal(vm);
        case 17:
            return ts_inval_tlbi_alle1();
        case 18:
            return ts_inval_tlbi_alle2();
        case 19:
            return ts_inval_tlbi_vmalle1(vm);
        case 20:
            return ts_inval_tlbi_vmalls12e1(vm);
        default:
            return ts_inval_tlbi_aside1(vm, id);
        }
    }
    /* Any combination of the fields, whether an instruction has it or not. */
    ts_tlb_inval any(const ts_tlb_tags &aim)
    {
        ts_tlb_inval i{};
        i.kinds = static_cast<uint8_t>(below(16));
        i.any_vmid = chance(4);
        i.keep_host = chance(2);
        i.all_addresses = chance(4);
        i.last_level_only = chance(4);
        i.walk_any_address = chance(3);
        i.stage2_any_address = chance(3);
        i.asid_rule = static_cast<uint8_t>(below(4));
        i.ep4ta_rule = static_cast<uint8_t>(below(3));
        i.ttl_level = static_cast<uint8_t>(chance(2) ? 0 : 1 + below(3));
        i.ttl_granule = static_cast<uint8_t>(chance(2) ? 0 : 1 + below(3));
        i.vmid = aim.vmid;
        i.asid = aim.asid;
        i.ep4ta = aim.ep4ta;
        i.start = aim.base / kPage * kPage;
        i.length = pages() * kPage;
        return i;
    }
    static constexpr uint64_t kManyPages = 1 << 18;
    std::array<ts_tlb_entry, 8> recent = {};
    std::mt19937_64 random;
    uint64_t nasids, nthreads, nep4tas;
    bool pieces, runs;
};

struct Counts {
    uint64_t lookups = 0, hits = 0, fills = 0, evictions = 0, invalidated = 0, flushes = 0;
    bool operator==(const Counts &o) const
    {
        return std::tie(lookups, hits, fills, evictions, invalidated, flushes) ==
               std::tie(o.lookups, o.hits, o.fills, o.evictions, o.invalidated, o.flushes);
    }
    void add(const Counts &o)
    {
        lookups += o.lookups;
        hits += o.hits;
        fills += o.fills;
        evictions += o.evictions;
        invalidated += o.invalidated;
        flushes += o.flushes;
    }
};

/* One case. Says "" or what differs. */
class Case
{
  public:
    Case(uint64_t seed, const ts_replacement_ops *policy)
        : world(seed, policy), list(world.g, seed, 7)
    {
        ts_error err{};
        if (ts_tlb_create(&t, &world.g, seed, 7, &err) != TS_OK)
            fail = err.message;
    }
    ~Case()
    {
        ts_tlb_destroy(t);
    }
    Case(const Case &) = delete;
    std::string run()
    {
        for (uint32_t i = 0; i < kSteps && fail.empty(); i++) {
            step();
            check(ts_tlb_valid_count(t) == list.size(), "the number of entries");
            check(ts_tlb_active_sizes(t) == list.activeSizes(), "the active sizes");
            if (i % 128 == 0)
                compareAll();
            if (!fail.empty())
                return fail + " at step " + std::to_string(i);
        }
        compareAll();
        const struct ts_tlb_counters *c = ts_tlb_counters(t);
        Counts ours{c->lookups, c->hits, c->fills, c->evictions, c->invalidated, c->flushes};
        check(ours == counts && c->misses == c->lookups - c->hits, "the counters");
        return fail;
    }
    Counts counts;

  private:
    void check(bool good, const char *what)
    {
        if (!good && fail.empty())
            fail = what;
    }
    void step()
    {
        uint64_t what = world.below(40);
        if (what < 16)
            insert();
        else if (what < 35)
            lookup();
        else if (what < 36)
            remove();
        else
            invalidate();
    }
    void insert()
    {
        ts_tlb_entry e = world.entry(), evicted{};
        bool did = true;
        std::optional<ts_tlb_entry> expected;
        bool held = ts_tlb_insert(t, &e, &evicted, &did);
        check(held == list.insert(e, expected), "whether the size is held");
        check(held == ts_tlb_holds_size(t, e.tags.size_shift), "the sizes held");
        check(did == expected.has_value(), "whether a fill evicts");
        check(!did || !expected || same(*expected, evicted), "the entry evicted");
        counts.fills += held;
        counts.evictions += did;
    }
    void lookup()
    {
        ts_tlb_tags at = world.target();
        Query q{at.kind, {at.vmid, at.asid, at.ep4ta, at.thread}, at.base};
        uint64_t key = ts_tlb_key(q.kind, q.space);
        auto expected = list.lookup(q, true);
        if (world.chance(4)) {
            ts_tlb_entry probed{};
            bool found = ts_tlb_probe(t, key, q.va, &probed);
            check(found == expected.has_value(), "a probe");
            check(!found || !expected || same(probed, *expected), "the entry probed");
            uint8_t shift = world.chance(2) ? at.size_shift : world.g.size_shift[0];
            check(ts_tlb_probe_other(t, key, q.va, shift) == list.other(q, shift),
                  "a probe for another size");
        }
        const ts_tlb_entry *e = ts_tlb_lookup(t, key, q.va);
        check((e != nullptr) == expected.has_value(), "a look-up");
        check(!e || !expected || same(*e, *expected), "the entry found");
        counts.lookups++;
        counts.hits += expected.has_value();
    }
    void remove()
    {
        ts_tlb_tags tags = world.victim();
        ts_tlb_entry removed{};
        auto expected = list.remove(tags);
        check(ts_tlb_remove(t, &tags, &removed) == expected.has_value(), "a removal");
        check(!expected || same(removed, *expected), "the entry removed");
        counts.evictions += expected.has_value();
    }
    void invalidate()
    {
        ts_tlb_inval inval = world.inval();
        uint32_t work = 0, expected_work = list.work(inval);
        uint32_t dropped = ts_tlb_invalidate(t, &inval, &work);
        check(dropped == list.invalidate(inval), "the number of entries dropped");
        check(work == expected_work, "the sets to look at");
        counts.invalidated += dropped;
        counts.flushes += inval.all_addresses;
    }
    void compareAll()
    {
        std::vector<ts_tlb_entry> ours;
        auto keep = [](void *user, const ts_tlb_entry *e) {
            static_cast<std::vector<ts_tlb_entry> *>(user)->push_back(*e);
        };
        ts_tlb_for_each(t, keep, &ours);
        size_t i = 0;
        uint32_t pieces = 0;
        list.each([&](const ts_tlb_entry &e) {
            check(i < ours.size() && same(ours[i], e), "an entry");
            pieces += isPiece(e.tags);
            i++;
        });
        check(i == ours.size(), "the entries");
        check(ts_tlb_piece_count(t) == pieces, "the number of pieces");
    }

    World world;
    ListTlb list;
    ts_tlb *t = nullptr;
    std::string fail;
};

std::optional<uint64_t> fromEnvironment(const char *name)
{
    const char *text = std::getenv(name);
    if (!text)
        return std::nullopt;
    return std::strtoull(text, nullptr, 10);
}

class TlbDiff : public ::testing::TestWithParam<size_t>
{
};

TEST_P(TlbDiff, AgreesWithAListOverRandomOperations)
{
    const ts_replacement_ops *policy = ts_replacement_table[GetParam()];
    uint64_t operations = fromEnvironment("TS_TLB_DIFF_OPS").value_or(kOperations);
    uint64_t cases = operations / ts_replacement_table_count / kSteps + 1;
    uint64_t first = 0;
    if (auto seed = fromEnvironment("TS_TLB_DIFF_SEED")) {
        first = *seed;
        cases = 1;
    }
    Counts sum;
    for (uint64_t seed = first; seed < first + cases; seed++) {
        Case c(seed, policy);
        ASSERT_EQ(c.run(), "") << "reproduce: TS_TLB_DIFF_SEED=" << seed
                               << " diff_tlb_diff_test --gtest_filter=*/" << policy->name;
        sum.add(c.counts);
    }
    EXPECT_GT(sum.hits, sum.lookups / 20);
    EXPECT_GT(sum.evictions, sum.fills / 20);
    EXPECT_GT(sum.invalidated, sum.fills / 20);
}

std::vector<size_t> policies()
{
    std::vector<size_t> all;
    for (size_t i = 0; i < ts_replacement_table_count; i++)
        all.push_back(i);
    return all;
}

INSTANTIATE_TEST_SUITE_P(Policies, TlbDiff, ::testing::ValuesIn(policies()), [](const auto &test) {
    return std::string(ts_replacement_table[test.param]->name);
});

} // namespace
