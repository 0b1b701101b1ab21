/* SPDX-License-Identifier: Apache-2.0 */
/* Events and their fields: include/trace/events/{tlb,sched,task,exceptions}.h and
 * kernel/trace/trace_syscalls.c of Linux 6.1 and 6.12; leaders: tools/perf/builtin-script.c
 * perf_sample__fprintf_start and kernel/trace/trace_output.c trace_print_context. */
#include "workloads/kernel_events.h"

#include "workloads/trace_args.h"

struct event {
    const char *name; /* without the subsystem */
    size_t len;
    struct ts_lex fields; /* behind the name */
};

/* --- the leader ------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The time's first character and the ':' behind it. */
static bool find_time(const char *line, const char *end, const char **begin, const char **colon)
{
    for (const char *p = line; p < end; p = *colon + 1) {
        *colon = (const char *)memchr(p, ':', (size_t)(end - p));
        if (!*colon)
            return false;
        const char *q = *colon, *dot = NULL;
        while (q > line && ts_lex_is_digit(q[-1]))
            q--;
        const size_t fraction = (size_t)(*colon - q);
        if (fraction < 3 || fraction > 9 || q == line || q[-1] != '.')
            continue;
        dot = --q;
        while (q > line && ts_lex_is_digit(q[-1]))
            q--;
        if (q < dot && q > line && is_blank(q[-1])) {
            *begin = q;
            return true;
        }
    }
    return false;
}

static const char *back_blanks(const char *line, const char *p)
{
    while (p > line && is_blank(p[-1]))
        p--;
    return p;
}

/* The number that ends at p. */
static bool back_number(const char *line, const char **p, uint64_t *value)
{
    const char *q = *p;
    uint64_t unit = 1;
    *value = 0;
    while (q > line && ts_lex_is_digit(q[-1]) && *p - q < 10) {
        q--;
        *value += unit * (uint64_t)(*q - '0');
        unit *= 10u;
    }
    const bool some = q < *p;
    *p = q;
    return some;
}

/* "[001]" that ends at *p. */
static bool back_cpu(const char *line, const char **p, struct ts_strace_record *out)
{
    uint64_t cpu = 0;
    const char *q = *p;
    if (q == line || q[-1] != ']')
        return false;
    q--;
    if (!back_number(line, &q, &cpu) || q == line || q[-1] != '[' || cpu > UINT16_MAX)
        return false;
    out->has_cpu = true;
    out->cpu = (uint32_t)cpu;
    *p = back_blanks(line, q - 1);
    return true;
}

static uint64_t hash_of(const char *p, size_t len)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return h;
}

/* What stands between the beginning of the line and its time. A name is all that tells threads of
 * different programs apart where the number of the process is not printed. */
static bool read_leader(const char *line, const char *time, bool ftrace,
                        struct ts_strace_record *out)
{
    const char *p = back_blanks(line, time);
    uint64_t tid = 0, group = 0;
    if (ftrace && !back_cpu(line, &p, out)) {
        while (p > line && !is_blank(p[-1])) /* flags */
            p--;
        p = back_blanks(line, p);
    }
    if (!out->has_cpu && !back_cpu(line, &p, out) && ftrace)
        return false;
    if (ftrace && p > line && p[-1] == ')') { /* the thread group */
        const char *q = p - 1;
        bool some = back_number(line, &q, &group);
        while (q > line && (is_blank(q[-1]) || q[-1] == '-'))
            q--;
        if (q == line || q[-1] != '(')
            return false;
        group = some ? group : 0u;
        p = back_blanks(line, q - 1);
    }
    if (!back_number(line, &p, &tid) || tid > INT32_MAX || p == line)
        return false;
    if (!ftrace && p[-1] == '-') /* a thread that perf knows no more */
        return true;
    if (!ftrace && p[-1] == '/') {
        p--;
        if (!back_number(line, &p, &group) || p == line)
            return false;
    }
    if (ftrace ? p[-1] != '-' : !is_blank(p[-1]))
        return false;
    p = back_blanks(line, ftrace ? p - 1 : p);
    while (line < p && is_blank(*line))
        line++;
    out->has_tid = true;
    out->tid = (uint32_t)tid;
    out->group = group > 0 ? group : hash_of(line, (size_t)(p - line)) | TS_STRACE_GROUP_BY_NAME;
    return true;
}

