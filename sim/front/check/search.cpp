// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/search.hpp"

#include "sim/front/error.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ts
{
namespace
{

using Clock = std::chrono::steady_clock;

// What a worker says of a seed; small enough for a pipe to take it whole.
struct Record {
    enum Kind : uint32_t { Ran, Refused, Found, Failed, OutOfTime } kind;
    uint32_t worker;
    uint64_t seed;
    CaseCounts counts;
};

// Between the processes: no case after the lowest seed that has found something need run.
struct Shared {
    std::atomic<uint64_t> lowest;
    std::atomic<uint64_t> at[1]; // by worker: the seed that it runs
};

class SharedPage
{
  public:
    explicit SharedPage(unsigned jobs)
        : bytes_(sizeof(Shared) + jobs * sizeof(std::atomic<uint64_t>))
    {
        void *memory =
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::bad_alloc();
        shared_ = new (memory) Shared();
        shared_->lowest = UINT64_MAX;
    }
    ~SharedPage()
    {
        munmap(shared_, bytes_);
    }
    SharedPage(const SharedPage &) = delete;
    SharedPage &operator=(const SharedPage &) = delete;
    Shared &get()
    {
        return *shared_;
    }

  private:
    size_t bytes_;
    Shared *shared_;
};

Record run_seed(const DrawCase &draw, uint64_t seed)
{
    Record record{Record::Failed, 0, seed, {}};
    const std::optional<CheckCase> c = draw(seed);
    if (!c) {
        record.kind = Record::Refused;
        return record;
    }
    const CaseResult result = run_case(*c);
    record.kind = result.kind == FindingKind::None ? Record::Ran : Record::Found;
    record.counts = result.counts;
    return record;
}

void lower(Shared &shared, uint64_t seed)
{
    uint64_t lowest = shared.lowest;
    while (seed < lowest && !shared.lowest.compare_exchange_weak(lowest, seed)) {
    }
}

// A broken invariant kills the process: its last words are that it has found something.
struct Dying {
    Shared *shared;
    unsigned worker;
    int to;
} dying;

void on_death(int)
{
    const uint64_t seed = dying.shared->at[dying.worker];
    const Record record{Record::Found, dying.worker, seed, {}};
    lower(*dying.shared, seed);
    _exit(write(dying.to, &record, sizeof record) == sizeof record ? 0 : 1);
}

// The stack may be a fiber's, and what is wrong with it the reason.
void prepare_to_die(Shared &shared, unsigned worker, int to)
{
    static char stack[64 * 1024];
    dying = {&shared, worker, to};
    stack_t other{};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action {
    };
    action.sa_handler = on_death;
    action.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        sigaction(signal, &action, nullptr);
    // It is told when the case is run again.
    const int null = open("/dev/null", O_WRONLY);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
}

// Every jobs'th seed. Says what it has done of each; never returns.
[[noreturn]] void work(const DrawCase &draw, const SearchSettings &s, unsigned worker, int to,
                       Shared &shared)
{
    const auto say = [&](Record record) {
        record.worker = worker;
        if (write(to, &record, sizeof record) != sizeof record)
            _exit(1); // nobody listens
    };
    prepare_to_die(shared, worker, to);
    for (uint64_t seed = s.first + worker; seed >= s.first && seed <= s.last; seed += s.jobs) {
        if (seed > shared.lowest)
            break;
        shared.at[worker] = seed;
        if (Clock::now() >= s.until) {
            say({Record::OutOfTime, worker, seed, {}});
            break;
        }
        Record record{Record::Failed, worker, seed, {}};
        try {
            record = run_seed(draw, seed);
        } catch (const CaseRefused &) {
            record.kind = Record::Refused;
        } catch (const std::exception &) {
            // The parent runs it again, and meets the same error.
        }
        say(record);
        if (record.kind == Record::Found || record.kind == Record::Failed) {
            lower(shared, seed);
            break;
        }
        if (UINT64_MAX - seed < s.jobs)
            break;
    }
    _exit(0);
}

class Workers
{
  public:
    Workers(const DrawCase &draw, const SearchSettings &s) : shared_(s.jobs)
    {
        int ends[2];
        if (pipe(ends) != 0)
            environment_error(std::string("cannot make a pipe: ") + std::strerror(errno));
        from_ = ends[0];
        for (unsigned w = 0; w < s.jobs; w++) {
            const pid_t pid = fork();
            if (pid == 0) {
                close(ends[0]);
                work(draw, s, w, ends[1], shared_.get());
            }
            if (pid < 0)
                break;
            pids_.push_back(pid);
        }
        close(ends[1]);
        if (pids_.size() < s.jobs)
            environment_error(std::string("cannot start a process: ") + std::strerror(errno));
    }
    ~Workers()
    {
        close(from_); // whoever still writes gets a signal or an error
        for (const pid_t pid : pids_)
            if (pid > 0) {
                kill(pid, SIGKILL);
                waitpid(pid, nullptr, 0);
            }
    }
    Workers(const Workers &) = delete;
    Workers &operator=(const Workers &) = delete;

    bool read(Record *record)
    {
        ssize_t n;
        do
            n = ::read(from_, record, sizeof *record);
        while (n < 0 && errno == EINTR);
        return n == sizeof *record;
    }
    // All have ended. One that was killed by somebody has not run all of its seeds.
    void wait()
    {
        for (pid_t &pid : pids_) {
            int status = 0;
            waitpid(pid, &status, 0);
            pid = 0;
            if (WIFSIGNALED(status))
                environment_error("a process of the search was killed by signal " +
                                  std::to_string(WTERMSIG(status)));
        }
    }

  private:
    SharedPage shared_;
    int from_ = -1;
    std::vector<pid_t> pids_;
};

} // namespace

SearchResult search(const DrawCase &draw, const SearchSettings &settings)
{
    const auto begin = Clock::now();
    SearchResult result;
    std::vector<Record> records;
    uint64_t lowest = UINT64_MAX, failed = UINT64_MAX;
    Workers workers(draw, settings);
    for (Record record; workers.read(&record);) {
        if (record.kind == Record::OutOfTime)
            result.out_of_time = true;
        else if (record.kind == Record::Found)
            lowest = std::min(lowest, record.seed);
        else if (record.kind == Record::Failed)
            failed = std::min(failed, record.seed);
        records.push_back(record);
    }
    workers.wait();
    if (failed < lowest) {
        try {
            (void)run_seed(draw, failed);
        } catch (Error &error) {
            error.add_line("at seed " + std::to_string(failed));
            throw;
        }
        environment_error("seed " + std::to_string(failed) + " failed once, and not again");
    }
    for (const Record &record : records) {
        if (record.seed > lowest || record.kind == Record::OutOfTime)
            continue;
        result.refused += record.kind == Record::Refused;
        result.runs += record.kind == Record::Ran || record.kind == Record::Found;
        result.counts += record.counts;
    }
    if (lowest != UINT64_MAX)
        result.found = lowest;
    result.out_of_time = result.out_of_time && !result.found;
    result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return result;
}

} // namespace ts
