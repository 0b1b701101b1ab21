// SPDX-License-Identifier: Apache-2.0
// A file format of timelines. The caller keeps slices balanced and times in order.
#ifndef TS_SIM_FRONT_TIMELINE_WRITER_HPP
#define TS_SIM_FRONT_TIMELINE_WRITER_HPP

#include "sim/base.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ts
{

// Group 0 is the host, v + 1 VM v; then the number of the CPU in it.
using TimelineTrack = std::pair<uint32_t, uint32_t>;

struct TimelineArgument {
    const char *name;
    uint64_t value;
};
using TimelineArguments = std::vector<TimelineArgument>;

class TimelineWriter
{
  public:
    virtual ~TimelineWriter() = default;
    virtual void begin(TimelineTrack track, ts_time when, const char *name,
                       const TimelineArguments &arguments) = 0;
    // The innermost open slice of the track.
    virtual void end(TimelineTrack track, ts_time when, const TimelineArguments &arguments) = 0;
    virtual void instant(TimelineTrack track, ts_time when, const char *name,
                         const TimelineArguments &arguments) = 0;
    // One end of an arrow. start: where it begins; ids of arrows differ.
    virtual void flow(TimelineTrack track, ts_time when, const char *name, uint64_t id,
                      bool start) = 0;
    // A number of the group from now on. name lives as long as the writer.
    virtual void counter(uint32_t group, ts_time when, const char *name, uint64_t value) = 0;
    // All tracks that had records. Ends the file; its errors are thrown.
    virtual void close(const std::vector<TimelineTrack> &tracks) = 0;
};

// What tracks and groups are called: "host", "guest 0"; "pCPU 3", "vCPU 3".
std::string timeline_group_name(uint32_t group);
std::string timeline_track_name(TimelineTrack track);

// JSON of Chrome's trace viewer ("Trace Event Format"), which Perfetto and others read, too. Times
// are microseconds with three digits: whole nanoseconds.
std::unique_ptr<TimelineWriter> chrome_timeline(const std::string &path);
// Perfetto's own format (protos/perfetto/trace of google/perfetto), smaller, and without the limits
// of its viewer's JSON reader. Whole nanoseconds.
std::unique_ptr<TimelineWriter> perfetto_timeline(const std::string &path);

} // namespace ts

#endif
