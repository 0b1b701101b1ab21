/* SPDX-License-Identifier: Apache-2.0 */
/* An MMU that keeps passes as such against one that looks up and puts in each read: the same
 * answers, cycles, counters and contents, whatever else is read or invalidated in between. */
#include "models/mmu/mmu_passes.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <tuple>
#include <vector>

#include "models/tlb/replacement_table.h"
#include "tests/mmu_fixture.hpp"

using namespace mmu_fixture;

namespace
{

using Access = struct ts_mmu_access; /* not the function */

constexpr uint64_t kFirst = UINT64_C(1) << 40; /* page number 0 of the region, as VA */
constexpr uint64_t kIpa = UINT64_C(1) << 34, kPa = UINT64_C(1) << 36;

struct Shape {
    uint64_t l1 = 16, l2 = 320, l2_ways = 5, nested = 16, walk = 8, back = 40, blocks = 4;
    uint64_t sweep = 0;
    bool stage2 = true;
    bool fresh = false;  /* no page has been accessed yet */
    bool alone = false;  /* but for one of each table, all have been */
    bool uneven = false; /* some tables have pages out of order */
    uint64_t every = 0;  /* all have, as often as that */
    bool pieces = false; /* some blocks of stage 2 are tables */
    bool holes = false;  /* some blocks of stage 2 are not there */
    bool large = false;  /* some of stage 1 are pages of 2M */
};

ts_mmu_params params_of(const Shape &s)
{
    ts_mmu_params p = defaults();
    p.l1d_4k_entries = p.l1d_4k_ways = s.l1;
    p.l1d_any_entries = p.l1d_2m_entries = p.l1d_1g_entries = 0;
    p.l1d_2m_ways = p.l1d_1g_ways = p.l1d_any_ways = 0;
    p.l2_entries = s.l2;
    p.l2_ways = s.l2_ways;
    p.l2_1g_entries = p.l2_1g_ways = 0;
    p.nested_entries = s.nested;
    p.nested_ways = s.nested ? 4 : 0;
    p.walk_l1_entries = s.walk;
    p.walk_in_l2 = p.nested_in_l2 = p.l2_probe_cycles = 0;
    p.l1_replacement = p.replacement = TS_REPLACEMENT_TABLE_LRU;
    p.inclusion = TS_MMU_NON_INCLUSIVE;
    p.l1_flush_on_any_inval = p.fracture_full_flush = 0;
    p.l2_hit_cycles = 3;
    p.sweep_sets_per_cycle = s.sweep;
    p.sweep_blocking = s.sweep != 0;
    return p;
}

void map(PageTable &t, uint64_t va, uint64_t target, uint32_t level, bool writable, bool accessed)
{
    ts_pte pte{};
    pte.level = static_cast<uint8_t>(level);
    pte.size_shift = static_cast<uint8_t>(12 + 9 * level);
    pte.target = target;
    pte.writable = writable;
    pte.accessed = accessed;
    ts_pgtable_map(t.pt, va, &pte);
}

/* One of the two, with tables of its own: walks set bits in them. */
struct Side {
    PageTable guest, host;
    Mmu mmu;
    ts_mmu_context ctx{};
    uint64_t now = 1000;

