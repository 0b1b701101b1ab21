// SPDX-License-Identifier: Apache-2.0
// Any text as an experiment: it is refused as a user error with a place, or it is resolved, and
// then the resolved text resolves to itself.
#include "sim/front/experiment.hpp"

#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace
{

const char file[] = "fuzz.yaml";

void round_trip(const ts::Experiment &experiment)
{
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    TS_ASSERT(!points.empty());
    const ts::Point &point = points.back();
    const ts::Resolved resolved = ts::resolve(experiment, point);
    ts_error error;
    if (!experiment.study && ts_machine_check(&resolved.config, point.mechanism, &error) != TS_OK) {
        TS_ASSERT(error.status == TS_ERR_USER);
    }
    // The resolved text of a trace's replay names the trace, which was not opened.
    if (experiment.workload && experiment.workload->ops.needs_file)
        return;
    const std::string text = ts::resolved_yaml(experiment, point, resolved);
    const ts::Experiment again = ts::experiment_parse(text, file, {}, false);
    const std::vector<ts::Point> one = ts::experiment_points(again);
    TS_ASSERT(one.size() == 1);
    TS_ASSERT(ts::resolved_yaml(again, one[0], ts::resolve(again, one[0])) == text);
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const std::string text(reinterpret_cast<const char *>(data), size);
    try {
        const ts::Experiment experiment = ts::experiment_parse(text, file, {}, false);
        // Many seeds are many points, and no other ones.
        if (experiment.repetitions <= 10)
            round_trip(experiment);
    } catch (const ts::Error &error) {
        TS_ASSERT(error.status() == TS_ERR_USER);
        TS_ASSERT(std::strlen(error.what()) > 0);
    }
    return 0;
}
