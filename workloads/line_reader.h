/* SPDX-License-Identifier: Apache-2.0 */
/* Lines out of a byte source, read in pieces: memory is one piece and the longest line. */
#ifndef TS_WORKLOADS_LINE_READER_H
#define TS_WORKLOADS_LINE_READER_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_LINE_MAX ((size_t)1 << 20)

struct ts_line_reader {
    struct ts_byte_source source;
    char *buf;
    size_t cap;
    size_t begin; /* of what has not been handed out */
    size_t end;
    size_t seen;     /* bytes from begin that hold no newline */
    uint64_t number; /* of the last line handed out, 1-based */
    bool at_end;
    bool whole;    /* the last line handed out ended with a newline */
    bool too_long; /* it has more than TS_LINE_MAX bytes, of which these are the first */
    bool skipping; /* the rest of such a line */
};

/* Takes a copy of *source; ts_line_reader_fini closes it. On failure the source stays the
 * caller's. */
enum ts_status ts_line_reader_init(struct ts_line_reader *r, const struct ts_byte_source *source,
                                   struct ts_error *err);
void ts_line_reader_fini(struct ts_line_reader *r);
/* 1 and the next line without its newline, valid until the next call; 0 at the end; -1 with *err
 * set when the source fails. */
int ts_line_reader_next(struct ts_line_reader *r, const char **line, size_t *len,
                        struct ts_error *err);
/* The next `size` bytes of a file of such records (at most 64 KiB), as a line: less at the end. */
int ts_line_reader_record(struct ts_line_reader *r, size_t size, const char **record, size_t *len,
                          struct ts_error *err);
/* The beginning of what has not been handed out, up to `most` bytes (at most 64 KiB), and whether
 * that is all. Nothing is taken. */
enum ts_status ts_line_reader_peek(struct ts_line_reader *r, size_t most, const char **head,
                                   size_t *len, bool *whole, struct ts_error *err);
/* The number for an error's place. */
uint32_t ts_line_reader_line(const struct ts_line_reader *r);

#ifdef __cplusplus
}
#endif
#endif
