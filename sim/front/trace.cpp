// SPDX-License-Identifier: Apache-2.0
#include "sim/front/trace.hpp"

#include "sim/front/trace_folder.hpp"

#include <boost/crc.hpp>
#include <boost/iostreams/device/file.hpp>
#include <boost/iostreams/filter/bzip2.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/lzma.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace ts
{
namespace
{

namespace io = boost::iostreams;

// What a run keeps of a recording, so that it is decompressed once: small against a machine.
constexpr size_t cache_bytes_max = 16u << 20;
constexpr uint32_t zstd_magic = 0xfd2fb528;
constexpr uint32_t zstd_skippable = 0x184d2a50; // to ...5f

enum class Format { Plain, Gzip, Zstd, Xz, Bzip2 };
constexpr const char *format_names[] = {"text", "gzip", "zstd", "xz", "bzip2"};

uint32_t little(const unsigned char *bytes, size_t n)
{
    uint32_t value = 0;
    for (size_t i = 0; i < n; i++)
        value |= static_cast<uint32_t>(bytes[i]) << (8 * i);
    return value;
}

// A block of bzip2 begins with the digits of pi, and the end of a stream with those of its root.
constexpr char bzip2_block[] = "\x31\x41\x59\x26\x53\x59";
constexpr char bzip2_end[] = "\x17\x72\x45\x38\x50\x90";

constexpr size_t magic_bytes = 10;

Format format_of_bytes(const unsigned char *head)
{
    if (little(head, 4) == zstd_magic || (little(head, 4) & 0xfffffff0u) == zstd_skippable)
        return Format::Zstd;
    if (std::memcmp(head,
                    "\xfd"
                    "7zXZ\0",
                    6) == 0)
        return Format::Xz;
    if (std::memcmp(head, "BZh", 3) == 0 &&
        (std::memcmp(head + 4, bzip2_block, 6) == 0 || std::memcmp(head + 4, bzip2_end, 6) == 0))
        return Format::Bzip2;
    return head[0] == 0x1f && head[1] == 0x8b ? Format::Gzip : Format::Plain;
}

Format format_of(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    unsigned char head[magic_bytes] = {};
    if (!file)
        user_error(Place{path, 0, 0}, "the trace cannot be read");
    file.read(reinterpret_cast<char *>(head), sizeof head);
    return format_of_bytes(head);
}

using Chain = io::filtering_streambuf<io::input>;

void push_decompressor(Chain *chain, Format format)
{
    if (format == Format::Zstd)
        chain->push(io::zstd_decompressor());
    else if (format == Format::Gzip)
        chain->push(io::gzip_decompressor());
    else if (format == Format::Xz)
        chain->push(io::lzma_decompressor());
    else if (format == Format::Bzip2)
        chain->push(io::bzip2_decompressor());
}

size_t read_chain(Chain *chain, const std::string &name, Format format, char *buffer, size_t size)
{
    try {
        const std::streamsize n = io::read(*chain, buffer, static_cast<std::streamsize>(size));
        return n > 0 ? static_cast<size_t>(n) : 0;
    } catch (const std::exception &) { // says "iostream error", whatever it is
        user_error(Place{name, 0, 0},
                   std::string("the trace cannot be decompressed: damaged or truncated ") +
                       format_names[static_cast<size_t>(format)]);
    }
}

std::string tail_of(const std::string &path, uint64_t most)
{
    std::ifstream file(path, std::ios::binary);
    const uint64_t size = std::filesystem::file_size(path);
    const uint64_t n = std::min(size, most);
    std::string tail(n, '\0');
    file.seekg(static_cast<std::streamoff>(size - n));
    file.read(tail.data(), static_cast<std::streamsize>(n));
    return tail;
}

// Whether the file ends as an xz file does: a footer (2.1.2 of its format), then zeros.
bool xz_complete(const std::string &path)
{
    std::string tail = tail_of(path, 4096);
    tail.resize(tail.find_last_not_of('\0') + 1);
    return tail.size() > 1 && tail.compare(tail.size() - 2, 2, "YZ") == 0;
}

// Whether the last bits of the file are the end of a bzip2 stream: its magic and a checksum, 80
// bits that begin anywhere in a byte.
bool bzip2_complete(const std::string &path)
{
    const std::string tail = tail_of(path, 11);
    if (tail.size() < 10)
        return false;
    for (unsigned pad = 0; pad < 8; pad++) {
        std::string magic(6, '\0');
        for (size_t i = 0; i < 48; i++) {
            const size_t bit = tail.size() * 8 - 80 - pad + i;
            if (tail.size() * 8 < 80 + pad)
                break;
            const bool set = static_cast<unsigned char>(tail[bit / 8]) >> (7 - bit % 8) & 1;
            magic[i / 8] = static_cast<char>(magic[i / 8] | (set ? 0x80 >> (i % 8) : 0));
        }
        if (magic == bzip2_end)
            return true;
    }
    return false;
}

// Walks the frames and blocks of a zstd file (RFC 8878, 3.1) without decompressing them. Boost's
// filter takes the end of the file for the end of the data, so a truncated file would pass.
class ZstdWalk
{
  public:
    explicit ZstdWalk(const std::string &path)
        : file_(path, std::ios::binary), size_(std::filesystem::file_size(path))
    {
    }

    bool complete()
    {
        while (at_ < size_)
            if (!frame())
                return false;
        return true;
    }

  private:
    bool take(unsigned char *bytes, size_t n)
    {
        if (n > size_ - at_)
            return false;
        file_.seekg(static_cast<std::streamoff>(at_));
        file_.read(reinterpret_cast<char *>(bytes), static_cast<std::streamsize>(n));
        at_ += n;
        return static_cast<bool>(file_);
    }

    bool skip(uint64_t n)
    {
        if (n > size_ - at_)
            return false;
        at_ += n;
        return true;
    }

    bool frame()
    {
        unsigned char head[4], descriptor;
        if (!take(head, 4))
            return false;
        if ((little(head, 4) & 0xfffffff0u) == zstd_skippable)
            return take(head, 4) && skip(little(head, 4));
        if (little(head, 4) != zstd_magic || !take(&descriptor, 1))
            return false;
        static const uint64_t dictionary_bytes[] = {0, 1, 2, 4};
        static const uint64_t size_bytes[] = {0, 2, 4, 8};
        const bool single = (descriptor & 0x20) != 0;
        const bool checksum = (descriptor & 0x04) != 0;
        uint64_t header = dictionary_bytes[descriptor & 3] + size_bytes[descriptor >> 6];
        header += single ? (descriptor >> 6 == 0 ? 1 : 0) : 1;
        return skip(header) && blocks() && (!checksum || skip(4));
    }

    bool blocks()
    {
        unsigned char head[3];
        do {
            if (!take(head, 3))
                return false;
            const uint32_t block = little(head, 3);
            const uint32_t type = (block >> 1) & 3;
            if (type == 3 || !skip(type == 1 ? 1 : block >> 3)) // 1: one byte, repeated
                return false;
        } while ((head[0] & 1) == 0);
        return true;
    }

    std::ifstream file_;
    uint64_t size_;
    uint64_t at_ = 0;
};

class FileReader : public TraceReader
{
  public:
    explicit FileReader(const std::string &path) : TraceReader(path), format_(format_of(path))
    {
        push_decompressor(&chain_, format_);
        chain_.push(io::file_source(path, std::ios::binary));
    }

    size_t read(char *buffer, size_t size) override
    {
        return read_chain(&chain_, name_, format_, buffer, size);
    }

  private:
    Format format_;
    Chain chain_;
};

// Standard input behind the bytes that told its format.
class InputDevice
{
  public:
    using char_type = char;
    using category = io::source_tag;

    explicit InputDevice(std::string head) : head_(std::move(head))
    {
    }
    std::streamsize read(char *buffer, std::streamsize size)
    {
        if (at_ < head_.size()) {
            const size_t n = std::min(static_cast<size_t>(size), head_.size() - at_);
            std::memcpy(buffer, head_.data() + at_, n);
            at_ += n;
            return static_cast<std::streamsize>(n);
        }
        const size_t n = std::fread(buffer, 1, static_cast<size_t>(size), stdin);
        return n > 0 ? static_cast<std::streamsize>(n) : -1;
    }

  private:
    std::string head_;
    size_t at_ = 0;
};

class InputReader : public TraceReader
{
  public:
    InputReader() : TraceReader("standard input")
    {
        std::string head(magic_bytes, '\0');
        head.resize(std::fread(head.data(), 1, head.size(), stdin));
        std::string padded = head;
        padded.resize(magic_bytes);
        format_ = format_of_bytes(reinterpret_cast<const unsigned char *>(padded.data()));
        push_decompressor(&chain_, format_);
        chain_.push(InputDevice(head));
    }

    size_t read(char *buffer, size_t size) override
    {
        return read_chain(&chain_, name_, format_, buffer, size);
    }

  private:
    Format format_;
    Chain chain_;
};

class MemoryReader : public TraceReader
{
  public:
    MemoryReader(const std::string &path, std::shared_ptr<const std::string> bytes)
        : TraceReader(path), bytes_(std::move(bytes))
    {
    }

    size_t read(char *buffer, size_t size) override
    {
        const size_t n = std::min(size, bytes_->size() - at_);
        std::memcpy(buffer, bytes_->data() + at_, n);
        at_ += n;
        return n;
    }

  private:
    std::shared_ptr<const std::string> bytes_;
    size_t at_ = 0;
};

void add_file(boost::crc_32_type *crc, const std::string &path, uint64_t *size)
{
    std::ifstream file(path, std::ios::binary);
    char buffer[65536];
    while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
        crc->process_bytes(buffer, static_cast<size_t>(file.gcount()));
        *size += static_cast<uint64_t>(file.gcount());
    }
}

} // namespace

