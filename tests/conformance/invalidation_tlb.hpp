/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in a struct ts_tlb: what an invalidation drops of one entry that is all there is. */
#ifndef TS_TESTS_CONFORMANCE_INVALIDATION_TLB_HPP
#define TS_TESTS_CONFORMANCE_INVALIDATION_TLB_HPP

#include "models/tlb/tlb.h"
#include "tests/conformance/invalidation_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

namespace invalidation_rules
{

struct TlbDelete {
    void operator()(ts_tlb *t) const
    {
        ts_tlb_destroy(t);
    }
};
using Tlb = std::unique_ptr<ts_tlb, TlbDelete>;

/* Holds every size that an entry has. */
inline Tlb makeTlb(uint32_t entries, uint32_t ways)
{
    std::set<uint8_t> sizes;
    for (Arch arch : {kIntel, kAmd, kArm})
        for (const ts_tlb_tags &t : invalidation_rules::entries(arch))
            sizes.insert(t.size_shift);
    EXPECT_LE(sizes.size(), TS_TLB_SIZES_MAX);
    ts_tlb_geometry g{};
    g.entries = entries;
    g.ways = ways;
    g.nsizes = static_cast<uint8_t>(sizes.size());
    std::copy(sizes.begin(), sizes.end(), g.size_shift);
    g.replacement = ts_replacement_find("lru");
    ts_tlb *t = nullptr;
    ts_error err{};
    EXPECT_EQ(ts_tlb_create(&t, &g, 1, 0, &err), TS_OK);
    return Tlb(t);
}

inline bool holds(const ts_tlb *t, const ts_tlb_tags &tags)
{
    ts_tlb_entry found{};
    ts_tlb_space space{tags.vmid, tags.asid, tags.ep4ta, tags.thread};
    return ts_tlb_probe(t, ts_tlb_key(tags.kind, space), tags.base, &found);
}

/* Inserts the entry, invalidates, probes, and leaves the structure empty. */
inline bool droppedFrom(ts_tlb *t, const ts_tlb_inval &inval, const ts_tlb_tags &tags)
{
    ts_tlb_entry e{};
    e.tags = tags;
    EXPECT_TRUE(ts_tlb_insert(t, &e, nullptr, nullptr));
    EXPECT_TRUE(holds(t, tags));
    uint32_t n = ts_tlb_invalidate(t, &inval, nullptr);
    bool left = holds(t, tags);
    EXPECT_EQ(n, left ? 0u : 1u);
    EXPECT_EQ(ts_tlb_valid_count(t), left ? 1u : 0u);
    if (left) {
        EXPECT_TRUE(ts_tlb_remove(t, &tags, &e));
    }
    EXPECT_EQ(ts_tlb_valid_count(t), 0u);
    return !left;
}

} // namespace invalidation_rules

#endif
