/* SPDX-License-Identifier: Apache-2.0 */
/* Passes, kept as such. A structure that replaces the least recently used entry holds of each set
 * the pages that were read last. So all that the structures for pages hold is told by which pages
 * were read, and in which order last: those of the pass under way, the lowest last; then those of
 * the pass before that it has not come to yet, the lowest last; then what lies below both, of which
 * the highest was read last. One entry in each structure stands for all of them.
 *
 * A pass meets a page again after the whole L1 has been replaced, or before any of it has, and
 * before a set of the L2 has. What is in neither is walked for, as always. A walk that finds its
 * table in a walk cache, its page in the nested TLB and nothing to set in either table leaves these
 * structures as they are; the next takes the same course, as long as both are the same. */
#include "models/mmu/mmu_passes.h"

#include <string.h>

#include "models/mmu/mmu_private.h"
#include "models/tlb/replacement_table.h"

static uint64_t page_of(uint64_t va)
{
    return va >> 12;
}

static bool may_keep(const struct ts_mmu *m)
{
    const struct ts_mmu_params *p = &m->params;
    bool lru =
        p->l1_replacement == TS_REPLACEMENT_TABLE_LRU && p->replacement == TS_REPLACEMENT_TABLE_LRU;
    bool plain = p->inclusion == TS_MMU_NON_INCLUSIVE && !p->walk_in_l2 && !p->nested_in_l2 &&
                 !p->l2_probe_cycles && !p->l1_flush_on_any_inval && !m->conflict_abort &&
                 !m->fault_invalidates && m->memory.fetch == NULL;
    return lru && plain && m->core->thread[1] == NULL && m->unit[MMU_L2] != NULL &&
           m->unit[MMU_L1D_4K] != NULL && p->l1d_4k_ways == p->l1d_4k_entries;
}

/* A page of the level of pages that nothing makes larger or smaller. */
static bool is_plain(const struct ts_tlb_entry *e)
{
    return e->tags.size_shift == 12 && e->tags.level == 0 && e->tags.granule == TS_GRANULE_4K &&
           !e->tags.global && !e->fractured;
}

/* Structures in which data is looked for, and what they hold. */
static uint64_t held(const struct ts_mmu *m)
{
    uint64_t n = 0;
    for (struct ts_tlb *const *t = m->l1[MMU_DATA]; *t != NULL; t++)
        n += ts_tlb_valid_count(*t);
    for (struct mmu_unit *const *u = m->l2[MMU_DATA]; *u != NULL; u++)
        n += ts_tlb_valid_count((*u)->tlb);
    return n;
}

void ts_mmu_passes_begin(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va)
{
    struct mmu_passes *p = &m->passes;
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, mmu_space(m, ctx));
    struct ts_tlb_entry first, second;
    if (p->kept || !may_keep(m) || held(m) != 2 ||
        !ts_tlb_probe(m->unit[MMU_L1D_4K]->tlb, key, va, &first) ||
        !ts_tlb_probe(m->unit[MMU_L2]->tlb, key, va, &second) || !is_plain(&first) ||
        !is_plain(&second))
        return;
    memset(p, 0, sizeof(*p));
    p->kept = true;
    mmu_set_checks(m);
    p->ctx = *ctx;
    p->top = page_of(va);
    p->made = 1;
    p->lo = 1; /* none before */
    p->of_all = first;
    p->stretch[0] = (struct mmu_stretch){p->top, p->top, first};
    p->stretches = 1;
}

bool ts_mmu_passes_are_kept(const struct ts_mmu *m)
{
    return m->passes.kept;
}

/* --- what has been read --- */

static bool has_earlier(const struct mmu_passes *p)
{
    return p->lo <= p->mid;
}

/* The last page that the pass under way has read. */
static uint64_t lowest(const struct mmu_passes *p)
{
    return p->top - p->made + 1;
}

static uint64_t pages_read(const struct mmu_passes *p)
{
    uint64_t n = p->made;
    if (has_earlier(p)) {
        n += p->mid - p->lo + 1;
        if (lowest(p) <= p->mid)
            n -= p->mid - lowest(p) + 1;
    }
    return n;
}

