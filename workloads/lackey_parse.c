/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/lackey.h"

#define PREFIX 3u

static bool kind_of(const char *line, size_t len, enum ts_lackey_kind *kind)
{
    if (len < PREFIX || line[2] != ' ')
        return false;
    if (line[0] == 'I' && line[1] == ' ') {
        *kind = TS_LACKEY_FETCH;
        return true;
    }
    if (line[0] != ' ')
        return false;
    switch (line[1]) {
    case 'L':
        *kind = TS_LACKEY_LOAD;
        return true;
    case 'S':
        *kind = TS_LACKEY_STORE;
        return true;
    case 'M':
        *kind = TS_LACKEY_MODIFY;
        return true;
    default:
        return false;
    }
}

/* The value of a digit, or 16. */
static uint32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10u;
    if (c >= 'A' && c <= 'F')
        return (uint32_t)(c - 'A') + 10u;
    return 16u;
}

/* Returns NULL, or what is wrong at *at. */
static const char *parse_access(const char *line, size_t len, size_t *at,
                                struct ts_lackey_record *out)
{
    const uint64_t end = UINT64_C(1) << TS_LACKEY_ADDRESS_BITS;
    const size_t first = *at;
    uint64_t address = 0, size = 0;
    for (; *at < len && hex_digit(line[*at]) < 16u; ++*at) {
        address = address << 4 | hex_digit(line[*at]);
        if (address >= end) {
            *at = first;
            return "the address has more than 48 bits";
        }
    }
    if (*at == first)
        return "expected a hexadecimal address";
    if (*at == len || line[*at] != ',')
        return "expected a comma and the size";
    const size_t digits = ++*at;
    for (; *at < len && line[*at] >= '0' && line[*at] <= '9'; ++*at) {
        size = size * 10u + (uint64_t)(line[*at] - '0');
        if (size > TS_LACKEY_SIZE_MAX) {
            *at = digits;
            return "the size is larger than 4096";
        }
    }
    if (*at == digits)
        return "expected the size";
    if (*at < len)
        return "expected the end of the line";
    if (size == 0) {
        *at = digits;
        return "the size is 0";
    }
    if (size > end - address) {
        *at = first;
        return "the access ends beyond 48 bits";
    }
    out->address = address;
    out->size = size;
    return NULL;
}

enum ts_lackey_line ts_lackey_parse(const char *line, size_t len, struct ts_lackey_record *out,
                                    uint32_t *column, const char **why)
{
    size_t at = PREFIX;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (!kind_of(line, len, &out->kind))
        return TS_LACKEY_OTHER;
    *why = parse_access(line, len, &at, out);
    if (!*why)
        return TS_LACKEY_ACCESS;
    *column = (uint32_t)(at + 1u); /* lines have less than 2^32 bytes: TS_LINE_MAX */
    return TS_LACKEY_BAD;
}
