/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/param.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

namespace
{

struct Params {
    uint64_t ways;
    uint64_t enabled;
    uint64_t latency_ps;
    uint64_t probe_cycles;
    uint64_t clock_hz;
    uint64_t page_bytes;
    uint64_t bandwidth;
    uint64_t policy;
};

const char *const policies[] = {"lru", "plru", "random", nullptr};

const ts_param rows[] = {
    {"l2.ways", TS_PARAM_COUNT, offsetof(Params, ways), 8, 1, 64, nullptr, "ways", "test",
     TS_CONF_CHOICE},
    {"enabled", TS_PARAM_BOOL, offsetof(Params, enabled), 1, 0, 1, nullptr, "on", "test",
     TS_CONF_CHOICE},
    {"latency", TS_PARAM_TIME, offsetof(Params, latency_ps), 180 * TS_NS, 0, TS_MS, nullptr, "time",
     "test", TS_CONF_GUESS},
    {"probe", TS_PARAM_CYCLES, offsetof(Params, probe_cycles), 4, 0, 1000, nullptr, "cycles",
     "test", TS_CONF_VERBATIM},
    {"clock", TS_PARAM_FREQ, offsetof(Params, clock_hz), 2500000000u, 1000, UINT64_MAX, nullptr,
     "clock", "test", TS_CONF_VERBATIM},
    {"page", TS_PARAM_BYTES, offsetof(Params, page_bytes), 4096, 0, UINT64_MAX, nullptr, "page",
     "test", TS_CONF_DERIVED},
    {"bandwidth", TS_PARAM_RATE, offsetof(Params, bandwidth), 20000000000u, 0, UINT64_MAX, nullptr,
     "rate", "test", TS_CONF_REMEMBERED},
    {"policy", TS_PARAM_ENUM, offsetof(Params, policy), 1, 0, 2, policies, "policy", "test",
     TS_CONF_CHOICE},
};
const ts_param_table table = {"tlb", rows, TS_ARRAY_LEN(rows)};

const ts_param *row(const char *key)
{
    return ts_param_find(&table, key);
}

/* The value, or the message. */
std::string parse(const char *key, const char *text)
{
    uint64_t value = 12345;
    ts_error err;

    if (ts_param_parse(row(key), text, &value, &err) == TS_OK)
        return std::to_string(value);
    EXPECT_EQ(value, 12345u) << "a failed parse stores nothing";
    EXPECT_EQ(err.status, TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find(key), std::string::npos) << err.message;
    EXPECT_NE(std::string(err.message).find(text), std::string::npos) << err.message;
    return err.message;
}

bool has(const std::string &text, const char *part)
{
    return text.find(part) != std::string::npos;
}

TEST(Param, DefaultsFillEveryField)
{
    Params p = {};

    ts_param_defaults(&table, &p);
    EXPECT_EQ(p.ways, 8u);
    EXPECT_EQ(p.enabled, 1u);
    EXPECT_EQ(p.latency_ps, 180 * TS_NS);
    EXPECT_EQ(p.clock_hz, 2500000000u);
    EXPECT_EQ(p.policy, 1u);
    for (const ts_param &r : rows)
        EXPECT_EQ(ts_param_get(&r, &p), r.def) << r.key;
}

TEST(Param, FindKnowsItsKeysOnly)
{
    for (const ts_param &r : rows)
        EXPECT_EQ(row(r.key), &r);
    EXPECT_EQ(row("l2"), nullptr);
    EXPECT_EQ(row(""), nullptr);
}

TEST(Param, EveryUnitHasItsScale)
{
    EXPECT_EQ(parse("latency", "7ps"), "7");
    EXPECT_EQ(parse("latency", "7ns"), "7000");
    EXPECT_EQ(parse("latency", "7us"), "7000000");
    EXPECT_EQ(parse("latency", "7ms"), "7000000000");
    EXPECT_EQ(parse("latency", "7s"), "7000000000000");
    EXPECT_EQ(parse("clock", "7Hz"), "7");
    EXPECT_EQ(parse("clock", "7kHz"), "7000");
    EXPECT_EQ(parse("clock", "7MHz"), "7000000");
    EXPECT_EQ(parse("clock", "7GHz"), "7000000000");
    EXPECT_EQ(parse("page", "7B"), "7");
    EXPECT_EQ(parse("page", "7KiB"), std::to_string(7u << 10));
    EXPECT_EQ(parse("page", "7MiB"), std::to_string(7u << 20));
    EXPECT_EQ(parse("page", "7GiB"), std::to_string(UINT64_C(7) << 30));
    EXPECT_EQ(parse("page", "7TiB"), std::to_string(UINT64_C(7) << 40));
    EXPECT_EQ(parse("bandwidth", "7B/s"), "7");
    EXPECT_EQ(parse("bandwidth", "7KB/s"), "7000");
    EXPECT_EQ(parse("bandwidth", "7MB/s"), "7000000");
    EXPECT_EQ(parse("bandwidth", "7GB/s"), "7000000000");
    EXPECT_EQ(parse("bandwidth", "7GiB/s"), std::to_string(UINT64_C(7) << 30));
    EXPECT_EQ(parse("probe", "12cycles"), "12");
    EXPECT_EQ(parse("probe", "1 cycle"), "1");
    EXPECT_EQ(parse("l2.ways", "12"), "12");
}

TEST(Param, FractionsAreExact)
{
    EXPECT_EQ(parse("clock", "2.5GHz"), "2500000000");
    EXPECT_EQ(parse("latency", "0.001ns"), "1");
    EXPECT_EQ(parse("latency", "1.50 us"), "1500000");
    EXPECT_EQ(parse("page", "0.5KiB"), "512");
    EXPECT_EQ(parse("l2.ways", "4.0"), "4");
    EXPECT_TRUE(has(parse("latency", "0.5ps"), "not a whole number of ps"));
    EXPECT_TRUE(has(parse("latency", "0.0001ns"), "not a whole number of ps"));
    EXPECT_TRUE(has(parse("l2.ways", "4.5"), "not a whole number"));
}

TEST(Param, UnitsAreRequiredExceptForZeroWhereZeroHasOneMeaning)
{
    EXPECT_EQ(parse("latency", "0"), "0");
    EXPECT_EQ(parse("probe", "0"), "0");
    EXPECT_EQ(parse("page", "0"), "0");
    EXPECT_TRUE(has(parse("latency", "5"), "has no unit"));
    EXPECT_TRUE(has(parse("probe", "5"), "has no unit"));
    EXPECT_TRUE(has(parse("page", "5"), "has no unit"));
    EXPECT_TRUE(has(parse("clock", "0"), "has no unit"));
    EXPECT_TRUE(has(parse("bandwidth", "0"), "has no unit"));
}

TEST(Param, WrongUnitsAndNumbersSayWhatIsExpected)
{
    EXPECT_TRUE(has(parse("latency", "5cycles"), "unknown unit"));
    EXPECT_TRUE(has(parse("latency", "5cycles"), "180ns"));
    EXPECT_TRUE(has(parse("latency", "5NS"), "unknown unit"));
    EXPECT_TRUE(has(parse("latency", "5nsx"), "unknown unit"));
    EXPECT_TRUE(has(parse("page", "4KB"), "KiB"));
    EXPECT_TRUE(has(parse("l2.ways", "8ns"), "unknown unit"));
    EXPECT_TRUE(has(parse("l2.ways", "1.2.3"), "unknown unit"));
    EXPECT_TRUE(has(parse("l2.ways", "-1"), "is no number"));
    EXPECT_TRUE(has(parse("l2.ways", " 1"), "is no number"));
    EXPECT_TRUE(has(parse("latency", "ns"), "is no number"));
    EXPECT_TRUE(has(parse("latency", ".5ns"), "is no number"));
    EXPECT_TRUE(has(parse("l2.ways", "99999999999999999999"), "too many digits"));
    EXPECT_TRUE(has(parse("page", "99999999999TiB"), "too large"));
    uint64_t value = 12345;
    ts_error err;
    EXPECT_EQ(ts_param_parse(row("latency"), "", &value, &err), TS_ERR_USER);
}

TEST(Param, LargestNumbersFit)
{
    EXPECT_EQ(parse("page", "18446744073709551615B"), std::to_string(UINT64_MAX));
    EXPECT_TRUE(has(parse("page", "18446744073709551616B"), "too many digits"));
    EXPECT_EQ(parse("page", "16777215TiB"), std::to_string(UINT64_C(16777215) << 40));
    EXPECT_TRUE(has(parse("page", "16777216TiB"), "too large"));
}

TEST(Param, BoolsHaveSixWords)
{
    for (const char *word : {"true", "on", "yes"})
        EXPECT_EQ(parse("enabled", word), "1");
    for (const char *word : {"false", "off", "no"})
        EXPECT_EQ(parse("enabled", word), "0");
    for (const char *word : {"True", "1", "0", "y"})
        EXPECT_TRUE(has(parse("enabled", word), "no truth value"));
}

TEST(Param, EnumsGiveTheirIndexOrTheNearestName)
{
    EXPECT_EQ(parse("policy", "lru"), "0");
    EXPECT_EQ(parse("policy", "random"), "2");
    EXPECT_TRUE(has(parse("policy", "rnadom"), "did you mean 'random'?"));
    EXPECT_TRUE(has(parse("policy", "zzzzzz"), "lru, plru, random"));
    EXPECT_FALSE(has(parse("policy", "zzzzzz"), "did you mean"));
}

TEST(Param, CheckNamesTheFirstValueOutOfBounds)
{
    Params p;
    ts_error err{};
    ts_param_defaults(&table, &p);
    EXPECT_EQ(ts_param_check(&table, &p, &err), TS_OK);
    p.policy = 2;
    EXPECT_EQ(ts_param_check(&table, &p, &err), TS_OK);
    p.policy = 3;
    EXPECT_EQ(ts_param_check(&table, &p, &err), TS_ERR_USER);
    EXPECT_STREQ(err.message, "tlb.policy is 3: must be 0 to 2");
}

TEST(Param, SetChecksTheBoundsInclusively)
{
    Params p = {};
    ts_error err;

    ts_param_defaults(&table, &p);
    EXPECT_EQ(ts_param_set(row("l2.ways"), &p, "1", &err), TS_OK);
    EXPECT_EQ(ts_param_set(row("l2.ways"), &p, "64", &err), TS_OK);
    EXPECT_EQ(p.ways, 64u);
    EXPECT_EQ(ts_param_set(row("l2.ways"), &p, "0", &err), TS_ERR_USER);
    EXPECT_EQ(ts_param_set(row("l2.ways"), &p, "65", &err), TS_ERR_USER);
    EXPECT_STREQ(err.message, "l2.ways: '65' is out of bounds: must be 1 to 64");
    EXPECT_EQ(ts_param_set(row("latency"), &p, "2ms", &err), TS_ERR_USER);
    EXPECT_STREQ(err.message, "latency: '2ms' is out of bounds: must be 0ps to 1ms");
    EXPECT_EQ(p.ways, 64u);
    EXPECT_EQ(p.latency_ps, 180 * TS_NS);
    EXPECT_EQ(ts_param_set(row("policy"), &p, "random", &err), TS_OK);
    EXPECT_EQ(p.policy, 2u);
}

std::string format(const char *key, uint64_t value)
{
    char buf[64];
    int n = ts_param_format(row(key), value, buf, sizeof(buf));

    EXPECT_EQ(static_cast<size_t>(n), std::string(buf).size());
    return buf;
}

TEST(Param, FormatTakesTheLargestExactUnit)
{
    EXPECT_EQ(format("clock", 2500000000u), "2500MHz");
    EXPECT_EQ(format("clock", 2000000000u), "2GHz");
    EXPECT_EQ(format("latency", 180000), "180ns");
    EXPECT_EQ(format("latency", 180001), "180001ps");
    EXPECT_EQ(format("latency", 0), "0ps");
    EXPECT_EQ(format("latency", 60 * TS_S), "60s");
    EXPECT_EQ(format("page", 4096), "4KiB");
    EXPECT_EQ(format("page", 4097), "4097B");
    EXPECT_EQ(format("bandwidth", 20000000000u), "20GB/s");
    EXPECT_EQ(format("bandwidth", UINT64_C(3) << 30), "3GiB/s");
    EXPECT_EQ(format("probe", 1), "1cycles");
    EXPECT_EQ(format("l2.ways", 8), "8");
    EXPECT_EQ(format("enabled", 0), "false");
    EXPECT_EQ(format("policy", 1), "plru");
}

TEST(Param, FormatReturnsTheLengthItWouldNeed)
{
    char small[4];

    EXPECT_EQ(ts_param_format(row("clock"), 2500000000u, small, sizeof(small)), 7);
    EXPECT_STREQ(small, "250");
}

TEST(Param, ParseReadsBackWhatFormatWrites)
{
    ts_rng rng;

    ts_rng_init(&rng, 1, "param_test", 0);
    for (const ts_param &r : rows) {
        uint64_t range = r.type == TS_PARAM_ENUM ? 3 : r.type == TS_PARAM_BOOL ? 2 : 0;

        for (int i = 0; i < 300; i++) {
            uint64_t value =
                range ? ts_rng_below(&rng, range) : ts_rng_next(&rng) >> ts_rng_below(&rng, 64);

            /* Round values too, so that the large units come up. */
            if (!range && i % 2 == 0)
                value -= value % 1000000000;
            EXPECT_EQ(parse(r.key, format(r.key, value).c_str()), std::to_string(value)) << r.key;
        }
    }
}

TEST(Param, NamesOfTypesAndConfidences)
{
    EXPECT_STREQ(ts_param_type_name(TS_PARAM_COUNT), "count");
    EXPECT_STREQ(ts_param_type_name(TS_PARAM_FREQ), "frequency");
    EXPECT_STREQ(ts_param_type_name(TS_PARAM_ENUM), "enum");
    EXPECT_STREQ(ts_confidence_name(TS_CONF_VERBATIM), "verbatim");
    EXPECT_STREQ(ts_confidence_name(TS_CONF_CHOICE), "choice");
    EXPECT_FALSE(ts_confidence_assumed(TS_CONF_VERBATIM));
    EXPECT_FALSE(ts_confidence_assumed(TS_CONF_DERIVED));
    EXPECT_TRUE(ts_confidence_assumed(TS_CONF_REMEMBERED));
    EXPECT_TRUE(ts_confidence_assumed(TS_CONF_GUESS));
    EXPECT_FALSE(ts_confidence_assumed(TS_CONF_CHOICE));
    EXPECT_STREQ(ts_confidence_name(TS_CONF_MEASURED), "measured");
    EXPECT_FALSE(ts_confidence_assumed(TS_CONF_MEASURED));
}

} // namespace
