/* SPDX-License-Identifier: Apache-2.0 */
/* One line of strace text to one record: no state, no I/O, no allocation.
 *
 * The grammar is that of strace 6.1 (strace.c printleader, trace_syscall and print_event_exit;
 * checked on recordings with each option), with the forms of 4.x beside it:
 *
 *   [PID] [TIME] ['[' syscall number, instruction pointer or security context ']']... BODY
 *   BODY = name(args) = result [<duration>]
 *        | name(args <unfinished ...>  |  <... name resumed>rest) = result [<duration>]
 *        | --- signal ---              |  +++ end +++
 *
 * Lines that strace prints beside these (its own messages, summary tables, stack frames, dumps of
 * data) are notes. Where strace writes to the terminal of the traced program, the program's output
 * and strace's messages stand between the lines and in the middle of calls: strace prints a call up
 * to its last argument when it starts, and the rest from the ')' on when it ends.
 */
#ifndef TS_WORKLOADS_STRACE_PARSE_H
#define TS_WORKLOADS_STRACE_PARSE_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_strace_kind {
    TS_STRACE_NOTE, /* says nothing of a call */
    TS_STRACE_CALL,
    TS_STRACE_UNFINISHED,
    TS_STRACE_RESUMED,
    TS_STRACE_CUT,        /* unfinished by strace's own message: the next line is the rest */
    TS_STRACE_OPEN,       /* a refused line that begins a call and does not end it */
    TS_STRACE_BREAK,      /* only "<unfinished ...>" or "<detached ...>": ends the line before */
    TS_STRACE_SIGNAL,     /* a signal or a stop */
    TS_STRACE_EXITED,     /* exited or killed */
    TS_STRACE_SUPERSEDED, /* peer: the thread whose execve took this one's number */
    TS_STRACE_ATTACHED,   /* peer: a thread that strace began to follow */
    /* Of the readers of other recordings (trace_format.h): */
    TS_STRACE_CHILD,  /* peer: a thread or process that this one has made, flags as of clone */
    TS_STRACE_TOUCH,  /* addr; prot: TS_STRACE_PROT_* of the access */
    TS_STRACE_FLUSH,  /* ret TLB flushes of reason `flags` (enum ts_strace_flush) */
    TS_STRACE_SWITCH, /* peer runs on the CPU now; flags 1: this one sleeps, 0: it waits for a CPU
                       */
    TS_STRACE_LOST    /* length events that the recorder lost */
};

/* Why Linux flushed a TLB: enum tlb_flush_reason (include/linux/mm_types.h in 6.1 and 6.12, but
 * for what is said), which the tracepoint tlb:tlb_flush prints as a number. */
enum ts_strace_flush {
    TS_STRACE_FLUSH_ON_TASK_SWITCH = 0,
    TS_STRACE_FLUSH_REMOTE_SHOOTDOWN = 1, /* on the CPU that was interrupted */
    TS_STRACE_FLUSH_LOCAL_SHOOTDOWN = 2,
    TS_STRACE_FLUSH_LOCAL_MM_SHOOTDOWN = 3,
    TS_STRACE_FLUSH_REMOTE_SEND_IPI = 4,  /* on the CPU that asks the others */
    TS_STRACE_FLUSH_REMOTE_WRONG_CPU = 5, /* later than 6.12; seen in a recording of 6.18 */
    TS_STRACE_FLUSH_OTHER = 6,
    TS_STRACE_FLUSH_REASONS = 7
};

/* The calls whose arguments are read. mmap2, execveat and pkey_mprotect count as the plain call. */
enum ts_strace_call {
    TS_STRACE_OTHER,
    TS_STRACE_MMAP,
    TS_STRACE_MUNMAP,
    TS_STRACE_MPROTECT,
    TS_STRACE_MADVISE,
    TS_STRACE_MREMAP,
    TS_STRACE_BRK,
    TS_STRACE_CLONE,
    TS_STRACE_CLONE3,
    TS_STRACE_FORK,
    TS_STRACE_VFORK,
    TS_STRACE_EXECVE,
    TS_STRACE_EXIT,
    TS_STRACE_EXIT_GROUP,
    TS_STRACE_SHMGET,
    TS_STRACE_SHMAT,
    TS_STRACE_SHMDT,
    TS_STRACE_UNMODELLED, /* changes an address space in a way that is not replayed */
    TS_STRACE_CALL_COUNT
};

enum ts_strace_time {
    TS_STRACE_TIME_NONE,
    TS_STRACE_TIME_UNIX,    /* since 1970 */
    TS_STRACE_TIME_DAY,     /* since midnight */
    TS_STRACE_TIME_RELATIVE /* since the line before */
};

