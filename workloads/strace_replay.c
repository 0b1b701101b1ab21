/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a recording: what they say, and whose they are. */
#include "workloads/strace_replay.h"

#include "workloads/grow.h"
#include "workloads/strace_task.h"

#include <string.h>

#define DAY_NS UINT64_C(86400000000000)

static bool is_strace(const struct ts_strace_replay_config *c)
{
    return !c->format || !c->format->call;
}

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
    const bool foreign =
        count == &r->counts.foreign_lines && r->record.foreign && is_strace(&r->config);
    return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, line, column, "%s%s%s",
                           r->accepted || !is_strace(&r->config) ? "" : "not an strace text: ", why,
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
                status = ts_strace_handle(r, t, &h->record, err);
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
        return *out ? TS_OK : ts_strace_discover(r, 0, rec->group, out, err);
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
    return ts_strace_discover(r, rec->tid, rec->group, out, err);
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
        t = ts_strace_add_times(t, r->day_ns);
        /* Lines of different threads may be a little out of order: only a leap back of half a day
         * is a midnight. */
        if (r->has_now && r->now_ns > ts_strace_add_times(t, DAY_NS / 2u)) {
            r->day_ns = ts_strace_add_times(r->day_ns, DAY_NS);
            t = ts_strace_add_times(t, DAY_NS);
        }
        break;
    case TS_STRACE_TIME_RELATIVE:
        t = ts_strace_add_times(r->now_ns, t);
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

/* What a thread does between its calls it does while it has a CPU: the rest is sleep, or waits for
 * one, which is the simulated machine's to say. */
static void on_switch(struct ts_strace_replay *r, const struct ts_strace_record *rec)
{
    struct ts_strace_task *from = ts_strace_find(r, rec->tid);
    struct ts_strace_task *to = ts_strace_find(r, rec->peer);
    if (!r->has_now)
        return;
    if (from && from->state == TS_STRACE_TASK_SPAWNED && !from->in_call && from->has_end) {
        if (r->now_ns > from->end_ns)
            from->gap_ns = ts_strace_add_times(from->gap_ns, r->now_ns - from->end_ns);
        from->has_end = false;
        from->off_cpu = true;
        from->sleeps = rec->flags != 0;
        from->end_ns = r->now_ns;
    }
    if (to && to->off_cpu && !to->in_call) {
        if (to->sleeps && r->now_ns > to->end_ns)
            to->sleep_ns = ts_strace_add_times(to->sleep_ns, r->now_ns - to->end_ns);
        to->off_cpu = false;
        to->has_end = true;
        to->end_ns = r->now_ns;
    }
}

/* What is counted, and is no operation of a thread. */
static bool only_counts(struct ts_strace_replay *r, const struct ts_strace_record *rec)
{
    struct ts_strace_counts *c = &r->counts;
    if (rec->has_cpu && rec->cpu >= c->cpus)
        c->cpus = (uint64_t)rec->cpu + 1u;
    switch (rec->kind) {
    case TS_STRACE_SIGNAL:
        c->signals++;
        return true;
    case TS_STRACE_FLUSH:
        if (rec->group != 0 && !ts_strace_find(r, rec->tid) && !ts_strace_of_group(r, rec->group))
            c->flushes_elsewhere += rec->ret;
        else
            c->flushes[rec->flags] += rec->ret;
        return true;
    case TS_STRACE_SWITCH:
        c->switches++;
        on_switch(r, rec);
        return true;
    case TS_STRACE_LOST:
        c->lost_events += rec->length;
        return true;
    case TS_STRACE_TOUCH:
        c->blind_touches += rec->prot == 0;
        return rec->prot == 0;
    default:
        return false;
    }
}

/* Where a recording is of the whole machine, what a thread does that has made no call yet is of one
 * of its threads only if the thread's group has. */