    Side(const Shape &s, uint64_t seed) : mmu(params_of(s), ts_mmu_wiring{})
    {
        std::mt19937_64 random(seed);
        ctx.vmid = 3;
        ctx.asid = 7;
        ctx.stage1 = guest.pt;
        ctx.stage2 = s.stage2 ? host.pt : nullptr;
        for (uint64_t b = 0; b < s.blocks; b++) {
            const bool uneven = s.every || (s.uneven && random() % 2), writable = random() % 4 != 0;
            const uint64_t odd = random() % 512,
                           every = s.every ? s.every : UINT64_C(1) << (3 + random() % 7);
            const bool large = s.large && random() % 3 == 0;
            if (large)
                map(guest, kFirst + b * kTwoMiB, kIpa + b * kTwoMiB, 1, writable, true);
            for (uint64_t i = 0; i < 512 && !large; i++) {
                const uint64_t page = b * 512 + i;
                const uint64_t to = uneven && i % every == odd % every ? page ^ 1 : page;
                map(guest, kFirst + page * kPage, kIpa + to * kPage, 0, writable,
                    !s.fresh && !(s.alone && i == odd));
            }
            if (!s.stage2 || (s.holes && b && random() % 3 == 0))
                continue;
            const bool pieces = s.pieces && random() % 2, shared = random() % 4 == 0;
            for (uint64_t i = 0; i < (pieces ? 512 : 1); i++)
                map(host, kIpa + (b * 512 + i) * kPage, kPa + (b * 512 + i) * kPage, pieces ? 0 : 1,
                    !shared, true);
        }
        if (s.stage2)
            backTables(host, guest);
    }
    Access read(uint64_t page, ts_mmu_kind kind = TS_MMU_READ)
    {
        return read_in(ctx, page, kind);
    }
    Access read_in(const ts_mmu_context &c, uint64_t page, ts_mmu_kind kind)
    {
        const Access a = mmu.at(now, c, kFirst + page * kPage + page % 7 * 8, kind);
        now += a.cycles + 13;
        return a;
    }
    using Held = std::tuple<uint64_t, uint64_t, bool, bool>;
    std::vector<Held> held() const
    {
        std::vector<Held> all;
        ts_mmu_for_each(
            mmu.m,
            [](void *user, const ts_tlb_entry *e) {
                static_cast<std::vector<Held> *>(user)->emplace_back(e->tags.base, e->target,
                                                                     e->writable, e->dirty);
            },
            &all);
        std::sort(all.begin(), all.end());
        return all;
    }
};

class Pair
{
  public:
    Pair(const Shape &s, uint64_t seed)
        : shape(s), kept(s, seed), plain(s, seed), random(seed), pages(s.blocks * 512),
          at(random() % (pages / 2))
    {
    }
    uint64_t ahead = 0; /* reads that were made at once */
    uint64_t ended = 0; /* passes were kept when somebody looked */

    /* Goes on with the passes, so many reads. */
    void reads(uint64_t n)
    {
        while (n && at < pages) {
            const uint64_t before = std::min(at, shape.back);
            const uint64_t page = at - made;
            uint64_t done = together(page, 1 + before - made, 1 + before,
                                     before == shape.back ? pages - at : 1, n);
            if (!done)
                done = single(page);
            if (!done)
                break; /* a fault: it is not mapped */
            made += done;
            at += made / (1 + before);
            made %= 1 + before;
            n -= std::min(n, done);
        }
        if (at >= pages) {
            at = random() % (pages / 2);
            made = 0;
        }
        same();
    }
    void elsewhere()
    {
        static const ts_mmu_kind kinds[] = {TS_MMU_READ, TS_MMU_WRITE, TS_MMU_FETCH};
        /* Often near to where the passes are. */
        const uint64_t page =
            random() % 2 ? random() % pages : (at + random() % 4 + pages - 2) % pages;
        const ts_mmu_kind kind = kinds[random() % 3];
        compare(kept.read(page, kind), plain.read(page, kind));
        same();
    }
    /* The next access of the pass, but a write, or by another address space. */
    void another()
    {
        const ts_mmu_kind kind = random() % 2 ? TS_MMU_WRITE : TS_MMU_READ;
        ts_mmu_context a = kept.ctx, b = plain.ctx;
        if (kind == TS_MMU_READ)
            (random() % 2 ? a.asid : a.vmid) = 9;
        b.asid = a.asid;
        b.vmid = a.vmid;
        compare(kept.read_in(a, at - made, kind), plain.read_in(b, at - made, kind));
        same();
    }
    void skip()
    {
        if (made && random() % 2)
            reads(1 + std::min(at, shape.back) - made);
        at = (at + random() % (random() % 2 ? 3 : 100)) % pages;
        made = random() % 4 ? 0 : std::min(made, at);
        if (random() % 2)
            return;
        reads(1 + random() % 3);
        if (random() % 2)
            contents();
        else
            invalidate();
    }
    void invalidate()
    {
        const uint64_t va = kFirst + (at + random() % 32 + pages - 16) % pages * kPage;
        const ts_tlb_inval all[] = {
            ts_inval_tlbi_vmalle1(3),
            ts_inval_tlbi_vmalle1(3),
            ts_inval_tlbi_vmalls12e1(3),
            ts_inval_tlbi_alle1(),
            ts_inval_tlbi_aside1(3, 7),
            ts_inval_tlbi_aside1(3, 8),
            ts_inval_tlbi_vmalle1(4),
            ts_inval_tlbi_vae1(3, 7, va, random() % 2, 0),
            ts_inval_tlbi_rvae1(3, 7, va & ~UINT64_C(0xffff), 16 * kPage, true),
            ts_inval_tlbi_ipas2e1(3, kIpa + (va - kFirst), random() % 2, 0),
            ts_inval_tlbi_ripas2e1(3, kIpa, pages * kPage, false),
            ts_inval_tlbi_alle2(),
        };
        const ts_tlb_inval inval = all[random() % TS_ARRAY_LEN(all)];
        ASSERT_EQ(ts_mmu_holds(kept.mmu.m, &inval), ts_mmu_holds(plain.mmu.m, &inval));
        ASSERT_EQ(kept.mmu.invalidate(inval, kept.now), plain.mmu.invalidate(inval, plain.now));
        same();
    }
    void contents()
    {
        ended += ts_mmu_passes_are_kept(kept.mmu.m);
        const auto a = kept.held(), b = plain.held();
        std::vector<Side::Held> differ;
        std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                      std::back_inserter(differ));
        ASSERT_EQ(a.size(), b.size());
        ASSERT_EQ(differ, std::vector<Side::Held>{});
        ASSERT_FALSE(ts_mmu_passes_are_kept(kept.mmu.m));
    }
    bool keeps() const
    {
        return ts_mmu_passes_are_kept(kept.mmu.m);
    }

