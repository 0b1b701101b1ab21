// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli.hpp"

int main(int argc, char **argv)
{
    return ts::command_line(argc, argv, ts::systemc_kernel());
}
