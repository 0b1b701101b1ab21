/* SPDX-License-Identifier: Apache-2.0 */
/* khugepaged's part of mm/collapse.c. Left out: the list that address spaces are on from their
 * first huge fault (all are looked at), failures to allocate and the sleep after them, and files.
 */
#ifndef TS_MODELS_GUEST_KHUGEPAGED_H
#define TS_MODELS_GUEST_KHUGEPAGED_H

#include "models/guest/mm/mm_private.h"

#ifdef __cplusplus
extern "C" {
#endif

/* khugepaged_scan: where it goes on. Zeroed at the start. */
struct ts_khugepaged {
    uint32_t mm;
    uint64_t va;
};

/* khugepaged_do_scan: guest.khugepaged_pages pages, or all there are. No lock is held. */
void ts_khugepaged_scan(struct ts_task *self, struct ts_guest *g, struct ts_khugepaged *at);

#ifdef __cplusplus
}
#endif
#endif
