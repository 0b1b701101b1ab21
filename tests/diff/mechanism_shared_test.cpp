/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism of the table on every platform it runs on, while CPUs use what another one takes
 * away: no stale translation is used. And mechanisms that are broken on purpose: each is found. */
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/support/broken_mechanisms.hpp"
#include "tests/support/shared_scripts.hpp"

using namespace ts_test;

namespace
{

struct Platform {
    const char *name;
    bool arm;
    std::map<std::string, std::string> settings;
    const char *only = nullptr; /* mechanism that it makes a difference for */
    std::map<std::string, std::string> of_mechanism = {}; /* its parameters, for that one */
};

/* Time slices as short as they can be: a vCPU is put aside in the middle of most rounds. */
const std::map<std::string, std::string> crowd = {{"run.vms", "3"},
                                                  {"host_sched.policy", "rr"},
                                                  {"host_sched.slice", "100us"},
                                                  {"host_sched.tick", "100us"}};

Platform crowded(const char *name, bool arm, std::map<std::string, std::string> more = {},
                 const char *only = nullptr)
{
    more.insert(crowd.begin(), crowd.end());
    return {name, arm, more, only};
}

/* Xen, and what it does not have. */
std::map<std::string, std::string> xen(std::map<std::string, std::string> more)
{
    more.insert({{"hypervisor.kind", "xen"},
                 {"hypervisor.pv_tlb_flush", "false"},
                 {"hypervisor.hv_flush", "off"},
                 {"hypervisor.halt_poll", "0ns"},
                 {"hypervisor.flush_on_migration", "false"}});
    return more;
}

std::map<std::string, std::string> windows(std::map<std::string, std::string> more)
{
    more.insert({{"guest.os", "windows"}, {"nt.timer_resolution", "50us"}});
    return more;
}

const std::vector<Platform> &platforms_of_all()
{
    static const std::vector<Platform> all = {
        {"vm", false, {{"run.vms", "1"}}},
        crowded("vms", false),
        crowded("vms_any_put", false,
                {{"hypervisor.pv_preempted_rule", "any_put"}, {"hypervisor.pin", "true"}}),
        /* A line takes long enough for the host to change the preempted byte meanwhile. */
        crowded("vms_far", false,
                {{"hypervisor.pv_preempted_rule", "any_put"},
                 {"hypervisor.pin", "true"},
                 {"interconnect.socket_link_ps", "4us"}},
                "kvm_pv"),
        crowded("vms_hv418", false, {{"hypervisor.hv_flush", "4.18"}}, "hyperv"),
        {"vm_hyperv", false, {{"run.vms", "1"}, {"hypervisor.hv_flush", "hyperv"}}, "hyperv"},
        crowded("vms_hyperv", false, {{"hypervisor.hv_flush", "hyperv"}}, "hyperv"),
        crowded("vms_moving", false,
                {{"host_sched.policy", "eevdf"},
                 {"host_sched.migration_cost", "0ns"},
                 {"run.vms", "2"},
                 {"guest.nr_dyn_asids", "2"}}),
        {"xen_pv", false, xen({{"run.vms", "1"}})},
        {"xen_hvm", false, xen({{"run.vms", "1"}, {"hypervisor.xen_guest", "hvm"}})},
        crowded("xens_pv", false, xen({})),
        crowded("xens_hvm", false, xen({{"hypervisor.xen_guest", "hvm"}})),
        crowded("xens_credit2", false,
                xen({{"host_sched.policy", "credit2"},
                     {"host_sched.ratelimit", "100us"},
                     {"host_sched.migration_cost", "0ns"}})),
        crowded("xens_credit2_hvm", false,
                xen({{"hypervisor.xen_guest", "hvm"},
                     {"host_sched.policy", "credit2"},
                     {"host_sched.ratelimit", "100us"},
                     {"host_sched.migration_cost", "0ns"}})),
        {"bare", false, {{"run.vms", "1"}, {"hypervisor.kind", "none"}}},
        /* An address space that two CPUs run gets a global ASID at its first shootdown. */
        {"bare_global_asids",
         false,
         {{"run.vms", "1"}, {"hypervisor.kind", "none"}, {"dvm.invlpgb", "true"}},
         "invlpgb",
         {{"promote_sample", "1"}, {"promote_cpus", "1"}}},
        {"bare_global_asids_pti",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"dvm.invlpgb", "true"},
          {"guest.pti", "true"}},
         "invlpgb",
         {{"promote_sample", "1"}, {"promote_cpus", "1"}}},
        /* One that three run; so few ASIDs that they are handed out anew all the time. */
        {"bare_few_asids",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"dvm.invlpgb", "true"},
          {"guest.nr_dyn_asids", "2"}},
         "invlpgb",
         {{"promote_sample", "1"}, {"promote_cpus", "2"}, {"asids", "4"}}},
        /* The same of RAR: a mask that CPUs leave at each switch, one that they stay in, and one
         * payload for all. */
        {"bare_rar",
         false,
         {{"run.vms", "1"}, {"hypervisor.kind", "none"}, {"rar.present", "true"}},
         "rar",
         {{"promote_sample", "1"}, {"promote_cpus", "1"}}},
        {"bare_rar_6_14",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"rar.present", "true"},
          {"rar.slots", "1"},
          {"guest.lazy_mm_cpumask", "true"}},
         "rar",
         {{"promote_sample", "1"}, {"promote_cpus", "1"}}},
        {"bare_rar_pti",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"rar.present", "true"},
          {"guest.pti", "true"}},
         "rar",
         {{"promote_sample", "1"}, {"promote_cpus", "1"}}},
        {"bare_rar_few_asids",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"rar.present", "true"},
          {"guest.lazy_mm_cpumask", "true"},
          {"guest.nr_dyn_asids", "2"}},
         "rar",
         {{"promote_sample", "1"}, {"promote_cpus", "2"}, {"asids", "4"}}},
        /* Kernels of other versions, and PTI with and without INVPCID. */
        {"vm_linux_4_15",
         false,
         {{"run.vms", "1"},
          {"guest.lazy_rule", "init_mm"},
          {"guest.flush_concurrent", "false"},
          {"guest.should_flush_mm", "false"},
          {"guest.flush_gen_early_exit", "false"},
          {"guest.per_vma_lock", "false"},
          {"guest.munmap_downgrade", "false"}}},
        {"bare_ipi_all",
         false,
         {{"run.vms", "1"}, {"hypervisor.kind", "none"}, {"guest.lazy_rule", "ipi_all"}}},
        crowded("vms_linux_6_14", false, {{"guest.lazy_mm_cpumask", "true"}}),
        crowded("vms_pti", false, {{"guest.pti", "true"}, {"guest.nr_dyn_asids", "2"}}),
        {"bare_pti",
         false,
         {{"run.vms", "1"},
          {"hypervisor.kind", "none"},
          {"guest.pti", "true"},
          {"guest.invpcid", "false"}}},
        /* A Windows-like guest: its flushes by list and of everything, its locks of either kind,
         * and who is in a process's set. */
        {"windows_vm", false, windows({{"run.vms", "1"}})},
        crowded("windows_vms", false, windows({})),
        crowded("windows_vms_hv418", false, windows({{"hypervisor.hv_flush", "4.18"}}),
                "hyperv_windows"),
        crowded("windows_vms_hyperv", false, windows({{"hypervisor.hv_flush", "hyperv"}}),
                "hyperv_windows"),
        crowded("windows_vms_push", false,
                windows({{"nt.working_set_lock", "push"},
                         {"nt.push_spin", "10"},
                         {"nt.active_processors", "leaves"},
                         {"nt.library_lock", "true"}})),
        crowded("windows_vms_pages", false,
                windows({{"nt.free_batch", "3"},
                         {"nt.flush_list_max", "2"},
                         {"nt.fault_shared", "false"},
                         {"nt.active_processors", "grows"},
                         {"nt.spin_backoff_max", "16"},
                         {"hypervisor.hv_spinlocks", "20"}})),
        {"windows_bare", false, windows({{"run.vms", "1"}, {"hypervisor.kind", "none"}})},
        {"arm_vm", true, {{"run.vms", "1"}}},
        crowded("arm_vms", true),
        /* Without FB a local TLBI stays on its pCPU, so a vCPU may not leave it. */
        crowded("arm_vms_nofb", true, {{"hypervisor.hcr_fb", "false"}, {"hypervisor.pin", "true"}}),
        crowded("arm_vms_nofb_moving", true,
                {{"hypervisor.hcr_fb", "false"},
                 {"host_sched.policy", "eevdf"},
                 {"host_sched.migration_cost", "0ns"},
                 {"run.vms", "2"}},
                "tlbi_range"),
        {"arm_vm_filter", true, {{"run.vms", "1"}, {"dvm.vmid_filter", "true"}}, "vm_domain"},
        /* Without the flush of a pCPU that another vCPU of the VM ran on, which would do for the
         * one of a pCPU that joins the domain. */
        crowded("arm_vms_filter_moving", true,
                {{"dvm.vmid_filter", "true"},
                 {"hypervisor.last_vcpu_ran_flush", "false"},
                 {"host_sched.policy", "eevdf"},
                 {"host_sched.migration_cost", "0ns"},
                 {"run.vms", "2"}},
                "vm_domain"),
        {"arm_bare", true, {{"run.vms", "1"}, {"hypervisor.kind", "none"}}},
        /* Two ASIDs an address space, of which user code has the other one. */
        {"arm_vm_kpti",
         true,
         {{"run.vms", "1"}, {"guest.kpti", "true"}, {"guest.repeat_tlbi", "true"}}},
        crowded("arm_vms_nofb_kpti", true,
                {{"hypervisor.hcr_fb", "false"},
                 {"hypervisor.pin", "true"},
                 {"guest.kpti", "true"},
                 {"guest.repeat_tlbi", "true"},
                 {"guest.repeat_tlbi_form", "each"},
                 {"hypervisor.repeat_tlbi", "true"},
                 {"hypervisor.repeat_tlbi_form", "each"}}),
    };
    return all;
}

