// SPDX-License-Identifier: Apache-2.0
#include "sim/front/runlist.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

namespace ts
{

const char points_name[] = "points.json";

namespace
{

using Json = nlohmann::ordered_json;

ListedRun listed(const Point &point, const std::string &id)
{
    ListedRun run;
    run.folder = point.folder;
    run.id = id;
    run.platform = point.platform->name;
    run.subject = point.subject.name;
    run.seed = point.seed;
    for (const Setting *setting : point.swept) {
        run.swept.push_back(setting->key->format(setting->value));
        run.numbers.push_back(setting->key->number(setting->value));
    }
    return run;
}

Json run_json(const ListedRun &run)
{
    return {{"folder", run.folder},   {"id", run.id},     {"platform", run.platform},
            {"subject", run.subject}, {"seed", run.seed}, {"swept", run.swept},
            {"numbers", run.numbers}};
}

ListedRun run_of(const Json &json, size_t columns)
{
    ListedRun run;
    run.folder = json.at("folder").get<std::string>();
    run.id = json.at("id").get<std::string>();
    run.platform = json.at("platform").get<std::string>();
    run.subject = json.at("subject").get<std::string>();
    run.seed = json.at("seed").get<uint64_t>();
    run.swept = json.at("swept").get<std::vector<std::string>>();
    run.numbers = json.at("numbers").get<std::vector<std::string>>();
    if (run.swept.size() != columns || run.numbers.size() != columns)
        throw std::runtime_error("columns");
    return run;
}

RunList list_of(const Json &json)
{
    RunList list;
    if (json.at("schema") != 1)
        throw std::runtime_error("schema");
    list.name = json.at("name").get<std::string>();
    list.title = json.at("title").get<std::string>();
    const std::string study = json.at("study").get<std::string>();
    if (!study.empty())
        list.study = &study_need(study, Place());
    list.baseline = json.at("baseline").get<std::string>();
    list.per_group = json.at("runs_per_group").get<size_t>();
    for (const Json &column : json.at("columns"))
        list.columns.push_back(SweptColumn{column.at("key").get<std::string>(),
                                           column.at("unit").get<std::string>(),
                                           column.at("help").get<std::string>()});
    for (const Json &run : json.at("runs"))
        list.runs.push_back(run_of(run, list.columns.size()));
    if (list.per_group == 0 || list.runs.size() % list.per_group != 0)
        throw std::runtime_error("groups");
    return list;
}

} // namespace

RunList run_list(const Experiment &experiment, const std::vector<Point> &points,
                 const std::vector<std::string> &ids)
{
    RunList list;
    list.name = experiment.name;
    list.title = experiment.title;
    list.study = experiment.study;
    list.baseline = experiment.baseline;
    list.per_group = points_per_group(experiment);
    for (const Sweep &axis : experiment.sweeps)
        for (const Setting &setting : axis.rows.at(0))
            list.columns.push_back(
                SweptColumn{setting.key->name, setting.key->number_unit(), setting.key->row->help});
    for (size_t i = 0; i < points.size(); i++)
        list.runs.push_back(listed(points[i], ids.empty() ? "" : ids[i]));
    return list;
}

std::string run_list_json(const RunList &list)
{
    Json json{{"schema", 1},
              {"name", list.name},
              {"title", list.title},
              {"study", list.study ? list.study->name : ""},
              {"baseline", list.baseline},
              {"runs_per_group", list.per_group}};
    json["columns"] = Json::array();
    for (const SweptColumn &column : list.columns)
        json["columns"].push_back(
            {{"key", column.key}, {"unit", column.unit}, {"help", column.help}});
    std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
    // A line a run.
    text.erase(text.size() - 2);
    text += ",\n \"runs\": [";
    for (size_t i = 0; i < list.runs.size(); i++)
        text += (i > 0 ? ",\n  " : "\n  ") + run_json(list.runs[i]).dump();
    return text + "\n ]\n}\n";
}

RunList run_list_read(const std::string &folder)
{
    const std::string path = folder + "/" + points_name;
    std::error_code code;
    if (!std::filesystem::exists(path, code))
        user_error(Place(),
                   folder + " holds no results of tlbstorm (" + points_name + " is missing)");
    std::ifstream file(path, std::ios::binary);
    try {
        return list_of(Json::parse(file));
    } catch (const std::exception &) {
        environment_error(path + " cannot be read: it is damaged, or of another version");
    }
}

} // namespace ts
