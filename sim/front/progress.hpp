// SPDX-License-Identifier: Apache-2.0
// Progress on standard error: a live line on a terminal, else a line per 10 %.
#ifndef TS_SIM_FRONT_PROGRESS_HPP
#define TS_SIM_FRONT_PROGRESS_HPP

#include <chrono>
#include <cstddef>
#include <string>

namespace ts
{

class Progress
{
  public:
    Progress(size_t total, bool quiet);
    ~Progress();
    // So many are there before anything has run.
    void begin(size_t done);
    // done of total are finished; `what` is being done.
    void update(size_t done, const std::string &what);
    // The live line's clock goes on while nothing finishes.
    void tick();

  private:
    // "3.2/s, 2 min left", from what has run since the start; empty before anything has.
    std::string rate() const;
    void draw();
    void clear();

    size_t total_;
    size_t done_ = 0;
    size_t before_ = 0;
    std::string what_;
    bool quiet_;
    bool terminal_;
    bool drawn_ = false;
    size_t next_percent_ = 10;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point last_{};
};

} // namespace ts

#endif
