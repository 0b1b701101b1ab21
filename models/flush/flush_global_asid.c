/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_global_asid.h"

#include "models/guest/coherence/pti.h"

static struct ts_global_asids *asids_of(const struct ts_guest *g)
{
    return g->flush_state;
}

static const struct ts_global_asid_params *params_of(const struct ts_guest *g)
{
    return g->flush_params;
}

static bool bit_test(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

bool ts_global_asid_loaded(const struct ts_guest_cpu *gc)
{
    return gc->loaded_asid >= gc->guest->params.nr_dyn_asids;
}

bool ts_global_asid_wanted(const struct ts_guest_cpu *gc)
{
    uint16_t asid = gc->loaded_mm->global_asid;
    return asid && gc->loaded_asid != asid;
}

/* allocate_global_asid. What has been freed is free once all CPUs have been flushed. */
static uint16_t allocate(struct ts_task *self, struct ts_global_asids *asids, uint64_t first,
                         uint64_t end, void (*flush_all)(struct ts_task *self))
{
    uint64_t asid;
    if (asids->last >= end - 1) {
        flush_all(self);
        for (size_t i = 0; i < TS_ARRAY_LEN(asids->used); i++) {
            asids->used[i] &= ~asids->freed[i];
            asids->freed[i] = 0;
        }
        asids->last = first;
        asids->asid_rollovers++;
    }
    for (asid = asids->last; asid < end && bit_test(asids->used, asid); asid++)
        ;
    if (asid >= end) {
        /* The tail is taken; the next one starts again from the front. */
        asids->last = end;
        return 0;
    }
    asids->used[asid / 64] |= UINT64_C(1) << asid % 64;
    asids->last = asid;
    asids->available--;
    return (uint16_t)asid;
}

/* mm_active_cpus_exceeds. */
static bool is_on_many_cpus(struct ts_task *self, struct ts_mm *mm, uint64_t threshold)
{
    struct ts_guest *g = mm->guest;
    uint64_t count = 0;
    ts_task_line(self, &mm->mask_line, TS_LINE_READ);
    if (ts_cpumask_count(&mm->cpumask) <= threshold)
        return false;
    TS_CPUMASK_FOR_EACH(cpu, &mm->cpumask)
    {
        struct ts_guest_cpu *gc = &g->cpus[cpu];
        ts_task_line(self, &gc->state_line, TS_LINE_READ);
        if (ts_guest_cpu_switching(gc) || gc->loaded_mm != mm)
            continue;
        ts_task_line(self, &gc->lazy_line, TS_LINE_READ);
        if (!ts_guest_cpu_lazy(gc) && ++count > threshold)
            return true;
    }
    return false;
}

static void use_global_asid(struct ts_task *self, struct ts_mm *mm,
                            void (*flush_all)(struct ts_task *self), bool irq_off)
{
    struct ts_guest *g = mm->guest;
    struct ts_global_asids *asids = asids_of(g);
    uint64_t first = g->params.nr_dyn_asids;
    uint16_t asid = 0;
    if (irq_off)
        ts_irq_disable(self);
    (void)ts_spin_lock(self, &asids->lock);
    if (!mm->global_asid) {
        if (asids->available)
            asid = allocate(self, asids, first, params_of(g)->asids, flush_all);
        if (!asid)
            asids->asid_exhausted++;
    }
    if (asid) {
        TS_ASSERT(asid >= first && asid < params_of(g)->asids);
        ts_task_line(self, &mm->gen_line, TS_LINE_WRITE);
        mm->asid_transition = true;
        mm->global_asid = asid;
        asids->asid_promotions++;
    }
    ts_spin_unlock(self, &asids->lock);
    if (irq_off)
        ts_irq_enable(self);
}

void ts_global_asid_consider(struct ts_task *self, struct ts_mm *mm,
                             void (*flush_all)(struct ts_task *self), bool irq_off)
{
    const struct ts_guest *g = mm->guest;
    const struct ts_global_asid_params *p = params_of(g);
    uint64_t jiffies = ts_task_now(self) / g->domain->sched_params.tick_ps;
    if (self->number % p->promote_sample != jiffies % p->promote_sample)
        return;
    if (is_on_many_cpus(self, mm, p->promote_cpus))
        use_global_asid(self, mm, flush_all, irq_off);
}

void ts_global_asid_finish_transition(struct ts_task *self, struct ts_flush_info *info,
                                      struct ts_shootdown_record *record)
{
    struct ts_mm *mm = info->mm;
    struct ts_guest *g = mm->guest;
    if (!mm->asid_transition)
        return;
    TS_CPUMASK_FOR_EACH(cpu, &mm->cpumask)
    {
        struct ts_guest_cpu *gc = &g->cpus[cpu];
        ts_task_line(self, &gc->state_line, TS_LINE_READ);
        while (ts_guest_cpu_switching(gc)) {
            ts_task_work(self, 1); /* cpu_relax */
            ts_task_line(self, &gc->state_line, TS_LINE_READ);
        }
        if (gc->loaded_mm != mm || gc->loaded_asid == mm->global_asid)
            continue;
        asids_of(g)->transition_ipis++;
        ts_native_flush_tlb_multi(self, &mm->cpumask, info, record);
        return;
    }
    mm->asid_transition = false;
    asids_of(g)->transitions_ended++;
}

void ts_global_asid_change(struct ts_task *self)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    if (!ts_global_asid_wanted(gc))
        return;
    asids_of(gc->guest)->stragglers++;
    ts_switch_mm(self, gc->loaded_mm);
}

enum ts_same_mm ts_global_asid_same_mm(const struct ts_guest_cpu *gc)
{
    if (ts_global_asid_wanted(gc))
        return TS_SAME_RELOAD;
    return ts_global_asid_loaded(gc) ? TS_SAME_CURRENT : TS_SAME_KERNEL;
}

void ts_global_asid_mm_exit(struct ts_mm *mm)
{
    struct ts_global_asids *asids = asids_of(mm->guest);
    uint16_t asid = mm->global_asid;
    if (!asid)
        return;
    TS_ASSERT(bit_test(asids->used, asid) && !bit_test(asids->freed, asid));
    asids->freed[asid / 64] |= UINT64_C(1) << asid % 64;
    asids->available++;
    mm->global_asid = 0;
    mm->asid_transition = false;
}

enum ts_status ts_global_asids_init(struct ts_guest *g, struct ts_error *err)
{
    struct ts_global_asids *asids = asids_of(g);
    const char *name = g->flush->name;
    uint64_t dyn = g->params.nr_dyn_asids, end = params_of(g)->asids;
    if (end <= dyn + 1)
        return ts_error_set(err, TS_ERR_USER,
                            "flush.%s.asids is %llu: nothing is left above the %llu of "
                            "guest.nr_dyn_asids",
                            name, (unsigned long long)end, (unsigned long long)dyn);
    if (g->params.pti && end > TS_PTI_MAX_ASID)
        return ts_error_set(err, TS_ERR_USER,
                            "flush.%s.asids is %llu, but with guest.pti there are %d", name,
                            (unsigned long long)end, TS_PTI_MAX_ASID);
    ts_spinlock_init(&asids->lock);
    ts_guest_line_init(g, &asids->lock.line, 0);
    asids->last = end;
    asids->available = end - dyn - 1;
    return TS_OK;
}
