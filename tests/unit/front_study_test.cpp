// SPDX-License-Identifier: Apache-2.0
// Experiments that name a study, from YAML to the results. The studies are two of this file's own:
// its table stands in for that of the models, which the linker then leaves in its archive.
#include "sim/front/jobs.hpp"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"
#include "tests/unit/front_support.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>

namespace
{

// --- toy: counts the operations of thread 0; every `every`-th is a hit ---

struct ToyParams {
    uint64_t mode, every, broken;
};
const char *const toy_modes[] = {"plain", "double", nullptr};
const ts_param toy_rows[] = {
    {"mode", TS_PARAM_ENUM, offsetof(ToyParams, mode), 0, 0, 1, toy_modes, "counts twice", "a book",
     TS_CONF_VERBATIM},
    {"every", TS_PARAM_COUNT, offsetof(ToyParams, every), 2, 1, 100, nullptr, "of the hits",
     "nobody", TS_CONF_GUESS},
    {"broken", TS_PARAM_COUNT, offsetof(ToyParams, broken), 0, 0, 2, nullptr,
     "1: own rule, 2: shown rule", "setting", TS_CONF_CHOICE},
};
const ts_param_table toy_params = {"toy", toy_rows, TS_ARRAY_LEN(toy_rows)};

struct ToyStats {
    uint64_t operations, hits, misses, seeds;
};
const ts_stat toy_stat_rows[] = {
    {"operations", TS_STAT_COUNTER, offsetof(ToyStats, operations), "1", "all"},
    {"hits", TS_STAT_COUNTER, offsetof(ToyStats, hits), "1", "every so many"},
    {"misses", TS_STAT_COUNTER, offsetof(ToyStats, misses), "1", "the others"},
    {"seeds", TS_STAT_COUNTER, offsetof(ToyStats, seeds), "1", "the seed"},
};
const ts_stat_rule toy_rules[] = {{"hits and misses are all", {"+operations", "-hits", "-misses"}}};
const ts_stat_table toy_stats = {"toy", toy_stat_rows, TS_ARRAY_LEN(toy_stat_rows), toy_rules, 1};

// Shown by the way, as a model's.
struct PartStats {
    uint64_t twos, fours;
};
const ts_stat part_rows[] = {
    {"twos", TS_STAT_COUNTER, offsetof(PartStats, twos), "1", "two"},
    {"fours", TS_STAT_COUNTER, offsetof(PartStats, fours), "1", "four"},
};
const ts_stat_rule part_rules[] = {{"two twos are four", {"+twos", "+twos", "-fours"}}};
const ts_stat_table part_stats = {"part", part_rows, TS_ARRAY_LEN(part_rows), part_rules, 1};

const ts_study_column toy_columns[] = {
    {"hit_ratio", "ratio", "hits", "operations", "hits of all", true},
    {"per_hit", "cycles", "operations", "hits", "operations a hit", true},
    {"operations_in_all", "1", "operations", nullptr, "all", true},
    {"seed_ratio", "1", "seeds", "hits", "not printed", false},
};

ts_status toy_check(const ts_machine_config *config, const void *params, ts_error *error)
{
    if (static_cast<const ToyParams *>(params)->every > config->topology.sockets * 10)
        return ts_error_set(error, TS_ERR_USER, "toy.every is more than ten a socket");
    return TS_OK;
}

ts_status toy_run(const ts_study_input *in, void *counters, ts_machine_stat_fn *visit, void *user,
                  ts_error *error)
{
    const auto &params = *static_cast<const ToyParams *>(in->params);
    auto &stats = *static_cast<ToyStats *>(counters);
    ts_op op;
    int got;
    while ((got = in->workload->next(in->workload, 0, &op, error)) > 0) {
        stats.operations += params.mode + 1;
        (stats.operations % params.every == 0 ? stats.hits : stats.misses) += params.mode + 1;
    }
    if (got < 0)
        return error->status;
    stats.seeds = in->seed;
    stats.operations += params.broken == 1;
    const PartStats part{2, params.broken == 2 ? 5u : 4u};
    visit(user, &part_stats, &part);
    return TS_OK;
}

// --- alone: no parameters, no workload ---

struct AloneStats {
    uint64_t seeds, nothing;
};
const ts_stat alone_rows[] = {
    {"seeds", TS_STAT_COUNTER, offsetof(AloneStats, seeds), "1", "the seed"},
    {"nothing", TS_STAT_COUNTER, offsetof(AloneStats, nothing), "1", "0"},
};
const ts_stat_table alone_stats = {"alone", alone_rows, TS_ARRAY_LEN(alone_rows), nullptr, 0};
const ts_study_column alone_columns[] = {
    {"over_nothing", "ratio", "seeds", "nothing", "0", true},
};

ts_status alone_check(const ts_machine_config *, const void *params, ts_error *)
{
    TS_ASSERT(!params);
    return TS_OK;
}

ts_status alone_run(const ts_study_input *in, void *counters, ts_machine_stat_fn *, void *,
                    ts_error *)
{
    TS_ASSERT(!in->params && !in->workload);
    static_cast<AloneStats *>(counters)->seeds = in->seed;
    return TS_OK;
}

const ts_study_ops alone = {"alone",     "nothing else", "this file",        nullptr,       0,
                            false,       &alone_stats,   sizeof(AloneStats), alone_columns, 1,
                            alone_check, alone_run};
const ts_study_ops toy = {
    "toy",     "counts",   "this file",      &toy_params, sizeof(ToyParams),
    true,      &toy_stats, sizeof(ToyStats), toy_columns, TS_ARRAY_LEN(toy_columns),
    toy_check, toy_run};

} // namespace

