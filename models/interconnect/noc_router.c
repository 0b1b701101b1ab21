/* SPDX-License-Identifier: Apache-2.0 */
/* One router in one cycle: output channels are allocated first, then the switch, both from the
 * state at the beginning of the cycle: a channel freed by a tail is allocated in the next cycle at
 * the earliest, and a channel allocated now sends in the next one, unless speculation has it sent
 * now. */
#include "models/interconnect/noc_private.h"

/* What the switch allocator has decided. */
struct match {
    uint64_t outs;                    /* won */
    uint64_t speculating;             /* inputs that ask for channels whose output channel is not
                                         certain; only where they have nothing else to send */
    uint8_t winner[TS_NOC_PORTS_MAX]; /* [out] input */
    uint8_t chosen[TS_NOC_PORTS_MAX]; /* [in] channel; where packets fork only */
};

static void mark_busy(struct ts_noc *noc, uint32_t router)
{
    if ((noc->routed_ports[router] | noc->want_ports[router]) != 0)
        noc_set(noc->busy_routers, router);
    else
        noc_clear(noc->busy_routers, router);
}

void noc_set_want(struct ts_noc *noc, uint32_t channel, uint32_t out, bool can)
{
    const struct noc_in *in = &noc->in[channel];
    struct noc_in_port *port = &noc->in_port[in->port];
    uint64_t *want = &noc->want[in->port * noc->ports + out];

    if (can) {
        *want |= noc_bit(in->vc);
        port->want_outs |= noc_bit(out);
        noc->want_ports[port->router] |= noc_bit(port->local);
        noc_set(noc->busy_routers, port->router);
        return;
    }
    *want &= ~noc_bit(in->vc);
    if (*want == 0) {
        port->want_outs &= ~noc_bit(out);
        if (port->want_outs == 0) {
            noc->want_ports[port->router] &= ~noc_bit(port->local);
            mark_busy(noc, port->router);
        }
    }
}

void noc_update_want(struct ts_noc *noc, uint32_t channel)
{
    const struct noc_in *in = &noc->in[channel];
    uint32_t out = noc->in_port[in->port].router * noc->ports + in->out_port;

    noc_set_want(noc, channel, in->out_port,
                 in->state == NOC_ACTIVE && in->count > 0 &&
                     noc->out[out * noc->width + in->out_vc].credits > 0);
}

void noc_routed(struct ts_noc *noc, uint32_t channel)
{
    struct noc_in *in = &noc->in[channel];
    struct noc_in_port *port = &noc->in_port[in->port];

    if (in->state == NOC_FORK)
        noc_tree_routed(noc, channel);
    else
        in->state = NOC_ROUTED;
    port->routed |= noc_bit(in->vc);
    noc->routed_ports[port->router] |= noc_bit(port->local);
    noc_set(noc->busy_routers, port->router);
}

static void clear_routed(struct ts_noc *noc, uint32_t channel)
{
    const struct noc_in *in = &noc->in[channel];
    struct noc_in_port *port = &noc->in_port[in->port];

    port->routed &= ~noc_bit(in->vc);
    if (port->routed == 0) {
        noc->routed_ports[port->router] &= ~noc_bit(port->local);
        mark_busy(noc, port->router);
    }
}

void noc_front(struct ts_noc *noc, uint32_t channel, uint64_t cycle, bool now)
{
    struct noc_in *in = &noc->in[channel];
    uint32_t packet = noc_flit(noc, channel, 0) >> 1, dst = noc->packet[packet].dst;

    if (dst == NOC_NONE) {
        noc_tree_front(noc, channel, packet);
    } else {
        size_t router = noc->in_port[in->port].router;
        const struct noc_route *route = &noc->route[router * noc->nodes + dst];

        in->out_port = route->port;
        in->half = route->half;
        in->state = NOC_WAIT;
    }
    if (noc->params.rc == 0 && now) {
        noc_routed(noc, channel);
        return;
    }
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle + noc->params.rc)];
    slot->routed[slot->nrouted++] = channel;
    noc->waiting++;
}

static uint32_t distance(uint32_t from, uint32_t to, uint32_t size)
{
    return to >= from ? to - from : to + size - from;
}

/* One waiting channel, or a branch of its packet, asks for the output channel that its pointer
 * comes to first. A choice is output port * TS_NOC_VCS_MAX + channel. */
