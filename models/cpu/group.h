/* SPDX-License-Identifier: Apache-2.0 */
/* Group scheduling (CONFIG_FAIR_GROUP_SCHED): the tasks of a VM are one control group, and on each
 * CPU a group is an entity that competes with others at the top while its own tasks compete inside.
 * The policy is that of both levels: a CPU has a queue of groups and of tasks that are in none, and
 * a queue for each group. Read in kernel/sched/fair.c of 6.1 and 6.12:
 *
 * | rule         | function                          | here                                      |
 * |--------------|-----------------------------------|-------------------------------------------|
 * | weight of a  | calc_group_shares,                | shares * load / (sum of the group's load  |
 * | group's      | update_cfs_group at enqueue,      | on all CPUs), at least 2 and at most the  |
 * | entity       | dequeue and tick                  | shares; load: the greater of what is      |
 * |              |                                   | runnable and its average                  |
 * | its average  | pelt.c: y^32 = 1/2, 1024 us       | the same decay, in continuous time; a task|
 * |              |                                   | that moves takes at most its weight along |
 * | run time     | update_curr, calc_delta_fair      | delta * 1024 / weight at each level       |
 * | next         | pick_next_task_fair               | from the top down, who runs competing     |
 * | wake-up      | find_matching_se                  | between siblings: two of a group inside   |
 * |              |                                   | it, else their groups                     |
 * | tick         | task_tick_fair                    | each level decides, any may preempt       |
 * | yield        | set_skip_buddy (6.1: all levels), | the policy says (yields_groups)           |
 * |              | yield_task_fair (6.12: the task)  |                                           |
 * | yield_to     | set_next_buddy                    | marked at each level                      |
 * | enqueue      | enqueue_task_fair                 | a group that was not runnable is placed   |
 * |              |                                   | as one that wakes up                      |
 *
 * A CPU's queue proper (struct ts_cpu.rq) lists all waiting tasks, those of groups too, the newest
 * first, as rq->cfs_tasks. Balancing counts tasks and not their share of their group's weight
 * (task_h_load), and tg->load_avg is brought up to date for all CPUs once a tick: assumed. */
#ifndef TS_MODELS_CPU_GROUP_H
#define TS_MODELS_CPU_GROUP_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a group's entity weighs on a CPU: calc_group_shares. Loads and shares in units of
 * TS_NICE_0_LOAD / 1024. total: of all CPUs, with this one's contribution in it. */
uint64_t ts_group_weight(uint64_t shares, uint64_t runnable, uint64_t average, uint64_t total,
                         uint64_t contribution);
/* An average of load after dt of a constant load. */
uint64_t ts_group_decay(uint64_t average, uint64_t load, ts_time dt);

/* Tasks whose se.group is g < n form group g, of shares[g] (cpu.shares, 1024 by default); others
 * are in none. After ts_cpu_domain_init and before any task is woken; the domain's policy must be
 * able to (ts_sched_ops.reweight). ts_cpu_domain_fini frees it. TS_ERR_ENVIRONMENT: no memory. */
enum ts_status ts_groups_init(struct ts_cpu_domain *d, uint32_t n, const uint64_t *shares,
                              struct ts_error *err);
void ts_groups_fini(struct ts_cpu_domain *d);

#ifdef __cplusplus
}
#endif
#endif
