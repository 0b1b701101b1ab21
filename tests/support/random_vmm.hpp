/* SPDX-License-Identifier: Apache-2.0 */
/* Random threads of a VMM beside the guests of an Arm machine: memslots come, are filled and go,
 * dirty logging starts and stops, notifiers move pages, and flushes of all kinds. Each thread has
 * memslots of its own, and names only those that it has made. */
#ifndef TS_TESTS_SUPPORT_RANDOM_VMM_HPP
#define TS_TESTS_SUPPORT_RANDOM_VMM_HPP

#include <list>

#include "models/hypervisor/host_task.h"
#include "models/hypervisor/stage2.h"
#include "tests/support/random_script.hpp"

namespace ts_test
{

class RandomVmm
{
  public:
    RandomVmm(const ts_machine_config &c, uint64_t seed) : dice_(seed + 2000003), config_(c)
    {
        const uint64_t n = dice_.between(1, 3);
        for (uint64_t i = 0; i < n; i++)
            thread(uint32_t(2 * i + 1));
    }
    RandomVmm(const RandomVmm &) = delete;
    RandomVmm &operator=(const RandomVmm &) = delete;
    std::vector<ts_host_task_config> tasks()
    {
        std::vector<ts_host_task_config> all;
        for (Thread &t : threads_)
            all.push_back(t.config);
        return all;
    }

  private:
    static constexpr uint64_t page_ = 4096, block_ = page_ << 9, gib_ = page_ << 18;
    struct Thread {
        std::vector<ts_host_op> ops;
        ts_host_script script;
        ts_host_task_config config;
    };
    struct Slot {
        bool live = false;
        uint32_t level = 0;
        uint64_t pages = 0;
    };

    ts_host_op &add(Thread &t, ts_host_op_kind kind)
    {
        ts_host_op op{};
        op.kind = kind;
        op.vm = vm_;
        t.ops.push_back(op);
        return t.ops.back();
    }
    /* Anywhere in the first few MiB, where the guest's memory is. */
    void range(ts_host_op &op)
    {
        op.start = dice_.between(0, 2000) * page_;
        op.amount = dice_.between(1, 700) * page_;
    }
    void thread(uint32_t first_slot)
    {
        threads_.emplace_back();
        Thread &t = threads_.back();
        Slot slots[2];
        vm_ = uint32_t(dice_.between(0, config_.run.vms - 1));
        const uint64_t n = dice_.between(2, 14);
        for (uint64_t i = 0; i < n; i++) {
            step(t, first_slot, slots);
            if (dice_.between(0, 1))
                add(t, TS_HOST_SLEEP).amount = dice_.between(1, 300) * TS_US;
        }
        for (uint32_t s = 0; s < 2; s++) {
            if (slots[s].live)
                add(t, TS_HOST_SLOT_DELETE).slot = first_slot + s;
        }
        const uint64_t pcpus = config_.topology.sockets * config_.topology.cores_per_socket *
                               config_.topology.threads_per_core;
        const uint64_t repeat = dice_.between(1, 4);
        ts_host_script_init(&t.script, t.ops.data(), t.ops.size(), repeat);
        const uint64_t pcpu = dice_.between(0, 2 * pcpus);
        t.config = {"vmm", pcpu < pcpus ? uint32_t(pcpu) : TS_HOST_ANY_PCPU, false,
                    &t.script.stream};
    }
    void step(Thread &t, uint32_t first_slot, Slot (&slots)[2])
    {
        const auto s = uint32_t(dice_.between(0, 1));
        switch (dice_.between(0, 9)) {
        case 0:
        case 1:
            on_slot(t, first_slot + s, slots[s]);
            break;
        case 2:
            add(t, TS_HOST_LOG_START).slot = slots[s].live ? first_slot + s : 0;
            break;
        case 3:
            add(t, TS_HOST_LOG_STOP).slot = slots[s].live ? first_slot + s : 0;
            break;
        case 4:
        case 5:
            range(add(t, TS_HOST_NOTIFY));
            break;
        case 6:
            range(add(t, TS_HOST_FLUSH_RANGE));
            break;
        case 7:
            range(add(t, dice_.between(0, 1) ? TS_HOST_FLUSH_IPA : TS_HOST_FLUSH));
            break;
        case 8:
            add(t, dice_.between(0, 1) ? TS_HOST_FLUSH_ALL : TS_HOST_DSB);
            break;
        default:
            add(t, TS_HOST_COMPUTE).amount = dice_.between(1, 200000);
            break;
        }
    }
    void on_slot(Thread &t, uint32_t number, Slot &slot)
    {
        if (slot.live && dice_.between(0, 1)) {
            add(t, TS_HOST_SLOT_DELETE).slot = number;
            slot.live = false;
            return;
        }
        if (!slot.live) {
            slot.level = uint32_t(dice_.between(0, 2));
            slot.pages = dice_.between(1, slot.level == 2 ? 3 : 40) << (9 * slot.level);
            slot.live = true;
            ts_host_op &op = add(t, TS_HOST_SLOT_ADD);
            op.slot = number;
            op.level = slot.level;
            op.start = TS_STAGE2_SLOTS_FROM + (number + 8 * vm_) * 16 * gib_;
            op.amount = slot.pages * page_;
        }
        /* What is there goes first: a notifier of the whole of it. */
        ts_host_op &gone = add(t, TS_HOST_NOTIFY);
        gone.start = TS_STAGE2_SLOTS_FROM + (number + 8 * vm_) * 16 * gib_;
        gone.amount = slot.pages * page_;
        uint32_t level = slot.level - uint32_t(slot.level && dice_.between(0, 1));
        level = slot.pages > 100000 && level == 0 ? 1 : level;
        ts_host_op &fill = add(t, TS_HOST_SLOT_FILL);
        fill.slot = number;
        fill.level = level;
    }
    Dice dice_;
    const ts_machine_config &config_;
    uint32_t vm_ = 0;
    std::list<Thread> threads_;
};

} // namespace ts_test
#endif
