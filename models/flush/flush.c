/* SPDX-License-Identifier: Apache-2.0 */
/* Look-up in the registration table. */
#include "models/flush/flush.h"

#include <string.h>

const struct ts_flush_ops *ts_flush_find(const char *name)
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        if (strcmp(ts_flush_table[i]->name, name) == 0)
            return ts_flush_table[i];
    }
    return NULL;
}