static uint32_t ask(struct ts_noc *noc, uint32_t router, uint32_t channel, uint32_t out_port,
                    uint32_t half, uint32_t nasked)
{
    const struct noc_in *in = &noc->in[channel];
    uint32_t out = router * noc->ports + out_port;
    uint64_t free_vcs = noc->out_port[out].free & noc->allowed[half][in->vc];

    if (free_vcs == 0)
        return nasked;
    if (noc->params.speculative && (free_vcs & noc->out_port[out].credit) != 0) {
        uint32_t local = noc->in_port[in->port].local;
        noc->spec_want[local * noc->ports + out_port] |= noc_bit(in->vc);
        noc->spec_outs[local] |= noc_bit(out_port);
    }
    uint32_t vc = noc_pick(free_vcs, in->va_port == out_port ? in->va_vc : 0);
    uint32_t choice = out_port * TS_NOC_VCS_MAX + vc;
    uint32_t size = noc->ports * noc->width, self = channel - router * size;
    uint32_t *candidate = &noc->candidate[choice];
    if (*candidate == NOC_NONE) {
        *candidate = self;
        noc->asked[nasked++] = choice;
    } else {
        uint32_t first = noc->out[out * noc->width + vc].va_pointer;
        if (distance(first, self, size) < distance(first, *candidate, size))
            *candidate = self;
    }
    return nasked;
}

/* The output channel of the choice is given to the input channel. */
static void grant(struct ts_noc *noc, uint32_t router, uint32_t choice, uint32_t self)
{
    uint32_t size = noc->ports * noc->width, channel = router * size + self;
    uint32_t out_port = choice / TS_NOC_VCS_MAX, vc = choice % TS_NOC_VCS_MAX;
    uint32_t out_global = router * noc->ports + out_port;
    struct noc_out *out = &noc->out[out_global * noc->width + vc];
    struct noc_in *in = &noc->in[channel];

    in->va_port = (uint8_t)out_port;
    in->va_vc = (uint8_t)noc_next(vc, noc->width);
    out->va_pointer = noc_next(self, size);
    out->owner = channel;
    noc->out_port[out_global].free &= ~noc_bit(vc);
    if (in->state == NOC_FORK) {
        if (noc_tree_granted(noc, channel, out_port, vc))
            clear_routed(noc, channel);
        return;
    }
    in->out_vc = (uint8_t)vc;
    in->state = NOC_WAIT;
    in->fresh = 1;
    clear_routed(noc, channel);
}

/* Output channels to waiting heads. Returns how many; asked[] names them, candidate[] the winners.
 */
static uint32_t allocate_channels(struct ts_noc *noc, uint32_t router)
{
    uint32_t base = router * noc->ports, nasked = 0;

    for (uint64_t ports = noc->routed_ports[router]; ports != 0; ports &= ports - 1) {
        uint32_t port = base + (uint32_t)__builtin_ctzll(ports);
        for (uint64_t vcs = noc->in_port[port].routed; vcs != 0; vcs &= vcs - 1) {
            uint32_t channel = port * noc->width + (uint32_t)__builtin_ctzll(vcs);
            const struct noc_in *in = &noc->in[channel];
            if (in->state != NOC_FORK) {
                nasked = ask(noc, router, channel, in->out_port, in->half, nasked);
                continue;
            }
            for (uint64_t outs = noc->asking[channel]; outs != 0; outs &= outs - 1) {
                uint32_t out = (uint32_t)__builtin_ctzll(outs);
                nasked =
                    ask(noc, router, channel, out, noc_branch(noc, channel, out)->half, nasked);
            }
        }
    }
    for (uint32_t i = 0; i < nasked; i++)
        grant(noc, router, noc->asked[i], noc->candidate[noc->asked[i]]);
    return nasked;
}

void noc_report_hop(const struct ts_noc *noc, uint32_t out_port, uint32_t packet, uint64_t cycle)
{
    uint32_t router = out_port / noc->ports;

    noc->hop(noc->hop_user, noc->packet[packet].cookie, router, out_port - router * noc->ports,
             cycle);
}

void noc_transmit(struct ts_noc *noc, uint32_t out_port, uint32_t vc, uint32_t flit, uint64_t cycle)
{
    struct noc_out_port *port = &noc->out_port[out_port];
    uint64_t at = cycle + 1 + noc->params.st + noc->params.link;
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, at)];
    struct noc_out *out = &noc->out[out_port * noc->width + vc];

    slot->arrivals[slot->narrivals++] = (struct noc_arrival){port->to + vc, flit};
    noc->waiting++;
    noc->stats.flit_hops++;
    noc->moved = cycle;
    port->flits++;
    if (--out->credits == 0)
        port->credit &= ~noc_bit(vc);
    if (flit & 1u) {
        out->owner = NOC_NONE;
        port->free |= noc_bit(vc);
    }
}

void noc_take(struct ts_noc *noc, uint32_t channel, uint64_t cycle)
{
    struct noc_in *in = &noc->in[channel];
    const struct noc_in_port *port = &noc->in_port[in->port];
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle + port->credit_cycles)];

    in->head = (uint8_t)noc_next(in->head, noc->params.depth);
    in->count--;
    slot->credits[slot->ncredits++] = port->credit_to + in->vc;
    noc->waiting++;
}

