// SPDX-License-Identifier: Apache-2.0
// stats.json, stats.csv and histograms.csv of one run. No clock, no host: equal runs compare equal
// with cmp. All numbers are whole but for the columns of a study.
#ifndef TS_SIM_FRONT_STATS_FILES_HPP
#define TS_SIM_FRONT_STATS_FILES_HPP

#include "models/machine/machine.h"

#include <exception>
#include <nlohmann/json.hpp>
#include <string>

namespace ts
{

class StatsFiles
{
  public:
    StatsFiles();
    // Adds the group "result".
    void add_result(const struct ts_machine_result &result);
    // Adds the groups of the models.
    void add_machine(const ts_machine *machine);
    // Adds one group.
    void add_table(const ts_stat_table &table, const void *base);
    // Adds to the group "columns".
    void add_column(const std::string &name, const std::string &unit, double value);
    void write(const std::string &folder) const;

  private:
    static void visit(void *user, const ts_stat_table *table, const void *base);
    void add_value(const std::string &group, const std::string &name, const std::string &unit,
                   uint64_t value);
    void add_hist(const std::string &group, const ts_stat &row, const ts_hist &hist);

    nlohmann::ordered_json json_;
    std::string csv_;
    std::string histograms_;
    std::exception_ptr failure_; // of visit: an exception must not pass through C
};

// The statistics that every run has, with their units: what summary.csv and "result" hold.
struct ResultColumn {
    const char *name;
    const char *unit; // of the field
    uint64_t ts_machine_result::*field;
    const char *help;
};
extern const ResultColumn result_columns[];
extern const size_t result_columns_count;

} // namespace ts

#endif