  private:
    uint64_t single(uint64_t page)
    {
        const Access a = kept.read(page), b = plain.read(page);
        compare(a, b);
        if (a.result != TS_MMU_OK)
            return 0;
        if (!a.from_tlb)
            ts_mmu_passes_begin(kept.mmu.m, &kept.ctx, kFirst + page * kPage);
        return 1;
    }
    /* The first reads of a course, or all of it. */
    uint64_t together(uint64_t page, uint64_t left, uint64_t whole, uint64_t passes, uint64_t n)
    {
        ts_mmu_course c;
        if (random() % 8 == 0 || !ts_mmu_passes_ahead(kept.mmu.m, &kept.ctx, kFirst + page * kPage,
                                                      kept.now, left, whole, passes, &c))
            return 0;
        EXPECT_LE(c.groups * c.size, c.groups == 1 ? left : passes * whole);
        n = std::min(n, c.groups * c.size);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t group = i / c.size, in = i % c.size;
            const Access b = plain.read(page + group - in);
            const bool walks = c.walks == TS_MMU_WALKS_ALL || (c.walks && in == 0);
            EXPECT_EQ(b.result, TS_MMU_OK);
            EXPECT_EQ(b.from_tlb, !walks);
            EXPECT_EQ(b.cycles, in ? c.other : c.first);
        }
        ts_mmu_passes_go(kept.mmu.m, &c, n);
        kept.now = plain.now;
        ahead += n;
        return n;
    }
    static void compare(const Access &a, const Access &b)
    {
        EXPECT_EQ(a.result, b.result);
        EXPECT_EQ(a.cycles, b.cycles);
        EXPECT_EQ(a.pa, b.pa);
        EXPECT_EQ(a.fault_address, b.fault_address);
        EXPECT_EQ(a.size_shift, b.size_shift);
        EXPECT_TRUE(a.result != TS_MMU_OK || a.from_tlb == b.from_tlb);
    }
    void same() const
    {
        ASSERT_EQ(kept.now, plain.now);
        ASSERT_EQ(std::memcmp(&kept.mmu.stats(), &plain.mmu.stats(), sizeof(struct ts_mmu_stats)),
                  0);
    }

    Shape shape;
    Side kept, plain;
    std::mt19937_64 random;
    uint64_t pages, at, made = 0; /* the pass begins at this page and has made so many reads */
};

