/* SPDX-License-Identifier: Apache-2.0 */
/* What strace prints beside the calls: its own messages, tables, frames and dumps. */
#include "workloads/strace_lex.h"

bool ts_strace_is_note(const struct ts_lex *x, enum ts_strace_kind *kind)
{
    *kind = TS_STRACE_NOTE;
    if (x->p == x->end)
        return true;
    switch (*x->p) {
    case ' ':
    case '\t':
    case '[':
    case '%':
    case '-':
    case '<':
        break;
    default:
        return false;
    }
    struct ts_lex t = *x;
    ts_lex_blanks(&t);
    if (ts_lex_skip(&t, "<unfinished ...>") || ts_lex_skip(&t, "<detached ...>"))
        *kind = TS_STRACE_BREAK;
    /* Frames of -k, dumps of -e read and -e write, a change of the personality, the table of -c. */
    return t.p == t.end || ts_lex_starts(x, " > ") || ts_lex_starts(x, " | ") ||
           ts_lex_starts(x, "[ Process PID=") || ts_lex_starts(x, "% time ") ||
           ts_lex_starts(x, "------ ");
}

/* The name by which strace was started, in front of what it says. */
static bool skip_program(struct ts_lex *x)
{
    static const char name[] = "strace";
    const char *p = x->p;
    while (p < x->end && (ts_lex_is_name(*p) || *p == '/' || *p == '.' || *p == '-' || *p == '+'))
        p++;
    if (x->end - p < 2 || p[0] != ':' || p[1] != ' ' || !ts_lex_find(x->p, p, name))
        return false;
    x->p = p + 2;
    return true;
}

bool ts_strace_parse_message(const struct ts_lex *x)
{
    /* Without the program's name before strace 4.26, and behind the echo of a Ctrl-C. */
    struct ts_lex t = *x;
    while (ts_lex_skip(&t, "^C"))
        continue;
    bool named = t.p < t.end && !ts_lex_is_digit(*t.p) && skip_program(&t);
    if (!ts_lex_skip(&t, "Process ") || t.p == t.end || !ts_lex_is_digit(*t.p)) {
        t.out->kind = TS_STRACE_NOTE;
        return named;
    }
    t.out->kind = TS_STRACE_NOTE;
    if (ts_lex_tid(&t, &t.out->peer) && ts_lex_starts(&t, " attached"))
        t.out->kind = TS_STRACE_ATTACHED;
    return true;
}

const char *ts_strace_find_message(struct ts_lex *x, bool *detached)
{
    static const char own_name[] = "strace: ";
    if (x->p == x->end || (x->end[-1] != 'd' && x->end[-1] != 's'))
        return NULL;
    const char *cut = NULL;
    for (const char *hit = x->p; (hit = ts_lex_find(hit, x->end, "Process ")) != NULL; hit++)
        cut = hit;
    if (!cut)
        return NULL;
    struct ts_lex t = {x->line, cut + strlen("Process "), x->end, x->out};
    if (!ts_lex_tid(&t, &x->out->peer))
        return NULL;
    *detached = ts_lex_skip(&t, " detached");
    if (!*detached && !ts_lex_skip(&t, " attached"))
        return NULL;
    if (t.p != t.end && (*detached || !ts_lex_starts(&t, " with ")))
        return NULL;
    if (cut - x->p >= (ptrdiff_t)strlen(own_name) &&
        memcmp(cut - strlen(own_name), own_name, strlen(own_name)) == 0)
        cut -= strlen(own_name);
    if (cut - x->p >= 2 && memcmp(cut - 2, "^C", 2) == 0)
        cut -= 2;
    return cut;
}

/* Numbers, then a name. */
bool ts_strace_is_summary_row(const struct ts_lex *x)
{
    const char *p = x->p;
    unsigned words = 0;
    while (p < x->end) {
        while (p < x->end && *p == ' ')
            p++;
        const char *first = p;
        bool number = true;
        for (; p < x->end && *p != ' '; p++) {
            if (!ts_lex_is_name(*p) && *p != '.')
                return false;
            number = number && (ts_lex_is_digit(*p) || *p == '.');
        }
        if (p == first)
            break;
        words++;
        if (!number)
            return p == x->end && words >= 4;
    }
    return false;
}
