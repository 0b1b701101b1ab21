/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/lackey.h"

#include "tests/unit/strace_testing.hpp"

#include <set>

using strace_testing::Lines;
using strace_testing::lines_of;
using strace_testing::read_file;
using strace_testing::same;
using strace_testing::Source;

namespace
{

struct Replay {
    Source source;
    ts_lackey_params p;
    ts_error err{};
    ts_workload *w = nullptr;

    explicit Replay(const std::string &text) : source(text)
    {
        ts_param_defaults(ts_workload_kind_find("lackey")->ops.params, &p);
    }
    ~Replay()
    {
        if (w)
            w->destroy(w);
    }
    Replay(const Replay &) = delete;
    Replay &operator=(const Replay &) = delete;

    int next(ts_op &op)
    {
        if (!w) {
            ts_workload_config config{&p, 1, 0, &source.source};
            EXPECT_EQ(ts_workload_kind_find("lackey")->create(&w, &config, &err), TS_OK);
        }
        return w->next(w, 0, &op, &err);
    }
    /* Operations up to the end or the failure. */
    std::vector<ts_op> pull()
    {
        std::vector<ts_op> ops;
        ts_op op;
        while (next(op) == 1)
            ops.push_back(op);
        return ops;
    }
    const ts_lackey_counts &counts() const
    {
        return *ts_lackey_workload_counts(w);
    }
};

/* "map 0 at 0x40000000", "fetch 0 +0x1000 3x4" */
std::string show(const ts_op &op)
{
    std::ostringstream s;
    switch (op.kind) {
    case TS_OP_MMAP:
        EXPECT_EQ(op.flags, TS_OPF_ANONYMOUS | TS_OPF_AT);
        EXPECT_EQ(op.prot, TS_PROT_READ | TS_PROT_WRITE | TS_PROT_EXEC);
        EXPECT_EQ(op.length, TS_LACKEY_REGION_BYTES);
        s << "map " << op.region << " at 0x" << std::hex << op.offset;
        break;
    case TS_OP_TOUCH:
        s << (op.flags == TS_OPF_FETCH   ? "fetch "
              : op.flags == TS_OPF_WRITE ? "write "
                                         : "read ")
          << op.region << " +0x" << std::hex << op.offset << std::dec;
        if (op.count > 1)
            s << " " << op.count << "x" << op.stride;
        break;
    case TS_OP_BARRIER:
        EXPECT_EQ(op.count, 1u);
        s << "barrier " << op.region;
        break;
    case TS_OP_EXIT:
        s << "exit";
        break;
    default:
        s << "?";
    }
    return s.str();
}

Lines show(const std::vector<ts_op> &ops)
{
    Lines out;
    for (const ts_op &op : ops)
        out.push_back(show(op));
    return out;
}

Lines replay(const std::string &text)
{
    Replay r(text);
    Lines got = show(r.pull());
    EXPECT_EQ(r.err.status, TS_OK) << r.err.message;
    return got;
}

std::string data(const std::string &name)
{
    return read_file("tests/data/lackey/" + name);
}

/* --- the line --- */

struct Parsed {
    ts_lackey_line line;
    ts_lackey_record record{};
    uint32_t column = 0;
    std::string why;
};

Parsed parse(const std::string &text)
{
    Parsed p;
    const char *why = nullptr;
    p.line = ts_lackey_parse(text.data(), text.size(), &p.record, &p.column, &why);
    p.why = why ? why : "";
    return p;
}

TEST(LackeyParse, AccessLines)
{
    struct Case {
        const char *text;
        ts_lackey_kind kind;
        uint64_t address, size;
    };
    for (const Case &c : {Case{"I  0401ab70,3", TS_LACKEY_FETCH, 0x0401ab70, 3},
                          Case{" S 1fff000618,8", TS_LACKEY_STORE, 0x1fff000618, 8},
                          Case{" L 0,1", TS_LACKEY_LOAD, 0, 1},
                          Case{" M FFFFFFFFFFFF,1", TS_LACKEY_MODIFY, 0xffffffffffff, 1},
                          Case{" L 10,8\r", TS_LACKEY_LOAD, 0x10, 8},
                          Case{" L 0000000000000000001,4096", TS_LACKEY_LOAD, 1, 4096}}) {
        Parsed p = parse(c.text);
        EXPECT_EQ(p.line, TS_LACKEY_ACCESS) << c.text;
        EXPECT_EQ(p.record.kind, c.kind) << c.text;
        EXPECT_EQ(p.record.address, c.address) << c.text;
        EXPECT_EQ(p.record.size, c.size) << c.text;
    }
}

TEST(LackeyParse, LinesOfSomethingElse)
{
    for (const char *text : {"", " ", "I", "I ", "I 0401ab70,3", "==11136== Command: /bin/true",
                             "Load 1", " X 10,4", "L  10,4", " L10,4", "I am here", "\tL 10,4"})
        EXPECT_EQ(parse(text).line, TS_LACKEY_OTHER) << text;
}

TEST(LackeyParse, BadAccessLines)
{
    struct Case {
        const char *text;
        uint32_t column;
        const char *why;
    };
    for (const Case &c :
         {Case{"I  ", 4, "expected a hexadecimal address"},
          Case{" L 0x10,4", 5, "expected a comma and the size"},
          Case{" L g0,4", 4, "expected a hexadecimal address"},
          Case{" L 10", 6, "expected a comma and the size"},
          Case{" L 10 ,4", 6, "expected a comma and the size"},
          Case{" L 10,", 7, "expected the size"}, Case{" L 10,x", 7, "expected the size"},
          Case{" L 10,0", 7, "the size is 0"},
          Case{" L 10,4097", 7, "the size is larger than 4096"},
          Case{" L 10,99999999999999999999999", 7, "the size is larger than 4096"},
          Case{" L 10,8 ", 8, "expected the end of the line"},
          Case{" L 10,8,9", 8, "expected the end of the line"},
          Case{"I  1000000000000,1", 4, "the address has more than 48 bits"},
          Case{" S ffffffffffffffffffff,1", 4, "the address has more than 48 bits"},
          Case{" S ffffffffffff,2", 4, "the access ends beyond 48 bits"}}) {
        Parsed p = parse(c.text);
        EXPECT_EQ(p.line, TS_LACKEY_BAD) << c.text;
        EXPECT_EQ(p.column, c.column) << c.text;
        EXPECT_EQ(p.why, c.why) << c.text;
    }
}

/* --- the operations --- */

TEST(Lackey, SmallFile)
{
    EXPECT_EQ(replay(data("small.lackey")),
              (Lines{"barrier 0", "map 0 at 0x0", "fetch 0 +0x401000", "map 1 at 0x1fc0000000",
                     "read 1 +0x3f000618",
                     /* The modify ends with its line, the last store lies in two pages. */
                     "read 0 +0x600ff8", "write 0 +0x600ff8", "fetch 0 +0x401004",
                     "write 0 +0x600ffc 2x4", "exit"}));
    Replay r(data("small.lackey"));
    r.pull();
    EXPECT_EQ(r.counts().lines[TS_LACKEY_FETCH], 2u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_LOAD], 1u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_STORE], 1u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_MODIFY], 1u);
    EXPECT_EQ(r.counts().other_lines, 4u);
    EXPECT_EQ(r.counts().cut_lines, 0u);
    EXPECT_EQ(r.counts().regions, 2u);
}

