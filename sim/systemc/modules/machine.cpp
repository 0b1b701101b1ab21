// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/machine.hpp>

#include "sim/systemc/modules/support.hpp"

#include <algorithm>
#include <map>

using sc_core::sc_time;
using sc_core::sc_time_stamp;

namespace tlbstorm
{

struct machine::impl {
    config_type config;
    tlbstorm_machine *core = nullptr;
    tlbstorm_error err = {};
    tlbstorm_status status = TLBSTORM_OK;
    std::string message;
    sc_core::sc_event wake, sample_wake, finished;
    std::map<std::string, std::unique_ptr<sc_core::sc_signal<uint64_t>>> watched;
    std::map<std::string, uint64_t> values;
    bool told = false;

    ~impl()
    {
        tlbstorm_machine_destroy(core);
    }

    void create(const sc_core::sc_object &module)
    {
        std::vector<const char *> texts;
        for (const std::string &text : config.settings)
            texts.push_back(text.c_str());
        tlbstorm_config *c = nullptr;
        tlbstorm_status s;
        if (!config.file.empty())
            s = tlbstorm_config_load(&c, config.file.c_str(), texts.data(), texts.size(), &err);
        else if (!config.text.empty())
            s = tlbstorm_config_parse(&c, config.text.c_str(), module.name(), texts.data(),
                                      texts.size(), &err);
        else
            s = tlbstorm_config_from_settings(&c, texts.data(), texts.size(), &err);
        if (s == TLBSTORM_OK)
            s = config.injected ? tlbstorm_machine_create_injected(&core, c, config.point, &err)
                                : tlbstorm_machine_create(&core, c, config.point, &err);
        tlbstorm_config_destroy(c);
        if (s != TLBSTORM_OK)
            report_settings(module, where() + err.message);
    }

    std::string where() const
    {
        std::string text = err.file;
        if (err.line > 0)
            text += ":" + std::to_string(err.line) + ":" + std::to_string(err.column);
        return text.empty() ? text : text + ": ";
    }

    // How far it may run: the wake-up of its own is not pending while step() runs.
    sc_time horizon() const
    {
        const sc_time others = sc_core::sc_time_to_pending_activity();
        const sc_time least = sc_time::from_value(1);
        if (config.quantum == sc_core::SC_ZERO_TIME || others == sc_core::SC_ZERO_TIME)
            return sc_time_stamp();
        return sc_time_stamp() + std::min(config.quantum, others - least);
    }

    // Everything up to and including a time, and when to come back.
    void catch_up(const sc_time &until)
    {
        // What it finds is told once.
        const tlbstorm_status now = tlbstorm_machine_run_until(core, until.value(), &err);
        if (now != TLBSTORM_OK) {
            status = now;
            message = err.message;
        }
        const uint64_t next = tlbstorm_machine_next(core);
        wake.cancel();
        if (next != TLBSTORM_NEVER)
            wake.notify(sc_time::from_value(next) - sc_time_stamp());
        else if (!told && until > sc_time_stamp()) // its end, to which SystemC has yet to come
            wake.notify(std::max(sc_time::from_value(tlbstorm_machine_now(core)), sc_time_stamp()) -
                        sc_time_stamp());
    }

    static void take(void *user, const char *name, const char *, uint64_t value)
    {
        auto &values = static_cast<impl *>(user)->values;
        const auto it = values.find(name);
        if (it != values.end())
            it->second = value;
    }
};

machine::machine(sc_core::sc_module_name name, const config_type &config)
    : sc_core::sc_module(name), vcpu_state("vcpu"), impl_(std::make_unique<impl>())
{
    impl_->config = config;
    impl_->create(*this);
    uint32_t vcpus = 0;
    for (uint32_t v = 0; v < tlbstorm_machine_vms(impl_->core); v++)
        vcpus += tlbstorm_machine_vcpus(impl_->core, v);
    vcpu_state.init(vcpus);
    SC_HAS_PROCESS(machine);
    SC_METHOD(step);
    sensitive << impl_->wake;
    SC_METHOD(sample);
    sensitive << impl_->sample_wake << impl_->finished;
}

machine::~machine() = default;

void machine::step()
{
    impl_->catch_up(impl_->horizon());
    if (impl_->told || !tlbstorm_machine_done(impl_->core) ||
        sc_time_stamp().value() < tlbstorm_machine_now(impl_->core))
        return;
    impl_->told = true;
    impl_->sample_wake.cancel(); // the last sample is taken now
    impl_->finished.notify(sc_core::SC_ZERO_TIME);
    if (impl_->status != TLBSTORM_OK && impl_->config.report_findings)
        report_error("/tlbstorm/finding", std::string(name()) + ": " + impl_->message);
}

void machine::sample()
{
    if (!impl_->values.empty())
        tlbstorm_machine_visit_stats(impl_->core, impl::take, impl_.get(), nullptr);
    for (const auto &watched : impl_->watched)
        watched.second->write(impl_->values[watched.first]);
    size_t i = 0;
    for (uint32_t vm = 0; vm < tlbstorm_machine_vms(impl_->core); vm++)
        for (uint32_t c = 0; c < tlbstorm_machine_vcpus(impl_->core, vm); c++)
            vcpu_state[i++].write(tlbstorm_machine_vcpu_state(impl_->core, vm, c));
    if (impl_->config.sample != sc_core::SC_ZERO_TIME && !impl_->told)
        impl_->sample_wake.notify(impl_->config.sample);
}

const sc_core::sc_event &machine::finished() const
{
    return impl_->finished;
}

bool machine::done() const
{
    return impl_->told;
}

tlbstorm_status machine::status() const
{
    return impl_->status;
}

const std::string &machine::message() const
{
    return impl_->message;
}

uint64_t machine::statistic(const std::string &statistic)
{
    uint64_t value = 0;
    tlbstorm_error err;
    if (tlbstorm_machine_stat(impl_->core, statistic.c_str(), &value, &err) != TLBSTORM_OK)
        report_error("/tlbstorm/statistic", std::string(name()) + ": " + err.message);
    return value;
}

sc_core::sc_signal<uint64_t> &machine::watch(const std::string &statistic_name)
{
    auto &entry = impl_->watched[statistic_name];
    if (!entry) {
        std::string signal_name = std::string(basename()) + "_" + statistic_name;
        std::replace(signal_name.begin(), signal_name.end(), '.', '_');
        impl_->values[statistic_name] = statistic(statistic_name);
        entry = std::make_unique<sc_core::sc_signal<uint64_t>>(signal_name.c_str());
    }
    return *entry;
}

void machine::inject(uint32_t vm, uint32_t vcpu, tlbstorm_op *op)
{
    tlbstorm_error err;
    impl_->catch_up(sc_time_stamp());
    if (tlbstorm_machine_inject(impl_->core, vm, vcpu, op, &err) != TLBSTORM_OK)
        report_error("/tlbstorm/inject", std::string(name()) + ": " + err.message);
}

void machine::close()
{
    impl_->catch_up(sc_time_stamp());
    tlbstorm_machine_close(impl_->core);
}

tlbstorm_machine *machine::handle()
{
    return impl_->core;
}

} // namespace tlbstorm
