/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a recording: whose they are, and what happens when a call starts and ends. */
#include "workloads/strace_replay.h"

#include "workloads/grow.h"
#include "workloads/strace_task.h"

#include <string.h>

/* A text that holds no call in so many lines is taken to be something else. */
#define PROBE_LINES 100u
#define DAY_NS UINT64_C(86400000000000)

static enum ts_status handle(struct ts_strace_replay *r, struct ts_strace_task *t,
                             const struct ts_strace_record *rec, struct ts_error *err);

enum ts_status ts_strace_error(const struct ts_strace_replay *r, struct ts_error *err,
                               const char *what)
{
    return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, r->number, 1, "%s", what);
}

static uint64_t add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX / 2u || b > UINT64_MAX / 2u ? UINT64_MAX / 2u : a + b;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* brk(NULL) is the first memory call of a new program, and answers with a break of its own. Where
 * execve was not recorded, that shows it. */
static bool shows_new_program(const struct ts_strace_replay *r, const struct ts_strace_task *t,
                              bool first_call, uint64_t ret)
{
    if (r->knows_programs || t->call.call != TS_STRACE_BRK || t->call.addr != 0)
        return false;
    return (t->assumed && first_call) || (t->mm->has_brk && t->mm->brk != ret);
}

static enum ts_status start_call(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 const struct ts_strace_record *rec, struct ts_error *err)
{
    t->call = *rec;
    t->call.name = NULL; /* points into the line */
    t->start_ns = r->now_ns;
    if (r->has_now && t->has_end && r->now_ns > t->end_ns)
        t->gap_ns = add_sat(t->gap_ns, r->now_ns - t->end_ns);
    t->has_end = false;
    r->counts.calls[rec->call]++;
    if (rec->call == TS_STRACE_EXECVE)
        r->knows_programs = true;
    return ts_strace_memory_start(r, t, err);
}

static enum ts_status end_call(struct ts_strace_replay *r, struct ts_strace_task *t,
                               const struct ts_strace_record *rec, struct ts_error *err)
{
    const bool first_call = !t->had_call;
    t->had_call = true;
    if (r->has_now) {
        t->has_end = true;
        t->end_ns = rec->has_duration ? t->start_ns + rec->duration_ns : r->now_ns;
    }
    if (rec->result != TS_STRACE_RESULT_VALUE) {
        bool ends = t->call.call == TS_STRACE_EXIT || t->call.call == TS_STRACE_EXIT_GROUP;
        r->counts.failed_calls += t->call.call != TS_STRACE_OTHER && !ends;
        return ts_strace_memory_undo(r, t, err);
    }
    if (ts_strace_is_clone(&t->call))
        return ts_strace_cloned(r, t, rec->ret, err);
    if (t->call.call == TS_STRACE_EXECVE)
        return ts_strace_exec(r, t, err);
    if (shows_new_program(r, t, first_call, rec->ret)) {
        r->counts.assumed_programs++;
        enum ts_status status = ts_strace_exec(r, t, err);
        if (status != TS_OK)
            return status;
    }
    return ts_strace_memory_end(r, t, rec->ret, err);
}

/* The unfinished call will never be resumed. */
static enum ts_status abandon_call(struct ts_strace_replay *r, struct ts_strace_task *t,
                                   struct ts_error *err)
{
    if (!t->in_call)
        return TS_OK;
    t->in_call = false;
    if (t->call.call != TS_STRACE_EXIT && t->call.call != TS_STRACE_EXIT_GROUP)
        r->counts.left_unfinished++;
    r->open_clones -= ts_strace_is_clone(&t->call);
    return ts_strace_memory_undo(r, t, err);
}

static enum ts_status on_resumed(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 const struct ts_strace_record *rec, struct ts_error *err)
{
    if (!t->in_call || t->call.call != rec->call) {
        r->counts.resumed_alone++;
        return TS_OK;
    }
    t->in_call = false;
    r->counts.pairs++;
    r->open_clones -= ts_strace_is_clone(&t->call);
    return end_call(r, t, rec, err);
}

