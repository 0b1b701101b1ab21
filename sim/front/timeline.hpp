// SPDX-License-Identifier: Apache-2.0
// timeline.json: what Perfetto and chrome://tracing draw. A process a group (the host, each guest),
// a thread a CPU.
#ifndef TS_SIM_FRONT_TIMELINE_HPP
#define TS_SIM_FRONT_TIMELINE_HPP

#include "sim/front/output.hpp"
#include "sim/timeline.h"

#include <map>
#include <string>
#include <utility>

namespace ts
{

class TimelineFile
{
  public:
    explicit TimelineFile(const std::string &path);
    // A ts_timeline_fn; user is the object. Records come in time order.
    static void record(void *user, const ts_timeline_record *record);
    // Closes what is open at the time `end` and the file.
    void close(ts_time end);

  private:
    void add(const ts_timeline_record &record);
    void event(char phase, const ts_timeline_record &record, const char *extra);
    void name_tracks();

    OutputFile file_;
    // Open slices of each (group, track) that has had a record.
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> tracks_;
    bool first_ = true;
};

} // namespace ts

#endif
