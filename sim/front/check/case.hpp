// SPDX-License-Identifier: Apache-2.0
// A case of `tlbstorm check`: a small machine, a mechanism, and what its threads do. A seed makes
// one; a shrunk one is the same with less in it. All of it is in this struct, so that a case can be
// changed a little and run again.
#ifndef TS_SIM_FRONT_CHECK_CASE_HPP
#define TS_SIM_FRONT_CHECK_CASE_HPP

#include "models/machine/machine.h"
#include "sim/front/check/script.hpp"

#include <optional>
#include <string>
#include <vector>

namespace ts
{

struct CaseSetting {
    std::string key, value;
};

// A step of a run (sim/steps.h), counted from 0, that is put off: its CPU stands still, or a thread
// of the host takes it. What is known of the step besides is for who tells the case.
struct PutOff {
    uint32_t step = 0;
    bool preempts = false;
    uint64_t ps = 0, at = 0; // for so long, and when it would have been
    uint32_t pcpu = 0;
    ts_step_kind kind = TS_STEP_LINE;
    uint32_t group = 0, cpu = 0;
    uint64_t address = 0;
};

struct CheckCase {
    uint64_t seed = 1;
    bool small = false; // few CPUs, threads and pages
    // What the settings are laid over.
    ts_machine_config base{};
    std::vector<CaseSetting> settings;
    const ts_flush_ops *mechanism = nullptr;
    std::vector<uint64_t> params; // the mechanism's; empty: its defaults
    // Mean time between two interruptions of a pCPU by a thread of the host, and its mean length;
    // 0: none.
    uint64_t noise_every_ps = 0, noise_work_ps = 0;
    uint64_t noise_variant = 0; // other moments
    // Every so many'th step of a CPU (sim/steps.h), in the mean, it stands still, with interrupts
    // off if they are; for how long in the mean. 0: none.
    uint64_t stall_steps = 0, stall_ps = 0;
    // At every so many'th step, in the mean, some CPU walks by itself for a page that somebody has
    // used. 0: none.
    uint64_t walk_steps = 0;
    // What a VMM's thread does beside the guests, once.
    std::vector<ts_host_op> vmm;
    // Of a tiny case, whose steps are counted: in the order of their numbers.
    bool watched = false;
    std::vector<PutOff> put_off;
    Script script;
    uint32_t initial = 0; // threads that begin by themselves
};

// The configuration, which is not checked. Throws where a setting names no parameter.
ts_machine_config case_config(const CheckCase &c);

// Random in all that the mechanism leaves open: architecture, operating system, rules by version,
// schedulers that switch often, interruptions, messages that are late, and threads that use what
// others take away. Nothing: what was drawn cannot be combined with it.
// all_small: also where the seed would make a larger machine, and no rollover of VMIDs, which takes
// more VMs than one.
std::optional<CheckCase> draw_case(uint64_t seed, const ts_flush_ops *mechanism,
                                   bool all_small = false);
// The same in a machine that is given: only threads, interruptions, and how late messages are.
std::optional<CheckCase> draw_case_in(uint64_t seed, const ts_flush_ops *mechanism,
                                      const ts_machine_config &machine,
                                      const std::vector<uint64_t> &params);

// A tiny one, to be explored order by order (orders.hpp): two or three CPUs, a page or two, rules
// by version as above, and nothing that comes by chance.
std::optional<CheckCase> draw_tiny_case(uint64_t seed, const ts_flush_ops *mechanism);

// Gives the case store buffers (sim/store.h), how deep from its seed; a tiny one has its stores
// wait for long. Of the others, if their machine is drawn, half of those on x86 lose PTI, which
// leaves little time between barriers, and half leave lazy CPUs out of flushes. What else there is
// stays.
void draw_store_delay(CheckCase *c, bool drawn);

} // namespace ts

#endif
