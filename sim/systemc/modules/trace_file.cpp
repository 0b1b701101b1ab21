// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/trace_file.hpp>

#include "sim/systemc/modules/support.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>

namespace tlbstorm
{
namespace
{

// "$date", what stands there, "$end"; in the header only.
void replace_section(std::string *text, const std::string &keyword, const std::string &by)
{
    const size_t start = text->find(keyword);
    const size_t end = start == std::string::npos ? start : text->find("$end", start);
    if (end != std::string::npos)
        text->replace(start, end - start, keyword + "\n     " + by + "\n");
}

} // namespace

trace_file::trace_file(const std::string &name)
    : path_(name + ".vcd"), file_(sc_core::sc_create_vcd_trace_file(name.c_str()))
{
    // SystemC tells of the unit on standard output (I703), which says nothing here.
    const sc_core::sc_actions before = sc_core::sc_report_handler::suppress(sc_core::SC_DISPLAY);
    file_->set_time_unit(1, sc_core::SC_PS);
    sc_core::sc_report_handler::suppress(before);
}

trace_file::~trace_file()
{
    if (file_)
        close();
}

void trace_file::close()
{
    sc_core::sc_close_vcd_trace_file(file_);
    file_ = nullptr;
    std::stringstream buffer;
    buffer << std::ifstream(path_, std::ios::binary).rdbuf();
    std::string text = buffer.str();
    replace_section(&text, "$date", "(none)");
    replace_section(&text, "$version", "tlbstorm");
    const std::string partial = path_ + ".partial";
    std::ofstream out(partial, std::ios::binary);
    out << text;
    out.close();
    if (!out || std::rename(partial.c_str(), path_.c_str()) != 0)
        report_error("/tlbstorm/trace", "cannot write " + path_);
}

} // namespace tlbstorm
