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
    free(q->back);
    memset(q, 0, sizeof(*q));
}

bool ts_op_queue_empty(const struct ts_op_queue *q)
{
    return q->begin == q->end && q->chain.blocks == 0 && q->back_bytes == 0;
}

/* The operation's bytes, of OP_BYTES_MAX at most; how many. */
static size_t pack(const struct ts_op *op, unsigned char *bytes)
{
    uint64_t f[FIELDS];
    unsigned mask = 0;
    get_fields(op, f);
    unsigned char *p = bytes + 3;
    for (unsigned i = 0; i < FIELDS; i++) {
        uint64_t v = f[i];
        if (v == 0)
            continue;
        mask |= 1u << i;
        for (; v >= 0x80u; v >>= 7)
            *p++ = (unsigned char)(v | 0x80u);
        *p++ = (unsigned char)v;
    }
    bytes[0] = (unsigned char)op->kind;
    bytes[1] = (unsigned char)(mask & 0xffu);
    bytes[2] = (unsigned char)(mask >> 8);
    return (size_t)(p - bytes);
}

/* Where the next operation goes among the oldest ones. */
static unsigned char *room_in_front(struct ts_op_queue *q, struct ts_error *err)
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
        return NULL;
    q->buf = buf;
    return buf + q->end;
}

/* And behind what is in the file. */
static unsigned char *room_behind(struct ts_op_queue *q, struct ts_error *err)
{
    if (!q->back && !(q->back = malloc(TS_OP_SPILL_BLOCK))) {
        ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        return NULL;
    }
    if (q->back_bytes + OP_BYTES_MAX > TS_OP_SPILL_BLOCK) {
        if (ts_op_spill_write(q->spill, &q->chain, q->back, q->back_bytes, err))
            return NULL;
        q->back_bytes = 0;
    }
    return q->back + q->back_bytes;
}

enum ts_status ts_op_queue_push(struct ts_op_queue *q, const struct ts_op *op, struct ts_error *err)
{
    bool behind = q->chain.blocks > 0 || q->back_bytes > 0;
    unsigned char *at;

    if (q->spill && (behind || q->end - q->begin >= TS_OP_QUEUE_KEEPS)) {
        at = room_behind(q, err);
        if (at)
            q->back_bytes += pack(op, at);
    } else {
        at = room_in_front(q, err);
        if (at)
            q->end += pack(op, at);
    }
    return at ? TS_OK : TS_ERR_ENVIRONMENT;
}

/* The next block comes to the front, which is empty. */
static enum ts_status refill(struct ts_op_queue *q, struct ts_error *err)
{
    unsigned char *buf = ts_grow(q->buf, &q->cap, TS_OP_SPILL_BLOCK, 1, err);

    if (!buf)
        return TS_ERR_ENVIRONMENT;
    q->buf = buf;
    q->begin = q->end = 0;
    if (q->chain.blocks > 0)
        return ts_op_spill_read(q->spill, &q->chain, q->buf, &q->end, err);
    memcpy(q->buf, q->back, q->back_bytes);
    q->end = q->back_bytes;
    q->back_bytes = 0;
    return TS_OK;
}

enum ts_status ts_op_queue_pop(struct ts_op_queue *q, struct ts_op *op, struct ts_error *err)
{
    TS_ASSERT(!ts_op_queue_empty(q));
    if (q->begin == q->end && refill(q, err))
        return TS_ERR_ENVIRONMENT;
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
    return TS_OK;
}