ts_machine_config machine_of(const Platform &p)
{
    ts_machine_config c = small_machine(p.arm);
    for (const auto &[key, value] : p.settings)
        set(c, key, value);
    return c;
}

const Platform &platform(const std::string &name)
{
    for (const Platform &p : platforms_of_all())
        if (p.name == name)
            return p;
    throw std::runtime_error("no such platform: " + name);
}

struct Case {
    const ts_flush_ops *mechanism;
    const Platform *platform;
};

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        for (const Platform &p : platforms_of_all()) {
            ts_error err{};
            ts_machine_config c = machine_of(p);
            if ((!p.only || std::string(p.only) == ts_flush_table[i]->name) &&
                ts_machine_check(&c, ts_flush_table[i], &err) == TS_OK)
                all.push_back({ts_flush_table[i], &p});
        }
    }
    return all;
}

class Shared : public testing::TestWithParam<Case>
{
};

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    return std::string(info.param.mechanism->name) + "_on_" + info.param.platform->name;
}

constexpr uint32_t rounds = 24;
/* Over the whole table and all platforms; sanitizers take ten times as long. */
#if defined(__SANITIZE_ADDRESS__)
constexpr uint32_t table_rounds = 8;
#else
constexpr uint32_t table_rounds = 12;
#endif
constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000; /* in ns */

} // namespace

