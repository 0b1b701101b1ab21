/* SPDX-License-Identifier: Apache-2.0 */
/* The published rules of invalidation: the table, the operations, all small cases, and a checker of
 * implementations. Which rule a case falls under is worked out here from tags and operands alone
 * (docs/conformance.md). */
#ifndef TS_TESTS_CONFORMANCE_INVALIDATION_RULES_HPP
#define TS_TESTS_CONFORMANCE_INVALIDATION_RULES_HPP

#include "models/tlb/tlb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace invalidation_rules
{

constexpr uint16_t kVm = 1, kOtherVm = 2, kAsid = 5, kOtherAsid = 6;
constexpr uint64_t kGiB = UINT64_C(1) << 30, kMiB = UINT64_C(1) << 20, kPage = 4096;
constexpr uint64_t kStart = 3 * kGiB + 4 * kMiB + 7 * kPage; /* the page or range that is named */
constexpr uint64_t kVa = kStart + 0x123;
/* NUM = 0, SCALE = 1. */
constexpr uint64_t kRangePages = 64;
/* Entries lie at these distances, in pages: the page itself, its neighbours, both ends of the
 * range, another page of the same 1G, and one that shares no table but the topmost. */
constexpr std::array<uint64_t, 7> kDistances = {
    0, 1, UINT64_MAX, kRangePages - 1, kRangePages, 512, 600 * kGiB / kPage};

/* --- the table -------------------------------------------------------------------------------- */

enum Column { kOperation, kStage, kLevel, kVmid, kAsidMatch, kGlobal, kAddress, kHint, kKeys };
constexpr size_t kRequired = kKeys, kExact = kKeys + 1, kSource = kKeys + 2, kColumns = kKeys + 3;
inline const char *const kHeader =
    "operation,stage,level,vmid,asid,global,address,hint,required,exact,source";

using Key = std::array<std::string, kKeys>;

struct Rule {
    size_t line;
    Key key;
    bool required, exact;
    std::string source;
};

/* What a cell may hold beside the wildcard, which the last two do not know. */
inline const std::array<std::set<std::string>, kSource> &vocabulary()
{
    static const std::array<std::set<std::string>, kSource> words = {{
        {}, /* the operations are known to the test below */
        {"stage1", "stage2"},
        {"leaf", "walk"},
        {"yes", "no", "host"},
        {"yes", "no"},
        {"yes", "no"},
        {"in", "out"},
        {"none", "right", "wrong"},
        {"yes", "no"},
        {"yes", "no"},
    }};
    return words;
}

inline std::vector<std::string> split(const std::string &line)
{
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');)
        cells.push_back(cell);
    return cells;
}

/* Faults of form; empty: the row is good. */
inline std::string formFault(const std::vector<std::string> &cells)
{
    if (cells.size() != kColumns)
        return std::to_string(cells.size()) + " cells";
    for (size_t c = kStage; c < kSource; c++)
        if (!(c < kKeys && cells[c] == "*") && !vocabulary()[c].count(cells[c]))
            return "cell " + std::to_string(c) + " is \"" + cells[c] + "\"";
    if (cells[kSource].empty())
        return "no source";
    if (cells[kRequired] == "yes" && cells[kExact] == "no")
        return "tlbstorm may not do less than is required";
    return "";
}

inline std::vector<Rule> parse(std::istream &in, std::vector<std::string> &faults)
{
    std::vector<Rule> rules;
    bool header = false;
    size_t number = 0;
    for (std::string line; std::getline(in, line);) {
        number++;
        if (line.empty() || line[0] == '#')
            continue;
        if (!header) {
            header = true;
            if (line != kHeader)
                faults.push_back("header");
            continue;
        }
        std::vector<std::string> cells = split(line);
        std::string fault = formFault(cells);
        if (!fault.empty()) {
            faults.push_back("line " + std::to_string(number) + ": " + fault);
            continue;
        }
        Rule r{number, {}, cells[kRequired] == "yes", cells[kExact] == "yes", cells[kSource]};
        std::copy_n(cells.begin(), size_t{kKeys}, r.key.begin());
        rules.push_back(r);
    }
    return rules;
}

inline const std::vector<Rule> &publishedRules()
{
    static const std::vector<Rule> rules = [] {
        std::ifstream in(std::string(TS_SOURCE_DIR) + "/tests/conformance/invalidation_rules.csv");
        EXPECT_TRUE(in.good());
        std::vector<std::string> faults;
        std::vector<Rule> all = parse(in, faults);
        for (const std::string &fault : faults)
            ADD_FAILURE() << fault;
        return all;
    }();
    return rules;
}

/* --- operations ------------------------------------------------------------------------------- */

enum class Hints { kNo, kYes };

struct Operation {
    const char *name;
    bool native; /* the host uses it for its own mappings as well */
    Hints hints;
    uint64_t pages; /* that it names; operations without an address have the columns all the same */
    std::function<ts_tlb_inval(uint16_t vmid, uint8_t ttl)> build;
};

inline const std::vector<Operation> &operations()
{
    constexpr uint64_t range = kRangePages * kPage;
    static const std::vector<Operation> all = {
        {"INVLPG", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invlpg(v, kAsid, kVa); }},
        {"MOV_CR3", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_mov_cr3(v, kAsid); }},
        {"INVPCID_0", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invpcid_addr(v, kAsid, kVa); }},
        {"INVPCID_1", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invpcid_single(v, kAsid); }},
        {"INVPCID_2", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invpcid_all(v, true); }},
        {"INVPCID_3", true, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invpcid_all(v, false); }},
        {"INVVPID_0", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invvpid_address(v, kVa); }},
        {"INVVPID_1", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invvpid_single(v); }},
        {"INVVPID_2", false, Hints::kNo, 1,
         [](uint16_t, uint8_t) { return ts_inval_invvpid_all(); }},
        {"INVVPID_3", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_invvpid_keep_global(v); }},
        {"INVEPT_2", false, Hints::kNo, 1,
         [](uint16_t, uint8_t) { return ts_inval_invept_global(); }},
        {"TLBI_VMALLE1", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_vmalle1(v); }},
        {"TLBI_VMALLS12E1", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_vmalls12e1(v); }},
        {"TLBI_ALLE1", false, Hints::kNo, 1,
         [](uint16_t, uint8_t) { return ts_inval_tlbi_alle1(); }},
        {"TLBI_ASIDE1", false, Hints::kNo, 1,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_aside1(v, kAsid); }},
        {"TLBI_VAE1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_vae1(v, kAsid, kVa, false, ttl); }},
        {"TLBI_VALE1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_vae1(v, kAsid, kVa, true, ttl); }},
        {"TLBI_VAAE1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_vaae1(v, kVa, false, ttl); }},
        {"TLBI_VAALE1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_vaae1(v, kVa, true, ttl); }},
        {"TLBI_IPAS2E1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_ipas2e1(v, kVa, false, ttl); }},
        {"TLBI_IPAS2LE1", false, Hints::kYes, 1,
         [](uint16_t v, uint8_t ttl) { return ts_inval_tlbi_ipas2e1(v, kVa, true, ttl); }},
        {"TLBI_RVAE1", false, Hints::kNo, kRangePages,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_rvae1(v, kAsid, kStart, range, false); }},
        {"TLBI_RVALE1", false, Hints::kNo, kRangePages,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_rvae1(v, kAsid, kStart, range, true); }},
        {"TLBI_RIPAS2E1", false, Hints::kNo, kRangePages,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_ripas2e1(v, kStart, range, false); }},
        {"TLBI_RIPAS2LE1", false, Hints::kNo, kRangePages,
         [](uint16_t v, uint8_t) { return ts_inval_tlbi_ripas2e1(v, kStart, range, true); }},
    };
    return all;
}

