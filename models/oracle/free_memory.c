/* SPDX-License-Identifier: Apache-2.0 */
#include "models/oracle/free_memory.h"

#define PAGE_SHIFT 12u

void ts_free_memory_destroy(struct ts_free_memory *m)
{
    ts_page_map_destroy(&m->by_ipa);
    ts_page_map_destroy(&m->by_pa);
}

bool ts_free_memory_add(struct ts_free_memory *m, uint64_t ipa, uint64_t pa)
{
    ts_free_memory_take(m, ipa);
    return ts_page_map_set(&m->by_ipa, ipa >> PAGE_SHIFT, pa >> PAGE_SHIFT) &&
           ts_page_map_set(&m->by_pa, pa >> PAGE_SHIFT, ipa >> PAGE_SHIFT);
}

void ts_free_memory_take(struct ts_free_memory *m, uint64_t ipa)
{
    uint64_t page = ipa >> PAGE_SHIFT, pa, back;

    if (!ts_page_map_find(&m->by_ipa, page, &pa))
        return;
    /* Another page may have been freed since that had the same memory. */
    if (ts_page_map_find(&m->by_pa, pa, &back) && back == page)
        ts_page_map_drop(&m->by_pa, pa);
    ts_page_map_drop(&m->by_ipa, page);
}

bool ts_free_memory_has(const struct ts_free_memory *m, uint64_t ipa)
{
    uint64_t pa;

    return ts_page_map_find(&m->by_ipa, ipa >> PAGE_SHIFT, &pa);
}

bool ts_free_memory_find(const struct ts_free_memory *m, uint64_t pa, uint64_t *ipa)
{
    uint64_t page;

    if (!ts_page_map_find(&m->by_pa, pa >> PAGE_SHIFT, &page))
        return false;
    *ipa = (page << PAGE_SHIFT) + (pa & ((UINT64_C(1) << PAGE_SHIFT) - 1));
    return true;
}
