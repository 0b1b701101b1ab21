/* SPDX-License-Identifier: Apache-2.0 */
/* Entries under the working-set lock: between the files of this folder. */
#ifndef TS_MODELS_GUEST_NT_SPACE_H
#define TS_MODELS_GUEST_NT_SPACE_H

#include "models/guest/nt/flush.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The address-space lock is held. Pages of [start, end) are unmapped and freed, by batches of
 * nt.free_batch with a flush each; tables: those that nothing else needs go, too. */
void ts_nt_delete(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                  bool tables);
/* Entries of [start, end), within one VAD, come to say what it allows; a flush for each table. */
void ts_nt_reprotect(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end);

#ifdef __cplusplus
}
#endif
#endif
