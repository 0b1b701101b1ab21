/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts in which some threads read or write, over and over, what another one unmaps, protects,
 * moves or drops, while a second process takes the frames that come free. Thread 0 changes memory;
 * the readers follow it by region numbers alone: nobody waits for a reader, and a reader that finds
 * its region gone goes on to the next one. A barrier comes only at the end, after which every
 * thread looks at what is left. */
#ifndef TS_TESTS_SUPPORT_SHARED_SCRIPTS_HPP
#define TS_TESTS_SUPPORT_SHARED_SCRIPTS_HPP

#include "tests/support/script_workload.hpp"

namespace ts_test
{

struct SharedScript {
    const char *name;
    Script (*make)(uint32_t readers, uint32_t rounds);
    const char *touch; /* guest.touch; NULL: the default */
};

namespace shared
{

constexpr uint64_t page = 4096;
constexpr uint64_t span = uint64_t(1) << 21; /* of one table of last-level entries */
constexpr uint32_t taken = 1000000;          /* regions of the other process */

inline void add(std::vector<ts_op> &to, std::initializer_list<ts_op> ops)
{
    to.insert(to.end(), ops);
}

inline ts_op think(uint64_t ns)
{
    return op_ns(TS_OP_COMPUTE, ns);
}

inline ts_op unmap(uint32_t region, uint64_t pages)
{
    return op_range(TS_OP_MUNMAP, region, 0, pages * page);
}

/* Threads 0..readers share memory; thread readers + 1 is alone in its own, and takes frames. */
inline Script begin(uint32_t readers, uint32_t rounds, uint64_t pages)
{
    Script s(readers + 2);
    s[0].push_back(op_spawn(readers + 1, TS_OPF_NEW_MM));
    for (uint32_t i = 0; i < 2 * rounds; i++)
        add(s[readers + 1], {op_mmap(taken + i, pages * page), op_touch(taken + i, 0, pages),
                             think(3000), unmap(taken + i, pages), think(i % 7 * 1000)});
    return s;
}

/* Every thread meets the others, then looks twice at what is left. */
inline Script &end(Script &s, std::initializer_list<std::pair<uint32_t, uint64_t>> left)
{
    for (size_t t = 0; t + 1 < s.size(); t++) {
        s[t].push_back(op_barrier(1, s.size() - 1));
        for (int twice = 0; twice < 2; twice++)
            for (auto [region, pages] : left)
                s[t].push_back(op_touch(region, 0, pages, false));
        s[t].push_back(op_barrier(2, s.size() - 1)); /* nobody takes it down meanwhile */
    }
    return s;
}

/* Odd readers write. */
inline void read(Script &s, uint32_t region, uint64_t pages, uint32_t times)
{
    for (size_t t = 1; t + 1 < s.size(); t++)
        for (uint32_t k = 0; k < times; k++)
            s[t].push_back(op_touch(region, 0, pages, t % 2 == 1));
}

/* First a part goes, then the rest; the next region comes to lie at the same address. */
inline Script unmapped(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 16;
    Script s = begin(readers, rounds, n);
    s[0].push_back(op_mmap(0, n * page));
    for (uint32_t r = 1; r <= rounds; r++) {
        add(s[0],
            {op_mmap(r, n * page), op_touch(r, 0, n), think(15000),
             op_range(TS_OP_MUNMAP, r, 3 * page, (1 + r % 6) * page), think(2000), unmap(r, n)});
        read(s, r, n, 300);
    }
    read(s, 0, n, 1);
    return end(s, {{0, n}});
}

/* Everything that a protection can become, and back. */
inline Script protect(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 12;
    Script s = begin(readers, rounds, n);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < rounds; r++) {
        uint64_t first = r % 5 * page, bytes = (1 + r % 7) * page;
        add(s[0],
            {think(3000), op_range(TS_OP_MPROTECT, 0, first, bytes, TS_PROT_READ), think(2000),
             op_range(TS_OP_MPROTECT, 0, first, bytes, TS_PROT_READ | TS_PROT_WRITE), think(3000),
             op_range(TS_OP_MPROTECT, 0, first, bytes, 0), think(2000),
             op_range(TS_OP_MPROTECT, 0, first, bytes, TS_PROT_READ | TS_PROT_WRITE)});
    }
    read(s, 0, n, 40 * rounds);
    return end(s, {{0, n}});
}

/* The pages go, the mapping stays; whoever touches first gets another frame. */
inline Script drop(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 12;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < rounds; r++)
        add(s[0],
            {think(6000), op_range(TS_OP_MADVISE_DONTNEED, 0, r % 5 * page, (1 + r % 7) * page),
             think(4000), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page)});
    read(s, 0, n, 60 * rounds);
    return end(s, {{0, n}});
}

