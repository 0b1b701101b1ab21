// SPDX-License-Identifier: Apache-2.0
#include "sim/front/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace ts
{
namespace
{

// A thread costs more than so many calls, and address space for its stack.
constexpr size_t serial_max = 64;

// The lowest index whose call has failed, and how.
class FirstFailure
{
  public:
    void add(size_t index, std::exception_ptr failure)
    {
        const std::lock_guard<std::mutex> guard(mutex_);
        if (failure_ && index_ < index)
            return;
        index_ = index;
        failure_ = std::move(failure);
    }
    void rethrow() const
    {
        if (failure_)
            std::rethrow_exception(failure_);
    }

  private:
    std::mutex mutex_;
    size_t index_ = 0;
    std::exception_ptr failure_;
};

} // namespace

void parallel_for(size_t n, unsigned threads, const std::function<void(size_t)> &each)
{
    if (n <= serial_max || threads < 2) {
        for (size_t i = 0; i < n; i++)
            each(i);
        return;
    }
    std::atomic<size_t> next{0};
    FirstFailure failure;
    const auto work = [&] {
        for (size_t i; (i = next++) < n;) {
            try {
                each(i);
            } catch (...) {
                failure.add(i, std::current_exception());
            }
        }
    };
    std::vector<std::thread> pool;
    for (unsigned t = 0; t < std::min<size_t>(threads, n); t++)
        pool.emplace_back(work);
    for (std::thread &thread : pool)
        thread.join();
    failure.rethrow();
}

} // namespace ts
