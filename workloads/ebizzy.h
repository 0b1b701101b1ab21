/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `ebizzy`: ebizzy 0.3 (V. Henson, R. Branco) with -M, which is mallopt(M_MMAP_MAX,
 * 0): threads that each allocate a copy of a chunk of shared memory, copy the chunk, look a key up
 * in the copy by binary search, and free it. That is a record (search_mem; remembered). What malloc
 * and free ask of the kernel: arena.h. With chunks of 512 KiB a record is 96 page faults and one
 * MADV_DONTNEED of 96 pages, a flush of the whole address space on every CPU that runs the process;
 * mmap_lock is never taken for writing.
 *
 * Thread 0 maps the chunks (region 0), writes them, starts the others and ends; thread t has its
 * heap in region t. All threads draw the same chunks and keys, as the program's do. */
#ifndef TS_WORKLOADS_EBIZZY_H
#define TS_WORKLOADS_EBIZZY_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_ebizzy_params {
    uint64_t threads; /* beside thread 0 */
    uint64_t chunks;
    uint64_t chunk_size;
    uint64_t records; /* of each thread; 0: without end */
    uint64_t copy_rate;
    ts_time search_step;
    uint64_t top_pad;
    uint64_t trim_threshold;
    ts_time stagger; /* each thread first computes for a random time up to this */
};

#ifdef __cplusplus
}
#endif
#endif
