/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TS_TESTS_FUZZ_BYTE_SOURCE_HPP
#define TS_TESTS_FUZZ_BYTE_SOURCE_HPP

#include "workloads/workload.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

/* A text as the file of a workload, read in pieces of at most so many bytes. */
class FuzzText
{
  public:
    FuzzText(const uint8_t *data, size_t size, size_t piece)
        : data_(data), size_(size), piece_(piece)
    {
    }

    /* Valid as long as the text. */
    ts_byte_source source()
    {
        return {read, nullptr, this, "fuzz"};
    }

  private:
    static int64_t read(void *user, char *buf, size_t size, ts_error *)
    {
        auto *t = static_cast<FuzzText *>(user);
        size_t n = std::min({size, t->piece_, t->size_ - t->at_});
        if (n > 0)
            std::memcpy(buf, t->data_ + t->at_, n);
        t->at_ += n;
        return static_cast<int64_t>(n);
    }

    const uint8_t *data_;
    size_t size_;
    size_t piece_;
    size_t at_ = 0;
};

#endif
