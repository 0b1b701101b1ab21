/* SPDX-License-Identifier: Apache-2.0 */
/* Types and checks that every file of the core uses.
 *
 * Time is an unsigned count of picoseconds: 2^64 ps are about 213 days, and 1 ps is SystemC's
 * default resolution, so times convert one to one.
 */
#ifndef TS_SIM_BASE_H
#define TS_SIM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t ts_time;

#define TS_PS ((ts_time)1)
#define TS_NS ((ts_time)1000)
#define TS_US ((ts_time)1000000)
#define TS_MS ((ts_time)1000000000)
#define TS_S ((ts_time)1000000000000)
/* "No such time"; never the time of an event. */
#define TS_TIME_NEVER UINT64_MAX

#define TS_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TS_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* a * b / c, rounded down; fits. */
static inline uint64_t ts_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)((u128)a * b / c);
}

/* A broken invariant of the simulator itself: says where on standard error and aborts. It is the
 * only thing the core ever prints. Never used for anything a user can cause. */
#if defined(__GNUC__)
__attribute__((noreturn, cold))
#endif
void ts_bug(const char *file, int line, const char *condition);

/* Always on, in every build type. */
#define TS_ASSERT(cond) ((cond) ? (void)0 : ts_bug(__FILE__, __LINE__, #cond))

#ifdef __cplusplus
}
#endif
#endif
