/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/replacement.h"

#include <string.h>

const struct ts_replacement_ops *ts_replacement_find(const char *name)
{
    for (size_t i = 0; i < ts_replacement_table_count; i++)
        if (strcmp(ts_replacement_table[i]->name, name) == 0)
            return ts_replacement_table[i];
    return NULL;
}
