// SPDX-License-Identifier: Apache-2.0
#include "sim/front/fit_runs.hpp"

#include <algorithm>
#include <filesystem>

namespace ts
{

// Its last axis, if it has one more than the experiment itself, holds the places: a row a place.
struct FitRuns::Study {
    RunCommand command;
    Experiment experiment;
    std::vector<Point> points;
    std::vector<std::string> ids;           // of the points that are wanted; else empty
    std::vector<std::vector<size_t>> of;    // by row of the axis: places in points
    std::vector<std::vector<Point>> subset; // the same points
    std::vector<size_t> row_of_place;

    void add_axis(const Fit &fit, const std::string &reproduction,
                  const std::vector<FitPlace> &places)
    {
        Sweep axis;
        std::vector<size_t> from;
        for (size_t p = 0; p < fit.parameters.size(); p++)
            if (fit.parameters[p].in.count(reproduction) != 0)
                for (const Key *key : fit.parameters[p].keys) {
                    axis.keys.push_back(key->name);
                    from.push_back(p);
                }
        std::vector<FitPlace> rows;
        for (const FitPlace &place : places) {
            FitPlace row;
            for (const size_t p : from)
                row.push_back(place[p]);
            const auto found = std::find(rows.begin(), rows.end(), row);
            row_of_place.push_back(static_cast<size_t>(found - rows.begin()));
            if (found != rows.end())
                continue;
            rows.push_back(row);
            std::vector<Setting> settings;
            for (size_t k = 0; k < axis.keys.size(); k++) {
                Setting setting;
                setting.key = &Keys::get().need(axis.keys[k], experiment.owners(), Place());
                setting.value = row[k];
                setting.source = "the fit";
                settings.push_back(std::move(setting));
            }
            axis.rows.push_back(std::move(settings));
        }
        if (!axis.keys.empty())
            experiment.sweeps.push_back(std::move(axis));
        take_points(rows.size(), !from.empty());
    }

    void take_points(size_t rows, bool has_axis)
    {
        points = experiment_points(experiment);
        ids.resize(points.size());
        of.resize(rows);
        subset.resize(rows);
        for (size_t i = 0; i < points.size(); i++)
            for (size_t r = 0; r < rows; r++)
                if (!has_axis ||
                    points[i].swept.back() == &experiment.sweeps.back().rows[r].back()) {
                    of[r].push_back(i);
                    subset[r].push_back(points[i]);
                }
    }
};

FitRuns::FitRuns(const Fit &fit, const FitCommand &command, const std::string &scratch)
    : fit_(fit), command_(command), scratch_(scratch)
{
    run_.sets = fit.sets;
}

std::vector<const SimulatedRef *> FitRuns::refs_of(size_t reproduction,
                                                   const std::string &experiment, bool all) const
{
    std::vector<const SimulatedRef *> refs;
    for (const FitRow &row : fit_.rows) {
        if (row.reproduction != reproduction || (!row.fitted && !all))
            continue;
        if (row.row->simulated.experiment == experiment)
            refs.push_back(&row.row->simulated);
        if (row.row->has_base && row.row->base.experiment == experiment)
            refs.push_back(&row.row->base);
    }
    return refs;
}

void FitRuns::check() const
{
    for (size_t i = 0; i < fit_.reproductions.size(); i++)
        for (const auto &item : fit_.reproductions[i].experiments) {
            const Experiment experiment = experiment_load(item.second, overrides_of(run_));
            const std::vector<Point> points = experiment_points(experiment);
            for (const SimulatedRef *ref : refs_of(i, item.first, true))
                point_of(experiment, points, *ref);
        }
}

// Of all runs of a batch, those that have not been before.
void FitRuns::simulate(Study *study, const std::vector<const SimulatedRef *> &refs)
{
    std::vector<Point> wanted;
    std::vector<size_t> index;
    std::vector<bool> taken(study->points.size());
    const size_t n = points_per_group(study->experiment);
    for (size_t r = 0; r < study->of.size(); r++)
        for (const SimulatedRef *ref : refs) {
            const size_t first = point_of(study->experiment, study->subset[r], *ref);
            for (size_t i = first; i < first + n; i++) {
                const size_t at = study->of[r][i];
                if (!taken[at]) {
                    wanted.push_back(study->points[at]);
                    index.push_back(at);
                }
                taken[at] = true;
            }
        }
    const std::vector<std::string> ids = point_ids(study->experiment, wanted, command_.jobs);
    std::vector<Point> fresh;
    std::vector<std::string> fresh_ids;
    for (size_t i = 0; i < wanted.size(); i++) {
        study->ids[index[i]] = ids[i];
        if (memo_.count(ids[i]) == 0 &&
            std::find(fresh_ids.begin(), fresh_ids.end(), ids[i]) == fresh_ids.end()) {
            fresh.push_back(wanted[i]);
            fresh_ids.push_back(ids[i]);
        }
    }
    if (fresh.empty())
        return;
    JobsOptions options;
    options.jobs = command_.jobs;
    options.quiet = true;
    options.reproduce = [&](const Point &point) {
        return point_command(study->command, study->experiment, point);
    };
    std::filesystem::create_directories(scratch_);
    run_all(study->experiment, fresh, options, scratch_);
    for (size_t i = 0; i < fresh.size(); i++)
        memo_[fresh_ids[i]] = stats_read(scratch_ + "/" + fresh[i].folder + "/stats.csv");
    std::filesystem::remove_all(scratch_);
}

double FitRuns::value(const FitRow &row, std::map<std::string, Study> *studies, size_t place) const
{
    return row_value(*row.row,
                     [&](const SimulatedRef &ref, const std::string &unit) {
                         const Study &study = studies->at(fit_.reproductions[row.reproduction].id +
                                                          "/" + ref.experiment);
                         const size_t r = study.row_of_place[place];
                         return row_samples(study.experiment, study.subset[r], ref, unit,
                                            [&](size_t index) -> const Stats & {
                                                return memo_.at(study.ids[study.of[r][index]]);
                                            });
                     })
        .mean;
}

std::vector<std::vector<double>> FitRuns::rows(const std::vector<FitPlace> &places, bool all)
{
    std::map<std::string, Study> studies;
    for (size_t i = 0; i < fit_.reproductions.size(); i++) {
        const Reproduction &reproduction = fit_.reproductions[i];
        for (const auto &item : reproduction.experiments) {
            const std::vector<const SimulatedRef *> refs = refs_of(i, item.first, all);
            if (refs.empty())
                continue;
            Study &study = studies[reproduction.id + "/" + item.first];
            study.command = run_;
            study.command.experiment = item.second;
            study.experiment = experiment_load(item.second, overrides_of(run_));
            study.add_axis(fit_, reproduction.id, places);
            experiment_check(study.experiment);
            simulate(&study, refs);
        }
    }
    std::vector<std::vector<double>> values;
    for (size_t p = 0; p < places.size(); p++) {
        values.emplace_back();
        for (const FitRow &row : fit_.rows)
            values.back().push_back(row.fitted || all ? value(row, &studies, p) : 0);
    }
    return values;
}

} // namespace ts
