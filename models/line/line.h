/* SPDX-License-Identifier: Apache-2.0 */
/* A contended cache line: csd, queue head, tlb_gen, mm_cpumask, mmap_lock.
 *
 * MESI-like at the level of cores: one owner or a set of sharers. An access that the core's copy
 * allows costs the L1 hit; any other is a request message to the line's home node, which serves
 * requests of one line one at a time in order of arrival, asks the owner or invalidates sharers by
 * messages, and answers with data. Contention is therefore the queue at the home, and the distance
 * between cores shows by itself.
 *
 * The legs of a miss: request to the home; look-up; then
 * - held by an owner: snoop to the owner, which sends the data straight to the requester;
 * - write to shared copies: invalidations from the home, acknowledged to the home, then data, or
 *   only the permission if the requester still shares;
 * - otherwise data from the LLC slice of the home, or from memory at the first touch.
 * The requester acknowledges to the home, which takes up the next request of the line only then
 * (CompAck of CHI F.b, 2.3): a snoop can therefore never overtake the data it asks for. A copy
 * appears when its data arrives and is gone when the snoop arrives; until then its core hits. Both
 * threads of a core share its copy. Caches are unbounded: nothing is evicted.
 */
#ifndef TS_MODELS_LINE_H
#define TS_MODELS_LINE_H

#include "models/interconnect/interconnect.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_line_op { TS_LINE_READ = 0, TS_LINE_WRITE = 1, TS_LINE_RMW = 2 };

struct ts_line_params {
    uint64_t hit_cycles;   /* core cycles of a load or store that hits L1 */
    uint64_t rmw_cycles;   /* extra core cycles of a locked operation on an owned line */
    uint64_t home_cycles;  /* mesh cycles of directory and LLC slice look-up at the home */
    uint64_t snoop_cycles; /* core cycles to take a line out of the owner's L1/L2 */
    uint64_t memory_ps;    /* first touch: the line comes from memory */
    uint64_t data_flits;
    uint64_t control_flits;
};
extern const struct ts_param_table ts_line_param_table; /* prefix "line" */

struct ts_line_stats {
    uint64_t reads, writes, rmws; /* accesses */
    uint64_t hits;
    uint64_t misses;
    uint64_t transfers;     /* served by another core's copy */
    uint64_t invalidations; /* sharers told to drop their copy */
    uint64_t queued_ps;     /* waiting at homes */
    struct ts_hist miss_ps;
};
extern const struct ts_stat_table ts_line_stat_table; /* rules: reads+writes+rmws == hits+misses */

struct ts_line_system;
struct ts_line_req;

/* One line. Zero-initialise, then ts_line_init. Private fields. Sharers are cores; up to
 * TS_LINE_SHARERS are named, beyond that `everyone` stands for all cores of the machine. */
#define TS_LINE_SHARERS 6u
struct ts_line {
    struct ts_line_system *system;
    uint32_t home;
    uint32_t owner; /* core holding it modified/exclusive, UINT32_MAX: none */
    uint32_t nsharers;
    uint32_t sharers[TS_LINE_SHARERS];
    uint64_t *many; /* bitmap over cores once more than TS_LINE_SHARERS share it; from the system's
                       pool, or NULL */
    bool touched;   /* has left memory */
    bool busy;      /* the home serves a request, or waits for the requester's acknowledgement */
    struct ts_line_req *head, *tail; /* at the home: being served and waiting */
    struct ts_msg release;           /* the acknowledgement */
};

/* One outstanding access; owned by the caller until done is called. A core may have several. */
typedef void ts_line_done_fn(struct ts_line_req *req);
struct ts_line_req {
    struct ts_msg msg;
    struct ts_event event;
    struct ts_line_system *system;
    struct ts_line *line;
    struct ts_line_req *next;
    ts_line_done_fn *done;
    void *user;
    uint32_t core;
    enum ts_line_op op;
    uint32_t acks_left;               /* private */
    uint32_t cursor;                  /* private: invalidations have gone to the sharers below */
    struct ts_line_req *next_starved; /* private */
    ts_time started, queued;
};

enum ts_status ts_line_system_create(struct ts_line_system **out, struct ts_engine *engine,
                                     const struct ts_topology *topology, struct ts_interconnect *ic,
                                     const struct ts_line_params *params, struct ts_error *err);
void ts_line_system_destroy(struct ts_line_system *s);
/* The home is chosen by hash of id over the nodes of the socket of `near_core`, as first touch by a
 * CPU of that socket places it. id tells lines apart; equal ids give equal homes. */
void ts_line_init(struct ts_line_system *s, struct ts_line *line, uint64_t id, uint32_t near_core);
/* Gives back what the system holds for the line; nothing may be outstanding. Needed only where
 * lines come and go for the whole of a run. */
void ts_line_fini(struct ts_line *line);
/* If core's copy allows op: returns true and *cycles core cycles to charge; nothing else happens.
 * Otherwise starts the transaction and returns false; req->done is called when the core has the
 * line (in TS_PHASE_HARDWARE); *cycles, set here too, are to be charged after that. req->core, op,
 * line, done, user are set here from the arguments; a new req must be zero. */
bool ts_line_access(struct ts_line_system *s, struct ts_line *line, uint32_t core,
                    enum ts_line_op op, struct ts_line_req *req, ts_line_done_fn *done, void *user,
                    uint64_t *cycles);
const struct ts_line_stats *ts_line_system_stats(const struct ts_line_system *s);
/* Has core a copy that it may read (write)? For tests and observers. */
bool ts_line_readable(const struct ts_line *line, uint32_t core);
bool ts_line_writable(const struct ts_line *line, uint32_t core);

#ifdef __cplusplus
}
#endif
#endif
