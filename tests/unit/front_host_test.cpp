// SPDX-License-Identifier: Apache-2.0
// `host: {tasks: [...]}`: what is read, what is refused and where, and that it runs.
#include "sim/front/run.hpp"
#include "tests/unit/front_support.hpp"

namespace
{

const char head[] = "schema: 1\n"
                    "name: t\n"
                    "workload: {kind: mmap_storm, rounds: 20}\n"
                    "mechanisms: [native_concurrent]\n"
                    "set: {run.vcpus: 4, run.vms: 2}\n";

class FrontHost : public FrontTest
{
  protected:
    ts::Experiment parse(const std::string &text)
    {
        return ts::experiment_parse(head + text, write("e.yaml", head + text), {}, false);
    }
    // The error of reading or checking it, without the folder.
    std::string refusal(const std::string &text)
    {
        try {
            ts::experiment_check(parse(text));
        } catch (const ts::Error &error) {
            EXPECT_EQ(error.status(), TS_ERR_USER);
            const std::string message = error.what();
            return message.substr(message.find("e.yaml"));
        }
        return "";
    }
};

const char thread[] = "host:\n"
                      "  tasks:\n"
                      "    - name: notifier\n"
                      "      pcpu: 1\n"
                      "      repeat: 30\n"
                      "      operations:\n"
                      "        - compute: 25000cycles\n"
                      "        - flush: {vm: 1}\n"
                      "        - flush_range: {length: 2MiB, start: 4MiB}\n"
                      "        - sleep: 10us\n"
                      "        - kick: {vcpu: 3}\n"
                      "        - invept\n"
                      "    - background: yes\n"
                      "      repeat: 100000\n"
                      "      operations: [{sleep: 1ms}]\n";

} // namespace

TEST_F(FrontHost, OperationsOnAVmsMemoryAreReadAndWrittenBack)
{
    const ts::Experiment experiment =
        parse("host: {tasks: [{operations: [slot_delete: {slot: 1},\n"
              "  slot_add: {vm: 1, slot: 2, start: 4TiB, length: 3GiB, pages: 2MiB},\n"
              "  slot_fill: {slot: 2, pages: 1GiB}, log_start: {slot: 3}, log_stop: {slot: 3},\n"
              "  notify: {vm: 1, start: 8KiB, length: 4KiB}, slot_split: {slot: 2},\n"
              "  stage: {vm: 1, name: adjust}]}]}\n");
    const auto &tasks = experiment.platforms.at(0).host_tasks;
    ASSERT_EQ(tasks.at(0).operations.size(), 8u);
    EXPECT_EQ(tasks[0].operations[6].op.slot, 2u);
    EXPECT_EQ(tasks[0].operations[7].op.stage, 3u);
    EXPECT_EQ(tasks[0].operations[7].op.vm, 1u);
    EXPECT_NE(ts::host_tasks_text(tasks).find("name: adjust"), std::string::npos);
    EXPECT_NE(refusal("host: {tasks: [{operations: [stage: {name: adjst}]}]}\n").find("adjust"),
              std::string::npos);
    const ts_host_op &add = tasks[0].operations[1].op;
    EXPECT_EQ(add.kind, TS_HOST_SLOT_ADD);
    EXPECT_EQ(add.vm, 1u);
    EXPECT_EQ(add.slot, 2u);
    EXPECT_EQ(add.level, 1u);
    EXPECT_EQ(add.start, UINT64_C(4) << 40);
    EXPECT_EQ(add.amount, UINT64_C(3) << 30);
    EXPECT_EQ(tasks[0].operations[2].op.level, 2u);
    EXPECT_EQ(tasks[0].operations[5].op.start, 8192u);
    EXPECT_NE(ts::host_tasks_text(tasks).find("pages: 2MiB"), std::string::npos);
    EXPECT_NE(refusal("host: {tasks: [{operations: [slot_add: {slot: 1}]}]}\n")
                  .find("slot_add has no 'length'"),
              std::string::npos);
    EXPECT_NE(refusal("host: {tasks: [{operations: [log_start: {slot: 0}]}]}\n")
                  .find("log_start is of arm64"),
              std::string::npos);
}

