/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/strace_lex.h"

struct flag_name {
    const char *name;
    uint32_t len;
    uint32_t prefix; /* of the len, with the underscore */
    uint32_t value;
};

#define FLAG(prefix, name, value)                                                                  \
    {                                                                                              \
        prefix name, sizeof(prefix name) - 1, sizeof(prefix) - 1, value                            \
    }

static const struct flag_name prot_names[] = {FLAG("PROT_", "READ", 1u), FLAG("PROT_", "WRITE", 2u),
                                              FLAG("PROT_", "EXEC", 4u)};

static const struct flag_name map_names[] = {FLAG("MAP_", "PRIVATE", TS_STRACE_MAP_PRIVATE),
                                             FLAG("MAP_", "ANONYMOUS", TS_STRACE_MAP_ANONYMOUS),
                                             FLAG("MAP_", "FIXED", TS_STRACE_MAP_FIXED),
                                             FLAG("MAP_", "SHARED", TS_STRACE_MAP_SHARED),
                                             FLAG("MAP_", "SHARED_VALIDATE", TS_STRACE_MAP_SHARED),
                                             FLAG("MAP_", "ANON", TS_STRACE_MAP_ANONYMOUS),
                                             FLAG("MAP_", "HUGETLB", TS_STRACE_MAP_HUGETLB)};

static const struct flag_name madv_names[] = {
    FLAG("MADV_", "DONTNEED", TS_STRACE_MADV_DONTNEED),
    FLAG("MADV_", "FREE", TS_STRACE_MADV_FREE),
    FLAG("MADV_", "REMOVE", TS_STRACE_MADV_REMOVE),
    FLAG("MADV_", "HUGEPAGE", TS_STRACE_MADV_HUGEPAGE),
    FLAG("MADV_", "NOHUGEPAGE", TS_STRACE_MADV_NOHUGEPAGE),
    FLAG("MADV_", "COLD", TS_STRACE_MADV_COLD),
    FLAG("MADV_", "PAGEOUT", TS_STRACE_MADV_PAGEOUT),
    FLAG("MADV_", "DONTNEED_LOCKED", TS_STRACE_MADV_DONTNEED_LOCKED),
    FLAG("MADV_", "COLLAPSE", TS_STRACE_MADV_COLLAPSE),
    FLAG("MADV_", "HWPOISON", TS_STRACE_MADV_HWPOISON),
    FLAG("MADV_", "SOFT_OFFLINE", TS_STRACE_MADV_SOFT_OFFLINE),
    FLAG("MADV_", "GUARD_INSTALL", TS_STRACE_MADV_GUARD_INSTALL)};

static const struct flag_name shm_names[] = {FLAG("SHM_", "RDONLY", TS_STRACE_SHM_RDONLY)};

static const struct flag_name mremap_names[] = {
    FLAG("MREMAP_", "MAYMOVE", 1u), FLAG("MREMAP_", "FIXED", TS_STRACE_MREMAP_FIXED),
    FLAG("MREMAP_", "DONTUNMAP", TS_STRACE_MREMAP_DONTUNMAP)};

static const struct flag_name clone_names[] = {FLAG("CLONE_", "VM", TS_STRACE_CLONE_VM)};

const char *ts_lex_find(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    while ((size_t)(end - p) >= n) {
        const char *hit = (const char *)memchr(p, word[0], (size_t)(end - p) - n + 1u);
        if (!hit)
            return NULL;
        if (memcmp(hit, word, n) == 0)
            return hit;
        p = hit + 1;
    }
    return NULL;
}

static int hex_digit(char c)
{
    if (ts_lex_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool hex_digits(struct ts_lex *x, uint64_t *value)
{
    uint64_t v = 0;
    const char *p = x->p;
    int d = 0;
    for (; p < x->end && (d = hex_digit(*p)) >= 0; p++) {
        if (v >> 60)
            return ts_lex_fail(x, "a number of more than 64 bits");
        v = v << 4 | (uint64_t)d;
    }
    if (p == x->p)
        return ts_lex_fail(x, "expected hexadecimal digits");
    x->p = p;
    *value = v;
    return true;
}

bool ts_lex_hex(struct ts_lex *x, uint64_t *value)
{
    if (!ts_lex_skip(x, "0x"))
        (void)ts_lex_skip(x, "0X");
    return hex_digits(x, value);
}

bool ts_lex_number(struct ts_lex *x, uint64_t *value)
{
    uint64_t v = 0;
    const char *first = x->p;
    if (ts_lex_starts(x, "0x") || ts_lex_starts(x, "0X")) {
        struct ts_lex t = *x;
        t.p += 2;
        if (!hex_digits(&t, value))
            return ts_lex_fail(x, x->out->why);
        x->p = t.p;
        return true;
    }
    const char *p = first;
    const char *end = x->end;
    for (; p < end && ts_lex_is_digit(*p); p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v >= UINT64_MAX / 10u && (v > UINT64_MAX / 10u || d > UINT64_MAX % 10u))
            return ts_lex_fail(x, "a number of more than 64 bits");
        v = v * 10u + d;
    }
    if (p == first)
        return ts_lex_fail(x, "expected a number");
    x->p = p;
    *value = v;
    return true;
}

bool ts_lex_seconds(struct ts_lex *x, uint64_t *ns)
{
    const char *first = x->p;
    uint64_t s = 0;
    if (!ts_lex_number(x, &s))
        return false;
    /* Leaves room to add durations and days without an overflow. */
    if (s >= (UINT64_C(1) << 62) / UINT64_C(1000000000)) {
        x->p = first;
        return ts_lex_fail(x, "a time beyond the year 2116");
    }
    s *= UINT64_C(1000000000);
    if (ts_lex_at(x, '.')) {
        uint64_t unit = UINT64_C(1000000000), fraction = 0;
        const char *p = first = x->p + 1;
        const char *end = x->end;
        for (; p < end && ts_lex_is_digit(*p) && unit > 1; p++, unit /= 10u)
            fraction = fraction * 10u + (uint64_t)(*p - '0');
        x->p = p;
        if (p < end && ts_lex_is_digit(*p))
            return ts_lex_fail(x, "more than nine digits of a second");
        if (p == first)
            return ts_lex_fail(x, "expected the fraction of a second");
        s += fraction * unit;
    }
    *ns = s;
    return true;
}

static bool skip_string(struct ts_lex *x)
{
    for (const char *p = x->p + 1; p < x->end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"') {
            x->p = p + 1;
            return true;
        }
    }
    return ts_lex_fail(x, "a string without an end");
}

