// SPDX-License-Identifier: Apache-2.0
#include "sim/front/yaml.hpp"
#include "tests/unit/front_support.hpp"

namespace
{

std::string refused(const std::string &text)
{
    return user_error_of([&] { ts::yaml_parse(text, "f"); });
}

TEST(FrontYaml, KeepsPlacesAndOrder)
{
    const ts::YamlNode root = ts::yaml_parse("b: 1\na:\n  - x\n  - {c: d}\n", "f");
    ASSERT_EQ(root.kind, ts::YamlNode::Map);
    ASSERT_EQ(root.entries.size(), 2u);
    EXPECT_EQ(root.entries[0].key, "b");
    EXPECT_EQ(root.entries[0].value.place.line, 1u);
    EXPECT_EQ(root.entries[0].value.place.column, 4u);
    const ts::YamlNode &list = root.entries[1].value;
    ASSERT_EQ(list.kind, ts::YamlNode::Sequence);
    EXPECT_EQ(list.items[1].find("c")->place.line, 4u);
    EXPECT_EQ(list.items[1].find("c")->place.column, 6u);
    EXPECT_EQ(list.items[1].find("c")->value.scalar, "d");
}

TEST(FrontYaml, NothingIsNothingUnlessQuoted)
{
    const ts::YamlNode root = ts::yaml_parse("a:\nb: ~\nc: ''\n", "f");
    EXPECT_EQ(root.find("a")->value.kind, ts::YamlNode::Null);
    EXPECT_EQ(root.find("b")->value.kind, ts::YamlNode::Null);
    EXPECT_EQ(root.find("c")->value.kind, ts::YamlNode::Scalar);
    EXPECT_EQ(ts::yaml_parse("", "f").kind, ts::YamlNode::Null);
}

TEST(FrontYaml, RefusesWhatIsAmbiguous)
{
    EXPECT_EQ(refused("a: 1\nb: 2\na: 3\n"), "f:3:1: duplicate key 'a', first on line 1");
    EXPECT_EQ(refused("x: {a: 1, a: 2}\n"), "f:1:11: duplicate key 'a', first on line 1");
    EXPECT_EQ(refused("[a]: 1\n"), "f:1:1: a key must be a word");
    EXPECT_EQ(refused("a: !!int 3\n"), "f:1:4: tags are not used here");
    EXPECT_NE(refused("a: &x 3\nb: *x\n").find("f:1:4: anchors are not used"), std::string::npos);
    EXPECT_NE(refused("a: 1\n---\nb: 1\n").find("second document"), std::string::npos);
}

TEST(FrontYaml, BrokenTextHasItsPlace)
{
    EXPECT_EQ(refused("a: [1, 2\n").compare(0, 2, "f:"), 0);
    EXPECT_EQ(refused("a: b: c\n"), "f:1:5: not valid YAML: illegal map value");
    EXPECT_NE(refused("a: 1\n b: 2\n").find("not valid YAML"), std::string::npos);
}

TEST(FrontYaml, DepthIsLimited)
{
    const std::string fine = std::string(60, '[') + std::string(60, ']');
    EXPECT_EQ(ts::yaml_parse(fine, "f").kind, ts::YamlNode::Sequence);
    const std::string deep = std::string(100000, '[');
    EXPECT_NE(refused(deep).find("f:1:"), std::string::npos);
}

TEST(FrontYaml, ValuesAreChecked)
{
    const ts::YamlNode root = ts::yaml_parse("n: 7\nneg: -1\nmap: {}\nlist: [a, b]\n", "f");
    EXPECT_EQ(root.find("n")->value.as_number("n", 7, 7), 7u);
    EXPECT_EQ(user_error_of([&] { root.find("n")->value.as_number("n", 8, 9); }),
              "f:1:4: n: '7' is out of bounds: must be a whole number from 8 to 9");
    EXPECT_NE(user_error_of([&] { root.find("neg")->value.as_number("neg", 0, 9); }).find("-1"),
              std::string::npos);
    EXPECT_EQ(user_error_of([&] { root.find("map")->value.as_scalar("map"); }),
              "f:3:6: map must be a single value, not a map");
    EXPECT_EQ(user_error_of([&] { root.find("n")->value.as_map("n"); }),
              "f:1:4: n must be a map, not a single value");
    EXPECT_EQ(root.find("list")->value.as_list("list").size(), 2u);
    EXPECT_EQ(root.find("n")->value.as_list("n").size(), 1u);
}

TEST(FrontYaml, QuotedTextReadsBackAsItWas)
{
    for (const std::string &text :
         {std::string("plain"), std::string("2.5GHz"), std::string("a: b # c"), std::string(""),
          std::string("~"), std::string("- x"), std::string("q\"uo\\te"),
          std::string("tab\tline\n"), std::string("{a, b}"), std::string("20GB/s"),
          std::string("caf\xc3\xa9")}) {
        const ts::YamlNode root = ts::yaml_parse(
            "k: " + ts::yaml_quote(text) + " # end\nl: {m: " + ts::yaml_quote(text) + "}\n", "f");
        EXPECT_EQ(root.find("k")->value.as_scalar("k"), text);
        EXPECT_EQ(root.find("l")->value.find("m")->value.as_scalar("m"), text);
    }
}

} // namespace
