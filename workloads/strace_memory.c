/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory calls of a recording do to an address space, and the operations they become. */
#include "workloads/strace_task.h"

/* Above every user address of x86-64 (56 bits with five levels) and arm64 (52 bits). */
#define ADDRESS_END (UINT64_C(1) << 57)

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

/* One operation per piece, all of one call; *same says whether the call has had one already. */
static enum ts_status emit_pieces(struct ts_strace_replay *r, struct ts_strace_task *t,
                                  const struct ts_region_pieces *pieces, enum ts_op_kind kind,
                                  bool *same, struct ts_error *err)
{
    bool touch = false;
    for (size_t i = 0; i < pieces->n; i++) {
        const struct ts_region_piece *p = &pieces->v[i];
        struct ts_strace_event e = {.op = {.kind = kind,
                                           .region = p->region,
                                           .offset = p->offset,
                                           .length = p->end - p->start}};
        if (kind == TS_OP_MPROTECT)
            e.op.prot = t->call.prot & (TS_PROT_READ | TS_PROT_WRITE | TS_PROT_EXEC);
        if (*same)
            e.op.flags |= TS_OPF_SAME_CALL;
        *same = true;
        touch = touch || p->tag != 0;
        e.touch =
            kind == TS_OP_MUNMAP && t->call.call == TS_STRACE_MUNMAP && touch && i + 1 == pieces->n;
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

/* Maps a new region at [start, end), which is free, and gives its number. */
static enum ts_status acquire(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t start,
                              uint64_t end, bool touch, uint32_t *region, struct ts_error *err)
{
    if (r->next_region == UINT32_MAX)
        return ts_strace_error(r, err, "more than 2^32 mappings");
    *region = r->next_region++;
    r->counts.regions++;
    t->mm->used = true;
    struct ts_region_piece piece = {start, end, 0, *region, touch ? 1u : 0u};
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
    e.op.flags = flags | (same ? TS_OPF_SAME_CALL : 0u);
    e.touch = t->call.call == TS_STRACE_MMAP && r->config.touch && (flags & TS_OPF_ANONYMOUS) &&
              (prot & TS_PROT_WRITE) && end - start >= r->config.touch_min_length;
    enum ts_status status = acquire(r, t, start, end, e.touch, &e.op.region, err);
    return status == TS_OK ? ts_strace_emit(r, t, &e, err) : status;
}

static enum ts_status end_mmap(struct ts_strace_replay *r, struct ts_strace_task *t, uint64_t start,
                               struct ts_error *err)
{
    const struct ts_strace_record *c = &t->call;
    uint64_t end = 0;
    bool same = false;
    if (!range_end(start, c->length, &end))
        return ts_strace_error(r, err, "mmap cannot have returned this range");
    enum ts_status status =
        displace(r, t, start, end, (c->flags & TS_STRACE_MAP_FIXED) != 0, &same, err);
    if (status != TS_OK)
        return status;
    uint32_t flags = 0;
    if (c->flags & TS_STRACE_MAP_SHARED)
        flags = TS_OPF_SHARED;
    else if (c->flags & TS_STRACE_MAP_ANONYMOUS)
        flags = TS_OPF_ANONYMOUS;
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
        return ts_strace_error(r, err, "brk cannot have returned this address");
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
        return ts_strace_error(r, err, "mremap cannot have done this");
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
    const struct ts_region_piece *p = t->pieces.v;
    if (t->pieces.n == 1 && p->offset == 0 && p->start == c->addr && p->end == old_end) {
        struct ts_strace_event e = {.op = {.kind = TS_OP_MREMAP,
                                           .region = p->region,
                                           .length = old_end - c->addr,
                                           .length2 = moved_end - to}};
        if (same)
            e.op.flags = TS_OPF_SAME_CALL;
        status = acquire(r, t, to, moved_end, p->tag != 0, &e.op.target, err);
        return status == TS_OK ? ts_strace_emit(r, t, &e, err) : status;
    }
    status = emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    if (status != TS_OK)
        return status;
    return emit_mmap(r, t, to, moved_end, TS_PROT_READ | TS_PROT_WRITE, TS_OPF_ANONYMOUS, same,
                     err);
}

static bool drops_pages(uint32_t advice)
{
    return advice == TS_STRACE_MADV_DONTNEED || advice == TS_STRACE_MADV_FREE ||
           advice == TS_STRACE_MADV_DONTNEED_LOCKED;
}

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
            (c->call == TS_STRACE_MADVISE && !drops_pages(c->advice)))
            return TS_OK;
        return ts_regions_collect(&t->mm->map, c->addr, end, &t->pieces, err);
    case TS_STRACE_BRK:
        if (c->addr == 0 || !t->mm->has_brk || !page_up(c->addr, &end) ||
            !page_up(t->mm->brk, &old_end) || end >= old_end)
            return TS_OK;
        return release(r, t->mm, end, old_end, &t->pieces, err);
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
        return restore(r, t->mm, &t->pieces, err);
    default:
        return TS_OK;
    }
}

enum ts_status ts_strace_memory_end(struct ts_strace_replay *r, struct ts_strace_task *t,
                                    uint64_t ret, struct ts_error *err)
{
    bool same = false;
    bool range = t->call.call == TS_STRACE_MUNMAP || t->call.call == TS_STRACE_MPROTECT ||
                 t->call.call == TS_STRACE_MADVISE;
    if (t->call.call == TS_STRACE_MADVISE && !drops_pages(t->call.advice)) {
        r->counts.advice_ignored++;
        return TS_OK;
    }
    if (range && t->pieces.n == 0)
        r->counts.unknown_ranges++;
    switch (t->call.call) {
    case TS_STRACE_MMAP:
        return end_mmap(r, t, ret, err);
    case TS_STRACE_MUNMAP:
        return emit_pieces(r, t, &t->pieces, TS_OP_MUNMAP, &same, err);
    case TS_STRACE_MPROTECT:
        return emit_pieces(r, t, &t->pieces, TS_OP_MPROTECT, &same, err);
    case TS_STRACE_MADVISE:
        return emit_pieces(r, t, &t->pieces, TS_OP_MADVISE_DONTNEED, &same, err);
    case TS_STRACE_MREMAP:
        return end_mremap(r, t, ret, err);
    case TS_STRACE_BRK:
        return end_brk(r, t, ret, err);
    default:
        return TS_OK;
    }
}
