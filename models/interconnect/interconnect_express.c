/* SPDX-License-Identifier: Apache-2.0 */
/* Express messages: a message reserves the links of its way when it is sent, and one event delivers
 * it, as long as it need not wait and nobody comes to one of these links before it.
 *
 * Who comes to a link first takes it first; who come in one cycle take it in the order of their
 * sending. That is what messages do that go hop by hop, one event each, and a plan must come to the
 * same. Where a message would have to wait, its plan ends: it goes on when its head is there. So
 * a plan's times follow from where it begins, and no plan depends on another. A message that comes
 * to a link before one that has planned to, and would delay it, cuts that one's plan there.
 *
 * Each link keeps the last reservations, in the order in which the heads come (struct ic_taken);
 * what is behind the last of them is found by looking through the plans of all messages under way.
 * A reservation lies before the message that looks, or in the future, so nothing is taken back that
 * has happened. Those of messages that have been delivered end by now: the way from a link to
 * delivery takes as long as the link is held (inject_cycles is at least 1).
 */
#include "models/interconnect/interconnect_private.h"

#include <stdlib.h>

/* A plan is no longer than so many links: what is planned far ahead is often come before, and fills
 * the lists of links. It is the way across a socket of some thirty cores. */
enum { PLAN_LINKS = 10 };

/* Where the heads of a plan's links come to: as many as msg->links. */
struct ic_plan {
    struct ts_msg *msg;
    struct {
        struct ic_link *link;
        uint64_t arrival;
        uint32_t at;
    } step[PLAN_LINKS];
};

/* One link of a way: the head is at node `at` at mesh cycle `arrival`, and has the link from ready
 * on, in the link's unit, if it need not wait. */
struct step {
    struct ic_link *link;
    uint64_t arrival;
    uint64_t ready, length;
    uint32_t at, next; /* where the hop leads */
    bool hop;          /* between routers or sockets; else to the node */
    bool crosses;      /* to another socket */
};

/* s->at and s->arrival are set. In line, or each link of a way costs a call. */
__attribute__((always_inline)) static inline void look_at(const struct ts_interconnect *ic,
                                                          const struct ts_msg *msg, struct step *s)
{
    const uint32_t dst = msg->dst, n = ic->per_socket, socket = ic->socket[s->at];
    const uint32_t to = ic->socket[dst], in = s->at - socket * n;
    const struct ic_route *route;

    s->length = msg->flits;
    s->ready = s->arrival;
    s->hop = s->at != dst;
    s->crosses = false;
    if (!s->hop) {
        s->link = &ic->eject[dst];
        s->next = dst;
        return;
    }
    s->ready += ic->params.router_cycles;
    if (socket != to && in == ic->gateway) {
        s->crosses = true;
        s->link = &ic->serial[socket * ic->sockets + to];
        s->ready = ts_clock_cycle_time(&ic->clock, s->ready);
        s->length = ic_serial_ps(ic, msg->flits);
        s->next = to * n + ic->gateway;
        return;
    }
    route = &ic->route[in * n + (socket == to ? dst - to * n : ic->gateway)];
    s->link = &ic->out[s->at * ic->ports + route->port];
    s->next = s->at - in + route->neighbour;
}

static inline void step_at(const struct ts_interconnect *ic, const struct ts_msg *msg, uint32_t at,
                           uint64_t cycle, struct step *s)
{
    s->at = at;
    s->arrival = cycle;
    look_at(ic, msg, s);
}

/* To the step after s, which is a hop and has its link from start on. */
static inline void move_on(const struct ts_interconnect *ic, uint64_t start, struct step *s)
{
    s->arrival = s->crosses
                     ? ts_clock_cycle_at(&ic->clock, start + s->length + ic->params.socket_link_ps)
                     : start + ic->params.link_cycles;
    s->at = s->next;
}

/* The i-th of a list. */
static inline struct ic_taken *taken(struct ic_link *link, uint32_t i)
{
    return &link->taken[(link->last - i) % IC_TAKEN];
}

static inline uint64_t start_of(const struct ic_taken *t)
{
    return t->length ? t->end - t->length : UINT64_MAX;
}

/* Of two that come to one link in one cycle, the tickets are not far apart. */
static inline bool comes_before(uint64_t arrival, uint32_t ticket, uint64_t other_arrival,
                                uint32_t other_ticket)
{
    return arrival < other_arrival ||
           (arrival == other_arrival && (int32_t)(ticket - other_ticket) < 0);
}

static inline uint32_t ticket_of(const struct ts_msg *msg)
{
    return (uint32_t)msg->ticket;
}

