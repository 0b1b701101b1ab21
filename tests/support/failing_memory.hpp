/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the C core that runs out when a test says so. The linker sends the core's malloc,
 * calloc and realloc here (--wrap, cmake/Tests.cmake); C++ has its own. For one source file of a
 * program. */
#ifndef TS_TESTS_SUPPORT_FAILING_MEMORY_HPP
#define TS_TESTS_SUPPORT_FAILING_MEMORY_HPP

#include <cstddef>
#include <cstdint>

namespace ts_test
{

/* The allocations from first on fail, count of them; counted from 0, since the last restart. */
struct FailingMemory {
    uint64_t first = UINT64_MAX;
    uint64_t count = 0;
    uint64_t seen = 0;
    bool fails()
    {
        const uint64_t i = seen++;
        return i >= first && i - first < count;
    }
};
inline FailingMemory memory;

} // namespace ts_test

extern "C" {
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    return ts_test::memory.fails() ? nullptr : __real_malloc(bytes);
}
void *__wrap_calloc(size_t n, size_t bytes)
{
    return ts_test::memory.fails() ? nullptr : __real_calloc(n, bytes);
}
void *__wrap_realloc(void *old, size_t bytes)
{
    return ts_test::memory.fails() ? nullptr : __real_realloc(old, bytes);
}
}
#endif
