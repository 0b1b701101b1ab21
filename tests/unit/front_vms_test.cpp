// SPDX-License-Identifier: Apache-2.0
// `vms: [...]`: what is read, what is refused and where, that a resolved file repeats it, and its
// results.
#include "sim/front/run.hpp"
#include "tests/unit/front_support.hpp"

#include <sstream>

namespace
{

const char start[] = "schema: 1\n"
                     "name: t\n"
                     "workload: {kind: mmap_storm, rounds: 5, threads: 2}\n"
                     "mechanisms: [native_concurrent, kvm_pv]\n"
                     "set: {run.vcpus: 3}\n";

class FrontVms : public FrontTest
{
  protected:
    ts::Experiment parse(const std::string &text, const std::vector<ts::Override> &set = {})
    {
        return ts::experiment_parse(start + text, write("e.yaml", start + text), set, false);
    }
    // The error of reading or checking it, without the folder.
    std::string refusal(const std::string &text, const std::vector<ts::Override> &set = {})
    {
        try {
            ts::experiment_check(parse(text, set));
        } catch (const ts::Error &error) {
            EXPECT_EQ(error.status(), TS_ERR_USER);
            const std::string message = error.what();
            const size_t at = message.find("e.yaml");
            return at == std::string::npos ? message : message.substr(at);
        }
        return "";
    }
    std::vector<std::vector<std::string>> csv(const std::string &file)
    {
        std::vector<std::vector<std::string>> rows;
        std::istringstream lines(read(file));
        for (std::string line; std::getline(lines, line);) {
            rows.emplace_back();
            std::istringstream cells(line);
            for (std::string cell; std::getline(cells, cell, ',');)
                rows.back().push_back(cell);
        }
        return rows;
    }
};

const char two[] = "vms:\n"
                   "  - name: own\n"
                   "  - name: noise\n"
                   "    count: 2\n"
                   "    vcpus: 2\n"
                   "    background: true\n"
                   "    pcpus: [1-3, 5]\n"
                   "    pin: true\n"
                   "    shares: 512\n"
                   "    mechanism: native_sequential\n"
                   "    workload: {kind: bystander, records: 0, looper_rounds: 0, pages: 7}\n"
                   "    set: {guest.tick: waiting, guest_sched: {policy: cfs}}\n";

} // namespace

TEST_F(FrontVms, AnEntryHasWhatItNamesAndElseThePoints)
{
    const ts::Experiment experiment = parse(two);
    ts::experiment_check(experiment);
    const auto points = ts::experiment_points(experiment);
    const ts::Resolved resolved = ts::resolve(experiment, points.at(1));
    ASSERT_EQ(resolved.shapes.size(), 3u);
    EXPECT_EQ(resolved.config.run.vms, 3u);
    const ts::ResolvedVm &own = resolved.vms.at(0), &noise = resolved.vms.at(1);
    EXPECT_STREQ(own.mechanism->name, "kvm_pv");
    EXPECT_EQ(own.shape.vcpus, 3u);
    EXPECT_EQ(own.shape.shares, 1024u);
    EXPECT_EQ(own.shape.pcpus.nbits, 0u);
    EXPECT_FALSE(own.shape.background || own.shape.pin);
    EXPECT_TRUE(own.values.empty());
    EXPECT_STREQ(noise.mechanism->name, "native_sequential");
    EXPECT_STREQ(noise.load->workload->ops.name, "bystander");
    EXPECT_EQ(noise.shape.vcpus, 2u);
    EXPECT_EQ(noise.shape.shares, 512u);
    EXPECT_EQ(ts_cpumask_count(&noise.shape.pcpus), 4u);
    EXPECT_TRUE(ts_cpumask_test(&noise.shape.pcpus, 5) && !ts_cpumask_test(&noise.shape.pcpus, 4));
    EXPECT_TRUE(noise.shape.background && noise.shape.pin);
    EXPECT_NE(noise.shape.guest.tick, own.shape.guest.tick);
    EXPECT_STREQ(ts_sched_table[noise.shape.guest_sched.policy]->name, "cfs");
    EXPECT_EQ(resolved.by_vm[2], &noise);
    EXPECT_TRUE(resolved.is_background(1) && !resolved.is_background(0));
}

