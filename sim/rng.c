/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"

__extension__ typedef unsigned __int128 ts_u128;

/* round(2^32 * ln(1 + i / 256)) for i = 0..256, made with 60 decimal digits:
 * python3 -c "from decimal import *; getcontext().prec = 60; print([int((1 + Decimal(i) / 256).ln()
 * * 2**32 + Decimal('0.5')) for i in range(257)])" */
static const uint32_t ln_table[257] = {
    0u,          16744533u,   33424039u,   50039020u,   66589974u,   83077393u,   99501762u,
    115863562u,  132163268u,  148401349u,  164578269u,  180694488u,  196750459u,  212746631u,
    228683449u,  244561349u,  260380768u,  276142134u,  291845871u,  307492399u,  323082134u,
    338615487u,  354092863u,  369514665u,  384881291u,  400193133u,  415450582u,  430654022u,
    445803834u,  460900396u,  475944079u,  490935254u,  505874286u,  520761536u,  535597362u,
    550382118u,  565116154u,  579799817u,  594433450u,  609017394u,  623551984u,  638037554u,
    652474432u,  666862946u,  681203418u,  695496167u,  709741511u,  723939763u,  738091233u,
    752196229u,  766255054u,  780268011u,  794235396u,  808157507u,  822034634u,  835867069u,
    849655098u,  863399005u,  877099072u,  890755577u,  904368797u,  917939005u,  931466472u,
    944951467u,  958394255u,  971795100u,  985154263u,  998472001u,  1011748572u, 1024984229u,
    1038179224u, 1051333805u, 1064448219u, 1077522711u, 1090557523u, 1103552895u, 1116509066u,
    1129426270u, 1142304743u, 1155144714u, 1167946415u, 1180710071u, 1193435910u, 1206124153u,
    1218775023u, 1231388739u, 1243965519u, 1256505579u, 1269009132u, 1281476389u, 1293907562u,
    1306302859u, 1318662486u, 1330986647u, 1343275546u, 1355529384u, 1367748360u, 1379932673u,
    1392082518u, 1404198090u, 1416279581u, 1428327183u, 1440341085u, 1452321476u, 1464268541u,
    1476182467u, 1488063435u, 1499911628u, 1511727226u, 1523510409u, 1535261353u, 1546980234u,
    1558667227u, 1570322505u, 1581946239u, 1593538601u, 1605099758u, 1616629879u, 1628129128u,
    1639597673u, 1651035675u, 1662443297u, 1673820701u, 1685168045u, 1696485489u, 1707773188u,
    1719031300u, 1730259979u, 1741459379u, 1752629651u, 1763770948u, 1774883418u, 1785967210u,
    1797022473u, 1808049353u, 1819047995u, 1830018543u, 1840961141u, 1851875930u, 1862763052u,
    1873622647u, 1884454852u, 1895259807u, 1906037648u, 1916788510u, 1927512529u, 1938209838u,
    1948880570u, 1959524856u, 1970142828u, 1980734614u, 1991300345u, 2001840147u, 2012354148u,
    2022842474u, 2033305250u, 2043742599u, 2054154646u, 2064541513u, 2074903321u, 2085240191u,
    2095552242u, 2105839594u, 2116102364u, 2126340670u, 2136554628u, 2146744353u, 2156909961u,
    2167051565u, 2177169278u, 2187263213u, 2197333481u, 2207380193u, 2217403458u, 2227403387u,
    2237380086u, 2247333665u, 2257264230u, 2267171887u, 2277056741u, 2286918897u, 2296758460u,
    2306575533u, 2316370217u, 2326142616u, 2335892829u, 2345620959u, 2355327104u, 2365011363u,
    2374673836u, 2384314620u, 2393933811u, 2403531508u, 2413107804u, 2422662797u, 2432196579u,
    2441709246u, 2451200890u, 2460671605u, 2470121482u, 2479550612u, 2488959088u, 2498346998u,
    2507714433u, 2517061482u, 2526388233u, 2535694775u, 2544981195u, 2554247578u, 2563494013u,
    2572720585u, 2581927378u, 2591114477u, 2600281967u, 2609429930u, 2618558451u, 2627667611u,
    2636757492u, 2645828176u, 2654879744u, 2663912276u, 2672925851u, 2681920551u, 2690896452u,
    2699853634u, 2708792175u, 2717712152u, 2726613642u, 2735496721u, 2744361466u, 2753207951u,
    2762036253u, 2770846446u, 2779638603u, 2788412798u, 2797169106u, 2805907598u, 2814628347u,
    2823331424u, 2832016902u, 2840684851u, 2849335342u, 2857968445u, 2866584230u, 2875182766u,
    2883764122u, 2892328366u, 2900875568u, 2909405794u, 2917919111u, 2926415587u, 2934895289u,
    2943358281u, 2951804631u, 2960234402u, 2968647661u, 2977044472u,
};