TEST_P(Shared, NoStaleTranslationIsUsed)
{
    auto [mechanism, p] = GetParam();
    ts_machine_config c = machine_of(*p);
    const std::vector<uint64_t> own = mechanism_params(mechanism, p->of_mechanism);
    uint64_t in_window = 0, deferred = 0;
    for (const SharedScript &script : shared_scripts()) {
        SCOPED_TRACE(script.name);
        if (!runs_on(c, script))
            continue;
        Outcome got =
            run_shared(c, mechanism, script, table_rounds, own.empty() ? nullptr : own.data());
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
        /* Who sleeps is in no mask where idle CPUs leave for init_mm. */
        const bool stays =
            c.guest.lazy_rule == TS_LAZY_SKIP && c.nt.active_processors != TS_NT_ACTIVE_LEAVES;
        EXPECT_GE(got.stats.at(stays ? "guest.shootdowns" : "guest.shootdown_all"),
                  table_rounds / 5);
        std::pair<const char *, ts_op_kind> changes[] = {
            {"guest.mmaps", TS_OP_MMAP},
            {"guest.munmaps", TS_OP_MUNMAP},
            {"guest.mprotects", TS_OP_MPROTECT},
            {"guest.madvises", TS_OP_MADVISE_DONTNEED}};
        for (auto [name, kind] : changes)
            EXPECT_EQ(got.stats.at(name), c.run.vms * count_ops(script, table_rounds, kind))
                << name;
        if (std::string(script.name).find("table") == 0) {
            EXPECT_GT(got.stats.at("guest.shootdown_freed_tables"), table_rounds / 4);
        }
        in_window += got.stats.at("oracle.hits_in_window");
        if (got.stats.count("flush.kvm_pv.deferred"))
            deferred += got.stats.at("flush.kvm_pv.deferred");
    }
    /* Else the scripts would prove nothing. */
    EXPECT_GT(in_window, 4 * table_rounds);
    if (std::string(mechanism->name) == "kvm_pv" && c.run.vms > 1) {
        EXPECT_GT(deferred, table_rounds / 5);
    }
}

