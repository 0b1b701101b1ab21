/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/own_trace.h"

#include "workloads/trace_args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- reading ---------------------------------------------------------------------------------- */

/* The next word; false at the end of the line. */
static bool word(struct ts_lex *x, const char **first, size_t *len)
{
    ts_lex_blanks(x);
    *first = x->p;
    while (x->p < x->end && *x->p != ' ' && *x->p != '\t')
        x->p++;
    *len = (size_t)(x->p - *first);
    return *len > 0;
}

static bool is(const char *first, size_t len, const char *what)
{
    return strlen(what) == len && memcmp(first, what, len) == 0;
}

static bool number(struct ts_lex *x, uint64_t most, uint64_t *value)
{
    ts_lex_blanks(x);
    const struct ts_lex first = *x;
    if (ts_lex_skip(x, "(nil)")) {
        *value = 0;
        return true;
    }
    if (!ts_lex_number(x, value))
        return false;
    if (*value <= most)
        return true;
    *x = first;
    return ts_lex_fail(x, "a number that is too large");
}

static bool thread_number(struct ts_lex *x, uint32_t *tid)
{
    uint64_t v = 0;
    if (!number(x, INT32_MAX, &v))
        return false;
    *tid = (uint32_t)v;
    return true;
}

static bool read_leader(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t v = 0;
    if (!ts_lex_skip(x, "-")) {
        if (!number(x, UINT64_MAX / 2u, &r->time_ns))
            return false;
        r->time_kind = TS_STRACE_TIME_UNIX;
    }
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "~")) {
        if (!number(x, UINT64_MAX, &r->group))
            return false;
        r->group |= TS_STRACE_GROUP_BY_NAME;
    } else if (!ts_lex_skip(x, "-") && !number(x, INT32_MAX, &r->group)) {
        return false;
    }
    if (!ts_lex_skip(x, "/"))
        return ts_lex_fail(x, "expected PROCESS/THREAD");
    if (!ts_lex_skip(x, "-")) {
        if (!thread_number(x, &r->tid))
            return false;
        r->has_tid = true;
    }
    ts_lex_blanks(x);
    if (!ts_lex_skip(x, "@"))
        return true;
    r->has_cpu = true;
    if (!number(x, UINT16_MAX, &v))
        return false;
    r->cpu = (uint32_t)v;
    return true;
}

/* "= RESULT [+NS]" behind the '='. */
static bool read_result(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t v = 0;
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "?")) {
        r->result = TS_STRACE_RESULT_UNKNOWN;
    } else if (ts_lex_skip(x, "!")) {
        r->result = TS_STRACE_RESULT_ERROR;
    } else {
        const bool minus = ts_lex_skip(x, "-");
        if (!number(x, UINT64_MAX, &v))
            return false;
        ts_trace_set_result(r, minus ? UINT64_C(0) - v : v);
    }
    ts_lex_blanks(x);
    if (!ts_lex_skip(x, "+"))
        return true;
    r->has_duration = true;
    return number(x, UINT64_MAX / 2u, &r->duration_ns);
}

static bool set_call(struct ts_lex *x, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!ts_lex_is_name(name[i])) {
            x->p = name;
            return ts_lex_fail(x, "expected what happened: a call, or one of touch, child, ended, "
                                  "flush, ...");
        }
    x->out->name = name;
    x->out->name_len = len;
    x->out->call = ts_strace_find_call(name, len);
    return true;
}

static bool read_call(struct ts_lex *x, const char *name, size_t len)
{
    struct ts_strace_record *r = x->out;
    if (!set_call(x, name, len))
        return false;
    const bool clones = r->call == TS_STRACE_CLONE || r->call == TS_STRACE_CLONE3;
    const uint32_t places = r->call == TS_STRACE_CLONE3 ? 1u : ts_trace_arg_count(r->call);
    for (uint32_t i = 0; i < places; i++) {
        struct ts_trace_arg arg;
        uint64_t passed = 0;
        ts_lex_blanks(x);
        if (clones && ts_lex_skip(x, "-"))
            continue;
        if (clones) {
            if (!number(x, UINT64_MAX, &passed))
                return false;
            r->has_flags = true;
            r->flags = (uint32_t)(passed & UINT32_MAX);
        } else if (!ts_trace_arg_at(r, i, &arg)) {
            if (!number(x, UINT64_MAX, &passed))
                return false;
        } else if (!ts_trace_arg_read(x, r, &arg)) {
            return false;
        }
    }
    ts_lex_blanks(x);
    r->kind = TS_STRACE_UNFINISHED;
    if (ts_lex_skip(x, "..."))
        return true;
    r->kind = TS_STRACE_CALL;
    if (!ts_lex_skip(x, "="))
        return ts_lex_fail(x, "expected '= RESULT' or '...' behind the call's arguments");
    return read_result(x);
}

