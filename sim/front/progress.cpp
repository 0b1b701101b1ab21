// SPDX-License-Identifier: Apache-2.0
#include "sim/front/progress.hpp"

#include <cstdio>
#include <unistd.h>

namespace ts
{

using std::chrono::duration_cast;
using std::chrono::seconds;
using std::chrono::steady_clock;

Progress::Progress(size_t total, bool quiet)
    : total_(total), quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1)
{
}

Progress::~Progress()
{
    clear();
}

void Progress::begin(size_t done)
{
    done_ = before_ = done;
    if (!quiet_ && done > 0)
        std::fprintf(stderr, "%zu of %zu runs are there already\n", done, total_);
    if (total_ > 0)
        next_percent_ = done * 100 / total_ / 10 * 10 + 10;
}

void Progress::update(size_t done, const std::string &what)
{
    done_ = done;
    what_ = what;
    if (quiet_)
        return;
    if (terminal_) {
        draw();
        return;
    }
    const size_t percent = total_ > 0 ? done * 100 / total_ : 100;
    if (percent < next_percent_ || done == 0)
        return;
    const auto elapsed = duration_cast<seconds>(steady_clock::now() - begin_).count();
    std::fprintf(stderr, "%zu of %zu runs, %zu %%, %lld s%s\n", done, total_, percent,
                 static_cast<long long>(elapsed), rate().c_str());
    next_percent_ = percent / 10 * 10 + 10;
}

void Progress::tick()
{
    if (!quiet_ && terminal_ && steady_clock::now() - last_ > seconds(1))
        draw();
}

std::string Progress::rate() const
{
    const std::chrono::duration<double> elapsed = steady_clock::now() - begin_;
    if (done_ <= before_ || elapsed.count() <= 0)
        return "";
    const double per_second = static_cast<double>(done_ - before_) / elapsed.count();
    const auto left = static_cast<long long>(static_cast<double>(total_ - done_) / per_second);
    char text[100];
    std::snprintf(text, sizeof text, per_second >= 1 ? ", %.1f/s" : ", %.3f/s", per_second);
    std::string all = text;
    if (total_ > done_) {
        if (left >= 3600)
            std::snprintf(text, sizeof text, ", %lld h %lld min left", left / 3600, left / 60 % 60);
        else if (left >= 60)
            std::snprintf(text, sizeof text, ", %lld min %lld s left", left / 60, left % 60);
        else
            std::snprintf(text, sizeof text, ", %lld s left", left);
        all += text;
    }
    return all;
}

void Progress::draw()
{
    last_ = steady_clock::now();
    const auto elapsed = duration_cast<seconds>(last_ - begin_).count();
    std::fprintf(stderr, "\r\033[K%zu of %zu runs, %lld s%s  %.100s", done_, total_,
                 static_cast<long long>(elapsed), rate().c_str(), what_.c_str());
    std::fflush(stderr);
    drawn_ = true;
}

void Progress::clear()
{
    if (drawn_) {
        std::fputs("\r\033[K", stderr);
        std::fflush(stderr);
    }
    drawn_ = false;
}

} // namespace ts
