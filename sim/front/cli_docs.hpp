// SPDX-License-Identifier: Apache-2.0
// What is made of the command line itself, so that it cannot say anything else: the completion for
// bash and the manual page.
#ifndef TS_SIM_FRONT_CLI_DOCS_HPP
#define TS_SIM_FRONT_CLI_DOCS_HPP

#include <string>

namespace CLI
{
class App;
}

namespace ts
{

// A script for `source`. Words are subcommands, options and their choices, topics of `list`, and
// else files.
std::string bash_completion(const CLI::App &app);
// In roff, for section 1.
std::string man_page(const CLI::App &app);

} // namespace ts

#endif
