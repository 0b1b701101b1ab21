// SPDX-License-Identifier: Apache-2.0
#include "sim/front/jobs.hpp"

#include "sim/front/output.hpp"
#include "sim/front/progress.hpp"
#include "sim/front/study.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <poll.h>
#include <sched.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <type_traits>
#include <unistd.h>

namespace ts
{
namespace
{

static_assert(std::is_trivially_copyable<MachineSummary>::value, "it is sent through a pipe");

std::string pack(const RunSummary &summary)
{
    std::string bytes(reinterpret_cast<const char *>(&summary.machine), sizeof summary.machine);
    bytes.append(reinterpret_cast<const char *>(summary.counters.data()),
                 summary.counters.size() * sizeof(uint64_t));
    return bytes;
}

// False if the bytes are not what pack gives for a run of the experiment.
bool unpack(RunSummary *summary, const Experiment &experiment, const char *bytes, size_t size)
{
    summary->counters.resize(experiment.study ? study_words(*experiment.study) : 0);
    const size_t rest = summary->counters.size() * sizeof(uint64_t);
    if (size != sizeof summary->machine + rest)
        return false;
    std::memcpy(&summary->machine, bytes, sizeof summary->machine);
    if (rest > 0)
        std::memcpy(summary->counters.data(), bytes + sizeof summary->machine, rest);
    return true;
}

volatile std::sig_atomic_t caught_signal = 0;

extern "C" void on_signal(int signal)
{
    caught_signal = signal;
}

const int signals[] = {SIGINT, SIGTERM, SIGHUP};

class SignalGuard
{
  public:
    SignalGuard()
    {
        struct sigaction action;
        std::memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < TS_ARRAY_LEN(signals); i++)
            sigaction(signals[i], &action, &before_[i]);
        caught_signal = 0;
    }
    ~SignalGuard()
    {
        restore();
    }
    void restore() const
    {
        for (size_t i = 0; i < TS_ARRAY_LEN(signals); i++)
            sigaction(signals[i], &before_[i], nullptr);
    }

  private:
    struct sigaction before_[TS_ARRAY_LEN(signals)];
};

using Clock = std::chrono::steady_clock;

struct Child {
    pid_t pid;
    int pipe; // its message
    size_t point;
    Clock::time_point begin;
    bool late;           // it was ended for that
    std::string message; // as far as it has come
};

void write_all(int pipe, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(pipe, bytes, size);
        if (n < 0 && errno != EINTR)
            return;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? static_cast<size_t>(n) : 0;
    }
}

// First byte: the status. Then the summary if it is TS_OK, else the message. Takes no memory: that
// may be what is missing.
void send(int pipe, int status, std::string_view content)
{
    const char first = static_cast<char>(status);
    write_all(pipe, &first, 1);
    write_all(pipe, content.data(), content.size());
}

void child_main(int pipe, const Experiment &experiment, const Point &point,
                const RunOptions &options, const std::string &folder)
{
    try {
        send(pipe, TS_OK, pack(run_point(experiment, point, options, folder)));
    } catch (const Error &error) {
        send(pipe, error.status(), error.what());
    } catch (const std::bad_alloc &) {
        send(pipe, TS_ERR_ENVIRONMENT, "not enough memory");
    } catch (const std::exception &error) {
        send(pipe, TS_ERR_ENVIRONMENT, error.what());
    }
}

class Pool
{
  public:
    Pool(const Experiment &experiment, const std::vector<Point> &points, const JobsOptions &options,
         const std::string &folder)
        : experiment_(experiment), points_(points), options_(options), folder_(folder),
          results_(points.size()), progress_(points.size(), options.quiet)
    {
        TS_ASSERT(options.stored.empty() || options.stored.size() == points.size());
        for (size_t i = 0; i < options.stored.size(); i++) {
            if (options.stored[i].state != StoredState::Done)
                continue;
            results_[i] = options.stored[i].summary;
            done_++;
        }
        progress_.begin(done_);
    }

    ~Pool()
    {
        for (const Child &child : children_)
            kill(child.pid, SIGKILL);
        for (const Child &child : children_) {
            while (waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR)
                continue;
            close(child.pipe);
        }
    }

    std::vector<RunSummary> run()
    {
        while (done_ < points_.size()) {
            start_some();
            wait();
            end_late();
            if (caught_signal != 0)
                throw Interrupted{caught_signal, done_ - failed_, points_.size()};
        }
        sort_failures();
        return std::move(results_);
    }

  private:
    void start_some()
    {
        for (; next_ < points_.size() && children_.size() < options_.jobs; next_++)
            if (options_.stored.empty() || options_.stored[next_].state != StoredState::Done)
                start();
    }

    void start()
    {
        int ends[2];
        if (pipe(ends) != 0)
            system_error("cannot make a", "pipe");
        const pid_t parent = getpid();
        std::fflush(nullptr);
        const pid_t pid = fork();
        if (pid < 0)
            system_error("cannot start a", "process");
        if (pid == 0) {
            // If the parent is killed, nothing of the run may stay behind.
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(TS_ERR_ENVIRONMENT);
            guard_.restore();
            close(ends[0]);
            child_main(ends[1], experiment_, points_[next_], options_.run, folder_);
            _exit(0);
        }
        close(ends[1]);
        children_.push_back(Child{pid, ends[0], next_, Clock::now(), false, ""});
        progress_.update(done_, points_[next_].folder);
    }

