/* SPDX-License-Identifier: Apache-2.0 */
/* tlbstorm's own text of recorded calls, version 1: what every other reader's text can be converted
 * to, and what a script can print (docs/recording.md has one for bpftrace). The first line is
 *
 *   # tlbstorm-trace 1 calls
 *
 * further lines with '#' and empty ones are comments. Every other line is
 *
 *   TIME PROCESS/THREAD [@CPU] WHAT
 *
 * TIME in ns, PROCESS (threads of one number share memory) and THREAD are numbers, or '-' where
 * they are not known; PROCESS is '~' and a number where the process's name alone tells it. Numbers
 * are decimal, or hexadecimal behind 0x; "(nil)" is 0. WHAT is one of
 *
 *   NAME ARGUMENTS = RESULT [+NS]   a call and how long it took
 *   NAME ARGUMENTS ...              a call begins
 *   ... NAME = RESULT [+NS]         and ends
 *   touch ADDRESS r|w|x|?           first use of a page: a page fault; ?: at an unknown address
 *   child THREAD FLAGS|-            has made a thread or a process (flags as of clone)
 *   attached THREAD                 a thread is there that was made before
 *   superseded THREAD               ended by the execve of THREAD
 *   ended                           the thread has ended
 *   flush REASON COUNT              TLB flushes (enum ts_strace_flush)
 *   switch THREAD sleep|wait        THREAD runs on the CPU now; this one sleeps, or waits for one
 *   signal                          a signal or a stop
 *   lost COUNT                      events that the recorder lost
 *
 * with the arguments of NAME, in the order of the system call, as far as they are of use:
 *
 *   mmap ADDRESS LENGTH PROT FLAGS          mremap ADDRESS LENGTH NEW_LENGTH FLAGS NEW_ADDRESS
 *   munmap ADDRESS LENGTH                   brk ADDRESS
 *   mprotect ADDRESS LENGTH PROT            clone FLAGS|-     clone3 FLAGS|-
 *   madvise ADDRESS LENGTH ADVICE           shmget KEY LENGTH
 *   shmdt ADDRESS                           shmat ID ADDRESS FLAGS
 *
 * Other calls have none. RESULT is the kernel's number, '!' for a failure without one, '?' when the
 * call never returned. Flags are those of x86-64 (strace_parse.h).
 */
#ifndef TS_WORKLOADS_OWN_TRACE_H
#define TS_WORKLOADS_OWN_TRACE_H

#include "workloads/trace_format.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_OWN_TRACE_CALLS "# tlbstorm-trace 1 calls"
#define TS_OWN_TRACE_ACCESSES "# tlbstorm-trace 1 accesses"
/* Room for every line that is written, with its end. */
#define TS_OWN_TRACE_LINE 512u

bool ts_own_trace_parse(const char *line, size_t len, struct ts_strace_record *out);
/* The line of a record, without a newline; "" for a TS_STRACE_NOTE. has_time: time_ns counts, in
 * place of the record's own time. Returns its length. */
size_t ts_own_trace_write(char out[TS_OWN_TRACE_LINE], const struct ts_strace_record *r,
                          bool has_time, uint64_t time_ns);

#ifdef __cplusplus
}
#endif
#endif
