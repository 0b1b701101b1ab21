/* SPDX-License-Identifier: Apache-2.0 */
/* The TLB against a plain list of entries that drops at once what an invalidation matches. Both
 * must agree on every look-up, eviction and count, for every policy, geometry and builder. */
#include "models/tlb/tlb.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096;

/* Stage-2 entries have no ASID; only combined ones can be global. */
ts_tlb_entry normal(ts_tlb_entry e)
{
    if (e.tags.kind == TS_TLB_STAGE2_LEAF || e.tags.kind == TS_TLB_STAGE2_WALK)
        e.tags.asid = 0;
    if (e.tags.kind != TS_TLB_COMBINED)
        e.tags.global = false;
    return e;
}

bool same(const ts_tlb_entry &a, const ts_tlb_entry &b)
{
    return a.tags.kind == b.tags.kind && a.tags.vmid == b.tags.vmid && a.tags.asid == b.tags.asid &&
           a.tags.global == b.tags.global && a.tags.size_shift == b.tags.size_shift &&
           a.tags.level == b.tags.level && a.tags.base == b.tags.base && a.target == b.target &&
           a.writable == b.writable && a.fractured == b.fractured && a.dirty == b.dirty &&
           a.stage1_writable == b.stage1_writable;
}

class ListTlb
{
  public:
    ListTlb(const ts_tlb_geometry &geometry, uint64_t seed, uint64_t instance)
        : g(geometry), sets(g.entries / g.ways), slots(g.entries), state(sets)
    {
        ts_rng_init(&rng, seed, "tlb", instance);
        for (auto &s : state) {
            s.resize(g.ways + 1);
            g.replacement->init(s.data(), g.ways);
        }
    }

    std::optional<ts_tlb_entry> lookup(ts_tlb_kind kind, uint16_t vmid, uint16_t asid, uint64_t va,
                                       bool use)
    {
        bool stage2 = kind == TS_TLB_STAGE2_LEAF || kind == TS_TLB_STAGE2_WALK;
        for (uint32_t i = 0; i < g.nsizes; i++)
            for (bool global : {false, true})
                for (uint32_t way = 0; way < g.ways; way++) {
                    uint64_t base = va >> g.size_shift[i] << g.size_shift[i];
                    const auto &slot = at(set_of(va, g.size_shift[i]), way);
                    if (!slot || slot->tags.kind != kind || slot->tags.vmid != vmid ||
                        slot->tags.size_shift != g.size_shift[i] || slot->tags.base != base ||
                        slot->tags.global != global)
                        continue;
                    if (!stage2 && !global && slot->tags.asid != asid)
                        continue;
                    if (use)
                        g.replacement->on_hit(state[set_of(va, g.size_shift[i])].data(), g.ways,
                                              way);
                    return slot;
                }
        return std::nullopt;
    }

    bool insert(const ts_tlb_entry &given, std::optional<ts_tlb_entry> &evicted)
    {
        ts_tlb_entry e = normal(given);
        evicted.reset();
        bool held = false;
        for (uint32_t i = 0; i < g.nsizes; i++)
            held |= g.size_shift[i] == e.tags.size_shift;
        if (!held)
            return false;
        uint32_t set = set_of(e.tags.base, e.tags.size_shift);
        uint32_t way = way_for(e, set);
        if (way == g.ways) {
            way = g.replacement->victim(state[set].data(), g.ways, &rng);
            evicted = at(set, way);
        }
        at(set, way) = e;
        g.replacement->on_fill(state[set].data(), g.ways, way);
        return true;
    }

    uint32_t invalidate(const ts_tlb_inval &inval)
    {
        uint32_t dropped = 0;
        for (auto &slot : slots)
            if (slot && ts_tlb_inval_matches(&inval, &slot->tags)) {
                slot.reset();
                dropped++;
            }
        return dropped;
    }