    // Their pipes end, and they are told as failed then.
    void end_late()
    {
        if (options_.timeout_s <= 0)
            return;
        for (Child &child : children_) {
            const std::chrono::duration<double> age = Clock::now() - child.begin;
            if (child.late || age.count() < options_.timeout_s)
                continue;
            child.late = true;
            kill(child.pid, SIGKILL);
        }
    }

    // Until a child has said something or a while has passed.
    void wait()
    {
        std::vector<pollfd> polled;
        for (const Child &child : children_)
            polled.push_back(pollfd{child.pipe, POLLIN, 0});
        if (poll(polled.data(), polled.size(), 200) > 0)
            for (size_t i = polled.size(); i-- > 0;)
                if (polled[i].revents != 0)
                    listen(i);
        progress_.tick();
    }

    void listen(size_t index)
    {
        char buffer[4096];
        Child &child = children_[index];
        const ssize_t n = read(child.pipe, buffer, sizeof buffer);
        if (n > 0)
            child.message.append(buffer, static_cast<size_t>(n));
        if (n > 0 || (n < 0 && errno == EINTR))
            return;
        // The end of the pipe: the child has ended.
        const Child ended = child;
        int status = 0;
        children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
        close(ended.pipe);
        while (waitpid(ended.pid, &status, 0) < 0 && errno == EINTR)
            continue;
        finish(ended, status);
    }

    void finish(const Child &child, int wait_status)
    {
        const Point &point = points_[child.point];
        const std::string &message = child.message;
        if (!message.empty() && message[0] == TS_OK && WIFEXITED(wait_status) &&
            unpack(&results_[child.point], experiment_, message.data() + 1, message.size() - 1)) {
            failure_remove(folder_, point);
            done_++;
            progress_.update(done_, point.folder);
            if (options_.on_done)
                options_.on_done();
            return;
        }
        if (caught_signal != 0)
            throw Interrupted{caught_signal, done_ - failed_, points_.size()};
        fail(child, child.late ? late(point) : failure(point, message, wait_status));
        done_++;
        progress_.update(done_, point.folder);
    }

    void fail(const Child &child, const Error &error)
    {
        const Point &point = points_[child.point];
        const std::string again = options_.reproduce(point);
        if (!options_.failures) {
            Error told = error;
            told.add_line("reproduce: " + again);
            throw told;
        }
        failed_++;
        results_[child.point] = RunSummary();
        results_[child.point].failed = true;
        options_.failures->push_back(Failure{&point, error});
        std::error_code code;
        std::filesystem::remove_all(partial_of(folder_, point, options_.run, child.pid), code);
        failure_write(folder_, experiment_, point,
                      FailureRecord{point.folder, error.exit_code(), error.message(), again});
    }

    // In the order of points, whatever the order in which they ended; and no folder is left that
    // holds nothing.
    void sort_failures()
    {
        if (!options_.failures)
            return;
        std::sort(options_.failures->begin(), options_.failures->end(),
                  [](const Failure &a, const Failure &b) { return a.point < b.point; });
        for (const Failure &failure : *options_.failures)
            remove_empty_folders(folder_, failure.point->folder);
    }

    Error late(const Point &point) const
    {
        return Error(TS_ERR_ENVIRONMENT, Place(),
                     point.folder + ": not finished after " + number(options_.timeout_s) +
                         " s (--timeout)");
    }

    static Error failure(const Point &point, const std::string &message, int wait_status)
    {
        const std::string where = point.folder + ": ";
        if (WIFSIGNALED(wait_status)) {
            const int signal = WTERMSIG(wait_status);
            if (signal == SIGKILL)
                return Error(TS_ERR_ENVIRONMENT, Place(),
                             where + "the run was killed; is there enough memory?");
            Error error(TS_ERR_ENVIRONMENT, Place(),
                        where + "the run died of signal " + std::to_string(signal) +
                            ": a bug of tlbstorm");
            error.set_exit_code(128 + signal);
            return error;
        }
        if (message.empty())
            return Error(TS_ERR_ENVIRONMENT, Place(), where + "the run ended without a word");
        const auto status = static_cast<ts_status>(message[0]);
        return Error(status, Place(), where + message.substr(1));
    }

    const Experiment &experiment_;
    const std::vector<Point> &points_;
    const JobsOptions &options_;
    const std::string &folder_;
    SignalGuard guard_;
    std::vector<RunSummary> results_;
    std::vector<Child> children_;
    Progress progress_;
    size_t next_ = 0; // to be started
    size_t done_ = 0; // failed ones too
    size_t failed_ = 0;
};

} // namespace

unsigned available_cpus()
{
    // Machines with more CPUs than cpu_set_t holds need a larger set.
    for (int size = CPU_SETSIZE; size <= 1 << 20; size *= 2) {
        cpu_set_t *set = CPU_ALLOC(size);
        if (!set)
            break;
        const size_t bytes = CPU_ALLOC_SIZE(size);
        const bool got = sched_getaffinity(0, bytes, set) == 0;
        const int count = got ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return static_cast<unsigned>(count);
        if (errno != EINVAL)
            break;
    }
    return 1;
}

std::vector<RunSummary> run_all(const Experiment &experiment, const std::vector<Point> &points,
                                const JobsOptions &options, const std::string &folder)
{
    Pool pool(experiment, points, options, folder);
    return pool.run();
}

} // namespace ts
