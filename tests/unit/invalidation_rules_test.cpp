/* SPDX-License-Identifier: Apache-2.0 */
/* The published rules of invalidation (tests/conformance/invalidation_rules.csv) against the
 * predicate, against a TLB that holds one entry, and against one that holds all of them. */
#include "tests/conformance/invalidation_rules.hpp"
#include "tests/conformance/invalidation_tlb.hpp"

#include <set>
#include <tuple>

namespace
{

using namespace invalidation_rules;

/* --- the table -------------------------------------------------------------------------------- */

TEST(InvalidationRules, TheTableNamesEveryOperation)
{
    std::set<std::string> named;
    for (const Rule &r : publishedRules())
        if (r.key[kOperation] != 0)
            named.insert(vocabulary(kOperation)[r.key[kOperation] - 1u]);
    EXPECT_EQ(named, std::set<std::string>(operationNames().begin(), operationNames().end()));
}

TEST(InvalidationRules, TheManualDescribesTheColumnsOfTheTable)
{
    std::ifstream in(std::string(TS_SOURCE_DIR) + "/docs/conformance.md");
    ASSERT_TRUE(in.good());
    std::string columns;
    bool format = false;
    for (std::string line; std::getline(in, line);) {
        if (line.rfind("## ", 0) == 0)
            format = line == "## Format";
        if (format && line.rfind("| `", 0) == 0)
            columns += (columns.empty() ? "" : ",") + line.substr(3, line.find('`', 3) - 3);
    }
    EXPECT_EQ(columns, kHeader);
}

TEST(InvalidationRules, ThePredicateFollowsEveryRow)
{
    expectNone(checked(publishedRules(), publishedCases(), Judge::kExact, predicate));
}

/* The excess is small and known. */
TEST(InvalidationRules, TlbstormDoesMoreThanRequiredInThreePlacesOnly)
{
    size_t more = 0;
    for (const Rule &r : publishedRules())
        if (r.required != r.exact) {
            std::string op = vocabulary(kOperation)[r.key[kOperation] - 1u];
            bool smep = op == "MOV_CR4_SMEP" && r.key[kGlobal] == kYes;
            bool svm = op == "INVLPGA" && r.key[kLevel] == kWalk;
            bool stride = op.rfind("INVLPGB", 0) == 0 && r.key[kAddress] == kBetween;
            EXPECT_TRUE(smep || svm || stride) << r.line;
            more++;
        }
    EXPECT_EQ(more, 1u + 1u + 4u * 1u + 4u * 2u); /* the last for those with globals */
}

/* --- in a TLB --------------------------------------------------------------------------------- */

/* One case of each execution, set of words and shape: the others differ in what the predicate has
 * been asked for already. */
std::vector<Case> representatives()
{
    using Kind = std::tuple<const Execution *, Key, int, uint8_t, uint8_t, uint8_t>;
    std::set<Kind> seen;
    std::vector<Case> some;
    for (const Case &c : publishedCases()) {
        if (c.x != (some.empty() ? nullptr : some.back().x))
            seen.clear();
        const ts_tlb_tags &t = *c.tags;
        if (seen.insert({c.x, keyOf(*c.x, t), t.kind, t.granule, t.level, t.size_shift}).second)
            some.push_back(c);
    }
    return some;
}

TEST(InvalidationRules, ATlbWithOneEntryFollowsEveryRow)
{
    static const std::vector<Case> cases = representatives();
    for (uint32_t ways : {4u, 64u}) {
        Tlb t = makeTlb(64, ways);
        expectNone(checked(publishedRules(), cases, Judge::kExact,
                           [&t](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
                               return droppedFrom(t.get(), inval, tags);
                           }));
    }
}

/* What tells one entry of a structure from another: stage 2 has no ASID, globals share one. */
using Identity = std::tuple<int, uint16_t, uint16_t, bool, uint16_t, uint8_t, uint8_t, uint64_t>;
Identity identity(const ts_tlb_tags &t)
{
    bool tagged = !isStage2(t) && !t.global;
    return {t.kind,       t.vmid, tagged ? t.asid : uint16_t{0}, t.global, t.ep4ta, t.thread,
            t.size_shift, t.base};
}

/* Entries that a structure can hold at one time: a page that is in one layer as that of one level
 * or granule is in another as that of the next. */
std::vector<std::vector<size_t>> layersOf(const std::vector<ts_tlb_tags> &world)
{
    std::map<Identity, size_t> copies;
    std::vector<std::vector<size_t>> layers;
    std::set<std::tuple<Identity, uint8_t, uint8_t>> seen;
    for (size_t i = 0; i < world.size(); i++) {
        const ts_tlb_tags &t = world[i];
        if (!seen.insert({identity(t), t.level, t.granule}).second)
            continue;
        size_t layer = copies[identity(t)]++;
        if (layer == layers.size())
            layers.emplace_back();
        layers[layer].push_back(i);
    }
    return layers;
}

struct Full {
    Tlb tlb;
    const std::vector<ts_tlb_tags> *world;
    void insert(size_t i)
    {
        ts_tlb_entry e{};
        e.tags = (*world)[i];
        e.target = i;
        bool evicted = false;
        ASSERT_TRUE(ts_tlb_insert(tlb.get(), &e, nullptr, &evicted));
        ASSERT_FALSE(evicted);
    }
    std::vector<bool> inside() const
    {
        std::vector<bool> left(world->size());
        ts_tlb_for_each(
            tlb.get(),
            [](void *user, const ts_tlb_entry *e) {
                (*static_cast<std::vector<bool> *>(user))[e->target] = true;
            },
            &left);
        return left;
    }
};

/* With all the others around it an entry fares as it does alone. What went is put back. */
TEST(InvalidationRules, ATlbFullOfEntriesFollowsEveryRow)
{
    const std::vector<Case> &cases = publishedCases();
    for (Arch arch : {kIntel, kAmd, kArm})
        for (const std::vector<size_t> &layer : layersOf(entries(arch))) {
            Full full{makeTlb(16384, 256), &entries(arch)};
            for (size_t i : layer)
                full.insert(i);
            ASSERT_EQ(ts_tlb_valid_count(full.tlb.get()), layer.size());
            for (size_t first = 0; first < cases.size();
                 first += entries(cases[first].x->arch).size()) {
                const Execution &x = *cases[first].x;
                if (x.arch != arch)
                    continue;
                uint32_t n = ts_tlb_invalidate(full.tlb.get(), &x.inval, nullptr);
                std::vector<bool> left = full.inside();
                size_t gone = 0;
                for (size_t i : layer) {
                    const Case &c = cases[first + i];
                    ASSERT_NE(c.rule, kNoRule);
                    ASSERT_EQ(!left[i], publishedRules()[c.rule].exact) << describe(x, *c.tags);
                    if (left[i])
                        continue;
                    gone++;
                    full.insert(i);
                }
                ASSERT_EQ(n, gone) << x.name;
            }
        }
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
        ASSERT_FALSE(of[i].empty());
        EXPECT_EQ(judged(rules, of[i], Judge::kExact, predicate).faults, 0u) << rules[i].line;
        rules[i].exact = !rules[i].exact;
        EXPECT_EQ(judged(rules, of[i], Judge::kExact, predicate).of_row[i], of[i].size())
            << rules[i].line;
        rules[i].exact = !rules[i].exact;
    }
}

