// SPDX-License-Identifier: Apache-2.0
// A configuration file with its includes merged in, and parameter settings taken from one.
#ifndef TS_SIM_FRONT_DOCUMENT_HPP
#define TS_SIM_FRONT_DOCUMENT_HPP

#include "sim/front/keys.hpp"
#include "sim/front/paths.hpp"
#include "sim/front/yaml.hpp"

#include <map>
#include <memory>
#include <string>

namespace ts
{

// What a file says of its values that say nothing themselves.
struct FileDefaults {
    bool has_source = false;
    bool has_confidence = false;
    std::string source;
    ts_confidence confidence = TS_CONF_GUESS;
};

// Maps are merged key by key, the file's own over its includes', a later include's over an
// earlier's. `include`, `source` and `confidence` at the top are taken out of the tree.
struct Document {
    YamlNode root;                                // a map
    std::map<std::string, FileDefaults> defaults; // by file
};

Document document_load(const std::string &path, const Place &named_at, const Paths &paths);
Document document_parse(const std::string &text, const std::string &file, const Paths &paths);

struct Setting;
using Layer = std::map<std::string, Setting>; // by the key's name

struct Setting {
    const Key *key = nullptr;
    uint64_t value = 0;
    Place place;
    std::string source;
    ts_confidence confidence = TS_CONF_CHOICE;
    // Of a kernel's version: what it says of other parameters. Else null.
    std::shared_ptr<const Layer> implied;
};

// What a value without a source counts as. In a piece (machine, hypervisor, guest) it is assumed;
// in an experiment it is a choice, unless it equals the table's default and so is the table's fact.
enum class LayerOf { Piece, Experiment };

// Settings of a map whose keys are parameter keys, dotted or nested or both.
void layer_take(Layer *layer, const YamlNode &map, const std::string &prefix,
                const Document &document, const KeyOwners &owners, LayerOf of);
Setting setting_of(const Key &key, const std::string &text, const Place &place, LayerOf of);
// settings of `over` replace those of `layer`.
void layer_merge(Layer *layer, const Layer &over);

} // namespace ts

#endif
