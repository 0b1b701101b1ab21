// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_sweep.hpp"

#include "sim/front/output.hpp"

#include <boost/process.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

namespace ts
{
namespace
{

namespace fs = std::filesystem;
namespace process = boost::process;

// A program's standard output. What it says on standard error is the user's to read.
std::string output_of(const std::vector<std::string> &words)
{
    const boost::filesystem::path program = process::search_path(words[0]);
    if (program.empty())
        environment_error("--launcher slurm: " + words[0] +
                          " is not there; it is one of Slurm's programs (slurm-client)");
    try {
        process::ipstream output;
        process::child child(
            program, process::args(std::vector<std::string>(words.begin() + 1, words.end())),
            process::std_out > output);
        const std::string text(std::istreambuf_iterator<char>(output), {});
        child.wait();
        if (child.exit_code() != 0)
            environment_error("--launcher slurm: " + words[0] + " has failed");
        return text;
    } catch (const process::process_error &error) {
        environment_error("cannot run " + words[0] + ": " + error.code().message());
    }
}

// Indices of an array are below it.
size_t max_array_size()
{
    const std::string text = output_of({"scontrol", "show", "config"});
    const size_t at = text.find("MaxArraySize");
    const size_t digits = at == std::string::npos ? at : text.find_first_of("0123456789", at);
    size_t size = 0;
    if (digits == std::string::npos ||
        std::from_chars(text.data() + digits, text.data() + text.size(), size).ec != std::errc() ||
        size < 2)
        environment_error("scontrol show config does not tell MaxArraySize");
    return size;
}

// --parsable: "17" or "17;cluster".
std::string job_of(const std::string &text)
{
    const std::string job = text.substr(0, text.find_first_of(";\n"));
    if (job.empty() || job.find_first_not_of("0123456789") != std::string::npos)
        environment_error("sbatch tells no job: " + text);
    return job;
}

// A folder of its own for each submission: tasks of an earlier one may still wait.
std::string submission_folder(const std::string &folder)
{
    fs::create_directories(folder + "/slurm");
    for (size_t n = 1;; n++) {
        const std::string name = folder + "/slurm/" + std::to_string(n);
        if (fs::create_directory(name))
            return fs::absolute(name).string();
    }
}

std::string script_head()
{
    return "#!/bin/sh\ncd " + shell_word(fs::current_path().string()) + " || exit 3\n";
}

struct Submission {
    const SweepCommand &command;
    std::string name;   // of the jobs
    std::string folder; // of the submission
    size_t tasks = 0;
    size_t per_array = 0;

    std::vector<std::string> options(const std::string &log) const
    {
        std::vector<std::string> words{"sbatch", "--parsable", "--job-name=" + name,
                                       "--output=" + folder + "/" + log};
        words.insert(words.end(), command.sbatch.begin(), command.sbatch.end());
        return words;
    }

    // Tasks first to first + n - 1 of the list of tasks. A task whose node dies is put back.
    std::string submit_array(size_t first, size_t n) const
    {
        std::vector<std::string> words = options(std::to_string(first) + "-%a.log");
        words.push_back("--requeue");
        words.push_back("--open-mode=append");
        words.push_back("--cpus-per-task=" + std::to_string(command.run.jobs));
        words.push_back("--array=0-" + std::to_string(n - 1));
        words.push_back(folder + "/task.sh");
        words.push_back(std::to_string(first));
        return job_of(output_of(words));
    }

    std::string submit_collector(const std::vector<std::string> &jobs) const
    {
        std::string after = "--dependency=afterany";
        for (const std::string &job : jobs)
            after += ":" + job;
        std::vector<std::string> words = options("collect.log");
        words.push_back(after);
        words.push_back(folder + "/collect.sh");
        return job_of(output_of(words));
    }
};

void write_tasks(const Submission &submission, const std::vector<std::string> &ids, size_t chunk,
                 const std::string &sweep_folder)
{
    for (size_t task = 0; task < submission.tasks; task++) {
        std::string text;
        for (size_t i = task * chunk; i < std::min(ids.size(), (task + 1) * chunk); i++)
            text += ids[i] + "\n";
        write_file(submission.folder + "/points-" + std::to_string(task), text);
    }
    const std::string worker = worker_command(submission.command, sweep_folder);
    write_file(submission.folder + "/task.sh",
               script_head() + "task=$(($1 + SLURM_ARRAY_TASK_ID))\nexec " + worker + " --jobs " +
                   std::to_string(submission.command.run.jobs) + " --points-from " +
                   shell_word(submission.folder) + "/points-\"$task\"\n");
    write_file(submission.folder + "/collect.sh",
               script_head() + "exec " + shell_word(fs::read_symlink("/proc/self/exe").string()) +
                   " collect " + shell_word(fs::absolute(sweep_folder).string()) + "\n");
}

} // namespace

std::string slurm_submit(const SweepCommand &command, const std::string &folder,
                         const std::vector<std::string> &ids)
{
    Submission submission{command, "tlbstorm-" + fs::absolute(folder).filename().string(), "", 0,
                          max_array_size() - 1};
    const size_t fewest = (ids.size() + submission.per_array - 1) / submission.per_array;
    const size_t chunk = command.chunk > 0 ? command.chunk : fewest;
    submission.tasks = (ids.size() + chunk - 1) / chunk;
    submission.folder = submission_folder(folder);
    write_tasks(submission, ids, chunk, folder);
    std::vector<std::string> jobs;
    for (size_t first = 0; first < submission.tasks; first += submission.per_array)
        jobs.push_back(submission.submit_array(
            first, std::min(submission.per_array, submission.tasks - first)));
    const std::string collector = submission.submit_collector(jobs);
    std::string text = std::to_string(ids.size()) + " points in " +
                       std::to_string(submission.tasks) + " tasks: job";
    for (const std::string &job : jobs)
        text += " " + job;
    return text + "; job " + collector + " collects. `tlbstorm status " + folder +
           "` says how far they are, `squeue` and " + submission.folder + " the rest.\n";
}

} // namespace ts
