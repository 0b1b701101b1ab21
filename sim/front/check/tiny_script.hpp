// SPDX-License-Identifier: Apache-2.0
// What the threads of a tiny case do: one takes a page away, or its rights, while others use it;
// another process takes frames and tables as they come free, or does the same with a page of its
// own. A seed chooses how it is taken, who sleeps when, and who else takes something away at the
// same time. In some cases those who use it sleep all the time, so that CPUs switch between address
// spaces while a flush is under way.
#ifndef TS_SIM_FRONT_CHECK_TINY_SCRIPT_HPP
#define TS_SIM_FRONT_CHECK_TINY_SCRIPT_HPP

#include "sim/front/check/dice.hpp"
#include "sim/front/check/script.hpp"

namespace ts
{

class TinyScript
{
  public:
    TinyScript(uint64_t seed, bool mremap) : dice_(seed), mremap_(mremap)
    {
        const bool third = dice_.between(0, 3) == 0, other = dice_.between(0, 2) > 0;
        const bool two = Dice(seed + draws_of_two).between(0, 3) == 0;
        naps_ = Dice(seed + draws_of_naps).between(0, 3) == 0;
        threads_ = third ? 3 : 2;
        script_.resize(threads_);
        if (other || two)
            script_[0].push_back(op_spawn(threads_, TS_OPF_NEW_MM));
        changes(0);
        uses(1);
        if (third && dice_.between(0, 1))
            uses(2);
        else if (third)
            changes(2);
        if (two)
            second_process();
        else if (other)
            takes();
    }
    const Script &script() const
    {
        return script_;
    }
    uint32_t initial() const
    {
        return threads_;
    }

  private:
    static constexpr uint64_t page = 4096;
    // Streams of their own.
    static constexpr uint64_t draws_of_two = 1000005, draws_of_naps = 2000009;

    // Thread t of the process of now.
    std::vector<ts_op> &of(uint32_t t)
    {
        return script_[first_ + t];
    }
    void meet(uint32_t t, uint32_t number)
    {
        of(t).push_back(op_barrier(2 * first_ + number, first_ ? 2 : threads_));
    }
    void take_away(uint32_t t, uint32_t region)
    {
        std::vector<ts_op> &ops = of(t);
        switch (dice_.between(0, mremap_ ? 4 : 3)) {
        case 0:
            ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, region, 0, page));
            break;
        case 1:
            ops.push_back(op_range(TS_OP_MPROTECT, region, 0, page, TS_PROT_READ));
            break;
        case 4:
            ops.push_back(op_mremap(region, page, region + 1, 2 * page));
            break;
        default:
            ops.push_back(op_range(TS_OP_MUNMAP, region, 0, page));
        }
    }
    void changes(uint32_t t)
    {
        std::vector<ts_op> &ops = of(t);
        const uint32_t region = 4 * t;
        ops.push_back(op_mmap(region, page));
        ops.push_back(op_touch(region, 0, 1, true));
        meet(t, 0);
        take_away(t, region);
        if (dice_.between(0, 1)) { // the frame, by the same process
            ops.push_back(op_mmap(region + 2, page));
            ops.push_back(op_touch(region + 2, 0, 1, true));
        }
        meet(t, 1);
    }
    void uses(uint32_t t)
    {
        std::vector<ts_op> &ops = of(t);
        const bool writes = dice_.between(0, 1);
        ops.push_back(op_touch(0, 0, 1, writes));
        meet(t, 0);
        for (uint64_t n = dice_.between(2, 3); n > 0; n--) {
            ops.push_back(op_touch(0, 0, dice_.between(1, 3), writes, 0));
            const uint64_t pause = dice_.between(0, 2);
            if (pause > 0 || naps_)
                ops.push_back(op_ns(pause == 1 && !naps_ ? TS_OP_COMPUTE : TS_OP_SLEEP,
                                    dice_.between(100, 5000)));
        }
        ops.push_back(op_touch(0, 0, 1, writes));
        meet(t, 1);
    }
    // Two threads, of which the first starts the second.
    void second_process()
    {
        first_ = threads_;
        script_.resize(threads_ + 2);
        of(0).push_back(op_spawn(first_ + 1));
        changes(0);
        uses(1);
    }
    void takes()
    {
        script_.emplace_back();
        for (uint32_t i = 0; i < 2; i++) {
            script_[threads_].push_back(op_mmap(i, page));
            script_[threads_].push_back(op_touch(i, 0, 1, true));
            script_[threads_].push_back(op_ns(TS_OP_COMPUTE, dice_.between(0, 5000)));
            script_[threads_].push_back(op_range(TS_OP_MUNMAP, i, 0, page));
        }
    }

    Dice dice_;
    bool mremap_, naps_;
    uint32_t threads_;
    uint32_t first_ = 0; // of the process that is drawn
    Script script_;
};

} // namespace ts

#endif
