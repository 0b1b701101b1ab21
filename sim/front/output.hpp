// SPDX-License-Identifier: Apache-2.0
// Writing files and numbers. Nothing here depends on the locale.
#ifndef TS_SIM_FRONT_OUTPUT_HPP
#define TS_SIM_FRONT_OUTPUT_HPP

#include "sim/base.h"

#include <cstdio>
#include <string>

namespace ts
{

// A file that is written once from front to back. An error is kept and thrown by close, so that
// put may be called from inside the simulation. put uses little stack: it may run on a fiber.
class OutputFile
{
  public:
    explicit OutputFile(const std::string &path);
    ~OutputFile();
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;

    void put(const char *text, size_t size);
    void put(const std::string &text)
    {
        put(text.data(), text.size());
    }
    void close();

  private:
    std::string path_;
    std::FILE *file_;
    int error_ = 0;
};

void write_file(const std::string &path, const std::string &text);
// The same in one step: under a name of this process until it is complete.
void replace_file(const std::string &path, const std::string &text);

enum class Compression { Zstd, Gzip };
// Replaces path by path + ".zst" or ".gz". The same input gives the same bytes.
void compress_file(const std::string &path, Compression compression);

// Up to 10 significant digits, shortest form; the same on every machine.
std::string number(double value);
// A count of picoseconds in another unit, exactly: "12.345678".
std::string decimal(uint64_t value, unsigned fraction_digits);
// With so many digits after the point.
std::string fixed(double value, int digits);
// For people: three or four digits and a unit.
std::string short_time(double seconds);
std::string short_count(double count);

// Appends a number to a row of characters; returns the new end. Room for 20 is needed.
char *append_number(char *to, uint64_t value);

// A field of a CSV file, quoted if it must be.
std::string csv_field(const std::string &text);

} // namespace ts

#endif
