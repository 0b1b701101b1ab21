// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/orders.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>
#include <unordered_map>

namespace ts
{
namespace
{

using Clock = std::chrono::steady_clock;
using Plan = std::vector<PutOff>;

// A step is put off until this long after the one it conflicts with has begun: the line has come
// to that one first.
constexpr uint64_t behind_ps = 50 * TS_NS;
// A thread of the host comes to run that much later than it wakes up, and goes as late.
constexpr uint64_t switch_ps = 2 * TS_US;
// Of one other CPU, so many conflicts are looked at, no further away than this.
constexpr size_t conflicts_max = 2;
constexpr uint64_t window_ps = 200 * TS_US;

using Actor = std::pair<uint32_t, uint32_t>;

Actor actor_of(const ts_step &s)
{
    return s.kind == TS_STEP_MESSAGE ? Actor{UINT32_MAX, static_cast<uint32_t>(s.start)}
                                     : Actor{s.group, s.cpu};
}

// Of a shared word. What a barrier ends is a store that others see from then on.
bool of_line(const ts_step &s)
{
    return s.kind == TS_STEP_LINE || s.kind == TS_STEP_BARRIER;
}

// Software's steps at the CPU that a message comes to.
bool meets_message(const ts_step &message, const ts_step &s)
{
    return message.kind == TS_STEP_MESSAGE && s.kind != TS_STEP_MESSAGE && s.pcpu == message.start;
}

bool conflict(const ts_step &a, const ts_step &b)
{
    if (actor_of(a) == actor_of(b))
        return false;
    if (a.kind == TS_STEP_MESSAGE || b.kind == TS_STEP_MESSAGE)
        return meets_message(a, b) || meets_message(b, a);
    if (of_line(a) != of_line(b) || a.object != b.object)
        return false;
    if (!of_line(a) && (a.start >= b.end || b.start >= a.end))
        return false;
    return a.write || b.write;
}

PutOff put_off(const ts_step &s, size_t index, uint64_t ps, bool preempts)
{
    PutOff p;
    p.step = static_cast<uint32_t>(index);
    p.preempts = preempts;
    p.ps = ps;
    p.at = s.now;
    p.pcpu = s.pcpu;
    p.kind = s.kind;
    p.group = s.group;
    p.cpu = s.cpu;
    p.address = s.start;
    return p;
}

void mix(uint64_t *hash, uint64_t value)
{
    *hash ^= value + 0x9e3779b97f4a7c15u + (*hash << 6) + (*hash >> 2);
    *hash *= 0xff51afd7ed558ccdu;
    *hash ^= *hash >> 32;
}

// One step of an object: who, which of that CPU's steps, and how.
struct Access {
    Actor actor;
    uint64_t index;
    bool write;
    bool operator<(const Access &other) const
    {
        return std::tie(actor, index) < std::tie(other.actor, other.index);
    }
};

// Their numbers in the order in which they are done: a message is told when it is sent, and a step
// that is put off before those that come first.
std::vector<size_t> in_time(const std::vector<ts_step> &steps)
{
    std::vector<size_t> order(steps.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return steps[a].now < steps[b].now; });
    return order;
}

// Reads that follow each other are in no order.
uint64_t hash_of(std::vector<Access> accesses)
{
    uint64_t hash = 0;
    for (auto begin = accesses.begin(); begin != accesses.end();) {
        auto end = begin + 1;
        if (!begin->write)
            end = std::find_if(begin, accesses.end(), [](const Access &a) { return a.write; });
        std::sort(begin, end);
        for (; begin != end; ++begin) {
            mix(&hash, uint64_t{begin->actor.first} << 32 | begin->actor.second);
            mix(&hash, begin->index * 2 + begin->write);
        }
    }
    return hash;
}

} // namespace

