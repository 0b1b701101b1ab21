// SPDX-License-Identifier: Apache-2.0
// `tlbstorm plot` and `tlbstorm report`: the Python package that comes with the program
// (scripts/python), run in the place of this process.
#ifndef TS_SIM_FRONT_CMD_PYTHON_HPP
#define TS_SIM_FRONT_CMD_PYTHON_HPP

#include <string>
#include <vector>

namespace ts
{

// The folder that holds the package: $TLBSTORM_PYTHON, <folder of the program>/../../scripts/
// python, or where cmake --install puts it. An environment error if none has it.
std::string python_folder();

// Becomes /usr/bin/python3 (or $TLBSTORM_PYTHON3) -m tlbstorm COMMAND WORDS; returns only by an
// environment error.
[[noreturn]] void command_python(const std::string &command, const std::vector<std::string> &words);

} // namespace ts

#endif