INSTANTIATE_TEST_SUITE_P(Table, Shared, testing::ValuesIn(cases()), case_name);

/* --- broken on purpose: found --- */

namespace
{

struct Negative {
    const ts_flush_ops *mechanism;
    const char *platform;
};

const std::vector<Negative> &negatives()
{
    static const auto nothing = broken::mechanism<broken::nothing>("nothing");
    static const auto local = broken::mechanism<broken::local_only>("local_only");
    static const auto one = broken::mechanism<broken::one_forgotten>("one_forgotten");
    static const auto seldom = broken::mechanism<broken::seldom_forgotten>("seldom_forgotten");
    static const auto ignored = broken::mechanism<broken::flush_tlb_ignored>("flush_tlb_ignored");
    static const auto before = broken::mechanism<broken::before_the_change>("before_the_change");
    static const auto shorter = broken::mechanism<broken::short_by_a_page>("short_by_a_page");
    static const auto user =
        broken::mechanism<broken::user_flush_forgotten>("user_flush_forgotten");
    static const auto dsb = broken::mechanism<broken::no_dsb>("no_dsb");
    static const auto tables = broken::mechanism<broken::tables_kept>("tables_kept");
    static const std::vector<Negative> all = {
        {nothing, "vm"},
        {nothing, "vms"},
        {nothing, "windows_vm"},
        {nothing, "windows_vms_pages"},
        {nothing, "bare"},
        {nothing, "arm_vm"},
        {nothing, "arm_bare"},
        {local, "vm"},
        {local, "vms"},
        {local, "windows_vm"},
        {local, "windows_vms_pages"},
        {local, "bare"},
        {local, "arm_vms_nofb"},
        {local, "arm_bare"},
        {one, "vm"},
        {one, "vms"},
        {one, "windows_vm"},
        {one, "windows_vms_pages"},
        {one, "bare"},
        {one, "arm_vms_nofb"},
        {one, "arm_bare"},
        {seldom, "vm"},
        {seldom, "vms"},
        {seldom, "windows_vm"},
        {seldom, "windows_vms_pages"},
        {seldom, "bare"},
        {seldom, "arm_vms_nofb"},
        {seldom, "arm_bare"},
        {ignored, "vms"},
        {ignored, "vms_any_put"},
        {before, "vm"},
        {before, "vms"},
        {before, "windows_vm"},
        {before, "windows_vms_pages"},
        {before, "bare"},
        {before, "arm_vms_nofb"},
        {before, "arm_bare"},
        {shorter, "vm"},
        {shorter, "bare"},
        {shorter, "arm_bare"},
        {user, "vms_pti"},
        {user, "bare_pti"},
        {dsb, "arm_vm"},
        {dsb, "arm_bare"},
        {tables, "arm_vm"},
        {tables, "arm_bare"},
        /* Of the table, with faults that such a machine shows; on others it passes. */
        {ts_flush_find("hyperv_2017"), "vm_hyperv"},
        {ts_flush_find("hyperv_2017"), "vms_hyperv"},
        {ts_flush_find("hyperv_2017"), "vms_hv418"},
    };
    return all;
}

class Broken : public testing::TestWithParam<Negative>
{
};

std::string negative_name(const testing::TestParamInfo<Negative> &info)
{
    return std::string(info.param.mechanism->name) + "_on_" + info.param.platform;
}

} // namespace

