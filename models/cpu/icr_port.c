/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/icr_port.h"

void ts_icr_work(struct ts_task *self, const struct ts_interrupt *in,
                 const struct ts_interrupt_params *ip, enum ts_intr_mode mode,
                 enum ts_icr_kind kind)
{
    if (!ts_intr_is_xapic(mode)) {
        ts_task_work(self, ip->icr_write_cycles);
        return;
    }
    /* Or an interrupt could come between, whose handler sends. */
    TS_ASSERT(self->cpu->irq_off);
    do {
        ts_task_work(self, ip->icr_poll_cycles);
    } while (ts_interrupt_busy(in, self->cpu->id));
    if (ts_icr_has_destination(kind))
        ts_task_work(self, ip->mmio_write_cycles);
    ts_task_work(self, ip->mmio_write_cycles);
}
