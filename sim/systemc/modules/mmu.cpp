// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/mmu.hpp>

#include "sim/api/fiber.hpp"
#include "sim/systemc/modules/mmu_impl.hpp"

#include <algorithm>
#include <cstring>

using sc_core::sc_time;
using sc_core::sc_time_stamp;

namespace tlbstorm
{

// --- the module ---

mmu::mmu(sc_core::sc_module_name name, const config_type &config)
    : sc_core::sc_module(name), target("target"), downstream("downstream"), walk("walk"),
      dvm("dvm"), hits("hits"), walks("walks"), faults("faults"), walking("walking"),
      impl_(std::make_unique<impl>(*this, config))
{
    SC_HAS_PROCESS(mmu);
    SC_METHOD(step);
    dont_initialize();
    sensitive << impl_->step_event;
}

mmu::mmu(sc_core::sc_module_name name) : mmu(name, config_type())
{
}

mmu::~mmu() = default;

void mmu::set_context(const tlbstorm_context &context)
{
    impl_->revoke_all();
    impl_->context = context;
}

sc_time mmu::invalidate(const tlbstorm_inval &inval)
{
    return impl_->invalidate(inval);
}

uint64_t mmu::statistic(const std::string &name) const
{
    uint64_t value = 0;
    tlbstorm_error err;
    if (tlbstorm_mmu_stat(impl_->core, name.c_str(), &value, &err) != TLBSTORM_OK)
        report_error("/tlbstorm/mmu", std::string(this->name()) + ": " + err.message);
    return value;
}

size_t mmu::dmi_regions() const
{
    return impl_->grants.size();
}

void mmu::end_of_elaboration()
{
    need_bound(target, "the initiator whose addresses are translated, or its bus");
    need_bound(downstream, "the bus that takes physical addresses");
    need_bound(walk, "the memory that holds the page tables, or the bus to it");
}

void mmu::step()
{
    impl_->step();
}

// --- construction ---

mmu::impl::impl(mmu &m, const config_type &c)
    : module(m), config(c), target_forward(this, 0), dvm_forward(this, 1), down_backward(this, 0),
      walk_backward(this, 1), phases("phases", [this](unsigned from, auto &trans, auto phase) {
          on_phase(static_cast<From>(from), trans, phase);
      })
{
    module.target.bind(target_forward);
    module.dvm.bind(dvm_forward);
    module.downstream.bind(down_backward);
    module.walk.bind(walk_backward);

    std::vector<const char *> texts;
    for (const std::string &text : config.settings)
        texts.push_back(text.c_str());
    tlbstorm_mmu_config core_config = {};
    core_config.format = config.format;
    core_config.levels = config.levels;
    core_config.seed = config.seed;
    core_config.settings = texts.data();
    core_config.nsettings = texts.size();
    core_config.memory = {read_entry, config.update_flags ? update_entry : nullptr, this};
    core_config.reads_take_time_elsewhere = true;
    tlbstorm_error err;
    if (tlbstorm_mmu_create(&core, &core_config, &err) != TLBSTORM_OK)
        report_settings(module, std::string(err.file) + ": " + err.message);
    ts_error error;
    check(module, ts_fiber_create(&fiber, 256 * 1024, fiber_main, this, &error), error);
}

mmu::impl::~impl()
{
    ts_fiber_destroy(fiber);
    tlbstorm_mmu_destroy(core);
}

// --- translation ---

uint64_t mmu::impl::cycle_at(const sc_time &local)
{
    // Never back: a time-decoupled initiator may have run ahead and been called to order.
    last_cycle =
        std::max<uint64_t>(last_cycle, (sc_time_stamp() + local).value() / config.clock.value());
    return last_cycle;
}

sc_time mmu::impl::cycles(uint64_t n) const
{
    return sc_time::from_value(n * config.clock.value());
}

// What the transaction asks for, and what comes of it.
void mmu::impl::begin(tlm::tlm_generic_payload &trans)
{
    const mmu_extension *extension = trans.get_extension<mmu_extension>();
    job = Job();
    job.va = trans.get_address();
    job.context = extension && extension->has_context ? extension->context : context;
    job.kind = trans.is_write()                ? TLBSTORM_WRITE
               : extension && extension->fetch ? TLBSTORM_FETCH
                                               : TLBSTORM_READ;
}

// Until no invalidation came in between that concerns it.
void mmu::impl::look_up()
{
    for (bool again = true; again;) {
        late.clear();
        looking = true;
        tlbstorm_mmu_access(core, &job.context, job.va, job.kind, cycle_at(job.local()),
                            &job.access);
        looking = false;
        job.cycles += job.access.cycles;
        job.walked = job.walked || !job.access.from_tlb;
        again = false;
        for (const tlbstorm_inval &inval : late) {
            tlbstorm_mmu_invalidate(core, &inval, last_cycle);
            // Where the walk faulted nothing is known of the page.
            const uint64_t bytes = std::max<uint64_t>(job.access.leaf_bytes, 1);
            again = again || tlbstorm_inval_covers(&inval, job.context.vmid, job.context.asid,
                                                   job.access.global, job.va & ~(bytes - 1), bytes);
        }
    }
}

// True: it may go on, at done.access.pa.
bool mmu::impl::judge(tlm::tlm_generic_payload &trans, const Job &done)
{
    const tlbstorm_access &a = done.access;
    module.hits.write(stat("l1_hits") + stat("l2_hits"));
    module.walks.write(stat("walks"));
    if (mmu_extension *extension = trans.get_extension<mmu_extension>()) {
        extension->result = a.result;
        extension->from_tlb = !done.walked;
        extension->pa = a.pa;
    }
    if (a.result != TLBSTORM_TRANSLATED) {
        module.faults.write(++fault_count);
        trans.set_response_status(a.result == TLBSTORM_BUS_ERROR ? tlm::TLM_GENERIC_ERROR_RESPONSE
                                                                 : tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return false;
    }
    const uint64_t length = trans.get_data_length();
    if (length > 0 && done.va - a.page_va + length > a.page_bytes) {
        trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return false;
    }
    return true;
}

uint64_t mmu::impl::stat(const char *name) const
{
    uint64_t value = 0;
    tlbstorm_mmu_stat(core, name, &value, nullptr);
    return value;
}

// --- the walker's reads and writes ---

bool mmu::impl::read_entry(void *user, uint64_t address, tlbstorm_read_kind kind, uint64_t *value)
{
    auto *self = static_cast<impl *>(user);
    if (kind == TLBSTORM_READ_DEBUG)
        return self->peek(address, value);
    return self->transfer(tlm::TLM_READ_COMMAND, address, value);
}

bool mmu::impl::update_entry(void *user, uint64_t address, uint64_t old, uint64_t value)
{
    auto *self = static_cast<impl *>(user);
    uint64_t now = 0;
    return self->peek(address, &now) && now == old &&
           self->transfer(tlm::TLM_WRITE_COMMAND, address, &value);
}

bool mmu::impl::peek(uint64_t address, uint64_t *value)
{
    tlm::tlm_generic_payload &trans = walk_payload(tlm::TLM_READ_COMMAND, address);
    const unsigned n = module.walk->transport_dbg(trans);
    *value = walk_data;
    trans.release();
    return n == sizeof walk_data;
}

tlm::tlm_generic_payload &mmu::impl::walk_payload(tlm::tlm_command command, uint64_t address)
{
    tlm::tlm_generic_payload &trans = payloads.take();
    trans.set_command(command);
    trans.set_address(address);
    trans.set_data_ptr(reinterpret_cast<unsigned char *>(&walk_data));
    trans.set_data_length(sizeof walk_data);
    trans.set_streaming_width(sizeof walk_data);
    trans.set_byte_enable_ptr(nullptr);
    return trans;
}

// In the initiator's process for b_transport; on the fiber, which waits, for nb_transport.
bool mmu::impl::transfer(tlm::tlm_command command, uint64_t address, uint64_t *value)
{
    if (command == tlm::TLM_WRITE_COMMAND)
        walk_data = *value;
    tlm::tlm_generic_payload &trans = walk_payload(command, address);
    module.walking.write(true);
    if (job.delay) {
        module.walk->b_transport(trans, *job.delay);
    } else {
        walk_trans = &trans;
        ts_api_fiber_suspend(fiber);
        walk_trans = nullptr;
    }
    const bool ok = trans.is_response_ok();
    if (ok && command == tlm::TLM_READ_COMMAND)
        *value = walk_data;
    trans.release();
    return ok;
}

// --- loosely timed ---

void mmu::impl::b_transport(unsigned socket, tlm::tlm_generic_payload &trans, sc_time &delay)
{
    if (socket == 1) {
        snoop(trans, delay);
        return;
    }
    while (busy)
        sc_core::wait(free_event);
    busy = true;
    begin(trans);
    job.delay = &delay;
    look_up();
    module.walking.write(false);
    const Job done = job;
    release();
    delay += cycles(done.cycles);
    if (!judge(trans, done))
        return;
    trans.set_address(done.access.pa);
    module.downstream->b_transport(trans, delay);
    trans.set_address(done.va);
}

// Who waits may look up next, in the order in which SystemC runs them.
void mmu::impl::release()
{
    busy = false;
    free_event.notify();
    if (waiting)
        step_event.notify(sc_core::SC_ZERO_TIME);
    waiting = false;
}

// --- invalidation ---

sc_time mmu::impl::invalidate(const tlbstorm_inval &inval)
{
    if (looking)
        late.push_back(inval);
    const uint64_t n = tlbstorm_mmu_invalidate(core, &inval, cycle_at(sc_core::SC_ZERO_TIME));
    revoke([&inval](const Grant &g) {
        return tlbstorm_inval_covers(&inval, g.context.vmid, g.context.asid, g.global, g.leaf_start,
                                     g.leaf_bytes);
    });
    return cycles(n);
}

void mmu::impl::snoop(tlm::tlm_generic_payload &trans, sc_time &delay)
{
    const dvm_extension *extension = trans.get_extension<dvm_extension>();
    if (!extension || extension->kind != dvm_extension::snoop) {
        trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return;
    }
    delay += invalidate(extension->inval);
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

// --- DMI and debug ---

template <typename Match> void mmu::impl::revoke(const Match &match)
{
    std::vector<Grant> gone;
    const auto last = std::stable_partition(grants.begin(), grants.end(),
                                            [&](const Grant &g) { return !match(g); });
    gone.assign(last, grants.end());
    grants.erase(last, grants.end());
    for (const Grant &g : gone)
        module.target->invalidate_direct_mem_ptr(g.start, g.end);
}

void mmu::impl::revoke_all()
{
    revoke([](const Grant &) { return true; });
}

bool mmu::impl::get_direct_mem_ptr(unsigned socket, tlm::tlm_generic_payload &trans,
                                   tlm::tlm_dmi &dmi)
{
    const mmu_extension *extension = trans.get_extension<mmu_extension>();
    const tlbstorm_context &in = extension && extension->has_context ? extension->context : context;
    const uint64_t va = trans.get_address();
    tlbstorm_access a;
    dmi.init();
    dmi.set_start_address(va);
    dmi.set_end_address(va);
    if (socket == 1 || looking || !tlbstorm_mmu_probe(core, &in, va, &a) ||
        (trans.is_write() && !a.writable))
        return false;
    const uint64_t offset = a.pa - va; // modulo 2^64
    trans.set_address(a.pa);
    const bool granted = module.downstream->get_direct_mem_ptr(trans, dmi);
    trans.set_address(va);
    const uint64_t low = a.page_va + offset, high = low + (a.page_bytes - 1);
    const uint64_t start = std::max<uint64_t>(dmi.get_start_address(), low);
    const uint64_t end = std::min<uint64_t>(dmi.get_end_address(), high);
    if (granted)
        dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (start - dmi.get_start_address()));
    dmi.set_start_address(start - offset);
    dmi.set_end_address(end - offset);
    if (!granted)
        return false;
    if (!a.writable)
        dmi.set_granted_access(static_cast<tlm::tlm_dmi::dmi_access_e>(
            dmi.get_granted_access() & tlm::tlm_dmi::DMI_ACCESS_READ));
    grants.push_back({start - offset, end - offset, start, end, in, a.global,
                      va & ~(a.leaf_bytes - 1), a.leaf_bytes});
    return dmi.get_granted_access() != tlm::tlm_dmi::DMI_ACCESS_NONE;
}

void mmu::impl::invalidate_direct_mem_ptr(unsigned socket, uint64_t start, uint64_t end)
{
    if (socket == 0)
        revoke([=](const Grant &g) { return start <= g.pa_end && g.pa_start <= end; });
}

// Page by page.
unsigned mmu::impl::transport_dbg(unsigned socket, tlm::tlm_generic_payload &trans)
{
    const mmu_extension *extension = trans.get_extension<mmu_extension>();
    const tlbstorm_context &in = extension && extension->has_context ? extension->context : context;
    const uint64_t va = trans.get_address();
    unsigned char *const data = trans.get_data_ptr();
    const unsigned length = trans.get_data_length();
    unsigned done = 0;
    while (socket == 0 && done < length) {
        tlbstorm_access a;
        if (!tlbstorm_mmu_translate(core, &in, va + done, &a))
            break;
        const uint64_t left = a.page_bytes - (va + done - a.page_va);
        const unsigned part = static_cast<unsigned>(std::min<uint64_t>(left, length - done));
        trans.set_address(a.pa);
        trans.set_data_ptr(data + done);
        trans.set_data_length(part);
        const unsigned n = module.downstream->transport_dbg(trans);
        done += n;
        if (n < part)
            break;
    }
    trans.set_address(va);
    trans.set_data_ptr(data);
    trans.set_data_length(length);
    return done;
}

} // namespace tlbstorm
