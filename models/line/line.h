/* SPDX-License-Identifier: Apache-2.0 */
/* A contended cache line: csd, queue head, tlb_gen, mm_cpumask, mmap_lock.
 *
 * MESI at the level of cores: one owner (modified or exclusive) or a set of sharers. An access that
 * the core's copy allows costs the L1 hit; any other is a request message to the line's home node,
 * which serves requests of one line one at a time in order of arrival, asks the owner or
 * invalidates sharers by messages, and answers with data. Contention is therefore the queue at the
 * home, and the distance between cores shows by itself.
 *
 * The legs of a miss: request to the home; look-up; then
 * - held by an owner: snoop to the owner, which sends the data straight to the requester (three
 *   hops; over the home without `forwarding`: four). To a reader the owner keeps a shared copy, and
 *   what it has written goes to the home too, which takes up the next request only then;
 * - write to shared copies: invalidations from the home, acknowledged to the home, then data, or
 *   only the permission if the requester still shares;
 * - otherwise data from the LLC slice of the home, or from memory at the first touch.
 * The requester acknowledges to the home, which takes up the next request of the line only then
 * (CompAck of CHI F.b, 2.3): a snoop can therefore never overtake the data it asks for. Only
 * readers that follow each other on a line which others share are taken up at the pace of the
 * look-ups; the next writer waits for their acknowledgements. A copy appears when its data arrives
 * and is gone when the snoop arrives; until then its core hits. A locked operation holds the line:
 * a snoop that comes while it runs is answered when it has ended. Both threads of a core share its
 * copy; their locked operations follow each other.
 *
 * Clusters (cluster_cores > 1): neighbouring cores with an L3 of their own, as a CCX of Zen. The L3
 * knows the copies of its cores; the home knows clusters: which one owns the line, or which share
 * it. A miss is looked up in the L3 first and served in the cluster if a core there may give what
 * is asked for; else it goes to the home. The L3 serves requests of a line in order of arrival, one
 * at a time; those behind one that is at the home wait. What the home sends waits for a service
 * within the cluster, which ends by itself, and for nothing else, so nobody waits in a circle; and
 * it goes before the next request of the cluster, so a cluster delays others by one service at
 * most.
 *
 * Checked in every run: one writer or many readers, and that data is never old when it arrives.
 *
 * Not modelled: caches are unbounded, so nothing is evicted and nothing written back but for a
 * reader; an owner of a clean copy, and one that gives it up to a writer, answers to the home by
 * the requester's acknowledgement; the look-ups of different lines at one home do not delay each
 * other, while those of one line follow each other, so that home_cycles is the pace of its readers
 * too.
 */
#ifndef TS_MODELS_LINE_H
#define TS_MODELS_LINE_H

#include "models/interconnect/interconnect.h"
#include "sim/store.h"

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
    uint64_t forwarding;     /* bool: owners send data straight to the requester */
    uint64_t cluster_cores;  /* cores that share an L3 below the home; 1: no clusters */
    uint64_t cluster_cycles; /* core cycles of a request to that L3 and its look-up */
    uint64_t store_delay;    /* ps that a store may wait in its thread's store buffer (sim/store.h),
                                at most; 0: there are no store buffers */
};
extern const struct ts_param_table ts_line_param_table; /* prefix "line" */

struct ts_line_stats {
    uint64_t reads, writes, rmws; /* accesses */
    uint64_t hits;
    uint64_t misses;
    uint64_t in_cluster;    /* of the misses, served within the cluster */
    uint64_t transfers;     /* by another core's or cluster's copy, which the home asked */
    uint64_t llc;           /* with data of the home's LLC slice */
    uint64_t memory;        /* from memory */
    uint64_t upgrades;      /* with the permission only */
    uint64_t unserved;      /* on their way to where they are served: more than 0 where a run ends
                               before */
    uint64_t writebacks;    /* written data that went to the home */
    uint64_t held_ps;       /* snoops waiting for locked operations */
    uint64_t invalidations; /* sharers, of clusters all at once, told to drop their copy */
    uint64_t queued_ps;     /* waiting at homes */
    struct ts_hist miss_ps;
};
extern const struct ts_stat_table ts_line_stat_table; /* rules: every access hits or misses, every
                                                      miss is served from one place */

