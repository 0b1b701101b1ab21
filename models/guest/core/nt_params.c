/* SPDX-License-Identifier: Apache-2.0 */
/* Tables only. docs/windows-guest.md says why each default was chosen. */
#include "models/guest/core/nt_params.h"

#define OFF(f) offsetof(struct ts_nt_params, f)
#define R TS_CONF_REMEMBERED
#define G TS_CONF_GUESS
#define C TS_CONF_CHOICE
#define V TS_CONF_VERBATIM
#define FLAG(f, d, h, s, c)                                                                        \
    {                                                                                              \
#f, TS_PARAM_BOOL, OFF(f), d, 0, 1, NULL, h, s, c                                          \
    }
#define COUNT(f, d, lo, hi, h, s, c)                                                               \
    {                                                                                              \
#f, TS_PARAM_COUNT, OFF(f), d, lo, hi, NULL, h, s, c                                       \
    }

static const char *const active_names[] = {"stays", "leaves", "grows", NULL};
static const char *const lock_names[] = {"spin", "push", NULL};
static const char *const accounting_names[] = {"ticks", "cycles", NULL};

static const struct ts_param rows[] = {
    COUNT(flush_list_max, 32, 0, 400,
          "pages that a flush names one by one; more, and all that the process has goes. Known: "
          "that there is such a bound; unknown: which one Windows Server 2016 has",
          "reimplementations of the interface have 32 or 33 (T. Kreuzer's memory manager: "
          "KeFlushMultipleTb up to 32 addresses, else KeFlushProcessTb)",
          R),
    {"active_processors", TS_PARAM_ENUM, OFF(active_processors), TS_NT_ACTIVE_LEAVES, 0,
     TS_NT_ACTIVE_GROWS, active_names,
     "when a processor leaves the set that a process's flushes go to. stays: when it runs a thread "
     "of another process, so that idle ones are sent flushes; leaves: when it is idle, too, with "
     "the idle process's page tables; grows: never. Known: KPROCESS.ActiveProcessors, and page "
     "tables that change with the process (ReactOS ke/amd64/thrdini.c); unknown: what idle "
     "processors do",
     "assumed: the idle thread is of a process of its own in ReactOS; the measured real times of "
     "experiment E8 are near with it and 3 times as long with stays",
     G},
    {"working_set_lock", TS_PARAM_ENUM, OFF(working_set_lock), 0, 0, 1, lock_names,
     "a process's working-set lock. spin: a reader/writer spin lock whose waiters spin with "
     "preemption off; push: a push lock, whose waiters sleep after push_spin loops. Known: a push "
     "lock up to Windows 7, a LONG in the public symbols of Windows 10 and Server 2016",
     "MMSUPPORT.WorkingSetMutex and .WorkingSetLock of the public symbols, remembered", R},
    FLAG(fault_shared, 1,
         "a page fault takes the working-set lock shared, so that faults do not wait for each "
         "other; off: exclusively. Known: that there is a shared form",
         "MiLockWorkingSetShared of the public symbols, remembered; that faults use it is assumed",
         G),
    COUNT(free_batch, 512, 1, 512,
          "pages of one page table that are cleared before a flush, with the working-set lock held "
          "exclusively. Unknown",
          "assumed: a page table's worth", G),
    FLAG(free_unlocks, 1,
         "the working-set lock is let go after each such batch; off: when the whole range has been "
         "freed. Unknown",
         "assumed: a spin lock is not held at raised IRQL for long", G),
    FLAG(free_shared, 1,
         "frees and changes of protection take the working-set lock shared, too, and keep faults "
         "out of nothing but the entry that they write. Known: that page tables of user space have "
         "locks of their own",
         "assumed: MiLockPageTableInternal of the public symbols, remembered; the measured real "
         "times of experiment E8 are near with it and 5 to 10 times as long without",
         G),
    COUNT(push_spin, 1024, 0, 1000000,
          "loops with PAUSE of a waiter for a push lock before it sleeps. Known: that it spins "
          "first on multiprocessors",
          "Windows Internals, push locks; the number is that of ReactOS (ex/pushlock.c), "
          "remembered",
          R),
    COUNT(spin_backoff_max, 1, 1, 65536,
          "loops with PAUSE between two looks at a lock grow from 1 by factors of 2 to this; each "
          "look is an attempt of those that hypervisor.hv_spinlocks counts. Unknown",
          "assumed: one loop, as in ReactOS's KxAcquireSpinLock", G),
    FLAG(wait_notifies, 1,
         "who waits for other processors' flushes notifies the hypervisor of a long spin as who "
         "waits for a lock does. Unknown",
         "assumed; TLFS, HvNotifyLongSpinWait: a resource potentially held by another virtual "
         "processor",
         G),
    FLAG(fast_calls, 1,
         "flush hypercalls have their input in registers where it fits and the hypervisor takes "
         "that (XMM fast calls). Known: TLFS, XMM Fast Hypercall Input; that Windows uses it here "
         "is what KVM's support for it was added for",
         "KVM: hyper-v: Advertise support for fast XMM hypercalls, 5.14, remembered", R),
    FLAG(library_lock, 0,
         "the program's C library holds a lock of its own around all of mmap and munmap, as "
         "Cygwin's does; who finds it taken sleeps",
         "Cygwin winsup/cygwin/mmap.cc: LIST_LOCK in mmap64 and munmap (1.7; read)", C),
    FLAG(library_protects, 0,
         "the program's C library takes away all access in munmap before it frees, as Cygwin's "
         "does: a system call of its own, with its flushes, after which the pages are in no TLB",
         "Cygwin winsup/cygwin/mmap.cc: mmap_record::unmap_pages, VirtualProtect with "
         "PAGE_NOACCESS, then fhandler munmap (1.7 and that of newlib 4.3.0; read)",
         C),
    {"accounting", TS_PARAM_ENUM, OFF(accounting), TS_NT_BY_TICKS, 0, TS_NT_BY_CYCLES,
     accounting_names,
     "what a thread's user and kernel times are made of. ticks: each clock interrupt charges the "
     "period to the thread and mode that it interrupted; cycles: the time between switches",
     "Windows Internals, CPU time of threads: KeUpdateRunTime at each clock interrupt; cycle "
     "counts serve the quantum since Vista; remembered",
     R},
    FLAG(charge_steal, 0,
         "time in which the host did not run the processor is charged to the thread that was at "
         "it. ticks: all that would have come meanwhile; off: one. cycles: the time stamp counter "
         "goes on; off: not charged",
         "KVM keeps one tick pending: arch/x86/kvm/lapic.c apic_timer_expired, hyperv.c "
         "stimer_start (6.1, 6.12; read); that QEMU makes up for ticks of the RTC alone is "
         "remembered",
         V),
    {"timer_resolution", TS_PARAM_TIME, OFF(timer_resolution_ps), UINT64_C(15625000000), 1000,
     UINT64_C(1000000000000), NULL,
     "a sleep ends with the first clock interrupt at or after its time",
     "Sleep, learn.microsoft.com: the resolution of the system clock; 64 Hz remembered", R},
};
const struct ts_param_table ts_nt_param_table = {"nt", rows, TS_ARRAY_LEN(rows)};

