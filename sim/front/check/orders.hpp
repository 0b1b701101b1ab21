// SPDX-License-Identifier: Apache-2.0
// Explores a tiny case order by order: what its CPUs do is a sequence of steps that others may see
// (sim/steps.h), and each run is one order of them. Where two steps of different CPUs conflict, the
// first is put off until the second is over, and that is another run; again and again, with up to
// so many put off in one run (delay bounding: M. Emmi, S. Qadeer, Z. Rakamaric, "Delay-Bounded
// Scheduling", POPL 2011). Only conflicts are reversed, and of runs whose conflicting steps come in
// one order (a Mazurkiewicz trace) each step is put off in the first alone: partial-order reduction
// (C. Flanagan, P. Godefroid, "Dynamic Partial-Order Reduction for Model Checking Software", POPL
// 2005). A vCPU is put off in two ways: it stands still, or the host runs something else.
#ifndef TS_SIM_FRONT_CHECK_ORDERS_HPP
#define TS_SIM_FRONT_CHECK_ORDERS_HPP

#include "sim/front/check/run_case.hpp"

#include <chrono>
#include <optional>

namespace ts
{

struct OrdersSettings {
    unsigned jobs = 1;
    size_t put_offs = 2;    // at most, in a run
    size_t runs = SIZE_MAX; // at most: the rest is left, and the result says so
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

struct OrdersResult {
    uint64_t runs = 0;
    uint64_t orders = 0; // that differ
    size_t complete = 0; // all orders with so many put off, and fewer, have been seen; of nothing
                         // put off: 0
    bool cut = false;    // by time or runs, before put_offs were complete
    CaseCounts counts;
    std::optional<CheckCase> found; // the first, with what is put off
    CaseResult finding;
};

// What is found, and after how many runs, does not depend on jobs, unless time ends first.
OrdersResult explore(const CheckCase &c, const OrdersSettings &settings);

// The steps of a run that may be put off, by what conflicts with them: of the one after `after`
// on. For tests.
std::vector<PutOff> reversals(const std::vector<ts_step> &steps, size_t after, bool may_preempt);
// Equal for runs whose conflicting steps come in one order.
uint64_t order_of(const std::vector<ts_step> &steps);

} // namespace ts

#endif