std::vector<PutOff> reversals(const std::vector<ts_step> &steps, size_t after, bool may_preempt)
{
    std::vector<PutOff> all;
    const std::vector<size_t> done = in_time(steps);
    for (size_t place = 0; place < done.size(); place++) {
        const size_t i = done[place];
        const ts_step &first = steps[i];
        if (i < after)
            continue;
        std::map<Actor, size_t> seen;
        uint64_t last = 0;
        for (size_t later = place + 1; later < done.size(); later++) {
            const ts_step &second = steps[done[later]];
            if (second.now > first.now + window_ps)
                break;
            if (!conflict(first, second) || seen[actor_of(second)]++ >= conflicts_max)
                continue;
            last = second.now - first.now + behind_ps;
            all.push_back(put_off(first, i, last, false));
        }
        if (last > 0 && may_preempt && first.group > 0 && first.kind != TS_STEP_MESSAGE)
            all.push_back(put_off(first, i, last + switch_ps, true));
    }
    return all;
}

uint64_t order_of(const std::vector<ts_step> &steps)
{
    std::map<std::pair<bool, const void *>, std::vector<Access>> objects;
    std::map<Actor, uint64_t> counts;
    std::map<uint32_t, std::vector<Access>> messages; // by pCPU
    for (const size_t i : in_time(steps)) {
        const ts_step &s = steps[i];
        const Access access{actor_of(s), counts[actor_of(s)]++, s.write};
        if (s.kind == TS_STEP_MESSAGE) {
            messages[static_cast<uint32_t>(s.start)].push_back(access);
            continue;
        }
        objects[{of_line(s), s.object}].push_back(access);
        Access at_cpu = access;
        at_cpu.write = true; // a CPU's steps are in the order of its program
        messages[s.pcpu].push_back(at_cpu);
    }
    // An object is known by what is done to it, not by where it lies.
    uint64_t sum = 0;
    for (const auto &object : objects)
        sum += hash_of(object.second);
    for (const auto &at : messages) {
        // How many messages had come before each step of the CPU.
        uint64_t hash = at.first, before = 0;
        for (const Access &a : at.second) {
            if (a.actor.first == UINT32_MAX)
                before++;
            else if (before > 0) {
                mix(&hash, a.index);
                mix(&hash, before);
                before = 0;
            }
        }
        sum += hash;
    }
    return sum;
}

