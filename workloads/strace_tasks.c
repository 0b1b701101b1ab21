/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and address spaces of a recording: which there are, and who starts whom. */
#include "workloads/grow.h"
#include "workloads/strace_task.h"

#include <string.h>

/* --- address spaces --------------------------------------------------------------------------- */

static struct ts_strace_mm *mm_create(struct ts_strace_replay *r, struct ts_error *err)
{
    struct ts_strace_mm *mm = calloc(1, sizeof(*mm));
    if (!mm) {
        ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        return NULL;
    }
    mm->refs = 1;
    r->counts.processes++;
    return mm;
}

static void mm_put(struct ts_strace_replay *r, struct ts_strace_mm *mm)
{
    if (!mm || --mm->refs > 0)
        return;
    r->counts.mapped_bytes -= mm->map.mapped;
    ts_regions_fini(&mm->map);
    free(mm);
}

static struct ts_strace_mm *mm_fork(struct ts_strace_replay *r, const struct ts_strace_mm *from,
                                    struct ts_error *err)
{
    struct ts_strace_mm *mm = mm_create(r, err);
    if (!mm)
        return NULL;
    if (ts_regions_copy(&mm->map, &from->map, err) != TS_OK) {
        mm_put(r, mm);
        return NULL;
    }
    mm->has_brk = from->has_brk;
    mm->brk = from->brk;
    mm->used = from->used;
    r->counts.mapped_bytes += mm->map.mapped;
    if (r->counts.mapped_bytes > r->counts.mapped_peak_bytes)
        r->counts.mapped_peak_bytes = r->counts.mapped_bytes;
    return mm;
}

/* Goes on in a new, empty address space. */
static enum ts_status leave_mm(struct ts_strace_replay *r, struct ts_strace_task *t,
                               struct ts_error *err)
{
    struct ts_strace_event e = {.op = {.kind = TS_OP_EXEC}};
    enum ts_status status = ts_strace_emit(r, t, &e, err);
    if (status != TS_OK)
        return status;
    struct ts_strace_mm *mm = mm_create(r, err);
    if (!mm)
        return err->status;
    mm_put(r, t->mm);
    t->mm = mm;
    return TS_OK;
}

enum ts_status ts_strace_exec(struct ts_strace_replay *r, struct ts_strace_task *t,
                              struct ts_error *err)
{
    t->assumed = false;
    /* A recording starts with the execve of the program itself, which replaces nothing. */
    if (t->mm->refs == 1 && !t->mm->used) {
        t->mm->has_brk = false;
        return TS_OK;
    }
    return leave_mm(r, t, err);
}

enum ts_status ts_strace_separate(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  struct ts_error *err)
{
    struct ts_regions *map = &t->mm->map;
    uint64_t before = map->mapped;
    t->assumed = false;
    r->counts.separated++;
    /* What it mapped was never in the others' way, and is lost: it stays mapped where it is. */
    for (size_t i = map->map.n; i-- > 0;) {
        const struct ts_region_piece p = map->map.v[i];
        if (p.tag >> TS_STRACE_TAG_THREAD_SHIFT != t->thread)
            continue;
        r->scratch.n = 0;
        enum ts_status status = ts_regions_remove(map, p.start, p.end, &r->scratch, err);
        if (status != TS_OK)
            return status;
    }
    r->counts.mapped_bytes -= before - map->mapped;
    t->pieces.n = 0; /* of a call in progress */
    return leave_mm(r, t, err);
}

/* --- the table of tasks ----------------------------------------------------------------------- */

/* Index of the first task with at least this tid. */
static size_t find_index(const struct ts_strace_replay *r, uint32_t tid)
{
    size_t lo = 0, hi = r->ntasks;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2u;
        if (r->tasks[mid]->tid >= tid)
            hi = mid;
        else
            lo = mid + 1u;
    }
    return lo;
}

struct ts_strace_task *ts_strace_find(const struct ts_strace_replay *r, uint32_t tid)
{
    uint32_t *guess = &r->guesses[tid % TS_STRACE_GUESSES];
    if (*guess < r->ntasks && r->tasks[*guess]->tid == tid)
        return r->tasks[*guess];
    size_t i = find_index(r, tid);
    *guess = (uint32_t)i;
    return i < r->ntasks && r->tasks[i]->tid == tid ? r->tasks[i] : NULL;
}