/* Entries of the structures. */
static uint64_t room(const struct ts_mmu *m)
{
    return m->params.l2_entries + m->params.l1d_4k_entries;
}

static uint64_t entries(const struct ts_mmu *m, bool second)
{
    uint64_t size = second ? m->params.l2_entries : m->params.l1d_4k_entries;
    uint64_t n = pages_read(&m->passes);
    return n < size ? n : size;
}

/* Does a set of the L2 have room for its part of so many pages in succession and one more? */
static bool has_place(const struct ts_mmu *m, uint64_t others)
{
    return others / ts_tlb_sets(m->unit[MMU_L2]->tlb) + 1 <= m->params.l2_ways;
}

/* May a pass that begins further up follow the one under way? That has come down to where the pass
 * before ended, but for one page, so that none is missing in what has been read, and those left for
 * good were last read in falling order. The L2 has room for all between the last page read and its
 * first; and, if it skips pages, for whatever was read: else the sets would differ in how many of
 * the pages that were left for good they hold. */
static bool may_begin(const struct ts_mmu *m, uint64_t page)
{
    const struct mmu_passes *p = &m->passes;
    uint64_t low = lowest(p);
    if (page <= p->top || (has_earlier(p) && low > p->low + 1))
        return false;
    bool skips = page > p->top + 1;
    return has_place(m, page - (skips && has_earlier(p) && p->lo < low ? p->lo : low));
}

static void begin_pass(struct mmu_passes *p, uint64_t page)
{
    uint64_t low = lowest(p);
    if (!has_earlier(p) || low < p->lo)
        p->lo = low;
    p->low = low;
    p->mid = p->top;
    p->top = page;
    p->made = 0;
}

/* --- the entries of the pages --- */

/* e is that of the page first. */
static bool goes_on(const struct mmu_stretch *s, uint64_t first, uint64_t last,
                    const struct ts_tlb_entry *e)
{
    const struct ts_tlb_entry *o = &s->entry;
    return (first == s->last + 1 || last + 1 == s->first) &&
           e->target - e->tags.base == o->target - o->tags.base && e->writable == o->writable &&
           e->dirty == o->dirty && e->stage1_writable == o->stage1_writable;
}

/* For another stretch, when those that no structure holds any more are forgotten: they lie as many
 * pages below the last passes as there are entries. */
static bool has_room(const struct ts_mmu *m, struct mmu_passes *p)
{
    uint64_t low = has_earlier(p) ? p->low : lowest(p);
    uint32_t n = 0;
    if (p->stretches < MMU_STRETCHES)
        return true;
    for (uint32_t i = 0; i < p->stretches; i++)
        if (p->stretch[i].last + room(m) > low)
            p->stretch[n++] = p->stretch[i];
    p->stretches = n;
    return n < MMU_STRETCHES;
}

/* False: there is no room for them. */
static bool note_entries(const struct ts_mmu *m, struct mmu_passes *p, uint64_t first,
                         uint64_t last, const struct ts_tlb_entry *e)
{
    for (uint32_t i = p->stretches; i-- > 0;) {
        struct mmu_stretch *s = &p->stretch[i];
        if (!goes_on(s, first, last, e))
            continue;
        s->entry = first < s->first ? *e : s->entry;
        s->first = first < s->first ? first : s->first;
        s->last = last > s->last ? last : s->last;
        return true;
    }
    if (!has_room(m, p))
        return false;
    p->stretch[p->stretches++] = (struct mmu_stretch){first, last, *e};
    return true;
}

static struct ts_tlb_entry entry_of(const struct mmu_passes *p, uint64_t page)
{
    uint32_t i = p->stretches - 1;
    while (page < p->stretch[i].first || page > p->stretch[i].last) {
        TS_ASSERT(i > 0);
        i--;
    }
    struct ts_tlb_entry e = p->stretch[i].entry;
    e.target += (page << 12) - e.tags.base;
    e.tags.base = page << 12;
    return e;
}

/* --- the end: the structures get what they hold --- */

/* The next page in the order of the last reads; *done were put before. Of the last ones, each
 * structure gets as many as it has room for. */
