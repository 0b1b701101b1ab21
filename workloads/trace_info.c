/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_info.h"

#include "workloads/line_reader.h"

#include <string.h>

/* clang-format off */
#define ROW(field, unit, help) \
    {#field, TS_STAT_COUNTER, offsetof(struct ts_strace_info, counts.field), unit, help}
#define COUNT(field, help) \
    {#field, TS_STAT_COUNTER, offsetof(struct ts_strace_counts, field), "1", help}
/* What is left out or assumed, most telling first: for the recording and for a run. */
#define LOSSES(ROW_OF) \
    ROW_OF(foreign_lines, "lines that strace did not print, or that cannot be read: ignored"), \
    ROW_OF(cut_calls, "calls whose line ends in the middle: ignored"), \
    ROW_OF(impossible_calls, "calls that cannot have done what is recorded: ignored"), \
    ROW_OF(first_unread, "number of the first line of these, 0: none"), \
    ROW_OF(partial_lines, "a last line that is cut off: ignored"), \
    ROW_OF(left_unfinished, "calls without their end: taken as not done"), \
    ROW_OF(resumed_alone, "ends of calls without their beginning: ignored"), \
    ROW_OF(assumed_spawns, "threads whose start was not recorded: taken to share memory"), \
    ROW_OF(separated, "of these, given memory of their own when addresses contradicted it"), \
    ROW_OF(assumed_programs, "programs whose execve was not recorded"), \
    ROW_OF(unknown_ranges, "calls on memory that was not seen mapped: ignored"), \
    ROW_OF(stale_overlaps, "mappings where memory should still have been in use"), \
    ROW_OF(not_modelled, "calls that change memory in ways that are not modelled: ignored"), \
    ROW_OF(huge_mappings, "mappings of huge pages: replayed as plain memory")
#define LOSS(field, help) ROW(field, "1", help)
/* clang-format on */

static const struct ts_stat rows[] = {
    ROW(lines, "1", "lines"),
    ROW(threads, "1", "threads"),
    ROW(processes, "1", "address spaces"),
    ROW(exits, "1", "threads that ended or were killed"),
    {"operations", TS_STAT_COUNTER, offsetof(struct ts_strace_info, operations), "1",
     "operations a simulation replays, touches and think time not included"},
    ROW(regions, "1", "mappings made"),
    ROW(mapped_peak_bytes, "bytes", "most memory mapped at once, all address spaces together"),
    {"span_ns", TS_STAT_GAUGE, offsetof(struct ts_strace_info, span_ns), "ns",
     "from the first line to the last; 0 without times"},
    ROW(failed_calls, "1", "calls that failed or were interrupted, of those replayed: ignored"),
    ROW(pairs, "1", "calls on two lines, unfinished and resumed"),
    ROW(signals, "1", "signals and stops"),
    ROW(notes, "1", "lines that say nothing of a call"),
    ROW(prefixed_lines, "1", "lines read behind what a log collector put before them"),
    ROW(advice_ignored, "1", "madvise calls that change no entries: ignored"),
    LOSSES(LOSS),
};

const struct ts_stat_table ts_strace_info_stats = {"trace", rows, TS_ARRAY_LEN(rows), NULL, 0};

static const struct ts_stat losses[] = {LOSSES(COUNT)};

const struct ts_stat_table ts_strace_losses = {"trace", losses, TS_ARRAY_LEN(losses), NULL, 0};

static enum ts_status count_operation(void *user, const struct ts_strace_event *event,
                                      struct ts_error *err)
{
    (void)event;
    (void)err;
    ((struct ts_strace_info *)user)->operations++;
    return TS_OK;
}

/* Names stay sorted. A name longer than the room for it is cut. */
static void count_call(struct ts_strace_info *info, const char *name, size_t len)
{
    char key[TS_STRACE_INFO_NAME_MAX] = {0};
    memcpy(key, name, len < sizeof(key) - 1 ? len : sizeof(key) - 1);
    size_t lo = 0, hi = (size_t)info->call_names;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2u;
        if (strcmp(info->calls[mid].name, key) >= 0)
            hi = mid;
        else
            lo = mid + 1u;
    }
    if (lo < info->call_names && strcmp(info->calls[lo].name, key) == 0) {
        info->calls[lo].count++;
        return;
    }
    if (info->call_names == TS_STRACE_INFO_NAMES) {
        info->calls_not_named++;
        return;
    }
    memmove(info->calls + lo + 1, info->calls + lo,
            ((size_t)info->call_names - lo) * sizeof(info->calls[0]));
    memcpy(info->calls[lo].name, key, sizeof(key));
    info->calls[lo].count = 1;
    info->call_names++;
}

static enum ts_status read_all(struct ts_strace_info *info, struct ts_line_reader *reader,
                               struct ts_strace_replay *replay, struct ts_error *err)
{
    for (;;) {
        const char *line = NULL;
        size_t len = 0;
        int got = ts_line_reader_next(reader, &line, &len, err);
        if (got < 0)
            return err->status;
        if (got == 0)
            return ts_strace_replay_finish(replay, err);
        const uint32_t number = ts_line_reader_line(reader);
        enum ts_status status =
            reader->too_long ? ts_strace_replay_skip(replay, number, err)
                             : ts_strace_replay_line(replay, line, len, number, reader->whole, err);
        if (status != TS_OK)
            return status;
        const struct ts_strace_record *rec = ts_strace_replay_record(replay);
        if (rec->kind == TS_STRACE_CALL || rec->kind == TS_STRACE_UNFINISHED ||
            rec->kind == TS_STRACE_OPEN || rec->kind == TS_STRACE_CUT)
            count_call(info, rec->name, rec->name_len);
    }
}

enum ts_status ts_strace_info_read(struct ts_strace_info *out, const struct ts_byte_source *source,
                                   bool strict, struct ts_error *err)
{
    struct ts_line_reader reader;
    struct ts_strace_replay *replay = NULL;
    struct ts_strace_replay_config config = {
        .emit = count_operation, .user = out, .source_name = source->name, .strict = strict};
    memset(out, 0, sizeof(*out));
    enum ts_status status = ts_line_reader_init(&reader, source, err);
    if (status != TS_OK) {
        if (source->close)
            source->close(source->user);
        return status;
    }
    status = ts_strace_replay_create(&replay, &config, err);
    if (status == TS_OK)
        status = read_all(out, &reader, replay, err);
    if (status == TS_OK) {
        out->counts = *ts_strace_replay_counts(replay);
        if (out->counts.last_ns > out->counts.first_ns)
            out->span_ns = out->counts.last_ns - out->counts.first_ns;
    }
    ts_strace_replay_destroy(replay);
    ts_line_reader_fini(&reader);
    return status;
}
