// SPDX-License-Identifier: Apache-2.0
#include "sim/front/folder.hpp"

#include "sim/front/error.hpp"
#include "sim/front/output.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// Says that tlbstorm wrote a folder, and so may replace it, and which files of it.
const char marker[] = ".tlbstorm";
const char marker_head[] = "tlbstorm results, schema 1\n";

bool is_ours(const fs::path &folder)
{
    std::error_code code;
    return fs::is_regular_file(folder / marker, code);
}

bool is_missing_or_empty(const fs::path &folder)
{
    std::error_code code;
    if (!fs::exists(fs::symlink_status(folder, code)))
        return true;
    return fs::is_directory(folder, code) && fs::is_empty(folder, code);
}

bool is_folder(const fs::directory_entry &entry)
{
    return entry.is_directory() && !entry.is_symlink();
}

// Paths of all files, one a line, behind the marker's head.
std::string list_files(const fs::path &folder)
{
    std::set<std::string> files;
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder))
        if (!is_folder(entry))
            files.insert(entry.path().lexically_relative(folder).string());
    std::string text = marker_head;
    for (const std::string &file : files)
        text += file + "\n";
    return text;
}

// What list_files said, with the folders above each file. Empty: no list, the folder is of a
// version that kept none.
std::set<std::string> read_list(const fs::path &folder)
{
    std::set<std::string> ours;
    std::ifstream file(folder / marker);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line))
        for (fs::path path = line; !path.empty(); path = path.parent_path())
            ours.insert(path.string());
    return ours;
}

// A folder that is a name and an inode; replaced in between, it is another.
bool same_folder(const std::string &path, int descriptor)
{
    struct stat by_name, by_descriptor;
    return ::stat(path.c_str(), &by_name) == 0 && ::fstat(descriptor, &by_descriptor) == 0 &&
           by_name.st_ino == by_descriptor.st_ino && by_name.st_dev == by_descriptor.st_dev;
}

// False if another process has it. The runs of a process that has just been killed hold its lock
// until they are gone, too: so long is waited, and not longer.
bool lock_descriptor(int descriptor, const std::string &path, int operation = LOCK_EX | LOCK_NB)
{
    constexpr int tries = 50;
    constexpr auto pause = std::chrono::milliseconds(20);
    for (int i = 0; ::flock(descriptor, operation) != 0; i++) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            system_error("cannot lock", path);
        if (i >= tries)
            return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

// Hard links, so that whenever the program is killed the files are where they were.
void keep_others(const fs::path &from, const fs::path &to)
{
    const std::set<std::string> ours = read_list(from);
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(from)) {
        const fs::path name = entry.path().lexically_relative(from);
        if (ours.count(name.string()) > 0)
            continue;
        if (is_folder(entry)) {
            fs::create_directories(to / name);
            continue;
        }
        fs::path target = to / name;
        while (fs::exists(fs::symlink_status(target)))
            target += ".kept";
        fs::create_directories(target.parent_path());
        std::error_code code;
        fs::create_hard_link(entry.path(), target, code);
        if (code)
            fs::copy(entry.path(), target, fs::copy_options::copy_symlinks);
    }
}

// All of a folder but the folders `kept`, those above them, and the marker.
void remove_others(const fs::path &folder, const std::set<std::string> &kept)
{
    std::set<std::string> above;
    for (const std::string &name : kept)
        for (fs::path path = fs::path(name).parent_path(); !path.empty(); path = path.parent_path())
            above.insert(path.string());
    std::vector<fs::path> others;
    for (auto at = fs::recursive_directory_iterator(folder);
         at != fs::recursive_directory_iterator(); ++at) {
        const std::string name = at->path().lexically_relative(folder).string();
        if (above.count(name) > 0 && is_folder(*at))
            continue;
        at.disable_recursion_pending();
        if (name != marker && kept.count(name) == 0)
            others.push_back(at->path());
    }
    for (const fs::path &other : others)
        fs::remove_all(other);
}

} // namespace

OutputFolder::OutputFolder(const std::string &path, bool force) : force_(force)
{
    fs::path normal = fs::path(path).lexically_normal();
    if (!normal.has_filename())
        normal = normal.parent_path();
    if (normal.empty() || normal == "." || normal.filename() == "..")
        user_error(Place(), "-o " + path + ": name a folder of its own");
    path_ = normal.string();
    partial_ = path_ + ".partial";
    incomplete_ = path_ + ".incomplete";
    check();
}

void OutputFolder::check() const
{
    if (is_missing_or_empty(path_))
        return;
    std::error_code code;
    if (!fs::is_directory(path_, code))
        user_error(Place(), path_ + " exists and is no folder");
    if (!force_)
        user_error(Place(), path_ + " exists and is not empty; --force replaces it, -o names "
                                    "another");
    for (const std::string &folder : {path_, incomplete_}) {
        if (is_missing_or_empty(folder))
            continue;
        if (!is_ours(folder))
            user_error(Place(),
                       folder + " was not written by tlbstorm, so --force does not replace it");
        if (read_list(folder).empty())
            user_error(Place(), folder + "/" + marker +
                                    " does not list what tlbstorm wrote there, so --force does "
                                    "not replace it; move it away");
    }
}

