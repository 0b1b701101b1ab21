/* SPDX-License-Identifier: Apache-2.0 */
#include "models/oracle/page_map.h"

#include <stdlib.h>

#define NONE UINT64_MAX

static uint64_t home(const struct ts_page_map *m, uint64_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & (m->room - 1);
}

/* Where the key is, or the place that it would have. */
static uint64_t place(const struct ts_page_map *m, uint64_t key)
{
    uint64_t i = home(m, key);

    while (m->key[i] != NONE && m->key[i] != key)
        i = (i + 1) & (m->room - 1);
    return i;
}

bool ts_page_map_find(const struct ts_page_map *m, uint64_t key, uint64_t *value)
{
    if (m->room == 0)
        return false;
    uint64_t i = place(m, key);
    *value = m->value[i];
    return m->key[i] == key;
}

static void put(struct ts_page_map *m, uint64_t key, uint64_t value)
{
    uint64_t i = place(m, key);

    m->used += m->key[i] == NONE;
    m->key[i] = key;
    m->value[i] = value;
}

static bool grow(struct ts_page_map *m)
{
    struct ts_page_map more = {.room = m->room ? 2 * m->room : 1024};

    if (2 * m->used < m->room)
        return true;
    more.key = malloc(more.room * sizeof(*more.key));
    more.value = malloc(more.room * sizeof(*more.value));
    if (!more.key || !more.value) {
        free(more.key);
        free(more.value);
        return false;
    }
    for (uint64_t i = 0; i < more.room; i++)
        more.key[i] = NONE;
    for (uint64_t i = 0; i < m->room; i++)
        if (m->key[i] != NONE)
            put(&more, m->key[i], m->value[i]);
    free(m->key);
    free(m->value);
    *m = more;
    return true;
}

/* Those behind it that came past its place move up, as they would stand without it. */
void ts_page_map_drop(struct ts_page_map *m, uint64_t key)
{
    uint64_t hole = place(m, key), i = hole;

    if (m->key[hole] != key)
        return;
    for (;;) {
        i = (i + 1) & (m->room - 1);
        if (m->key[i] == NONE)
            break;
        uint64_t from_home = (i - home(m, m->key[i])) & (m->room - 1);
        uint64_t from_hole = (i - hole) & (m->room - 1);
        if (from_home < from_hole)
            continue;
        m->key[hole] = m->key[i];
        m->value[hole] = m->value[i];
        hole = i;
    }
    m->key[hole] = NONE;
    m->used--;
}

bool ts_page_map_set(struct ts_page_map *m, uint64_t key, uint64_t value)
{
    if (!grow(m))
        return false;
    put(m, key, value);
    return true;
}

void ts_page_map_destroy(struct ts_page_map *m)
{
    free(m->key);
    free(m->value);
}
