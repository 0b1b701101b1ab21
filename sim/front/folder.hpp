// SPDX-License-Identifier: Apache-2.0
// The folder that an experiment is written to. Everything goes into `<folder>.partial`, which takes
// the folder's name only when it is complete: a folder with that name is always a finished one.
#ifndef TS_SIM_FRONT_FOLDER_HPP
#define TS_SIM_FRONT_FOLDER_HPP

#include <string>

namespace ts
{

class OutputFolder
{
  public:
    // Checks only: an existing folder that is not empty is a user error, unless force is given and
    // tlbstorm wrote it.
    OutputFolder(const std::string &path, bool force);
    // Removes what is not committed.
    ~OutputFolder();
    OutputFolder(const OutputFolder &) = delete;
    OutputFolder &operator=(const OutputFolder &) = delete;

    // Makes the partial folder and locks it; what a killed run has left there is removed. A user
    // error if another process writes it.
    void open();
    // Where to write until commit.
    const std::string &partial() const
    {
        return partial_;
    }
    const std::string &path() const
    {
        return path_;
    }
    // Gives the folder its name, atomically.
    void commit();

  private:
    void check() const;
    bool lock();

    std::string path_;
    std::string partial_;
    bool force_;
    int lock_ = -1; // of the partial folder; processes that are forked hold it too
};

} // namespace ts

#endif
