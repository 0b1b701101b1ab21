// SPDX-License-Identifier: Apache-2.0
#include "sim/front/keys.hpp"

#include "sim/front/output.hpp"

namespace ts
{
namespace
{

template <typename Ops> std::vector<std::string> names_of(const Ops *const *table, size_t count)
{
    std::vector<std::string> names;
    for (size_t i = 0; i < count; i++)
        names.emplace_back(table[i]->name);
    return names;
}

std::string join(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

// A key of another study or workload does not concern the experiment.
bool is_owned(const Key &key, const KeyOwners &owners)
{
    switch (key.scope) {
    case KeyScope::Workload:
        return ts_workload_kinds[key.owner] == owners.workload;
    case KeyScope::Study:
        return ts_study_table[key.owner] == owners.study;
    default:
        return true;
    }
}

} // namespace

std::string Key::long_name() const
{
    if (scope != KeyScope::Workload)
        return name;
    return "workload." + std::string(ts_workload_kinds[owner]->ops.name) + "." + row->key;
}

const char *Key::type_name() const
{
    return ts_param_type_name(row->type);
}

const ts_version_table *Key::versions() const
{
    for (size_t i = 0; i < ts_machine_versions_count; i++)
        if (row->enum_names == ts_machine_versions[i]->names)
            return ts_machine_versions[i];
    return nullptr;
}

uint64_t Key::parse(const std::string &text, const Place &place) const
{
    // A row of its own, so that messages name the full key and the value lands here.
    ts_param row_here = *row;
    uint64_t value = 0;
    ts_error error;
    row_here.key = name.c_str();
    row_here.offset = 0;
    const ts_status status = is_version()
                                 ? ts_version_parse(versions(), text.c_str(), &value, &error)
                                 : ts_param_set(&row_here, &value, text.c_str(), &error);
    if (status != TS_OK)
        user_error(place, error.message);
    return value;
}

std::string Key::format(uint64_t value) const
{
    char text[64];
    ts_param_format(row, value, text, sizeof text);
    return text;
}

std::string Key::number_unit() const
{
    if (is_version())
        return "";
    switch (row->type) {
    case TS_PARAM_COUNT:
        return "1";
    case TS_PARAM_TIME:
        return "s";
    case TS_PARAM_CYCLES:
        return "cycles";
    case TS_PARAM_FREQ:
        return "Hz";
    case TS_PARAM_BYTES:
        return "B";
    case TS_PARAM_RATE:
        return "B/s";
    case TS_PARAM_BOOL:
    case TS_PARAM_ENUM:
        break;
    }
    return "";
}

std::string Key::number(uint64_t value) const
{
    const std::string unit = number_unit();
    if (unit.empty())
        return format(value);
    if (unit != "s")
        return std::to_string(value);
    std::string text = decimal(value, 12);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.')
        text.pop_back();
    return text;
}

Keys::Keys()
{
    for (size_t i = 0; i < ts_machine_params_count; i++)
        add(KeyScope::Machine, i, *ts_machine_params[i].table, ts_machine_params[i].table->prefix);
    for (size_t i = 0; i < ts_flush_table_count; i++)
        if (ts_flush_table[i]->params)
            add(KeyScope::Flush, i, *ts_flush_table[i]->params,
                "flush." + std::string(ts_flush_table[i]->name));
    for (size_t i = 0; i < ts_workload_kinds_count; i++)
        if (ts_workload_kinds[i]->ops.params)
            add(KeyScope::Workload, i, *ts_workload_kinds[i]->ops.params, "workload");
    for (size_t i = 0; i < ts_study_table_count; i++)
        if (ts_study_table[i]->params)
            add(KeyScope::Study, i, *ts_study_table[i]->params, ts_study_table[i]->params->prefix);
}

void Keys::add(KeyScope scope, size_t owner, const ts_param_table &table, const std::string &prefix)
{
    for (size_t i = 0; i < table.nrows; i++) {
        Key key;
        key.name = prefix + "." + table.rows[i].key;
        key.scope = scope;
        key.owner = owner;
        key.row = &table.rows[i];
        const std::string long_name = key.long_name();
        TS_ASSERT(keys_.emplace(long_name, std::move(key)).second);
    }
}

const Keys &Keys::get()
{
    static const Keys keys;
    return keys;
}

const Key *Keys::find(const std::string &name, const KeyOwners &owners) const
{
    static const std::string prefix = "workload.";
    std::string long_name = name;
    if (name.compare(0, prefix.size(), prefix) == 0) {
        if (!owners.workload)
            return nullptr;
        long_name = prefix + owners.workload->ops.name + "." + name.substr(prefix.size());
    }
    const auto found = keys_.find(long_name);
    return found == keys_.end() || !is_owned(found->second, owners) ? nullptr : &found->second;
}

const Key &Keys::need(const std::string &name, const KeyOwners &owners, const Place &place) const
{
    const Key *key = find(name, owners);
    if (key)
        return *key;
    const auto found = keys_.find(name);
    if (found != keys_.end() && found->second.scope == KeyScope::Study)
        user_error(place, "'" + name + "' is a parameter of the study " +
                              ts_study_table[found->second.owner]->name +
                              ", which does not run here");
    std::vector<std::string> names;
    for (const auto &item : keys_)
        if (is_owned(item.second, owners))
            names.push_back(item.second.name);
    user_error(place, "unknown key '" + name + "'" + did_you_mean(name, names));
}

bool confidence_parse(const std::string &text, ts_confidence *out)
{
    for (const ts_confidence confidence : {TS_CONF_VERBATIM, TS_CONF_DERIVED, TS_CONF_REMEMBERED,
                                           TS_CONF_GUESS, TS_CONF_CHOICE, TS_CONF_MEASURED}) {
        if (text == ts_confidence_name(confidence)) {
            *out = confidence;
            return true;
        }
    }
    return false;
}

uint64_t time_need(const std::string &option, const std::string &text, uint64_t min)
{
    const ts_param row{"time",         TS_PARAM_TIME, 0,  0,  min,
                       1000000 * TS_S, nullptr,       "", "", TS_CONF_CHOICE};
    uint64_t ps = 0;
    ts_error err{};
    if (ts_param_set(&row, &ps, text.c_str(), &err) != TS_OK)
        user_error(Place(), option + " " + text + ": " + err.message);
    return ps;
}

const ts_flush_ops &mechanism_need(const std::string &name, const Place &place)
{
    const ts_flush_ops *mechanism = ts_flush_find(name.c_str());
    if (mechanism)
        return *mechanism;
    user_error(place, "unknown mechanism '" + name + "'" +
                          did_you_mean(name, names_of(ts_flush_table, ts_flush_table_count)) +
                          "; `tlbstorm list mechanisms` names them");
}

const ts_workload_kind &workload_need(const std::string &name, const Place &place)
{
    const ts_workload_kind *kind = ts_workload_kind_find(name.c_str());
    if (kind)
        return *kind;
    std::vector<std::string> names;
    for (size_t i = 0; i < ts_workload_kinds_count; i++)
        names.emplace_back(ts_workload_kinds[i]->ops.name);
    user_error(place, "unknown workload kind '" + name + "'" + did_you_mean(name, names) +
                          ": expected one of: " + join(names));
}

const ts_study_ops &study_need(const std::string &name, const Place &place)
{
    const ts_study_ops *study = ts_study_find(name.c_str());
    if (study)
        return *study;
    user_error(place, "unknown study '" + name + "'" +
                          did_you_mean(name, names_of(ts_study_table, ts_study_table_count)) +
                          "; `tlbstorm list studies` names them");
}

} // namespace ts
