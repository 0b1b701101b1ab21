/* SPDX-License-Identifier: Apache-2.0 */
/* Hyper-V hypercalls made by hand, from vCPU 0 of a machine in which every vCPU runs a thread of
 * its own on a pCPU of its own. Whom a flush has reached is read in the TLBs: each VP gets a
 * translation of each of two pages, under an ASID that no kernel of it uses, so that nothing but
 * the call takes them away. */
#ifndef TS_TESTS_SUPPORT_HYPERV_RIG_HPP
#define TS_TESTS_SUPPORT_HYPERV_RIG_HPP

#include <cstring>
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

namespace ts_test
{

using Vps = std::set<uint32_t>;

/* vCPU 0 while it makes calls. */
class HvCaller
{
  public:
    explicit HvCaller(ts_task *self, ts_flush_info *info, ts_shootdown_record *record,
                      ts_machine *machine)
        : self(self), info(info), record(record), cpu(ts_guest_cpu_of(self)), guest(cpu->guest),
          vm(guest->vm), page_a(info->start + 4096), page_b(info->start + 2 * 4096),
          machine_(machine)
    {
    }
    ts_task *self;
    ts_flush_info *info; /* of the flush in whose place all this happens */
    ts_shootdown_record *record;
    ts_guest_cpu *cpu;
    ts_guest *guest;
    ts_vm *vm;
    uint64_t page_a, page_b; /* mapped, and touched by the first thread alone, before */

    /* Both translations into the TLB of every VP. */
    void fill()
    {
        for (uint32_t vp = 0; vp < vm->nvcpus; vp++) {
            for (uint64_t va : {page_a, page_b}) {
                struct ts_mmu_access access = {};
                const ts_mmu_context ctx = context(vp);
                ts_mmu_access(guest->mmus[vp], &ctx, va, TS_MMU_READ, 0, &access);
                EXPECT_EQ(access.result, TS_MMU_OK);
                EXPECT_TRUE(holds(vp, va)) << "VP " << vp;
            }
        }
    }
    bool holds(uint32_t vp, uint64_t va) const
    {
        ts_tlb_entry entry{};
        const ts_mmu_context ctx = context(vp);
        return ts_mmu_probe(guest->mmus[vp], &ctx, va, &entry);
    }
    /* VPs that no longer hold it. */
    Vps gone(uint64_t va) const
    {
        Vps vps;
        for (uint32_t vp = 0; vp < vm->nvcpus; vp++)
            if (!holds(vp, va))
                vps.insert(vp);
        return vps;
    }
    /* Input in the CPU's input page, all of it written. */
    uint64_t slow(uint64_t control, const std::vector<uint64_t> &words)
    {
        struct ts_hypercall call = {};
        uint8_t *page = vm->input[cpu->id];
        std::memcpy(page, words.data(), words.size() * sizeof(uint64_t));
        call.number = control;
        call.input = page;
        call.input_bytes = static_cast<uint32_t>(words.size() * sizeof(uint64_t));
        return make(call);
    }
    /* The same words in RDX, R8 and XMM0 onwards. */
    uint64_t fast(uint64_t control, const std::vector<uint64_t> &words)
    {
        struct ts_hypercall call = {};
        call.number = control | TS_HV_CONTROL_FAST;
        for (size_t i = 0; i < words.size(); i++)
            (i < 2 ? call.args[i] : call.xmm[i - 2]) = words[i];
        return make(call);
    }
    uint64_t call(bool fast_call, uint64_t control, const std::vector<uint64_t> &words)
    {
        return fast_call ? fast(control, words) : slow(control, words);
    }
    /* Computes; what the others have been asked to do before they go on is done. */
    void wait_us(uint64_t us)
    {
        const ts_time until = ts_task_now(self) + us * TS_US;
        while (ts_task_now(self) < until)
            ts_task_work(self, 1000);
    }
    /* A mechanism's flush of these VPs, of pages from start on, or (0) of everything. */
    void flush(const ts_flush_ops *mechanism, const Vps &vps, uint64_t start, uint64_t pages,
               bool freed_tables = false)
    {
        const uint64_t was_start = info->start, was_end = info->end;
        const bool was_freed = info->freed_tables;
        ts_cpumask mask;
        ts_cpumask_init(&mask, guest->ncpus);
        for (uint32_t vp : vps)
            ts_cpumask_set(&mask, vp);
        info->start = pages ? start : 0;
        info->end = pages ? start + pages * 4096 : UINT64_MAX;
        info->freed_tables = freed_tables;
        mechanism->flush_multi(self, &mask, info, record);
        info->start = was_start;
        info->end = was_end;
        info->freed_tables = was_freed;
    }
    uint64_t stat(const std::string &name) const
    {
        std::map<std::string, uint64_t> stats;
        ts_machine_visit_stats(machine_, collect, &stats);
        return stats.at(name);
    }

