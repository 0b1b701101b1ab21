/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/param.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 ts_u128;

/* A unit of a type; scale is in the base unit. */
struct param_unit {
    const char *name;
    uint64_t scale;
};

/* Ascending by scale; the first is the base unit, the one written for 0. A unit whose scale stands
 * there already is an alias that is read and never written. */
static const struct param_unit time_units[] = {{"ps", TS_PS}, {"ns", TS_NS}, {"us", TS_US},
                                               {"ms", TS_MS}, {"s", TS_S},   {NULL, 0}};
static const struct param_unit cycle_units[] = {{"cycles", 1}, {"cycle", 1}, {NULL, 0}};
static const struct param_unit freq_units[] = {
    {"Hz", 1}, {"kHz", 1000}, {"MHz", 1000000}, {"GHz", 1000000000}, {NULL, 0}};
static const struct param_unit byte_units[] = {{"B", 1},
                                               {"KiB", UINT64_C(1) << 10},
                                               {"MiB", UINT64_C(1) << 20},
                                               {"GiB", UINT64_C(1) << 30},
                                               {"TiB", UINT64_C(1) << 40},
                                               {NULL, 0}};
static const struct param_unit rate_units[] = {{"B/s", 1},           {"KB/s", 1000},
                                               {"MB/s", 1000000},    {"GB/s", 1000000000},
                                               {"GiB/s", 1u << 30u}, {NULL, 0}};
static const struct param_unit no_units[] = {{"", 1}, {NULL, 0}};

struct param_type_info {
    const char *name;
    const struct param_unit *units;
    const char *example; /* for messages */
    bool zero_needs_unit;
};

/* In the order of enum ts_param_type. */
static const struct param_type_info type_infos[] = {
    {"count", no_units, "a whole number", false},
    {"bool", no_units, "true, false, on, off, yes or no", false},
    {"time", time_units, "a time with its unit (ps, ns, us, ms, s), such as 180ns", false},
    {"cycles", cycle_units, "a number of cycles, such as 12cycles", false},
    {"frequency", freq_units, "a frequency with its unit (Hz, kHz, MHz, GHz), such as 2.5GHz",
     true},
    {"bytes", byte_units, "a size with its unit (B, KiB, MiB, GiB, TiB), such as 4KiB", false},
    {"rate", rate_units, "a rate with its unit (B/s, KB/s, MB/s, GB/s, GiB/s), such as 20GB/s",
     true},
    {"enum", no_units, "one of its names", false},
};

static const struct param_type_info *type_info(enum ts_param_type type)
{
    TS_ASSERT((size_t)type < TS_ARRAY_LEN(type_infos));
    return &type_infos[type];
}

const char *ts_param_type_name(enum ts_param_type type)
{
    return type_info(type)->name;
}

const char *ts_confidence_name(enum ts_confidence confidence)
{
    static const char *const names[] = {"verbatim", "derived", "remembered",
                                        "guess",    "choice",  "measured"};

    TS_ASSERT((size_t)confidence < TS_ARRAY_LEN(names));
    return names[confidence];
}

bool ts_confidence_assumed(enum ts_confidence confidence)
{
    return confidence == TS_CONF_REMEMBERED || confidence == TS_CONF_GUESS;
}

uint64_t ts_param_get(const struct ts_param *row, const void *base)
{
    return *(const uint64_t *)(const void *)((const char *)base + row->offset);
}

static void param_store(const struct ts_param *row, void *base, uint64_t value)
{
    *(uint64_t *)(void *)((char *)base + row->offset) = value;
}

void ts_param_defaults(const struct ts_param_table *table, void *base)
{
    for (size_t i = 0; i < table->nrows; i++)
        param_store(&table->rows[i], base, table->rows[i].def);
}

const struct ts_param *ts_param_find(const struct ts_param_table *table, const char *key)
{
    for (size_t i = 0; i < table->nrows; i++)
        if (strcmp(table->rows[i].key, key) == 0)
            return &table->rows[i];
    return NULL;
}

/* A decimal number: digits * 10^-fraction. */
struct param_number {
    uint64_t digits;
    uint32_t fraction;
};

/* Not isdigit: it follows the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits, and a point with digits after it. Returns what follows, NULL when there is no
 * number or it has more digits than 64 bits hold. */
static const char *read_number(const char *text, struct param_number *number)
{
    bool point = false;

    number->digits = 0;
    number->fraction = 0;
    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text) || (*text == '.' && !point && is_digit(text[1])); text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        if (__builtin_mul_overflow(number->digits, UINT64_C(10), &number->digits) ||
            __builtin_add_overflow(number->digits, (uint64_t)(*text - '0'), &number->digits))
            return NULL;
        number->fraction += point;
    }
    return text;
}

