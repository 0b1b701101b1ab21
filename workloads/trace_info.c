/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_info.h"

#include "workloads/line_reader.h"
#include "workloads/own_trace.h"
#include "workloads/regions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define ROW(field, unit, help) \
    {#field, TS_STAT_COUNTER, offsetof(struct ts_strace_info, counts.field), unit, help}
#define COUNT(field, help) \
    {#field, TS_STAT_COUNTER, offsetof(struct ts_strace_counts, field), "1", help}
/* What is left out or assumed, most telling first: for the recording and for a run. */
#define LOSSES(ROW_OF) \
    ROW_OF(foreign_lines, "lines that the recorder did not print, or that cannot be read: ignored"), \
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
    ROW_OF(huge_mappings, "mappings of huge pages: replayed as plain memory"), \
    ROW_OF(unknown_touches, "touches of memory, or by threads, that are not known: ignored"), \
    ROW_OF(blind_touches, "page faults without their address (perf record -d, -F +addr): ignored"), \
    ROW_OF(lost_events, "events that the recorder lost")
#define LOSS(field, help) ROW(field, "1", help)
#define FLUSH(name, reason, help) \
    {#name, TS_STAT_COUNTER, \
     offsetof(struct ts_strace_info, counts.flushes) + (reason) * sizeof(uint64_t), "1", help}
#define ACCESS(name, field, help) \
    {name, TS_STAT_COUNTER, offsetof(struct ts_access_info, field), "1", help}
#define OF_KIND(name, kind, help) \
    {name, TS_STAT_COUNTER, \
     offsetof(struct ts_access_info, counts.lines) + (kind) * sizeof(uint64_t), "1", help}
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
    ROW(touches, "1", "page faults, replayed as touches"),
    ROW(switches, "1", "times that a CPU went from one thread to another"),
    ROW(cpus, "1", "CPUs that were seen: the highest number of one, and 1"),
    FLUSH(flushes_on_switch, 0, "TLB flushes for a change of threads"),
    FLUSH(flushes_by_remote, 1, "TLB flushes that another CPU asked for"),
    FLUSH(flushes_local, 2, "TLB flushes of the CPU's own address space, one page"),
    FLUSH(flushes_local_mm, 3, "TLB flushes of the CPU's own address space, a range or all"),
    FLUSH(flushes_sent, 4, "TLB flushes that were asked of other CPUs"),
    ROW(flushes_elsewhere, "1", "TLB flushes on behalf of other programs"),
    FLUSH(flushes_wrong_cpu, 5, "TLB flushes asked of a CPU that had no need of them"),
    FLUSH(flushes_other, 6, "TLB flushes for another reason"),
    LOSSES(LOSS),
};

const struct ts_stat_table ts_strace_info_stats = {"trace", rows, TS_ARRAY_LEN(rows), NULL, 0};

static const struct ts_stat losses[] = {LOSSES(COUNT)};

const struct ts_stat_table ts_strace_losses = {"trace", losses, TS_ARRAY_LEN(losses), NULL, 0};

static const struct ts_stat access_rows[] = {
    ACCESS("accesses", accesses, "memory accesses"),
    OF_KIND("fetches", TS_LACKEY_FETCH, "instruction fetches"),
    OF_KIND("loads", TS_LACKEY_LOAD, "loads"),
    OF_KIND("stores", TS_LACKEY_STORE, "stores"),
    OF_KIND("modifies", TS_LACKEY_MODIFY, "loads that a store to the same address follows"),
    ACCESS("lowest_address", lowest, "lowest address"),
    ACCESS("highest_address", highest, "highest address"),
    ACCESS("other_lines", counts.other_lines, "lines that say nothing of an access"),
    ACCESS("bad_lines", counts.bad_lines, "accesses that cannot be read: ignored"),
    ACCESS("first_unread", counts.first_bad, "number of the first of these, 0: none"),
    ACCESS("partial_lines", counts.cut_lines, "a last line or record that is cut off: ignored"),
};

const struct ts_stat_table ts_access_info_stats = {"trace", access_rows, TS_ARRAY_LEN(access_rows),
                                                   NULL, 0};

/* A reading in progress. */
struct reading {
    const struct ts_trace_reading *how;
    struct ts_strace_info *calls;
    struct ts_access_info *accesses;
    struct ts_line_reader reader;
    uint64_t given; /* to how->text */
};

static bool is_enough(const struct reading *r)
{
    return r->how->records > 0 && r->given >= r->how->records;
}

static enum ts_status count_operation(void *user, const struct ts_strace_event *event,
                                      struct ts_error *err)
{
    struct ts_strace_info *info = ((struct reading *)user)->calls;
    (void)err;
    info->operations += event->op.kind != TS_OP_TOUCH;
    enum ts_trace_what what = TS_TRACE_ADVISED;
    switch (event->op.kind) {
    case TS_OP_MUNMAP:
        what = TS_TRACE_UNMAPPED;
        break;
    case TS_OP_MPROTECT:
        what = TS_TRACE_PROTECTED;
        break;
    case TS_OP_MADVISE_DONTNEED:
    case TS_OP_MADVISE_FREE:
    case TS_OP_MADVISE_COLD:
    case TS_OP_MADVISE_PAGEOUT:
        break;
    default:
        return TS_OK;
    }
    unsigned bucket = 0;
    for (uint64_t pages = event->op.length / TS_REGIONS_PAGE; pages > 0; pages >>= 1)
        bucket++;
    info->pages[what][bucket]++;
    return TS_OK;
}

static enum ts_status give_record(void *user, const struct ts_strace_record *record, bool has_time,
                                  uint64_t time_ns, struct ts_error *err)
{
    struct reading *r = user;
    char line[TS_OWN_TRACE_LINE];
    if (is_enough(r))
        return TS_OK;
    size_t len = ts_own_trace_write(line, record, has_time, time_ns);
    r->given++;
    return len > 0 ? r->how->text(r->how->user, line, len, err) : TS_OK;
}

/* Names stay sorted. A name longer than the room for it is cut. */
static void count_call(struct ts_strace_info *info, const char *name, size_t len)
{
    char key[TS_STRACE_INFO_NAME_MAX] = {0};
    const size_t most = len < sizeof(key) - 1 ? len : sizeof(key) - 1;
    struct ts_strace_info_call *last = &info->calls[info->last_call]; /* calls come in runs */
    if (memcmp(last->name, name, most) == 0 && last->name[most] == '\0' && last->count > 0) {
        last->count++;
        return;
    }
    memcpy(key, name, most);
    size_t lo = 0, hi = (size_t)info->call_names;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2u;
        if (strcmp(info->calls[mid].name, key) >= 0)
            hi = mid;
        else
            lo = mid + 1u;
    }
    info->last_call = lo < TS_STRACE_INFO_NAMES ? lo : 0u;
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

static enum ts_status read_lines(struct reading *r, struct ts_strace_replay *replay,
                                 struct ts_error *err)
{
    while (!is_enough(r)) {
        const char *line = NULL;
        size_t len = 0;
        int got = ts_line_reader_next(&r->reader, &line, &len, err);
        if (got < 0)
            return err->status;
        if (got == 0)
            return ts_strace_replay_finish(replay, err);
        const uint32_t number = ts_line_reader_line(&r->reader);
        enum ts_status status =
            r->reader.too_long
                ? ts_strace_replay_skip(replay, number, err)
                : ts_strace_replay_line(replay, line, len, number, r->reader.whole, err);
        if (status != TS_OK)
            return status;
        const struct ts_strace_record *rec = ts_strace_replay_record(replay);
        if ((rec->kind == TS_STRACE_CALL || rec->kind == TS_STRACE_UNFINISHED ||
             rec->kind == TS_STRACE_OPEN || rec->kind == TS_STRACE_CUT) &&
            rec->name_len > 0)
            count_call(r->calls, rec->name, rec->name_len);
    }
    return TS_OK;
}

static enum ts_status read_calls(struct reading *r, const struct ts_trace_format *format,
                                 struct ts_error *err)
{
    struct ts_strace_replay *replay = NULL;
    struct ts_strace_replay_config config = {.emit = count_operation,
                                             .on_record = r->how->text ? give_record : NULL,
                                             .user = r,
                                             .format = format,
                                             .source_name = r->reader.source.name,
                                             .strict = r->how->strict};
    enum ts_status status = ts_strace_replay_create(&replay, &config, err);
    if (status == TS_OK)
        status = read_lines(r, replay, err);
    if (status == TS_OK) {
        struct ts_strace_info *out = r->calls;
        out->counts = *ts_strace_replay_counts(replay);
        if (out->counts.last_ns > out->counts.first_ns)
            out->span_ns = out->counts.last_ns - out->counts.first_ns;
    }
    ts_strace_replay_destroy(replay);
    return status;
}

/* What stands on line `number` is no access. */
static enum ts_status on_bad(struct reading *r, uint32_t column, const char *why,
                             struct ts_error *err)
{
    struct ts_lackey_counts *c = &r->accesses->counts;
    const uint32_t number = ts_line_reader_line(&r->reader);
    if (r->how->strict)
        return ts_error_set_at(err, TS_ERR_USER, r->reader.source.name, number, column, "%s", why);
    if (!r->reader.whole) {
        c->cut_lines++;
        return TS_OK;
    }
    if (c->bad_lines++ == 0)
        c->first_bad = number;
    return TS_OK;
}

static enum ts_status on_access(struct reading *r, const struct ts_lackey_record *a,
                                struct ts_error *err)
{
    static const char *const names[TS_LACKEY_KINDS] = {"fetch", "load", "store", "modify"};
    struct ts_access_info *info = r->accesses;
    char line[TS_OWN_TRACE_LINE];
    info->counts.lines[a->kind]++;
    info->lowest = info->accesses == 0 || a->address < info->lowest ? a->address : info->lowest;
    info->highest = a->address > info->highest ? a->address : info->highest;
    info->accesses++;
    if (!r->how->text || is_enough(r))
        return TS_OK;
    int n = snprintf(line, sizeof(line), "%s 0x%" PRIx64 " %" PRIu64, names[a->kind], a->address,
                     a->size);
    r->given++;
    return r->how->text(r->how->user, line, (size_t)n, err);
}

static enum ts_status read_accesses(struct reading *r, const struct ts_trace_format *f,
                                    struct ts_error *err)
{
    enum ts_status status = TS_OK;
    while (status == TS_OK && !is_enough(r)) {
        const char *line = NULL, *why = "the record is cut off";
        struct ts_trace_accesses got;
        size_t len = 0;
        uint32_t column = 1;
        int more = f->record_bytes
                       ? ts_line_reader_record(&r->reader, f->record_bytes, &line, &len, err)
                       : ts_line_reader_next(&r->reader, &line, &len, err);
        if (more < 0)
            return err->status;
        if (more == 0)
            break;
        if (len < f->record_bytes || !f->accesses(NULL, line, len, &got, &column, &why)) {
            status = on_bad(r, column, why, err);
            continue;
        }
        r->accesses->counts.other_lines += got.n == 0;
        for (uint32_t i = 0; i < got.n && status == TS_OK; i++)
            status = on_access(r, &got.v[i], err);
    }
    return status;
}

enum ts_status ts_trace_info_read(struct ts_trace_info *out, const struct ts_byte_source *source,
                                  const struct ts_trace_reading *how, struct ts_error *err)
{
    struct reading r = {.how = how, .calls = &out->calls, .accesses = &out->accesses};
    const char *head = NULL;
    size_t len = 0;
    bool whole = false;
    memset(out, 0, sizeof(*out));
    enum ts_status status = ts_line_reader_init(&r.reader, source, err);
    if (status != TS_OK) {
        if (source->close)
            source->close(source->user);
        return status;
    }
    out->format = how->format;
    if (!out->format) {
        status = ts_line_reader_peek(&r.reader, TS_TRACE_HEAD, &head, &len, &whole, err);
        if (status == TS_OK)
            out->format = ts_trace_recognise(head, len, whole, source->name, err);
        if (status == TS_OK && !out->format)
            status = err->status;
    }
    if (status == TS_OK)
        status = out->format->family == TS_TRACE_CALLS ? read_calls(&r, out->format, err)
                                                       : read_accesses(&r, out->format, err);
    ts_line_reader_fini(&r.reader);
    return status;
}

enum ts_status ts_strace_info_read(struct ts_strace_info *out, const struct ts_byte_source *source,
                                   bool strict, struct ts_error *err)
{
    struct ts_trace_reading how = {.format = ts_trace_format_find("strace"), .strict = strict};
    struct reading r = {.how = &how, .calls = out};
    memset(out, 0, sizeof(*out));
    enum ts_status status = ts_line_reader_init(&r.reader, source, err);
    if (status != TS_OK) {
        if (source->close)
            source->close(source->user);
        return status;
    }
    status = read_calls(&r, how.format, err);
    ts_line_reader_fini(&r.reader);
    return status;
}