/* --- cases ------------------------------------------------------------------------------------ */

inline bool isWalk(const ts_tlb_tags &t)
{
    return t.kind == TS_TLB_STAGE1_WALK || t.kind == TS_TLB_STAGE2_WALK;
}

inline bool isStage2(const ts_tlb_tags &t)
{
    return t.kind == TS_TLB_STAGE2_LEAF || t.kind == TS_TLB_STAGE2_WALK;
}

/* Shapes of an entry: leaves of 4K, 2M, 1G, whole or in pieces; tables that reach 2M, 1G, 512G. */
inline std::vector<std::pair<uint8_t, uint8_t>> shapes(bool walk)
{
    std::vector<std::pair<uint8_t, uint8_t>> all; /* size, level */
    for (uint8_t level = walk ? 1 : 0; level < (walk ? 4 : 3); level++)
        for (uint8_t size = walk ? level : uint8_t{0}; size <= level; size++)
            all.push_back({size, level});
    return all;
}

/* Every entry that can exist. Only combined leaves can be global; the host has no stage 2; what
 * ASID a stage-2 entry is said to have must not matter. */
inline std::vector<ts_tlb_tags> entries()
{
    std::vector<ts_tlb_tags> all;
    for (int k = 0; k < TS_TLB_KINDS; k++) {
        ts_tlb_tags t{};
        t.kind = static_cast<ts_tlb_kind>(k);
        for (auto [size, level] : shapes(isWalk(t)))
            for (uint16_t vmid : {uint16_t{0}, kVm, kOtherVm})
                for (uint16_t asid : {kAsid, kOtherAsid})
                    for (bool global : {false, true})
                        for (uint64_t distance : kDistances) {
                            if ((global && k != TS_TLB_COMBINED) || (isStage2(t) && vmid == 0))
                                continue;
                            t.vmid = vmid;
                            t.asid = asid;
                            t.global = global;
                            t.size_shift = static_cast<uint8_t>(12 + 9 * size);
                            t.level = level;
                            t.base = (kStart + distance * kPage) >> t.size_shift << t.size_shift;
                            all.push_back(t);
                        }
    }
    return all;
}