static bool read_touch(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    r->kind = TS_STRACE_TOUCH;
    if (!number(x, UINT64_MAX, &r->addr))
        return false;
    ts_lex_blanks(x);
    r->prot = ts_lex_at(x, 'r')   ? TS_STRACE_PROT_READ
              : ts_lex_at(x, 'w') ? TS_STRACE_PROT_WRITE
              : ts_lex_at(x, 'x') ? TS_STRACE_PROT_EXEC
                                  : 0u;
    if (r->prot == 0 && !ts_lex_at(x, '?'))
        return ts_lex_fail(x, "expected r, w, x or ?");
    x->p++;
    return true;
}

static bool read_child(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t flags = 0;
    r->kind = TS_STRACE_CHILD;
    if (!thread_number(x, &r->peer))
        return false;
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "-"))
        return true;
    r->has_flags = true;
    if (!number(x, UINT64_MAX, &flags))
        return false;
    r->flags = (uint32_t)(flags & UINT32_MAX);
    return true;
}

static bool read_flush(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t reason = 0;
    r->kind = TS_STRACE_FLUSH;
    if (!number(x, TS_STRACE_FLUSH_OTHER, &reason))
        return false;
    r->flags = (uint32_t)reason;
    return number(x, UINT32_MAX, &r->ret);
}

static bool read_switch(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    const char *first = NULL;
    size_t len = 0;
    r->kind = TS_STRACE_SWITCH;
    if (!thread_number(x, &r->peer))
        return false;
    (void)word(x, &first, &len);
    r->flags = is(first, len, "sleep");
    return r->flags || is(first, len, "wait") || ts_lex_fail(x, "expected sleep or wait");
}

static bool read_what(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    const char *first = NULL;
    size_t len = 0;
    if (!word(x, &first, &len))
        return ts_lex_fail(x, "expected what happened");
    if (is(first, len, "...")) {
        r->kind = TS_STRACE_RESUMED;
        if (!word(x, &first, &len) || !set_call(x, first, len))
            return ts_lex_fail(x, "expected the name of a call");
        ts_lex_blanks(x);
        return ts_lex_skip(x, "=") ? read_result(x) : ts_lex_fail(x, "expected '='");
    }
    if (is(first, len, "touch"))
        return read_touch(x);
    if (is(first, len, "child"))
        return read_child(x);
    if (is(first, len, "flush"))
        return read_flush(x);
    if (is(first, len, "switch"))
        return read_switch(x);
    if (is(first, len, "attached") || is(first, len, "superseded")) {
        r->kind = is(first, len, "attached") ? TS_STRACE_ATTACHED : TS_STRACE_SUPERSEDED;
        return thread_number(x, &r->peer);
    }
    if (is(first, len, "lost")) {
        r->kind = TS_STRACE_LOST;
        return number(x, UINT32_MAX, &r->length);
    }
    if (is(first, len, "ended"))
        r->kind = TS_STRACE_EXITED;
    else if (is(first, len, "signal"))
        r->kind = TS_STRACE_SIGNAL;
    else
        return read_call(x, first, len);
    return true;
}

bool ts_own_trace_parse(const char *line, size_t len, struct ts_strace_record *out)
{
    memset(out, 0, sizeof(*out));
    out->kind = TS_STRACE_NOTE;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    struct ts_lex x = {line, line, line + len, out};
    ts_lex_blanks(&x);
    if (x.p == x.end || *x.p == '#')
        return true;
    bool good = read_leader(&x) && read_what(&x);
    if (good) {
        ts_lex_blanks(&x);
        good = x.p == x.end || ts_lex_fail(&x, "expected the end of the line");
    }
    if (!good)
        out->kind = TS_STRACE_NOTE;
    return good;
}

/* --- writing ---------------------------------------------------------------------------------- */

struct text {
    char *p;
    size_t len;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->p + t->len, TS_OWN_TRACE_LINE - t->len, format, args);
    va_end(args);
    TS_ASSERT(n >= 0 && t->len + (size_t)n < TS_OWN_TRACE_LINE);
    t->len += (size_t)n;
}

