// SPDX-License-Identifier: Apache-2.0
#include "sim/front/document.hpp"

#include <algorithm>
#include <filesystem>

namespace ts
{
namespace
{

struct Loader {
    const Paths &paths;
    Document document;
    std::vector<std::string> open; // files that are being included, outermost first

    YamlNode load(const std::string &path, const Place &named_at)
    {
        std::error_code code;
        const std::string real = std::filesystem::canonical(path, code).string();
        if (std::find(open.begin(), open.end(), real) != open.end())
            user_error(named_at, "include cycle: " + path + " includes itself");
        open.push_back(real);
        YamlNode root = resolve(yaml_load(path, named_at), path);
        open.pop_back();
        return root;
    }

    YamlNode resolve(YamlNode own, const std::string &path)
    {
        if (own.kind == YamlNode::Null)
            user_error(own.place, "the file is empty");
        own.as_map("a configuration file");
        take_defaults(&own, path);
        YamlNode merged;
        merged.kind = YamlNode::Map;
        merged.place = own.place;
        const YamlEntry *include = own.find("include");
        if (include)
            for (const YamlNode *name : include->value.as_list("include"))
                merge(&merged, load(paths.file(name->scalar, name->place), name->place));
        own.remove("include");
        merge(&merged, std::move(own));
        return merged;
    }

    void take_defaults(YamlNode *root, const std::string &path)
    {
        FileDefaults defaults;
        if (const YamlEntry *source = root->find("source")) {
            defaults.source = source->value.as_scalar("source");
            defaults.has_source = true;
        }
        if (const YamlEntry *confidence = root->find("confidence")) {
            read_confidence(confidence->value, &defaults.confidence);
            defaults.has_confidence = true;
        }
        root->remove("source");
        root->remove("confidence");
        document.defaults[path] = defaults;
    }

    static void read_confidence(const YamlNode &node, ts_confidence *out)
    {
        static const std::vector<std::string> names{"verbatim", "derived", "remembered",
                                                    "guess",    "choice",  "measured"};
        const std::string &text = node.as_scalar("confidence");
        if (!confidence_parse(text, out))
            user_error(node.place,
                       "unknown confidence '" + text + "'" + did_you_mean(text, names) +
                           ": verbatim, derived, remembered, guess, choice or measured");
    }

