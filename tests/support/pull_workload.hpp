/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a generator, without a machine. */
#ifndef TS_TESTS_SUPPORT_PULL_WORKLOAD_HPP
#define TS_TESTS_SUPPORT_PULL_WORKLOAD_HPP

#include <memory>
#include <stdexcept>
#include <vector>

#include "workloads/workload.h"

namespace ts_test
{

struct DestroyWorkload {
    void operator()(ts_workload *w) const
    {
        w->destroy(w);
    }
};
using WorkloadPtr = std::unique_ptr<ts_workload, DestroyWorkload>;

/* P: the kind's parameter struct. */
template <typename P> P workload_defaults(const char *kind)
{
    P p{};
    ts_param_defaults(ts_workload_kind_find(kind)->ops.params, &p);
    return p;
}

inline WorkloadPtr make_workload(const char *kind, const void *params, uint64_t seed = 1,
                                 uint64_t instance = 0)
{
    ts_error err{};
    ts_workload *w = nullptr;
    ts_workload_config config{params, seed, instance, nullptr};
    if (ts_workload_kind_find(kind)->create(&w, &config, &err) != TS_OK)
        throw std::runtime_error(err.message);
    return WorkloadPtr(w);
}

/* At most `most` of them. */
inline std::vector<ts_op> pull(ts_workload *w, uint32_t thread, size_t most = SIZE_MAX)
{
    ts_error err{};
    std::vector<ts_op> ops;
    ts_op op;
    while (ops.size() < most && w->next(w, thread, &op, &err) == 1)
        ops.push_back(op);
    return ops;
}

} // namespace ts_test
#endif
