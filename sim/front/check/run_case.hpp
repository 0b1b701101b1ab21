// SPDX-License-Identifier: Apache-2.0
// Runs a case and says what was found.
#ifndef TS_SIM_FRONT_CHECK_RUN_CASE_HPP
#define TS_SIM_FRONT_CHECK_RUN_CASE_HPP

#include "sim/front/check/case.hpp"
#include "sim/front/error.hpp"

#include <string>

namespace ts
{

// By how a run ended.
enum class FindingKind {
    None,
    Stale,
    Generation,
    FreedMemory,
    FreedTable,
    BreakBeforeMake,
    Initiator,
    Starved,
    Deadlock,
    NoProgress,
    Crash,
    Other
};
const char *finding_name(FindingKind kind);

// What a case was good for. Plain numbers: it goes through pipes.
struct CaseCounts {
    uint64_t in_window = 0, hits = 0, shootdowns = 0;
    uint64_t invalidations = 0, in_vain = 0; // of all TLBs; those that found nothing to drop

    CaseCounts &operator+=(const CaseCounts &other)
    {
        in_window += other.in_window;
        hits += other.hits;
        shootdowns += other.shootdowns;
        invalidations += other.invalidations;
        in_vain += other.in_vain;
        return *this;
    }
};

struct CaseResult {
    FindingKind kind = FindingKind::None;
    std::string message; // of the finding
    CaseCounts counts;
};

// Whether one may stand for the other when a case is made smaller: of a kind, and, where the kind
// is only how it ended (a broken invariant, a sum that does not hold), with the same words but for
// numbers.
bool same_finding(const CaseResult &a, const CaseResult &b);

// Who wants to see what happens. Calls come in time order, from within the run.
class CaseWatcher
{
  public:
    virtual ~CaseWatcher() = default;
    // A thread of VM vm asks for its index'th operation.
    virtual void operation(ts_time now, uint32_t vm, uint32_t thread, size_t index) = 0;
    // The VMM's thread asks for its index'th operation.
    virtual void vmm(ts_time, size_t)
    {
    }
    virtual void timeline(const ts_timeline_record &record) = 0;
    virtual void shootdown(const ts_shootdown_record &record) = 0;
};

// The machine refuses what the case sets.
class CaseRefused : public Error
{
    using Error::Error;
};

// An error that is no finding (memory, a bug of the program) is thrown.
// steps: those that the run took, of a watched case, as they were told; now is when each was done.
CaseResult run_case(const CheckCase &c, CaseWatcher *watcher = nullptr,
                    std::vector<ts_step> *steps = nullptr);
// The same in a process of its own, so that a broken invariant of the model is a finding, too.
CaseResult run_case_apart(const CheckCase &c);

} // namespace ts

#endif
