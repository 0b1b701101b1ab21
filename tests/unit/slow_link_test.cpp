/* SPDX-License-Identifier: Apache-2.0 */
/* Links between sockets as slow as the parameters allow: what is under way when a run ends is
 * counted, and a long transfer is no deadlock. */
#include "models/study/line_sharing.h"
#include "sim/stats.h"
#include "tests/support/network_rig.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace
{

rig::Network *slow(uint64_t detail)
{
    auto n = rig::network();
    n.detail = detail;
    n.flit_bytes = 1024;
    n.socket_link_rate = 1000000; /* 1.024 ms a flit */
    return new rig::Network(rig::topology(2, 4), n);
}

} // namespace

TEST(SlowLink, MessagesUnderWayWhenARunEndsAreCounted)
{
    for (uint64_t detail : {TS_IC_MESSAGE, TS_IC_FLIT}) {
        SCOPED_TRACE(detail);
        std::unique_ptr<rig::Network> net(slow(detail));
        ts_msg msg[3] = {};
        for (ts_msg &m : msg) {
            m.deliver = [](ts_interconnect *, ts_msg *) {};
            m.src = 1;
            m.dst = 6;
            m.flits = 2;
            ts_interconnect_send(net->ic, &m);
        }
        const struct ts_interconnect_stats *s = ts_interconnect_stats(net->ic);
        for (ts_time end : {0, 1, 3, 5, 7}) {
            net->run(end * TS_MS);
            uint64_t delivered = end < 3 ? 0 : (end - 1) / 2;
            EXPECT_EQ(s->delivered, delivered) << end;
            EXPECT_EQ(s->in_flight, 3 - delivered) << end;
            EXPECT_EQ(ts_stat_check(&ts_interconnect_stat_table, s, &net->err), TS_OK)
                << net->err.message;
            EXPECT_EQ(ts_interconnect_check(net->ic, &net->err), TS_OK) << net->err.message;
        }
    }
}

/* In flight, and nothing would deliver it: the rule of sums would not see it. */
TEST(SlowLink, ALostMessageIsAFinding)
{
    for (uint64_t detail : {TS_IC_MESSAGE, TS_IC_FLIT}) {
        SCOPED_TRACE(detail);
        std::unique_ptr<rig::Network> net(slow(detail));
        ts_msg m{};
        m.deliver = [](ts_interconnect *, ts_msg *) {};
        m.src = 1;
        m.dst = 6;
        m.flits = 1;
        ts_interconnect_send(net->ic, &m);
        net->run(TS_MS);
        ASSERT_EQ(ts_interconnect_stats(net->ic)->in_flight, 1u);
        ts_engine_cancel(net->engine, &m.event);
        EXPECT_EQ(ts_interconnect_check(net->ic, &net->err), TS_ERR_FINDING);
        EXPECT_NE(std::string(net->err.message).find("in flight"), std::string::npos);
    }
}

TEST(SlowLink, ALineThatMovesSlowlyMoves)
{
    for (uint64_t pattern : {TS_SHARING_TRANSFER, TS_SHARING_WRITERS, TS_SHARING_READERS}) {
        SCOPED_TRACE(pattern);
        ts_machine_config config;
        ts_machine_config_defaults(&config);
        config.topology = rig::topology(2, 2);
        config.interconnect.flit_bytes = 64;
        config.interconnect.socket_link_rate = 1000000;
        config.line.control_flits = 64; /* 4.1 ms a message */
        auto p = rig::defaults<ts_sharing_params>(*ts_study_line_sharing.params);
        p.pattern = pattern;
        p.cpus = 3;
        p.pairs = 1;
        p.lines = 1;
        p.rounds = 4;
        p.warmup = 1;
        p.poll_cycles = 100000;
        ts_sharing_stats stats{};
        ts_study_input in{};
        ts_error err{};
        in.config = &config;
        in.params = &p;
        in.seed = 1;
        EXPECT_EQ(ts_study_line_sharing.run(&in, &stats, nullptr, nullptr, &err), TS_OK)
            << err.message;
    }
}