/* --- plans ------------------------------------------------------------------------------------ */

/* One of 64 for each link. Most plans do not have that of a link that is looked for, and are not
 * gone through. */
static inline uint64_t bit_of(const struct ic_link *link)
{
    uint64_t number = (uintptr_t)link / sizeof(*link);

    return UINT64_C(1) << (number * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

/* The one that enter_plans makes msg's; there is one. */
static inline struct ic_plan *next_plan(const struct ts_interconnect *ic)
{
    return &ic->plans[ic->free_plans[ic->max_plans - 1 - ic->nplans]];
}

/* links: the bits of those that it has reserved. */
static void enter_plans(struct ts_interconnect *ic, struct ts_msg *msg, uint64_t links)
{
    msg->plan = ic->free_plans[ic->max_plans - 1 - ic->nplans++];
    ic->plans[msg->plan].msg = msg;
    ic->plan_links[msg->plan] = links;
    if (msg->plan >= ic->plans_top)
        ic->plans_top = msg->plan + 1;
}

static void leave_plans(struct ts_interconnect *ic, const struct ts_msg *msg)
{
    ic->free_plans[ic->max_plans - ic->nplans--] = msg->plan;
    ic->plan_links[msg->plan] = 0;
    while (ic->plans_top && !ic->plan_links[ic->plans_top - 1])
        ic->plans_top--;
}

/* The i-th link of msg's plan. */
static inline void step_of(const struct ts_interconnect *ic, const struct ts_msg *msg, uint32_t i,
                           struct step *s)
{
    const struct ic_plan *plan = &ic->plans[msg->plan];

    step_at(ic, msg, plan->step[i].at, plan->step[i].arrival, s);
}

/* What is in the statistics of the links that a plan holds, once they lie behind. */
static void count(struct ts_interconnect *ic, struct ts_msg *msg, uint32_t hops, uint32_t crossings)
{
    msg->hops += hops;
    ic->stats.flit_hops += (uint64_t)msg->flits * hops;
    ic->stats.socket_crossings += crossings;
}

/* Has the head come to the link by now? */
static bool is_past(const struct ts_interconnect *ic, const struct ts_msg *msg,
                    const struct step *s)
{
    return ts_engine_is_past(ic->engine, ts_clock_cycle_time(&ic->clock, s->arrival),
                             TS_PHASE_HARDWARE, msg->ticket);
}

static void on_express(struct ts_engine *engine, struct ts_event *event);

/* Takes the reservation out of the link's list, if it is there. The list still ends where it did:
 * a mark stands behind the last, or in its place, whose end is that of all reservations behind. */
static void forget(struct ic_link *link, uint32_t ticket)
{
    struct ic_taken last = *taken(link, IC_TAKEN - 1);
    uint32_t i = 0;

    while (i < IC_TAKEN && (taken(link, i)->ticket != ticket || taken(link, i)->length == 0))
        i++;
    if (i == IC_TAKEN)
        return;
    for (; i + 1 < IC_TAKEN; i++)
        *taken(link, i) = *taken(link, i + 1);
    last.end -= last.length;
    last.length = 0;
    *taken(link, IC_TAKEN - 1) = last;
}

/* The plan ends where the head comes to the link; the message goes on from there. */
static void cut(struct ts_interconnect *ic, struct ts_msg *msg, const struct ic_link *link)
{
    const struct ic_plan *plan = &ic->plans[msg->plan];
    uint32_t hops = 0, crossings = 0, kept = 0;
    struct step s;

    while (plan->step[kept].link != link)
        TS_ASSERT(++kept < msg->links);
    msg->resume_at = plan->step[kept].at;
    for (uint32_t i = kept; i < msg->links; i++) {
        step_of(ic, msg, i, &s);
        hops += s.hop;
        crossings += s.crosses;
        forget(s.link, ticket_of(msg));
    }
    msg->links = kept;
    msg->plan_hops -= hops;
    msg->plan_crossings -= crossings;
    ts_engine_cancel(ic->engine, &msg->event);
    ic_call_at(ic, msg, on_express, plan->step[kept].arrival);
    if (kept == 0)
        leave_plans(ic, msg);
}

/* The message whose reservation of the link comes first after (arrival, ticket), or NULL; *end: of
 * the last one before. Of all plans. */
static struct ts_msg *look_through(const struct ts_interconnect *ic, const struct ic_link *link,
                                   uint64_t arrival, uint32_t ticket, uint64_t *start,
                                   uint64_t *end)
{
    const uint64_t bit = bit_of(link);
    struct ts_msg *first = NULL;
    uint64_t first_arrival = 0;
    struct step s;

    *end = link->free;
    for (uint32_t p = 0; p < ic->plans_top; p++) {
        const struct ic_plan *plan = &ic->plans[p];
        struct ts_msg *msg = plan->msg;
        uint32_t i = 0;

        if (!(ic->plan_links[p] & bit))
            continue;
        while (i < msg->links && plan->step[i].link != link)
            i++;
        if (i == msg->links)
            continue;
        step_of(ic, msg, i, &s);
        if (comes_before(s.arrival, ticket_of(msg), arrival, ticket)) {
            *end = s.ready + s.length > *end ? s.ready + s.length : *end;
        } else if (!first ||
                   comes_before(s.arrival, ticket_of(msg), first_arrival, ticket_of(first))) {
            first = msg;
            first_arrival = s.arrival;
            *start = s.ready;
        }
    }
    return first;
}

static struct ts_msg *plan_of(const struct ts_interconnect *ic, uint32_t ticket)
{
    uint32_t p = 0;

    while (!ic->plan_links[p] || ticket_of(ic->plans[p].msg) != ticket)
        TS_ASSERT(++p < ic->plans_top);
    return ic->plans[p].msg;
}

/* --- links ------------------------------------------------------------------------------------ */

/* How many of the list come after (arrival, ticket). */
static uint32_t place_of(struct ic_link *link, uint64_t arrival, uint32_t ticket)
{
    uint32_t i = 0;

    while (i < IC_TAKEN &&
           !comes_before(taken(link, i)->arrival, taken(link, i)->ticket, arrival, ticket))
        i++;
    return i;
}

/* From when on the message has the link: its place is behind `place` entries of the list. Who would
 * be delayed gives way. */
static uint64_t make_room(struct ts_interconnect *ic, const struct ts_msg *msg,
                          const struct step *s, uint32_t *place)
{
    struct ic_link *link = s->link;
    uint64_t start, end, next_start = 0;

    for (;;) {
        struct ts_msg *next = NULL;
        uint32_t i = place_of(link, s->arrival, ticket_of(msg));

        *place = i;
        if (i < IC_TAKEN)
            end = taken(link, i)->end;
        else
            next = look_through(ic, link, s->arrival, ticket_of(msg), &next_start, &end);
        start = s->ready > end ? s->ready : end;
        end = start + s->length;
        if (i == 0 || (i < IC_TAKEN && start_of(taken(link, i - 1)) >= end) ||
            (i == IC_TAKEN && (!next || next_start >= end)))
            return start;
        cut(ic, next ? next : plan_of(ic, taken(link, i - 1)->ticket), link);
    }
}

/* Behind the list come only messages that take the link for good. The length of such a one is not
 * looked at. */
static inline void put(struct ic_link *link, uint32_t place, const struct ts_msg *msg,
                       const struct step *s, uint64_t start)
{
    uint32_t length = s->length < UINT32_MAX ? (uint32_t)s->length : UINT32_MAX;

    if (place == IC_TAKEN) {
        for (uint32_t i = IC_TAKEN; i-- > 0 && taken(link, i)->length == 0;)
            taken(link, i)->end = start + s->length;
        return;
    }
    link->last++;
    for (uint32_t i = 0; i < place; i++)
        *taken(link, i) = *taken(link, i + 1);
    *taken(link, place) = (struct ic_taken){s->arrival, start + s->length, length, ticket_of(msg)};
}

/* Reserves the link, for when the head is there in the future. False if it would have to wait, or
 * somebody else would: they may yet come in another order. */
static inline bool reserve(const struct ts_msg *msg, const struct step *s)
{
    const struct ic_taken *before = taken(s->link, 0);
    uint32_t place = 0;

    if (!comes_before(before->arrival, before->ticket, s->arrival, ticket_of(msg))) {
        place = place_of(s->link, s->arrival, ticket_of(msg));
        if (place == IC_TAKEN || start_of(taken(s->link, place - 1)) < s->ready + s->length)
            return false;
        before = taken(s->link, place);
    }
    if (before->end > s->ready || s->length > UINT32_MAX)
        return false;
    put(s->link, place, msg, s, s->ready);
    return true;
}

/* Takes the link now, when the head is there; returns from when on. */
static uint64_t take(struct ts_interconnect *ic, struct ts_msg *msg, const struct step *s)
{
    uint32_t place;
    uint64_t start = make_room(ic, msg, s, &place);

    put(s->link, place, msg, s, start);
    s->link->free = start + s->length;
    if (start > s->ready)
        ic->stats.queued_ps += s->crosses ? start - s->ready
                                          : ts_clock_cycle_time(&ic->clock, start) -
                                                ts_clock_cycle_time(&ic->clock, s->ready);
    return start;
}

/* --- messages --------------------------------------------------------------------------------- */

static void deliver_from(struct ts_interconnect *ic, struct ts_msg *msg, uint64_t start)
{
    ic_call_at(ic, msg, ic_on_delivered, start + ic->params.inject_cycles + msg->flits - 1);
}

void ic_express_send(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ic_plan *plan = ic->nplans < ic->max_plans ? next_plan(ic) : NULL;
    uint32_t hops = 0, crossings = 0;
    uint64_t links = 0;
    struct step s;

    s.at = msg->at;
    s.arrival = msg->cycle;
    msg->links = 0;
    for (;;) {
        look_at(ic, msg, &s);
        if (!plan || msg->links == PLAN_LINKS || !reserve(msg, &s)) {
            msg->resume_at = s.at;
            ic_call_at(ic, msg, on_express, s.arrival);
            break;
        }
        plan->step[msg->links].link = s.link;
        plan->step[msg->links].arrival = s.arrival;
        plan->step[msg->links++].at = s.at;
        links |= bit_of(s.link);
        if (!s.hop) {
            deliver_from(ic, msg, s.ready);
            break;
        }
        hops++;
        crossings += s.crosses;
        move_on(ic, s.ready, &s);
    }
    msg->plan_hops = hops;
    msg->plan_crossings = crossings;
    if (msg->links)
        enter_plans(ic, msg, links);
}

void ic_express_end(struct ts_interconnect *ic, struct ts_msg *msg)
{
    if (msg->links == 0)
        return;
    count(ic, msg, msg->plan_hops - msg->shown_hops, msg->plan_crossings - msg->shown_crossings);
    msg->links = msg->shown_hops = msg->shown_crossings = 0;
    leave_plans(ic, msg);
}

/* The tail may still be on links that the head has left. */
static void keep_ends(const struct ts_interconnect *ic, const struct ts_msg *msg)
{
    struct step s;

    for (uint32_t i = 0; i < msg->links; i++) {
        step_of(ic, msg, i, &s);
        if (s.ready + s.length > s.link->free)
            s.link->free = s.ready + s.length;
    }
}

/* The head is at msg->resume_at. */
static void on_express(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_msg *msg = TS_CONTAINER_OF(event, struct ts_msg, event);
    struct ts_interconnect *ic = msg->ic;
    struct step s;
    uint64_t start;

    keep_ends(ic, msg);
    ic_express_end(ic, msg);
    step_at(ic, msg, msg->resume_at, ts_clock_cycle_at(&ic->clock, ts_engine_now(engine)), &s);
    start = take(ic, msg, &s);
    if (!s.hop) {
        deliver_from(ic, msg, start);
        return;
    }
    count(ic, msg, 1, s.crosses);
    move_on(ic, start, &s);
    msg->at = s.at;
    msg->cycle = s.arrival;
    ic_express_send(ic, msg);
}

void ic_express_settle(struct ts_interconnect *ic)
{
    for (uint32_t p = 0; p < ic->plans_top; p++) {
        struct ts_msg *msg = ic->plans[p].msg;
        uint32_t hops = 0, crossings = 0;
        struct step s;

        if (!ic->plan_links[p])
            continue;
        for (uint32_t i = 0; i < msg->links; i++) {
            step_of(ic, msg, i, &s);
            if (!s.hop || !is_past(ic, msg, &s))
                break;
            hops++;
            crossings += s.crosses;
        }
        count(ic, msg, hops - msg->shown_hops, crossings - msg->shown_crossings);
        msg->shown_hops = hops;
        msg->shown_crossings = crossings;
    }
}

bool ic_express_create(struct ts_interconnect *ic)
{
    ic->max_plans = 256; /* more are too many to look through; messages beyond go hop by hop */
    ic->plans = calloc(ic->max_plans, sizeof(ic->plans[0]));
    ic->plan_links = calloc(ic->max_plans, sizeof(ic->plan_links[0]));
    ic->free_plans = calloc(ic->max_plans, sizeof(ic->free_plans[0]));
    if (!ic->plans || !ic->plan_links || !ic->free_plans)
        return false;
    for (uint32_t i = 0; i < ic->max_plans; i++)
        ic->free_plans[i] = ic->max_plans - 1 - i;
    return true;
}

void ic_express_destroy(struct ts_interconnect *ic)
{
    free(ic->plans);
    free(ic->plan_links);
    free(ic->free_plans);
}