TEST_F(FrontHost, TasksAreReadAndWrittenBack)
{
    const ts::Experiment experiment = parse(thread);
    ts::experiment_check(experiment);
    const auto &tasks = experiment.platforms.at(0).host_tasks;
    ASSERT_EQ(tasks.size(), 2u);
    EXPECT_EQ(tasks[0].pcpu, 1u);
    EXPECT_EQ(tasks[0].repeat, 30u);
    ASSERT_EQ(tasks[0].operations.size(), 6u);
    EXPECT_EQ(tasks[0].operations[0].op.amount, 25000u);
    EXPECT_EQ(tasks[0].operations[1].op.vm, 1u);
    EXPECT_EQ(tasks[0].operations[2].op.start, 4u << 20);
    EXPECT_EQ(tasks[0].operations[2].op.amount, 2u << 20);
    EXPECT_EQ(tasks[0].operations[5].op.vm, TS_HOST_ALL_VMS);
    EXPECT_EQ(tasks[1].name, "host1");
    EXPECT_TRUE(tasks[1].background);
    EXPECT_EQ(tasks[1].pcpu, TS_HOST_ANY_PCPU);
    const ts::Point point = ts::experiment_points(experiment).at(0);
    const std::string text = ts::resolved_yaml(experiment, point, ts::resolve(experiment, point));
    const ts::Experiment again = ts::experiment_parse(text, write("r.yaml", text), {}, false);
    EXPECT_EQ(ts::host_tasks_text(again.platforms.at(0).host_tasks), ts::host_tasks_text(tasks));
    EXPECT_NE(text.find("{name: notifier, pcpu: 1, repeat: 30, operations: ["), std::string::npos);
}

TEST_F(FrontHost, ARunHasTheirStatistics)
{
    const ts::Experiment experiment = parse(thread);
    const ts::Point point = ts::experiment_points(experiment).at(0);
    ts::run_point(experiment, point, {}, path("out"));
    const std::string stats = read(path("out/" + point.folder + "/stats.csv"));
    EXPECT_NE(stats.find("host_task,kick,1,30\n"), std::string::npos);
    EXPECT_NE(stats.find("host_task,ended,1,1\n"), std::string::npos);
    EXPECT_NE(stats.find("hypervisor,remote_tlb_flush_requests,1,60\n"), std::string::npos);
}

TEST_F(FrontHost, MistakesAreNamedAtTheirPlace)
{
    const std::string op = "host: {tasks: [{operations: [";
    const std::pair<std::string, std::string> cases[] = {
        {"host: {task: []}\n", "e.yaml:6:8: unknown key 'task' of host (did you mean 'tasks'?)"},
        {"host: {}\n", "e.yaml:6:1: 'host' has a list of 'tasks'"},
        {"host: {tasks: [{operation: []}]}\n",
         "e.yaml:6:17: unknown key 'operation' of a host task (did you mean 'operations'?)"},
        {"host: {tasks: [{name: a}]}\n", "e.yaml:6:16: the host task 'a' has no 'operations'"},
        {op + "{flsh: {vm: 0}}]}]}\n",
         "e.yaml:6:31: unknown operation 'flsh' of a host task (did you mean 'flush'?)"},
        {op + "{flush: {vn: 0}}]}]}\n",
         "e.yaml:6:39: unknown key 'vn' of flush (did you mean 'vm'?)"},
        {op + "{sleep: 3}]}]}\n", "e.yaml:6:38: sleep"},
        {op + "sleep]}]}\n", "e.yaml:6:30: sleep needs a value: sleep: 1ms"},
        {op + "flush_range]}]}\n", "e.yaml:6:30: flush_range has no 'length'"},
        {op + "{flush_range: {length: 5KiB}}]}]}\n",
         "e.yaml:6:31: default: flush_range: start and length are whole pages of 4 KiB"},
        {op + "{kick: {vm: 2}}]}]}\n", "e.yaml:6:31: default: kick: there is no VM 2"},
        {op + "{kick: {vcpu: 4}}]}]}\n", "e.yaml:6:31: default: kick: there is no vCPU 4"},
        {op + "flush_all]}]}\n", "e.yaml:6:30: default: flush_all is of arm64"},
        {op + "flush]}]}\nhypervisor: {hypervisor.kind: none}\nsweep: {run.vms: [1]}\n",
         "e.yaml:6:16: default: host task"},
        {"host: {tasks: [{pcpu: 4000, operations: [flush]}]}\n",
         "e.yaml:6:23: default: there is no pCPU 4000"},
        {"host: {tasks: [{repeat: 0, operations: [flush]}]}\n", "e.yaml:6:25: repeat"},
    };
    for (const auto &[text, message] : cases)
        EXPECT_EQ(refusal(text).substr(0, message.size()), message) << refusal(text);
}

/* --- noise --- */

namespace
{

const char noise[] =
    "host:\n"
    "  noise:\n"
    "    - {name: kworker, pcpus: all, every: 200us, work: 5us}\n"
    "    - {every: 300us, invalidate: any}\n"
    "    - {name: ksm, pcpus: [2, 0], every: 1ms, work: 1us, invalidate: {vm: 1}}\n";

} // namespace

