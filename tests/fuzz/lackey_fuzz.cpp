/* SPDX-License-Identifier: Apache-2.0 */
/* Any text through the lackey workload: it is refused with a reason and a place, or becomes
 * operations that make sense, as many touches as the lines say, whatever the pieces it is read in.
 */
#include "tests/fuzz/byte_source.hpp"
#include "workloads/lackey.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace
{

#define CHECK(cond) TS_ASSERT(cond)

constexpr size_t most_operations = 1u << 16;

struct Outcome {
    std::vector<ts_op> ops;
    bool failed = false;
    ts_error err{};
    ts_lackey_counts counts{};
};

Outcome run(const uint8_t *data, size_t size, size_t piece, const ts_lackey_params &params)
{
    FuzzText text(data, size, piece);
    ts_byte_source source = text.source();
    ts_workload_config config{&params, 1, 0, &source};
    Outcome out;
    ts_workload *w = nullptr;
    CHECK(ts_workload_kind_find("lackey")->create(&w, &config, &out.err) == TS_OK);
    ts_op op;
    int got = 1;
    while (out.ops.size() < most_operations && (got = w->next(w, 0, &op, &out.err)) == 1)
        out.ops.push_back(op);
    out.failed = got < 0;
    out.counts = *ts_lackey_workload_counts(w);
    w->destroy(w);
    return out;
}

/* Touches that the lines ask for, in one pass. */
uint64_t touches_of(const uint8_t *data, size_t size, const ts_lackey_params &params)
{
    const char *p = reinterpret_cast<const char *>(data), *end = p + size;
    uint64_t touches = 0, lines = 0;
    while (p < end && (params.limit == 0 || lines < params.limit)) {
        const char *stop = std::find(p, end, '\n');
        ts_lackey_record r;
        uint32_t column;
        const char *why;
        if (ts_lackey_parse(p, static_cast<size_t>(stop - p), &r, &column, &why) ==
            TS_LACKEY_ACCESS) {
            uint64_t n = (r.address + r.size - 1) / 64 - r.address / 64 + 1;
            lines++;
            if (r.kind != TS_LACKEY_FETCH || params.instructions)
                touches += r.kind == TS_LACKEY_MODIFY ? 2 * n : n;
        }
        p = stop == end ? end : stop + 1;
    }
    return touches;
}

void check(const Outcome &o, uint64_t touches)
{
    std::map<uint64_t, uint32_t> regions; /* by address */
    uint64_t barriers = 0, seen = 0;
    for (size_t i = 0; i < o.ops.size(); i++) {
        const ts_op &op = o.ops[i];
        CHECK(op.thread == 0);
        switch (op.kind) {
        case TS_OP_MMAP:
            CHECK(op.flags & TS_OPF_AT && op.length == TS_LACKEY_REGION_BYTES);
            CHECK(op.offset % TS_LACKEY_REGION_BYTES == 0);
            CHECK(op.region == regions.size());
            CHECK(regions.emplace(op.offset, op.region).second);
            break;
        case TS_OP_TOUCH:
            CHECK(op.region < regions.size() && op.count > 0);
            CHECK(op.offset < TS_LACKEY_REGION_BYTES);
            CHECK(op.stride <= (TS_LACKEY_REGION_BYTES - 1 - op.offset) /
                                   std::max<uint64_t>(op.count - 1, 1) ||
                  op.count == 1);
            seen += op.count;
            break;
        case TS_OP_BARRIER:
            CHECK(op.region == 0 && op.count == 1);
            barriers++;
            break;
        default:
            CHECK(op.kind == TS_OP_EXIT && i + 1 == o.ops.size());
        }
    }
    if (o.failed) {
        CHECK(o.err.status == TS_ERR_USER && o.err.message[0] != '\0');
        CHECK(std::strcmp(o.err.file, "fuzz") == 0 && (o.err.line > 0) == (o.err.column > 0));
    } else if (o.ops.size() < most_operations) {
        CHECK(barriers == 1 && seen == touches && o.ops.back().kind == TS_OP_EXIT);
        CHECK(regions.size() == o.counts.regions);
    }
}

bool same(const ts_op &a, const ts_op &b)
{
    return a.kind == b.kind && a.region == b.region && a.flags == b.flags && a.prot == b.prot &&
           a.offset == b.offset && a.length == b.length && a.stride == b.stride &&
           a.count == b.count;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ts_lackey_params params;
    params.instructions = size % 2;
    params.repeat = 1 + size / 2 % 3;
    params.limit = size / 6 % 4 == 0 ? 7 : 0;
    params.warmup = size / 24 % 5;
    Outcome a = run(data, size, 1 + size % 61, params);
    Outcome b = run(data, size, SIZE_MAX, params);
    check(a, touches_of(data, size, params) * params.repeat);
    CHECK(a.failed == b.failed && std::strcmp(a.err.message, b.err.message) == 0);
    CHECK(a.err.line == b.err.line && a.err.column == b.err.column);
    CHECK(std::equal(a.ops.begin(), a.ops.end(), b.ops.begin(), b.ops.end(), same));
    return 0;
}