/* --- events ----------------------------------------------------------------------------------- */

static bool is(const struct event *e, const char *name)
{
    return strlen(name) == e->len && memcmp(e->name, name, e->len) == 0;
}

static bool begins(const struct event *e, const char *prefix)
{
    size_t n = strlen(prefix);
    return e->len > n && memcmp(e->name, prefix, n) == 0;
}

/* "[period] [subsystem:]name[:modifiers]" up to ": ", '(' or a blank. */
static bool read_event(struct ts_lex *x, struct event *e)
{
    ts_lex_blanks(x);
    const char *first = x->p;
    while (x->p < x->end && ts_lex_is_digit(*x->p))
        x->p++;
    if (x->p < x->end && is_blank(*x->p))
        ts_lex_blanks(x);
    else
        x->p = first;
    const char *begin = x->p;
    while (x->p < x->end && !is_blank(*x->p) && *x->p != '(' &&
           !(*x->p == ':' && (x->p + 1 == x->end || is_blank(x->p[1]))))
        x->p++;
    const char *end = x->p;
    if (ts_lex_at(x, ':'))
        x->p++;
    const char *last = end; /* the part behind the last colon may be modifiers: "page-faults:u" */
    while (last > begin && memchr("ukhpPGH", last[-1], 7))
        last--;
    if (last > begin && last < end && last[-1] == ':')
        end = last - 1;
    e->name = begin;
    for (const char *p = begin; p < end; p++)
        if (*p == ':')
            e->name = p + 1;
    e->len = (size_t)(end - e->name);
    e->fields = *x;
    return e->len > 0;
}

/* The number behind "key" in the fields: "pid=12", "address=0x7f". */
static bool field(const struct event *e, const char *key, bool hex, uint64_t *value)
{
    const char *hit = ts_lex_find(e->fields.p, e->fields.end, key);
    struct ts_strace_record scratch;
    if (!hit)
        return false;
    struct ts_lex x = {e->fields.line, hit + strlen(key), e->fields.end, &scratch};
    if (!hex)
        return ts_lex_number(&x, value);
    return ts_lex_hex(&x, value);
}

static bool is_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!ts_lex_is_name(name[i]))
            return false;
    return true;
}

static bool call_begins(struct event *e, const char *name, size_t len, struct ts_strace_record *out)
{
    if (!is_name(name, len))
        return false;
    out->kind = TS_STRACE_UNFINISHED;
    out->name = name;
    out->name_len = len;
    out->call = ts_strace_find_call(name, len);
    if (out->call == TS_STRACE_OTHER || out->call == TS_STRACE_UNMODELLED)
        return true;
    e->fields.out = out;
    return ts_trace_named_args(&e->fields);
}

static bool call_ends(struct event *e, const char *name, size_t len, struct ts_strace_record *out)
{
    uint64_t value = 0;
    if (!is_name(name, len))
        return false;
    out->kind = TS_STRACE_RESUMED;
    out->name = name;
    out->name_len = len;
    out->call = ts_strace_find_call(name, len);
    e->fields.out = out;
    ts_lex_blanks(&e->fields);
    const bool minus = ts_lex_skip(&e->fields, "-");
    if (!ts_lex_number(&e->fields, &value))
        return false;
    ts_trace_set_result(out, minus ? UINT64_C(0) - value : value);
    /* The new thread's own return from the call that made it. */
    if (value == 0 && (out->call == TS_STRACE_CLONE || out->call == TS_STRACE_CLONE3 ||
                       out->call == TS_STRACE_FORK || out->call == TS_STRACE_VFORK))
        out->kind = TS_STRACE_NOTE;
    return true;
}

/* exceptions:page_fault_user. Bits of the error code: 1 write, 4 fetch (arch/x86/include/asm/
 * trap_pf.h). */
