/* SPDX-License-Identifier: Apache-2.0 */
/* Which region a recorded address belongs to, in one address space.
 *
 * A sorted array of pieces that do not overlap: one stretch of addresses, the region that it is
 * part of and the offset in it. Neighbours that go on in the same region are one piece. All
 * addresses are multiples of a page.
 */
#ifndef TS_WORKLOADS_REGIONS_H
#define TS_WORKLOADS_REGIONS_H

#include "sim/base.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Recordings are taken to be of 4 KiB pages; lengths are rounded up to them. */
#define TS_REGIONS_PAGE UINT64_C(4096)

struct ts_region_piece {
    uint64_t start; /* addresses [start, end) */
    uint64_t end;
    uint64_t offset; /* of start in the region */
    uint32_t region;
    uint32_t tag; /* the user's; one value for a whole region */
};

struct ts_region_pieces {
    struct ts_region_piece *v;
    size_t n;
    size_t cap;
};

struct ts_regions {
    struct ts_region_pieces map;
    uint64_t mapped; /* bytes */
};

void ts_region_pieces_fini(struct ts_region_pieces *p);

/* Zero-initialised is empty. */
void ts_regions_fini(struct ts_regions *r);
/* dst is empty. */
enum ts_status ts_regions_copy(struct ts_regions *dst, const struct ts_regions *src,
                               struct ts_error *err);
/* The piece that address is in, or NULL; valid until the next change. */
const struct ts_region_piece *ts_regions_find(const struct ts_regions *r, uint64_t address);
/* Appends to out what is mapped of [start, end), clipped to it, by rising address. */
enum ts_status ts_regions_collect(const struct ts_regions *r, uint64_t start, uint64_t end,
                                  struct ts_region_pieces *out, struct ts_error *err);
/* The same, and unmaps it. */
enum ts_status ts_regions_remove(struct ts_regions *r, uint64_t start, uint64_t end,
                                 struct ts_region_pieces *out, struct ts_error *err);
/* Maps the piece; nothing may be mapped there. */
enum ts_status ts_regions_insert(struct ts_regions *r, const struct ts_region_piece *piece,
                                 struct ts_error *err);
/* Maps the parts of pieces that are free now: takes back a removal. */
enum ts_status ts_regions_restore(struct ts_regions *r, const struct ts_region_pieces *pieces,
                                  struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
