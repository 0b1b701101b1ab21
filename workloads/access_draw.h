/* SPDX-License-Identifier: Apache-2.0 */
/* Draws for access patterns, in constant time and memory whatever the number of pages, by integer
 * arithmetic alone: the same numbers on every machine. */
#ifndef TS_WORKLOADS_ACCESS_DRAW_H
#define TS_WORKLOADS_ACCESS_DRAW_H

#include "sim/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A random permutation of [0, n), not stored: a Feistel network over the smallest power of two that
 * holds n, applied again while the result is not below n (cycle walking: Black and Rogaway,
 * "Ciphers with Arbitrary Finite Domains", CT-RSA 2002). Fewer than two turns on average. No bias
 * is found from about 32 elements on; of fewer, some orders are a few per cent more likely. */
#define TS_ACCESS_PERM_ROUNDS 8u /* even: one for each half in turn */

struct ts_access_perm {
    uint64_t n;
    uint32_t left_bits;
    uint32_t right_bits;
    uint64_t key[TS_ACCESS_PERM_ROUNDS];
};

/* 0 < n <= 2^62. Takes the key from rng. */
void ts_access_perm_init(struct ts_access_perm *p, uint64_t n, struct ts_rng *rng);
/* i < n. */
uint64_t ts_access_perm_at(const struct ts_access_perm *p, uint64_t i);

/* Ranks 1..n with probability proportional to rank^-s, by rejection: a rank's power of two 2^k is
 * drawn as if all its ranks were as likely as 2^k, then a rank of [2^k, 2^(k+1)) uniformly, which
 * is taken with probability (rank / 2^k)^-s. */
#define TS_ACCESS_ZIPF_STEPS 1024u
#define TS_ACCESS_ZIPF_EXPONENT_MAX 4000u

struct ts_access_zipf {
    uint64_t n;
    uint32_t nbuckets;
    uint64_t below[64];                        /* weight of buckets 0..k together */
    uint32_t accept[TS_ACCESS_ZIPF_STEPS + 1]; /* (1 + i / steps)^-s, 2^31 is one */
};

/* 0 < n <= 2^48; s in thousandths, at most TS_ACCESS_ZIPF_EXPONENT_MAX; 0 is uniform. */
void ts_access_zipf_init(struct ts_access_zipf *z, uint64_t n, uint64_t s_permille);
uint64_t ts_access_zipf_draw(const struct ts_access_zipf *z, struct ts_rng *rng);

#ifdef __cplusplus
}
#endif
#endif
