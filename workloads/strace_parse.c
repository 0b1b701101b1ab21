/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace_parse.h"

#include "workloads/strace_lex.h"

/* A first number up to this one is a thread, a larger one a time: the kernel's PID_MAX_LIMIT
 * (include/linux/threads.h). */
#define TID_MAX UINT64_C(4194304)
/* A number of seconds below this one is relative: no strace ran before 1973. */
#define UNIX_MIN_NS (UINT64_C(100000000) * UINT64_C(1000000000))

/* Words that a log collector may put before a line. */
#define PREFIX_WORDS_MAX 32u

struct call_name {
    const char *name;
    size_t len;
    enum ts_strace_call call;
};

#define CALL(name, call)                                                                           \
    {                                                                                              \
        name, sizeof(name) - 1, call                                                               \
    }

/* Every first entry of a call is its usual name. */
static const struct call_name call_names[] = {
    CALL("mmap", TS_STRACE_MMAP),
    CALL("munmap", TS_STRACE_MUNMAP),
    CALL("mprotect", TS_STRACE_MPROTECT),
    CALL("madvise", TS_STRACE_MADVISE),
    CALL("mremap", TS_STRACE_MREMAP),
    CALL("brk", TS_STRACE_BRK),
    CALL("clone", TS_STRACE_CLONE),
    CALL("clone3", TS_STRACE_CLONE3),
    CALL("fork", TS_STRACE_FORK),
    CALL("vfork", TS_STRACE_VFORK),
    CALL("execve", TS_STRACE_EXECVE),
    CALL("exit", TS_STRACE_EXIT),
    CALL("exit_group", TS_STRACE_EXIT_GROUP),
    CALL("mmap2", TS_STRACE_MMAP),
    CALL("old_mmap", TS_STRACE_MMAP),
    CALL("pkey_mprotect", TS_STRACE_MPROTECT),
    CALL("execveat", TS_STRACE_EXECVE),
    CALL("_exit", TS_STRACE_EXIT),
    CALL("shmget", TS_STRACE_SHMGET),
    CALL("shmat", TS_STRACE_SHMAT),
    CALL("shmdt", TS_STRACE_SHMDT),
    CALL("ioctl", TS_STRACE_UNMODELLED), /* those of userfaultfd: the others are TS_STRACE_OTHER */
    CALL("remap_file_pages", TS_STRACE_UNMODELLED),
    CALL("process_madvise", TS_STRACE_UNMODELLED),
    CALL("process_mrelease", TS_STRACE_UNMODELLED),
    CALL("map_shadow_stack", TS_STRACE_UNMODELLED),
    CALL("io_setup", TS_STRACE_UNMODELLED), /* maps its ring (fs/aio.c aio_setup_ring) */
    CALL("io_destroy", TS_STRACE_UNMODELLED),
    CALL("mbind", TS_STRACE_UNMODELLED), /* it, and the next two, move pages (mm/migrate.c) */
    CALL("move_pages", TS_STRACE_UNMODELLED),
    CALL("migrate_pages", TS_STRACE_UNMODELLED),
};

const char *ts_strace_call_name(enum ts_strace_call call)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(call_names); i++)
        if (call_names[i].call == call && call != TS_STRACE_UNMODELLED)
            return call_names[i].name;
    return call == TS_STRACE_UNMODELLED ? "not modelled" : "other";
}

enum ts_strace_call ts_strace_find_call(const char *name, size_t len)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(call_names); i++)
        if (call_names[i].len == len && memcmp(call_names[i].name, name, len) == 0)
            return call_names[i].call;
    return TS_STRACE_OTHER;
}

/* Whether one of eight bytes may be below 0x20 or be 0x7f: never misses one. The lowest byte that
 * is found is one; a borrow may find those above it too. */
static uint64_t find_control(uint64_t v)
{
    const uint64_t ones = UINT64_MAX / 255u;
    const uint64_t x = v ^ (ones * 0x7fu);
    return (((v - ones * 0x20u) & ~v) | ((x - ones) & ~x)) & (ones * 0x80u);
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20u && c != '\t') || c == 0x7f;
}

/* strace escapes what cannot be printed, so a control byte means that this is something else. Bytes
 * above 0x7f stand: messages may be in the user's language. */
static bool check_text(struct ts_lex *x)
{
    for (const char *p = x->p; p < x->end;) {
        uint64_t v = 0;
        if (x->end - p >= 8) {
            memcpy(&v, p, 8);
            if (!find_control(v)) {
                p += 8;
                continue;
            }
        }
        if (is_control(*p)) {
            x->p = p;
            x->out->foreign = true;
            return ts_lex_fail(x, "a control byte: not an strace text");
        }
        p++;
    }
    return true;
}

