/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace_parse.h"

#include "workloads/strace_lex.h"

/* A first number up to this one is a thread, a larger one a time: the kernel's PID_MAX_LIMIT
 * (include/linux/threads.h). */
#define TID_MAX UINT64_C(4194304)
/* A number of seconds below this one is relative: no strace ran before 1973. */
#define UNIX_MIN_NS (UINT64_C(100000000) * UINT64_C(1000000000))

struct call_name {
    const char *name;
    enum ts_strace_call call;
};

/* Every first entry of a call is its usual name. */
static const struct call_name call_names[] = {
    {"mmap", TS_STRACE_MMAP},
    {"munmap", TS_STRACE_MUNMAP},
    {"mprotect", TS_STRACE_MPROTECT},
    {"madvise", TS_STRACE_MADVISE},
    {"mremap", TS_STRACE_MREMAP},
    {"brk", TS_STRACE_BRK},
    {"clone", TS_STRACE_CLONE},
    {"clone3", TS_STRACE_CLONE3},
    {"fork", TS_STRACE_FORK},
    {"vfork", TS_STRACE_VFORK},
    {"execve", TS_STRACE_EXECVE},
    {"exit", TS_STRACE_EXIT},
    {"exit_group", TS_STRACE_EXIT_GROUP},
    {"mmap2", TS_STRACE_MMAP},
    {"old_mmap", TS_STRACE_MMAP},
    {"pkey_mprotect", TS_STRACE_MPROTECT},
    {"execveat", TS_STRACE_EXECVE},
    {"_exit", TS_STRACE_EXIT},
};

const char *ts_strace_call_name(enum ts_strace_call call)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(call_names); i++)
        if (call_names[i].call == call)
            return call_names[i].name;
    return "other";
}

static enum ts_strace_call find_call(const char *name, size_t len)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(call_names); i++)
        if (strlen(call_names[i].name) == len && memcmp(call_names[i].name, name, len) == 0)
            return call_names[i].call;
    return TS_STRACE_OTHER;
}

/* strace escapes what cannot be printed, so a control byte means that this is something else. Bytes
 * above 0x7f stand: messages may be in the user's language. */
static bool check_text(struct ts_lex *x)
{
    unsigned bad = 0;
    for (const char *p = x->p; p < x->end; p++) {
        unsigned char c = (unsigned char)*p;
        bad |= (unsigned)(c < 0x20u && c != '\t') | (unsigned)(c == 0x7fu);
    }
    if (!bad)
        return true;
    while (*x->p == '\t' || ((unsigned char)*x->p >= 0x20u && *x->p != 0x7f))
        x->p++;
    return ts_lex_fail(x, "a control byte: not an strace text");
}

static bool read_tid(struct ts_lex *x, uint32_t *tid)
{
    uint64_t n = 0;
    if (!ts_lex_number(x, &n))
        return false;
    if (n == 0 || n > INT32_MAX)
        return ts_lex_fail(x, "not a thread number");
    *tid = (uint32_t)n;
    /* "<comm>" of --decode-pids=comm, in which strace escapes the '>'; the number in another
     * namespace, as a comment, of --decode-pids=pidns. */
    if (ts_lex_at(x, '<')) {
        const char *end = (const char *)memchr(x->p, '>', (size_t)(x->end - x->p));
        if (!end)
            return ts_lex_fail(x, "a '<' without its '>'");
        x->p = end + 1;
    }
    const char *mark = x->p;
    ts_lex_blanks(x);
    if (ts_lex_starts(x, "/*"))
        return ts_lex_skip_token(x);
    x->p = mark;
    return true;
}

/* "[pid 123] ", "123 " or nothing. A number that '.' or ':' follows is the time, and so is one that
 * is too large. */
static bool parse_pid(struct ts_lex *x)
{
    if (ts_lex_skip(x, "[pid ")) {
        ts_lex_blanks(x);
        x->out->has_tid = true;
        if (!read_tid(x, &x->out->tid))
            return false;
        if (!ts_lex_skip(x, "] "))
            return ts_lex_fail(x, "expected ']' after the thread number");
        return true;
    }
    if (x->p == x->end || !ts_lex_is_digit(*x->p))
        return true;
    const char *first = x->p;
    uint64_t n = 0;
    if (!ts_lex_number(x, &n))
        return false;
    bool is_tid = n <= TID_MAX && (ts_lex_at(x, ' ') || ts_lex_at(x, '<'));
    x->p = first;
    if (!is_tid)
        return true;
    x->out->has_tid = true;
    if (!read_tid(x, &x->out->tid))
        return false;
    if (!ts_lex_at(x, ' '))
        return ts_lex_fail(x, "expected a blank after the thread number");
    return true;
}

