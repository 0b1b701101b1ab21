// SPDX-License-Identifier: Apache-2.0
#include "sim/front/kernel.hpp"

namespace ts
{

KernelRun systemc_kernel()
{
    return nullptr;
}

} // namespace ts