  private:
    ts_machine *machine_;
    static constexpr uint16_t asid = 100;

    ts_mmu_context context(uint32_t vp) const
    {
        ts_mmu_context ctx{};
        ctx.vmid = ts_vm_vmid(vm, vp);
        ctx.asid = asid;
        ctx.ep4ta = vm->ep4ta;
        ctx.stage1 = info->mm->pgtable;
        ctx.stage2 = vm->stage2;
        return ctx;
    }
    uint64_t make(struct ts_hypercall &call)
    {
        call.abi = TS_ABI_HYPERV;
        ts_irq_disable(self);
        ts_hypercall(self, vm, &call);
        ts_irq_enable(self);
        return call.result;
    }
};

class HvRig
{
  public:
    using Body = std::function<void(HvCaller &)>;

    /* One VM, vCPU i on pCPU i. */
    explicit HvRig(uint32_t vcpus, const std::string &host = "fifo16") : config_(small_machine())
    {
        config("topology.sockets", "1");
        config("topology.cores_per_socket", std::to_string(vcpus));
        config("run.vms", "1");
        config("run.vcpus", std::to_string(vcpus));
        config("hypervisor.pin", "true");
        config("hypervisor.hv_flush", host);
        for (uint32_t t = 0; t < vcpus; t++)
            script_.push_back({op_ns(TS_OP_COMPUTE, 20000000)});
        script_[0] = {op_ns(TS_OP_COMPUTE, 1000000), op_mmap(0, 16 * 4096), op_touch(0, 0, 16),
                      op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096)};
    }
    void config(const std::string &key, const std::string &value)
    {
        set(config_, key, value);
    }
    /* Thread t, which runs on VP t, does this. */
    void thread(uint32_t t, std::vector<ts_op> ops)
    {
        script_.at(t) = std::move(ops);
    }
    /* Body is run in place of the first flush, with preemption off. */
    Outcome run(const Body &body)
    {
        static const ts_flush_ops ops = [] {
            ts_flush_ops o{};
            o.name = "by_hand";
            o.remote_by_mask = true;
            o.state_size = 4096; /* for mechanisms that a body calls */
            o.flush_multi = flush_multi;
            return o;
        }();
        Outcome out;
        ts_error err{};
        ScriptWorkload w(script_, static_cast<uint32_t>(script_.size()));
        const ts_machine_vm vm{w.get(), &ops, nullptr};
        body_ = body;
        current() = this;
        out.status = ts_machine_create(&machine_, &config_, &vm, 1, &err);
        if (out.status == TS_OK)
            out.status = ts_machine_start(machine_, &err);
        if (out.status == TS_OK) {
            ts_machine_run(machine_);
            out.status = ts_machine_finish(machine_, &err);
            ts_machine_visit_stats(machine_, collect, &out.stats);
        }
        if (machine_)
            ts_machine_destroy(machine_);
        machine_ = nullptr;
        out.message = err.message;
        EXPECT_TRUE(!body_) << "no flush came: " << out.message;
        return out;
    }

  private:
    static HvRig *&current()
    {
        static HvRig *rig;
        return rig;
    }
    static void flush_multi(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                            ts_shootdown_record *record)
    {
        HvRig *rig = current();
        if (rig->body_) {
            const Body body = std::move(rig->body_);
            rig->body_ = nullptr;
            HvCaller caller(self, info, record, rig->machine_);
            ASSERT_EQ(caller.cpu->id, 0u);
            body(caller);
        }
        ts_native_flush_tlb_multi(self, mask, info, record);
    }
    ts_machine_config config_;
    Script script_;
    Body body_;
    ts_machine *machine_ = nullptr;
};

} // namespace ts_test
#endif
