// SPDX-License-Identifier: Apache-2.0
#include "sim/api/internal.hpp"
#include "sim/front/yaml.hpp"

#include <cstdio>
#include <new>

using ts_api::guarded;

#define TS_API_TEXT_(x) #x
#define TS_API_TEXT(x) TS_API_TEXT_(x)

const char *tlbstorm_version(void)
{
    return TS_API_TEXT(TLBSTORM_VERSION_MAJOR) "." TS_API_TEXT(
        TLBSTORM_VERSION_MINOR) "." TS_API_TEXT(TLBSTORM_VERSION_PATCH);
}

namespace ts_api
{

tlbstorm_status fill(tlbstorm_error *err, ts_status status, const ts::Place &place,
                     const std::string &message)
{
    const auto code = static_cast<tlbstorm_status>(status);
    if (!err)
        return code;
    err->status = code;
    err->line = place.line;
    err->column = place.column;
    std::snprintf(err->file, sizeof err->file, "%s", place.file.c_str());
    std::snprintf(err->message, sizeof err->message, "%s", message.c_str());
    return code;
}

tlbstorm_status fill(tlbstorm_error *err, const ts_error &error)
{
    return fill(err, error.status, ts::Place{error.file, error.line, error.column}, error.message);
}

tlbstorm_status caught(tlbstorm_error *err)
{
    try {
        throw;
    } catch (const ts::Error &error) {
        return fill(err, error.status(), error.place(), error.message());
    } catch (const std::bad_alloc &) {
        return fill(err, TS_ERR_ENVIRONMENT, ts::Place(), "not enough memory");
    } catch (const std::exception &error) {
        return fill(err, TS_ERR_ENVIRONMENT, ts::Place(), error.what());
    }
}

namespace
{

std::vector<ts::Override> overrides_of(const char *const *settings, size_t n)
{
    std::vector<ts::Override> overrides;
    for (size_t i = 0; i < n; i++)
        overrides.push_back(ts::override_parse(settings[i]));
    return overrides;
}

tlbstorm_config *complete(ts::Experiment &&experiment)
{
    const auto loaded = std::make_shared<Loaded>();
    loaded->experiment = std::move(experiment);
    ts::experiment_check(loaded->experiment);
    loaded->points = ts::experiment_points(loaded->experiment);
    return new tlbstorm_config{loaded};
}

// The keys of tlbstorm_config_from_settings that are no parameters.
struct Pieces {
    std::string machine, hypervisor, guest, mechanism, kind, file, seed;

    std::string *find(const std::string &key)
    {
        const std::pair<const char *, std::string *> names[] = {
            {"machine", &machine},     {"hypervisor", &hypervisor}, {"guest", &guest},
            {"mechanism", &mechanism}, {"workload.kind", &kind},    {"workload.file", &file},
            {"seed", &seed},
        };
        for (const auto &name : names)
            if (key == name.first)
                return name.second;
        return nullptr;
    }

    std::string yaml() const
    {
        for (const auto &[value, key] : {std::pair{&machine, "machine"},
                                         {&guest, "guest"},
                                         {&mechanism, "mechanism"},
                                         {&kind, "workload.kind"}})
            if (value->empty())
                ts::user_error(ts::Place(), std::string("the settings do not say '") + key + "'");
        std::string text = "schema: 1\nname: settings\nworkload:\n  kind: " + ts::yaml_quote(kind);
        if (!file.empty())
            text += "\n  file: " + ts::yaml_quote(file);
        text += "\nmachine: " + ts::yaml_quote(machine) + "\nguest: " + ts::yaml_quote(guest) +
                "\nmechanisms: [" + ts::yaml_quote(mechanism) + "]\n";
        if (!hypervisor.empty() && hypervisor != "none")
            text += "hypervisor: " + ts::yaml_quote(hypervisor) + "\n";
        return seed.empty() ? text : text + "seed: " + ts::yaml_quote(seed) + "\n";
    }
};

tlbstorm_config *from_settings(const char *const *settings, size_t n)
{
    Pieces pieces;
    std::vector<ts::Override> overrides;
    for (ts::Override &setting : overrides_of(settings, n)) {
        if (std::string *piece = pieces.find(setting.key))
            *piece = setting.value;
        else
            overrides.push_back(std::move(setting));
    }
    return complete(ts::experiment_parse(pieces.yaml(), "settings", overrides, true));
}

} // namespace
} // namespace ts_api

enum tlbstorm_status tlbstorm_config_load(struct tlbstorm_config **out, const char *path,
                                          const char *const *settings, size_t nsettings,
                                          struct tlbstorm_error *err)
{
    return guarded(err, [&] {
        *out =
            ts_api::complete(ts::experiment_load(path, ts_api::overrides_of(settings, nsettings)));
    });
}

enum tlbstorm_status tlbstorm_config_parse(struct tlbstorm_config **out, const char *text,
                                           const char *name, const char *const *settings,
                                           size_t nsettings, struct tlbstorm_error *err)
{
    return guarded(err, [&] {
        *out = ts_api::complete(
            ts::experiment_parse(text, name, ts_api::overrides_of(settings, nsettings), true));
    });
}

enum tlbstorm_status tlbstorm_config_from_settings(struct tlbstorm_config **out,
                                                   const char *const *settings, size_t nsettings,
                                                   struct tlbstorm_error *err)
{
    return guarded(err, [&] { *out = ts_api::from_settings(settings, nsettings); });
}

void tlbstorm_config_destroy(struct tlbstorm_config *config)
{
    delete config;
}

size_t tlbstorm_config_points(const struct tlbstorm_config *config)
{
    return config->loaded->points.size();
}

const char *tlbstorm_config_point_name(const struct tlbstorm_config *config, size_t point)
{
    return config->loaded->points.at(point).folder.c_str();
}
