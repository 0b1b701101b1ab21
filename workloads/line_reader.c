/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/line_reader.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)64 << 10)

enum ts_status ts_line_reader_init(struct ts_line_reader *r, const struct ts_byte_source *source,
                                   struct ts_error *err)
{
    memset(r, 0, sizeof(*r));
    r->buf = malloc(CHUNK);
    if (!r->buf)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    r->cap = CHUNK;
    r->source = *source;
    return TS_OK;
}

void ts_line_reader_fini(struct ts_line_reader *r)
{
    free(r->buf);
    if (r->source.close)
        r->source.close(r->source.user);
    memset(r, 0, sizeof(*r));
}

uint32_t ts_line_reader_line(const struct ts_line_reader *r)
{
    return r->number > UINT32_MAX ? UINT32_MAX : (uint32_t)r->number;
}

/* Reads more behind end; makes room first. */
static int fill(struct ts_line_reader *r, struct ts_error *err)
{
    if (r->begin > 0) {
        memmove(r->buf, r->buf + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->end == r->cap) {
        char *buf = realloc(r->buf, r->cap * 2u);
        if (!buf) {
            ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
            return -1;
        }
        r->buf = buf;
        r->cap *= 2u;
    }
    int64_t n = r->source.read(r->source.user, r->buf + r->end, r->cap - r->end, err);
    if (n < 0)
        return -1;
    TS_ASSERT((uint64_t)n <= r->cap - r->end);
    r->end += (size_t)n;
    r->at_end = n == 0;
    return 1;
}

/* Hands out n bytes and passes over used. */
static void hand_out(struct ts_line_reader *r, const char **line, size_t *len, size_t n,
                     size_t used)
{
    *line = r->buf + r->begin;
    *len = n;
    r->begin += used;
    r->seen = 0;
    r->number++;
}

int ts_line_reader_next(struct ts_line_reader *r, const char **line, size_t *len,
                        struct ts_error *err)
{
    for (;;) {
        const char *first = r->buf + r->begin;
        const char *hit = memchr(first + r->seen, '\n', r->end - r->begin - r->seen);
        size_t n = hit ? (size_t)(hit - first) : r->end - r->begin;
        if (r->skipping && (hit || n > 0)) {
            r->begin += n + (hit ? 1u : 0u);
            r->seen = 0;
            r->skipping = !hit;
            continue;
        }
        if (n > TS_LINE_MAX) {
            r->too_long = true;
            r->whole = true;
            r->skipping = true;
            hand_out(r, line, len, TS_LINE_MAX, TS_LINE_MAX);
            return 1;
        }
        if (hit || (r->at_end && n > 0)) {
            r->too_long = false;
            r->whole = hit != NULL;
            hand_out(r, line, len, n, n + (hit ? 1u : 0u));
            return 1;
        }
        if (r->at_end)
            return 0;
        r->seen = n;
        if (fill(r, err) < 0)
            return -1;
    }
}

int ts_line_reader_record(struct ts_line_reader *r, size_t size, const char **record, size_t *len,
                          struct ts_error *err)
{
    TS_ASSERT(size > 0 && size <= CHUNK);
    while (r->end - r->begin < size && !r->at_end)
        if (fill(r, err) < 0)
            return -1;
    size_t n = r->end - r->begin < size ? r->end - r->begin : size;
    if (n == 0)
        return 0;
    r->whole = n == size;
    r->too_long = false;
    hand_out(r, record, len, n, n);
    return 1;
}

enum ts_status ts_line_reader_peek(struct ts_line_reader *r, size_t most, const char **head,
                                   size_t *len, bool *whole, struct ts_error *err)
{
    TS_ASSERT(most <= CHUNK);
    while (r->end - r->begin < most && !r->at_end)
        if (fill(r, err) < 0)
            return err->status;
    *head = r->buf + r->begin;
    *len = r->end - r->begin < most ? r->end - r->begin : most;
    *whole = r->at_end && *len == r->end - r->begin;
    return TS_OK;
}
