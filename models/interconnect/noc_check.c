/* SPDX-License-Identifier: Apache-2.0 */
/* The sum rules of a network: nothing is lost, nothing is there twice. */
#include "models/interconnect/noc_private.h"

#include <inttypes.h>
#include <stdlib.h>

/* What is there, counted from buffers and wires. */
struct sums {
    uint32_t *held;    /* [channel, then those of network interfaces] places of its buffer that are
                          not credits at its sender */
    uint32_t *present; /* [packet] flits in buffers and on wires */
    uint64_t flits;    /* all of them */
};

static void add_under_way(const struct ts_noc *noc, struct sums *s)
{
    for (uint32_t i = 0; i < noc->slots; i++) {
        const struct noc_slot *slot = &noc->slot[i];

        for (uint32_t c = 0; c < slot->ncredits; c++)
            s->held[slot->credits[c]]++;
        for (uint32_t a = 0; a < slot->narrivals; a++) {
            uint32_t to = slot->arrivals[a].to & ~NOC_SINK;
            uint32_t port = to / noc->width, vc = to % noc->width;

            if (slot->arrivals[a].to & NOC_SINK)
                s->held[noc->node[port].port * noc->width + vc]++;
            else
                s->held[noc->in_port[port].credit_to + vc]++;
            s->present[slot->arrivals[a].flit >> 1]++;
            s->flits++;
        }
    }
}

/* False: the flits of two packets are mixed in a buffer. */
static bool add_buffered(const struct ts_noc *noc, struct sums *s)
{
    for (uint32_t c = 0; c < noc->channels; c++) {
        const struct noc_in *in = &noc->in[c];

        if (in->count > 0)
            s->held[noc->in_port[in->port].credit_to + in->vc] += in->count;
        s->flits += in->count;
        for (uint32_t i = 0; i < in->count; i++) {
            uint32_t flit = noc_flit(noc, c, i);
            uint32_t before = i > 0 ? noc_flit(noc, c, i - 1) : NOC_NONE;

            s->present[flit >> 1]++;
            if (i > 0 && ((before & 1u) != 0) == (before >> 1 == flit >> 1))
                return false;
        }
    }
    return true;
}

static enum ts_status check_credits(const struct ts_noc *noc, const struct sums *s,
                                    struct ts_error *err)
{
    for (uint32_t c = 0; c < noc->channels + noc->nodes * noc->width; c++) {
        const struct noc_out *out =
            c < noc->channels ? &noc->out[c] : &noc->ni_out[c - noc->channels];

        if (out->credits + s->held[c] != noc->params.depth)
            return ts_error_set(err, TS_ERR_FINDING,
                                "network: channel %u has %u credits and %u flits or credits under "
                                "way for a buffer of %u",
                                c, out->credits, s->held[c], noc->params.depth);
    }
    return TS_OK;
}

static enum ts_status check_packets(const struct ts_noc *noc, struct sums *s, struct ts_error *err)
{
    for (uint32_t i = 0; i < noc->params.packets; i++) {
        const struct noc_packet *p = &noc->packet[i];
        uint32_t flits = p->flits > 0 ? p->left + s->present[i] + p->taken : s->present[i];

        if (flits != p->flits)
            return ts_error_set(err, TS_ERR_FINDING,
                                "network: a packet of %u flits has %u to send, %u under way and %u "
                                "that have arrived",
                                p->flits, p->left, s->present[i], p->taken);
    }
    return TS_OK;
}

static uint64_t not_injected(const struct ts_noc *noc)
{
    uint64_t flits = 0;

    for (uint32_t i = 0; i < noc->nodes * noc->params.classes; i++)
        for (uint32_t p = noc->queue[i].first; p != NOC_NONE; p = noc->packet[p].next)
            flits += noc->packet[p].left;
    return flits;
}

static enum ts_status check_sums(const struct ts_noc *noc, struct sums *s, struct ts_error *err)
{
    add_under_way(noc, s);
    if (!add_buffered(noc, s))
        return ts_error_set(err, TS_ERR_FINDING,
                            "network: flits of two packets are mixed in a buffer");
    enum ts_status status = check_credits(noc, s, err);
    if (status == TS_OK)
        status = check_packets(noc, s, err);
    if (status != TS_OK)
        return status;
    uint64_t there = s->flits + not_injected(noc);
    if (noc->flits_before + noc->stats.flits_sent + noc->stats.flits_copied !=
        noc->stats.flits_delivered + there)
        return ts_error_set(err, TS_ERR_FINDING,
                            "network: %" PRIu64 " flits there before, %" PRIu64
                            " sent and copied, %" PRIu64 " delivered, %" PRIu64 " there",
                            noc->flits_before, noc->stats.flits_sent + noc->stats.flits_copied,
                            noc->stats.flits_delivered, there);
    return TS_OK;
}

enum ts_status ts_noc_check(const struct ts_noc *noc, struct ts_error *err)
{
    struct sums s = {calloc((size_t)noc->channels + noc->nodes * noc->width, sizeof(*s.held)),
                     calloc(noc->params.packets, sizeof(*s.present)), 0};
    enum ts_status status =
        s.held && s.present
            ? check_sums(noc, &s, err)
            : ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for the check of a network");

    free(s.held);
    free(s.present);
    if (status != TS_OK)
        return status;
    if (noc->stuck)
        return ts_error_set(err, TS_ERR_FINDING,
                            "network: no flit has moved for %" PRIu64 " cycles: deadlock",
                            noc->params.watchdog);
    if (ts_noc_pending(noc) > 0 && ts_noc_next(noc, 0) == TS_NOC_NEVER)
        return ts_error_set(err, TS_ERR_FINDING,
                            "network: %" PRIu64 " packets are there and nothing moves: deadlock",
                            ts_noc_pending(noc));
    return TS_OK;
}