static bool is_stray(const struct ts_strace_replay *r, const struct ts_strace_record *rec)
{
    if (rec->group == 0 || !rec->has_tid || begins_call(rec) || ts_strace_find(r, rec->tid))
        return false;
    return rec->kind != TS_STRACE_TOUCH || !ts_strace_of_group(r, rec->group);
}

static enum ts_status on_record(struct ts_strace_replay *r, const struct ts_strace_record *rec,
                                struct ts_error *err)
{
    struct ts_strace_task *t = NULL;
    set_now(r, rec);
    if (r->config.on_record && rec->kind != TS_STRACE_NOTE && rec->kind != TS_STRACE_BREAK) {
        enum ts_status status = r->config.on_record(
            r->config.user, rec, r->has_now && rec->time_kind != TS_STRACE_TIME_NONE, r->now_ns,
            err);
        if (status != TS_OK)
            return status;
    }
    if (only_counts(r, rec))
        return TS_OK;
    if (is_stray(r, rec)) {
        r->counts.unknown_touches += rec->kind == TS_STRACE_TOUCH;
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
        return known ? TS_OK : ts_strace_discover(r, rec->peer, 0, &t, err);
    }
    enum ts_status status = whose(r, rec, &t, err);
    if (status != TS_OK)
        return status;
    t->seen = true;
    t->cpu = rec->has_cpu ? rec->cpu + 1u : t->cpu;
    if (rec->group != t->group && rec->group != 0 && rec->group != TS_STRACE_GROUP_SOME)
        status = ts_strace_set_group(r, t, rec->group, err);
    if (status != TS_OK)
        return status;
    if (t->ended) {
        r->counts.notes++;
        return TS_OK;
    }
    if (t->state == TS_STRACE_TASK_HELD)
        return hold(r, t, rec, err);
    status = ts_strace_handle(r, t, rec, err);
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
    const struct ts_trace_format *f = r->config.format;
    r->number = number;
    r->counts.lines++;
    if (is_strace(&r->config) ? !parse(r, line, len) : !f->call(r->state, line, len, rec)) {
        if (is_strace(&r->config) && can_open(r, rec))
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

static enum ts_status finish(struct ts_strace_replay *r, struct ts_error *err)
{
    enum ts_status status = TS_OK;
    bool again = true;
    while (again && status == TS_OK) {
        again = false;
        for (size_t i = 0; i < r->ntasks && status == TS_OK; i++) {
            again = again || r->tasks[i]->in_call;
            status = ts_strace_abandon_call(r, r->tasks[i], err);
        }
        if (status == TS_OK)
            status = pump(r, err);
    }
    return status == TS_OK ? ts_strace_end_last(r, err) : status;
}

enum ts_status ts_strace_replay_finish(struct ts_strace_replay *r, struct ts_error *err)
{
    if (!is_strace(&r->config)) {
        if (r->next_thread == 0 && r->config.calls_needed)
            return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, 0, 0,
                                   "the recording (%s) has no system call that could be replayed: "
                                   "%s",
                                   r->config.format->summary, r->config.format->near_hint);
        return finish(r, err);
    }
    if (!r->accepted && r->unread_why)
        return ts_error_set_at(err, TS_ERR_USER, r->config.source_name,
                               (uint32_t)r->counts.first_unread, r->unread_column,
                               "not an strace text: %s, and no other line is a system call",
                               r->unread_why);
    if (!r->accepted)
        return ts_error_set_at(err, TS_ERR_USER, r->config.source_name, 0, 0,
                               "not an strace text: no system call in it");
    return finish(r, err);
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
    const size_t state = config->format ? config->format->state_size : 0;
    r->guesses = calloc(TS_STRACE_GUESSES, sizeof(*r->guesses));
    r->state = state > 0 ? calloc(1, state) : NULL;
    if (!r->guesses || (state > 0 && !r->state)) {
        ts_strace_replay_destroy(r);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    }
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
    free(r->state);
    free(r->guesses);
    ts_region_pieces_fini(&r->scratch);
    free(r);
}
