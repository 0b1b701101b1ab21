/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/host_noise.h"

enum { ASLEEP, WORKING, FLUSHING, STEPS };

static int noise_next(struct ts_host_stream *stream, struct ts_host_op *op, struct ts_error *err)
{
    struct ts_host_noise *n = TS_CONTAINER_OF(stream, struct ts_host_noise, stream);
    const struct ts_host_noise_params *p = &n->params;
    (void)err;
    *op = (struct ts_host_op){0};
    for (;;) {
        uint32_t step = n->step;
        n->step = (step + 1) % STEPS;
        if (step == ASLEEP) {
            op->kind = TS_HOST_SLEEP;
            op->amount = ts_rng_exponential(&n->rng, p->every_ps);
            return 1;
        }
        if (step == WORKING && p->work_ps) {
            op->kind = TS_HOST_KERNEL;
            op->amount = ts_rng_exponential(&n->rng, p->work_ps);
            return 1;
        }
        if (step == FLUSHING && p->vm != TS_HOST_NO_VM) {
            op->kind = TS_HOST_FLUSH;
            op->vm = p->vm == TS_HOST_ALL_VMS ? (uint32_t)ts_rng_below(&n->rng, n->nvms) : p->vm;
            return 1;
        }
    }
}

void ts_host_noise_init(struct ts_host_noise *n, const struct ts_host_noise_params *params,
                        uint32_t nvms, uint64_t seed, uint64_t instance)
{
    TS_ASSERT(params->every_ps >= TS_NS && params->every_ps <= TS_S && params->work_ps <= TS_S);
    TS_ASSERT(nvms > 0);
    *n = (struct ts_host_noise){.stream = {noise_next}, .params = *params, .nvms = nvms};
    ts_rng_init(&n->rng, seed, "host_noise", instance);
}
