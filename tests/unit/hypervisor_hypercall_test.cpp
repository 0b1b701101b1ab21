/* SPDX-License-Identifier: Apache-2.0 */
/* What the host answers to hypercalls of which a guest got the form wrong or right:
 * kvm_hv_flush_tlb and kvm_hv_hypercall (arch/x86/kvm/hyperv.c), kvm_emulate_hypercall (x86.c). */
#include <cstring>

#include <gtest/gtest.h>

#include "models/guest/coherence/ipi.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

/* One call, made from the initiator's CPU in place of its first flush. */
struct Call {
    const char *what;
    ts_hypercall_abi abi = TS_ABI_HYPERV;
    uint64_t number = 0;
    std::vector<uint64_t> input = {};
    bool has_input = true;
    uint64_t expected = 0;
    uint64_t requests = 0; /* vCPUs that it must ask to flush */
};

struct Probe {
    std::vector<Call> calls;
    std::vector<uint64_t> results, requests;
    bool done = false;
    std::map<std::string, uint64_t> stats; /* of the whole run */
};
Probe *probe; /* of the run under way */
ts_machine *machine;

uint64_t hv_requests()
{
    std::map<std::string, uint64_t> stats;
    ts_machine_visit_stats(machine, collect, &stats);
    return stats.at("hypervisor.hv_requests");
}

void make_calls(ts_task *self)
{
    ts_guest_cpu *gc = ts_guest_cpu_of(self);
    uint8_t *block = gc->guest->vm->input[gc->id];
    for (const Call &c : probe->calls) {
        struct ts_hypercall call = {};
        call.abi = c.abi;
        call.number = c.number;
        if (c.has_input) {
            call.input = block;
            call.input_bytes = static_cast<uint32_t>(c.input.size() * sizeof(uint64_t));
            if (!c.input.empty())
                std::memcpy(block, c.input.data(), call.input_bytes);
        }
        const uint64_t before = hv_requests();
        ts_irq_disable(self);
        ts_hypercall(self, gc->guest->vm, &call);
        ts_irq_enable(self);
        probe->results.push_back(call.result);
        probe->requests.push_back(hv_requests() - before);
    }
}

void flush_after_calls(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                       ts_shootdown_record *record)
{
    if (!probe->done) {
        probe->done = true;
        make_calls(self);
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
}

const ts_flush_ops *prober()
{
    static const ts_flush_ops ops = [] {
        ts_flush_ops o{};
        o.name = "prober";
        o.remote_by_mask = true;
        o.flush_multi = flush_after_calls;
        return o;
    }();
    return &ops;
}

/* The first thread's vCPU makes the calls while the others compute. */
void run_calls(Probe &p, const ts_machine_config &c, uint32_t threads = 2)
{
    Script s(threads, {op_ns(TS_OP_COMPUTE, 5 * ms)});
    s[0] = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, page), op_touch(0, 0, 1),
            op_range(TS_OP_MUNMAP, 0, 0, page)};
    ScriptWorkload w(s, threads);
    ts_machine_vm vm{w.get(), prober(), nullptr};
    ts_error err{};
    probe = &p;
    ASSERT_EQ(ts_machine_create(&machine, &c, &vm, 1, &err), TS_OK) << err.message;
    ASSERT_EQ(ts_machine_start(machine, &err), TS_OK);
    ts_machine_run(machine);
    EXPECT_EQ(ts_machine_finish(machine, &err), TS_OK) << err.message;
    ts_machine_visit_stats(machine, collect, &p.stats);
    ts_machine_destroy(machine);
    ASSERT_EQ(p.results.size(), p.calls.size());
    for (size_t i = 0; i < p.calls.size(); i++) {
        EXPECT_EQ(p.results[i], p.calls[i].expected) << p.calls[i].what;
        EXPECT_EQ(p.requests[i], p.calls[i].requests) << p.calls[i].what;
    }
}

ts_machine_config one_vm(uint32_t vcpus)
{
    ts_machine_config c = small_machine();
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    return c;
}

constexpr uint64_t code_invalid = TS_HV_STATUS_INVALID_HYPERCALL_CODE;
constexpr uint64_t input_invalid = TS_HV_STATUS_INVALID_HYPERCALL_INPUT;
constexpr uint64_t one_bank = UINT64_C(1) << 17;
constexpr uint64_t rep_start_1 = UINT64_C(1) << 48;
constexpr uint64_t all_processors = TS_HV_FLUSH_ALL_PROCESSORS;

Call hv(const char *what, uint64_t control, std::vector<uint64_t> input, uint64_t expected,
        uint64_t requests)
{
    Call c{what};
    c.number = control;
    c.input = std::move(input);
    c.expected = expected;
    c.requests = requests;
    return c;
}

} // namespace

