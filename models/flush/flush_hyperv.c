/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_hyperv.h"

#include <string.h>

void ts_hv_put(struct ts_hv_block *b, const void *data, size_t bytes)
{
    TS_ASSERT(b->bytes + bytes <= TS_INPUT_PAGE_BYTES);
    memcpy(b->page + b->bytes, data, bytes);
    b->bytes += (uint32_t)bytes;
}

bool ts_hv_flush_call(struct ts_task *self, enum ts_hv_call code, uint32_t banks, uint32_t reps,
                      const struct ts_hv_block *b, struct ts_shootdown_record *record,
                      ts_time *mark)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_hv_flush_calls *calls = g->flush_state;
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV};
    TS_ASSERT(self->cpu->irq_off && b->bytes % sizeof(uint64_t) == 0);
    call.number = ts_hv_control(code, banks, reps);
    call.input = b->page;
    call.input_bytes = b->bytes;
    ts_path_add(self, record, TS_PATH_SEND, mark);
    ts_hypercall(self, g->vm, &call);
    ts_path_add_hypercall(self, record, &call.times, mark);
    if (ts_hv_result_status(call.result) != TS_HV_STATUS_SUCCESS)
        return false;
    TS_ASSERT(ts_hv_result_reps(call.result) == reps);
    calls->hypercalls++;
    calls->list_calls += reps != 0;
    calls->space_calls += reps == 0;
    calls->ex_calls += code == TS_HVCALL_FLUSH_LIST_EX || code == TS_HVCALL_FLUSH_SPACE_EX;
    return true;
}
