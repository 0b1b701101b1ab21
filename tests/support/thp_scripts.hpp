/* SPDX-License-Identifier: Apache-2.0 */
/* Shared scripts (shared_scripts.hpp) over huge pages: they are unmapped, dropped, protected and
 * moved as a whole and in parts, while readers use them and another process takes what comes free.
 */
#ifndef TS_TESTS_SUPPORT_THP_SCRIPTS_HPP
#define TS_TESTS_SUPPORT_THP_SCRIPTS_HPP

#include "tests/support/shared_scripts.hpp"

namespace ts_test
{

namespace shared
{

constexpr uint64_t huge_pages = 2 * span / page; /* of two huge pages */

/* Sixteen pages of the two. */
inline ts_op look(uint32_t region, bool write, uint64_t from = 0, uint64_t count = 16)
{
    return op_touch(region, from, count, write, span / 8);
}

inline void look_often(Script &s, uint32_t region, uint32_t times, uint64_t count = 16)
{
    for (size_t t = 1; t + 1 < s.size(); t++)
        for (uint32_t k = 0; k < times; k++)
            s[t].push_back(look(region, t % 2 == 1, k % 8 * page, count));
}

inline Script huge_unmapped(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds, huge_pages);
    s[0].push_back(op_mmap(0, page));
    for (uint32_t r = 1; r <= rounds; r++) {
        add(s[0], {op_mmap(r, 2 * span), look(r, true), think(15000)});
        if (r % 2) /* parts of one or of both */
            add(s[0], {op_range(TS_OP_MUNMAP, r, (r % 5 + 1) * span / 4, span / 2), think(5000)});
        add(s[0], {op_range(TS_OP_MUNMAP, r, 0, 2 * span)});
        look_often(s, r, 60);
    }
    s[0].push_back(op_touch(0, 0, 1));
    return end(s, {{0, 1}});
}

/* As a whole first; once a part has gone, pages of 4K are what comes back. */
inline Script huge_dropped(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds, huge_pages);
    add(s[0], {op_mmap(0, 2 * span), look(0, true)});
    for (uint32_t r = 0; r < rounds; r++)
        add(s[0],
            {think(6000),
             op_range(TS_OP_MADVISE_DONTNEED, 0, r < rounds / 2 ? r % 2 * span : r % 3 * span / 2,
                      r < rounds / 2 ? span : span / 2),
             think(4000), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 2 * span), think(2000)});
    look_often(s, 0, 40 * rounds);
    return end(s, {{0, 16}});
}

/* Every round has a mapping of its own, of which whole entries and parts change. */
inline Script huge_protected(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds, huge_pages);
    s[0].push_back(op_mmap(0, page));
    for (uint32_t r = 1; r <= rounds; r++) {
        uint64_t first = r % 2 ? 0 : span / 2, bytes = (1 + r % 2) * span;
        add(s[0], {op_mmap(r, 2 * span), look(r, true), think(5000),
                   op_range(TS_OP_MPROTECT, r, first, bytes, TS_PROT_READ), think(3000),
                   op_range(TS_OP_MPROTECT, r, first, bytes, TS_PROT_READ | TS_PROT_WRITE),
                   think(3000), op_range(TS_OP_MPROTECT, r, first, bytes, 0), think(3000),
                   op_range(TS_OP_MPROTECT, r, first, bytes, TS_PROT_READ | TS_PROT_WRITE),
                   think(3000), op_range(TS_OP_MUNMAP, r, 0, 2 * span)});
        look_often(s, r, 60);
    }
    s[0].push_back(op_touch(0, 0, 1));
    return end(s, {{0, 1}});
}

/* Entries move, or are split where the new place does not fit; a new mapping takes the old one. */
inline Script huge_moved(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds, huge_pages);
    const uint32_t guard = 3 * rounds;
    add(s[0], {op_mmap(guard, page), op_touch(guard, 0, 1)});
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t from = 3 * r, to = from + 1, filler = from + 2;
        uint64_t length = r % 2 ? 2 * span : 2 * span - span / 4;
        add(s[0],
            {op_mmap(from, 2 * span), look(from, true), think(8000),
             op_mremap(from, length, to, 3 * span), op_mmap(filler, 2 * span), look(filler, true),
             think(8000), op_range(TS_OP_MUNMAP, filler, 0, 2 * span),
             op_range(TS_OP_MUNMAP, to, 0, 3 * span), op_range(TS_OP_MUNMAP, from, 0, 2 * span)});
        look_often(s, from, 40);
        look_often(s, filler, 40);
        look_often(s, to, 10, 12);
    }
    read(s, guard, 1, 1);
    return end(s, {{guard, 1}});
}

/* A part goes, which splits the entry, and the rest is made one again. */
inline Script huge_collapsed(uint32_t readers, uint32_t rounds)
{
    Script s = begin(readers, rounds, huge_pages);
    add(s[0], {op_mmap(0, 2 * span), look(0, true)});
    for (uint32_t r = 0; r < rounds; r++)
        add(s[0], {think(6000),
                   op_range(TS_OP_MADVISE_DONTNEED, 0, r % 6 * span / 4, (1 + r % 2) * span / 4),
                   think(4000), op_range(TS_OP_MADVISE_COLLAPSE, 0, 0, 2 * span)});
    look_often(s, 0, 60 * rounds);
    return end(s, {{0, 16}});
}

} // namespace shared

inline const std::vector<SharedScript> &thp_scripts()
{
    static const std::vector<SharedScript> all = {
        {"huge_unmapped", shared::huge_unmapped, nullptr},
        {"huge_dropped", shared::huge_dropped, nullptr},
        {"huge_protected", shared::huge_protected, nullptr},
        {"huge_moved", shared::huge_moved, nullptr},
        {"huge_collapsed", shared::huge_collapsed, nullptr},
    };
    return all;
}

} // namespace ts_test
#endif