/* HH:MM:SS, the hours already read. */
static bool parse_day_time(struct ts_lex *x, uint64_t hours)
{
    uint64_t minutes = 0, rest = 0;
    x->p++;
    if (!ts_lex_number(x, &minutes))
        return false;
    if (!ts_lex_at(x, ':') || hours > 23 || minutes > 59)
        return ts_lex_fail(x, "not a time of the day");
    x->p++;
    if (!ts_lex_seconds(x, &rest))
        return false;
    /* 60: a leap second. */
    if (rest >= UINT64_C(61) * UINT64_C(1000000000))
        return ts_lex_fail(x, "not a time of the day");
    x->out->time_kind = TS_STRACE_TIME_DAY;
    x->out->time_ns = (hours * 60u + minutes) * UINT64_C(60000000000) + rest;
    return true;
}

/* "(+     0.000031) " of -r beside an absolute time says nothing new. */
static bool skip_second_time(struct ts_lex *x)
{
    uint64_t ns = 0;
    if (!ts_lex_skip(x, "(+"))
        return true;
    ts_lex_blanks(x);
    if (!ts_lex_seconds(x, &ns))
        return false;
    if (!ts_lex_skip(x, ") "))
        return ts_lex_fail(x, "expected ')' after the relative time");
    return true;
}

static bool parse_time(struct ts_lex *x)
{
    ts_lex_blanks(x);
    if (x->p == x->end || !ts_lex_is_digit(*x->p))
        return true;
    const char *first = x->p;
    uint64_t n = 0;
    if (!ts_lex_number(x, &n))
        return false;
    if (ts_lex_at(x, ':')) {
        if (!parse_day_time(x, n))
            return false;
    } else {
        x->p = first;
        if (!ts_lex_seconds(x, &x->out->time_ns))
            return false;
        x->out->time_kind =
            x->out->time_ns < UNIX_MIN_NS ? TS_STRACE_TIME_RELATIVE : TS_STRACE_TIME_UNIX;
    }
    if (!ts_lex_at(x, ' '))
        return ts_lex_fail(x, "expected a blank after the time");
    ts_lex_blanks(x);
    return skip_second_time(x);
}

/* "[  59] " of -n and "[00007f4ca05b7ce7] " of -i, question marks when unknown. */
static bool parse_columns(struct ts_lex *x)
{
    while (ts_lex_at(x, '[')) {
        const char *p = x->p + 1;
        while (p < x->end && (ts_lex_is_name(*p) || *p == ' '))
            p++;
        if (x->end - p < 2 || p[0] != ']' || p[1] != ' ')
            return ts_lex_fail(x, "expected \"] \"");
        x->p = p + 2;
    }
    return true;
}

/* "<0.000030>" at the end of the line, a blank before it. Cuts it off. */
static bool parse_duration(struct ts_lex *x)
{
    if (x->end == x->p || x->end[-1] != '>')
        return true;
    const char *p = x->end - 1;
    while (p > x->p && (ts_lex_is_digit(p[-1]) || p[-1] == '.'))
        p--;
    if (p == x->end - 1 || p - x->p < 2 || p[-1] != '<' || p[-2] != ' ')
        return true;
    struct ts_lex t = {x->line, p, x->end - 1, x->out};
    if (!ts_lex_seconds(&t, &x->out->duration_ns))
        return false;
    if (t.p != t.end)
        return ts_lex_fail(&t, "not a duration");
    x->out->has_duration = true;
    x->end = p - 2;
    return true;
}

