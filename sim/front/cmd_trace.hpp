// SPDX-License-Identifier: Apache-2.0
// `tlbstorm trace ...`: what recordings hold, as text, and against a run.
#ifndef TS_SIM_FRONT_CMD_TRACE_HPP
#define TS_SIM_FRONT_CMD_TRACE_HPP

#include "sim/front/trace.hpp"
#include "workloads/trace_info.h"

#include <functional>
#include <memory>
#include <string>

namespace CLI
{
class App;
}

namespace ts
{

struct TraceCommand {
    std::string path; // file, folder of strace -ff, or "-"
    std::string output = "-";
    std::string folder; // of results
    bool json = false;
    bool strict = false;
    uint64_t lines = 10;
};
void command_trace_info(const TraceCommand &command);
void command_trace_convert(const TraceCommand &command);
void command_trace_head(const TraceCommand &command);
void command_trace_validate(const TraceCommand &command);
void command_trace_stats(const TraceCommand &command);
void command_trace_compare(const TraceCommand &command);

// Reads all of it. text: as in struct ts_trace_reading; throws.
using TraceText = std::function<void(const char *line, size_t size)>;
std::unique_ptr<ts_trace_info> trace_info(TraceReader *reader, bool strict,
                                          const TraceText &text = nullptr, uint64_t records = 0);
// What is left out or had to be assumed, in words; empty if nothing. *contradicts becomes true
// where the recording contradicts itself.
std::string losses_text(const ts_trace_info &info, bool *contradicts);

// The subcommand with all of its own; they run from CLI11's callbacks.
class TraceCommands
{
  public:
    explicit TraceCommands(CLI::App *app);
    // The one that was given, if any.
    void execute() const;

  private:
    TraceCommand command_;
    CLI::App *info_, *convert_, *head_, *validate_, *stats_, *compare_;
};

} // namespace ts

#endif