static enum ts_status on_exit(struct ts_strace_replay *r, struct ts_strace_task *t,
                              struct ts_error *err)
{
    r->counts.exits++;
    enum ts_status status = abandon_call(r, t, err);
    /* Threads without a parent need one that lives. */
    while (status == TS_OK && ts_strace_is_last_parent(r, t))
        status = ts_strace_adopt_oldest(r, err);
    if (status != TS_OK)
        return status;
    struct ts_strace_event e = {.op = {.kind = TS_OP_EXIT}};
    status = ts_strace_emit(r, t, &e, err);
    if (status != TS_OK)
        return status;
    if (t->state == TS_STRACE_TASK_SPAWNED)
        ts_strace_drop(r, t);
    else
        t->ended = true; /* its number is still to be named by its parent */
    return TS_OK;
}

/* The thread that called execve takes over the number of the first of its process (man 2 execve),
 * and its call is resumed under it. */
static enum ts_status on_superseded(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    uint32_t peer, struct ts_error *err)
{
    const uint32_t tid = t->tid;
    enum ts_status status = on_exit(r, t, err);
    if (status != TS_OK)
        return status;
    struct ts_strace_task *heir = ts_strace_find(r, peer);
    if (heir && !ts_strace_find(r, tid))
        ts_strace_rename(r, heir, tid);
    return TS_OK;
}

static enum ts_status handle(struct ts_strace_replay *r, struct ts_strace_task *t,
                             const struct ts_strace_record *rec, struct ts_error *err)
{
    enum ts_status status = TS_OK;
    switch (rec->kind) {
    case TS_STRACE_CALL:
        status = abandon_call(r, t, err);
        if (status == TS_OK)
            status = start_call(r, t, rec, err);
        return status == TS_OK ? end_call(r, t, rec, err) : status;
    case TS_STRACE_UNFINISHED:
    case TS_STRACE_CUT:
        status = abandon_call(r, t, err);
        if (status == TS_OK)
            status = start_call(r, t, rec, err);
        t->in_call = true;
        r->open_clones += ts_strace_is_clone(&t->call);
        return status;
    case TS_STRACE_RESUMED:
        return on_resumed(r, t, rec, err);
    case TS_STRACE_EXITED:
        return on_exit(r, t, err);
    case TS_STRACE_SUPERSEDED:
        return on_superseded(r, t, rec->peer, err);
    case TS_STRACE_NOTE:
    case TS_STRACE_SIGNAL:
    case TS_STRACE_ATTACHED:
        break;
    }
    return TS_OK;
}

/* --- lines ------------------------------------------------------------------------------------ */

static enum ts_status hold(struct ts_strace_replay *r, const struct ts_strace_task *t,
                           const struct ts_strace_record *rec, struct ts_error *err)
{
    struct ts_strace_held *held =
        ts_grow(r->held, &r->cap_held, r->nheld + 1, sizeof(*r->held), err);
    if (!held)
        return TS_ERR_ENVIRONMENT;
    r->held = held;
    struct ts_strace_held *h = &held[r->nheld++];
    h->record = *rec;
    h->record.name = NULL; /* points into the line */
    h->tid = t->tid;
    h->done = false;
    h->has_now = r->has_now;
    h->now_ns = r->now_ns;
    return TS_OK;
}

/* Handles the held records of tasks that are settled, in the order of the file. One of them may
 * settle another task, whose earlier records come first then. */
