/* SPDX-License-Identifier: Apache-2.0 */
/* Touches: accesses of a program, each through the MMU, in runs that are joined where nothing can
 * tell (guest.page_by_page). */
#include "models/guest/coherence/pti.h"
#include "models/guest/mm/numa.h"
#include "models/mmu/mmu_passes.h"

/* Entry, what the operating system does about it, and return. False: a bad access. */
static bool take_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    struct ts_guest *g = mm->guest;
    ts_time start = ts_task_now(self);
    bool ok;

    ts_kernel_enter(self);
    ts_task_work(self, g->params.fault_entry_cycles + ts_pti_cycles(g));
    ok = g->paths->fault(self, mm, va, write);
    ts_kernel_exit(self);
    g->stats.faults++;
    ts_hist_add(&g->stats.fault_ps, ts_task_now(self) - start);
    if (!ok)
        ts_mm_private_of(mm)->touches_unmapped++;
    return ok;
}

struct touch_run {
    struct ts_mm *mm;
    uint64_t va, stride, left;
    enum ts_mmu_kind kind;
    /* Nothing has happened since the last work of self ended: its MMU and regime are the same, and
     * no interrupt can be pending. */
    bool quiet;
    bool timed;  /* the MMU wants to know when */
    bool walked; /* the last access has */
    struct ts_mmu *mmu;
    struct ts_mmu_context ctx;
};

/* Charges one access. While nothing else is due before its end the clock advances in place, and the
 * next access follows without looking for interrupts, since only an event could have raised one. */
static void charge_touch(struct ts_task *self, struct touch_run *r, uint64_t cycles)
{
    struct ts_engine *engine = self->domain->engine;
    uint64_t events;

    if (r->quiet && ts_task_try_work(self, cycles))
        return;
    events = ts_engine_events_run(engine);
    ts_task_work(self, cycles);
    r->quiet = !r->mm->guest->params.page_by_page && ts_engine_events_run(engine) == events;
}

static struct ts_oracle_use use_of(struct ts_task *self, const struct touch_run *r, uint64_t pa)
{
    const struct ts_guest *g = r->mm->guest;
    const struct ts_guest_thread *thread = self->user;
    const struct ts_tlb_context *slot =
        g->arch == TS_ARCH_X86 ? ts_tlb_context_of(ts_guest_cpu_of(self), r->mm) : NULL;
    return (struct ts_oracle_use){
        .now = ts_task_now(self),
        .vm = g->number,
        .cpu = self->cpu->id,
        .thread = thread->number,
        .space = r->mm->ctx_id,
        .va = r->va,
        .write = r->kind == TS_MMU_WRITE,
        .generation = slot ? slot->tlb_gen : 0,
        .newest = r->mm->tlb_gen,
        .pa = pa,
        .stage1 = r->mm->pgtable,
        .stage2 = g->vm->stage2,
    };
}

static void tell_oracle(struct ts_task *self, const struct touch_run *r,
                        const struct ts_mmu_access *access)
{
    struct ts_oracle *oracle = r->mm->guest->oracle;
    struct ts_oracle_use use;

    if (!oracle || (access->from_tlb ? access->result != TS_MMU_OK
                                     : !access->stale_span && !access->stale2_span))
        return;
    use = use_of(self, r, access->pa);
    if (access->from_tlb)
        ts_oracle_hit(oracle, &use);
    else
        ts_oracle_walked(oracle, &use, access);
}

static void touch_one(struct ts_task *self, struct touch_run *r)
{
    struct ts_guest *g = r->mm->guest;
    struct ts_mmu_access access;

    for (;;) {
        if (ts_task_is_watched(self)) {
            ts_task_step(self, TS_STEP_TOUCH, false, r->mm->pgtable, r->va, r->va + 1);
            r->quiet = false;
        }
        if (!r->quiet) {
            if (ts_numa_has_work(self)) { /* the tick has come from user mode */
                ts_kernel_enter(self);
                ts_kernel_exit(self);
            }
            ts_pti_return(self);
            r->mmu = ts_guest_mmu(self, &r->ctx);
            r->timed = ts_mmu_needs_time(r->mmu);
            TS_ASSERT(r->ctx.stage1 == r->mm->pgtable);
        }
        ts_mmu_access(r->mmu, &r->ctx, r->va, r->kind, r->timed ? ts_task_cycle(self) : 0, &access);
        tell_oracle(self, r, &access);
        if (access.result == TS_MMU_OK)
            break;
        r->quiet = false;
        ts_task_work(self, access.cycles);
        if (access.result == TS_MMU_FAULT_STAGE2) {
            g->vm->pv->stage2_fault(self, &access.abort);
            continue;
        }
        TS_ASSERT(access.result == TS_MMU_FAULT_STAGE1);
        if (!take_fault(self, r->mm, r->va, r->kind == TS_MMU_WRITE))
            return;
    }
    g->stats.touches++;
    r->walked = !access.from_tlb;
    charge_touch(self, r, access.cycles + g->params.touch_cycles);
}

