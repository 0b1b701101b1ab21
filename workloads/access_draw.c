/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_draw.h"

__extension__ typedef unsigned __int128 ts_u128;

/* --- permutation --- */

/* The finaliser of splitmix64 (sim/rng.c). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void ts_access_perm_init(struct ts_access_perm *p, uint64_t n, struct ts_rng *rng)
{
    TS_ASSERT(n > 0 && n <= UINT64_C(1) << 62);
    uint32_t bits = n > 1 ? 64u - (uint32_t)__builtin_clzll(n - 1) : 0u;
    p->n = n;
    p->left_bits = bits / 2u;
    p->right_bits = bits - p->left_bits;
    for (uint32_t i = 0; i < TS_ACCESS_PERM_ROUNDS; i++)
        p->key[i] = ts_rng_next(rng);
}

uint64_t ts_access_perm_at(const struct ts_access_perm *p, uint64_t i)
{
    const uint64_t left_mask = (UINT64_C(1) << p->left_bits) - 1;
    const uint64_t right_mask = (UINT64_C(1) << p->right_bits) - 1;
    TS_ASSERT(i < p->n);
    do {
        uint64_t left = i >> p->right_bits;
        uint64_t right = i & right_mask;
        for (uint32_t r = 0; r < TS_ACCESS_PERM_ROUNDS; r += 2) {
            left ^= mix(right ^ p->key[r]) & left_mask;
            right ^= mix(left ^ p->key[r + 1]) & right_mask;
        }
        i = left << p->right_bits | right;
    } while (i >= p->n);
    return i;
}

/* --- powers --- */

#define ONE_BITS 62u /* fixed point of factors */
#define LOG_BITS 40u /* fixed point of logarithms */
#define ONE (UINT64_C(1) << ONE_BITS)

static uint64_t multiply(uint64_t a, uint64_t b)
{
    return (uint64_t)((ts_u128)a * b >> ONE_BITS);
}

/* log2 of x in [1, 2): a bit for each squaring. */
static uint64_t log2_of(uint64_t x)
{
    uint64_t log = 0;
    for (uint32_t bit = 0; bit < LOG_BITS; bit++) {
        x = multiply(x, x);
        log <<= 1;
        if (x >= 2u * ONE) {
            x >>= 1;
            log |= 1u;
        }
    }
    return log;
}

/* floor(sqrt(v)) */
static uint64_t square_root(ts_u128 v)
{
    uint64_t root = 0;
    for (uint32_t bit = 64; bit-- > 0;) {
        uint64_t with = root | UINT64_C(1) << bit;
        if ((ts_u128)with * with <= v)
            root = with;
    }
    return root;
}

struct roots {
    uint64_t v[LOG_BITS]; /* 2^-(1/2), 2^-(1/4), ... */
};

static void roots_init(struct roots *r)
{
    uint64_t x = ONE / 2u;
    for (uint32_t i = 0; i < LOG_BITS; i++) {
        x = square_root((ts_u128)x << ONE_BITS);
        r->v[i] = x;
    }
}

/* 2^-log */
static uint64_t exp2_minus(const struct roots *r, uint64_t log)
{
    uint64_t whole = log >> LOG_BITS;
    uint64_t x = ONE;
    for (uint32_t i = 0; i < LOG_BITS; i++) {
        if (log >> (LOG_BITS - 1u - i) & 1u)
            x = multiply(x, r->v[i]);
    }
    return whole < 64u ? x >> whole : 0u;
}

/* --- Zipf --- */

#define WEIGHT_BITS 56u /* one; 64 buckets fit in 64 bits */
#define ACCEPT_BITS 31u

void ts_access_zipf_init(struct ts_access_zipf *z, uint64_t n, uint64_t s_permille)
{
    struct roots roots;
    TS_ASSERT(n > 0 && n <= UINT64_C(1) << 48 && s_permille <= TS_ACCESS_ZIPF_EXPONENT_MAX);
    roots_init(&roots);
    z->n = n;
    z->nbuckets = 64u - (uint32_t)__builtin_clzll(n);
    const uint32_t last = z->nbuckets - 1u;
    /* Bucket k weighs 2^k * 2^(-k s); the heaviest weighs one. */
    const bool rising = s_permille < 1000u;
    const uint64_t slope = rising ? 1000u - s_permille : s_permille - 1000u;
    uint64_t sum = 0;
    for (uint32_t k = 0; k <= last; k++) {
        uint64_t steps = rising ? last - k : k;
        uint64_t log = (uint64_t)(((ts_u128)(steps * slope) << LOG_BITS) / 1000u);
        uint64_t weight = exp2_minus(&roots, log) >> (ONE_BITS - WEIGHT_BITS);
        if (k == last) /* may be cut off by n */
            weight = (uint64_t)((ts_u128)weight * (n - (UINT64_C(1) << k) + 1u) >> k);
        sum += weight;
        z->below[k] = sum;
    }
    for (uint64_t i = 0; i <= TS_ACCESS_ZIPF_STEPS; i++) {
        uint64_t log = i < TS_ACCESS_ZIPF_STEPS ? log2_of(ONE + ONE / TS_ACCESS_ZIPF_STEPS * i)
                                                : UINT64_C(1) << LOG_BITS;
        uint64_t x = exp2_minus(&roots, log * s_permille / 1000u);
        z->accept[i] = (uint32_t)(x >> (ONE_BITS - ACCEPT_BITS));
    }
}

/* (1 + offset / 2^k)^-s, between the steps by a straight line: wrong by less than s(s+1) / 8 of a
 * step squared. */
static uint32_t acceptance(const struct ts_access_zipf *z, uint32_t k, uint64_t offset)
{
    uint64_t fraction = k > 0 ? offset << (64u - k) : 0u; /* of 2^64 */
    uint32_t i = (uint32_t)(fraction >> 54);
    uint64_t between = fraction << 10 >> 32;
    uint64_t step = z->accept[i] - z->accept[i + 1u];
    return z->accept[i] - (uint32_t)(step * between >> 32);
}

uint64_t ts_access_zipf_draw(const struct ts_access_zipf *z, struct ts_rng *rng)
{
    const uint32_t last = z->nbuckets - 1u;
    for (;;) {
        uint64_t weight = ts_rng_below(rng, z->below[last]);
        uint32_t lo = 0, hi = last;
        while (lo < hi) {
            uint32_t mid = (lo + hi) / 2u;
            if (z->below[mid] > weight)
                hi = mid;
            else
                lo = mid + 1u;
        }
        uint64_t first = UINT64_C(1) << lo;
        uint64_t size = lo == last ? z->n - first + 1u : first;
        uint64_t offset = size > 1 ? ts_rng_below(rng, size) : 0u;
        if (offset == 0 || ts_rng_next(rng) >> (64u - ACCEPT_BITS) < acceptance(z, lo, offset))
            return first + offset;
    }
}