enum ts_strace_result {
    TS_STRACE_RESULT_NONE,   /* not finished */
    TS_STRACE_RESULT_VALUE,  /* in ret */
    TS_STRACE_RESULT_ERROR,  /* -1 and an error name */
    TS_STRACE_RESULT_UNKNOWN /* "?": the call never returned, or starts again */
};

/* Flag bits as on x86-64 and arm64 (uapi/asm-generic/mman-common.h, uapi/linux/mman.h and
 * uapi/linux/sched.h), so that -X raw needs no translation. */
#define TS_STRACE_PROT_READ 1u
#define TS_STRACE_PROT_WRITE 2u
#define TS_STRACE_PROT_EXEC 4u
#define TS_STRACE_MAP_SHARED 0x01u
#define TS_STRACE_MAP_PRIVATE 0x02u
#define TS_STRACE_MAP_FIXED 0x10u
#define TS_STRACE_MAP_ANONYMOUS 0x20u
#define TS_STRACE_MAP_HUGETLB 0x40000u
#define TS_STRACE_MREMAP_FIXED 2u
#define TS_STRACE_MREMAP_DONTUNMAP 4u
#define TS_STRACE_MADV_DONTNEED 4u
#define TS_STRACE_MADV_FREE 8u
#define TS_STRACE_MADV_REMOVE 9u
#define TS_STRACE_MADV_HUGEPAGE 14u
#define TS_STRACE_MADV_NOHUGEPAGE 15u
#define TS_STRACE_MADV_COLD 20u
#define TS_STRACE_MADV_PAGEOUT 21u
#define TS_STRACE_MADV_DONTNEED_LOCKED 24u
#define TS_STRACE_MADV_COLLAPSE 25u
#define TS_STRACE_MADV_HWPOISON 100u
#define TS_STRACE_MADV_SOFT_OFFLINE 101u
#define TS_STRACE_MADV_GUARD_INSTALL 102u
#define TS_STRACE_SHM_RDONLY 010000u
#define TS_STRACE_CLONE_VM 0x100u

/* A group that is no number of a process: only the process's name tells it. */
#define TS_STRACE_GROUP_BY_NAME (UINT64_C(1) << 63)
/* Some group: the record is of a thread that is known, or of none. */
#define TS_STRACE_GROUP_SOME TS_STRACE_GROUP_BY_NAME

struct ts_strace_record {
    enum ts_strace_kind kind;
    enum ts_strace_call call;
    enum ts_strace_time time_kind;
    enum ts_strace_result result;
    bool has_tid;
    bool has_duration;
    bool has_flags; /* of clone and clone3, which may be given none that can be read */
    bool foreign;   /* refused, and nothing in the line is like a line of strace */
    bool has_cpu;
    uint32_t tid;
    uint32_t peer;
    uint32_t cpu;   /* where it happened */
    uint64_t group; /* threads of one number share memory; 0: not known; TS_STRACE_GROUP_BY_NAME */
    uint64_t time_ns;
    uint64_t duration_ns;
    /* Arguments. NULL is 0. */
    uint64_t addr;     /* mmap's hint, the range of the others, brk's new break, shmat's segment */
    uint64_t length;   /* of shmget: the segment's */
    uint64_t new_addr; /* mremap with MREMAP_FIXED */
    uint64_t new_length;
    uint32_t prot;   /* PROT_* as numbers */
    uint32_t flags;  /* of mmap, mremap, clone, shmat */
    uint32_t advice; /* of madvise */
    uint64_t ret;
    /* The call's name, in the line: valid as long as the line is. */
    const char *name;
    size_t name_len;
    /* Where and why the line is refused; column is 1-based. */
    const char *why;
    uint32_t column;
};

/* False when no rule accepts the line, with why and column set; kind is TS_STRACE_OPEN then, with
 * the call's arguments so far, or TS_STRACE_NOTE. The line is given without its newline. Where
 * strace names a thread by two numbers (--decode-pids=pidns), the one in strace's own namespace
 * counts, which its other lines use. */
bool ts_strace_parse(const char *line, size_t len, struct ts_strace_record *out);
/* The same for a line before which a log collector has printed something of its own (a date, a
 * host, a file's name): the longest end of the line that is one of strace. */
bool ts_strace_parse_prefixed(const char *line, size_t len, struct ts_strace_record *out);
/* A line after one of TS_STRACE_CUT or TS_STRACE_OPEN: the rest of that call, either as
 * TS_STRACE_RESUMED with its result, or as TS_STRACE_NOTE when it only says "<unfinished ...>". */
bool ts_strace_parse_rest(const char *line, size_t len, struct ts_strace_record *out);
/* TS_STRACE_OTHER for a name that is not one of those whose arguments are read. */
enum ts_strace_call ts_strace_find_call(const char *name, size_t len);
/* The call's usual name; "other" for TS_STRACE_OTHER. */
const char *ts_strace_call_name(enum ts_strace_call call);

#ifdef __cplusplus
}
#endif
#endif
