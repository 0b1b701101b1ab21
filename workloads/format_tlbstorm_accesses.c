/* SPDX-License-Identifier: Apache-2.0 */
/* tlbstorm's own text of one thread's memory accesses, version 1. Behind the first line
 *
 *   # tlbstorm-trace 1 accesses
 *
 * every line that does not begin with '#' is KIND ADDRESS SIZE: KIND is fetch, load, store or
 * modify (a load, then a store), ADDRESS hexadecimal behind 0x or decimal, SIZE in bytes. */
#include "workloads/own_trace.h"
#include "workloads/strace_lex.h"

static const char *const kinds[TS_LACKEY_KINDS] = {"fetch ", "load ", "store ", "modify "};

static bool read_access(struct ts_lex *x, struct ts_lackey_record *r)
{
    const uint64_t end = UINT64_C(1) << TS_LACKEY_ADDRESS_BITS;
    unsigned kind = 0;
    while (kind < TS_LACKEY_KINDS && !ts_lex_skip(x, kinds[kind]))
        kind++;
    if (kind == TS_LACKEY_KINDS)
        return ts_lex_fail(x, "expected fetch, load, store or modify");
    r->kind = (enum ts_lackey_kind)kind;
    ts_lex_blanks(x);
    struct ts_lex at = *x;
    if (!ts_lex_number(x, &r->address))
        return false;
    if (r->address >= end)
        return ts_lex_fail(&at, "the address has more than 48 bits");
    ts_lex_blanks(x);
    at = *x;
    if (!ts_lex_number(x, &r->size))
        return false;
    if (r->size == 0 || r->size > TS_LACKEY_SIZE_MAX || r->size > end - r->address)
        return ts_lex_fail(&at, "the size must be 1 to 4096, and end below 48 bits");
    ts_lex_blanks(x);
    return x->p == x->end || ts_lex_fail(x, "expected the end of the line");
}

static bool accesses(void *state, const char *line, size_t len, struct ts_trace_accesses *out,
                     uint32_t *column, const char **why)
{
    (void)state;
    struct ts_strace_record scratch = {0};
    if (len > 0 && line[len - 1] == '\r')
        len--;
    struct ts_lex x = {line, line, line + len, &scratch};
    out->n = 0;
    if (len == 0 || line[0] == '#')
        return true;
    out->n = read_access(&x, &out->v[0]);
    *column = scratch.column;
    *why = scratch.why;
    return out->n == 1;
}

static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_trace_accesses out;
    uint32_t column = 0;
    const char *why = NULL;
    if (len == strlen(TS_OWN_TRACE_ACCESSES) && memcmp(line, TS_OWN_TRACE_ACCESSES, len) == 0)
        return TS_TRACE_FIT_YES;
    return accesses(NULL, line, len, &out, &column, &why) && out.n > 0 ? TS_TRACE_FIT_YES
                                                                       : TS_TRACE_FIT_NO;
}

extern const struct ts_trace_format ts_trace_format_tlbstorm_accesses;
const struct ts_trace_format ts_trace_format_tlbstorm_accesses = {
    .name = "tlbstorm_accesses",
    .summary = "tlbstorm's own text of accesses",
    .reference = "workloads/format_tlbstorm_accesses.c",
    .near_hint = "its lines are in workloads/format_tlbstorm_accesses.c",
    .family = TS_TRACE_ACCESSES,
    .fit = fit,
    .accesses = accesses};
