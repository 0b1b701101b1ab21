// SPDX-License-Identifier: Apache-2.0
// libsystemc holds a main() that calls sc_main(), and so leaves that symbol to be defined. The
// program has a main() of its own; if this runs, it was linked wrongly, and says so.
#include <cstdio>
#include <systemc>

int sc_main(int, char **)
{
    std::fputs("linked wrongly: the main() of libsystemc runs, not the program's\n", stderr);
    return 97;
}
