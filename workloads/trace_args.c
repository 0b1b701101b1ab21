/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_args.h"

#define ERRORS UINT64_C(4095) /* include/linux/err.h MAX_ERRNO */
#define PLACES 5u

enum where { NOWHERE, ADDR, LENGTH, NEW_ADDR, NEW_LENGTH, PROT, ADVICE, FLAGS };

struct arg {
    const char *name; /* of the prototype in include/linux/syscalls.h */
    enum where where;
    enum ts_lex_flag_set set;
};

struct call_args {
    enum ts_strace_call call;
    struct arg args[PLACES];
};

static const struct call_args calls[] = {
    {TS_STRACE_MMAP,
     {{"addr", ADDR, TS_LEX_PROT},
      {"len", LENGTH, TS_LEX_PROT},
      {"prot", PROT, TS_LEX_PROT},
      {"flags", FLAGS, TS_LEX_MAP}}},
    {TS_STRACE_MUNMAP, {{"addr", ADDR, TS_LEX_PROT}, {"len", LENGTH, TS_LEX_PROT}}},
    {TS_STRACE_MPROTECT,
     {{"start", ADDR, TS_LEX_PROT}, {"len", LENGTH, TS_LEX_PROT}, {"prot", PROT, TS_LEX_PROT}}},
    {TS_STRACE_MADVISE,
     {{"start", ADDR, TS_LEX_PROT},
      {"len_in", LENGTH, TS_LEX_PROT},
      {"behavior", ADVICE, TS_LEX_MADV}}},
    {TS_STRACE_MREMAP,
     {{"addr", ADDR, TS_LEX_PROT},
      {"old_len", LENGTH, TS_LEX_PROT},
      {"new_len", NEW_LENGTH, TS_LEX_PROT},
      {"flags", FLAGS, TS_LEX_MREMAP},
      {"new_addr", NEW_ADDR, TS_LEX_PROT}}},
    {TS_STRACE_BRK, {{"brk", ADDR, TS_LEX_PROT}}},
    {TS_STRACE_CLONE, {{"clone_flags", FLAGS, TS_LEX_CLONE}}},
    {TS_STRACE_SHMGET, {{"key", NOWHERE, TS_LEX_PROT}, {"size", LENGTH, TS_LEX_PROT}}},
    {TS_STRACE_SHMAT,
     {{"shmid", ADDR, TS_LEX_PROT},
      {"shmaddr", NOWHERE, TS_LEX_PROT},
      {"shmflg", FLAGS, TS_LEX_SHM}}},
    {TS_STRACE_SHMDT, {{"shmaddr", ADDR, TS_LEX_PROT}}},
};

static const struct call_args *find(enum ts_strace_call call)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(calls); i++)
        if (calls[i].call == call)
            return &calls[i];
    return NULL;
}

static bool point(struct ts_strace_record *r, const struct arg *a, struct ts_trace_arg *out)
{
    *out = (struct ts_trace_arg){.name = a->name, .set = a->set};
    switch (a->where) {
    case NOWHERE:
        return false;
    case ADDR:
        out->wide = &r->addr;
        break;
    case LENGTH:
        out->wide = &r->length;
        break;
    case NEW_ADDR:
        out->wide = &r->new_addr;
        break;
    case NEW_LENGTH:
        out->wide = &r->new_length;
        break;
    case PROT:
        out->narrow = &r->prot;
        break;
    case ADVICE:
        out->narrow = &r->advice;
        break;
    case FLAGS:
        out->narrow = &r->flags;
        break;
    }
    return true;
}

bool ts_trace_arg_at(struct ts_strace_record *r, uint32_t place, struct ts_trace_arg *out)
{
    const struct call_args *c = find(r->call);
    return c && place < PLACES && c->args[place].name && point(r, &c->args[place], out);
}

bool ts_trace_arg_named(struct ts_strace_record *r, const char *name, size_t len,
                        struct ts_trace_arg *out)
{
    const struct call_args *c = find(r->call);
    for (size_t i = 0; c && i < PLACES && c->args[i].name; i++)
        if (strlen(c->args[i].name) == len && memcmp(c->args[i].name, name, len) == 0)
            return point(r, &c->args[i], out);
    return false;
}

uint32_t ts_trace_arg_count(enum ts_strace_call call)
{
    const struct call_args *c = find(call);
    uint32_t n = 0;
    while (c && n < PLACES && c->args[n].name)
        n++;
    return n;
}

uint64_t ts_trace_arg_value(const struct ts_trace_arg *a)
{
    return a->wide ? *a->wide : *a->narrow;
}

bool ts_trace_arg_read(struct ts_lex *x, struct ts_strace_record *r, const struct ts_trace_arg *a)
{
    ts_lex_blanks(x);
    if (ts_lex_skip(x, "(nil)") || ts_lex_skip(x, "NULL")) {
        if (a->wide)
            *a->wide = 0;
        return true;
    }
    if (a->narrow) {
        r->has_flags = r->has_flags || a->set == TS_LEX_CLONE;
        return ts_lex_flags(x, a->set, a->narrow);
    }
    return ts_lex_number(x, a->wide);
}

static bool is_separator(const struct ts_lex *x)
{
    return x->p == x->end || *x->p == ',' || *x->p == ')';
}

bool ts_trace_named_args(struct ts_lex *x)
{
    for (;;) {
        ts_lex_blanks(x);
        const char *name = x->p;
        while (x->p < x->end && ts_lex_is_name(*x->p))
            x->p++;
        const size_t len = (size_t)(x->p - name);
        struct ts_trace_arg arg;
        if (len > 0 && ts_lex_at(x, ':') && ts_trace_arg_named(x->out, name, len, &arg)) {
            x->p++;
            if (!ts_trace_arg_read(x, x->out, &arg))
                return false;
        }
        while (!is_separator(x))
            if (!ts_lex_skip_token(x))
                return false;
        if (!ts_lex_at(x, ','))
            return true;
        x->p++;
    }
}

void ts_trace_set_result(struct ts_strace_record *r, uint64_t value)
{
    r->ret = value;
    r->result = value >= UINT64_MAX - ERRORS + 1u ? TS_STRACE_RESULT_ERROR : TS_STRACE_RESULT_VALUE;
}
