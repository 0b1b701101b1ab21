/* SPDX-License-Identifier: Apache-2.0 */
/* The published rules of invalidation (tests/conformance/invalidation_rules.csv) against the
 * predicate, against a TLB that holds one entry, and against one that holds all of them. */
#include "tests/conformance/invalidation_rules.hpp"

namespace
{

using namespace invalidation_rules;

TEST(InvalidationRules, TheTableNamesEveryOperationAndNoOther)
{
    std::set<std::string> known, named;
    for (const Operation &op : operations())
        known.insert(op.name);
    for (const Rule &r : publishedRules())
        named.insert(r.key[kOperation]);
    EXPECT_EQ(named, known);
}

TEST(InvalidationRules, ThePredicateFollowsEveryRow)
{
    expectNone(faultsOf(publishedRules(), publishedCases(), Judge::kExact, predicate));
}

TEST(InvalidationRules, ATlbWithOneEntryFollowsEveryRow)
{
    for (uint32_t ways : {4u, 64u}) {
        Tlb t = makeTlb(64, ways);
        expectNone(faultsOf(publishedRules(), publishedCases(), Judge::kExact,
                            [&t](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
                                return droppedFrom(t.get(), inval, tags);
                            }));
    }
}

/* What tells one entry of a structure from another: stage 2 has no ASID, globals share one. */
using Identity = std::tuple<int, uint16_t, uint16_t, bool, uint8_t, uint64_t>;
Identity identity(const ts_tlb_tags &t)
{
    bool tagged = !isStage2(t) && !t.global;
    return {t.kind, t.vmid, tagged ? t.asid : uint16_t{0}, t.global, t.size_shift, t.base};
}

/* With all the others around it an entry fares as it does alone. */
TEST(InvalidationRules, ATlbFullOfEntriesFollowsEveryRow)
{
    Tlb t = makeTlb(2048, 2048);
    const std::vector<Case> &cases = publishedCases();
    size_t n = entries().size();
    ASSERT_EQ(cases.size() % n, 0u);
    for (size_t first = 0; first < cases.size(); first += n) {
        std::set<Identity> inside, expected, left;
        for (size_t i = first; i < first + n; i++) {
            if (!inside.insert(identity(cases[i].tags)).second)
                continue;
            ts_tlb_entry e{};
            e.tags = cases[i].tags;
            ASSERT_TRUE(ts_tlb_insert(t.get(), &e, nullptr, nullptr));
            ASSERT_NE(cases[i].rule, kNoRule);
            if (!publishedRules()[cases[i].rule].exact)
                expected.insert(identity(e.tags));
        }
        ASSERT_EQ(ts_tlb_valid_count(t.get()), inside.size());
        ts_tlb_inval inval = cases[first].x.inval();
        EXPECT_EQ(ts_tlb_invalidate(t.get(), &inval, nullptr), inside.size() - expected.size());
        ts_tlb_for_each(
            t.get(),
            [](void *user, const ts_tlb_entry *e) {
                static_cast<std::set<Identity> *>(user)->insert(identity(e->tags));
            },
            &left);
        EXPECT_TRUE(left == expected) << describe(cases[first].x, cases[first].tags);
        t = makeTlb(2048, 2048);
    }
}

/* The excess is small and known: tables above a leaf whose level the hint got wrong. */
TEST(InvalidationRules, TlbstormDoesMoreThanRequiredOnlyForTablesUnderAWrongHint)
{
    size_t more = 0;
    for (const Rule &r : publishedRules())
        if (r.required != r.exact) {
            EXPECT_EQ(r.key[kLevel], "walk") << r.line;
            EXPECT_EQ(r.key[kHint], "wrong") << r.line;
            more++;
        }
    EXPECT_EQ(more, 3u); /* VAE1, VAAE1, IPAS2E1 */
}

/* --- the suite can fail ----------------------------------------------------------------------- */

TEST(InvalidationRulesCheck, EveryFlippedExpectationIsReported)
{
    std::vector<Rule> rules = publishedRules();
    const std::vector<Case> &cases = publishedCases();
    /* The cases of a row; a flip concerns no others. */
    std::vector<std::vector<Case>> of(rules.size());
    for (const Case &c : cases) {
        ASSERT_NE(c.rule, kNoRule);
        of[c.rule].push_back(c);
    }
    for (size_t i = 0; i < rules.size(); i++) {
        auto faults = [&] {
            std::vector<std::string> own;
            std::string line = "line " + std::to_string(rules[i].line) + " ";
            for (const std::string &f : faultsOf(rules, of[i], Judge::kExact, predicate))
                if (f.rfind(line, 0) == 0)
                    own.push_back(f);
            return own.size();
        };
        EXPECT_EQ(faults(), 0u) << rules[i].line;
        rules[i].exact = !rules[i].exact;
        EXPECT_EQ(faults(), of[i].size()) << rules[i].line;
        rules[i].exact = !rules[i].exact;
    }
}

TEST(InvalidationRulesCheck, AMissingRowAndADeadRowAreReported)
{
    std::vector<Rule> rules = publishedRules();
    ASSERT_FALSE(rules.empty());
    rules.push_back(rules.front()); /* behind its equal it decides nothing */
    EXPECT_EQ(
        faultsOf(rules, casesOf(rules), Judge::kExact, predicate),
        std::vector<std::string>{"line " + std::to_string(rules[0].line) + " decides no case"});
    rules = publishedRules();
    rules.erase(std::remove_if(rules.begin(), rules.end(),
                               [](const Rule &r) { return r.key[kOperation] == "TLBI_ALLE1"; }),
                rules.end());
    std::vector<std::string> faults = faultsOf(rules, casesOf(rules), Judge::kExact, predicate);
    ASSERT_EQ(faults.size(), entries().size());
    for (const std::string &f : faults)
        ASSERT_EQ(f.rfind("no row: TLBI_ALLE1 ", 0), 0u) << f;
}

TEST(InvalidationRulesCheck, FlushingEverythingIsLegalButNotExactAndFlushingNothingIsNeither)
{
    Drops everything = [](const ts_tlb_inval &, const ts_tlb_tags &) { return true; };
    Drops nothing = [](const ts_tlb_inval &, const ts_tlb_tags &) { return false; };
    const auto &rules = publishedRules();
    const auto &cases = publishedCases();
    EXPECT_TRUE(faultsOf(rules, cases, Judge::kRequired, everything).empty());
    EXPECT_FALSE(faultsOf(rules, cases, Judge::kExact, everything).empty());
    EXPECT_FALSE(faultsOf(rules, cases, Judge::kRequired, nothing).empty());
}

/* Mistakes that simulators make. */
TEST(InvalidationRulesCheck, PlausibleMistakesAreReported)
{
    const std::vector<std::pair<const char *, Drops>> mistakes = {
        {"globals treated as ordinary pages",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             ts_tlb_tags t = tags;
             t.global = false;
             return predicate(inval, t);
         }},
        {"walk caches forgotten",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             return !isWalk(tags) && predicate(inval, tags);
         }},
        {"pieces of a large page compared one by one",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             ts_tlb_tags t = tags;
             t.level = static_cast<uint8_t>((t.size_shift - 12) / 9);
             return predicate(inval, t);
         }},
        {"only the first page of a range",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             ts_tlb_inval i = inval;
             i.length = std::min(i.length, kPage);
             return predicate(i, tags);
         }},
        {"every VM taken for the current one",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             ts_tlb_inval i = inval;
             i.any_vmid = false;
             i.vmid = kVm;
             return predicate(i, tags);
         }}};
    for (const auto &[name, drops] : mistakes)
        EXPECT_FALSE(faultsOf(publishedRules(), publishedCases(), Judge::kRequired, drops).empty())
            << name;
}

