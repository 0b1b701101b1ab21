/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms that are broken on purpose, each in one way. They are in no table: tests run them to
 * see that they are found out. */
#ifndef TS_TESTS_SUPPORT_BROKEN_MECHANISMS_HPP
#define TS_TESTS_SUPPORT_BROKEN_MECHANISMS_HPP

#include "models/flush/flush.h"
#include "models/guest/coherence/arm64.h"

namespace ts_test
{

/* One of the table, the flushes of CPU 0 apart, which begin 100 us after their generation has been
 * made: right, and slow. One at a time. */
inline const ts_flush_ops *late_one;

inline void late_on_cpu_0(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                          ts_shootdown_record *record)
{
    if (ts_guest_cpu_of(self)->id == 0)
        ts_task_work_ps(self, 100 * TS_US);
    late_one->flush_multi(self, mask, info, record);
}

inline ts_flush_ops late(const char *mechanism)
{
    late_one = ts_flush_find(mechanism);
    ts_flush_ops ops = *late_one;
    ops.name = "late";
    ops.flush_multi = late_on_cpu_0;
    return ops;
}

namespace broken
{

/* mask: the CPUs to reach, as mm_cpumask has them. */
using FlushMulti = void(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                        ts_shootdown_record *record);

template <FlushMulti *F> const ts_flush_ops *mechanism(const char *name)
{
    static const ts_flush_ops ops = [name] {
        ts_flush_ops o{};
        o.name = name;
        o.guests = TS_FOR_LINUX | TS_FOR_WINDOWS;
        o.remote_by_mask = true;
        o.state_size = sizeof(uint64_t); /* calls so far */
        o.order = TS_ORDER_CONCURRENT;
        o.flush_multi = F;
        return o;
    }();
    return &ops;
}

inline bool host_has_preempted(const ts_guest *g, uint32_t cpu)
{
    return ts_vm_vcpu_is_preempted(g->vm, cpu);
}

inline uint64_t count_call(ts_task *self)
{
    return (*static_cast<uint64_t *>(ts_guest_cpu_of(self)->guest->flush_state))++;
}

inline void nothing(ts_task *, const ts_cpumask *, ts_flush_info *, ts_shootdown_record *)
{
}

inline void local_only(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                       ts_shootdown_record *)
{
    if (ts_cpumask_test(mask, ts_guest_cpu_of(self)->id))
        ts_flush_local(self, info);
}

inline void without(ts_task *self, const ts_cpumask *mask, uint32_t cpu, ts_flush_info *info,
                    ts_shootdown_record *record)
{
    ts_cpumask *rest = &ts_guest_cpu_of(self)->flush_mask;
    ts_cpumask_copy(rest, mask);
    if (cpu < rest->nbits)
        ts_cpumask_clear(rest, cpu);
    ts_native_flush_tlb_multi(self, rest, info, record);
}

/* Says of the targets that they have flushed, takes its time, and has them do it then. */
inline void raises_first(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                         ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        ts_tlb_context *slot =
            info->mm ? ts_tlb_context_of(&g->cpus[cpu], info->mm) : nullptr; // not of a batch
        if (slot && info->new_tlb_gen)
            slot->tlb_gen = info->new_tlb_gen;
    }
    ts_task_work(self, 100000);
    ts_native_flush_tlb_multi(self, mask, info, record);
}

inline void never_returns(ts_task *self, const ts_cpumask *, ts_flush_info *, ts_shootdown_record *)
{
    for (;;)
        ts_task_work(self, 10000);
}

/* Lazy CPUs are left out although tables are freed. */
inline void lazy_left_out(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                          ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_cpumask *rest = &ts_guest_cpu_of(self)->flush_mask;
    ts_cpumask_copy(rest, mask);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        if (g->cpus[cpu].is_lazy)
            ts_cpumask_clear(rest, cpu);
    }
    ts_native_flush_tlb_multi(self, rest, info, record);
}

/* The highest-numbered other CPU is forgotten. */
inline void one_forgotten(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                          ts_shootdown_record *record)
{
    uint32_t last = mask->nbits;
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        if (cpu != ts_guest_cpu_of(self)->id)
            last = cpu;
    }
    without(self, mask, last, info, record);
}

/* Once in eight calls one CPU is forgotten, each in its turn. */
inline void seldom_forgotten(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                             ts_shootdown_record *record)
{
    uint64_t call = count_call(self);
    uint32_t victim = call % 8 ? mask->nbits : uint32_t(call / 8 % mask->nbits);
    without(self, mask, victim == ts_guest_cpu_of(self)->id ? mask->nbits : victim, info, record);
}

/* As kvm_pv, but nobody flushes at the next entry. */
inline void flush_tlb_ignored(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                              ts_shootdown_record *record)
{
    ts_guest_cpu *gc = ts_guest_cpu_of(self);
    ts_cpumask *running = &gc->flush_mask;
    ts_cpumask_copy(running, mask);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        if (cpu != gc->id && host_has_preempted(gc->guest, cpu))
            ts_cpumask_clear(running, cpu);
    }
    ts_native_flush_tlb_multi(self, running, info, record);
}

/* Each second change of the page tables is covered only by a flush that ran before it. */
inline void before_the_change(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                              ts_shootdown_record *record)
{
    if (count_call(self) % 2 == 0)
        ts_native_flush_tlb_multi(self, mask, info, record);
}

/* A page is left out at the end of every range. */
inline void short_by_a_page(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                            ts_shootdown_record *record)
{
    uint64_t stride = UINT64_C(1) << info->stride_shift;
    if (info->end != UINT64_MAX && info->end - info->start >= stride)
        info->end -= stride;
    ts_native_flush_tlb_multi(self, mask, info, record);
}

/* PTI: what is pending for the return to user mode is forgotten. */
inline void user_flush_forgotten(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                                 ts_shootdown_record *record)
{
    ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_native_flush_tlb_multi(self, mask, info, record);
    for (uint32_t i = 0; i < g->ncpus; i++)
        g->cpus[i].user_flush_mask = 0;
}

/* arm64: broadcast, and gone on without the DSB. */
inline void no_dsb(ts_task *self, const ts_cpumask *, ts_flush_info *info, ts_shootdown_record *)
{
    ts_tlb_inval all =
        ts_inval_tlbi_aside1(ts_arm64_vmid(ts_guest_cpu_of(self)->guest), info->mm->asid);
    ts_arm64_tlbi(self, &all);
}

/* arm64: last level only, though tables are freed. */
inline void tables_kept(ts_task *self, const ts_cpumask *, ts_flush_info *info,
                        ts_shootdown_record *)
{
    uint16_t vmid = ts_arm64_vmid(ts_guest_cpu_of(self)->guest);
    for (uint64_t va = info->start; va < info->end && info->end != UINT64_MAX; va += 4096) {
        ts_tlb_inval one = ts_inval_tlbi_vae1(vmid, info->mm->asid, va, true, 0);
        ts_arm64_tlbi(self, &one);
    }
    if (info->end == UINT64_MAX) {
        ts_tlb_inval all = ts_inval_tlbi_aside1(vmid, info->mm->asid);
        ts_arm64_tlbi(self, &all);
    }
    ts_arm64_sync(self);
}

} // namespace broken

} // namespace ts_test
#endif
