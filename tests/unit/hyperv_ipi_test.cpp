/* SPDX-License-Identifier: Apache-2.0 */
/* HvCallSendSyntheticClusterIpi{,Ex}: the cases of Linux's selftest
 * (tools/testing/selftests/kvm/x86_64/hyperv_ipi.c, 6.12) by name, the rest of kvm_hv_send_ipi
 * (arch/x86/kvm/hyperv.c), and the guest that uses it (arch/x86/hyperv/hv_apic.c). Its vCPUs 2 and
 * 65 are ours. */
#include "models/guest/coherence/hv_ipi.h"
#include "models/guest/coherence/ipi.h"
#include "tests/support/hyperv_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;
constexpr uint32_t vp_1 = 2, vp_2 = 65, nvps = 66;
constexpr uint64_t refused = TS_HV_STATUS_INVALID_HYPERCALL_INPUT;

uint64_t bit(uint32_t n)
{
    return UINT64_C(1) << n;
}

uint64_t vector_of(ts_vector v)
{
    return ts_vector_numbers[v];
}

/* Interrupts that the guest's kernel has been given while one of these stands. */
class Received
{
  public:
    explicit Received(HvCaller &c) : vm_(c.vm), os_(c.vm->os), watched_(*c.vm->os)
    {
        watched_.interrupt = [](ts_task *self, ts_vector vector, ts_time raised) {
            if (vector == TS_VEC_RESCHED)
                current()->vps[ts_guest_cpu_of(self)->id]++;
            current()->os_->interrupt(self, vector, raised);
        };
        current() = this;
        vm_->os = &watched_;
    }
    Received(const Received &) = delete;
    Received &operator=(const Received &) = delete;
    ~Received()
    {
        vm_->os = os_;
    }
    std::map<uint32_t, int> vps; /* reschedule interrupts, by VP */

  private:
    static Received *&current()
    {
        static Received *at;
        return at;
    }
    ts_vm *vm_;
    const ts_os_ops *os_;
    ts_os_ops watched_;
};

std::map<uint32_t, int> once(std::initializer_list<uint32_t> vps)
{
    std::map<uint32_t, int> m;
    for (uint32_t vp : vps)
        m[vp] = 1;
    return m;
}

std::map<uint32_t, int> everybody(uint32_t n)
{
    std::map<uint32_t, int> m;
    for (uint32_t vp = 0; vp < n; vp++)
        m[vp] = 1;
    return m;
}

struct Case {
    const char *name;
    ts_hv_call code;
    uint32_t banks;
    std::vector<uint64_t> input; /* behind the vector */
    std::map<uint32_t, int> received;
    bool fast;
};

std::vector<Case> cases()
{
    const ts_hv_call ex = TS_HVCALL_SEND_IPI_EX;
    const uint64_t sparse = TS_HV_SET_SPARSE_4K;
    std::vector<Case> all;
    for (bool fast : {false, true}) {
        all.push_back({"ToVp2", TS_HVCALL_SEND_IPI, 0, {bit(vp_1)}, once({vp_1}), fast});
        all.push_back({"ExToVp2", ex, 1, {sparse, 1, bit(vp_1)}, once({vp_1}), fast});
        all.push_back({"ExToVp65", ex, 1, {sparse, 2, bit(vp_2 - 64)}, once({vp_2}), fast});
        all.push_back(
            {"ExToBoth", ex, 2, {sparse, 3, bit(vp_1), bit(vp_2 - 64)}, once({vp_1, vp_2}), fast});
        all.push_back({"ExToSetAll", ex, 0, {TS_HV_SET_ALL, 0}, everybody(nvps), fast});
    }
    return all;
}

class HypervIpi : public testing::TestWithParam<Case>
{
};

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    return std::string(info.param.name) + (info.param.fast ? "_fast" : "_slow");
}

void run(HvRig &rig, const HvRig::Body &body)
{
    const Outcome got = rig.run(body);
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

} // namespace

TEST_P(HypervIpi, ReachesWhomItNames)
{
    HvRig rig(nvps);
    const Case &p = GetParam();
    run(rig, [&](HvCaller &c) {
        std::vector<uint64_t> words = {vector_of(TS_VEC_RESCHED)};
        words.insert(words.end(), p.input.begin(), p.input.end());
        Received received(c);
        EXPECT_EQ(c.call(p.fast, ts_hv_control(p.code, p.banks, 0), words), 0u);
        c.wait_us(200);
        EXPECT_EQ(received.vps, p.received);
        EXPECT_EQ(c.stat("hypervisor.hypercalls_hv_ipi"), 1u);
        EXPECT_EQ(c.stat("hypervisor.hv_ipi_failed"), 0u);
    });
}

INSTANTIATE_TEST_SUITE_P(Selftest, HypervIpi, testing::ValuesIn(cases()), case_name);

/* --- beyond the selftest --- */

