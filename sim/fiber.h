/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: the stacks on which system software of the model runs. Built on Boost.Context; the rest
 * of the core sees these five functions. A fiber is resumed from the engine's context only and
 * suspends back to whoever resumed it. Stacks have a guard page below them; ASan and valgrind are
 * told of every switch. */
#ifndef TS_SIM_FIBER_H
#define TS_SIM_FIBER_H

#include "sim/base.h"
#include "sim/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_fiber;
typedef void ts_fiber_fn(void *arg);

/* stack_bytes is rounded up to pages. fn starts at the first resume; when it returns the fiber is
 * done and control goes back to the resumer. */
enum ts_status ts_fiber_create(struct ts_fiber **out, size_t stack_bytes, ts_fiber_fn *fn,
                               void *arg, struct ts_error *err);
/* Allowed for a fiber that never ran, is suspended or is done; not for the running one. What lay
 * on a suspended stack is dropped without unwinding. NULL does nothing. */
void ts_fiber_destroy(struct ts_fiber *fiber);
/* Not from inside a fiber; the fiber must not be done. */
static inline void ts_fiber_resume(struct ts_fiber *fiber);
/* From inside fiber only. */
static inline void ts_fiber_suspend(struct ts_fiber *fiber);
static inline bool ts_fiber_done(const struct ts_fiber *fiber);

/* Private part. The switches are inline because a processor mispredicts each return that follows a
 * switch of stacks (its return stack holds the other side's calls): one function less on the way
 * is one misprediction less in each direction. */
enum ts_fiber_state { TS_FIBER_SUSPENDED, TS_FIBER_RUNNING, TS_FIBER_DONE };

/* The head of struct ts_fiber. The contexts are the stack pointers of whichever side rests. */
struct ts_fiber_head {
    void *context;
    void *resumer;
    enum ts_fiber_state state;
};

/* boost::context::detail::jump_fcontext and its transfer_t, which are plain C. */
struct ts_fiber_transfer {
    void *context;
    void *data;
};
struct ts_fiber_transfer ts_fiber_jump(void *to, void *data) __asm__("jump_fcontext");

/* The same switches with the sanitizer told of them. */
void ts_fiber_resume_asan(struct ts_fiber *fiber);
void ts_fiber_suspend_asan(struct ts_fiber *fiber);

#if defined(__SANITIZE_ADDRESS__)
#define TS_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TS_FIBER_ASAN 1
#endif
#endif

static inline void ts_fiber_resume(struct ts_fiber *fiber)
{
    struct ts_fiber_head *head = (struct ts_fiber_head *)(void *)fiber;

    TS_ASSERT(head->state == TS_FIBER_SUSPENDED);
    head->state = TS_FIBER_RUNNING;
#ifdef TS_FIBER_ASAN
    ts_fiber_resume_asan(fiber);
#else
    head->context = ts_fiber_jump(head->context, fiber).context;
#endif
}

static inline void ts_fiber_suspend(struct ts_fiber *fiber)
{
    struct ts_fiber_head *head = (struct ts_fiber_head *)(void *)fiber;

    TS_ASSERT(head->state == TS_FIBER_RUNNING);
    head->state = TS_FIBER_SUSPENDED;
#ifdef TS_FIBER_ASAN
    ts_fiber_suspend_asan(fiber);
#else
    head->resumer = ts_fiber_jump(head->resumer, NULL).context;
#endif
}

static inline bool ts_fiber_done(const struct ts_fiber *fiber)
{
    return ((const struct ts_fiber_head *)(const void *)fiber)->state == TS_FIBER_DONE;
}

#ifdef __cplusplus
}
#endif
#endif
