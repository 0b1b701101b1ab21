/* SPDX-License-Identifier: Apache-2.0 */
/* State: one used bit a way, 64 a word. A use sets it; only a victim scan that finds all of them
 * set clears them. (bit_plru clears at the use that would set the last one.) */
#include "models/tlb/replacement.h"

#include <string.h>

static void nru_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
}

static void nru_use(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)ways;
    state[way >> 6] |= UINT64_C(1) << (way & 63u);
}

static uint32_t nru_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    for (uint32_t w = 0; w < ways; w++)
        if (!(state[w >> 6] >> (w & 63u) & 1u))
            return w;
    for (uint32_t word = 0; word <= (ways - 1) >> 6; word++)
        state[word] = 0;
    return 0;
}

const struct ts_replacement_ops ts_replacement_nru = {
    "nru",
    "not recently used: one bit a way, cleared when the victim scan finds none",
    "Jaleel, Theobald, Steely, Emer: High performance cache replacement using RRIP, ISCA 2010",
    nru_init,
    nru_use,
    nru_use,
    nru_victim};
