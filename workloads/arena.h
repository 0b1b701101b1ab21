/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's arena of glibc's malloc that holds one large allocation at a time, and the system
 * calls that it makes (glibc 2.26 to 2.36, malloc/arena.c and malloc/malloc.c; remembered, and the
 * calls were seen with strace under 2.36).
 *
 * Every thread but the first has an arena of its own, up to 8 for each CPU (arena_get2,
 * NARENAS_FROM_NCORES). It lies in a heap: 64 MiB of addresses (HEAP_MAX_SIZE), of which new_heap
 * makes the beginning accessible. What malloc cannot take from the top chunk sysmalloc has from
 * grow_heap, which calls mprotect for what has never been accessible, and nothing else. free joins
 * the chunk with the top, and if that has reached M_TRIM_THRESHOLD, heap_trim gives back all of it
 * but M_TOP_PAD: shrink_heap calls madvise(MADV_DONTNEED) and leaves it accessible. So from the
 * second time on an allocation costs no call, its freeing one, and its new pages a fault each. */
#ifndef TS_WORKLOADS_ARENA_H
#define TS_WORKLOADS_ARENA_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_ARENA_HEAP_MAX (UINT64_C(64) << 20)
/* The largest allocation of which a heap always has room. */
#define TS_ARENA_ALLOCATION_MAX (UINT64_C(32) << 20)

/* Offsets in the heap; bytes. */
struct ts_arena {
    uint64_t top;            /* the top chunk begins */
    uint64_t size;           /* of the heap, the top chunk's end */
    uint64_t accessible;     /* mprotect_size */
    uint64_t top_pad;        /* M_TOP_PAD */
    uint64_t trim_threshold; /* M_TRIM_THRESHOLD */
};

/* What a system call concerns; length 0: there is no call. */
struct ts_arena_range {
    uint64_t offset, length;
};

/* *made: mprotect makes it accessible. */
void ts_arena_init(struct ts_arena *a, uint64_t top_pad, uint64_t trim_threshold,
                   struct ts_arena_range *made);
/* Returns where the memory is. *made: mprotect makes it accessible first. */
uint64_t ts_arena_malloc(struct ts_arena *a, uint64_t bytes, struct ts_arena_range *made);
/* Of what was allocated last. *dropped: given to MADV_DONTNEED. */
void ts_arena_free(struct ts_arena *a, struct ts_arena_range *dropped);

#ifdef __cplusplus
}
#endif
#endif
