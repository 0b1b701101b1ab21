/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel, the heap and a sorted vector give one history for the same random calls. */
#include "sim/engine.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace
{

constexpr int event_count = 96;

/* What a model may do with an engine, by event number. */
class Queue
{
  public:
    virtual ~Queue() = default;
    virtual ts_time now() = 0;
    virtual bool pending(int id) = 0;
    virtual void schedule(int id, ts_time when, ts_phase phase) = 0;
    virtual uint64_t ticket() = 0;
    virtual void schedule_ticket(int id, ts_time when, ts_phase phase, uint64_t ticket) = 0;
    virtual void cancel(int id) = 0;
    virtual ts_time next_time() = 0;
    virtual bool try_advance(ts_time when) = 0;
    virtual uint64_t run(ts_time limit) = 0;
    virtual void stop() = 0;
    class Driver *driver = nullptr;
};

enum class Profile { near, burst, wrap, far, mixed, count };

/* Draws the calls. All decisions come from one stream, so histories part where the order does. */
class Driver
{
  public:
    Driver(Queue *queue, uint64_t seed) : queue_(queue)
    {
        ts_rng_init(&rng_, seed, "queue_diff", 0);
        profile_ = static_cast<Profile>(below(static_cast<uint64_t>(Profile::count)));
        unit_ = 1 + below(700);
        queue->driver = this;
    }
    void play(int steps)
    {
        for (int i = 0; i < steps; i++) {
            switch (below(6)) {
            case 0:
            case 1:
                for (uint64_t n = below(20); n > 0; n--)
                    schedule_one();
                break;
            case 2:
                cancel_some();
                break;
            case 3:
                note(queue_->next_time());
                break;
            case 4:
                advance();
                break;
            default:
                note(queue_->run(saturating(queue_->now(), delay())));
                note(queue_->now());
            }
        }
        quiet_ = true;
        note(queue_->run(TS_TIME_NEVER));
        note(queue_->now());
    }
    void on_event(int id)
    {
        note(static_cast<uint64_t>(id));
        note(queue_->now());
        if (quiet_)
            return;
        if (below(3) > 0)
            schedule_one();
        if (below(4) == 0 && !queue_->pending(id))
            queue_->schedule(id, queue_->now(), phase());
        if (below(4) == 0)
            cancel_some();
        for (uint64_t n = below(4); n > 0; n--)
            advance();
        if (below(8) == 0)
            note(queue_->next_time());
        if (below(40) == 0) {
            queue_->stop();
            advance();
        }
    }
    std::vector<uint64_t> history;

  private:
    uint64_t below(uint64_t n)
    {
        return ts_rng_below(&rng_, n);
    }
    void note(uint64_t x)
    {
        history.push_back(x);
    }
    static ts_time saturating(ts_time a, ts_time b)
    {
        return a > TS_TIME_NEVER - 1 - b ? TS_TIME_NEVER - 1 : a + b;
    }
    ts_phase phase()
    {
        return static_cast<ts_phase>(below(TS_PHASE_COUNT));
    }
    ts_time delay_of(Profile profile)
    {
        switch (profile) {
        case Profile::near:
            return below(4000);
        case Profile::burst: /* few distinct times */
            return below(4) * unit_;
        case Profile::wrap: { /* both sides of a digit boundary of the wheel */
            ts_time boundary = UINT64_C(1) << below(44);
            ts_time to = boundary - (queue_->now() & (boundary - 1));

            return to + below(4) - std::min<ts_time>(to, 2);
        }
        case Profile::far:
            return below(UINT64_C(1) << (30 + below(20)));
        default:
            return delay_of(static_cast<Profile>(below(static_cast<uint64_t>(Profile::mixed))));
        }
    }
    ts_time delay()
    {
        return delay_of(profile_);
    }
    void schedule_one()
    {
        int id = static_cast<int>(below(event_count));

        if (below(8) == 0)
            tickets_.push_back(queue_->ticket());
        if (queue_->pending(id))
            return;
        ts_time when = saturating(queue_->now(), delay());
        switch (below(4)) {
        case 0: /* a place of its own, before all that are counted */
            queue_->schedule_ticket(id, when, phase(), static_cast<uint64_t>(id));
            break;
        case 1:
            if (!tickets_.empty()) {
                queue_->schedule_ticket(id, when, phase(), tickets_.back());
                tickets_.pop_back();
                break;
            }
            [[fallthrough]];
        default:
            queue_->schedule(id, when, phase());
        }
    }
    void cancel_some()
    {
        for (uint64_t n = below(6); n > 0; n--)
            queue_->cancel(static_cast<int>(below(event_count)));
    }
    void advance()
    {
        note(queue_->try_advance(saturating(queue_->now(), delay() / (1 + below(50)))));
        note(queue_->now());
    }

    Queue *queue_;
    ts_rng rng_;
    Profile profile_;
    ts_time unit_;
    bool quiet_ = false;
    std::vector<uint64_t> tickets_;
};

class EngineQueue : public Queue
{
  public:
    EngineQueue(ts_queue_kind kind, uint32_t slot_shift)
    {
        ts_engine_config config = {};
        ts_error err;

        config.queue = kind;
        config.slot_shift = slot_shift;
        config.max_events = event_count;
        if (ts_engine_create(&engine_, &config, &err) != TS_OK)
            abort();
        for (int i = 0; i < event_count; i++) {
            items_[i].owner = this;
            items_[i].id = i;
            ts_event_init(&items_[i].event, on_event);
        }
    }
    ~EngineQueue() override
    {
        ts_engine_destroy(engine_);
    }
    ts_time now() override
    {
        return ts_engine_now(engine_);
    }
    bool pending(int id) override
    {
        return ts_event_pending(&items_[id].event);
    }
    void schedule(int id, ts_time when, ts_phase phase) override
    {
        ts_engine_schedule(engine_, &items_[id].event, when, phase);
    }
    uint64_t ticket() override
    {
        return ts_engine_ticket(engine_);
    }
    void schedule_ticket(int id, ts_time when, ts_phase phase, uint64_t ticket) override
    {
        ts_engine_schedule_ticket(engine_, &items_[id].event, when, phase, ticket);
    }
    void cancel(int id) override
    {
        ts_engine_cancel(engine_, &items_[id].event);
    }
    ts_time next_time() override
    {
        return ts_engine_next_time(engine_);
    }
    bool try_advance(ts_time when) override
    {
        return ts_engine_try_advance(engine_, when);
    }
    uint64_t run(ts_time limit) override
    {
        return ts_engine_run(engine_, limit);
    }
    void stop() override
    {
        ts_engine_stop(engine_);
    }

  private:
    struct Item {
        ts_event event;
        EngineQueue *owner;
        int id;
    };
    static void on_event(ts_engine *, ts_event *event)
    {
        auto *item = reinterpret_cast<Item *>(event);

        item->owner->driver->on_event(item->id);
    }
    ts_engine *engine_ = nullptr;
    Item items_[event_count] = {};
};

/* The order as it is written down: a sorted vector and nothing clever. */
class NaiveQueue : public Queue
{
  public:
    ts_time now() override
    {
        return now_;
    }
    bool pending(int id) override
    {
        return find(id) != entries_.end();
    }
    void schedule(int id, ts_time when, ts_phase phase) override
    {
        schedule_ticket(id, when, phase, ticket());
    }
    uint64_t ticket() override
    {
        return sequence_++;
    }
    void schedule_ticket(int id, ts_time when, ts_phase phase, uint64_t ticket) override
    {
        Entry e = {when, phase, ticket, id};

        entries_.insert(std::upper_bound(entries_.begin(), entries_.end(), e), e);
    }
    void cancel(int id) override
    {
        auto it = find(id);

        if (it != entries_.end())
            entries_.erase(it);
    }
    ts_time next_time() override
    {
        return entries_.empty() ? TS_TIME_NEVER : entries_.front().when;
    }
    bool try_advance(ts_time when) override
    {
        if (when >= next_time() || when > limit_ || stopped_)
            return false;
        now_ = when;
        return true;
    }
    uint64_t run(ts_time limit) override
    {
        uint64_t runs = 0;

        limit_ = limit;
        while (!stopped_ && !entries_.empty() && entries_.front().when <= limit) {
            Entry e = entries_.front();

            entries_.erase(entries_.begin());
            now_ = e.when;
            runs++;
            driver->on_event(e.id);
        }
        limit_ = TS_TIME_NEVER;
        stopped_ = false;
        return runs;
    }
    void stop() override
    {
        stopped_ = true;
    }

  private:
    struct Entry {
        ts_time when;
        ts_phase phase;
        uint64_t sequence;
        int id;
        bool operator<(const Entry &o) const
        {
            if (when != o.when)
                return when < o.when;
            return phase != o.phase ? phase < o.phase : sequence < o.sequence;
        }
    };
    std::vector<Entry>::iterator find(int id)
    {
        return std::find_if(entries_.begin(), entries_.end(),
                            [id](const Entry &e) { return e.id == id; });
    }
    std::vector<Entry> entries_;
    ts_time now_ = 0;
    ts_time limit_ = TS_TIME_NEVER;
    uint64_t sequence_ = TS_TICKETS_FIXED;
    bool stopped_ = false;
};

std::vector<uint64_t> play(Queue &queue, uint64_t seed)
{
    Driver driver(&queue, seed);

    driver.play(200);
    return driver.history;
}

size_t first_difference(const std::vector<uint64_t> &a, const std::vector<uint64_t> &b)
{
    size_t n = std::min(a.size(), b.size());

    return static_cast<size_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first -
        a.begin());
}

TEST(QueueDiff, WheelHeapAndSortedVectorAgree)
{
    for (uint64_t seed = 1; seed <= 250; seed++) {
        NaiveQueue naive;
        std::vector<uint64_t> expected = play(naive, seed);

        ASSERT_GT(expected.size(), 100u);
        for (uint32_t shift : {3u, 4u, 8u, 9u}) {
            EngineQueue wheel(TS_QUEUE_WHEEL, shift);
            std::vector<uint64_t> got = play(wheel, seed);

            ASSERT_TRUE(got == expected)
                << "reproduce: play(EngineQueue(TS_QUEUE_WHEEL, " << shift << "), " << seed
                << "); histories part at " << first_difference(got, expected);
        }
        EngineQueue heap(TS_QUEUE_HEAP, 0);
        std::vector<uint64_t> got = play(heap, seed);

        ASSERT_TRUE(got == expected) << "reproduce: play(EngineQueue(TS_QUEUE_HEAP, 0), " << seed
                                     << "); histories part at " << first_difference(got, expected);
    }
}

} // namespace
