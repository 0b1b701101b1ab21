/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "models/guest/core/guest.h"

void ts_guest_report(struct ts_guest *g, const struct ts_error *err)
{
    if (g->failure->status == TS_OK)
        *g->failure = *err;
    ts_engine_stop(g->engine);
}

void ts_guest_stop(struct ts_task *self, struct ts_guest *g, const struct ts_error *err)
{
    ts_guest_report(g, err);
    for (;;)
        ts_task_stall(self); /* also with a lock held or interrupts off, where no task may block */
}

void ts_guest_no_memory(struct ts_task *self, struct ts_guest *g, const char *what)
{
    struct ts_error err;

    (void)ts_error_set(&err, TS_ERR_ENVIRONMENT, "out of memory for %s", what);
    ts_guest_stop(self, g, &err);
}

void ts_guest_fail(struct ts_task *self, enum ts_status status, const char *fmt, ...)
{
    struct ts_error err = {0};
    char text[sizeof(err.message)];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)ts_error_set(&err, status, "%s", text);
    ts_guest_stop(self, ((const struct ts_guest_thread *)self->user)->guest, &err);
}

void ts_guest_waiting(struct ts_task *self, const char *what, uint32_t number)
{
    const struct ts_guest_thread *thread = self->user;
    struct ts_guest *g = thread->guest;

    if (++g->threads_waiting < g->threads_alive)
        return;
    if (ts_guest_is_over(g, ts_task_now(self)))
        ts_guest_finished(g, ts_task_now(self));
    else
        ts_guest_fail(self, TS_ERR_USER,
                      "workload: thread %u waits for %s %u, and no other thread is left that could "
                      "end the wait",
                      thread->number, what, number);
}

void ts_guest_end(struct ts_guest *g, ts_time now)
{
    if (now < g->record_until)
        g->record_until = now;
}

void ts_guest_finished(struct ts_guest *g, ts_time now)
{
    g->finished_at = now;
    if (g->on_finished)
        g->on_finished(g, g->on_finished_user);
}

void ts_guest_not_waiting(struct ts_guest *g)
{
    TS_ASSERT(g->threads_waiting > 0);
    g->threads_waiting--;
}
