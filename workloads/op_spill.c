/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/op_spill.h"

#include "sim/base.h"

#include <string.h>

/* A slot of the file: how long the block is, and where its chain goes on. */
struct head {
    uint64_t bytes, next;
};
enum { SLOT = TS_OP_SPILL_BLOCK + sizeof(struct head) };

static enum ts_status failed(struct ts_error *err)
{
    return ts_error_set(
        err, TS_ERR_ENVIRONMENT,
        "a temporary file for waiting operations cannot be used (is the disk full?)");
}

void ts_op_spill_fini(struct ts_op_spill *s)
{
    if (s->file)
        fclose(s->file);
    memset(s, 0, sizeof(*s));
}

static bool seek(struct ts_op_spill *s, uint64_t slot)
{
    return slot < (uint64_t)INT64_MAX / SLOT && fseek(s->file, (long)(slot * SLOT), SEEK_SET) == 0;
}

enum ts_status ts_op_spill_write(struct ts_op_spill *s, struct ts_op_spill_chain *c,
                                 const unsigned char *block, size_t bytes, struct ts_error *err)
{
    struct head head;

    TS_ASSERT(bytes > 0 && bytes <= TS_OP_SPILL_BLOCK);
    if (!s->file) {
        s->file = tmpfile();
        /* Blocks are large already. */
        if (!s->file || setvbuf(s->file, NULL, _IONBF, 0))
            return failed(err);
    }
    if (c->blocks == 0)
        c->read_slot = c->write_slot = s->slots++;
    head = (struct head){bytes, s->slots++};
    if (!seek(s, c->write_slot) || fwrite(&head, sizeof(head), 1, s->file) != 1 ||
        fwrite(block, bytes, 1, s->file) != 1)
        return failed(err);
    c->write_slot = head.next;
    c->blocks++;
    return TS_OK;
}

enum ts_status ts_op_spill_read(struct ts_op_spill *s, struct ts_op_spill_chain *c,
                                unsigned char *block, size_t *bytes, struct ts_error *err)
{
    struct head head;

    TS_ASSERT(c->blocks > 0);
    if (!seek(s, c->read_slot) || fread(&head, sizeof(head), 1, s->file) != 1 || head.bytes == 0 ||
        head.bytes > TS_OP_SPILL_BLOCK || fread(block, head.bytes, 1, s->file) != 1)
        return failed(err);
    *bytes = head.bytes;
    c->read_slot = head.next;
    c->blocks--;
    return TS_OK;
}
