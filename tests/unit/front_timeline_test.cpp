// SPDX-License-Identifier: Apache-2.0
// Timelines: what is in the window, what the slices say, and the bytes of Perfetto's format, read
// back by protozero.
#include "sim/front/error.hpp"
#include "sim/front/timeline.hpp"

#include <gtest/gtest.h>
#include <protozero/pbf_reader.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace
{

// Writes down what it is told, a word each.
class Notes : public ts::TimelineWriter
{
  public:
    explicit Notes(std::string *text) : text_(text)
    {
    }
    void begin(ts::TimelineTrack track, ts_time when, const char *name,
               const ts::TimelineArguments &arguments) override
    {
        note("+", track, when, name, arguments);
    }
    void end(ts::TimelineTrack track, ts_time when, const ts::TimelineArguments &arguments) override
    {
        note("-", track, when, "", arguments);
    }
    void instant(ts::TimelineTrack track, ts_time when, const char *name,
                 const ts::TimelineArguments &arguments) override
    {
        note("!", track, when, name, arguments);
    }
    void flow(ts::TimelineTrack track, ts_time when, const char *name, uint64_t id,
              bool start) override
    {
        note(start ? ">" : "<", track, when, name, {{"id", id}});
    }
    void counter(uint32_t group, ts_time when, const char *name, uint64_t value) override
    {
        (void)name;
        note("=", {group, 0}, when, "", {{"n", value}});
    }
    void close(const std::vector<ts::TimelineTrack> &tracks) override
    {
        *text_ += "tracks " + std::to_string(tracks.size());
    }

  private:
    void note(const char *what, ts::TimelineTrack track, ts_time when, const char *name,
              const ts::TimelineArguments &arguments)
    {
        *text_ += what + std::to_string(track.first) + "/" + std::to_string(track.second) + "@" +
                  std::to_string(when) + name;
        for (const ts::TimelineArgument &argument : arguments)
            *text_ += std::string(",") + argument.name + "=" + std::to_string(argument.value);
        *text_ += " ";
    }

    std::string *text_;
};

class FrontTimeline : public ::testing::Test
{
  protected:
    void open(const ts::TimelineWindow &window = {})
    {
        std::vector<std::unique_ptr<ts::TimelineWriter>> writers;
        writers.push_back(std::make_unique<Notes>(&text));
        file = std::make_unique<ts::TimelineFile>(std::move(writers), window);
    }

    void emit(ts_time when, ts_timeline_kind kind, uint32_t group, uint32_t track,
              const char *name = nullptr, uint64_t id = 0)
    {
        const ts_timeline timeline{ts::TimelineFile::record, file.get()};
        ts_timeline_emit(&timeline, when, kind, group, track, name, id);
    }

    void shootdown(ts_time begin, ts_time end, uint64_t number)
    {
        emit(begin, TS_TL_BEGIN, 1, 2, "shootdown");
        ts_shootdown_record record{};
        record.number = number;
        record.initiator = 2;
        record.targets = 3;
        record.last_target = 7;
        record.start = 0x10000;
        record.end = 0x14000;
        file->shootdown(record);
        emit(end, TS_TL_END, 1, 2, "shootdown", number);
    }

    std::string text;
    std::unique_ptr<ts::TimelineFile> file;
};

TEST_F(FrontTimeline, AShootdownSaysWhatItWas)
{
    open();
    shootdown(10, 20, 5);
    emit(30, TS_TL_BEGIN, 1, 2, "inner");
    emit(31, TS_TL_END, 1, 2, "inner"); // the arguments were the other's
    file->close(40);
    EXPECT_EQ(text, "+1/2@10shootdown =1/0@10,n=1 "
                    "-1/2@20,number=5,targets=3,pages=4,last_target=7 =1/0@20,n=0 "
                    "+1/2@30inner -1/2@31 tracks 1");
}

// What is open when the window opens begins with it, outermost first, and ends with it.
TEST_F(FrontTimeline, TheWindowCutsSlices)
{
    open(ts::timeline_window_parse("100ns..200ns"));
    emit(10000, TS_TL_BEGIN, 1, 0, "thread");
    emit(20000, TS_TL_BEGIN, 1, 0, "exit");
    emit(30000, TS_TL_BEGIN, 1, 0, "gone");
    emit(40000, TS_TL_END, 1, 0);
    emit(99999, TS_TL_INSTANT, 1, 0, "before");
    emit(100000, TS_TL_INSTANT, 1, 0, "first");
    emit(200000, TS_TL_INSTANT, 1, 0, "last");
    emit(200001, TS_TL_INSTANT, 1, 0, "after");
    emit(300000, TS_TL_END, 1, 0);
    file->close(400000);
    EXPECT_EQ(text, "+1/0@100000thread +1/0@100000exit !1/0@100000first !1/0@200000last "
                    "-1/0@200000 -1/0@200000 tracks 1");
}

TEST_F(FrontTimeline, ARunThatEndsBeforeTheWindowOpensLeavesNothingOpen)
{
    open(ts::timeline_window_parse("100ns.."));
    emit(10, TS_TL_BEGIN, 0, 0, "vcpu");
    file->close(50);
    EXPECT_EQ(text, "+0/0@50vcpu =0/0@50,n=1 -0/0@50 tracks 1");
}

TEST_F(FrontTimeline, TheSizeIsBounded)
{
    ts::TimelineWindow window;
    window.records_max = 3;
    open(window);
    emit(1, TS_TL_BEGIN, 1, 0, "a");
    emit(2, TS_TL_INSTANT, 1, 0, "b");
    emit(3, TS_TL_INSTANT, 1, 0, "c");
    emit(4, TS_TL_INSTANT, 1, 0, "d");
    emit(5, TS_TL_END, 1, 0);
    file->close(9);
    EXPECT_EQ(text, "+1/0@1a !1/0@2b !1/0@3c !1/0@4the timeline ends: too many records -1/0@4 "
                    "tracks 1");
}

// pCPUs that run a vCPU: the outer slices of the host's tracks.
TEST_F(FrontTimeline, RunningVcpusAreCounted)
{
    open();
    emit(1, TS_TL_BEGIN, 0, 0, "vm0/vcpu0");
    emit(2, TS_TL_BEGIN, 0, 1, "vm0/vcpu1");
    emit(3, TS_TL_BEGIN, 0, 1, "inner");
    emit(4, TS_TL_END, 0, 1);
    emit(5, TS_TL_END, 0, 0);
    file->close(9);
    EXPECT_EQ(text, "+0/0@1vm0/vcpu0 =0/0@1,n=1 +0/1@2vm0/vcpu1 =0/0@2,n=2 +0/1@3inner -0/1@4 "
                    "-0/0@5 =0/0@5,n=1 -0/1@9 tracks 2");
}

TEST_F(FrontTimeline, WindowsAreRead)
{
    EXPECT_EQ(ts::timeline_window_parse("2ms..2500us").from, 2 * TS_MS);
    EXPECT_EQ(ts::timeline_window_parse("2ms..2500us").to, 2500 * TS_US);
    EXPECT_EQ(ts::timeline_window_parse("..1us").from, 0u);
    EXPECT_EQ(ts::timeline_window_parse("..").to, TS_TIME_NEVER);
    for (const char *wrong : {"2ms", "3ms..2ms", "2ms..2ms", "x..2ms", "1..2", ""}) {
        try {
            ts::timeline_window_parse(wrong);
            ADD_FAILURE() << wrong;
        } catch (const ts::Error &error) {
            EXPECT_EQ(error.exit_code(), 2) << wrong;
            EXPECT_EQ(std::string(error.what()).find("--timeline-window"), 0u) << error.what();
        }
    }
}

// As a reader of the format sees it: names by their numbers, tracks by their descriptors.
struct PerfettoFile {
    std::map<uint64_t, std::string> tracks, names, arguments;
    std::map<uint64_t, uint64_t> parents;
    std::string events;

    explicit PerfettoFile(const std::string &bytes)
    {
        protozero::pbf_reader trace(bytes);
        while (trace.next(1))
            packet(trace.get_message());
    }

    void packet(protozero::pbf_reader in)
    {
        uint64_t when = 0;
        std::string event_bytes;
        while (in.next())
            switch (in.tag()) {
            case 8:
                when = in.get_uint64();
                break;
            case 10:
                EXPECT_EQ(in.get_uint32(), 1u);
                break;
            case 11:
                event_bytes = in.get_string();
                break;
            case 12:
                interned(in.get_message());
                break;
            case 60:
                descriptor(in.get_message());
                break;
            default:
                in.skip();
            }
        if (!event_bytes.empty())
            event(when, protozero::pbf_reader(event_bytes));
    }

    void interned(protozero::pbf_reader in)
    {
        while (in.next()) {
            auto &into = in.tag() == 2 ? names : arguments;
            protozero::pbf_reader entry = in.get_message();
            uint64_t id = 0;
            while (entry.next())
                if (entry.tag() == 1) {
                    id = entry.get_uint64();
                    EXPECT_NE(id, 0u); // is no number of a name
                } else {
                    EXPECT_EQ(into.count(id), 0u); // each is told once
                    into[id] = entry.get_string();
                }
        }
    }

    void descriptor(protozero::pbf_reader in)
    {
        uint64_t uuid = 0;
        while (in.next())
            switch (in.tag()) {
            case 1:
                uuid = in.get_uint64();
                break;
            case 2:
                tracks[uuid] = in.get_string();
                break;
            case 3:
                tracks[uuid] = name_in(in.get_message(), 6);
                break;
            case 4:
                tracks[uuid] = name_in(in.get_message(), 5);
                break;
            case 5:
                parents[uuid] = in.get_uint64();
                break;
            default:
                in.skip();
            }
    }

    static std::string name_in(protozero::pbf_reader in, uint32_t field)
    {
        std::string name;
        while (in.next())
            if (in.tag() == field)
                name = in.get_string();
            else
                in.skip();
        return name;
    }

    void event(uint64_t when, protozero::pbf_reader in)
    {
        int type = 0;
        std::string track, name, more;
        while (in.next())
            switch (in.tag()) {
            case 4:
                more += "," + annotation(in.get_message());
                break;
            case 9:
                type = in.get_enum();
                break;
            case 10:
                name = names.at(in.get_uint64());
                break;
            case 11:
                track = tracks.at(in.get_uint64());
                break;
            case 30:
                more += ",n=" + std::to_string(in.get_int64());
                break;
            case 47:
                more += ",from=" + std::to_string(in.get_fixed64());
                break;
            case 48:
                more += ",to=" + std::to_string(in.get_fixed64());
                break;
            default:
                in.skip();
            }
        events +=
            std::to_string(when) + std::string(1, "?+-!="[type]) + track + ":" + name + more + " ";
    }

    std::string annotation(protozero::pbf_reader in) const
    {
        std::string text;
        while (in.next())
            if (in.tag() == 1)
                text = arguments.at(in.get_uint64());
            else
                text += "=" + std::to_string(in.get_uint64());
        return text;
    }
};

TEST_F(FrontTimeline, PerfettosFormat)
{
    const std::string path = ::testing::TempDir() + "front_timeline.perfetto-trace";
    std::vector<std::unique_ptr<ts::TimelineWriter>> writers;
    writers.push_back(ts::perfetto_timeline(path));
    file = std::make_unique<ts::TimelineFile>(std::move(writers), ts::TimelineWindow{});
    shootdown(1000, 5999, 8);
    emit(6000, TS_TL_FLOW, 1, 2, "call", 77);
    emit(7000, TS_TL_FLOW_END, 1, 3, "call", 77);
    emit(8000, TS_TL_BEGIN, 0, 3, "vm0/vcpu3", 3);
    file->close(9000);
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const PerfettoFile read(bytes);
    EXPECT_EQ(read.events,
              "1+vCPU 2:shootdown 1=shootdowns under way:,n=1 "
              "5-vCPU 2:,number=8,targets=3,pages=4,last_target=7 5=shootdowns under way:,n=0 "
              "6!vCPU 2:call,from=77 7!vCPU 3:call,to=77 "
              "8+pCPU 3:vm0/vcpu3,id=3 8=pCPUs that run a vCPU:,n=1 9-pCPU 3: ");
    for (const auto &entry : read.parents)
        EXPECT_EQ(read.tracks.count(entry.second), 1u);
    EXPECT_EQ(read.tracks.size(), 2u + 3u + 2u); // groups, CPUs, counters
    std::filesystem::remove(path);
}

} // namespace