extern "C" {
const ts_study_ops *const ts_study_table[] = {&alone, &toy};
const size_t ts_study_table_count = TS_ARRAY_LEN(ts_study_table);
}

namespace
{

const char head[] = "schema: 1\nname: t\nstudy: toy\n";
const char storm[] =
    "workload: {kind: mmap_storm, threads: 9, rounds: 5, pages: 4, touch_pages: 2}\n";

class FrontStudy : public FrontTest
{
  protected:
    ts::Experiment parse(const std::string &text, const std::vector<ts::Override> &overrides = {})
    {
        return ts::experiment_parse(text, write("e.yaml", text), overrides, false);
    }

    ts::Experiment parse_toy(const std::string &text,
                             const std::vector<ts::Override> &overrides = {})
    {
        return parse(std::string(head) + storm + text, overrides);
    }

    // What the user is told, without the folder's name.
    std::string refused(const std::string &text, const std::vector<ts::Override> &overrides = {})
    {
        std::string message = user_error_of([&] {
            const ts::Experiment experiment = parse(text, overrides);
            ts::experiment_check(experiment);
        });
        const size_t at = message.find(path(""));
        return at == std::string::npos ? message : message.erase(at, path("").size());
    }

    static const ts::ResolvedValue &value(const ts::Resolved &resolved, const std::string &name)
    {
        const auto found =
            std::find_if(resolved.values.begin(), resolved.values.end(),
                         [&](const ts::ResolvedValue &v) { return v.key->name == name; });
        EXPECT_NE(found, resolved.values.end()) << name;
        return *found;
    }

    static ToyParams params_of(const ts::Experiment &experiment, size_t point = 0)
    {
        const ts::Resolved resolved =
            ts::resolve(experiment, ts::experiment_points(experiment).at(point));
        return *static_cast<const ToyParams *>(resolved.subject_struct());
    }

