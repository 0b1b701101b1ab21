// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/shrink.hpp"

#include <algorithm>
#include <string>

namespace ts
{
namespace
{

constexpr uint64_t page = 4096;

class Shrinker
{
  public:
    Shrinker(const CheckCase &c, const std::function<bool(const CheckCase &)> &finds,
             size_t max_runs)
        : best_(c), finds_(finds), left_(max_runs), max_(max_runs)
    {
    }

    Shrunk run()
    {
        denser(); // what does not matter goes once there is little left
        bool smaller = true;
        while (smaller && left_ > 0) {
            smaller = barriers();
            smaller |= threads();
            smaller |= operations();
            smaller |= host();
            smaller |= settings();
            smaller |= params();
            smaller |= numbers();
        }
        return {best_, max_ - left_};
    }

  private:
    bool keep(const CheckCase &candidate)
    {
        CheckCase next = candidate;
        // What is shorter meets interruptions at other moments: they get some chances.
        const uint64_t variants =
            next.noise_every_ps || next.stall_steps || next.walk_steps ? 5 : 1;
        for (uint64_t v = 0; v < variants && left_ > 0; v++) {
            next.noise_variant = candidate.noise_variant + v;
            left_--;
            if (!finds_(next))
                continue;
            best_ = next;
            return true;
        }
        return false;
    }

    // Runs of a list of the case, which `of` gives: all, halves, down to one by one.
    template <typename Of> bool shorten(const Of &of)
    {
        bool smaller = false;
        for (size_t length = of(best_).size(); length > 0; length /= 2)
            for (size_t at = 0; at < of(best_).size();) {
                CheckCase next = best_;
                auto &ops = of(next);
                const size_t end = std::min(at + length, ops.size());
                ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(at),
                          ops.begin() + static_cast<std::ptrdiff_t>(end));
                if (keep(next))
                    smaller = true;
                else
                    at += length;
            }
        return smaller;
    }

    // One barrier at a time, with all that meet there: a thread alone would wait for ever.
    bool barriers()
    {
        std::vector<uint32_t> numbers;
        for (const auto &ops : best_.script)
            for (const ts_op &op : ops)
                if (op.kind == TS_OP_BARRIER)
                    numbers.push_back(op.region);
        std::sort(numbers.begin(), numbers.end());
        numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
        bool smaller = false;
        for (const uint32_t number : numbers) {
            CheckCase next = best_;
            for (auto &ops : next.script)
                ops.erase(std::remove_if(ops.begin(), ops.end(),
                                         [&](const ts_op &op) {
                                             return op.kind == TS_OP_BARRIER && op.region == number;
                                         }),
                          ops.end());
            smaller |= keep(next);
        }
        return smaller;
    }

    // Of one thread, or of two: one may wait for what the other makes.
    bool threads()
    {
        bool smaller = false;
        for (size_t t = 0; t < best_.script.size(); t++)
            for (size_t u = t; u < best_.script.size(); u++) {
                if (best_.script[t].empty() || best_.script[u].empty())
                    continue;
                CheckCase next = best_;
                next.script[t].clear();
                next.script[u].clear();
                smaller |= keep(next);
            }
        return smaller;
    }

    bool operations()
    {
        bool smaller = false;
        for (size_t t = 0; t < best_.script.size(); t++)
            smaller |= shorten([t](CheckCase & c) -> auto & { return c.script[t]; });
        return smaller;
    }

    // Without interruptions, without standing still, and without what the VMM does.
    bool host()
    {
        CheckCase next = best_;
        next.noise_every_ps = next.noise_work_ps = 0;
        bool smaller = best_.noise_every_ps != 0 && keep(next);
        next = best_;
        next.stall_steps = next.stall_ps = 0;
        smaller |= best_.stall_steps != 0 && keep(next);
        next = best_;
        next.walk_steps = 0;
        smaller |= best_.walk_steps != 0 && keep(next);
        return smaller | shorten([](CheckCase & c) -> auto & { return c.vmm; });
    }

