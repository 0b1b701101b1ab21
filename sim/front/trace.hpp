// SPDX-License-Identifier: Apache-2.0
// Recordings as byte sources: files, plain or compressed with zstd, gzip, xz or bzip2, told apart
// by their first bytes; folders of `strace -ff`, put together; and standard input.
#ifndef TS_SIM_FRONT_TRACE_HPP
#define TS_SIM_FRONT_TRACE_HPP

#include "sim/front/error.hpp"
#include "workloads/workload.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ts
{

// One pass over a trace. The object must outlive the source it gives.
class TraceReader
{
  public:
    virtual ~TraceReader() = default;
    // Bytes read, 0 at the end; throws.
    virtual size_t read(char *buffer, size_t size) = 0;
    ts_byte_source source();

  protected:
    explicit TraceReader(std::string name) : name_(std::move(name))
    {
    }
    std::string name_;

  private:
    static int64_t read_c(void *user, char *buffer, size_t size, ts_error *err);
};

// A trace that has been read to its end once, so that a damaged file is known before anything is
// run. What fits is kept decompressed: every guest of every run reads it again.
class Trace
{
  public:
    // A damaged or unreadable file is a user error at named_at.
    Trace(std::string path, const Place &named_at);

    std::unique_ptr<TraceReader> open() const;
    const std::string &path() const
    {
        return path_;
    }
    uint64_t file_bytes() const
    {
        return file_bytes_;
    }
    uint32_t crc32() const // of the file as it lies on the disk
    {
        return crc32_;
    }

  private:
    std::string path_;
    uint64_t file_bytes_ = 0;
    uint32_t crc32_ = 0;
    std::shared_ptr<const std::string> cached_; // empty: too large
};

// Opens a file without the cache: memory does not grow with its length. A truncated one is found
// before the first byte where its format tells.
std::unique_ptr<TraceReader> trace_open(const std::string &path);
// The same of what a user names: a file, a folder of `strace -ff -o NAME` (files NAME.NUMBER), or
// "-" for standard input.
std::unique_ptr<TraceReader> trace_open_any(const std::string &path);
// The files of such a folder, by their threads' numbers; a user error at named_at if there are none
// or if they are of several recordings.
std::vector<std::pair<uint32_t, std::string>> trace_folder(const std::string &path,
                                                           const Place &named_at);
// A copy of standard input in a file of its own, which is gone with the object: for what is read
// more than once.
class SpooledInput
{
  public:
    SpooledInput();
    ~SpooledInput();
    SpooledInput(const SpooledInput &) = delete;
    SpooledInput &operator=(const SpooledInput &) = delete;
    const std::string &path() const
    {
        return path_;
    }

  private:
    std::string path_;
};

} // namespace ts

#endif