/* Two threads drop pages of the same mapping at once, so that flushes overtake each other and one
 * may find cleared what the other has not flushed yet. */
inline Script drop_by_two(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 12;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < 3 * rounds; r++) {
        for (uint32_t t : {0u, 1u})
            add(s[t], {op_range(TS_OP_MADVISE_DONTNEED, 0, (r * (t + 2) + t) % 7 * page,
                                (1 + r % 4) * page),
                       op_touch(0, 0, n), think((r + t * 5) % 8 * 400)});
        for (size_t t = 2; t + 1 < s.size(); t++)
            for (uint32_t k = 0; k < 12; k++)
                s[t].push_back(op_touch(0, 0, n, t % 2 == 1));
    }
    return end(s, {{0, n}});
}

/* More processes than CPUs, all at the same addresses, so that their CPUs run out of ASIDs: the
 * first drops its pages while its readers are switched out for others. */
inline Script processes(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 12;
    constexpr uint32_t others = 9;
    Script s = begin(readers, 0, n);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < rounds; r++) {
        add(s[0], {op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page), op_touch(0, 0, n),
                   think(20000), op_ns(TS_OP_SLEEP, 5000)});
        for (size_t t = 1; t <= readers; t++)
            add(s[t], {op_touch(0, 0, n, t % 2 == 1), op_ns(TS_OP_SLEEP, t * 4000)});
    }
    end(s, {{0, n}});
    for (uint32_t k = 0; k < others; k++) {
        uint32_t number = uint32_t(s.size());
        s[0].insert(s[0].begin(), op_spawn(number, TS_OPF_NEW_MM));
        s.emplace_back();
        s.back().push_back(op_mmap(taken, n * page));
        for (uint32_t r = 0; r < rounds; r++)
            add(s.back(), {op_touch(taken, 0, n), op_ns(TS_OP_SLEEP, (k + r) % 5 * 7000)});
    }
    return s;
}

/* Readers sleep between their looks: their CPUs are lazy, or run the other process, when the pages
 * go, and flush only on the way back. */
inline Script drop_asleep(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 12;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < rounds; r++) {
        add(s[0], {think(20000 + r % 5 * 9000),
                   op_range(TS_OP_MADVISE_DONTNEED, 0, r % 5 * page, (1 + r % 7) * page),
                   op_touch(0, 0, n)});
        for (size_t t = 1; t + 1 < s.size(); t++)
            add(s[t], {op_touch(0, 0, n, t % 2 == 1), op_ns(TS_OP_SLEEP, t * 3000)});
    }
    return end(s, {{0, n}});
}

/* mremap: the pages come to lie elsewhere, and a new mapping takes the old place, where readers
 * that stay on one page for a while find it. */
inline Script move(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 8;
    Script s = begin(readers, rounds, n);
    const uint32_t guard = 3 * rounds;
    add(s[0], {op_mmap(guard, page), op_touch(guard, 0, 1)});
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t from = 3 * r, to = from + 1, filler = from + 2;
        add(s[0], {op_mmap(from, n * page), op_touch(from, 0, n), think(8000 + r * 83),
                   op_mremap(from, n * page, to, (n + 1) * page), op_mmap(filler, n * page),
                   op_touch(filler, 0, n), think(8000), unmap(filler, n), unmap(to, n + 1)});
        for (size_t t = 1; t + 1 < s.size(); t++)
            for (uint32_t k = 0; k < 60; k++)
                s[t].push_back(op_touch(from, k % n * page, 200, t % 2 == 1, 0));
        read(s, filler, n, 100);
        read(s, to, n, 20);
    }
    read(s, guard, 1, 1);
    return end(s, {{guard, 1}});
}

