/* SPDX-License-Identifier: Apache-2.0 */
/* Static re-reference interval prediction with 2 bits and hit priority. State: one value a way in
 * word 1 + way. */
#include "models/tlb/replacement.h"

#include <string.h>

#define RRPV_LONG UINT64_C(2)    /* where a fill starts */
#define RRPV_DISTANT UINT64_C(3) /* the next victim */

static void srrip_init(uint64_t *state, uint32_t ways)
{
    state[0] = 0;
    for (uint32_t w = 0; w < ways; w++)
        state[1 + w] = RRPV_DISTANT;
}

static void srrip_on_hit(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)ways;
    state[1 + way] = 0;
}

static void srrip_on_fill(uint64_t *state, uint32_t ways, uint32_t way)
{
    (void)ways;
    state[1 + way] = RRPV_LONG;
}

/* Ageing all ways until one is distant equals adding what the oldest lacks. */
static uint32_t srrip_victim(uint64_t *state, uint32_t ways, struct ts_rng *rng)
{
    (void)rng;
    uint32_t oldest = 0;
    for (uint32_t w = 1; w < ways; w++)
        oldest = state[1 + w] > state[1 + oldest] ? w : oldest;
    uint64_t lack = RRPV_DISTANT - state[1 + oldest];
    for (uint32_t w = 0; w < ways; w++)
        state[1 + w] += lack;
    return oldest;
}

const struct ts_replacement_ops ts_replacement_srrip = {
    "srrip",
    "re-reference interval prediction, 2 bits, hit priority",
    "Jaleel, Theobald, Steely, Emer: High performance cache replacement using RRIP, ISCA 2010",
    srrip_init,
    srrip_on_hit,
    srrip_on_fill,
    srrip_victim};
