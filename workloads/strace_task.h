/* SPDX-License-Identifier: Apache-2.0 */
/* State of the strace replay that its files share. Private to them. */
#ifndef TS_WORKLOADS_STRACE_TASK_H
#define TS_WORKLOADS_STRACE_TASK_H

#include "workloads/regions.h"
#include "workloads/strace_replay.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The tag of a piece of memory: flags, and which thread mapped it. */
#define TS_STRACE_TAG_TOUCHED 1u /* the touch policy was applied */
#define TS_STRACE_TAG_WRITABLE 2u
#define TS_STRACE_TAG_SEGMENT 4u /* of shmat */
#define TS_STRACE_TAG_THREAD_SHIFT 3u

struct ts_strace_segment {
    uint64_t id;
    uint64_t length;
};

struct ts_strace_mm {
    uint32_t refs; /* living tasks */
    bool has_brk;
    bool used; /* a region was ever mapped in it */
    uint64_t brk;
    struct ts_regions map;
};

enum ts_strace_task_state {
    TS_STRACE_TASK_SPAWNED,   /* its SPAWN was emitted, or it is thread 0 */
    TS_STRACE_TASK_UNSPAWNED, /* placed in its address space, its parent is not known yet */
    TS_STRACE_TASK_HELD       /* nothing is known: its records wait */
};

/* A record of a held task. */
struct ts_strace_held {
    struct ts_strace_record record;
    uint32_t tid;
    uint32_t number; /* of its line */
    bool done;
    bool has_now;
    uint64_t now_ns;
};

/* A living thread. */
struct ts_strace_task {
    uint32_t tid; /* 0: not printed so far (no pid column) */
    uint32_t thread;
    enum ts_strace_task_state state;
    bool ended;    /* exited while unspawned */
    bool in_call;  /* call is unfinished */
    bool had_call; /* this is not its first one */
    bool assumed;  /* taken to share memory: nothing that is recorded says so */
    bool seen;     /* a line of its own was read */
    bool open;     /* call's line ended in the call, on line open_line */
    bool has_end;
    uint64_t group;          /* as recorded; 0: not known */
    uint32_t cpu;            /* where it was seen last, plus 1; 0: not known */
    struct ts_strace_mm *mm; /* NULL while held */
    struct ts_strace_record call;
    uint32_t open_line;
    uint32_t open_column;
    const char *open_why;
    uint64_t start_ns;
    uint64_t end_ns;                /* of the last call */
    bool off_cpu;                   /* since end_ns, as recorded */
    bool sleeps;                    /* then */
    uint64_t sleep_ns;              /* since the last operation */
    uint64_t gap_ns;                /* between calls, since the last operation */
    struct ts_region_pieces pieces; /* what the call in progress is about */
};

#define TS_STRACE_GUESSES 256u

struct ts_strace_replay {
    struct ts_strace_replay_config config;
    struct ts_strace_counts counts;
    struct ts_strace_task **tasks; /* by tid */
    size_t ntasks;
    size_t cap_tasks;
    uint32_t *guesses; /* by tid, modulo TS_STRACE_GUESSES: where in tasks it was found last */
    struct ts_strace_task *last; /* has ended after all others, its EXIT is not emitted, or NULL */
    struct ts_strace_task *root; /* the oldest spawned task, or NULL when it must be looked up */
    struct ts_strace_held *held; /* in the order of the file */
    size_t first_held;
    size_t nheld;
    size_t cap_held;
    bool ready; /* a held task was settled: some of the held records are due */
    uint32_t next_thread;
    uint32_t next_region;
    uint32_t open_clones; /* calls in progress that can make a thread */
    uint32_t unsettled;   /* tasks that are not spawned */
    bool knows_programs;  /* the recording holds execve */
    bool accepted;        /* some line was one of strace */
    bool prefixed;        /* all lines so far have something in front of them */
    bool cut;             /* the rest of the last call of cut_tid is still to come */
    bool cut_by_message;  /* ... on this line */
    bool cut_has_tid;
    uint32_t cut_tid;
    bool has_now;
    uint64_t now_ns;
    uint64_t day_ns; /* of the last midnight, for times of the day */
    uint32_t number; /* of the line */
    uint32_t first_tid;
    uint32_t unread_column; /* of counts.first_unread */
    const char *unread_why;
    struct ts_strace_segment *segments;
    size_t nsegments;
    size_t cap_segments;
    struct ts_strace_record record;
    void *state; /* of the format's parser */
    struct ts_region_pieces scratch;
};

