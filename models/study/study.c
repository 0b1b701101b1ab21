/* SPDX-License-Identifier: Apache-2.0 */
#include "models/study/study.h"

#include <string.h>

const struct ts_study_ops *ts_study_find(const char *name)
{
    for (size_t i = 0; i < ts_study_table_count; i++)
        if (strcmp(ts_study_table[i]->name, name) == 0)
            return ts_study_table[i];
    return NULL;
}
