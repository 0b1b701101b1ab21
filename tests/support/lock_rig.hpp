/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a guest that run pieces of a test as kernel code, on a lock that they share. */
#ifndef TS_TESTS_SUPPORT_LOCK_RIG_HPP
#define TS_TESTS_SUPPORT_LOCK_RIG_HPP

#include <functional>
#include <map>
#include <vector>

#include "models/guest/coherence/mechanism.h"
#include "tests/support/script_workload.hpp"

namespace ts_test
{

/* Guest threads 0 to n-1, each on a vCPU that stays on a pCPU of its own unless the configuration
 * says otherwise. Code runs with preemption off, as if called by a system call. */
class LockRig
{
  public:
    using Code = std::function<void(ts_task *self)>;

    explicit LockRig(uint32_t threads) : threads_(threads), config(small_machine())
    {
        set(config, "topology.sockets", "1");
        set(config, "topology.cores_per_socket", std::to_string(threads));
        set(config, "run.vms", "1");
        set(config, "run.vcpus", std::to_string(threads));
        set(config, "hypervisor.pin", "true");
        set(config, "hypervisor.ple", "false");
        set(config, "hypervisor.halt_poll", "0");
    }
    LockRig(const LockRig &) = delete;
    LockRig &operator=(const LockRig &) = delete;
    void set_bare()
    {
        config = bare_machine(threads_);
    }
    /* Once, on thread `t`, at about the given time. */
    void on(uint32_t t, ts_time when, Code code)
    {
        codes_[t] = [when, code](ts_task *self) {
            if (when > ts_task_now(self))
                ts_task_work_ps(self, when - ts_task_now(self));
            code(self);
        };
    }
    /* Takes the lock at about the given time and holds it for so long. */
    void holds(uint32_t t, ts_time when, ts_time hold)
    {
        on(t, when, [this, t, hold](ts_task *self) {
            (void)ts_spin_lock(self, &lock);
            order.push_back(t);
            EXPECT_EQ(inside_++, 0u);
            ts_task_work_ps(self, hold);
            inside_--;
            ended[t] = ts_task_now(self);
            ts_spin_unlock(self, &lock);
        });
    }
    /* After its code a thread does these. */
    Outcome run(std::vector<ts_op> after = {})
    {
        Script s(threads_);
        for (uint32_t t = 0; t < threads_; t++) {
            /* mmap_lock is held for reading while the code runs. */
            s[t] = {op_mmap(t, 4096), op_touch(t, 0, 1), op_barrier(0, threads_),
                    op_range(TS_OP_MADVISE_DONTNEED, t, 0, 4096)};
            s[t].insert(s[t].end(), after.begin(), after.end());
        }
        ts_flush_ops ops = *ts_flush_find("native_concurrent");
        ops.init = init;
        ops.flush_mm = flush_mm;
        current() = this;
        Outcome out = run_script(config, s, threads_, &ops);
        current() = nullptr;
        return out;
    }
    /* Of the CPU that the thread is on, in the mode so far. */
    static ts_time mode_ps(const ts_task *self, ts_cpu_mode mode)
    {
        ts_cpu_account(self->cpu);
        return self->cpu->stats.mode_ps[mode];
    }

  private:
    uint32_t threads_;

  public:
    ts_machine_config config;
    ts_guest *guest = nullptr; /* during the run */
    ts_spinlock lock{};
    std::vector<uint32_t> order; /* in which threads had the lock */
    std::map<uint32_t, ts_time> ended;
    bool flushes = false; /* each thread flushes by IPIs after its code, else not at all */
    std::function<void(ts_guest *)> made; /* called when the guest is there */

  private:
    static LockRig *&current()
    {
        static LockRig *rig;
        return rig;
    }
    static ts_status init(ts_guest *g, ts_error *)
    {
        LockRig *rig = current();
        rig->guest = g;
        ts_guest_line_init(g, &rig->lock.line, 0);
        ts_spinlock_init(&rig->lock);
        if (rig->made)
            rig->made(g);
        return TS_OK;
    }
    static bool flush_mm(ts_task *self, ts_flush_info *, ts_shootdown_record *)
    {
        LockRig *rig = current();
        const bool done = !rig->flushes;
        auto found = rig->codes_.find(static_cast<ts_guest_thread *>(self->user)->number);
        if (found == rig->codes_.end())
            return done;
        Code code = found->second;
        rig->codes_.erase(found);
        code(self);
        return done;
    }
    std::map<uint32_t, Code> codes_;
    uint32_t inside_ = 0;
};

} // namespace ts_test
#endif