Shape drawn(uint64_t seed)
{
    std::mt19937_64 random(seed);
    Shape s;
    static const uint64_t l1[] = {4, 8, 16, 48}, sets[] = {16, 64, 256};
    s.l1 = l1[random() % 4];
    s.l2_ways = 2 + random() % 5;
    s.l2 = sets[random() % 3] * s.l2_ways;
    s.back = random() % 5 ? s.l1 + random() % (2 * s.l2 / s.l2_ways) : random() % 600;
    s.nested = random() % 4 ? UINT64_C(1) << (4 + random() % 6) : 0;
    s.walk = random() % 4 ? 8 : 0;
    s.sweep = random() % 3;
    s.stage2 = random() % 4 != 0;
    s.fresh = random() % 4 == 0;
    s.alone = random() % 3 == 0;
    s.uneven = random() % 3 == 0;
    s.large = random() % 4 == 0;
    s.pieces = random() % 3 == 0;
    s.holes = random() % 4 == 0;
    return s;
}

void run(const Shape &s, uint64_t seed, uint64_t steps, uint64_t &ahead, uint64_t &ended)
{
    Pair pair(s, seed);
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < steps && !testing::Test::HasFailure(); i++) {
        switch (random() % 16) {
        case 0:
            if (random() % 2)
                pair.elsewhere();
            else
                pair.another();
            break;
        case 1:
            pair.skip();
            break;
        case 2:
        case 3:
        case 4:
            pair.invalidate();
            break;
        case 5:
            pair.contents();
            break;
        default:
            pair.reads(random() % 4 ? 1 + random() % (4 * s.back + 4) : 1 + random() % 20);
        }
    }
    pair.contents();
    ahead += pair.ahead;
    ended += pair.ended;
}

} // namespace

TEST(MmuPasses, EqualReadsOneByOne)
{
    uint64_t ahead = 0, ended = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        SCOPED_TRACE(seed);
        run(drawn(seed), seed, 120, ahead, ended);
        ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(ahead, 300000u);
    EXPECT_GT(ended, 200u);
}

/* Nothing but the loop, over blocks of which each is reached with what the last has left. */
TEST(MmuPasses, OfALoopAloneAreNearlyAllMadeAtOnce)
{
    for (const uint64_t back : {300, 512}) {
        Shape s;
        s.l1 = 48;
        s.l2 = 1280;
        s.blocks = 6;
        s.back = back;
        Pair pair(s, 11);
        ASSERT_FALSE(pair.keeps());
        pair.reads(900 * (back + 1));
        EXPECT_GT(pair.ahead, 800 * (back + 1) * 7 / 8);
        EXPECT_TRUE(pair.keeps());
        pair.contents();
    }
}

/* Each of these looks at more than the pages that were read last, or at their order. */
TEST(MmuPasses, AreNotKeptWhereTheyDoNotTellWhatIsHeld)
{
    const std::vector<std::function<void(ts_mmu_params &)>> others = {
        [](ts_mmu_params &p) { p.l1_replacement = TS_REPLACEMENT_TABLE_FIFO; },
        [](ts_mmu_params &p) { p.replacement = TS_REPLACEMENT_TABLE_FIFO; },
        [](ts_mmu_params &p) { p.inclusion = TS_MMU_INCLUSIVE; },
        [](ts_mmu_params &p) { p.inclusion = TS_MMU_EXCLUSIVE; },
        [](ts_mmu_params &p) { p.walk_in_l2 = 1; },
        [](ts_mmu_params &p) { p.nested_in_l2 = 1; },
        [](ts_mmu_params &p) { p.l2_probe_cycles = 1; },
        [](ts_mmu_params &p) { p.l1_flush_on_any_inval = 1; },
        [](ts_mmu_params &p) { p.l1d_4k_ways /= 2; },
        [](ts_mmu_params &p) { p.conflict_abort = 1; },
    };
    PageTable guest;
    map(guest, kFirst, kPa, 0, true, true);
    ts_mmu_context ctx{};
    ctx.stage1 = guest.pt;
    for (size_t i = 0; i <= others.size(); i++) {
        SCOPED_TRACE(i);
        ts_mmu_params p = params_of(Shape{});
        if (i < others.size())
            others[i](p);
        Mmu mmu(p, ts_mmu_wiring{});
        mmu.access(ctx, kFirst);
        ts_mmu_passes_begin(mmu.m, &ctx, kFirst);
        EXPECT_EQ(ts_mmu_passes_are_kept(mmu.m), i == others.size());
    }
    ts_mmu_wiring memory{}, x86{};
    ts_mmu_memory m{[](void *, uint32_t, uint64_t) { return UINT64_C(1); }, nullptr, 0};
    memory.memory = &m;
    x86.fault_invalidates = true;
    for (const ts_mmu_wiring &w : {memory, x86}) {
        Mmu mmu(params_of(Shape{}), w);
        mmu.access(ctx, kFirst);
        ts_mmu_passes_begin(mmu.m, &ctx, kFirst);
        EXPECT_FALSE(ts_mmu_passes_are_kept(mmu.m));
    }
}