TEST(Lackey, EqualKindsAtOneDistanceAreOneOperation)
{
    EXPECT_EQ(replay(data("runs.lackey")),
              (Lines{"barrier 0", "map 0 at 0x0", "fetch 0 +0x401000 3x4", "read 0 +0x600000 3x64",
                     "write 0 +0x600000 2x0", "exit"}));
    /* A distance that changes, and one that is negative. */
    EXPECT_EQ(replay(" L 1000,8\n L 1010,8\n L 1020,8\n L 1028,8\n L 1018,8\n"),
              (Lines{"barrier 0", "map 0 at 0x0", "read 0 +0x1000 3x16", "read 0 +0x1028",
                     "read 0 +0x1018", "exit"}));
}

TEST(Lackey, CrossingLinesPagesAndRegions)
{
    EXPECT_EQ(
        replay(" L 103c,4\n S 103d,4\n"),
        (Lines{"barrier 0", "map 0 at 0x0", "read 0 +0x103c", "write 0 +0x103d 2x3", "exit"}));
    EXPECT_EQ(replay(" M 1fff,2\n"), (Lines{"barrier 0", "map 0 at 0x0", "read 0 +0x1fff 2x1",
                                            "write 0 +0x1fff 2x1", "exit"}));
    EXPECT_EQ(replay(data("crossing.lackey")),
              (Lines{"barrier 0", "map 0 at 0x0", "write 0 +0x3ffffffe", "map 1 at 0x40000000",
                     "write 1 +0x0", "read 0 +0x3ffffffc", "read 1 +0x0 2x64", "exit"}));
}

