// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What Range tells a profiler: libdsr/core/cuda/profiler.cpp does, by NVTX, and no_cuda.cpp tells
/// nobody.

namespace dsr::detail {

/// Of the calling thread; nested in the one that it began before.
void begin_range(char const* name) noexcept;
void end_range() noexcept;

}  // namespace dsr::detail