TEST(HypervisorHypercall, FormsThatTheHostRefusesFlushNobody)
{
    const uint64_t space = ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0);
    const uint64_t one = ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 1);
    const uint64_t space_ex = ts_hv_control(TS_HVCALL_FLUSH_SPACE_EX, 1, 0);
    Probe p;
    p.calls = {
        hv("input too short", space, {0, 0}, input_invalid, 0),
        hv("input empty", space, {}, input_invalid, 0),
        hv("list missing", one, {0, 0, 1}, input_invalid, 0),
        hv("list shorter than its count", ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 2),
           {0, 0, 1, page}, input_invalid, 0),
        hv("rep count of a list is 0", ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 0), {0, 0, 1, page},
           input_invalid, 0),
        hv("rep count of a simple call is not 0", ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 1),
           {0, 0, 1, page}, input_invalid, 0),
        hv("rep start", one | rep_start_1, {0, 0, 1, page}, input_invalid, 0),
        hv("banks of a simple call", space | one_bank, {0, 0, 1}, input_invalid, 0),
        hv("a reserved bit", space | UINT64_C(1) << 27, {0, 0, 1}, input_invalid, 0),
        hv("a reserved bit of an unknown code", 0x7777 | UINT64_C(1) << 60, {}, input_invalid, 0),
        hv("set shorter than its header", space_ex, {0, 0, TS_HV_SET_SPARSE_4K}, input_invalid, 0),
        hv("bank missing", space_ex, {0, 0, TS_HV_SET_SPARSE_4K, 1}, input_invalid, 0),
        hv("more banks valid than the header counts", space_ex,
           {0, 0, TS_HV_SET_SPARSE_4K, 3, 1, 1}, input_invalid, 0),
        hv("fewer banks valid than the header counts", space_ex, {0, 0, TS_HV_SET_SPARSE_4K, 0, 1},
           input_invalid, 0),
        hv("unknown code", 0x7777, {0, 0, 1}, code_invalid, 0),
    };
    Call none = hv("no input", space, {}, input_invalid, 0);
    none.has_input = false;
    p.calls.push_back(none);
    run_calls(p, one_vm(4));
}

TEST(HypervisorHypercall, SetsNameWhomTheyHold)
{
    const uint64_t space = ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0);
    const auto ex = [](uint32_t banks, uint32_t reps = 0) {
        return ts_hv_control(reps ? TS_HVCALL_FLUSH_LIST_EX : TS_HVCALL_FLUSH_SPACE_EX, banks,
                             reps);
    };
    Probe p;
    p.calls = {
        hv("mask of two", space, {0, 0, 0xa}, 0, 2),
        hv("an empty mask names everybody", space, {0, 0, 0}, 0, 4),
        hv("all processors", space, {0, all_processors, 1}, 0, 4),
        hv("a mask of VPs that are not there", space, {0, 0, 0xf0}, 0, 0),
        hv("list of two", ts_hv_control(TS_HVCALL_FLUSH_LIST, 0, 2), {0, 0, 2, page, 2 * page},
           ts_hv_result(TS_HV_STATUS_SUCCESS, 2), 1),
        hv("set of all", ex(0), {0, 0, TS_HV_SET_ALL, 0}, 0, 4),
        hv("set of all with a list", ex(0, 1), {0, 0, TS_HV_SET_ALL, 0, page},
           ts_hv_result(TS_HV_STATUS_SUCCESS, 1), 4),
        hv("sparse set of bank 0", ex(1), {0, 0, TS_HV_SET_SPARSE_4K, 1, 0x7}, 0, 3),
        hv("sparse set with gaps", ex(2), {0, 0, TS_HV_SET_SPARSE_4K, 0x11, 0x4, ~0ull}, 0, 1),
        hv("sparse set without bank 0", ex(1), {0, 0, TS_HV_SET_SPARSE_4K, 0x2, ~0ull}, 0, 0),
        hv("sparse set of nobody", ex(0), {0, 0, TS_HV_SET_SPARSE_4K, 0}, 0, 0),
        hv("sparse set of nobody with a cut list", ex(0, 3), {0, 0, TS_HV_SET_SPARSE_4K, 0, page},
           ts_hv_result(TS_HV_STATUS_SUCCESS, 3), 0),
    };
    run_calls(p, one_vm(4));
}

TEST(HypervisorHypercall, AHostWithoutTheFlushesKnowsNoHyperVCall)
{
    ts_machine_config c = one_vm(2);
    set(c, "hypervisor.hv_flush", "off");
    Probe p;
    p.calls = {hv("flush", ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0), {}, code_invalid, 0)};
    p.calls[0].has_input = false; /* such a VM has no input pages */
    run_calls(p, c);
}

TEST(HypervisorHypercall, AnUnknownKvmCallIsNotImplemented)
{
    Call c{"KVM_HC_ of 999", TS_ABI_KVM, 999};
    c.expected = static_cast<uint64_t>(INT64_C(-1000)); /* -KVM_ENOSYS */
    Probe p;
    p.calls = {c};
    run_calls(p, one_vm(2));
}

