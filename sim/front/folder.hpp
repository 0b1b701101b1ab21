// SPDX-License-Identifier: Apache-2.0
// The folder that an experiment is written to. Everything goes into `<folder>.partial`, which takes
// the folder's name only at the end. The process that writes there holds a lock on it (flock), so
// that a folder which a killed run has left is told from one that is being written. The file
// .tlbstorm in the folder lists what tlbstorm wrote: the rest is somebody else's and stays.
#ifndef TS_SIM_FRONT_FOLDER_HPP
#define TS_SIM_FRONT_FOLDER_HPP

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace ts
{

class OutputFolder
{
  public:
    // Checks only: an existing folder that is not empty is a user error, unless force is given and
    // tlbstorm wrote it.
    OutputFolder(const std::string &path, bool force);
    // Removes what is not committed, unless it is to be kept.
    ~OutputFolder();
    OutputFolder(const OutputFolder &) = delete;
    OutputFolder &operator=(const OutputFolder &) = delete;

    // Which folders of a partial folder, by their names in it, stay when a run goes on there.
    using Keeper = std::function<std::set<std::string>(const std::string &partial)>;
    // Makes the partial folder and locks it; what a killed run has left there is removed, but for
    // the folders of `keeper`. A user error, and nothing is touched, if another process writes it;
    // likewise if keeper throws.
    void open(const Keeper &keeper = nullptr);
    // From here on the partial folder stays when it is not committed.
    void keep()
    {
        keep_ = true;
    }
    // Where to write until commit.
    const std::string &partial() const
    {
        return partial_;
    }
    const std::string &path() const
    {
        return path_;
    }
    // Gives the folder its name, atomically. Files of a folder that it replaces which tlbstorm did
    // not write are taken over.
    void commit();
    // The same for results of which a part is missing: they replace no complete ones, but stand
    // beside them in `<folder>.incomplete`. Returns where they are.
    std::string commit_incomplete();

  private:
    void check() const;
    bool lock();
    void unlock();
    void place(const std::string &target);

    std::string path_;
    std::string partial_;
    std::string incomplete_;
    bool force_;
    bool keep_ = false;
    int lock_ = -1; // of the partial folder; processes that are forked hold it too
};

// A folder of results that is written in place: points appear in it one by one.
class SweepFolder
{
  public:
    // Checks only: an existing folder that is not empty and that tlbstorm has not written is a user
    // error.
    explicit SweepFolder(const std::string &path);
    ~SweepFolder();
    SweepFolder(const SweepFolder &) = delete;
    SweepFolder &operator=(const SweepFolder &) = delete;

    // Makes the folder and locks it, against all others, and removes what dead processes have left
    // half-written; a user error if another process writes there.
    void open_alone();
    // Locks it against those that want it alone.
    void open_shared();

    // Removes what dead processes have left half-written, if no other process has the folder.
    void clean();

    // What is not complete, by its path.
    static std::vector<std::string> partials(const std::string &folder);

  private:
    // False if another process has it.
    bool lock(int operation);

    std::string path_;
    int lock_ = -1;
};

// Brings the list of what tlbstorm has written up to date.
void mark_files(const std::string &folder);

} // namespace ts

#endif
