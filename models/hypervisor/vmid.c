/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/vmid.h"

#include <stdlib.h>

#include "models/hypervisor/host_tlb.h"

static uint64_t numbers_of(const struct ts_vmids *m)
{
    return UINT64_C(1) << m->bits;
}

static uint64_t number_of(const struct ts_vmids *m, uint64_t id)
{
    return id & (numbers_of(m) - 1);
}

static bool is_current(const struct ts_vmids *m, uint64_t id)
{
    return id >> m->bits == m->generation;
}

/* VMID_ACTIVE_INVALID: no number, and not 0. */
static uint64_t nobody(const struct ts_vmids *m)
{
    return numbers_of(m);
}

/* Returns what the bit was. */
static bool take(struct ts_vmids *m, uint64_t number)
{
    uint64_t bit = UINT64_C(1) << number % 64;
    bool was = (m->map[number / 64] & bit) != 0;
    m->map[number / 64] |= bit;
    return was;
}

static uint64_t next_free(const struct ts_vmids *m, uint64_t from)
{
    while (from < numbers_of(m) && (m->map[from / 64] >> from % 64 & 1u))
        from++;
    return from;
}

enum ts_status ts_vmids_init(struct ts_vmids *m, uint32_t bits, struct ts_vm *const *vms,
                             uint32_t nvms, uint32_t npcpus, struct ts_error *err)
{
    m->bits = bits;
    m->npcpus = npcpus;
    m->generation = 1;
    m->cur_idx = 1;
    if (numbers_of(m) - 1 <= npcpus)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.vmid_bits: %u bits are too few for %u pCPUs, each of which "
                            "may hold on to a VMID",
                            bits, npcpus);
    m->map = calloc((size_t)(numbers_of(m) + 63) / 64, sizeof(*m->map));
    m->active = calloc(npcpus, sizeof(*m->active));
    m->reserved = calloc(npcpus, sizeof(*m->reserved));
    m->ids = calloc(nvms, sizeof(*m->ids));
    m->told = calloc(nvms, sizeof(*m->told));
    if (!m->map || !m->active || !m->reserved || !m->ids || !m->told)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for VMIDs");
    for (uint32_t i = 0; i < npcpus; i++)
        m->active[i] = nobody(m);
    for (uint64_t v = 0; v < nvms && 1 + v < numbers_of(m); v++) {
        m->cur_idx = (uint32_t)(1 + v);
        (void)take(m, 1 + v);
        m->ids[v] = m->generation << m->bits | (1 + v);
        vms[v]->vmid_base = (uint16_t)(1 + v);
    }
    return TS_OK;
}

void ts_vmids_fini(struct ts_vmids *m)
{
    free(m->map);
    free(m->active);
    free(m->reserved);
    free(m->ids);
    free(m->told);
    *m = (struct ts_vmids){0};
}

/* flush_context. */
static void new_generation(struct ts_task *self, struct ts_vmids *m)
{
    m->generation++;
    m->rollovers++;
    for (uint64_t i = 0; i < (numbers_of(m) + 63) / 64; i++)
        m->map[i] = 0;
    for (uint32_t i = 0; i < m->npcpus; i++) {
        uint64_t id = m->active[i] ? m->active[i] : m->reserved[i];
        m->active[i] = 0;
        (void)take(m, number_of(m, id));
        m->reserved[i] = id;
    }
    ts_kvm_flush_vm_context(self);
}

/* check_update_reserved_vmid. */
static bool was_reserved(struct ts_vmids *m, uint64_t id, uint64_t again)
{
    bool hit = false;
    for (uint32_t i = 0; i < m->npcpus; i++) {
        if (m->reserved[i] != id)
            continue;
        m->reserved[i] = again;
        hit = true;
    }
    return hit;
}

static uint64_t new_vmid(struct ts_task *self, struct ts_vmids *m, uint64_t old)
{
    uint64_t number = number_of(m, old);
    uint64_t again = m->generation << m->bits | number;
    if (old && (was_reserved(m, old, again) || !take(m, number)))
        return again;
    number = next_free(m, m->cur_idx);
    if (number == numbers_of(m)) {
        new_generation(self, m);
        number = next_free(m, 1);
        TS_ASSERT(number < numbers_of(m));
    }
    (void)take(m, number);
    m->cur_idx = (uint32_t)number;
    return m->generation << m->bits | number;
}

void ts_vmids_load(struct ts_task *self, struct ts_vmids *m, struct ts_vm *vm)
{
    uint64_t *active = &m->active[self->cpu->id];
    TS_ASSERT(self->cpu->irq_off);
    if (*active && is_current(m, m->ids[vm->number])) {
        *active = m->ids[vm->number];
        return;
    }
    (void)ts_host_write_lock(self, &m->lock);
    if (!is_current(m, m->ids[vm->number])) {
        m->ids[vm->number] = new_vmid(self, m, m->ids[vm->number]);
        vm->vmid_base = (uint16_t)number_of(m, m->ids[vm->number]);
    }
    *active = m->ids[vm->number];
    ts_host_write_unlock(self, &m->lock);
}

void ts_vmids_put(const struct ts_task *self, struct ts_vmids *m)
{
    m->active[self->cpu->id] = nobody(m);
}
