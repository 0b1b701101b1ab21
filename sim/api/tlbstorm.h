/* SPDX-License-Identifier: Apache-2.0 */
/* tlbstorm as a library: whole machines that keep their TLBs coherent, and one MMU alone.
 *
 * Errors are values: a function that can fail returns enum tlbstorm_status and fills *err (which
 * may be NULL); on TLBSTORM_OK it leaves *err alone. Nothing here prints or exits. There is no
 * global state: different objects may be used by different threads at once, one object by one
 * thread at a time. Times are picoseconds from the start of the simulation.
 *
 * Versions follow semver.org: before 1.0 a new minor version may change this interface, and the
 * library's soname says so (libtlbstorm.so.0.1). Of the symbols exported only tlbstorm_* are an
 * interface. Example: sim/api/examples/storm.c. */
#ifndef TLBSTORM_H
#define TLBSTORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLBSTORM_VERSION_MAJOR 0
#define TLBSTORM_VERSION_MINOR 1
#define TLBSTORM_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that runs, which may be newer than this header. */
const char *tlbstorm_version(void);

/* The exit codes of the program `tlbstorm`. */
enum tlbstorm_status {
    TLBSTORM_OK = 0,
    TLBSTORM_ERR_USER = 2,        /* a configuration, trace or argument */
    TLBSTORM_ERR_ENVIRONMENT = 3, /* memory, files */
    TLBSTORM_ERR_FINDING = 4      /* the oracle, a sum rule or the watchdog found something */
};
struct tlbstorm_error {
    enum tlbstorm_status status;
    char file[256];  /* "" when the error has no place; "--set KEY" of a setting */
    uint32_t line;   /* from 1; 0: none */
    uint32_t column; /* from 1; 0: none */
    char message[768];
};

/* --- configurations
 * -------------------------------------------------------------------------------
 *
 * An experiment as docs/configuration.md describes it: machines, mechanisms, a workload and what is
 * swept. Its points are single machines. Pieces that it names (machine: xeon-2s...) are looked for
 * as the program does it: $TLBSTORM_CONFIGS, a folder `configs` above the file, ./configs, and what
 * is installed with the library.
 *
 * settings: nsettings texts "KEY=VALUE", as the program's --set takes them (`tlbstorm explain
 * KEY`); they win over the file. NULL with 0. */
struct tlbstorm_config;
enum tlbstorm_status tlbstorm_config_load(struct tlbstorm_config **out, const char *path,
                                          const char *const *settings, size_t nsettings,
                                          struct tlbstorm_error *err);
/* name: of messages, and where relative paths start from. */
enum tlbstorm_status tlbstorm_config_parse(struct tlbstorm_config **out, const char *text,
                                           const char *name, const char *const *settings,
                                           size_t nsettings, struct tlbstorm_error *err);
/* Without an experiment. Among the settings are `machine`, `hypervisor` (none: bare metal),
 * `guest`, `mechanism` and `workload.kind`, which name pieces, and perhaps `workload.file` and
 * `seed`; all others are parameters. */
enum tlbstorm_status tlbstorm_config_from_settings(struct tlbstorm_config **out,
                                                   const char *const *settings, size_t nsettings,
                                                   struct tlbstorm_error *err);
/* Machines made from it go on without it. NULL does nothing. */
void tlbstorm_config_destroy(struct tlbstorm_config *config);
size_t tlbstorm_config_points(const struct tlbstorm_config *config);
/* "x86/native_concurrent/run.vms=2/seed=1"; lives as long as config. point < points. */
const char *tlbstorm_config_point_name(const struct tlbstorm_config *config, size_t point);

/* --- machines
 * ------------------------------------------------------------------------------------- */

struct tlbstorm_machine;
/* Of a point of the configuration, which must not be of a study. It is at time 0. */
enum tlbstorm_status tlbstorm_machine_create(struct tlbstorm_machine **out,
                                             const struct tlbstorm_config *config, size_t point,
                                             struct tlbstorm_error *err);
/* The same machine with threads that do what is injected, instead of the configuration's workload:
 * one on each vCPU, that stays there and computes in user mode while it has nothing to do. All
 * threads of a VM share an address space. */
