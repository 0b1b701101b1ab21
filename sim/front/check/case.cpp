// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/case.hpp"

#include "models/flush/flush.h"
#include "models/interconnect/fabric.h"
#include "sim/front/check/random_script.hpp"
#include "sim/front/check/tiny_script.hpp"
#include "sim/front/error.hpp"

#include <unordered_map>

namespace ts
{
namespace
{

// Streams of a case's seed: a draw more in one leaves the others as they are.
enum : uint64_t {
    draws_of_machine = 1000003,
    draws_of_script = 2000003,
    draws_of_host = 3000017,
    draws_of_tlbs = 4000037,
    draws_of_stores = 5000057,
    draws_of_drops = 7000003,
    draws_of_crowd = 9000011,
    draws_of_size = 10000019,
    draws_of_vmids = 11000027,
    draws_of_small = 12000017,
    draws_of_fifo = 13000027,
    draws_of_arm = 14000029,
    draws_of_vmm = 15000017,
    draws_of_reclaim = 16000057
};

struct Draw {
    CheckCase &c;
    Dice dice;

    void put(const std::string &key, const std::string &value)
    {
        c.settings.push_back({key, value});
    }
    template <size_t N> void one_of(const std::string &key, const char *const (&values)[N])
    {
        put(key, dice.one_of(values));
    }
    void number(const std::string &key, uint64_t lo, uint64_t hi)
    {
        put(key, dice.number(lo, hi));
    }
    void flag(const std::string &key)
    {
        put(key, dice.flag());
    }
};

bool needs(const ts_flush_ops *m, uint32_t what)
{
    return (m->needs & what) != 0;
}

// --- the machine ---

bool draw_arm(Dice &dice, const ts_flush_ops *m)
{
    const bool either = dice.between(0, 1);
    const uint32_t x86 = TS_NEEDS_X86 | TS_NEEDS_PV_TLB_FLUSH | TS_NEEDS_HV_FLUSH |
                         TS_NEEDS_INVLPGB | TS_NEEDS_RAR | TS_NEEDS_XEN;
    const uint32_t arm = TS_NEEDS_ARM64 | TS_NEEDS_TLBIRANGE | TS_NEEDS_VMID_FILTER;
    return needs(m, arm) || (either && !needs(m, x86));
}

void put_base(Draw &d, bool arm, bool bare, bool windows)
{
    d.put("run.oracle", "true");
    d.put("run.limit", "5s");
    d.put("run.progress", "250ms");
    d.number("topology.sockets", 1, 2);
    d.number("topology.cores_per_socket", 1, 3);
    d.number("topology.threads_per_core", 1, 2);
    d.put("run.vms", bare || d.dice.between(0, 2) ? "1" : "2");
    d.number("run.vcpus", 2, 4);
    d.flag("guest.page_by_page");
    if (windows) {
        d.put("guest.os", "windows");
        d.put("nt.timer_resolution", "1us");
    }
    if (bare)
        d.put("hypervisor.kind", "none");
    if (!arm) {
        d.one_of("interrupt.mode", {"x2apic_phys", "x2apic_cluster"});
        d.one_of("interrupt.guest_mode", {"x2apic_phys", "x2apic_cluster"});
        return;
    }
    d.put("topology.arch", "arm64");
    d.put("interrupt.mode", "gic_sgi");
    d.put("interrupt.guest_mode", "gic_sgi");
    d.put("hypervisor.apicv", "false");
}

// Preemption at any point: quanta of the length of an operation.
void put_scheduling(Draw &d)
{
    for (const std::string prefix : {"host_sched", "guest_sched"}) {
        d.one_of(prefix + ".policy", {"cfs", "eevdf", "rr"});
        d.one_of(prefix + ".latency", {"20us", "200us", "24ms"});
        d.one_of(prefix + ".min_granularity", {"2us", "20us", "3ms"});
        d.one_of(prefix + ".wakeup_granularity", {"0us", "10us", "4ms"});
        d.one_of(prefix + ".slice", {"5us", "50us", "2.8ms"});
        d.one_of(prefix + ".tick", {"100us", "1ms"});
    }
}

void put_linux(Draw &d)
{
    d.one_of("guest.lazy_rule", {"init_mm", "ipi_all", "skip"});
    d.flag("guest.lazy_mm_cpumask");
    d.flag("guest.flush_gen_early_exit");
    d.flag("guest.pti");
    d.flag("guest.invpcid");
    d.one_of("guest.nr_dyn_asids", {"1", "1", "2", "3", "6"});
    d.flag("guest.munmap_downgrade");
    d.flag("guest.per_vma_lock");
    // Small ones: a case has few pages.
    d.one_of("guest.flush_ceiling", {"1", "33", "33"});
    d.one_of("guest.gather_batch", {"2", "510"});
}

void put_windows(Draw &d)
{
    d.one_of("nt.flush_list_max", {"0", "1", "5", "32", "400"});
    d.one_of("nt.active_processors", {"stays", "leaves", "grows"});
    d.one_of("nt.working_set_lock", {"spin", "push"});
    d.flag("nt.fault_shared");
    d.flag("nt.free_shared");
    d.one_of("nt.free_batch", {"1", "7", "512"});
    d.flag("nt.free_unlocks");
    d.flag("nt.fast_calls");
}

void put_x86_host(Draw &d, const ts_flush_ops *m)
{
    if (needs(m, TS_NEEDS_XEN)) {
        d.put("hypervisor.kind", "xen");
        d.put("hypervisor.halt_poll", "0ns");
        d.put("hypervisor.flush_on_migration", "false");
    } else {
        d.one_of("hypervisor.halt_poll", {"0", "5us", "200us"});
        d.flag("hypervisor.apicv");
    }
    const bool pv = needs(m, TS_NEEDS_PV_TLB_FLUSH), hv = needs(m, TS_NEEDS_HV_FLUSH);
    d.put("hypervisor.pv_tlb_flush", pv ? "true" : "false");
    d.put("hypervisor.hv_flush", hv ? d.dice.one_of({"4.18", "fifo16", "hyperv"}) : "off");
    d.one_of("hypervisor.pv_preempted_rule", {"any_put", "preempted_at_irq_exit"});
}

void put_arm(Draw &d, const ts_flush_ops *m, bool bare)
{
    d.put("hypervisor.pv_tlb_flush", "false");
    d.put("hypervisor.hv_flush", "off");
    d.put("guest.tlbirange", needs(m, TS_NEEDS_TLBIRANGE) ? "true" : d.dice.flag());
    d.flag("guest.ttl");
    d.one_of("dvm.mn_tracker", {"2", "16", "64"});
    d.one_of("dvm.fanout", {"serial", "tree"});
    d.one_of("dvm.protocol", {"chi", "ace"});
    d.flag("dvm.early_comp");
    d.one_of("dvm.sync_drain_ps", {"0ns", "1us"});
    d.put("dvm.vmid_filter", needs(m, TS_NEEDS_VMID_FILTER) ? "true" : d.dice.flag());
    if (bare)
        return;
    // Without it a local flush reaches only where the vCPU is now (arm.md, last_vcpu_ran).
    d.put("hypervisor.hcr_fb", m->remote_by_mask ? "true" : d.dice.flag());
    d.flag("hypervisor.prefault");
    d.one_of("hypervisor.vmid_bits", {"5", "8", "16"});
    d.flag("hypervisor.nvhe");
}

void put_machine(Draw &d, const ts_flush_ops *m)
{
    const bool arm = draw_arm(d.dice, m);
    const bool other = d.dice.between(0, 3) == 0;
    const bool windows = !arm && !ts_flush_is_for(m, TS_OS_LINUX)
                             ? true
                             : !arm && other && ts_flush_is_for(m, TS_OS_WINDOWS);
    const uint32_t vm = TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH | TS_NEEDS_HV_FLUSH | TS_NEEDS_XEN;
    const bool never = d.dice.between(0, 4) == 0;
    const bool bare = needs(m, TS_NEEDS_BARE_METAL) || (never && !needs(m, vm));
    put_base(d, arm, bare, windows);
    if (windows)
        put_windows(d);
    else
        put_linux(d);
    if (arm)
        put_arm(d, m, bare);
    else if (!bare)
        put_x86_host(d, m);
    else {
        d.put("hypervisor.pv_tlb_flush", "false");
        d.put("hypervisor.hv_flush", "off");
    }
    if (needs(m, TS_NEEDS_INVLPGB))
        d.put("dvm.invlpgb", "true");
    if (needs(m, TS_NEEDS_RAR))
        d.put("rar.present", "true");
    put_scheduling(d);
}

// A small second level: what has few pages needs no other, and a machine is made sooner. Some
// larger cases have that of a real machine.
void put_tlbs(CheckCase &c)
{
    Dice dice(c.seed + draws_of_tlbs);
    Draw d{c, dice};
    if (!c.small && d.dice.between(0, 3) == 0)
        return;
    d.put("mmu.l2_entries", "96"); // alone: of the default ways, so that it may go
}

// Half of the cases are small ones, which are run two to three times as fast and in the same time
// find as much; what needs many threads or CPUs is in the others.
bool is_small(uint64_t seed)
{
    return Dice(seed + draws_of_size).between(0, 1);
}

void put_size(CheckCase &c)
{
    if (!c.small)
        return;
    Draw d{c, Dice(c.seed + draws_of_small)};
    d.put("topology.sockets", "1");
    d.number("topology.cores_per_socket", 1, 2);
    d.put("run.vms", "1");
    d.number("run.vcpus", 2, 3);
}

// More VMs than there are VMIDs, which come round then; no number is taken from a pCPU that runs.
void put_vmids(CheckCase &c)
{
    Draw d{c, Dice(c.seed + draws_of_vmids)};
    const ts_machine_config config = case_config(c);
    if (config.topology.arch != TS_ARCH_ARM64 || config.hypervisor.kind == TS_HYP_NONE ||
        d.dice.between(0, 3))
        return;
    d.put("hypervisor.vmid_bits", "2");
    d.put("topology.sockets", "1");
    d.number("topology.cores_per_socket", 1, 2);
    d.put("topology.threads_per_core", "1");
    d.number("run.vms", 4, 5);
    d.put("run.vcpus", "2");
    // A flush takes as many rounds of all vCPUs as there are CPUs that must answer.
    d.put("run.progress", "1s");
    d.put("run.limit", "20s");
}

// KVM's fifo is filled by few cases: smaller ones overflow.
void put_fifo(CheckCase &c)
{
    Draw d{c, Dice(c.seed + draws_of_fifo)};
    if (needs(c.mechanism, TS_NEEDS_HV_FLUSH))
        d.one_of("hypervisor.hv_fifo", {"1", "2", "3", "16"});
}

// Small numbers of operations that a flush makes at most, as a case has few pages and each is a
// message to all; and hosts whose vCPUs spin without an exit, which take turns quickly: a flush
// waits for as many of these as there are vCPUs.
void put_tlbi(CheckCase &c)
{
    Draw d{c, Dice(c.seed + draws_of_arm)};
    const ts_machine_config config = case_config(c);
    if (config.topology.arch != TS_ARCH_ARM64)
        return;
    d.one_of("guest.max_dvm_ops", {"1", "8", "40", "512"});
    if (config.hypervisor.kind == TS_HYP_NONE)
        return;
    const std::string traps = d.dice.flag();
    d.put("hypervisor.wfe_trap", traps);
    if (traps == "true")
        return;
    d.put("host_sched.latency", "200us");
    d.put("host_sched.min_granularity", "20us");
    d.put("host_sched.slice", "50us");
    d.put("host_sched.tick", "100us");
}

// A quarter of the Linux guests is short of memory: a thread of their kernel takes pages from
// whoever has them, without the lock of their address space. Not of a mechanism that is known to be
// wrong: hyperv_2017 stops at the first flush of no one address space, and what else it does to
// TLBs would not be seen.
void put_reclaim(CheckCase &c)
{
    Draw d{c, Dice(c.seed + draws_of_reclaim)};
    if (c.mechanism->faults || case_config(c).guest.os != TS_OS_LINUX || d.dice.between(0, 3))
        return;
    d.one_of("guest.reclaim_period", {"10us", "50us", "200us"});
    d.one_of("guest.reclaim_pages", {"1", "8", "32"});
    d.one_of("guest.reclaim_free_batch", {"0", "1", "31"});
    d.flag("guest.tlbi_batch");
}

// Pages that a guest may have, whose memory fills up from its beginning; or all of them, with their
// tables.
void put_notify(Dice &dice, ts_host_op *op)
{
    static constexpr uint64_t lengths[] = {1, 1, 4, 32, 512};
    op->kind = TS_HOST_NOTIFY;
    op->start = dice.between(0, 95) * 4096;
    op->amount = lengths[dice.between(0, 4)] * 4096;
    if (dice.between(0, 3) == 0) {
        op->start = 0;
        op->amount = UINT64_C(1) << 21;
    }
}

// Half of the arm64 VMs have a host that takes pages away from under them, or the right to write,
// while they run.
void put_vmm(CheckCase &c)
{
    Draw d{c, Dice(c.seed + draws_of_vmm)};
    const ts_machine_config config = case_config(c);
    if (config.topology.arch != TS_ARCH_ARM64 || config.hypervisor.kind == TS_HYP_NONE ||
        d.dice.between(0, 1))
        return;
    d.one_of("hypervisor.backing", {"4KiB", "4KiB", "2MiB"});
    d.one_of("hypervisor.stage2_unmap_flush", {"each", "deferred", "deferred_leaves"});
    d.one_of("mmu.walk2_entries", {"0", "16"});
    d.one_of("hypervisor.memory", {"1GiB", "8GiB", "64GiB"}); // 8 GiB: exactly 2^21 pages
    for (const char *key :
         {"s2fwb", "stage2_range_flush", "stage2_shared_faults", "stage2_relax_local"})
        d.flag(std::string("hypervisor.") + key);
    for (uint64_t n = d.dice.between(2, c.small ? 4 : 8); n > 0; n--) {
        ts_host_op op{};
        op.kind = TS_HOST_SLEEP;
        op.amount = d.dice.between(1, 60) * TS_US;
        c.vmm.push_back(op);
        op = ts_host_op{};
        op.vm = static_cast<uint32_t>(d.dice.between(0, config.run.vms - 1));
        const uint64_t what = d.dice.between(0, 4);
        if (what < 3)
            put_notify(d.dice, &op);
        else
            op.kind = what == 3 ? TS_HOST_LOG_START : TS_HOST_LOG_STOP; // of memslot 0
        c.vmm.push_back(op);
    }
}

// Numbers of the mechanism's own: the least ones, at which its rare ways are taken soon. What else
// it may be set to is another protocol, which need not be right; update_gen is, at each value.
void put_params(CheckCase &c, Dice &dice)
{
    const ts_flush_ops *m = c.mechanism;
    if (!m->params)
        return;
    c.params.resize((m->params_size + sizeof(uint64_t) - 1) / sizeof(uint64_t));
    ts_param_defaults(m->params, c.params.data());
    for (size_t i = 0; i < m->params->nrows; i++) {
        const ts_param &row = m->params->rows[i];
        const uint64_t more = dice.between(0, 2);
        if (row.type == TS_PARAM_COUNT && dice.between(0, 1) && row.max - row.min >= more)
            c.params[row.offset / sizeof(uint64_t)] = row.min + more;
        else if (std::string(row.key) == "update_gen")
            c.params[row.offset / sizeof(uint64_t)] = more;
    }
}

// --- what happens in it ---

void put_delays(Draw &d)
{
    d.one_of("interconnect.jitter", {"0cycles", "20cycles", "300cycles", "5000cycles"});
}

void put_noise(CheckCase &c, Dice &dice)
{
    static constexpr uint64_t every[] = {0, 3 * TS_US, 20 * TS_US, 200 * TS_US};
    static constexpr uint64_t work[] = {200 * TS_NS, 2 * TS_US, 30 * TS_US};
    const uint64_t e = every[dice.between(0, 3)], w = work[dice.between(0, 2)];
    // A host must get on, too.
    c.noise_every_ps = e;
    c.noise_work_ps = e && w > e / 2 ? e / 2 : w;
}

// Long windows with interrupts off among them: what is short in a kernel lasts as long as others
// need to come in between.
void put_stalls(CheckCase &c, Dice &dice)
{
    static constexpr uint64_t steps[] = {0, 0, 15, 150};
    static constexpr uint64_t lengths[] = {100 * TS_NS, 2 * TS_US, 40 * TS_US};
    const uint64_t every = steps[dice.between(0, 3)], length = lengths[dice.between(0, 2)];
    c.stall_steps = every;
    c.stall_ps = every ? length : 0;
    // With interruptions that often, a host whose threads stood still for longer would not get on.
    if (c.noise_every_ps && c.stall_ps > c.noise_every_ps / 2)
        c.stall_ps = c.noise_every_ps / 2;
}

void put_walks(CheckCase &c, Dice &dice)
{
    static constexpr uint64_t steps[] = {0, 0, 3, 30};
    c.walk_steps = steps[dice.between(0, 3)];
}

void put_script(CheckCase &c, bool linux_guest)
{
    Dice dice(c.seed + draws_of_script);
    const bool small = c.small;
    ScriptShape shape;
    shape.threads = dice.between(2, small ? 3 : 4);
    shape.steps = dice.between(2, small ? 2 : 3);
    shape.pages = dice.between(1, small ? 3 : 6);
    shape.each = dice.between(0, 1) || small ? 4 : 12;
    shape.burst = dice.between(0, 1) || small ? 12 : 120;
    shape.others = small ? 8 : 30;
    shape.large = dice.between(0, 1); // page tables come and go
    shape.large_in = small ? 5 : 3;
    shape.whole = true;
    shape.mremap = linux_guest;
    shape.drops = Dice(c.seed + draws_of_drops).between(0, 2) == 0;
    shape.crowd = Dice(c.seed + draws_of_crowd).between(0, 3) == 0;
    const RandomScript random(c.seed + draws_of_script, shape);
    c.script = random.script();
    c.initial = random.initial();
}

// The machine and the mechanism's numbers.
CheckCase drawn(uint64_t seed, const ts_flush_ops *mechanism, bool small, Dice &dice)
{
    CheckCase c;
    c.seed = seed;
    c.small = small;
    c.mechanism = mechanism;
    ts_machine_config_defaults(&c.base);
    Draw d{c, dice};
    put_machine(d, mechanism);
    put_tlbs(c);
    put_params(c, d.dice);
    dice = d.dice;
    return c;
}

std::optional<CheckCase> finished(CheckCase c)
{
    Dice host(c.seed + draws_of_host);
    Draw d{c, host};
    put_delays(d);
    ts_machine_config config = case_config(c);
    if (config.hypervisor.kind != TS_HYP_NONE)
        put_noise(c, d.dice);
    put_stalls(c, d.dice);
    put_walks(c, d.dice);
    ts_error err{};
    if (ts_machine_check(&config, c.mechanism, &err) != TS_OK)
        return std::nullopt;
    put_script(c, config.guest.os == TS_OS_LINUX);
    return c;
}

// Where the machine's configuration has a parameter, by its full name.
struct ParamPlace {
    const ts_param *row;
    size_t offset; // of the row's struct
};
using ParamPlaces = std::unordered_map<std::string, ParamPlace>;

ParamPlaces all_params()
{
    ParamPlaces places;
    for (size_t i = 0; i < ts_machine_params_count; i++) {
        const ts_machine_param_slot &slot = ts_machine_params[i];
        for (size_t r = 0; r < slot.table->nrows; r++)
            places.emplace(std::string(slot.table->prefix) + "." + slot.table->rows[r].key,
                           ParamPlace{&slot.table->rows[r], slot.offset});
    }
    return places;
}

} // namespace

ts_machine_config case_config(const CheckCase &c)
{
    static const ParamPlaces places = all_params();
    ts_machine_config config = c.base;
    for (const CaseSetting &s : c.settings) {
        const auto place = places.find(s.key);
        ts_error err{};
        if (place == places.end())
            user_error(Place(), "no parameter is called '" + s.key + "'");
        if (ts_param_set(place->second.row,
                         reinterpret_cast<char *>(&config) + place->second.offset, s.value.c_str(),
                         &err) != TS_OK)
            user_error(Place(), s.key + "=" + s.value + ": " + err.message);
    }
    return config;
}

void draw_store_delay(CheckCase *c, bool drawn)
{
    const ts_machine_config config = case_config(*c);
    Draw d{*c, Dice(c->seed + draws_of_stores)};
    if (c->watched)
        d.put("line.store_delay", "1ms");
    else
        d.one_of("line.store_delay", {"2us", "50us", "1ms"});
    if (!drawn || config.topology.arch != TS_ARCH_X86 || config.guest.os != TS_OS_LINUX)
        return;
    // MOV CR3 on the way to user code is a barrier, and who is told of all flushes needs none.
    if (d.dice.between(0, 1))
        d.put("guest.pti", "false");
    if (d.dice.between(0, 1))
        d.put("guest.lazy_rule", "skip");
}

std::optional<CheckCase> draw_case(uint64_t seed, const ts_flush_ops *mechanism, bool all_small)
{
    Dice dice(seed + draws_of_machine);
    CheckCase c = drawn(seed, mechanism, all_small || is_small(seed), dice);
    put_size(c);
    if (!all_small)
        put_vmids(c);
    put_fifo(c);
    put_tlbi(c);
    put_vmm(c);
    put_reclaim(c);
    return finished(std::move(c));
}

std::optional<CheckCase> draw_tiny_case(uint64_t seed, const ts_flush_ops *mechanism)
{
    Dice dice(seed + draws_of_machine);
    CheckCase c = drawn(seed, mechanism, true, dice);
    c.watched = true;
    Draw d{c, dice};
    const std::string cpus = d.dice.between(0, 3) ? "2" : "3";
    // A later setting of a key is the one that counts.
    d.put("topology.sockets", "1");
    d.put("topology.cores_per_socket", cpus);
    d.put("topology.threads_per_core", "1");
    d.put("run.vms", "1");
    d.put("run.vcpus", cpus);
    d.put("guest.page_by_page", "true");
    d.put("interconnect.jitter", "1cycles"); // messages may be late, and stay in order
    for (const std::string prefix : {"host_sched", "guest_sched"}) {
        d.put(prefix + ".policy", "cfs");
        d.put(prefix + ".latency", "20us");
        d.put(prefix + ".min_granularity", "2us");
        d.put(prefix + ".wakeup_granularity", "0us");
    }
    ts_machine_config config = case_config(c);
    ts_error err{};
    if (ts_machine_check(&config, mechanism, &err) != TS_OK)
        return std::nullopt;
    const TinyScript tiny(seed + draws_of_script, config.guest.os == TS_OS_LINUX);
    c.script = tiny.script();
    c.initial = tiny.initial();
    return c;
}

std::optional<CheckCase> draw_case_in(uint64_t seed, const ts_flush_ops *mechanism,
                                      const ts_machine_config &machine,
                                      const std::vector<uint64_t> &params)
{
    CheckCase c;
    c.seed = seed;
    c.small = is_small(seed);
    c.mechanism = mechanism;
    c.base = machine;
    c.params = params;
    c.settings = {{"run.oracle", "true"},
                  {"run.progress", "250ms"},
                  {"run.warmup", "0"},
                  {"run.window", "0"}};
    return finished(std::move(c));
}

} // namespace ts
