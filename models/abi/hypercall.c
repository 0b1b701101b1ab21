/* SPDX-License-Identifier: Apache-2.0 */
#include "models/abi/hypercall.h"

uint64_t ts_hv_fill_gva_list(uint64_t *list, uint64_t room, uint64_t start, uint64_t end)
{
    uint64_t n = 0;

    TS_ASSERT(start < end && ((start | end) & 0xfffu) == 0);
    for (uint64_t at = start; at < end; n++) {
        uint64_t bytes = end - at < TS_HV_GVA_UNIT ? end - at : TS_HV_GVA_UNIT;

        if (n < room)
            list[n] = at | ((bytes >> 12) - 1);
        at += bytes;
    }
    return n;
}

uint32_t ts_hv_banks_of(const uint32_t *vps, uint32_t n, uint64_t *banks)
{
    uint32_t nbanks = 1;

    banks[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bank = vps[i] / 64;

        TS_ASSERT(bank < TS_HV_BANKS && (i == 0 || vps[i] > vps[i - 1]));
        while (nbanks <= bank)
            banks[nbanks++] = 0;
        banks[bank] |= UINT64_C(1) << (vps[i] % 64);
    }
    return nbanks;
}