enum tlbstorm_status tlbstorm_machine_create_injected(struct tlbstorm_machine **out,
                                                      const struct tlbstorm_config *config,
                                                      size_t point, struct tlbstorm_error *err);
/* NULL does nothing. Not from a callback. */
void tlbstorm_machine_destroy(struct tlbstorm_machine *machine);

/* Runs everything up to and including time ps, and not beyond. What a run finds comes once, with
 * the call in which the machine becomes done. */
enum tlbstorm_status tlbstorm_machine_run_until(struct tlbstorm_machine *machine, uint64_t ps,
                                                struct tlbstorm_error *err);
/* Runs to the end. A machine with injection has one after tlbstorm_machine_close only, or by
 * run.limit. */
enum tlbstorm_status tlbstorm_machine_run(struct tlbstorm_machine *machine,
                                          struct tlbstorm_error *err);
/* Everything has ended, or something was found. */
bool tlbstorm_machine_done(const struct tlbstorm_machine *machine);
/* Up to which it has run; during a callback, the time of that. */
uint64_t tlbstorm_machine_now(const struct tlbstorm_machine *machine);
#define TLBSTORM_NEVER UINT64_MAX
/* When something happens next; TLBSTORM_NEVER: nothing will. */
uint64_t tlbstorm_machine_next(struct tlbstorm_machine *machine);

uint32_t tlbstorm_machine_vms(const struct tlbstorm_machine *machine);
/* vCPUs of a VM (< vms); CPUs on bare metal. */
uint32_t tlbstorm_machine_vcpus(const struct tlbstorm_machine *machine, uint32_t vm);
enum tlbstorm_vcpu_state {
    TLBSTORM_VCPU_HALTED = 0,  /* idle */
    TLBSTORM_VCPU_WAITING = 1, /* ready, and the host runs something else */
    TLBSTORM_VCPU_RUNNING = 2
};
enum tlbstorm_vcpu_state tlbstorm_machine_vcpu_state(const struct tlbstorm_machine *machine,
                                                     uint32_t vm, uint32_t vcpu);

/* Statistics by name, as in stats.csv (docs/output.md): "group.name", of a histogram
 * "group.name.part" with part count, sum, min, max, p50, p90, p99 or p999. Any time between calls
 * that run. TLBSTORM_ERR_USER, with the nearest name: there is none. */
enum tlbstorm_status tlbstorm_machine_stat(const struct tlbstorm_machine *machine, const char *name,
                                           uint64_t *value, struct tlbstorm_error *err);
/* All of them, in the order of stats.csv. The texts live during the call only. */
typedef void tlbstorm_stat_fn(void *user, const char *name, const char *unit, uint64_t value);
enum tlbstorm_status tlbstorm_machine_visit_stats(const struct tlbstorm_machine *machine,
                                                  tlbstorm_stat_fn *fn, void *user,
                                                  struct tlbstorm_error *err);

/* A shootdown that its initiator has seen complete. The parts add up to total_ps. */
#define TLBSTORM_PATH_PARTS 12
struct tlbstorm_shootdown {
    uint64_t number; /* in its VM */
    uint32_t vm, initiator;
    uint32_t targets;      /* CPUs named */
    uint32_t last_target;  /* whose acknowledgement came last; UINT32_MAX: none */
    uint64_t start, bytes; /* bytes UINT64_MAX: the whole address space */
    bool freed_tables;
    uint64_t started_ps, total_ps;
    uint64_t part_ps[TLBSTORM_PATH_PARTS];
};
/* "send", "transport", ...; part < TLBSTORM_PATH_PARTS. */
const char *tlbstorm_path_part_name(uint32_t part);
/* Called during a run, on a stack of run.fiber_stack: it may read the machine's time and inject,
 * and neither runs the machine nor leaves by an exception or longjmp. Before the first run. */
typedef void tlbstorm_shootdown_fn(void *user, const struct tlbstorm_shootdown *shootdown);
void tlbstorm_machine_on_shootdown(struct tlbstorm_machine *machine, tlbstorm_shootdown_fn *fn,
                                   void *user);