bool ts_lex_other_number(struct ts_lex *x, uint64_t *number)
{
    static const char where[] = " in strace's PID NS";
    if (ts_lex_at(x, '<')) { /* a name, in which strace escapes the '>' */
        const char *end = (const char *)memchr(x->p, '>', (size_t)(x->end - x->p));
        if (!end)
            return ts_lex_fail(x, "a '<' without its '>'");
        x->p = end + 1;
    }
    struct ts_lex t = *x;
    ts_lex_blanks(&t);
    if (!ts_lex_starts(&t, "/*"))
        return true;
    struct ts_lex inside = t;
    inside.p += 2;
    ts_lex_blanks(&inside);
    uint64_t n = 0;
    if (inside.p < inside.end && ts_lex_is_digit(*inside.p) && ts_lex_number(&inside, &n) &&
        ts_lex_starts(&inside, where))
        *number = n;
    if (!ts_lex_skip_token(&t))
        return ts_lex_fail(x, "a comment without an end");
    x->p = t.p;
    return true;
}

bool ts_lex_tid(struct ts_lex *x, uint32_t *tid)
{
    uint64_t n = 0;
    if (!ts_lex_number(x, &n) || !ts_lex_other_number(x, &n))
        return false;
    if (n == 0 || n > INT32_MAX)
        return ts_lex_fail(x, "not a thread number");
    *tid = (uint32_t)n;
    return true;
}

/* "[pid 123] ", "123 " or nothing. A number that '.' or ':' follows is the time, and so is one that
 * is too large. */