static void put(struct ts_mmu *m, uint64_t page, uint64_t *done)
{
    struct ts_tlb_entry e;
    uint64_t left = pages_read(&m->passes) - (*done)++;
    bool first = left <= m->params.l1d_4k_entries, second = left <= m->params.l2_entries;
    if (!first && !second)
        return;
    e = entry_of(&m->passes, page);
    if (second)
        ts_mmu_insert_(m, m->unit[MMU_L2], &e);
    if (first)
        ts_mmu_insert_(m, m->unit[MMU_L1D_4K], &e);
}

void ts_mmu_passes_end_(struct ts_mmu *m)
{
    struct mmu_passes *p = &m->passes;
    uint64_t done = 0, from = lowest(p);
    p->kept = false;
    mmu_set_checks(m);
    bool gone = ts_tlb_remove(m->unit[MMU_L1D_4K]->tlb, &p->of_all.tags, NULL) &&
                ts_tlb_remove(m->unit[MMU_L2]->tlb, &p->of_all.tags, NULL);
    TS_ASSERT(gone);
    if (has_earlier(p)) {
        uint64_t first = p->low > p->lo + room(m) ? p->low - room(m) : p->lo;
        done = first - p->lo; /* of which none has stayed */
        for (uint64_t page = first; page < p->low && page < from; page++)
            put(m, page, &done);
        for (uint64_t page = (p->mid < from ? p->mid + 1 : from); page-- > p->low;)
            put(m, page, &done);
    }
    for (uint64_t page = p->top + 1; page-- > from;)
        put(m, page, &done);
    TS_ASSERT(done == pages_read(p));
}

/* --- reads one by one --- */

/* A page is met again when so many others, of one stretch, have been read: in the L1, of which the
 * L2 is not told, so that it must have no set with two of the pages that have been read; */
static bool hits_l1(const struct ts_mmu *m, uint64_t others)
{
    return others < m->params.l1d_4k_entries &&
           pages_read(&m->passes) <= ts_tlb_sets(m->unit[MMU_L2]->tlb);
}

/* or in the L2. */
static bool hits_l2(const struct ts_mmu *m, uint64_t others)
{
    return others >= m->params.l1d_4k_entries && has_place(m, others);
}

static bool same_context(const struct ts_mmu_context *a, const struct ts_mmu_context *b)
{
    return a->vmid == b->vmid && a->asid == b->asid && a->ep4ta == b->ep4ta &&
           a->stage1 == b->stage1 && a->stage2 == b->stage2 && a->late == b->late;
}

enum next { NEXT_IN_L1, NEXT_IN_L2, NEXT_WALK, NEXT_OTHER };

static enum next next_of(const struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va)
{
    const struct mmu_passes *p = &m->passes;
    uint64_t page = page_of(va);
    if (!same_context(ctx, &p->ctx))
        return NEXT_OTHER;
    if (page + p->made != p->top)
        return may_begin(m, page) ? NEXT_WALK : NEXT_OTHER;
    if (!has_earlier(p) || page > p->mid)
        return NEXT_WALK;
    if (page < p->low)
        return NEXT_OTHER;
    if (hits_l1(m, p->top - p->low))
        return NEXT_IN_L1;
    return hits_l2(m, p->top - p->low) ? NEXT_IN_L2 : NEXT_OTHER;
}

static uint64_t hit_of(const struct ts_mmu *m, bool in_l1)
{
    return m->l1_hit_cycles + (in_l1 ? 0 : m->params.l2_hit_cycles);
}

bool ts_mmu_passes_hit_(struct ts_mmu *m, const struct mmu_request *q, struct ts_mmu_access *out)
{
    struct mmu_passes *p = &m->passes;
    enum next next = q->kind == TS_MMU_READ ? next_of(m, q->ctx, q->va) : NEXT_OTHER;
    if (next == NEXT_OTHER)
        ts_mmu_passes_end_(m);
    if (next != NEXT_IN_L1 && next != NEXT_IN_L2)
        return false;
    struct ts_tlb_entry e = entry_of(p, page_of(q->va));
    p->made++;
    *(next == NEXT_IN_L1 ? &m->stats.l1_hits : &m->stats.l2_hits) += 1;
    out->result = TS_MMU_OK;
    out->from_tlb = true;
    out->pa = e.target + (q->va - e.tags.base);
    out->fault_address = 0;
    out->size_shift = e.tags.size_shift;
    out->cycles = q->t - q->now + hit_of(m, next == NEXT_IN_L1);
    return true;
}

