/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/base.h"

#include <stdio.h>
#include <stdlib.h>

void ts_bug(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
    abort();
}
