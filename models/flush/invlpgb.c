/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's broadcast invalidation as Linux uses it since 6.15: an address space that flushes often and
 * runs on several CPUs at once gets an ASID that all CPUs share, and from then on INVLPGB and
 * TLBSYNC do what interrupts did. Its CPUs keep no generation: what they hold is always up to date.
 *
 * The rest of the time, and for all other address spaces, flushes are native. */
#include "models/cpu/dvm_port.h"
#include "models/flush/flush_global_asid.h"
#include "models/guest/coherence/pti.h"

struct invlpgb_params {
    struct ts_global_asid_params global;
    uint64_t count_max;    /* pages that one instruction names at most */
    uint64_t issue_cycles; /* one INVLPGB */
};

struct invlpgb_state {
    struct ts_global_asids global;
    uint64_t broadcasts, instructions, tlbsyncs;
};

static const struct invlpgb_params *params_of(const struct ts_guest *g)
{
    return g->flush_params;
}

/* --- the instructions --- */

static void issue(struct ts_task *self, const struct ts_invlpgb *op)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct invlpgb_state *state = g->flush_state;
    struct ts_tlb_inval inval = ts_inval_invlpgb(op);
    ts_task_work(self, params_of(g)->issue_cycles);
    ts_dvm_port_tlbi(self, g->dvm, &inval);
    state->instructions++;
}

static void tlbsync(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ((struct invlpgb_state *)g->flush_state)->tlbsyncs++;
    ts_dvm_port_dsb(self, g->dvm);
}

/* invlpgb_flush_all_nonglobals, with its TLBSYNC. */
static void flush_all_nonglobals(struct ts_task *self)
{
    const struct ts_invlpgb op = {.asid_valid = true};
    issue(self, &op);
    tlbsync(self);
}

/* Both PCIDs with PTI. */
static void issue_pcids(struct ts_task *self, struct ts_invlpgb op)
{
    issue(self, &op);
    if (!ts_guest_cpu_of(self)->guest->params.pti)
        return;
    op.pcid |= TS_PTI_USER_PCID;
    issue(self, &op);
}

static void issue_all(struct ts_task *self, const struct ts_flush_info *info)
{
    const uint64_t n = params_of(ts_guest_cpu_of(self)->guest)->count_max;
    struct ts_invlpgb op = {.asid_valid = true,
                            .pcid_valid = true,
                            .pcid = (uint16_t)(info->mm->global_asid + 1),
                            .stride_2m = info->stride_shift == 21};
    if (info->end == UINT64_MAX) {
        issue_pcids(self, op);
        return;
    }
    op.va_valid = true;
    for (uint64_t va = info->start; va < info->end;
         va += (uint64_t)op.pages << info->stride_shift) {
        uint64_t left = (info->end - va) >> info->stride_shift;
        op.va = va;
        /* A stride of 1 GiB has no form for several. */
        op.pages = info->stride_shift > 21 ? 1u : (uint32_t)(left < n ? left : n);
        if (op.pages == 0)
            op.pages = 1;
        issue_pcids(self, op);
    }
}

/* --- hooks --- */