bool ts_mmu_passes_fill_(struct ts_mmu *m, const struct ts_tlb_entry *e, uint64_t va)
{
    struct mmu_passes *p = &m->passes;
    if (!is_plain(e) || !note_entries(m, p, page_of(va), page_of(va), e)) {
        ts_mmu_passes_end_(m);
        return false;
    }
    p->walked = *e;
    if (page_of(va) > p->top)
        begin_pass(p, page_of(va));
    p->made++;
    return true;
}

/* --- walks that take one course --- */

void ts_mmu_passes_learn_(struct ts_mmu *m, const struct ts_mmu_stats *before, uint64_t va)
{
    struct mmu_passes *p = &m->passes;
    const struct ts_mmu_stats *s = &m->stats;
    struct ts_pte first;
    struct ts_tlb_entry e;
    p->walk_pages = 0;
    if (s->walk_fetches - before->walk_fetches != 1 || s->ad_updates != before->ad_updates ||
        s->walk_faults != before->walk_faults || !ts_pgtable_is_even(p->ctx.stage1, va, &first))
        return;
    uint64_t span = ts_granule_level_shift(ts_pgtable_granule(p->ctx.stage1), 1);
    uint64_t from = mmu_page(va, (uint32_t)span), to = from + (UINT64_C(1) << span);
    if (p->ctx.stage2 != NULL) {
        uint64_t key = ts_tlb_key(TS_TLB_STAGE2_LEAF, mmu_stage2_space(m, &p->ctx));
        uint64_t ipa = first.target + (va - from);
        if (m->unit[MMU_NESTED] == NULL || !ts_tlb_probe(m->unit[MMU_NESTED]->tlb, key, ipa, &e))
            return;
        /* Addresses from which the intermediate ones lie in the entry. */
        uint64_t below = ipa - e.tags.base, above = (UINT64_C(1) << e.tags.size_shift) - below;
        from = va - from > below ? va - below : from;
        to = to - va > above ? va + above : to;
    }
    p->walk_from = page_of(from);
    p->walk_pages = page_of(to) - p->walk_from;
    p->walk_cycles = s->walk_cycles - before->walk_cycles;
    p->walk_cache_hits = s->walk_cache_hits - before->walk_cache_hits;
    p->nested_hits = s->nested_hits - before->nested_hits;
}

/* Pages from this one on, upwards or downwards, whose walks take the course of the last. */
static uint64_t known_walks(const struct mmu_passes *p, uint64_t page, bool up)
{
    if (page < p->walk_from || page - p->walk_from >= p->walk_pages)
        return 0;
    return up ? p->walk_from + p->walk_pages - page : page - p->walk_from + 1;
}

/* What the walk of a page would give, which the last walk says. */
static struct ts_tlb_entry known_entry(const struct mmu_passes *p, uint64_t page)
{
    const struct ts_tlb_entry *o = &p->walked;
    struct ts_tlb_entry e = *o;
    e.tags.base = page << 12;
    e.target = o->target + (e.tags.base - o->tags.base);
    return e;
}

static uint64_t walk_of(const struct ts_mmu *m)
{
    return hit_of(m, false) + m->passes.walk_cycles;
}

/* --- many reads at once --- */

/* Whole passes of `pages` reads, of which the first begins with this page and walks. */
static bool whole_passes(const struct ts_mmu *m, uint64_t page, uint64_t pages, uint64_t passes,
                         struct ts_mmu_course *out)
{
    const struct mmu_passes *p = &m->passes;
    uint64_t low = lowest(p), known = known_walks(p, page, true);
    if (passes == 0 || known == 0 || page != p->top + 1 || !may_begin(m, page) ||
        (low + pages != page && low + pages != page + 1) || !hits_l2(m, pages) ||
        !hits_l2(m, page - low))
        return false;
    out->groups = passes < known ? passes : known;
    out->size = pages;
    out->first = walk_of(m);
    out->walks = TS_MMU_WALKS_FIRST;
    return true;
}

