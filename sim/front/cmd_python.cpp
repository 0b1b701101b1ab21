// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_python.hpp"

#include "install_paths.h"
#include "sim/front/error.hpp"
#include "sim/front/paths.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace ts
{

std::string python_folder()
{
    const char *named = std::getenv("TLBSTORM_PYTHON");
    const std::string program = program_folder();
    const std::vector<std::string> folders =
        named ? std::vector<std::string>{named}
              : std::vector<std::string>{program + "/../../scripts/python",
                                         program + "/" TS_DATA_FROM_BIN "/scripts/python"};
    for (const std::string &folder : folders)
        if (std::filesystem::exists(folder + "/tlbstorm/__main__.py"))
            return std::filesystem::weakly_canonical(folder).string();
    environment_error("the Python package of tlbstorm is not in " + folders.front() +
                      (named ? " ($TLBSTORM_PYTHON)" : " nor in " + folders.back()));
}

void command_python(const std::string &command, const std::vector<std::string> &words)
{
    const char *named = std::getenv("TLBSTORM_PYTHON3");
    const std::string python = named ? named : "/usr/bin/python3";
    const char *others = std::getenv("PYTHONPATH");
    const std::string path =
        python_folder() + (others && *others ? ":" + std::string(others) : std::string());
    setenv("PYTHONPATH", path.c_str(), 1);
    std::vector<std::string> all{python, "-B", "-m", "tlbstorm", command};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char *> arguments;
    for (std::string &word : all)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::fflush(nullptr);
    execv(python.c_str(), arguments.data());
    system_error("cannot run", python);
}

} // namespace ts