TEST(InvalidationRulesCheck, AMissingRowAndADeadRowAreReported)
{
    std::vector<Rule> rules = publishedRules();
    ASSERT_FALSE(rules.empty());
    rules.push_back(rules.front()); /* behind its equal it decides nothing */
    EXPECT_EQ(
        checked(rules, publishedCases(), Judge::kExact, predicate).words,
        std::vector<std::string>{"line " + std::to_string(rules[0].line) + " decides no case"});
    rules = publishedRules();
    uint8_t alle1 = wordIndex(kOperation, "TLBI_ALLE1");
    rules.erase(std::remove_if(rules.begin(), rules.end(),
                               [&](const Rule &r) { return r.key[kOperation] == alle1; }),
                rules.end());
    Report report = checked(rules, casesOf(rules), Judge::kExact, predicate);
    /* The sibling's entries have their own row. */
    EXPECT_EQ(report.faults, entries(kArm).size() / 2);
    ASSERT_FALSE(report.words.empty());
    for (const std::string &word : report.words)
        EXPECT_EQ(word.rfind("no row: TLBI_ALLE1 ", 0), 0u) << word;
}

TEST(InvalidationRulesCheck, FlushingEverythingIsLegalButNotExactAndFlushingNothingIsNeither)
{
    Drops everything = [](const ts_tlb_inval &, const ts_tlb_tags &) { return true; };
    Drops nothing = [](const ts_tlb_inval &, const ts_tlb_tags &) { return false; };
    const auto &rules = publishedRules();
    const auto &cases = publishedCases();
    EXPECT_EQ(judged(rules, cases, Judge::kRequired, everything).faults, 0u);
    EXPECT_GT(judged(rules, cases, Judge::kExact, everything).faults, 0u);
    EXPECT_GT(judged(rules, cases, Judge::kRequired, nothing).faults, 0u);
}