    std::vector<ts::RunSummary> run(const ts::Experiment &experiment, unsigned jobs = 1)
    {
        ts::JobsOptions options;
        options.jobs = jobs;
        options.quiet = true;
        options.reproduce = [](const ts::Point &point) { return "again " + point.folder; };
        return ts::run_all(experiment, ts::experiment_points(experiment), options, path("out"));
    }
};

TEST_F(FrontStudy, PointsArePlatformsSweepsAndSeeds)
{
    const ts::Experiment experiment =
        parse_toy("repetitions: 2\nseed: 5\nplatforms:\n  a: {}\n  b: {set: {toy.every: 3}}\n"
                  "sweep: {toy: {mode: [plain, double]}, toy.broken: [0, 1]}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 2u * 2 * 2 * 2);
    EXPECT_EQ(points[0].folder, "a/toy.mode=plain,toy.broken=0/seed=5");
    EXPECT_EQ(points[15].folder, "b/toy.mode=double,toy.broken=1/seed=6");
    EXPECT_EQ(params_of(experiment, 0).every, toy_rows[1].def);
    EXPECT_EQ(params_of(experiment, 15).every, 3u);
    EXPECT_EQ(params_of(experiment, 15).mode, 1u);
    EXPECT_EQ(ts::experiment_points(parse(std::string(head) + storm)).at(0).folder,
              "default/seed=1");
}

TEST_F(FrontStudy, ParametersAreSetAsAnyOther)
{
    EXPECT_EQ(params_of(parse_toy("set: {toy.every: 7}\n")).every, 7u);
    EXPECT_EQ(params_of(parse_toy("set: {toy: {every: 7}}\n")).every, 7u);
    EXPECT_EQ(params_of(parse_toy("toy: {every: 8, mode: double}\n")).every, 8u);
    EXPECT_EQ(params_of(parse_toy("toy: {every: 8}\n", {{"toy.every", "9"}})).every, 9u);
    EXPECT_EQ(ts::experiment_points(parse_toy("", {{"toy.every", "1,2,3"}})).size(), 3u);
    const ts::Experiment experiment = parse_toy("toy: {every: 8}\n");
    const ts::Resolved resolved = ts::resolve(experiment, ts::experiment_points(experiment).at(0));
    EXPECT_EQ(value(resolved, "toy.mode").source, "a book");
    EXPECT_EQ(value(resolved, "toy.mode").confidence, TS_CONF_VERBATIM);
    EXPECT_EQ(value(resolved, "toy.every").confidence, TS_CONF_CHOICE);
    EXPECT_EQ(value(resolved, "workload.rounds").value, 5u);
}

TEST_F(FrontStudy, MachinesAreShortForPlatforms)
{
    write("m1.yaml", "topology.sockets: 1\n");
    write("m2.yaml", "topology.sockets: 2\n");
    write("h.yaml", "run.vms: 3\n");
    const std::string text = "machines: [./m1.yaml, m2.yaml]\nhypervisor: h.yaml\n";
    const ts::Experiment experiment = parse_toy(text);
    ASSERT_EQ(experiment.platforms.size(), 2u);
    EXPECT_EQ(experiment.platforms[0].name, "m1");
    EXPECT_EQ(experiment.platforms[1].name, "m2");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    for (size_t i = 0; i < 2; i++) {
        const ts::Resolved resolved = ts::resolve(experiment, points.at(i));
        EXPECT_EQ(resolved.config.topology.sockets, i + 1);
        EXPECT_EQ(resolved.config.run.vms, 3u);
    }
    EXPECT_EQ(parse_toy(text, {{"platforms", "m2"}}).platforms.at(0).name, "m2");
    EXPECT_EQ(parse_toy(text, {{"machines", path("m2.yaml")}}).platforms.size(), 1u);
    EXPECT_EQ(parse_toy("machine: m1.yaml\n").platforms.at(0).name, "m1");

    const std::string start = std::string(head) + storm;
    EXPECT_EQ(refused(start + "machines: [m1.yaml, ./m1.yaml]\n"),
              "e.yaml:5:21: the machine 'm1' is named twice");
    EXPECT_EQ(refused(start + "machines: []\n"), "e.yaml:5:1: the list of machines is empty");
    EXPECT_EQ(refused(start + "machines: [m1.yaml]\nmachine: m2.yaml\n"),
              "e.yaml:6:1: 'machine' does not go with 'machines'");
    EXPECT_EQ(refused(start + "machines: [m1.yaml]\nplatforms: {a: {}}\n"),
              "e.yaml:5:1: 'machines' belongs into each platform here");
}

TEST_F(FrontStudy, ResolvedTextResolvesToItself)
{
    for (const std::string &text :
         {std::string(head) + storm + "toy: {every: 8}\nsweep: {toy.mode: [plain, double]}\n",
          std::string("schema: 1\nname: t\nstudy: alone\nseed: 9\n")}) {
        const ts::Experiment experiment = parse(text);
        const ts::Point point = ts::experiment_points(experiment).back();
        const ts::Resolved resolved = ts::resolve(experiment, point);
        const std::string once = ts::resolved_yaml(experiment, point, resolved);
        const ts::Experiment again = ts::experiment_parse(once, path("r.yaml"), {}, false);
        const std::vector<ts::Point> one = ts::experiment_points(again);
        ASSERT_EQ(one.size(), 1u);
        const ts::Resolved same = ts::resolve(again, one[0]);
        EXPECT_EQ(same.subject_params, resolved.subject_params);
        EXPECT_EQ(same.workload_params, resolved.workload_params);
        EXPECT_EQ(one[0].seed, point.seed);
        EXPECT_EQ(ts::resolved_yaml(again, one[0], same), once);
    }
}

TEST_F(FrontStudy, WrongInputIsToldWithItsPlace)
{
    const std::string start = std::string(head) + storm;
    EXPECT_EQ(refused("schema: 1\nname: t\nstudy: tou\n")
                  .find("e.yaml:3:8: unknown study 'tou' (did you mean 'toy'?)"),
              0u);
    EXPECT_EQ(refused(start + "mechanisms: [free_flush]\n"),
              "e.yaml:5:1: 'mechanisms' does not go with 'study': toy runs no mechanism");
    EXPECT_EQ(refused(start + "baseline: free_flush\n"),
              "e.yaml:5:1: 'baseline' does not go with 'study': toy runs no mechanism");
    EXPECT_EQ(refused(start + "platforms:\n  a: {mechanisms: [free_flush]}\n"),
              "e.yaml:6:7: 'mechanisms' does not go with 'study': toy runs no mechanism");
    EXPECT_EQ(refused(start, {{"mechanisms", "free_flush"}}),
              "--set mechanisms: the study toy runs no mechanism");
    EXPECT_EQ(refused(head).find("e.yaml:3:8: the study toy needs a 'workload'"), 0u);
    EXPECT_EQ(refused(std::string("schema: 1\nname: t\nstudy: alone\n") + storm),
              "e.yaml:4:1: the study alone takes no workload");
    EXPECT_EQ(refused(start + "set: {toy.evry: 1}\n"),
              "e.yaml:5:7: unknown key 'toy.evry' (did you mean 'toy.every'?)");
    EXPECT_EQ(refused(start + "toy: {every: 0}\n").find("e.yaml:5:14: toy.every: '0' is out of"),
              0u);
    EXPECT_EQ(refused(start + "toy: {every: 3}\nset: {toy.every: 3}\n"),
              "e.yaml:5:7: duplicate key 'toy.every', first on line 6");
    EXPECT_EQ(refused("schema: 1\nname: t\nstudy: alone\nset: {toy.every: 1}\n"),
              "e.yaml:4:7: 'toy.every' is a parameter of the study toy, which does not run here");
    const std::string machine =
        std::string("schema: 1\nname: t\nmechanisms: [free_flush]\n") + storm;
    EXPECT_EQ(refused(machine + "machines: [x]\n").find("e.yaml:5:1: 'machines' is of studies"),
              0u);
    EXPECT_EQ(refused(machine + "toy: {every: 1}\n").find("e.yaml:5:1: unknown key 'toy' in"), 0u);
    EXPECT_EQ(refused(machine + "sweep: {toy.every: [1]}\n").find("e.yaml:5:9: 'toy.every' is a"),
              0u);
}

TEST_F(FrontStudy, EveryPointIsCheckedByTheStudy)
{
    const std::string text = std::string(head) + storm +
                             "platforms: {a: {}, b: {set: {topology.sockets: 1}}}\n"
                             "set: {topology.sockets: 2}\nsweep: {toy.every: [9, 20]}\n";
    EXPECT_EQ(refused(text), "e.yaml:7:24: b, toy.every=20: toy.every is more than ten a socket");
    EXPECT_NO_THROW(ts::experiment_check(parse(text, {{"toy.every", "9,10"}})));
}

TEST_F(FrontStudy, RunsWriteTheirFiles)
{
    const ts::Experiment experiment = parse_toy("seed: 7\ntoy: {every: 3}\n");
    const std::vector<ts::RunSummary> runs = run(experiment);
    ASSERT_EQ(runs.size(), 1u);
    ToyStats stats;
    ASSERT_EQ(runs[0].counters.size() * sizeof(uint64_t), sizeof stats);
    std::memcpy(&stats, runs[0].counters.data(), sizeof stats);
    EXPECT_GT(stats.hits, 0u);
    EXPECT_EQ(stats.hits, stats.operations / 3);
    EXPECT_EQ(stats.seeds, 7u);

    const std::string folder = path("out/default/seed=7/");
    const auto json = nlohmann::json::parse(read(folder + "stats.json"))["groups"];
    EXPECT_EQ(json["toy"]["misses"]["value"], stats.operations - stats.hits);
    EXPECT_EQ(json["part"]["fours"]["value"], 4u);
    EXPECT_EQ(json["columns"].size(), TS_ARRAY_LEN(toy_columns));
    EXPECT_DOUBLE_EQ(json["columns"]["per_hit"]["value"].get<double>(),
                     static_cast<double>(stats.operations) / static_cast<double>(stats.hits));
    EXPECT_EQ(json["columns"]["per_hit"]["unit"], "cycles");
    EXPECT_FALSE(json.contains("result"));
    EXPECT_NE(read(folder + "stats.csv").find("\ncolumns,seed_ratio,1,"), std::string::npos);
    EXPECT_NE(read(folder + "config.resolved.yaml").find("\nstudy: toy\n"), std::string::npos);
    const auto about = nlohmann::json::parse(read(folder + "run.json"));
    EXPECT_TRUE(about.contains("wall_seconds"));
    EXPECT_FALSE(about.contains("engine_events"));
    EXPECT_FALSE(std::filesystem::exists(folder + "flushes.csv.zst"));
}

TEST_F(FrontStudy, ResultsDoNotDependOnJobs)
{
    const ts::Experiment experiment =
        parse_toy("repetitions: 3\nsweep: {toy.every: [2, 3], toy.mode: [plain, double]}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    const std::string one =
        ts::summary_csv(ts::run_list(experiment, points, {}), run(experiment, 1));
    std::filesystem::remove_all(path("out"));
    EXPECT_EQ(ts::summary_csv(ts::run_list(experiment, points, {}), run(experiment, 4)), one);
}

TEST_F(FrontStudy, ARuleThatDoesNotHoldIsAFinding)
{
    for (const std::string which : {"1", "2"}) {
        try {
            run(parse_toy("set: {toy.broken: " + which + "}\n"));
            ADD_FAILURE() << "no error";
        } catch (const ts::Error &error) {
            EXPECT_EQ(error.exit_code(), TS_ERR_FINDING);
            const std::string text = error.what();
            EXPECT_NE(text.find(which == "1" ? toy_rules[0].help : part_rules[0].help),
                      std::string::npos)
                << text;
            EXPECT_NE(text.find("\nreproduce: again default/seed=1"), std::string::npos) << text;
        }
    }
}

TEST_F(FrontStudy, SummaryHasTheMeanOfEveryColumn)
{
    const ts::Experiment experiment =
        parse_toy("repetitions: 2\nsweep: {toy.mode: [plain, double]}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    // operations, hits, misses, seeds
    std::vector<ts::RunSummary> runs(4);
    runs[0].counters = {100, 25, 75, 1};
    runs[1].counters = {100, 35, 65, 2};
    runs[2].counters = {3000, 1, 2999, 1};
    runs[3].counters = {3000, 1, 2999, 1};
    const std::string csv = ts::summary_csv(ts::run_list(experiment, points, {}), runs);
    EXPECT_EQ(csv.find("study,platform,toy.mode,metric,unit,mean,ci95,n\n"), 0u);
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 2 * 4);
    const ts::Estimate hit = ts::estimate({25.0 / 100, 35.0 / 100});
    EXPECT_NE(csv.find("toy,default,plain,hit_ratio,ratio," + ts::number(hit.mean) + "," +
                       ts::number(hit.half_width) + ",2\n"),
              std::string::npos)
        << csv;
    EXPECT_NE(csv.find("toy,default,double,per_hit,cycles,3000,0,2\n"), std::string::npos) << csv;
    EXPECT_NE(csv.find("toy,default,plain,seed_ratio,1,"), std::string::npos) << csv;

    // Ratios are percentages; three digits, and the half width as many after the point.
    const std::string table = ts::summary_table(ts::run_list(experiment, points, {}), runs);
    const ts::Estimate per_hit = ts::estimate({100.0 / 25, 100.0 / 35});
    EXPECT_EQ(table.find("toy (mean of 2 seeds)\n"), 0u) << table;
    // Headings stand on their lowest line: names, broken, then units.
    for (const std::string &text :
         {std::string("  hit_ratio "), std::string(" per_hit  operations_\n"),
          std::string("  platform  toy.mode  "), std::string("(%)    (cycles)       in_all\n"),
          ts::fixed(hit.mean * 100, 1) + " \u00b1" + ts::fixed(hit.half_width * 100, 1),
          ts::fixed(per_hit.mean, 2) + " \u00b1" + ts::fixed(per_hit.half_width, 2),
          std::string("0.0333 \u00b10.0000"), std::string("3000 \u00b10\n")})
        EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
    EXPECT_EQ(table.find("seed_ratio"), std::string::npos) << table;
    // All rows end in the same column of the screen; of UTF-8 only the first bytes count.
    std::vector<long> widths;
    for (size_t at = table.find('\n') + 1, end; at < table.size(); at = end + 1) {
        end = table.find('\n', at);
        widths.push_back(std::count_if(table.begin() + static_cast<long>(at),
                                       table.begin() + static_cast<long>(end),
                                       [](char c) { return (c & 0xc0) != 0x80; }));
    }
    EXPECT_EQ(widths, std::vector<long>(4, widths.at(0))) << table;
}

TEST_F(FrontStudy, NothingInTheDenominatorIsZero)
{
    const ts::Experiment experiment = parse("schema: 1\nname: t\nstudy: alone\nseed: 4\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    const std::vector<ts::RunSummary> runs = run(experiment);
    EXPECT_EQ(runs.at(0).counters, (std::vector<uint64_t>{4, 0}));
    EXPECT_NE(ts::summary_csv(ts::run_list(experiment, points, {}), runs)
                  .find(",over_nothing,ratio,0,,1\n"),
              std::string::npos);
    EXPECT_NE(
        ts::summary_table(ts::run_list(experiment, points, {}), runs).find("alone (1 run each)\n"),
        std::string::npos);
}

} // namespace
