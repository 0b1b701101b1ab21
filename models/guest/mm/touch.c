/* SPDX-License-Identifier: Apache-2.0 */
/* Touches: accesses of a program, each through the MMU, in runs that are joined where nothing can
 * tell (guest.page_by_page). */
#include "models/guest/coherence/pti.h"
#include "models/guest/mm/numa.h"
#include "models/mmu/mmu_window.h"

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
    bool timed; /* the MMU wants to know when */
    /* The last access: without a fault; by a walk; its cycles in the MMU, and how many
     * invalidations that had seen when it was made. */
    bool plain, walked;
    uint64_t cycles, invalidations;
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

    if (!oracle || !(access->from_tlb ? access->result == TS_MMU_OK : access->stale_span != 0))
        return;
    use = use_of(self, r, access->pa);
    if (access->from_tlb)
        ts_oracle_hit(oracle, &use);
    else
        ts_oracle_walk(oracle, &use, access->stale_table, access->stale_span);
}

static void touch_one(struct ts_task *self, struct touch_run *r)
{
    struct ts_guest *g = r->mm->guest;
    struct ts_mmu_access access;

    for (r->plain = true;; r->plain = false) {
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
    r->cycles = access.cycles;
    r->invalidations = ts_mmu_stats(r->mmu)->invalidations;
    charge_touch(self, r, access.cycles + g->params.touch_cycles);
}

/* --- windows: each page and those before it again --- */

/* A pass is the read of a page and of `back` before it. Where passes take one course, one after the
 * other, and nothing comes in between, they are one piece of work: pass and read follow from how
 * many cycles have passed when something does. */
struct window {
    struct ts_work_run work; /* first */
    struct touch_run *r;
    uint64_t base; /* of the region */
    uint64_t back;
    /* Passes that took one course, in succession, up to now; their cycles: of the page's read and
     * of each other; the MMU, and its invalidations before them. */
    uint64_t alike, first, other;
    const struct ts_mmu *mmu;
    uint64_t invalidations;
    uint64_t begun;        /* cycle */
    uint64_t passes, made; /* of the work, when it ends: whole ones; reads of the next */
    /* The last walks, of so many reads made one by one: of this 2 MiB, with these cycles each. */
    uint64_t walks, walk_base, walk_cycles, walk_invalidations;
};

/* Fewer are not worth it. */
enum { LIKE_READS_MIN = 8 };

/* Reads that follow one another and take the same course: hits of the second level, or walks. */
struct like_reads {
    struct ts_work_run work; /* first */
    struct window *w;
    uint64_t va; /* of the first; each is a page further down */
    uint64_t n, each, begun;
    bool walk;
};

/* Pages from va on in the block of stage 2 that it is in; 0: it is mapped otherwise. */
static uint64_t pages_in_block(const struct ts_mm *mm, uint64_t va)
{
    const struct ts_guest *g = mm->guest;
    struct ts_pte page, block;
    uint64_t ipa, size;

    if (!ts_pgtable_lookup(mm->pgtable, va, &page) || page.level != 0)
        return 0;
    ipa = page.target;
    if (!g->vm->stage2 || !ts_pgtable_lookup(g->vm->stage2, ipa, &block) || block.level == 0)
        return 0;
    size = UINT64_C(1) << block.size_shift;
    return (size - (ipa & (size - 1))) / TS_PAGE_BYTES;
}

/* Where neither oracle nor kernel looks at single accesses. */
static bool may_join(const struct touch_run *r, const struct window *w)
{
    const struct ts_guest *g = r->mm->guest;

    return !g->params.page_by_page && !g->oracle && g->arch == TS_ARCH_ARM64 &&
           g->params.touch_cycles != 0 && r->kind == TS_MMU_READ && r->stride == TS_PAGE_BYTES &&
           w->base >= TS_USER_END;
}

/* n reads from va downwards whose course is known, each a page further down: by walks that take
 * `walk` cycles with the program's own, but of these only the first `walks`. */
static void reads_of_known_course(const struct touch_run *r, uint64_t va, uint64_t n,
                                  uint64_t walks, uint64_t walk, uint64_t now)
{
    const uint64_t touch = r->mm->guest->params.touch_cycles;
    const uint64_t hit = ts_mmu_window_hit_cycles(r->mmu) + touch, l1 = ts_mmu_window_l1(r->mmu);
    struct ts_mmu_access access;

    for (uint64_t i = 0; i < n; i++, va -= r->stride) {
        uint64_t expected = i < walks ? walk : hit, cycles = expected - touch;
        if (i + l1 >= n) {
            ts_mmu_access(r->mmu, &r->ctx, va, r->kind, r->timed ? now : 0, &access);
            TS_ASSERT(access.result == TS_MMU_OK && access.from_tlb == (i >= walks));
            cycles = access.cycles;
        } else if (i < walks) {
            cycles = ts_mmu_window_walk(r->mmu, &r->ctx, va);
        } else {
            ts_mmu_window_hit(r->mmu, &r->ctx, va);
        }
        TS_ASSERT(cycles + touch == expected);
        now += expected;
    }
    r->mm->guest->stats.touches += n;
}

static uint64_t settle_like(struct ts_work_run *work, uint64_t passed)
{
    const struct like_reads *l = (const struct like_reads *)work;
    uint64_t n = (passed + l->each - 1) / l->each;

    reads_of_known_course(l->w->r, l->va, n, l->walk ? n : 0, l->each, l->begun);
    return n * l->each;
}

/* Is what a walk takes known for the table that va is in? */
static bool knows_walks(const struct window *w, uint64_t va)
{
    return w->walks >= 2 && w->walk_base == ts_huge_base(va) &&
           w->walk_invalidations == ts_mmu_stats(w->r->mmu)->invalidations &&
           pages_in_block(w->r->mm, va) != 0;
}

/* How many of the next `most` reads take the course of the first. */
static uint64_t count_like(struct like_reads *l, uint64_t most)
{
    const struct window *w = l->w;
    const struct touch_run *r = w->r;
    enum ts_mmu_found first = ts_mmu_where(r->mmu, &r->ctx, l->va);
    uint64_t n = 1;

    l->walk = first == TS_MMU_NOWHERE;
    if (first == TS_MMU_IN_L1 || (l->walk && !knows_walks(w, l->va)))
        return 0;
    while (n < most && ts_mmu_where(r->mmu, &r->ctx, l->va - n * r->stride) == first &&
           (!l->walk || ts_huge_base(l->va - n * r->stride) == w->walk_base))
        n++;
    return n;
}

/* Reads in one piece, the first of which is r's; returns how many have been made. */
static uint64_t join_reads(struct ts_task *self, struct window *w, uint64_t most)
{
    struct touch_run *r = w->r;
    struct like_reads l = {.work = {.settle = settle_like}, .w = w, .va = r->va};

    if (most < LIKE_READS_MIN || !may_join(r, w))
        return 0;
    r->mmu = ts_guest_mmu(self, &r->ctx);
    r->timed = ts_mmu_needs_time(r->mmu);
    l.begun = ts_task_cycle(self);
    if (ts_numa_has_work(self) || ts_mmu_is_busy(r->mmu, l.begun) ||
        !ts_mmu_window_fits(r->mmu, w->back))
        return 0;
    l.n = count_like(&l, most);
    if (l.n < LIKE_READS_MIN)
        return 0;
    l.each = (l.walk ? w->walk_cycles : ts_mmu_window_hit_cycles(r->mmu)) +
             r->mm->guest->params.touch_cycles;
    l.work.cycles = l.n * l.each;
    r->quiet = false;
    r->plain = true;
    r->walked = l.walk;
    r->cycles = l.each - r->mm->guest->params.touch_cycles;
    return ts_task_work_run(self, &l.work) / l.each;
}

static void note_walk(struct window *w)
{
    const struct touch_run *r = w->r;
    uint64_t base = ts_huge_base(r->va);

    if (!r->walked)
        return;
    if (!r->plain || base != w->walk_base || r->cycles != w->walk_cycles ||
        r->invalidations != w->walk_invalidations)
        w->walks = 0;
    w->walks += r->plain;
    w->walk_base = base;
    w->walk_cycles = r->cycles;
    w->walk_invalidations = r->invalidations;
}

/* One pass, from its read `from` on. */
static void make_pass(struct ts_task *self, struct window *w, uint64_t from)
{
    struct touch_run *r = w->r;
    uint64_t at = r->va, before = (at - w->base) / r->stride, first = 0, other = 0;
    uint64_t touch = r->mm->guest->params.touch_cycles;
    bool alike = from == 0;

    if (before > w->back)
        before = w->back;
    if (w->alike == 0) {
        w->mmu = ts_guest_mmu(self, &r->ctx);
        w->invalidations = ts_mmu_stats(w->mmu)->invalidations;
    }
    for (uint64_t i = from, n; i <= before; i += n) {
        r->va = at - i * r->stride;
        n = i ? join_reads(self, w, before + 1 - i) : 0;
        if (n == 0) {
            touch_one(self, r);
            note_walk(w);
            n = 1;
        }
        alike = alike && r->plain && r->walked == (i == 0) &&
                (i == 0 || r->cycles == ts_mmu_window_hit_cycles(r->mmu));
        *(i ? &other : &first) = r->cycles + touch;
    }
    r->va = at;
    alike = alike && r->mmu == w->mmu && ts_mmu_stats(r->mmu)->invalidations == w->invalidations;
    if (!alike || (w->alike && first != w->first))
        w->alike = 0;
    w->alike += alike;
    w->first = first;
    w->other = other;
}

/* The first n reads of the pass. */
static uint64_t reads(const struct window *w, uint64_t pass, uint64_t n)
{
    uint64_t cycles = pass * (w->first + w->back * w->other);

    reads_of_known_course(w->r, w->r->va + pass * w->r->stride, n, 1, w->first, w->begun + cycles);
    return n ? cycles + w->first + (n - 1) * w->other : cycles;
}

static uint64_t settle_window(struct ts_work_run *work, uint64_t passed)
{
    struct window *w = (struct window *)work;
    struct touch_run *r = w->r;
    struct ts_guest *g = r->mm->guest;
    uint64_t pass = w->first + w->back * w->other, rest = passed % pass;

    w->passes = passed / pass;
    w->made = rest == 0          ? 0
              : rest <= w->first ? 1
                                 : 1 + (rest - w->first + w->other - 1) / w->other;
    if (w->made == w->back + 1) {
        w->passes++;
        w->made = 0;
    }
    for (uint64_t i = 0; i + 1 < w->passes; i++) {
        uint64_t cycles = ts_mmu_window_pass(r->mmu, &r->ctx, r->va + i * r->stride, w->back);
        TS_ASSERT(cycles + g->params.touch_cycles == w->first);
        g->stats.touches += 1 + w->back;
    }
    if (w->passes)
        (void)reads(w, w->passes - 1, 1 + w->back);
    return reads(w, w->passes, w->made);
}

/* Passes in one piece. Returns whether it has made any; r->left counts them. */
static bool join_passes(struct ts_task *self, struct window *w)
{
    struct touch_run *r = w->r;
    uint64_t n;

    if (w->alike < 2)
        return false;
    r->quiet = false;
    r->mmu = ts_guest_mmu(self, &r->ctx);
    r->timed = ts_mmu_needs_time(r->mmu);
    w->begun = ts_task_cycle(self);
    /* No sweep is under way that reads would wait for: those of the first pass have waited for what
     * there was, and another is an invalidation that is not among these. */
    if (r->mmu != w->mmu || ts_mmu_stats(r->mmu)->invalidations != w->invalidations ||
        ts_numa_has_work(self) || !ts_mmu_window_fits(r->mmu, w->back))
        return false;
    n = pages_in_block(r->mm, r->va);
    n = n < r->left ? n : r->left;
    w->work.cycles = n * (w->first + w->back * w->other);
    w->work.settle = settle_window;
    if (n == 0 || ts_task_work_run(self, &w->work) == 0)
        return false;
    r->va += w->passes * r->stride;
    r->left -= w->passes;
    if (w->made) {
        make_pass(self, w, w->made);
        r->va += r->stride;
        r->left--;
    }
    return true;
}

static void touch_windows(struct ts_task *self, struct touch_run *r, uint64_t base, uint64_t back)
{
    struct window w = {.r = r, .base = base, .back = back};

    while (r->left) {
        /* Another table of stage 1, another course. */
        if (ts_huge_base(r->va) == r->va || !may_join(r, &w) || r->va - base < back * r->stride)
            w.alike = 0;
        else if (join_passes(self, &w))
            continue;
        make_pass(self, &w, 0);
        r->va += r->stride;
        r->left--;
    }
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
        touch_windows(self, &r, region->base, op->length2);
        return;
    }
    for (; r.left; r.left--) {
        touch_one(self, &r);
        r.va += r.stride;
    }
}
