/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's flush hypercalls byte by byte: whom they reach, and what is wrong with those that are wrong
 * (models/abi/xen.h). */
#include <gtest/gtest.h>

#include "models/abi/xen.h"
#include "tests/support/hyperv_rig.hpp"

using namespace ts_test;

namespace
{

class Xen
{
  public:
    explicit Xen(uint32_t vcpus, const std::string &guest = "pv") : rig(vcpus, "off")
    {
        rig.config("hypervisor.kind", "xen");
        rig.config("hypervisor.xen_guest", guest);
        rig.config("hypervisor.pv_tlb_flush", "false");
        rig.config("hypervisor.halt_poll", "0ns");
        rig.config("hypervisor.flush_on_migration", "false");
    }
    void run(const HvRig::Body &body)
    {
        Outcome out = rig.run(body);
        EXPECT_EQ(out.status, TS_OK) << out.message;
    }
    HvRig rig;
};

using Bytes = std::vector<uint8_t>;

template <class T> void append(Bytes &to, const T &what)
{
    const auto *p = reinterpret_cast<const uint8_t *>(&what);
    to.insert(to.end(), p, p + sizeof(what));
}

int64_t call(HvCaller &c, uint64_t number, std::vector<uint64_t> args, const Bytes &memory = {})
{
    struct ts_hypercall h = {};
    h.abi = TS_ABI_XEN;
    h.number = number;
    std::copy(args.begin(), args.end(), h.args);
    if (!memory.empty())
        std::memcpy(c.vm->input[c.cpu->id], memory.data(), memory.size());
    h.input = c.vm->input[c.cpu->id];
    h.input_bytes = static_cast<uint32_t>(memory.size());
    ts_irq_disable(c.self);
    ts_hypercall(c.self, c.vm, &h);
    ts_irq_enable(c.self);
    return static_cast<int64_t>(h.result);
}

constexpr uint64_t mem = TS_XEN_MEMORY;

/* One operation, and the mask behind it. */
Bytes op(uint32_t cmd, uint64_t va, const std::vector<uint64_t> &mask)
{
    Bytes b;
    append(b, ts_xen_mmuext_op{cmd, 0, va, mem + sizeof(ts_xen_mmuext_op)});
    for (uint64_t w : mask)
        append(b, w);
    return b;
}

int64_t mmuext(HvCaller &c, const Bytes &b, uint64_t count = 1)
{
    return call(c, TS_XEN_MMUEXT_OP, {mem, count, 0, TS_XEN_DOMID_SELF}, b);
}

const std::vector<uint64_t> three_of_70 = {1u << 0 | 1u << 2, 1u << 1}; /* 0, 2, 65 */

} // namespace

TEST(XenCalls, AMaskNamesVcpusAndTheirPcpusFlush)
{
    Xen x(70);
    x.run([](HvCaller &c) {
        c.fill();
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, three_of_70)), 0);
        EXPECT_EQ(c.gone(c.page_a), (Vps{0, 2, 65}));
        EXPECT_EQ(c.gone(c.page_b), (Vps{0, 2, 65}));
        EXPECT_EQ(c.stat("hypervisor.xen_round_targets"), 2u);
        c.fill();
        EXPECT_EQ(mmuext(c, op(TS_XEN_INVLPG_MULTI, c.page_a, three_of_70)), 0);
        EXPECT_EQ(c.gone(c.page_a), (Vps{0, 2, 65}));
        EXPECT_EQ(c.gone(c.page_b), Vps{});
        /* An address that is none: nothing to do. */
        EXPECT_EQ(mmuext(c, op(TS_XEN_INVLPG_MULTI, UINT64_C(1) << 60, three_of_70)), 0);
        EXPECT_EQ(c.gone(c.page_b), Vps{});
        /* Not its own pCPU, and nobody. */
        c.fill();
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, {2, 0})), 0);
        EXPECT_EQ(c.gone(c.page_a), Vps{1});
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, {0, 0})), 0);
        EXPECT_EQ(c.gone(c.page_a), Vps{1});
        /* Bits beyond the last vCPU name nobody. */
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, {0, ~UINT64_C(0) << 6})), 0);
        EXPECT_EQ(c.gone(c.page_a), Vps{1});
    });
}

TEST(XenCalls, LocalAndAll)
{
    Xen x(3);
    x.run([](HvCaller &c) {
        c.fill();
        EXPECT_EQ(mmuext(c, op(TS_XEN_INVLPG_LOCAL, c.page_b, {})), 0);
        EXPECT_EQ(c.gone(c.page_b), Vps{0});
        EXPECT_EQ(c.gone(c.page_a), Vps{});
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_LOCAL, 0, {})), 0);
        EXPECT_EQ(c.gone(c.page_a), Vps{0});
        EXPECT_EQ(c.stat("hypervisor.xen_rounds"), 0u);
        EXPECT_EQ(mmuext(c, op(TS_XEN_INVLPG_ALL, c.page_b, {})), 0);
        EXPECT_EQ(c.gone(c.page_b), (Vps{0, 1, 2}));
        EXPECT_EQ(c.gone(c.page_a), Vps{0});
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_ALL, 0, {})), 0);
        EXPECT_EQ(c.gone(c.page_a), (Vps{0, 1, 2}));
    });
}

