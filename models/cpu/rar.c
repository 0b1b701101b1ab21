/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/rar.h"

#include <stdlib.h>

/* The values that the microcode writes (arch/x86/mm/rar.c of the series). */
enum { RAR_SUCCESS = 0x00, RAR_PENDING = 0x01 };

/* What the microcode of a pCPU does when its present step has ended. */
enum step { READ_VECTOR, SCAN, EXECUTE, WRITE_VECTOR, ACKNOWLEDGE };

struct rar_cpu {
    struct ts_rar *rar;
    uint32_t id;
    uint8_t action[TS_RAR_SLOTS_MAX];
    struct ts_task *waiter[TS_RAR_SLOTS_MAX];
    struct ts_line line; /* the action vector */
    struct ts_line_req req;
    struct ts_event event;
    enum step step;
    uint32_t slot;
    uint64_t cycles; /* of the line that comes */
    bool busy, again, found;
    ts_time began;
};

struct rar_slot {
    struct ts_rar_payload payload;
    struct ts_line line;
};

struct ts_rar {
    struct ts_rar_params params;
    struct ts_rar_stats stats;
    struct ts_cpu_domain *pcpus;
    ts_rar_apply_fn *apply;
    void *user;
    struct rar_cpu *cpus; /* by pCPU */
    struct rar_slot slots[TS_RAR_SLOTS_MAX];
};

#define ROW(f) offsetof(struct ts_rar_params, f)
static const struct ts_param rows[] = {
    {"present", TS_PARAM_BOOL, ROW(present), 0, 0, 1, NULL,
     "x86: the CPUs have Remote Action Requests (MSR_IA32_CORE_CAPS)",
     "RFC series \"Intel RAR TLB invalidation\": Sapphire Rapids and later", TS_CONF_CHOICE},
    {"slots", TS_PARAM_COUNT, ROW(slots), 64, 1, TS_RAR_SLOTS_MAX, NULL,
     "payloads of the table; CPUs whose numbers are equal modulo this share one, and its lock",
     "RFC series, arch/x86/mm/rar.c RAR_MAX_PAYLOADS, cpu_rar_payload_number", TS_CONF_VERBATIM},
    {"dispatch", TS_PARAM_CYCLES, ROW(dispatch_cycles), 300, 0, 1000000, NULL,
     "a pCPU that accepts a message: until its microcode looks at the action vector",
     "assumed; nothing is published", TS_CONF_GUESS},
    {"payload", TS_PARAM_CYCLES, ROW(payload_cycles), 200, 0, 1000000, NULL,
     "microcode: one payload, beyond its pages", "assumed; as an INVPCID", TS_CONF_GUESS},
    {"page", TS_PARAM_CYCLES, ROW(page_cycles), 60, 0, 1000000, NULL,
     "microcode: each page that a payload names", "assumed; nothing is published", TS_CONF_GUESS},
};
#undef ROW
const struct ts_param_table ts_rar_param_table = {"rar", rows, TS_ARRAY_LEN(rows)};

#define STAT(f, h)                                                                                 \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_rar_stats, f), "1", h                              \
    }
static const struct ts_stat stats[] = {
    STAT(messages, "RAR messages accepted by pCPUs"),
    STAT(rounds, "times that a pCPU stopped for them"),
    STAT(merged, "messages that came while it had stopped for an earlier one"),
    STAT(empty, "rounds that found nothing pending: an earlier one had done it"),
    STAT(actions, "payloads carried out"),
    STAT(requested, "payloads made pending for a pCPU"),
    STAT(pages, "pages that the payloads carried out named; none for a whole PCID"),
    {"frozen_ps", TS_STAT_TIME_PS, offsetof(struct ts_rar_stats, frozen_ps), "ps",
     "time that pCPUs were stopped"},
};
static const struct ts_stat_rule rules[] = {
    {"a message stops a pCPU or comes while it is", {"+messages", "-rounds", "-merged"}},
    {"what is requested is carried out", {"+requested", "-actions"}},
};
const struct ts_stat_table ts_rar_stat_table = {"rar", stats, TS_ARRAY_LEN(stats), rules,
                                                TS_ARRAY_LEN(rules)};

