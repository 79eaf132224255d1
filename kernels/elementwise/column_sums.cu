// SPDX-License-Identifier: Apache-2.0
/// sums[f] += Σ_rows x[row, f]. Blocks and order as in column_tiles.cuh. Bytes per element: 2 read.
/// Numerics: f32, fixed order. Source: own.
#include "kernels/common/column_sums.cuh"
#include "kernels/common/column_tiles.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

/// A block adds 64 columns of one set of partials: 16 lines of threads take every 16th slice, then
/// line 0 adds the lines in order.
__global__ void __launch_bounds__(1024)
    add_partials_kernel(float const* partials, float* first, float* second, int slices,
                        index_t features) {
  __shared__ float shared[16][64];
  float* const sums = blockIdx.y == 0 ? first : second;
  if (sums == nullptr) return;
  int const lane = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
  index_t const column = static_cast<index_t>(blockIdx.x) * 64 + lane;
  float const* const from = partials + static_cast<index_t>(blockIdx.y) * slices * features;
  float sum = 0;
  if (column < features) {
#pragma unroll 8
    for (int s = line; s < slices; s += 16) sum += from[s * features + column];
  }
  shared[line][lane] = sum;
  __syncthreads();
  if (line != 0 || column >= features) return;
  float total = 0;
#pragma unroll
  for (int k = 0; k < 16; ++k) total += shared[k][lane];
  sums[column] += total;
}

template <bool Aligned>
__global__ void __launch_bounds__(kSumThreads)
    column_sums_kernel(bf16_t const* x, ColumnSums out, index_t rows, index_t features) {
  sum_columns(
      out, rows, features, [&](index_t at, int width) { return read<Aligned>(x + at, width); },
      [&](index_t, int, uint4 in, float(&values)[kVector]) { unpack(in, values); });
}

}  // namespace

void add_partials(float const* partials, float* first, float* second, int slices, index_t features,
                  stream_t stream) {
  dim3 const blocks{static_cast<unsigned>((features + 63) / 64), 2};
  add_partials_kernel<<<blocks, dim3{64, 16}, 0, stream>>>(partials, first, second, slices,
                                                           features);
}

index_t column_sum_bytes(index_t rows, index_t features, int columns) {
  return SumGrid{rows, features}.bytes(columns);
}

index_t column_sum_counters(index_t features) { return (features + kColumns - 1) / kColumns; }

void add_column_sums(bf16_t const* x, float* sums, SumMemory memory, index_t rows, index_t features,
                     stream_t stream) {
  SumGrid const grid{rows, features};
  ColumnSums const out{static_cast<float*>(memory.partials), memory.counters, sums};
  if (features % kVector == 0 && aligned({x})) {
    column_sums_kernel<true><<<grid.blocks(), kSumThreads, 0, stream>>>(x, out, rows, features);
  } else {
    column_sums_kernel<false><<<grid.blocks(), kSumThreads, 0, stream>>>(x, out, rows, features);
  }
}

}  // namespace dsr::kernels
