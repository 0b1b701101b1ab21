// SPDX-License-Identifier: Apache-2.0
// Formatted by hand into a small buffer: records come from the models' fibers, hundreds of
// thousands of them.
#include "sim/front/output.hpp"
#include "sim/front/timeline_writer.hpp"

#include <cstring>
#include <set>

namespace ts
{
namespace
{

constexpr size_t name_max = 120;
constexpr size_t event_max = 1024;

char *append(char *to, const char *text)
{
    const size_t n = std::strlen(text);
    std::memcpy(to, text, n);
    return to + n;
}

// Names are the models' own; anything that JSON would need escaped becomes '_'.
char *append_name(char *to, const char *name)
{
    for (size_t i = 0; name[i] && i < name_max; i++) {
        const auto byte = static_cast<unsigned char>(name[i]);
        *to++ = byte < 0x20 || byte > 0x7e || name[i] == '"' || name[i] == '\\' ? '_' : name[i];
    }
    return to;
}

// The format counts microseconds. Whole nanoseconds, rounded down: viewers lose slices that begin
// a fraction of one inside another (perfetto issue 5012), and rounding down keeps the order.
char *append_time(char *to, ts_time when)
{
    const uint64_t ns = when / TS_NS;
    to = append_number(to, ns / 1000);
    *to++ = '.';
    *to++ = static_cast<char>('0' + ns / 100 % 10);
    *to++ = static_cast<char>('0' + ns / 10 % 10);
    *to++ = static_cast<char>('0' + ns % 10);
    return to;
}

char *append_arguments(char *to, const TimelineArguments &arguments)
{
    const char *before = ",\"args\":{\"";
    for (const TimelineArgument &argument : arguments) {
        to = append(to, before);
        to = append(to, argument.name);
        to = append(to, "\":");
        to = append_number(to, argument.value);
        before = ",\"";
    }
    return arguments.empty() ? to : append(to, "}");
}

class ChromeTimeline : public TimelineWriter
{
  public:
    explicit ChromeTimeline(const std::string &path) : file_(path)
    {
        file_.put("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    }

    void begin(TimelineTrack track, ts_time when, const char *name,
               const TimelineArguments &arguments) override
    {
        char *to = append_head('B', track, when, name);
        finish(append_arguments(to, arguments));
    }

    void end(TimelineTrack track, ts_time when, const TimelineArguments &arguments) override
    {
        char *to = append_head('E', track, when, nullptr);
        finish(append_arguments(to, arguments));
    }

    void instant(TimelineTrack track, ts_time when, const char *name,
                 const TimelineArguments &arguments) override
    {
        char *to = append_head('i', track, when, name);
        finish(append(append_arguments(to, arguments), ",\"s\":\"t\""));
    }

    void flow(TimelineTrack track, ts_time when, const char *name, uint64_t id, bool start) override
    {
        char *to = append_head(start ? 's' : 'f', track, when, name);
        to = append_number(append(to, ",\"id\":"), id);
        finish(append(to, start ? ",\"cat\":\"flow\"" : ",\"cat\":\"flow\",\"bp\":\"e\""));
    }

    void counter(uint32_t group, ts_time when, const char *name, uint64_t value) override
    {
        char *to = append_head('C', {group, 0}, when, name);
        finish(append_arguments(to, {{"n", value}}));
    }

    void close(const std::vector<TimelineTrack> &tracks) override
    {
        std::set<uint32_t> groups;
        for (const TimelineTrack &track : tracks) {
            const std::string thread = ",\"tid\":" + std::to_string(track.second);
            if (groups.insert(track.first).second) {
                meta("process_name", track.first, "",
                     "\"name\":\"" + timeline_group_name(track.first) + "\"");
                meta("process_sort_index", track.first, "",
                     "\"sort_index\":" + std::to_string(track.first));
            }
            meta("thread_name", track.first, thread,
                 "\"name\":\"" + timeline_track_name(track) + "\"");
            meta("thread_sort_index", track.first, thread,
                 "\"sort_index\":" + std::to_string(track.second));
        }
        file_.put("\n]}\n");
        file_.close();
    }

  private:
    // Up to where arguments follow.
    char *append_head(char phase, TimelineTrack track, ts_time when, const char *name)
    {
        char *to = append(text_, first_ ? "{\"ph\":\"" : ",\n{\"ph\":\"");
        first_ = false;
        *to++ = phase;
        to = append_time(append(to, "\",\"ts\":"), when);
        to = append_number(append(to, ",\"pid\":"), track.first);
        to = append_number(append(to, ",\"tid\":"), track.second);
        if (!name)
            return to;
        return append(append_name(append(to, ",\"name\":\""), name), "\"");
    }

    void finish(char *to)
    {
        *to++ = '}';
        file_.put(text_, static_cast<size_t>(to - text_));
    }

    void meta(const std::string &what, uint32_t group, const std::string &thread,
              const std::string &arguments)
    {
        file_.put((first_ ? "" : ",\n") + std::string("{\"ph\":\"M\",\"name\":\"") + what +
                  "\",\"pid\":" + std::to_string(group) + thread + ",\"args\":{" + arguments +
                  "}}");
        first_ = false;
    }

    OutputFile file_;
    char text_[event_max];
    bool first_ = true;
};

} // namespace

std::unique_ptr<TimelineWriter> chrome_timeline(const std::string &path)
{
    return std::make_unique<ChromeTimeline>(path);
}

} // namespace ts
