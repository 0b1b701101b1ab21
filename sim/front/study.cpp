// SPDX-License-Identifier: Apache-2.0
#include "sim/front/study.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

namespace ts
{
namespace
{

// Takes the tables that a study shows. The first rule that does not hold is kept until the study
// has returned: an exception must not pass through C.
struct Tables {
    StatsFiles *stats;
    ts_status status = TS_OK;
    ts_error error{};

    std::exception_ptr failure = nullptr; // of the front end: no memory

    static void visit(void *user, const ts_stat_table *table, const void *base)
    {
        auto &tables = *static_cast<Tables *>(user);
        try {
            if (!tables.failure)
                tables.add(*table, base);
        } catch (const std::exception &) {
            tables.failure = std::current_exception();
        }
    }

    void add(const ts_stat_table &table, const void *base)
    {
        if (status == TS_OK)
            status = ts_stat_check(&table, base, &error);
        stats->add_table(table, base);
    }
};

// A column that names no row of the table is a bug of the study.
uint64_t counter(const ts_stat_table &table, const char *name,
                 const std::vector<uint64_t> &counters)
{
    const ts_stat *row = std::find_if(table.rows, table.rows + table.nrows, [&](const ts_stat &r) {
        return std::strcmp(r.name, name) == 0;
    });
    TS_ASSERT(row != table.rows + table.nrows);
    return counters.at(row->offset / sizeof(uint64_t));
}

} // namespace

size_t study_words(const ts_study_ops &study)
{
    return (study.stats_size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

std::vector<uint64_t> study_run(const Experiment &experiment, const Point &point,
                                const Resolved &resolved, StatsFiles *stats)
{
    const ts_study_ops &study = *experiment.study;
    std::vector<uint64_t> counters(study_words(study), 0);
    Workload made;
    if (experiment.workload)
        made = workload_make(experiment, resolved.workload_params, point.seed, 0);
    const ts_study_input input{&resolved.config, resolved.subject_struct(), made.workload.get(),
                               point.seed};
    Tables tables{stats};
    ts_error error;
    const ts_status status = study.run(&input, counters.data(), Tables::visit, &tables, &error);
    if (tables.failure)
        std::rethrow_exception(tables.failure);
    if (status != TS_OK)
        throw Error(error);
    tables.add(*study.stats, counters.data());
    if (tables.status != TS_OK)
        throw Error(tables.error);
    for (size_t i = 0; i < study.ncolumns; i++)
        stats->add_column(study.columns[i].name, study.columns[i].unit,
                          study_value(study, study.columns[i], counters));
    return counters;
}

double study_value(const ts_study_ops &study, const ts_study_column &column,
                   const std::vector<uint64_t> &counters)
{
    const auto numerator = static_cast<double>(counter(*study.stats, column.numerator, counters));
    if (!column.denominator)
        return numerator;
    const uint64_t denominator = counter(*study.stats, column.denominator, counters);
    return denominator > 0 ? numerator / static_cast<double>(denominator) : 0;
}

} // namespace ts
