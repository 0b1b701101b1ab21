/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a recording: whose they are, and what happens when a call starts and ends. */
#include "workloads/strace_replay.h"

#include "workloads/grow.h"
#include "workloads/strace_task.h"

#include <string.h>

#define DAY_NS UINT64_C(86400000000000)

static enum ts_status handle(struct ts_strace_replay *r, struct ts_strace_task *t,
                             const struct ts_strace_record *rec, struct ts_error *err);

enum ts_status ts_strace_error(const struct ts_strace_replay *r, struct ts_error *err,
                               const char *what)
{
    return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, r->number, 1, "%s", what);
}

enum ts_status ts_strace_unread(struct ts_strace_replay *r, uint64_t *count, uint32_t line,
                                uint32_t column, const char *why, struct ts_error *err)
{
    ++*count;
    if (r->counts.first_unread == 0) {
        r->counts.first_unread = line;
        r->unread_column = column;
        r->unread_why = why;
    }
    if (!r->config.strict)
        return TS_OK;
    const bool foreign = count == &r->counts.foreign_lines && r->record.foreign;
    return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, line, column, "%s%s%s",
                           r->accepted ? "" : "not an strace text: ", why,
                           r->accepted && foreign
                               ? "; strace's option -o FILE keeps what the program prints out"
                               : "");
}

