/* SPDX-License-Identifier: Apache-2.0 */
/* Byte sources and shortcuts for the tests of the strace reader. */
#ifndef TS_TESTS_UNIT_STRACE_TESTING_HPP
#define TS_TESTS_UNIT_STRACE_TESTING_HPP

#include "source_dir.h"
#include "workloads/strace.h"

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace strace_testing
{

inline std::string read_file(const std::string &path)
{
    std::ifstream file(std::string(TS_SOURCE_DIR) + "/" + path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    std::ostringstream text;
    if (path.size() > 4 && path.compare(path.size() - 4, 4, ".zst") == 0) {
        boost::iostreams::filtering_istream in;
        in.push(boost::iostreams::zstd_decompressor());
        in.push(file);
        boost::iostreams::copy(in, text);
    } else {
        text << file.rdbuf();
    }
    EXPECT_FALSE(text.str().empty()) << path;
    return text.str();
}

inline std::vector<std::string> lines_of(const std::string &text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

/* A text in memory, handed out in pieces; may fail when it has handed out fail_at bytes. */
struct Source {
    std::string text;
    size_t piece = 4096;
    size_t fail_at = SIZE_MAX;
    size_t at = 0;
    int closed = 0;
    ts_byte_source source{read, close, this, "trace.txt"};

    explicit Source(std::string t) : text(std::move(t))
    {
    }
    Source(const Source &) = delete;
    Source &operator=(const Source &) = delete;

    static int64_t read(void *user, char *buf, size_t size, ts_error *err)
    {
        auto *s = static_cast<Source *>(user);
        if (s->at >= s->fail_at) {
            ts_error_set(err, TS_ERR_ENVIRONMENT, "the disk is gone");
            return -1;
        }
        size_t n = std::min({size, s->piece, s->text.size() - s->at, s->fail_at - s->at});
        std::memcpy(buf, s->text.data() + s->at, n);
        s->at += n;
        return static_cast<int64_t>(n);
    }
    static void close(void *user)
    {
        static_cast<Source *>(user)->closed++;
    }
};

inline ts_strace_params defaults()
{
    ts_strace_params p;
    ts_param_defaults(ts_workload_kind_find("strace")->ops.params, &p);
    return p;
}

inline ts_strace_params strict()
{
    ts_strace_params p = defaults();
    p.strict = 1;
    return p;
}

/* The workload over a text. */
struct Trace {
    Source source;
    ts_error err{};
    ts_workload *w = nullptr;

    explicit Trace(const std::string &text, const ts_strace_params &params = defaults(),
                   uint64_t seed = 1, uint64_t instance = 0)
        : source(text)
    {
        ts_workload_config config{&params, seed, instance, &source.source};
        EXPECT_EQ(ts_workload_kind_find("strace")->create(&w, &config, &err), TS_OK) << err.message;
    }
    ~Trace()
    {
        w->destroy(w);
    }
    Trace(const Trace &) = delete;
    Trace &operator=(const Trace &) = delete;

    int next(uint32_t thread, ts_op &op)
    {
        return w->next(w, thread, &op, &err);
    }
    const ts_strace_counts &counts() const
    {
        return *ts_strace_workload_counts(w);
    }
};

using Ops = std::map<uint32_t, std::vector<ts_op>>;

/* All operations of thread 0 and of every thread that is spawned, thread by thread. */
inline Ops pull_all(Trace &t)
{
    Ops ops;
    std::vector<uint32_t> todo{0};
    for (size_t i = 0; i < todo.size(); i++) {
        ts_op op;
        int got;
        ops[todo[i]];
        while ((got = t.next(todo[i], op)) == 1) {
            EXPECT_EQ(op.thread, todo[i]);
            ops[todo[i]].push_back(op);
            if (op.kind == TS_OP_SPAWN)
                todo.push_back(op.target);
        }
        EXPECT_EQ(got, 0) << t.err.message << " at line " << t.err.line;
        if (got != 0)
            break;
    }
    return ops;
}

/* One operation as text, for expectations that can be read. Lengths and offsets in pages of 4 KiB
 * when they are whole pages. */
inline std::string show(const ts_op &op, bool regions = true)
{
    static const char *const names[] = {
        "mmap",     "munmap",     "mprotect", "dontneed", "mremap", "touch",  "compute",
        "sleep",    "spawn",      "barrier",  "exit",     "exec",   "call",   "vfree",
        "hugepage", "nohugepage", "collapse", "free",     "cold",   "pageout"};
    std::ostringstream s;
    auto pages = [](uint64_t v) { return v / 4096; };
    s << names[op.kind];
    if ((op.kind <= TS_OP_TOUCH || op.kind >= TS_OP_MADVISE_HUGEPAGE) && regions)
        s << " r" << op.region;
    switch (op.kind) {
    case TS_OP_MMAP:
        s << " " << pages(op.length) << " p" << op.prot;
        break;
    case TS_OP_MUNMAP:
    case TS_OP_MADVISE_DONTNEED:
    case TS_OP_MADVISE_HUGEPAGE:
    case TS_OP_MADVISE_NOHUGEPAGE:
    case TS_OP_MADVISE_COLLAPSE:
    case TS_OP_MADVISE_FREE:
    case TS_OP_MADVISE_COLD:
    case TS_OP_MADVISE_PAGEOUT:
        s << " " << pages(op.offset) << "+" << pages(op.length);
        break;
    case TS_OP_MPROTECT:
        s << " " << pages(op.offset) << "+" << pages(op.length) << " p" << op.prot;
        break;
    case TS_OP_MREMAP:
        s << " " << pages(op.length) << " -> ";
        if (regions)
            s << "r" << op.target << " ";
        s << pages(op.length2);
        break;
    case TS_OP_TOUCH:
        s << " " << pages(op.offset) << " " << op.count << "x" << pages(op.stride);
        break;
    case TS_OP_COMPUTE:
    case TS_OP_SLEEP:
        s << " " << op.length;
        break;
    case TS_OP_SPAWN:
        s << " t" << op.target;
        break;
    default:
        break;
    }
    if (op.flags & TS_OPF_ANONYMOUS)
        s << " anon";
    if (op.flags & TS_OPF_SHARED)
        s << " shared";
    if (op.flags & TS_OPF_WRITE)
        s << " write";
    if (op.flags & TS_OPF_SAME_CALL)
        s << " same";
    if (op.flags & TS_OPF_NEW_MM)
        s << " new_mm";
    if (op.flags & TS_OPF_COPY_MM)
        s << " copy";
    return s.str();
}

inline std::vector<std::string> show(const std::vector<ts_op> &ops, bool regions = true)
{
    std::vector<std::string> out;
    for (const ts_op &op : ops)
        out.push_back(show(op, regions));
    return out;
}

using Lines = std::vector<std::string>;

/* Thread 2 starts. */
inline const std::string thread_call =
    "clone3({flags=CLONE_VM|CLONE_THREAD, tls=0x7f} => {parent_tid=[2]}, "
    "88) = 2\n";

/* An anonymous writable mapping by a thread. */
inline std::string map_line(const std::string &tid, uint64_t addr, uint64_t pages)
{
    std::ostringstream s;
    s << tid << " mmap(NULL, " << pages * 4096
      << ", PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x" << std::hex << addr
      << "\n";
    return s.str();
}

inline bool same(const ts_op &a, const ts_op &b)
{
    return a.kind == b.kind && a.thread == b.thread && a.region == b.region &&
           a.target == b.target && a.prot == b.prot && a.flags == b.flags && a.offset == b.offset &&
           a.length == b.length && a.length2 == b.length2 && a.stride == b.stride &&
           a.count == b.count;
}

} // namespace strace_testing

#endif