/* --- injection
 * ------------------------------------------------------------------------------------ */

enum tlbstorm_op_kind {
    TLBSTORM_MMAP = 0,   /* length: of private anonymous memory, writable unless read_only */
    TLBSTORM_MUNMAP = 1, /* region, offset, length */
    TLBSTORM_MPROTECT = 2,
    TLBSTORM_MADVISE_DONTNEED = 3,
    TLBSTORM_TOUCH = 4,   /* region, offset, length: an access to each page; write */
    TLBSTORM_COMPUTE = 5, /* length: nanoseconds in user mode */
    TLBSTORM_SLEEP = 6    /* length: nanoseconds; the vCPU is idle if nothing else is there */
};
struct tlbstorm_op {
    enum tlbstorm_op_kind kind;
    uint32_t region;         /* a mapping, by the number that its MMAP was given */
    uint64_t offset, length; /* bytes, whole pages of 4 KiB, within the region */
    bool read_only;          /* MMAP, MPROTECT */
    bool write;              /* TOUCH */
};
/* Threads look for operations at each whole multiple of this time, and as soon as they have done
 * another one. */
#define TLBSTORM_INJECT_SLICE_PS UINT64_C(1000000)
/* The thread on the vCPU does *op after what was injected for it before. Of an MMAP, op->region is
 * set; other threads may name it at once, and wait until it is there. Of a machine of
 * tlbstorm_machine_create_injected, before it is closed. */
enum tlbstorm_status tlbstorm_machine_inject(struct tlbstorm_machine *machine, uint32_t vm,
                                             uint32_t vcpu, struct tlbstorm_op *op,
                                             struct tlbstorm_error *err);
/* Operations injected for a vCPU that it has not finished. */
uint64_t tlbstorm_machine_pending(const struct tlbstorm_machine *machine, uint32_t vm,
                                  uint32_t vcpu);
/* Nothing more comes: threads end when they have done what is there. */
void tlbstorm_machine_close(struct tlbstorm_machine *machine);

/* --- one MMU
 * --------------------------------------------------------------------------------------
 *
 * TLBs, walk caches and walker of one logical CPU over page tables that lie in the caller's memory:
 * the walker reads each entry through a callback. Formats: x86-64 with 4 or 5 levels (Intel SDM
 * vol. 3A, 4.5) and the Arm long descriptors of stage 1 with 48 bits of address (Arm ARM,
 * "VMSAv8-64 translation table format descriptors"). Simplified: the leaf alone decides whether a
 * page is writable, as operating systems leave the entries above it open; rights of execution and
 * of user mode are the caller's; accessed bits of the entries above the leaf are not written;
 * hardware management of the accessed flag is on (Arm: FEAT_HAFDBS, the dirty state where DBM is
 * set). */
enum tlbstorm_page_format {
    TLBSTORM_X86_64 = 0,
    TLBSTORM_ARM64_4K = 1,
    TLBSTORM_ARM64_16K = 2,
    TLBSTORM_ARM64_64K = 3
};
enum tlbstorm_read_kind {
    TLBSTORM_READ_WALK = 0, /* of a walk of the model: it takes time */
    TLBSTORM_READ_DEBUG = 1 /* of tlbstorm_mmu_translate: nothing may change */
};
struct tlbstorm_walk_memory {
    /* The 8 bytes at a physical address, a multiple of 8, as a number of this host. False: a bus
     * error, which ends the walk. */
    bool (*read)(void *user, uint64_t address, enum tlbstorm_read_kind kind, uint64_t *value);
    /* The walker's update of accessed and dirty bits: of the entry that was read as `old`, if it is
     * still that. False: it was not, and nothing was written. NULL: these bits stay as they are. */
    bool (*update)(void *user, uint64_t address, uint64_t old, uint64_t value);
    void *user;
};
struct tlbstorm_mmu_config {
    enum tlbstorm_page_format format;
    uint32_t levels; /* x86-64: 4 or 5; Arm: 4 with 4K and 16K, 3 with 64K; 0: the usual */
    uint64_t seed;   /* of random replacement */
    /* "mmu.l2_entries=1536" and so on, as `tlbstorm explain mmu` tells. */
    const char *const *settings;
    size_t nsettings;
    struct tlbstorm_walk_memory memory;
    /* The time of a walk's reads is the caller's (a bus has charged it): the parameters
     * mmu.fetch_cycles and mmu.leaf_fetch_cycles count for nothing. */
    bool reads_take_time_elsewhere;
};
struct tlbstorm_mmu;
enum tlbstorm_status tlbstorm_mmu_create(struct tlbstorm_mmu **out,
                                         const struct tlbstorm_mmu_config *config,
                                         struct tlbstorm_error *err);
