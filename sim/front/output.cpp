// SPDX-License-Identifier: Apache-2.0
#include "sim/front/output.hpp"

#include "sim/front/error.hpp"

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/file.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <unistd.h>

namespace ts
{

namespace io = boost::iostreams;

OutputFile::OutputFile(const std::string &path) : path_(path), file_(std::fopen(path.c_str(), "wb"))
{
    if (!file_)
        system_error("cannot write", path);
}

OutputFile::~OutputFile()
{
    if (file_)
        std::fclose(file_);
}

void OutputFile::put(const char *text, size_t size)
{
    if (error_ == 0 && std::fwrite(text, 1, size, file_) != size)
        error_ = errno;
}

void OutputFile::close()
{
    if (std::fclose(file_) != 0 && error_ == 0)
        error_ = errno;
    file_ = nullptr;
    errno = error_;
    if (error_ != 0)
        system_error("cannot write", path_);
}

void write_file(const std::string &path, const std::string &text)
{
    OutputFile file(path);
    file.put(text);
    file.close();
}

void replace_file(const std::string &path, const std::string &text)
{
    const std::string work = path + "." + std::to_string(getpid()) + ".tmp";
    write_file(work, text);
    if (std::rename(work.c_str(), path.c_str()) != 0)
        system_error("cannot write", path);
}

void compress_file(const std::string &path, Compression compression)
{
    const std::string target = path + (compression == Compression::Zstd ? ".zst" : ".gz");
    try {
        io::filtering_ostream out;
        if (compression == Compression::Zstd)
            out.push(io::zstd_compressor(io::zstd_params(9)));
        else
            out.push(io::gzip_compressor(io::gzip_params(6))); // no time stamp: mtime is 0
        out.push(io::file_sink(target, std::ios::binary));
        io::file_source in(path, std::ios::binary);
        out.exceptions(std::ios::badbit | std::ios::failbit);
        io::copy(in, out);
    } catch (const std::exception &error) {
        environment_error("cannot write " + target + ": " + error.what());
    }
    std::filesystem::remove(path);
}

std::string number(double value)
{
    char text[64];
    const std::to_chars_result result =
        std::to_chars(text, text + sizeof text, value, std::chars_format::general, 10);
    return std::string(text, result.ptr);
}

char *append_number(char *to, uint64_t value)
{
    return std::to_chars(to, to + 20, value).ptr;
}

std::string decimal(uint64_t value, unsigned fraction_digits)
{
    std::string text = std::to_string(value);
    if (fraction_digits == 0)
        return text;
    if (text.size() <= fraction_digits)
        text.insert(0, fraction_digits + 1 - text.size(), '0');
    text.insert(text.size() - fraction_digits, 1, '.');
    return text;
}

std::string fixed(double value, int digits)
{
    char text[400]; // of the greatest double
    const std::to_chars_result result =
        std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits);
    return std::string(text, result.ptr);
}

namespace
{

// Four significant digits, without an exponent.
std::string four_digits(double value)
{
    return fixed(value, value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3);
}

} // namespace

std::string short_time(double seconds)
{
    if (seconds == 0)
        return "0";
    if (seconds >= 1)
        return four_digits(seconds) + " s";
    if (seconds >= 1e-3)
        return four_digits(seconds * 1e3) + " ms";
    if (seconds >= 1e-6)
        return four_digits(seconds * 1e6) + " us";
    return four_digits(seconds * 1e9) + " ns";
}

std::string short_count(double count)
{
    if (count >= 1e9)
        return four_digits(count / 1e9) + "G";
    if (count >= 1e6)
        return four_digits(count / 1e6) + "M";
    if (count >= 1e5)
        return four_digits(count / 1e3) + "k";
    return fixed(count, count == std::floor(count) ? 0 : 1);
}

std::string csv_field(const std::string &text)
{
    if (text.find_first_of(",\"\n\r") == std::string::npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

} // namespace ts
