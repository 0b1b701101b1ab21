/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of the host that this program runs on, for `tlbstorm calibrate` and `validate`. Each
 * function makes one measurement, or fills samples until a time of the clock; when to measure what,
 * and what it means for the model, is the caller's business (sim/front/calibrate.hpp).
 *
 * Nothing here prints, ends the program, or changes a setting of the host. Threads that a function
 * starts are joined, memory that it maps is unmapped, and the caller's CPU affinity is as it was,
 * when it returns. Functions that return int give 0, or the number of an error (errno.h): EPERM and
 * EINVAL where the CPU may not be used, ENOSYS where the host has no such call, ENOMEM, EAGAIN.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC_RAW, and contain what the host and other programs took
 * away meanwhile. */
#ifndef TS_CALIBRATE_H
#define TS_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's array; a function appends while n < capacity. */
struct ts_cal_samples {
    double *values;
    size_t n, capacity;
    size_t rounds; /* ts_cal_bench_run adds its calls and pairs, those that do not count as well */
};

/* --- clock and core (clock.c) --- */

uint64_t ts_cal_now(void);
/* What a pair of readings around nothing shows: to be taken off a single interval. */
double ts_cal_clock_cost(void);
/* The calling thread stays on the CPU. */
int ts_cal_pin(int cpu);
/* Dependent additions of two registers, one a core cycle on every x86 and arm64 core. Nanoseconds
 * each, the mean of TS_CAL_ADDITIONS; 0 on another architecture. */
double ts_cal_addition(void);
enum { TS_CAL_ADDITIONS = 200000 };
/* Core cycles of such an addition by the CPU's own counter (counters.c; perf_event_open, of user
 * mode only). EACCES and EPERM: kernel.perf_event_paranoid or a seccomp filter do not allow it;
 * ENOENT and EOPNOTSUPP: there is no such counter (a guest without a PMU); ENODATA: it did not
 * count. */
int ts_cal_cycles_an_addition(double *cycles);
/* Ticks of the TSC or of CNTVCT a second, measured for 20 ms; 0 where there is none. */
double ts_cal_counter_hz(void);

/* --- pointer chases (chase.c) --- */

enum ts_cal_pages { TS_CAL_SMALL, TS_CAL_HUGE };

struct ts_cal_memory {
    char *base; /* a multiple of 2 MiB */
    size_t bytes;
    void *mapping; /* what to unmap */
    size_t mapped;
};
/* Anonymous memory, all of it touched; huge pages are asked for or refused by madvise. Whether they
 * were given is told by the caller's look at /proc/self/smaps. */
int ts_cal_memory_get(struct ts_cal_memory *m, size_t bytes, enum ts_cal_pages pages);
void ts_cal_memory_free(struct ts_cal_memory *m);

/* A cycle of n loads, each of which gives the address of the next, in an order drawn from seed:
 * load i is in the line (i * line_step) mod (stride / 64) of the i-th stride of the memory. n *
 * stride <= m->bytes, n >= 2, stride a multiple of 64 (the line). */
struct ts_cal_chain {
    size_t n, stride, line_step;
    uint64_t seed;
};
int ts_cal_chain_make(const struct ts_cal_memory *m, const struct ts_cal_chain *chain);
/* Follows it for so many loads; nanoseconds a load. */
double ts_cal_chain_follow(const struct ts_cal_memory *m, uint64_t loads);

/* --- a line between two CPUs (line.c) --- */

/* Two threads on the CPUs pass a line by compare-and-swap; each sample is the mean of `rounds`
 * transfers one way. */
int ts_cal_line(int cpu_a, int cpu_b, uint64_t rounds, struct ts_cal_samples *out);

/* --- calls into the kernel (calls.c) --- */

enum ts_cal_call {
    TS_CAL_SYSCALL,      /* getppid: the mean of 256 */
    TS_CAL_MMAP,         /* mmap of pages that are not touched */
    TS_CAL_MPROTECT,     /* a pair: the right to write is taken away and given back */
    TS_CAL_DONTNEED,     /* MADV_DONTNEED of pages that have been written */
    TS_CAL_FAULT,        /* first write to each page, behind a table that is there */
    TS_CAL_MUNMAP,       /* munmap of pages that have been written; their table stays */
    TS_CAL_FAULT_TABLE,  /* first write to one page whose table has to be made */
    TS_CAL_MUNMAP_TABLE, /* munmap that frees one page and its table */
    TS_CAL_MEMBARRIER,   /* MEMBARRIER_CMD_PRIVATE_EXPEDITED: a call of every CPU of the process */
    TS_CAL_NANOSLEEP,    /* nanosleep of TS_CAL_NAP_NS: timer slack, idling and waking up */
    TS_CAL_CALLS
};
enum { TS_CAL_NAP_NS = 500 };

/* pages: 1 to TS_CAL_PAGES_MAX. The caller runs on cpus[0]; on each further CPU a thread of the
 * process spins. Pages are of 4 KiB (huge ones are switched off for the process meanwhile). */
enum { TS_CAL_PAGES_MAX = 510 };
struct ts_cal_bench {
    enum ts_cal_call call;
    size_t pages;
    const int *cpus;
    size_t ncpus;
};
/* Samples, each of one call or pair, without ts_cal_clock_cost, until `until` of the clock, but
 * three rounds at least. A round during which one of the spinning threads does not run is left out;
 * EBUSY: all of them were. */
int ts_cal_bench_run(const struct ts_cal_bench *bench, uint64_t until, struct ts_cal_samples *out);

/* --- the deadline of a CPU's timer (timer.c) --- */

/* Nanoseconds of one write of the deadline: half of what setting a timer before all others and
 * taking it away takes more than one behind them, by timerfd_settime. It contains the kernel's part
 * (hrtimer_reprogram). In a guest of x86 it is an exit. */
int ts_cal_timer_run(int cpu, uint64_t until, struct ts_cal_samples *out);

/* --- a storm of mmap (storm.c) --- */

/* Each thread, rounds times: mmap of pages of 4 KiB, a write to touch_pages of them drawn at
 * random, munmap, a nanosleep of up to 999 ns. The shape of workloads/traces/mmapstorm.c, whose
 * recording is replayed by the main experiment. It runs in a process of its own. */
struct ts_cal_storm {
    size_t threads, rounds, pages, touch_pages;
};
struct ts_cal_storm_result {
    double completion_ns;
    double user_ns, system_ns; /* of all threads, by getrusage: to a tick, or exactly, as the kernel
                                  accounts */
};
int ts_cal_storm_run(const struct ts_cal_storm *storm, struct ts_cal_storm_result *result);

/* --- what a hypervisor tells a guest (guest.c); x86 only, else all is zero --- */

struct ts_cal_guest {
    bool hypervisor;        /* CPUID 1 ECX[31] */
    char vendor[13];        /* CPUID 0x40000000, "KVMKVMKVM"; NUL-ended */
    uint32_t kvm_leaf;      /* base of KVM's leaves, or 0: they are not there */
    uint32_t kvm_features;  /* its EAX (Linux Documentation/virt/kvm/x86/cpuid.rst) */
    uint32_t kvm_hints;     /* its EDX */
    char cpu_vendor[13];    /* CPUID 0 */
    uint32_t family, model; /* CPUID 1, with the extended fields */
    bool invpcid;
};
void ts_cal_guest_read(struct ts_cal_guest *guest);
/* One CPUID, which every hypervisor has to emulate: an exit and an entry. 0 on other architectures.
 */
double ts_cal_exit(void);

#ifdef __cplusplus
}
#endif
#endif