TEST(HypervIpiHost, FormsThatItRefusesReachNobody)
{
    const uint64_t v = vector_of(TS_VEC_RESCHED);
    const uint64_t send = ts_hv_control(TS_HVCALL_SEND_IPI, 0, 0);
    const auto ex = [](uint32_t banks, uint32_t reps = 0) {
        return ts_hv_control(TS_HVCALL_SEND_IPI_EX, banks, reps);
    };
    struct Row {
        const char *what;
        uint64_t control;
        std::vector<uint64_t> words;
        bool fast;
        uint64_t result;
    };
    const uint64_t sparse = TS_HV_SET_SPARSE_4K;
    const Row rows[] = {
        {"vector 15", send, {15, bit(2)}, false, refused},
        {"vector 256", send, {256, bit(2)}, false, refused},
        {"fast: the reserved half", send, {v | bit(32), bit(2)}, true, refused},
        {"banks", ts_hv_control(TS_HVCALL_SEND_IPI, 1, 0), {v, bit(2)}, false, refused},
        {"reps", ts_hv_control(TS_HVCALL_SEND_IPI, 0, 1), {v, bit(2)}, false, refused},
        {"no mask", send, {v}, false, refused},
        {"ex: reps", ex(1, 1), {v, sparse, 1, bit(2)}, false, refused},
        {"ex: a start", ex(1) | bit(48), {v, sparse, 1, bit(2)}, false, refused},
        {"ex: banks not counted", ex(0), {v, sparse, 1, bit(2)}, false, refused},
        {"ex: banks counted that are not valid", ex(2), {v, sparse, 1, bit(2), 0}, false, refused},
        {"ex: a bank missing", ex(2), {v, sparse, 3, bit(2)}, false, refused},
        {"ex: all, and the vector is 1", ex(0), {1, TS_HV_SET_ALL, 0}, false, refused},
        {"ex: a fast set of 12 banks", ex(12), {v, sparse, 0xfff}, true, refused},
        /* An empty set is not an error, and its vector is not looked at. */
        {"ex: nobody", ex(0), {v, sparse, 0}, false, 0},
        {"ex: nobody, and the vector is 1", ex(0), {1, sparse, 0}, true, 0},
        {"an empty mask", send, {v, 0}, false, 0},
        {"VPs that are not there", send, {v, bit(40)}, false, 0},
        {"a vector without a handler", send, {0x55, bit(2)}, false, 0},
    };
    HvRig rig(4);
    run(rig, [&](HvCaller &c) {
        for (const Row &row : rows) {
            Received received(c);
            EXPECT_EQ(c.call(row.fast, row.control, row.words), row.result) << row.what;
            c.wait_us(100);
            EXPECT_TRUE(received.vps.empty()) << row.what;
        }
    });
}

/* A slow call's reserved half is not looked at, nor a fast Ex call's. */
TEST(HypervIpiHost, ReservedIsLookedAtOnlyInAFastCall)
{
    const uint64_t v = vector_of(TS_VEC_RESCHED) | bit(32);
    HvRig rig(4);
    run(rig, [&](HvCaller &c) {
        Received received(c);
        EXPECT_EQ(c.slow(ts_hv_control(TS_HVCALL_SEND_IPI, 0, 0), {v, bit(2)}), 0u);
        EXPECT_EQ(c.fast(ts_hv_control(TS_HVCALL_SEND_IPI_EX, 1, 0), {v, 0, 1, bit(3)}), 0u);
        c.wait_us(100);
        EXPECT_EQ(received.vps, once({2, 3}));
    });
}

TEST(HypervIpiHost, Kvm4_18HasNoSuchCall)
{
    HvRig rig(4, "4.18");
    run(rig, [&](HvCaller &c) {
        Received received(c);
        for (ts_hv_call code : {TS_HVCALL_SEND_IPI, TS_HVCALL_SEND_IPI_EX})
            EXPECT_EQ(c.slow(ts_hv_control(code, 0, 0), {vector_of(TS_VEC_RESCHED), 1, 0}),
                      static_cast<uint64_t>(TS_HV_STATUS_INVALID_HYPERCALL_CODE));
        c.wait_us(100);
        EXPECT_TRUE(received.vps.empty());
    });
}

/* --- the guest --- */

TEST(HypervIpiGuest, SendsFastUpToVp63AndWithASetBeyond)
{
    struct Row {
        std::vector<uint32_t> targets;
        uint64_t input; /* the call's first word in the input page, or what was there */
    };
    HvRig rig(nvps);
    rig.config("hypervisor.hv_ipi", "true");
    run(rig, [&](HvCaller &c) {
        const uint64_t untouched = ~UINT64_C(0);
        for (const Row &row :
             {Row{{1}, untouched}, Row{{1, 3, 63}, untouched},
              Row{{1, 65}, vector_of(TS_VEC_RESCHED)}, Row{{64}, vector_of(TS_VEC_RESCHED)}}) {
            uint64_t word = untouched;
            std::memcpy(c.vm->input[0], &word, sizeof(word));
            Received received(c);
            EXPECT_TRUE(ts_hv_send_ipi(c.self, row.targets.data(),
                                       static_cast<uint32_t>(row.targets.size()), TS_VEC_RESCHED));
            c.wait_us(100);
            std::memcpy(&word, c.vm->input[0], sizeof(word));
            EXPECT_EQ(word, row.input);
            std::map<uint32_t, int> expected;
            for (uint32_t vp : row.targets)
                expected[vp] = 1;
            EXPECT_EQ(received.vps, expected);
        }
    });
}

