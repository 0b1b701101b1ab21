/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes through every reader of recordings. The first byte says which, as the place of the
 * format in the table, or that it is to be recognised; TS_FUZZ_FORMAT names one for all inputs. A
 * recording is refused with a reason, or what is read of it is, written as tlbstorm's own text, the
 * same recording; and no workload's operations depend on the order in which threads are asked. */
#include "tests/fuzz/byte_source.hpp"
#include "workloads/own_trace.h"
#include "workloads/recording.h"
#include "workloads/regions.h"
#include "workloads/trace_info.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace
{

#define CHECK(cond) TS_ASSERT(cond)

struct Read {
    std::unique_ptr<ts_trace_info> info = std::make_unique<ts_trace_info>();
    std::string text;
    ts_error err{};
    ts_status status;

    Read(const std::string &bytes, const ts_trace_format *format, size_t piece, bool strict)
    {
        FuzzText source(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), piece);
        const ts_byte_source from = source.source();
        ts_trace_reading how{};
        how.format = format;
        how.strict = strict;
        how.user = this;
        how.text = [](void *user, const char *line, size_t len, ts_error *) {
            CHECK(len > 0 && len < TS_OWN_TRACE_LINE && !std::memchr(line, '\n', len));
            static_cast<Read *>(user)->text.append(line, len).append("\n");
            return TS_OK;
        };
        status = ts_trace_info_read(info.get(), &from, &how, &err);
        CHECK(status == TS_OK || (err.status == status && err.message[0] != '\0'));
    }
};

uint64_t hash(uint64_t h, uint64_t v)
{
    return (h ^ v) * UINT64_C(1099511628211) + (h >> 47);
}

/* Operations of each thread, as one number; each thread to its end, or one of each in turn. */
std::map<uint32_t, uint64_t> replay(const std::string &bytes, const ts_trace_format *format,
                                    bool depth_first, std::string *error)
{
    const ts_workload_kind *kind = ts_workload_kind_find("recording");
    ts_strace_params params;
    ts_param_defaults(kind->ops.params, &params);
    params.think = bytes.size() % 3;
    params.think_spread = bytes.size() % 2 * 100;
    params.touch_pages = bytes.size() % 5;
    FuzzText source(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), SIZE_MAX);
    const ts_byte_source from = source.source();
    ts_workload_config config{&params, 1, 0, &from};
    ts_error err{};
    ts_workload *w = nullptr;
    std::map<uint32_t, uint64_t> sums;
    if (ts_recording_create(&w, &config, format, &err) != TS_OK) {
        *error = err.message;
        return sums;
    }
    std::vector<uint32_t> live{0};
    while (!live.empty()) {
        std::vector<uint32_t> born;
        for (size_t i = 0; i < live.size();) {
            ts_op op;
            const int got = w->next(w, live[i], &op, &err);
            if (got <= 0) {
                if (got < 0)
                    *error = err.message;
                live.erase(live.begin() + static_cast<ptrdiff_t>(i));
                continue;
            }
            CHECK(op.thread == live[i]);
            CHECK(op.kind != TS_OP_TOUCH || op.count > 0);
            uint64_t &sum = sums[op.thread];
            for (const uint64_t v :
                 {static_cast<uint64_t>(op.kind), uint64_t{op.region}, uint64_t{op.target},
                  uint64_t{op.flags}, op.offset, op.length, op.length2, op.count})
                sum = hash(sum, v);
            if (op.kind == TS_OP_SPAWN)
                born.push_back(op.target);
            if (!depth_first)
                i++;
        }
        live.insert(live.end(), born.begin(), born.end());
    }
    w->destroy(w);
    return sums;
}

void check_own_text(const Read &first)
{
    const bool calls = first.info->format->family == TS_TRACE_CALLS;
    const std::string text =
        std::string(calls ? TS_OWN_TRACE_CALLS : TS_OWN_TRACE_ACCESSES) + "\n" + first.text;
    const Read again(text, ts_trace_format_find(calls ? "tlbstorm" : "tlbstorm_accesses"), SIZE_MAX,
                     true);
    /* A call that cannot have done what is recorded is an error of the strict reader alone. */
    CHECK(again.status == TS_OK || first.info->calls.counts.impossible_calls > 0);
    if (again.status != TS_OK)
        return;
    CHECK(again.text == first.text);
    if (calls && std::strcmp(first.info->format->name, "strace") != 0)
        CHECK(again.info->calls.operations == first.info->calls.operations);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const named = std::getenv("TS_FUZZ_FORMAT");
    if (size == 0)
        return 0;
    const std::string bytes(reinterpret_cast<const char *>(data) + 1, size - 1);
    const size_t place = data[0] % (ts_trace_formats_count + 1);
    const ts_trace_format *format = place > 0 ? ts_trace_formats[place - 1] : nullptr;
    if (named)
        format = ts_trace_format_find(named);
    const Read whole(bytes, format, SIZE_MAX, false), pieces(bytes, format, 1 + size % 61, false);
    CHECK(whole.status == pieces.status && whole.text == pieces.text);
    CHECK(std::strcmp(whole.err.message, pieces.err.message) == 0);
    const Read strict(bytes, format, SIZE_MAX, true);
    CHECK(strict.status == TS_OK ? whole.status == TS_OK : strict.err.message[0] != '\0');
    if (whole.status != TS_OK)
        return 0;
    check_own_text(whole);
    if (whole.info->format->family != TS_TRACE_CALLS)
        return 0;
    std::string errors[2];
    const auto deep = replay(bytes, whole.info->format, true, &errors[0]);
    const auto wide = replay(bytes, whole.info->format, false, &errors[1]);
    CHECK(errors[0] == errors[1]);
    CHECK(!errors[0].empty() || deep == wide);
    return 0;
}
