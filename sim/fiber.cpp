/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fiber.h"

#include <boost/context/detail/fcontext.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#ifdef TS_FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define TS_FIBER_VALGRIND 1
#endif
#endif

namespace ctx = boost::context::detail;

struct ts_fiber {
    ts_fiber_head head; /* first: the inline functions find it there */
    ts_fiber_fn *fn;
    void *arg;
    void *map; /* guard page, then the stack */
    size_t map_bytes;
    size_t guard_bytes;
#ifdef TS_FIBER_VALGRIND
    unsigned valgrind_id;
#endif
#ifdef TS_FIBER_ASAN
    void *fake_stack; /* of the fiber, while it is suspended */
    const void *resumer_bottom;
    size_t resumer_bytes;
#endif
};

static_assert(sizeof(ctx::transfer_t) == sizeof(ts_fiber_transfer) &&
                  offsetof(ctx::transfer_t, fctx) == offsetof(ts_fiber_transfer, context) &&
                  offsetof(ctx::transfer_t, data) == offsetof(ts_fiber_transfer, data),
              "ts_fiber_jump is jump_fcontext");

static char *stack_bottom(const ts_fiber *fiber)
{
    return static_cast<char *>(fiber->map) + fiber->guard_bytes;
}

static size_t stack_bytes(const ts_fiber *fiber)
{
    return fiber->map_bytes - fiber->guard_bytes;
}

/* Control has just come into the fiber from its resumer. */
static inline void fiber_entered(ts_fiber *fiber, void *resumer)
{
    fiber->head.resumer = resumer;
#ifdef TS_FIBER_ASAN
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->resumer_bottom,
                                    &fiber->resumer_bytes);
#endif
}

static void fiber_main(ctx::transfer_t from)
{
    ts_fiber *fiber = static_cast<ts_fiber *>(from.data);

    fiber_entered(fiber, from.fctx);
    fiber->fn(fiber->arg);
    fiber->head.state = TS_FIBER_DONE;
#ifdef TS_FIBER_ASAN
    /* NULL: the fiber's fake stack is of no more use. */
    __sanitizer_start_switch_fiber(nullptr, fiber->resumer_bottom, fiber->resumer_bytes);
#endif
    ctx::jump_fcontext(fiber->head.resumer, nullptr);
    ts_bug(__FILE__, __LINE__, "a finished fiber was resumed");
}

/* Mappings of stacks that are over, for the next ones of this thread and size: to map one and to
 * give it back takes longer than a small machine runs. */
class StackPool
{
  public:
    StackPool() = default;
    StackPool(const StackPool &) = delete;
    StackPool &operator=(const StackPool &) = delete;
    ~StackPool()
    {
        while (count_ > 0)
            munmap(maps_[--count_], bytes_);
    }
    void *take(size_t bytes)
    {
        return count_ > 0 && bytes == bytes_ ? maps_[--count_] : nullptr;
    }
    void give(void *map, size_t bytes)
    {
        if (count_ == 0)
            bytes_ = bytes;
        if (bytes == bytes_ && count_ < room && bytes <= largest)
            maps_[count_++] = map;
        else
            munmap(map, bytes);
    }

  private:
    static constexpr size_t room = 64, largest = 1 << 20;
    void *maps_[room];
    size_t bytes_ = 0, count_ = 0;
};
static thread_local StackPool pool;

static ts_status map_stack(ts_fiber *fiber, size_t bytes, ts_error *err)
{
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t rounded = (bytes + page - 1) / page * page;

    if (bytes == 0 || rounded < bytes || rounded + page < rounded)
        return ts_error_set(err, TS_ERR_USER, "fiber: no stack can have %zu bytes", bytes);
    fiber->guard_bytes = page;
    fiber->map_bytes = rounded + page;
    fiber->map = pool.take(fiber->map_bytes);
    if (fiber->map)
        return TS_OK; /* its guard page is set */
    fiber->map = mmap(nullptr, fiber->map_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (fiber->map == MAP_FAILED)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "fiber: cannot map a stack of %zu bytes: %s",
                            rounded, strerror(errno));
    /* Each stack is two mappings of the process: this fails first at vm.max_map_count. */
    if (mprotect(fiber->map, page, PROT_NONE) != 0) {
        int reason = errno;

        munmap(fiber->map, fiber->map_bytes);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "fiber: cannot set a guard page: %s",
                            strerror(reason));
    }
    return TS_OK;
}

ts_status ts_fiber_create(ts_fiber **out, size_t bytes, ts_fiber_fn *fn, void *arg, ts_error *err)
{
    ts_fiber *fiber = static_cast<ts_fiber *>(calloc(1, sizeof(*fiber)));
    ts_status status;

    TS_ASSERT(fn != nullptr);
    if (!fiber)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "fiber: out of memory");
    status = map_stack(fiber, bytes, err);
    if (status != TS_OK) {
        free(fiber);
        return status;
    }
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->head.state = TS_FIBER_SUSPENDED;
    fiber->head.context = ctx::make_fcontext(stack_bottom(fiber) + stack_bytes(fiber),
                                             stack_bytes(fiber), fiber_main);
#ifdef TS_FIBER_VALGRIND
    fiber->valgrind_id =
        VALGRIND_STACK_REGISTER(stack_bottom(fiber), stack_bottom(fiber) + stack_bytes(fiber));
#endif
    *out = fiber;
    return TS_OK;
}

void ts_fiber_destroy(ts_fiber *fiber)
{
    if (!fiber)
        return;
    TS_ASSERT(fiber->head.state != TS_FIBER_RUNNING);
#ifdef TS_FIBER_VALGRIND
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
#ifdef TS_FIBER_ASAN
    /* A later mapping at this address must not find the red zones of dropped frames. */
    ASAN_UNPOISON_MEMORY_REGION(stack_bottom(fiber), stack_bytes(fiber));
#endif
    pool.give(fiber->map, fiber->map_bytes);
    free(fiber);
}

#ifdef TS_FIBER_ASAN
void ts_fiber_resume_asan(ts_fiber *fiber)
{
    void *fake_stack = nullptr;

    __sanitizer_start_switch_fiber(&fake_stack, stack_bottom(fiber), stack_bytes(fiber));
    fiber->head.context = ctx::jump_fcontext(fiber->head.context, fiber).fctx;
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}

void ts_fiber_suspend_asan(ts_fiber *fiber)
{
    __sanitizer_start_switch_fiber(&fiber->fake_stack, fiber->resumer_bottom, fiber->resumer_bytes);
    fiber_entered(fiber, ctx::jump_fcontext(fiber->head.resumer, nullptr).fctx);
}
#endif
