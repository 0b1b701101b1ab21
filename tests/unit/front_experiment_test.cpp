// SPDX-License-Identifier: Apache-2.0
// From YAML to the parameters of each run.
#include "sim/front/experiment.hpp"
#include "tests/unit/front_support.hpp"

#include <algorithm>
#include <set>

namespace
{

const char head[] = "schema: 1\nname: t\nworkload: {kind: mmap_storm, threads: 3}\n";

class FrontExperiment : public FrontTest
{
  protected:
    ts::Experiment parse(const std::string &text, const std::vector<ts::Override> &overrides = {})
    {
        // Includes are looked for beside the file, if there is one.
        const std::string file = write("e.yaml", head + text);
        return ts::experiment_parse(head + text, file, overrides, false);
    }

    static ts::Resolved first(const ts::Experiment &experiment)
    {
        return ts::resolve(experiment, ts::experiment_points(experiment).at(0));
    }

    static const ts::ResolvedValue &value(const ts::Resolved &resolved, const std::string &name)
    {
        const auto found =
            std::find_if(resolved.values.begin(), resolved.values.end(),
                         [&](const ts::ResolvedValue &v) { return v.key->name == name; });
        EXPECT_NE(found, resolved.values.end()) << name;
        return *found;
    }
};

TEST_F(FrontExperiment, PointsAreTheProduct)
{
    const ts::Experiment experiment =
        parse("repetitions: 2\nseed: 5\nmechanisms: [free_flush, native_concurrent]\n"
              "sweep: {run.vms: [1, 2, 3], interconnect.socket_link_rate: [20GB/s, 10GB/s]}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 2u * 3 * 2 * 2);
    std::set<std::string> folders;
    for (const ts::Point &point : points)
        folders.insert(point.folder);
    EXPECT_EQ(folders.size(), points.size());
    EXPECT_EQ(points[0].folder,
              "default/free_flush/run.vms=1,interconnect.socket_link_rate=20GB_s/seed=5");
    // Seeds stand together; the last swept key varies fastest among combinations.
    EXPECT_EQ(points[1].seed, 6u);
    EXPECT_EQ(points[2].mechanism->name, std::string("native_concurrent"));
    EXPECT_EQ(ts::resolve(experiment, points[4]).config.interconnect.socket_link_rate,
              10000000000u);
    EXPECT_EQ(ts::resolve(experiment, points.back()).config.run.vms, 3u);
}

TEST_F(FrontExperiment, LaterLayersWin)
{
    write("m.yaml", "source: a book\nconfidence: verbatim\nrun: {vcpus: 10}\nmmu: {l2_ways: 3}\n");
    write("g.yaml", "run.vcpus: {value: 11, source: a page, confidence: derived}\n");
    const std::string platform = "platforms:\n  p:\n    machine: m.yaml\n    guest: ./g.yaml\n    "
                                 "mechanisms: [free_flush]\n";
    ts::Resolved resolved = first(parse(platform));
    EXPECT_EQ(resolved.config.run.vcpus, 11u);
    EXPECT_EQ(value(resolved, "run.vcpus").source, "a page");
    EXPECT_EQ(value(resolved, "run.vcpus").confidence, TS_CONF_DERIVED);
    EXPECT_EQ(value(resolved, "mmu.l2_ways").source, "a book");
    resolved = first(parse(platform + "set: {run: {vcpus: 12}}\n"));
    EXPECT_EQ(resolved.config.run.vcpus, 12u);
    EXPECT_EQ(value(resolved, "run.vcpus").confidence, TS_CONF_CHOICE);
    resolved = first(parse(platform + "    set: {run.vcpus: 13}\nset: {run.vcpus: 12}\n"));
    EXPECT_EQ(resolved.config.run.vcpus, 13u);
    resolved = first(parse(platform + "sweep: {run.vcpus: [14]}\nset: {run.vcpus: 12}\n"));
    EXPECT_EQ(resolved.config.run.vcpus, 14u);
    resolved = first(parse(platform + "    set: {run.vcpus: 13}\nset: {run.vcpus: 12}\n",
                           {{"run.vcpus", "15"}}));
    EXPECT_EQ(resolved.config.run.vcpus, 15u);
}

TEST_F(FrontExperiment, TheKernelsVersionSetsWhatNothingSetsByItself)
{
    write("g.yaml", "source: a book\nconfidence: verbatim\nguest: {linux: 4.15}\n");
    const std::string base = "guest: ./g.yaml\nmechanisms: [free_flush]\n";
    ts::Resolved resolved = first(parse(base));
    EXPECT_EQ(resolved.config.guest.lazy_rule, uint64_t(TS_LAZY_INIT_MM));
    EXPECT_EQ(resolved.config.guest.flush_concurrent, 0u);
    EXPECT_EQ(resolved.config.guest.per_vma_lock, 0u);
    EXPECT_EQ(ts_sched_table[resolved.config.guest_sched.policy]->name, std::string("cfs"));
    EXPECT_EQ(value(resolved, "guest.linux").source, "a book");
    EXPECT_NE(value(resolved, "guest.lazy_rule").source, "a book");
    EXPECT_EQ(value(resolved, "guest.lazy_rule").confidence, TS_CONF_REMEMBERED);
    // A later layer's version replaces the earlier one's, all of it.
    resolved = first(parse(base + "set: {guest.linux: 6.10}\n"));
    EXPECT_EQ(resolved.config.guest.lazy_rule, uint64_t(TS_LAZY_SKIP));
    EXPECT_EQ(resolved.config.guest.should_flush_mm, 0u);
    EXPECT_EQ(ts_guest_version_names[resolved.config.guest.linux_version], std::string("6.10"));
    // A parameter that is set alone wins, from whatever layer.
    write("h.yaml", "guest: {per_vma_lock: {value: true, source: x, confidence: guess}}\n");
    resolved = first(parse("hypervisor: ./h.yaml\n" + base + "set: {guest.linux: 5.10}\n"));
    EXPECT_EQ(resolved.config.guest.per_vma_lock, 1u);
    EXPECT_EQ(value(resolved, "guest.per_vma_lock").source, "x");
    EXPECT_EQ(resolved.config.guest.flush_concurrent, 0u);
    resolved = first(parse(base, {{"guest.flush_concurrent", "on"}}));
    EXPECT_EQ(resolved.config.guest.flush_concurrent, 1u);
}

TEST_F(FrontExperiment, TheKernelsVersionCanBeSweptAndIsToBlame)
{
    const ts::Experiment experiment = parse(
        "mechanisms: [free_flush]\nset: {guest.linux: 6.1}\nsweep: {guest.linux: [5.12, 5.13]}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 2u);
    EXPECT_NE(points[0].folder.find("guest.linux=5.12"), std::string::npos);
    EXPECT_EQ(ts::resolve(experiment, points[0]).config.guest.flush_concurrent, 0u);
    EXPECT_EQ(ts::resolve(experiment, points[1]).config.guest.flush_concurrent, 1u);
    const ts::Found found = ts::find_setting(experiment, points[0], "guest.flush_concurrent");
    ASSERT_NE(found.setting, nullptr);
    EXPECT_EQ(found.layer, ts::SettingLayer::Point);
    EXPECT_EQ(found.setting->place.line, points[0].swept[0]->place.line);
}

// What a run writes down of itself, read again, is the same run.
TEST_F(FrontExperiment, AResolvedVersionResolvesToItself)
{
    const ts::Experiment experiment = parse("mechanisms: [free_flush]\nset: {guest.linux: 4.14}\n");
    const ts::Point point = ts::experiment_points(experiment).at(0);
    const ts::Resolved once = ts::resolve(experiment, point);
    const std::string text = ts::resolved_yaml(experiment, point, once);
    EXPECT_NE(text.find("linux: "), std::string::npos);
    const ts::Experiment again =
        ts::experiment_parse(text, write("resolved.yaml", text), {}, false);
    const ts::Resolved twice = first(again);
    EXPECT_EQ(memcmp(&once.config, &twice.config, sizeof once.config), 0);
    ASSERT_EQ(once.values.size(), twice.values.size());
    for (size_t i = 0; i < once.values.size(); i++)
        EXPECT_EQ(once.values[i].source, twice.values[i].source) << once.values[i].key->name;
}

TEST_F(FrontExperiment, IncludesMergeAndLaterWins)
{
    write("a.yaml", "set: {run.vcpus: 2, run: {vms: 2}}\nrepetitions: 2\n");
    write("b.yaml", "include: a.yaml\nset: {run: {vcpus: 3}}\n");
    const ts::Experiment experiment =
        parse("include: [a.yaml, b.yaml]\nrepetitions: 4\nmechanisms: [free_flush]\n");
    EXPECT_EQ(experiment.repetitions, 4u);
    EXPECT_EQ(first(experiment).config.run.vcpus, 3u);
    EXPECT_EQ(first(experiment).config.run.vms, 2u);
}

TEST_F(FrontExperiment, ValuesWithoutSourceAreAssumedInPieces)
{
    write("m.yaml", "mmu.l2_ways: 3\n");
    const ts::Resolved resolved = first(parse("machine: m.yaml\nmechanisms: [free_flush]\n"));
    EXPECT_TRUE(ts_confidence_assumed(value(resolved, "mmu.l2_ways").confidence));
    // In an experiment it is a choice, unless it is what the table says anyway.
    const ts_param *row = ts_param_find(&ts_mmu_param_table, "l2_entries");
    const ts::Resolved set =
        first(parse("mechanisms: [free_flush]\nset: {mmu: {l2_ways: 3, l2_entries: " +
                    std::to_string(row->def) + "}}\n"));
    EXPECT_EQ(value(set, "mmu.l2_ways").confidence, TS_CONF_CHOICE);
    EXPECT_EQ(value(set, "mmu.l2_entries").confidence, row->confidence);
    EXPECT_EQ(value(set, "mmu.l2_entries").source, row->source);
}

TEST_F(FrontExperiment, DefaultsAreTheTables)
{
    const ts::Experiment experiment = parse("mechanisms: [free_flush]\n");
    const ts::Resolved resolved = first(experiment);
    ts_machine_config config;
    ts_machine_config_defaults(&config);
    EXPECT_EQ(memcmp(&config, &resolved.config, sizeof config), 0);
    size_t machine_rows = 0;
    for (size_t i = 0; i < ts_machine_params_count; i++)
        machine_rows += ts_machine_params[i].table->nrows;
    const auto rows = static_cast<size_t>(std::count_if(
        resolved.values.begin(), resolved.values.end(),
        [](const ts::ResolvedValue &v) { return v.key->scope == ts::KeyScope::Machine; }));
    EXPECT_EQ(rows, machine_rows);
    EXPECT_EQ(value(resolved, "workload.threads").value, 3u);
}

TEST_F(FrontExperiment, EveryDefaultFormatsAndReadsBack)
{
    for (const auto &item : ts::Keys::get().all()) {
        const ts::Key &key = item.second;
        const std::string text = key.format(key.row->def);
        EXPECT_EQ(key.parse(text, ts::Place()), key.row->def) << item.first << ": " << text;
        EXPECT_NE(std::string(key.row->source), "") << item.first;
        EXPECT_NE(std::string(key.row->help), "") << item.first;
    }
}

TEST_F(FrontExperiment, ResolvedTextResolvesToItself)
{
    write("m.yaml", "source: \"a: \\\"book\\\" # with marks\"\nconfidence: guess\n"
                    "mmu: {l2_ways: 3, replacement: fifo}\ninterconnect: {fabric: ring}\n");
    const ts::Experiment experiment =
        parse("title: 'x # y'\nmachine: m.yaml\nmechanisms: [native_concurrent, free_flush]\n"
              "repetitions: 3\nsweep: {run.vcpus: [2, 3]}\nset: {run.limit: 3s}\n");
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    const ts::Point &point = points.back();
    const ts::Resolved resolved = ts::resolve(experiment, point);
    const std::string text = ts::resolved_yaml(experiment, point, resolved);
    const ts::Experiment again = ts::experiment_parse(text, path("r.yaml"), {}, false);
    const std::vector<ts::Point> one = ts::experiment_points(again);
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0].seed, point.seed);
    EXPECT_EQ(one[0].mechanism, point.mechanism);
    const ts::Resolved same = ts::resolve(again, one[0]);
    EXPECT_EQ(memcmp(&same.config, &resolved.config, sizeof same.config), 0);
    EXPECT_EQ(same.workload_params, resolved.workload_params);
    EXPECT_EQ(same.assumed(), resolved.assumed());
    EXPECT_EQ(ts::resolved_yaml(again, one[0], same), text);
}

TEST_F(FrontExperiment, CommandLineEditsTheExperiment)
{
    const std::string text = "platforms:\n  a: {mechanisms: [free_flush, kvm_pv]}\n"
                             "  b: {mechanisms: [free_flush, native_concurrent]}\n"
                             "sweep: {run.vms: [1, 2]}\n";
    EXPECT_EQ(ts::experiment_points(parse(text)).size(), 8u);
    EXPECT_EQ(ts::experiment_points(parse(text, {{"platforms", "b"}})).size(), 4u);
    // Chooses from each platform's list; a platform without any is left out.
    EXPECT_EQ(ts::experiment_points(parse(text, {{"mechanisms", "kvm_pv"}})).size(), 2u);
    EXPECT_EQ(ts::experiment_points(parse(text, {{"run.vms", "4"}})).size(), 4u);
    EXPECT_EQ(ts::experiment_points(parse(text, {{"run.vcpus", "4,5,6"}})).size(), 24u);
    EXPECT_EQ(ts::experiment_points(parse(text, {{"platforms.a.mechanisms", "free_flush"}})).size(),
              6u);
    EXPECT_EQ(parse(text, {{"repetitions", "9"}, {"seed", "3"}}).repetitions, 9u);
    EXPECT_EQ(first(parse(text, {{"workload.pages", "77"}})).workload_params,
              first(parse(text + "", {{"workload.pages", "77"}})).workload_params);
    EXPECT_EQ(value(first(parse(text, {{"workload.pages", "77"}})), "workload.pages").value, 77u);
}

TEST_F(FrontExperiment, PathsAreLabelledWithoutTheMachine)
{
    write("root/configs/machines/m.yaml", "");
    const std::string trace = write("root/workloads/t.strace", "x");
    const ts::Paths paths(path("root/configs/experiments/e.yaml"));
    EXPECT_EQ(paths.label(trace), "workloads/t.strace");
    const std::string elsewhere = write("elsewhere", "x");
    EXPECT_EQ(paths.label(elsewhere), std::filesystem::canonical(elsewhere).string());
    EXPECT_TRUE(std::filesystem::equivalent(
        paths.file("workloads/t.strace", ts::Place{path("run/config.resolved.yaml"), 1, 1}),
        trace));
    // Those of the current folder's configs, if it has any, are named too.
    const std::vector<std::string> names = paths.names("machines");
    EXPECT_EQ(std::count(names.begin(), names.end(), "m"), 1);
}

TEST_F(FrontExperiment, WhatTheMachineCannotOfferIsKnownBeforehand)
{
    const ts::Experiment experiment = parse("mechanisms: [free_flush, tlbi_range]\n");
    EXPECT_EQ(user_error_of([&] {
                  ts::experiment_check(experiment);
              }).find(path("e.yaml") + ":4:26: default: mechanism 'tlbi_range'"),
              0u);
}

// Of the keys that an error names, the one that was set last is to blame.
TEST_F(FrontExperiment, AnErrorStandsWhereItsKeyWasSet)
{
    const std::string bare = "hypervisor: {hypervisor.kind: none}\nmechanisms: [free_flush]\n";
    const auto error = [&](const std::string &text, const std::vector<ts::Override> &set = {}) {
        const ts::Experiment experiment = parse(bare + text, set);
        return user_error_of([&] { ts::experiment_check(experiment); });
    };
    const auto starts = [&](const std::string &text, const std::string &start) {
        EXPECT_EQ(text.find(start), 0u) << text;
    };
    // "run.vms is 2, but bare metal (hypervisor.kind: none) runs one operating system"
    starts(error("set: {run.vms: 2}\n"), path("e.yaml") + ":6:16: default: run.vms is 2");
    starts(error("sweep: {run.vms: [1, 2]}\n"),
           path("e.yaml") + ":6:22: default, run.vms=2: run.vms is 2");
    starts(error("sweep: {run.vms: [1, 2]}\n", {{"run.vms", "1,3"}}),
           "--set run.vms: default, run.vms=3: run.vms is 3");
    starts(error("set: {run.vms: 2}\n", {{"hypervisor.kind", "none"}}),
           "--set hypervisor.kind: default: run.vms is 2");
    // A workload names its own parameters only.
    starts(error("set: {workload.pages: 4}\n", {{"workload.touch_pages", "5"}}),
           "--set workload.touch_pages: default: touch_pages is larger than pages");
}

TEST_F(FrontExperiment, LongNamesAreCutAndTold)
{
    std::string sweep = "sweep: {";
    for (const char *key : {"mmap", "munmap", "mprotect", "syscall", "spawn", "touch", "invlpg",
                            "irq_entry", "irq_exit"})
        sweep += "guest." + std::string(key) + ": [100000000cycles, 10cycles], ";
    const ts::Experiment experiment =
        parse("mechanisms: [free_flush]\n" + sweep + "run.vms: [1, 2, 3, 4]}\n");
    std::set<std::string> folders;
    for (const ts::Point &point : ts::experiment_points(experiment)) {
        EXPECT_LE(point.folder.size(), std::string("default/free_flush//seed=1").size() + 200);
        folders.insert(point.folder);
    }
    EXPECT_EQ(folders.size(), 512u * 4);
}

} // namespace
