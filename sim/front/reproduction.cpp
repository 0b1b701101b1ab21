// SPDX-License-Identifier: Apache-2.0
// Reading what `tlbstorm reproduce` compares: configs/reproduce/<id>.yaml and published tables.
#include "sim/front/cmd_reproduce.hpp"

#include "sim/front/document.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ts
{
namespace
{

std::string trimmed(const std::string &text)
{
    const size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string::npos)
        return "";
    return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

std::vector<std::string> fields_of(const std::string &line, char separator)
{
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, separator);)
        fields.push_back(trimmed(field));
    if (!line.empty() && line.back() == separator)
        fields.emplace_back();
    return fields;
}

std::string read_text(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file)
        environment_error(path + " cannot be read");
    return text.str();
}

class Reader
{
  public:
    Reader(YamlNode root, const std::string &path, const Paths &paths)
        : root_(std::move(root)), paths_(paths)
    {
        result_.path = path;
        result_.id = std::filesystem::path(path).stem().string();
    }

    Reproduction read()
    {
        root_.allow_keys(
            {"schema", "title", "source", "description", "published", "experiments", "rows"},
            "a reproduction");
        root_.need("schema", "the reproduction").as_number("schema", 1, 1);
        result_.title = root_.need("title", "the reproduction").as_scalar("title");
        result_.source = root_.need("source", "the reproduction").as_scalar("source");
        if (const YamlEntry *text = root_.find("description"))
            text->value.as_scalar("description");
        read_experiments();
        const YamlNode &rows = root_.need("rows", "the reproduction");
        for (const YamlEntry &entry : rows.as_map("rows"))
            read_row(entry);
        if (result_.rows.empty())
            user_error(rows.place, "there is no row");
        return std::move(result_);
    }

  private:
    void read_experiments()
    {
        const YamlNode &map = root_.need("experiments", "the reproduction");
        for (const YamlEntry &entry : map.as_map("experiments"))
            result_.experiments[entry.key] = paths_.piece(
                "experiments", entry.value.as_scalar("an experiment"), entry.value.place);
        if (result_.experiments.empty())
            user_error(map.place, "no experiment is named");
    }

    void read_row(const YamlEntry &entry)
    {
        const YamlNode &map = entry.value;
        const std::string what = "the row '" + entry.key + "'";
        ReproduceRow row;
        row.name = entry.key;
        row.place = entry.place;
        map.allow_keys({"role", "unit", "published", "simulated", "over", "tolerance"}, what);
        row.role = role_of(map.need("role", what));
        row.unit = map.need("unit", what).as_scalar("unit");
        row.simulated = read_ref(map.need("simulated", what), SimulatedRef(), "simulated");
        if (const YamlEntry *over = map.find("over")) {
            row.has_base = true;
            row.base = read_ref(over->value, row.simulated, "over");
        }
        if (const YamlEntry *published = map.find("published"))
            read_published(&row, published->value);
        else if (row.role == RowRole::Calibrate)
            user_error(row.place, what + " calibrates, but nothing is published for it");
        if (const YamlEntry *tolerance = map.find("tolerance"))
            read_tolerance(&row, tolerance->value);
        result_.rows.push_back(std::move(row));
    }

    static RowRole role_of(const YamlNode &node)
    {
        const std::string &text = node.as_scalar("role");
        if (text == "calibrate")
            return RowRole::Calibrate;
        if (text != "predict")
            user_error(node.place, "unknown role '" + text + "'" +
                                       did_you_mean(text, {"calibrate", "predict"}) +
                                       ": calibrate or predict");
        return RowRole::Predict;
    }

    // What `over` does not name is that of `simulated`.
    SimulatedRef read_ref(const YamlNode &map, const SimulatedRef &from, const std::string &what)
    {
        SimulatedRef ref = from;
        ref.place = map.place;
        map.allow_keys({"experiment", "platform", "mechanism", "sweep", "stat", "per"}, what);
        const std::pair<const char *, std::string *> words[] = {{"experiment", &ref.experiment},
                                                                {"platform", &ref.platform},
                                                                {"mechanism", &ref.mechanism},
                                                                {"stat", &ref.stat},
                                                                {"per", &ref.per}};
        for (const auto &word : words)
            if (const YamlEntry *entry = map.find(word.first))
                *word.second = entry->value.as_scalar(word.first);
        if (const YamlEntry *sweep = map.find("sweep"))
            for (const YamlEntry &value : sweep->value.as_map("sweep"))
                ref.swept[value.key] = value.value.as_scalar(value.key);
        if (ref.experiment.empty() && result_.experiments.size() == 1)
            ref.experiment = result_.experiments.begin()->first;
        if (ref.experiment.empty())
            user_error(map.place, "name the 'experiment': there is more than one");
        if (result_.experiments.count(ref.experiment) == 0)
            user_error(map.place, "no experiment '" + ref.experiment + "' is named above");
        if (ref.stat.empty())
            user_error(map.place, what + " has no 'stat'");
        return ref;
    }

    void read_published(ReproduceRow *row, const YamlNode &map)
    {
        map.allow_keys({"file", "row", "column", "unit", "per"}, "published");
        const YamlEntry *file = map.find("file");
        if (!file)
            file = root_.find("published");
        if (!file)
            user_error(map.place, "no 'published' file is named, neither here nor at the top");
        std::map<std::string, std::string> keys;
        for (const YamlEntry &entry : map.need("row", "published").as_map("row"))
            keys[entry.key] = entry.value.as_scalar(entry.key);
        const YamlNode &column = map.need("column", "published");
        double value =
            published_value(table(file->value), keys, column.as_scalar("column"), column.place);
        if (const YamlEntry *per = map.find("per"))
            value /= per->value.as_positive("per");
        // Cycles are those of the row then, so no clock is needed here.
        const YamlNode &unit = map.need("unit", "published");
        row->published = convert_unit(value, unit.as_scalar("unit"), row->unit, 0, unit.place);
        row->has_published = true;
    }

