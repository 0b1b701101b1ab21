/* SPDX-License-Identifier: Apache-2.0 */
/* Shared scripts (shared_scripts.hpp) in which pages are reclaimed, given up and made old while
 * readers use them and another process takes what comes free. */
#ifndef TS_TESTS_SUPPORT_RECLAIM_SCRIPTS_HPP
#define TS_TESTS_SUPPORT_RECLAIM_SCRIPTS_HPP

#include "tests/support/shared_scripts.hpp"

namespace ts_test
{

namespace shared
{

inline ts_op advise(ts_op_kind kind, uint32_t region, uint64_t first, uint64_t pages)
{
    return op_range(kind, region, first * page, pages * page);
}

/* Written pages, a flush for each, and pages that are clean, a flush for a batch of them. */
inline Script paged_out(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 40;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n), op_mmap(1, n * page, TS_OPF_SHARED),
               op_touch(1, 0, n, false)});
    for (uint32_t r = 0; r < rounds; r++)
        add(s[0], {think(5000), advise(TS_OP_MADVISE_PAGEOUT, 0, r % 5, 1 + r % 7), think(3000),
                   advise(TS_OP_MADVISE_PAGEOUT, 1, 0, n), think(3000), op_touch(0, 0, n, false),
                   advise(TS_OP_MADVISE_PAGEOUT, 0, 0, n), think(4000)});
    for (size_t t = 1; t + 1 < s.size(); t++)
        for (uint32_t k = 0; k < 20 * rounds; k++)
            add(s[t], {op_touch(0, 0, n, t % 2 == 1 && k % 4 == 0), op_touch(1, 0, n, false)});
    return end(s, {{0, n}, {1, n}});
}

/* Clean again, written again, given up again: a page goes unless it was written meanwhile. */
inline Script given_up(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 40;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page), op_touch(0, 0, n)});
    for (uint32_t r = 0; r < rounds; r++)
        add(s[0], {think(4000), advise(TS_OP_MADVISE_FREE, 0, r % 5, n - 5),
                   advise(TS_OP_MADVISE_PAGEOUT, 0, 0, n), think(4000),
                   advise(TS_OP_MADVISE_COLD, 0, 0, n), op_touch(0, (r % 9) * page, n / 2),
                   think(2000), op_range(TS_OP_MADVISE_DONTNEED, 0, r % 3 * page, 8 * page)});
    read(s, 0, n, 20 * rounds);
    return end(s, {{0, n}});
}

/* Two threads reclaim the same memory, so that one changes what the other has not flushed. */
inline Script by_two(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 36;
    Script s = begin(readers, rounds, n / 2);
    add(s[0], {op_mmap(0, n * page, TS_OPF_SHARED), op_touch(0, 0, n, false)});
    for (uint32_t r = 0; r < 2 * rounds; r++) {
        for (uint32_t t : {0u, 1u})
            add(s[t], {advise(r % 3 == t ? TS_OP_MADVISE_DONTNEED : TS_OP_MADVISE_PAGEOUT, 0,
                              (r * (t + 2) + t) % 7, n - 8),
                       op_touch(0, 0, n, false), think((r + t * 5) % 8 * 400)});
        for (size_t t = 2; t + 1 < s.size(); t++)
            for (uint32_t k = 0; k < 12; k++)
                s[t].push_back(op_touch(0, 0, n, false));
    }
    return end(s, {{0, n}});
}

/* kswapd does it, while mappings come and go. */
inline Script pressed(uint32_t readers, uint32_t rounds)
{
    constexpr uint64_t n = 16;
    Script s = unmapped(readers, rounds);
    s[0].insert(s[0].begin(), {op_mmap(taken + 1000, n * page, TS_OPF_SHARED),
                               op_touch(taken + 1000, 0, n, false)});
    return s;
}

} // namespace shared

/* kswapd is at work in the last of them. */
inline const std::vector<SharedScript> &reclaim_scripts()
{
    static const std::vector<SharedScript> all = {
        {"paged_out", shared::paged_out, nullptr}, {"given_up", shared::given_up, nullptr},
        {"by_two", shared::by_two, nullptr},       {"drop", shared::drop, nullptr},
        {"protect", shared::protect, nullptr},     {"move", shared::move, nullptr},
        {"pressed", shared::pressed, nullptr},
    };
    return all;
}

} // namespace ts_test
#endif
