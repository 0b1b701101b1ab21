// SPDX-License-Identifier: Apache-2.0
#include "sim/front/yaml.hpp"

#include <algorithm>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ts
{
namespace
{

// No configuration is larger; a larger file was meant for something else.
constexpr uintmax_t file_bytes_max = 4u << 20;
constexpr size_t depth_max = 64;

class Builder : public YAML::EventHandler
{
  public:
    explicit Builder(std::string file) : file_(std::move(file))
    {
    }

    YamlNode take()
    {
        return std::move(root_);
    }

    void OnDocumentStart(const YAML::Mark &) override
    {
    }
    void OnDocumentEnd() override
    {
    }
    void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override
    {
        add(YamlNode::Null, mark, anchor, "", "");
    }
    void OnAlias(const YAML::Mark &mark, YAML::anchor_t) override
    {
        user_error(place(mark), "aliases are not used here: use 'include'");
    }
    void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                  const std::string &value) override
    {
        add(YamlNode::Scalar, mark, anchor, tag, value);
    }
    void OnSequenceStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(YamlNode::Sequence, mark, anchor, tag);
    }
    void OnSequenceEnd() override
    {
        close();
    }
    void OnMapStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(YamlNode::Map, mark, anchor, tag);
    }
    void OnMapEnd() override
    {
        close();
    }

  private:
    // A collection that is being read. Children are kept here until it closes, so that no pointer
    // into a growing vector is held.
    struct Level {
        YamlNode node;
        bool has_key = false;
        std::string key;
        Place key_place;
    };

    Place place(const YAML::Mark &mark) const
    {
        if (mark.is_null())
            return Place{file_, 0, 0};
        return Place{file_, static_cast<uint32_t>(mark.line) + 1,
                     static_cast<uint32_t>(mark.column) + 1};
    }

    void check(const YAML::Mark &mark, YAML::anchor_t anchor, const std::string &tag) const
    {
        if (anchor != 0)
            user_error(place(mark), "anchors are not used here: use 'include'");
        // "?" is a plain scalar or collection, "!" a quoted one.
        if (!tag.empty() && tag != "?" && tag != "!")
            user_error(place(mark), "tags are not used here");
    }

    void add(YamlNode::Kind kind, const YAML::Mark &mark, YAML::anchor_t anchor,
             const std::string &tag, const std::string &value)
    {
        check(mark, anchor, tag);
        YamlNode node;
        node.kind = kind;
        node.place = place(mark);
        node.scalar = value;
        if (kind == YamlNode::Scalar && tag == "?" && (value.empty() || value == "~"))
            node.kind = YamlNode::Null;
        attach(std::move(node));
    }

    void open(YamlNode::Kind kind, const YAML::Mark &mark, YAML::anchor_t anchor,
              const std::string &tag)
    {
        check(mark, anchor, tag);
        if (levels_.size() >= depth_max)
            user_error(place(mark), "nested too deeply");
        Level level;
        level.node.kind = kind;
        level.node.place = place(mark);
        levels_.push_back(std::move(level));
    }

    void close()
    {
        YamlNode node = std::move(levels_.back().node);
        levels_.pop_back();
        attach(std::move(node));
    }

    void attach(YamlNode node)
    {
        if (levels_.empty()) {
            root_ = std::move(node);
            return;
        }
        Level &level = levels_.back();
        if (level.node.kind == YamlNode::Sequence) {
            level.node.items.push_back(std::move(node));
        } else if (!level.has_key) {
            take_key(level, node);
        } else {
            level.node.entries.push_back(
                YamlEntry{std::move(level.key), std::move(level.key_place), std::move(node)});
            level.has_key = false;
        }
    }

    static void take_key(Level &level, const YamlNode &node)
    {
        if (node.kind != YamlNode::Scalar)
            user_error(node.place, "a key must be a word");
        const YamlEntry *first = level.node.find(node.scalar);
        if (first)
            user_error(node.place, "duplicate key '" + node.scalar + "', first on line " +
                                       std::to_string(first->place.line));
        level.has_key = true;
        level.key = node.scalar;
        level.key_place = node.place;
    }

    std::string file_;
    YamlNode root_;
    std::vector<Level> levels_;
};

std::string read_file(const std::string &path, const Place &named_at)
{
    std::error_code code;
    const std::filesystem::file_status status = std::filesystem::status(path, code);
    if (!std::filesystem::exists(status))
        user_error(named_at, "no such file: " + path);
    if (std::filesystem::is_directory(status))
        user_error(named_at, path + " is a folder");
    if (!std::filesystem::is_regular_file(status))
        user_error(named_at, path + " is no plain file");
    std::ifstream file(path, std::ios::binary);
    if (!file)
        user_error(named_at, path + " cannot be read");
    std::string text;
    char buffer[8192];
    while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
        text.append(buffer, static_cast<size_t>(file.gcount()));
        if (text.size() > file_bytes_max)
            user_error(named_at, path + " is larger than any configuration (4 MiB)");
    }
    return text;
}

} // namespace