    const PublishedTable &table(const YamlNode &file)
    {
        const std::string path = paths_.file(file.as_scalar("published"), file.place);
        auto found = tables_.find(path);
        if (found == tables_.end())
            found = tables_.emplace(path, published_parse(read_text(path), path)).first;
        return found->second;
    }

    static void read_tolerance(ReproduceRow *row, const YamlNode &node)
    {
        std::string text = node.as_scalar("tolerance");
        double percent = 0;
        if (text.empty() || text.back() != '%' ||
            !parse_number(trimmed(text.substr(0, text.size() - 1)), &percent) || percent <= 0)
            user_error(node.place, "tolerance: '" + text + "' must be like 10%");
        if (!row->has_published)
            user_error(node.place, "a tolerance without a published figure");
        row->has_tolerance = true;
        row->tolerance = percent / 100;
    }

    YamlNode root_;
    const Paths &paths_;
    Reproduction result_;
    std::map<std::string, PublishedTable> tables_;
};

} // namespace

PublishedTable published_parse(const std::string &text, const std::string &path)
{
    PublishedTable table;
    table.path = path;
    std::istringstream stream(text);
    char separator = ',';
    uint32_t number = 0;
    for (std::string line; std::getline(stream, line);) {
        number++;
        line = trimmed(line);
        if (line.empty() || line[0] == '#')
            continue;
        if (table.columns.empty()) {
            if (line.find(';') != std::string::npos)
                separator = ';';
            table.columns = fields_of(line, separator);
            continue;
        }
        table.rows.push_back(fields_of(line, separator));
        if (table.rows.back().size() != table.columns.size())
            user_error(Place{path, number, 0}, std::to_string(table.rows.back().size()) +
                                                   " fields, but the header has " +
                                                   std::to_string(table.columns.size()));
    }
    if (table.rows.empty())
        user_error(Place{path, 0, 0}, "the table has no rows");
    return table;
}

double published_value(const PublishedTable &table, const std::map<std::string, std::string> &row,
                       const std::string &column, const Place &place)
{
    const auto index_of = [&](const std::string &name) {
        const auto at = std::find(table.columns.begin(), table.columns.end(), name);
        if (at == table.columns.end())
            user_error(place, table.path + " has no column '" + name + "'" +
                                  did_you_mean(name, table.columns));
        return static_cast<size_t>(at - table.columns.begin());
    };
    std::string wanted;
    for (const auto &key : row)
        wanted += (wanted.empty() ? "" : ", ") + key.first + "=" + key.second;
    const std::vector<std::string> *found = nullptr;
    for (const std::vector<std::string> &fields : table.rows) {
        if (!std::all_of(row.begin(), row.end(), [&](const auto &key) {
                return fields[index_of(key.first)] == key.second;
            }))
            continue;
        if (found)
            user_error(place, table.path + " has more than one row with " + wanted);
        found = &fields;
    }
    if (!found)
        user_error(place, table.path + " has no row with " + wanted);
    const std::string &field = (*found)[index_of(column)];
    double value = 0;
    if (!parse_number(field, &value))
        user_error(place, table.path + ": '" + field + "' in column " + column + " is no number");
    return value;
}

double convert_unit(double value, const std::string &from, const std::string &to, uint64_t core_hz,
                    const Place &place)
{
    static const std::map<std::string, double> seconds{
        {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"ps", 1e-12}};
    if (from == to)
        return value;
    if (from == "uHz" && to == "1/s")
        return value * 1e-6;
    if (from == "milli" && to == "ratio")
        return value * 1e-3;
    if (from == "ratio" && to == "%")
        return value * 100;
    if (from == "%" && to == "ratio")
        return value / 100;
    const auto seconds_of = [&](const std::string &unit, double *out) {
        const auto found = seconds.find(unit);
        if (found != seconds.end())
            *out = found->second;
        else if (unit == "cycles" && core_hz > 0)
            *out = 1 / static_cast<double>(core_hz);
        return found != seconds.end() || (unit == "cycles" && core_hz > 0);
    };
    double a = 0, b = 0;
    if (!seconds_of(from, &a) || !seconds_of(to, &b))
        user_error(place, "there is no rule that makes '" + to + "' of '" + from + "'");
    return value * (a / b);
}

const char *row_role_name(RowRole role)
{
    return role == RowRole::Calibrate ? "calibrate" : "predict";
}

Reproduction reproduction_parse(const std::string &text, const std::string &path,
                                const Paths &paths)
{
    return Reader(yaml_parse(text, path), path, paths).read();
}

Reproduction reproduction_load(const std::string &id, const Paths &paths, const Place &named_at)
{
    const std::vector<std::string> names = paths.names("reproduce");
    const bool is_path = id.find('/') != std::string::npos ||
                         (id.size() > 5 && id.compare(id.size() - 5, 5, ".yaml") == 0);
    if (!is_path && std::find(names.begin(), names.end(), id) == names.end()) {
        std::string all;
        for (const std::string &name : names)
            all += (all.empty() ? "" : ", ") + name;
        user_error(named_at, "nothing published under '" + id + "'" + did_you_mean(id, names) +
                                 (all.empty() ? "; there is no configs/reproduce"
                                              : "; there are " + all + " and all"));
    }
    const std::string path = paths.piece("reproduce", id, named_at);
    return Reader(yaml_load(path, named_at), path, paths).read();
}

} // namespace ts
