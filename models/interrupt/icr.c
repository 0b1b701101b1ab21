/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/icr.h"

/* Targets of one ICC_SGI1R write: its target list has 16 bits (Arm GICv3, IHI 0069). */
#define SGI_TARGETS 16u

static uint32_t id_of(const struct ts_icr_iter *it, uint32_t i)
{
    return it->apic_ids ? it->apic_ids[it->targets[i]] : it->targets[i];
}

static uint32_t cluster_of(const struct ts_icr_iter *it, uint32_t i)
{
    return id_of(it, i) / (uint32_t)it->params->cluster_size;
}

bool ts_icr_shorthand(const struct ts_interrupt_params *params, enum ts_intr_mode mode, uint32_t n,
                      bool all_but_self)
{
    /* gic_ipi_send_mask never uses the all-but-self routing mode. */
    return all_but_self && n > 1 && params->shorthand && mode != TS_INTR_GIC_SGI;
}

/* __x2apic_send_IPI_mask: takes all of the mask's CPUs that are in the first one's cluster, and
 * drops them. Clusters come in the order of their first CPUs. */
static bool next_cluster(struct ts_icr_iter *it, struct ts_icr_write *w)
{
    for (; it->at < it->n; it->at++) {
        uint32_t cluster = cluster_of(it, it->at);
        bool sent = false;

        /* Only APIC IDs that go down again can be of a cluster that has had its write. */
        for (uint32_t i = 0; it->at && cluster <= it->highest && i < it->at && !sent; i++)
            sent = cluster_of(it, i) == cluster;
        if (sent)
            continue;
        it->highest = cluster > it->highest ? cluster : it->highest;
        w->kind = TS_ICR_LOGICAL;
        w->first = it->at;
        w->count = 0;
        for (uint32_t i = it->at; i < it->n; i++) {
            if (cluster_of(it, i) == cluster) {
                w->count++;
                w->end = i + 1;
            }
        }
        it->at++;
        return true;
    }
    return false;
}

static void next_sgi(struct ts_icr_iter *it, struct ts_icr_write *w)
{
    uint32_t group = id_of(it, it->at) / SGI_TARGETS, end = it->at + 1;

    while (end < it->n && id_of(it, end) / SGI_TARGETS == group)
        end++;
    w->kind = TS_ICR_SGI;
    w->count = end - it->at;
}

bool ts_icr_next(struct ts_icr_iter *it, struct ts_icr_write *w)
{
    if (it->at >= it->n)
        return false;
    if (it->mode == TS_INTR_X2APIC_CLUSTER &&
        !ts_icr_shorthand(it->params, it->mode, it->n, it->all_but_self) &&
        !(it->n == 1 && it->targets[0] == it->self))
        return next_cluster(it, w);
    w->first = it->at;
    w->count = 1;
    if (it->mode == TS_INTR_GIC_SGI) {
        next_sgi(it, w);
    } else if (ts_icr_shorthand(it->params, it->mode, it->n, it->all_but_self)) {
        w->kind = TS_ICR_SHORTHAND;
        w->count = it->n;
    } else if (it->n == 1 && it->targets[0] == it->self) {
        w->kind = TS_ICR_SELF;
    } else if (it->mode == TS_INTR_XAPIC_FLAT) {
        w->kind = TS_ICR_LOGICAL;
        w->count = it->n;
    } else {
        w->kind = TS_ICR_PHYSICAL;
    }
    w->end = w->first + w->count;
    it->at = w->end;
    return true;
}

bool ts_icr_reaches(const struct ts_icr_iter *it, const struct ts_icr_write *w, uint32_t i)
{
    TS_ASSERT(i >= w->first && i < w->end);
    return w->count == w->end - w->first || cluster_of(it, i) == cluster_of(it, w->first);
}
