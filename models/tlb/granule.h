/* SPDX-License-Identifier: Apache-2.0 */
/* Translation granules and the page sizes that follow from them (Arm ARM, "Translation granules";
 * x86 has the 4K one only). Level 0 is the last level, whose leaves are pages; leaves above are
 * blocks. A contiguous run is a group of neighbouring leaves that the tables mark as one (Arm ARM,
 * "Contiguous bit"), which a TLB may cache in one entry. */
#ifndef TS_MODELS_TLB_GRANULE_H
#define TS_MODELS_TLB_GRANULE_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_granule { TS_GRANULE_4K = 0, TS_GRANULE_16K = 1, TS_GRANULE_64K = 2, TS_GRANULES = 3 };

/* log2 of the bytes of a page, and of a table. */
static inline uint32_t ts_granule_shift(uint32_t granule)
{
    return 12u + 2u * granule;
}

/* log2 of the entries of a table. */
static inline uint32_t ts_granule_bits(uint32_t granule)
{
    return ts_granule_shift(granule) - 3u;
}

/* log2 of the bytes that one entry of a table of the level covers. */
static inline uint32_t ts_granule_level_shift(uint32_t granule, uint32_t level)
{
    return ts_granule_shift(granule) + ts_granule_bits(granule) * level;
}

/* Levels that may hold leaves: 4K, 2M, 1G; 16K, 32M; 64K, 512M. */
static inline uint32_t ts_granule_leaf_levels(uint32_t granule)
{
    return granule == TS_GRANULE_4K ? 3u : 2u;
}

/* log2 of the leaves of a contiguous run: 16 of 4K, 2M or 1G; 128 of 16K, 32 of 32M; 32 of 64K or
 * 512M. */
static inline uint32_t ts_granule_contiguous_bits(uint32_t granule, uint32_t level)
{
    return granule == TS_GRANULE_4K ? 4u : granule == TS_GRANULE_16K && level == 0 ? 7u : 5u;
}

#ifdef __cplusplus
}
#endif
#endif
