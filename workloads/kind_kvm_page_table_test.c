/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `kvm_page_table_test`: the guest of KVM's selftest of that name
 * (tools/testing/selftests/kvm, guest_code; 6.1 and 6.12), which a host task leads through its
 * stages (operation `stage`). Thread i is that of vCPU i and stays on it. All of them use the same
 * memory, that of a memslot the host task has made, and do in each stage:
 *
 * | stage  | with 2 MiB behind the memory            | with 4 KiB       |
 * |--------|-----------------------------------------|------------------|
 * | before | nothing                                 | nothing          |
 * | create | touch each block: vCPUs of even number  | touch each page  |
 * |        | write, the others read                  |                  |
 * | update | write page 0 of each block, read its    | write each page  |
 * |        | pages 256 to 511                        |                  |
 * | adjust | read each page, and `back` before it    | the same         |
 *
 * The selftest as it is has back 0; the modified one of the thread range-tlbi-kvm-arm64 has 512, in
 * which order is not said: downwards here. The stage-1 tables are there before: the selftest's host
 * writes them. A block is an operation. */
#include "workloads/workload.h"

#include <stdlib.h>

#define PAGE_BYTES UINT64_C(4096)
#define BLOCK_BYTES (UINT64_C(1) << 21)
#define BLOCK_PAGES (BLOCK_BYTES / PAGE_BYTES)

/* As the host's operation `stage` numbers them. */
enum stage { STAGE_BEFORE, STAGE_CREATE, STAGE_UPDATE, STAGE_ADJUST, STAGE_QUIT, STAGE_NONE };
enum backing { BACKING_4K, BACKING_2M };
enum stages { STAGES_ALL, STAGES_ADJUST };

struct params {
    uint64_t threads;
    uint64_t size;
    uint64_t start;
    uint64_t backing;
    uint64_t back;
    uint64_t stages;
};

struct vcpu {
    bool mapped;
    enum stage stage, next; /* that it is in, and that it begins then */
    uint64_t at;            /* bytes done in the stage */
    bool has_half;          /* update of a block: its first page is written */
};

struct page_table_test {
    struct ts_workload base; /* first */
    struct params params;
    struct vcpu vcpus[];
};

static void touch(struct ts_op *op, uint64_t offset, uint64_t count, bool write)
{
    op->kind = TS_OP_TOUCH;
    op->offset = offset;
    op->count = count;
    op->stride = PAGE_BYTES;
    op->flags = write ? TS_OPF_WRITE : 0u;
}

static enum stage stage_after(const struct params *p, enum stage s)
{
    return s == STAGE_BEFORE && p->stages == STAGES_ADJUST ? STAGE_ADJUST : (enum stage)(s + 1);
}

static void update_block(const struct params *p, struct vcpu *v, struct ts_op *op, uint64_t pages)
{
    if (p->backing == BACKING_4K) {
        touch(op, v->at, pages, true);
        return;
    }
    touch(op, v->at + (v->has_half ? BLOCK_BYTES / 2 : 0), v->has_half ? BLOCK_PAGES / 2 : 1,
          !v->has_half);
    v->has_half = !v->has_half;
}

/* The next part of the stage under way. */
static void work(const struct params *p, struct vcpu *v, uint32_t thread, struct ts_op *op)
{
    uint64_t bytes = p->size - v->at < BLOCK_BYTES ? p->size - v->at : BLOCK_BYTES;
    if (v->stage == STAGE_CREATE) {
        touch(op, v->at, p->backing == BACKING_2M ? 1 : bytes / PAGE_BYTES, thread % 2 == 0);
    } else if (v->stage == STAGE_UPDATE) {
        update_block(p, v, op, bytes / PAGE_BYTES);
        if (v->has_half)
            return;
    } else {
        touch(op, v->at, bytes / PAGE_BYTES, false);
        op->length2 = p->back;
    }
    v->at += bytes;
}

static void map(const struct params *p, struct ts_op *op)
{
    op->kind = TS_OP_MMAP;
    op->offset = p->start;
    op->length = p->size;
    op->prot = TS_PROT_READ | TS_PROT_WRITE;
    op->flags = TS_OPF_PHYSICAL;
}