    // What needs an interruption at the right moment needs it with fewer operations, too: with more
    // of them one comes soon. So it is with steps at which a CPU stands still, or walks.
    void denser()
    {
        CheckCase next = best_;
        next.walk_steps = 1;
        if (best_.walk_steps > 1)
            keep(next);
        next = best_;
        next.stall_steps = 4;
        if (best_.stall_steps > 4)
            keep(next);
        for (const uint64_t every : {4 * TS_US, 12 * TS_US, 40 * TS_US}) {
            next = best_;
            next.noise_every_ps = every;
            next.noise_work_ps = every / 2;
            if (next.noise_every_ps < best_.noise_every_ps && keep(next))
                return;
        }
    }

    // The mechanism as it is by default.
    bool params()
    {
        if (best_.params.empty())
            return false;
        CheckCase next = best_;
        next.params.clear();
        return keep(next);
    }

    // A setting away: its parameter has the value of the machine that it is laid over.
    bool settings()
    {
        bool smaller = false;
        for (size_t i = 0; i < best_.settings.size();) {
            CheckCase next = best_;
            next.settings.erase(next.settings.begin() + static_cast<std::ptrdiff_t>(i));
            if (is_kept(best_.settings[i].key) || !keep(next))
                i++;
            else
                smaller = true;
        }
        for (CaseSetting &setting : counts())
            smaller |= lower(setting);
        return smaller;
    }

    // Without the watchdogs or the oracle nothing is found.
    static bool is_kept(const std::string &key)
    {
        return key == "run.oracle" || key == "run.limit" || key == "run.progress" || is_count(key);
    }
    // Their defaults are no small machine's.
    static bool is_count(const std::string &key)
    {
        return key == "topology.sockets" || key == "topology.cores_per_socket" ||
               key == "topology.threads_per_core" || key == "run.vms" || key == "run.vcpus";
    }
    std::vector<CaseSetting> counts() const
    {
        std::vector<CaseSetting> found;
        for (const CaseSetting &setting : best_.settings)
            if (is_count(setting.key))
                found.push_back(setting);
        return found;
    }
    bool lower(const CaseSetting &setting)
    {
        const unsigned long now = std::stoul(setting.value);
        for (unsigned long n = 1; n < now; n++) {
            CheckCase next = best_;
            for (CaseSetting &s : next.settings)
                if (s.key == setting.key)
                    s.value = std::to_string(n);
            if (keep(next))
                return true;
        }
        return false;
    }

    bool numbers()
    {
        bool smaller = false;
        for (size_t t = 0; t < best_.script.size(); t++)
            for (size_t i = 0; i < best_.script[t].size(); i++)
                smaller |= number(t, i);
        return smaller;
    }
    // To the least, or by half.
    bool number(size_t t, size_t i)
    {
        const ts_op op = best_.script[t][i];
        if (op.kind == TS_OP_TOUCH)
            return reduce(t, i, &ts_op::count, 1);
        if (op.kind == TS_OP_COMPUTE || op.kind == TS_OP_SLEEP)
            return reduce(t, i, &ts_op::length, 0);
        if (op.kind == TS_OP_BARRIER || op.kind == TS_OP_SPAWN)
            return false;
        return reduce(t, i, &ts_op::length, page);
    }
    bool reduce(size_t t, size_t i, uint64_t ts_op::*field, uint64_t least)
    {
        const uint64_t now = best_.script[t][i].*field;
        const uint64_t unit = least == page ? page : 1;
        for (const uint64_t to : {least, now / 2 / unit * unit}) {
            if (to < least || to >= now)
                continue;
            CheckCase next = best_;
            next.script[t][i].*field = to;
            if (keep(next))
                return true;
        }
        return false;
    }

    CheckCase best_;
    const std::function<bool(const CheckCase &)> &finds_;
    size_t left_, max_;
};

} // namespace

Shrunk shrink(const CheckCase &c, const std::function<bool(const CheckCase &)> &finds,
              size_t max_runs)
{
    return Shrinker(c, finds, max_runs).run();
}

size_t operations_of(const CheckCase &c)
{
    size_t n = c.vmm.size();
    for (const auto &ops : c.script)
        n += ops.size();
    return n;
}

} // namespace ts
