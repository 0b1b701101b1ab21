// SPDX-License-Identifier: Apache-2.0
// A YAML file as a tree that keeps the place of every key and value. It is built from yaml-cpp's
// events and not from YAML::Node, which accepts duplicate keys silently (yaml-cpp issues 60 and
// 826) and does not say whether a scalar was quoted. Anchors, aliases and tags are refused:
// `include` serves their purpose, and a tree without aliases cannot grow beyond its text.
#ifndef TS_SIM_FRONT_YAML_HPP
#define TS_SIM_FRONT_YAML_HPP

#include "sim/front/error.hpp"

#include <string>
#include <vector>

namespace ts
{

struct YamlEntry;

struct YamlNode {
    enum Kind { Null, Scalar, Sequence, Map };

    Kind kind = Null;
    Place place;
    std::string scalar;
    std::vector<YamlNode> items;    // of a sequence
    std::vector<YamlEntry> entries; // of a map, in the order of the text

    const YamlEntry *find(const std::string &key) const;
    YamlEntry *find(const std::string &key);
    // Nothing if there is no such key.
    void remove(const std::string &key);
    // These throw a user error at the node's place; what says whose value it is.
    const std::string &as_scalar(const std::string &what) const;
    const std::vector<YamlEntry> &as_map(const std::string &what) const;
    uint64_t as_number(const std::string &what, uint64_t min, uint64_t max) const;
    // A number above 0.
    double as_positive(const std::string &what) const;
    // Its value; an error if the map has none.
    const YamlNode &need(const std::string &key, const std::string &what) const;
    // An error at the first key that is not known, with the nearest that is.
    void allow_keys(const std::vector<std::string> &known, const std::string &what) const;
    // A sequence of scalars, or one scalar.
    std::vector<const YamlNode *> as_list(const std::string &what) const;
};

struct YamlEntry {
    std::string key;
    Place place;
    YamlNode value;
};

// Of the whole text, finite.
bool parse_number(const std::string &text, double *out);

const char *yaml_kind_name(YamlNode::Kind kind);

// The file's one document; an empty one is Null. Throws a user error with its place.
YamlNode yaml_parse(const std::string &text, const std::string &file);
// A missing or unreadable file is a user error at `named_at`.
YamlNode yaml_load(const std::string &path, const Place &named_at);

// `text` as a scalar where it needs no quotes, else in double quotes; never over lines.
std::string yaml_quote(const std::string &text);

} // namespace ts

#endif
