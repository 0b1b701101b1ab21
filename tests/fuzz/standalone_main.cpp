// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer, so that every compiler and every ctest run can: first the
// corpus as it is, then random changes of it. Takes libFuzzer's -runs, -seed, -max_len and
// -max_total_time. An input that breaks the target stays behind in the file last-input.
#include "sim/rng.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace
{

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
const fs::path last_input = "last-input";

// Written before the target runs: a sanitizer ends the process without asking.
void run_target(const Bytes &input)
{
    std::ofstream(last_input, std::ios::binary)
        .write(reinterpret_cast<const char *>(input.data()),
               static_cast<std::streamsize>(input.size()));
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

std::vector<Bytes> read_corpus(const std::vector<std::string> &places)
{
    std::vector<fs::path> paths;
    for (const std::string &place : places) {
        if (fs::is_directory(place)) {
            for (const auto &entry : fs::directory_iterator(place)) {
                if (entry.is_regular_file() && entry.path().filename() != last_input)
                    paths.push_back(entry.path());
            }
        } else {
            paths.push_back(place);
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Bytes> corpus;
    for (const fs::path &path : paths) {
        std::ifstream in(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return corpus;
}

size_t place_in(ts_rng &rng, const Bytes &bytes)
{
    return static_cast<size_t>(ts_rng_below(&rng, bytes.size() + 1));
}

// One of: flip a bit, write a byte, insert a byte, remove a span, repeat a span, take the tail of
// another input.
void mutate(ts_rng &rng, Bytes &bytes, const Bytes &other)
{
    const size_t at = place_in(rng, bytes);
    const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
    const auto byte = static_cast<uint8_t>(ts_rng_below(&rng, 256));
    const size_t span = static_cast<size_t>(ts_rng_below(&rng, 16));
    const auto end = begin + static_cast<ptrdiff_t>(std::min(span, bytes.size() - at));
    switch (ts_rng_below(&rng, 6)) {
    case 0:
        if (begin != bytes.end())
            *begin = static_cast<uint8_t>(*begin ^ (1u << (byte & 7u)));
        break;
    case 1:
        if (begin != bytes.end())
            *begin = byte;
        break;
    case 2:
        bytes.insert(begin, byte);
        break;
    case 3:
        bytes.erase(begin, end);
        break;
    case 4: {
        const Bytes copy(begin, end);
        bytes.insert(begin, copy.begin(), copy.end());
        break;
    }
    default: {
        const Bytes copy(other.begin() + static_cast<ptrdiff_t>(place_in(rng, other)), other.end());
        bytes.erase(begin, bytes.end());
        bytes.insert(bytes.end(), copy.begin(), copy.end());
    }
    }
}

} // namespace

int main(int argc, char **argv)
{
    std::map<std::string, uint64_t> option = {
        {"-runs", 1000}, {"-seed", 1}, {"-max_len", 4096}, {"-max_total_time", 60}};
    std::vector<std::string> places;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        const auto known = option.find(word.substr(0, equals));
        if (equals != std::string::npos && known != option.end())
            known->second = std::strtoull(word.c_str() + equals + 1, nullptr, 10);
        else if (word[0] == '-')
            std::fprintf(stderr, "ignored: %s\n", word.c_str());
        else
            places.push_back(word);
    }

    std::vector<Bytes> corpus = read_corpus(places);
    for (const Bytes &input : corpus)
        run_target(input);
    corpus.emplace_back();

    ts_rng rng;
    ts_rng_init(&rng, option["-seed"], "fuzz", 0);
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(option["-max_total_time"]);
    uint64_t run = 0;
    for (; run < option["-runs"] && std::chrono::steady_clock::now() < deadline; run++) {
        Bytes input = corpus[ts_rng_below(&rng, corpus.size())];
        for (uint64_t n = ts_rng_between(&rng, 1, 8); n > 0; n--)
            mutate(rng, input, corpus[ts_rng_below(&rng, corpus.size())]);
        input.resize(std::min<size_t>(input.size(), option["-max_len"]));
        run_target(input);
    }
    fs::remove(last_input);
    std::printf("%zu inputs of the corpus and %llu changed ones: no fault\n", corpus.size() - 1,
                static_cast<unsigned long long>(run));
    return 0;
}