static void table_remove(struct ts_strace_replay *r, const struct ts_strace_task *t)
{
    size_t i = find_index(r, t->tid);
    TS_ASSERT(i < r->ntasks && r->tasks[i] == t);
    r->ntasks--;
    memmove(r->tasks + i, r->tasks + i + 1, (r->ntasks - i) * sizeof(*r->tasks));
}

/* There is room. */
static void table_insert(struct ts_strace_replay *r, struct ts_strace_task *t)
{
    size_t i = find_index(r, t->tid);
    memmove(r->tasks + i + 1, r->tasks + i, (r->ntasks - i) * sizeof(*r->tasks));
    r->tasks[i] = t;
    r->ntasks++;
}

void ts_strace_rename(struct ts_strace_replay *r, struct ts_strace_task *t, uint32_t tid)
{
    for (size_t i = r->first_held; i < r->nheld; i++)
        if (r->held[i].tid == t->tid)
            r->held[i].tid = tid;
    table_remove(r, t);
    t->tid = tid;
    table_insert(r, t);
}

static void free_task(struct ts_strace_replay *r, struct ts_strace_task *t)
{
    mm_put(r, t->mm);
    ts_region_pieces_fini(&t->pieces);
    free(t);
}

/* The spawned task with the lowest thread number: thread numbers and not tids, so that the answer
 * does not hang on how the kernel counts. mm: only tasks in this address space, if not NULL. */
static struct ts_strace_task *oldest(const struct ts_strace_replay *r,
                                     const struct ts_strace_mm *mm)
{
    struct ts_strace_task *best = NULL;
    for (size_t i = 0; i < r->ntasks; i++) {
        struct ts_strace_task *t = r->tasks[i];
        if (t->state == TS_STRACE_TASK_SPAWNED && (!mm || t->mm == mm) &&
            (!best || t->thread < best->thread))
            best = t;
    }
    return best;
}

struct ts_strace_task *ts_strace_root(struct ts_strace_replay *r)
{
    if (!r->root)
        r->root = oldest(r, NULL);
    return r->root;
}

struct ts_strace_task *ts_strace_by_thread(const struct ts_strace_replay *r, uint32_t thread)
{
    for (size_t i = 0; i < r->ntasks; i++)
        if (r->tasks[i]->thread == thread)
            return r->tasks[i];
    return NULL;
}

struct ts_strace_task *ts_strace_of_group(const struct ts_strace_replay *r, uint64_t group)
{
    struct ts_strace_task *best = NULL;
    for (size_t i = 0; i < r->ntasks; i++) {
        struct ts_strace_task *t = r->tasks[i];
        if (t->group == group && t->state == TS_STRACE_TASK_SPAWNED &&
            (!best || t->thread < best->thread))
            best = t;
    }
    return best;
}

static struct ts_strace_task *oldest_unsettled(const struct ts_strace_replay *r)
{
    struct ts_strace_task *best = NULL;
    for (size_t i = 0; i < r->ntasks; i++)
        if (r->tasks[i]->state != TS_STRACE_TASK_SPAWNED &&
            (!best || r->tasks[i]->thread < best->thread))
            best = r->tasks[i];
    return best;
}

bool ts_strace_is_last_parent(const struct ts_strace_replay *r, const struct ts_strace_task *t)
{
    const struct ts_strace_task *u = r->unsettled > 0 ? oldest_unsettled(r) : NULL;
    if (!u || t->state != TS_STRACE_TASK_SPAWNED || t->thread > u->thread)
        return false;
    for (size_t i = 0; i < r->ntasks; i++)
        if (r->tasks[i] != t && r->tasks[i]->state == TS_STRACE_TASK_SPAWNED &&
            r->tasks[i]->thread < u->thread)
            return false;
    return true;
}

void ts_strace_drop(struct ts_strace_replay *r, struct ts_strace_task *t)
{
    if (r->root == t)
        r->root = NULL;
    table_remove(r, t);
    free_task(r, t);
}

void ts_strace_retire(struct ts_strace_replay *r, struct ts_strace_task *t)
{
    TS_ASSERT(r->ntasks == 1 && !r->last);
    r->root = NULL;
    table_remove(r, t);
    mm_put(r, t->mm);
    t->mm = NULL;
    r->last = t;
}

