// SPDX-License-Identifier: Apache-2.0
// One MMU over tables in the caller's memory.
#include "models/mmu/mmu.h"
#include "models/mmu/pgtable_foreign.h"
#include "sim/api/internal.hpp"
#include "sim/api/inval.hpp"

#include <cstring>

using ts_api::guarded;

static_assert(int(TLBSTORM_READ) == TS_MMU_READ && int(TLBSTORM_WRITE) == TS_MMU_WRITE &&
              int(TLBSTORM_FETCH) == TS_MMU_FETCH);

struct tlbstorm_mmu {
    tlbstorm_walk_memory memory;
    ts_mmu *core = nullptr;
    ts_pgtable *tables = nullptr; // of walks that take time
    ts_pgtable *debug = nullptr;

    explicit tlbstorm_mmu(const tlbstorm_walk_memory &m) : memory(m)
    {
    }
    ~tlbstorm_mmu()
    {
        if (core)
            ts_mmu_destroy(core);
        ts_pgtable_destroy(tables);
        ts_pgtable_destroy(debug);
    }
    tlbstorm_mmu(const tlbstorm_mmu &) = delete;
    tlbstorm_mmu &operator=(const tlbstorm_mmu &) = delete;
};

namespace
{

bool read_walk(void *user, uint64_t address, uint64_t *value)
{
    const tlbstorm_walk_memory &m = static_cast<tlbstorm_mmu *>(user)->memory;
    return m.read(m.user, address, TLBSTORM_READ_WALK, value);
}

bool read_debug(void *user, uint64_t address, uint64_t *value)
{
    const tlbstorm_walk_memory &m = static_cast<tlbstorm_mmu *>(user)->memory;
    return m.read(m.user, address, TLBSTORM_READ_DEBUG, value);
}

bool update(void *user, uint64_t address, uint64_t old, uint64_t value)
{
    const tlbstorm_walk_memory &m = static_cast<tlbstorm_mmu *>(user)->memory;
    return m.update(m.user, address, old, value);
}

uint64_t no_fetch_time(void *, uint32_t, uint64_t)
{
    return 0;
}

void set(ts_mmu_params *params, const char *text)
{
    const ts::Override setting = ts::override_parse(text);
    const std::string prefix = std::string(ts_mmu_param_table.prefix) + ".";
    std::vector<std::string> names;
    ts_error error;
    for (size_t i = 0; i < ts_mmu_param_table.nrows; i++) {
        const ts_param &row = ts_mmu_param_table.rows[i];
        names.push_back(prefix + row.key);
        if (names.back() != setting.key)
            continue;
        if (ts_param_set(&row, params, setting.value.c_str(), &error) != TS_OK)
            throw ts::Error(error.status, setting.place(), error.message);
        return;
    }
    ts::user_error(setting.place(), "no parameter '" + setting.key + "' of an MMU" +
                                        ts::did_you_mean(setting.key, names));
}

void check(ts_status status, const ts_error &error)
{
    if (status != TS_OK)
        throw ts::Error(error);
}

ts_pgtable *tables_of(tlbstorm_mmu *mmu, const tlbstorm_mmu_config &config, bool debug)
{
    const ts_granule granule = config.format == TLBSTORM_ARM64_16K   ? TS_GRANULE_16K
                               : config.format == TLBSTORM_ARM64_64K ? TS_GRANULE_64K
                                                                     : TS_GRANULE_4K;
    ts_pt_memory memory = {};
    ts_pgtable *out = nullptr;
    ts_error error;
    const uint32_t levels = config.levels ? config.levels : granule == TS_GRANULE_64K ? 3 : 4;
    memory.read = debug ? read_debug : read_walk;
    memory.update = config.memory.update && !debug ? update : nullptr;
    memory.user = mmu;
    check(ts_pgtable_create_foreign(&out,
                                    config.format == TLBSTORM_X86_64 ? TS_PT_X86_64 : TS_PT_ARM64,
                                    granule, levels, &memory, &error),
          error);
    return out;
}

tlbstorm_mmu *make(const tlbstorm_mmu_config &config)
{
    auto mmu = std::make_unique<tlbstorm_mmu>(config.memory);
    ts_mmu_params params;
    ts_param_defaults(&ts_mmu_param_table, &params);
    for (size_t i = 0; i < config.nsettings; i++)
        set(&params, config.settings[i]);
    ts_error error;
    ts_mmu_memory memory = {};
    memory.fetch = no_fetch_time;
    ts_mmu_wiring wiring = {};
    wiring.memory = config.reads_take_time_elsewhere ? &memory : nullptr;
    wiring.fault_invalidates = config.format == TLBSTORM_X86_64;
    check(ts_mmu_check(&params, 1, &error), error);
    check(ts_mmu_create(&mmu->core, &params, config.seed, &wiring, &error), error);
    mmu->tables = tables_of(mmu.get(), config, false);
    mmu->debug = tables_of(mmu.get(), config, true);
    return mmu.release();
}

ts_mmu_context context_of(const tlbstorm_context &context, ts_pgtable *tables)
{
    ts_mmu_context out = {};
    out.vmid = context.vmid;
    out.asid = context.asid;
    out.stage1 = tables;
    ts_pgtable_set_root(tables, context.root);
    return out;
}

void describe(const ts_tlb_entry &entry, uint64_t va, tlbstorm_access *out)
{
    out->page_bytes = UINT64_C(1) << entry.tags.size_shift;
    const uint64_t leaf = UINT64_C(1)
                          << ts_granule_level_shift(entry.tags.granule, entry.tags.level);
    out->leaf_bytes = leaf > out->page_bytes ? leaf : out->page_bytes;
    out->page_va = va & ~(out->page_bytes - 1);
    out->pa = entry.target + (va - out->page_va);
    out->writable = entry.writable && entry.dirty;
    out->global = entry.tags.global;
}

} // namespace