TEST_P(Broken, IsFound)
{
    auto [mechanism, name] = GetParam();
    ts_machine_config c = machine_of(platform(name));
    /* On arm64 a CPU may fault for ever on what was left; that is found by the watchdog, and
     * another script shows the stale use, or the walk by what has gone. */
    set(c, "run.progress", "50ms");
    bool stuck = false;
    for (const SharedScript &script : shared_scripts()) {
        Outcome got = run_shared(c, mechanism, script, rounds);
        bool faults_for_ever = got.message.find("no progress") != std::string::npos;
        stuck = stuck || faults_for_ever;
        if (got.status == TS_OK || faults_for_ever)
            continue;
        EXPECT_EQ(got.status, TS_ERR_FINDING) << got.message;
        /* The table of a stale walk cache is found before what it says. */
        const bool table = got.message.find("freed page table used") != std::string::npos;
        EXPECT_TRUE(table || got.message.find("stale translation used") != std::string::npos)
            << got.message;
        EXPECT_GT(got.stats.at(table ? "oracle.tables_stale" : "oracle.hits_stale"), 0u);
        return;
    }
    EXPECT_TRUE(stuck) << "nobody noticed";
}

INSTANTIATE_TEST_SUITE_P(All, Broken, testing::ValuesIn(negatives()), negative_name);

TEST(Faults, OfEveryMechanismThatHasThemAreFoundSomewhere)
{
    std::vector<const ts_flush_ops *> looked_at;
    for (const Negative &n : negatives())
        if (n.mechanism == ts_flush_find(n.mechanism->name))
            looked_at.push_back(n.mechanism);
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        const bool is = std::find(looked_at.begin(), looked_at.end(), m) != looked_at.end();
        EXPECT_EQ(is, m->faults != nullptr) << m->name;
    }
}

/* --- a vCPU that comes back to a pCPU --- */

namespace
{

/* Three pCPUs, two VMs of two vCPUs; vCPU n begins on pCPU n mod 3. By the millisecond:
 *
 * | ms | pCPU 0                | pCPU 1                    | pCPU 2                     |
 * |----|-----------------------|---------------------------|----------------------------|
 * |  0 | VM 0, vCPU 0 reads    | VM 0, vCPU 1 computes ... |                            |
 * |  2 | VM 1, vCPU 1 computes |                           |                            |
 * |  4 |                       |                           | VM 0, vCPU 0 wakes, reads  |
 * |  5 |                       | ... drops the pages ...   | ... and is interrupted     |
 * |  8 |                       |                           | VM 1, vCPU 0 computes      |
 * | 10 | (free)                |                           |                            |
 * | 12 | VM 0, vCPU 0 reads    |                           |                            |
 *
 * A vCPU that wakes goes to where it was if that is free, else to the one that is. No other vCPU of
 * VM 0 has been on pCPU 0, so the host has no reason to flush there (last_vcpu_ran). */
Outcome there_and_back(const char *mechanism, bool broadcasts, bool pinned)
{
    constexpr uint64_t n = 8;
    ts_machine_config c = small_machine(true);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "3");
    set(c, "run.vms", "2");
    set(c, "run.vcpus", "2");
    set(c, "hypervisor.hcr_fb", broadcasts ? "true" : "false");
    set(c, "hypervisor.pin", pinned ? "true" : "false");
    set(c, "hypervisor.halt_poll", "0");
    set(c, "host_sched.migration_cost", "1s"); /* nobody is pulled to a pCPU */
    set(c, "host_sched.idle_scan", "all");
    ScriptWorkload moving(
        {{op_mmap(0, n * page), op_touch(0, 0, n), op_barrier(0, 2), op_touch(0, 0, n),
          op_ns(TS_OP_SLEEP, 4 * ms), op_touch(0, 0, n), op_ns(TS_OP_COMPUTE, 2 * ms),
          op_ns(TS_OP_SLEEP, 6 * ms), op_touch(0, 0, n)},
         {op_barrier(0, 2), op_ns(TS_OP_COMPUTE, 5 * ms),
          op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page), op_ns(TS_OP_COMPUTE, 15 * ms)}},
        2);
    ScriptWorkload in_the_way({{op_ns(TS_OP_SLEEP, 8 * ms), op_ns(TS_OP_COMPUTE, 8 * ms)},
                               {op_ns(TS_OP_SLEEP, 2 * ms), op_ns(TS_OP_COMPUTE, 8 * ms)}},
                              2);
    return run_workloads(c, ts_flush_find(mechanism), {moving.get(), in_the_way.get()}, 1);
}

} // namespace

