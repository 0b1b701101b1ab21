/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be set of a Windows-like guest (guest.os: windows) beyond what it shares with other
 * kernels, and what is counted of it. Little of Windows is documented; each row says what is known
 * and from where (docs/windows-guest.md). */
#ifndef TS_MODELS_GUEST_NT_PARAMS_H
#define TS_MODELS_GUEST_NT_PARAMS_H

#include "sim/param.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/* When a processor leaves the active processors of a process, to which its flushes are sent. */
enum ts_nt_active {
    TS_NT_ACTIVE_STAYS = 0,  /* when it runs a thread of another process; idle, it stays */
    TS_NT_ACTIVE_LEAVES = 1, /* the idle thread is of another process, too */
    TS_NT_ACTIVE_GROWS = 2   /* never */
};
enum ts_nt_accounting { TS_NT_BY_TICKS = 0, TS_NT_BY_CYCLES = 1 };

struct ts_nt_params {
    uint64_t flush_list_max;    /* pages that are flushed one by one */
    uint64_t active_processors; /* enum ts_nt_active */
    uint64_t working_set_lock;  /* enum ts_ex_kind */
    uint64_t fault_shared;      /* bool: faults take the working-set lock shared */
    uint64_t free_batch;        /* pages cleared before a flush */
    uint64_t free_unlocks;      /* bool: the working-set lock is let go after each batch */
    uint64_t push_spin;         /* loops before a waiter for a push lock sleeps */
    uint64_t spin_backoff_max;  /* loops between two attempts, at most */
    uint64_t wait_notifies;     /* bool: who waits for flushes of others notifies, too */
    uint64_t fast_calls;        /* bool: input in registers where it fits */
    uint64_t free_shared;       /* bool: frees and changes of protection share it, too */
    uint64_t library_lock;      /* bool: the program's C library maps one at a time */
    uint64_t library_protects;  /* bool: it takes away access before it frees */
    uint64_t accounting;        /* enum ts_nt_accounting */
    uint64_t charge_steal;      /* bool: time that the host took is the running thread's */
    uint64_t timer_resolution_ps;
};
extern const struct ts_param_table ts_nt_param_table; /* prefix "nt" */

struct ts_nt_stats {
    uint64_t flushes; /* rule: by list, or of everything */
    uint64_t flush_lists, flush_whole, flush_list_pages;
    uint64_t long_spins; /* HvNotifyLongSpinWait */
    uint64_t working_set_waits, address_space_waits, library_waits;
    uint64_t working_set_wait_ps, address_space_wait_ps, library_wait_ps;
    uint64_t ticks_charged;
    uint64_t user_time_ps, kernel_time_ps; /* GetProcessTimes, of all processes */
};
extern const struct ts_stat_table ts_nt_stat_table; /* group "nt" */

#ifdef __cplusplus
}
#endif
#endif
