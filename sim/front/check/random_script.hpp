// SPDX-License-Identifier: Apache-2.0
// Random operations of threads that share memory: each owns mappings that it makes, changes and
// takes down, and all touch all. In step n a thread first makes its mapping n, and names others'
// mappings up to n only: whoever waits for one waits for a thread that is not yet at that step, so
// somebody can always go on. Another process takes the frames and the tables that come free: one
// thread, or some that do as the first process's.
#ifndef TS_SIM_FRONT_CHECK_RANDOM_SCRIPT_HPP
#define TS_SIM_FRONT_CHECK_RANDOM_SCRIPT_HPP

#include "sim/front/check/dice.hpp"
#include "sim/front/check/script.hpp"

#include <algorithm>

namespace ts
{

// The most of each, from 2 threads, 2 steps and 1 page.
struct ScriptShape {
    uint64_t threads = 8, steps = 8, pages = 40;
    uint64_t each = 12;   // operations in a step, from 2
    uint64_t burst = 300; // accesses of a page one after the other
    uint64_t others = 30; // pages of a mapping of the other process
    bool large = true;    // one mapping of large_in has 500 to 1100 pages
    uint64_t large_in = 10;
    // Now and then all of a mapping is taken away at once, and its pages before it: its tables are
    // freed without a page.
    bool whole = false;
    // Some of the time that a thread would think or sleep it drops pages of somebody's mapping,
    // perhaps while the owner unmaps them.
    bool drops = false;
    // The other process has threads as the first one, so that both are flushed on many CPUs.
    bool crowd = false;
    bool mremap = true; // of what the operating system has; the rest is the same
};

class RandomScript
{
  public:
    explicit RandomScript(uint64_t seed, const ScriptShape &shape = {})
        : RandomScript(seed, shape, 0)
    {
        if (shape.crowd)
            crowd(seed + draws_of_crowd, shape);
        else
            other_process();
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
    static constexpr uint64_t draws_of_drops = 6000011, draws_of_crowd = 8000009;

    // One process, whose threads meet at a barrier at the end.
    RandomScript(uint64_t seed, const ScriptShape &shape, uint32_t barrier)
        : mremap_(shape.mremap), whole_(shape.whole), drops_(shape.drops), each_(shape.each),
          burst_(shape.burst), others_(shape.others), dice_(seed),
          drop_dice_(seed + draws_of_drops), threads_(uint32_t(dice_.between(2, shape.threads))),
          steps_(uint32_t(dice_.between(2, shape.steps)))
    {
        script_.resize(threads_);
        for (uint32_t t = 0; t < threads_; t++)
            for (uint32_t n = 0; n < steps_; n++)
                pages_.push_back(dice_.between(1, shape.large_in) > 1 || !shape.large
                                     ? dice_.between(1, shape.pages)
                                     : dice_.between(500, 1100));
        for (uint32_t t = 0; t < threads_; t++)
            for (uint32_t n = 0; n < steps_; n++)
                step(t, n);
        for (uint32_t t = 0; t < threads_; t++)
            script_[t].push_back(op_barrier(barrier, threads_));
    }

    uint32_t region(uint32_t thread, uint32_t n) const
    {
        return 2 * (thread * steps_ + n);
    }
    void put(uint32_t thread, const ts_op &op)
    {
        script_[thread].push_back(op);
    }
    // A burst on one page, or a pass over some.
    void touch(uint32_t t, uint32_t owner, uint32_t n)
    {
        uint64_t pages = pages_[owner * steps_ + n];
        uint64_t first = dice_.between(0, pages < 8 ? pages - 1 : 7);
        bool write = dice_.between(0, 1);
        if (dice_.between(0, 1))
            put(t, op_touch(region(owner, n), first * page, dice_.between(1, burst_), write, 0));
        else
            put(t, op_touch(region(owner, n), first * page,
                            std::min<uint64_t>(pages - first, dice_.between(1, 20)), write));
    }
    void change(uint32_t t, uint32_t n)
    {
        static constexpr uint32_t rights[] = {0, TS_PROT_READ, TS_PROT_READ | TS_PROT_WRITE};
        uint64_t pages = pages_[t * steps_ + n];
        uint64_t first = dice_.between(0, pages < 8 ? pages - 1 : 7);
        uint64_t bytes = dice_.between(1, pages - first) * page;
        uint32_t r = region(t, n);
        if (whole_ && dice_.between(0, 3) == 0) {
            first = 0;
            bytes = pages * page;
        }
        switch (dice_.between(0, 9)) {
        case 0:
            put(t, op_range(TS_OP_MUNMAP, r, first * page, bytes));
            break;
        case 1: {
            const uint64_t more = dice_.between(1, 9);
            if (mremap_)
                put(t, op_mremap(r, pages * page, r + 1, (pages + more) * page));
            break;
        }
        case 2:
        case 3:
        case 4:
            put(t, op_range(TS_OP_MPROTECT, r, first * page, bytes, rights[dice_.between(0, 2)]));
            break;
        default:
            put(t, op_range(TS_OP_MADVISE_DONTNEED, r, first * page, bytes));
        }
    }
    // Of a mapping that thread t, in step n, may name.
    void drop(uint32_t t, uint32_t n)
    {
        const auto owner = uint32_t(drop_dice_.between(0, threads_ - 1));
        const uint32_t made = drop_dice_.between(0, 2) ? n : uint32_t(drop_dice_.between(0, n));
        const uint64_t pages = pages_[owner * steps_ + made];
        const uint64_t first = drop_dice_.between(0, pages < 8 ? pages - 1 : 7);
        put(t, op_range(TS_OP_MADVISE_DONTNEED, region(owner, made), first * page,
                        drop_dice_.between(1, std::min<uint64_t>(pages - first, 8)) * page));
    }
    void step(uint32_t t, uint32_t n)
    {
        put(t, op_mmap(region(t, n), pages_[t * steps_ + n] * page));
        touch(t, t, n);
        for (uint64_t k = dice_.between(2, each_); k > 0; k--) {
            uint64_t what = dice_.between(0, 9);
            if (what < 6) {
                // Drawn one by one: compilers differ in which argument they take first.
                uint32_t owner = uint32_t(dice_.between(0, threads_ - 1));
                touch(t, owner, dice_.between(0, 2) ? n : uint32_t(dice_.between(0, n)));
            } else if (what < 8)
                change(t, dice_.between(0, 2) ? n : uint32_t(dice_.between(0, n)));
            else {
                const uint64_t ns = dice_.between(0, 9000);
                if (drops_ && drop_dice_.between(0, 3))
                    drop(t, n);
                else
                    put(t, op_ns(what == 8 ? TS_OP_COMPUTE : TS_OP_SLEEP, ns));
            }
        }
        const uint64_t bytes = pages_[t * steps_ + n] * page;
        if (whole_ && dice_.between(0, 3) == 0)
            put(t, op_range(TS_OP_MADVISE_DONTNEED, region(t, n), 0, bytes));
        if (dice_.between(0, 2))
            put(t, op_range(TS_OP_MUNMAP, region(t, n), 0, bytes));
    }
    // Few threads, whose first one starts the others.
    void crowd(uint64_t seed, ScriptShape shape)
    {
        shape.threads = 2 + (shape.threads > 2);
        RandomScript others(seed, shape, 1);
        for (uint32_t t = 1; t < others.threads_; t++)
            others.script_[0].insert(others.script_[0].begin(), op_spawn(threads_ + t));
        script_[0].insert(script_[0].begin(), op_spawn(threads_, TS_OPF_NEW_MM));
        script_.insert(script_.end(), others.script_.begin(), others.script_.end());
    }
    // Takes frames and tables as they come free.
    void other_process()
    {
        script_.emplace_back();
        script_[0].insert(script_[0].begin(), op_spawn(threads_, TS_OPF_NEW_MM));
        for (uint32_t i = 0; i < 3 * steps_; i++) {
            uint64_t n = dice_.between(1, others_);
            put(threads_, op_mmap(i, n * page));
            put(threads_, op_touch(i, 0, n));
            put(threads_, op_ns(TS_OP_COMPUTE, dice_.between(0, 9000)));
            put(threads_, op_range(TS_OP_MUNMAP, i, 0, n * page));
        }
    }

    bool mremap_, whole_, drops_;
    uint64_t each_, burst_, others_;
    Dice dice_, drop_dice_;
    uint32_t threads_, steps_;
    std::vector<uint64_t> pages_; // of each mapping
    Script script_;
};

} // namespace ts

#endif