enum ts_status ts_strace_impossible(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    const char *why, struct ts_error *err)
{
    enum ts_status status = ts_strace_memory_undo(r, t, err);
    if (status != TS_OK)
        return status;
    return ts_strace_unread(r, &r->counts.impossible_calls, r->number, 1, why, err);
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

/* The line ended in the call, and no later one went on with it. The last line of a text may be so:
 * strace was ended. */
static enum ts_status count_open(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 struct ts_error *err)
{
    uint64_t *count = &r->counts.cut_calls;
    t->open = false;
    if (t->open_line == r->number) {
        count = &r->counts.partial_lines;
        if (!r->config.strict) {
            ++*count;
            return TS_OK;
        }
    }
    return ts_strace_unread(r, count, t->open_line, t->open_column, t->open_why, err);
}

/* The unfinished call will never be resumed. */
static enum ts_status abandon_call(struct ts_strace_replay *r, struct ts_strace_task *t,
                                   struct ts_error *err)
{
    if (!t->in_call)
        return TS_OK;
    t->in_call = false;
    r->open_clones -= ts_strace_is_clone(&t->call);
    enum ts_status status = ts_strace_memory_undo(r, t, err);
    if (status == TS_OK && t->open)
        return count_open(r, t, err);
    if (t->call.call != TS_STRACE_EXIT && t->call.call != TS_STRACE_EXIT_GROUP)
        r->counts.left_unfinished++;
    return status;
}

static enum ts_status on_resumed(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 const struct ts_strace_record *rec, struct ts_error *err)
{
    if (!t->in_call || t->call.call != rec->call) {
        r->counts.resumed_alone++;
        return TS_OK;
    }
    t->in_call = false;
    t->open = false;
    r->counts.pairs++;
    r->open_clones -= ts_strace_is_clone(&t->call);
    if (rec->has_flags && !t->call.has_flags) {
        t->call.flags = rec->flags;
        t->call.has_flags = true;
    }
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
    if (r->ntasks == 1 && t->state == TS_STRACE_TASK_SPAWNED) {
        ts_strace_retire(r, t);
        return TS_OK;
    }
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
    case TS_STRACE_OPEN:
    case TS_STRACE_CUT:
        status = abandon_call(r, t, err);
        if (status == TS_OK)
            status = start_call(r, t, rec, err);
        t->in_call = true;
        t->open = rec->kind == TS_STRACE_OPEN;
        t->open_line = r->number;
        t->open_column = rec->column;
        t->open_why = rec->why;
        r->open_clones += ts_strace_is_clone(&t->call);
        return status;
    case TS_STRACE_RESUMED:
        return on_resumed(r, t, rec, err);
    case TS_STRACE_EXITED:
        return on_exit(r, t, err);
    case TS_STRACE_SUPERSEDED:
        return on_superseded(r, t, rec->peer, err);
    case TS_STRACE_NOTE:
    case TS_STRACE_BREAK:
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
    h->number = r->number;
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
    const uint32_t number = r->number;
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
            r->number = h->number;
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
    r->number = number;
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

static bool begins_call(const struct ts_strace_record *rec)
{
    return rec->kind == TS_STRACE_CALL || rec->kind == TS_STRACE_UNFINISHED ||
           rec->kind == TS_STRACE_OPEN || rec->kind == TS_STRACE_CUT;
}

static enum ts_status on_record(struct ts_strace_replay *r, const struct ts_strace_record *rec,
                                struct ts_error *err)
{
    struct ts_strace_task *t = NULL;
    set_now(r, rec);
    if (rec->kind == TS_STRACE_SIGNAL) {
        r->counts.signals++;
        return TS_OK;
    }
    /* Nothing but a call shows that another program has begun. */
    if (rec->kind == TS_STRACE_NOTE || rec->kind == TS_STRACE_BREAK ||
        (r->last && !begins_call(rec))) {
        r->counts.notes++;
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
    t->seen = true;
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
    r->cut = true;
    r->cut_by_message = rec->kind == TS_STRACE_CUT;
    r->cut_has_tid = rec->has_tid;
    r->cut_tid = rec->tid;
    if (rec->kind == TS_STRACE_OPEN)
        return TS_OK;
    memset(&attached, 0, sizeof(attached));
    attached.kind = TS_STRACE_ATTACHED;
    attached.peer = rec->peer;
    return on_record(r, &attached, err);
}

/* The thread whose line ended in a call, while it is in that call. */
static struct ts_strace_task *cut_task(const struct ts_strace_replay *r)
{
    struct ts_strace_task *t = ts_strace_find(r, r->cut_has_tid ? r->cut_tid : 0);
    if (!t && !r->cut_has_tid && r->ntasks == 1)
        t = r->tasks[0];
    return t;
}

/* A line behind a cut one. */
static bool parse_rest(struct ts_strace_replay *r, const char *line, size_t len)
{
    if (!r->cut || !ts_strace_parse_rest(line, len, &r->record))
        return false;
    r->cut = false;
    r->record.has_tid = r->cut_has_tid;
    r->record.tid = r->cut_tid;
    const struct ts_strace_task *t = cut_task(r);
    if (t && t->in_call)
        r->record.call = t->call.call;
    return true;
}

/* A message of strace's cuts a call right before its rest, which is looked for first; what the
 * program prints may be any number of lines. */
static bool parse(struct ts_strace_replay *r, const char *line, size_t len)
{
    struct ts_strace_record *rec = &r->record;
    const bool by_message = r->cut && r->cut_by_message;
    if (by_message && parse_rest(r, line, len))
        return true;
    r->cut = r->cut && !by_message;
    if (ts_strace_parse(line, len, rec)) {
        if (rec->kind == TS_STRACE_BREAK && r->cut) {
            struct ts_strace_task *t = cut_task(r);
            if (t)
                t->open = false; /* unfinished, as strace says */
            r->cut = false;
        }
        r->prefixed = r->prefixed && !begins_call(rec);
        return true;
    }
    const struct ts_strace_record plain = *rec;
    if (parse_rest(r, line, len))
        return true;
    if ((!r->accepted || r->prefixed) && ts_strace_parse_prefixed(line, len, rec)) {
        r->prefixed = r->prefixed || begins_call(rec);
        r->counts.prefixed_lines++;
        return true;
    }
    *rec = plain;
    return false;
}

/* Whether a line that begins a call and does not end it can be one: the program's own output may
 * look like it. */
static bool can_open(const struct ts_strace_replay *r, const struct ts_strace_record *rec)
{
    if (rec->kind != TS_STRACE_OPEN)
        return false;
    const struct ts_strace_task *t = ts_strace_find(r, rec->has_tid ? rec->tid : 0);
    if (!t && !rec->has_tid && r->ntasks == 1)
        t = r->tasks[0];
    return t && !t->in_call;
}

enum ts_status ts_strace_replay_line(struct ts_strace_replay *r, const char *line, size_t len,
                                     uint32_t number, bool whole, struct ts_error *err)
{
    struct ts_strace_record *rec = &r->record;
    r->number = number;
    r->counts.lines++;
    if (!parse(r, line, len)) {
        if (can_open(r, rec))
            return on_cut(r, rec, err);
        rec->kind = TS_STRACE_NOTE;
        /* Without its newline: strace was ended in the middle of the line. */
        uint64_t *count =
            !whole && r->accepted ? &r->counts.partial_lines : &r->counts.foreign_lines;
        if (count == &r->counts.partial_lines && !r->config.strict) {
            ++*count;
            return TS_OK;
        }
        return ts_strace_unread(r, count, number, rec->column, rec->why, err);
    }
    r->accepted = r->accepted || (rec->kind != TS_STRACE_NOTE && rec->kind != TS_STRACE_BREAK &&
                                  rec->kind != TS_STRACE_ATTACHED);
    return rec->kind == TS_STRACE_CUT ? on_cut(r, rec, err) : on_record(r, rec, err);
}

enum ts_status ts_strace_replay_skip(struct ts_strace_replay *r, uint32_t number,
                                     struct ts_error *err)
{
    r->number = number;
    r->counts.lines++;
    memset(&r->record, 0, sizeof(r->record));
    return ts_strace_unread(r, &r->counts.foreign_lines, number, 1, "the line is too long", err);
}

enum ts_status ts_strace_replay_finish(struct ts_strace_replay *r, struct ts_error *err)
{
    if (!r->accepted && r->unread_why)
        return ts_error_set_at(err, TS_ERR_USER, r->config.source_name,
                               (uint32_t)r->counts.first_unread, r->unread_column,
                               "not an strace text: %s, and no other line is a system call",
                               r->unread_why);
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
    return status == TS_OK ? ts_strace_end_last(r, err) : status;
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
    free(r->segments);
    ts_region_pieces_fini(&r->scratch);
    free(r);
}
