/* SPDX-License-Identifier: Apache-2.0 */
/* State: word 0 is a clock, word 1 + way the clock of the way's last use. 64 bits do not wrap. */
#include "models/tlb/replacement.h"

#include <string.h>

static void lru_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
}

static void lru_use(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)ways;
    state[1 + way] = ++state[0];
}

static uint32_t lru_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    uint32_t oldest = 0;
    for (uint32_t w = 1; w < ways; w++)
        oldest = state[1 + w] < state[1 + oldest] ? w : oldest;
    return oldest;
}

const struct ts_replacement_ops ts_replacement_lru = {
    "lru",
    "least recently used, exact",
    "Mattson, Gecsei, Slutz, Traiger: Evaluation techniques for storage hierarchies, 1970",
    lru_init,
    lru_use,
    lru_use,
    lru_victim};
