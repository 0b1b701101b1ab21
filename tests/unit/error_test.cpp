/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/error.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace
{

TEST(Error, SetFormatsAndReturnsTheStatus)
{
    ts_error err;

    memset(&err, 0xa5, sizeof(err));
    EXPECT_EQ(ts_error_set(&err, TS_ERR_FINDING, "%s is %d", "answer", 42), TS_ERR_FINDING);
    EXPECT_EQ(err.status, TS_ERR_FINDING);
    EXPECT_STREQ(err.message, "answer is 42");
    EXPECT_STREQ(err.file, "");
    EXPECT_EQ(err.line, 0u);
    EXPECT_EQ(err.column, 0u);
}

TEST(Error, SetAtKeepsThePlace)
{
    ts_error err;

    EXPECT_EQ(ts_error_set_at(&err, TS_ERR_USER, "a.yaml", 3, 7, "bad %c", 'x'), TS_ERR_USER);
    EXPECT_STREQ(err.file, "a.yaml");
    EXPECT_EQ(err.line, 3u);
    EXPECT_EQ(err.column, 7u);
    EXPECT_STREQ(err.message, "bad x");
    ts_error_set_at(&err, TS_ERR_USER, nullptr, 0, 0, "x");
    EXPECT_STREQ(err.file, "");
}

TEST(Error, LongTextsAreCutAndEnded)
{
    std::string text(5000, 'm');
    ts_error err;

    ts_error_set_at(&err, TS_ERR_USER, text.c_str(), 1, 1, "%s", text.c_str());
    EXPECT_EQ(strlen(err.message), sizeof(err.message) - 1);
    EXPECT_EQ(strlen(err.file), sizeof(err.file) - 1);
}

TEST(Error, APartOfTheErrorMayBeAnArgument)
{
    ts_error err;

    ts_error_set(&err, TS_ERR_USER, "inner");
    ts_error_set_at(&err, err.status, "f.yaml", 2, 1, "outer: %s", err.message);
    EXPECT_STREQ(err.message, "outer: inner");
    ts_error_set_at(&err, err.status, err.file, err.line, err.column, "again: %s", err.message);
    EXPECT_STREQ(err.file, "f.yaml");
    EXPECT_STREQ(err.message, "again: outer: inner");
}

const char *const names[] = {"native_sequential", "native_concurrent", "kvm_pv", "hyperv", "xen"};

const char *nearest(const char *word)
{
    return ts_error_nearest(word, names, TS_ARRAY_LEN(names));
}

TEST(Error, NearestFindsTheMeantName)
{
    EXPECT_STREQ(nearest("native_sequentail"), "native_sequential");
    EXPECT_STREQ(nearest("kvm-pv"), "kvm_pv");
    EXPECT_STREQ(nearest("hyper"), "hyperv");
    EXPECT_STREQ(nearest("xen"), "xen");
    EXPECT_STREQ(nearest("ex"), nullptr);
}

/* A third of the length, at least 1. */
TEST(Error, NearestHasItsLimit)
{
    const char *const one[] = {"abcdef"};

    EXPECT_STREQ(ts_error_nearest("abcdxy", one, 1), "abcdef"); /* 6 letters: 2 edits */
    EXPECT_STREQ(ts_error_nearest("abcxyz", one, 1), nullptr);  /* 3 edits */
    const char *const shorter[] = {"ab"};
    EXPECT_STREQ(ts_error_nearest("a", shorter, 1), "ab");
    EXPECT_STREQ(ts_error_nearest("", shorter, 1), nullptr);
}

TEST(Error, NearestTakesTheNearestAndTheFirstOfATie)
{
    const char *const list[] = {"abcdefxx", "abcdefgx", "abcdefxh", "abcdefgh"};

    EXPECT_STREQ(ts_error_nearest("abcdefgh", list, 4), "abcdefgh");
    EXPECT_STREQ(ts_error_nearest("abcdefgh", list, 3), "abcdefgx");
    EXPECT_STREQ(ts_error_nearest("abcdefgh", list, 1), "abcdefxx");
    EXPECT_EQ(ts_error_nearest("abc", list, 0), nullptr);
}

TEST(Error, NearestSurvivesLongWords)
{
    std::string word(5000, 'w');
    const char *const list[] = {word.c_str(), "w"};

    EXPECT_EQ(ts_error_nearest(word.c_str(), list, 2), nullptr);
    EXPECT_STREQ(ts_error_nearest("w", list, 2), "w");
}

TEST(BaseDeath, ABugSaysWhereAndWhat)
{
    EXPECT_DEATH(TS_ASSERT(1 + 1 == 3), "error_test.cpp:[0-9]+: broken invariant: 1 \\+ 1 == 3");
}

} // namespace