TEST(Lackey, WithoutInstructions)
{
    Replay r("I  1000,4\nI  1004,4\n L 2000,8\nI  1008,4\n L 2008,8\n");
    r.p.instructions = 0;
    EXPECT_EQ(show(r.pull()), (Lines{"barrier 0", "map 0 at 0x0", "read 0 +0x2000 2x8", "exit"}));
    EXPECT_EQ(r.counts().lines[TS_LACKEY_FETCH], 3u);
}

const std::string four = "I  1000,4\n L 2000,8\nnoise\n S 3000,8\nI  1004,4\n";

TEST(Lackey, WarmupCountsAccessLines)
{
    for (uint64_t warmup = 0; warmup < 4; warmup++) {
        Replay r(four);
        r.p.warmup = warmup;
        Lines want{"map 0 at 0x0",    "fetch 0 +0x1000", "read 0 +0x2000",
                   "write 0 +0x3000", "fetch 0 +0x1004", "exit"};
        want.insert(want.begin() + (warmup ? static_cast<std::ptrdiff_t>(warmup) + 1 : 0),
                    "barrier 0");
        EXPECT_EQ(show(r.pull()), want);
    }
    /* Fetches count although they are left out; an operation does not go on over the barrier. */
    Replay r("I  1000,4\n L 2000,8\n L 2008,8\n");
    r.p.warmup = 2;
    r.p.instructions = 0;
    EXPECT_EQ(show(r.pull()),
              (Lines{"map 0 at 0x0", "read 0 +0x2000", "barrier 0", "read 0 +0x2008", "exit"}));
}

TEST(Lackey, LimitAndRepeat)
{
    Replay limited(four);
    limited.p.limit = 2;
    EXPECT_EQ(show(limited.pull()),
              (Lines{"barrier 0", "map 0 at 0x0", "fetch 0 +0x1000", "read 0 +0x2000", "exit"}));
    Replay repeated(four);
    repeated.p.limit = 2;
    repeated.p.repeat = 3;
    repeated.p.warmup = 3;
    EXPECT_EQ(show(repeated.pull()),
              (Lines{"map 0 at 0x0", "fetch 0 +0x1000", "read 0 +0x2000", "fetch 0 +0x1000",
                     "barrier 0", "read 0 +0x2000", "fetch 0 +0x1000", "read 0 +0x2000", "exit"}));
}

/* Sizes, kinds and addresses at the ends of their ranges survive the memory of `repeat`. */
TEST(Lackey, RepeatIsTheSameAgain)
{
    const std::string text = "I  ffffffffffff,1\n M 0,4096\n L fffffffff000,4096\n S 1,1\n";
    Replay once(text + text), twice(text);
    twice.p.repeat = 2;
    EXPECT_EQ(show(once.pull()), show(twice.pull()));
}

/* --- errors --- */

TEST(Lackey, BadLineHasItsPlace)
{
    Replay r(data("bad-address.lackey"));
    r.p.strict = 1;
    ts_op op;
    int got;
    while ((got = r.next(op)) == 1)
        EXPECT_NE(op.kind, TS_OP_EXIT);
    for (int again = 0; again < 2; again++) {
        EXPECT_EQ(got, -1);
        EXPECT_EQ(r.err.status, TS_ERR_USER);
        EXPECT_STREQ(r.err.file, "trace.txt");
        EXPECT_EQ(r.err.line, 3u);
        EXPECT_EQ(r.err.column, 10u);
        EXPECT_STREQ(r.err.message,
                     "expected a comma and the size; valgrind's option --log-file=FILE keeps what "
                     "the program prints out");
        r.err = ts_error{};
        got = r.next(op); /* and for every later call */
    }
}

