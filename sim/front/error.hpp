// SPDX-License-Identifier: Apache-2.0
// Errors of the front end: the core's statuses, thrown. One error ends the command; main prints it
// as `file:line:col: message` and its status is the exit code.
#ifndef TS_SIM_FRONT_ERROR_HPP
#define TS_SIM_FRONT_ERROR_HPP

#include "sim/error.h"

#include <exception>
#include <string>
#include <vector>

namespace ts
{

struct Place {
    std::string file; // empty: no place
    uint32_t line = 0;
    uint32_t column = 0;
};

class Error : public std::exception
{
  public:
    Error(ts_status status, Place place, std::string message);
    explicit Error(const ts_error &error);

    const char *what() const noexcept override
    {
        return text_.c_str();
    }
    ts_status status() const
    {
        return status_;
    }
    int exit_code() const
    {
        return exit_code_;
    }
    // For what has no status of its own: a run that died.
    void set_exit_code(int code)
    {
        exit_code_ = code;
    }
    // Another line of the message.
    void add_line(const std::string &line)
    {
        text_ += '\n' + line;
    }
    const std::string &message() const
    {
        return message_;
    }
    const Place &place() const
    {
        return place_;
    }

  private:
    ts_status status_;
    int exit_code_;
    Place place_;
    std::string message_;
    std::string text_; // with the place
};

[[noreturn]] void user_error(const Place &place, const std::string &message);
[[noreturn]] void environment_error(const std::string &message);
// With what errno says.
[[noreturn]] void system_error(const std::string &what, const std::string &path);

// Whether text holds word, upper and lower case alike.
bool contains_word(const std::string &text, const std::string &word);
// " (did you mean 'x'?)": the nearest name, or else the first ones that word is a part of; nothing
// if there is none.
std::string did_you_mean(const std::string &word, const std::vector<std::string> &names);

} // namespace ts

#endif