/* Reads of the pass under way. */
static bool rest_of_pass(const struct ts_mmu *m, uint64_t page, enum next next, uint64_t left,
                         struct ts_mmu_course *out)
{
    const struct mmu_passes *p = &m->passes;
    uint64_t n;
    if (page + p->made != p->top)
        return false;
    if (next == NEXT_WALK) {
        n = known_walks(p, page, false);
        if (has_earlier(p) && n > page - p->mid)
            n = page - p->mid;
        out->walks = TS_MMU_WALKS_ALL;
        out->first = out->other = walk_of(m);
    } else {
        n = page - p->low + 1;
        out->walks = TS_MMU_WALKS_NONE;
        out->first = out->other = hit_of(m, next == NEXT_IN_L1);
    }
    out->groups = 1;
    out->size = left < n ? left : n;
    return out->size != 0;
}

bool ts_mmu_passes_ahead(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                         uint64_t now, uint64_t left, uint64_t pages, uint64_t passes,
                         struct ts_mmu_course *out)
{
    struct mmu_passes *p = &m->passes;
    uint64_t page = page_of(va);
    if (!p->kept || (m->needs_time && m->core->busy_until > now))
        return false;
    enum next next = next_of(m, ctx, va);
    if (next == NEXT_OTHER)
        return false;
    out->va = va;
    out->other = hit_of(m, false);
    bool known = left == pages && whole_passes(m, page, pages, passes, out);
    if (!known && !rest_of_pass(m, page, next, left, out))
        return false;
    return out->walks == TS_MMU_WALKS_NONE || has_room(m, p);
}

/* Only its walks change structures that are not kept as passes, and those do not. */
static void count(struct ts_mmu *m, uint64_t walks, uint64_t hits, bool in_l1)
{
    const struct mmu_passes *p = &m->passes;
    m->stats.accesses += walks + hits;
    *(in_l1 ? &m->stats.l1_hits : &m->stats.l2_hits) += hits;
    m->stats.walks += walks;
    m->stats.walk_fetches += walks;
    m->stats.walk_cycles += walks * p->walk_cycles;
    m->stats.walk_cache_hits += walks * p->walk_cache_hits;
    m->stats.nested_hits += walks * p->nested_hits;
}

static void note_walks(struct ts_mmu *m, uint64_t first, uint64_t last)
{
    struct ts_tlb_entry e = known_entry(&m->passes, first);
    bool noted = note_entries(m, &m->passes, first, last, &e);
    TS_ASSERT(noted);
}

void ts_mmu_passes_go(struct ts_mmu *m, const struct ts_mmu_course *course, uint64_t n)
{
    struct mmu_passes *p = &m->passes;
    uint64_t page = page_of(course->va);
    if (n == 0)
        return;
    if (course->walks != TS_MMU_WALKS_FIRST) {
        bool walks = course->walks == TS_MMU_WALKS_ALL;
        bool in_l1 = !walks && hits_l1(m, p->top - p->low);
        count(m, walks ? n : 0, walks ? 0 : n, in_l1);
        if (walks)
            note_walks(m, page - n + 1, page);
        p->made += n;
        return;
    }
    uint64_t begun = (n + course->size - 1) / course->size;
    count(m, begun, n - begun, false);
    note_walks(m, page, page + begun - 1);
    begin_pass(p, page);
    if (begun > 1) {
        p->top = page + begun - 1;
        p->mid = p->top - 1;
        p->low = p->top - course->size;
    }
    p->made = n - (begun - 1) * course->size;
}

/* --- invalidations --- */

bool ts_mmu_passes_ask_(const struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    bool pages = (inval->kinds & TS_TLB_KIND_BIT(TS_TLB_COMBINED)) != 0;
    bool hinted = inval->ttl_level != 0 || inval->ttl_granule != 0;
    return !m->passes.kept || !pages || (inval->all_addresses && !hinted && !m->fractured);
}

uint64_t ts_mmu_passes_drop_(struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    struct mmu_passes *p = &m->passes;
    p->walk_pages = 0;
    if (!ts_tlb_inval_matches(inval, &p->of_all.tags))
        return 0;
    p->kept = false;
    mmu_set_checks(m);
    return entries(m, false) + entries(m, true) - 2;
}