static const struct param_unit *find_unit(const struct param_unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

static enum ts_status wrong_form(const struct ts_param *row, const char *text, const char *why,
                                 struct ts_error *err)
{
    return ts_error_set(err, TS_ERR_USER, "%s: '%s' %s: expected %s", row->key, text, why,
                        type_info(row->type)->example);
}

static enum ts_status parse_quantity(const struct ts_param *row, const char *text, uint64_t *value,
                                     struct ts_error *err)
{
    const struct param_type_info *info = type_info(row->type);
    const struct param_unit *unit;
    struct param_number number;
    const char *rest = read_number(text, &number);
    ts_u128 scaled;

    if (!rest)
        return wrong_form(row, text, is_digit(*text) ? "has too many digits" : "is no number", err);
    while (*rest == ' ')
        rest++;
    if (*rest == '\0' && number.digits == 0 && !info->zero_needs_unit) {
        *value = 0;
        return TS_OK;
    }
    unit = find_unit(info->units, rest);
    if (!unit)
        return wrong_form(row, text, *rest ? "has an unknown unit" : "has no unit", err);
    scaled = (ts_u128)number.digits * unit->scale;
    for (; number.fraction > 0; number.fraction--) {
        if (scaled % 10 != 0)
            return ts_error_set(err, TS_ERR_USER, "%s: '%s' is not a whole number%s%s", row->key,
                                text, *info->units->name ? " of " : "", info->units->name);
        scaled /= 10;
    }
    if (scaled > UINT64_MAX)
        return wrong_form(row, text, "is too large", err);
    *value = (uint64_t)scaled;
    return TS_OK;
}

static enum ts_status parse_bool(const struct ts_param *row, const char *text, uint64_t *value,
                                 struct ts_error *err)
{
    /* Even places are false, odd ones true. */
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes"};

    for (size_t i = 0; i < TS_ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i & 1u;
            return TS_OK;
        }
    }
    return wrong_form(row, text, "is no truth value", err);
}

static enum ts_status parse_enum(const struct ts_param *row, const char *text, uint64_t *value,
                                 struct ts_error *err)
{
    char list[512] = "";
    size_t n = 0, used = 0;
    const char *nearest;

    TS_ASSERT(row->enum_names != NULL);
    for (; row->enum_names[n]; n++) {
        if (strcmp(row->enum_names[n], text) == 0) {
            *value = n;
            return TS_OK;
        }
    }
    for (size_t i = 0; i < n && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "",
                                 row->enum_names[i]);
    nearest = ts_error_nearest(text, row->enum_names, n);
    if (nearest)
        return ts_error_set(err, TS_ERR_USER,
                            "%s: '%s' is unknown, did you mean '%s'? expected one of: %s", row->key,
                            text, nearest, list);
    return ts_error_set(err, TS_ERR_USER, "%s: '%s' is unknown: expected one of: %s", row->key,
                        text, list);
}

static enum ts_status check_bounds(const struct ts_param *row, const char *text, uint64_t value,
                                   struct ts_error *err)
{
    char min[32], max[32];

    if (value >= row->min && value <= row->max)
        return TS_OK;
    ts_param_format(row, row->min, min, sizeof(min));
    ts_param_format(row, row->max, max, sizeof(max));
    return ts_error_set(err, TS_ERR_USER, "%s: '%s' is out of bounds: must be %s to %s", row->key,
                        text, min, max);
}

enum ts_status ts_param_parse(const struct ts_param *row, const char *text, uint64_t *value,
                              struct ts_error *err)
{
    switch (row->type) {
    case TS_PARAM_BOOL:
        return parse_bool(row, text, value, err);
    case TS_PARAM_ENUM:
        return parse_enum(row, text, value, err);
    default:
        return parse_quantity(row, text, value, err);
    }
}

enum ts_status ts_param_set(const struct ts_param *row, void *base, const char *text,
                            struct ts_error *err)
{
    uint64_t value = 0;
    enum ts_status status = ts_param_parse(row, text, &value, err);

    /* The names of a bool or an enum are its bounds. */
    if (status == TS_OK && row->type != TS_PARAM_BOOL && row->type != TS_PARAM_ENUM)
        status = check_bounds(row, text, value, err);
    if (status == TS_OK)
        param_store(row, base, value);
    return status;
}

enum ts_status ts_param_check(const struct ts_param_table *table, const void *base,
                              struct ts_error *err)
{
    for (size_t i = 0; i < table->nrows; i++) {
        const struct ts_param *row = &table->rows[i];
        uint64_t value = ts_param_get(row, base);

        if (value < row->min || value > row->max)
            return ts_error_set(err, TS_ERR_USER,
                                "%s.%s is %" PRIu64 ": must be %" PRIu64 " to %" PRIu64,
                                table->prefix, row->key, value, row->min, row->max);
    }
    return TS_OK;
}

int ts_param_format(const struct ts_param *row, uint64_t value, char *buf, size_t size)
{
    const struct param_unit *units = type_info(row->type)->units;
    const struct param_unit *best = units;

    if (row->type == TS_PARAM_BOOL)
        return snprintf(buf, size, "%s", value ? "true" : "false");
    if (row->type == TS_PARAM_ENUM) {
        for (uint64_t i = 0; i <= value; i++)
            TS_ASSERT(row->enum_names[i] != NULL);
        return snprintf(buf, size, "%s", row->enum_names[value]);
    }
    for (; value != 0 && units->name; units++)
        if (units->scale > best->scale && value % units->scale == 0)
            best = units;
    return snprintf(buf, size, "%" PRIu64 "%s", value / best->scale, best->name);
}
