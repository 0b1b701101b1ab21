// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/files.hpp"

#include "sim/front/parts.hpp"
#include "sim/front/paths.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdio>

namespace ts
{
namespace
{

bool is_arm(const Measurements &)
{
#if defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

void emit_setting(YAML::Emitter *out, const std::string &key, const Setting &setting)
{
    *out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginMap;
    *out << YAML::Key << "value" << YAML::Value << setting.key->format(setting.value);
    *out << YAML::Key << "source" << YAML::Value << YAML::DoubleQuoted << setting.source;
    *out << YAML::Key << "confidence" << YAML::Value << ts_confidence_name(setting.confidence)
         << YAML::EndMap;
}

} // namespace

Layer piece_layer(const std::string &folder, const std::string &name)
{
    const Paths paths("");
    const std::string what = folder.substr(0, folder.size() - 1),
                      map = what + ": " + yaml_quote(name) + "\n";
    const Document document = document_parse(map, "--base", paths);
    Layer layer;
    std::string label;
    std::vector<ArchWish> wishes;
    piece_read(document.root, what, PartsOf{document, paths, false}, &layer, &label, &wishes);
    return layer;
}

std::string piece_text(const std::string &title, const std::string &head, const Layer &layer)
{
    YAML::Emitter out;
    std::string group;
    out << YAML::Comment(head) << YAML::BeginMap;
    out << YAML::Key << "title" << YAML::Value << YAML::DoubleQuoted << title;
    for (const auto &item : layer) {
        const size_t dot = item.first.find('.');
        const std::string own = item.first.substr(0, dot);
        if (own != group) {
            if (!group.empty())
                out << YAML::EndMap;
            out << YAML::Newline << YAML::Key << own << YAML::Value << YAML::BeginMap;
            group = own;
        }
        emit_setting(&out, item.first.substr(dot + 1), item.second);
    }
    if (!group.empty())
        out << YAML::EndMap;
    out << YAML::EndMap;
    return std::string(out.c_str()) + "\n";
}

std::string hypervisor_path(const std::string &machine_path)
{
    const std::string end = ".yaml";
    const bool named = machine_path.size() > end.size() &&
                       machine_path.compare(machine_path.size() - end.size(), end.size(), end) == 0;
    return (named ? machine_path.substr(0, machine_path.size() - end.size()) : machine_path) +
           "-hypervisor.yaml";
}

std::string nearest_hypervisor(const Measurements &m)
{
    if (!m.guest.hypervisor)
        return "none";
    return is_arm(m) ? "kvm-arm64-6.12" : "kvm-6.12";
}

std::string guest_linux(const std::string &kernel)
{
    unsigned major = 0, minor = 0;
    const Key &key = *Keys::get().find("guest.linux", KeyOwners());
    std::string best;
    if (std::sscanf(kernel.c_str(), "%u.%u", &major, &minor) != 2)
        return best;
    for (const char *const *name = key.row->enum_names; *name; name++) {
        unsigned a = 0, b = 0;
        if (std::sscanf(*name, "%u.%u", &a, &b) == 2 && (a < major || (a == major && b <= minor)))
            best = *name;
    }
    return best;
}

SimulatedPlatform host_platform(const Measurements &m, const std::string &machine,
                                const std::string &hypervisor, const ParameterSet *hypervisor_set)
{
    SimulatedPlatform platform;
    platform.machine = machine;
    platform.hypervisor = hypervisor;
    platform.guest = is_arm(m) ? "linux-6.12-arm64" : "linux-6.12-x86";
    platform.cpus = m.host.cpus.size();
    const bool pv = hypervisor_set && hypervisor_set->value("hypervisor.pv_tlb_flush") != 0 &&
                    hypervisor_set->value("hypervisor.realtime_hint") == 0;
    platform.mechanism = is_arm(m)                ? "tlbi_broadcast"
                         : !platform.bare() && pv ? "kvm_pv"
                                                  : "native_concurrent";
    const std::string version = guest_linux(m.kernel);
    if (!version.empty())
        platform.sets.push_back({"guest.linux", version});
    return platform;
}

} // namespace ts
