/* SPDX-License-Identifier: Apache-2.0 */
/* State: word 0 is a clock, word 1 + way the clock of the way's fill. Not a rotating pointer: a way
 * that was invalidated and filled again is the youngest. */
#include "models/tlb/replacement.h"

#include <string.h>

static void fifo_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
}

static void fifo_on_hit(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)state;
    (void)ways;
    (void)way;
}

static void fifo_on_fill(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)ways;
    state[1 + way] = ++state[0];
}

static uint32_t fifo_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    uint32_t oldest = 0;
    for (uint32_t w = 1; w < ways; w++)
        oldest = state[1 + w] < state[1 + oldest] ? w : oldest;
    return oldest;
}

const struct ts_replacement_ops ts_replacement_fifo = {
    "fifo",
    "first in, first out: hits do not count",
    "A64FX Microarchitecture Manual 1.8, table 8-1 (L1 TLBs)",
    fifo_init,
    fifo_on_hit,
    fifo_on_fill,
    fifo_victim};