    std::vector<ts_tlb_entry> all() const
    {
        std::vector<ts_tlb_entry> list;
        for (const auto &slot : slots)
            if (slot)
                list.push_back(*slot);
        return list;
    }

  private:
    uint32_t set_of(uint64_t va, uint32_t shift) const
    {
        return static_cast<uint32_t>(va >> shift) % sets;
    }
    std::optional<ts_tlb_entry> &at(uint32_t set, uint32_t way)
    {
        return slots[set * g.ways + way];
    }
    /* The way with the same key, else the lowest empty one, else g.ways. */
    uint32_t way_for(const ts_tlb_entry &e, uint32_t set)
    {
        for (uint32_t way = 0; way < g.ways; way++) {
            const auto &slot = at(set, way);
            if (slot && slot->tags.kind == e.tags.kind && slot->tags.vmid == e.tags.vmid &&
                slot->tags.global == e.tags.global &&
                (e.tags.global || slot->tags.asid == e.tags.asid) &&
                slot->tags.size_shift == e.tags.size_shift && slot->tags.base == e.tags.base)
                return way;
        }
        for (uint32_t way = 0; way < g.ways; way++)
            if (!at(set, way))
                return way;
        return g.ways;
    }

    ts_tlb_geometry g;
    uint32_t sets;
    std::vector<std::optional<ts_tlb_entry>> slots;
    std::vector<std::vector<uint64_t>> state;
    ts_rng rng;
};

/* Random entries and invalidations out of a world small enough to collide. */
class World
{
  public:
    World(uint64_t seed, const ts_tlb_geometry &geometry, uint32_t asids)
        : random(seed), g(geometry), nasids(asids)
    {
    }
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    bool chance(uint64_t n)
    {
        return below(n) == 0;
    }
    uint16_t vmid()
    {
        return static_cast<uint16_t>(chance(4) ? 64 * below(3) : below(3));
    }
    uint16_t asid()
    {
        return static_cast<uint16_t>(below(nasids));
    }
    uint64_t address()
    {
        uint64_t va = below(3) * (UINT64_C(1) << 30) + below(4) * (UINT64_C(1) << 21) +
                      below(24) * kPage + below(kPage);
        if (chance(8))
            va += UINT64_C(0xffff8) << 44; /* a kernel's half */
        if (chance(16))
            va = below(UINT64_C(1) << 52);
        return va;
    }
    ts_tlb_kind kind()
    {
        return chance(3) ? static_cast<ts_tlb_kind>(below(TS_TLB_KINDS)) : TS_TLB_COMBINED;
    }
    ts_tlb_entry entry(bool pieces)
    {
        ts_tlb_entry e{};
        e.tags.kind = kind();
        e.tags.vmid = vmid();
        e.tags.asid = asid();
        e.tags.global = chance(4);
        e.tags.size_shift = chance(64) ? uint8_t{48} : g.size_shift[below(g.nsizes)];
        e.tags.level = static_cast<uint8_t>((e.tags.size_shift - 12) / 9);
        if (pieces && chance(6) && e.tags.level < 2)
            e.tags.level++;
        e.tags.base = address() >> e.tags.size_shift << e.tags.size_shift;
        e.target = random();
        e.writable = chance(2);
        e.stage1_writable = chance(2);
        e.fractured = chance(2);
        e.dirty = chance(2);
        recent[below(4)] = e;
        return e;
    }
    /* Where a look-up may hit: an entry that came not long ago, moved within its page. */
    ts_tlb_tags target()
    {
        ts_tlb_tags tags = recent[below(4)].tags;
        tags.base += below(UINT64_C(1) << tags.size_shift);
        if (chance(4))
            tags.asid = asid();
        if (chance(8))
            tags.vmid = vmid();
        if (chance(4))
            tags.base = address();
        return tags;
    }
    ts_tlb_inval inval()
    {
        ts_tlb_tags aim = target();
        uint16_t vm = aim.vmid, id = aim.asid;
        uint64_t va = aim.base, length = pages() * kPage;
        uint64_t start = va / kPage * kPage;
        bool last = chance(2);
        auto ttl = static_cast<uint8_t>(chance(2) ? 0 : 1 + below(3));
        switch (below(23)) {
        case 0:
            return ts_inval_invlpg(vm, id, va);
        case 1:
            return ts_inval_mov_cr3(vm, id);
        case 2:
            return ts_inval_invpcid_addr(vm, id, va);
        case 3:
            return ts_inval_invpcid_single(vm, id);
        case 4:
            return ts_inval_invpcid_all(vm, chance(2));
        case 5:
            return ts_inval_invvpid_address(vm, va);
        case 6:
            return ts_inval_invvpid_single(vm);
        case 7:
            return ts_inval_invvpid_keep_global(vm);
        case 8:
            return chance(4) ? ts_inval_invvpid_all() : ts_inval_invlpg(vm, id, va);
        case 9:
            return chance(4) ? ts_inval_invept_global() : ts_inval_invlpg(vm, id, va);
        case 10:
            return ts_inval_page_fault(vm, id, va);
        case 11:
            return ts_inval_ept_violation(vm, va);
        case 12:
            return chance(4) ? ts_inval_tlbi_alle1() : ts_inval_tlbi_vmalle1(vm);
        case 13:
            return ts_inval_tlbi_vmalle1(vm);
        case 14:
            return ts_inval_tlbi_vmalls12e1(vm);
        case 15:
            return ts_inval_tlbi_aside1(vm, id);
        case 16:
            return ts_inval_tlbi_vae1(vm, id, va, last, ttl);
        case 17:
            return ts_inval_tlbi_vaae1(vm, va, last, ttl);
        case 18:
            return ts_inval_tlbi_rvae1(vm, id, start, length, last);
        case 19:
            return ts_inval_tlbi_ipas2e1(vm, va, last, ttl);
        case 20:
            return ts_inval_tlbi_ripas2e1(vm, start, length, last);
        default:
            return any(aim, start, length);
        }
    }