/* --- the microcode --- */

static void schedule(struct rar_cpu *c, uint64_t cycles)
{
    const struct ts_cpu_domain *d = c->rar->pcpus;
    ts_time now = ts_engine_now(d->engine);
    ts_engine_schedule(d->engine, &c->event, ts_clock_after(d->clock, now, cycles),
                       TS_PHASE_HARDWARE);
}

static void line_came(struct ts_line_req *req)
{
    struct rar_cpu *c = req->user;
    schedule(c, c->cycles);
}

/* Goes on with `step` when the core has had the line. */
static void access_line(struct rar_cpu *c, struct ts_line *line, enum ts_line_op op, enum step step)
{
    const struct ts_cpu_domain *d = c->rar->pcpus;
    c->step = step;
    if (ts_line_access(d->lines, line, d->topology->core[c->id], op, &c->req, line_came, c,
                       &c->cycles))
        schedule(c, c->cycles);
}

static void finish(struct rar_cpu *c)
{
    struct ts_rar *r = c->rar;
    r->stats.frozen_ps += ts_engine_now(r->pcpus->engine) - c->began;
    r->stats.empty += !c->found;
    c->busy = false;
    ts_cpu_thaw(&r->pcpus->cpus[c->id]);
}

static void scan(struct rar_cpu *c)
{
    struct ts_rar *r = c->rar;
    while (c->slot < r->params.slots && c->action[c->slot] != RAR_PENDING)
        c->slot++;
    if (c->slot < r->params.slots) {
        c->found = true;
        access_line(c, &r->slots[c->slot].line, TS_LINE_READ, EXECUTE);
        return;
    }
    c->slot = 0;
    if (!c->again) {
        finish(c);
        return;
    }
    c->again = false;
    access_line(c, &c->line, TS_LINE_READ, SCAN);
}

/* Natively all is of VMID 0. */
static struct ts_tlb_inval inval_of(const struct ts_rar_payload *p)
{
    struct ts_tlb_inval inval;
    switch (p->subtype) {
    case TS_RAR_ADDR:
        inval = ts_inval_invpcid_addr(0, p->pcid, p->va);
        inval.length = (uint64_t)p->pages << 12;
        return inval;
    case TS_RAR_PCID:
        return ts_inval_invpcid_single(0, p->pcid);
    default:
        return ts_inval_invpcid_all(0, p->subtype == TS_RAR_ALL);
    }
}

static void execute(struct rar_cpu *c)
{
    struct ts_rar *r = c->rar;
    const struct ts_rar_payload *p = &r->slots[c->slot].payload;
    struct ts_tlb_inval inval = inval_of(p);
    uint64_t pages = p->subtype == TS_RAR_ADDR ? p->pages : 0;
    uint64_t busy = r->apply(r->user, c->id, &inval);
    uint64_t cycles = r->params.payload_cycles + pages * r->params.page_cycles;
    r->stats.actions++;
    r->stats.pages += pages;
    c->step = WRITE_VECTOR;
    schedule(c, busy > cycles ? busy : cycles);
}

static void acknowledge(struct rar_cpu *c)
{
    struct ts_task *waiter = c->waiter[c->slot];
    TS_ASSERT(c->action[c->slot] == RAR_PENDING);
    c->action[c->slot++] = RAR_SUCCESS;
    if (waiter)
        ts_task_spin_signal(waiter);
    access_line(c, &c->line, TS_LINE_READ, SCAN);
}

static void on_step(struct ts_engine *engine, struct ts_event *event)
{
    struct rar_cpu *c = TS_CONTAINER_OF(event, struct rar_cpu, event);
    (void)engine;
    switch (c->step) {
    case READ_VECTOR:
        access_line(c, &c->line, TS_LINE_READ, SCAN);
        break;
    case SCAN:
        scan(c);
        break;
    case EXECUTE:
        execute(c);
        break;
    case WRITE_VECTOR:
        access_line(c, &c->line, TS_LINE_WRITE, ACKNOWLEDGE);
        break;
    case ACKNOWLEDGE:
        acknowledge(c);
        break;
    }
}

