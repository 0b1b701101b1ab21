// SPDX-License-Identifier: Apache-2.0
// tlbstorm::trace_file: a VCD file of sc_trace whose bytes depend on the simulation alone. SystemC
// writes the date and its own version into the header; both are replaced when the file is closed.
//
//     tlbstorm::trace_file trace("shootdown"); // shootdown.vcd
//     sc_core::sc_trace(trace, mmu.walks, "mmu0.walks");
//     sc_core::sc_start();
//     trace.close(); // or the destructor, which must run before the simulation's context goes
#ifndef TLBSTORM_TRACE_FILE_HPP
#define TLBSTORM_TRACE_FILE_HPP

#include <string>
#include <systemc>

namespace tlbstorm
{

class trace_file
{
  public:
    // Time unit of the file: 1 ps.
    explicit trace_file(const std::string &name);
    ~trace_file();
    trace_file(const trace_file &) = delete;
    trace_file &operator=(const trace_file &) = delete;

    operator sc_core::sc_trace_file *() const
    {
        return file_;
    }
    // An error of SystemC, message type "/tlbstorm/trace", if the file cannot be written.
    void close();

  private:
    std::string path_;
    sc_core::sc_trace_file *file_;
};

} // namespace tlbstorm

#endif
