/* SPDX-License-Identifier: Apache-2.0 */
/* The published rules of invalidation: the table and a checker of implementations. The operations
 * and entries that it is run on are in invalidation_cases.hpp. (docs/conformance.md) */
#ifndef TS_TESTS_CONFORMANCE_INVALIDATION_RULES_HPP
#define TS_TESTS_CONFORMANCE_INVALIDATION_RULES_HPP

#include "source_dir.h"
#include "tests/conformance/invalidation_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <istream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace invalidation_rules
{

/* --- the table -------------------------------------------------------------------------------- */

constexpr size_t kRequired = kKeys, kExact = kKeys + 1, kSource = kKeys + 2, kColumns = kKeys + 3;
inline const char *const kHeader =
    "operation,stage,level,vmid,ep4ta,asid,global,thread,address,ttl,tg,required,exact,source";

struct Rule {
    size_t line;
    Key key; /* 0: anything */
    bool required, exact;
    std::string source;
};

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
    for (size_t c = 0; c < kKeys; c++)
        if (cells[c] != "*" && wordIndex(c, cells[c]) == 0)
            return "cell " + std::to_string(c) + " is \"" + cells[c] + "\"";
    for (size_t c : {kRequired, kExact})
        if (cells[c] != "yes" && cells[c] != "no")
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
        for (size_t c = 0; c < kKeys; c++)
            r.key[c] = wordIndex(c, cells[c]);
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

constexpr uint32_t kNoRule = UINT32_MAX;

/* The first row that matches. */
inline uint32_t ruleOf(const std::vector<Rule> &rules, const Key &key)
{
    for (size_t r = 0; r < rules.size(); r++) {
        bool all = true;
        for (size_t c = 0; c < kKeys && all; c++)
            all = rules[r].key[c] == 0 || rules[r].key[c] == key[c];
        if (all)
            return static_cast<uint32_t>(r);
    }
    return kNoRule;
}

/* --- cases ------------------------------------------------------------------------------------ */

struct Case {
    const Execution *x;
    const ts_tlb_tags *tags;
    uint32_t rule;
};

/* In the order of the executions; all entries of an execution's architecture are together. */
inline std::vector<Case> casesOf(const std::vector<Rule> &rules)
{
    std::vector<Case> all;
    std::map<Key, uint32_t> known;
    for (const Execution &x : executions())
        for (const ts_tlb_tags &t : entries(x.arch)) {
            Key key = keyOf(x, t);
            auto [at, fresh] = known.try_emplace(key, kNoRule);
            if (fresh)
                at->second = ruleOf(rules, key);
            all.push_back({&x, &t, at->second});
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

/* What was found: how often, a few of it in words, and how often by row. */
struct Report {
    size_t faults = 0;
    std::vector<std::string> words;
    std::vector<size_t> of_row;
    bool wants_words() const
    {
        return words.size() < 20;
    }
};

inline bool isFault(const Rule &r, Judge judge, bool dropped)
{
    return judge == Judge::kExact ? dropped != r.exact : r.required && !dropped;
}

/* Cases that no row decides, and answers that are not the row's. */
inline Report judged(const std::vector<Rule> &rules, const std::vector<Case> &cases, Judge judge,
                     const Drops &drops)
{
    Report report;
    report.of_row.resize(rules.size());
    for (const Case &c : cases) {
        if (c.rule == kNoRule) {
            report.faults++;
            if (report.wants_words())
                report.words.push_back("no row: " + describe(*c.x, *c.tags));
            continue;
        }
        const Rule &r = rules[c.rule];
        bool dropped = drops(c.x->inval, *c.tags);
        if (!isFault(r, judge, dropped))
            continue;
        report.faults++;
        report.of_row[c.rule]++;
        if (report.wants_words())
            report.words.push_back("line " + std::to_string(r.line) +
                                   (dropped ? " dropped: " : " kept: ") + describe(*c.x, *c.tags) +
                                   " [" + r.source + "]");
    }
    return report;
}

/* The same, and rows that decide nothing. */
inline Report checked(const std::vector<Rule> &rules, const std::vector<Case> &cases, Judge judge,
                      const Drops &drops)
{
    Report report = judged(rules, cases, judge, drops);
    std::vector<bool> used(rules.size(), false);
    for (const Case &c : cases)
        if (c.rule != kNoRule)
            used[c.rule] = true;
    for (size_t i = 0; i < rules.size(); i++)
        if (!used[i]) {
            report.faults++;
            report.words.push_back("line " + std::to_string(rules[i].line) + " decides no case");
        }
    return report;
}

inline void expectNone(const Report &report)
{
    for (const std::string &word : report.words)
        ADD_FAILURE() << word;
    EXPECT_EQ(report.faults, 0u);
}

inline bool predicate(const ts_tlb_inval &inval, const ts_tlb_tags &tags)
{
    return ts_tlb_inval_matches(&inval, &tags);
}

} // namespace invalidation_rules

#endif
