/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_hyperv.h"

#include <string.h>

void ts_hv_put(struct ts_hv_block *b, const void *data, size_t bytes)
{
    TS_ASSERT(b->bytes + bytes <= TS_INPUT_PAGE_BYTES);
    memcpy(b->page + b->bytes, data, bytes);
    b->bytes += (uint32_t)bytes;
}

static uint32_t last_of(const struct ts_cpumask *m)
{
    uint32_t last = 0;
    TS_CPUMASK_FOR_EACH(cpu, m)
    {
        last = cpu;
    }
    return last;
}

enum ts_hv_form ts_hv_form_of(const struct ts_cpumask *set)
{
    if (ts_cpumask_count(set) == set->nbits)
        return TS_HV_FORM_ALL;
    return last_of(set) >= 64 ? TS_HV_FORM_EX : TS_HV_FORM_MASK;
}

uint32_t ts_hv_put_processors(struct ts_hv_block *b, enum ts_hv_form form,
                              const struct ts_cpumask *set, uint64_t space, uint64_t flags)
{
    if (form == TS_HV_FORM_EX) {
        uint32_t nbanks = last_of(set) / 64 + 1;
        struct ts_hv_flush_ex_input in = {space, flags, TS_HV_SET_SPARSE_4K,
                                          ts_hv_valid_banks(nbanks)};
        ts_hv_put(b, &in, sizeof(in));
        ts_hv_put(b, set->w, nbanks * sizeof(set->w[0]));
        return nbanks;
    }
    struct ts_hv_flush_input in = {space, flags, form == TS_HV_FORM_ALL ? 0 : set->w[0]};
    in.flags |= form == TS_HV_FORM_ALL ? TS_HV_FLUSH_ALL_PROCESSORS : 0;
    ts_hv_put(b, &in, sizeof(in));
    return 0;
}

/* XMM fast hypercall input (TLFS): RDX, R8 and six XMM registers. */
static void put_input(struct ts_hypercall *call, const struct ts_hv_block *b)
{
    uint64_t words[2 + TS_HV_XMM_HALVES] = {0};
    if (!b->registers || b->bytes > sizeof(words)) {
        call->input = b->page;
        call->input_bytes = b->bytes;
        return;
    }
    memcpy(words, b->page, b->bytes);
    call->number |= TS_HV_CONTROL_FAST;
    memcpy(call->args, words, 2 * sizeof(words[0]));
    memcpy(call->xmm, words + 2, sizeof(call->xmm));
}

bool ts_hv_flush_call(struct ts_task *self, enum ts_hv_form form, uint32_t banks, uint32_t reps,
                      const struct ts_hv_block *b, struct ts_shootdown_record *record,
                      ts_time *mark)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_hv_flush_calls *calls = g->flush_state;
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV};
    bool ex = form == TS_HV_FORM_EX;
    enum ts_hv_call list = ex ? TS_HVCALL_FLUSH_LIST_EX : TS_HVCALL_FLUSH_LIST;
    enum ts_hv_call all = ex ? TS_HVCALL_FLUSH_SPACE_EX : TS_HVCALL_FLUSH_SPACE;
    TS_ASSERT(self->cpu->irq_off && b->bytes % sizeof(uint64_t) == 0);
    call.number = ts_hv_control(reps ? list : all, banks, reps);
    put_input(&call, b);
    ts_path_add(self, record, TS_PATH_SEND, mark);
    ts_hypercall(self, g->vm, &call);
    ts_path_add_hypercall(self, record, &call.times, mark);
    if (ts_hv_result_status(call.result) != TS_HV_STATUS_SUCCESS)
        return false;
    TS_ASSERT(ts_hv_result_reps(call.result) == reps);
    calls->hypercalls++;
    calls->list_calls += reps != 0;
    calls->space_calls += reps == 0;
    calls->ex_calls += ex;
    calls->fast_calls += ts_hv_control_fast(call.number);
    return true;
}

void ts_hv_flush_or_native(struct ts_task *self, const struct ts_cpumask *cpus,
                           struct ts_flush_info *info, struct ts_shootdown_record *record,
                           ts_hv_flush_fn *flush)
{
    struct ts_hv_flush_calls *calls = ts_guest_cpu_of(self)->guest->flush_state;
    ts_irq_disable(self);
    bool done = flush(self, cpus, info, record);
    ts_irq_enable(self);
    if (done)
        return;
    calls->native_fallbacks++;
    ts_native_flush_tlb_multi(self, cpus, info, record);
}
