/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism on every platform it runs on, with huge pages that come and go while other CPUs
 * use them: no stale translation is used, and all of them end with the same memory. */
#include <gtest/gtest.h>

#include "tests/support/thp_scripts.hpp"

using namespace ts_test;

namespace
{

constexpr uint32_t rounds = 8;

struct Case {
    const ts_flush_ops *mechanism;
    bool arm, bare;
};

ts_machine_config machine_of(const Case &p)
{
    ts_machine_config c = small_machine(p.arm, p.mechanism);
    set(c, "run.vms", p.bare ? "1" : "2");
    if (p.bare)
        set(c, "hypervisor.kind", "none");
    set(c, "guest.thp", "always");
    set(c, "guest.fault_huge", "20000cycles");
    set(c, "guest.thp_collapse", "40000cycles");
    return c;
}

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (size_t i = 0; i < ts_flush_table_count; i++)
        for (bool arm : {false, true})
            for (bool bare : {false, true}) {
                Case p{ts_flush_table[i], arm, bare};
                ts_machine_config c = machine_of(p);
                ts_error err{};
                if (ts_machine_check(&c, p.mechanism, &err) == TS_OK)
                    all.push_back(p);
            }
    return all;
}

class Thp : public testing::TestWithParam<Case>
{
};

/* An address space that two CPUs run gets a global ASID at its first shootdown, if there are any.
 */
std::vector<uint64_t> eager_params(const ts_flush_ops *m)
{
    if (!m->params || !ts_param_find(m->params, "promote_sample"))
        return mechanism_params(m, {});
    return mechanism_params(m, {{"promote_sample", "1"}, {"promote_cpus", "1"}});
}

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    return std::string(info.param.mechanism->name) + (info.param.arm ? "_arm" : "_x86") +
           (info.param.bare ? "_bare" : "_vms");
}

} // namespace

TEST_P(Thp, NoStaleTranslationOfAHugePageIsUsed)
{
    uint64_t splits = 0; /* in each script only where a page is there when a part goes */
    for (const SharedScript &script : thp_scripts()) {
        ts_machine_config c = machine_of(GetParam());
        const std::vector<uint64_t> own = eager_params(GetParam().mechanism);
        Outcome got =
            run_shared(c, GetParam().mechanism, script, rounds, own.empty() ? nullptr : own.data());
        ASSERT_EQ(got.status, TS_OK) << script.name << ": " << got.message;
        EXPECT_GT(got.stats["guest.thp_fault_alloc"], rounds) << script.name;
        EXPECT_EQ(got.stats["guest.thp_collapse_alloc"] > 0,
                  count_ops(script, rounds, TS_OP_MADVISE_COLLAPSE) > 0);
        splits += got.stats["guest.thp_split_pmd"];
        EXPECT_GT(got.stats["oracle.hits_checked"], 0u) << script.name;
    }
    EXPECT_GT(splits, rounds);
}

INSTANTIATE_TEST_SUITE_P(All, Thp, testing::ValuesIn(cases()), case_name);
