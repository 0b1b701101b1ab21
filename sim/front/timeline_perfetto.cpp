// SPDX-License-Identifier: Apache-2.0
// Numbers of fields are those of google/perfetto, protos/perfetto/trace: trace_packet.proto,
// interned_data/interned_data.proto, and track_event/{track_event,track_descriptor,
// process_descriptor,thread_descriptor,counter_descriptor,debug_annotation}.proto.
#include "sim/front/output.hpp"
#include "sim/front/timeline_writer.hpp"

#include <protozero/pbf_writer.hpp>

#include <map>
#include <set>

namespace ts
{
namespace
{

enum TraceField : uint32_t { Packet = 1 };
enum PacketField : uint32_t {
    Timestamp = 8,
    SequenceId = 10,
    Event = 11,
    Interned = 12,
    SequenceFlags = 13,
    Descriptor = 60,
};
enum SequenceFlag : uint32_t { StateCleared = 1, NeedsState = 2 };
enum EventField : uint32_t {
    Annotations = 4,
    Type = 9,
    NameId = 10,
    TrackUuid = 11,
    CounterValue = 30,
    FlowIds = 47,
    TerminatingFlowIds = 48,
};
enum EventType : int32_t { SliceBegin = 1, SliceEnd = 2, Instant = 3, Counter = 4 };
enum AnnotationField : uint32_t { AnnotationNameId = 1, UintValue = 3 };
enum InternedField : uint32_t { EventNames = 2, AnnotationNames = 3 };
enum NameField : uint32_t { Iid = 1, Name = 2 };
enum DescriptorField : uint32_t {
    Uuid = 1,
    DescriptorName = 2,
    Process = 3,
    Thread = 4,
    ParentUuid = 5,
    CounterDescriptor = 8,
};
enum ProcessField : uint32_t { Pid = 1, ProcessName = 6 };
enum ThreadField : uint32_t { ThreadPid = 1, Tid = 2, ThreadName = 5 };

constexpr uint32_t sequence = 1;

// Groups, tracks and counters have numbers of their own; 0 is the trace's own track.
uint64_t group_uuid(uint32_t group)
{
    return (uint64_t(group) + 1) << 32;
}
uint64_t track_uuid(TimelineTrack track)
{
    return group_uuid(track.first) + track.second + 1;
}
constexpr uint64_t counter_bit = uint64_t(1) << 63;

class PerfettoTimeline : public TimelineWriter
{
  public:
    explicit PerfettoTimeline(const std::string &path) : file_(path)
    {
        std::string text;
        protozero::pbf_writer packet(text);
        packet.add_uint32(SequenceId, sequence);
        packet.add_uint32(SequenceFlags, StateCleared);
        put(text);
    }

    void begin(TimelineTrack track, ts_time when, const char *name,
               const TimelineArguments &arguments) override
    {
        event(track, when, SliceBegin, name, arguments);
    }

    void end(TimelineTrack track, ts_time when, const TimelineArguments &arguments) override
    {
        event(track, when, SliceEnd, nullptr, arguments);
    }

    void instant(TimelineTrack track, ts_time when, const char *name,
                 const TimelineArguments &arguments) override
    {
        event(track, when, Instant, name, arguments);
    }

    // An arrow joins events: here a mark at each end. It cannot fork, so each has its own number.
    void flow(TimelineTrack track, ts_time when, const char *name, uint64_t id, bool start) override
    {
        event(track, when, Instant, name, {}, start ? FlowIds : TerminatingFlowIds, id);
    }

    void counter(uint32_t group, ts_time when, const char *name, uint64_t value) override
    {
        describe_group(group);
        if (counters_.insert(group).second) {
            std::string text;
            protozero::pbf_writer packet(text);
            {
                protozero::pbf_writer descriptor(packet, Descriptor);
                descriptor.add_uint64(Uuid, group_uuid(group) | counter_bit);
                descriptor.add_string(DescriptorName, name);
                descriptor.add_uint64(ParentUuid, group_uuid(group));
                descriptor.add_message(CounterDescriptor, "", 0);
            }
            packet.add_uint32(SequenceId, sequence);
            put(text);
        }
        std::string text;
        protozero::pbf_writer packet(text);
        packet.add_uint64(Timestamp, when / TS_NS);
        packet.add_uint32(SequenceId, sequence);
        {
            protozero::pbf_writer record(packet, Event);
            record.add_enum(Type, Counter);
            record.add_uint64(TrackUuid, group_uuid(group) | counter_bit);
            record.add_int64(CounterValue, static_cast<int64_t>(value));
        }
        put(text);
    }

