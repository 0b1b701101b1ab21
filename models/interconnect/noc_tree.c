/* SPDX-License-Identifier: Apache-2.0 */
/* Packets for several destinations, which fork where their routes part. Each branch is a packet
 * with a record of its own from the fork on; records for all forks to come are put by when the
 * packet is sent, so that none can be missing: a tree of n leaves has at most 2n - 1 nodes. */
#include "models/interconnect/noc_private.h"

static uint64_t *set_of(const struct ts_noc *noc, uint32_t packet)
{
    return &noc->set[(size_t)packet * noc->set_words];
}

bool noc_tree_send(struct ts_noc *noc, uint64_t cycle, uint32_t src, const uint32_t *dst,
                   uint32_t ndst, uint32_t klass, uint32_t flits, uint64_t cookie)
{
    TS_ASSERT(src < noc->nodes && ndst <= noc->nodes && klass < noc->params.classes);
    TS_ASSERT(flits > 0 && flits <= noc->params.depth);
    if (noc->free_packets < 2 * ndst - 1)
        return false;
    noc->free_packets -= 2 * ndst - 1;
    uint32_t i = noc_packet_take(noc);
    noc->packet[i] = (struct noc_packet){
        cookie, cycle, cycle, src, NOC_NONE, NOC_NONE, flits, flits, 0, klass,
    };
    uint64_t *set = set_of(noc, i);
    for (uint32_t w = 0; w < noc->set_words; w++)
        set[w] = 0;
    for (uint32_t d = 0; d < ndst; d++) {
        TS_ASSERT(dst[d] < noc->nodes && !(set[dst[d] / 64] & noc_bit(dst[d] % 64)));
        noc_set(set, dst[d]);
    }
    noc_enqueue(noc, cycle, i, ndst);
    return true;
}

/* Outputs towards the destinations of the set. *half: of the channels, if there is one output.
 * A packet to the near and the far side of a ring's wrap takes the channels of those that have the
 * wrap ahead, as the farthest of its destinations would. */
static uint64_t outputs(const struct ts_noc *noc, uint32_t router, const uint64_t *set,
                        uint8_t *half)
{
    const struct noc_route *route = &noc->route[(size_t)router * noc->nodes];
    uint64_t outs = 0;

    *half = 2;
    for (uint32_t w = 0; w < noc->set_words; w++)
        for (uint64_t rest = set[w]; rest != 0; rest &= rest - 1) {
            const struct noc_route *r = &route[w * 64 + (uint32_t)__builtin_ctzll(rest)];
            outs |= noc_bit(r->port);
            *half = r->half < *half ? r->half : *half;
        }
    return outs;
}

/* A record for the destinations of the set that the output leads to. */
static uint32_t branch_packet(struct ts_noc *noc, uint32_t router, uint32_t packet, uint32_t out)
{
    const struct noc_route *route = &noc->route[(size_t)router * noc->nodes];
    uint32_t copy = noc_packet_take(noc), count = 0, last = 0;
    const uint64_t *from = set_of(noc, packet);
    uint64_t *set = set_of(noc, copy);
    struct noc_packet *p = &noc->packet[copy];

    for (uint32_t w = 0; w < noc->set_words; w++) {
        set[w] = 0;
        for (uint64_t rest = from[w]; rest != 0; rest &= rest - 1) {
            uint32_t dst = w * 64 + (uint32_t)__builtin_ctzll(rest);
            if (route[dst].port != out)
                continue;
            set[w] |= rest & -rest;
            last = dst;
            count++;
        }
    }
    *p = noc->packet[packet];
    p->dst = count == 1 ? last : NOC_NONE;
    p->next = NOC_NONE;
    p->left = p->flits;
    p->taken = 0;
    return copy;
}

void noc_tree_front(struct ts_noc *noc, uint32_t channel, uint32_t packet)
{
    struct noc_in *in = &noc->in[channel];
    uint32_t router = noc->in_port[in->port].router, count = 0;
    uint8_t half;
    uint64_t outs = outputs(noc, router, set_of(noc, packet), &half);

    if ((outs & (outs - 1)) == 0) {
        in->out_port = (uint8_t)__builtin_ctzll(outs);
        in->half = half;
        in->state = NOC_WAIT;
        return;
    }
    in->state = NOC_FORK;
    noc->forks[router]++;
    noc->open[channel] = outs;
    noc->asking[channel] = 0;
    for (uint64_t rest = outs; rest != 0; rest &= rest - 1, count++) {
        uint32_t out = (uint32_t)__builtin_ctzll(rest);
        struct noc_branch *b = noc_branch(noc, channel, out);
        uint32_t copy = branch_packet(noc, router, packet, out);

        if (noc->packet[copy].dst == NOC_NONE)
            (void)outputs(noc, router, set_of(noc, copy), &half);
        else
            half = noc->route[(size_t)router * noc->nodes + noc->packet[copy].dst].half;
        *b = (struct noc_branch){NOC_WAIT, half, 0, 0, copy};
    }
    /* Of the 2n - 2 records put by for n destinations, count are taken, and 2(n - count) may still
     * be needed by the branches. */
    noc->free_packets += count - 2;
}

