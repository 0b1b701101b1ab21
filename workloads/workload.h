/* SPDX-License-Identifier: Apache-2.0 */
/* A workload is a set of threads, each a stream of operations. It never touches a model: the guest
 * pulls the next operation of a thread when the thread is ready for it, so every mechanism sees the
 * same operations in the same order per thread (paired comparison).
 *
 * Memory is named by region, not by address: an mmap operation creates region `region`, and later
 * operations of any thread name (region, offset, length). The guest chooses addresses. A thread
 * that names a region which its creator has not mapped yet waits for it; regions are numbered from
 * 0 in the order of creation in the recording.
 */
#ifndef TS_WORKLOADS_WORKLOAD_H
#define TS_WORKLOADS_WORKLOAD_H

#include "sim/base.h"
#include "sim/error.h"
#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_op_kind {
    TS_OP_MMAP,             /* region, length, prot, flags; offset with TS_OPF_AT */
    TS_OP_MUNMAP,           /* region, offset, length */
    TS_OP_MPROTECT,         /* region, offset, length, prot */
    TS_OP_MADVISE_DONTNEED, /* region, offset, length */
    TS_OP_MREMAP,           /* region (old), length, target (new region), length2 (new length) */
    TS_OP_TOUCH,            /* region, offset, count accesses of stride bytes apart, flags; with
                               length2 each is followed by that many more, one stride further back
                               each time, down to the region's beginning */
    TS_OP_COMPUTE,          /* length: nanoseconds of user computation */
    TS_OP_SLEEP,            /* length: nanoseconds of nanosleep, timer slack not included */
    TS_OP_SPAWN,            /* target: thread that starts now, in the same process (or a new one) */
    TS_OP_BARRIER,          /* region: barrier number, count: threads that meet */
    TS_OP_EXIT,             /* the thread ends; also implied by the end of its stream */
    TS_OP_EXEC,  /* the thread goes on in a new, empty address space. The one it leaves goes on
                    for its other threads, and ends with the last */
    TS_OP_CALL,  /* count cross-CPU function calls with wait, from the CPU that executes the thread,
                    in the kernel; target: enum ts_call_target */
    TS_OP_VFREE, /* length: bytes of kernel memory, mapped by vmalloc, that the thread gives back in
                    a system call, of a driver perhaps */
    TS_OP_MADVISE_HUGEPAGE, /* region, offset, length; so the next two */
    TS_OP_MADVISE_NOHUGEPAGE,
    TS_OP_MADVISE_COLLAPSE,
    TS_OP_MADVISE_FREE, /* region, offset, length; so the next two */
    TS_OP_MADVISE_COLD,
    TS_OP_MADVISE_PAGEOUT,
    TS_OP_UCALL, /* the thread's CPU leaves for the program that runs the VM, ready for stage
                    `region` of what that program does with it, and goes on when it has begun;
                    count: threads that do so, one on each CPU */
    TS_OP_FLUSH  /* count flushes, one after another, in the kernel, of target (enum
                    ts_flush_target): of the length bytes at address offset it is of 4 KiB pages and
                    of tables, whether there is a mapping or not */
};
enum { TS_OP_KINDS = TS_OP_FLUSH + 1 };

enum ts_call_target {
    TS_CALL_NOBODY = 0, /* reads the clock as often as the others do, and calls nobody */
    TS_CALL_SELF = 1,
    TS_CALL_ONE = 2, /* the lowest-numbered other CPU */
    TS_CALL_ALL = 3  /* every other CPU */
};

enum ts_flush_target {
    TS_FLUSH_RANGE = 0,
    TS_FLUSH_MM = 1, /* all of the address space */
    TS_FLUSH_ALL = 2 /* of every address space, and of the kernel */
};

#define TS_PROT_READ 1u
#define TS_PROT_WRITE 2u
#define TS_PROT_EXEC 4u

#define TS_OPF_ANONYMOUS 1u /* private anonymous memory; else file-backed (clean, page cache) */
#define TS_OPF_SHARED 2u
#define TS_OPF_WRITE 4u     /* TOUCH writes */
#define TS_OPF_SAME_CALL 8u /* goes on with the system call of the operation before it */
#define TS_OPF_NEW_MM 16u   /* SPAWN without CLONE_VM */
#define TS_OPF_COPY_MM                                                                             \
    256u /* SPAWN, with NEW_MM: the child begins with a copy-on-write copy of the parent's address \
            space at that instant; both name what they share by the same region numbers (fork) */