TEST(InvalidationRulesCheck, BadRowsAreRefused)
{
    const std::string good = "INVLPG,stage1,leaf,*,*,*,*,none,no,yes,a source";
    const std::vector<std::pair<std::string, size_t>> rows = {
        {good, 0},
        {"INVLPG,stage1,leaf,*,*,*,*,none,no,yes", 1},                   /* a cell is missing */
        {"INVLPG,stage1,leaf,*,*,*,*,none,no,yes,a source,and more", 1}, /* a comma too many */
        {"INVLPG,stage3,leaf,*,*,*,*,none,no,yes,a source", 1},          /* no such word */
        {"INVLPG,stage1,leaf,*,*,*,*,none,*,yes,a source", 1},           /* no wildcard here */
        {"INVLPG,stage1,leaf,*,*,*,*,none,yes,no,a source", 1},          /* less than required */
    };
    for (const auto &[row, count] : rows) {
        std::istringstream in("# a comment\n\n" + std::string(kHeader) + "\n" + row + "\n");
        std::vector<std::string> faults;
        EXPECT_EQ(parse(in, faults).size(), 1 - count) << row;
        EXPECT_EQ(faults.size(), count) << row;
    }
    std::istringstream in(good + "\n");
    std::vector<std::string> faults;
    parse(in, faults);
    EXPECT_EQ(faults, std::vector<std::string>{"header"});
}

/* --- the rules that are easiest to get wrong, by name ----------------------------------------- */

ts_tlb_tags entry(ts_tlb_kind kind, uint16_t vmid, bool global = false)
{
    ts_tlb_tags t{};
    t.kind = kind;
    t.vmid = vmid;
    t.asid = kAsid;
    t.global = global;
    t.level = isWalk(t) ? 1 : 0;
    t.size_shift = static_cast<uint8_t>(12 + 9 * t.level);
    t.base = kStart >> t.size_shift << t.size_shift;
    return t;
}

