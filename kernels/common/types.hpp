// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Types in the kernels' plain C++ headers.
#include <cstdint>

struct CUstream_st;

namespace dsr::kernels {

using stream_t = CUstream_st*;     ///< cudaStream_t
using bf16_t = std::uint16_t;      ///< the bits of a bfloat16
using index_t = std::int64_t;      ///< sizes, in elements unless a suffix says otherwise

/// Memory for sums over rows in one kernel: partial sums, and counters that are zero before and
/// after, by which the last block of a tile knows itself.
struct SumMemory {
  void* partials;
  unsigned* counters;
};

}  // namespace dsr::kernels