#define TS_OPF_AT                                                                                  \
    32u /* MMAP: offset is the recorded address, 4K-aligned. Whoever places memory                 \
           may follow it; a guest chooses its own */
#define TS_OPF_LOCK 128u /* CALL: the functions called take one spinlock */
#define TS_OPF_FETCH 64u /* TOUCH is of instructions */
#define TS_OPF_RECORD                                                                              \
    512u /* a record of the workload, its unit of work, ends with this operation */

#define TS_OPF_PHYSICAL                                                                            \
    1024u /* MMAP: offset is the guest-physical address that the region stands for, whole pages.   \
             All of it has been mapped by the kernel before, which never takes it back */

#define TS_OPF_TIMED 2048u /* CALL: caller and function read the clock */

struct ts_op {
    enum ts_op_kind kind;
    uint32_t thread; /* who does it */
    uint32_t region;
    uint32_t target; /* second region, or thread */
    uint32_t prot;
    uint32_t flags;
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes or nanoseconds */
    uint64_t length2;
    uint64_t stride; /* bytes */
    uint64_t count;
};

struct ts_workload;
struct ts_stat_table;

struct ts_workload_ops {
    const char *name;
    const char *summary;
    const char *reference;
    const struct ts_param_table *params; /* of the workload's parameter struct */
    size_t params_size;
    bool needs_file; /* reads a trace */
};

/* Where a trace's bytes come from; decompression is the implementer's business (sim/front uses
 * Boost.Iostreams). read fills up to size bytes, returns their number, 0 at the end; on failure it
 * fills *err and returns -1. Not owned by the workload unless close is not NULL, which is then
 * called at destruction. */
struct ts_byte_source {
    int64_t (*read)(void *user, char *buf, size_t size, struct ts_error *err);
    void (*close)(void *user);
    void *user;
    const char *name; /* for messages; lives as long as the source */
};

struct ts_workload_config {
    const void *params; /* struct of the kind, filled by ts_param_* */
    uint64_t seed;
    uint64_t instance;                   /* VM number: its own random streams */
    const struct ts_byte_source *source; /* for kinds with needs_file */
};

/* The registration table, sorted by name; ended by count. Generated by CMake from
 * workloads/kind_*.c, each of which exports const struct ts_workload_kind ts_workload_kind_NAME. */
struct ts_workload_kind {
    struct ts_workload_ops ops;
    enum ts_status (*create)(struct ts_workload **out, const struct ts_workload_config *config,
                             struct ts_error *err);
};
extern const struct ts_workload_kind *const ts_workload_kinds[];
extern const size_t ts_workload_kinds_count;
const struct ts_workload_kind *ts_workload_kind_find(const char *name);

/* The first field of every workload's private struct. */
struct ts_workload {
    /* Next operation of the thread into *op: 1, or 0 at its end, or -1 with *err set. */
    int (*next)(struct ts_workload *w, uint32_t thread, struct ts_op *op, struct ts_error *err);
    /* Number of threads that start by themselves at time 0 are threads 0..initial-1; the others
     * by TS_OP_SPAWN. threads_hint: upper bound known so far (may grow with a stream). */
    uint32_t initial_threads;
    /* Some of its streams have no end by themselves: it can only run for a time. */
    bool endless;
    /* Thread i stays on CPU i, modulo their number. */
    bool pinned;
    void (*destroy)(struct ts_workload *w);
    /* NULL, or: the CPU that a thread which is about to start stays on, modulo their number. False
     * where it may run on any. */
    bool (*cpu_of)(struct ts_workload *w, uint32_t thread, uint32_t *cpu);
    /* NULL, or: what of its recording the workload has left out or had to assume so far, as a
     * struct whose rows *table names (all counters; 0 is nothing to tell, "first_..." is a line's
     * number). Owned by the workload. */
    const void *(*losses)(const struct ts_workload *w, const struct ts_stat_table **table);
};

#ifdef __cplusplus
}
#endif
#endif