#define N(f, h)                                                                                    \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_nt_stats, f), "1", h                               \
    }
#define PS(f, h)                                                                                   \
    {                                                                                              \
#f, TS_STAT_TIME_PS, offsetof(struct ts_nt_stats, f), "ps", h                              \
    }
static const struct ts_stat stats[] = {
    N(flushes, "flushes that were asked for"),
    N(flush_lists, "of these by list"),
    N(flush_whole, "of these of everything"),
    N(flush_list_pages, "pages on the lists"),
    N(long_spins, "HvNotifyLongSpinWait calls"),
    N(working_set_waits, "acquisitions of a working-set lock that did not succeed at once"),
    N(address_space_waits, "the same of an address-space lock"),
    N(library_waits, "the same of the C library's lock"),
    PS(working_set_wait_ps, "time spent waiting for working-set locks"),
    PS(address_space_wait_ps, "time spent waiting for address-space locks"),
    PS(library_wait_ps, "time spent waiting for the C library's lock"),
    N(ticks_charged, "clock interrupts' periods charged to threads"),
    PS(user_time_ps, "user time of all processes, as the guest would show it"),
    PS(kernel_time_ps, "kernel time of all processes, as the guest would show it"),
};
static const struct ts_stat_rule rules[] = {
    {"a flush is by list or of everything", {"+flushes", "-flush_lists", "-flush_whole"}},
};
const struct ts_stat_table ts_nt_stat_table = {"nt", stats, TS_ARRAY_LEN(stats), rules,
                                               TS_ARRAY_LEN(rules)};