/* Without `strict` it is counted, and the first named. */
TEST(Lackey, BadLinesAreCounted)
{
    Replay r(data("bad-address.lackey") + " L 10,4hello\n L 600000,8\n");
    EXPECT_EQ(show(r.pull()).back(), "exit");
    EXPECT_EQ(r.err.status, TS_OK) << r.err.message;
    EXPECT_EQ(r.counts().bad_lines, 2u);
    EXPECT_EQ(r.counts().first_bad, 3u);
    EXPECT_EQ(r.counts().cut_lines, 0u);
    const ts_stat_table *table = nullptr;
    EXPECT_EQ(r.w->losses(r.w, &table), &r.counts());
    EXPECT_STREQ(table->rows[0].name, "bad_lines");
}

/* As a text that went over a machine of another kind ends its lines. */
TEST(Lackey, CarriageReturns)
{
    std::string text;
    for (const std::string &line : lines_of(data("small.lackey")))
        text += line + "\r\n";
    EXPECT_EQ(replay(text), replay(data("small.lackey")));
}

TEST(Lackey, TracesThatGiveNothing)
{
    struct Case {
        const char *text;
        uint64_t instructions, repeat, warmup;
        const char *message;
    };
    const char *nothing =
        "no line is a memory access as valgrind --tool=lackey --trace-mem=yes prints it";
    for (const Case &c :
         {Case{"", 1, 1, 0, nothing}, Case{"==1== Lackey\nhello\n", 1, 1, 0, nothing},
          Case{"I  1000,4\n", 0, 1, 0,
               "no line is a data access as valgrind --tool=lackey --trace-mem=yes prints it"},
          Case{"I  1000,4\nI  1004,4\n", 1, 1, 2,
               "warmup takes all of the 2 access lines that are replayed"},
          Case{"I  1000,4\nI  1004,4\n", 1, 3, 7,
               "warmup takes all of the 6 access lines that are replayed"}}) {
        Replay r(c.text);
        r.p.instructions = c.instructions;
        r.p.repeat = c.repeat;
        r.p.warmup = c.warmup;
        r.pull();
        EXPECT_EQ(r.err.status, TS_ERR_USER) << c.text;
        EXPECT_STREQ(r.err.file, "trace.txt");
        EXPECT_STREQ(r.err.message, c.message);
    }
    Replay enough("I  1000,4\nI  1004,4\n");
    enough.p.repeat = 3;
    enough.p.warmup = 5;
    enough.pull();
    EXPECT_EQ(enough.err.status, TS_OK) << enough.err.message;
}

TEST(Lackey, ALastLineThatIsCutOffIsIgnored)
{
    Replay r(data("cut.lackey"));
    EXPECT_EQ(show(r.pull()), (Lines{"barrier 0", "map 0 at 0x0", "fetch 0 +0x401000",
                                     "read 0 +0x600000", "exit"}));
    EXPECT_EQ(r.err.status, TS_OK);
    EXPECT_EQ(r.counts().cut_lines, 1u);
    /* It is there when it is whole, newline or not. */
    EXPECT_EQ(replay(" L 600000,8").size(), 4u);
}

TEST(Lackey, FailingSource)
{
    std::string text;
    for (int i = 0; i < 1000; i++)
        text += " L 1000,8\n L 2000,4\n";
    Replay r(text);
    r.source.fail_at = 5000;
    r.pull();
    EXPECT_EQ(r.err.status, TS_ERR_ENVIRONMENT);
    EXPECT_STREQ(r.err.message, "the disk is gone");
}

TEST(Lackey, WithoutAFile)
{
    ts_lackey_params p;
    ts_param_defaults(ts_workload_kind_find("lackey")->ops.params, &p);
    ts_workload_config config{&p, 1, 0, nullptr};
    ts_workload *w = nullptr;
    ts_error err{};
    EXPECT_EQ(ts_workload_kind_find("lackey")->create(&w, &config, &err), TS_ERR_USER);
    EXPECT_STREQ(err.message, "the workload lackey needs a trace file");
}

TEST(Lackey, ClosesItsSourceOnce)
{
    Source source("I  1000,4\n");
    {
        ts_lackey_params p;
        ts_param_defaults(ts_workload_kind_find("lackey")->ops.params, &p);
        ts_workload_config config{&p, 1, 0, &source.source};
        ts_workload *w = nullptr;
        ts_error err{};
        ASSERT_EQ(ts_workload_kind_find("lackey")->create(&w, &config, &err), TS_OK);
        EXPECT_EQ(source.closed, 0);
        w->destroy(w);
    }
    EXPECT_EQ(source.closed, 1);
}

