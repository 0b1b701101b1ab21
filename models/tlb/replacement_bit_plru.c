/* SPDX-License-Identifier: Apache-2.0 */
/* State: one MRU bit a way, 64 a word. The use that would set the last clear bit clears all others,
 * so a clear bit always exists (with one way there is no choice to make). */
#include "models/tlb/replacement.h"

#include <string.h>

static void bit_plru_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
}

static uint64_t word_mask(uint32_t ways, uint32_t word)
{
    uint32_t left = ways - word * 64u;
    return left >= 64u ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

static void bit_plru_use(uint64_t *state, uint32_t ways, uint32_t way)
{
    if (ways <= 64u) {
        uint64_t bit = UINT64_C(1) << way, used = state[0] | bit;
        state[0] = used == word_mask(ways, 0) ? bit : used;
        return;
    }
    uint32_t words = (ways + 63u) >> 6;
    state[way >> 6] |= UINT64_C(1) << (way & 63u);
    for (uint32_t i = 0; i < words; i++)
        if (state[i] != word_mask(ways, i))
            return;
    for (uint32_t i = 0; i < words; i++)
        state[i] = 0;
    state[way >> 6] = UINT64_C(1) << (way & 63u);
}

static uint32_t bit_plru_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    for (uint32_t w = 0; w < ways; w++)
        if (!(state[w >> 6] >> (w & 63u) & 1u))
            return w;
    return 0;
}

const struct ts_replacement_ops ts_replacement_bit_plru = {
    "bit_plru",
    "most-recently-used bits: the lowest way without one goes",
    "Al-Zoubi, Milenkovic, Milenkovic: Performance evaluation of cache replacement policies, 2004",
    bit_plru_init,
    bit_plru_use,
    bit_plru_use,
    bit_plru_victim};
