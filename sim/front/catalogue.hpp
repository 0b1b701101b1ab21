// SPDX-License-Identifier: Apache-2.0
// Everything that has a name and is not a parameter: mechanisms, machines, statistics, ... with
// what they say of themselves. For `tlbstorm explain`.
#ifndef TS_SIM_FRONT_CATALOGUE_HPP
#define TS_SIM_FRONT_CATALOGUE_HPP

#include "models/flush/flush.h"

#include <string>
#include <vector>

namespace ts
{

struct CatalogueEntry {
    std::string kind; // "mechanism", "machine", "statistic", ...
    std::string name; // of a statistic with its group: "guest.calls"
    std::string text;
    std::vector<std::string> more; // further lines
};
// In the order of kinds, each as its table or folder has it.
std::vector<CatalogueEntry> catalogue();

// "needs x86, a hypervisor"; empty if it needs nothing.
std::string needs_text(uint32_t needs);

} // namespace ts

#endif