/* Splitmix64 (Steele, Lea and Flood, OOPSLA 2014), with the constants of Vigna's splitmix64.c. */
static uint64_t splitmix64_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* Seed, name and instance are mixed in one after the other, each through a full splitmix64 step, so
 * that neighbouring seeds and instances give unrelated streams. */
void ts_rng_init(struct ts_rng *rng, uint64_t seed, const char *name, uint64_t instance)
{
    uint64_t state = seed;

    state = splitmix64_next(&state) ^ hash_name(name);
    state = splitmix64_next(&state) ^ instance;
    /* Four outputs of splitmix64 are distinct, so the state is never all zeros. */
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64_next(&state);
}

static inline uint64_t rotate_left(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

uint64_t ts_rng_next(struct ts_rng *rng)
{
    uint64_t result = rotate_left(rng->s[1] * 5, 7) * 9;
    uint64_t t = rng->s[1] << 17;

    rng->s[2] ^= rng->s[0];
    rng->s[3] ^= rng->s[1];
    rng->s[1] ^= rng->s[2];
    rng->s[0] ^= rng->s[3];
    rng->s[2] ^= t;
    rng->s[3] = rotate_left(rng->s[3], 45);
    return result;
}

/* Lemire, "Fast Random Integer Generation in an Interval", 2019: the high half of a product, with
 * the few low halves rejected that would favour some results. */
uint64_t ts_rng_below(struct ts_rng *rng, uint64_t n)
{
    ts_u128 product;

    TS_ASSERT(n > 0);
    product = (ts_u128)ts_rng_next(rng) * n;
    if ((uint64_t)product < n) {
        uint64_t reject = (0 - n) % n;

        while ((uint64_t)product < reject)
            product = (ts_u128)ts_rng_next(rng) * n;
    }
    return (uint64_t)(product >> 64);
}

uint64_t ts_rng_between(struct ts_rng *rng, uint64_t lo, uint64_t hi)
{
    TS_ASSERT(lo <= hi);
    if (hi - lo == UINT64_MAX)
        return ts_rng_next(rng);
    return lo + ts_rng_below(rng, hi - lo + 1);
}

bool ts_rng_chance(struct ts_rng *rng, uint64_t num, uint64_t den)
{
    TS_ASSERT(den > 0);
    return ts_rng_below(rng, den) < num;
}

/* u = r / 2^64 = 2^-(zeros + 1) * (1 + f), so -ln u = (zeros + 1) * ln 2 - ln(1 + f). The table is
 * interpolated linearly between its 256 intervals: the error is below 2 * 10^-6 of the mean. */
uint64_t ts_rng_exponential(struct ts_rng *rng, uint64_t mean)
{
    uint64_t r = ts_rng_next(rng) | 1;
    uint32_t zeros = (uint32_t)__builtin_clzll(r);
    uint64_t f = zeros < 63 ? r << (zeros + 1) : 0; /* fraction of 2^64 */
    uint32_t i = (uint32_t)(f >> 56);
    uint64_t step = ln_table[i + 1] - ln_table[i];
    uint64_t ln_1f = ln_table[i] + (step * (f >> 24 & UINT32_MAX) >> 32);
    uint64_t minus_ln_u = (zeros + 1) * (uint64_t)ln_table[256] - ln_1f;

    TS_ASSERT(mean < UINT64_C(1) << 40);
    return (uint64_t)(((ts_u128)mean * minus_ln_u + (UINT64_C(1) << 31)) >> 32);
}
