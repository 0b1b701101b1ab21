/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <tlbstorm.h>

int main(int argc, char **argv)
{
    char narrowed = argc; /* -Wconversion */
    int unused;           /* -Wall */
    printf("%s\n", tlbstorm_version());
    return 0;
}