/* Banks go from 0 to that of the last, empty ones included. */
TEST(HypervIpiGuest, BanksAreContiguousFromZero)
{
    uint64_t banks[TS_HV_BANKS];
    const std::vector<uint32_t> vps = {3, 130};
    ASSERT_EQ(ts_hv_banks_of(vps.data(), 2, banks), 3u);
    EXPECT_EQ(banks[0], bit(3));
    EXPECT_EQ(banks[1], 0u);
    EXPECT_EQ(banks[2], bit(2));
    EXPECT_EQ(ts_hv_valid_banks(3), 7u);
    EXPECT_EQ(ts_hv_banks_of(nullptr, 0, banks), 1u);
    EXPECT_EQ(banks[0], 0u);
    EXPECT_EQ(ts_hv_valid_banks(64), UINT64_MAX);
}

namespace
{

Outcome shootdowns(bool hv_ipi, const char *host = "fifo16", uint32_t vcpus = 4)
{
    ts_machine_config c = small_machine();
    set(c, "topology.cores_per_socket", std::to_string((vcpus + 1) / 2));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    set(c, "hypervisor.hv_flush", host);
    set(c, "hypervisor.hv_ipi", hv_ipi ? "true" : "false");
    Script s(vcpus, {op_ns(TS_OP_COMPUTE, 6 * ms)});
    s[0] = {op_ns(TS_OP_COMPUTE, 2 * ms), op_mmap(0, 8 * page), op_touch(0, 0, 8)};
    for (uint32_t i = 0; i < 5; i++)
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, i * page, page));
    return run_script(c, s, vcpus);
}

} // namespace

/* One exit a shootdown where register writes make one a target, whatever the targets' number; no
 * register is written. */
TEST(HypervIpiGuest, AShootdownIsOneHypercall)
{
    for (uint32_t vcpus : {4u, 66u}) {
        const Outcome native = shootdowns(false, "fifo16", vcpus);
        const Outcome hv = shootdowns(true, "fifo16", vcpus);
        ASSERT_EQ(native.status, TS_OK) << native.message;
        ASSERT_EQ(hv.status, TS_OK) << hv.message;
        EXPECT_EQ(native.stats.at("hypervisor.hypercalls_hv_ipi"), 0u);
        EXPECT_GE(native.stats.at("guest.icr_writes"), 5u);
        EXPECT_EQ(hv.stats.at("guest.icr_writes"), 0u);
        EXPECT_EQ(hv.stats.at("hypervisor.exit_icr"), 0u);
        EXPECT_EQ(hv.stats.at("hypervisor.hypercalls_hv_ipi"),
                  hv.stats.at("guest.shootdowns") + hv.stats.at("guest.resched_ipis"));
        EXPECT_EQ(hv.stats.at("hypervisor.hypercalls_hv_ipi"),
                  hv.stats.at("hypervisor.exit_hypercall"));
        EXPECT_GE(hv.stats.at("guest.nr_tlb_remote_flush_received"), 5u * (vcpus - 1));
    }
}

TEST(HypervIpiGuest, ARefusedCallIsSentNatively)
{
    HvRig rig(4);
    rig.config("hypervisor.hv_ipi", "true");
    run(rig, [&](HvCaller &c) {
        static ts_pv_ops refuses;
        const ts_pv_ops *pv = c.vm->pv;
        refuses = *pv;
        refuses.hypercall = [](ts_task *, struct ts_hypercall *call) { call->result = refused; };
        const uint64_t writes = c.stat("guest.icr_writes");
        const uint32_t targets[] = {1, 3};
        Received received(c);
        c.vm->pv = &refuses;
        EXPECT_FALSE(ts_hv_send_ipi(c.self, targets, 2, TS_VEC_RESCHED));
        ts_guest_send_ipi(c.self, targets, 2, false, TS_VEC_RESCHED);
        c.vm->pv = pv;
        c.wait_us(100);
        EXPECT_GT(c.stat("guest.icr_writes"), writes);
        EXPECT_EQ(received.vps, once({1, 3}));
    });
}

TEST(HypervIpiGuest, NeedsAHostThatHasItAndNoOtherWay)
{
    struct Row {
        const char *key, *value, *says;
    };
    for (const Row &row : {Row{"hypervisor.hv_flush", "off", "hv_flush fifo16 or hyperv"},
                           Row{"hypervisor.hv_flush", "4.18", "hv_flush fifo16 or hyperv"},
                           Row{"hypervisor.pv_ipi", "sliding", "pv_ipi"}}) {
        ts_machine_config c = small_machine();
        set(c, "hypervisor.hv_ipi", "true");
        set(c, row.key, row.value);
        ts_error err{};
        EXPECT_EQ(ts_machine_check(&c, ts_flush_find("native_concurrent"), &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find(row.says), std::string::npos) << err.message;
    }
}
