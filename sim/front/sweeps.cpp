// SPDX-License-Identifier: Apache-2.0
#include "sim/front/sweeps.hpp"

#include <algorithm>
#include <set>

namespace ts
{
namespace
{

// A key of the text with what it has: a list, or in a row of `list` one value.
struct Item {
    std::string name;
    const YamlEntry *entry;
};

// Keys dotted or nested or both.
void flatten(std::vector<Item> *items, const YamlNode &map, const std::string &what,
             const std::string &prefix)
{
    for (const YamlEntry &entry : map.as_map(prefix.empty() ? what : prefix)) {
        const std::string name = prefix.empty() ? entry.key : prefix + "." + entry.key;
        if (entry.value.kind == YamlNode::Map)
            flatten(items, entry.value, what, name);
        else
            items->push_back(Item{name, &entry});
    }
}

std::vector<Item> items_of(const YamlNode &map, const std::string &what)
{
    std::vector<Item> items;
    flatten(&items, map, what, "");
    return items;
}

bool same_row(const std::vector<Setting> &a, const std::vector<Setting> &b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Setting &x, const Setting &y) { return x.value == y.value; });
}

std::string row_text(const std::vector<Setting> &row)
{
    std::string text;
    for (const Setting &setting : row)
        text += (text.empty() ? "" : ", ") + (row.size() > 1 ? setting.key->name + "=" : "") +
                setting.key->format(setting.value);
    return text;
}

std::string names_of(const Sweep &axis)
{
    std::string text;
    for (const std::string &key : axis.keys)
        text += (text.empty() ? "" : ", ") + key;
    return text;
}

void check_rows(const Sweep &axis)
{
    if (axis.rows.empty())
        user_error(axis.place, "the sweep of " + names_of(axis) + " is empty");
    for (size_t i = 0; i < axis.rows.size(); i++)
        for (size_t j = 0; j < i; j++)
            if (same_row(axis.rows[i], axis.rows[j]))
                user_error(axis.rows[i][0].place, "the sweep of " + names_of(axis) + " names " +
                                                      row_text(axis.rows[i]) + " twice");
}

class AxisReader
{
  public:
    explicit AxisReader(const KeyFinder &find) : find_(find)
    {
    }

    std::vector<Sweep> read(const YamlNode &map)
    {
        for (const YamlEntry &entry : map.as_map("sweep")) {
            if (entry.key == "zip")
                read_zips(entry.value);
            else if (entry.key == "list")
                read_list(entry);
            else
                read_product(entry);
        }
        return std::move(axes_);
    }

  private:
    Setting value_of(const std::string &name, const YamlNode &value, const Place &place) const
    {
        return setting_of(find_(name, place), value.as_scalar(name), value.place,
                          LayerOf::Experiment);
    }

    void add(Sweep axis, const std::vector<Item> &items)
    {
        for (const Item &item : items)
            if (!seen_.insert(item.name).second)
                user_error(item.entry->place, "duplicate key '" + item.name + "' in sweep");
        check_rows(axis);
        axes_.push_back(std::move(axis));
    }

    // One axis a key.
    void read_product(const YamlEntry &entry)
    {
        YamlNode map;
        map.kind = YamlNode::Map;
        map.entries.push_back(entry);
        for (const Item &item : items_of(map, "sweep"))
            add(side_by_side({item}, item.entry->place), {item});
    }

    Sweep side_by_side(const std::vector<Item> &items, const Place &place) const
    {
        Sweep axis;
        axis.place = place;
        for (const Item &item : items) {
            find_(item.name, item.entry->place);
            axis.keys.push_back(item.name);
            const std::vector<const YamlNode *> values = item.entry->value.as_list(item.name);
            if (axis.keys.size() == 1)
                axis.rows.resize(values.size());
            if (values.size() != axis.rows.size())
                user_error(item.entry->value.place, "zip: " + item.name + " has " +
                                                        std::to_string(values.size()) +
                                                        " values, and " + axis.keys[0] + " has " +
                                                        std::to_string(axis.rows.size()));
            for (size_t i = 0; i < values.size(); i++)
                axis.rows[i].push_back(value_of(item.name, *values[i], item.entry->place));
        }
        return axis;
    }

    // A map is one zip, a list of maps several.
    void read_zips(const YamlNode &node)
    {
        if (node.kind == YamlNode::Sequence) {
            for (const YamlNode &map : node.items)
                read_zip(map);
            return;
        }
        read_zip(node);
    }

    void read_zip(const YamlNode &map)
    {
        const std::vector<Item> items = items_of(map, "zip");
        if (items.empty())
            user_error(map.place, "zip names no key");
        add(side_by_side(items, map.place), items);
    }

