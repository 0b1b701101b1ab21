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

// What is said of a distribution: count, sum, min, max, p50, p90, p99, p999, in this order. Calls
// fn(part, unit, value); unit: of the values.
template <typename Fn> void each_hist_part(const ts_hist &hist, const std::string &unit, Fn &&fn)
{
    fn("count", std::string("1"), hist.count);
    fn("sum", unit, hist.sum);
    fn("min", unit, hist.count > 0 ? hist.min : 0);
    fn("max", unit, hist.max);
    fn("p50", unit, ts_hist_quantile(&hist, 500));
    fn("p90", unit, ts_hist_quantile(&hist, 900));
    fn("p99", unit, ts_hist_quantile(&hist, 990));
    fn("p999", unit, ts_hist_quantile(&hist, 999));
}

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