/* " = RESULT [<duration>]". Only the results of calls that are understood are looked at. */
static bool parse_result(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    ts_lex_blanks(x);
    if (!ts_lex_at(x, '='))
        return ts_lex_fail(x, "expected '=' and the result");
    x->p++;
    if (!parse_duration(x))
        return false;
    ts_lex_blanks(x);
    if (x->p == x->end)
        return ts_lex_fail(x, "expected a result");
    if (*x->p == '?') {
        r->result = TS_STRACE_RESULT_UNKNOWN;
        return true;
    }
    if (*x->p == '-') {
        r->result = TS_STRACE_RESULT_ERROR;
        return true;
    }
    r->result = TS_STRACE_RESULT_VALUE;
    if (r->call == TS_STRACE_OTHER)
        return true;
    if (!ts_lex_number(x, &r->ret))
        return false;
    if (x->p < x->end && *x->p != ' ' && *x->p != '<')
        return ts_lex_fail(x, "not a result");
    return true;
}

/* Moves p to the parenthesis that ends the arguments. */
static bool find_end_of_args(struct ts_lex *x)
{
    unsigned depth = 0;
    while (x->p < x->end) {
        char c = *x->p;
        if (c == '(' || c == '[' || c == '{')
            depth++;
        else if (c == ')' && depth == 0)
            return true;
        /* The first half of a structure may be in the unfinished line. */
        else if ((c == ')' || c == ']' || c == '}') && depth > 0)
            depth--;
        if (!ts_lex_skip_token(x))
            return false;
    }
    return ts_lex_fail(x, "expected ')' and the result");
}

/* The start of what ends a line before its call ends, or NULL. */
static const char *find_break(const struct ts_lex *x)
{
    static const char *const ends[] = {"<unfinished ...>", "<detached ...>"};
    for (size_t i = 0; i < TS_ARRAY_LEN(ends); i++) {
        size_t n = strlen(ends[i]);
        if ((size_t)(x->end - x->p) >= n && memcmp(x->end - n, ends[i], n) == 0)
            return x->end - n;
    }
    /* strace.c trace_syscall: the thread vanished in the call. */
    if (x->end > x->p && x->end[-1] == '>')
        return ts_lex_find(x->p, x->end, "<ptrace(");
    return NULL;
}

/* "strace: Process N attached" printed into the middle of a call (both go to standard error). */
static const char *find_cut(struct ts_lex *x)
{
    static const char tail[] = " attached";
    size_t n = sizeof(tail) - 1;
    if ((size_t)(x->end - x->p) < n || memcmp(x->end - n, tail, n) != 0)
        return NULL;
    const char *cut = ts_lex_find(x->p, x->end, "strace: Process ");
    if (!cut)
        return NULL;
    struct ts_lex t = {x->line, cut + strlen("strace: Process "), x->end, x->out};
    return read_tid(&t, &x->out->peer) ? cut : NULL;
}

static bool parse_call(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    r->name = x->p;
    while (x->p < x->end && ts_lex_is_name(*x->p))
        x->p++;
    r->name_len = (size_t)(x->p - r->name);
    if (r->name_len == 0)
        return ts_lex_fail(x, "expected a system call");
    if (!ts_lex_at(x, '('))
        return ts_lex_fail(x, "expected '(' after the name of a system call");
    x->p++;
    r->call = find_call(r->name, r->name_len);

    struct ts_lex args = *x;
    const char *stop = find_break(x);
    const char *cut = stop ? NULL : find_cut(x);
    if (stop || cut) {
        r->kind = cut ? TS_STRACE_CUT : TS_STRACE_UNFINISHED;
        args.end = cut ? cut : stop;
        return ts_strace_parse_args(&args);
    }
    r->kind = TS_STRACE_CALL;
    if (!find_end_of_args(x)) {
        /* Arguments of calls that are not understood may be in forms not known here. */
        const char *last = NULL;
        const char *hit = args.p;
        while (r->call == TS_STRACE_OTHER && (hit = ts_lex_find(hit, x->end, " = ")) != NULL)
            last = hit++;
        if (!last)
            return false;
        x->p = last;
        return parse_result(x);
    }
    args.end = x->p;
    x->p++;
    return ts_strace_parse_args(&args) && parse_result(x);
}

/* Behind "<... name resumed>". */
static bool parse_resumed_rest(struct ts_lex *x)
{
    x->out->kind = TS_STRACE_RESUMED;
    struct ts_lex t = *x;
    ts_lex_blanks(&t);
    if (find_break(x) == t.p && t.p < t.end) {
        x->out->kind = TS_STRACE_NOTE;
        return true;
    }
    if (!find_end_of_args(x))
        return false;
    x->p++;
    return parse_result(x);
}

