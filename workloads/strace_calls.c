/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when a call starts and ends, and what else a record of a thread does. */
#include "workloads/strace_task.h"

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
        t->gap_ns = ts_strace_add_times(t->gap_ns, r->now_ns - t->end_ns);
    t->has_end = false;
    t->off_cpu = false;
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
        return ts_strace_cloned(r, t, &t->call, rec->ret, err);
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
enum ts_status ts_strace_abandon_call(struct ts_strace_replay *r, struct ts_strace_task *t,
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
    enum ts_status status = ts_strace_abandon_call(r, t, err);
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

/* The event of a new thread, which comes before the call that makes it returns. A call of the same
 * thread that is in progress then learns its flags. */
static enum ts_status on_child(struct ts_strace_replay *r, struct ts_strace_task *t,
                               const struct ts_strace_record *rec, struct ts_error *err)
{
    struct ts_strace_record call = {.call = TS_STRACE_CLONE, .has_flags = rec->has_flags};
    call.flags = rec->flags;
    if (t->in_call && ts_strace_is_clone(&t->call)) {
        if (rec->has_flags && !t->call.has_flags) {
            t->call.flags = rec->flags;
            t->call.has_flags = true;
        }
        call = t->call;
    }
    return ts_strace_cloned(r, t, &call, rec->peer, err);
}

static enum ts_status on_touch(struct ts_strace_replay *r, struct ts_strace_task *t,
                               const struct ts_strace_record *rec, struct ts_error *err)
{
    if (r->has_now) {
        if (t->has_end && r->now_ns > t->end_ns)
            t->gap_ns = ts_strace_add_times(t->gap_ns, r->now_ns - t->end_ns);
        t->end_ns = r->now_ns;
        t->has_end = true;
    }
    return ts_strace_memory_touch(r, t, rec, err);
}

enum ts_status ts_strace_handle(struct ts_strace_replay *r, struct ts_strace_task *t,
                                const struct ts_strace_record *rec, struct ts_error *err)
{
    enum ts_status status = TS_OK;
    switch (rec->kind) {
    case TS_STRACE_CALL:
        status = ts_strace_abandon_call(r, t, err);
        if (status == TS_OK)
            status = start_call(r, t, rec, err);
        return status == TS_OK ? end_call(r, t, rec, err) : status;
    case TS_STRACE_UNFINISHED:
    case TS_STRACE_OPEN:
    case TS_STRACE_CUT:
        status = ts_strace_abandon_call(r, t, err);
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
    case TS_STRACE_CHILD:
        return on_child(r, t, rec, err);
    case TS_STRACE_TOUCH:
        return on_touch(r, t, rec, err);
    case TS_STRACE_NOTE:
    case TS_STRACE_BREAK:
    case TS_STRACE_SIGNAL:
    case TS_STRACE_ATTACHED:
    case TS_STRACE_FLUSH:
    case TS_STRACE_SWITCH:
    case TS_STRACE_LOST:
        break;
    }
    return TS_OK;
}
