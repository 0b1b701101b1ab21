// SPDX-License-Identifier: Apache-2.0
// vms.csv of a run whose VMs differ: a row a VM.
#ifndef TS_SIM_FRONT_VMS_FILE_HPP
#define TS_SIM_FRONT_VMS_FILE_HPP

#include "sim/front/experiment.hpp"

#include <string>

namespace ts
{

// After the run. Times in ps; no clock, no host: equal runs compare equal.
std::string vms_csv(const ts_machine *machine, const Resolved &resolved);

} // namespace ts

#endif