/* The flit at the front of the channel has won the switch. */
static void send(struct ts_noc *noc, uint32_t channel, uint64_t cycle)
{
    struct noc_in *in = &noc->in[channel];
    uint32_t out_port = noc->in_port[in->port].router * noc->ports + in->out_port;
    uint32_t flit = noc_flit(noc, channel, 0);

    if (in->fresh) {
        in->fresh = 0;
        if (noc->hop)
            noc_report_hop(noc, out_port, flit >> 1, cycle);
    }
    noc_transmit(noc, out_port, in->out_vc, flit, cycle);
    noc_take(noc, channel, cycle);
    if (flit & 1u)
        in->state = NOC_IDLE;
    noc_update_want(noc, channel);
    if ((flit & 1u) && in->count > 0)
        noc_front(noc, channel, cycle + 1, false);
}

/* Channels of the input that would send to the output. */
static uint64_t senders(const struct ts_noc *noc, uint32_t base, uint32_t in, uint32_t out,
                        const struct match *m)
{
    return m->speculating & noc_bit(in) ? noc->spec_want[in * noc->ports + out]
                                        : noc->want[(base + in) * noc->ports + out];
}

/* An input reads one flit a cycle; if its packet forks, all outputs that wait for this flit may
 * have it. outs: what the input asks for; out: what it has settled for. */
static uint64_t settle(const struct ts_noc *noc, uint32_t base, uint32_t in, uint64_t outs,
                       uint32_t out, struct match *m)
{
    uint32_t vc = noc_pick(senders(noc, base, in, out, m), noc->in_port[base + in].vc);
    uint32_t channel = (base + in) * noc->width + vc;
    uint64_t alike = noc_bit(out);

    m->chosen[in] = (uint8_t)vc;
    if (noc->in[channel].state != NOC_FORK)
        return alike;
    for (; outs != 0; outs &= outs - 1) {
        uint32_t other = (uint32_t)__builtin_ctzll(outs);
        if ((senders(noc, base, in, other, m) & noc_bit(vc)) &&
            noc_branch(noc, channel, other)->taken == noc_branch(noc, channel, out)->taken)
            alike |= noc_bit(other);
    }
    return alike;
}

/* Separable, input first; requests that speculate come after all others (BookSim2's
 * spec_sw_allocator "prio", its default). */
static inline void match(struct ts_noc *noc, uint32_t router, uint64_t inputs, bool forks,
                         struct match *m)
{
    uint64_t asking[2][TS_NOC_PORTS_MAX], asked[2] = {0, 0};
    uint32_t base = router * noc->ports;

    m->speculating = 0;
    for (uint64_t rest = inputs; rest != 0; rest &= rest - 1) {
        uint32_t in = (uint32_t)__builtin_ctzll(rest);
        const struct noc_in_port *port = &noc->in_port[base + in];
        uint64_t outs = port->want_outs;
        uint32_t low = outs == 0;
        if (low) {
            outs = noc->spec_outs[in];
            if (outs == 0)
                continue;
            m->speculating |= noc_bit(in);
        }
        uint32_t out = noc_pick(outs, port->sa);
        uint64_t wanted = forks ? settle(noc, base, in, outs, out, m) : noc_bit(out);
        for (; wanted != 0; wanted &= wanted - 1) {
            out = (uint32_t)__builtin_ctzll(wanted);
            asking[low][out] = (asked[low] & noc_bit(out) ? asking[low][out] : 0) | noc_bit(in);
            asked[low] |= noc_bit(out);
        }
    }
    m->outs = asked[0] | asked[1];
    for (uint64_t rest = m->outs; rest != 0; rest &= rest - 1) {
        uint32_t out = (uint32_t)__builtin_ctzll(rest), low = !(asked[0] & noc_bit(out));
        uint32_t in = noc_pick(asking[low][out], noc->out_port[base + out].sa);
        m->winner[out] = (uint8_t)in;
        noc->in_port[base + in].sa = (uint8_t)noc_next(out, noc->ports);
        noc->out_port[base + out].sa = (uint8_t)noc_next(in, noc->ports);
    }
}

/* Outputs that the input has won, for a packet that forks; 0: its channel's does not. */
static uint64_t won_by_fork(const struct ts_noc *noc, uint32_t base, uint32_t in,
                            const struct match *m)
{
    uint64_t won = 0;

    if (noc->in[(base + in) * noc->width + m->chosen[in]].state != NOC_FORK)
        return 0;
    for (uint64_t rest = m->outs; rest != 0; rest &= rest - 1) {
        uint32_t out = (uint32_t)__builtin_ctzll(rest);
        won |= m->winner[out] == in ? noc_bit(out) : 0;
    }
    return won;
}

