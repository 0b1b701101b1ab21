// SPDX-License-Identifier: Apache-2.0
// The files that calibrate writes and validate reads, and the platform that they stand for.
#ifndef TS_SIM_FRONT_CALIBRATE_FILES_HPP
#define TS_SIM_FRONT_CALIBRATE_FILES_HPP

#include "sim/front/calibrate/derive.hpp"

#include <string>

namespace ts
{

// The settings of configs/FOLDER/NAME.yaml (folder "machines", ...), or of a file by its path.
Layer piece_layer(const std::string &folder, const std::string &name);

// A piece: head as comments, title, then every setting with its source and confidence.
std::string piece_text(const std::string &title, const std::string &head, const Layer &layer);

// "a/my-machine.yaml" -> "a/my-machine-hypervisor.yaml"
std::string hypervisor_path(const std::string &machine_path);

// Of this host: the guest piece of its architecture, the newest version of Linux that the model
// knows and that is not newer than the kernel, the mechanism that the kernel uses here.
SimulatedPlatform host_platform(const Measurements &m, const std::string &machine,
                                const std::string &hypervisor, const ParameterSet *hypervisor_set);
// The piece that is nearest to what is below this system; "none" on bare metal.
std::string nearest_hypervisor(const Measurements &m);
// "6.18.44-x" -> "6.17" where 6.17 is the newest of guest.linux; empty if it is older than all.
std::string guest_linux(const std::string &kernel);

} // namespace ts

#endif
