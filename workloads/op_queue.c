/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/op_queue.h"

#include "workloads/grow.h"

#include <string.h>

/* The kind, nine fields and a mask of those that are there; a varint of 64 bits has ten bytes. */
#define FIELDS 9u
#define OP_BYTES_MAX (1u + 2u + FIELDS * 10u)

static void get_fields(const struct ts_op *op, uint64_t f[FIELDS])
{
    f[0] = op->region;
    f[1] = op->target;
    f[2] = op->prot;
    f[3] = op->flags;
    f[4] = op->offset;
    f[5] = op->length;
    f[6] = op->length2;
    f[7] = op->stride;
    f[8] = op->count;
}

static void set_fields(struct ts_op *op, const uint64_t f[FIELDS])
{
    op->region = (uint32_t)f[0];
    op->target = (uint32_t)f[1];
    op->prot = (uint32_t)f[2];
    op->flags = (uint32_t)f[3];
    op->offset = f[4];
    op->length = f[5];
    op->length2 = f[6];
    op->stride = f[7];
    op->count = f[8];
}

void ts_op_queue_fini(struct ts_op_queue *q)
{
    free(q->buf);
    memset(q, 0, sizeof(*q));
}

bool ts_op_queue_empty(const struct ts_op_queue *q)
{
    return q->begin == q->end;
}

enum ts_status ts_op_queue_push(struct ts_op_queue *q, const struct ts_op *op, struct ts_error *err)
{
    /* Moves what is left to the front when that frees at least half, so that each byte is moved a
     * bounded number of times. */
    if (q->cap - q->end < OP_BYTES_MAX && q->begin >= q->end - q->begin) {
        if (q->end > q->begin)
            memmove(q->buf, q->buf + q->begin, q->end - q->begin);
        q->end -= q->begin;
        q->begin = 0;
    }
    unsigned char *buf = ts_grow(q->buf, &q->cap, q->end + OP_BYTES_MAX, 1, err);
    if (!buf)
        return TS_ERR_ENVIRONMENT;
    q->buf = buf;

    uint64_t f[FIELDS];
    unsigned mask = 0;
    get_fields(op, f);
    unsigned char *p = buf + q->end;
    unsigned char *head = p;
    p += 3;
    for (unsigned i = 0; i < FIELDS; i++) {
        uint64_t v = f[i];
        if (v == 0)
            continue;
        mask |= 1u << i;
        for (; v >= 0x80u; v >>= 7)
            *p++ = (unsigned char)(v | 0x80u);
        *p++ = (unsigned char)v;
    }
    head[0] = (unsigned char)op->kind;
    head[1] = (unsigned char)(mask & 0xffu);
    head[2] = (unsigned char)(mask >> 8);
    q->end = (size_t)(p - buf);
    return TS_OK;
}

void ts_op_queue_pop(struct ts_op_queue *q, struct ts_op *op)
{
    TS_ASSERT(q->begin < q->end);
    const unsigned char *p = q->buf + q->begin;
    uint64_t f[FIELDS] = {0};
    unsigned mask = p[1] | (unsigned)p[2] << 8;
    memset(op, 0, sizeof(*op));
    op->kind = (enum ts_op_kind)p[0];
    p += 3;
    for (unsigned i = 0; i < FIELDS; i++) {
        if (!(mask & 1u << i))
            continue;
        unsigned shift = 0;
        for (; *p & 0x80u; shift += 7)
            f[i] |= (uint64_t)(*p++ & 0x7fu) << shift;
        f[i] |= (uint64_t)*p++ << shift;
    }
    set_fields(op, f);
    q->begin = (size_t)(p - q->buf);
    TS_ASSERT(q->begin <= q->end);
}