// Its own guest replaces the platform's, with what the version implies; what the experiment sets
// stays below both.
TEST_F(FrontVms, AGuestOfItsOwnReplacesThePlatforms)
{
    const ts::Experiment experiment = parse(
        "guest: {guest: {linux: 6.12, flush_ceiling: 7}}\n"
        "vms:\n"
        "  - {name: a}\n"
        "  - {name: b, guest: {guest: {linux: 4.15}}}\n"
        "  - {name: c, guest: {guest: {linux: 4.15}}, set: {guest.flush_concurrent: true}}\n");
    const auto points = ts::experiment_points(experiment);
    const ts::Resolved resolved = ts::resolve(experiment, points.at(0));
    EXPECT_EQ(resolved.vms[0].shape.guest.flush_ceiling, 7u);
    EXPECT_EQ(resolved.vms[1].shape.guest.flush_ceiling, 33u);
    EXPECT_EQ(resolved.vms[0].shape.guest.flush_concurrent, 1u);
    EXPECT_EQ(resolved.vms[1].shape.guest.flush_concurrent, 0u);
    EXPECT_EQ(resolved.vms[2].shape.guest.flush_concurrent, 1u);
}

TEST_F(FrontVms, AWindowsLikeVmHasRulesOfItsOwnBesideLinux)
{
    const ts::Experiment experiment =
        parse("vms:\n"
              "  - {name: lin}\n"
              "  - name: win\n"
              "    guest: {guest: {os: windows, linux: 6.12}, nt: {free_batch: 7}}\n"
              "    mechanism: native_concurrent\n"
              "    set: {nt.push_spin: 5}\n");
    ts::experiment_check(experiment);
    const auto points = ts::experiment_points(experiment);
    const ts::Resolved resolved = ts::resolve(experiment, points.at(0));
    EXPECT_EQ(resolved.vms[1].shape.guest.os, uint64_t(TS_OS_WINDOWS));
    EXPECT_EQ(resolved.vms[1].shape.nt.free_batch, 7u);
    EXPECT_EQ(resolved.vms[1].shape.nt.push_spin, 5u);
    EXPECT_EQ(resolved.vms[0].shape.guest.os, uint64_t(TS_OS_LINUX));
    EXPECT_NE(resolved.vms[0].shape.nt.free_batch, 7u);
}

TEST_F(FrontVms, NumbersAreSweptAndSet)
{
    const std::string sweep = "sweep: {vms.noise.count: [0, 1, 4], vms.own.vcpus: [2, 5]}\n";
    const ts::Experiment experiment = parse(two + sweep);
    ts::experiment_check(experiment);
    const auto points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 12u);
    const ts::Resolved last = ts::resolve(experiment, points.back());
    EXPECT_EQ(last.config.run.vms, 5u);
    EXPECT_EQ(last.vms[0].shape.vcpus, 5u);
    EXPECT_EQ(ts::resolve(experiment, points.front()).config.run.vms, 1u);
    const ts::Experiment set = parse(two, {{"vms.noise.count", "9"}});
    EXPECT_EQ(ts::resolve(set, ts::experiment_points(set)[0]).config.run.vms, 10u);
    EXPECT_NE(refusal(two + std::string("sweep: {vms.nois.count: [1]}\n"))
                  .find("e.yaml:18:26: 'vms.nois.count': no VM of 'vms' has the name 'nois' (did "
                        "you mean 'noise'?)"),
              std::string::npos);
    EXPECT_NE(refusal(two, {{"vms.noise.cont", "1"}}).find("unknown key"), std::string::npos);
}

