// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/interrupt_controller.hpp>

#include "models/interrupt/interrupt.h"
#include "models/interrupt/lapic.h"
#include "sim/systemc/modules/fabric_impl.hpp"

#include <algorithm>
#include <cstring>

using sc_core::sc_time;
using sc_core::sc_time_stamp;
using tlm::tlm_generic_payload;

namespace tlbstorm
{
namespace
{

constexpr uint64_t bank = 0x1000;
constexpr uint32_t nothing = UINT32_MAX;
constexpr uint32_t gic_spurious = 1023; // INTID of ICC_IAR1_EL1 where nothing is pending

// Intel SDM vol. 3A, "Local APIC Register Address Map"; the last one is this module's own.
enum Register : uint32_t {
    ID = 0x020,
    TPR = 0x080,
    PPR = 0x0a0,
    EOI = 0x0b0,
    ISR = 0x100,
    IRR = 0x200,
    ICR = 0x300,
    ICR2 = 0x310,
    TAKE = 0xff0
};

} // namespace

struct interrupt_controller::impl {
    struct Cpu {
        ts_lapic apic;
        uint16_t sgi_pending, sgi_active;
        uint32_t icr, icr2;
    };
    struct Leaving {
        sc_time when;
        uint32_t from, to, vector;
    };

    impl(interrupt_controller &m, tlbstorm::fabric &f, const settings &settings);
    ~impl()
    {
        if (core)
            ts_interrupt_destroy(core);
    }

    void b_transport(unsigned, tlm_generic_payload &trans, sc_time &delay);
    tlm::tlm_sync_enum nb_transport_fw(unsigned, tlm_generic_payload &trans, tlm::tlm_phase &phase,
                                       sc_time &delay);
    bool get_direct_mem_ptr(unsigned, tlm_generic_payload &, tlm::tlm_dmi &)
    {
        return false;
    }
    unsigned transport_dbg(unsigned, tlm_generic_payload &trans);

    static void sink(void *user, uint32_t target, uint32_t vector, uint64_t cookie);
    bool is_gic() const
    {
        return params.mode == TS_INTR_GIC_SGI;
    }
    bool is_xapic() const
    {
        return params.mode == TS_INTR_XAPIC_FLAT || params.mode == TS_INTR_XAPIC_PHYS;
    }
    int deliverable(uint32_t cpu) const;
    int take(uint32_t cpu);
    void end(uint32_t cpu);
    bool read(uint32_t cpu, uint32_t offset, bool debug, uint32_t *value);
    bool write(uint32_t cpu, uint32_t offset, uint64_t value, bool wide, const sc_time &delay);
    bool write_icr(uint32_t cpu, uint64_t value, const sc_time &delay);
    bool write_sgi(uint32_t cpu, uint64_t value, const sc_time &delay);
    bool is_destination(uint32_t cpu, uint32_t destination, bool logical) const;
    void send_at(uint32_t from, uint32_t to, uint32_t vector, const sc_time &delay);
    void leave();
    sc_time cycles(uint64_t n) const
    {
        return sc_time::from_value(ts_muldiv(n, TS_S, fabric.internals().topology.params.core_hz));
    }
    uint32_t word_of(const uint64_t *words, uint32_t offset) const
    {
        const uint32_t i = (offset & 0x70) / 0x10;
        return static_cast<uint32_t>(words[i / 2] >> (i % 2 * 32));
    }

