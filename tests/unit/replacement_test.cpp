/* SPDX-License-Identifier: Apache-2.0 */
/* Each policy against a second statement of it, over random uses of many associativities. */
#include "models/tlb/replacement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace
{

/* The plain statement of a policy. */
struct Model {
    explicit Model(uint32_t ways) : n(ways)
    {
    }
    virtual ~Model() = default;
    virtual void hit(uint32_t way) = 0;
    virtual void fill(uint32_t way) = 0;
    virtual uint32_t victim() = 0;
    uint32_t n;
};

/* A list, the next victim first. */
struct Order : Model {
    Order(uint32_t ways, bool hits_count) : Model(ways), counts(hits_count)
    {
    }
    void hit(uint32_t way) override
    {
        if (counts)
            fill(way);
    }
    void fill(uint32_t way) override
    {
        order.remove(way);
        order.push_back(way);
    }
    uint32_t victim() override
    {
        return order.front();
    }
    std::list<uint32_t> order;
    bool counts;
};

/* One bit a way. */
struct Bits : Model {
    Bits(uint32_t ways, bool clear_at_use) : Model(ways), at_use(clear_at_use)
    {
    }
    void hit(uint32_t way) override
    {
        used.insert(way);
        if (at_use && used.size() == n)
            used = {way};
    }
    void fill(uint32_t way) override
    {
        hit(way);
    }
    uint32_t victim() override
    {
        if (used.size() == n && n > 1 && at_use)
            ADD_FAILURE() << "no clear bit";
        if (used.size() == n)
            used.clear();
        uint32_t way = 0;
        while (used.count(way))
            way++;
        return way;
    }
    std::set<uint32_t> used;
    bool at_use;
};

struct Rrip : Model {
    explicit Rrip(uint32_t ways) : Model(ways), value(ways, 3)
    {
    }
    void hit(uint32_t way) override
    {
        value[way] = 0;
    }
    void fill(uint32_t way) override
    {
        value[way] = 2;
    }
    uint32_t victim() override
    {
        for (;;) {
            for (uint32_t way = 0; way < n; way++)
                if (value[way] == 3)
                    return way;
            for (uint32_t &v : value)
                v++;
        }
    }
    std::vector<uint32_t> value;
};

/* A tree of halves: each remembers whether its right half is the older one. */
struct Tree : Model {
    struct Node {
        uint32_t first, span;
        bool right_is_next = false;
        std::unique_ptr<Node> left, right;
        Node(uint32_t f, uint32_t s) : first(f), span(s)
        {
            if (span > 1) {
                left = std::make_unique<Node>(first, span / 2);
                right = std::make_unique<Node>(first + span / 2, span / 2);
            }
        }
    };
    explicit Tree(uint32_t ways) : Model(ways), root(0, span_of(ways))
    {
    }
    static uint32_t span_of(uint32_t ways)
    {
        uint32_t span = 1;
        while (span < ways)
            span *= 2;
        return span;
    }
    void hit(uint32_t way) override
    {
        for (Node *node = &root; node->span > 1;) {
            bool in_right = way >= node->right->first;
            node->right_is_next = !in_right;
            node = in_right ? node->right.get() : node->left.get();
        }
    }
    void fill(uint32_t way) override
    {
        hit(way);
    }
    uint32_t victim() override
    {
        Node *node = &root;
        while (node->span > 1)
            node = node->right_is_next && node->right->first < n ? node->right.get()
                                                                 : node->left.get();
        return node->first;
    }
    Node root;
};

std::unique_ptr<Model> modelOf(const std::string &policy, uint32_t ways)
{
    if (policy == "lru")
        return std::make_unique<Order>(ways, true);
    if (policy == "fifo")
        return std::make_unique<Order>(ways, false);
    if (policy == "nru")
        return std::make_unique<Bits>(ways, false);
    if (policy == "bit_plru")
        return std::make_unique<Bits>(ways, true);
    if (policy == "srrip")
        return std::make_unique<Rrip>(ways);
    if (policy == "tree_plru")
        return std::make_unique<Tree>(ways);
    return nullptr;
}

constexpr uint64_t kGuard = UINT64_C(0xfeedfacecafebeef);

class Policy : public ::testing::TestWithParam<size_t>
{
  protected:
    const ts_replacement_ops *ops = ts_replacement_table[GetParam()];
};

TEST_P(Policy, AgreesWithItsPlainStatement)
{
    for (uint32_t ways : {1u,  2u,  3u,  4u,  5u,  6u,  8u,  12u, 16u,  20u,
                          24u, 31u, 32u, 33u, 48u, 63u, 64u, 65u, 100u, 160u}) {
        std::mt19937_64 random(ways);
        std::vector<uint64_t> state(ways + 2, kGuard);
        std::unique_ptr<Model> model = modelOf(ops->name, ways);
        ASSERT_NE(model, nullptr) << "say here what " << ops->name << " does";
        ops->init(state.data(), ways);
        for (uint32_t way = 0; way < ways; way++) {
            ops->on_fill(state.data(), ways, way);
            model->fill(way);
        }
        for (uint32_t step = 0; step < 3000; step++) {
            if (random() % 3) {
                auto way = static_cast<uint32_t>(random() % ways);
                ops->on_hit(state.data(), ways, way);
                model->hit(way);
                continue;
            }
            uint32_t way = ops->victim(state.data(), ways, nullptr);
            ASSERT_EQ(way, model->victim()) << ways << " ways, step " << step;
            ops->on_fill(state.data(), ways, way);
            model->fill(way);
        }
        EXPECT_EQ(state[ways + 1], kGuard) << "more state than ways + 1 words";
    }
}

TEST_P(Policy, IsDescribedAndFound)
{
    EXPECT_EQ(ts_replacement_find(ops->name), ops);
    EXPECT_NE(std::string(ops->summary), "");
    EXPECT_NE(std::string(ops->reference), "");
}

std::vector<size_t> predictable()
{
    std::vector<size_t> which;
    for (size_t i = 0; i < ts_replacement_table_count; i++)
        if (std::string(ts_replacement_table[i]->name) != "random")
            which.push_back(i);
    return which;
}

INSTANTIATE_TEST_SUITE_P(Table, Policy, ::testing::ValuesIn(predictable()), [](const auto &test) {
    return std::string(ts_replacement_table[test.param]->name);
});

TEST(Replacement, TheTableIsSortedAndHoldsTheSeven)
{
    std::vector<std::string> names;
    for (size_t i = 0; i < ts_replacement_table_count; i++)
        names.emplace_back(ts_replacement_table[i]->name);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    for (const char *name : {"lru", "tree_plru", "fifo", "random", "nru", "srrip", "bit_plru"})
        EXPECT_NE(ts_replacement_find(name), nullptr) << name;
    EXPECT_EQ(ts_replacement_find("plru"), nullptr);
}

TEST(Replacement, RandomTakesEveryWayAboutAsOften)
{
    constexpr uint32_t ways = 12, draws = 12000;
    const ts_replacement_ops *ops = ts_replacement_find("random");
    ASSERT_NE(ops, nullptr);
    uint64_t state[ways + 1];
    ts_rng rng, again;
    ts_rng_init(&rng, 3, "test", 0);
    ts_rng_init(&again, 3, "test", 0);
    ops->init(state, ways);
    uint32_t count[ways] = {};
    for (uint32_t i = 0; i < draws; i++) {
        uint32_t way = ops->victim(state, ways, &rng);
        ASSERT_LT(way, ways);
        ASSERT_EQ(way, ops->victim(state, ways, &again));
        count[way]++;
    }
    /* The deviation is about 30; ten of them. */
    for (uint32_t way = 0; way < ways; way++)
        EXPECT_NEAR(count[way], draws / ways, 300) << way;
}

/* The one that tree pseudo-LRU is known for: it is not LRU. */
TEST(Replacement, TreePlruDiffersFromLru)
{
    const ts_replacement_ops *tree = ts_replacement_find("tree_plru");
    const ts_replacement_ops *lru = ts_replacement_find("lru");
    uint64_t a[5], b[5];
    tree->init(a, 4);
    lru->init(b, 4);
    for (uint32_t way : {0u, 2u, 1u, 3u}) {
        tree->on_fill(a, 4, way);
        lru->on_fill(b, 4, way);
    }
    tree->on_hit(a, 4, 0);
    lru->on_hit(b, 4, 0);
    EXPECT_EQ(lru->victim(b, 4, nullptr), 2u);
    EXPECT_EQ(tree->victim(a, 4, nullptr), 2u);
    tree->on_hit(a, 4, 2);
    lru->on_hit(b, 4, 2);
    EXPECT_EQ(lru->victim(b, 4, nullptr), 1u);
    EXPECT_EQ(tree->victim(a, 4, nullptr), 1u);
    tree->on_hit(a, 4, 3);
    lru->on_hit(b, 4, 3);
    tree->on_hit(a, 4, 2);
    lru->on_hit(b, 4, 2);
    EXPECT_EQ(lru->victim(b, 4, nullptr), 1u);
    EXPECT_EQ(tree->victim(a, 4, nullptr), 1u);
    tree->on_hit(a, 4, 1);
    lru->on_hit(b, 4, 1);
    /* LRU: 0 is oldest. Tree: the right half is older than the left, in it 3. */
    EXPECT_EQ(lru->victim(b, 4, nullptr), 0u);
    EXPECT_EQ(tree->victim(a, 4, nullptr), 3u);
}

} // namespace
