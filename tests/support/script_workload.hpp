/* SPDX-License-Identifier: Apache-2.0 */
/* A workload written out in a test: one list of operations a thread. And a machine that runs it. */
#ifndef TS_TESTS_SUPPORT_SCRIPT_WORKLOAD_HPP
#define TS_TESTS_SUPPORT_SCRIPT_WORKLOAD_HPP

#include <stdexcept>
#include <string>
#include <vector>

#include "sim/front/check/script.hpp"
#include "tests/support/machine_rig.hpp"

namespace ts_test
{

using ts::op_barrier;
using ts::op_mmap;
using ts::op_mremap;
using ts::op_ns;
using ts::op_of;
using ts::op_range;
using ts::op_spawn;
using ts::op_touch;
using ts::Script;
using ts::ScriptWorkload;

/* Bare metal, one socket. */
inline ts_machine_config bare_machine(uint32_t cores)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(cores));
    set(c, "topology.threads_per_core", "1");
    set(c, "hypervisor.kind", "none");
    set(c, "hypervisor.pv_tlb_flush", "false");
    set(c, "hypervisor.hv_flush", "off");
    set(c, "run.vms", "1");
    set(c, "run.oracle", "true");
    set(c, "run.limit", "60s");
    set(c, "guest.tick", "waiting");
    return c;
}

/* Runs the same script in every VM. */
inline Outcome run_script(const ts_machine_config &c, const Script &script, uint32_t initial,
                          const ts_flush_ops *mechanism, const void *params = nullptr,
                          const Mechanisms &by_vm = {}, const HostTasks &tasks = {})
{
    std::vector<ScriptWorkload *> scripts;
    std::vector<ts_workload *> workloads;
    for (uint64_t v = 0; v < c.run.vms; v++) {
        scripts.push_back(new ScriptWorkload(script, initial));
        workloads.push_back(scripts.back()->get());
    }
    Outcome out = run_workloads(c, mechanism, workloads, 1, nullptr, params, by_vm, tasks);
    for (ScriptWorkload *s : scripts)
        delete s;
    return out;
}
inline Outcome run_script(const ts_machine_config &c, const Script &script, uint32_t initial,
                          const char *mechanism = "native_concurrent")
{
    return run_script(c, script, initial, ts_flush_find(mechanism));
}

} // namespace ts_test
#endif
