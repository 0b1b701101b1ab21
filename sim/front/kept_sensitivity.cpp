// SPDX-License-Identifier: Apache-2.0
#include "sim/front/kept_sensitivity.hpp"

#include "sim/front/yaml.hpp"

#include <boost/tokenizer.hpp>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace ts
{
namespace
{

const char header[] = "result,parameter,mechanism,low,high,elasticity,standard_error";

double number_of(const std::string &path, const std::string &text)
{
    double value = 0;
    if (!parse_number(text, &value))
        environment_error(path + ": '" + text + "' is no number");
    return value;
}

KeptSensitivities read(const std::string &path)
{
    using Fields = boost::tokenizer<boost::escaped_list_separator<char>>;
    KeptSensitivities kept;
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line) || line != header)
        environment_error(path + ": does not begin with '" + header + "'");
    while (std::getline(file, line)) {
        // The quotes of CSV are doubled inside, which no field here has.
        const Fields split(line, boost::escaped_list_separator<char>('\0', ',', '"'));
        const std::vector<std::string> fields(split.begin(), split.end());
        if (fields.size() != 7)
            environment_error(path + ": has not 7 fields: " + line);
        kept[fields[1]].push_back(KeptSensitivity{fields[0], fields[2], fields[3], fields[4],
                                                  number_of(path, fields[5]),
                                                  number_of(path, fields[6])});
    }
    return kept;
}

} // namespace

const char kept_none[] = "none seen";

KeptSensitivities kept_sensitivities(const Paths &paths)
{
    for (const std::string &root : paths.roots()) {
        const std::string path = root + "/sensitivity.csv";
        if (std::filesystem::exists(path))
            return read(path);
    }
    return {};
}

std::string kept_text(const KeptSensitivity &kept)
{
    char text[32];
    std::snprintf(text, sizeof text, "%+.2f", kept.elasticity);
    const bool seen =
        std::fabs(kept.elasticity) > 2 * kept.standard_error && std::fabs(kept.elasticity) >= 0.005;
    return seen ? std::string(text) + " (" + kept.mechanism + ")" : kept_none;
}

} // namespace ts