enum ts_status ts_strace_end_last(struct ts_strace_replay *r, struct ts_error *err)
{
    struct ts_strace_task *t = r->last;
    if (!t)
        return TS_OK;
    struct ts_strace_event e = {.op = {.kind = TS_OP_EXIT}};
    enum ts_status status = ts_strace_emit(r, t, &e, err);
    r->last = NULL;
    free_task(r, t);
    return status;
}

enum ts_status ts_strace_emit(struct ts_strace_replay *r, struct ts_strace_task *t,
                              struct ts_strace_event *event, struct ts_error *err)
{
    event->op.thread = t->thread;
    event->gap_ns = t->gap_ns;
    event->cpu = t->cpu;
    event->sleep_ns = t->sleep_ns;
    t->gap_ns = 0;
    t->sleep_ns = 0;
    return r->config.emit(r->config.user, event, err);
}

/* --- how threads start ------------------------------------------------------------------------ */

bool ts_strace_is_clone(const struct ts_strace_record *c)
{
    return c->call == TS_STRACE_CLONE || c->call == TS_STRACE_CLONE3 || c->call == TS_STRACE_FORK ||
           c->call == TS_STRACE_VFORK;
}

/* Whether the recording says what the call's child does with the address space; a call in progress
 * may still come to say it. */
static bool knows_mm(const struct ts_strace_record *c)
{
    return c->has_flags || c->call == TS_STRACE_FORK || c->call == TS_STRACE_VFORK;
}

/* Whether the call's child shares the address space. A clone whose flags cannot be read is taken to
 * make a thread. */
static bool shares_mm(const struct ts_strace_record *c)
{
    if (c->call == TS_STRACE_FORK || c->call == TS_STRACE_VFORK)
        return c->call == TS_STRACE_VFORK;
    return !c->has_flags || (c->flags & TS_STRACE_CLONE_VM);
}

/* Every thread is started by one with a lower number, because a call that makes a thread begins
 * before the thread is seen: so each can be reached from thread 0, whatever the text says.
 *
 * The parent of t is known: emits its SPAWN, gives it an address space if it has none, and marks
 * its records as ready. */
static enum ts_status settle(struct ts_strace_replay *r, struct ts_strace_task *parent,
                             struct ts_strace_task *t, uint32_t flags, struct ts_error *err)
{
    const bool shares = flags == 0;
    if (!t->mm) {
        t->mm = shares ? parent->mm : mm_fork(r, parent->mm, err);
        if (!t->mm)
            return err->status;
        if (shares)
            t->mm->refs++;
    }
    TS_ASSERT(parent->thread < t->thread);
    r->ready = r->ready || t->state == TS_STRACE_TASK_HELD;
    t->state = TS_STRACE_TASK_SPAWNED;
    r->unsettled--;
    if (r->root && t->thread < r->root->thread)
        r->root = t;
    struct ts_strace_event e = {.op = {.kind = TS_OP_SPAWN, .target = t->thread, .flags = flags}};
    enum ts_status status = ts_strace_emit(r, parent, &e, err);
    if (status == TS_OK && t->ended)
        ts_strace_drop(r, t);
    return status;
}

/* Whether the record at hand is of t and tells that it does not share mm: the kernel gave it an
 * address that is in use there. */
static enum ts_status is_apart(struct ts_strace_replay *r, const struct ts_strace_task *t,
                               const struct ts_strace_mm *mm, bool *apart, struct ts_error *err)
{
    const struct ts_strace_record *c = &r->record;
    *apart = false;
    if (c->kind != TS_STRACE_CALL || c->call != TS_STRACE_MMAP || c->tid != t->tid ||
        c->result != TS_STRACE_RESULT_VALUE || (c->flags & TS_STRACE_MAP_FIXED) ||
        c->length > UINT64_MAX - c->ret)
        return TS_OK;
    r->scratch.n = 0;
    enum ts_status status =
        ts_regions_collect(&mm->map, c->ret, c->ret + c->length, &r->scratch, err);
    *apart = r->scratch.n > 0;
    return status;
}

