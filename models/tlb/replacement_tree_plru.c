/* SPDX-License-Identifier: Apache-2.0 */
/* A binary tree over the ways, in heap order from node 1; a node's bit points to the half that goes
 * next (1: right). With a number of ways that is no power of two the tree is the next larger one
 * and a half without ways is never chosen.
 *
 * State up to 32 ways: word 0 holds the nodes' bits, word 1 + way what a use does to them (bits of
 * the path in the upper half, their new values in the lower), so a use is three operations. Up to
 * 64: word 0 the same, word 1 + way the new values only. Above: the nodes' bits in words 0.., the
 * path is followed. */
#include "models/tlb/replacement.h"

#include <string.h>

#define PACKED_WAYS 32u
#define WORD_WAYS 64u

static uint32_t leaves_of(uint32_t ways)
{
    return ways < 2 ? 1 : 2u << (31 - __builtin_clz(ways - 1));
}

static void tree_plru_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
    for (uint32_t w = 0; w < ways && ways <= WORD_WAYS; w++) {
        uint64_t path = 0, away = 0;
        for (uint32_t n = leaves_of(ways) + w; n > 1; n >>= 1) {
            uint64_t bit = UINT64_C(1) << (n >> 1);
            path |= bit;
            away |= n & 1u ? 0 : bit;
        }
        state[1 + w] = ways <= PACKED_WAYS ? path << 32 | away : away;
    }
}

static void tree_plru_use(uint64_t *state, uint32_t ways, uint32_t way)
{
    if (ways <= PACKED_WAYS) {
        uint64_t step = state[1 + way];
        state[0] = (state[0] & ~(step >> 32)) | (step & UINT32_MAX);
        return;
    }
    if (ways <= WORD_WAYS) {
        uint32_t leaf = WORD_WAYS + way; /* more than half of it: six levels */
        uint64_t path = UINT64_C(1) << (leaf >> 1) | UINT64_C(1) << (leaf >> 2) |
                        UINT64_C(1) << (leaf >> 3) | UINT64_C(1) << (leaf >> 4) |
                        UINT64_C(1) << (leaf >> 5) | UINT64_C(1) << 1;
        state[0] = (state[0] & ~path) | state[1 + way];
        return;
    }
    uint32_t n = leaves_of(ways) + way;
    for (; n > 1; n >>= 1) {
        uint32_t parent = n >> 1;
        uint64_t *word = &state[parent >> 6];
        uint64_t away = ~n & 1u;
        *word = (*word & ~(UINT64_C(1) << (parent & 63u))) | away << (parent & 63u);
    }
}

static uint32_t tree_plru_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    uint32_t first = 0; /* first way below node n, which spans 2 * half ways */
    uint32_t n = 1;
    for (uint32_t half = leaves_of(ways) >> 1; half > 0; half >>= 1) {
        uint32_t right = (uint32_t)(state[n >> 6] >> (n & 63u) & 1u);
        if (first + half >= ways)
            right = 0;
        n = 2 * n + right;
        first += right ? half : 0;
    }
    return first;
}

const struct ts_replacement_ops ts_replacement_tree_plru = {
    "tree_plru",
    "a bit for each node of a binary tree points away from the last use",
    "Handy: The Cache Memory Book, 1993 (pseudo-LRU); Intel and Arm second-level TLBs, assumed",
    tree_plru_init,
    tree_plru_use,
    tree_plru_use,
    tree_plru_victim};