using Mistakes = std::vector<std::pair<const char *, Drops>>;

/* An implementation that sees the entry, or the operation, otherwise than it is. */
Drops seeing(void (*change)(ts_tlb_inval &, ts_tlb_tags &))
{
    return [change](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
        ts_tlb_inval i = inval;
        ts_tlb_tags t = tags;
        change(i, t);
        return predicate(i, t);
    };
}

/* Mistakes that simulators make and that leave stale translations. */
TEST(InvalidationRulesCheck, MistakesThatKeepTooMuchAreReported)
{
    const Mistakes mistakes = {
        {"globals treated as ordinary pages",
         seeing([](ts_tlb_inval &, ts_tlb_tags &t) { t.global = false; })},
        {"walk caches forgotten",
         [](const ts_tlb_inval &inval, const ts_tlb_tags &tags) {
             return !isWalk(tags) && predicate(inval, tags);
         }},
        {"pieces of a large page compared one by one", seeing([](ts_tlb_inval &, ts_tlb_tags &t) {
             while (t.level > 0 && !isWalk(t) && levelShift(t.granule, t.level) > t.size_shift)
                 t.level--;
         })},
        {"every table taken for one of 4K pages",
         seeing([](ts_tlb_inval &, ts_tlb_tags &t) { t.granule = TS_GRANULE_4K; })},
        {"a contiguous run taken for its first page", seeing([](ts_tlb_inval &, ts_tlb_tags &t) {
             if (!isWalk(t) && t.size_shift > levelShift(t.granule, t.level))
                 t.size_shift = static_cast<uint8_t>(levelShift(t.granule, t.level));
         })},
        {"only the first page of a range",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.length = std::min(i.length, kPage); })},
        {"every VM taken for the current one", seeing([](ts_tlb_inval &i, ts_tlb_tags &) {
             i.any_vmid = false;
             i.vmid = kVm;
         })},
        {"VPID 0 without EPT only",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.ep4ta_rule = TS_INVAL_EP4TA_MATCH; })},
        {"nested translations looked for by a linear address",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.stage2_any_address = false; })},
        {"the other thread's entries taken for one's own",
         seeing([](ts_tlb_inval &, ts_tlb_tags &t) { t.thread ^= 1; })},
        {"a granule of 16K for every hint", seeing([](ts_tlb_inval &i, ts_tlb_tags &) {
             i.ttl_granule = i.ttl_granule ? 1 + TS_GRANULE_16K : 0;
         })},
        {"levels of the hint counted from the other end",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) {
             i.ttl_level = static_cast<uint8_t>(i.ttl_level ? 4 - i.ttl_level : 0);
         })},
    };
    for (const auto &[name, drops] : mistakes)
        EXPECT_GT(judged(publishedRules(), publishedCases(), Judge::kRequired, drops).faults, 0u)
            << name;
}

