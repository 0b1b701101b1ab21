/* SPDX-License-Identifier: Apache-2.0 */
/* Free pages by both addresses, against two maps of the standard library. */
#include "models/oracle/free_memory.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace
{

constexpr uint64_t page = 4096;

class FreeMemory : public testing::Test
{
  protected:
    ~FreeMemory() override
    {
        ts_free_memory_destroy(&m);
    }
    void add(uint64_t ipa, uint64_t pa)
    {
        ASSERT_TRUE(ts_free_memory_add(&m, ipa * page, pa * page));
        take(ipa);
        by_ipa[ipa] = pa;
        by_pa[pa] = ipa;
    }
    void take(uint64_t ipa)
    {
        const auto at = by_ipa.find(ipa);
        if (at == by_ipa.end())
            return;
        if (by_pa.count(at->second) && by_pa[at->second] == ipa)
            by_pa.erase(at->second);
        by_ipa.erase(at);
    }
    ts_free_memory m{};
    std::map<uint64_t, uint64_t> by_ipa, by_pa;
};

} // namespace

TEST_F(FreeMemory, NothingIsFreeAtFirst)
{
    uint64_t ipa;
    EXPECT_FALSE(ts_free_memory_has(&m, 0));
    EXPECT_FALSE(ts_free_memory_find(&m, 0, &ipa));
    ts_free_memory_take(&m, 7 * page);
    EXPECT_FALSE(ts_free_memory_has(&m, 7 * page));
}

TEST_F(FreeMemory, AByteIsOfItsPage)
{
    uint64_t ipa = 0;
    add(5, 9);
    EXPECT_TRUE(ts_free_memory_has(&m, 6 * page - 1));
    EXPECT_FALSE(ts_free_memory_has(&m, 6 * page));
    ASSERT_TRUE(ts_free_memory_find(&m, 9 * page + 17, &ipa));
    EXPECT_EQ(ipa, 5 * page + 17);
    EXPECT_FALSE(ts_free_memory_find(&m, 5 * page, &ipa));
}

TEST_F(FreeMemory, EqualsTwoMaps)
{
    for (const uint64_t span : {50, 3000, 1000000}) {
        std::mt19937_64 random(span);
        for (uint64_t i = 0; i < 60000; i++) {
            const uint64_t ipa = random() % span;
            if (random() % 5 < 3) {
                add(ipa, random() % span);
            } else {
                ts_free_memory_take(&m, ipa * page);
                take(ipa);
            }
            const uint64_t asked = random() % 2 ? ipa : random() % span;
            uint64_t found = 0;
            ASSERT_EQ(ts_free_memory_has(&m, asked * page), by_ipa.count(asked) != 0);
            ASSERT_EQ(ts_free_memory_find(&m, asked * page, &found), by_pa.count(asked) != 0);
            const uint64_t expected = by_pa.count(asked) ? by_pa[asked] * page : 0;
            ASSERT_EQ(found, expected);
        }
        for (const auto &[ipa, pa] : by_ipa) {
            (void)pa;
            ASSERT_TRUE(ts_free_memory_has(&m, ipa * page));
        }
    }
}
