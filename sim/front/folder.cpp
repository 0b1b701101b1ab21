// SPDX-License-Identifier: Apache-2.0
#include "sim/front/folder.hpp"

#include "sim/front/error.hpp"
#include "sim/front/output.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// Says that tlbstorm wrote a folder, and so may replace it.
const char marker[] = ".tlbstorm";

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
    if (!is_ours(path_))
        user_error(Place(), path_ + " was not written by tlbstorm, so --force does not replace it");
}

// False if the folder has changed its name in between.
bool OutputFolder::lock()
{
    lock_ = ::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0) {
        if (errno == ENOENT)
            return false;
        system_error("cannot open", partial_);
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
        user_error(Place(), partial_ + ": another tlbstorm is writing there");
    struct stat by_name, by_lock;
    if (::stat(partial_.c_str(), &by_name) == 0 && ::fstat(lock_, &by_lock) == 0 &&
        by_name.st_ino == by_lock.st_ino && by_name.st_dev == by_lock.st_dev)
        return true;
    ::close(lock_);
    lock_ = -1;
    return false;
}

void OutputFolder::open()
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
        ::close(lock_);
        lock_ = -1;
        user_error(Place(), partial_ + " exists and was not written by tlbstorm");
    }
    for (const fs::directory_entry &old : fs::directory_iterator(partial_))
        if (old.path().filename() != marker)
            fs::remove_all(old.path());
    write_file(partial_ + "/" + marker, "tlbstorm results, schema 1\n");
}

void OutputFolder::commit()
{
    check();
    if (is_missing_or_empty(path_)) {
        if (std::rename(partial_.c_str(), path_.c_str()) != 0)
            system_error("cannot make", path_);
    } else if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) ==
               0) {
        fs::remove_all(partial_);
    } else {
        // No exchange on this file system: there is a moment without the folder, but never half
        // of one.
        fs::remove_all(path_);
        if (std::rename(partial_.c_str(), path_.c_str()) != 0)
            system_error("cannot make", path_);
    }
    ::close(lock_);
    lock_ = -1;
}

OutputFolder::~OutputFolder()
{
    if (lock_ < 0)
        return;
    std::error_code code;
    fs::remove_all(partial_, code);
    ::close(lock_);
}

} // namespace ts
