// SPDX-License-Identifier: Apache-2.0
#include "sim/front/trace_folder.hpp"

#include "workloads/strace_parse.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <queue>
#include <unistd.h>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// "NAME.123" and "NAME.123.zst": NAME and 123.
bool split_name(std::string name, std::string *prefix, uint32_t *thread)
{
    for (const char *end : {".zst", ".gz", ".xz", ".bz2"})
        if (name.size() > std::strlen(end) &&
            name.compare(name.size() - std::strlen(end), std::string::npos, end) == 0)
            name.resize(name.size() - std::strlen(end));
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos || dot + 1 == name.size() || name.size() - dot > 10)
        return false;
    for (size_t i = dot + 1; i < name.size(); i++)
        if (std::isdigit(static_cast<unsigned char>(name[i])) == 0)
            return false;
    *prefix = name.substr(0, dot);
    *thread = static_cast<uint32_t>(std::stoul(name.substr(dot + 1)));
    return *thread > 0;
}

constexpr uint64_t day_ns = 86400ull * 1000000000;

// One file, line by line.
class ThreadFile
{
  public:
    ThreadFile(uint32_t thread, const std::string &path)
        : thread_(std::to_string(thread) + " "), reader_(trace_open(path))
    {
    }

    // Goes to the next line; false at the end.
    bool next()
    {
        size_t end = buffer_.find('\n', at_);
        while (end == std::string::npos && fill())
            end = buffer_.find('\n', at_);
        if (at_ == buffer_.size())
            return false;
        whole_ = end != std::string::npos;
        end = whole_ ? end : buffer_.size();
        line_.assign(buffer_, at_, end - at_);
        at_ = end + (whole_ ? 1 : 0);
        read_time();
        return true;
    }

    uint64_t time() const
    {
        return time_;
    }
    // Behind the thread's number. A last line that is cut off stays so only if it is the last.
    void append_to(std::string *text) const
    {
        *text += thread_ + line_ + '\n';
    }

  private:
    bool fill()
    {
        char piece[8192];
        const size_t n = reader_->read(piece, sizeof piece);
        buffer_.erase(0, at_);
        at_ = 0;
        buffer_.append(piece, n);
        return n > 0;
    }

    void read_time()
    {
        ts_strace_record record;
        static_cast<void>(ts_strace_parse(line_.data(), line_.size(), &record));
        uint64_t time = record.time_ns;
        if (record.time_kind == TS_STRACE_TIME_NONE)
            return;
        if (record.time_kind == TS_STRACE_TIME_RELATIVE) // since the thread's own line before
            time += time_;
        if (record.time_kind == TS_STRACE_TIME_DAY) {
            time += midnights_;
            if (time_ > time + day_ns / 2) {
                midnights_ += day_ns;
                time += day_ns;
            }
        }
        time_ = std::max(time_, time);
    }

    std::string thread_;
    std::unique_ptr<TraceReader> reader_;
    std::string buffer_, line_;
    size_t at_ = 0;
    bool whole_ = true;
    uint64_t time_ = 0, midnights_ = 0;
};

class FolderReader : public TraceReader
{
  public:
    explicit FolderReader(const std::string &path) : TraceReader(path)
    {
        for (const auto &file : trace_folder(path, Place{path, 0, 0})) {
            files_.push_back(std::make_unique<ThreadFile>(file.first, file.second));
            queue(files_.size() - 1);
        }
    }

    size_t read(char *buffer, size_t size) override
    {
        while (text_.size() - at_ < size && !heap_.empty()) {
            if (at_ > 65536) {
                text_.erase(0, at_);
                at_ = 0;
            }
            const size_t file = heap_.top().second;
            heap_.pop();
            files_[file]->append_to(&text_);
            queue(file);
        }
        const size_t n = std::min(size, text_.size() - at_);
        std::memcpy(buffer, text_.data() + at_, n);
        at_ += n;
        return n;
    }

  private:
    using Entry = std::pair<uint64_t, size_t>; // time and file

    void queue(size_t file)
    {
        if (files_[file]->next())
            heap_.emplace(files_[file]->time(), file);
        else
            files_[file].reset();
    }

    std::vector<std::unique_ptr<ThreadFile>> files_;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
    std::string text_;
    size_t at_ = 0;
};

} // namespace

std::vector<std::pair<uint32_t, std::string>> trace_folder(const std::string &path,
                                                           const Place &named_at)
{
    std::vector<std::pair<uint32_t, std::string>> files;
    std::string recording;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(path, error)) {
        std::string prefix;
        uint32_t thread = 0;
        if (!entry.is_regular_file() ||
            !split_name(entry.path().filename().string(), &prefix, &thread))
            continue;
        if (!files.empty() && prefix != recording)
            user_error(named_at,
                       path + " holds files of several recordings: " + std::min(prefix, recording) +
                           ".* and " + std::max(prefix, recording) + ".*");
        recording = prefix;
        files.emplace_back(thread, entry.path().string());
    }
    if (error)
        user_error(named_at, path + " cannot be read");
    if (files.empty())
        user_error(named_at, path + " holds no files of strace -ff -o NAME (NAME.NUMBER)");
    std::sort(files.begin(), files.end());
    return files;
}

std::unique_ptr<TraceReader> trace_open_folder(const std::string &path)
{
    return std::make_unique<FolderReader>(path);
}

SpooledInput::SpooledInput()
{
    const char *folder = std::getenv("TMPDIR");
    path_ = std::string(folder && *folder ? folder : "/tmp") + "/tlbstorm-XXXXXX";
    const int descriptor = mkstemp(path_.data());
    if (descriptor < 0)
        system_error("cannot make a copy of standard input", path_);
    char buffer[65536];
    bool good = true;
    for (size_t n; good && (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;)
        for (size_t at = 0; good && at < n;) {
            const ssize_t written = write(descriptor, buffer + at, n - at);
            good = written > 0;
            at += good ? static_cast<size_t>(written) : 0;
        }
    close(descriptor);
    if (!good) {
        const int reason = errno;
        fs::remove(path_);
        errno = reason;
        system_error("cannot write", path_);
    }
}

SpooledInput::~SpooledInput()
{
    std::error_code ignored;
    fs::remove(path_, ignored);
}

} // namespace ts