TEST_F(FrontVms, WhatIsWrongIsSaidAtItsPlace)
{
    const std::pair<const char *, const char *> rows[] = {
        {"vms: 3\n", "6:6: 'vms' is a list"},
        {"vms: []\n", "6:6: 'vms' is a list"},
        {"vms: [{vcpu: 3}]\n", "6:8: unknown key 'vcpu' of a VM (did you mean 'vcpus'?)"},
        {"vms: [{vcpus: 0}]\n", "6:15: vms.vm0.vcpus: '0' is out of bounds"},
        {"vms: [{count: 4097}]\n", "6:15: vms.vm0.count: '4097' is out of bounds"},
        {"vms: [{shares: 1}]\n", "6:16: vms.vm0.shares: '1' is out of bounds"},
        {"vms: [{name: a b}]\n", "6:14: the name of a VM, 'a b'"},
        {"vms: [{name: a}, {name: a}]\n", "6:18: 'vms' names 'a' twice"},
        {"vms: [{pcpus: 3-1}]\n", "6:15: pcpus: expected"},
        {"vms: [{pcpus: [0-3, 2]}]\n", "6:21: pcpus names pCPU 2 twice"},
        {"vms: [{pcpus: 0-999}]\n", "6:15: there is no pCPU 999"},
        {"vms: [{socket: 9}]\n", "6:16: there is no socket 9"},
        {"vms: [{socket: 0, pcpus: 1}]\n", "6:16: 'socket' does not go with 'pcpus'"},
        {"vms: [{mechanism: kvm_pvv}]\n", "6:19: unknown mechanism 'kvm_pvv'"},
        {"vms: [{mechanism: xen}]\n", "6:19: default, VM vm0: mechanism 'xen' cannot run here"},
        {"vms: [{workload: {kind: none}}]\n", "6:25: unknown workload kind"},
        {"vms: [{workload: {kind: bystander, records: 0}}]\n", "has no end"},
        {"vms: [{set: {hypervisor.ple: no}}]\n", "6:30: hypervisor.ple is the host's"},
        {"vms: [{set: {guest.tik: waiting}}]\n", "6:14: unknown key 'guest.tik'"},
        {"vms: [{background: yes}]\n", "6:1: default: 'vms' has no VM that is measured"},
        {"vms: [{count: 0}]\n", "6:1: default: 'vms' has no VM that is measured"},
        {"vms: [{pin: yes, vcpus: 3, pcpus: 1}]\n", "6:7: default, VM vm0: VM 'vm0' is pinned"},
        {"vms: [{pin: maybe}]\n", "6:13: pin"},
    };
    for (const auto &row : rows) {
        const std::string message = refusal(row.first);
        EXPECT_NE(message.find(row.second), std::string::npos) << row.first << message;
    }
    EXPECT_NE(refusal("vms: [{}]\n", {{"run.vms", "2"}}).find("run.vms is 2, but 'vms' lists 1"),
              std::string::npos);
    EXPECT_NE(
        refusal("vms: [{}]\n", {{"hypervisor.kind", "none"}, {"mechanisms", "native_concurrent"}})
            .find("'vms' needs a hypervisor"),
        std::string::npos);
}

TEST_F(FrontVms, AResolvedFileRepeatsTheRun)
{
    const ts::Experiment first = parse(two);
    const auto points = ts::experiment_points(first);
    ts::run_point(first, points.at(1), {}, path("out"));
    const std::string folder = path("out") + "/" + points[1].folder;
    const auto rows = csv(folder + "/vms.csv");
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(rows[0][1], "name");
    EXPECT_EQ(rows[1][1], "own");
    EXPECT_EQ(rows[1][3], "kvm_pv");
    EXPECT_EQ(rows[3][3], "native_sequential");
    EXPECT_EQ(rows[3][5], "1");
    const std::string resolved = folder + "/config.resolved.yaml";
    const ts::Experiment again = ts::experiment_load(resolved, {});
    ts::experiment_check(again);
    const auto same = ts::experiment_points(again);
    ASSERT_EQ(same.size(), 1u);
    ts::run_point(again, same[0], {}, path("again"));
    const std::string other = path("again") + "/" + same[0].folder;
    for (const char *name : {"/vms.csv", "/stats.csv", "/config.resolved.yaml"})
        EXPECT_EQ(read(folder + name), read(other + name)) << name;
}

// critical_path.csv and the result are of those that are measured.
TEST_F(FrontVms, AShootdownInTheBackgroundDoesNotCount)
{
    const ts::Experiment experiment =
        parse("vms:\n"
              "  - {name: own, vcpus: 1, workload: {kind: mmap_storm, rounds: 3, threads: 1}}\n"
              "  - {name: noise, background: yes}\n");
    const auto points = ts::experiment_points(experiment);
    const ts::RunSummary run = ts::run_point(experiment, points.at(0), {}, path("out"));
    const auto rows = csv(path("out") + "/" + points[0].folder + "/vms.csv");
    size_t shootdowns = 0;
    while (rows[0].at(shootdowns) != "shootdowns")
        shootdowns++;
    EXPECT_EQ(rows[1].at(shootdowns), "0");
    EXPECT_NE(rows[2].at(shootdowns), "0");
    EXPECT_EQ(run.machine.records, 0u);
    EXPECT_EQ(run.machine.result.shootdowns, 0u);
}
