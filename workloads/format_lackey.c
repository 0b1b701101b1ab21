/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_format.h"

static bool accesses(void *state, const char *line, size_t len, struct ts_trace_accesses *out,
                     uint32_t *column, const char **why)
{
    (void)state;
    const enum ts_lackey_line got = ts_lackey_parse(line, len, &out->v[0], column, why);
    out->n = got == TS_LACKEY_ACCESS;
    return got != TS_LACKEY_BAD;
}

static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_lackey_record r;
    uint32_t column = 0;
    const char *why = NULL;
    if (ts_lackey_parse(line, len, &r, &column, &why) == TS_LACKEY_ACCESS)
        return TS_TRACE_FIT_YES;
    return len > 2 && line[0] == '=' && line[1] == '=' && line[len - 1] != '=' ? TS_TRACE_FIT_NEAR
                                                                               : TS_TRACE_FIT_NO;
}

extern const struct ts_trace_format ts_trace_format_lackey;
const struct ts_trace_format ts_trace_format_lackey = {
    .name = "lackey",
    .summary = "text of valgrind --tool=lackey",
    .reference = "valgrind 3.19, lackey/lk_main.c; grammar in workloads/lackey.h",
    .near_hint = "record with valgrind --tool=lackey --trace-mem=yes --log-file=FILE",
    .family = TS_TRACE_ACCESSES,
    .fit = fit,
    .accesses = accesses};
