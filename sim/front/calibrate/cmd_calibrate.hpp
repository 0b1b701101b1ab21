// SPDX-License-Identifier: Apache-2.0
// `tlbstorm calibrate` and `tlbstorm validate`.
#ifndef TS_SIM_FRONT_CALIBRATE_CMD_CALIBRATE_HPP
#define TS_SIM_FRONT_CALIBRATE_CMD_CALIBRATE_HPP

#include <string>

namespace ts
{

struct CalibrateCommand {
    std::string output = "my-machine.yaml";
    std::string time = "60s"; // from 5s on
    std::string base;         // machine; empty: by the CPU
    bool force = false;
    bool quiet = false;
};
void command_calibrate(const CalibrateCommand &command);

struct ValidateCommand {
    std::string machine = "my-machine.yaml";
    std::string output = "out/validate";
    std::string time = "60s";
    bool force = false;
    bool quiet = false;
};
void command_validate(const ValidateCommand &command);

} // namespace ts

#endif
