/* SPDX-License-Identifier: Apache-2.0 */
/* How random tests are told to repeat one seed, or to run more of them. */
#ifndef TESTS_ENVIRONMENT_HPP
#define TESTS_ENVIRONMENT_HPP

#include <cstdint>
#include <cstdlib>

inline uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

#endif
