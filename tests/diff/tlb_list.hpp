/* SPDX-License-Identifier: Apache-2.0 */
/* A TLB as a plain list of entries that drops at once what an invalidation matches: the partner of
 * tlb_diff_test.cpp. It shares the rule (ts_tlb_inval_matches) and the policies with the real one,
 * and nothing else. */
#ifndef TS_TESTS_DIFF_TLB_LIST_HPP
#define TS_TESTS_DIFF_TLB_LIST_HPP

#include "models/tlb/tlb.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace tlb_list
{

/* What the Arm ARM's tables say of sizes: a leaf or table of the level, and a contiguous run. */
struct Level {
    uint8_t granule, level, shift, run;
};
inline constexpr Level kLevels[] = {
    {TS_GRANULE_4K, 0, 12, 16},  {TS_GRANULE_4K, 1, 21, 25},  {TS_GRANULE_4K, 2, 30, 34},
    {TS_GRANULE_4K, 3, 39, 0},   {TS_GRANULE_4K, 4, 48, 0},   {TS_GRANULE_16K, 0, 14, 21},
    {TS_GRANULE_16K, 1, 25, 30}, {TS_GRANULE_16K, 2, 36, 0},  {TS_GRANULE_16K, 3, 47, 0},
    {TS_GRANULE_64K, 0, 16, 21}, {TS_GRANULE_64K, 1, 29, 34}, {TS_GRANULE_64K, 2, 42, 0}};
inline constexpr uint8_t kSizes[] = {12, 14, 16, 21, 25, 29, 30, 34, 36, 39, 42, 47, 48};

inline bool isStage2(ts_tlb_kind kind)
{
    return kind == TS_TLB_STAGE2_LEAF || kind == TS_TLB_STAGE2_WALK;
}
inline bool isWalk(ts_tlb_kind kind)
{
    return kind == TS_TLB_STAGE1_WALK || kind == TS_TLB_STAGE2_WALK;
}
inline bool isPiece(const ts_tlb_tags &tags)
{
    for (const Level &l : kLevels)
        if (l.granule == tags.granule && l.level == tags.level)
            return !isWalk(tags.kind) && tags.size_shift < l.shift;
    return false;
}

/* Stage-2 entries have no ASID; only combined ones can be global. */
inline ts_tlb_tags normal(ts_tlb_tags tags)
{
    if (isStage2(tags.kind))
        tags.asid = 0;
    if (tags.kind != TS_TLB_COMBINED)
        tags.global = false;
    return tags;
}

inline auto fields(const ts_tlb_entry &e)
{
    const ts_tlb_tags &t = e.tags;
    return std::make_tuple(t.kind, t.vmid, t.asid, t.global, t.size_shift, t.level, t.base, t.ep4ta,
                           t.granule, t.thread, e.target, e.writable, e.fractured,
                           e.stage1_writable, e.dirty);
}
inline bool same(const ts_tlb_entry &a, const ts_tlb_entry &b)
{
    return fields(a) == fields(b);
}
/* Two entries that cannot both be there. */
inline bool sameKey(const ts_tlb_tags &a, const ts_tlb_tags &b)
{
    return a.kind == b.kind && a.vmid == b.vmid && a.global == b.global &&
           (a.global || a.asid == b.asid) && a.ep4ta == b.ep4ta && a.thread == b.thread &&
           a.size_shift == b.size_shift && a.base == b.base;
}

struct Query {
    ts_tlb_kind kind;
    ts_tlb_space space;
    uint64_t va;
};

inline bool matches(const ts_tlb_tags &tags, const Query &q)
{
    return tags.kind == q.kind && tags.vmid == q.space.vmid && tags.ep4ta == q.space.ep4ta &&
           tags.thread == q.space.thread &&
           (isStage2(q.kind) || tags.global || tags.asid == q.space.asid) &&
           tags.base == q.va >> tags.size_shift << tags.size_shift;
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

    std::optional<ts_tlb_entry> lookup(const Query &q, bool use)
    {
        for (uint32_t i = 0; i < g.nsizes; i++) {
            uint32_t set = setOf(q.va, g.size_shift[i]), best = g.ways;
            for (uint32_t way = 0; way < g.ways; way++) {
                const auto &slot = at(set, way);
                if (slot && slot->tags.size_shift == g.size_shift[i] && matches(slot->tags, q) &&
                    (best == g.ways || !slot->tags.global))
                    best = way;
            }
            if (best == g.ways)
                continue;
            if (use)
                g.replacement->on_hit(state[set].data(), g.ways, best);
            return at(set, best);
        }
        return std::nullopt;
    }

    bool other(const Query &q, uint8_t shift) const
    {
        return std::any_of(slots.begin(), slots.end(), [&](const auto &slot) {
            return slot && slot->tags.size_shift != shift && matches(slot->tags, q);
        });
    }

    bool insert(const ts_tlb_entry &given, std::optional<ts_tlb_entry> &evicted)
    {
        ts_tlb_entry e = given;
        e.tags = normal(e.tags);
        evicted.reset();
        if (!holds(e.tags.size_shift))
            return false;
        uint32_t set = setOf(e.tags.base, e.tags.size_shift);
        uint32_t way = wayFor(e, set);
        if (way == g.ways) {
            way = g.replacement->victim(state[set].data(), g.ways, &rng);
            evicted = at(set, way);
        }
        count += !at(set, way);
        at(set, way) = e;
        g.replacement->on_fill(state[set].data(), g.ways, way);
        active.insert(e.tags.size_shift);
        kinds |= 1u << e.tags.kind;
        threads |= 1u << e.tags.thread;
        return true;
    }

    std::optional<ts_tlb_entry> remove(const ts_tlb_tags &tags)
    {
        for (auto &slot : slots)
            if (slot && sameKey(slot->tags, normal(tags))) {
                auto gone = slot;
                drop(slot);
                return gone;
            }
        return std::nullopt;
    }

    uint32_t invalidate(const ts_tlb_inval &inval)
    {
        uint32_t dropped = 0;
        for (auto &slot : slots)
            if (slot && ts_tlb_inval_matches(&inval, &slot->tags)) {
                drop(slot);
                dropped++;
            }
        return dropped;
    }

    /* Sets that hardware looks at. */
    uint32_t work(const ts_tlb_inval &inval) const
    {
        bool hint = inval.ttl_level || inval.ttl_granule;
        if (inval.all_addresses) {
            bool flash = inval.any_vmid && !inval.keep_host && !hint &&
                         inval.asid_rule == TS_INVAL_ASID_ANY &&
                         inval.ep4ta_rule == TS_INVAL_EP4TA_ANY && (inval.kinds & kinds) == kinds &&
                         (inval.any_thread || (threads | 1u << inval.thread) == 1u << inval.thread);
            if (inval.last_level_only && (kinds & kWalks))
                flash = false;
            return flash ? 0 : sets;
        }
        for (const auto &slot : slots) {
            if (!slot)
                continue;
            bool walk = isWalk(slot->tags.kind);
            bool any = (walk && inval.walk_any_address) ||
                       (isStage2(slot->tags.kind) && inval.stage2_any_address);
            any = any && !(walk && inval.last_level_only);
            if (isPiece(slot->tags) || (any && (inval.kinds >> slot->tags.kind & 1)))
                return sets;
        }
        uint64_t pages = 0;
        for (uint32_t i = 0; i < g.nsizes && inval.length != 0; i++)
            if (named(inval, g.size_shift[i]))
                pages += ((inval.start + inval.length - 1) >> g.size_shift[i]) -
                         (inval.start >> g.size_shift[i]) + 1;
        return static_cast<uint32_t>(std::min<uint64_t>(pages, sets));
    }

    template <typename F> void each(F fn) const
    {
        for (const auto &slot : slots)
            if (slot)
                fn(*slot);
    }
    uint32_t size() const
    {
        return count;
    }
    size_t activeSizes() const
    {
        return active.size();
    }

  private:
    static constexpr uint32_t kWalks = 1u << TS_TLB_STAGE1_WALK | 1u << TS_TLB_STAGE2_WALK;

    /* May an entry of the size be what the hints name? */
    static bool named(const ts_tlb_inval &inval, uint8_t shift)
    {
        bool walks = (inval.kinds & kWalks) && !inval.last_level_only;
        uint8_t level = walks ? uint8_t{0} : inval.ttl_level;
        if (level == 0 && inval.ttl_granule == 0)
            return true;
        for (const Level &l : kLevels)
            if ((level == 0 || l.level + 1 == level) &&
                (inval.ttl_granule == 0 || l.granule + 1 == inval.ttl_granule) &&
                (l.shift == shift || (inval.ttl_granule != 0 && l.run == shift)))
                return true;
        return false;
    }
    bool holds(uint8_t shift) const
    {
        return std::count(g.size_shift, g.size_shift + g.nsizes, shift) != 0;
    }
    uint32_t setOf(uint64_t va, uint32_t shift) const
    {
        return static_cast<uint32_t>((va >> shift) % sets);
    }
    std::optional<ts_tlb_entry> &at(uint32_t set, uint32_t way)
    {
        return slots[set * g.ways + way];
    }
    void drop(std::optional<ts_tlb_entry> &slot)
    {
        slot.reset();
        if (--count == 0)
            active.clear();
    }
    /* The way with the same key, else the lowest empty one, else g.ways. */
    uint32_t wayFor(const ts_tlb_entry &e, uint32_t set)
    {
        uint32_t empty = g.ways;
        for (uint32_t way = g.ways; way-- > 0;) {
            const auto &slot = at(set, way);
            if (slot && sameKey(slot->tags, e.tags))
                return way;
            empty = slot ? empty : way;
        }
        return empty;
    }

    const ts_tlb_geometry &g;
    uint32_t sets;
    std::vector<std::optional<ts_tlb_entry>> slots;
    std::vector<std::vector<uint64_t>> state;
    std::set<uint8_t> active;
    uint32_t count = 0, kinds = 0, threads = 0;
    ts_rng rng;
};

} // namespace tlb_list
#endif
