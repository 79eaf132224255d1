// SPDX-License-Identifier: Apache-2.0
// NVTX is headers only: without a profiler its first call finds none, and later ones do nothing.
#include "libdsr/core/profiler.hpp"

#include <nvtx3/nvToolsExt.h>

namespace dsr::detail {

void begin_range(char const* name) noexcept { nvtxRangePushA(name); }
void end_range() noexcept { nvtxRangePop(); }

}  // namespace dsr::detail