static bool on_fault(const struct event *e, struct ts_strace_record *out)
{
    uint64_t code = 0;
    if (!field(e, "address=", true, &out->addr) || !field(e, "error_code=", true, &code))
        return false;
    out->kind = TS_STRACE_TOUCH;
    out->prot = code & 2u    ? TS_STRACE_PROT_WRITE
                : code & 16u ? TS_STRACE_PROT_EXEC
                             : TS_STRACE_PROT_READ;
    return true;
}

/* The software event page-faults: "ADDRESS [symbol] IP ..." with -d and -F addr, "IP symbol (file)"
 * without. perf does not say whether it was a write: taken for one, as most first touches are. */
static void on_software_fault(const struct event *e, struct ts_strace_record *out)
{
    struct ts_lex x = e->fields;
    uint64_t more = 0;
    out->kind = TS_STRACE_TOUCH;
    out->prot = TS_STRACE_PROT_WRITE;
    ts_lex_blanks(&x);
    x.out = out;
    if (!ts_lex_hex(&x, &out->addr)) {
        out->prot = 0;
        return;
    }
    ts_lex_blanks(&x);
    if (x.p == x.end)
        return;
    while (x.p < x.end) {
        const char *first = x.p;
        while (x.p < x.end && !is_blank(*x.p))
            x.p++;
        struct ts_strace_record scratch;
        struct ts_lex word = {x.line, first, x.p, &scratch};
        if (word.end - word.p >= 6 && ts_lex_hex(&word, &more) && word.p == word.end)
            return;
        ts_lex_blanks(&x);
    }
    out->prot = 0; /* the only address is the instruction's */
}

/* "pages:-1 reason:remote IPI send (4)" */
static void on_flush(const struct event *e, struct ts_strace_record *out)
{
    uint64_t reason = TS_STRACE_FLUSH_OTHER;
    const char *close = e->fields.end;
    while (close > e->fields.p && close[-1] != '(')
        close--;
    struct ts_lex x = {e->fields.line, close, e->fields.end, out};
    if (!ts_lex_number(&x, &reason) || reason >= TS_STRACE_FLUSH_OTHER)
        reason = TS_STRACE_FLUSH_OTHER;
    out->why = NULL;
    out->kind = TS_STRACE_FLUSH;
    out->flags = (uint32_t)reason;
    out->ret = 1;
}

/* prev_state: R runs on, S, D and I sleep, X and Z are of a thread that has ended and that perf
 * knows no more (include/trace/events/sched.h). */
static bool on_switch(const struct event *e, struct ts_strace_record *out)
{
    uint64_t from = 0, to = 0;
    const char *state = ts_lex_find(e->fields.p, e->fields.end, "prev_state=");
    if (!state || !field(e, "prev_pid=", false, &from) || !field(e, "next_pid=", false, &to) ||
        from > INT32_MAX || to > INT32_MAX)
        return false;
    state += strlen("prev_state=");
    const char c = state < e->fields.end ? *state : 'R';
    out->kind = c == 'X' || c == 'Z' ? TS_STRACE_EXITED : TS_STRACE_SWITCH;
    out->has_tid = true;
    out->tid = (uint32_t)from;
    out->peer = (uint32_t)to;
    out->flags = c != 'R';
    out->group = TS_STRACE_GROUP_SOME;
    return true;
}

static bool on_task(const struct event *e, struct ts_strace_record *out)
{
    uint64_t number = 0, flags = 0;
    const bool forked = is(e, "sched_process_fork");
    if (is(e, "sched_process_exec")) {
        out->kind = TS_STRACE_CALL;
        out->call = TS_STRACE_EXECVE;
        out->name = "execve";
        out->name_len = 6;
        out->result = TS_STRACE_RESULT_VALUE;
        return true;
    }
    if (is(e, "sched_process_exit")) {
        out->kind = TS_STRACE_EXITED;
        out->group = TS_STRACE_GROUP_SOME;
        return true;
    }
    if (!field(e, forked ? "child_pid=" : "pid=", false, &number) || number > INT32_MAX)
        return false;
    out->kind = TS_STRACE_CHILD;
    out->peer = (uint32_t)number;
    out->has_flags = !forked && field(e, "clone_flags=", true, &flags);
    out->flags = (uint32_t)(flags & UINT32_MAX);
    return true;
}