static void put_result(struct text *t, const struct ts_strace_record *r)
{
    if (r->result == TS_STRACE_RESULT_VALUE)
        put(t, r->ret < 65536u ? " = %" PRIu64 : " = 0x%" PRIx64, r->ret);
    else
        put(t, r->result == TS_STRACE_RESULT_ERROR ? " = !" : " = ?");
    if (r->has_duration)
        put(t, " +%" PRIu64, r->duration_ns);
}

static void put_name(struct text *t, const struct ts_strace_record *r)
{
    const size_t most = 64;
    if (r->name && r->name_len > 0)
        put(t, " %.*s", (int)(r->name_len < most ? r->name_len : most), r->name);
    else
        put(t, " %s", ts_strace_call_name(r->call));
}

static void put_args(struct text *t, const struct ts_strace_record *r)
{
    struct ts_strace_record copy = *r;
    if (r->call == TS_STRACE_CLONE || r->call == TS_STRACE_CLONE3) {
        if (r->has_flags)
            put(t, " 0x%" PRIx32, r->flags);
        else
            put(t, " -");
        return;
    }
    for (uint32_t i = 0; i < ts_trace_arg_count(r->call); i++) {
        struct ts_trace_arg arg;
        uint64_t v = ts_trace_arg_at(&copy, i, &arg) ? ts_trace_arg_value(&arg) : 0u;
        put(t, v < 65536u ? " %" PRIu64 : " 0x%" PRIx64, v);
    }
}

static void put_call(struct text *t, const struct ts_strace_record *r)
{
    if (r->kind == TS_STRACE_RESUMED) {
        put(t, " ...");
        put_name(t, r);
        put_result(t, r);
        return;
    }
    put_name(t, r);
    put_args(t, r);
    if (r->kind == TS_STRACE_CALL)
        put_result(t, r);
    else
        put(t, " ...");
}

static void put_what(struct text *t, const struct ts_strace_record *r)
{
    switch (r->kind) {
    case TS_STRACE_TOUCH:
        put(t, " touch 0x%" PRIx64 " %c", r->addr,
            r->prot & TS_STRACE_PROT_WRITE  ? 'w'
            : r->prot & TS_STRACE_PROT_EXEC ? 'x'
            : r->prot & TS_STRACE_PROT_READ ? 'r'
                                            : '?');
        break;
    case TS_STRACE_CHILD:
        put(t, r->has_flags ? " child %" PRIu32 " 0x%" PRIx32 : " child %" PRIu32 " -", r->peer,
            r->flags);
        break;
    case TS_STRACE_ATTACHED:
        put(t, " attached %" PRIu32, r->peer);
        break;
    case TS_STRACE_SUPERSEDED:
        put(t, " superseded %" PRIu32, r->peer);
        break;
    case TS_STRACE_EXITED:
        put(t, " ended");
        break;
    case TS_STRACE_FLUSH:
        put(t, " flush %" PRIu32 " %" PRIu64, r->flags, r->ret);
        break;
    case TS_STRACE_SWITCH:
        put(t, " switch %" PRIu32 " %s", r->peer, r->flags ? "sleep" : "wait");
        break;
    case TS_STRACE_SIGNAL:
        put(t, " signal");
        break;
    case TS_STRACE_LOST:
        put(t, " lost %" PRIu64, r->length);
        break;
    default:
        put_call(t, r);
    }
}

size_t ts_own_trace_write(char out[TS_OWN_TRACE_LINE], const struct ts_strace_record *r,
                          bool has_time, uint64_t time_ns)
{
    struct text t = {out, 0};
    out[0] = '\0';
    if (r->kind == TS_STRACE_NOTE || r->kind == TS_STRACE_BREAK)
        return 0;
    if (has_time)
        put(&t, "%" PRIu64 " ", time_ns);
    else
        put(&t, "- ");
    if (r->group > 0 && r->group <= INT32_MAX)
        put(&t, "%" PRIu64 "/", r->group);
    else if (r->group & TS_STRACE_GROUP_BY_NAME)
        put(&t, "~0x%" PRIx64 "/", r->group & ~TS_STRACE_GROUP_BY_NAME);
    else
        put(&t, "-/");
    if (r->has_tid)
        put(&t, "%" PRIu32, r->tid);
    else
        put(&t, "-");
    if (r->has_cpu)
        put(&t, " @%" PRIu32, r->cpu);
    put_what(&t, r);
    return t.len;
}