/* broadcast_tlb_flush. */
static bool flush_mm(struct ts_task *self, struct ts_flush_info *info,
                     struct ts_shootdown_record *record)
{
    struct invlpgb_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    ts_time mark = ts_task_now(self);
    if (!info->mm->global_asid)
        return false;
    state->broadcasts++;
    issue_all(self, info);
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    ts_global_asid_finish_transition(self, info, record);
    mark = ts_task_now(self);
    tlbsync(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
    return true;
}

/* arch_tlbbatch_flush: a broadcast whoever is in the mask, since a CPU on a global ASID, this one
 * too, would take flush_tlb_func for done. */
static bool flush_batch(struct ts_task *self, struct ts_flush_info *info,
                        struct ts_shootdown_record *record)
{
    struct invlpgb_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    ts_time mark = ts_task_now(self);
    TS_ASSERT(!info->mm);
    state->broadcasts++;
    flush_all_nonglobals(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
    return true;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    if (!info->mm) {
        (void)flush_batch(self, info, record);
        return;
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
    ts_global_asid_consider(self, info->mm, flush_all_nonglobals, true);
}

/* invlpgb_kernel_range_flush, or of everything invlpgb_flush_all: whatever the PCID, globals too.
 */
static void flush_kernel(struct ts_task *self, struct ts_flush_info *info, bool all,
                         ts_call_fn *here)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_invlpgb op = {.asid_valid = true, .include_global = true, .va_valid = !all};
    (void)here; /* this CPU is reached, too */
    ((struct invlpgb_state *)g->flush_state)->broadcasts++;
    if (all)
        issue(self, &op);
    for (uint64_t va = info->start; !all && va < info->end; va += (uint64_t)op.pages << 12) {
        uint64_t left = (info->end - va) >> 12;
        op.va = va;
        op.pages = (uint32_t)(left < params_of(g)->count_max ? left : params_of(g)->count_max);
        issue(self, &op);
    }
    tlbsync(self);
}

static uint32_t choose_asid(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush)
{
    if (!next->global_asid)
        return ts_choose_new_asid(gc, next, next_gen, need_flush);
    *need_flush = false;
    return next->global_asid;
}

/* flush_tlb_func, of a CPU that is on a global ASID or is to be. */
static bool flush_func(struct ts_task *self, struct ts_flush_info *info)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    if ((info->mm && info->mm != gc->loaded_mm) || gc->loaded_mm == g->init_mm)
        return false;
    ts_global_asid_change(self);
    if (!ts_global_asid_loaded(gc))
        return false;
    if (info->initiator != gc->id)
        g->stats.nr_tlb_remote_flush_received++;
    g->stats.flush_skipped++;
    return true;
}

#define ROW(f) offsetof(struct invlpgb_params, f)
static const struct ts_param param_rows[] = {
    {"count_max", TS_PARAM_COUNT, ROW(count_max), 8, 1, 65536, NULL,
     "pages that one INVLPGB names at most", "CPUID 80000008h EDX[15:0] + 1; 8 on Zen 3 and 4",
     TS_CONF_REMEMBERED},
    {"issue", TS_PARAM_CYCLES, ROW(issue_cycles), 100, 0, 1000000, NULL, "issue of one INVLPGB",
     "nothing is published; to be fitted on E6", TS_CONF_GUESS},
    TS_GLOBAL_ASID_PARAMS,
};
#undef ROW
static const struct ts_param_table params = {"flush.invlpgb", param_rows, TS_ARRAY_LEN(param_rows)};

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct invlpgb_state, f), "1", h                             \
    }
static const struct ts_stat rows[] = {
    ROW(broadcasts, "flushes by INVLPGB"),
    ROW(instructions, "INVLPGB issued"),
    ROW(tlbsyncs, "TLBSYNC"),
    TS_GLOBAL_ASID_STATS,
};
#undef ROW
static const struct ts_stat_rule rules[] = {
    {"a TLBSYNC a broadcast, and one a rollover", {"+tlbsyncs", "-broadcasts", "-asid_rollovers"}},
};
static const struct ts_stat_table stats = {"flush.invlpgb", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_invlpgb = {
    .name = "invlpgb",
    .summary = "AMD INVLPGB and TLBSYNC for address spaces on 4 CPUs or more, else native",
    .reference = "arch/x86/mm/tlb.c broadcast_tlb_flush, 6.15 and later (read in a 7.0 tree); AMD "
                 "APM vol. 3",
    .needs = TS_NEEDS_X86 | TS_NEEDS_BARE_METAL | TS_NEEDS_INVLPGB,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct invlpgb_params),
    .stats = &stats,
    .state_size = sizeof(struct invlpgb_state),
    .init = ts_global_asids_init,
    .flush_mm = flush_mm,
    .flush_batch = flush_batch,
    .flush_multi = flush_multi,
    .flush_kernel = flush_kernel,
    .same_mm = ts_global_asid_same_mm,
    .choose_asid = choose_asid,
    .flush_func = flush_func,
    .mm_exit = ts_global_asid_mm_exit,
};