/* Those that cost misses: legal, not what tlbstorm does. */
TEST(InvalidationRulesCheck, MistakesThatDropTooMuchAreReported)
{
    const Mistakes mistakes = {
        {"TTL ignored", seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.ttl_level = 0; })},
        {"TG ignored", seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.ttl_granule = 0; })},
        {"tables dropped whatever the TTL", seeing([](ts_tlb_inval &i, ts_tlb_tags &t) {
             if (isWalk(t))
                 i.ttl_level = 0;
         })},
        {"EP4TA ignored",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.ep4ta_rule = TS_INVAL_EP4TA_ANY; })},
        {"every EP4TA taken for the one named", seeing([](ts_tlb_inval &i, ts_tlb_tags &) {
             if (i.ep4ta_rule == TS_INVAL_EP4TA_MATCH)
                 i.ep4ta_rule = TS_INVAL_EP4TA_SOME;
         })},
        {"the sibling's entries dropped too",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.any_thread = true; })},
        {"the host not spared",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.keep_host = false; })},
        {"tables dropped by last-level forms",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.last_level_only = false; })},
        {"tables dropped at every address",
         seeing([](ts_tlb_inval &i, ts_tlb_tags &) { i.walk_any_address = true; })},
    };
    for (const auto &[name, drops] : mistakes) {
        EXPECT_EQ(judged(publishedRules(), publishedCases(), Judge::kRequired, drops).faults, 0u)
            << name;
        EXPECT_GT(judged(publishedRules(), publishedCases(), Judge::kExact, drops).faults, 0u)
            << name;
    }
}

TEST(InvalidationRulesCheck, BadRowsAreRefused)
{
    const std::string cells = "INVLPG,stage1,leaf,*,*,*,*,*,*,none,*,";
    const std::vector<std::pair<std::string, size_t>> rows = {
        {cells + "no,yes,a source", 0},
        {cells + "no,yes", 1},                                            /* a cell is missing */
        {cells + "no,yes,a source,and more", 1},                          /* a comma too many */
        {"INVLPG,stage3,leaf,*,*,*,*,*,*,none,*,no,yes,a source", 1},     /* no such word */
        {"INVLPGQ,stage1,leaf,*,*,*,*,*,*,none,*,no,yes,a source", 1},    /* no such operation */
        {"INVLPG,stage1,leaf,*,*,*,*,*,maybe,none,*,no,yes,a source", 1}, /* no such word */
        {cells + "*,yes,a source", 1},                                    /* no wildcard here */
        {cells + "yes,no,a source", 1},                                   /* less than required */
    };
    for (const auto &[row, count] : rows) {
        std::istringstream in("# a comment\n\n" + std::string(kHeader) + "\n" + row + "\n");
        std::vector<std::string> faults;
        EXPECT_EQ(parse(in, faults).size(), 1 - count) << row;
        EXPECT_EQ(faults.size(), count) << row;
    }
    std::istringstream in(rows[0].first + "\n");
    std::vector<std::string> faults;
    parse(in, faults);
    EXPECT_EQ(faults, std::vector<std::string>{"header"});
}

/* --- the rules that are easiest to get wrong, by name ----------------------------------------- */

ts_tlb_tags entry(ts_tlb_kind kind, uint16_t vmid, bool global = false, uint16_t ep4ta = 0)
{
    ts_tlb_tags t{};
    t.kind = kind;
    t.vmid = vmid;
    t.asid = kAsid;
    t.ep4ta = ep4ta;
    t.global = global;
    t.level = isWalk(t) ? 1 : 0;
    t.size_shift = static_cast<uint8_t>(levelShift(t.granule, t.level));
    t.base = kStart >> t.size_shift << t.size_shift;
    return t;
}

