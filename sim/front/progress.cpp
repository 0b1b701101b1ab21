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
    std::fprintf(stderr, "%zu of %zu runs, %zu %%, %lld s\n", done, total_, percent,
                 static_cast<long long>(elapsed));
    next_percent_ = percent / 10 * 10 + 10;
}

void Progress::tick()
{
    if (!quiet_ && terminal_ && steady_clock::now() - last_ > seconds(1))
        draw();
}

void Progress::draw()
{
    last_ = steady_clock::now();
    const auto elapsed = duration_cast<seconds>(last_ - begin_).count();
    std::fprintf(stderr, "\r\033[K%zu of %zu runs, %lld s  %.100s", done_, total_,
                 static_cast<long long>(elapsed), what_.c_str());
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
