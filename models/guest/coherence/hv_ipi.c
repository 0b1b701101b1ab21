/* SPDX-License-Identifier: Apache-2.0 */
/* arch/x86/hyperv/hv_apic.c, 6.12. hv_apic_init replaces every send of the driver, those to one CPU
 * and to all others as well, so that no register is written unless the host refuses. The walk over
 * the mask is not charged: it is in smp_call_target_cycles. */
#include "models/guest/coherence/hv_ipi.h"

#include <string.h>

static bool make(struct ts_task *self, struct ts_hypercall *call)
{
    ts_hypercall(self, ts_guest_cpu_of(self)->guest->vm, call);
    return ts_hv_result_status(call->result) == TS_HV_STATUS_SUCCESS;
}

/* __send_ipi_mask: VPs 0 to 63, by a fast call. */
static bool send_fast(struct ts_task *self, const uint32_t *targets, uint32_t n, uint32_t number)
{
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV};
    call.number = ts_hv_control(TS_HVCALL_SEND_IPI, 0, 0) | TS_HV_CONTROL_FAST;
    call.args[0] = number;
    for (uint32_t i = 0; i < n; i++)
        call.args[1] |= UINT64_C(1) << targets[i];
    return make(self, &call);
}

/* __send_ipi_mask_ex; the input page is this CPU's while interrupts are off. The set is never that
 * of all (HV_GENERIC_SET_ALL): nobody sends to itself in this way. */
static bool send_ex(struct ts_task *self, const uint32_t *targets, uint32_t n, uint32_t number)
{
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV};
    uint64_t banks[TS_HV_BANKS];
    uint32_t nbanks = ts_hv_banks_of(targets, n, banks);
    struct ts_hv_send_ipi_ex in = {number, 0, TS_HV_SET_SPARSE_4K, ts_hv_valid_banks(nbanks)};
    bool sent;
    ts_irq_disable(self);
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    uint8_t *page = gc->guest->vm->input[gc->id];
    memcpy(page, &in, sizeof(in));
    memcpy(page + sizeof(in), banks, nbanks * sizeof(banks[0]));
    call.number = ts_hv_control(TS_HVCALL_SEND_IPI_EX, nbanks, 0);
    call.input = page;
    call.input_bytes = (uint32_t)(sizeof(in) + nbanks * sizeof(banks[0]));
    sent = make(self, &call);
    ts_irq_enable(self);
    return sent;
}

bool ts_hv_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n,
                    enum ts_vector vector)
{
    const struct ts_vm *vm = ts_guest_cpu_of(self)->guest->vm;
    uint32_t number = ts_vector_numbers[vector];
    TS_ASSERT(vm->hv_ipi && n > 0);
    if (number < TS_HV_IPI_LOW_VECTOR || number > TS_HV_IPI_HIGH_VECTOR)
        return false;
    if (targets[n - 1] < 64)
        return send_fast(self, targets, n, number);
    return vm->ex_processor_masks && send_ex(self, targets, n, number);
}
