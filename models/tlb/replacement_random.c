/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/replacement.h"

#include <string.h>

static void random_init(uint64_t *state, uint32_t ways)
{
    memset(state, 0, (ways + 1u) * sizeof(*state));
}

static void random_ignore(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)state;
    (void)ways;
    (void)way;
}

static uint32_t random_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)state;
    return (uint32_t)ts_rng_below(rng, ways);
}

const struct ts_replacement_ops ts_replacement_random = {
    "random",
    "any way with equal chance, from the structure's own stream",
    "MIPS R4000 User's Manual, Random register (TLBWR)",
    random_init,
    random_ignore,
    random_ignore,
    random_victim};
