// SPDX-License-Identifier: Apache-2.0
// The axes of a sweep. A key by itself is an axis of its own; keys under `zip` take their values
// side by side; the entries of `list` are combinations that are written out. All axes are
// multiplied.
#ifndef TS_SIM_FRONT_SWEEPS_HPP
#define TS_SIM_FRONT_SWEEPS_HPP

#include "sim/front/document.hpp"

#include <functional>
#include <string>
#include <vector>

namespace ts
{

struct Sweep {
    std::vector<std::string> keys;
    std::vector<std::vector<Setting>> rows; // each with a value a key
    Place place;
};

// The key of that name, or a user error at place.
using KeyFinder = std::function<const Key &(const std::string &name, const Place &place)>;

// The `sweep` of an experiment. Each key is in one axis only, no axis is empty, and none has the
// same row twice; a user error at its place otherwise.
std::vector<Sweep> sweeps_read(const YamlNode &map, const KeyFinder &find);
// --set of a key: where it is in no axis it becomes one; an axis of its own gets these values
// instead; of an axis with other keys the rows with these values stay.
void sweeps_set(std::vector<Sweep> *sweeps, const Key &key, const std::vector<Setting> &values,
                const Place &place);
// Null if the key is in none.
const Sweep *sweep_of(const std::vector<Sweep> &sweeps, const std::string &key);

// The `seeds` of an experiment: numbers and ranges (1..20), each seed once; at most `max_count`.
std::vector<uint64_t> seeds_read(const YamlNode &list, uint64_t max, size_t max_count);

} // namespace ts

#endif
