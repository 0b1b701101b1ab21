// SPDX-License-Identifier: Apache-2.0
// Where files are looked for. Configuration roots, in this order: $TLBSTORM_CONFIGS, the `configs`
// folder above the experiment, ./configs, <folder of the program>/../../configs, and what is
// installed with the program; of the library, the two from its own folder as well.
#ifndef TS_SIM_FRONT_PATHS_HPP
#define TS_SIM_FRONT_PATHS_HPP

#include "sim/front/error.hpp"

#include <string>
#include <vector>

namespace ts
{

class Paths
{
  public:
    // experiment: the file's path; empty when there is none.
    explicit Paths(const std::string &experiment);

    // machine, hypervisor or guest (`folder`: "machines", ...) by name, or by path if it has a
    // slash or ends in .yaml. A user error at named_at if there is no such file.
    std::string piece(const std::string &folder, const std::string &name,
                      const Place &named_at) const;
    // A trace or include: beside the file that names it, in the current folder, then in the folder
    // that holds a configuration root.
    // or_folder: a folder will do.
    std::string file(const std::string &name, const Place &named_at, bool or_folder = false) const;
    // How a resolved configuration names a file: relative to the folder that holds a root if the
    // file lies in it, so that the text does not depend on the machine; else absolute.
    std::string label(const std::string &path) const;
    // Names in a folder of all roots, sorted, without .yaml.
    std::vector<std::string> names(const std::string &folder) const;
    const std::vector<std::string> &roots() const
    {
        return roots_;
    }

  private:
    std::vector<std::string> roots_;
};

// The folder of the running program.
std::string program_folder();

} // namespace ts

#endif