  private:
    uint64_t pages()
    {
        return chance(3) ? below(kManyPages) : below(40);
    }
    /* Any combination of the fields, whether an instruction has it or not. */
    ts_tlb_inval any(const ts_tlb_tags &aim, uint64_t start, uint64_t length)
    {
        ts_tlb_inval i{};
        i.kinds = static_cast<uint8_t>(below(16));
        i.any_vmid = chance(4);
        i.keep_host = chance(2);
        i.all_addresses = chance(4);
        i.last_level_only = chance(4);
        i.walk_any_address = chance(3);
        i.asid_rule = static_cast<uint8_t>(below(4));
        i.ttl_level = static_cast<uint8_t>(chance(2) ? 0 : 1 + below(3));
        i.vmid = aim.vmid;
        i.asid = aim.asid;
        i.start = start;
        i.length = length;
        return i;
    }
    static constexpr uint64_t kManyPages = 1 << 18;
    ts_tlb_entry recent[4] = {};
    std::mt19937_64 random;
    const ts_tlb_geometry &g;
    uint32_t nasids;
};

struct Shape {
    uint32_t entries, ways;
    std::vector<uint8_t> sizes;
};

const Shape kShapes[] = {{1, 1, {12}},           {8, 1, {12, 21}},      {16, 4, {12}},
                         {24, 12, {12, 21}},     {48, 6, {12, 21, 30}}, {80, 5, {12, 21}},
                         {5, 5, {12, 21}},       {16, 16, {21, 30}},    {32, 16, {12, 21, 30, 39}},
                         {40, 40, {12, 21, 30}}, {64, 64, {12}},        {100, 100, {12, 21}},
                         {96, 24, {12, 21}},     {256, 8, {12, 13, 21}}};

