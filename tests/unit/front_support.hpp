// SPDX-License-Identifier: Apache-2.0
// A throw-away folder, and the text of a user error.
#ifndef TS_TESTS_UNIT_FRONT_SUPPORT_HPP
#define TS_TESTS_UNIT_FRONT_SUPPORT_HPP

#include "sim/front/error.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

class FrontTest : public ::testing::Test
{
  protected:
    FrontTest()
    {
        std::string name = (std::filesystem::temp_directory_path() / "ts_front_XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }

    ~FrontTest() override
    {
        std::error_code code;
        std::filesystem::remove_all(folder_, code);
    }

    std::string path(const std::string &name) const
    {
        return folder_ + "/" + name;
    }

    std::string write(const std::string &name, const std::string &text) const
    {
        const std::string file = path(name);
        std::filesystem::create_directories(std::filesystem::path(file).parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file;
    }

    static std::string read(const std::string &file)
    {
        std::ifstream stream(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    std::string folder_;
};

// The message of the user error that the call ends with; empty if it ends otherwise.
template <typename Call> std::string user_error_of(const Call &call)
{
    try {
        call();
    } catch (const ts::Error &error) {
        EXPECT_EQ(error.status(), TS_ERR_USER) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
}

#endif
