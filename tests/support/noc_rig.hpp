/* SPDX-License-Identifier: Apache-2.0 */
/* A network of routers under test: sends, steps where there is work, and notes what arrives. */
#ifndef TS_TESTS_NOC_RIG_HPP
#define TS_TESTS_NOC_RIG_HPP

#include "models/interconnect/noc.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace noc_rig
{

/* BookSim2's P4 router, as the reference table has it. */
inline ts_noc_params p4()
{
    ts_noc_params p{};

    p.classes = 1;
    p.vcs = 4;
    p.depth = 8;
    p.rc = p.va = p.st = p.link = p.credit = 1;
    p.packets = 4096;
    p.watchdog = 5000;
    return p;
}

/* Its speculative one with look-ahead routing. */
inline ts_noc_params p2spec()
{
    ts_noc_params p = p4();

    p.rc = 0;
    p.speculative = true;
    return p;
}

/* Cycles from a router to the next for a flit that waits for nothing. */
inline uint64_t hop_cycles(const ts_noc_params &p)
{
    return p.rc + (p.speculative ? 0 : p.va) + 1 + p.st + p.link;
}

class Rig
{
  public:
    Rig(const char *fabric, uint32_t nodes, const ts_noc_params &params) : params_(params)
    {
        ts_error err{};

        EXPECT_EQ(ts_noc_create(&noc, ts_fabric_find(fabric), nodes, &params, deliver, this, &err),
                  TS_OK)
            << err.message;
        if (noc == nullptr)
            std::abort();
    }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;
    ~Rig()
    {
        ts_noc_destroy(noc);
    }

    /* In a cycle that has not been stepped; those before it are. Returns the cookie. */
    uint64_t send(uint64_t cycle, uint32_t src, uint32_t dst, uint32_t flits, uint32_t klass = 0)
    {
        run(cycle);
        EXPECT_TRUE(ts_noc_send(noc, cycle, src, dst, klass, flits, cookies));
        return cookies++;
    }
    uint64_t multicast(uint64_t cycle, uint32_t src, const std::vector<uint32_t> &dst,
                       uint32_t flits, uint32_t klass = 0)
    {
        run(cycle);
        EXPECT_TRUE(ts_noc_multicast(noc, cycle, src, dst.data(), static_cast<uint32_t>(dst.size()),
                                     klass, flits, cookies));
        return cookies++;
    }
    /* Steps every cycle before `end` that has work. */
    void run(uint64_t end)
    {
        while (now < end && (now = ts_noc_next(noc, now)) < end)
            ts_noc_step(noc, now++);
        now = end;
    }
    /* Until nothing moves, and checks that nothing is left. */
    void drain(uint64_t limit = 1000000)
    {
        uint64_t end = now + limit, next;

        while ((next = ts_noc_next(noc, now)) != TS_NOC_NEVER && next < end) {
            ts_noc_step(noc, next);
            now = next + 1;
        }
        EXPECT_EQ(ts_noc_pending(noc), 0u);
        EXPECT_EQ(ts_noc_next(noc, now), TS_NOC_NEVER);
        check();
    }
    void check()
    {
        ts_error err{};

        EXPECT_EQ(ts_noc_check(noc, &err), TS_OK) << err.message;
    }
    /* Cycle in which the packet arrived at dst; 0: it has not. */
    uint64_t arrival(uint64_t cookie, uint32_t dst) const
    {
        for (const ts_noc_delivery &d : delivered)
            if (d.cookie == cookie && d.dst == dst)
                return d.cycle;
        return 0;
    }
    /* Not there in the cycle before, there in this one. */
    void expect_exactly_at(uint64_t cookie, uint32_t dst, uint64_t cycle)
    {
        run(cycle);
        EXPECT_EQ(arrival(cookie, dst), 0u) << "before cycle " << cycle;
        run(cycle + 1);
        EXPECT_EQ(arrival(cookie, dst), cycle);
    }
    const ts_noc_params &params() const
    {
        return params_;
    }

    ts_noc *noc = nullptr;
    uint64_t now = 0, cookies = 1;
    std::vector<ts_noc_delivery> delivered;
    std::function<void(const ts_noc_delivery &)> on_delivery;

  private:
    static void deliver(void *user, const ts_noc_delivery *d)
    {
        auto *rig = static_cast<Rig *>(user);

        rig->delivered.push_back(*d);
        if (rig->on_delivery)
            rig->on_delivery(*d);
    }
    ts_noc_params params_;
};

} // namespace noc_rig

#endif