/* Both kinds of leaf of a level of a granule. */
std::vector<ts_tlb_tags> leaves(uint8_t granule, uint8_t level)
{
    std::vector<ts_tlb_tags> both = {entry(TS_TLB_COMBINED, kVm), entry(TS_TLB_STAGE2_LEAF, kVm)};
    for (ts_tlb_tags &t : both) {
        t.granule = granule;
        t.level = level;
        t.size_shift = static_cast<uint8_t>(levelShift(granule, level));
        t.base = kStart >> t.size_shift << t.size_shift;
    }
    return both;
}

/* By the predicate and in a TLB alike. */
void expectFate(const ts_tlb_inval &inval, const ts_tlb_tags &tags, bool dropped)
{
    EXPECT_EQ(predicate(inval, tags), dropped);
    Tlb t = makeTlb(64, 4);
    EXPECT_EQ(droppedFrom(t.get(), inval, tags), dropped);
}

std::vector<ts_tlb_inval> pageForms(const ts_tlb_tags &leaf, bool last, uint8_t ttl)
{
    if (leaf.kind == TS_TLB_STAGE2_LEAF)
        return {ts_inval_tlbi_ipas2e1(kVm, kVa, last, ttl)};
    return {ts_inval_tlbi_vae1(kVm, kAsid, kVa, last, ttl),
            ts_inval_tlbi_vaae1(kVm, kVa, last, ttl)};
}

TEST(InvalidationRulesNamed, AWrongTtlInvalidatesNothing)
{
    for (uint8_t level = 0; level < 3; level++)
        for (uint8_t ttl = 1; ttl <= 3; ttl++)
            for (bool last : {false, true})
                for (const ts_tlb_tags &leaf : leaves(TS_GRANULE_4K, level))
                    for (const ts_tlb_inval &inval : pageForms(leaf, last, ttl))
                        expectFate(inval, leaf, ttl == level + 1);
    /* A table of last-level entries has no leaf of 2M below it. */
    ts_tlb_tags table = entry(TS_TLB_STAGE1_WALK, kVm);
    expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, false, 1), table, true);
    expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, false, 2), table, false);
}

TEST(InvalidationRulesNamed, AWrongTgInvalidatesNothing)
{
    for (uint8_t granule = 0; granule < TS_GRANULES; granule++)
        for (uint8_t tg = 1; tg <= TS_GRANULES; tg++)
            for (uint8_t ttl : {uint8_t{0}, uint8_t{1}})
                for (const ts_tlb_tags &leaf : leaves(granule, 0))
                    for (const ts_tlb_inval &inval : pageForms(leaf, true, ttl))
                        expectFate(ts_inval_with_hint(inval, tg, 0), leaf, tg == granule + 1);
}

TEST(InvalidationRulesNamed, AContiguousRunGoesByAnyByteOfIt)
{
    for (uint8_t granule = 0; granule < TS_GRANULES; granule++)
        for (ts_tlb_tags run : leaves(granule, 0)) {
            static constexpr uint8_t leaves_log2[] = {4, 7, 5};
            run.size_shift = static_cast<uint8_t>(run.size_shift + leaves_log2[granule]);
            uint64_t bytes = UINT64_C(1) << run.size_shift;
            run.base = kStart / bytes * bytes;
            bool va = run.kind == TS_TLB_COMBINED;
            for (uint64_t offset : {-kPage, UINT64_C(0), bytes / 2, bytes - 1, bytes}) {
                uint64_t at = run.base + offset;
                expectFate(va ? ts_inval_tlbi_vae1(kVm, kAsid, at, true, 1)
                              : ts_inval_tlbi_ipas2e1(kVm, at, true, 1),
                           run, offset < bytes);
            }
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

TEST(InvalidationRulesNamed, Vale1LeavesWalkEntries)
{
    for (ts_tlb_kind kind : {TS_TLB_COMBINED, TS_TLB_STAGE1_WALK}) {
        bool leaf = kind == TS_TLB_COMBINED;
        uint64_t bytes = kRangePages * kPage;
        expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, true, 0), entry(kind, kVm), leaf);
        expectFate(ts_inval_tlbi_vaae1(kVm, kVa, true, 0), entry(kind, kVm), leaf);
        expectFate(ts_inval_tlbi_rvae1(kVm, kAsid, kStart, bytes, true), entry(kind, kVm), leaf);
        expectFate(ts_inval_tlbi_rvaae1(kVm, kStart, bytes, true), entry(kind, kVm), leaf);
        expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, false, 0), entry(kind, kVm), true);
    }
}