static bool parse_pid(struct ts_lex *x)
{
    if (ts_lex_skip(x, "[pid ")) {
        ts_lex_blanks(x);
        x->out->has_tid = true;
        if (!ts_lex_tid(x, &x->out->tid))
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
    if (!ts_lex_tid(x, &x->out->tid))
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

/* "[  59] " of -n, "[00007f4ca05b7ce7] " of -i, question marks when unknown, and "[type] " or
 * "[user:role:type:level] " of --secontext. */
static bool parse_columns(struct ts_lex *x)
{
    while (ts_lex_at(x, '[') && !ts_lex_starts(x, "[ Process PID=")) {
        const char *p = x->p + 1;
        bool plain = !ts_lex_starts(x, "[pid "), context = false;
        for (; p < x->end && *p != ']'; p++) {
            plain = plain && (ts_lex_is_name(*p) || *p == ' ');
            context = context || *p == ':';
        }
        if (x->end - p < 2 || p[1] != ' ' || !(plain || context)) {
            x->out->foreign = true;
            return ts_lex_fail(x, "expected \"] \"");
        }
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

static bool is_clone(enum ts_strace_call call)
{
    return call == TS_STRACE_CLONE || call == TS_STRACE_CLONE3 || call == TS_STRACE_FORK ||
           call == TS_STRACE_VFORK;
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
    if (r->call == TS_STRACE_OTHER || r->call == TS_STRACE_UNMODELLED)
        return true;
    if (!ts_lex_number(x, &r->ret))
        return false;
    if (is_clone(r->call) && !ts_lex_other_number(x, &r->ret))
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

static bool parse_name(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    r->name = x->p;
    while (x->p < x->end && ts_lex_is_name(*x->p))
        x->p++;
    r->name_len = (size_t)(x->p - r->name);
    if (r->name_len > 0)
        return true;
    r->foreign = true;
    return ts_lex_fail(x, "expected a system call");
}

/* The line ends before its call does: whatever the reason, its arguments so far count if they can
 * be read. False. */
static bool stays_open(const struct ts_lex *args)
{
    struct ts_strace_record *r = args->out;
    const char *why = r->why;
    const uint32_t column = r->column;
    struct ts_lex t = *args;
    r->kind = ts_strace_parse_args(&t) ? TS_STRACE_OPEN : TS_STRACE_NOTE;
    r->why = why;
    r->column = column;
    return false;
}

/* Arguments of calls that are not understood may be in forms not known here: the last " = ". */
static const char *find_last_result(const struct ts_lex *x)
{
    const char *last = NULL;
    const char *hit = x->p;
    const bool any = x->out->call == TS_STRACE_OTHER || x->out->call == TS_STRACE_UNMODELLED;
    while (any && (hit = ts_lex_find(hit, x->end, " = ")) != NULL)
        last = hit++;
    return last;
}

static bool parse_call(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    if (!parse_name(x))
        return false;
    if (!ts_lex_at(x, '(')) {
        r->foreign = true;
        return ts_lex_fail(x, "expected '(' after the name of a system call");
    }
    x->p++;
    r->call = ts_strace_find_call(r->name, r->name_len);
    if (r->call == TS_STRACE_UNMODELLED && *r->name == 'i' && r->name_len == strlen("ioctl") &&
        !ts_lex_find(x->p, x->end, "UFFDIO_"))
        r->call = TS_STRACE_OTHER;

    struct ts_lex args = *x;
    bool detached = false;
    const char *stop = find_break(x);
    const char *cut = stop ? NULL : ts_strace_find_message(x, &detached);
    if (stop || cut) {
        r->kind = cut && !detached ? TS_STRACE_CUT : TS_STRACE_UNFINISHED;
        args.end = cut ? cut : stop;
        return ts_strace_parse_args(&args);
    }
    r->kind = TS_STRACE_CALL;
    if (!find_end_of_args(x)) {
        const char *last = find_last_result(&args);
        if (!last)
            return stays_open(&args);
        x->p = last;
        return parse_result(x);
    }
    args.end = x->p;
    x->p++;
    struct ts_lex t = args;
    if (!ts_strace_parse_args(&t))
        return false;
    t = *x;
    ts_lex_blanks(&t);
    return parse_result(x) || (t.p == t.end && stays_open(&args));
}

/* Behind "<... name resumed>". strace up to 4.x prints the arguments of clone there. */
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
    t.end = x->p++;
    if (x->out->call == TS_STRACE_CLONE && !ts_strace_parse_args(&t))
        return false;
    return parse_result(x);
}

static bool parse_resumed(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    ts_lex_blanks(x);
    if (!parse_name(x))
        return false;
    if (!ts_lex_skip(x, " resumed>"))
        return ts_lex_fail(x, "expected \" resumed>\"");
    r->call = ts_strace_find_call(r->name, r->name_len);
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
    return ts_lex_tid(x, &x->out->peer);
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
    if (ts_lex_starts(x, "[ Process PID=")) {
        x->out->kind = TS_STRACE_NOTE;
        return true;
    }
    return parse_call(x);
}

/* A byte-order mark is no text. */
static struct ts_lex begin(const char *line, size_t len, struct ts_strace_record *out)
{
    memset(out, 0, sizeof(*out));
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    struct ts_lex x = {line, line, line + len, out};
    (void)ts_lex_skip(&x, "\xef\xbb\xbf");
    return x;
}

/* Behind the check of the text. */
static bool parse_line(struct ts_lex *x)
{
    const struct ts_lex whole = *x;
    struct ts_strace_record *out = x->out;
    if (ts_strace_is_note(x, &out->kind) || ts_strace_parse_message(x))
        return true;
    if (parse_pid(x) && parse_time(x) && parse_columns(x) && parse_body(x))
        return true;
    if (ts_strace_is_summary_row(&whole)) {
        memset(out, 0, sizeof(*out));
        return true;
    }
    if (out->kind != TS_STRACE_OPEN)
        out->kind = TS_STRACE_NOTE;
    return false;
}

bool ts_strace_parse(const char *line, size_t len, struct ts_strace_record *out)
{
    struct ts_lex x = begin(line, len, out);
    return check_text(&x) && parse_line(&x);
}

/* The next place behind p where a record may begin: behind a blank or a sign that separates, and
 * never inside a date or a time, whose numbers would pass for those of threads. */
static const char *next_start(const char *p, const char *end)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned words = 1;
    for (size_t i = 0; end - p > 4 && i < 36u; i += 3u)
        if (memcmp(p, months + i, 3) == 0 && p[3] == ' ')
            words = 3; /* Nov 28 07:34:26 */
    const bool iso = end - p > 10 && p[4] == '-' && p[7] == '-' && ts_lex_is_digit(p[0]);
    if (iso && p[10] == ' ')
        words = 2; /* 2026-11-28 07:34:26; with a 'T' it is one word */
    const bool date = iso || words > 1;
    for (; words > 0; words--) {
        while (p < end && *p != ' ' && *p != '\t' && (date || !strchr(":|]>", *p)))
            p++;
        if (!date && p < end && *p != ' ' && *p != '\t')
            p++;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
    }
    return p;
}

bool ts_strace_parse_prefixed(const char *line, size_t len, struct ts_strace_record *out)
{
    struct ts_lex x = begin(line, len, out);
    if (!check_text(&x))
        return false;
    ts_lex_blanks(&x);
    const char *p = x.p;
    bool note = false;
    for (unsigned tries = 0; tries < PREFIX_WORDS_MAX; tries++) {
        p = next_start(p, x.end);
        if (p == x.end)
            break;
        memset(out, 0, sizeof(*out));
        struct ts_lex rest = {line, p, x.end, out};
        if (parse_line(&rest) && out->kind != TS_STRACE_NOTE)
            return true;
        note = note || !out->why; /* "strace: " may be the collector's, and a call follow */
    }
    memset(out, 0, sizeof(*out));
    if (note)
        return true;
    out->foreign = true;
    return ts_lex_fail(&x, "expected a system call");
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
