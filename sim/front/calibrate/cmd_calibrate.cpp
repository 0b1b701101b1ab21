// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/cmd_calibrate.hpp"

#include "sim/front/calibrate/files.hpp"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"
#include "version.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// What the simulations are given of the time: a part, or as much as they take on a slow machine.
double measured_seconds(double seconds)
{
    constexpr double share = 0.05, least_s = 1.5;
    return seconds - std::max(share * seconds, least_s);
}

// Without blanks at the ends of lines.
std::string trimmed(const std::string &text)
{
    std::string out;
    for (const char c : text) {
        if (c == '\n')
            out.erase(out.find_last_not_of(' ') + 1);
        out += c;
    }
    return out;
}

std::string midr_text()
{
    std::ifstream file("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
    std::string line;
    std::getline(file, line);
    return line;
}

std::string today()
{
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    char text[32];
    gmtime_r(&now, &utc);
    std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
    return text;
}

void check_output(const CalibrateCommand &command)
{
    std::error_code code;
    const fs::path path = command.output;
    if (path.extension() != ".yaml")
        user_error(Place(), "-o " + command.output + ": the file's name must end in .yaml");
    if (fs::exists(path, code) && !command.force)
        user_error(Place(), command.output + " is there already: --force replaces it");
    if (path.has_parent_path() && !fs::is_directory(path.parent_path(), code))
        user_error(Place(),
                   "-o " + command.output + ": no such folder: " + path.parent_path().string());
}

// The base with what has been found.
SimulatedPlatform platform_with(const Measurements &m, const std::string &base,
                                const ParameterSet &machine, const ParameterSet &hypervisor)
{
    SimulatedPlatform p = host_platform(m, base, nearest_hypervisor(m), &hypervisor);
    for (const ParameterSet *set : {&machine, &hypervisor})
        for (const Override &over : set->overrides())
            p.sets.push_back(over);
    return p;
}

Simulator simulator_of(const Measurements &m, const std::string &base, const Derivation *d)
{
    return {[&m, base, d](const ParameterSet &machine, const BenchRow &row) {
                return simulate_row(platform_with(m, base, machine, d->hypervisor), row).ns;
            },
            [&m, base, d](const ParameterSet &machine, const std::string &column) {
                return simulate_line(platform_with(m, base, machine, d->hypervisor), column);
            }};
}

// A machine that the model cannot be, with a cache of 11 sets say, is given up part by part.
void drop_what_cannot_be(const Measurements &m, const std::string &base, Derivation *d)
{
    for (const char *part : {"mmu.", "cache."}) {
        try {
            platform_check(platform_with(m, base, d->machine, d->hypervisor));
            return;
        } catch (const Error &error) {
            d->machine.drop(part);
            d->left_out.push_back(std::string(part) + "*: " + error.message());
        }
    }
}

std::string title_of(const Measurements &m)
{
    const std::string name = m.host.cpu_name.empty() ? "this machine" : m.host.cpu_name;
    return name + ", " + std::to_string(m.host.cpus.size()) + " CPUs, calibrated on " + today() +
           (m.guest.hypervisor ? " in a guest" : "");
}

std::string head_of(const Measurements &m, const CalibrateCommand &command, const BaseChoice &base)
{
    std::string head = "Written by tlbstorm calibrate " TS_VERSION_STRING ", --time " +
                       command.time + ", Linux " + m.kernel +
                       ".\nWhat could not be measured is what configs/machines/" + base.name +
                       ".yaml says, with its source.";
    for (const std::string &note : m.limits.notes)
        head += "\n" + note + ".";
    return head;
}

// The files one after the other; the machine's, which is the one that is named, last.
std::vector<std::string> write_files(const Measurements &m, const CalibrateCommand &command,
                                     const BaseChoice &base, const Derivation &d)
{
    const std::string head = head_of(m, command, base);
    std::vector<std::string> written;
    if (!d.hypervisor.found().empty()) {
        written.push_back(hypervisor_path(command.output));
        replace_file(written.back(),
                     piece_text("The hypervisor below " + title_of(m), head, d.hypervisor.layer()));
    }
    written.push_back(command.output);
    replace_file(written.back(), piece_text(title_of(m), head, d.machine.layer()));
    return written;
}

void print_report(const Measurements &m, const Derivation &d)
{
    TableRows rows = {{"measured", "sets", "value", "spread"}};
    for (const ReportLine &line : d.report)
        rows.push_back({line.what, line.sets.empty() ? "-" : line.sets, line.value, line.spread});
    std::fputs(trimmed(table_text(rows, 4)).c_str(), stdout);
    rows = {{"parameter", "confidence", "value"}};
    for (const std::string &key : d.machine.found()) {
        const Setting &setting = d.machine.layer().at(key);
        rows.push_back(
            {key, ts_confidence_name(setting.confidence), setting.key->format(setting.value)});
    }
    std::printf("\n%s", table_text(rows, 2).c_str());
    for (const std::string &note : m.limits.notes)
        std::printf("note: %s\n", note.c_str());
    for (const auto *list : {&m.left_out, &d.left_out})
        for (const std::string &line : *list)
            std::printf("left out: %s\n", line.c_str());
}

} // namespace

void command_calibrate(const CalibrateCommand &command)
{
    const double seconds = static_cast<double>(time_need("--time", command.time, 5 * TS_S)) * 1e-12;
    const uint64_t start = ts_cal_now();
    check_output(command);
    Measurements m = look_at_host("", allowed_cpus());
    BaseChoice base = base_of(m.guest, midr_text());
    if (!command.base.empty())
        base = {command.base, true};
    Derivation d{ParameterSet(piece_layer("machines", base.name)), ParameterSet(Layer()), {}, {}};
    if (!base.known)
        m.limits.notes.push_back("no machine file is of this CPU (" + m.host.cpu_name +
                                 "): what is not measured is taken from " + base.name);
    measure_host(&m, measured_seconds(seconds));
    derive_hardware(m, &d);
    derive_hypervisor(m, &d);
    drop_what_cannot_be(m, base.name, &d);
    derive_costs(m, simulator_of(m, base.name, &d), &d);
    const std::vector<std::string> written = write_files(m, command, base, d);
    // What was written is what run reads.
    const SimulatedPlatform platform =
        host_platform(m, fs::absolute(command.output).string(),
                      d.hypervisor.found().empty() ? nearest_hypervisor(m)
                                                   : fs::absolute(written.front()).string(),
                      &d.hypervisor);
    platform_check(platform);
    if (!command.quiet)
        print_report(m, d);
    size_t measured = 0;
    for (const auto &item : d.machine.layer())
        measured += item.second.confidence == TS_CONF_MEASURED;
    std::printf("%zu parameters measured here, %zu derived from measurements, in %.1f s\n",
                measured, d.machine.found().size() - measured,
                static_cast<double>(ts_cal_now() - start) * 1e-9);
    for (const std::string &path : written)
        std::printf("wrote %s\n", path.c_str());
}

} // namespace ts
