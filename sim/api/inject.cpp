// SPDX-License-Identifier: Apache-2.0
#include "sim/api/inject.hpp"

#include "sim/front/error.hpp"

#include <cstddef>
#include <string>
#include <type_traits>

namespace ts_api
{
namespace
{

constexpr uint64_t page = 4096;

ts_op_kind kind_of(tlbstorm_op_kind kind)
{
    switch (kind) {
    case TLBSTORM_MMAP:
        return TS_OP_MMAP;
    case TLBSTORM_MUNMAP:
        return TS_OP_MUNMAP;
    case TLBSTORM_MPROTECT:
        return TS_OP_MPROTECT;
    case TLBSTORM_MADVISE_DONTNEED:
        return TS_OP_MADVISE_DONTNEED;
    case TLBSTORM_TOUCH:
        return TS_OP_TOUCH;
    case TLBSTORM_COMPUTE:
        return TS_OP_COMPUTE;
    case TLBSTORM_SLEEP:
        return TS_OP_SLEEP;
    }
    ts::user_error(ts::Place(), "inject: there is no operation " + std::to_string(kind));
}

bool has_region(tlbstorm_op_kind kind)
{
    return kind != TLBSTORM_COMPUTE && kind != TLBSTORM_SLEEP && kind != TLBSTORM_MMAP;
}

void check_pages(const char *what, uint64_t value)
{
    if (value % page != 0)
        ts::user_error(ts::Place(), std::string("inject: the ") + what + " " +
                                        std::to_string(value) + " is not of whole pages of 4 KiB");
}

ts_op translate(const tlbstorm_op &op, uint32_t vcpu)
{
    ts_op out = {};
    out.kind = kind_of(op.kind);
    out.thread = vcpu;
    out.region = op.region;
    out.offset = op.offset;
    out.length = op.length;
    out.prot = TS_PROT_READ | (op.read_only ? 0 : TS_PROT_WRITE);
    if (op.kind == TLBSTORM_MMAP)
        out.flags = TS_OPF_ANONYMOUS;
    if (op.kind == TLBSTORM_TOUCH) {
        out.flags = op.write ? TS_OPF_WRITE : 0;
        out.stride = page;
        out.count = op.length / page;
        out.length = 0;
    }
    return out;
}

} // namespace

Injector::Injector(uint32_t vcpus) : base_(), threads_(vcpus)
{
    base_.next = next;
    base_.destroy = destroy;
    base_.initial_threads = vcpus;
    base_.pinned = true;
}

ts_workload *Injector::create(uint32_t vcpus)
{
    return &(new Injector(vcpus))->base_;
}

void Injector::destroy(ts_workload *workload)
{
    delete of(workload);
}

// Runs on a fiber, and throws nothing.
int Injector::next(ts_workload *workload, uint32_t thread, ts_op *op, ts_error *)
{
    static_assert(std::is_standard_layout_v<ts_workload>, "see of()");
    Injector *self = of(workload);
    Thread &t = self->threads_[thread];
    t.busy = !t.queue.empty();
    if (t.busy) {
        *op = t.queue.front();
        t.queue.pop_front();
        return 1;
    }
    if (self->closed_)
        return 0;
    const uint64_t since = ts_engine_now(self->engine_) % TLBSTORM_INJECT_SLICE_PS;
    *op = ts_op();
    op->kind = TS_OP_COMPUTE;
    op->thread = thread;
    op->length = (TLBSTORM_INJECT_SLICE_PS - since + TS_NS - 1) / TS_NS;
    return 1;
}

void Injector::push(uint32_t vcpu, tlbstorm_op *op)
{
    if (closed_)
        ts::user_error(ts::Place(), "inject: the machine has been closed");
    if (vcpu >= threads_.size())
        ts::user_error(ts::Place(), "inject: there is no vCPU " + std::to_string(vcpu) +
                                        "; the VM has " + std::to_string(threads_.size()));
    ts_op out = translate(*op, vcpu);
    if (op->kind == TLBSTORM_MMAP) {
        check_pages("length", op->length);
        if (op->length == 0)
            ts::user_error(ts::Place(), "inject: a mapping of 0 bytes");
        out.region = static_cast<uint32_t>(regions_.size());
        threads_[vcpu].queue.push_back(out);
        regions_.push_back(op->length);
        op->region = out.region;
        return;
    }
    if (has_region(op->kind)) {
        if (op->region >= regions_.size())
            ts::user_error(ts::Place(), "inject: there is no region " + std::to_string(op->region));
        check_pages("offset", op->offset);
        check_pages("length", op->length);
        const uint64_t bytes = regions_[op->region];
        if (op->offset > bytes || op->length > bytes - op->offset || op->length == 0)
            ts::user_error(ts::Place(), "inject: [" + std::to_string(op->offset) + ", +" +
                                            std::to_string(op->length) + ") is not in region " +
                                            std::to_string(op->region) + " of " +
                                            std::to_string(bytes) + " bytes");
    }
    threads_[vcpu].queue.push_back(out);
}

} // namespace ts_api