static enum ts_status drain(struct ts_strace_replay *r, struct ts_error *err)
{
    enum ts_status status = TS_OK;
    const bool has_now = r->has_now;
    const uint64_t now = r->now_ns;
    while (r->ready && status == TS_OK) {
        r->ready = false;
        for (size_t i = r->first_held; i < r->nheld && !r->ready && status == TS_OK; i++) {
            struct ts_strace_held *h = &r->held[i];
            struct ts_strace_task *t = h->done ? NULL : ts_strace_find(r, h->tid);
            if (t && t->state == TS_STRACE_TASK_HELD)
                continue;
            h->done = true;
            r->has_now = h->has_now;
            r->now_ns = h->now_ns;
            if (t && !t->ended)
                status = handle(r, t, &h->record, err);
        }
        while (r->first_held < r->nheld && r->held[r->first_held].done)
            r->first_held++;
    }
    if (r->first_held == r->nheld)
        r->first_held = r->nheld = 0;
    r->has_now = has_now;
    r->now_ns = now;
    return status;
}

/* Does what has become due: the records of settled tasks, and, when no call is in progress any more
 * that could explain the others, their adoption. The oldest goes first, because its records may
 * explain the rest. */
static enum ts_status pump(struct ts_strace_replay *r, struct ts_error *err)
{
    enum ts_status status = drain(r, err);
    while (status == TS_OK && r->open_clones == 0 && r->unsettled > 0) {
        status = ts_strace_adopt_oldest(r, err);
        if (status == TS_OK)
            status = drain(r, err);
    }
    return status;
}

/* Whose line it is. strace prints no number while it follows one thread only, without -f, and in
 * the files of -ff. */
static enum ts_status whose(struct ts_strace_replay *r, const struct ts_strace_record *rec,
                            struct ts_strace_task **out, struct ts_error *err)
{
    struct ts_strace_task *unnamed = ts_strace_find(r, 0);
    if (!rec->has_tid) {
        *out = r->ntasks == 1 ? r->tasks[0] : unnamed ? unnamed : ts_strace_root(r);
        return *out ? TS_OK : ts_strace_discover(r, 0, out, err);
    }
    *out = ts_strace_find(r, rec->tid);
    if (*out)
        return TS_OK;
    /* The first number that is not a known child's is the first thread's own. */
    if (unnamed && (!unnamed->in_call || rec->kind == TS_STRACE_RESUMED)) {
        ts_strace_rename(r, unnamed, rec->tid);
        *out = unnamed;
        return TS_OK;
    }
    return ts_strace_discover(r, rec->tid, out, err);
}

/* Sets the time of the line: nanoseconds that only grow by a midnight or a relative time. */
static void set_now(struct ts_strace_replay *r, const struct ts_strace_record *rec)
{
    uint64_t t = rec->time_ns;
    switch (rec->time_kind) {
    case TS_STRACE_TIME_NONE:
        return;
    case TS_STRACE_TIME_UNIX:
        break;
    case TS_STRACE_TIME_DAY:
        t = add_sat(t, r->day_ns);
        /* Lines of different threads may be a little out of order: only a leap back of half a day
         * is a midnight. */
        if (r->has_now && r->now_ns > add_sat(t, DAY_NS / 2u)) {
            r->day_ns = add_sat(r->day_ns, DAY_NS);
            t = add_sat(t, DAY_NS);
        }
        break;
    case TS_STRACE_TIME_RELATIVE:
        t = add_sat(r->now_ns, t);
        break;
    }
    r->now_ns = t;
    r->has_now = true;
    if (!r->counts.has_time) {
        r->counts.has_time = 1;
        r->counts.first_ns = t;
    }
    r->counts.last_ns = t;
}

static enum ts_status on_record(struct ts_strace_replay *r, const struct ts_strace_record *rec,
                                struct ts_error *err)
{
    struct ts_strace_task *t = NULL;
    set_now(r, rec);
    if (rec->kind == TS_STRACE_SIGNAL || rec->kind == TS_STRACE_NOTE) {
        *(rec->kind == TS_STRACE_NOTE ? &r->counts.notes : &r->counts.signals) += 1;
        return TS_OK;
    }
    if (rec->kind == TS_STRACE_ATTACHED) {
        r->counts.notes++;
        bool known = ts_strace_find(r, rec->peer) || (r->next_thread > 0 && !ts_strace_root(r));
        return known ? TS_OK : ts_strace_discover(r, rec->peer, &t, err);
    }
    enum ts_status status = whose(r, rec, &t, err);
    if (status != TS_OK)
        return status;
    if (t->ended) {
        r->counts.notes++;
        return TS_OK;
    }
    if (t->state == TS_STRACE_TASK_HELD)
        return hold(r, t, rec, err);
    status = handle(r, t, rec, err);
    return status == TS_OK ? pump(r, err) : status;
}