/* Of another page, or of one that is not all that is held, nothing begins. */
TEST(MmuPasses, BeginWithAllThatIsHeld)
{
    Side s(Shape{}, 1);
    ts_mmu_passes_begin(s.mmu.m, &s.ctx, kFirst);
    EXPECT_FALSE(ts_mmu_passes_are_kept(s.mmu.m));
    s.read(5);
    ts_mmu_passes_begin(s.mmu.m, &s.ctx, kFirst);
    EXPECT_FALSE(ts_mmu_passes_are_kept(s.mmu.m));
    s.read(9);
    ts_mmu_passes_begin(s.mmu.m, &s.ctx, kFirst + 9 * kPage);
    EXPECT_FALSE(ts_mmu_passes_are_kept(s.mmu.m));
    s.mmu.invalidate(ts_inval_tlbi_vmalle1(3));
    s.read(9);
    ts_mmu_passes_begin(s.mmu.m, &s.ctx, kFirst + 9 * kPage);
    EXPECT_TRUE(ts_mmu_passes_are_kept(s.mmu.m));
}

namespace
{

/* Passes of so many pages that begin with these, on both. */
void passes(Side &kept, Side &plain, uint64_t from, uint64_t to, uint64_t pages)
{
    for (uint64_t top = from; top < to; top++)
        for (uint64_t page = top + 1; page-- > top + 1 - pages;) {
            const Access a = kept.read(page);
            plain.read(page);
            if (!a.from_tlb)
                ts_mmu_passes_begin(kept.mmu.m, &kept.ctx, kFirst + page * kPage);
        }
}

} // namespace

/* The set of the page that comes is then another than that of the page left behind first. */
TEST(MmuPasses, EndWhereOneSkipsPagesAndTheL2IsFull)
{
    Shape s;
    s.l1 = 4;
    s.l2 = 64;
    s.l2_ways = 4;
    Side kept(s, 1), plain(s, 1);
    passes(kept, plain, 100, 170, 8);
    EXPECT_TRUE(ts_mmu_passes_are_kept(kept.mmu.m));
    kept.read(173);
    plain.read(173);
    EXPECT_EQ(kept.held(), plain.held());
}

/* More than can be told apart: they end, and nothing that is held has been forgotten. */
TEST(MmuPasses, EndWithMoreStretchesOfPagesThanThereIsRoomFor)
{
    Shape s;
    s.every = 8;
    Side kept(s, 1), plain(s, 1);
    uint64_t top = 100;
    do {
        passes(kept, plain, top, top + 1, 40);
    } while (++top < 400 && ts_mmu_passes_are_kept(kept.mmu.m));
    EXPECT_GT(top, 110u);
    EXPECT_LT(top, 400u);
    EXPECT_EQ(kept.held(), plain.held());
}

/* Those that no structure holds any more make room: they do not end. */
TEST(MmuPasses, GoOnOverAnyNumberOfStretches)
{
    Shape s;
    s.l1 = 8;
    s.l2 = 64;
    s.l2_ways = 4;
    s.every = 32;
    for (uint64_t end = 300; end < 700; end += 10) {
        Side kept(s, 1), plain(s, 1);
        passes(kept, plain, 100, end, 16);
        EXPECT_TRUE(ts_mmu_passes_are_kept(kept.mmu.m));
        EXPECT_EQ(kept.held(), plain.held());
    }
}
