/* SPDX-License-Identifier: Apache-2.0 */
/* perf trace, in the order of the ends of calls:
 *
 *   MILLISECONDS ( MILLISECONDS ms): [COMM/TID ]name(arg: value, ...) = result
 *   MILLISECONDS (         ): [COMM/TID ]name(arg: value, ...) ...
 *   MILLISECONDS ( MILLISECONDS ms): [COMM/TID ] ... [continued]: name()) = result
 *   MILLISECONDS ( 0.000 ms): [COMM/TID ]minfault [symbol] => map@0xADDRESS (flags)
 *
 * The address of a fault in a file's mapping is printed as a place in the file (trace__pgfault,
 * print_location), which says nothing here. Arguments that are 0 are left out, and prefixes of
 * flags. */
#include "workloads/trace_args.h"
#include "workloads/trace_format.h"

/* Milliseconds with a fraction, as ns; "?" is no time. */
static bool read_ms(struct ts_lex *x, uint64_t *ns, bool *has)
{
    uint64_t v = 0;
    ts_lex_blanks(x);
    *has = false;
    if (ts_lex_skip(x, "?"))
        return true;
    if (!ts_lex_seconds(x, &v))
        return false;
    *ns = v / 1000u;
    *has = true;
    return true;
}

static bool read_leader(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    bool has_time = false;
    if (!read_ms(x, &r->time_ns, &has_time))
        return false;
    r->time_kind = has_time ? TS_STRACE_TIME_UNIX : TS_STRACE_TIME_NONE;
    ts_lex_blanks(x);
    if (!ts_lex_skip(x, "("))
        return ts_lex_fail(x, "expected '(' and the duration");
    ts_lex_blanks(x);
    if (!ts_lex_at(x, ')') &&
        (!read_ms(x, &r->duration_ns, &r->has_duration) || !ts_lex_skip(x, " ms")))
        return ts_lex_fail(x, "expected the duration in ms");
    if (!ts_lex_skip(x, "):"))
        return ts_lex_fail(x, "expected '):'");
    return true;
}

/* "comm/tid " where it is printed: the last '/' with a number and a blank behind it and before any
 * '('. */
static void read_thread(struct ts_lex *x)
{
    ts_lex_blanks(x);
    for (const char *p = x->p; p < x->end && *p != '(' && *p != '['; p++) {
        struct ts_lex t = *x;
        uint64_t tid = 0;
        t.p = p + 1;
        if (*p != '/' || !ts_lex_number(&t, &tid) || !ts_lex_at(&t, ' ') || tid > INT32_MAX)
            continue;
        x->out->has_tid = true;
        x->out->tid = (uint32_t)tid;
        x->p = t.p;
        break;
    }
    x->out->why = NULL;
    ts_lex_blanks(x);
}

/* Behind the arguments: ") = result", or ") ..." of a call that goes on. */
static bool read_result(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t value = 0;
    while (ts_lex_at(x, ')'))
        x->p++;
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "...") || x->p == x->end) {
        r->kind = TS_STRACE_UNFINISHED;
        r->has_duration = false;
        return true;
    }
    if (!ts_lex_skip(x, "="))
        return ts_lex_fail(x, "expected '=' and the result");
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "?")) {
        r->result = TS_STRACE_RESULT_UNKNOWN;
        return true;
    }
    if (ts_lex_skip(x, "-")) {
        r->result = TS_STRACE_RESULT_ERROR;
        return true;
    }
    if (!ts_lex_number(x, &value))
        return false;
    ts_trace_set_result(r, value);
    return true;
}

static bool read_fault(struct ts_lex *x)
{
    const char *at = ts_lex_find(x->p, x->end, "=> ");
    at = at ? ts_lex_find(at, x->end, "0x") : NULL;
    if (!at)
        return ts_lex_fail(x, "a fault without its address");
    const char *map = ts_lex_find(x->p, x->end, "=> ") + 3;
    const bool of_file = map + 1 < at && map[0] == '/' && map[1] != '/';
    x->p = at;
    x->out->kind = TS_STRACE_TOUCH;
    /* Whether it writes is not recorded: what most first touches do. */
    x->out->prot = of_file ? 0u : TS_STRACE_PROT_WRITE;
    return ts_lex_number(x, &x->out->addr);
}

static bool read_call(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    const bool resumed = ts_lex_skip(x, "... [continued]: ");
    r->kind = resumed ? TS_STRACE_RESUMED : TS_STRACE_CALL;
    r->name = x->p;
    while (x->p < x->end && ts_lex_is_name(*x->p))
        x->p++;
    r->name_len = (size_t)(x->p - r->name);
    if (r->name_len == 0)
        return ts_lex_fail(x, "expected the name of a call");
    if (!ts_lex_at(x, '(')) { /* an event: not a call */
        r->kind = TS_STRACE_NOTE;
        return true;
    }
    x->p++;
    r->call = ts_strace_find_call(r->name, r->name_len);
    if (!resumed && !ts_trace_named_args(x))
        return false;
    while (x->p < x->end && *x->p != ')')
        if (!ts_lex_skip_token(x))
            return false;
    if (!ts_lex_at(x, ')'))
        return ts_lex_fail(x, "expected ')'");
    return read_result(x);
}

static bool call(void *state, const char *line, size_t len, struct ts_strace_record *out)
{
    (void)state;
    memset(out, 0, sizeof(*out));
    out->kind = TS_STRACE_NOTE;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    struct ts_lex x = {line, line, line + len, out};
    ts_lex_blanks(&x);
    if (x.p == x.end)
        return true;
    x.p = line;
    if (!read_leader(&x)) {
        out->foreign = true;
        return false;
    }
    read_thread(&x);
    const bool fault = ts_lex_starts(&x, "minfault ") || ts_lex_starts(&x, "majfault ");
    if (fault ? read_fault(&x) : read_call(&x))
        return true;
    out->kind = TS_STRACE_NOTE;
    return false;
}

static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_strace_record r;
    if (!call(NULL, line, len, &r) || r.name_len + r.addr == 0)
        return TS_TRACE_FIT_NO;
    return r.kind == TS_STRACE_NOTE ? TS_TRACE_FIT_NEAR : TS_TRACE_FIT_YES;
}

extern const struct ts_trace_format ts_trace_format_perf_trace;
const struct ts_trace_format ts_trace_format_perf_trace = {
    .name = "perf_trace",
    .summary = "text of perf trace",
    .reference = "perf 6.1, tools/perf/builtin-trace.c",
    .near_hint = "record calls: perf trace -F all -e mmap,munmap,mprotect,madvise,mremap,brk,clone,"
                 "clone3,execve,exit,exit_group",
    .family = TS_TRACE_CALLS,
    .fit = fit,
    .call = call};