/* A speculative request has won the switch: has the channel, or the branch, been given a channel of
 * the output in this cycle, with room? Else the slot is lost. */
static bool speculation_holds(struct ts_noc *noc, uint32_t channel, uint32_t out_port, uint32_t out)
{
    const struct noc_in *in = &noc->in[channel];
    uint32_t state = in->state, vc = in->out_vc;

    if (state == NOC_FORK) {
        state = noc_branch(noc, channel, out)->state;
        vc = noc_branch(noc, channel, out)->out_vc;
    }
    if (state == NOC_WAIT && noc->out[out_port * noc->width + vc].credits > 0)
        return true;
    noc->stats.speculation_failed++;
    return false;
}

static void traverse_fork(struct ts_noc *noc, uint32_t base, uint32_t in, uint64_t won,
                          const struct match *m, uint64_t cycle)
{
    uint32_t channel = (base + in) * noc->width + m->chosen[in];

    noc->in_port[base + in].vc = (uint8_t)noc_next(m->chosen[in], noc->width);
    for (uint64_t rest = m->speculating & noc_bit(in) ? won : 0; rest != 0; rest &= rest - 1) {
        uint32_t out = (uint32_t)__builtin_ctzll(rest);
        if (speculation_holds(noc, channel, base + out, out))
            noc_branch(noc, channel, out)->state = NOC_ACTIVE;
        else
            won &= ~noc_bit(out);
    }
    if (won != 0)
        noc_tree_traverse(noc, channel, won, cycle);
}

static void traverse(struct ts_noc *noc, uint32_t router, bool forks, const struct match *m,
                     uint64_t cycle)
{
    uint32_t base = router * noc->ports;
    uint64_t done = 0;

    for (uint64_t rest = m->outs; rest != 0; rest &= rest - 1) {
        uint32_t out = (uint32_t)__builtin_ctzll(rest), in = m->winner[out];
        if (forks) {
            if (done & noc_bit(in))
                continue; /* a further branch: gone already */
            done |= noc_bit(in);
            uint64_t won = won_by_fork(noc, base, in, m);
            if (won != 0) {
                traverse_fork(noc, base, in, won, m, cycle);
                continue;
            }
        }
        uint32_t vc = noc_pick(senders(noc, base, in, out, m), noc->in_port[base + in].vc);
        uint32_t channel = (base + in) * noc->width + vc;
        noc->in_port[base + in].vc = (uint8_t)noc_next(vc, noc->width);
        if (m->speculating & noc_bit(in)) {
            if (!speculation_holds(noc, channel, base + out, out))
                continue;
            noc->in[channel].state = NOC_ACTIVE;
        }
        send(noc, channel, cycle);
    }
}

static void forget_speculation(struct ts_noc *noc, uint64_t inputs)
{
    for (uint64_t rest = inputs; rest != 0; rest &= rest - 1) {
        uint32_t in = (uint32_t)__builtin_ctzll(rest);
        for (uint64_t o = noc->spec_outs[in]; o != 0; o &= o - 1)
            noc->spec_want[in * noc->ports + (uint32_t)__builtin_ctzll(o)] = 0;
        noc->spec_outs[in] = 0;
    }
}

/* What has been allocated may be used from the next cycle on, unless speculation has used it. */
static void finish_grants(struct ts_noc *noc, uint32_t router, uint32_t granted, uint64_t cycle)
{
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle + noc->params.va)];
    uint32_t base = router * noc->ports;

    for (uint32_t i = 0; i < granted; i++) {
        uint32_t choice = noc->asked[i], out = choice / TS_NOC_VCS_MAX;
        uint32_t channel = base * noc->width + noc->candidate[choice];
        uint32_t id = (base + out) * noc->width + choice % TS_NOC_VCS_MAX;

        noc->candidate[choice] = NOC_NONE;
        if (noc->out[id].owner != channel)
            continue;
        uint32_t state = noc->in[channel].state;
        if (state == NOC_FORK)
            state = noc_branch(noc, channel, out)->state;
        if (state != NOC_WAIT)
            continue;
        slot->granted[slot->ngranted++] = id;
        noc->waiting++;
    }
}

void noc_router_step(struct ts_noc *noc, uint32_t router, uint64_t cycle)
{
    uint64_t waiting = noc->routed_ports[router], sending = noc->want_ports[router];
    uint32_t granted = waiting != 0 ? allocate_channels(noc, router) : 0;
    uint64_t speculating = noc->params.speculative ? waiting : 0;
    struct match m;

    if ((sending | speculating) != 0) {
        bool forks = noc->forks != NULL && noc->forks[router] != 0;
        match(noc, router, sending | speculating, forks, &m);
        traverse(noc, router, forks, &m, cycle);
        forget_speculation(noc, speculating);
    }
    if (granted != 0)
        finish_grants(noc, router, granted, cycle);
}
