// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/run_case.hpp"

#include "sim/front/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ts
{
namespace
{

struct MachineDelete {
    void operator()(ts_machine *machine) const
    {
        ts_machine_destroy(machine);
    }
};

FindingKind kind_of(const std::string &message)
{
    const auto begins = [&](const char *text) { return message.rfind(text, 0) == 0; };
    if (begins("stale translation used"))
        return FindingKind::Stale;
    if (begins("tlb_gen ahead of its flush"))
        return FindingKind::Generation;
    if (begins("memory freed before its flush"))
        return FindingKind::FreedMemory;
    if (begins("freed page table used"))
        return FindingKind::FreedTable;
    if (begins("break-before-make missed"))
        return FindingKind::BreakBeforeMake;
    if (begins("no progress: an initiator does not return"))
        return FindingKind::Initiator;
    if (begins("no progress: a vCPU does not run"))
        return FindingKind::Starved;
    if (begins("no progress: deadlock"))
        return FindingKind::Deadlock;
    if (begins("no progress") || begins("not finished after"))
        return FindingKind::NoProgress;
    return FindingKind::Other;
}

void watch(ts_machine *machine, CaseWatcher *watcher)
{
    ts_machine_set_timeline(
        machine,
        [](void *user, const ts_timeline_record *record) {
            static_cast<CaseWatcher *>(user)->timeline(*record);
        },
        watcher);
    ts_machine_set_shootdowns(
        machine,
        [](void *user, const ts_shootdown_record *record) {
            static_cast<CaseWatcher *>(user)->shootdown(*record);
        },
        watcher);
}

uint64_t pcpus_of(const ts_machine_config &config)
{
    const ts_topology_params &t = config.topology;
    return t.sockets * t.cores_per_socket * t.threads_per_core;
}

// Bare metal has all pCPUs, whatever run.vcpus says.
uint64_t guest_cpus(const ts_machine_config &config)
{
    return config.hypervisor.kind == TS_HYP_NONE ? pcpus_of(config) : config.run.vcpus;
}

// A thread of the host, in the background.
void add_host_thread(ts_machine *machine, const char *name, uint32_t pcpu, ts_host_stream *stream)
{
    const ts_host_task_config task{name, pcpu, true, stream};
    ts_error err{};
    if (ts_machine_add_host_task(machine, &task, &err) != TS_OK)
        throw Error(err);
}

// Threads of the host, one on each pCPU, in no time with each other. They end with the guests: what
// comes after is not looked at.
class Interruptions
{
  public:
    Interruptions(ts_machine *machine, const CheckCase &c, const ts_machine_config &config,
                  const std::list<ScriptWorkload> &scripts)
        : scripts_(scripts)
    {
        const ts_host_noise_params params{c.noise_every_ps, c.noise_work_ps, TS_HOST_NO_VM};
        const auto pcpus = static_cast<uint32_t>(pcpus_of(config));
        for (uint32_t p = 0; p < pcpus; p++) {
            streams_.emplace_back();
            Stream &s = streams_.back();
            s.base.next = next;
            s.owner = this;
            ts_host_noise_init(&s.noise, &params, static_cast<uint32_t>(config.run.vms),
                               c.seed + c.noise_variant, p);
            add_host_thread(machine, "interruption", p, &s.base);
        }
    }

  private:
    struct Stream {
        ts_host_stream base{}; // first: the host hands back its address
        ts_host_noise noise{};
        const Interruptions *owner = nullptr;
    };
    static int next(ts_host_stream *stream, ts_host_op *op, ts_error *err)
    {
        Stream *s = reinterpret_cast<Stream *>(stream);
        const std::list<ScriptWorkload> &scripts = s->owner->scripts_;
        if (std::all_of(scripts.begin(), scripts.end(), [](const auto &w) { return w.ended(); }))
            return 0;
        return s->noise.stream.next(&s->noise.stream, op, err);
    }
    const std::list<ScriptWorkload> &scripts_;
    std::list<Stream> streams_;
};

// A VMM's thread, wherever the scheduler puts it. What it has not come to when the guests end it
// does not do.
class VmmThread
{
  public:
    VmmThread(ts_machine *machine, const CheckCase &c, CaseWatcher *watcher)
        : machine_(machine), ops_(c.vmm), watcher_(watcher)
    {
        stream_.base.next = next;
        stream_.owner = this;
        add_host_thread(machine, "vmm", TS_HOST_ANY_PCPU, &stream_.base);
    }

  private:
    struct Stream {
        ts_host_stream base{}; // first: the host hands back its address
        VmmThread *owner = nullptr;
    };
    static int next(ts_host_stream *stream, ts_host_op *op, ts_error *)
    {
        VmmThread *self = reinterpret_cast<Stream *>(stream)->owner;
        if (self->watcher_)
            self->watcher_->vmm(ts_engine_now(ts_machine_engine(self->machine_)), self->at_);
        if (self->at_ == self->ops_.size())
            return 0;
        *op = self->ops_[self->at_++];
        return 1;
    }
    ts_machine *machine_;
    const std::vector<ts_host_op> &ops_;
    CaseWatcher *watcher_;
    size_t at_ = 0;
    Stream stream_;
};

// Comes once in `mean` questions, at random; 0: never.
class Chance
{
  public:
    Chance(const CheckCase &c, const char *stream, uint64_t mean) : mean_(mean)
    {
        ts_rng_init(&rng_, c.seed + c.noise_variant, stream, 0);
        draw();
    }
    bool comes()
    {
        if (mean_ == 0 || --left_ > 0)
            return false;
        draw();
        return true;
    }
    uint64_t between(uint64_t lo, uint64_t hi)
    {
        return ts_rng_between(&rng_, lo, hi);
    }

  private:
    void draw()
    {
        left_ = mean_ ? between(1, 2 * mean_ - 1) : 0;
    }
    ts_rng rng_{};
    uint64_t mean_, left_ = 0;
};

// Counts steps, and puts off what the case says, or what comes by chance.
class StepCounter
{
  public:
    StepCounter(const CheckCase &c, std::vector<ts_step> *steps)
        : c_(c), steps_(steps), stalls_(c, "check.stalls", c.stall_steps),
          walks_(c, "check.walks", c.walk_steps)
    {
    }
    static ts_time on_step(void *user, const ts_step *step)
    {
        StepCounter *self = static_cast<StepCounter *>(user);
        if (self->c_.walk_steps)
            self->walk(*step);
        return self->put_off(*step);
    }
    // Whose CPUs walk by themselves.
    void set_machine(ts_machine *machine, uint32_t vms, uint32_t vcpus)
    {
        machine_ = machine;
        vcpus_ = vcpus;
        used_.resize(vms);
    }

  private:
    // A page that was used lately, by whomever in the VM: those taken away are among them.
    void walk(const ts_step &step)
    {
        if (walks_.comes()) {
            const auto vm = static_cast<uint32_t>(walks_.between(0, used_.size() - 1));
            const auto cpu = static_cast<uint32_t>(walks_.between(0, vcpus_ - 1));
            const std::vector<uint64_t> &pages = used_[vm];
            if (!pages.empty())
                ts_machine_speculate(machine_, vm, cpu, pages[walks_.between(0, pages.size() - 1)]);
        }
        if (step.kind == TS_STEP_TOUCH)
            note(step.group > 0 ? step.group - 1 : 0, step.start);
    }
    void note(uint32_t vm, uint64_t va)
    {
        std::vector<uint64_t> &pages = used_[vm];
        if (!pages.empty() && pages.back() == va)
            return;
        if (pages.size() == pages_kept)
            pages.erase(pages.begin());
        pages.push_back(va);
    }
    ts_time put_off(const ts_step &step)
    {
        const ts_time late = late_by(step, count_++);
        if (steps_) {
            steps_->push_back(step);
            steps_->back().now += late; // when it is done
        }
        return late;
    }
    ts_time late_by(const ts_step &step, uint32_t number)
    {
        for (; next_ < c_.put_off.size() && c_.put_off[next_].step <= number; next_++)
            if (c_.put_off[next_].step == number && !c_.put_off[next_].preempts)
                return c_.put_off[next_++].ps;
        // Messages are late by the interconnect's jitter; a run may end before one that is later.
        if (step.kind == TS_STEP_MESSAGE || !stalls_.comes())
            return 0;
        return stalls_.between(c_.stall_ps / 2, c_.stall_ps + c_.stall_ps / 2);
    }

    static constexpr size_t pages_kept = 12;
    const CheckCase &c_;
    std::vector<ts_step> *steps_;
    Chance stalls_, walks_;
    uint32_t count_ = 0;
    size_t next_ = 0;
    ts_machine *machine_ = nullptr;
    uint32_t vcpus_ = 0;
    std::vector<std::vector<uint64_t>> used_; // by VM, the last is the latest
};

// A thread of the host on each pCPU, which takes it when the case says so, and sleeps until then.
class Preemptions
{
  public:
    Preemptions(ts_machine *machine, const CheckCase &c, uint64_t pcpus)
    {
        for (uint32_t p = 0; p < pcpus; p++) {
            streams_.emplace_back();
            Stream &s = streams_.back();
            s.base.next = next;
            for (const PutOff &put_off : c.put_off)
                if (put_off.preempts && put_off.pcpu == p)
                    s.times.push_back({put_off.at, put_off.ps});
            add_host_thread(machine, "preemption", p, &s.base);
        }
    }

  private:
    struct Stream {
        ts_host_stream base{};                           // first: the host hands back its address
        std::vector<std::pair<ts_time, uint64_t>> times; // from, for
        size_t at = 0;
        bool awake = false;
    };
    static void sleep(ts_task *self, const ts_host_op *op)
    {
        const ts_time now = ts_task_now(self);
        if (op->start > now)
            ts_task_sleep(self, op->start - now);
    }
    static int next(ts_host_stream *stream, ts_host_op *op, ts_error *)
    {
        Stream *s = reinterpret_cast<Stream *>(stream);
        *op = {};
        if (s->awake) {
            op->kind = TS_HOST_KERNEL;
            op->amount = s->times[s->at++].second;
            s->awake = false;
            return 1;
        }
        op->kind = TS_HOST_CODE;
        op->code = sleep;
        op->start = s->at < s->times.size() ? s->times[s->at].first : 10 * TS_S;
        s->awake = s->at < s->times.size();
        return 1;
    }
    std::list<Stream> streams_;
};

struct Counts {
    CaseResult *result;
    static void add(void *user, const ts_stat_table *table, const void *base)
    {
        CaseResult *r = static_cast<Counts *>(user)->result;
        if (table == &ts_oracle_stat_table) {
            const auto *stats = static_cast<const struct ts_oracle_stats *>(base);
            r->counts.hits += stats->hits_checked;
            r->counts.in_window += stats->hits_in_window;
        } else if (table == &ts_mmu_stat_table) {
            const auto *stats = static_cast<const struct ts_mmu_stats *>(base);
            r->counts.invalidations += stats->invalidations;
            r->counts.in_vain += stats->invalidations_empty;
        }
    }
};

// Each number, hexadecimal or not, is one '#'.
std::string without_numbers(const std::string &text)
{
    std::string out;
    bool within = false;
    for (const char c : text) {
        const bool digit = c >= '0' && c <= '9';
        const bool more = within && ((c >= 'a' && c <= 'f') || c == 'x' || c == '.');
        if (!digit && !more)
            out += c;
        else if (!within)
            out += '#';
        within = digit || more;
    }
    return out;
}

} // namespace

const char *finding_name(FindingKind kind)
{
    switch (kind) {
    case FindingKind::None:
        return "none";
    case FindingKind::Stale:
        return "stale translation";
    case FindingKind::Generation:
        return "tlb_gen ahead of its flush";
    case FindingKind::FreedMemory:
        return "memory freed before its flush";
    case FindingKind::FreedTable:
        return "freed page table";
    case FindingKind::BreakBeforeMake:
        return "break-before-make";
    case FindingKind::Initiator:
        return "initiator does not return";
    case FindingKind::Starved:
        return "vCPU does not run";
    case FindingKind::Deadlock:
        return "deadlock";
    case FindingKind::NoProgress:
        return "no progress";
    case FindingKind::Crash:
        return "broken invariant";
    case FindingKind::Other:
        break;
    }
    return "other";
}

CaseResult run_case(const CheckCase &c, CaseWatcher *watcher, std::vector<ts_step> *steps)
{
    const ts_machine_config config = case_config(c);
    std::list<ScriptWorkload> scripts;
    std::unique_ptr<Interruptions> interruptions; // outlive the machine, as do the scripts
    std::unique_ptr<Preemptions> preemptions;
    std::unique_ptr<VmmThread> vmm;
    StepCounter counter(c, steps);
    std::vector<ts_machine_vm> vms;
    std::unique_ptr<ts_machine, MachineDelete> machine;
    for (uint32_t v = 0; v < config.run.vms; v++) {
        ScriptWorkload::Watcher watches;
        if (watcher)
            watches = [&machine, watcher, v](uint32_t thread, size_t index) {
                watcher->operation(ts_engine_now(ts_machine_engine(machine.get())), v, thread,
                                   index);
            };
        scripts.emplace_back(c.script, c.initial, watches);
        vms.push_back(
            {scripts.back().get(), c.mechanism, c.params.empty() ? nullptr : c.params.data()});
    }
    ts_error err{};
    ts_machine *made = nullptr;
    if (ts_machine_create(&made, &config, vms.data(), c.seed, &err) == TS_ERR_USER)
        throw CaseRefused(err);
    if (err.status != TS_OK)
        throw Error(err);
    machine.reset(made);
    if (watcher)
        watch(made, watcher);
    if (c.noise_every_ps)
        interruptions = std::make_unique<Interruptions>(made, c, config, scripts);
    if (!c.vmm.empty())
        vmm = std::make_unique<VmmThread>(made, c, watcher);
    if (c.watched || c.stall_steps || c.walk_steps) {
        counter.set_machine(made, static_cast<uint32_t>(config.run.vms),
                            static_cast<uint32_t>(guest_cpus(config)));
        ts_machine_set_steps(made, StepCounter::on_step, &counter);
    }
    if (c.watched) {
        if (config.hypervisor.kind != TS_HYP_NONE)
            preemptions = std::make_unique<Preemptions>(made, c, pcpus_of(config));
    }
    if (ts_machine_start(made, &err) != TS_OK)
        throw Error(err);
    ts_machine_run(made);
    CaseResult result;
    const ts_status status = ts_machine_finish(made, &err);
    // What a guest or the hardware refuses in the course of a run, the case has not asked for.
    if (status == TS_ERR_ENVIRONMENT)
        throw Error(err);
    if (status != TS_OK) {
        result.message = err.message;
        result.kind = kind_of(result.message);
    }
    struct ts_machine_result numbers;
    ts_machine_result(made, &numbers);
    result.counts.shootdowns = numbers.shootdowns;
    Counts counts{&result};
    ts_machine_visit_stats(made, Counts::add, &counts);
    return result;
}

namespace
{

// What the process says at its end; after it comes the message.
struct Answer {
    uint32_t size; // of the message
    FindingKind kind;
    bool failed; // by an error that is no finding: the message is its text
    CaseCounts counts;
};

void put_all(int to, const void *data, size_t size)
{
    const char *at = static_cast<const char *>(data);
    while (size > 0) {
        const ssize_t n = write(to, at, size);
        if (n <= 0)
            _exit(1);
        at += n;
        size -= static_cast<size_t>(n);
    }
}

[[noreturn]] void answer(const CheckCase &c, int to, int errors)
{
    Answer head{};
    std::string message;
    dup2(errors, STDERR_FILENO);
    try {
        const CaseResult result = run_case(c);
        message = result.message;
        head = {0, result.kind, false, result.counts};
    } catch (const std::exception &error) {
        message = error.what();
        head.failed = true;
    }
    head.size = static_cast<uint32_t>(message.size());
    put_all(to, &head, sizeof head);
    put_all(to, message.data(), message.size());
    _exit(0);
}

std::string read_all(int from)
{
    std::string text;
    char buffer[4096];
    ssize_t n;
    while ((n = read(from, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        text.append(buffer, static_cast<size_t>(std::max<ssize_t>(n, 0)));
    close(from);
    return text;
}

} // namespace

bool same_finding(const CaseResult &a, const CaseResult &b)
{
    if (a.kind != b.kind)
        return false;
    return (a.kind != FindingKind::Crash && a.kind != FindingKind::Other) ||
           without_numbers(a.message) == without_numbers(b.message);
}

CaseResult run_case_apart(const CheckCase &c)
{
    int answers[2], errors[2];
    if (pipe(answers) != 0 || pipe(errors) != 0)
        environment_error(std::string("cannot make a pipe: ") + std::strerror(errno));
    const pid_t pid = fork();
    if (pid < 0)
        environment_error(std::string("cannot start a process: ") + std::strerror(errno));
    if (pid == 0)
        answer(c, answers[1], errors[1]);
    close(answers[1]);
    close(errors[1]);
    // Both are far smaller than a pipe holds.
    const std::string said = read_all(answers[0]);
    std::string complaint = read_all(errors[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    Answer head{};
    if (said.size() < sizeof head) {
        complaint = complaint.substr(0, complaint.find('\n'));
        const std::string how = WIFSIGNALED(status)
                                    ? "signal " + std::to_string(WTERMSIG(status))
                                    : "exit code " + std::to_string(WEXITSTATUS(status));
        CaseResult result;
        result.kind = FindingKind::Crash;
        result.message =
            "the simulator ended with " + how + (complaint.empty() ? "" : ": " + complaint);
        return result;
    }
    std::memcpy(&head, said.data(), sizeof head);
    if (head.failed)
        environment_error(said.substr(sizeof head));
    return {head.kind, said.substr(sizeof head), head.counts};
}

} // namespace ts
