/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a recording of calls, in the order of the file, to operations per thread. Names are of
 * strace, the first format; a record of every other is what strace would have printed, and more.
 *
 * It knows which threads live, in which address space each is and what is mapped there. A release
 * of memory takes effect where its call starts and an acquisition where it ends, because another
 * thread's mmap may be given the same address before the "resumed" line of the munmap is printed.
 * An operation is emitted when its call ends, so a thread's operations come in its own order and
 * never name a region that is created later in the file.
 *
 * Threads: the first thread seen is thread 0 and starts by itself. Others start by the recorded
 * clone, fork or vfork. A thread whose lines come before its parent's call has returned is placed
 * at once when every call that can be the parent shares one address space; otherwise its records
 * are held back until its parent is known. A thread that no recorded call explains is taken to
 * share the address space of the oldest living thread (assumed), unless its first call is
 * brk(NULL), with which only a new program starts (assumed). When the kernel gives an address to a
 * thread that another one has in use, and one of the two only is assumed to share memory, that one
 * goes on in an address space of its own (two programs that strace was attached to). A thread that
 * begins after all others have ended is a second program (recordings one after the other).
 *
 * Where a recording tells which process a thread is of (its group: in perf script's PID/TID, or by
 * the process's name if nothing better is there), threads of one group share memory, and others do
 * not.
 *
 * A child made by fork begins with its parent's mappings, by the same region numbers.
 *
 * What cannot be read is counted and left out; with `strict` it is an error. Only a text in which
 * no line is a call is always refused.
 *
 * Touches that are recorded (page faults) are of the memory that is mapped there in the thread's
 * address space. Where nothing is known to be they are counted and left out, as are those of a
 * thread of which nothing else is known.
 *
 * The touch policy applies to memory that becomes writable (mmap, brk, mremap, shmat, mprotect),
 * and again to writable memory after MADV_DONTNEED, MADV_DONTNEED_LOCKED and MADV_FREE, whose pages
 * are taken back by it. Nothing is touched after MADV_COLD and MADV_PAGEOUT.
 */
#ifndef TS_WORKLOADS_STRACE_REPLAY_H
#define TS_WORKLOADS_STRACE_REPLAY_H

#include "sim/stats.h"
#include "workloads/trace_format.h"
#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_strace_counts {
    uint64_t lines;
    uint64_t notes;
    uint64_t signals;
    uint64_t calls[TS_STRACE_CALL_COUNT]; /* begun, by enum ts_strace_call */
    uint64_t failed_calls;                /* of those that are understood */
    uint64_t pairs;                       /* unfinished and resumed */
    uint64_t left_unfinished;             /* never resumed, calls of exit not counted */
    uint64_t resumed_alone;               /* resumed without a beginning */
    uint64_t threads;
    uint64_t processes; /* address spaces */
    uint64_t exits;
    uint64_t assumed_spawns;
    uint64_t assumed_programs; /* an execve that was not recorded */
    uint64_t advice_ignored;
    uint64_t unknown_ranges; /* calls on memory that was never seen mapped: dropped */
    uint64_t stale_overlaps; /* mappings over memory that should have been free */
    uint64_t separated;      /* threads taken to share memory until addresses told otherwise */
    uint64_t not_modelled;   /* calls that change memory and are not replayed */
    uint64_t huge_mappings;  /* MAP_HUGETLB, replayed as plain memory */
    uint64_t regions;
    uint64_t mapped_bytes; /* now, sum over the address spaces */
    uint64_t mapped_peak_bytes;
    uint64_t partial_lines;    /* a last line without its end */
    uint64_t foreign_lines;    /* no rule accepts them */
    uint64_t prefixed_lines;   /* read behind something that a log collector printed */
    uint64_t cut_calls;        /* the line ends in the call, and the rest is not found */
    uint64_t impossible_calls; /* what no call can have done: ignored */
    uint64_t first_unread; /* number of the first line of the three kinds that are not read, or 0 */
    uint64_t touches;      /* recorded, and replayed */
    uint64_t unknown_touches;                  /* of memory, or by a thread, that is not known */
    uint64_t blind_touches;                    /* recorded without their address */
    uint64_t lost_events;                      /* by the recorder */
    uint64_t flushes[TS_STRACE_FLUSH_REASONS]; /* recorded TLB flushes, by enum ts_strace_flush */
    uint64_t flushes_elsewhere;                /* while other programs ran */
    uint64_t switches;                         /* of threads on CPUs */
    uint64_t cpus;                             /* the highest number of a CPU, plus 1 */
    uint64_t has_time;
    uint64_t first_ns; /* times of the first and last line that have one */
    uint64_t last_ns;
};

/* The rows of struct ts_strace_counts that say what was left out or assumed. */
extern const struct ts_stat_table ts_strace_losses;

struct ts_strace_event {
    struct ts_op op;   /* op.thread is whose */
    uint64_t gap_ns;   /* recorded time between the thread's calls before this one, */
    uint64_t sleep_ns; /* and that it slept, where switches of threads are recorded */
    bool recorded;     /* TS_OP_TOUCH: is in the recording, one access */
    uint32_t cpu;      /* where the thread was, plus 1; 0: not known */
    bool touch;        /* TS_OP_MUNMAP: the call's last operation, and memory that the touch policy
                          was applied to was among the unmapped */
};
/* Any other TS_OP_TOUCH says by region, offset and length which memory the touch policy applies to
 * now. */

typedef enum ts_status ts_strace_emit_fn(void *user, const struct ts_strace_event *event,
                                         struct ts_error *err);

/* Every record that counts, in the order of the file, with its time if one is known. */
typedef enum ts_status ts_strace_record_fn(void *user, const struct ts_strace_record *record,
                                           bool has_time, uint64_t time_ns, struct ts_error *err);

struct ts_strace_replay_config {
    ts_strace_emit_fn *emit;
    ts_strace_record_fn *on_record;       /* or NULL */
    void *user;                           /* of both */
    const struct ts_trace_format *format; /* of calls; NULL: strace */
    const char *source_name;              /* for errors */
    bool calls_needed;         /* a text without any is an error; of strace it always is */
    bool strict;               /* what cannot be read is an error */
    bool recorded_touches;     /* emit those of the recording */
    bool touch;                /* emit TS_OP_TOUCH for memory ... */
    uint64_t touch_min_length; /* ... of at least this many bytes */
};

struct ts_strace_replay;

enum ts_status ts_strace_replay_create(struct ts_strace_replay **out,
                                       const struct ts_strace_replay_config *config,
                                       struct ts_error *err);
void ts_strace_replay_destroy(struct ts_strace_replay *r);
/* One line; number is its place in the file, whole is false for a last line without a newline. */
enum ts_status ts_strace_replay_line(struct ts_strace_replay *r, const char *line, size_t len,
                                     uint32_t number, bool whole, struct ts_error *err);
/* A line that is too long to be kept: counts as one that is not read. */
enum ts_status ts_strace_replay_skip(struct ts_strace_replay *r, uint32_t number,
                                     struct ts_error *err);
/* The end of the text. Nothing may follow. */
enum ts_status ts_strace_replay_finish(struct ts_strace_replay *r, struct ts_error *err);
const struct ts_strace_counts *ts_strace_replay_counts(const struct ts_strace_replay *r);
/* The record of the last line. */
const struct ts_strace_record *ts_strace_replay_record(const struct ts_strace_replay *r);

#ifdef __cplusplus
}
#endif
#endif