namespace
{

// What a process says of a run.
struct Head {
    uint64_t index;
    FindingKind kind;
    CaseCounts counts;
    uint64_t order;
    uint64_t children;
};

struct FileClose {
    void operator()(FILE *file) const
    {
        std::fclose(file);
    }
};
using File = std::unique_ptr<FILE, FileClose>;

struct Level {
    const CheckCase &c;
    const std::vector<Plan> &plans;
    const OrdersSettings &settings;
    bool last; // what comes of these is not gone into
    bool may_preempt;
};

CheckCase with(const CheckCase &c, const Plan &plan)
{
    CheckCase out = c;
    out.watched = true;
    out.put_off = plan;
    return out;
}

Plan and_then(const Plan &plan, const PutOff &child)
{
    Plan longer;
    longer.reserve(plan.size() + 1);
    longer = plan;
    longer.push_back(child);
    return longer;
}

// The first step that may be put off beside those of the plan.
size_t first_after(const Plan &plan)
{
    return plan.empty() ? 0 : plan.back().step + 1;
}

// Every jobs'th plan, until one finds something.
void run_plans(const Level &level, unsigned worker, FILE *to)
{
    CheckCase c = with(level.c, {});
    std::vector<ts_step> steps;
    for (size_t i = worker; i < level.plans.size(); i += level.settings.jobs) {
        if (Clock::now() >= level.settings.until)
            break;
        const Plan &plan = level.plans[i];
        c.put_off = plan;
        steps.clear();
        const CaseResult result = run_case(c, nullptr, &steps);
        std::vector<PutOff> children;
        if (!level.last)
            children = reversals(steps, first_after(plan), level.may_preempt);
        const Head head{i, result.kind, result.counts, order_of(steps), children.size()};
        std::fwrite(&head, sizeof head, 1, to);
        if (!children.empty())
            std::fwrite(children.data(), sizeof(PutOff), children.size(), to);
        std::fflush(to);
        if (result.kind != FindingKind::None)
            break;
    }
}

struct Ran {
    Head head{};
    std::vector<PutOff> children;
};

// In order, as far as they have been run; one that broke an invariant of the model is the last.
std::vector<std::optional<Ran>> run_level(const Level &level)
{
    const unsigned jobs = level.settings.jobs;
    std::vector<File> files;
    std::vector<pid_t> pids;
    std::vector<std::optional<Ran>> all(level.plans.size());
    for (unsigned w = 0; w < jobs; w++) {
        files.emplace_back(std::tmpfile());
        if (!files.back())
            environment_error("cannot make a temporary file");
        const pid_t pid = fork();
        if (pid < 0)
            environment_error("cannot start a process");
        if (pid == 0) {
            if (!std::freopen("/dev/null", "w", stderr))
                _exit(2);
            try {
                run_plans(level, w, files.back().get());
            } catch (const std::exception &) {
                _exit(2); // the parent meets the same error
            }
            _exit(0);
        }
        pids.push_back(pid);
    }
    for (unsigned w = 0; w < jobs; w++) {
        int status = 0;
        waitpid(pids[w], &status, 0);
        FILE *file = files[w].get();
        std::rewind(file);
        size_t next = w;
        for (Ran ran; std::fread(&ran.head, sizeof ran.head, 1, file) == 1; next += jobs) {
            ran.children.resize(ran.head.children);
            if (!ran.children.empty() &&
                std::fread(ran.children.data(), sizeof(PutOff), ran.children.size(), file) !=
                    ran.children.size())
                environment_error("a temporary file is cut: is its file system full?");
            all[ran.head.index] = std::move(ran);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (WIFEXITED(status))
            (void)run_case(with(level.c, level.plans.at(next)));
        Ran crashed;
        crashed.head.index = next;
        crashed.head.kind = FindingKind::Crash;
        all.at(next) = crashed;
    }
    return all;
}

} // namespace

OrdersResult explore(const CheckCase &c, const OrdersSettings &settings)
{
    OrdersResult result;
    std::unordered_map<uint64_t, size_t>
        seen; // orders, and from which step on they are gone on from
    std::vector<Plan> plans = {{}};
    const bool may_preempt = case_config(c).hypervisor.kind != TS_HYP_NONE;
    for (size_t depth = 0; depth <= settings.put_offs && !plans.empty(); depth++) {
        if (plans.size() > settings.runs - result.runs) {
            plans.resize(settings.runs - result.runs);
            result.cut = true;
        }
        const Level level{c, plans, settings, depth == settings.put_offs, may_preempt};
        std::vector<Plan> next;
        for (const std::optional<Ran> &ran : run_level(level)) {
            if (!ran) {
                result.cut = true; // its time is over
                break;
            }
            result.runs++;
            result.counts += ran->head.counts;
            const Plan &plan = plans[ran->head.index];
            if (ran->head.kind != FindingKind::None) {
                result.found = with(c, plan);
                result.finding = run_case_apart(*result.found);
                result.orders = seen.size() + 1;
                return result;
            }
            size_t &from = seen.emplace(ran->head.order, SIZE_MAX).first->second;
            for (const PutOff &child : ran->children) {
                if (next.size() > settings.runs)
                    break; // more than can be run
                if (child.step < from)
                    next.push_back(and_then(plan, child));
            }
            from = std::min(from, first_after(plan));
        }
        result.orders = seen.size();
        if (result.cut)
            return result;
        result.complete = depth;
        plans = std::move(next);
    }
    result.complete = settings.put_offs;
    return result;
}

} // namespace ts
