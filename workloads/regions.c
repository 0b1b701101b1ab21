/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/regions.h"

#include "workloads/grow.h"

#include <string.h>

static enum ts_status reserve(struct ts_region_pieces *p, size_t more, struct ts_error *err)
{
    struct ts_region_piece *v =
        (struct ts_region_piece *)ts_grow(p->v, &p->cap, p->n + more, sizeof(*p->v), err);
    if (!v)
        return TS_ERR_ENVIRONMENT;
    p->v = v;
    return TS_OK;
}

void ts_region_pieces_fini(struct ts_region_pieces *p)
{
    free(p->v);
    memset(p, 0, sizeof(*p));
}

void ts_regions_fini(struct ts_regions *r)
{
    ts_region_pieces_fini(&r->map);
    r->mapped = 0;
}

enum ts_status ts_regions_copy(struct ts_regions *dst, const struct ts_regions *src,
                               struct ts_error *err)
{
    TS_ASSERT(dst->map.n == 0);
    enum ts_status status = reserve(&dst->map, src->map.n, err);
    if (status != TS_OK)
        return status;
    if (src->map.n > 0)
        memcpy(dst->map.v, src->map.v, src->map.n * sizeof(*src->map.v));
    dst->map.n = src->map.n;
    dst->mapped = src->mapped;
    return TS_OK;
}

/* Index of the first piece that ends after addr. */
static size_t find(const struct ts_regions *r, uint64_t addr)
{
    size_t lo = 0, hi = r->map.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2u;
        if (r->map.v[mid].end > addr)
            hi = mid;
        else
            lo = mid + 1u;
    }
    return lo;
}

static struct ts_region_piece clip(struct ts_region_piece p, uint64_t start, uint64_t end)
{
    if (p.start < start) {
        p.offset += start - p.start;
        p.start = start;
    }
    if (p.end > end)
        p.end = end;
    return p;
}

static size_t count_overlaps(const struct ts_regions *r, size_t first, uint64_t end)
{
    size_t n = first;
    while (n < r->map.n && r->map.v[n].start < end)
        n++;
    return n - first;
}

const struct ts_region_piece *ts_regions_find(const struct ts_regions *r, uint64_t address)
{
    const size_t i = find(r, address);
    return i < r->map.n && r->map.v[i].start <= address ? &r->map.v[i] : NULL;
}

enum ts_status ts_regions_collect(const struct ts_regions *r, uint64_t start, uint64_t end,
                                  struct ts_region_pieces *out, struct ts_error *err)
{
    size_t first = find(r, start);
    size_t n = start < end ? count_overlaps(r, first, end) : 0;
    enum ts_status status = reserve(out, n, err);
    if (status != TS_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        out->v[out->n++] = clip(r->map.v[first + i], start, end);
    return TS_OK;
}

/* Replaces count pieces at index by the n of with; there is room. */
static void splice(struct ts_region_pieces *p, size_t index, size_t count,
                   const struct ts_region_piece *with, size_t n)
{
    memmove(p->v + index + n, p->v + index + count, (p->n - index - count) * sizeof(*p->v));
    if (n > 0)
        memcpy(p->v + index, with, n * sizeof(*p->v));
    p->n = p->n - count + n;
}

enum ts_status ts_regions_remove(struct ts_regions *r, uint64_t start, uint64_t end,
                                 struct ts_region_pieces *out, struct ts_error *err)
{
    size_t before = out->n;
    /* A hole in the middle of one piece makes two. */
    enum ts_status status = reserve(&r->map, 1, err);
    if (status == TS_OK)
        status = ts_regions_collect(r, start, end, out, err);
    if (status != TS_OK || out->n == before)
        return status;

    size_t first = find(r, start);
    size_t n = out->n - before;
    struct ts_region_piece rest[2];
    size_t nrest = 0;
    if (r->map.v[first].start < start)
        rest[nrest++] = clip(r->map.v[first], 0, start);
    if (r->map.v[first + n - 1].end > end)
        rest[nrest++] = clip(r->map.v[first + n - 1], end, UINT64_MAX);
    splice(&r->map, first, n, rest, nrest);
    for (size_t i = before; i < out->n; i++)
        r->mapped -= out->v[i].end - out->v[i].start;
    return TS_OK;
}

static bool continues(const struct ts_region_piece *a, const struct ts_region_piece *b)
{
    return a->end == b->start && a->region == b->region && a->tag == b->tag &&
           a->offset + (a->end - a->start) == b->offset;
}

enum ts_status ts_regions_insert(struct ts_regions *r, const struct ts_region_piece *piece,
                                 struct ts_error *err)
{
    TS_ASSERT(piece->start < piece->end);
    enum ts_status status = reserve(&r->map, 1, err);
    if (status != TS_OK)
        return status;
    size_t at = find(r, piece->start);
    TS_ASSERT(at == r->map.n || r->map.v[at].start >= piece->end);

    struct ts_region_piece whole = *piece;
    size_t replaced = 0;
    if (at < r->map.n && continues(piece, &r->map.v[at])) {
        whole.end = r->map.v[at].end;
        replaced++;
    }
    if (at > 0 && continues(&r->map.v[at - 1], piece)) {
        at--;
        whole.start = r->map.v[at].start;
        whole.offset = r->map.v[at].offset;
        replaced++;
    }
    splice(&r->map, at, replaced, &whole, 1);
    r->mapped += piece->end - piece->start;
    return TS_OK;
}

enum ts_status ts_regions_restore(struct ts_regions *r, const struct ts_region_pieces *pieces,
                                  struct ts_error *err)
{
    for (size_t i = 0; i < pieces->n; i++) {
        struct ts_region_piece left = pieces->v[i];
        while (left.start < left.end) {
            size_t at = find(r, left.start);
            uint64_t next = at < r->map.n ? r->map.v[at].start : UINT64_MAX;
            if (next > left.start) {
                uint64_t end = next < left.end ? next : left.end;
                struct ts_region_piece part = clip(left, 0, end);
                enum ts_status status = ts_regions_insert(r, &part, err);
                if (status != TS_OK)
                    return status;
                left = clip(left, end, UINT64_MAX);
            } else {
                uint64_t end = r->map.v[at].end;
                left = clip(left, end, UINT64_MAX);
            }
        }
    }
    return TS_OK;
}
