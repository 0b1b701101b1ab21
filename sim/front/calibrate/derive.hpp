// SPDX-License-Identifier: Apache-2.0
// From measurements to parameters. A parameter is set where a measurement determines it: by itself,
// as a slope or a difference of measurements (`measured`), or as what is left of a measurement when
// the simulator does the rest (`derived`). All others keep what the base says.
#ifndef TS_SIM_FRONT_CALIBRATE_DERIVE_HPP
#define TS_SIM_FRONT_CALIBRATE_DERIVE_HPP

#include "sim/front/calibrate/measure.hpp"
#include "sim/front/calibrate/simulated.hpp"
#include "sim/front/document.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ts
{

// What the files will say: a base's settings, and over them what was found.
class ParameterSet
{
  public:
    explicit ParameterSet(Layer base) : base_(base), layer_(std::move(base))
    {
    }
    // A user error of Keys if the value is out of its bounds.
    void set(const std::string &key, const std::string &value, const std::string &source,
             ts_confidence confidence);
    // Found, the base's, or the table's default.
    uint64_t value(const std::string &key) const;
    const Layer &layer() const
    {
        return layer_;
    }
    // The keys that were set here, in their order.
    const std::vector<std::string> &found() const
    {
        return found_;
    }
    // The settings of those, for a simulation.
    std::vector<Override> overrides() const;

    // What was set of keys that begin so is again as the base has it.
    void drop(const std::string &prefix);

  private:
    Layer base_;
    Layer layer_;
    std::vector<std::string> found_;
};

// The two questions to the simulator, in ns, of the machine with what has been found so far.
struct Simulator {
    std::function<double(const ParameterSet &, const BenchRow &)> row;
    std::function<double(const ParameterSet &, const std::string &column)> line;
};

// What is printed of a measurement that may set no parameter.
struct ReportLine {
    std::string what;
    std::string value;  // with its unit
    std::string spread; // n and interval
    std::string sets;   // the parameters; empty: none
};

struct Derivation {
    ParameterSet machine;    // the machine's file: hardware, and costs of guest and hypervisor
    ParameterSet hypervisor; // the hypervisor's file: what a named one would go over
    std::vector<ReportLine> report;
    std::vector<std::string> left_out;
};

// Topology, clock, caches, TLBs.
void derive_hardware(const Measurements &m, Derivation *d);
// Line transfers, exits, calls; in this order, since each stands on those before.
void derive_costs(const Measurements &m, const Simulator &simulator, Derivation *d);
// What the hypervisor offers; nothing outside a guest.
void derive_hypervisor(const Measurements &m, Derivation *d);

// The machine file of the same core, by its vendor, family and model (x86) or by MIDR, of which
// midr is the text in sysfs; known is false where no file is of this core.
struct BaseChoice {
    std::string name;
    bool known = false;
};
BaseChoice base_of(const ts_cal_guest &guest, const std::string &midr);

} // namespace ts

#endif
