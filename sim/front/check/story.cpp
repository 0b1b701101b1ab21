// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/story.hpp"

#include "sim/front/check/run_case.hpp"
#include "sim/front/host_tasks.hpp"
#include "sim/front/output.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>

namespace ts
{
namespace
{

constexpr uint64_t page = 4096;

std::string pages_text(uint64_t offset, uint64_t length)
{
    const uint64_t first = offset / page, n = (length + page - 1) / page;
    if (n <= 1)
        return ", page " + std::to_string(first);
    return ", pages " + std::to_string(first) + " to " + std::to_string(first + n - 1);
}

const char *rights(uint32_t prot)
{
    if (prot & TS_PROT_WRITE)
        return " read and write";
    return prot & TS_PROT_READ ? " read" : " nothing";
}

std::string touch_text(const ts_op &op)
{
    std::string text = (op.flags & TS_OPF_WRITE) != 0 ? "write" : "read";
    text += " region " + std::to_string(op.region);
    if (op.stride == 0)
        return text + pages_text(op.offset, 1) +
               (op.count > 1 ? ", " + std::to_string(op.count) + " times" : "");
    return text + pages_text(op.offset, op.count * op.stride);
}

// What happens, in the order of time; calls of a run do not come so (a shootdown is told when it
// has ended).
class Telling : public CaseWatcher
{
  public:
    explicit Telling(const CheckCase &c) : case_(c)
    {
    }

    void operation(ts_time now, uint32_t vm, uint32_t thread, size_t index) override
    {
        const auto &ops = case_.script[thread];
        const std::string who = guest(vm) + "thread " + std::to_string(thread) + ": ";
        if (index > 0)
            add(now, who + "done: " + operation_text(ops[index - 1]));
        if (index < ops.size())
            add(now, who + operation_text(ops[index]));
    }
    void vmm(ts_time now, size_t index) override
    {
        if (index > 0)
            add(now, "VMM: done: " + host_operation_text(case_.vmm[index - 1]));
        if (index < case_.vmm.size())
            add(now, "VMM: " + host_operation_text(case_.vmm[index]));
    }
    void timeline(const ts_timeline_record &record) override
    {
        const auto track = std::make_pair(record.group, record.track);
        const std::string where =
            (record.group ? "VM " + std::to_string(record.group - 1) + " CPU " : "pCPU ") +
            std::to_string(record.track) + ": ";
        switch (record.kind) {
        case TS_TL_BEGIN:
            open_[track].push_back(record.name);
            add(record.when, where + record.name + " begins");
            break;
        case TS_TL_END:
            if (open_[track].empty())
                break;
            add(record.when, where + open_[track].back() + " ends");
            open_[track].pop_back();
            break;
        case TS_TL_FLOW:
            add(record.when, where + record.name + " sent (" + std::to_string(record.id) + ")");
            break;
        case TS_TL_FLOW_END:
            add(record.when, where + record.name + " handled (" + std::to_string(record.id) + ")");
            break;
        case TS_TL_INSTANT:
            add(record.when, where + record.name);
        }
    }
    void shootdown(const ts_shootdown_record &record) override
    {
        char range[64] = "everything";
        if (record.end != UINT64_MAX)
            std::snprintf(range, sizeof range, "0x%" PRIx64 " to 0x%" PRIx64, record.start,
                          record.end);
        add(record.started + record.total_ps,
            guest(record.guest) + "CPU " + std::to_string(record.initiator) + ": its flush of " +
                range + ", begun at " + time_text(record.started) + ", of " +
                std::to_string(record.targets) + " CPUs, has returned");
    }

    // The last of those up to `end`.
    std::string text(ts_time end, size_t steps)
    {
        std::stable_sort(lines_.begin(), lines_.end(),
                         [](const Line &a, const Line &b) { return a.when < b.when; });
        size_t n = 0;
        while (n < lines_.size() && lines_[n].when <= end)
            n++;
        const size_t first = n > steps ? n - steps : 0;
        std::string text;
        if (first > 0)
            text += "  (" + std::to_string(first) + " steps before)\n";
        for (size_t i = first; i < n; i++)
            text += "  " + time_text(lines_[i].when) + "  " + lines_[i].text + "\n";
        return text;
    }

  private:
    struct Line {
        ts_time when;
        std::string text;
    };
    // Nanoseconds, so that lines stand in columns.
    static std::string time_text(ts_time when)
    {
        char text[40];
        std::snprintf(text, sizeof text, "%12.3f ns", static_cast<double>(when) * 1e-3);
        return text;
    }
    std::string guest(uint32_t vm) const
    {
        return "VM " + std::to_string(vm) + " ";
    }
    void add(ts_time when, std::string text)
    {
        lines_.push_back({when, std::move(text)});
    }