    interrupt_controller &module;
    tlbstorm::fabric &fabric;
    ts_interrupt_params params = {};
    ts_interrupt *core = nullptr;
    std::vector<Cpu> cpus;
    std::vector<Leaving> leaving; // sorted by time
    sc_core::sc_event leave_event, update_event;
    Forward<impl> forward;
};

interrupt_controller::impl::impl(interrupt_controller &m, tlbstorm::fabric &f,
                                 const settings &settings)
    : module(m), fabric(f), cpus(f.cpus()), forward(this, 0)
{
    const ts_topology &topology = f.internals().topology;
    ts_error error;
    ts_param_defaults(&ts_interrupt_param_table, &params);
    apply(module, settings, {{&ts_interrupt_param_table, &params}});
    const uint32_t highest = *std::max_element(topology.apic_id, topology.apic_id + topology.ncpus);
    check(module,
          ts_interrupt_check_mode(static_cast<ts_intr_mode>(params.mode), topology.ncpus, highest,
                                  "interrupt.mode", &error),
          error);
    check(module,
          ts_interrupt_create(&core, f.internals().engine, &topology, f.internals().ic, &params,
                              sink, this, &error),
          error);
    for (Cpu &cpu : cpus) {
        cpu = Cpu();
        ts_lapic_init(&cpu.apic);
    }
}

// Inside of the fabric's engine.
void interrupt_controller::impl::sink(void *user, uint32_t target, uint32_t vector, uint64_t)
{
    auto *self = static_cast<impl *>(user);
    Cpu &cpu = self->cpus[target];
    if (self->is_gic())
        cpu.sgi_pending = static_cast<uint16_t>(cpu.sgi_pending | 1u << vector);
    else
        (void)ts_lapic_accept(&cpu.apic, vector);
    self->update_event.notify(sc_core::SC_ZERO_TIME);
}

// SGIs have one priority here: none interrupts another, and the lowest number goes first.
int interrupt_controller::impl::deliverable(uint32_t cpu) const
{
    const Cpu &c = cpus[cpu];
    if (!is_gic())
        return ts_lapic_deliverable(&c.apic);
    return c.sgi_active == 0 && c.sgi_pending != 0 ? __builtin_ctz(c.sgi_pending) : TS_LAPIC_NONE;
}

int interrupt_controller::impl::take(uint32_t cpu)
{
    Cpu &c = cpus[cpu];
    const int vector = deliverable(cpu);
    if (vector == TS_LAPIC_NONE)
        return vector;
    if (is_gic()) {
        c.sgi_pending = static_cast<uint16_t>(c.sgi_pending & ~(1u << vector));
        c.sgi_active = static_cast<uint16_t>(c.sgi_active | 1u << vector);
    } else {
        (void)ts_lapic_take(&c.apic, true);
    }
    update_event.notify(sc_core::SC_ZERO_TIME);
    return vector;
}

void interrupt_controller::impl::end(uint32_t cpu)
{
    Cpu &c = cpus[cpu];
    if (is_gic())
        c.sgi_active = static_cast<uint16_t>(c.sgi_active & (c.sgi_active - 1u));
    else
        (void)ts_lapic_eoi(&c.apic);
    update_event.notify(sc_core::SC_ZERO_TIME);
}

// --- registers ---

bool interrupt_controller::impl::read(uint32_t cpu, uint32_t offset, bool debug, uint32_t *value)
{
    const Cpu &c = cpus[cpu];
    const bool apic = !is_gic();
    if (offset == ID) {
        *value = fabric.internals().topology.apic_id[cpu];
        // An xAPIC has its ID in the top byte.
        if (is_xapic())
            *value <<= 24;
    } else if (offset == TPR && apic) {
        *value = c.apic.tpr;
    } else if (offset == PPR && apic) {
        *value = ts_lapic_ppr(&c.apic);
    } else if ((offset & ~0x70u) == ISR) {
        *value = apic ? word_of(c.apic.isr, offset) : offset == ISR ? c.sgi_active : 0;
    } else if ((offset & ~0x70u) == IRR) {
        *value = apic ? word_of(c.apic.irr, offset) : offset == IRR ? c.sgi_pending : 0;
    } else if (offset == ICR && apic) {
        // The delivery status, which an x2APIC does not have.
        *value = c.icr | (is_xapic() && ts_interrupt_busy(core, cpu) ? 1u << 12 : 0);
    } else if (offset == ICR2 && apic) {
        *value = c.icr2;
    } else if (offset == TAKE) {
        const int vector = debug ? deliverable(cpu) : take(cpu);
        *value = vector != TS_LAPIC_NONE ? static_cast<uint32_t>(vector)
                 : apic                  ? nothing
                                         : gic_spurious;
    } else {
        return false;
    }
    return true;
}

bool interrupt_controller::impl::write(uint32_t cpu, uint32_t offset, uint64_t value, bool wide,
                                       const sc_time &delay)
{
    Cpu &c = cpus[cpu];
    if (offset == EOI) {
        end(cpu);
    } else if (offset == ICR && is_gic()) {
        return wide && write_sgi(cpu, value, delay);
    } else if (offset == ICR) {
        if (wide)
            c.icr2 = static_cast<uint32_t>(value >> 32);
        c.icr = static_cast<uint32_t>(value);
        // x2APIC: all of the upper half is the destination; xAPIC: its top byte.
        return write_icr(cpu, static_cast<uint64_t>(wide ? c.icr2 : c.icr2 >> 24) << 32 | c.icr,
                         delay);
    } else if (offset == ICR2 && !is_gic()) {
        c.icr2 = static_cast<uint32_t>(value);
    } else if (offset == TPR && !is_gic()) {
        ts_lapic_set_tpr(&c.apic, static_cast<uint8_t>(value));
        update_event.notify(sc_core::SC_ZERO_TIME);
    } else {
        return false;
    }
    return true;
}

// SDM vol. 3A, "Interrupt Command Register (ICR)" and, for logical destinations, "Determining IPI
// Destination" and "Logical x2APIC ID": of a cluster of 16, or of the flat model's first 8.
bool interrupt_controller::impl::is_destination(uint32_t cpu, uint32_t destination,
                                                bool logical) const
{
    const uint32_t id = fabric.internals().topology.apic_id[cpu];
    if (!logical)
        return id == destination;
    if (params.mode == TS_INTR_XAPIC_FLAT)
        return cpu < 8 && (destination & 1u << cpu);
    return id >> 4 == destination >> 16 && (destination & 1u << (id & 15));
}

bool interrupt_controller::impl::write_icr(uint32_t cpu, uint64_t value, const sc_time &delay)
{
    const uint32_t vector = value & 0xff, mode = value >> 8 & 7, shorthand = value >> 18 & 3;
    const uint32_t destination = static_cast<uint32_t>(value >> 32);
    if (mode != 0) // fixed
        return false;
    ts_interrupt_count_write(core);
    for (uint32_t i = 0; i < cpus.size(); i++) {
        const bool self = i == cpu;
        const bool reached = shorthand == 0   ? is_destination(i, destination, value >> 11 & 1)
                             : shorthand == 1 ? self
                             : shorthand == 2 ? true
                                              : !self;
        if (reached)
            send_at(cpu, i, vector, delay);
    }
    return true;
}

// Arm GIC architecture specification (IHI 0069), ICC_SGI1R_EL1.
bool interrupt_controller::impl::write_sgi(uint32_t cpu, uint64_t value, const sc_time &delay)
{
    const uint32_t intid = value >> 24 & 15, range = value >> 44 & 15;
    const uint64_t affinity = (value >> 16 & 0xff) | (value >> 32 & 0xff) << 8;
    const bool all_but_self = value >> 40 & 1;
    ts_interrupt_count_write(core);
    for (uint32_t i = 0; i < cpus.size(); i++) {
        const uint32_t id = fabric.internals().topology.apic_id[i];
        if (all_but_self ? i != cpu : range == 0 && id >> 4 == affinity && (value >> (id & 15) & 1))
            send_at(cpu, i, intid, delay);
    }
    return true;
}

// --- leaving ---

void interrupt_controller::impl::send_at(uint32_t from, uint32_t to, uint32_t vector,
                                         const sc_time &delay)
{
    const Leaving l = {sc_time_stamp() + delay, from, to, vector};
    const auto later = [](const sc_time &t, const Leaving &e) { return t < e.when; };
    leaving.insert(std::upper_bound(leaving.begin(), leaving.end(), l.when, later), l);
    leave_event.notify(leaving.front().when - sc_time_stamp());
}

void interrupt_controller::impl::leave()
{
    const fabric::impl::Now now(fabric.internals());
    while (!leaving.empty() && leaving.front().when <= sc_time_stamp()) {
        const Leaving l = leaving.front();
        leaving.erase(leaving.begin());
        ts_interrupt_send(core, l.from, l.to, l.vector, 0);
    }
    if (!leaving.empty())
        leave_event.notify(leaving.front().when - sc_time_stamp());
    update_event.notify(sc_core::SC_ZERO_TIME);
}

// --- transport ---

void interrupt_controller::impl::b_transport(unsigned, tlm_generic_payload &trans, sc_time &delay)
{
    const uint64_t cpu = trans.get_address() / bank;
    const uint32_t offset = static_cast<uint32_t>(trans.get_address() % bank);
    const unsigned length = trans.get_data_length();
    uint64_t wide = 0;
    uint32_t value = 0;
    if (trans.get_byte_enable_ptr()) {
        trans.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return;
    }
    if (length != 4 && !(length == 8 && offset == ICR && trans.is_write())) {
        trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return;
    }
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    if (cpu >= cpus.size())
        return;
    if (trans.is_write()) {
        std::memcpy(&wide, trans.get_data_ptr(), length);
        const bool x2 = length == 8;
        if (offset == ICR || offset == ICR2)
            delay += cycles(x2 ? params.icr_write_cycles : params.mmio_write_cycles);
        if (write(static_cast<uint32_t>(cpu), offset, wide, x2, delay))
            trans.set_response_status(tlm::TLM_OK_RESPONSE);
        else if (offset == ICR)
            trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
    } else if (trans.is_read() && read(static_cast<uint32_t>(cpu), offset, false, &value)) {
        if (offset == ICR)
            delay += cycles(params.icr_poll_cycles);
        std::memcpy(trans.get_data_ptr(), &value, length);
        trans.set_response_status(tlm::TLM_OK_RESPONSE);
    }
}

tlm::tlm_sync_enum interrupt_controller::impl::nb_transport_fw(unsigned i,
                                                               tlm_generic_payload &trans,
                                                               tlm::tlm_phase &phase,
                                                               sc_time &delay)
{
    if (phase == tlm::BEGIN_REQ)
        b_transport(i, trans, delay);
    return tlm::TLM_COMPLETED;
}

unsigned interrupt_controller::impl::transport_dbg(unsigned, tlm_generic_payload &trans)
{
    const uint64_t cpu = trans.get_address() / bank;
    uint32_t value = 0;
    if (!trans.is_read() || trans.get_data_length() != 4 || cpu >= cpus.size() ||
        !read(static_cast<uint32_t>(cpu), static_cast<uint32_t>(trans.get_address() % bank), true,
              &value))
        return 0;
    std::memcpy(trans.get_data_ptr(), &value, 4);
    return 4;
}

// --- the module ---

interrupt_controller::interrupt_controller(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
                                           const tlbstorm::settings &settings)
    : sc_core::sc_module(name), target("target"), irq("irq", fabric.cpus()), in_flight("in_flight"),
      impl_(std::make_unique<impl>(*this, fabric, settings))
{
    target.bind(impl_->forward);
    SC_HAS_PROCESS(interrupt_controller);
    SC_METHOD(update);
    dont_initialize();
    sensitive << impl_->update_event;
    SC_METHOD(leave);
    dont_initialize();
    sensitive << impl_->leave_event;
}

interrupt_controller::~interrupt_controller() = default;

void interrupt_controller::update()
{
    for (uint32_t i = 0; i < irq.size(); i++)
        irq[i].write(impl_->deliverable(i) != TS_LAPIC_NONE);
    const struct ts_interrupt_stats *stats = ts_interrupt_stats(impl_->core);
    in_flight.write(stats->sent - stats->delivered);
}

void interrupt_controller::leave()
{
    impl_->leave();
}

void interrupt_controller::send(uint32_t from, uint32_t to, uint32_t vector)
{
    const uint32_t most = impl_->is_gic() ? 16 : TS_LAPIC_VECTORS;
    if (from >= irq.size() || to >= irq.size() || vector >= most)
        report_error("/tlbstorm/interrupt", std::string(name()) + ": no such CPU or vector");
    else
        impl_->send_at(from, to, vector, sc_core::SC_ZERO_TIME);
}

int interrupt_controller::take(uint32_t cpu)
{
    return impl_->take(cpu);
}

void interrupt_controller::end_of_interrupt(uint32_t cpu)
{
    impl_->end(cpu);
}

} // namespace tlbstorm