    void read_list(const YamlEntry &entry)
    {
        if (entry.value.kind != YamlNode::Sequence || entry.value.items.empty())
            user_error(entry.value.place,
                       "list must be a list of maps, each with a value for every key");
        Sweep axis;
        axis.place = entry.value.place;
        std::vector<Item> first;
        for (const YamlNode &row : entry.value.items) {
            const std::vector<Item> items = items_of(row, "a row of list");
            if (items.empty())
                user_error(row.place, "a row of list is empty");
            if (axis.rows.empty()) {
                first = items;
                for (const Item &item : items)
                    axis.keys.push_back(item.name);
            }
            axis.rows.push_back(row_of(axis, row, items));
        }
        add(std::move(axis), first);
    }

    // In the order of the axis' keys, which are those of its first row.
    std::vector<Setting> row_of(const Sweep &axis, const YamlNode &row,
                                const std::vector<Item> &items) const
    {
        std::set<std::string> names;
        for (const Item &item : items) {
            find_(item.name, item.entry->place);
            if (!names.insert(item.name).second)
                user_error(item.entry->place, "duplicate key '" + item.name + "' in a row");
            if (std::find(axis.keys.begin(), axis.keys.end(), item.name) == axis.keys.end())
                user_error(item.entry->place, "the first row of list has no '" + item.name +
                                                  "': all rows must have the same keys");
        }
        std::vector<Setting> settings;
        for (const std::string &key : axis.keys) {
            const auto item = std::find_if(items.begin(), items.end(),
                                           [&](const Item &i) { return i.name == key; });
            if (item == items.end())
                user_error(row.place,
                           "a row of list has no '" + key + "', which the first one has");
            settings.push_back(value_of(key, item->entry->value, item->entry->place));
        }
        return settings;
    }

    const KeyFinder &find_;
    std::vector<Sweep> axes_;
    std::set<std::string> seen_;
};

uint64_t seed_of(const YamlNode &item, const std::string &text, uint64_t max)
{
    YamlNode number = item;
    number.scalar = text;
    return number.as_number("seeds", 0, max);
}

} // namespace

std::vector<Sweep> sweeps_read(const YamlNode &map, const KeyFinder &find)
{
    return AxisReader(find).read(map);
}

void sweeps_set(std::vector<Sweep> *sweeps, const Key &key, const std::vector<Setting> &values,
                const Place &place)
{
    for (Sweep &axis : *sweeps) {
        const auto at = std::find(axis.keys.begin(), axis.keys.end(), key.name);
        if (at == axis.keys.end())
            continue;
        if (axis.keys.size() == 1)
            break;
        const size_t column = static_cast<size_t>(at - axis.keys.begin());
        std::vector<std::vector<Setting>> rows;
        for (const Setting &value : values) {
            const size_t before = rows.size();
            for (const std::vector<Setting> &row : axis.rows)
                if (row[column].value == value.value)
                    rows.push_back(row);
            if (rows.size() == before)
                user_error(place, "the sweep of " + names_of(axis) + " has no row with " +
                                      key.name + "=" + key.format(value.value));
        }
        axis.rows = std::move(rows);
        check_rows(axis);
        return;
    }
    Sweep axis{{key.name}, {}, place};
    for (const Setting &value : values)
        axis.rows.push_back({value});
    check_rows(axis);
    for (Sweep &old : *sweeps)
        if (old.keys[0] == key.name) {
            old = std::move(axis);
            return;
        }
    sweeps->push_back(std::move(axis));
}

const Sweep *sweep_of(const std::vector<Sweep> &sweeps, const std::string &key)
{
    for (const Sweep &axis : sweeps)
        if (std::find(axis.keys.begin(), axis.keys.end(), key) != axis.keys.end())
            return &axis;
    return nullptr;
}

std::vector<uint64_t> seeds_read(const YamlNode &list, uint64_t max, size_t max_count)
{
    std::vector<uint64_t> seeds;
    std::set<uint64_t> known;
    for (const YamlNode *item : list.as_list("seeds")) {
        const size_t dots = item->scalar.find("..");
        const bool range = dots != std::string::npos;
        const uint64_t first = seed_of(*item, item->scalar.substr(0, dots), max);
        const uint64_t last = range ? seed_of(*item, item->scalar.substr(dots + 2), max) : first;
        if (last < first)
            user_error(item->place, "seeds: " + item->scalar + " ends before it begins");
        if (last - first >= max_count - std::min(max_count, seeds.size()))
            user_error(item->place, "there are more than " + std::to_string(max_count) + " seeds");
        for (uint64_t seed = first; seed <= last; seed++) {
            if (!known.insert(seed).second)
                user_error(item->place, "seeds names " + std::to_string(seed) + " twice");
            seeds.push_back(seed);
        }
    }
    if (seeds.empty())
        user_error(list.place, "the list of seeds is empty");
    return seeds;
}

} // namespace ts
