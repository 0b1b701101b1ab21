/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interconnect/fabric.h"

#include <string.h>

const struct ts_fabric_ops *ts_fabric_find(const char *name)
{
    for (size_t i = 0; i < ts_fabric_table_count; i++)
        if (strcmp(ts_fabric_table[i]->name, name) == 0)
            return ts_fabric_table[i];
    return NULL;
}