TEST_F(FrontHost, NoiseIsReadAndWrittenBack)
{
    const ts::Experiment experiment = parse(noise);
    ts::experiment_check(experiment);
    const auto &all = experiment.platforms.at(0).host_noise;
    ASSERT_EQ(all.size(), 3u);
    EXPECT_TRUE(all[0].every_pcpu);
    EXPECT_EQ(all[0].params.every_ps, 200 * TS_US);
    EXPECT_EQ(all[0].params.work_ps, 5 * TS_US);
    EXPECT_EQ(all[0].params.vm, TS_HOST_NO_VM);
    EXPECT_EQ(all[1].name, "noise1");
    EXPECT_FALSE(all[1].every_pcpu);
    EXPECT_TRUE(all[1].pcpus.empty());
    EXPECT_EQ(all[1].params.vm, TS_HOST_ALL_VMS);
    EXPECT_EQ(all[2].pcpus, std::vector<uint32_t>({2, 0}));
    EXPECT_EQ(all[2].params.vm, 1u);
    const ts::Point point = ts::experiment_points(experiment).at(0);
    const std::string text = ts::resolved_yaml(experiment, point, ts::resolve(experiment, point));
    const ts::Experiment again = ts::experiment_parse(text, write("r.yaml", text), {}, false);
    EXPECT_EQ(ts::host_tasks_text({}, again.platforms.at(0).host_noise),
              ts::host_tasks_text({}, all));
    EXPECT_NE(text.find("{noise: [{name: kworker, pcpus: all, every: 200us, work: 5us}, "),
              std::string::npos)
        << text;
}

TEST_F(FrontHost, NoiseRunsBesideTheGuestsAndIsDrawn)
{
    const ts::Experiment experiment =
        parse(std::string(noise) + "repetitions: 2\nmachine: {topology.sockets: 1, "
                                   "topology.cores_per_socket: 6, topology.threads_per_core: 1}\n");
    const auto points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 2u);
    std::string stats[2];
    for (size_t i = 0; i < 2; i++) {
        ts::run_point(experiment, points[i], {}, path("out"));
        stats[i] = read(path("out/" + points[i].folder + "/stats.csv"));
        EXPECT_NE(stats[i].find("host_task,tasks,1,9\n"), std::string::npos);
        EXPECT_NE(stats[i].find("host_task,ended,1,0\n"), std::string::npos);
        EXPECT_EQ(stats[i].find("host_task,kernel,1,0\n"), std::string::npos);
        EXPECT_EQ(stats[i].find("host_task,flush,1,0\n"), std::string::npos);
        EXPECT_NE(stats[i].find("vcpu_time,effective_overcommit_milli,1,"), std::string::npos);
    }
    EXPECT_NE(stats[0], stats[1]);
}

TEST_F(FrontHost, MistakesOfNoiseAreNamedAtTheirPlace)
{
    const std::string n = "host: {noise: [{";
    const std::pair<std::string, std::string> cases[] = {
        {"host: {nose: []}\n", "e.yaml:6:8: unknown key 'nose' of host (did you mean 'noise'?)"},
        {"host: {noise: 3}\n", "e.yaml:6:15: 'noise' of 'host' is a list"},
        {n + "evry: 1ms}]}\n",
         "e.yaml:6:17: unknown key 'evry' of noise of the host (did you mean 'every'?)"},
        {n + "name: a, work: 1us}]}\n", "e.yaml:6:16: the noise 'a' needs 'every': 10ms"},
        {n + "every: 1ms}]}\n", "e.yaml:6:16: the noise 'noise0' does nothing: it needs 'work'"},
        {n + "every: 2s, work: 1us}]}\n", "e.yaml:6:24: every: must be at most 1s"},
        {n + "every: 4, work: 1us}]}\n", "e.yaml:6:24: every"},
        {n + "every: 1ms, work: 1us, pcpus: some}]}\n", "e.yaml:6:47: pcpu"},
        {n + "every: 1ms, work: 1us, pcpus: []}]}\n",
         "e.yaml:6:47: pcpus is all, any, or a list of pCPUs"},
        {n + "every: 1ms, work: 1us, pcpus: [1, 1]}]}\n", "e.yaml:6:51: pcpus names pCPU 1 twice"},
        {n + "every: 1ms, work: 1us, pcpus: 4000}]}\n",
         "e.yaml:6:47: default: there is no pCPU 4000"},
        {n + "every: 1ms, invalidate: all}]}\n", "e.yaml:6:41: invalidate is any, or names a VM"},
        {n + "every: 1ms, invalidate: {vm: 2}}]}\n",
         "e.yaml:6:46: default: invalidate: there is no VM 2, run.vms is 2"},
        {n + "every: 1ms, work: 1us}]}\nhypervisor: {hypervisor.kind: none}\n"
             "sweep: {run.vms: [1]}\n",
         "e.yaml:6:16: default: noise 'noise0': there is no host"},
    };
    for (const auto &[text, message] : cases)
        EXPECT_EQ(refusal(text).substr(0, message.size()), message) << refusal(text);
}