void noc_tree_routed(struct ts_noc *noc, uint32_t channel)
{
    noc->asking[channel] = noc->open[channel];
    for (uint64_t rest = noc->open[channel]; rest != 0; rest &= rest - 1)
        noc_branch(noc, channel, (uint32_t)__builtin_ctzll(rest))->state = NOC_ROUTED;
}

bool noc_tree_granted(struct ts_noc *noc, uint32_t channel, uint32_t out, uint32_t vc)
{
    struct noc_branch *b = noc_branch(noc, channel, out);

    b->state = NOC_WAIT;
    b->out_vc = (uint8_t)vc;
    noc->asking[channel] &= ~noc_bit(out);
    return noc->asking[channel] == 0;
}

void noc_tree_activate(struct ts_noc *noc, uint32_t channel, uint32_t out)
{
    noc_branch(noc, channel, out)->state = NOC_ACTIVE;
    noc_tree_update_want(noc, channel, out);
}

void noc_tree_update_want(struct ts_noc *noc, uint32_t channel, uint32_t out)
{
    const struct noc_in *in = &noc->in[channel];
    const struct noc_branch *b = noc_branch(noc, channel, out);
    uint32_t port = noc->in_port[in->port].router * noc->ports + out;

    noc_set_want(noc, channel, out,
                 b->state == NOC_ACTIVE && in->count > b->taken &&
                     noc->out[port * noc->width + b->out_vc].credits > 0);
}

void noc_tree_arrive(struct ts_noc *noc, uint32_t channel)
{
    for (uint64_t rest = noc->open[channel]; rest != 0; rest &= rest - 1)
        noc_tree_update_want(noc, channel, (uint32_t)__builtin_ctzll(rest));
}

static void send_branch(struct ts_noc *noc, uint32_t channel, uint32_t out, uint64_t cycle)
{
    struct noc_branch *b = noc_branch(noc, channel, out);
    struct noc_packet *p = &noc->packet[b->packet];
    uint32_t port = noc->in_port[noc->in[channel].port].router * noc->ports + out;

    if (noc->hop && p->left == p->flits)
        noc_report_hop(noc, port, b->packet, cycle);
    p->left--;
    b->taken++;
    noc_transmit(noc, port, b->out_vc, b->packet << 1 | (uint32_t)(p->left == 0), cycle);
    if (p->left == 0) {
        b->state = NOC_IDLE;
        noc->open[channel] &= ~noc_bit(out);
    }
    noc_tree_update_want(noc, channel, out);
}

/* If all branches have taken the first flit, it leaves. An input reads one flit a cycle, so there
 * is one such flit at most. */
static bool release(struct ts_noc *noc, uint32_t channel, uint64_t cycle)
{
    struct noc_in *in = &noc->in[channel];
    uint32_t packet = noc_flit(noc, channel, 0) >> 1;

    for (uint64_t rest = noc->open[channel]; rest != 0; rest &= rest - 1)
        if (noc_branch(noc, channel, (uint32_t)__builtin_ctzll(rest))->taken == 0)
            return false;
    for (uint64_t rest = noc->open[channel]; rest != 0; rest &= rest - 1)
        noc_branch(noc, channel, (uint32_t)__builtin_ctzll(rest))->taken--;
    noc_take(noc, channel, cycle);
    if (++noc->packet[packet].taken < noc->packet[packet].flits)
        return true;
    TS_ASSERT(noc->open[channel] == 0);
    noc_packet_free(noc, packet);
    noc->forks[noc->in_port[in->port].router]--;
    in->state = NOC_IDLE;
    if (in->count > 0)
        noc_front(noc, channel, cycle + 1, false);
    return true;
}

void noc_tree_traverse(struct ts_noc *noc, uint32_t channel, uint64_t outs, uint64_t cycle)
{
    for (uint64_t rest = outs; rest != 0; rest &= rest - 1)
        send_branch(noc, channel, (uint32_t)__builtin_ctzll(rest), cycle);
    noc->stats.flits_copied += (uint64_t)__builtin_popcountll(outs);
    if (release(noc, channel, cycle))
        noc->stats.flits_copied--;
}