/* No recorded call explains t. */
static enum ts_status adopt(struct ts_strace_replay *r, struct ts_strace_task *t,
                            struct ts_error *err)
{
    struct ts_strace_task *parent = t->mm ? oldest(r, t->mm) : NULL;
    if (!parent || parent->thread > t->thread)
        parent = ts_strace_root(r);
    if (!parent || parent->thread > t->thread)
        return ts_strace_error(r, err,
                               "a thread begins after all others have ended, so nothing can have "
                               "started it; record clone, clone3, fork, vfork and execve too");
    r->counts.assumed_spawns++;
    bool apart = false;
    enum ts_status status = t->mm ? TS_OK : is_apart(r, t, parent->mm, &apart, err);
    if (status != TS_OK)
        return status;
    t->assumed = !apart;
    if (apart) {
        r->counts.separated++;
        t->mm = mm_create(r, err);
        if (!t->mm)
            return err->status;
    }
    return settle(r, parent, t, apart ? TS_OPF_NEW_MM : 0u, err);
}

enum ts_status ts_strace_adopt_oldest(struct ts_strace_replay *r, struct ts_error *err)
{
    struct ts_strace_task *t = oldest_unsettled(r);
    TS_ASSERT(t != NULL);
    return adopt(r, t, err);
}

/* Where a thread goes that is seen while calls are in progress that may have made it. */
static void place(struct ts_strace_replay *r, struct ts_strace_task *t)
{
    struct ts_strace_mm *mm = NULL;
    bool one = true;
    for (size_t i = 0; i < r->ntasks; i++) {
        const struct ts_strace_task *p = r->tasks[i];
        /* It may be a child of one whose calls are not known yet. */
        one = one && p->state != TS_STRACE_TASK_HELD;
        if (!p->in_call || !ts_strace_is_clone(&p->call))
            continue;
        one = one && knows_mm(&p->call) && shares_mm(&p->call) && (!mm || mm == p->mm);
        mm = p->mm;
    }
    r->unsettled++;
    t->state = TS_STRACE_TASK_HELD;
    if (one && mm) {
        t->state = TS_STRACE_TASK_UNSPAWNED;
        t->mm = mm;
        mm->refs++;
    }
}

static enum ts_status create_task(struct ts_strace_replay *r, uint32_t tid,
                                  struct ts_strace_task **out, struct ts_error *err)
{
    if (r->next_thread == UINT32_MAX)
        return ts_strace_error(r, err, "more than 2^32 threads");
    struct ts_strace_task **tasks =
        ts_grow(r->tasks, &r->cap_tasks, r->ntasks + 1, sizeof(struct ts_strace_task *), err);
    if (!tasks)
        return TS_ERR_ENVIRONMENT;
    r->tasks = tasks;
    struct ts_strace_task *t = calloc(1, sizeof(*t));
    if (!t)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    t->tid = tid;
    t->thread = r->next_thread++;
    r->counts.threads++;
    table_insert(r, t);
    *out = t;
    return TS_OK;
}

/* A program that starts when all others have ended. */
static enum ts_status start_program(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    struct ts_error *err)
{
    t->mm = mm_create(r, err);
    if (!t->mm)
        return err->status;
    if (!r->last)
        return TS_OK;
    struct ts_strace_event e = {
        .op = {.kind = TS_OP_SPAWN, .target = t->thread, .flags = TS_OPF_NEW_MM}};
    enum ts_status status = ts_strace_emit(r, r->last, &e, err);
    return status == TS_OK ? ts_strace_end_last(r, err) : status;
}

/* In a container clone returns numbers of the container's own, which are lower than those that
 * strace prints: a child of such a number, which has no line, is the thread that nothing explains.
 */
static bool is_of_container(const struct ts_strace_replay *r, uint64_t number)
{
    return number < r->first_tid;
}

static struct ts_strace_task *find_unnamed_child(const struct ts_strace_replay *r)
{
    struct ts_strace_task *best = NULL;
    for (size_t i = 0; i < r->ntasks; i++) {
        struct ts_strace_task *t = r->tasks[i];
        if (t->state == TS_STRACE_TASK_SPAWNED && !t->seen && t->tid > 0 &&
            is_of_container(r, t->tid) && (!best || t->thread < best->thread))
            best = t;
    }
    return best;
}

