// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_reproduce.hpp"

#include "sim/front/cli.hpp"
#include "sim/front/database.hpp"
#include "sim/front/failures.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/jobs.hpp"
#include "sim/front/output.hpp"
#include "sim/front/row_values.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

namespace ts
{
namespace
{

// One experiment of a reproduction: the points that its rows name, and where they were run.
class Runs
{
  public:
    Runs(const std::string &name, const std::string &path, const std::vector<std::string> &sets)
        : name_(name)
    {
        command_.experiment = path;
        command_.sets = sets;
        std::vector<Override> overrides;
        for (const std::string &set : sets)
            overrides.push_back(override_parse(set));
        experiment_ = experiment_load(path, overrides);
        all_ = experiment_points(experiment_);
        wanted_.assign(all_.size(), false);
        experiment_check(experiment_);
    }
    Runs(const Runs &) = delete;
    Runs &operator=(const Runs &) = delete;

    void want(const SimulatedRef &ref)
    {
        const size_t first = point_of(experiment_, all_, ref);
        for (size_t i = 0; i < points_per_group(experiment_); i++)
            wanted_[first + i] = true;
    }

    // Folders below `folder` of points that an earlier start has finished; they are not run again.
    std::set<std::string> resume(const std::string &folder, const ReproduceCommand &command)
    {
        for (size_t i = 0; i < all_.size(); i++)
            if (wanted_[i])
                points_.push_back(all_[i]);
        options_.jobs = command.jobs;
        options_.quiet = command.quiet;
        options_.run.command_line = command.command_line;
        options_.reproduce = [&](const Point &point) {
            return point_command(command_, experiment_, point);
        };
        const std::string root = folder + "/" + name_;
        ids_ = point_ids(experiment_, points_, command.jobs);
        options_.stored = stored_all(root, experiment_, points_, ids_, options_.run, command.jobs);
        refuse_corrupt(root, points_, options_.stored);
        return done_folders(name_ + "/", points_, options_.stored);
    }

    // After resume. on_done: as in JobsOptions.
    void run(const std::string &folder, const std::function<void()> &on_done)
    {
        if (points_.empty())
            return;
        folder_ = folder + "/" + name_;
        std::vector<Failure> failures;
        options_.failures = &failures;
        options_.on_done = on_done;
        const std::vector<RunSummary> runs = run_all(experiment_, points_, options_, folder_);
        if (!failures.empty())
            throw failures_error(failures,
                                 {std::to_string(failures.size()) + " of " +
                                  std::to_string(points_.size()) + " runs failed"},
                                 options_);
        const RunList list = run_list(experiment_, points_, ids_);
        write_file(folder_ + "/" + points_name, run_list_json(list));
        write_summaries(list, runs, folder_);
        database_write(folder_, list, runs, {});
    }

    // In `unit`, a value a seed.
    std::vector<double> samples(const SimulatedRef &ref, const std::string &unit)
    {
        return row_samples(experiment_, all_, ref, unit,
                           [this](size_t index) -> const Stats & { return stats_of(index); });
    }

  private:
    const Stats &stats_of(size_t index)
    {
        auto found = stats_.find(index);
        if (found == stats_.end())
            found =
                stats_.emplace(index, stats_read(folder_ + "/" + all_[index].folder + "/stats.csv"))
                    .first;
        return found->second;
    }

    std::string name_, folder_;
    RunCommand command_;
    Experiment experiment_;
    std::vector<Point> all_;
    std::vector<bool> wanted_;
    std::vector<Point> points_; // of all_, those that are wanted
    std::vector<std::string> ids_;
    JobsOptions options_;
    std::map<size_t, Stats> stats_;
};

using RunsByName = std::map<std::string, Runs>;

Estimate value_of(const ReproduceRow &row, RunsByName *runs)
{
    return row_value(row, [&](const SimulatedRef &ref, const std::string &unit) {
        return runs->at(ref.experiment).samples(ref, unit);
    });
}

// A reproduction whose experiments are loaded. Whatever can be wrong with it is found here, before
// anything runs or is written.
struct Prepared {
    Reproduction reproduction;
    RunsByName runs;
    std::unique_ptr<OutputFolder> folder;

