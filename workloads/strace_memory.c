/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory calls of a recording do to an address space, and the operations they become. */
#include "workloads/grow.h"
#include "workloads/strace_task.h"

/* The recording knows how many bits its machine had: 47 or 56 on x86-64, 48 or 52 on arm64, 38, 47
 * or 56 on riscv64, and up to 64 elsewhere. The upper half is the kernel's on all of the first. */
#define ADDRESS_END (UINT64_C(1) << 63)

static bool page_up(uint64_t v, uint64_t *out)
{
    if (v > ADDRESS_END)
        return false;
    *out = (v + TS_REGIONS_PAGE - 1) & ~(TS_REGIONS_PAGE - 1);
    return true;
}

/* The end of the range, page-rounded; false for a range that no successful call can have. */
static bool range_end(uint64_t addr, uint64_t length, uint64_t *end)
{
    uint64_t len = 0;
    if (addr % TS_REGIONS_PAGE != 0 || addr >= ADDRESS_END || length == 0 ||
        !page_up(length, &len) || len > ADDRESS_END - addr)
        return false;
    *end = addr + len;
    return true;
}

static void account(struct ts_strace_replay *r, uint64_t before, const struct ts_strace_mm *mm)
{
    struct ts_strace_counts *c = &r->counts;
    c->mapped_bytes += mm->map.mapped - before; /* modulo 2^64: may be a decrease */
    if (c->mapped_bytes > c->mapped_peak_bytes)
        c->mapped_peak_bytes = c->mapped_bytes;
}

static enum ts_status release(struct ts_strace_replay *r, struct ts_strace_mm *mm, uint64_t start,
                              uint64_t end, struct ts_region_pieces *out, struct ts_error *err)
{
    uint64_t before = mm->map.mapped;
    enum ts_status status = ts_regions_remove(&mm->map, start, end, out, err);
    account(r, before, mm);
    return status;
}

static enum ts_status restore(struct ts_strace_replay *r, struct ts_strace_mm *mm,
                              const struct ts_region_pieces *pieces, struct ts_error *err)
{
    uint64_t before = mm->map.mapped;
    enum ts_status status = ts_regions_restore(&mm->map, pieces, err);
    account(r, before, mm);
    return status;
}

/* The part of one region that begins with the piece at *i, which moves behind it: neighbours may
 * differ in their tags alone. The flags of all are in the tag. */
static struct ts_region_piece next_part(const struct ts_region_pieces *pieces, size_t *i)
{
    struct ts_region_piece part = pieces->v[(*i)++];
    for (; *i < pieces->n; ++*i) {
        const struct ts_region_piece *p = &pieces->v[*i];
        if (p->start != part.end || p->region != part.region ||
            p->offset != part.offset + (part.end - part.start))
            break;
        part.end = p->end;
        part.tag |= p->tag & ((1u << TS_STRACE_TAG_THREAD_SHIFT) - 1u);
    }
    return part;
}

/* One operation per part of a region, all of one call; *same says whether the call has had one
 * already. */