enum tlbstorm_status tlbstorm_mmu_create(struct tlbstorm_mmu **out,
                                         const struct tlbstorm_mmu_config *config,
                                         struct tlbstorm_error *err)
{
    return guarded(err, [&] { *out = make(*config); });
}

void tlbstorm_mmu_destroy(struct tlbstorm_mmu *mmu)
{
    delete mmu;
}

void tlbstorm_mmu_access(struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                         uint64_t va, enum tlbstorm_access_kind kind, uint64_t cycle,
                         struct tlbstorm_access *out)
{
    const ts_mmu_context ctx = context_of(*context, mmu->tables);
    struct ts_mmu_access access;
    ts_tlb_entry entry;
    (void)ts_pgtable_bus_error(mmu->tables);
    ts_mmu_access(mmu->core, &ctx, va, static_cast<ts_mmu_kind>(kind), cycle, &access);
    *out = tlbstorm_access();
    out->from_tlb = access.from_tlb;
    out->cycles = access.cycles;
    switch (access.result) {
    case TS_MMU_OK:
        out->result = TLBSTORM_TRANSLATED;
        out->pa = access.pa;
        // An MMU without TLBs holds nothing, and then the page is as small as one can be.
        if (ts_mmu_probe(mmu->core, &ctx, va, &entry))
            describe(entry, va, out);
        else
            out->leaf_bytes = out->page_bytes = UINT64_C(1) << access.size_shift;
        out->page_va = va & ~(out->page_bytes - 1);
        break;
    case TS_MMU_CONFLICT:
        out->result = TLBSTORM_CONFLICT;
        break;
    case TS_MMU_FAULT_STAGE1:
    case TS_MMU_FAULT_STAGE2:
        out->result = ts_pgtable_bus_error(mmu->tables) ? TLBSTORM_BUS_ERROR : TLBSTORM_FAULT;
        break;
    }
}

bool tlbstorm_mmu_probe(const struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                        uint64_t va, struct tlbstorm_access *out)
{
    const ts_mmu_context ctx = context_of(*context, mmu->debug);
    ts_tlb_entry entry;
    if (!ts_mmu_probe(mmu->core, &ctx, va, &entry))
        return false;
    *out = tlbstorm_access();
    out->from_tlb = true;
    describe(entry, va, out);
    return true;
}

bool tlbstorm_mmu_translate(struct tlbstorm_mmu *mmu, const struct tlbstorm_context *context,
                            uint64_t va, struct tlbstorm_access *out)
{
    ts_pte pte;
    ts_pgtable_set_root(mmu->debug, context->root);
    if (!ts_pgtable_lookup(mmu->debug, va, &pte))
        return false;
    *out = tlbstorm_access();
    out->leaf_bytes = out->page_bytes = UINT64_C(1) << pte.size_shift;
    out->page_va = va & ~(out->page_bytes - 1);
    out->pa = pte.target + (va - out->page_va);
    out->writable = pte.writable;
    out->global = pte.global;
    return true;
}

uint64_t tlbstorm_mmu_invalidate(struct tlbstorm_mmu *mmu, const struct tlbstorm_inval *inval,
                                 uint64_t cycle)
{
    const ts_tlb_inval core = ts_api::to_core(*inval);
    return ts_mmu_invalidate(mmu->core, &core, cycle);
}

bool tlbstorm_inval_covers(const struct tlbstorm_inval *inval, uint16_t vmid, uint16_t asid,
                           bool global, uint64_t start, uint64_t length)
{
    // The rule of ts_tlb_inval_matches for leaves; the range may be of any length.
    if (!inval->any_vmid && inval->vmid != vmid)
        return false;
    if (global ? inval->keep_global : !inval->any_asid && inval->asid != asid)
        return false;
    if (inval->all_addresses)
        return true;
    return start < inval->start + inval->length && inval->start < start + length;
}

enum tlbstorm_status tlbstorm_mmu_stat(const struct tlbstorm_mmu *mmu, const char *name,
                                       uint64_t *value, struct tlbstorm_error *err)
{
    return guarded(err, [&] {
        const char *base = reinterpret_cast<const char *>(ts_mmu_stats(mmu->core));
        std::vector<std::string> names;
        for (size_t i = 0; i < ts_mmu_stat_table.nrows; i++) {
            const ts_stat &row = ts_mmu_stat_table.rows[i];
            names.emplace_back(row.name);
            if (names.back() == name) {
                *value = *reinterpret_cast<const uint64_t *>(base + row.offset);
                return;
            }
        }
        ts::user_error(ts::Place(), std::string("no statistic '") + name + "' of an MMU" +
                                        ts::did_you_mean(name, names));
    });
}
