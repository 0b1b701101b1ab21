// SPDX-License-Identifier: Apache-2.0
#include "sim/front/trace.hpp"
#include "tests/unit/front_support.hpp"

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/bzip2.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/lzma.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>

namespace
{

namespace io = boost::iostreams;

// Compresses badly enough to have several blocks.
std::string sample(size_t size)
{
    std::string text;
    uint64_t state = 1;
    while (text.size() < size) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text += std::to_string(state >> 20) + (state >> 63 ? "\n" : " ");
    }
    text.resize(size);
    return text;
}

template <typename Filter> std::string packed(const std::string &text, const Filter &filter)
{
    std::string out;
    io::filtering_ostream stream;
    stream.push(filter);
    stream.push(io::back_inserter(out));
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.reset();
    return out;
}

std::string all_of(ts::TraceReader &reader)
{
    std::string text;
    char buffer[1000];
    while (const size_t n = reader.read(buffer, sizeof buffer))
        text.append(buffer, n);
    return text;
}

class FrontTrace : public FrontTest
{
};

TEST_F(FrontTrace, EveryFormatGivesTheSameBytes)
{
    const std::string text = sample(700000);
    for (const std::string &file :
         {write("plain", text), write("zstd", packed(text, io::zstd_compressor())),
          write("gzip", packed(text, io::gzip_compressor())),
          write("xz", packed(text, io::lzma_compressor())),
          write("bzip2", packed(text, io::bzip2_compressor()))}) {
        const ts::Trace trace(file, ts::Place());
        EXPECT_EQ(all_of(*trace.open()), text) << file;
        EXPECT_EQ(all_of(*trace.open()), text) << file << ", second pass";
        EXPECT_EQ(all_of(*ts::trace_open(file)), text) << file << ", streamed";
    }
}

TEST_F(FrontTrace, FramesOneAfterTheOther)
{
    const std::string a = sample(1000), b = sample(2000);
    // A skippable frame of 5 bytes between the two.
    const std::string skippable("\x50\x2a\x4d\x18\x05\0\0\0hello", 13);
    const std::string file = write("two", packed(a, io::zstd_compressor()) + skippable +
                                              packed(b, io::zstd_compressor()));
    EXPECT_EQ(all_of(*ts::trace_open(file)), a + b);
    const std::string xz =
        write("two.xz", packed(a, io::lzma_compressor()) + packed(b, io::lzma_compressor()));
    EXPECT_EQ(all_of(*ts::trace_open(xz)), a + b);
    const std::string bzip2 =
        write("two.bz2", packed(a, io::bzip2_compressor()) + packed(b, io::bzip2_compressor()));
    EXPECT_EQ(all_of(*ts::trace_open(bzip2)), a + b);
}

// Their magic is text: it says nothing without what follows.
TEST_F(FrontTrace, TextThatBeginsLikeAnArchive)
{
    const std::string text = "BZh9 is what a bzip2 file begins with\n";
    EXPECT_EQ(all_of(*ts::trace_open(write("text", text))), text);
}

TEST_F(FrontTrace, TruncatedFilesAreRefusedAtEveryLength)
{
    const std::string text = sample(5000);
    const std::string zstd = packed(text, io::zstd_compressor());
    const std::string gzip = packed(text, io::gzip_compressor());
    const std::string xz = packed(text, io::lzma_compressor());
    const std::string bzip2 = packed(text, io::bzip2_compressor());
    for (const std::string &whole : {zstd, gzip, xz, bzip2}) {
        // From so many bytes on the format is known.
        for (size_t n = whole == xz      ? 6
                        : whole == bzip2 ? 10
                                         : 4;
             n < whole.size(); n += n < 40 || n + 40 > whole.size() ? 1 : 97) {
            const std::string file = write("cut", whole.substr(0, n));
            const std::string message = user_error_of([&] { ts::Trace(file, ts::Place()); });
            EXPECT_EQ(message.compare(0, file.size() + 2, file + ": "), 0) << message << n;
        }
    }
}

TEST_F(FrontTrace, DamageIsAnErrorOfTheSource)
{
    std::string zstd = packed(sample(50000), io::zstd_compressor());
    zstd[zstd.size() / 2] = static_cast<char>(zstd[zstd.size() / 2] ^ 0x55);
    const std::string file = write("damaged", zstd);
    try {
        const std::unique_ptr<ts::TraceReader> reader = ts::trace_open(file);
        const ts_byte_source source = reader->source();
        char buffer[4096];
        ts_error error;
        int64_t n;
        while ((n = source.read(source.user, buffer, sizeof buffer, &error)) > 0)
            continue;
        // A flipped bit may decompress to other text; it may not end the program.
        if (n < 0) {
            EXPECT_EQ(error.status, TS_ERR_USER);
        }
    } catch (const ts::Error &error) {
        EXPECT_EQ(error.status(), TS_ERR_USER);
    }
}

TEST_F(FrontTrace, WhatIsNoTraceFile)
{
    const ts::Place place{"exp.yaml", 3, 9};
    const std::string empty = write("empty", "");
    EXPECT_EQ(user_error_of([&] { ts::Trace(empty, place); }),
              "exp.yaml:3:9: " + empty + " is empty");
    EXPECT_EQ(user_error_of([&] { ts::Trace(folder_, place); }),
              "exp.yaml:3:9: " + folder_ + " holds no files of strace -ff -o NAME (NAME.NUMBER)");
}

} // namespace
