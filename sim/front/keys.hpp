// SPDX-License-Identifier: Apache-2.0
// Every parameter of the program under its full key: those of the machine's tables, of the flush
// mechanisms (flush.<mechanism>.<key>), of the workload kinds and of the studies (<study>.<key>).
// Built once from the tables beside the models; nothing is listed twice.
#ifndef TS_SIM_FRONT_KEYS_HPP
#define TS_SIM_FRONT_KEYS_HPP

#include "models/machine/machine.h"
#include "models/study/study.h"
#include "sim/front/error.hpp"

#include <map>
#include <string>
#include <vector>

namespace ts
{

// Vm: of an entry of `vms` (vms.hpp), in no table.
enum class KeyScope { Machine, Flush, Workload, Study, Vm };

// Whose keys an experiment may name beside those of machines and mechanisms; NULL: nobody's.
struct KeyOwners {
    const ts_workload_kind *workload = nullptr;
    const ts_study_ops *study = nullptr;
};

struct Key {
    std::string name; // "mmu.l2_entries", "flush.rar.slots", "workload.touch_pages"
    KeyScope scope = KeyScope::Machine;
    // Index into ts_machine_params, ts_flush_table, ts_workload_kinds or ts_study_table.
    size_t owner = 0;
    const ts_param *row = nullptr;

    // The key of explain: that of a workload names its kind ("workload.strace.touch_pages").
    std::string long_name() const;
    const char *type_name() const;
    // Checks type, unit and bounds; a user error at place otherwise.
    uint64_t parse(const std::string &text, const Place &place) const;
    std::string format(uint64_t value) const;
    // Without a unit, exactly: "0.00001" for 10 us. The unit is number_unit; words, whose unit is
    // empty, as format has them.
    std::string number(uint64_t value) const;
    std::string number_unit() const;
    bool assumed() const
    {
        return ts_confidence_assumed(row->confidence);
    }
    // Of a kernel's version: what it sets of other parameters (models/abi/linux_version.h). Else
    // null.
    const ts_version_table *versions() const;
    bool is_version() const
    {
        return versions() != nullptr;
    }
};

class Keys
{
  public:
    static const Keys &get();

    // Machine and mechanism keys, and those of the owners.
    const Key *find(const std::string &name, const KeyOwners &owners) const;
    // find, or a user error that names the nearest key.
    const Key &need(const std::string &name, const KeyOwners &owners, const Place &place) const;
    // By long_name, for explain.
    const std::map<std::string, Key> &all() const
    {
        return keys_;
    }

  private:
    Keys();
    void add(KeyScope scope, size_t owner, const ts_param_table &table, const std::string &prefix);

    std::map<std::string, Key> keys_; // by long_name
};

// "verbatim", ...; false if there is no such confidence.
bool confidence_parse(const std::string &text, ts_confidence *out);

// A time of the command line, as "10us", in ps, from min to 10^6 s; a user error that names the
// option.
uint64_t time_need(const std::string &option, const std::string &text, uint64_t min);
const ts_flush_ops &mechanism_need(const std::string &name, const Place &place);
const ts_workload_kind &workload_need(const std::string &name, const Place &place);
const ts_study_ops &study_need(const std::string &name, const Place &place);

} // namespace ts

#endif