/* --- passes: each page and those before it again --- */

/* Reads of which the MMU knows the course are one piece of work, until something comes in between:
 * which of them have been made follows from how many cycles have passed. */
struct reads_ahead {
    struct ts_work_run work; /* first */
    struct touch_run *r;
    struct ts_mmu_course course;
    uint64_t made; /* when it ends */
};

/* Fewer are not worth it. */
enum { READS_AHEAD_MIN = 8 };

/* Nobody looks at single accesses, and the memory's stage-1 entries stay. */
static bool may_go_ahead(const struct touch_run *r, uint64_t base)
{
    const struct ts_guest *g = r->mm->guest;

    return !g->params.page_by_page && !g->oracle && g->arch == TS_ARCH_ARM64 &&
           g->params.touch_cycles != 0 && r->kind == TS_MMU_READ && r->stride == TS_PAGE_BYTES &&
           base >= TS_USER_END;
}

static uint64_t settle_ahead(struct ts_work_run *work, uint64_t passed)
{
    struct reads_ahead *a = (struct reads_ahead *)work;
    const struct ts_mmu_course *c = &a->course;
    const uint64_t touch = a->r->mm->guest->params.touch_cycles;
    const uint64_t first = c->first + touch, other = c->other + touch;
    const uint64_t group = first + (c->size - 1) * other, rest = passed % group;
    uint64_t in_group = rest == 0 ? 0 : 1, cycles = passed - rest;

    if (rest > first)
        in_group += (rest - first + other - 1) / other;
    cycles += in_group ? first + (in_group - 1) * other : 0;
    a->made = passed / group * c->size + in_group;
    ts_mmu_passes_go(a->r->mmu, c, a->made);
    a->r->mm->guest->stats.touches += a->made;
    return cycles;
}

/* As many reads as take a known course, r's first, which has `left` of its pass before it; whole
 * passes are of `pages`, and there are so many, this one included. Returns how many were made. */
static uint64_t go_ahead(struct ts_task *self, struct touch_run *r, uint64_t left, uint64_t pages,
                         uint64_t passes)
{
    struct reads_ahead a = {.work = {.settle = settle_ahead}, .r = r};
    const uint64_t touch = r->mm->guest->params.touch_cycles;
    const struct ts_mmu_course *c = &a.course;

    r->mmu = ts_guest_mmu(self, &r->ctx);
    r->timed = ts_mmu_needs_time(r->mmu);
    if (ts_numa_has_work(self) ||
        !ts_mmu_passes_ahead(r->mmu, &r->ctx, r->va, ts_task_cycle(self), left, pages, passes,
                             &a.course) ||
        c->groups * c->size < READS_AHEAD_MIN)
        return 0;
    a.work.cycles = c->groups * (c->first + touch + (c->size - 1) * (c->other + touch));
    r->quiet = false;
    return ts_task_work_run(self, &a.work) ? a.made : 0;
}

/* r->left passes, each of a page and up to `back` before it, as far as the region goes. */
static void touch_passes(struct ts_task *self, struct touch_run *r, uint64_t base, uint64_t back)
{
    const bool ahead = may_go_ahead(r, base);
    uint64_t at = r->va, made = 0;

    while (r->left) {
        uint64_t before = (at - base) / r->stride, n = 0;
        before = before < back ? before : back;
        r->va = at - made * r->stride;
        if (ahead)
            n = go_ahead(self, r, 1 + before - made, 1 + before, before == back ? r->left : 1);
        if (n == 0) {
            touch_one(self, r);
            if (ahead && r->walked)
                ts_mmu_passes_begin(r->mmu, &r->ctx, r->va);
            n = 1;
        }
        made += n;
        n = made / (1 + before);
        made %= 1 + before;
        at += n * r->stride;
        r->left -= n;
    }
    r->va = at;
}

void ts_mm_touch(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct touch_run r = {0};
    const struct ts_region *region;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    region = ts_region_find(mm, op->region);
    r.mm = mm;
    r.va = region->base + op->offset;
    r.stride = op->stride;
    r.kind = op->flags & TS_OPF_FETCH   ? TS_MMU_FETCH
             : op->flags & TS_OPF_WRITE ? TS_MMU_WRITE
                                        : TS_MMU_READ;
    r.left = op->count;
    if (op->length2) {
        touch_passes(self, &r, region->base, op->length2);
        return;
    }
    for (; r.left; r.left--) {
        touch_one(self, &r);
        r.va += r.stride;
    }
}
