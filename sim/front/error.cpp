// SPDX-License-Identifier: Apache-2.0
#include "sim/front/error.hpp"

#include <boost/algorithm/string/predicate.hpp>

#include <cerrno>
#include <cstring>

namespace ts
{
namespace
{

std::string with_place(const Place &place, const std::string &message)
{
    std::string text = place.file;
    if (text.empty())
        return message;
    if (place.line > 0) {
        text += ':' + std::to_string(place.line);
        if (place.column > 0)
            text += ':' + std::to_string(place.column);
    }
    return text + ": " + message;
}

} // namespace

Error::Error(ts_status status, Place place, std::string message)
    : status_(status), exit_code_(static_cast<int>(status)), place_(std::move(place)),
      message_(std::move(message)), text_(with_place(place_, message_))
{
}

Error::Error(const ts_error &error)
    : Error(error.status, Place{error.file, error.line, error.column}, error.message)
{
}

void user_error(const Place &place, const std::string &message)
{
    throw Error(TS_ERR_USER, place, message);
}

void environment_error(const std::string &message)
{
    throw Error(TS_ERR_ENVIRONMENT, Place(), message);
}

void system_error(const std::string &what, const std::string &path)
{
    const int code = errno;
    environment_error(what + " " + path + ": " + std::strerror(code));
}

std::string did_you_mean(const std::string &word, const std::vector<std::string> &names)
{
    // Shorter words are in everything, and more names than that help nobody.
    constexpr size_t part_min = 3, shown_max = 4;
    std::vector<const char *> pointers;
    pointers.reserve(names.size());
    for (const std::string &name : names)
        pointers.push_back(name.c_str());
    const char *nearest = ts_error_nearest(word.c_str(), pointers.data(), pointers.size());
    if (nearest)
        return " (did you mean '" + std::string(nearest) + "'?)";
    std::string text;
    size_t shown = 0;
    for (const std::string &name : names)
        if (word.size() >= part_min && contains_word(name, word) && shown++ < shown_max)
            text += (text.empty() ? " (did you mean '" : "' or '") + name;
    return text.empty() ? text : text + "'?)";
}

bool contains_word(const std::string &text, const std::string &word)
{
    return boost::algorithm::icontains(text, word, std::locale::classic());
}

} // namespace ts
