// SPDX-License-Identifier: Apache-2.0
#include "sim/front/timeline.hpp"

#include <cstring>
#include <set>

namespace ts
{
namespace
{

constexpr size_t name_max = 120;
constexpr size_t event_max = 512;

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

} // namespace

TimelineFile::TimelineFile(const std::string &path) : file_(path)
{
    file_.put("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
}

void TimelineFile::record(void *user, const ts_timeline_record *record)
{
    static_cast<TimelineFile *>(user)->add(*record);
}

void TimelineFile::add(const ts_timeline_record &record)
{
    uint32_t &open = tracks_[{record.group, record.track}];
    switch (record.kind) {
    case TS_TL_BEGIN:
        open++;
        event('B', record, "");
        break;
    case TS_TL_END:
        // The slice may have opened before recording began.
        if (open == 0)
            break;
        open--;
        event('E', record, "");
        break;
    case TS_TL_INSTANT:
        event('i', record, ",\"s\":\"t\"");
        break;
    case TS_TL_FLOW:
        event('s', record, ",\"cat\":\"flow\"");
        break;
    case TS_TL_FLOW_END:
        event('f', record, ",\"cat\":\"flow\",\"bp\":\"e\"");
        break;
    }
}

void TimelineFile::event(char phase, const ts_timeline_record &record, const char *extra)
{
    char text[event_max];
    char *to = append(text, first_ ? "{\"ph\":\"" : ",\n{\"ph\":\"");
    first_ = false;
    *to++ = phase;
    to = append(to, "\",\"ts\":");
    to = append_time(to, record.when);
    to = append(to, ",\"pid\":");
    to = append_number(to, record.group);
    to = append(to, ",\"tid\":");
    to = append_number(to, record.track);
    if (phase != 'E') {
        to = append(to, ",\"name\":\"");
        to = append_name(to, record.name ? record.name : "");
        to = append(to, "\"");
    }
    if (phase == 's' || phase == 'f') {
        to = append(to, ",\"id\":");
        to = append_number(to, record.id);
    } else if (record.id != 0 && phase != 'E') {
        to = append(to, ",\"args\":{\"id\":");
        to = append_number(to, record.id);
        to = append(to, "}");
    }
    to = append(to, extra);
    *to++ = '}';
    file_.put(text, static_cast<size_t>(to - text));
}

void TimelineFile::name_tracks()
{
    std::set<uint32_t> groups;
    std::string text;
    const auto meta = [&](const std::string &what, uint32_t group, const std::string &thread,
                          const std::string &args) {
        text += (first_ ? "" : ",\n") + std::string("{\"ph\":\"M\",\"name\":\"") + what +
                "\",\"pid\":" + std::to_string(group) + thread + ",\"args\":{" + args + "}}";
        first_ = false;
    };
    for (const auto &track : tracks_) {
        const uint32_t group = track.first.first, cpu = track.first.second;
        const std::string number = std::to_string(cpu);
        const std::string thread = ",\"tid\":" + number;
        if (groups.insert(group).second) {
            const std::string name = group == 0 ? "host" : "guest " + std::to_string(group - 1);
            meta("process_name", group, "", "\"name\":\"" + name + "\"");
            meta("process_sort_index", group, "", "\"sort_index\":" + std::to_string(group));
        }
        meta("thread_name", group, thread,
             "\"name\":\"" + std::string(group == 0 ? "pCPU " : "vCPU ") + number + "\"");
        meta("thread_sort_index", group, thread, "\"sort_index\":" + number);
    }
    file_.put(text);
}

void TimelineFile::close(ts_time end)
{
    for (auto &track : tracks_) {
        ts_timeline_record record;
        std::memset(&record, 0, sizeof record);
        record.when = end;
        record.group = track.first.first;
        record.track = track.first.second;
        for (; track.second > 0; track.second--)
            event('E', record, "");
    }
    name_tracks();
    file_.put("\n]}\n");
    file_.close();
}

} // namespace ts
