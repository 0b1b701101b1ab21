// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli.hpp"
#include "sim/front/trace.hpp"
#include "workloads/trace_info.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace ts
{
namespace
{

uint64_t field(const ts_strace_info &info, const ts_stat &row)
{
    return *reinterpret_cast<const uint64_t *>(reinterpret_cast<const char *>(&info) + row.offset);
}

void print_text(const std::string &path, const ts_strace_info &info)
{
    std::printf("%s\n", path.c_str());
    for (size_t i = 0; i < ts_strace_info_stats.nrows; i++) {
        const ts_stat &row = ts_strace_info_stats.rows[i];
        std::printf("  %-24s %12llu  %s%s%s\n", row.name,
                    static_cast<unsigned long long>(field(info, row)), row.help,
                    std::strcmp(row.unit, "1") == 0 ? "" : ", ",
                    std::strcmp(row.unit, "1") == 0 ? "" : row.unit);
    }
    std::printf("calls:\n");
    for (uint64_t i = 0; i < std::min<uint64_t>(info.call_names, TS_STRACE_INFO_NAMES); i++)
        std::printf("  %-24s %12llu\n", info.calls[i].name,
                    static_cast<unsigned long long>(info.calls[i].count));
}

void print_json(const std::string &path, const ts_strace_info &info)
{
    nlohmann::ordered_json json;
    json["file"] = path;
    for (size_t i = 0; i < ts_strace_info_stats.nrows; i++) {
        const ts_stat &row = ts_strace_info_stats.rows[i];
        json[row.name] = field(info, row);
    }
    json["calls"] = nlohmann::ordered_json::object();
    for (uint64_t i = 0; i < std::min<uint64_t>(info.call_names, TS_STRACE_INFO_NAMES); i++)
        json["calls"][info.calls[i].name] = info.calls[i].count;
    std::printf("%s\n",
                json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

} // namespace

void command_trace_info(const std::string &path, bool json, bool strict)
{
    const Trace trace(path, Place());
    const std::unique_ptr<TraceReader> reader = trace.open();
    const ts_byte_source source = reader->source();
    auto info = std::make_unique<ts_strace_info>();
    ts_error error;
    if (ts_strace_info_read(info.get(), &source, strict, &error) != TS_OK)
        throw Error(error);
    if (json)
        print_json(path, *info);
    else
        print_text(path, *info);
}

} // namespace ts