const char *yaml_kind_name(YamlNode::Kind kind)
{
    static const char *const names[] = {"nothing", "a single value", "a list", "a map"};
    return names[kind];
}

const YamlEntry *YamlNode::find(const std::string &key) const
{
    for (const YamlEntry &entry : entries)
        if (entry.key == key)
            return &entry;
    return nullptr;
}

YamlEntry *YamlNode::find(const std::string &key)
{
    for (YamlEntry &entry : entries)
        if (entry.key == key)
            return &entry;
    return nullptr;
}

void YamlNode::remove(const std::string &key)
{
    entries.erase(std::remove_if(entries.begin(), entries.end(),
                                 [&](const YamlEntry &entry) { return entry.key == key; }),
                  entries.end());
}

const std::string &YamlNode::as_scalar(const std::string &what) const
{
    if (kind != Scalar)
        user_error(place, what + " must be a single value, not " + yaml_kind_name(kind));
    return scalar;
}

const std::vector<YamlEntry> &YamlNode::as_map(const std::string &what) const
{
    if (kind != Map)
        user_error(place, what + " must be a map, not " + yaml_kind_name(kind));
    return entries;
}

uint64_t YamlNode::as_number(const std::string &what, uint64_t min, uint64_t max) const
{
    const std::string &text = as_scalar(what);
    uint64_t value = 0;
    const char *end = text.data() + text.size();
    const std::from_chars_result result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || value < min || value > max)
        user_error(place, what + ": '" + text + "' is out of bounds: must be a whole number from " +
                              std::to_string(min) + " to " + std::to_string(max));
    return value;
}

bool parse_number(const std::string &text, double *out)
{
    const char *end = text.data() + text.size();
    const std::from_chars_result result = std::from_chars(text.data(), end, *out);
    return result.ec == std::errc() && result.ptr == end && std::isfinite(*out);
}

double YamlNode::as_positive(const std::string &what) const
{
    double value = 0;
    if (!parse_number(as_scalar(what), &value) || value <= 0)
        user_error(place, what + ": '" + scalar + "' is no number above 0");
    return value;
}

const YamlNode &YamlNode::need(const std::string &key, const std::string &what) const
{
    const YamlEntry *entry = find(key);
    if (!entry)
        user_error(place, what + " has no '" + key + "'");
    return entry->value;
}

void YamlNode::allow_keys(const std::vector<std::string> &known, const std::string &what) const
{
    for (const YamlEntry &entry : as_map(what))
        if (std::find(known.begin(), known.end(), entry.key) == known.end())
            user_error(entry.place, "unknown key '" + entry.key + "' in " + what +
                                        did_you_mean(entry.key, known));
}

std::vector<const YamlNode *> YamlNode::as_list(const std::string &what) const
{
    std::vector<const YamlNode *> list;
    if (kind == Sequence) {
        for (const YamlNode &item : items) {
            item.as_scalar("each of " + what);
            list.push_back(&item);
        }
        return list;
    }
    if (kind != Scalar)
        user_error(place, what + " must be a list, not " + yaml_kind_name(kind));
    list.push_back(this);
    return list;
}

YamlNode yaml_parse(const std::string &text, const std::string &file)
{
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        Builder builder(file);
        if (!parser.HandleNextDocument(builder))
            return YamlNode{YamlNode::Null, Place{file, 1, 1}, "", {}, {}};
        YamlNode root = builder.take();
        Builder second(file);
        if (parser.HandleNextDocument(second))
            user_error(second.take().place, "a second document: one file holds one");
        return root;
    } catch (const YAML::Exception &error) {
        // The scanner's place of an unexpected end is that of the end.
        Place place{file, 0, 0};
        if (!error.mark.is_null())
            place = Place{file, static_cast<uint32_t>(error.mark.line) + 1,
                          static_cast<uint32_t>(error.mark.column) + 1};
        user_error(place, "not valid YAML: " + error.msg);
    }
}

YamlNode yaml_load(const std::string &path, const Place &named_at)
{
    return yaml_parse(read_file(path, named_at), path);
}

std::string yaml_quote(const std::string &text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./+=()-";
    if (!text.empty() && text != "~" && text[0] != '-' && text[0] != '=' &&
        text.find_first_not_of(plain) == std::string::npos)
        return text;
    static const char hex[] = "0123456789abcdef";
    std::string quoted = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            quoted += "\\x";
            quoted += hex[byte >> 4];
            quoted += hex[byte & 15];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

} // namespace ts
