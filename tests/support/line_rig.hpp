/* SPDX-License-Identifier: Apache-2.0 */
/* A network with a line system, and accesses that tests can follow. */
#ifndef TS_TESTS_LINE_RIG_HPP
#define TS_TESTS_LINE_RIG_HPP

#include "models/line/line.h"
#include "sim/clock.h"
#include "tests/support/network_rig.hpp"

#include <deque>
#include <functional>
#include <utility>

namespace rig
{

class Lines
{
  public:
    Network &net;
    ts_line_params params;
    ts_line_system *system = nullptr;
    ts_clock core_clock{};

    explicit Lines(Network &network,
                   const ts_line_params &p = defaults<ts_line_params>(ts_line_param_table))
        : net(network), params(p)
    {
        ts_clock_init(&core_clock, net.topo.params.core_hz);
        net.check(ts_line_system_create(&system, net.engine, &net.topo, net.ic, &params, &net.err));
    }
    Lines(const Lines &) = delete;
    Lines &operator=(const Lines &) = delete;
    ~Lines()
    {
        ts_line_system_destroy(system);
    }
    const struct ts_line_stats *stats() const
    {
        return ts_line_system_stats(system);
    }
    /* Starts an access; on_done runs when the core has the line, at once on a hit. Returns whether
     * it hit. */
    bool start(ts_line *line, uint32_t core, ts_line_op op, std::function<void()> on_done)
    {
        uint64_t cycles = 0;

        pending_.emplace_back();
        Access &a = pending_.back();
        a.on_done = std::move(on_done);
        if (ts_line_access(system, line, core, op, &a.req, done, &a, &cycles)) {
            a.on_done();
            return true;
        }
        return false;
    }
    /* Performs an access alone; returns the time it took, 0 for a hit. */
    ts_time access(ts_line *line, uint32_t core, ts_line_op op)
    {
        ts_time began = net.now(), ended = began;

        start(line, core, op, [&] { ended = net.now(); });
        net.run();
        return ended - began;
    }
    /* The same from an idle machine at an edge of both clocks' own: `at` is made the present. */
    ts_time after_core(ts_time from, uint64_t cycles) const
    {
        return ts_clock_after(&core_clock, from, cycles);
    }
    ts_time after_mesh(ts_time from, uint64_t cycles) const
    {
        return ts_clock_after(net.clock(), from, cycles);
    }

  private:
    struct Access {
        ts_line_req req{};
        std::function<void()> on_done;
    };
    static void done(ts_line_req *req)
    {
        static_cast<Access *>(req->user)->on_done();
    }
    std::deque<Access> pending_;
};

} // namespace rig
#endif