static inline uint64_t ts_strace_add_times(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX / 2u || b > UINT64_MAX / 2u ? UINT64_MAX / 2u : a + b;
}

enum ts_status ts_strace_error(const struct ts_strace_replay *r, struct ts_error *err,
                               const char *what);
/* Something cannot be read: adds to *count, and is an error if the replay is strict. */
enum ts_status ts_strace_unread(struct ts_strace_replay *r, uint64_t *count, uint32_t line,
                                uint32_t column, const char *why, struct ts_error *err);
/* t->call cannot have done what the recording says. */
enum ts_status ts_strace_impossible(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    const char *why, struct ts_error *err);
/* What a record does that is of a settled task. */
enum ts_status ts_strace_handle(struct ts_strace_replay *r, struct ts_strace_task *t,
                                const struct ts_strace_record *rec, struct ts_error *err);
/* The unfinished call will never be resumed. */
enum ts_status ts_strace_abandon_call(struct ts_strace_replay *r, struct ts_strace_task *t,
                                      struct ts_error *err);
/* The thread's next operation; the rest of op is filled in. */
enum ts_status ts_strace_emit(struct ts_strace_replay *r, struct ts_strace_task *t,
                              struct ts_strace_event *event, struct ts_error *err);
/* The task goes on with a new program. */
enum ts_status ts_strace_exec(struct ts_strace_replay *r, struct ts_strace_task *t,
                              struct ts_error *err);

struct ts_strace_task *ts_strace_find(const struct ts_strace_replay *r, uint32_t tid);
/* The oldest spawned task, or NULL. */
struct ts_strace_task *ts_strace_root(struct ts_strace_replay *r);
/* Whether the threads that are not spawned would have nobody left to start them without t. */
bool ts_strace_is_last_parent(const struct ts_strace_replay *r, const struct ts_strace_task *t);
/* tid is free. */
void ts_strace_rename(struct ts_strace_replay *r, struct ts_strace_task *t, uint32_t tid);
void ts_strace_drop(struct ts_strace_replay *r, struct ts_strace_task *t);
void ts_strace_drop_all(struct ts_strace_replay *r);
/* The last thread has ended: its EXIT waits, because another program may follow in the text. */
void ts_strace_retire(struct ts_strace_replay *r, struct ts_strace_task *t);
/* Emits that EXIT, if there is one. */
enum ts_status ts_strace_end_last(struct ts_strace_replay *r, struct ts_error *err);
/* The living thread of this number, or NULL. */
struct ts_strace_task *ts_strace_by_thread(const struct ts_strace_replay *r, uint32_t thread);
/* t, which was taken to share its address space, goes on in one of its own. */
enum ts_status ts_strace_separate(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  struct ts_error *err);

bool ts_strace_is_clone(const struct ts_strace_record *c);
/* A thread that is seen for the first time, by a line of its own. group: of the line. */
enum ts_status ts_strace_discover(struct ts_strace_replay *r, uint32_t tid, uint64_t group,
                                  struct ts_strace_task **out, struct ts_error *err);
/* The oldest spawned task of the group, or NULL. */
struct ts_strace_task *ts_strace_of_group(const struct ts_strace_replay *r, uint64_t group);
/* A line of a task's own says which group it is in, for the first time. */
enum ts_status ts_strace_set_group(struct ts_strace_replay *r, struct ts_strace_task *t,
                                   uint64_t group, struct ts_error *err);
/* parent has made the thread ret by this call. */
enum ts_status ts_strace_cloned(struct ts_strace_replay *r, struct ts_strace_task *parent,
                                const struct ts_strace_record *call, uint64_t ret,
                                struct ts_error *err);
/* Starts the oldest task that is not spawned, with a parent assumed. There is one. */
enum ts_status ts_strace_adopt_oldest(struct ts_strace_replay *r, struct ts_error *err);

/* What t->call does to memory when it starts; when it ends (ret holds the result); and when it ends
 * without having done it. */
enum ts_status ts_strace_memory_start(struct ts_strace_replay *r, struct ts_strace_task *t,
                                      struct ts_error *err);
enum ts_status ts_strace_memory_end(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    uint64_t ret, struct ts_error *err);
enum ts_status ts_strace_memory_undo(struct ts_strace_replay *r, struct ts_strace_task *t,
                                     struct ts_error *err);
/* The thread has used memory at rec->addr, as recorded. */
enum ts_status ts_strace_memory_touch(struct ts_strace_replay *r, struct ts_strace_task *t,
                                      const struct ts_strace_record *rec, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