/* A table is freed and comes back at once as that of another span, with an entry at the same place:
 * thread 0 touches one page of either, so the frame that the next fault takes first is the page's
 * and the second the table's. Readers touch seldom, so that their next walk comes when the table
 * has its new use. It is the second page, so that the range from the table's start to its end is
 * even: of range operations alone. offset: of the first region's start in the second, which is a
 * whole span. */
inline Script tables(Script s, uint32_t first, uint32_t rounds, uint64_t pages, uint64_t offset)
{
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t old = first + 2 * r, next = old + 1;
        add(s[0], {op_mmap(old, pages * page), op_mmap(next, span), op_touch(old, page, 1),
                   think(25000 + r * 271 % 4000), unmap(old, pages),
                   op_touch(next, offset + page, 1), think(12000), unmap(next, span / page)});
        for (size_t t = 1; t + 1 < s.size(); t++)
            for (uint32_t k = 0; k < 10; k++)
                s[t].push_back(op_touch(old, page, 8, t % 2 == 1, 0));
    }
    read(s, 0, 1, 1);
    return end(s, {{0, 1}});
}

/* The whole span goes: more pages than are flushed one by one. */
inline Script table(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds / 4, 2);
    s[0].push_back(op_mmap(0, page));
    return tables(s, 1, rounds, span / page, 0);
}

/* A few pages go, but they were all that kept their table. Region 0 fills the topmost span, of
 * which the stack leaves this much. */
inline Script table_by_pages(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t top = 0x1f0000, n = 4;
    Script s = begin(readers, rounds / 4, 2);
    s[0].push_back(op_mmap(0, top));
    return tables(s, 1, rounds, n, span - n * page);
}

} // namespace shared

inline const std::vector<SharedScript> &shared_scripts()
{
    static const std::vector<SharedScript> all = {
        {"unmapped", shared::unmapped, nullptr},
        {"protect", shared::protect, nullptr},
        {"drop", shared::drop, nullptr},
        {"drop_by_two", shared::drop_by_two, nullptr},
        {"processes", shared::processes, nullptr},
        {"drop_asleep", shared::drop_asleep, nullptr},
        {"move", shared::move, nullptr},
        {"table", shared::table, "5000cycles"},
        {"table_by_pages", shared::table_by_pages, "5000cycles"},
    };
    return all;
}

/* Windows has no mremap. */
inline bool runs_on(const ts_machine_config &c, const SharedScript &script)
{
    return c.guest.os == TS_OS_LINUX || std::string(script.name) != "move";
}

/* One of these in every VM, on four CPUs: the other process's thread comes on top. */
inline Outcome run_shared(ts_machine_config c, const ts_flush_ops *mechanism,
                          const SharedScript &script, uint32_t rounds, const void *params = nullptr)
{
    constexpr uint32_t readers = 3;
    if (script.touch)
        set(c, "guest.touch", script.touch);
    if (c.guest.os == TS_OS_LINUX) {
        set(c, "guest.rcu_table_free", "never"); /* a table's frame comes back at once */
        set(c, "guest.zero_page", "false");      /* and every page has another frame */
    }
    return run_script(c, script.make(readers, rounds), readers + 1, mechanism, params);
}

inline uint64_t count_ops(const SharedScript &script, uint32_t rounds, ts_op_kind kind)
{
    uint64_t n = 0;
    for (const auto &thread : script.make(3, rounds))
        for (const ts_op &op : thread)
            n += op.kind == kind;
    return n;
}

} // namespace ts_test
#endif
