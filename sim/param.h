/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters are table rows beside the model: key, type, unit, bounds, default, help, source and
 * confidence. Every parameter is a uint64_t field of the model's parameter struct, in the base
 * unit of its type. Validation, `explain`, documentation and the JSON Schema come from the rows. */
#ifndef TS_SIM_PARAM_H
#define TS_SIM_PARAM_H

#include "sim/base.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_param_type {
    TS_PARAM_COUNT,  /* plain number */
    TS_PARAM_BOOL,   /* true, false, on, off, yes, no -> 0 or 1 */
    TS_PARAM_TIME,   /* ps, ns, us, ms, s -> ps; the unit is required (except for 0) */
    TS_PARAM_CYCLES, /* "12cycles" or "12 cycles"; the unit is required (except for 0) */
    TS_PARAM_FREQ,   /* Hz, kHz, MHz, GHz -> Hz; required */
    TS_PARAM_BYTES,  /* B, KiB, MiB, GiB, TiB -> bytes; required (except for 0) */
    TS_PARAM_RATE,   /* B/s, KB/s, MB/s, GB/s, GiB/s -> bytes per second; required */
    TS_PARAM_ENUM    /* one of enum_names -> its index */
};

/* Marks of docs/reference/calibration.md. REMEMBERED and GUESS are shown to the user as assumed. */
enum ts_confidence {
    TS_CONF_VERBATIM,   /* V: read in the named source */
    TS_CONF_DERIVED,    /* D: formula over verbatim figures */
    TS_CONF_REMEMBERED, /* R */
    TS_CONF_GUESS,      /* G */
    TS_CONF_CHOICE,     /* not a fact: a setting of the experiment */
    TS_CONF_MEASURED    /* by tlbstorm calibrate, on the machine that the source names */
};

struct ts_param {
    const char *key; /* relative to its table's prefix, may hold dots */
    enum ts_param_type type;
    size_t offset;                 /* of the uint64_t in the parameter struct */
    uint64_t def, min, max;        /* base unit, inclusive bounds */
    const char *const *enum_names; /* NULL-ended, for TS_PARAM_ENUM */
    const char *help;
    const char *source;
    enum ts_confidence confidence;
};

struct ts_param_table {
    const char *prefix; /* "tlb", "interconnect", ... */
    const struct ts_param *rows;
    size_t nrows;
};

void ts_param_defaults(const struct ts_param_table *table, void *base);
/* The row of key (relative), or NULL. */
const struct ts_param *ts_param_find(const struct ts_param_table *table, const char *key);
/* Parses text by the row's type and unit, checks the bounds, stores into base. The message names
 * the value, what is accepted and the bounds; the place is the caller's to add. */
enum ts_status ts_param_set(const struct ts_param *row, void *base, const char *text,
                            struct ts_error *err);
/* Parses only. */
enum ts_status ts_param_parse(const struct ts_param *row, const char *text, uint64_t *value,
                              struct ts_error *err);
/* The value in the largest unit that is exact ("2500MHz", "180ns"); what ts_param_parse reads
 * back. Returns the length as snprintf does. */
int ts_param_format(const struct ts_param *row, uint64_t value, char *buf, size_t size);
/* The bounds of every row, for a struct that was not filled by the rows. */
enum ts_status ts_param_check(const struct ts_param_table *table, const void *base,
                              struct ts_error *err);
uint64_t ts_param_get(const struct ts_param *row, const void *base);
const char *ts_param_type_name(enum ts_param_type type);
const char *ts_confidence_name(enum ts_confidence confidence); /* "verbatim", ... */
bool ts_confidence_assumed(enum ts_confidence confidence);     /* remembered or guess */

#ifdef __cplusplus
}
#endif
#endif
