/* SPDX-License-Identifier: Apache-2.0 */
#include "models/abi/linux_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANGES_MAX = 160 };

/* major.minor, as a number that grows with the version; false: text is not of that form. *rest:
 * what follows, a stable release perhaps. */
static bool number_of(const char *text, long *number, const char **rest)
{
    char *end;
    long major, minor;

    if (*text < '0' || *text > '9')
        return false;
    major = strtol(text, &end, 10);
    if (*end != '.' || end[1] < '0' || end[1] > '9')
        return false;
    minor = strtol(end + 1, &end, 10);
    *rest = end;
    *number = (major > 1000 ? 1000 : major) * 1000 + (minor > 999 ? 999 : minor);
    return true;
}

static const char *nearest_to(const struct ts_version_table *table, long wanted)
{
    const char *best = NULL;
    long best_distance = 0;

    for (uint64_t i = 0; table->names[i]; i++) {
        const char *rest;
        long number;
        if (!number_of(table->names[i], &number, &rest))
            continue;
        if (!best || labs(number - wanted) < best_distance) {
            best = table->names[i];
            best_distance = labs(number - wanted);
        }
    }
    TS_ASSERT(best);
    return best;
}

/* "4.14 to 4.20, 5.0 to 5.19": a major version's minors have no gap. */
static void ranges_of(const struct ts_version_table *table, char text[RANGES_MAX])
{
    int at = 0;
    for (uint64_t i = 0; table->names[i]; i++) {
        const char *rest, *next = table->names[i + 1];
        long number, before = -1, after = -1;
        if (i > 0)
            (void)number_of(table->names[i - 1], &before, &rest);
        if (next)
            (void)number_of(next, &after, &rest);
        if (!number_of(table->names[i], &number, &rest) || before / 1000 != number / 1000)
            at += snprintf(text + at, (size_t)(RANGES_MAX - at), "%s%s", i ? ", " : "",
                           table->names[i]);
        else if (after / 1000 != number / 1000)
            at += snprintf(text + at, (size_t)(RANGES_MAX - at), " to %s", table->names[i]);
        TS_ASSERT(at < RANGES_MAX);
    }
}

enum ts_status ts_version_parse(const struct ts_version_table *table, const char *text,
                                uint64_t *version, struct ts_error *err)
{
    const char *rest;
    char ranges[RANGES_MAX];
    long wanted;

    for (uint64_t i = 0; table->names[i]; i++) {
        if (strcmp(table->names[i], text) == 0) {
            *version = i;
            return TS_OK;
        }
    }
    ranges_of(table, ranges);
    if (!number_of(text, &wanted, &rest))
        return ts_error_set(err, TS_ERR_USER, "%s: '%s' is no version of Linux: expected one of %s",
                            table->key, text, ranges);
    return ts_error_set(err, TS_ERR_USER,
                        "%s: version '%s' is unknown, the nearest known is %s (%s%s)", table->key,
                        text, nearest_to(table, wanted), ranges,
                        *rest ? ", each with its last stable release" : "");
}

static uint64_t index_of(const struct ts_version_table *table, const char *name)
{
    uint64_t i = 0;

    while (strcmp(table->names[i], name) != 0)
        i++;
    return i;
}

const struct ts_version_rule *ts_version_rule_of(const struct ts_version_table *table,
                                                 uint64_t version, const char *key)
{
    const struct ts_version_rule *rule = NULL;

    for (size_t i = 0; i < table->nrules; i++) {
        const struct ts_version_rule *r = &table->rules[i];
        if (strcmp(r->key, key) == 0 && index_of(table, r->since) <= version)
            rule = r;
    }
    return rule;
}
