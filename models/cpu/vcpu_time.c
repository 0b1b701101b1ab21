/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/vcpu_time.h"

void ts_vcpu_clock_init(struct ts_vcpu_clock *c, struct ts_vcpu_load *load, ts_time now)
{
    *c = (struct ts_vcpu_clock){.place = TS_VCPU_HALTED, .since = now};
    *load = ts_vcpu_load_at(load, now);
    load->n[TS_VCPU_HALTED]++;
}

struct ts_vcpu_load ts_vcpu_load_at(const struct ts_vcpu_load *load, ts_time now)
{
    struct ts_vcpu_load l = *load;
    ts_time delta = now - l.since;
    uint64_t runnable_ps;

    TS_ASSERT(now >= l.since);
    l.since = now;
    if (!l.n[TS_VCPU_WAITING])
        return l;
    l.contended_ps += delta;
    TS_ASSERT(!__builtin_mul_overflow(delta, (uint64_t)l.n[TS_VCPU_WAITING] + l.n[TS_VCPU_RUNNING],
                                      &runnable_ps));
    TS_ASSERT(!__builtin_add_overflow(l.runnable_ps, runnable_ps, &l.runnable_ps));
    return l;
}

void ts_vcpu_clock_set(struct ts_vcpu_clock *c, struct ts_vcpu_load *load, enum ts_vcpu_place place,
                       ts_time now)
{
    TS_ASSERT(now >= c->since && load->n[c->place] > 0);
    *load = ts_vcpu_load_at(load, now);
    load->n[c->place]--;
    load->n[place]++;
    c->ps[c->place] += now - c->since;
    c->since = now;
    c->place = place;
}

ts_time ts_vcpu_clock_ps(const struct ts_vcpu_clock *c, enum ts_vcpu_place place, ts_time now)
{
    TS_ASSERT(now >= c->since);
    return c->ps[place] + (c->place == place ? now - c->since : 0);
}
