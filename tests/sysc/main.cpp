// SPDX-License-Identifier: Apache-2.0
// main of the tests that link SystemC: with gtest_main the one of libsystemc could win, and no test
// would run.
#include <cstdio>
#include <gtest/gtest.h>
#include <systemc>

int main(int argc, char **argv)
{
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}

int sc_main(int, char **)
{
    std::fputs("linked wrongly: the main() of libsystemc runs, not the test's\n", stderr);
    return 97;
}
