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