/* "3</path>" of -y and -yy, "12<comm>" of -Y. A socket's text may hold "->" (-yy), so the end is a
 * '>' that something like a separator follows. */
static bool skip_annotation(struct ts_lex *x)
{
    for (const char *p = x->p + 1; p < x->end; p++) {
        if (*p != '>')
            continue;
        const char *q = p + 1;
        if (q == x->end || strchr(",)]} |", *q) != NULL || *q == '(') {
            x->p = q;
            return true;
        }
    }
    return ts_lex_fail(x, "a '<' without its '>'");
}

bool ts_lex_skip_token(struct ts_lex *x)
{
    const char c = *x->p;
    if (c == '"')
        return skip_string(x);
    if (c == '/' && ts_lex_starts(x, "/*")) {
        const char *end = ts_lex_find(x->p + 2, x->end, "*/");
        if (!end)
            return ts_lex_fail(x, "a comment without an end");
        x->p = end + 2;
        return true;
    }
    /* "21<<MAP_HUGE_SHIFT" is a shift. */
    if (c == '<' && x->p > x->line && ts_lex_is_digit(x->p[-1]) && !ts_lex_starts(x, "<<"))
        return skip_annotation(x);
    x->p++;
    return true;
}

static void skip_comment(struct ts_lex *x)
{
    ts_lex_blanks(x);
    const char *end = ts_lex_starts(x, "/*") ? ts_lex_find(x->p + 2, x->end, "*/") : NULL;
    if (end) {
        x->p = end + 2;
        ts_lex_blanks(x);
    }
}

/* A number, or NULL. */
static bool read_value(struct ts_lex *x, uint64_t *value)
{
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "NULL")) {
        *value = 0;
        return true;
    }
    if (!ts_lex_number(x, value))
        return false;
    skip_comment(x);
    return true;
}

static bool is_flag(const struct flag_name *f, const char *word, size_t len)
{
    if (len == f->len)
        return memcmp(f->name, word, len) == 0;
    return len == f->len - f->prefix && memcmp(f->name + f->prefix, word, len) == 0;
}

/* NAME|NAME|0x8, 0x3, or 0x3 with the names in a comment. Names that the simulator has no use for
 * are passed over. perf trace leaves out what stands before the first underscore. */
static bool read_flags(struct ts_lex *x, const struct flag_name *names, size_t n, uint32_t *value)
{
    *value = 0;
    for (;;) {
        ts_lex_blanks(x);
        const char *first = x->p;
        uint64_t v = 0;
        if (x->p < x->end && ts_lex_is_digit(*x->p)) {
            if (!ts_lex_number(x, &v))
                return false;
            if (ts_lex_skip(x, "<<")) /* MAP_HUGE_2MB and the like; none of the bits is used */
                v = 0;
            *value |= (uint32_t)(v & UINT32_MAX);
        }
        const char *word = x->p;
        while (x->p < x->end && ts_lex_is_name(*x->p))
            x->p++;
        size_t len = (size_t)(x->p - word);
        for (size_t i = 0; i < n; i++)
            if (is_flag(&names[i], word, len))
                *value |= names[i].value;
        if (x->p == first)
            return ts_lex_fail(x, "expected flags");
        skip_comment(x);
        if (!ts_lex_at(x, '|'))
            return true;
        x->p++;
    }
}

