/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/lapic.h"

#define WORDS (TS_LAPIC_VECTORS / 64)

static uint32_t class_of(uint32_t priority)
{
    return priority >> 4;
}

static int highest(const uint64_t *words)
{
    for (uint32_t w = WORDS; w-- > 0;) {
        if (words[w])
            return (int)(w * 64 + 63 - (uint32_t)__builtin_clzll(words[w]));
    }
    return TS_LAPIC_NONE;
}

static bool test(const uint64_t *words, uint32_t vector)
{
    TS_ASSERT(vector < TS_LAPIC_VECTORS);
    return (words[vector / 64] >> (vector % 64)) & 1u;
}

static void flip(uint64_t *words, uint32_t vector)
{
    words[vector / 64] ^= UINT64_C(1) << (vector % 64);
}

void ts_lapic_init(struct ts_lapic *apic)
{
    *apic = (struct ts_lapic){{0}, {0}, 0};
}

enum ts_lapic_accept ts_lapic_accept(struct ts_lapic *apic, uint32_t vector)
{
    TS_ASSERT(vector < TS_LAPIC_VECTORS);
    if (vector < TS_LAPIC_FIRST_VECTOR)
        return TS_LAPIC_ILLEGAL;
    if (test(apic->irr, vector))
        return TS_LAPIC_MERGED;
    flip(apic->irr, vector);
    return TS_LAPIC_ACCEPTED;
}

void ts_lapic_set_tpr(struct ts_lapic *apic, uint8_t tpr)
{
    apic->tpr = tpr;
}

void ts_lapic_set_cr8(struct ts_lapic *apic, uint8_t cr8)
{
    TS_ASSERT(cr8 < 16);
    apic->tpr = (uint8_t)(cr8 << 4);
}

/* "Task and Processor Priorities": the class is the higher of TPR's and of the highest vector's in
 * service; the sub-class is TPR's if TPR's class decides. Where both classes are equal the SDM
 * leaves the sub-class to the model (TPR's or 0); TPR's here. It decides nothing: only classes are
 * compared. */
uint8_t ts_lapic_ppr(const struct ts_lapic *apic)
{
    int isr = ts_lapic_highest_isr(apic);
    uint32_t in_service = isr == TS_LAPIC_NONE ? 0 : (uint32_t)isr;

    if (class_of(apic->tpr) >= class_of(in_service))
        return apic->tpr;
    return (uint8_t)(in_service & 0xf0u);
}

int ts_lapic_highest_irr(const struct ts_lapic *apic)
{
    return highest(apic->irr);
}

int ts_lapic_highest_isr(const struct ts_lapic *apic)
{
    return highest(apic->isr);
}

int ts_lapic_deliverable(const struct ts_lapic *apic)
{
    int vector = ts_lapic_highest_irr(apic);

    if (vector == TS_LAPIC_NONE || class_of((uint32_t)vector) <= class_of(ts_lapic_ppr(apic)))
        return TS_LAPIC_NONE;
    return vector;
}

int ts_lapic_take(struct ts_lapic *apic, bool interrupts_on)
{
    int vector = interrupts_on ? ts_lapic_deliverable(apic) : TS_LAPIC_NONE;

    if (vector == TS_LAPIC_NONE)
        return vector;
    flip(apic->irr, (uint32_t)vector);
    /* A vector of a class in service is not dispensed, so the bit was clear. */
    TS_ASSERT(!test(apic->isr, (uint32_t)vector));
    flip(apic->isr, (uint32_t)vector);
    return vector;
}

int ts_lapic_eoi(struct ts_lapic *apic)
{
    int vector = ts_lapic_highest_isr(apic);

    if (vector != TS_LAPIC_NONE)
        flip(apic->isr, (uint32_t)vector);
    return vector;
}

bool ts_lapic_in_irr(const struct ts_lapic *apic, uint32_t vector)
{
    return test(apic->irr, vector);
}

bool ts_lapic_in_isr(const struct ts_lapic *apic, uint32_t vector)
{
    return test(apic->isr, vector);
}
