// SPDX-License-Identifier: Apache-2.0
#include "sim/front/paths.hpp"

#include "install_paths.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <set>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

bool ends_with(const std::string &text, const std::string &end)
{
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_file(const fs::path &path)
{
    std::error_code code;
    return fs::exists(path, code) && !fs::is_directory(path, code);
}

fs::path folder_of(const Place &place)
{
    // A place on the command line is no file: its paths are relative to the current folder.
    if (place.file.empty() || !is_file(place.file))
        return ".";
    return fs::path(place.file).parent_path();
}

// Relative to folder and without leading dots, if path lies in it.
bool relative_inside(const fs::path &path, const fs::path &folder, std::string *out)
{
    const fs::path relative = path.lexically_relative(folder);
    if (relative.empty() || *relative.begin() == ".." || relative == ".")
        return false;
    *out = relative.generic_string();
    return true;
}

// Of the file that holds this code: the program, or the library that another program has loaded.
fs::path code_folder()
{
    Dl_info info;
    std::error_code code;
    if (dladdr(reinterpret_cast<const void *>(&program_folder), &info) == 0 || !info.dli_fname)
        return {};
    return fs::canonical(info.dli_fname, code).parent_path();
}

} // namespace

std::string program_folder()
{
    std::error_code code;
    const fs::path program = fs::read_symlink("/proc/self/exe", code);
    if (code)
        environment_error("cannot find the running program: " + code.message());
    return program.parent_path().string();
}

Paths::Paths(const std::string &experiment)
{
    std::error_code code;
    std::vector<fs::path> candidates;
    if (const char *given = std::getenv("TLBSTORM_CONFIGS"))
        candidates.emplace_back(given);
    if (!experiment.empty())
        for (fs::path up = fs::absolute(experiment, code).lexically_normal().parent_path();
             up.has_relative_path(); up = up.parent_path())
            if (up.filename() == "configs")
                candidates.push_back(up);
    candidates.emplace_back("configs");
    const fs::path program = program_folder(), library = code_folder();
    candidates.push_back(program / ".." / ".." / "configs");
    candidates.push_back(program / TS_DATA_FROM_BIN / "configs");
    if (!library.empty() && library != program) {
        candidates.push_back(library / ".." / ".." / "configs");
        candidates.push_back(library / TS_DATA_FROM_LIB / "configs");
    }
    for (const fs::path &candidate : candidates) {
        const fs::path root = fs::canonical(candidate, code);
        if (code || !fs::is_directory(root, code))
            continue;
        if (std::find(roots_.begin(), roots_.end(), root.string()) == roots_.end())
            roots_.push_back(root.string());
    }
}

std::string Paths::piece(const std::string &folder, const std::string &name,
                         const Place &named_at) const
{
    if (name.find('/') != std::string::npos || ends_with(name, ".yaml"))
        return file(name, named_at);
    for (const std::string &root : roots_) {
        const fs::path path = fs::path(root) / folder / (name + ".yaml");
        if (is_file(path))
            return path.string();
    }
    const std::string singular = folder.substr(0, folder.size() - 1);
    std::string where;
    for (const std::string &root : roots_)
        where += (where.empty() ? "" : ", ") + root;
    user_error(named_at, "no " + singular + " '" + name + "'" + did_you_mean(name, names(folder)) +
                             " in " +
                             (where.empty() ? "any configs folder (none was found)" : where));
}

std::string Paths::file(const std::string &name, const Place &named_at, bool or_folder) const
{
    std::vector<fs::path> folders{folder_of(named_at), "."};
    for (const std::string &root : roots_)
        folders.push_back(fs::path(root).parent_path());
    std::error_code code;
    for (const fs::path &folder : folders) {
        const fs::path path = (folder / name).lexically_normal();
        if (is_file(path) || (or_folder && fs::is_directory(path, code)))
            return path.string();
    }
    if (fs::is_directory(folders[0] / name, code))
        user_error(named_at, "'" + name + "' is a folder, not a file");
    user_error(named_at, "no such file: " + name);
}

std::string Paths::label(const std::string &path) const
{
    std::error_code code;
    const fs::path real = fs::canonical(path, code);
    if (code)
        return path;
    for (const std::string &root : roots_) {
        std::string relative;
        if (relative_inside(real, fs::path(root).parent_path(), &relative))
            return relative;
    }
    return real.string();
}

std::vector<std::string> Paths::names(const std::string &folder) const
{
    std::set<std::string> found;
    for (const std::string &root : roots_) {
        std::error_code code;
        for (fs::directory_iterator it(fs::path(root) / folder, code), end; !code && it != end;
             it.increment(code))
            if (it->path().extension() == ".yaml")
                found.insert(it->path().stem().string());
    }
    return {found.begin(), found.end()};
}

} // namespace ts