/* --- the recordings --- */

struct Sums {
    uint64_t kinds[4] = {0, 0, 0, 0}; /* lines I, L, S, M */
    uint64_t fetches = 0, reads = 0, writes = 0;
    std::set<uint64_t> pages;
};

/* By other means than the parser's: what each line must become. */
Sums sums_of_text(const std::string &text)
{
    Sums s;
    for (const std::string &l : lines_of(text)) {
        if (l[0] == '=')
            continue;
        const char kind = l[0] == 'I' ? 'I' : l[1];
        s.kinds[std::string("ILSM").find(kind)]++;
        const uint64_t address = std::stoull(l.substr(3), nullptr, 16);
        const uint64_t last = address + std::stoull(l.substr(l.find(',') + 1)) - 1;
        const uint64_t pieces = last / 64 - address / 64 + 1;
        s.fetches += kind == 'I' ? pieces : 0;
        s.reads += kind == 'L' || kind == 'M' ? pieces : 0;
        s.writes += kind == 'S' || kind == 'M' ? pieces : 0;
        s.pages.insert(address / 4096);
        s.pages.insert(last / 4096);
    }
    return s;
}

void check_recording(const std::string &path, uint64_t *touches, uint64_t *operations)
{
    const std::string text = read_file(path);
    const Sums want = sums_of_text(text);
    Replay r(text);
    Sums got;
    std::map<uint32_t, uint64_t> base;
    ts_op op;
    *operations = *touches = 0;
    while (r.next(op) == 1) {
        ++*operations;
        if (op.kind == TS_OP_MMAP) {
            EXPECT_TRUE(base.emplace(op.region, op.offset).second);
        }
        if (op.kind != TS_OP_TOUCH)
            continue;
        ASSERT_EQ(base.count(op.region), 1u);
        ASSERT_LT(op.offset + (op.count - 1) * op.stride, TS_LACKEY_REGION_BYTES);
        (op.flags & TS_OPF_FETCH   ? got.fetches
         : op.flags & TS_OPF_WRITE ? got.writes
                                   : got.reads) += op.count;
        for (uint64_t i = 0; i < op.count; i++)
            got.pages.insert((base[op.region] + op.offset + i * op.stride) / 4096);
        *touches += op.count;
    }
    EXPECT_EQ(r.err.status, TS_OK) << r.err.message;
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(r.counts().lines[i], want.kinds[i]) << i;
    EXPECT_EQ(got.fetches, want.fetches);
    EXPECT_EQ(got.reads, want.reads);
    EXPECT_EQ(got.writes, want.writes);
    EXPECT_EQ(got.pages, want.pages);
}

TEST(Lackey, RecordingOfTrue)
{
    uint64_t touches, operations;
    check_recording("workloads/traces/lackey-true.head3000.lackey.zst", &touches, &operations);
    EXPECT_LT(operations, touches);
}

TEST(Lackey, RecordingOfTheMix)
{
    const std::string path = "workloads/traces/lackey-mix.lackey.zst";
    uint64_t touches, operations;
    check_recording(path, &touches, &operations);
    EXPECT_GT(touches, 2000000u);
    EXPECT_LT(operations, touches * 6 / 10);
    /* workloads/traces/README.md */
    Replay r(read_file(path));
    ts_op op;
    while (r.next(op) == 1)
        ;
    EXPECT_EQ(r.counts().lines[TS_LACKEY_FETCH], 1828618u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_LOAD], 136389u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_STORE], 55823u);
    EXPECT_EQ(r.counts().lines[TS_LACKEY_MODIFY], 12025u);
    EXPECT_EQ(r.counts().other_lines, 25u);
}

/* However the bytes come. */
TEST(Lackey, PiecesDoNotMatter)
{
    const std::string text = read_file("workloads/traces/lackey-true.head3000.lackey.zst");
    Replay whole(text);
    const std::vector<ts_op> want = whole.pull();
    for (size_t piece : {1u, 7u, 4097u}) {
        Replay r(text);
        r.source.piece = piece;
        std::vector<ts_op> got = r.pull();
        EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin(), got.end(), same)) << piece;
    }
}

} // namespace
