// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_trace.hpp"

#include "sim/front/error.hpp"
#include "workloads/own_trace.h"

#include <CLI/CLI.hpp>
#include <boost/iostreams/device/file.hpp>
#include <boost/iostreams/device/file_descriptor.hpp>
#include <boost/iostreams/filter/bzip2.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/lzma.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace ts
{
namespace
{

namespace io = boost::iostreams;

const ts_stat_table &table_of(const ts_trace_info &info)
{
    return info.format->family == TS_TRACE_CALLS ? ts_strace_info_stats : ts_access_info_stats;
}

uint64_t field(const ts_trace_info &info, const ts_stat &row)
{
    const char *base = info.format->family == TS_TRACE_CALLS
                           ? reinterpret_cast<const char *>(&info.calls)
                           : reinterpret_cast<const char *>(&info.accesses);
    uint64_t value = 0;
    std::memcpy(&value, base + row.offset, sizeof value);
    return value;
}

uint64_t named(const ts_trace_info &info, const std::string &name)
{
    const ts_stat_table &table = table_of(info);
    for (size_t i = 0; i < table.nrows; i++)
        if (table.rows[i].name == name)
            return field(info, table.rows[i]);
    return 0;
}

unsigned long long ull(uint64_t value)
{
    return value;
}

void print_text(const std::string &path, const ts_trace_info &info)
{
    const ts_stat_table &table = table_of(info);
    std::printf("%s\n  %-24s %12s  %s\n", path.c_str(), "format", info.format->name,
                info.format->summary);
    for (size_t i = 0; i < table.nrows; i++) {
        const ts_stat &row = table.rows[i];
        const bool plain = std::strcmp(row.unit, "1") == 0;
        std::printf("  %-24s %12llu  %s%s%s\n", row.name, ull(field(info, row)), row.help,
                    plain ? "" : ", ", plain ? "" : row.unit);
    }
    if (info.format->family != TS_TRACE_CALLS)
        return;
    std::printf("calls:\n");
    for (uint64_t i = 0; i < info.calls.call_names; i++)
        std::printf("  %-24s %12llu\n", info.calls.calls[i].name, ull(info.calls.calls[i].count));
}

void print_json(const nlohmann::ordered_json &json)
{
    std::printf("%s\n",
                json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

nlohmann::ordered_json info_json(const std::string &path, const ts_trace_info &info)
{
    const ts_stat_table &table = table_of(info);
    nlohmann::ordered_json json;
    json["file"] = path;
    json["format"] = info.format->name;
    for (size_t i = 0; i < table.nrows; i++)
        json[table.rows[i].name] = field(info, table.rows[i]);
    if (info.format->family != TS_TRACE_CALLS)
        return json;
    json["calls"] = nlohmann::ordered_json::object();
    for (uint64_t i = 0; i < info.calls.call_names; i++)
        json["calls"][info.calls.calls[i].name] = info.calls.calls[i].count;
    return json;
}

struct TextUser {
    const TraceText *text;
    std::exception_ptr thrown;
};

// The core is C: what is thrown waits until it is back.
ts_status give_text(void *user, const char *line, size_t size, ts_error *err)
{
    auto *to = static_cast<TextUser *>(user);
    try {
        (*to->text)(line, size);
        return TS_OK;
    } catch (...) {
        to->thrown = std::current_exception();
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "the text cannot be written");
    }
}

// The text that convert writes: compressed as the name says, and whole or not there.
class ConvertedFile
{
  public:
    explicit ConvertedFile(const std::string &path) : path_(path)
    {
        const std::string end = std::filesystem::path(path).extension().string();
        if (end == ".zst")
            out_.push(io::zstd_compressor());
        else if (end == ".gz")
            out_.push(io::gzip_compressor());
        else if (end == ".xz")
            out_.push(io::lzma_compressor());
        else if (end == ".bz2")
            out_.push(io::bzip2_compressor());
        if (path == "-") {
            out_.push(io::file_descriptor_sink(STDOUT_FILENO, io::never_close_handle));
            return;
        }
        partial_ = path + ".partial" + std::to_string(getpid());
        io::file_sink file(partial_, std::ios::binary);
        if (!file.is_open())
            system_error("cannot write", partial_);
        out_.push(file);
    }
    ~ConvertedFile()
    {
        std::error_code ignored;
        if (!partial_.empty())
            std::filesystem::remove(partial_, ignored);
    }
    ConvertedFile(const ConvertedFile &) = delete;
    ConvertedFile &operator=(const ConvertedFile &) = delete;

    void put(const char *line, size_t size)
    {
        out_.write(line, static_cast<std::streamsize>(size));
        if (!out_.put('\n'))
            environment_error("cannot write " + path_);
    }
    void commit()
    {
        if (!out_.flush())
            environment_error("cannot write " + path_);
        out_.reset();
        if (partial_.empty())
            return;
        std::error_code error;
        std::filesystem::rename(partial_, path_, error);
        if (error)
            environment_error("cannot write " + path_ + ": " + error.message());
        partial_.clear();
    }

  private:
    std::string path_, partial_;
    io::filtering_ostream out_;
};

const char *own_head(const ts_trace_info &info)
{
    return info.format->family == TS_TRACE_CALLS ? TS_OWN_TRACE_CALLS : TS_OWN_TRACE_ACCESSES;
}

} // namespace

std::unique_ptr<ts_trace_info> trace_info(TraceReader *reader, bool strict, const TraceText &text,
                                          uint64_t records)
{
    auto info = std::make_unique<ts_trace_info>();
    const ts_byte_source source = reader->source();
    TextUser user{&text, nullptr};
    ts_trace_reading how{};
    how.strict = strict;
    how.records = records;
    how.text = text ? give_text : nullptr;
    how.user = &user;
    ts_error error;
    const ts_status status = ts_trace_info_read(info.get(), &source, &how, &error);
    if (user.thrown)
        std::rethrow_exception(user.thrown);
    if (status != TS_OK)
        throw Error(error);
    return info;
}

std::string losses_text(const ts_trace_info &info, bool *contradicts)
{
    std::string text;
    if (info.format->family != TS_TRACE_CALLS)
        return named(info, "bad_lines") > 0
                   ? std::to_string(named(info, "bad_lines")) + " accesses that cannot be read"
                   : "";
    for (size_t i = 0; i < ts_strace_losses.nrows; i++) {
        const ts_stat &row = ts_strace_losses.rows[i];
        uint64_t count = 0;
        std::memcpy(&count, reinterpret_cast<const char *>(&info.calls.counts) + row.offset,
                    sizeof count);
        // A line's number tells nothing without the file at hand; `trace info` has it.
        if (count == 0 || row.name == std::string("first_unread"))
            continue;
        *contradicts = *contradicts || row.name == std::string("stale_overlaps");
        text += (text.empty() ? "" : "; ") + std::to_string(count) + " " + row.help;
    }
    return text;
}

void command_trace_info(const TraceCommand &command)
{
    const auto info = trace_info(trace_open_any(command.path).get(), command.strict);
    if (command.json)
        print_json(info_json(command.path, *info));
    else
        print_text(command.path, *info);
}

void command_trace_convert(const TraceCommand &command)
{
    const std::unique_ptr<TraceReader> reader = trace_open_any(command.path);
    std::unique_ptr<ConvertedFile> file;
    const auto put = [&](const char *line, size_t size) {
        if (!file) { // whose first line says which of the two it is
            file = std::make_unique<ConvertedFile>(command.output);
            const char *head = line[0] == '-' || (line[0] >= '0' && line[0] <= '9')
                                   ? TS_OWN_TRACE_CALLS
                                   : TS_OWN_TRACE_ACCESSES;
            file->put(head, std::strlen(head));
        }
        file->put(line, size);
    };
    const auto info = trace_info(reader.get(), command.strict, put);
    if (!file)
        user_error(Place{command.path, 0, 0}, "the recording (" +
                                                  std::string(info->format->summary) +
                                                  ") has nothing that could be converted");
    file->commit();
    const uint64_t unread =
        named(*info, "foreign_lines") + named(*info, "cut_calls") + named(*info, "bad_lines");
    if (unread > 0)
        std::fprintf(stderr, "warning: %s: %llu lines were not read, the first is %llu\n",
                     command.path.c_str(), ull(unread), ull(named(*info, "first_unread")));
}

void command_trace_head(const TraceCommand &command)
{
    const std::unique_ptr<TraceReader> reader = trace_open_any(command.path);
    std::string text;
    const auto info = trace_info(
        reader.get(), command.strict,
        [&](const char *line, size_t size) { text.append(line, size).append(1, '\n'); },
        command.lines);
    std::printf("%s\n%s", own_head(*info), text.c_str());
}

void command_trace_validate(const TraceCommand &command)
{
    std::unique_ptr<SpooledInput> spooled;
    std::string path = command.path;
    if (path == "-") {
        spooled = std::make_unique<SpooledInput>();
        path = spooled->path();
    }
    const auto info = trace_info(trace_open_any(path).get(), false);
    bool contradicts = false;
    const std::string losses = losses_text(*info, &contradicts);
    const uint64_t unread = named(*info, "foreign_lines") + named(*info, "cut_calls") +
                            named(*info, "impossible_calls") + named(*info, "partial_lines") +
                            named(*info, "bad_lines");
    const bool calls = info->format->family == TS_TRACE_CALLS;
    std::printf("%s: %s, %llu %s\n", command.path.c_str(), info->format->summary,
                ull(named(*info, calls ? "lines" : "accesses")), calls ? "lines" : "accesses");
    if (!losses.empty())
        std::printf("left out or assumed: %s\n", losses.c_str());
    if (unread > 0) { // the strict reader says where and why
        std::printf("not read: %llu lines\n", ull(unread));
        std::fflush(stdout);
        static_cast<void>(trace_info(trace_open_any(path).get(), true));
    }
    if (contradicts)
        user_error(Place{command.path, 0, 0}, "the recording contradicts itself: memory is mapped "
                                              "where memory is in use");
    std::printf("every line was read\n");
}

namespace
{

struct Histogram {
    const char *name;
    const uint64_t *buckets;
};

std::string bucket_name(size_t bucket)
{
    const uint64_t low = bucket == 0 ? 0 : 1ull << (bucket - 1);
    const uint64_t high = bucket == 0 ? 0 : (1ull << bucket) - 1;
    return low == high ? std::to_string(low) : std::to_string(low) + "-" + std::to_string(high);
}

} // namespace

void command_trace_stats(const TraceCommand &command)
{
    const auto info = trace_info(trace_open_any(command.path).get(), command.strict);
    if (info->format->family != TS_TRACE_CALLS)
        user_error(Place{command.path, 0, 0}, "stats are of recordings of calls; `trace info` "
                                              "counts accesses");
    const ts_strace_info &calls = info->calls;
    const double seconds = static_cast<double>(calls.span_ns) / 1e9;
    const Histogram histograms[] = {{"munmap", calls.pages[TS_TRACE_UNMAPPED]},
                                    {"mprotect", calls.pages[TS_TRACE_PROTECTED]},
                                    {"madvise", calls.pages[TS_TRACE_ADVISED]}};
    nlohmann::ordered_json json = info_json(command.path, *info);
    nlohmann::ordered_json pages;
    for (const Histogram &histogram : histograms)
        for (size_t i = 0; i < TS_TRACE_PAGE_BUCKETS; i++)
            if (histogram.buckets[i] > 0)
                pages[histogram.name][bucket_name(i)] = histogram.buckets[i];
    json["pages"] = pages.is_null() ? nlohmann::ordered_json::object() : pages;
    if (command.json) {
        print_json(json);
        return;
    }
    std::printf("%s: %s, %llu threads, %llu address spaces, %.6f s\n", command.path.c_str(),
                info->format->summary, ull(calls.counts.threads), ull(calls.counts.processes),
                seconds);
    std::printf("%-24s %12s %14s\n", "call", "count", "a second");
    for (uint64_t i = 0; i < calls.call_names; i++)
        std::printf("%-24s %12llu %14s\n", calls.calls[i].name, ull(calls.calls[i].count),
                    seconds > 0
                        ? std::to_string(static_cast<uint64_t>(
                                             static_cast<double>(calls.calls[i].count) / seconds))
                              .c_str()
                        : "-");
    for (const Histogram &histogram : histograms) {
        if (!pages.contains(histogram.name))
            continue;
        std::printf("pages of a stretch of memory, %s:\n", histogram.name);
        for (const auto &item : pages[histogram.name].items())
            std::printf("  %-22s %12llu\n", item.key().c_str(), ull(item.value().get<uint64_t>()));
    }
}

TraceCommands::TraceCommands(CLI::App *app)
{
    CLI::App *trace = app->add_subcommand("trace", "Look at recordings");
    trace->require_subcommand(1);
    const auto add = [&](const char *name, const char *help) {
        CLI::App *sub = trace->add_subcommand(name, help);
        sub->add_option(
               "FILE", command_.path,
               "Recording of any known format (`tlbstorm list traces`), plain, zstd, gzip, "
               "xz or bzip2; a folder of strace -ff; or - for standard input")
            ->required();
        return sub;
    };
    const auto strict = [&](CLI::App *sub) {
        sub->add_flag("--strict", command_.strict,
                      "A line that cannot be read is an error; else it is counted");
    };
    info_ = add("info", "Say what a recording holds");
    convert_ = add("convert", "Write a recording as tlbstorm's own text");
    convert_->add_option("-o,--output", command_.output,
                         "File; .zst, .gz, .xz and .bz2 are compressed (standard output)");
    head_ = add("head", "Print the first records, as tlbstorm's own text");
    head_->add_option("-n,--lines", command_.lines, "How many (10)")
        ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
    validate_ = add("validate", "Say whether every line can be read; exit 2 if not");
    stats_ = add("stats", "Calls by name and rate, and how many pages they are about");
    compare_ = add("compare", "Set recorded TLB flushes against those of a run");
    compare_->add_option("DIR", command_.folder, "Folder of a run or replay")->required();
    for (CLI::App *sub : {info_, stats_, compare_})
        sub->add_flag("--json", command_.json, "As JSON");
    for (CLI::App *sub : {info_, convert_, head_, stats_})
        strict(sub);
}

void TraceCommands::execute() const
{
    if (*info_)
        command_trace_info(command_);
    else if (*convert_)
        command_trace_convert(command_);
    else if (*head_)
        command_trace_head(command_);
    else if (*validate_)
        command_trace_validate(command_);
    else if (*stats_)
        command_trace_stats(command_);
    else if (*compare_)
        command_trace_compare(command_);
}

} // namespace ts