static bool parse_resumed(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    ts_lex_blanks(x);
    r->name = x->p;
    while (x->p < x->end && ts_lex_is_name(*x->p))
        x->p++;
    r->name_len = (size_t)(x->p - r->name);
    if (r->name_len == 0)
        return ts_lex_fail(x, "expected a system call");
    if (!ts_lex_skip(x, " resumed>"))
        return ts_lex_fail(x, "expected \" resumed>\"");
    r->call = find_call(r->name, r->name_len);
    return parse_resumed_rest(x);
}

static bool parse_end(struct ts_lex *x)
{
    size_t left = (size_t)(x->end - x->p);
    if (left < 3 || memcmp(x->end - 3, "+++", 3) != 0)
        return ts_lex_fail(x, "expected \"+++\" at the end of the line");
    if (ts_lex_starts(x, "exited with ") || ts_lex_starts(x, "killed by ")) {
        x->out->kind = TS_STRACE_EXITED;
        return true;
    }
    if (!ts_lex_skip(x, "superseded by execve in pid "))
        return ts_lex_fail(x, "expected \"exited with\", \"killed by\" or \"superseded by\"");
    x->out->kind = TS_STRACE_SUPERSEDED;
    return read_tid(x, &x->out->peer);
}

static bool parse_body(struct ts_lex *x)
{
    if (ts_lex_skip(x, "+++ "))
        return parse_end(x);
    if (ts_lex_skip(x, "--- ")) {
        if ((size_t)(x->end - x->p) < 3 || memcmp(x->end - 3, "---", 3) != 0)
            return ts_lex_fail(x, "expected \"---\" at the end of the line");
        x->out->kind = TS_STRACE_SIGNAL;
        return true;
    }
    if (ts_lex_skip(x, "<..."))
        return parse_resumed(x);
    return parse_call(x);
}

/* "strace: Process 123 attached", without the prefix before strace 4.26. */
static bool parse_message(struct ts_lex *x)
{
    x->out->kind = TS_STRACE_NOTE;
    if (!ts_lex_skip(x, "Process "))
        return true;
    struct ts_lex t = *x;
    if (t.p < t.end && ts_lex_is_digit(*t.p) && read_tid(&t, &x->out->peer) &&
        ts_lex_starts(&t, " attached"))
        x->out->kind = TS_STRACE_ATTACHED;
    return true;
}

/* A row of the table of -c and -C: numbers, then a name. */
static bool is_summary_row(const struct ts_lex *x)
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

static bool is_note(const struct ts_lex *x)
{
    struct ts_lex t = *x;
    ts_lex_blanks(&t);
    return t.p == t.end || ts_lex_starts(x, " > ") || ts_lex_starts(x, "[ Process PID=") ||
           ts_lex_starts(x, "% time ") || ts_lex_starts(x, "------ ");
}

static struct ts_lex begin(const char *line, size_t len, struct ts_strace_record *out)
{
    memset(out, 0, sizeof(*out));
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    struct ts_lex x = {line, line, line + len, out};
    return x;
}

bool ts_strace_parse(const char *line, size_t len, struct ts_strace_record *out)
{
    struct ts_lex x = begin(line, len, out);
    if (!check_text(&x))
        return false;
    if (is_note(&x))
        return true;
    struct ts_lex message = x;
    if (ts_lex_skip(&message, "strace: ") || ts_lex_starts(&message, "Process "))
        return parse_message(&message);
    if (parse_pid(&x) && parse_time(&x) && parse_columns(&x) && parse_body(&x))
        return true;
    struct ts_lex whole = {line, line, x.end, out};
    if (!is_summary_row(&whole))
        return false;
    memset(out, 0, sizeof(*out));
    return true;
}

bool ts_strace_parse_rest(const char *line, size_t len, struct ts_strace_record *out)
{
    struct ts_lex x = begin(line, len, out);
    if (!check_text(&x))
        return false;
    /* The line does not name its call. strace says that it attached a thread when a call that
     * makes one returns, and only calls that are understood have their result read. */
    out->call = TS_STRACE_CLONE;
    return parse_resumed_rest(&x);
}