void tlbstorm_mmu_destroy(struct tlbstorm_mmu *mmu);

/* The address space that an access is made in. */
struct tlbstorm_context {
    uint16_t vmid; /* 0: the host's */
    uint16_t asid; /* ASID or PCID */
    uint64_t root; /* physical address of the top table: CR3 or TTBR without their other fields */
};
enum tlbstorm_access_kind { TLBSTORM_READ = 0, TLBSTORM_WRITE = 1, TLBSTORM_FETCH = 2 };
enum tlbstorm_translation {
    TLBSTORM_TRANSLATED = 0,
    TLBSTORM_FAULT = 1,    /* no entry, or a write that it denies */
    TLBSTORM_CONFLICT = 2, /* Arm, mmu.conflict_abort: two entries for one address; they are gone */
    TLBSTORM_BUS_ERROR = 3 /* the walk could not read a table */
};
struct tlbstorm_access {
    enum tlbstorm_translation result;
    bool from_tlb;   /* no walk was made */
    uint64_t cycles; /* of the core, on a fault too; without reads that take time elsewhere */
    uint64_t pa;     /* of va itself, if translated */
    /* What the TLB holds now for va, if translated: a page or a piece of one. */
    uint64_t page_va, page_bytes;
    uint64_t leaf_bytes; /* of the page that the tables have, of which an invalidation that names
                            any byte drops all pieces */
    bool writable;       /* without a walk: the dirty bit is known to be set */
    bool global;
};
/* cycle: of the core, does not fall from call to call; may stay 0 if mmu.sweep_blocking is off.
 * The read callback must not call back into this MMU. */
void tlbstorm_mmu_access(struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                         uint64_t va, enum tlbstorm_access_kind kind, uint64_t cycle,
                         struct tlbstorm_access *out);
/* What the TLB would say now; false: it would have to walk. Nothing changes. */
bool tlbstorm_mmu_probe(const struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                        uint64_t va, struct tlbstorm_access *out);
/* What the tables say, whatever the TLB holds, for debuggers. Nothing changes. */
bool tlbstorm_mmu_translate(struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                            uint64_t va, struct tlbstorm_access *out);

/* What an invalidation drops: combined translations, and what the walk caches hold. */
struct tlbstorm_inval {
    bool any_vmid;      /* else vmid */
    bool any_asid;      /* else asid */
    bool keep_global;   /* global entries stay */
    bool all_addresses; /* else [start, start + length) */
    bool last_level;    /* walk-cache entries stay */
    uint16_t vmid, asid;
    uint64_t start, length; /* bytes */
};
/* Returns the cycles that the TLB is busy from now on, at least 1. */
uint64_t tlbstorm_mmu_invalidate(struct tlbstorm_mmu *mmu, const struct tlbstorm_inval *inval,
                                 uint64_t cycle);
/* Does it concern a translation with these tags of [start, start + length)? */
bool tlbstorm_inval_covers(const struct tlbstorm_inval *inval, uint16_t vmid, uint16_t asid,
                           bool global, uint64_t start, uint64_t length);
/* By name, as in stats.csv without the group: "accesses", "l1_hits", "walks", ... */
enum tlbstorm_status tlbstorm_mmu_stat(const struct tlbstorm_mmu *mmu, const char *name,
                                       uint64_t *value, struct tlbstorm_error *err);

#ifdef __cplusplus
}
#endif
#endif
