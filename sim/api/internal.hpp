// SPDX-License-Identifier: Apache-2.0
// Behind tlbstorm.h: no exception passes its functions.
#ifndef TS_SIM_API_INTERNAL_HPP
#define TS_SIM_API_INTERNAL_HPP

#include "sim/api/tlbstorm.h"
#include "sim/front/experiment.hpp"

#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace ts_api
{

tlbstorm_status fill(tlbstorm_error *err, ts_status status, const ts::Place &place,
                     const std::string &message);
tlbstorm_status fill(tlbstorm_error *err, const ts_error &error);
// Of the exception that is being handled.
tlbstorm_status caught(tlbstorm_error *err);

template <typename Fn> tlbstorm_status guarded(tlbstorm_error *err, const Fn &fn)
{
    try {
        fn();
        return TLBSTORM_OK;
    } catch (...) {
        return caught(err);
    }
}

// What a configuration's machines go on using.
struct Loaded {
    ts::Experiment experiment;
    std::vector<ts::Point> points; // into experiment
};

} // namespace ts_api

struct tlbstorm_config {
    std::shared_ptr<const ts_api::Loaded> loaded;
};

#endif
