// SPDX-License-Identifier: Apache-2.0
// Reading configs/fits/<id>.yaml.
#include "sim/front/cmd_fit.hpp"
#include "sim/front/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace ts
{
namespace
{

class Reader
{
  public:
    Reader(const std::string &path, const std::vector<std::string> &sets, const Paths &paths)
        : root_(yaml_load(path, Place())), paths_(paths), own_sets_(sets)
    {
        fit_.path = path;
        fit_.id = std::filesystem::path(path).stem().string();
    }

    Fit read()
    {
        root_.allow_keys({"schema", "title", "description", "reproductions", "set", "iterations",
                          "starts", "parameters", "rows"},
                         "a fit");
        root_.need("schema", "the fit").as_number("schema", 1, 1);
        fit_.title = root_.need("title", "the fit").as_scalar("title");
        if (const YamlEntry *text = root_.find("description"))
            text->value.as_scalar("description");
        if (const YamlEntry *entry = root_.find("iterations"))
            fit_.iterations = entry->value.as_number("iterations", 1, 1000);
        if (const YamlEntry *entry = root_.find("starts"))
            fit_.starts = entry->value.as_number("starts", 1, 100);
        read_sets();
        read_reproductions();
        const YamlNode &parameters = root_.need("parameters", "the fit");
        for (const YamlEntry &entry : parameters.as_map("parameters"))
            read_parameter(entry);
        const YamlNode &rows = root_.need("rows", "the fit");
        for (const YamlEntry &entry : rows.as_map("rows"))
            read_rows(entry);
        if (fit_.rows.size() <= fit_.parameters.size() || fit_.parameters.empty())
            user_error(rows.place, counted(fit_.rows.size(), "row") + " for " +
                                       counted(fit_.parameters.size(), "parameter") +
                                       ": a fit needs a parameter, and more rows than parameters");
        add_other_rows();
        return std::move(fit_);
    }

  private:
    static std::string counted(size_t n, const std::string &what)
    {
        return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
    }

    void read_sets()
    {
        if (const YamlEntry *sets = root_.find("set"))
            for (const YamlEntry &entry : sets->value.as_map("set"))
                fit_.sets.push_back(entry.key + "=" + entry.value.as_scalar(entry.key));
        fit_.sets.insert(fit_.sets.end(), own_sets_.begin(), own_sets_.end());
    }

    void read_reproductions()
    {
        const YamlNode &list = root_.need("reproductions", "the fit");
        for (const YamlNode *node : list.as_list("reproductions")) {
            const std::string &id = node->as_scalar("a reproduction");
            fit_.reproductions.push_back(reproduction_load(id, paths_, node->place));
            const std::string &name = fit_.reproductions.back().id;
            if (std::find(ids_.begin(), ids_.end(), name) != ids_.end())
                user_error(node->place, "'" + name + "' is named twice");
            ids_.push_back(name);
        }
        if (ids_.empty())
            user_error(list.place, "the list of reproductions is empty");
        std::vector<Override> overrides;
        for (const std::string &set : fit_.sets)
            overrides.push_back(override_parse(set));
        for (const Reproduction &reproduction : fit_.reproductions)
            for (const auto &item : reproduction.experiments) {
                experiments_.push_back(experiment_load(item.second, overrides));
                experiment_of_.push_back(reproduction.id);
            }
    }

    size_t reproduction_of(const std::string &id, const Place &place) const
    {
        const auto found = std::find(ids_.begin(), ids_.end(), id);
        if (found == ids_.end())
            user_error(place,
                       "'" + id + "' is none of the fit's reproductions" + did_you_mean(id, ids_));
        return static_cast<size_t>(found - ids_.begin());
    }

    void read_parameter(const YamlEntry &entry)
    {
        const YamlNode &map = entry.value;
        const std::string what = "the parameter '" + entry.key + "'";
        map.allow_keys({"keys", "in", "start", "low", "high", "source"}, what);
        FitParameter p;
        p.name = entry.key;
        p.place = entry.place;
        if (const YamlEntry *in = map.find("in")) {
            for (const YamlNode *id : in->value.as_list("in"))
                p.in.insert(ids_[reproduction_of(id->as_scalar("in"), id->place)]);
        } else {
            p.in.insert(ids_.begin(), ids_.end());
        }
        const YamlNode &keys = map.need("keys", what);
        for (const YamlNode *key : keys.as_list("keys"))
            p.keys.push_back(&key_of(p, key->as_scalar("keys"), key->place));
        if (p.keys.empty())
            user_error(keys.place, what + " has no key");
        const Key &key = p.key();
        const auto value = [&](const char *name) {
            const YamlNode &node = map.need(name, what);
            return key.parse(node.as_scalar(name), node.place);
        };
        p.low = value("low");
        p.high = value("high");
        p.start = value("start");
        if (p.low >= p.high)
            user_error(map.find("high")->value.place, what + ": high is not above low");
        if (p.start < p.low || p.start > p.high)
            user_error(map.find("start")->value.place, what + ": the start is not within " +
                                                           key.format(p.low) + " to " +
                                                           key.format(p.high));
        p.source = map.need("source", what).as_scalar("source");
        fit_.parameters.push_back(std::move(p));
    }

    // Every experiment that has the parameter must know the key, and let it alone.
    const Key &key_of(const FitParameter &p, const std::string &name, const Place &place) const
    {
        const Key *key = nullptr;
        for (size_t i = 0; i < experiments_.size(); i++) {
            const Experiment &experiment = experiments_[i];
            if (p.in.count(experiment_of_[i]) == 0)
                continue;
            key = &Keys::get().need(name, experiment.owners(), place);
            if (sweep_of(experiment.sweeps, name))
                user_error(place, experiment.path + " sweeps " + name);
            if (experiment.overrides.count(name) != 0)
                user_error(place, name + " is set, too");
        }
        const bool number = key->row->type != TS_PARAM_BOOL && key->row->type != TS_PARAM_ENUM &&
                            !key->is_version();
        if (!number)
            user_error(place, name + " is no number");
        if (!p.keys.empty() && p.key().row->type != key->row->type)
            user_error(place, name + " has another unit than " + p.key().name);
        for (const FitParameter &other : fit_.parameters)
            for (const Key *taken : other.keys)
                if (taken == key && std::any_of(p.in.begin(), p.in.end(), [&](const auto &id) {
                        return other.in.count(id) != 0;
                    }))
                    user_error(place, name + " belongs to '" + other.name + "' already");
        if (std::find(p.keys.begin(), p.keys.end(), key) != p.keys.end())
            user_error(place, name + " is named twice");
        return *key;
    }

    void read_rows(const YamlEntry &entry)
    {
        const size_t reproduction = reproduction_of(entry.key, entry.place);
        if (entry.value.kind != YamlNode::Sequence)
            user_error(entry.value.place, "the rows of " + entry.key + " must be a list");
        for (const YamlNode &item : entry.value.items) {
            FitRow row;
            row.reproduction = reproduction;
            const YamlNode *name = &item;
            if (item.kind == YamlNode::Map) {
                item.allow_keys({"row", "weight"}, "a row");
                name = &item.need("row", "a row");
                if (const YamlEntry *weight = item.find("weight"))
                    row.weight = weight->value.as_positive("weight");
            }
            row.row = &row_of(reproduction, name->as_scalar("a row"), name->place);
            fit_.rows.push_back(row);
            fit_.fitted++;
        }
    }

    const ReproduceRow &row_of(size_t reproduction, const std::string &name,
                               const Place &place) const
    {
        std::vector<std::string> names;
        for (const ReproduceRow &row : fit_.reproductions[reproduction].rows) {
            names.push_back(row.name);
            if (row.name != name)
                continue;
            if (!row.has_published || row.published == 0)
                user_error(place, "nothing is published for '" + name + "'");
            for (const FitRow &other : fit_.rows)
                if (other.row == &row)
                    user_error(place, "'" + name + "' is named twice");
            return row;
        }
        user_error(place,
                   ids_[reproduction] + " has no row '" + name + "'" + did_you_mean(name, names));
    }

    void add_other_rows()
    {
        for (size_t i = 0; i < fit_.reproductions.size(); i++)
            for (const ReproduceRow &row : fit_.reproductions[i].rows) {
                const bool fitted =
                    std::any_of(fit_.rows.begin(), fit_.rows.end(),
                                [&](const FitRow &other) { return other.row == &row; });
                if (!fitted && row.has_published && row.published != 0)
                    fit_.rows.push_back(FitRow{i, &row, 0, false});
            }
    }

    YamlNode root_;
    const Paths &paths_;
    std::vector<std::string> own_sets_;
    Fit fit_;
    std::vector<std::string> ids_; // of the reproductions
    std::vector<Experiment> experiments_;
    std::vector<std::string> experiment_of_; // whose each is
};

} // namespace

Fit fit_load(const std::string &id, const std::vector<std::string> &sets, const Paths &paths)
{
    return Reader(paths.piece("fits", id, Place()), sets, paths).read();
}

} // namespace ts