std::vector<ts_tlb_entry> entriesOf(const ts_tlb *t)
{
    std::vector<ts_tlb_entry> list;
    ts_tlb_for_each(
        t,
        [](void *user, const ts_tlb_entry *e) {
            static_cast<std::vector<ts_tlb_entry> *>(user)->push_back(*e);
        },
        &list);
    return list;
}

struct Counts {
    uint64_t lookups = 0, hits = 0, fills = 0, evictions = 0, invalidated = 0, flushes = 0;
};

class TlbDiff : public ::testing::TestWithParam<size_t>
{
  protected:
    void run(const Shape &shape, uint64_t seed, uint32_t steps, uint32_t asids);
};

void step(World &world, ts_tlb *t, ListTlb &list, Counts &counts, bool pieces)
{
    uint64_t what = world.below(20);
    if (what < 8) {
        ts_tlb_entry e = world.entry(pieces), evicted{};
        std::optional<ts_tlb_entry> expected;
        bool did = true;
        bool held = ts_tlb_insert(t, &e, &evicted, &did);
        ASSERT_EQ(held, list.insert(e, expected));
        ASSERT_EQ(did, expected.has_value());
        if (expected) {
            ASSERT_TRUE(same(*expected, evicted));
        }
        counts.fills += held;
        counts.evictions += did;
    } else if (what < 18) {
        ts_tlb_tags target = world.target();
        ts_tlb_kind kind = target.kind;
        uint16_t vmid = target.vmid, asid = target.asid;
        uint64_t va = target.base;
        ts_tlb_entry probed{};
        bool found = ts_tlb_probe(t, kind, vmid, asid, va, &probed);
        auto expected = list.lookup(kind, vmid, asid, va, true);
        const ts_tlb_entry *e = ts_tlb_lookup(t, kind, vmid, asid, va);
        ASSERT_EQ(e != nullptr, expected.has_value());
        ASSERT_EQ(found, expected.has_value());
        if (e) {
            ASSERT_TRUE(same(*e, *expected));
            ASSERT_TRUE(same(probed, *expected));
        }
        counts.lookups++;
        counts.hits += e != nullptr;
    } else {
        ts_tlb_inval inval = world.inval();
        uint32_t dropped = ts_tlb_invalidate(t, &inval, nullptr);
        ASSERT_EQ(dropped, list.invalidate(inval));
        counts.invalidated += dropped;
        counts.flushes += inval.all_addresses;
    }
}

void compareAll(const ts_tlb *t, const ListTlb &list)
{
    auto ours = entriesOf(t), theirs = list.all();
    ASSERT_EQ(ours.size(), theirs.size());
    ASSERT_EQ(ts_tlb_valid_count(t), theirs.size());
    uint32_t pieces = 0;
    for (size_t i = 0; i < ours.size(); i++) {
        ASSERT_TRUE(same(ours[i], theirs[i])) << "entry " << i;
        const ts_tlb_tags &tags = ours[i].tags;
        bool leaf = tags.kind == TS_TLB_COMBINED || tags.kind == TS_TLB_STAGE2_LEAF;
        pieces += leaf && 12 + 9 * tags.level > tags.size_shift;
    }
    ASSERT_EQ(ts_tlb_piece_count(t), pieces);
}

