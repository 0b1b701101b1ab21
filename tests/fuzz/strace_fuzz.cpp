/* SPDX-License-Identifier: Apache-2.0 */
/* Any text through the whole strace workload: it is refused with a reason, or becomes operations
 * that make sense and that do not depend on the order in which threads are asked. */
#include "tests/fuzz/byte_source.hpp"
#include "workloads/regions.h"
#include "workloads/strace.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <vector>

namespace
{

#define CHECK(cond) TS_ASSERT(cond)

struct Outcome {
    std::map<uint32_t, std::vector<ts_op>> ops;
    bool failed = false;
    ts_error err{};
    ts_strace_counts counts{};
};

/* depth_first: each thread to its end before the next; else one operation of each in turn. */
Outcome run(const uint8_t *data, size_t size, size_t piece, bool depth_first)
{
    const ts_workload_kind *kind = ts_workload_kind_find("strace");
    ts_strace_params params;
    ts_param_defaults(kind->ops.params, &params);
    params.touch_pages = 2;
    params.touch_placement = size % 2 ? TS_PLACEMENT_RANDOM : TS_PLACEMENT_STRIDED;
    params.think = size / 2 % 3;
    params.strict = size / 6 % 2;
    FuzzText text(data, size, piece);
    ts_byte_source source = text.source();
    ts_workload_config config{&params, 1, 0, &source};
    Outcome out;
    ts_workload *w = nullptr;
    CHECK(kind->create(&w, &config, &out.err) == TS_OK);
    std::vector<uint32_t> live{0};
    while (!live.empty()) {
        std::vector<uint32_t> born;
        for (size_t i = 0; i < live.size();) {
            ts_op op;
            int got = w->next(w, live[i], &op, &out.err);
            if (got <= 0) {
                out.failed = out.failed || got < 0;
                live.erase(live.begin() + static_cast<ptrdiff_t>(i));
                continue;
            }
            CHECK(op.thread == live[i]);
            out.ops[op.thread].push_back(op);
            if (op.kind == TS_OP_SPAWN)
                born.push_back(op.target);
            if (!depth_first)
                i++;
        }
        live.insert(live.end(), born.begin(), born.end());
    }
    out.counts = *ts_strace_workload_counts(w);
    w->destroy(w);
    return out;
}

bool is_range(ts_op_kind kind)
{
    return kind == TS_OP_MUNMAP || kind == TS_OP_MPROTECT || kind == TS_OP_MADVISE_DONTNEED ||
           kind == TS_OP_TOUCH || kind == TS_OP_MREMAP;
}

void check(const Outcome &o)
{
    std::map<uint32_t, uint64_t> length; /* of regions */
    std::set<uint32_t> spawned{0};
    for (const auto &[thread, list] : o.ops)
        for (const ts_op &op : list) {
            if (op.kind == TS_OP_SPAWN)
                CHECK(spawned.insert(op.target).second);
            if (op.kind == TS_OP_MMAP)
                CHECK(op.length > 0 && length.emplace(op.region, op.length).second);
            if (op.kind == TS_OP_MREMAP)
                CHECK(op.length2 > 0 && length.emplace(op.target, op.length2).second);
        }
    for (const auto &[thread, list] : o.ops) {
        CHECK(spawned.count(thread) == 1);
        for (size_t i = 0; i < list.size(); i++) {
            const ts_op &op = list[i];
            CHECK(op.kind != TS_OP_EXIT || i + 1 == list.size());
            CHECK(!(op.flags & TS_OPF_SAME_CALL) || i > 0);
            if (!is_range(op.kind))
                continue;
            CHECK(op.length % TS_REGIONS_PAGE == 0 && op.offset % TS_REGIONS_PAGE == 0);
            uint64_t last =
                op.kind == TS_OP_TOUCH ? (op.count - 1) * op.stride + TS_REGIONS_PAGE : op.length;
            auto region = length.find(op.region);
            /* After a failure the operation that made it may be missing. */
            CHECK(region != length.end() || o.failed);
            if (region != length.end())
                CHECK(last > 0 && op.offset + last <= region->second);
        }
    }
    if (o.failed) {
        CHECK(o.err.status != TS_OK && o.err.message[0] != '\0');
    } else {
        CHECK(spawned.size() == std::max<uint64_t>(o.counts.threads, 1));
        CHECK(length.size() == o.counts.regions);
    }
}

bool same(const ts_op &a, const ts_op &b)
{
    return a.kind == b.kind && a.region == b.region && a.target == b.target && a.prot == b.prot &&
           a.flags == b.flags && a.offset == b.offset && a.length == b.length &&
           a.length2 == b.length2 && a.stride == b.stride && a.count == b.count;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Outcome a = run(data, size, 1 + size % 61, true);
    Outcome b = run(data, size, SIZE_MAX, false);
    check(a);
    CHECK(a.failed == b.failed && a.ops.size() == b.ops.size());
    CHECK(std::strcmp(a.err.message, b.err.message) == 0 && a.err.line == b.err.line);
    for (const auto &[thread, list] : a.ops) {
        const auto &other = b.ops[thread];
        CHECK(list.size() == other.size() &&
              std::equal(list.begin(), list.end(), other.begin(), same));
    }
    return 0;
}
