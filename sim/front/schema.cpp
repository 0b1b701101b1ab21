// SPDX-License-Identifier: Apache-2.0
// The JSON Schema of an experiment: names, types and help for editors. What it cannot say (what a
// platform can offer, whether a file is there) `tlbstorm run --dry-run` checks.
#include "sim/front/cli.hpp"

#include "sim/front/host_tasks.hpp"
#include "sim/front/keys.hpp"
#include "sim/front/vms.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ts
{
namespace
{

using Json = nlohmann::ordered_json;

// Numbers with units, as ts_param_parse reads them.
std::string quantity_pattern(ts_param_type type)
{
    static const std::string number = "^[0-9]+(\\.[0-9]+)? *";
    switch (type) {
    case TS_PARAM_TIME:
        return "^0$|" + number + "(ps|ns|us|ms|s)$";
    case TS_PARAM_CYCLES:
        return "^0$|" + number + "cycles?$";
    case TS_PARAM_FREQ:
        return number + "(Hz|kHz|MHz|GHz)$";
    case TS_PARAM_BYTES:
        return "^0$|" + number + "(B|KiB|MiB|GiB|TiB)$";
    case TS_PARAM_RATE:
        return number + "(B/s|KB/s|MB/s|GB/s|GiB/s)$";
    default:
        return "";
    }
}

Json names_of(const Key &key)
{
    Json names = Json::array();
    for (size_t i = 0; key.row->enum_names[i]; i++)
        names.push_back(key.row->enum_names[i]);
    return names;
}

Json scalar_schema(const Key &key)
{
    const ts_param &row = *key.row;
    // YAML takes 6.12 for a number.
    if (key.is_version())
        return {{"type", {"string", "number"}}};
    if (row.type == TS_PARAM_ENUM)
        return {{"enum", names_of(key)}};
    if (row.type == TS_PARAM_BOOL)
        return {{"enum", {true, false, "on", "off", "yes", "no"}}};
    if (row.type == TS_PARAM_COUNT)
        return {{"type", "integer"}, {"minimum", row.min}, {"maximum", row.max}};
    // 0 needs no unit.
    return {
        {"type", {"string", "integer"}}, {"maximum", 0}, {"pattern", quantity_pattern(row.type)}};
}

Json value_schema(const Key &key)
{
    Json schema;
    schema["description"] = std::string(key.row->help) + " (default " + key.format(key.row->def) +
                            "; " + ts_confidence_name(key.row->confidence) + ": " +
                            key.row->source + ")";
    Json with_source = {
        {"type", "object"},
        {"properties",
         {{"value", scalar_schema(key)},
          {"source", {{"type", "string"}}},
          {"confidence",
           {{"enum", {"verbatim", "derived", "remembered", "guess", "choice", "measured"}}}}}},
        {"required", {"value"}},
        {"additionalProperties", false}};
    schema["anyOf"] = {scalar_schema(key), with_source};
    return schema;
}

// Keys dotted at the top, or nested by their first part.
Json settings_schema()
{
    Json properties = Json::object();
    for (const auto &item : Keys::get().all()) {
        const Key &key = item.second;
        if (key.scope == KeyScope::Workload)
            continue;
        const size_t dot = key.name.find('.');
        const std::string section = key.name.substr(0, dot);
        const Json value = value_schema(key);
        Json &nested = properties[section];
        nested["type"] = "object";
        if (key.scope != KeyScope::Flush) {
            nested["properties"][key.name.substr(dot + 1)] = value;
            nested["additionalProperties"] = false;
        }
        properties[key.name] = value;
    }
    return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

Json workload_schema()
{
    Json kinds = Json::array();
    for (size_t i = 0; i < ts_workload_kinds_count; i++) {
        const ts_workload_ops &ops = ts_workload_kinds[i]->ops;
        Json properties = {{"kind", {{"const", ops.name}, {"description", ops.summary}}}};
        Json required = {"kind"};
        if (ops.needs_file) {
            properties["file"] = {{"type", "string"}};
            required.push_back("file");
        }
        for (const auto &item : Keys::get().all())
            if (item.second.scope == KeyScope::Workload && item.second.owner == i)
                properties[item.second.row->key] = value_schema(item.second);
        kinds.push_back({{"type", "object"},
                         {"properties", properties},
                         {"required", required},
                         {"additionalProperties", false}});
    }
    return {{"oneOf", kinds}};
}

template <typename Ops> Json table_schema(const Ops *const *table, size_t count)
{
    Json names = Json::array();
    for (size_t i = 0; i < count; i++)
        names.push_back(table[i]->name);
    return {{"enum", names}};
}

Json mechanism_schema()
{
    return table_schema(ts_flush_table, ts_flush_table_count);
}

// A study's parameters may stand in a section of its own at the top.
void add_studies(Json *properties, const Json &settings)
{
    (*properties)["study"] = table_schema(ts_study_table, ts_study_table_count);
    (*properties)["machines"] = {{"description", "Short for platforms that differ in the machine"},
                                 {"type", {"array", "string"}},
                                 {"items", {{"type", "string"}}}};
    for (size_t i = 0; i < ts_study_table_count; i++)
        if (const ts_param_table *params = ts_study_table[i]->params)
            (*properties)[params->prefix] = settings["properties"][params->prefix];
}

// What goes with `study` and what does not.
Json study_rules()
{
    const Json of_machines = {
        {"anyOf", {{{"required", {"mechanisms"}}}, {{"required", {"baseline"}}}}}};
    return {{"study", {{"not", of_machines}}}, {"machines", {"study"}}};
}

Json sweep_schema()
{
    const Json keys = {{"type", "object"}, {"minProperties", 1}};
    return {{"type", "object"},
            {"description", "Parameter keys with the list of values to try; all combinations"},
            {"properties",
             {{"zip",
               {{"description", "Keys whose values are taken side by side; a list: several such"},
                {"anyOf", {keys, {{"type", "array"}, {"items", keys}, {"minItems", 1}}}}}},
              {"list",
               {{"description", "Combinations: each entry has a value for every key"},
                {"type", "array"},
                {"items", keys},
                {"minItems", 1}}}}},
            {"additionalProperties", {{"type", {"array", "object"}}}}};
}

// Numbers and ranges.
Json seeds_schema()
{
    const Json number = {{"type", "integer"}, {"minimum", 0}};
    const Json item = {
        {"anyOf", {number, {{"type", "string"}, {"pattern", "^[0-9]+\\.\\.[0-9]+$"}}}}};
    return {{"anyOf", {item, {{"type", "array"}, {"items", item}, {"minItems", 1}}}}};
}

Json host_schema()
{
    Json names = Json::array();
    for (const std::string &name : host_operation_names())
        names.push_back(name);
    const Json operation = {
        {"anyOf",
         {{{"enum", names}},
          {{"type", "object"}, {"propertyNames", {{"enum", names}}}, {"maxProperties", 1}}}}};
    const Json task = {
        {"type", "object"},
        {"properties",
         {{"name", {{"type", "string"}, {"maxLength", 23}}},
          {"pcpu", {{"type", "integer"}, {"minimum", 0}}},
          {"background", {{"type", "boolean"}}},
          {"repeat", {{"type", "integer"}, {"minimum", 1}}},
          {"operations", {{"type", "array"}, {"items", operation}, {"minItems", 1}}}}},
        {"required", {"operations"}},
        {"additionalProperties", false}};
    const Json number = {{"type", "integer"}, {"minimum", 0}};
    const Json quantity = {{"type", "string"}, {"pattern", quantity_pattern(TS_PARAM_TIME)}};
    const Json noise = {
        {"type", "object"},
        {"properties",
         {{"name", {{"type", "string"}, {"maxLength", 23}}},
          {"pcpus",
           {{"anyOf",
             {{{"enum", {"all", "any"}}}, number, {{"type", "array"}, {"items", number}}}}}},
          {"every", quantity},
          {"work", quantity},
          {"invalidate",
           {{"anyOf",
             {{{"enum", {"any"}}},
              {{"type", "object"},
               {"properties", {{"vm", number}}},
               {"required", {"vm"}},
               {"additionalProperties", false}}}}}}}},
        {"required", {"every"}},
        {"additionalProperties", false}};
    return {{"description", "Threads of the host, beside the vCPUs"},
            {"type", "object"},
            {"properties",
             {{"tasks", {{"type", "array"}, {"items", task}}},
              {"noise", {{"type", "array"}, {"items", noise}}}}},
            {"minProperties", 1},
            {"additionalProperties", false}};
}

Json vms_schema(const Json &piece, const Json &settings)
{
    const auto number = [](uint64_t min, uint64_t max) {
        return Json{{"type", "integer"}, {"minimum", min}, {"maximum", max}};
    };
    const Json flag = {{"enum", {true, false, "on", "off", "yes", "no"}}};
    const Json pcpus = {{"type", {"integer", "string"}}, {"pattern", "^[0-9]+(-[0-9]+)?$"}};
    const Json vm = {
        {"type", "object"},
        {"properties",
         {{"name", {{"type", "string"}, {"maxLength", 40}}},
          {"count", number(0, TS_CPU_MAX)},
          {"vcpus", number(1, TS_CPU_MAX)},
          {"guest", piece},
          {"workload", workload_schema()},
          {"mechanism", mechanism_schema()},
          {"shares", number(TS_SHARES_MIN, TS_SHARES_MAX)},
          {"pcpus", {{"anyOf", {pcpus, {{"type", "array"}, {"items", pcpus}, {"minItems", 1}}}}}},
          {"socket", number(0, TS_CPU_MAX)},
          {"pin", flag},
          {"background", flag},
          {"set", settings}}},
        {"additionalProperties", false}};
    return {{"description", "VMs that differ, instead of run.vms that are alike"},
            {"type", "array"},
            {"items", vm},
            {"minItems", 1}};
}

} // namespace

void command_schema()
{
    const Json text = {{"type", "string"}};
    const Json piece = {{"description", "Name of a file in configs, a path, or the content"},
                        {"type", {"string", "object"}}};
    const Json mechanisms = {{"type", "array"}, {"items", mechanism_schema()}, {"minItems", 1}};
    const Json settings = {{"$ref", "#/definitions/settings"}};
    const Json vms = vms_schema(piece, settings);
    Json platform = {{"machine", piece},         {"hypervisor", piece},   {"guest", piece},
                     {"mechanisms", mechanisms}, {"host", host_schema()}, {"vms", vms},
                     {"set", settings}};
    Json properties = {{"schema", {{"const", 1}}},
                       {"name", text},
                       {"title", text},
                       {"description", text},
                       {"source", text},
                       {"confidence", text},
                       {"include", {{"type", {"array", "string"}}, {"items", text}}},
                       {"workload", workload_schema()},
                       {"repetitions", {{"type", "integer"}, {"minimum", 1}, {"maximum", 10000}}},
                       {"seed", {{"type", "integer"}, {"minimum", 0}}},
                       {"seeds", seeds_schema()},
                       {"baseline", mechanism_schema()},
                       {"machine", piece},
                       {"hypervisor", piece},
                       {"guest", piece},
                       {"mechanisms", mechanisms},
                       {"host", host_schema()},
                       {"vms", vms}};
    properties["platforms"] = {
        {"type", "object"},
        {"additionalProperties",
         {{"type", "object"}, {"properties", platform}, {"additionalProperties", false}}}};
    properties["sweep"] = sweep_schema();
    properties["set"] = settings;
    const Json all_settings = settings_schema();
    add_studies(&properties, all_settings);
    const Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                         {"title", "tlbstorm experiment"},
                         {"type", "object"},
                         {"properties", properties},
                         {"additionalProperties", false},
                         {"dependencies", study_rules()},
                         {"definitions", {{"settings", all_settings}}}};
    std::printf("%s\n", schema.dump(1).c_str());
}

} // namespace ts