TEST(XenCalls, MalformedOnesGetTheirErrors)
{
    Xen x(3);
    x.run([](HvCaller &c) {
        c.fill();
        const Bytes all = op(TS_XEN_TLB_FLUSH_MULTI, 0, {7});
        EXPECT_EQ(call(c, 99, {}), TS_XEN_ENOSYS);
        EXPECT_EQ(mmuext(c, op(14, 0, {7})), TS_XEN_ENOSYS);
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, {})), TS_XEN_EINVAL); /* no mask */
        EXPECT_EQ(mmuext(c, Bytes(all.begin(), all.begin() + 20)), TS_XEN_EFAULT);
        EXPECT_EQ(call(c, TS_XEN_MMUEXT_OP, {0, 1, 0, TS_XEN_DOMID_SELF}, all), TS_XEN_EFAULT);
        EXPECT_EQ(call(c, TS_XEN_MMUEXT_OP, {mem, 1, 0, 5}, all), TS_XEN_ESRCH);
        EXPECT_EQ(call(c, TS_XEN_HVM_OP, {TS_XEN_HVMOP_FLUSH_TLBS, 0}), TS_XEN_EPERM);
        EXPECT_EQ(call(c, TS_XEN_HVM_OP, {TS_XEN_HVMOP_FLUSH_TLBS, mem}), TS_XEN_EINVAL);
        EXPECT_EQ(call(c, TS_XEN_HVM_OP, {77, 0}), TS_XEN_ENOSYS);
        EXPECT_EQ(c.gone(c.page_a), Vps{});
        EXPECT_EQ(mmuext(c, all, 0), 0);
        EXPECT_EQ(c.gone(c.page_a), Vps{});
        /* KVM's and Hyper-V's are not there. */
        struct ts_hypercall kvm = {};
        kvm.number = TS_KVM_HC_SCHED_YIELD;
        ts_hypercall(c.self, c.vm, &kvm);
        EXPECT_EQ(static_cast<int64_t>(kvm.result), TS_KVM_ENOSYS);
    });
}

/* The operations before the one that fails are done, and counted. */
TEST(XenCalls, HowManyWereDoneIsWrittenBack)
{
    Xen x(3);
    x.run([](HvCaller &c) {
        c.fill();
        Bytes b;
        const uint64_t mask = mem + 2 * sizeof(ts_xen_mmuext_op), done = mask + 8;
        append(b, ts_xen_mmuext_op{TS_XEN_INVLPG_MULTI, 0, c.page_a, mask});
        append(b, ts_xen_mmuext_op{14, 0, 0, 0});
        append(b, uint64_t{6});
        append(b, uint64_t{0});
        EXPECT_EQ(call(c, TS_XEN_MMUEXT_OP, {mem, 2, done, TS_XEN_DOMID_SELF}, b), TS_XEN_ENOSYS);
        EXPECT_EQ(c.gone(c.page_a), (Vps{1, 2}));
        EXPECT_EQ(c.vm->input[c.cpu->id][done - mem], 1u);
        EXPECT_EQ(call(c, TS_XEN_MMUEXT_OP, {mem, 1, done, TS_XEN_DOMID_SELF}, b), 0);
        EXPECT_EQ(c.vm->input[c.cpu->id][done - mem], 1u);
        EXPECT_EQ(call(c, TS_XEN_MMUEXT_OP, {mem, 1, mem + 4096, TS_XEN_DOMID_SELF}, b),
                  TS_XEN_EFAULT);
    });
}

TEST(XenCalls, AMulticallHasAResultForEachEntry)
{
    Xen x(3);
    x.run([](HvCaller &c) {
        c.fill();
        const uint64_t entry = sizeof(ts_xen_multicall_entry);
        const uint64_t ops = mem + 3 * entry, mask = ops + sizeof(ts_xen_mmuext_op);
        Bytes b;
        append(b, ts_xen_multicall_entry{TS_XEN_MMUEXT_OP, 55, {ops, 1, 0, TS_XEN_DOMID_SELF}});
        append(b, ts_xen_multicall_entry{TS_XEN_MULTICALL, 55, {}});
        append(b, ts_xen_multicall_entry{99, 55, {}});
        append(b, ts_xen_mmuext_op{TS_XEN_INVLPG_MULTI, 0, c.page_a, mask});
        append(b, uint64_t{3});
        auto result = [&](uint32_t i) {
            int64_t r;
            std::memcpy(&r, c.vm->input[c.cpu->id] + i * entry + 8, sizeof(r));
            return r;
        };
        EXPECT_EQ(call(c, TS_XEN_MULTICALL, {mem, 3}, b), 0);
        EXPECT_EQ(c.gone(c.page_a), (Vps{0, 1}));
        EXPECT_EQ(result(0), 0);
        EXPECT_EQ(result(1), TS_XEN_EINVAL);
        EXPECT_EQ(result(2), TS_XEN_ENOSYS);
        EXPECT_EQ(call(c, TS_XEN_MULTICALL, {mem + b.size(), 1}, b), TS_XEN_EFAULT);
    });
}

/* HVM: all vCPUs get new ASIDs, at their next entries. */
TEST(XenCalls, AnHvmGuestFlushesAllItsVcpus)
{
    Xen x(3, "hvm");
    x.run([](HvCaller &c) {
        c.fill();
        EXPECT_EQ(mmuext(c, op(TS_XEN_TLB_FLUSH_MULTI, 0, {7})), TS_XEN_ENOSYS);
        EXPECT_EQ(c.gone(c.page_a), Vps{});
        EXPECT_EQ(call(c, TS_XEN_HVM_OP, {TS_XEN_HVMOP_FLUSH_TLBS, 0}), 0);
        c.wait_us(20);
        EXPECT_EQ(c.gone(c.page_a), (Vps{0, 1, 2}));
        EXPECT_EQ(c.stat("hypervisor.xen_rounds"), 1u);
        EXPECT_EQ(c.stat("hypervisor.xen_flushes"), 0u);
    });
}