    Prepared(Reproduction what, const ReproduceCommand &command) : reproduction(std::move(what))
    {
        for (const auto &item : reproduction.experiments)
            runs.try_emplace(item.first, item.first, item.second, command.sets);
        for (const ReproduceRow &row : reproduction.rows) {
            runs.at(row.simulated.experiment).want(row.simulated);
            if (row.has_base)
                runs.at(row.base.experiment).want(row.base);
        }
        folder =
            std::make_unique<OutputFolder>(command.output + "/" + reproduction.id, command.force);
    }
};

// Returns how many rows are outside of their tolerance.
size_t reproduce_one(Prepared *prepared, const ReproduceCommand &command)
{
    const Reproduction &reproduction = prepared->reproduction;
    OutputFolder &folder = *prepared->folder;
    folder.open([&](const std::string &partial) {
        std::set<std::string> done;
        for (auto &item : prepared->runs)
            done.merge(item.second.resume(partial, command));
        if (!done.empty())
            folder.keep();
        return done;
    });
    for (auto &item : prepared->runs)
        item.second.run(folder.partial(), [&] { folder.keep(); });
    std::vector<ReproduceResult> results;
    for (const ReproduceRow &row : reproduction.rows)
        results.push_back(ReproduceResult{&row, value_of(row, &prepared->runs)});
    write_file(folder.partial() + "/reproduce.csv", reproduce_csv(reproduction, results));
    folder.commit();
    std::fputs(reproduce_table(reproduction, results).c_str(), stdout);
    if (!command.quiet)
        std::printf("Published: %s\nResults: %s\n", reproduction.source.c_str(),
                    folder.path().c_str());
    return static_cast<size_t>(
        std::count_if(results.begin(), results.end(),
                      [](const ReproduceResult &result) { return result.outside(); }));
}

std::string significant(double value)
{
    const double size = std::fabs(value);
    if (value == std::floor(value) && size < 1000)
        return fixed(value, 0);
    return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4);
}

} // namespace

bool ReproduceResult::has_error() const
{
    return row->has_published && row->published != 0;
}

double ReproduceResult::error() const
{
    return simulated.mean / row->published - 1;
}

bool ReproduceResult::outside() const
{
    return row->has_tolerance && has_error() && std::fabs(error()) > row->tolerance;
}

std::string reproduce_csv(const Reproduction &reproduction,
                          const std::vector<ReproduceResult> &results)
{
    std::string text =
        "experiment,row,role,unit,published,simulated,ci95,n,error_pct,tolerance_pct\n";
    for (const ReproduceResult &result : results) {
        const ReproduceRow &row = *result.row;
        const Estimate &simulated = result.simulated;
        const std::string fields[] = {
            csv_field(row.name),
            row_role_name(row.role),
            row.unit,
            row.has_published ? number(row.published) : "",
            number(simulated.mean),
            simulated.has_half_width ? number(simulated.half_width) : "",
            std::to_string(simulated.n),
            result.has_error() ? number(result.error() * 100) : "",
            row.has_tolerance ? number(row.tolerance * 100) : "",
        };
        text += reproduction.id;
        for (const std::string &field : fields)
            text += "," + field;
        text += "\n";
    }
    return text;
}

std::string reproduce_table(const Reproduction &reproduction,
                            const std::vector<ReproduceResult> &results)
{
    TableRows rows{{"row", "role", "unit", "published", "simulated", "error"}};
    for (const ReproduceResult &result : results) {
        const ReproduceRow &row = *result.row;
        const Estimate &simulated = result.simulated;
        std::string value = significant(simulated.mean);
        if (simulated.has_half_width)
            value += " \u00b1" + significant(simulated.half_width);
        std::string error = "-";
        if (result.has_error())
            error = fixed(result.error() * 100, 1) + " %" +
                    (result.outside() ? ", not within " + number(row.tolerance * 100) + " %" : "");
        rows.push_back({row.name, row_role_name(row.role), row.unit,
                        row.has_published ? significant(row.published) : "-", value, error});
    }
    return reproduction.id + ": " + reproduction.title + "\n" + table_text(rows, 3);
}

void command_reproduce(const ReproduceCommand &command)
{
    const Paths paths("");
    std::vector<std::string> ids{command.id};
    if (command.id == "all") {
        ids = paths.names("reproduce");
        if (ids.empty())
            user_error(Place(), "there is no configs/reproduce; TLBSTORM_CONFIGS names the folder");
    }
    std::vector<std::unique_ptr<Prepared>> all;
    for (const std::string &id : ids)
        all.push_back(std::make_unique<Prepared>(reproduction_load(id, paths), command));
    size_t outside = 0;
    for (const std::unique_ptr<Prepared> &prepared : all)
        outside += reproduce_one(prepared.get(), command);
    if (command.check && outside > 0)
        throw Error(TS_ERR_FINDING, Place(),
                    std::to_string(outside) + (outside == 1 ? " row is" : " rows are") +
                        " outside of the tolerance");
}

} // namespace ts