static int test_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                     struct ts_error *err)
{
    struct page_table_test *t = (struct page_table_test *)base;
    const struct params *p = &t->params;
    struct vcpu *v = &t->vcpus[thread];
    (void)err;
    *op = (struct ts_op){.thread = thread};
    if (thread == 0 && !v->mapped) {
        v->mapped = true;
        map(p, op);
        return 1;
    }
    if (v->stage != STAGE_BEFORE && v->stage < STAGE_QUIT && v->at < p->size) {
        work(p, v, thread, op);
        return 1;
    }
    if (v->next == STAGE_NONE)
        return 0;
    op->kind = TS_OP_UCALL;
    op->region = (uint32_t)v->next;
    op->count = p->threads;
    v->stage = v->next;
    v->next = stage_after(p, v->stage);
    v->at = 0;
    return 1;
}

static void test_destroy(struct ts_workload *base)
{
    free(base);
}

static enum ts_status test_create(struct ts_workload **out, const struct ts_workload_config *config,
                                  struct ts_error *err)
{
    const struct params *p = config->params;
    uint64_t unit = p->backing == BACKING_2M ? BLOCK_BYTES : PAGE_BYTES;
    struct page_table_test *t;
    if (p->size % unit || p->start % unit)
        return ts_error_set(err, TS_ERR_USER,
                            "workload.%s is no multiple of the pages behind it (workload.backing)",
                            p->size % unit ? "size" : "start");
    t = calloc(1, sizeof(*t) + (size_t)p->threads * sizeof(struct vcpu));
    if (!t)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    t->params = *p;
    t->base.next = test_next;
    t->base.initial_threads = (uint32_t)p->threads;
    t->base.pinned = true;
    t->base.destroy = test_destroy;
    *out = &t->base;
    return TS_OK;
}

static const char *const backing_names[] = {"4KiB", "2MiB", NULL};
static const char *const stages_names[] = {"all", "adjust", NULL};

#define AT(field) offsetof(struct params, field)
#define CHOICE "setting of the experiment"
#define TIB (UINT64_C(1) << 40)
static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 1, 1, 4096, NULL,
     "threads, one for each vCPU: as run.vcpus", CHOICE, TS_CONF_CHOICE},
    {"size", TS_PARAM_BYTES, AT(size), UINT64_C(1) << 30, PAGE_BYTES, 4 * TIB, NULL,
     "memory that all of them use", "the selftest's default (DEFAULT_TEST_MEM_SIZE)",
     TS_CONF_VERBATIM},
    {"start", TS_PARAM_BYTES, AT(start), 4 * TIB, 4 * TIB, 8 * TIB, NULL,
     "its guest-physical address: that of the memslot of the host task", CHOICE, TS_CONF_CHOICE},
    {"backing", TS_PARAM_ENUM, AT(backing), BACKING_2M, 0, BACKING_2M, backing_names,
     "the pages behind it: those of the memslot", CHOICE, TS_CONF_CHOICE},
    {"back", TS_PARAM_COUNT, AT(back), 0, 0, UINT64_C(1) << 20, NULL,
     "pages read again before each page in the stage adjust; 512 in the thread "
     "range-tlbi-kvm-arm64, 0 in the selftest",
     CHOICE, TS_CONF_CHOICE},
    {"stages", TS_PARAM_ENUM, AT(stages), STAGES_ALL, 0, STAGES_ADJUST, stages_names,
     "all of them, or after `before` only adjust, for memory that the host task has put in the "
     "state that update leaves (slot_split)",
     CHOICE, TS_CONF_CHOICE},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_kvm_page_table_test;
const struct ts_workload_kind ts_workload_kind_kvm_page_table_test = {
    {"kvm_page_table_test", "vCPUs that fault, write and read memory stage by stage, led by a VMM",
     "Linux tools/testing/selftests/kvm/kvm_page_table_test.c", &table, sizeof(struct params),
     false},
    test_create};