/* One execution of an operation: by whom, and with which hint (0: none, else 1 + level). */
struct Execution {
    const Operation *op;
    uint16_t vmid;
    uint8_t ttl;
    ts_tlb_inval inval() const
    {
        return op->build(vmid, ttl);
    }
};

inline std::vector<Execution> executions()
{
    std::vector<Execution> all;
    for (const Operation &op : operations())
        for (uint16_t vmid : {kVm, uint16_t{0}})
            for (uint8_t ttl = 0; ttl <= (op.hints == Hints::kYes ? 3 : 0); ttl++)
                if (vmid != 0 || op.native)
                    all.push_back({&op, vmid, ttl});
    return all;
}

/* The whole page of a leaf, even of one cached in pieces; the reach of a table. */
inline bool covered(const Execution &x, const ts_tlb_tags &t)
{
    uint64_t bytes = UINT64_C(1) << (12 + 9 * t.level);
    uint64_t first = t.base / bytes * bytes;
    return first < kStart + x.op->pages * kPage && first + bytes > kStart;
}

/* A hint names the level of the leaf. It is right for the tables above that level. */
inline const char *hintWord(const Execution &x, const ts_tlb_tags &t)
{
    if (x.ttl == 0)
        return "none";
    int hinted = x.ttl - 1;
    return (isWalk(t) ? t.level > hinted : t.level == hinted) ? "right" : "wrong";
}

inline Key keyOf(const Execution &x, const ts_tlb_tags &t)
{
    return {x.op->name,
            isStage2(t) ? "stage2" : "stage1",
            isWalk(t) ? "walk" : "leaf",
            t.vmid == x.vmid ? "yes" : (t.vmid == 0 ? "host" : "no"),
            t.asid == kAsid ? "yes" : "no",
            t.global ? "yes" : "no",
            covered(x, t) ? "in" : "out",
            hintWord(x, t)};
}

inline std::string describe(const Execution &x, const ts_tlb_tags &t)
{
    std::ostringstream s;
    for (const std::string &cell : keyOf(x, t))
        s << cell << ' ';
    s << "(by vmid " << x.vmid << " ttl " << int{x.ttl} << "; entry vmid " << t.vmid << " asid "
      << t.asid << " size 2^" << int{t.size_shift} << " level " << int{t.level} << " base 0x"
      << std::hex << t.base << ')';
    return s.str();
}

constexpr size_t kNoRule = SIZE_MAX;

/* The first row that matches. */
inline size_t ruleOf(const std::vector<Rule> &rules, const Key &key)
{
    for (size_t r = 0; r < rules.size(); r++) {
        bool all = true;
        for (size_t c = 0; c < kKeys && all; c++)
            all = rules[r].key[c] == "*" || rules[r].key[c] == key[c];
        if (all)
            return r;
    }
    return kNoRule;
}

struct Case {
    Execution x;
    ts_tlb_tags tags;
    size_t rule;
};

