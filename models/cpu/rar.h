/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's Remote Action Request: an invalidation as a hardware message to pCPUs (x86.md 5.3; the
 * series "Intel RAR TLB invalidation" of R. van Riel, RFC v4, June 2025, which was not merged).
 *
 * Memory holds a table of payloads, a line each, and an action vector for each pCPU, a line with a
 * byte for each payload. Software writes a payload, marks it PENDING in the targets' action vectors
 * and sends a message of the delivery mode RAR. A pCPU that accepts one stops what it executes,
 * user code, a guest or code with interrupts off alike (RAR_CTRL_IGNORE_IF, which the series sets),
 * and its microcode carries out every payload that is pending in its action vector, writes SUCCESS
 * over each, and goes on. No handler runs, and no VM exit is made.
 *
 * Intel's document on it was not to be had. Assumed: the costs; that the microcode's accesses to
 * table and vector are those of its core, and take as long; that an idle pCPU answers from its C
 * state; that messages which arrive meanwhile merge, and the vector is read once more. */
#ifndef TS_MODELS_CPU_RAR_H
#define TS_MODELS_CPU_RAR_H

#include "models/cpu/cpu.h"
#include "models/tlb/inval.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_RAR_SLOTS_MAX = 64 };
/* What an interrupt message carries instead of a vector. */
enum { TS_RAR_MESSAGE = TS_VECTORS };

struct ts_rar_params {
    uint64_t present;         /* bool: MSR_IA32_CORE_CAPS says so */
    uint64_t slots;           /* payloads of the table */
    uint64_t dispatch_cycles; /* message to the first access of the microcode */
    uint64_t payload_cycles;  /* one payload, beyond its pages */
    uint64_t page_cycles;     /* each page that a payload names */
};
extern const struct ts_param_table ts_rar_param_table; /* prefix "rar" */

struct ts_rar_stats {
    uint64_t messages; /* rule: == rounds + merged */
    uint64_t rounds;   /* times that a pCPU stopped for them */
    uint64_t merged;   /* messages that came while it had */
    uint64_t empty;    /* rounds that found nothing pending: an earlier one had done it */
    uint64_t actions;  /* payloads carried out; rule: == requested */
    uint64_t requested;
    uint64_t pages;     /* named by them; a whole PCID names none */
    uint64_t frozen_ps; /* pCPUs stopped by it, summed */
};
extern const struct ts_stat_table ts_rar_stat_table; /* group "rar" */

/* Of the payload type INVPCID, the only one that the series uses. */
enum ts_rar_subtype {
    TS_RAR_ADDR = 0, /* pages of one PCID; no global ones */
    TS_RAR_PCID = 1,
    TS_RAR_ALL = 2, /* global ones too */
    TS_RAR_ALL_NON_GLOBAL = 3
};
struct ts_rar_payload {
    enum ts_rar_subtype subtype;
    uint16_t pcid;
    uint32_t pages; /* of 4 KiB, from va on; the field has 6 bits */
    uint64_t va;
};

struct ts_rar;
/* Applies inval to the TLBs of pCPU `cpu` at this very moment and returns the core cycles its TLB
 * is busy with it. */
typedef uint64_t ts_rar_apply_fn(void *user, uint32_t cpu, const struct ts_tlb_inval *inval);

/* pcpus outlives it, and so do the arguments of apply. */
enum ts_status ts_rar_create(struct ts_rar **out, struct ts_cpu_domain *pcpus,
                             const struct ts_rar_params *params, ts_rar_apply_fn *apply, void *user,
                             struct ts_error *err);
void ts_rar_destroy(struct ts_rar *r);
uint32_t ts_rar_slots(const struct ts_rar *r);
const struct ts_rar_stats *ts_rar_stats(const struct ts_rar *r);
/* A message has been accepted by pCPU `cpu`; hardware context. */
void ts_rar_signal(struct ts_rar *r, uint32_t cpu);

/* --- software's accesses, by self on its pCPU; whoever owns the slot makes them --- */
void ts_rar_set_payload(struct ts_task *self, struct ts_rar *r, uint32_t slot,
                        const struct ts_rar_payload *payload);
/* The slot becomes PENDING in the vector of pCPU `cpu`, where it must be SUCCESS. */
void ts_rar_set_action(struct ts_task *self, struct ts_rar *r, uint32_t slot, uint32_t cpu);
/* Spins until it is not PENDING any more. Interrupts are taken if they are on. */
void ts_rar_wait(struct ts_task *self, struct ts_rar *r, uint32_t slot, uint32_t cpu);

#ifdef __cplusplus
}
#endif
#endif
