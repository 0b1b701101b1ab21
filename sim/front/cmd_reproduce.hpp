// SPDX-License-Identifier: Apache-2.0
// `tlbstorm reproduce`: published figures beside what the simulator says of the same experiment.
//
// configs/reproduce/<id>.yaml names the published table, the experiments to run, and for each row
// which point and which statistic it is compared with. Nothing is fitted here: a row only says
// whether parameters were (`calibrate`) or not (`predict`).
#ifndef TS_SIM_FRONT_CMD_REPRODUCE_HPP
#define TS_SIM_FRONT_CMD_REPRODUCE_HPP

#include "sim/front/jobs.hpp"
#include "sim/front/paths.hpp"
#include "sim/front/results.hpp"

#include <map>
#include <string>
#include <vector>

namespace ts
{

// A published table: a header line, then rows; commas or semicolons; lines that begin with '#' say
// where it comes from.
struct PublishedTable {
    std::string path;
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;
};
PublishedTable published_parse(const std::string &text, const std::string &path);
// The number in the one row whose columns have these values. A user error at place otherwise.
double published_value(const PublishedTable &table, const std::map<std::string, std::string> &row,
                       const std::string &column, const Place &place);

enum class RowRole { Calibrate, Predict };
const char *row_role_name(RowRole role);

// Which point, and which of its statistics.
struct SimulatedRef {
    std::string experiment; // key of Reproduction::experiments
    std::string platform;
    std::string mechanism; // empty: the platform's only one, or a study
    std::map<std::string, std::string> swept;
    std::string stat; // "guest.call_total_ps.sum", as group and name of stats.csv
    std::string per;  // a statistic to divide by, or empty
    Place place;
};

struct ReproduceRow {
    std::string name;
    Place place;
    RowRole role = RowRole::Predict;
    std::string unit; // of the row as shown
    bool has_published = false;
    double published = 0; // in `unit`
    SimulatedRef simulated;
    bool has_base = false;
    SimulatedRef base; // `over`: what is shown is the ratio to this
    bool has_tolerance = false;
    double tolerance = 0; // of the relative error
};

struct Reproduction {
    std::string id;
    std::string title;
    std::string source;
    std::string path;
    std::map<std::string, std::string> experiments; // name -> file
    std::vector<ReproduceRow> rows;
};
// Reads configs/reproduce/<id>.yaml, or the file that a path names; named_at: where it is named.
Reproduction reproduction_load(const std::string &id, const Paths &paths,
                               const Place &named_at = Place());
Reproduction reproduction_parse(const std::string &text, const std::string &path,
                                const Paths &paths);

// value in unit `from`, in `to`. Times go into each other by powers of ten, and into cycles by the
// clock of the machine's cores, and uHz, in which statistics have rates, into 1/s; nothing else is
// converted. A user error at place otherwise.
double convert_unit(double value, const std::string &from, const std::string &to, uint64_t core_hz,
                    const Place &place);

struct ReproduceResult {
    const ReproduceRow *row;
    Estimate simulated; // in the row's unit
    bool has_error() const;
    double error() const; // relative to what is published
    bool outside() const; // of its tolerance
};
std::string reproduce_csv(const Reproduction &reproduction,
                          const std::vector<ReproduceResult> &results);
std::string reproduce_table(const Reproduction &reproduction,
                            const std::vector<ReproduceResult> &results);

struct ReproduceCommand {
    std::string id; // or "all"
    std::string output = "out/reproduce";
    std::vector<std::string> sets;
    unsigned jobs = available_cpus();
    bool check = false;
    bool force = false;
    bool quiet = false;
    std::vector<std::string> command_line;
};
void command_reproduce(const ReproduceCommand &command);

} // namespace ts

#endif