struct ts_line_system;
struct ts_line_req;
struct ts_line_ack;

/* One line. Zero-initialise, then ts_line_init. Private fields. Sharers are cores; up to
 * TS_LINE_SHARERS are named, beyond that `everyone` stands for all cores of the machine. */
#define TS_LINE_SHARERS 6u
struct ts_line {
    struct ts_line_system *system;
    uint32_t home;
    uint32_t owner;         /* core holding it modified/exclusive, UINT32_MAX: none */
    uint32_t owner_cluster; /* first core of the cluster that owns it, UINT32_MAX: none */
    uint32_t nsharers;
    uint32_t sharers[TS_LINE_SHARERS];
    uint64_t *many; /* bitmap over cores once more than TS_LINE_SHARERS share it; from the system's
                       pool, or NULL */
    bool touched;   /* has left memory */
    bool dirty;     /* written since the home's LLC last had it */
    bool busy;      /* the home serves a request, or waits for what follows it */
    uint32_t readers;   /* answered from the home and not yet acknowledged */
    uint32_t waits;     /* of the home: acknowledgement of the requester, data of the owner */
    ts_time held_until; /* the owner's locked operation ends */
    struct ts_line_req *head, *tail; /* at the home: being served and waiting */
    struct ts_line_req *clusters;    /* first requests of the clusters that have some */
    struct ts_msg release;           /* the acknowledgement */
    struct ts_msg writeback;
    /* Stand for the data: writes so far, and how many of them memory or the home's LLC has seen. */
    uint64_t version, home_version, writeback_version;
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
    uint32_t source;                  /* private: core that gives its copy */
    struct ts_line_ack *ack;          /* private: of a reader */
    uint64_t version;                 /* private: of the data on its way here */
    /* Private: the requests of a cluster. */
    struct ts_line_req *next_cluster; /* first request of another cluster */
    struct ts_line_req *behind;       /* next of this cluster */
    struct ts_line_req *last;         /* of the first: the last one */
    bool serving;                     /* of the first: in service within the cluster */
    struct ts_msg *deferred;          /* of the first: sent by the home meanwhile */
    ts_time started, queued;
};

/* What ts_line_system_create refuses as a user's error. */
enum ts_status ts_line_check_params(const struct ts_line_params *params, struct ts_error *err);
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
 * After a locked operation of the core that has not ended, a locked one is charged the rest too.
 * Otherwise starts the transaction and returns false; req->done is called when the core has the
 * line (in TS_PHASE_HARDWARE); *cycles, set here too, are to be charged after that. req->core, op,
 * line, done, user are set here from the arguments; a new req must be zero. */
bool ts_line_access(struct ts_line_system *s, struct ts_line *line, uint32_t core,
                    enum ts_line_op op, struct ts_line_req *req, ts_line_done_fn *done, void *user,
                    uint64_t *cycles);
/* Of the store buffers; without a call the seed is 0. Before the first store. */
void ts_line_system_set_seed(struct ts_line_system *s, uint64_t seed);
/* The store buffers of all hardware threads, by number, or NULL: params.store_delay is 0. */
struct ts_store_buffer *ts_line_system_stores(struct ts_line_system *s);
const struct ts_line_stats *ts_line_system_stats(const struct ts_line_system *s);
/* Has core a copy that it may read (write)? For tests and observers. */
bool ts_line_readable(const struct ts_line *line, uint32_t core);
bool ts_line_writable(const struct ts_line *line, uint32_t core);

#ifdef __cplusplus
}
#endif
#endif
