// SPDX-License-Identifier: Apache-2.0
/// sums[f] += Σ_rows x[row, f]. A block owns a tile of 256 columns and a slice of the rows; bytes per element: 2 read.
/// Numerics: f32, fixed order. Source: own.
#include "kernels/common/column_sums.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

__global__ void add_partials_kernel(float const* partials, float* sums, int slices, index_t features) {
  index_t const f = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (f >= features) return;
  float sum = 0;
  for (int s = 0; s < slices; ++s) sum += partials[static_cast<index_t>(s) * features + f];
  sums[f] += sum;
}

template <bool Aligned>
__global__ void __launch_bounds__(kTileThreads)
    column_sums_kernel(bf16_t const* x, float* partials, index_t rows, index_t features) {
  sum_tile<1>(rows, features, partials, [&](index_t row, index_t column, int width, float (&values)[1][kVector]) {
    bf16_t const* const from = x + row * features + column;
    if (Aligned) {
      load(from, values[0]);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[0][i] = i < width ? to_float(from[i]) : 0;
    }
  });
}

}  // namespace

void add_partials(float const* partials, float* sums, int slices, index_t features, stream_t stream) {
  if (sums == nullptr) return;
  constexpr int kThreads = 256;
  auto const blocks = static_cast<unsigned>((features + kThreads - 1) / kThreads);
  add_partials_kernel<<<blocks, kThreads, 0, stream>>>(partials, sums, slices, features);
}

index_t column_sum_bytes(index_t rows, index_t features, int columns) {
  return static_cast<index_t>(sizeof(float)) * columns * row_slices(rows, features) * features;
}

void add_column_sums(bf16_t const* x, float* sums, void* partials, index_t rows, index_t features, stream_t stream) {
  auto* const parts = static_cast<float*>(partials);
  dim3 const grid = tile_grid(rows, features);
  if (features % kVector == 0) {
    column_sums_kernel<true><<<grid, kTileThreads, 0, stream>>>(x, parts, rows, features);
  } else {
    column_sums_kernel<false><<<grid, kTileThreads, 0, stream>>>(x, parts, rows, features);
  }
  add_partials(parts, sums, static_cast<int>(grid.y), features, stream);
}

}  // namespace dsr::kernels
