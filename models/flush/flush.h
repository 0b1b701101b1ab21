/* SPDX-License-Identifier: Apache-2.0 */
/* A flush mechanism: how an address space's translations are made to die on every CPU.
 *
 * One file each, models/flush/<name>.c, exporting `const struct ts_flush_ops ts_flush_<name>`;
 * CMake makes the sorted table. A mechanism reads like the kernel's own function, top to bottom;
 * what several share lives in models/guest (its interface is coherence/mechanism.h). Of its host it
 * knows what real guests know: models/abi. To add one: drop in the file; nothing else is edited.
 */
#ifndef TS_MODELS_FLUSH_H
#define TS_MODELS_FLUSH_H

#include "models/guest/coherence/mechanism.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct ts_flush_ops *const ts_flush_table[];
extern const size_t ts_flush_table_count;
/* NULL: there is none of this name. */
const struct ts_flush_ops *ts_flush_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
