/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that a caller can cause or must hear of. A function that can fail returns enum ts_status
 * and fills *err (err is never NULL); on TS_OK it leaves *err untouched. The values are the exit
 * codes of the program. A bug of the simulator is TS_ASSERT, not an error. */
#ifndef TS_SIM_ERROR_H
#define TS_SIM_ERROR_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_status {
    TS_OK = 0,
    TS_ERR_USER = 2,        /* configuration, trace or command line */
    TS_ERR_ENVIRONMENT = 3, /* memory, files, missing libraries */
    TS_ERR_FINDING = 4,     /* the oracle, a sum rule or the watchdog found something */
};

struct ts_error {
    enum ts_status status;
    char file[256];  /* "" when the error has no place */
    uint32_t line;   /* 1-based; 0: none */
    uint32_t column; /* 1-based; 0: none */
    char message[768];
};

/* Fills *err with a formatted message without a place; returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum ts_status
ts_error_set(struct ts_error *err, enum ts_status status, const char *fmt, ...);

/* The same with a place. file may be NULL. */
#if defined(__GNUC__)
__attribute__((format(printf, 6, 7)))
#endif
enum ts_status
ts_error_set_at(struct ts_error *err, enum ts_status status, const char *file, uint32_t line,
                uint32_t column, const char *fmt, ...);

/* The nearest of n names to word by edit distance, or NULL when none is near enough to be meant
 * (distance at most a third of the word's length, at least 1). */
const char *ts_error_nearest(const char *word, const char *const *names, size_t n);

#ifdef __cplusplus
}
#endif
#endif