    // What is merged in later also stands later, so that it wins where one file says `a.b: 1` and
    // the other `a: {b: 1}`.
    static void merge(YamlNode *base, YamlNode over)
    {
        for (YamlEntry &entry : over.entries) {
            YamlEntry *old = base->find(entry.key);
            if (!old) {
                base->entries.push_back(std::move(entry));
                continue;
            }
            const bool both_maps = old->value.kind == YamlNode::Map &&
                                   entry.value.kind == YamlNode::Map &&
                                   !entry.value.find("value") && !old->value.find("value");
            if (both_maps) {
                YamlNode merged = std::move(old->value);
                merge(&merged, std::move(entry.value));
                entry.value = std::move(merged);
            }
            base->remove(entry.key);
            base->entries.push_back(std::move(entry));
        }
    }
};

const FileDefaults &defaults_of(const Document &document, const std::string &file)
{
    static const FileDefaults none;
    const auto found = document.defaults.find(file);
    return found == document.defaults.end() ? none : found->second;
}

// {value: ..., source: ..., confidence: ...}, or a bare value.
Setting read_leaf(const Key &key, const YamlNode &node, const Document &document, LayerOf of)
{
    if (node.kind != YamlNode::Map) {
        Setting setting = setting_of(key, node.as_scalar(key.name), node.place, of);
        const FileDefaults &defaults = defaults_of(document, node.place.file);
        if (of == LayerOf::Piece && defaults.has_source) {
            setting.source = defaults.source;
            setting.confidence = defaults.has_confidence ? defaults.confidence : TS_CONF_GUESS;
        }
        return setting;
    }
    for (const YamlEntry &entry : node.entries)
        if (entry.key != "value" && entry.key != "source" && entry.key != "confidence")
            user_error(entry.place, "unknown key '" + entry.key + "' of " + key.name + ": value, " +
                                        "source and confidence are known");
    const YamlNode &value = node.find("value")->value;
    Setting setting = read_leaf(key, value, document, of);
    const YamlEntry *source = node.find("source");
    const YamlEntry *confidence = node.find("confidence");
    if (source)
        setting.source = source->value.as_scalar("source");
    if (confidence)
        Loader::read_confidence(confidence->value, &setting.confidence);
    else if (source && !defaults_of(document, node.place.file).has_confidence)
        user_error(node.place, key.name + ": a source needs its confidence: verbatim, derived, " +
                                   "remembered, guess, choice or measured");
    return setting;
}

std::shared_ptr<const Layer> version_layer(const ts_version_table &table, uint64_t version,
                                           const Place &place)
{
    Layer layer;
    for (size_t i = 0; i < table.nrules; i++) {
        const std::string name = table.rules[i].key;
        const ts_version_rule *rule = ts_version_rule_of(&table, version, name.c_str());
        if (!rule || layer.count(name) > 0)
            continue;
        Setting setting;
        setting.key = &Keys::get().need(name, KeyOwners(), place);
        setting.value = setting.key->parse(rule->value, place);
        setting.place = place;
        setting.source = rule->source;
        setting.confidence = rule->confidence;
        layer.emplace(name, std::move(setting));
    }
    return std::make_shared<const Layer>(std::move(layer));
}

} // namespace

Document document_load(const std::string &path, const Place &named_at, const Paths &paths)
{
    Loader loader{paths, Document(), {}};
    YamlNode root = loader.load(path, named_at);
    loader.document.root = std::move(root);
    return std::move(loader.document);
}

Document document_parse(const std::string &text, const std::string &file, const Paths &paths)
{
    Loader loader{paths, Document(), {}};
    YamlNode root = loader.resolve(yaml_parse(text, file), file);
    loader.document.root = std::move(root);
    return std::move(loader.document);
}

Setting setting_of(const Key &key, const std::string &text, const Place &place, LayerOf of)
{
    Setting setting;
    setting.key = &key;
    setting.place = place;
    setting.value = key.parse(text, place);
    if (of == LayerOf::Piece) {
        setting.source = "no source given";
        setting.confidence = TS_CONF_GUESS;
    } else if (setting.value == key.row->def) {
        setting.source = key.row->source;
        setting.confidence = key.row->confidence;
    } else {
        setting.source = "set by the experiment";
        setting.confidence = TS_CONF_CHOICE;
    }
    if (key.is_version())
        setting.implied = version_layer(*key.versions(), setting.value, place);
    return setting;
}

void layer_take(Layer *layer, const YamlNode &map, const std::string &prefix,
                const Document &document, const KeyOwners &owners, LayerOf of)
{
    for (const YamlEntry &entry : map.as_map(prefix.empty() ? "a set of parameters" : prefix)) {
        const std::string name = prefix.empty() ? entry.key : prefix + "." + entry.key;
        const YamlNode &value = entry.value;
        const bool is_key = Keys::get().find(name, owners) != nullptr;
        if (value.kind == YamlNode::Map && !is_key) {
            if (value.find("value"))
                Keys::get().need(name, owners, entry.place);
            layer_take(layer, value, name, document, owners, of);
            continue;
        }
        const Key &key = Keys::get().need(name, owners, entry.place);
        if (value.kind == YamlNode::Map && !value.find("value"))
            user_error(value.place, name + " must be a single value, or a map with 'value'");
        if (value.kind == YamlNode::Null)
            user_error(value.place, name + " has no value");
        const auto old = layer->find(name);
        if (old != layer->end() && old->second.place.file == value.place.file)
            user_error(entry.place, "duplicate key '" + name + "', first on line " +
                                        std::to_string(old->second.place.line));
        (*layer)[name] = read_leaf(key, value, document, of);
    }
}

void layer_merge(Layer *layer, const Layer &over)
{
    for (const auto &item : over)
        (*layer)[item.first] = item.second;
}

} // namespace ts