static bool on_event(struct event *e, bool ftrace, struct ts_strace_record *out)
{
    if (begins(e, "sys_enter_"))
        return call_begins(e, e->name + 10, e->len - 10, out);
    if (begins(e, "sys_exit_"))
        return call_ends(e, e->name + 9, e->len - 9, out);
    if (ftrace && begins(e, "sys_") && ts_lex_at(&e->fields, '(')) {
        e->fields.p++;
        return call_begins(e, e->name + 4, e->len - 4, out);
    }
    if (ftrace && begins(e, "sys_")) {
        ts_lex_blanks(&e->fields);
        return ts_lex_skip(&e->fields, "->") && call_ends(e, e->name + 4, e->len - 4, out);
    }
    if (is(e, "page_fault_user") || is(e, "page_fault_kernel"))
        return on_fault(e, out);
    if (is(e, "page-faults") || is(e, "faults") || is(e, "minor-faults") || is(e, "major-faults")) {
        on_software_fault(e, out);
        return true;
    }
    if (is(e, "tlb_flush")) {
        on_flush(e, out);
        return true;
    }
    if (is(e, "sched_switch"))
        return on_switch(e, out);
    if (is(e, "task_newtask") || is(e, "sched_process_fork") || is(e, "sched_process_exec") ||
        is(e, "sched_process_exit"))
        return on_task(e, out);
    return true; /* a note */
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_comment(const char *line, const char *end)
{
    while (line < end && is_blank(*line))
        line++;
    return line == end || *line == '#';
}

/* Lines without a time: a frame of a call stack, lost events. */
static bool is_beside(const char *line, const char *end, struct ts_strace_record *out)
{
    uint64_t address = 0;
    const char *lost = ts_lex_find(line, end, "[LOST ");
    struct ts_lex x = {line, line, end, out};
    if (lost) {
        x.p = lost + 6;
        out->kind = TS_STRACE_LOST;
        return ts_lex_number(&x, &out->length);
    }
    ts_lex_blanks(&x);
    return x.p > line && ts_lex_hex(&x, &address) && (x.p == end || is_blank(*x.p));
}

bool ts_kernel_event_parse(const char *line, size_t len, bool ftrace, struct ts_strace_record *out)
{
    const char *begin = NULL, *colon = NULL;
    memset(out, 0, sizeof(*out));
    out->kind = TS_STRACE_NOTE;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    const char *end = line + len;
    struct ts_lex x = {line, line, end, out};
    if (is_comment(line, end))
        return true;
    const bool timed = find_time(line, end, &begin, &colon);
    if (!timed && is_beside(line, end, out))
        return true;
    if (!timed || !read_leader(line, begin, ftrace, out)) {
        memset(out, 0, sizeof(*out));
        out->foreign = true;
        return ts_lex_fail(&x, "expected NAME, thread, [CPU], time and an event");
    }
    x.p = begin;
    if (!ts_lex_seconds(&x, &out->time_ns))
        return false;
    out->time_kind = TS_STRACE_TIME_UNIX;
    x.p = colon + 1;
    struct event e;
    if (!read_event(&x, &e))
        return ts_lex_fail(&x, "expected the name of an event");
    e.fields.out = out;
    if (on_event(&e, ftrace, out))
        return true;
    out->kind = TS_STRACE_NOTE;
    x.p = e.fields.p;
    return ts_lex_fail(&x, "the fields of this event cannot be read");
}

enum ts_trace_fit ts_kernel_event_fit(const char *line, size_t len, bool ftrace)
{
    struct ts_strace_record r;
    if (!ts_kernel_event_parse(line, len, ftrace, &r) || !r.has_tid)
        return TS_TRACE_FIT_NO;
    return r.kind == TS_STRACE_NOTE || r.kind == TS_STRACE_SWITCH ? TS_TRACE_FIT_NEAR
                                                                  : TS_TRACE_FIT_YES;
}
