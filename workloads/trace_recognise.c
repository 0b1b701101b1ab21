/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_format.h"

#include <stdio.h>
#include <string.h>

/* Lines that are judged: enough to see through what stands before a recording. */
#define LINES_MAX 400u

struct votes {
    uint32_t yes;
    uint32_t near;
    uint32_t lines; /* or records */
};

/* Files of other tools, by their first bytes. */
struct magic {
    const char *bytes;
    size_t len;
    const char *what;
};

static const struct magic magics[] = {
    {"PERFILE2", 8,
     "data of perf record: give the text of `perf script --ns -F "
     "comm,pid,tid,cpu,time,event,trace -i FILE`"},
    {"\x17\x08\x44tracing", 10, "data of trace-cmd record: give the text of `trace-cmd report`"},
    {"PK\x03\x04", 4, "a zip archive (drmemtrace keeps its threads in such): give a text"},
    {"\x7f"
     "ELF",
     4, "a program: give a recording of it (docs/recording.md)"},
    {"\xc1\x1f\xfc\xc1", 4, "a trace of LTTng (CTF): give a text"},
    {"SQLite format 3", 15, "an SQLite database: give a recording"},
};

const struct ts_trace_format *ts_trace_format_find(const char *name)
{
    for (size_t i = 0; i < ts_trace_formats_count; i++)
        if (strcmp(ts_trace_formats[i]->name, name) == 0)
            return ts_trace_formats[i];
    return NULL;
}

static void judge(const struct ts_trace_format *f, const char *line, size_t len, struct votes *v)
{
    const enum ts_trace_fit fit = f->fit(line, len);
    v->yes += fit == TS_TRACE_FIT_YES;
    v->near += fit == TS_TRACE_FIT_NEAR;
    v->lines++;
}

static void judge_lines(const struct ts_trace_format *f, const char *head, size_t len, bool whole,
                        struct votes *v)
{
    const char *p = head, *end = head + len;
    while (p < end && v->lines < LINES_MAX) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline && !whole && p > head)
            return;
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        judge(f, p, n > 0 && p[n - 1] == '\r' ? n - 1u : n, v);
        p += n + (newline ? 1u : 0u);
    }
}

/* Every record of the head must be one: bytes are easily like some. */
static void judge_records(const struct ts_trace_format *f, const char *head, size_t len,
                          struct votes *v)
{
    for (size_t at = 0; len - at >= f->record_bytes && v->lines < LINES_MAX; at += f->record_bytes)
        judge(f, head + at, f->record_bytes, v);
    if (v->yes < v->lines) {
        v->near = v->yes > v->lines / 2u ? v->yes : 0u;
        v->yes = 0;
    }
}

static void refuse(const struct ts_trace_format *near, const struct votes *v, const char *head,
                   size_t len, const char *source_name, struct ts_error *err)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(magics); i++)
        if (len >= magics[i].len && memcmp(head, magics[i].bytes, magics[i].len) == 0) {
            ts_error_set_at(err, TS_ERR_USER, source_name, 0, 0,
                            "no recording that can be read: %s", magics[i].what);
            return;
        }
    if (near) {
        ts_error_set_at(err, TS_ERR_USER, source_name, 0, 0,
                        "no recording that can be replayed: %u of its first %u %s are of %s (%s), "
                        "but none can be used: %s",
                        v->near, v->lines, near->record_bytes ? "records" : "lines", near->name,
                        near->summary, near->near_hint);
        return;
    }
    char names[512] = "";
    for (size_t i = 0, at = 0; i < ts_trace_formats_count; i++) {
        int n = snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? ", " : "",
                         ts_trace_formats[i]->name);
        at += n > 0 && (size_t)n < sizeof(names) - at ? (size_t)n : 0u;
    }
    ts_error_set_at(err, TS_ERR_USER, source_name, len > 0 ? 1u : 0u, len > 0 ? 1u : 0u,
                    "%s; known are %s (docs/recording.md)",
                    len > 0 ? "no recording of a known kind" : "an empty recording", names);
}

const struct ts_trace_format *ts_trace_recognise(const char *head, size_t len, bool whole,
                                                 const char *source_name, struct ts_error *err)
{
    const struct ts_trace_format *best = NULL, *near = NULL;
    struct votes best_votes = {0}, near_votes = {0};
    for (size_t i = 0; i < ts_trace_formats_count; i++) {
        const struct ts_trace_format *f = ts_trace_formats[i];
        struct votes v = {0};
        if (f->record_bytes)
            judge_records(f, head, len, &v);
        else
            judge_lines(f, head, len, whole, &v);
        if (v.yes > best_votes.yes) {
            best = f;
            best_votes = v;
        }
        if (v.near > near_votes.near) {
            near = f;
            near_votes = v;
        }
    }
    if (!best)
        refuse(near, &near_votes, head, len, source_name, err);
    return best;
}