/* t's group is known: it shares the memory of those in it, or it is of another program. */
static enum ts_status join_group(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 struct ts_strace_task *kin, struct ts_error *err)
{
    t->state = TS_STRACE_TASK_UNSPAWNED;
    r->unsettled++;
    if (kin) {
        const bool by_name = (t->group & TS_STRACE_GROUP_BY_NAME) != 0;
        r->counts.assumed_spawns += by_name;
        t->assumed = by_name;
        return settle(r, kin, t, 0, err);
    }
    r->counts.assumed_programs++;
    t->mm = mm_create(r, err);
    if (!t->mm)
        return err->status;
    return settle(r, ts_strace_root(r), t, TS_OPF_NEW_MM, err);
}

enum ts_status ts_strace_set_group(struct ts_strace_replay *r, struct ts_strace_task *t,
                                   uint64_t group, struct ts_error *err)
{
    const bool was_known = t->group != 0;
    t->group = group;
    if (was_known || !t->assumed || t->state != TS_STRACE_TASK_SPAWNED ||
        (group & TS_STRACE_GROUP_BY_NAME))
        return TS_OK;
    for (size_t i = 0; i < r->ntasks; i++) {
        const struct ts_strace_task *o = r->tasks[i];
        if (o->mm == t->mm && o->group != 0 && o->group != group)
            return ts_strace_separate(r, t, err);
    }
    return TS_OK;
}

enum ts_status ts_strace_discover(struct ts_strace_replay *r, uint32_t tid, uint64_t group,
                                  struct ts_strace_task **out, struct ts_error *err)
{
    bool first = r->next_thread == 0 || r->last;
    if (r->first_tid == 0)
        r->first_tid = tid;
    struct ts_strace_task *child = NULL;
    if (r->open_clones == 0 && group == 0 && !is_of_container(r, tid))
        child = find_unnamed_child(r);
    if (child) {
        ts_strace_rename(r, child, tid);
        *out = child;
        return TS_OK;
    }
    enum ts_status status = create_task(r, tid, out, err);
    if (status != TS_OK)
        return status;
    struct ts_strace_task *t = *out;
    t->group = group;
    if (first)
        return start_program(r, t, err);
    struct ts_strace_task *kin = NULL;
    if (group != 0 && ts_strace_root(r)) {
        t->state = TS_STRACE_TASK_HELD; /* is not kin of itself */
        kin = ts_strace_of_group(r, group);
        if (kin || r->open_clones == 0)
            return join_group(r, t, kin, err);
    }
    if (r->open_clones > 0) {
        place(r, t);
        return TS_OK;
    }
    t->state = TS_STRACE_TASK_UNSPAWNED;
    r->unsettled++;
    return adopt(r, t, err);
}

enum ts_status ts_strace_cloned(struct ts_strace_replay *r, struct ts_strace_task *parent,
                                const struct ts_strace_record *call, uint64_t ret,
                                struct ts_error *err)
{
    if (ret == 0 || ret > INT32_MAX)
        return ts_strace_impossible(r, parent, "not a thread number", err);
    struct ts_strace_task *t = ts_strace_find(r, (uint32_t)ret);
    enum ts_status status = TS_OK;
    /* A number in use: an end was lost, or the numbers are of another namespace. */
    if (t && (t->state == TS_STRACE_TASK_SPAWNED || t->thread <= parent->thread))
        return TS_OK;
    if (!t && is_of_container(r, ret)) {
        t = r->unsettled > 0 ? oldest_unsettled(r) : NULL;
        t = t && t->thread > parent->thread ? t : NULL;
    }
    if (!t) {
        status = create_task(r, (uint32_t)ret, &t, err);
        if (status != TS_OK)
            return status;
        t->state = TS_STRACE_TASK_UNSPAWNED;
        r->unsettled++;
    }
    bool shares = shares_mm(call);
    if (!knows_mm(call) && parent->group != 0 && t->group != 0) {
        shares = parent->group == t->group;
    } else if (!knows_mm(call)) {
        t->assumed = true;
        r->counts.assumed_spawns++;
    }
    return settle(r, parent, t, shares ? 0u : TS_OPF_NEW_MM | TS_OPF_COPY_MM, err);
}

void ts_strace_drop_all(struct ts_strace_replay *r)
{
    for (size_t i = 0; i < r->ntasks; i++)
        free_task(r, r->tasks[i]);
    if (r->last)
        free_task(r, r->last);
    free(r->tasks);
}
