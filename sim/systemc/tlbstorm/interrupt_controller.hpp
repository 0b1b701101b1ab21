// SPDX-License-Identifier: Apache-2.0
// tlbstorm::interrupt_controller: the local APICs of all CPUs of a fabric, or the SGIs of a GICv3;
// interrupts between CPUs travel over the fabric. Parameters: interrupt.* (`tlbstorm explain
// interrupt`), of which interrupt.mode says which controller it is.
//
// `target` is a register bank of 4 KiB a CPU; CPU i's is at i * 0x1000. A platform maps each CPU's
// view of its own interrupt controller to its bank. 4-byte registers, at the offsets of the xAPIC
// (Intel SDM vol. 3A, "Local APIC Register Address Map"):
//
// | offset        | APIC                                  | GICv3                                |
// |---------------|---------------------------------------|--------------------------------------|
// | 0x020         | ID                                    | affinity, packed as topology.apic_id |
// | 0x080         | TPR                                   | -                                    |
// | 0x0a0         | PPR, read only                        | -                                    |
// | 0x0b0         | EOI, write only                       | write: ICC_EOIR1_EL1                 |
// | 0x100..0x170  | ISR, read only                        | active SGIs in the first             |
// | 0x200..0x270  | IRR, read only                        | pending SGIs in the first            |
// | 0x300         | ICR; 8 bytes: x2APIC's, with its      | 8 bytes: ICC_SGI1R_EL1               |
// |               | destination in the upper half         |                                      |
// | 0x310         | ICR's destination, xAPIC              | -                                    |
// | 0xff0         | read: the CPU takes an interrupt;     | read: ICC_IAR1_EL1                   |
// |               | its vector, or 0xffffffff             |                                      |
//
// The last register is no hardware's: it stands for the processor's acknowledgement (APIC), and
// where Arm has system registers instead of addresses the offsets are this module's choice. A write
// of ICR sends fixed interrupts only; other delivery modes and unknown registers are
// TLM_ADDRESS_ERROR_RESPONSE or TLM_COMMAND_ERROR_RESPONSE.
//
// A register access takes its cycles (interrupt.icr_write and so on) as delay of b_transport, and
// an interrupt leaves at sc_time_stamp() + delay; nb_transport ends at BEGIN_REQ with
// TLM_COMPLETED. irq[i] is high while CPU i's controller has an interrupt that its priority lets
// through.
#ifndef TLBSTORM_INTERRUPT_CONTROLLER_HPP
#define TLBSTORM_INTERRUPT_CONTROLLER_HPP

#include <memory>
#include <tlbstorm/fabric.hpp>

namespace tlbstorm
{

class interrupt_controller : public sc_core::sc_module
{
  public:
    interrupt_controller(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
                         const tlbstorm::settings &settings);
    ~interrupt_controller() override;

    target_socket target; // may stay unbound: send() is enough
    sc_core::sc_vector<signal<bool>> irq;

    // What registers do, for models in C++. The first: from one CPU to another, now.
    void send(uint32_t from, uint32_t to, uint32_t vector);
    int take(uint32_t cpu); // the vector, or -1
    void end_of_interrupt(uint32_t cpu);

    // Interrupts sent and not accepted yet.
    signal<uint64_t> in_flight;

  private:
    struct impl;
    void update();
    void leave();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