int64_t TraceReader::read_c(void *user, char *buffer, size_t size, ts_error *err)
{
    try {
        return static_cast<int64_t>(static_cast<TraceReader *>(user)->read(buffer, size));
    } catch (const Error &error) {
        // The core adds the place: it knows the source's name.
        ts_error_set(err, error.status(), "%s", error.what());
    } catch (const std::exception &error) {
        ts_error_set(err, TS_ERR_ENVIRONMENT, "%s", error.what());
    }
    return -1;
}

ts_byte_source TraceReader::source()
{
    ts_byte_source source;
    source.read = read_c;
    source.close = nullptr;
    source.user = this;
    source.name = name_.c_str();
    return source;
}

std::unique_ptr<TraceReader> trace_open(const std::string &path)
{
    const Format format = format_of(path);
    if (format == Format::Zstd && !ZstdWalk(path).complete())
        user_error(Place{path, 0, 0}, "the trace is truncated or damaged (zstd)");
    // Boost's filters take the end of the file for the end of the data here too.
    if (format == Format::Xz && !xz_complete(path))
        user_error(Place{path, 0, 0}, "the trace is truncated or damaged (xz)");
    if (format == Format::Bzip2 && !bzip2_complete(path))
        user_error(Place{path, 0, 0}, "the trace is truncated or damaged (bzip2)");
    return std::make_unique<FileReader>(path);
}

