// SPDX-License-Identifier: Apache-2.0
#include "sim/front/timeline.hpp"

#include "sim/front/keys.hpp"

#include <algorithm>

namespace ts
{
namespace
{

const char shootdown_name[] = "shootdown";

TimelineArguments arguments_of(uint64_t id)
{
    return id != 0 ? TimelineArguments{{"id", id}} : TimelineArguments{};
}

std::vector<std::unique_ptr<TimelineWriter>> only_chrome(const std::string &path)
{
    std::vector<std::unique_ptr<TimelineWriter>> writers;
    writers.push_back(chrome_timeline(path));
    return writers;
}

ts_time end_of_window(const std::string &text, ts_time missing)
{
    return text.empty() ? missing : time_need("--timeline-window", text, 0);
}

} // namespace

TimelineWindow timeline_window_parse(const std::string &text)
{
    const size_t dots = text.find("..");
    if (dots == std::string::npos)
        user_error(Place(), "--timeline-window " + text +
                                ": two times with .. between them are "
                                "wanted, such as 2ms..2500us");
    TimelineWindow window;
    window.from = end_of_window(text.substr(0, dots), 0);
    window.to = end_of_window(text.substr(dots + 2), TS_TIME_NEVER);
    if (window.from >= window.to)
        user_error(Place(), "--timeline-window " + text + ": it ends before it begins");
    return window;
}

std::string timeline_window_text(const TimelineWindow &window)
{
    return std::to_string(window.from) + ".." +
           (window.to == TS_TIME_NEVER ? std::string() : std::to_string(window.to)) + " ps";
}

std::string timeline_group_name(uint32_t group)
{
    return group == 0 ? "host" : "guest " + std::to_string(group - 1);
}

std::string timeline_track_name(TimelineTrack track)
{
    return (track.first == 0 ? "pCPU " : "vCPU ") + std::to_string(track.second);
}

TimelineFile::TimelineFile(const std::string &chrome_path)
    : TimelineFile(only_chrome(chrome_path), TimelineWindow{})
{
}

TimelineFile::TimelineFile(std::vector<std::unique_ptr<TimelineWriter>> writers,
                           const TimelineWindow &window)
    : writers_(std::move(writers)), window_(window)
{
}

void TimelineFile::record(void *user, const ts_timeline_record *record)
{
    static_cast<TimelineFile *>(user)->add(*record);
}

void TimelineFile::shootdown(const ts_shootdown_record &record)
{
    Track &track = tracks_[{record.guest + 1, record.initiator}];
    track.closing = {{"number", record.number}, {"targets", record.targets}};
    if (record.end != UINT64_MAX)
        track.closing.push_back({"pages", (record.end - record.start) >> 12});
    if (record.last_target != UINT32_MAX)
        track.closing.push_back({"last_target", record.last_target});
    if (record.freed_tables)
        track.closing.push_back({"freed_tables", 1});
}

// Slices are followed before the window, too: those that are open there begin with it.
void TimelineFile::add(const ts_timeline_record &record)
{
    if (stopped_)
        return;
    if (record.when > window_.to) {
        stop(window_.to);
        return;
    }
    const TimelineTrack place{record.group, record.track};
    Track &track = tracks_[place];
    if (record.when < window_.from) {
        follow(&track, record);
        return;
    }
    start(window_.from);
    if (records_++ >= window_.records_max) {
        for (const auto &writer : writers_)
            writer->instant(place, record.when, "the timeline ends: too many records", {});
        stop(record.when);
        return;
    }
    write(place, &track, record);
    follow(&track, record);
}

void TimelineFile::follow(Track *track, const ts_timeline_record &record)
{
    if (record.kind == TS_TL_BEGIN)
        track->open.push_back({record.name, record.id});
    if (record.kind != TS_TL_END || track->open.empty())
        return;
    if (track->open.back().name == std::string(shootdown_name))
        track->closing.clear();
    track->open.pop_back();
}

void TimelineFile::count(uint32_t group, const char *name, ts_time when, int change)
{
    uint64_t &value = counters_[group];
    value = change > 0 ? value + 1 : value - 1;
    for (const auto &writer : writers_)
        writer->counter(group, when, name, value);
}

void TimelineFile::write(TimelineTrack place, Track *track, const ts_timeline_record &record)
{
    const char *name = record.name ? record.name : "";
    const bool host = place.first == 0;
    const char *counter = host ? "pCPUs that run a vCPU" : "shootdowns under way";
    for (const auto &writer : writers_) {
        switch (record.kind) {
        case TS_TL_BEGIN:
            writer->begin(place, record.when, name, arguments_of(record.id));
            break;
        case TS_TL_END:
            // The slice may have opened before recording began.
            if (!track->open.empty())
                writer->end(place, record.when, track->closing); // a shootdown's, else none
            break;
        case TS_TL_INSTANT:
            writer->instant(place, record.when, name, arguments_of(record.id));
            break;
        case TS_TL_FLOW:
        case TS_TL_FLOW_END:
            writer->flow(place, record.when, name, record.id, record.kind == TS_TL_FLOW);
            break;
        }
    }
    const auto counts = [&](const Slice &slice) {
        return host ? track->open.size() == (record.kind == TS_TL_END)
                    : slice.name == std::string(shootdown_name);
    };
    if (record.kind == TS_TL_BEGIN && counts({name, 0}))
        count(place.first, counter, record.when, 1);
    if (record.kind == TS_TL_END && !track->open.empty() && counts(track->open.back()))
        count(place.first, counter, record.when, -1);
}

void TimelineFile::start(ts_time when)
{
    if (started_)
        return;
    started_ = true;
    for (auto &entry : tracks_) {
        std::vector<Slice> open;
        open.swap(entry.second.open);
        for (const Slice &slice : open) {
            const ts_timeline_record record{
                when, TS_TL_BEGIN, entry.first.first, entry.first.second, slice.name, slice.id};
            write(entry.first, &entry.second, record);
            follow(&entry.second, record);
        }
    }
}

void TimelineFile::stop(ts_time when)
{
    if (stopped_)
        return;
    start(std::min(when, window_.from));
    stopped_ = true;
    for (auto &entry : tracks_)
        for (; !entry.second.open.empty(); entry.second.open.pop_back())
            for (const auto &writer : writers_)
                writer->end(entry.first, when, {});
}

void TimelineFile::close(ts_time end)
{
    stop(std::min(end, window_.to));
    std::vector<TimelineTrack> tracks;
    for (const auto &entry : tracks_)
        tracks.push_back(entry.first);
    for (const auto &writer : writers_)
        writer->close(tracks);
}

} // namespace ts