// False if the folder has changed its name in between.
bool OutputFolder::lock()
{
    const int descriptor = ::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        if (errno == ENOENT)
            return false;
        system_error("cannot open", partial_);
    }
    if (!lock_descriptor(descriptor, partial_)) {
        // It is the other's: the destructor must not remove it.
        ::close(descriptor);
        user_error(Place(), partial_ + ": another tlbstorm is writing there");
    }
    lock_ = descriptor;
    if (same_folder(partial_, lock_))
        return true;
    unlock();
    return false;
}

void OutputFolder::unlock()
{
    if (lock_ >= 0)
        ::close(lock_);
    lock_ = -1;
}

void OutputFolder::open(const Keeper &keeper)
{
    std::error_code code;
    const fs::path parent = fs::path(path_).parent_path();
    if (!parent.empty())
        fs::create_directories(parent, code);
    if (code)
        environment_error("cannot make " + parent.string() + ": " + code.message());
    do {
        if (::mkdir(partial_.c_str(), 0777) != 0 && errno != EEXIST)
            system_error("cannot make", partial_);
    } while (!lock());
    if (!is_missing_or_empty(partial_) && !is_ours(partial_)) {
        unlock();
        user_error(Place(), partial_ + " exists and was not written by tlbstorm");
    }
    std::set<std::string> kept;
    try {
        if (keeper)
            kept = keeper(partial_);
    } catch (...) {
        keep();
        throw;
    }
    remove_others(partial_, kept);
    write_file(partial_ + "/" + marker, marker_head);
}

void OutputFolder::place(const std::string &target)
{
    write_file(partial_ + "/" + marker, list_files(partial_));
    if (is_missing_or_empty(target)) {
        if (std::rename(partial_.c_str(), target.c_str()) != 0)
            system_error("cannot make", target);
        unlock();
        return;
    }
    keep_others(target, partial_);
    // After the exchange the old folder has the partial one's name: nobody may take it for the rest
    // of a killed run before it is gone.
    const int old = ::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (old < 0)
        system_error("cannot open", target);
    const bool exchanged =
        lock_descriptor(old, target) &&
        ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0;
    if (exchanged) {
        fs::remove_all(partial_);
    } else {
        // No exchange on this file system: there is a moment without the folder, but never half
        // of one.
        fs::remove_all(target);
        if (std::rename(partial_.c_str(), target.c_str()) != 0)
            system_error("cannot make", target);
    }
    ::close(old);
    unlock();
}

void OutputFolder::commit()
{
    check();
    place(path_);
}

std::string OutputFolder::commit_incomplete()
{
    check();
    const std::string target = is_missing_or_empty(path_) ? path_ : incomplete_;
    place(target);
    return target;
}

OutputFolder::~OutputFolder()
{
    try {
        if (lock_ >= 0 && !keep_ && same_folder(partial_, lock_))
            fs::remove_all(partial_);
    } catch (const std::exception &) {
        // It stays as the rest of a dead run, which the next one removes.
    }
    unlock();
}

namespace
{

// Not the folder itself: on file systems of other machines (NFS) only what is open for writing can
// be locked against all.
const char lock_name[] = ".lock";

} // namespace

SweepFolder::SweepFolder(const std::string &path) : path_(path)
{
    std::error_code code;
    if (is_missing_or_empty(path_))
        return;
    if (!fs::is_directory(path_, code))
        user_error(Place(), path_ + " exists and is no folder");
    if (!is_ours(path_))
        user_error(Place(), path_ + " was not written by tlbstorm");
}

SweepFolder::~SweepFolder()
{
    if (lock_ >= 0)
        ::close(lock_);
}

bool SweepFolder::lock(int operation)
{
    const std::string name = path_ + "/" + lock_name;
    lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0)
        system_error("cannot open", name);
    return lock_descriptor(lock_, name, operation);
}

void SweepFolder::open_alone()
{
    std::error_code code;
    fs::create_directories(path_, code);
    if (code)
        environment_error("cannot make " + path_ + ": " + code.message());
    if (!is_ours(path_))
        write_file(path_ + "/" + marker, marker_head);
    if (!lock(LOCK_EX | LOCK_NB))
        user_error(Place(), path_ + ": another tlbstorm is writing there");
    for (const std::string &partial : partials(path_))
        fs::remove_all(partial);
}

void SweepFolder::open_shared()
{
    lock(LOCK_SH);
}

void SweepFolder::clean()
{
    // Without the file it is the folder of a `run`, in which nothing is half-written.
    std::error_code code;
    if (!fs::exists(path_ + "/" + lock_name, code) || !lock(LOCK_EX | LOCK_NB))
        return;
    for (const std::string &partial : partials(path_))
        fs::remove_all(partial);
}

std::vector<std::string> SweepFolder::partials(const std::string &folder)
{
    static const std::string end = ".partial";
    std::vector<std::string> found;
    for (auto at = fs::recursive_directory_iterator(folder);
         at != fs::recursive_directory_iterator(); ++at) {
        const std::string name = at->path().filename().string();
        if (!is_folder(*at))
            continue;
        const bool partial = name.size() > end.size() &&
                             name.compare(name.size() - end.size(), end.size(), end) == 0;
        if (partial)
            found.push_back(at->path().string());
        // The folder of a point holds no other.
        if (partial || name.compare(0, 5, "seed=") == 0)
            at.disable_recursion_pending();
    }
    return found;
}

void mark_files(const std::string &folder)
{
    replace_file(folder + "/" + marker, list_files(folder));
}

} // namespace ts
