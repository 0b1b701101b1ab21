/* SPDX-License-Identifier: Apache-2.0 */
/* A trace in memory, read as if it came from a file. */
#ifndef BENCH_TEXT_SOURCE_HPP
#define BENCH_TEXT_SOURCE_HPP

#include "workloads/workload.h"

#include <algorithm>
#include <cstring>
#include <string>

class TextSource
{
  public:
    TextSource(const std::string &text, const char *name)
        : text_(text), source{read, nullptr, this, name}
    {
    }
    TextSource(const TextSource &) = delete;
    TextSource &operator=(const TextSource &) = delete;

  private:
    static int64_t read(void *user, char *buf, size_t size, ts_error *)
    {
        auto *self = static_cast<TextSource *>(user);
        size_t n = std::min(size, self->text_.size() - self->at_);
        std::memcpy(buf, self->text_.data() + self->at_, n);
        self->at_ += n;
        return static_cast<int64_t>(n);
    }
    const std::string &text_;
    size_t at_ = 0;

  public:
    ts_byte_source source;
};

#endif
