/* SPDX-License-Identifier: Apache-2.0 */
/* A policy alone: a queue, and time that the test hands out. */
#ifndef TS_TESTS_SUPPORT_SCHED_RIG_HPP
#define TS_TESTS_SUPPORT_SCHED_RIG_HPP

#include <deque>
#include <vector>

#include "models/cpu/sched.h"

namespace ts_test
{

class SchedRig
{
  public:
    explicit SchedRig(const char *policy, uint32_t n) : ops(ts_sched_find(policy)), tasks(n)
    {
        ts_param_defaults(&ts_guest_sched_param_table, &params);
        rq.params = &params;
        rq.groups = 1;
        for (uint32_t i = 0; i < n; i++)
            tasks[i].number = i;
    }
    void wake(uint32_t i)
    {
        ops->enqueue(&rq, curr, &tasks[i], true);
    }
    bool wake_preempts(uint32_t i)
    {
        wake(i);
        return ops->preempts(&rq, curr, &tasks[i]);
    }
    /* Schedules as ts_task_schedule does; the running one goes on or goes back into the queue. */
    void resched()
    {
        ts_sched_entity *prev = curr;
        curr = ops->pick(&rq, prev);
        if (curr == prev)
            return;
        if (prev)
            ops->enqueue(&rq, curr, prev, false);
        curr->slice_start_ps = curr->sum_exec_ps;
    }
    void run(uint64_t ps)
    {
        curr->sum_exec_ps += ps;
        ops->charge(&rq, curr, ps);
    }
    void yield()
    {
        ops->yield(&rq, curr);
        resched();
    }
    ts_sched_entity *sleep()
    {
        ts_sched_entity *prev = curr;
        ops->dequeue(&rq, curr, curr);
        curr = nullptr;
        resched();
        return prev;
    }
    /* Another CPU takes a waiting one. */
    void pull(uint32_t i)
    {
        ops->dequeue(&rq, curr, &tasks[i]);
    }
    /* A waiting one with a virtual time and, for eevdf, a whole request ahead of it. */
    void put(uint32_t i, uint64_t vruntime)
    {
        tasks[i].sum_exec_ps = 1; /* not new */
        tasks[i].vruntime = vruntime;
        tasks[i].deadline = vruntime + params.slice_ps;
        ops->enqueue(&rq, curr, &tasks[i], false);
    }
    uint64_t running() const
    {
        return curr->number;
    }
    bool tick()
    {
        return rq.nr && ops->tick(&rq, curr);
    }
    /* Runs for a time in ticks; returns how long each stretch of one task was. */
    std::vector<uint64_t> stretches(uint64_t ticks)
    {
        std::vector<uint64_t> all;
        uint64_t stretch = 0;
        for (uint64_t t = 0; t < ticks; t++) {
            run(params.tick_ps);
            stretch += params.tick_ps;
            if (tick()) {
                ts_sched_entity *prev = curr;
                resched();
                if (curr != prev) {
                    all.push_back(stretch);
                    stretch = 0;
                }
            }
        }
        return all;
    }

    const ts_sched_ops *ops;
    ts_sched_params params{};
    ts_runqueue rq{};
    ts_sched_entity *curr = nullptr;
    std::deque<ts_sched_entity> tasks;
};

} // namespace ts_test
#endif
