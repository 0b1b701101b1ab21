// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli_docs.hpp"

#include "version.h"

#include <CLI/CLI.hpp>

#include <vector>

namespace ts
{
namespace
{

using Apps = std::vector<const CLI::App *>;

Apps subcommands(const CLI::App &app)
{
    return app.get_subcommands([](const CLI::App *) { return true; });
}

// In the order in which they were added.
std::vector<const CLI::Option *> options_of(const CLI::App &app, bool positional)
{
    return app.get_options(
        [&](const CLI::Option *option) { return option->get_positional() == positional; });
}

std::vector<std::string> words_of(const CLI::Option &option)
{
    std::vector<std::string> words;
    for (const std::string &name : option.get_lnames())
        words.push_back("--" + name);
    for (const std::string &name : option.get_snames())
        words.push_back("-" + name);
    return words;
}

// Those of IsMember, which says them in braces; else none.
std::vector<std::string> choices_of(const CLI::Option &option)
{
    const std::string type = option.get_type_name();
    const size_t open = type.find('{'), close = type.find('}');
    std::vector<std::string> choices;
    if (open == std::string::npos || close == std::string::npos)
        return choices;
    for (size_t at = open + 1; at <= close;) {
        const size_t end = std::min(type.find(',', at), close);
        choices.push_back(type.substr(at, end - at));
        at = end + 1;
    }
    return choices;
}

std::string joined(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

// "case" arms of one command: what may follow an option, and what may stand anywhere.
std::string completion_arms(const CLI::App &app, const std::string &path)
{
    std::vector<std::string> words;
    std::string arms;
    for (const CLI::Option *option : options_of(app, false)) {
        const std::vector<std::string> names = words_of(*option);
        words.insert(words.end(), names.begin(), names.end());
        const std::vector<std::string> choices = choices_of(*option);
        for (const std::string &name : choices.empty() ? std::vector<std::string>{} : names)
            arms += "    '" + path + " " + name + "') words='" + joined(choices) + "' ;;\n";
    }
    std::vector<std::string> plain = words;
    for (const CLI::Option *option : options_of(app, true)) {
        const std::vector<std::string> choices = choices_of(*option);
        plain.insert(plain.end(), choices.begin(), choices.end());
    }
    for (const CLI::App *sub : subcommands(app))
        plain.push_back(sub->get_name());
    arms += "    '" + path + " ') words='" + joined(plain) + "' ;;\n";
    for (const CLI::App *sub : subcommands(app))
        arms += completion_arms(*sub, path + "/" + sub->get_name());
    return arms;
}

// Of every command that has others below it, "path/name" for each.
std::string completion_paths(const CLI::App &app, const std::string &path)
{
    std::string text;
    for (const CLI::App *sub : subcommands(app)) {
        const std::string own = path + "/" + sub->get_name();
        text += " " + own + completion_paths(*sub, own);
    }
    return text;
}

// Backslashes, and a dot or quote at the beginning of a line, mean something to roff.
std::string roff(const std::string &text)
{
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
            out += std::string("\\&") + c;
        else
            out += c;
    }
    return out;
}

std::string man_option(const CLI::Option &option)
{
    std::string names;
    for (const std::string &word : words_of(option))
        names += (names.empty() ? "" : ", ") + std::string("\\fB") + roff(word) + "\\fR";
    if (names.empty())
        names = "\\fI" + roff(option.get_name()) + "\\fR";
    else if (option.get_expected_max() > 0 && !option.get_type_name().empty())
        names += " \\fI" + roff(option.get_type_name()) + "\\fR";
    return ".TP\n" + names + "\n" + roff(option.get_description()) + "\n";
}

std::string man_section(const CLI::App &app, const std::string &path)
{
    std::string text;
    for (const CLI::App *sub : subcommands(app)) {
        const std::string own = path + " " + sub->get_name();
        text += ".SS \"" + roff(own);
        for (const CLI::Option *option : options_of(*sub, true))
            text += " " + roff(option->get_name());
        text += "\"\n" + roff(sub->get_description()) + ".\n";
        for (const bool positional : {true, false})
            for (const CLI::Option *option : options_of(*sub, positional))
                if (option != sub->get_help_ptr())
                    text += man_option(*option);
        text += man_section(*sub, own);
    }
    return text;
}

} // namespace

std::string bash_completion(const CLI::App &app)
{
    return "# Completion of tlbstorm for bash: source <(tlbstorm completion bash)\n"
           "_tlbstorm() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local path= words= i paths=' " +
           completion_paths(app, "").substr(1) +
           " '\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        [[ $paths == *\" $path/${COMP_WORDS[i]} \"* ]] && path+=/${COMP_WORDS[i]}\n"
           "    done\n"
           "    case \"$path $before\" in\n" +
           completion_arms(app, "") +
           "    esac\n"
           "    if [ -z \"$words\" ]; then\n"
           "        case \"$path \" in\n" +
           completion_arms(app, "") +
           "        esac\n"
           "    fi\n"
           "    [[ $word == -* || -z $path || $path == */list ]] ||\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "    COMPREPLY+=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -o filenames -F _tlbstorm tlbstorm\n";
}

std::string man_page(const CLI::App &app)
{
    std::string text = ".TH TLBSTORM 1 \"\" \"tlbstorm " TS_VERSION_STRING
                       "\" \"User Commands\"\n.SH NAME\ntlbstorm \\- " +
                       std::string("simulator of TLB coherence in virtualised machines\n") +
                       ".SH SYNOPSIS\n.B tlbstorm\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n"
                       ".SH DESCRIPTION\n" +
                       roff(app.get_description()) + "\n.SH OPTIONS\n";
    for (const CLI::Option *option : options_of(app, false))
        text += man_option(*option);
    text += ".SH COMMANDS\n" + man_section(app, "tlbstorm");
    text += ".SH \"EXIT STATUS\"\n" + roff(app.get_footer()) + "\n";
    text += ".SH ENVIRONMENT\n"
            ".TP\n\\fBTLBSTORM_CONFIGS\\fR\nFolder of machines, hypervisors, guests and "
            "experiments.\n"
            ".TP\n\\fBTLBSTORM_PYTHON\\fR, \\fBTLBSTORM_PYTHON3\\fR\nFolder of the Python package, "
            "and the interpreter, of plot and report.\n";
    return text;
}

} // namespace ts