void ts_rar_signal(struct ts_rar *r, uint32_t cpu)
{
    struct rar_cpu *c = &r->cpus[cpu];
    TS_ASSERT(cpu < r->pcpus->ncpus);
    r->stats.messages++;
    if (c->busy) {
        r->stats.merged++;
        c->again = true;
        return;
    }
    r->stats.rounds++;
    c->busy = true;
    c->found = false;
    c->slot = 0;
    c->began = ts_engine_now(r->pcpus->engine);
    c->step = READ_VECTOR;
    ts_cpu_freeze(&r->pcpus->cpus[cpu]);
    schedule(c, r->params.dispatch_cycles);
}

/* --- software --- */

void ts_rar_set_payload(struct ts_task *self, struct ts_rar *r, uint32_t slot,
                        const struct ts_rar_payload *payload)
{
    TS_ASSERT(slot < r->params.slots && payload->pages < TS_RAR_SLOTS_MAX);
    ts_task_line(self, &r->slots[slot].line, TS_LINE_WRITE);
    r->slots[slot].payload = *payload;
}

void ts_rar_set_action(struct ts_task *self, struct ts_rar *r, uint32_t slot, uint32_t cpu)
{
    struct rar_cpu *c = &r->cpus[cpu];
    ts_task_line(self, &c->line, TS_LINE_WRITE);
    TS_ASSERT(c->action[slot] == RAR_SUCCESS);
    c->action[slot] = RAR_PENDING;
    r->stats.requested++;
}

static bool is_done(void *arg)
{
    return *(const uint8_t *)arg != RAR_PENDING;
}

void ts_rar_wait(struct ts_task *self, struct ts_rar *r, uint32_t slot, uint32_t cpu)
{
    struct rar_cpu *c = &r->cpus[cpu];
    ts_task_line(self, &c->line, TS_LINE_READ);
    if (is_done(&c->action[slot]))
        return;
    TS_ASSERT(!c->waiter[slot]);
    c->waiter[slot] = self;
    ts_task_spin(self, is_done, &c->action[slot], &c->line);
    c->waiter[slot] = NULL;
}

/* --- construction --- */

enum ts_status ts_rar_create(struct ts_rar **out, struct ts_cpu_domain *pcpus,
                             const struct ts_rar_params *params, ts_rar_apply_fn *apply, void *user,
                             struct ts_error *err)
{
    enum ts_status s = ts_param_check(&ts_rar_param_table, params, err);
    if (s != TS_OK)
        return s;
    struct ts_rar *r = calloc(1, sizeof(*r));
    struct rar_cpu *cpus = calloc(pcpus->ncpus, sizeof(*cpus));
    if (!r || !cpus) {
        free(r);
        free(cpus);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "rar: out of memory for %u CPUs",
                            pcpus->ncpus);
    }
    r->params = *params;
    r->pcpus = pcpus;
    r->apply = apply;
    r->user = user;
    r->cpus = cpus;
    for (uint32_t i = 0; i < pcpus->ncpus; i++) {
        cpus[i].rar = r;
        cpus[i].id = i;
        ts_event_init(&cpus[i].event, on_step);
        ts_line_init(pcpus->lines, &cpus[i].line, (UINT64_C(8) << 58) + i,
                     pcpus->topology->core[i]);
    }
    for (uint32_t i = 0; i < TS_RAR_SLOTS_MAX; i++)
        ts_line_init(pcpus->lines, &r->slots[i].line, (UINT64_C(9) << 58) + i,
                     pcpus->topology->core[0]);
    *out = r;
    return TS_OK;
}

void ts_rar_destroy(struct ts_rar *r)
{
    free(r->cpus);
    free(r);
}

uint32_t ts_rar_slots(const struct ts_rar *r)
{
    return (uint32_t)r->params.slots;
}

const struct ts_rar_stats *ts_rar_stats(const struct ts_rar *r)
{
    return &r->stats;
}
