/* SPDX-License-Identifier: Apache-2.0 */
/* Exact replay of a step that is made over and over while nothing else happens.
 *
 * A step is a sequence of events whose course depends on nothing but the phase of the clocks at its
 * start: nobody else has an event before its end, and all that it finds is as the step before has
 * left it. Its owner vouches for the second, and asks the engine for the first. Of each kind and
 * phase the first two steps are made; the second is written down as a duration and what it adds to
 * the statistics; from then on the engine's clock advances by the duration, and the statistics are
 * added up at once when somebody may look.
 *
 * The phase is now modulo the least time after which all clocks are where they were. Events that
 * were not run are missing from ts_engine_events_run, and from nothing else. */
#ifndef TS_SIM_REPLAY_H
#define TS_SIM_REPLAY_H

#include "sim/engine.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/* More phases than that of one kind are not remembered: their steps are made. */
enum { TS_REPLAY_KINDS = 3, TS_REPLAY_PHASES = 64 };

struct ts_replay;

/* hz: of each clock. *out is NULL with TS_OK where the clocks have no common period in ps. */
enum ts_status ts_replay_create(struct ts_replay **out, struct ts_engine *engine,
                                const uint64_t *hz, uint32_t nclocks, struct ts_error *err);
void ts_replay_destroy(struct ts_replay *r);
/* Statistics that steps may change; all before the first step. Rows are counters, times and
 * histograms that only grow. */
enum ts_status ts_replay_add(struct ts_replay *r, const struct ts_stat_table *table, void *base,
                             struct ts_error *err);

/* Advances the clock by a step of the kind and returns true, if one that begins in this phase is
 * known and nothing is due before its end. */
bool ts_replay_skip(struct ts_replay *r, uint32_t kind);
/* Around a step that is made. Returns whether anything else was due before its end; then it is not
 * written down. exact: the owner knows of nothing that sets it apart from the next of its kind. */
void ts_replay_begin(struct ts_replay *r, uint32_t kind);
bool ts_replay_end(struct ts_replay *r, bool exact);
/* Adds what has been skipped to the statistics: before anybody may look at them. */
void ts_replay_settle(struct ts_replay *r);
uint64_t ts_replay_skipped(const struct ts_replay *r);

#ifdef __cplusplus
}
#endif
#endif
