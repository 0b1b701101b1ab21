/* SPDX-License-Identifier: Apache-2.0 */
/* What bpftrace prints: lines of a script's own, which are those of own_trace.h if it is the script
 * of docs/recording.md, and at its end maps. A map of counts whose key begins with a number is
 * taken for the usual
 *
 *   bpftrace -e 'tracepoint:tlb:tlb_flush { @[args->reason, comm] = count(); }'
 *
 * It says how many flushes there were, and nothing that could be replayed. */
#include "workloads/own_trace.h"
#include "workloads/strace_lex.h"

static bool read_map(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    uint64_t reason = 0;
    const bool unnamed = ts_lex_at(x, '[');
    while (x->p < x->end && *x->p != '[')
        x->p++;
    if (x->p == x->end)
        return true; /* a single number or text */
    x->p++;
    const struct ts_lex key = *x;
    const char *colon = ts_lex_find(x->p, x->end, "]: ");
    if (!colon)
        return true; /* its value is on the lines below, as of a histogram */
    if (!unnamed || !ts_lex_is_digit(*key.p) || !ts_lex_number(x, &reason) ||
        !(ts_lex_at(x, ',') || ts_lex_at(x, ']')))
        return true;
    x->p = colon + 3;
    if (!ts_lex_number(x, &r->ret) || x->p != x->end)
        return true;
    r->kind = TS_STRACE_FLUSH;
    r->flags = reason < TS_STRACE_FLUSH_OTHER ? (uint32_t)reason : TS_STRACE_FLUSH_OTHER;
    return true;
}

static bool call(void *state, const char *line, size_t len, struct ts_strace_record *out)
{
    (void)state;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    struct ts_lex x = {line, line, line + len, out};
    memset(out, 0, sizeof(*out));
    out->kind = TS_STRACE_NOTE;
    if (len == 0 || ts_lex_starts(&x, "Attaching ") || line[0] == '[' || line[0] == '(')
        return true; /* a row of a histogram begins with its bounds */
    if (ts_lex_skip(&x, "@")) {
        bool read = read_map(&x);
        out->why = NULL;
        return read;
    }
    return ts_own_trace_parse(line, len, out);
}

/* Without its head, a text of the script is tlbstorm's own. */
static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_strace_record r;
    struct ts_lex x = {line, line, line + len, &r};
    if (ts_lex_starts(&x, "Attaching ") && ts_lex_find(line, x.end, " probe"))
        return TS_TRACE_FIT_YES;
    if (len > 0 && line[0] == '@' && call(NULL, line, len, &r))
        return r.kind == TS_STRACE_FLUSH ? TS_TRACE_FIT_YES : TS_TRACE_FIT_NEAR;
    return len > 0 && call(NULL, line, len, &r) && r.kind != TS_STRACE_NOTE ? TS_TRACE_FIT_YES
                                                                            : TS_TRACE_FIT_NO;
}

extern const struct ts_trace_format ts_trace_format_bpftrace;
const struct ts_trace_format ts_trace_format_bpftrace = {
    .name = "bpftrace",
    .summary = "what bpftrace prints",
    .reference = "bpftrace 0.17.0, src/output.cpp",
    .near_hint =
        "maps are counts; let a script print the lines of workloads/own_trace.h, as that of "
        "docs/recording.md does",
    .family = TS_TRACE_CALLS,
    .fit = fit,
    .call = call};
