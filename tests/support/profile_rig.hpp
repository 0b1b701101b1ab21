/* SPDX-License-Identifier: Apache-2.0 */
/* The study tlb_profile under a script of operations, on a core whose caches are as large as a
 * formula wants them. */
#ifndef TS_TESTS_SUPPORT_PROFILE_RIG_HPP
#define TS_TESTS_SUPPORT_PROFILE_RIG_HPP

#include <cstring>

#include "models/study/tlb_profile.h"
#include "tests/support/script_workload.hpp"

namespace ts_test
{

struct ProfileOutcome {
    ts_status status = TS_OK;
    std::string message;
    ts_profile_stats stats{};
    struct ts_mmu_stats mmu {
    };
    struct ts_cache_stats cache {
    };
};

class ProfileRig
{
  public:
    /* Flat costs, fully associative LRU, no walk caches: what a formula can say. */
    explicit ProfileRig(bool arm = false)
    {
        ts_param_defaults(&ts_topology_param_table, &config.topology);
        ts_param_defaults(&ts_mmu_param_table, &config.mmu);
        ts_param_defaults(&ts_cache_param_table, &config.cache);
        ts_param_defaults(ts_study_tlb_profile.params, &params);
        config.topology.arch = arm ? TS_ARCH_ARM64 : TS_ARCH_X86;
        config.topology.threads_per_core = 2;
        config.topology.core_hz = 2500000000;
        config.cache.walks = 0;
        ts_mmu_params &m = config.mmu;
        m.l1d_4k_entries = m.l1d_4k_ways = 16;
        m.l1d_2m_entries = m.l1d_2m_ways = 16;
        m.l1d_1g_entries = m.l1d_1g_ways = 4;
        m.l1d_any_entries = m.l1i_any_entries = 0;
        m.l1i_4k_entries = m.l1i_4k_ways = 16;
        m.l1i_2m_entries = m.l1i_2m_ways = 16;
        m.l2_entries = m.l2_ways = 64;
        m.l2_giant = 0;
        m.l2_1g_entries = m.l2_1g_ways = 16;
        m.l2i_entries = 0;
        m.walk_l1_entries = m.walk_l2_entries = m.walk_l3_entries = 0;
        m.walk_any_entries = m.walk2_entries = m.nested_entries = 0;
        m.walk_in_l2 = m.nested_in_l2 = 0;
        m.contiguous = arm;
        m.inclusion = TS_MMU_NON_INCLUSIVE;
        m.l1_smt = m.l2_smt = m.walk_smt = TS_MMU_SMT_OWN;
        m.l1_hit_cycles = 1;
        m.l2_hit_cycles = 7;
        m.l2_probe_cycles = 0;
        m.l1_ports = m.l2_ports = 0;
        m.walkers = m.miss_queue = 0;
        m.walk_start_cycles = 5;
        m.walk_cache_cycles = m.nested_cycles = 0;
        m.fetch_cycles = 4;
        m.leaf_fetch_cycles = 14;
        m.levels = m.levels_stage2 = 4;
        m.sweep_sets_per_cycle = m.sweep_blocking = 0;
        m.l1_flush_on_any_inval = m.fracture_full_flush = 0;
        set("mmu.l1_replacement", "lru");
        set("mmu.replacement", "lru");
        set("mmu.walk_replacement", "lru");
    }
    void set(const std::string &key, const std::string &value)
    {
        const ts_param_table *tables[] = {&ts_topology_param_table, &ts_mmu_param_table,
                                          &ts_cache_param_table, ts_study_tlb_profile.params};
        void *bases[] = {&config.topology, &config.mmu, &config.cache, &params};
        for (size_t i = 0; i < 4; i++) {
            std::string prefix = std::string(tables[i]->prefix) + ".";
            if (key.compare(0, prefix.size(), prefix) != 0)
                continue;
            const ts_param *row = ts_param_find(tables[i], key.c_str() + prefix.size());
            ts_error err{};
            if (row && ts_param_set(row, bases[i], value.c_str(), &err) == TS_OK)
                return;
            throw std::runtime_error(key + "=" + value + ": " + err.message);
        }
        throw std::runtime_error("no such key: " + key);
    }
    std::string check() const
    {
        ts_error err{};
        return ts_study_tlb_profile.check(&config, &params, &err) == TS_OK ? "" : err.message;
    }
    ProfileOutcome run(const Script &script, uint32_t initial = 1, uint64_t seed = 1) const
    {
        ProfileOutcome out;
        ScriptWorkload workload(script, initial);
        ts_study_input in{};
        in.config = &config;
        in.params = &params;
        in.workload = workload.get();
        in.seed = seed;
        ts_error err{};
        out.status = ts_study_tlb_profile.run(&in, &out.stats, visit, &out, &err);
        if (out.status != TS_OK)
            out.message = err.message;
        return out;
    }
    /* A walk without caches: n tables of stage 1, and where there is a stage 2, m tables of it for
     * each of those and for the page (walker.c). */
    static uint64_t cold_fetches(uint64_t n, uint64_t m)
    {
        return n * (m + 1) + m;
    }
    /* Native, to a page of level 0. */
    uint64_t walk_cycles() const
    {
        const ts_mmu_params &m = config.mmu;
        return m.walk_start_cycles + (m.levels - 1) * m.fetch_cycles + m.leaf_fetch_cycles;
    }

    ts_machine_config config{};
    ts_profile_params params{};

  private:
    static void visit(void *user, const ts_stat_table *table, const void *base)
    {
        auto *out = static_cast<ProfileOutcome *>(user);
        if (table == &ts_mmu_stat_table)
            std::memcpy(&out->mmu, base, sizeof(out->mmu));
        if (table == &ts_cache_stat_table)
            std::memcpy(&out->cache, base, sizeof(out->cache));
    }
};

} // namespace ts_test
#endif