static enum ts_status on_cut(struct ts_strace_replay *r, const struct ts_strace_record *rec,
                             struct ts_error *err)
{
    struct ts_strace_record attached;
    enum ts_status status = on_record(r, rec, err);
    if (status != TS_OK)
        return status;
    memset(&attached, 0, sizeof(attached));
    attached.kind = TS_STRACE_ATTACHED;
    attached.peer = rec->peer;
    r->cut = true;
    r->cut_has_tid = rec->has_tid;
    r->cut_tid = rec->tid;
    return on_record(r, &attached, err);
}

/* The line after a cut one. */
static bool parse_rest(struct ts_strace_replay *r, const char *line, size_t len)
{
    if (!r->cut)
        return false;
    r->cut = false;
    if (!ts_strace_parse_rest(line, len, &r->record))
        return false;
    r->record.has_tid = r->cut_has_tid;
    r->record.tid = r->cut_tid;
    const struct ts_strace_task *t = ts_strace_find(r, r->cut_has_tid ? r->cut_tid : 0);
    if (t && t->in_call)
        r->record.call = t->call.call;
    return true;
}

enum ts_status ts_strace_replay_line(struct ts_strace_replay *r, const char *line, size_t len,
                                     uint32_t number, bool whole, struct ts_error *err)
{
    struct ts_strace_record *rec = &r->record;
    r->number = number;
    r->counts.lines++;
    if (!parse_rest(r, line, len) && !ts_strace_parse(line, len, rec)) {
        if (!whole && r->accepted) {
            /* strace was ended in the middle of the line. */
            r->counts.partial_lines++;
            return TS_OK;
        }
        return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, number, rec->column, "%s%s",
                               r->accepted ? "" : "not an strace text: ", rec->why);
    }
    r->accepted = r->accepted || (rec->kind != TS_STRACE_NOTE && rec->kind != TS_STRACE_ATTACHED);
    if (!r->accepted && r->counts.lines == PROBE_LINES)
        return ts_strace_error(r, err, "not an strace text: no system call in the first 100 lines");
    return rec->kind == TS_STRACE_CUT ? on_cut(r, rec, err) : on_record(r, rec, err);
}

enum ts_status ts_strace_replay_finish(struct ts_strace_replay *r, struct ts_error *err)
{
    if (!r->accepted)
        return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, 0, 0,
                               "not an strace text: no system call in it");
    enum ts_status status = TS_OK;
    bool again = true;
    while (again && status == TS_OK) {
        again = false;
        for (size_t i = 0; i < r->ntasks && status == TS_OK; i++) {
            again = again || r->tasks[i]->in_call;
            status = abandon_call(r, r->tasks[i], err);
        }
        if (status == TS_OK)
            status = pump(r, err);
    }
    return status;
}

const struct ts_strace_counts *ts_strace_replay_counts(const struct ts_strace_replay *r)
{
    return &r->counts;
}

const struct ts_strace_record *ts_strace_replay_record(const struct ts_strace_replay *r)
{
    return &r->record;
}

enum ts_status ts_strace_replay_create(struct ts_strace_replay **out,
                                       const struct ts_strace_replay_config *config,
                                       struct ts_error *err)
{
    struct ts_strace_replay *r = calloc(1, sizeof(*r));
    if (!r)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    r->config = *config;
    *out = r;
    return TS_OK;
}

void ts_strace_replay_destroy(struct ts_strace_replay *r)
{
    if (!r)
        return;
    ts_strace_drop_all(r);
    free(r->held);
    ts_region_pieces_fini(&r->scratch);
    free(r);
}