TEST(HypervisorHypercall, ASchedYieldIsKnownWhereItIsOffered)
{
    Call c{"KVM_HC_SCHED_YIELD", TS_ABI_KVM, TS_KVM_HC_SCHED_YIELD};
    c.expected = static_cast<uint64_t>(INT64_C(-1000)); /* -KVM_ENOSYS */
    Probe p;
    p.calls = {c};
    run_calls(p, one_vm(2));
    EXPECT_EQ(p.stats.at("hypervisor.hypercalls_yield"), 0u);
    ts_machine_config offering = one_vm(2);
    set(offering, "hypervisor.pv_sched_yield", "true");
    c.expected = 0;
    Probe q;
    q.calls = {c};
    run_calls(q, offering);
    EXPECT_GE(q.stats.at("hypervisor.hypercalls_yield"), 1u);
}

/* The last VPs are in the second bank, which only the Ex calls reach. */
TEST(HypervisorHypercall, AnExCallReachesVp69)
{
    ts_machine_config c = one_vm(70);
    const auto ex = [](uint32_t banks) {
        return ts_hv_control(TS_HVCALL_FLUSH_SPACE_EX, banks, 0);
    };
    Probe p;
    p.calls = {
        hv("VP 69", ex(1), {0, 0, TS_HV_SET_SPARSE_4K, 0x2, 1u << 5}, 0, 1),
        hv("beyond the last VP", ex(1), {0, 0, TS_HV_SET_SPARSE_4K, 0x2, 1u << 6}, 0, 0),
        hv("both banks", ex(2), {0, 0, TS_HV_SET_SPARSE_4K, 0x3, ~0ull, ~0ull}, 0, 70),
    };
    run_calls(p, c);
}

/* Threads on all vCPUs but one, so that they are named one by one. The oracle sees a target that
 * has been left out, and the host a set whose banks are not those it announces. */
TEST(HypervisorHypercall, AnExFlushReachesWhoIsInEitherBank)
{
    ts_machine_config c = one_vm(70);
    set(c, "topology.cores_per_socket", "36");
    set(c, "hypervisor.pin", "true");
    const uint32_t threads = 69;
    Script s(threads);
    for (uint32_t t = 0; t < threads; t++) {
        if (t == 0)
            s[t] = {op_mmap(0, 8 * page), op_touch(0, 0, 8)};
        s[t].push_back(op_barrier(0, threads));
        s[t].push_back(op_ns(TS_OP_COMPUTE, t == 0 ? 400000 : 0)); /* until all have woken */
        for (int r = 0; r < 4 && t == 0; r++) {
            s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, 8 * page, TS_PROT_READ));
            s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, 8 * page, TS_PROT_READ | TS_PROT_WRITE));
        }
        for (int r = 0; r < 200 && t > 0; r++) {
            s[t].push_back(op_touch(0, 0, 8, false));
            s[t].push_back(op_ns(TS_OP_COMPUTE, 5000));
        }
        s[t].push_back(op_barrier(1, threads));
    }
    Outcome got = run_script(c, s, threads, "hyperv");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("flush.hyperv.ex_calls"), 0u);
    EXPECT_EQ(got.stats.at("flush.hyperv.native_fallbacks"), 0u);
    EXPECT_GT(got.stats.at("flush.hyperv.targets"), 64 * got.stats.at("flush.hyperv.ex_calls"));
}

/* kvm_make_vcpus_request_mask and smp_call_function_many_cond: what one flush of k vCPUs in guest
 * mode adds to a run without it. */
TEST(HypervisorHypercall, AFlushIsChargedLineByLine)
{
    for (bool fifo : {false, true}) {
        ts_machine_config c = one_vm(4);
        set(c, "hypervisor.pin", "true");
        set(c, "hypervisor.hv_flush", fifo ? "fifo16" : "4.18");
        set(c, "interrupt.mode", "x2apic_phys");
        set(c, "interrupt.shorthand", "false");
        Probe without;
        run_calls(without, c, 4);
        Probe all;
        all.calls = {
            hv("everybody", ts_hv_control(TS_HVCALL_FLUSH_SPACE, 0, 0), {0, 0, 0xf}, 0, 4)};
        run_calls(all, c, 4);
        const auto more = [&](const char *stat) {
            return all.stats.at(stat) - without.stats.at(stat);
        };
        const uint64_t k = 3, named = k + 1;
        EXPECT_EQ(more("hypervisor.call_targets"), k);
        EXPECT_EQ(more("hypervisor.call_ipis"), k);
        EXPECT_EQ(more("interrupt.writes"), k);
        EXPECT_EQ(more("pcpu.irq_call"), k);
        EXPECT_EQ(more("hypervisor.exit_interrupt"), k);
        /* Requests are made and seen, fifos filled and drained; queues are added to and emptied. */
        EXPECT_EQ(more("line.rmws"), 2 * named * (fifo ? 2 : 1) + 2 * k);
        /* csds are locked and unlocked; the mode is written on a line that the request took away.
         */
        EXPECT_EQ(more("line.writes"), 2 * k + k);
        /* The handler reads the csd, the initiator too, and once more if it had to wait. */
        EXPECT_GE(more("line.reads"), 2 * k + 1);
        EXPECT_LE(more("line.reads"), 3 * k);
    }
}
