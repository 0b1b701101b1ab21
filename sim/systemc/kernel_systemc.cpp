// SPDX-License-Identifier: Apache-2.0
#include "sim/front/kernel.hpp"
#include "sim/systemc/host.hpp"

namespace ts
{

KernelRun systemc_kernel()
{
    return systemc_run;
}

} // namespace ts
