/* SPDX-License-Identifier: Apache-2.0 */
#include "models/abi/pv_ipi.h"

enum { SLIDING_SIZE = 128 }; /* KVM_IPI_CLUSTER_SIZE: two words of 64 bits */

static uint32_t size_of(enum ts_pv_ipi kind)
{
    return kind == TS_PV_IPI_CLUSTER192 ? 192 : 128;
}

static void set_bit(struct ts_pv_ipi_window *w, uint32_t bit)
{
    w->bits[bit / 64] |= UINT64_C(1) << (bit % 64);
    w->count++;
}

/* The window's first ID becomes lower: what is set keeps its IDs. */
static void shift_up(struct ts_pv_ipi_window *w, uint32_t by)
{
    uint64_t low = w->bits[0], high = w->bits[1];

    TS_ASSERT(by > 0 && by < SLIDING_SIZE);
    if (by >= 64) {
        w->bits[1] = low << (by - 64);
        w->bits[0] = 0;
    } else {
        w->bits[1] = high << by | low >> (64 - by);
        w->bits[0] = low << by;
    }
    w->min -= by;
}

bool ts_pv_ipi_reaches(enum ts_pv_ipi kind, uint32_t nr_ids)
{
    return kind != TS_PV_IPI_OFF && (kind != TS_PV_IPI_ABSOLUTE128 || nr_ids <= 128);
}

/* IDs join the window while their span stays below its size, whichever way they go; the first that
 * does not fit begins the next. */
static bool next_sliding(struct ts_pv_ipi_iter *it, struct ts_pv_ipi_window *w)
{
    uint32_t max;

    if (it->at == it->n)
        return false;
    max = w->min = it->ids[it->at++];
    set_bit(w, 0);
    for (; it->at < it->n; it->at++) {
        uint32_t id = it->ids[it->at];

        if (id < w->min && max - id < SLIDING_SIZE)
            shift_up(w, w->min - id);
        else if (id > w->min && id - w->min < SLIDING_SIZE)
            max = id > max ? id : max;
        else
            break;
        set_bit(w, id - w->min);
    }
    return true;
}

static bool next_cluster(struct ts_pv_ipi_iter *it, struct ts_pv_ipi_window *w)
{
    uint32_t size = size_of(it->kind);
    uint64_t lowest = UINT64_MAX;

    for (uint32_t i = 0; i < it->n; i++) {
        uint32_t cluster = it->ids[i] / size;

        if (cluster >= it->cluster && cluster < lowest)
            lowest = cluster;
    }
    if (lowest == UINT64_MAX)
        return false;
    it->cluster = lowest + 1;
    w->min = (uint32_t)lowest * size;
    for (uint32_t i = 0; i < it->n; i++) {
        if (it->ids[i] / size == lowest)
            set_bit(w, it->ids[i] % size);
    }
    return true;
}

bool ts_pv_ipi_next(struct ts_pv_ipi_iter *it, struct ts_pv_ipi_window *w)
{
    TS_ASSERT(it->kind != TS_PV_IPI_OFF);
    *w = (struct ts_pv_ipi_window){{0}, 0, 0};
    return it->kind == TS_PV_IPI_SLIDING ? next_sliding(it, w) : next_cluster(it, w);
}

void ts_pv_ipi_args(const struct ts_pv_ipi_window *w, uint32_t icr, uint64_t *args)
{
    args[0] = w->bits[0];
    args[1] = w->bits[1];
    args[TS_PV_IPI_ARG_MIN] = w->min;
    args[TS_PV_IPI_ARG_ICR] = icr;
    args[TS_PV_IPI_ARG_WORD2] = w->bits[2];
}

struct ts_pv_ipi_window ts_pv_ipi_window_of(const uint64_t *args)
{
    struct ts_pv_ipi_window w = {
        {args[0], args[1], args[TS_PV_IPI_ARG_WORD2]}, (uint32_t)args[TS_PV_IPI_ARG_MIN], 0};

    for (uint32_t i = 0; i < TS_PV_IPI_WORDS; i++)
        w.count += (uint32_t)__builtin_popcountll(w.bits[i]);
    return w;
}

int ts_pv_ipi_check(uint32_t icr, bool has_map)
{
    if (icr & (TS_ICR_DEST_LOGICAL | TS_ICR_SHORTHAND_MASK))
        return TS_PV_IPI_EINVAL;
    return has_map ? 0 : TS_PV_IPI_EOPNOTSUPP;
}

bool ts_pv_ipi_target(const struct ts_pv_ipi_window *w, uint32_t max_id, uint32_t *bit,
                      uint32_t *id)
{
    for (; *bit < TS_PV_IPI_WORDS * 64; (*bit)++) {
        if (!((w->bits[*bit / 64] >> (*bit % 64)) & 1u))
            continue;
        if (w->min > max_id || *bit > max_id - w->min)
            return false;
        *id = w->min + (*bit)++;
        return true;
    }
    return false;
}
