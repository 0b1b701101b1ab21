/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of text that the line parsers of recordings share. Private to them. */
#ifndef TS_WORKLOADS_STRACE_LEX_H
#define TS_WORKLOADS_STRACE_LEX_H

#include "workloads/strace_parse.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A position in a line; p never passes end. */
struct ts_lex {
    const char *line;
    const char *p;
    const char *end;
    struct ts_strace_record *out;
};

static inline bool ts_lex_fail(struct ts_lex *x, const char *why)
{
    size_t column = (size_t)(x->p - x->line) + 1u;
    x->out->why = why;
    x->out->column = column > UINT32_MAX ? UINT32_MAX : (uint32_t)column;
    return false;
}

static inline bool ts_lex_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ts_lex_is_name(char c)
{
    return ts_lex_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '?' || c == '#';
}

static inline bool ts_lex_at(const struct ts_lex *x, char c)
{
    return x->p < x->end && *x->p == c;
}

static inline void ts_lex_blanks(struct ts_lex *x)
{
    while (x->p < x->end && (*x->p == ' ' || *x->p == '\t'))
        x->p++;
}

static inline bool ts_lex_starts(const struct ts_lex *x, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(x->end - x->p) >= n && memcmp(x->p, word, n) == 0;
}

static inline bool ts_lex_skip(struct ts_lex *x, const char *word)
{
    if (!ts_lex_starts(x, word))
        return false;
    x->p += strlen(word);
    return true;
}

/* First occurrence of word in [p, end), or NULL. */
const char *ts_lex_find(const char *p, const char *end, const char *word);
/* Unsigned decimal, or hexadecimal after 0x; fails on overflow. */
bool ts_lex_number(struct ts_lex *x, uint64_t *value);
/* Hexadecimal digits, 0x before them or not; fails on overflow. */
bool ts_lex_hex(struct ts_lex *x, uint64_t *value);
/* SECONDS[.FRACTION] as nanoseconds, 1 to 9 digits of fraction; at most 2^62. */
bool ts_lex_seconds(struct ts_lex *x, uint64_t *ns);
enum ts_lex_flag_set {
    TS_LEX_PROT,
    TS_LEX_MAP,
    TS_LEX_MADV,
    TS_LEX_MREMAP,
    TS_LEX_SHM,
    TS_LEX_CLONE
};
/* Names or a number, with the set's prefix (PROT_, MAP_, ...) or without it. */
bool ts_lex_flags(struct ts_lex *x, enum ts_lex_flag_set set, uint32_t *value);
/* Skips one "...", comment or <...> that starts at p, if one does; p moves at least by one. */
bool ts_lex_skip_token(struct ts_lex *x);

/* The number of a thread, as strace prints it with every --decode-pids. */
bool ts_lex_tid(struct ts_lex *x, uint32_t *tid);
/* Behind a number: passes over a "<comm>", and over a comment that gives the number in strace's own
 * namespace, which *number becomes. */
bool ts_lex_other_number(struct ts_lex *x, uint64_t *number);

/* Reads the arguments of a call that is understood, x->p behind the parenthesis and x->end at the
 * closing one, or at the end of what an unfinished call shows. */
bool ts_strace_parse_args(struct ts_lex *x);

/* Whether the line says nothing of a call; *kind is TS_STRACE_NOTE or TS_STRACE_BREAK then. */
bool ts_strace_is_note(const struct ts_lex *x, enum ts_strace_kind *kind);
/* Whether x begins with a message of strace itself. Fills x->out. */
bool ts_strace_parse_message(const struct ts_lex *x);
/* A row of the table of -c and -C. */
bool ts_strace_is_summary_row(const struct ts_lex *x);
/* Where strace's message that it attached or detached a thread stands at the end of an unfinished
 * call (both go to standard error), or NULL. Fills x->out->peer. */
const char *ts_strace_find_message(struct ts_lex *x, bool *detached);

#ifdef __cplusplus
}
#endif
#endif