std::unique_ptr<TraceReader> trace_open_any(const std::string &path)
{
    if (path == "-")
        return std::make_unique<InputReader>();
    if (std::filesystem::is_directory(path))
        return trace_open_folder(path);
    if (!std::filesystem::exists(path))
        user_error(Place(), path + " is no plain file and no folder");
    return trace_open(path);
}

Trace::Trace(std::string path, const Place &named_at) : path_(std::move(path))
{
    boost::crc_32_type crc;
    if (std::filesystem::is_directory(path_))
        for (const auto &file : trace_folder(path_, named_at))
            add_file(&crc, file.second, &file_bytes_);
    else if (std::filesystem::is_regular_file(path_))
        add_file(&crc, path_, &file_bytes_);
    else
        user_error(named_at, path_ + " is no plain file and no folder");
    crc32_ = crc.checksum();
    if (file_bytes_ == 0)
        user_error(named_at, path_ + " is empty");
    std::unique_ptr<TraceReader> reader = trace_open_any(path_);
    std::string bytes;
    bool fits = true;
    char buffer[65536];
    while (const size_t n = reader->read(buffer, sizeof buffer)) {
        fits = fits && bytes.size() + n <= cache_bytes_max;
        if (fits)
            bytes.append(buffer, n);
        else
            std::string().swap(bytes);
    }
    if (fits)
        cached_ = std::make_shared<const std::string>(std::move(bytes));
}

std::unique_ptr<TraceReader> Trace::open() const
{
    if (cached_)
        return std::make_unique<MemoryReader>(path_, cached_);
    return trace_open_any(path_);
}

} // namespace ts