TEST(InvalidationRulesNamed, Vae1AndVaae1TakeGlobals)
{
    for (bool last : {false, true}) {
        ts_tlb_tags global = entry(TS_TLB_COMBINED, kVm, true);
        expectFate(ts_inval_tlbi_vae1(kVm, kAsid, kVa, last, 0), global, true);
        expectFate(ts_inval_tlbi_vae1(kVm, kOtherAsid, kVa, last, 0), global, true);
        expectFate(ts_inval_tlbi_vaae1(kVm, kVa, last, 0), global, true);
    }
}

TEST(InvalidationRulesNamed, InvvpidKeepsGuestPhysicalMappings)
{
    for (ts_tlb_kind kind : {TS_TLB_STAGE2_LEAF, TS_TLB_STAGE2_WALK})
        for (uint16_t ep4ta : {kEp4ta, kOtherEp4ta}) {
            ts_tlb_tags gpa = entry(kind, 0, false, ep4ta);
            expectFate(ts_inval_invvpid_address(kVm, kVa), gpa, false);
            expectFate(ts_inval_invvpid_single(kVm), gpa, false);
            expectFate(ts_inval_invvpid_all(), gpa, false);
            expectFate(ts_inval_invvpid_keep_global(kVm), gpa, false);
        }
    expectFate(ts_inval_invvpid_single(kVm), entry(TS_TLB_COMBINED, kVm, true, kEp4ta), true);
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

TEST(InvalidationRulesNamed, InveptSingleKeepsOtherEp4tas)
{
    for (uint16_t ep4ta : {kEp4ta, kOtherEp4ta}) {
        for (ts_tlb_kind kind : {TS_TLB_COMBINED, TS_TLB_STAGE1_WALK})
            for (uint16_t vmid : {uint16_t{0}, kVm, kOtherVm})
                expectFate(ts_inval_invept_single(kEp4ta), entry(kind, vmid, false, ep4ta),
                           ep4ta == kEp4ta);
        for (ts_tlb_kind kind : {TS_TLB_STAGE2_LEAF, TS_TLB_STAGE2_WALK})
            expectFate(ts_inval_invept_single(kEp4ta), entry(kind, 0, false, ep4ta),
                       ep4ta == kEp4ta);
    }
}

/* The host's, and those of a guest that runs without EPT. */
TEST(InvalidationRulesNamed, InveptKeepsLinearMappings)
{
    for (ts_tlb_kind kind : {TS_TLB_COMBINED, TS_TLB_STAGE1_WALK})
        for (uint16_t vmid : {uint16_t{0}, kVm, kOtherVm})
            for (uint16_t ep4ta : {kLinear, kEp4ta, kOtherEp4ta}) {
                expectFate(ts_inval_invept_global(), entry(kind, vmid, false, ep4ta),
                           ep4ta != kLinear);
                expectFate(ts_inval_invept_single(kEp4ta), entry(kind, vmid, false, ep4ta),
                           ep4ta == kEp4ta);
            }
    expectFate(ts_inval_invept_global(), entry(TS_TLB_STAGE2_LEAF, 0, false, kOtherEp4ta), true);
}

TEST(InvalidationRulesNamed, OneThreadLeavesTheOthersEntriesAlone)
{
    ts_tlb_tags own = entry(TS_TLB_COMBINED, kVm), sibling = own;
    sibling.thread = 1;
    ts_tlb_inval inval = ts_inval_tlbi_vmalle1(kVm);
    expectFate(inval, own, true);
    expectFate(inval, sibling, false);
    inval.thread = 1;
    expectFate(inval, own, false);
    expectFate(inval, sibling, true);
    inval.any_thread = true;
    expectFate(inval, own, true);
}

} // namespace