    void close(const std::vector<TimelineTrack> &) override
    {
        file_.close();
    }

  private:
    void put(const std::string &packet)
    {
        std::string text;
        protozero::pbf_writer trace(text);
        trace.add_message(Packet, packet);
        file_.put(text);
    }

    // The number of a name; the first time it is told beside the event.
    static uint64_t number_of(std::map<std::string, uint64_t> *known, const char *name,
                              InternedField kind, protozero::pbf_writer *interned)
    {
        const auto at = known->emplace(name, known->size() + 1);
        if (at.second) {
            protozero::pbf_writer entry(*interned, kind);
            entry.add_uint64(Iid, at.first->second);
            entry.add_string(Name, name);
        }
        return at.first->second;
    }

    void event(TimelineTrack track, ts_time when, EventType type, const char *name,
               const TimelineArguments &arguments, EventField flow_field = FlowIds,
               uint64_t flow = 0)
    {
        describe_track(track);
        std::string text, told, record_text;
        protozero::pbf_writer interned(told), record(record_text);
        record.add_enum(Type, type);
        record.add_uint64(TrackUuid, track_uuid(track));
        if (name)
            record.add_uint64(NameId, number_of(&names_, name, EventNames, &interned));
        for (const TimelineArgument &argument : arguments) {
            const uint64_t number =
                number_of(&argument_names_, argument.name, AnnotationNames, &interned);
            protozero::pbf_writer annotation(record, Annotations);
            annotation.add_uint64(AnnotationNameId, number);
            annotation.add_uint64(UintValue, argument.value);
        }
        if (flow != 0)
            record.add_fixed64(flow_field, flow);
        protozero::pbf_writer packet(text);
        packet.add_uint64(Timestamp, when / TS_NS);
        packet.add_uint32(SequenceId, sequence);
        packet.add_message(Event, record_text);
        if (!told.empty())
            packet.add_message(Interned, told);
        packet.add_uint32(SequenceFlags, NeedsState);
        put(text);
    }

    void describe_group(uint32_t group)
    {
        if (!groups_.insert(group).second)
            return;
        std::string text;
        protozero::pbf_writer packet(text);
        {
            protozero::pbf_writer descriptor(packet, Descriptor);
            descriptor.add_uint64(Uuid, group_uuid(group));
            protozero::pbf_writer process(descriptor, Process);
            process.add_int32(Pid, static_cast<int32_t>(group) + 1);
            process.add_string(ProcessName, timeline_group_name(group));
        }
        packet.add_uint32(SequenceId, sequence);
        put(text);
    }

    void describe_track(TimelineTrack track)
    {
        if (!tracks_.insert(track).second)
            return;
        describe_group(track.first);
        std::string text;
        protozero::pbf_writer packet(text);
        {
            protozero::pbf_writer descriptor(packet, Descriptor);
            descriptor.add_uint64(Uuid, track_uuid(track));
            descriptor.add_uint64(ParentUuid, group_uuid(track.first));
            protozero::pbf_writer thread(descriptor, Thread);
            thread.add_int32(ThreadPid, static_cast<int32_t>(track.first) + 1);
            // The viewer wants numbers of threads that are unique in the whole trace.
            thread.add_int32(Tid, static_cast<int32_t>((track.first << 16) + track.second + 1));
            thread.add_string(ThreadName, timeline_track_name(track));
        }
        packet.add_uint32(SequenceId, sequence);
        put(text);
    }

    OutputFile file_;
    std::map<std::string, uint64_t> names_, argument_names_;
    std::set<uint32_t> groups_, counters_;
    std::set<TimelineTrack> tracks_;
};

} // namespace

std::unique_ptr<TimelineWriter> perfetto_timeline(const std::string &path)
{
    return std::make_unique<PerfettoTimeline>(path);
}

} // namespace ts