inline std::vector<Case> casesOf(const std::vector<Rule> &rules)
{
    std::vector<Case> all;
    std::map<Key, size_t> known;
    const std::vector<ts_tlb_tags> world = entries();
    for (const Execution &x : executions())
        for (const ts_tlb_tags &t : world) {
            Key key = keyOf(x, t);
            auto [at, fresh] = known.try_emplace(key, kNoRule);
            if (fresh)
                at->second = ruleOf(rules, key);
            all.push_back({x, t, at->second});
        }
    return all;
}

inline const std::vector<Case> &publishedCases()
{
    static const std::vector<Case> cases = casesOf(publishedRules());
    return cases;
}

/* --- the checker ------------------------------------------------------------------------------ */

/* Whether an implementation drops the entry. */
using Drops = std::function<bool(const ts_tlb_inval &, const ts_tlb_tags &)>;
enum class Judge { kRequired, kExact };

/* Cases that no row decides, rows that decide none, and answers that are not the row's. */
inline std::vector<std::string> faultsOf(const std::vector<Rule> &rules,
                                         const std::vector<Case> &cases, Judge judge,
                                         const Drops &drops)
{
    std::vector<std::string> faults;
    std::vector<bool> used(rules.size(), false);
    for (const Case &c : cases) {
        if (c.rule == kNoRule) {
            faults.push_back("no row: " + describe(c.x, c.tags));
            continue;
        }
        const Rule &r = rules[c.rule];
        used[c.rule] = true;
        bool dropped = drops(c.x.inval(), c.tags);
        bool bad = judge == Judge::kExact ? dropped != r.exact : r.required && !dropped;
        if (bad)
            faults.push_back("line " + std::to_string(r.line) +
                             (dropped ? " dropped: " : " kept: ") + describe(c.x, c.tags) + " [" +
                             r.source + "]");
    }
    for (size_t i = 0; i < rules.size(); i++)
        if (!used[i])
            faults.push_back("line " + std::to_string(rules[i].line) + " decides no case");
    return faults;
}

inline void expectNone(const std::vector<std::string> &faults)
{
    for (size_t i = 0; i < std::min<size_t>(faults.size(), 20); i++)
        ADD_FAILURE() << faults[i];
    EXPECT_EQ(faults.size(), 0u);
}

inline bool predicate(const ts_tlb_inval &inval, const ts_tlb_tags &tags)
{
    return ts_tlb_inval_matches(&inval, &tags);
}

struct TlbDelete {
    void operator()(ts_tlb *t) const
    {
        ts_tlb_destroy(t);
    }
};
using Tlb = std::unique_ptr<ts_tlb, TlbDelete>;

inline Tlb makeTlb(uint32_t entries, uint32_t ways)
{
    ts_tlb_geometry g{};
    g.entries = entries;
    g.ways = ways;
    g.nsizes = 4;
    for (uint8_t i = 0; i < g.nsizes; i++)
        g.size_shift[i] = static_cast<uint8_t>(12 + 9 * i);
    g.replacement = ts_replacement_find("lru");
    ts_tlb *t = nullptr;
    ts_error err{};
    EXPECT_EQ(ts_tlb_create(&t, &g, 1, 0, &err), TS_OK);
    return Tlb(t);
}

/* Inserts the entry, invalidates, probes, and leaves the structure empty. */
inline bool droppedFrom(ts_tlb *t, const ts_tlb_inval &inval, const ts_tlb_tags &tags)
{
    ts_tlb_entry e{}, found{};
    e.tags = tags;
    EXPECT_TRUE(ts_tlb_insert(t, &e, nullptr, nullptr));
    EXPECT_TRUE(ts_tlb_probe(t, tags.kind, tags.vmid, tags.asid, tags.base, &found));
    uint32_t n = ts_tlb_invalidate(t, &inval, nullptr);
    bool left = ts_tlb_probe(t, tags.kind, tags.vmid, tags.asid, tags.base, &found);
    EXPECT_EQ(n, left ? 0u : 1u);
    EXPECT_EQ(ts_tlb_valid_count(t), left ? 1u : 0u);
    ts_tlb_inval all{};
    all.kinds = (1u << TS_TLB_KINDS) - 1;
    all.any_vmid = true;
    all.all_addresses = true;
    ts_tlb_invalidate(t, &all, nullptr);
    EXPECT_EQ(ts_tlb_valid_count(t), 0u);
    return !left;
}

} // namespace invalidation_rules

#endif