/* KVM sets HCR_EL2.FB so that a guest may use local TLBIs though its vCPUs move (arm.md 1.3). */
TEST(Moved, LocalFlushesAreOfNoUseWhereTheVcpuComesBack)
{
    Outcome stale = there_and_back("native_concurrent", false, false);
    EXPECT_EQ(stale.status, TS_ERR_FINDING);
    EXPECT_NE(stale.message.find("stale translation used"), std::string::npos) << stale.message;
    EXPECT_EQ(stale.stats.at("hypervisor.stage1_flush_switch"), 5u); /* one more at 4 ms */
    for (auto [mechanism, broadcasts, pinned] :
         {std::tuple("native_concurrent", true, false),
          std::tuple("native_concurrent", false, true), std::tuple("tlbi_broadcast", false, false),
          std::tuple("tlbi_range", false, false)}) {
        Outcome got = there_and_back(mechanism, broadcasts, pinned);
        EXPECT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    }
}

/* --- a fault in the middle of a change --- */

/* The VMA says again that the page may be used, its entry is still to follow. */
TEST(Protect, AccessComesBackToPagesThatAreBeingTouched)
{
    constexpr uint64_t n = 2048;
    Script s(2);
    s[0] = {op_mmap(0, n * page), op_touch(0, 0, n), op_barrier(1, 2)};
    for (int round = 0; round < 4; round++) {
        s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, n * page, 0));
        s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, n * page, TS_PROT_READ | TS_PROT_WRITE));
    }
    s[1] = {op_barrier(1, 2), op_touch(0, (n - 1) * page, 100000, true, 0)};
    s[0].push_back(op_barrier(0, 2));
    s[1].push_back(op_barrier(0, 2));
    Outcome got = run_script(bare_machine(2), s, 2);
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("guest.faults_spurious"), 0u);
    EXPECT_EQ(got.stats.at("guest.pages_freed"), n); /* none was mapped twice */
}

/* --- clear, flush, then free --- */

namespace
{

std::vector<uint64_t> freed_at_flush; /* pages that had come free when each flush began */

void observe(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
             ts_shootdown_record *record)
{
    freed_at_flush.push_back(ts_guest_cpu_of(self)->guest->stats.pages_freed);
    ts_native_flush_tlb_multi(self, mask, info, record);
}

} // namespace

TEST(Gather, FramesComeFreeAfterTheFlushThatCoversThem)
{
    constexpr uint64_t n = 5;
    Script s(2);
    s[0] = {op_mmap(0, n * page)};
    for (uint32_t r = 0; r < 4; r++) {
        s[0].push_back(op_touch(0, 0, n));
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page));
    }
    s[1] = {op_ns(TS_OP_COMPUTE, 1000000)};
    freed_at_flush.clear();
    Outcome got = run_script(bare_machine(2), s, 2, broken::mechanism<observe>("observe"));
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(freed_at_flush, (std::vector<uint64_t>{0, n, 2 * n, 3 * n, 4 * n}));
}
