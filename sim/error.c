/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No name of the program is longer; a longer word has no near name. */
#define NEAREST_MAX 64u

/* Formats into locals first: the arguments may be parts of *err, as when a caller adds a prefix. */
static void error_fill(struct ts_error *err, enum ts_status status, const char *file, uint32_t line,
                       uint32_t column, const char *fmt, va_list args)
{
    struct ts_error filled;

    TS_ASSERT(err != NULL && status != TS_OK);
    filled.status = status;
    filled.line = line;
    filled.column = column;
    snprintf(filled.file, sizeof(filled.file), "%s", file ? file : "");
    vsnprintf(filled.message, sizeof(filled.message), fmt, args);
    err->status = status;
    err->line = line;
    err->column = column;
    strcpy(err->file, filled.file);
    strcpy(err->message, filled.message);
}

enum ts_status ts_error_set(struct ts_error *err, enum ts_status status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_fill(err, status, NULL, 0, 0, fmt, args);
    va_end(args);
    return status;
}

enum ts_status ts_error_set_at(struct ts_error *err, enum ts_status status, const char *file,
                               uint32_t line, uint32_t column, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_fill(err, status, file, line, column, fmt, args);
    va_end(args);
    return status;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Levenshtein distance; both lengths are below NEAREST_MAX. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t row[NEAREST_MAX];

    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = min3(replaced, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[nb];
}

const char *ts_error_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t length = strlen(word);
    size_t allowed = length / 3 > 1 ? length / 3 : 1;

    if (length >= NEAREST_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t name_length = strlen(names[i]);
        size_t distance;

        if (name_length >= NEAREST_MAX)
            continue;
        distance = edit_distance(word, length, names[i], name_length);
        if (distance > allowed)
            continue;
        /* Only a nearer name replaces this one: the first wins a tie. */
        best = names[i];
        if (distance == 0)
            break;
        allowed = distance - 1;
    }
    return best;
}