bool ts_lex_flags(struct ts_lex *x, enum ts_lex_flag_set set, uint32_t *value)
{
    switch (set) {
    case TS_LEX_PROT:
        return read_flags(x, prot_names, TS_ARRAY_LEN(prot_names), value);
    case TS_LEX_MAP:
        return read_flags(x, map_names, TS_ARRAY_LEN(map_names), value);
    case TS_LEX_MADV:
        return read_flags(x, madv_names, TS_ARRAY_LEN(madv_names), value);
    case TS_LEX_MREMAP:
        return read_flags(x, mremap_names, TS_ARRAY_LEN(mremap_names), value);
    case TS_LEX_SHM:
        return read_flags(x, shm_names, TS_ARRAY_LEN(shm_names), value);
    case TS_LEX_CLONE:
        break;
    }
    return read_flags(x, clone_names, TS_ARRAY_LEN(clone_names), value);
}

static bool read_comma(struct ts_lex *x)
{
    ts_lex_blanks(x);
    if (!ts_lex_at(x, ','))
        return ts_lex_fail(x, "expected ',' and another argument");
    x->p++;
    return true;
}

static bool read_range(struct ts_lex *x)
{
    return read_value(x, &x->out->addr) && read_comma(x) && read_value(x, &x->out->length);
}

/* Of -X raw and -e raw: flags first, as on every architecture but s390 and cris (kernel/fork.c
 * CONFIG_CLONE_BACKWARDS2). clone3 gives an address there. */
static bool read_raw_clone(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    struct ts_lex t = *x;
    ts_lex_blanks(&t);
    if (r->call != TS_STRACE_CLONE || t.p == t.end || !ts_lex_is_digit(*t.p))
        return true;
    uint64_t v = 0;
    if (!ts_lex_number(&t, &v))
        return false;
    if (!ts_lex_at(&t, ','))
        return true;
    r->has_flags = true;
    r->flags = (uint32_t)(v & UINT32_MAX);
    return true;
}

/* flags= is a field of clone3's structure and a named argument of clone. */
static bool read_clone(struct ts_lex *x)
{
    const struct ts_lex whole = *x;
    for (;;) {
        const char *hit = ts_lex_find(x->p, x->end, "flags=");
        if (!hit) {
            *x = whole;
            return read_raw_clone(x);
        }
        x->p = hit + strlen("flags=");
        if (ts_lex_is_name(hit[-1])) /* xxx_flags= */
            continue;
        x->out->has_flags = true;
        return read_flags(x, clone_names, TS_ARRAY_LEN(clone_names), &x->out->flags);
    }
}

/* shmget(key, size, flags): the key is a number or IPC_PRIVATE, which -X verbose comments. */
static bool read_shmget(struct ts_lex *x)
{
    ts_lex_blanks(x);
    while (x->p < x->end && ts_lex_is_name(*x->p))
        x->p++;
    skip_comment(x);
    return read_comma(x) && read_value(x, &x->out->length);
}

/* shmat(id, address, flags) */
static bool read_shmat(struct ts_lex *x)
{
    uint64_t hint = 0;
    return read_value(x, &x->out->addr) && read_comma(x) && read_value(x, &hint) && read_comma(x) &&
           read_flags(x, shm_names, TS_ARRAY_LEN(shm_names), &x->out->flags);
}

static bool read_mremap(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    if (!read_range(x) || !read_comma(x) || !read_value(x, &r->new_length) || !read_comma(x) ||
        !read_flags(x, mremap_names, TS_ARRAY_LEN(mremap_names), &r->flags))
        return false;
    if (!(r->flags & TS_STRACE_MREMAP_FIXED))
        return true;
    return read_comma(x) && read_value(x, &r->new_addr);
}

bool ts_strace_parse_args(struct ts_lex *x)
{
    struct ts_strace_record *r = x->out;
    switch (r->call) {
    case TS_STRACE_MMAP:
        return read_range(x) && read_comma(x) &&
               read_flags(x, prot_names, TS_ARRAY_LEN(prot_names), &r->prot) && read_comma(x) &&
               read_flags(x, map_names, TS_ARRAY_LEN(map_names), &r->flags);
    case TS_STRACE_MUNMAP:
        return read_range(x);
    case TS_STRACE_MPROTECT:
        return read_range(x) && read_comma(x) &&
               read_flags(x, prot_names, TS_ARRAY_LEN(prot_names), &r->prot);
    case TS_STRACE_MADVISE:
        return read_range(x) && read_comma(x) &&
               read_flags(x, madv_names, TS_ARRAY_LEN(madv_names), &r->advice);
    case TS_STRACE_MREMAP:
        return read_mremap(x);
    case TS_STRACE_BRK:
        return read_value(x, &r->addr);
    case TS_STRACE_CLONE:
    case TS_STRACE_CLONE3:
        return read_clone(x);
    case TS_STRACE_SHMGET:
        return read_shmget(x);
    case TS_STRACE_SHMAT:
        return read_shmat(x);
    case TS_STRACE_SHMDT:
        return read_value(x, &r->addr);
    case TS_STRACE_OTHER:
    case TS_STRACE_UNMODELLED:
    case TS_STRACE_FORK:
    case TS_STRACE_VFORK:
    case TS_STRACE_EXECVE:
    case TS_STRACE_EXIT:
    case TS_STRACE_EXIT_GROUP:
    case TS_STRACE_CALL_COUNT:
        break;
    }
    return true;
}