/* By the predicate and in a TLB alike. */
void expectFate(const ts_tlb_inval &inval, const ts_tlb_tags &tags, bool dropped)
{
    EXPECT_EQ(predicate(inval, tags), dropped);
    Tlb t = makeTlb(64, 4);
    EXPECT_EQ(droppedFrom(t.get(), inval, tags), dropped);
}

TEST(InvalidationRulesNamed, AWrongTtlInvalidatesNoLeaf)
{
    for (uint8_t level = 0; level < 3; level++)
        for (uint8_t ttl = 1; ttl <= 3; ttl++)
            for (bool last : {false, true}) {
                ts_tlb_tags va = entry(TS_TLB_COMBINED, kVm), ipa = entry(TS_TLB_STAGE2_LEAF, kVm);
                va.level = ipa.level = level;
                va.size_shift = ipa.size_shift = static_cast<uint8_t>(12 + 9 * level);
                va.base = ipa.base = kStart >> va.size_shift << va.size_shift;
                bool right = ttl == level + 1;
                expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, last, ttl), va, right);
                expectFate(ts_inval_tlbi_vaae1(kVm, kVa, last, ttl), va, right);
                expectFate(ts_inval_tlbi_ipas2e1(kVm, kVa, last, ttl), ipa, right);
            }
}

TEST(InvalidationRulesNamed, Ipas2LeavesCombinedEntriesAlive)
{
    for (bool last : {false, true}) {
        expectFate(ts_inval_tlbi_ipas2e1(kVm, kVa, last, 0), entry(TS_TLB_COMBINED, kVm), false);
        expectFate(ts_inval_tlbi_ripas2e1(kVm, kStart, kRangePages * kPage, last),
                   entry(TS_TLB_COMBINED, kVm), false);
        expectFate(ts_inval_tlbi_ipas2e1(kVm, kVa, last, 0), entry(TS_TLB_STAGE2_LEAF, kVm), true);
    }
    /* Which is why VMALLE1 follows it. */
    expectFate(ts_inval_tlbi_vmalle1(kVm), entry(TS_TLB_COMBINED, kVm), true);
}

TEST(InvalidationRulesNamed, Vmalle1LeavesStage2LeavesAlive)
{
    expectFate(ts_inval_tlbi_vmalle1(kVm), entry(TS_TLB_STAGE2_LEAF, kVm), false);
    expectFate(ts_inval_tlbi_vmalle1(kVm), entry(TS_TLB_STAGE2_WALK, kVm), false);
    expectFate(ts_inval_tlbi_vmalls12e1(kVm), entry(TS_TLB_STAGE2_LEAF, kVm), true);
}

TEST(InvalidationRulesNamed, Aside1LeavesGlobalsButDropsTheTablesOfTheAsid)
{
    expectFate(ts_inval_tlbi_aside1(kVm, kAsid), entry(TS_TLB_COMBINED, kVm, true), false);
    expectFate(ts_inval_tlbi_aside1(kVm, kAsid), entry(TS_TLB_COMBINED, kVm), true);
    expectFate(ts_inval_tlbi_aside1(kVm, kAsid), entry(TS_TLB_STAGE1_WALK, kVm), true);
    expectFate(ts_inval_tlbi_aside1(kVm, kOtherAsid), entry(TS_TLB_STAGE1_WALK, kVm), false);
}

TEST(InvalidationRulesNamed, MovCr3KeepsGlobals)
{
    expectFate(ts_inval_mov_cr3(kVm, kAsid), entry(TS_TLB_COMBINED, kVm, true), false);
    expectFate(ts_inval_mov_cr3(kVm, kAsid), entry(TS_TLB_COMBINED, kVm), true);
}

TEST(InvalidationRulesNamed, Invpcid0KeepsGlobals)
{
    expectFate(ts_inval_invpcid_addr(kVm, kAsid, kVa), entry(TS_TLB_COMBINED, kVm, true), false);
    expectFate(ts_inval_invpcid_addr(kVm, kAsid, kVa), entry(TS_TLB_COMBINED, kVm), true);
    /* Where INVLPG takes them. */
    expectFate(ts_inval_invlpg(kVm, kOtherAsid, kVa), entry(TS_TLB_COMBINED, kVm, true), true);
}

TEST(InvalidationRulesNamed, InveptKeepsTheLinearMappingsOfTheHost)
{
    for (ts_tlb_kind kind : {TS_TLB_COMBINED, TS_TLB_STAGE1_WALK})
        for (uint16_t vmid : {uint16_t{0}, kVm, kOtherVm})
            expectFate(ts_inval_invept_global(), entry(kind, vmid), vmid != 0);
    expectFate(ts_inval_invept_global(), entry(TS_TLB_STAGE2_LEAF, kOtherVm), true);
}

} // namespace
