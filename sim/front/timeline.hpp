// SPDX-License-Identifier: Apache-2.0
// What CPUs did, for viewers: from the models' records to files of two formats, within a window of
// time and up to a size.
#ifndef TS_SIM_FRONT_TIMELINE_HPP
#define TS_SIM_FRONT_TIMELINE_HPP

#include "models/guest/coherence/record.h"
#include "sim/front/timeline_writer.hpp"
#include "sim/timeline.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ts
{

struct TimelineWindow {
    ts_time from = 0, to = TS_TIME_NEVER;
    uint64_t records_max = 4000000; // then it ends as at `to`, with a mark: viewers hold so much
};
// "2ms..2500us"; either end may be left out. A user error if it is none, or empty.
TimelineWindow timeline_window_parse(const std::string &text);
std::string timeline_window_text(const TimelineWindow &window);

class TimelineFile
{
  public:
    explicit TimelineFile(const std::string &chrome_path);
    TimelineFile(std::vector<std::unique_ptr<TimelineWriter>> writers,
                 const TimelineWindow &window);

    // A ts_timeline_fn; user is the object. Records come in time order.
    static void record(void *user, const ts_timeline_record *record);
    // The slice "shootdown" that closes next on the initiator's track is this one.
    void shootdown(const ts_shootdown_record &record);
    // Closes what is open at the time `end`, and the files.
    void close(ts_time end);

  private:
    struct Slice {
        const char *name;
        uint64_t id;
    };
    struct Track {
        std::vector<Slice> open;
        TimelineArguments closing; // of the slice that closes next
    };

    void add(const ts_timeline_record &record);
    void follow(Track *track, const ts_timeline_record &record);
    void write(TimelineTrack place, Track *track, const ts_timeline_record &record);
    void start(ts_time when);
    void stop(ts_time when);
    void count(uint32_t group, const char *name, ts_time when, int change);

    std::vector<std::unique_ptr<TimelineWriter>> writers_;
    TimelineWindow window_;
    uint64_t records_ = 0;
    bool started_ = false, stopped_ = false;
    std::map<TimelineTrack, Track> tracks_;
    std::map<uint32_t, uint64_t> counters_; // a group has one
};

} // namespace ts

#endif
