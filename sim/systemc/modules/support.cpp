// SPDX-License-Identifier: Apache-2.0
#include "sim/systemc/modules/support.hpp"

#include <algorithm>
#include <cstring>

namespace tlbstorm
{

void report_error(const char *type, const std::string &message)
{
    SC_REPORT_ERROR(type, message.c_str());
}

void report_settings(const sc_core::sc_object &module, const std::string &message)
{
    report_error("/tlbstorm/settings", std::string(module.name()) + ": " + message);
}

void report_unbound(const sc_core::sc_object &socket, const std::string &what_for)
{
    // The name of a socket's port: "top.mmu.walk_port_0", "top.mmu.target_port".
    std::string name = socket.name();
    const size_t port = name.rfind("_port");
    if (port != std::string::npos)
        name.resize(port);
    report_error("/tlbstorm/unbound",
                 "the socket " + name + " is not bound: bind it to " + what_for);
}

void check(const sc_core::sc_object &module, ts_status status, const ts_error &error)
{
    if (status != TS_OK)
        report_settings(module, error.message);
}

void apply(const sc_core::sc_object &module, const settings &settings,
           const std::vector<Table> &tables)
{
    for (const std::string &text : settings) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos) {
            report_settings(module, "'" + text + "' is not KEY=VALUE");
            continue;
        }
        const std::string key = text.substr(0, equals);
        std::vector<std::string> names;
        bool found = false;
        for (const Table &t : tables) {
            for (size_t i = 0; i < t.table->nrows && !found; i++) {
                const ts_param &row = t.table->rows[i];
                names.push_back(std::string(t.table->prefix) + "." + row.key);
                found = names.back() == key;
                ts_error error;
                if (found && ts_param_set(&row, t.params, text.c_str() + equals + 1, &error))
                    report_settings(module, key + ": " + error.message);
            }
        }
        if (found)
            continue;
        std::vector<const char *> words;
        for (const std::string &name : names)
            words.push_back(name.c_str());
        const char *nearest = ts_error_nearest(key.c_str(), words.data(), words.size());
        report_settings(module,
                        "there is no parameter '" + key + "' here" +
                            (nearest ? " (did you mean '" + std::string(nearest) + "'?)" : ""));
    }
}

tlm::tlm_generic_payload &Payloads::take()
{
    if (free_.empty()) {
        all_.push_back(std::make_unique<tlm::tlm_generic_payload>(this));
        free_.push_back(all_.back().get());
    }
    tlm::tlm_generic_payload *trans = free_.back();
    free_.pop_back();
    trans->reset();
    trans->set_dmi_allowed(false);
    trans->set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    trans->acquire();
    return *trans;
}

void Payloads::free(tlm::tlm_generic_payload *trans)
{
    free_.push_back(trans);
}

Phases::Phases(const char *name, Handler handler) : handler_(std::move(handler))
{
    sc_core::sc_spawn_options options;
    options.spawn_method();
    options.dont_initialize();
    options.set_sensitivity(&wake_);
    sc_core::sc_spawn([this] { step(); }, name, &options);
}

void Phases::put(unsigned index, tlm::tlm_generic_payload &trans, tlm::tlm_phase phase,
                 const sc_core::sc_time &delay)
{
    const sc_core::sc_time when = sc_core::sc_time_stamp() + delay;
    const auto later = [](const sc_core::sc_time &t, const auto &e) { return t < e.first; };
    const auto at = std::upper_bound(queue_.begin(), queue_.end(), when, later);
    if (trans.has_mm())
        trans.acquire();
    queue_.insert(at, {when, Entry{index, &trans, phase}});
    wake_.notify(queue_.front().first - sc_core::sc_time_stamp());
}

// A timed notification at the present is one of the next delta cycle, so a handler never runs
// inside the call that put what it handles.
void Phases::step()
{
    while (!queue_.empty() && queue_.front().first <= sc_core::sc_time_stamp()) {
        const Entry e = queue_.front().second;
        queue_.erase(queue_.begin());
        handler_(e.index, *e.trans, e.phase);
        if (e.trans->has_mm())
            e.trans->release();
    }
    if (!queue_.empty())
        wake_.notify(queue_.front().first - sc_core::sc_time_stamp());
}

} // namespace tlbstorm