    const CheckCase &case_;
    std::vector<Line> lines_;
    std::map<std::pair<uint32_t, uint32_t>, std::vector<std::string>> open_;
};

// "... at 123 ps: ..." of a finding; else never.
ts_time time_of(const std::string &message)
{
    const size_t end = message.find(" ps");
    const size_t begin = message.rfind(" at ", end);
    if (end == std::string::npos || begin == std::string::npos)
        return TS_TIME_NEVER;
    return std::strtoull(message.c_str() + begin + 4, nullptr, 10);
}

} // namespace

std::string operation_text(const ts_op &op)
{
    const std::string region = " region " + std::to_string(op.region);
    const std::string range = region + pages_text(op.offset, op.length);
    switch (op.kind) {
    case TS_OP_MMAP:
        return "mmap" + region + ", " + std::to_string(op.length / page) + " pages";
    case TS_OP_MUNMAP:
        return "munmap" + range;
    case TS_OP_MPROTECT:
        return "mprotect" + range + " to" + rights(op.prot);
    case TS_OP_MADVISE_DONTNEED:
        return "madvise(DONTNEED)" + range;
    case TS_OP_MREMAP:
        return "mremap" + range + " to region " + std::to_string(op.target) + ", " +
               std::to_string(op.length2 / page) + " pages";
    case TS_OP_TOUCH:
        return touch_text(op);
    case TS_OP_COMPUTE:
        return "compute " + std::to_string(op.length) + " ns";
    case TS_OP_SLEEP:
        return "sleep " + std::to_string(op.length) + " ns";
    case TS_OP_SPAWN:
        return "start thread " + std::to_string(op.target) +
               ((op.flags & TS_OPF_NEW_MM) != 0 ? " in a process of its own" : "");
    case TS_OP_BARRIER:
        return "barrier " + std::to_string(op.region) + " of " + std::to_string(op.count);
    default:
        return "operation " + std::to_string(op.kind) + region;
    }
}

namespace
{

// What the mechanism is set to, where it is not the default.
std::string params_text(const CheckCase &c)
{
    std::string text;
    if (c.params.empty())
        return text;
    std::vector<uint64_t> defaults(c.params.size());
    ts_param_defaults(c.mechanism->params, defaults.data());
    for (size_t i = 0; i < c.mechanism->params->nrows; i++) {
        const ts_param &row = c.mechanism->params->rows[i];
        const size_t at = row.offset / sizeof(uint64_t);
        char value[64];
        if (c.params[at] == defaults[at])
            continue;
        ts_param_format(&row, c.params[at], value, sizeof value);
        text += std::string(" flush.") + c.mechanism->name + "." + row.key + "=" + value;
    }
    return text;
}

} // namespace

static std::string put_off_text(const PutOff &p)
{
    char line[200];
    const std::string who =
        p.kind == TS_STEP_MESSAGE ? "an interrupt to pCPU " + std::to_string(p.address)
        : p.group == 0            ? "pCPU " + std::to_string(p.cpu)
                       : "vCPU " + std::to_string(p.cpu) + " of VM " + std::to_string(p.group - 1);
    static const char *const before[] = {"before it takes a line", "before it uses its memory",
                                         "before it changes page tables",
                                         "before its stores are seen", "is late"};
    std::snprintf(line, sizeof line, "at %.3f us (step %u) %s %s%s, for %.3f us",
                  static_cast<double>(p.at) * 1e-6, p.step, who.c_str(),
                  p.kind == TS_STEP_MESSAGE ? ""
                  : p.preempts              ? "is preempted "
                                            : "stands still ",
                  before[p.kind], static_cast<double>(p.ps) * 1e-6);
    return line;
}

std::string case_text(const CheckCase &c)
{
    std::string text = "  mechanism " + std::string(c.mechanism->name) + ", seed " +
                       std::to_string(c.seed) + "\n  machine:";
    for (const CaseSetting &setting : c.settings)
        text += " " + setting.key + "=" + setting.value;
    text += params_text(c) + "\n";
    if (c.noise_every_ps)
        text += "  each pCPU is interrupted by a thread of the host every " +
                std::to_string(c.noise_every_ps / TS_NS) + " ns for " +
                std::to_string(c.noise_work_ps / TS_NS) + " ns (means)\n";
    if (c.stall_steps)
        text += "  every " + std::to_string(c.stall_steps) + "th step a CPU stands still for " +
                std::to_string(c.stall_ps / TS_NS) + " ns (means)\n";
    if (c.walk_steps)
        text += "  every " + std::to_string(c.walk_steps) +
                "th step (mean) some CPU walks by itself for a page that has been used\n";
    if (!c.vmm.empty())
        text += "  a thread of the VMM:\n";
    for (const ts_host_op &op : c.vmm)
        text += "    " + host_operation_text(op) + "\n";
    for (const PutOff &p : c.put_off)
        text += "  " + put_off_text(p) + "\n";
    for (size_t t = 0; t < c.script.size(); t++) {
        if (c.script[t].empty())
            continue;
        text += "  thread " + std::to_string(t) +
                (t < c.initial ? ":\n" : " (begins when it is started):\n");
        for (const ts_op &op : c.script[t])
            text += "    " + operation_text(op) + "\n";
    }
    return text;
}

std::string story_text(const CheckCase &c, size_t steps)
{
    const CaseResult apart = run_case_apart(c);
    if (apart.kind == FindingKind::Crash)
        return "  " + apart.message + "\n";
    Telling telling(c);
    const CaseResult result = run_case(c, &telling);
    return telling.text(time_of(result.message), steps) + "  " + result.message + "\n";
}

} // namespace ts