static enum ts_status emit_pieces(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  const struct ts_region_pieces *pieces, enum ts_op_kind kind,
                                  bool *same, struct ts_error *err)
{
    bool touch = false;
    for (size_t i = 0; i < pieces->n;) {
        const struct ts_region_piece p = next_part(pieces, &i);
        struct ts_strace_event e = {
            .op = {
                .kind = kind, .region = p.region, .offset = p.offset, .length = p.end - p.start}};
        if (kind == TS_OP_MPROTECT)
            e.op.prot = t->call.prot & (TS_PROT_READ | TS_PROT_WRITE | TS_PROT_EXEC);
        if (*same)
            e.op.flags |= TS_OPF_SAME_CALL;
        *same = true;
        touch = touch || (p.tag & TS_STRACE_TAG_TOUCHED);
        e.touch =
            kind == TS_OP_MUNMAP && t->call.call == TS_STRACE_MUNMAP && touch && i == pieces->n;
        enum ts_status status = ts_strace_emit(r, t, &e, err);
        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}

/* Unmaps what is in the way of an acquisition. fixed: the call may replace mappings. */
static enum ts_status displace(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t start,
                               uint64_t end, bool fixed, bool *same, struct ts_error *err)
{
    r->scratch.n = 0;
    enum ts_status status = release(r, t->mm, start, end, &r->scratch, err);
    if (status != TS_OK)
        return status;
    if (!fixed && r->scratch.n > 0)
        r->counts.stale_overlaps++;
    return emit_pieces(r, t, &r->scratch, TS_OP_MUNMAP, same, err);
}

static bool touches(const struct ts_strace_replay *r, uint64_t length)
{
    return r->config.touch && length >= r->config.touch_min_length;
}

/* The touch policy applies to this memory now, after all operations of the call. */
static enum ts_status emit_touch(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 uint32_t region, uint64_t offset, uint64_t length,
                                 struct ts_error *err)
{
    struct ts_strace_event e = {
        .op = {.kind = TS_OP_TOUCH, .region = region, .offset = offset, .length = length}};
    return touches(r, length) ? ts_strace_emit(r, t, &e, err) : TS_OK;
}

static uint32_t make_tag(const struct ts_strace_task *t, uint32_t flags)
{
    const uint32_t most = UINT32_MAX >> TS_STRACE_TAG_THREAD_SHIFT;
    return (t->thread < most ? t->thread : most) << TS_STRACE_TAG_THREAD_SHIFT | flags;
}

/* Maps a new region at [start, end), which is free, and gives its number. flags: of the tag. */
static enum ts_status acquire(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t start,
                              uint64_t end, uint32_t flags, uint32_t *region, struct ts_error *err)
{
    if (r->next_region == UINT32_MAX)
        return ts_strace_error(r, err, "more than 2^32 mappings");
    *region = r->next_region++;
    r->counts.regions++;
    t->mm->used = true;
    struct ts_region_piece piece = {start, end, 0, *region, make_tag(t, flags)};
    uint64_t before = t->mm->map.mapped;
    enum ts_status status = ts_regions_insert(&t->mm->map, &piece, err);
    account(r, before, t->mm);
    return status;
}

static enum ts_status emit_mmap(struct ts_strace_replay *r, struct ts_strace_task *t,
                                uint64_t start, uint64_t end, uint32_t prot, uint32_t flags,
                                bool same, struct ts_error *err)
{
    struct ts_strace_event e = {.op = {.kind = TS_OP_MMAP, .length = end - start, .prot = prot}};
    const bool writable = (prot & TS_PROT_WRITE) != 0;
    uint32_t tag = writable ? TS_STRACE_TAG_WRITABLE : 0u;
    if (writable && touches(r, end - start))
        tag |= TS_STRACE_TAG_TOUCHED;
    if (t->call.call == TS_STRACE_SHMAT)
        tag |= TS_STRACE_TAG_SEGMENT;
    e.op.flags = flags | (same ? TS_OPF_SAME_CALL : 0u);
    enum ts_status status = acquire(r, t, start, end, tag, &e.op.region, err);
    if (status == TS_OK)
        status = ts_strace_emit(r, t, &e, err);
    if (status == TS_OK && writable)
        status = emit_touch(r, t, e.op.region, 0, end - start, err);
    return status;
}

/* The kernel gives no thread an address that is in use in its address space. Where one of the two
 * threads is only assumed to share it, it does not. */
static enum ts_status tell_apart(struct ts_strace_replay *r, struct ts_strace_task *t,
                                 uint64_t start, uint64_t end, struct ts_error *err)
{
    r->scratch.n = 0;
    enum ts_status status = ts_regions_collect(&t->mm->map, start, end, &r->scratch, err);
    if (status != TS_OK || r->scratch.n == 0)
        return status;
    const uint32_t thread = r->scratch.v[0].tag >> TS_STRACE_TAG_THREAD_SHIFT;
    if (thread == t->thread)
        return TS_OK;
    if (t->assumed)
        return ts_strace_separate(r, t, err);
    struct ts_strace_task *other = ts_strace_by_thread(r, thread);
    return other && other->assumed && other->mm == t->mm ? ts_strace_separate(r, other, err)
                                                         : TS_OK;
}

static enum ts_status end_mmap(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t start,
                               struct ts_error *err)
{
    const struct ts_strace_record *c = &t->call;
    const bool fixed = (c->flags & TS_STRACE_MAP_FIXED) != 0;
    uint64_t end = 0;
    bool same = false;
    if (!range_end(start, c->length, &end))
        return ts_strace_impossible(r, t, "mmap cannot have returned this range", err);
    enum ts_status status = fixed ? TS_OK : tell_apart(r, t, start, end, err);
    if (status == TS_OK)
        status = displace(r, t, start, end, fixed, &same, err);
    if (status != TS_OK)
        return status;
    uint32_t flags = 0;
    if (c->flags & TS_STRACE_MAP_SHARED)
        flags = TS_OPF_SHARED;
    else if (c->flags & TS_STRACE_MAP_ANONYMOUS)
        flags = TS_OPF_ANONYMOUS;
    if (c->flags & TS_STRACE_MAP_HUGETLB)
        r->counts.huge_mappings++;
    uint32_t prot = c->prot & (TS_PROT_READ | TS_PROT_WRITE | TS_PROT_EXEC);
    return emit_mmap(r, t, start, end, prot, flags, same, err);
}

/* The heap as far as it is known to be mapped: growth is a new region. */
static enum ts_status end_brk(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t ret,
                              struct ts_error *err)
{
    struct ts_strace_mm *mm = t->mm;
    enum ts_status status = TS_OK;
    bool same = false;
    uint64_t old_end = 0, new_end = 0;
    if (!page_up(ret, &new_end))
        return ts_strace_impossible(r, t, "brk cannot have returned this address", err);
    if (!mm->has_brk) {
        mm->has_brk = true;
        mm->brk = ret;
        return TS_OK;
    }
    (void)page_up(mm->brk, &old_end);
    if (ret != t->call.addr) {
        /* A query, or a refusal, which returns the break as it is (mm/mmap.c brk). */
        mm->brk = ret;
        return restore(r, mm, &t->pieces, err);
    }
    mm->brk = ret;
    if (new_end < old_end)
        return emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    if (new_end == old_end)
        return TS_OK;
    status = displace(r, t, old_end, new_end, false, &same, err);
    if (status != TS_OK)
        return status;
    return emit_mmap(r, t, old_end, new_end, TS_PROT_READ | TS_PROT_WRITE, TS_OPF_ANONYMOUS, same,
                     err);
}

/* An mremap that left the memory where it was. */
static enum ts_status end_mremap_in_place(struct ts_strace_replay *r, struct ts_strace_task *t,
                                          uint64_t old_end, uint64_t new_end, struct ts_error *err)
{
    bool same = false;
    enum ts_status status = restore(r, t->mm, &t->pieces, err);
    if (status != TS_OK || new_end == old_end)
        return status;
    if (new_end > old_end) {
        status = displace(r, t, old_end, new_end, false, &same, err);
        if (status != TS_OK)
            return status;
        return emit_mmap(r, t, old_end, new_end, TS_PROT_READ | TS_PROT_WRITE, TS_OPF_ANONYMOUS,
                         same, err);
    }
    t->pieces.n = 0;
    status = release(r, t->mm, new_end, old_end, &t->pieces, err);
    if (status != TS_OK)
        return status;
    return emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
}

static enum ts_status end_mremap(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t to,
                                 struct ts_error *err)
{
    const struct ts_strace_record *c = &t->call;
    uint64_t old_end = c->addr, new_end = 0, moved_end = 0;
    bool same = false;
    if ((c->length != 0 && !range_end(c->addr, c->length, &old_end)) ||
        !range_end(c->addr, c->new_length, &new_end) || !range_end(to, c->new_length, &moved_end))
        return ts_strace_impossible(r, t, "mremap cannot have done this", err);
    if (to == c->addr)
        return end_mremap_in_place(r, t, old_end, new_end, err);

    enum ts_status status = TS_OK;
    if (c->flags & TS_STRACE_MREMAP_DONTUNMAP) {
        /* The old range stays mapped and loses its pages (mm/mremap.c). */
        status = restore(r, t->mm, &t->pieces, err);
        if (status == TS_OK)
            status = emit_pieces(r, t, &t->pieces, TS_OP_MADVISE_DONTNEED, &same, err);
        t->pieces.n = 0;
    }
    if (status == TS_OK)
        status =
            displace(r, t, to, moved_end, (c->flags & TS_STRACE_MREMAP_FIXED) != 0, &same, err);
    if (status != TS_OK)
        return status;
    /* TS_OP_MREMAP names its source by region and length alone. */
    size_t parts = 0;
    struct ts_region_piece p = {0};
    if (t->pieces.n > 0)
        p = next_part(&t->pieces, &parts);
    if (t->pieces.n > 0 && parts == t->pieces.n && p.offset == 0 && p.start == c->addr &&
        p.end == old_end) {
        struct ts_strace_event e = {.op = {.kind = TS_OP_MREMAP,
                                           .region = p.region,
                                           .length = old_end - c->addr,
                                           .length2 = moved_end - to}};
        if (same)
            e.op.flags = TS_OPF_SAME_CALL;
        const uint32_t tag = p.tag & (TS_STRACE_TAG_TOUCHED | TS_STRACE_TAG_WRITABLE);
        status = acquire(r, t, to, moved_end, tag, &e.op.target, err);
        if (status == TS_OK)
            status = ts_strace_emit(r, t, &e, err);
        if (status == TS_OK && (tag & TS_STRACE_TAG_WRITABLE) && e.op.length2 > e.op.length)
            status = emit_touch(r, t, e.op.target, e.op.length, e.op.length2 - e.op.length, err);
        return status;
    }
    status = emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    if (status != TS_OK)
        return status;
    return emit_mmap(r, t, to, moved_end, TS_PROT_READ | TS_PROT_WRITE, TS_OPF_ANONYMOUS, same,
                     err);
}

/* --- rights and advice ------------------------------------------------------------------------ */

/* Sets and clears bits of the tag of the part of one region. */
static enum ts_status retag(struct ts_strace_replay *r, struct ts_strace_mm *mm,
                            const struct ts_region_piece *p, uint32_t set, uint32_t clear,
                            struct ts_error *err)
{
    if ((p->tag & set) == set && !(p->tag & clear))
        return TS_OK;
    r->scratch.n = 0;
    enum ts_status status = ts_regions_remove(&mm->map, p->start, p->end, &r->scratch, err);
    for (size_t i = 0; i < r->scratch.n && status == TS_OK; i++) {
        struct ts_region_piece *part = &r->scratch.v[i];
        if (part->region == p->region) /* else another thread has put something there */
            part->tag = (part->tag | set) & ~clear;
        status = ts_regions_insert(&mm->map, part, err);
    }
    return status;
}

/* The touch policy after the call, for those of its pieces that are writable then. */
static enum ts_status touch_pieces(struct ts_strace_replay *r, struct ts_strace_task *t,
                                   struct ts_error *err)
{
    enum ts_status status = TS_OK;
    for (size_t i = 0; i < t->pieces.n && status == TS_OK; i++) {
        const struct ts_region_piece *p = &t->pieces.v[i];
        const bool protects = t->call.call == TS_STRACE_MPROTECT;
        const bool was = (p->tag & TS_STRACE_TAG_WRITABLE) != 0;
        const bool is = protects ? (t->call.prot & TS_PROT_WRITE) != 0 : was;
        const bool touch = is && was != protects && touches(r, p->end - p->start);
        status = retag(r, t->mm, p,
                       (is ? TS_STRACE_TAG_WRITABLE : 0u) | (touch ? TS_STRACE_TAG_TOUCHED : 0u),
                       is ? 0u : TS_STRACE_TAG_WRITABLE, err);
        if (status == TS_OK && touch)
            status = emit_touch(r, t, p->region, p->offset, p->end - p->start, err);
    }
    return status;
}

enum ts_status ts_strace_memory_touch(struct ts_strace_replay *r, struct ts_strace_task *t,
                                      const struct ts_strace_record *rec, struct ts_error *err)
{
    const struct ts_region_piece *found = ts_regions_find(&t->mm->map, rec->addr);
    if (!found) {
        r->counts.unknown_touches++;
        return TS_OK;
    }
    const struct ts_region_piece p = *found;
    const uint64_t offset = (rec->addr & ~(TS_REGIONS_PAGE - 1)) - p.start + p.offset;
    struct ts_strace_event e = {
        .op = {.kind = TS_OP_TOUCH, .region = p.region, .offset = offset, .count = 1},
        .recorded = true};
    e.op.stride = TS_REGIONS_PAGE;
    e.op.flags = rec->prot & TS_STRACE_PROT_WRITE  ? TS_OPF_WRITE
                 : rec->prot & TS_STRACE_PROT_EXEC ? TS_OPF_FETCH
                                                   : 0u;
    r->counts.touches++;
    if (!r->config.recorded_touches)
        return TS_OK;
    enum ts_status status = retag(r, t->mm, &p, TS_STRACE_TAG_TOUCHED, 0, err);
    return status == TS_OK ? ts_strace_emit(r, t, &e, err) : status;
}

/* MADV_REMOVE punches a hole into the file, MADV_GUARD_INSTALL (Linux 6.13) puts markers in the
 * pages' place: each zaps page-table entries as MADV_DONTNEED does (mm/madvise.c). */
static bool changes_entries(uint32_t advice)
{
    return advice == TS_STRACE_MADV_DONTNEED || advice == TS_STRACE_MADV_FREE ||
           advice == TS_STRACE_MADV_COLD || advice == TS_STRACE_MADV_DONTNEED_LOCKED ||
           advice == TS_STRACE_MADV_REMOVE || advice == TS_STRACE_MADV_PAGEOUT ||
           advice == TS_STRACE_MADV_GUARD_INSTALL;
}

/* Whether the memory is used again as it was before: what frees memory to an allocator. */
static bool is_purge(uint32_t advice)
{
    return advice == TS_STRACE_MADV_DONTNEED || advice == TS_STRACE_MADV_FREE ||
           advice == TS_STRACE_MADV_DONTNEED_LOCKED;
}

static bool is_about_huge_pages(uint32_t advice)
{
    return advice == TS_STRACE_MADV_HUGEPAGE || advice == TS_STRACE_MADV_NOHUGEPAGE ||
           advice == TS_STRACE_MADV_COLLAPSE;
}

static enum ts_op_kind madvise_kind(uint32_t advice)
{
    switch (advice) {
    case TS_STRACE_MADV_HUGEPAGE:
        return TS_OP_MADVISE_HUGEPAGE;
    case TS_STRACE_MADV_NOHUGEPAGE:
        return TS_OP_MADVISE_NOHUGEPAGE;
    case TS_STRACE_MADV_COLLAPSE:
        return TS_OP_MADVISE_COLLAPSE;
    case TS_STRACE_MADV_FREE:
        return TS_OP_MADVISE_FREE;
    case TS_STRACE_MADV_COLD:
        return TS_OP_MADVISE_COLD;
    case TS_STRACE_MADV_PAGEOUT:
        return TS_OP_MADVISE_PAGEOUT;
    default:
        return TS_OP_MADVISE_DONTNEED;
    }
}

static enum ts_status end_madvise(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  struct ts_error *err)
{
    const uint32_t advice = t->call.advice;
    bool same = false;
    if (advice == TS_STRACE_MADV_HWPOISON || advice == TS_STRACE_MADV_SOFT_OFFLINE) {
        r->counts.not_modelled++;
        return TS_OK;
    }
    if (!changes_entries(advice) && !is_about_huge_pages(advice)) {
        r->counts.advice_ignored++;
        return TS_OK;
    }
    if (t->pieces.n == 0)
        r->counts.unknown_ranges++;
    enum ts_status status = emit_pieces(r, t, &t->pieces, madvise_kind(advice), &same, err);
    return status == TS_OK && is_purge(advice) ? touch_pieces(r, t, err) : status;
}

/* --- segments of System V ----------------------------------------------------------------------
 */

/* shmat does not tell the length of its segment; shmget does, where it was recorded. */
static enum ts_status end_shmget(struct ts_strace_replay *r, const struct ts_strace_task *t,
                                 uint64_t id, struct ts_error *err)
{
    struct ts_strace_segment *v =
        ts_grow(r->segments, &r->cap_segments, r->nsegments + 1, sizeof(*v), err);
    if (!v)
        return TS_ERR_ENVIRONMENT;
    r->segments = v;
    v[r->nsegments++] = (struct ts_strace_segment){id, t->call.length};
    return TS_OK;
}

static enum ts_status end_shmat(struct ts_strace_replay *r, struct ts_strace_task *t,
                                uint64_t start, struct ts_error *err)
{
    uint64_t length = 0, end = 0;
    bool same = false;
    for (size_t i = r->nsegments; i-- > 0 && length == 0;)
        if (r->segments[i].id == t->call.addr)
            length = r->segments[i].length;
    if (length == 0) {
        r->counts.not_modelled++;
        return TS_OK;
    }
    if (!range_end(start, length, &end))
        return ts_strace_impossible(r, t, "shmat cannot have returned this address", err);
    enum ts_status status = displace(r, t, start, end, false, &same, err);
    if (status != TS_OK)
        return status;
    uint32_t prot = TS_PROT_READ;
    if (!(t->call.flags & TS_STRACE_SHM_RDONLY))
        prot |= TS_PROT_WRITE;
    return emit_mmap(r, t, start, end, prot, TS_OPF_SHARED, same, err);
}

/* Takes out what shmat has mapped there; munmap may have cut it to pieces. */
static enum ts_status start_shmdt(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  struct ts_error *err)
{
    const uint64_t start = t->call.addr;
    r->scratch.n = 0;
    enum ts_status status = ts_regions_collect(&t->mm->map, start, ADDRESS_END, &r->scratch, err);
    const struct ts_region_piece *p = r->scratch.v;
    if (status != TS_OK || r->scratch.n == 0 || p->start != start || p->offset != 0 ||
        !(p->tag & TS_STRACE_TAG_SEGMENT))
        return status;
    uint64_t end = p->end;
    for (size_t i = 1; i < r->scratch.n && p[i].start == end && p[i].region == p->region; i++)
        end = p[i].end;
    return release(r, t->mm, start, end, &t->pieces, err);
}

/* --- start and end of a call -------------------------------------------------------------------
 */

enum ts_status ts_strace_memory_start(struct ts_strace_replay *r, struct ts_strace_task *t,
                                      struct ts_error *err)
{
    const struct ts_strace_record *c = &t->call;
    uint64_t end = 0, old_end = 0;
    t->pieces.n = 0;
    switch (c->call) {
    case TS_STRACE_MUNMAP:
    case TS_STRACE_MREMAP:
        if (!range_end(c->addr, c->length, &end))
            return TS_OK;
        return release(r, t->mm, c->addr, end, &t->pieces, err);
    case TS_STRACE_MPROTECT:
    case TS_STRACE_MADVISE:
        if (!range_end(c->addr, c->length, &end) ||
            (c->call == TS_STRACE_MADVISE && !changes_entries(c->advice) &&
             !is_about_huge_pages(c->advice)))
            return TS_OK;
        return ts_regions_collect(&t->mm->map, c->addr, end, &t->pieces, err);
    case TS_STRACE_BRK:
        if (c->addr == 0 || !t->mm->has_brk || !page_up(c->addr, &end) ||
            !page_up(t->mm->brk, &old_end) || end >= old_end)
            return TS_OK;
        return release(r, t->mm, end, old_end, &t->pieces, err);
    case TS_STRACE_SHMDT:
        return start_shmdt(r, t, err);
    default:
        return TS_OK;
    }
}

enum ts_status ts_strace_memory_undo(struct ts_strace_replay *r, struct ts_strace_task *t,
                                     struct ts_error *err)
{
    switch (t->call.call) {
    case TS_STRACE_MUNMAP:
    case TS_STRACE_MREMAP:
    case TS_STRACE_BRK:
    case TS_STRACE_SHMDT:
        return restore(r, t->mm, &t->pieces, err);
    default:
        return TS_OK;
    }
}

enum ts_status ts_strace_memory_end(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    uint64_t ret, struct ts_error *err)
{
    bool same = false;
    enum ts_status status = TS_OK;
    if ((t->call.call == TS_STRACE_MUNMAP || t->call.call == TS_STRACE_MPROTECT) &&
        t->pieces.n == 0)
        r->counts.unknown_ranges++;
    switch (t->call.call) {
    case TS_STRACE_MMAP:
        return end_mmap(r, t, ret, err);
    case TS_STRACE_MUNMAP:
        return emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    case TS_STRACE_MPROTECT:
        status = emit_pieces(r, t, &t->pieces, TS_OP_MPROTECT, &same, err);
        return status == TS_OK ? touch_pieces(r, t, err) : status;
    case TS_STRACE_MADVISE:
        return end_madvise(r, t, err);
    case TS_STRACE_MREMAP:
        return end_mremap(r, t, ret, err);
    case TS_STRACE_BRK:
        return end_brk(r, t, ret, err);
    case TS_STRACE_SHMGET:
        return end_shmget(r, t, ret, err);
    case TS_STRACE_SHMAT:
        return end_shmat(r, t, ret, err);
    case TS_STRACE_SHMDT:
        r->counts.not_modelled += t->pieces.n == 0;
        return emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    case TS_STRACE_UNMODELLED:
        r->counts.not_modelled++;
        return TS_OK;
    default:
        return TS_OK;
    }
}