void TlbDiff::run(const Shape &shape, uint64_t seed, uint32_t steps, uint32_t asids)
{
    ts_tlb_geometry g{};
    g.entries = shape.entries;
    g.ways = shape.ways;
    g.nsizes = static_cast<uint8_t>(shape.sizes.size());
    for (size_t i = 0; i < shape.sizes.size(); i++)
        g.size_shift[i] = shape.sizes[i];
    g.replacement = ts_replacement_table[GetParam()];
    ts_error err{};
    ts_tlb *t = nullptr;
    ASSERT_EQ(ts_tlb_create(&t, &g, seed, 7, &err), TS_OK) << err.message;
    ListTlb list(g, seed, 7);
    World world(seed, g, asids);
    Counts counts;
    for (uint32_t i = 0; i < steps && !HasFatalFailure(); i++) {
        /* With pieces every address form sweeps, so half of the runs go without. */
        step(world, t, list, counts, seed % 2 == 0);
        if (i % 64 == 0 && !HasFatalFailure())
            compareAll(t, list);
    }
    const struct ts_tlb_counters *c = ts_tlb_counters(t);
    EXPECT_EQ(c->lookups, counts.lookups);
    EXPECT_EQ(c->hits, counts.hits);
    EXPECT_EQ(c->misses, counts.lookups - counts.hits);
    EXPECT_EQ(c->fills, counts.fills);
    EXPECT_EQ(c->evictions, counts.evictions);
    EXPECT_EQ(c->invalidated, counts.invalidated);
    EXPECT_EQ(c->flushes, counts.flushes);
    EXPECT_GT(counts.hits, 0u);
    EXPECT_GT(counts.evictions, 0u);
    EXPECT_GT(counts.invalidated, 0u);
    if (HasFailure())
        ADD_FAILURE() << "reproduce: policy " << g.replacement->name << ", " << shape.entries
                      << " entries, " << shape.ways << " ways, seed " << seed;
    ts_tlb_destroy(t);
}

TEST_P(TlbDiff, AgreesWithAListOverRandomOperations)
{
    uint64_t seed = 100 * GetParam();
    for (const Shape &shape : kShapes)
        for (int repeat = 0; repeat < 2 && !HasFailure(); repeat++)
            run(shape, ++seed, 6000, 4);
}

/* More address spaces than entries, so that their numbers run out again and again. */
TEST_P(TlbDiff, AgreesWithAListOverManyAddressSpaces)
{
    uint64_t seed = 100 * GetParam() + 50;
    for (const Shape &shape : kShapes)
        if (!HasFailure())
            run(shape, ++seed, 6000, 40000);
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

/* Mattson: a fully associative LRU structure of n entries hits exactly the accesses with fewer than
 * n other pages since the last access to the same page. */
TEST(TlbReuseDistance, FullyAssociativeLruHitsByStackDistance)
{
    for (uint32_t entries : {1u, 7u, 16u, 48u, 64u, 130u}) {
        ts_tlb_geometry g{};
        g.entries = entries;
        g.ways = entries;
        g.nsizes = 1;
        g.size_shift[0] = 12;
        g.replacement = ts_replacement_find("lru");
        ts_error err{};
        ts_tlb *t = nullptr;
        ASSERT_EQ(ts_tlb_create(&t, &g, 1, 0, &err), TS_OK);
        std::mt19937_64 random(entries);
        std::vector<uint64_t> stack; /* most recent last */
        uint64_t hits = 0;
        for (int i = 0; i < 20000; i++) {
            uint64_t spread = random() % 3 ? entries : 3 * entries + 2;
            uint64_t page = random() % spread;
            size_t distance = 0; /* other pages since */
            while (distance < stack.size() && stack[stack.size() - 1 - distance] != page)
                distance++;
            bool seen = distance < stack.size();
            if (seen)
                stack.erase(stack.end() - 1 - static_cast<ptrdiff_t>(distance));
            stack.push_back(page);
            bool expected = seen && distance < entries;
            const ts_tlb_entry *e = ts_tlb_lookup(t, TS_TLB_COMBINED, 1, 1, page * kPage);
            ASSERT_EQ(e != nullptr, expected)
                << entries << " entries, access " << i << ", distance " << distance;
            hits += expected;
            if (!e) {
                ts_tlb_entry fill{};
                fill.tags.vmid = 1;
                fill.tags.asid = 1;
                fill.tags.size_shift = 12;
                fill.tags.base = page * kPage;
                ts_tlb_insert(t, &fill, nullptr, nullptr);
            }
        }
        EXPECT_GT(hits, 1000u);
        ts_tlb_destroy(t);
    }
}

} // namespace
