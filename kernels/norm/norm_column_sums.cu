// SPDX-License-Identifier: Apache-2.0
/// dgamma[f] += Σ_rows dy·(x − mean)·rstd, dbeta[f] += Σ_rows dy. Blocks and order as in column_sums.cuh. Bytes per
/// element: 4 read. Numerics: f32, fixed order. Source: the derivative of LayerNorm.
#include "kernels/common/column_sums.cuh"
#include "kernels/norm/norm.hpp"

namespace dsr::kernels {
namespace {

template <bool Aligned>
__global__ void __launch_bounds__(kTileThreads)
    norm_column_sums_kernel(bf16_t const* dy, bf16_t const* x, float const* statistics, float* partials, index_t rows,
                            index_t features) {
  sum_tile<2>(rows, features, partials, [&](index_t row, index_t column, int width, float (&values)[2][kVector]) {
    float const mean = statistics[2 * row], rstd = statistics[2 * row + 1];
    index_t const at = row * features + column;
    float v[kVector] = {};
    if (Aligned) {
      load(x + at, v);
      load(dy + at, values[1]);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        v[i] = i < width ? to_float(x[at + i]) : 0;
        values[1][i] = i < width ? to_float(dy[at + i]) : 0;
      }
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[0][i] = values[1][i] * (v[i] - mean) * rstd;
  });
}

}  // namespace

void norm_column_sums(bf16_t const* dy, bf16_t const* x, float const* statistics, float* dgamma, float* dbeta,
                      void* partials, index_t rows, index_t features, stream_t stream) {
  auto* const parts = static_cast<float*>(partials);
  dim3 const grid = tile_grid(rows, features);
  if (features % kVector == 0) {
    norm_column_sums_kernel<true><<<grid, kTileThreads, 0, stream>>>(dy, x, statistics, parts, rows, features);
  } else {
    norm_column_sums_kernel<false><<<grid, kTileThreads, 0, stream>>>(dy, x, statistics, parts, rows, features);
  }
  auto const slices = static_cast<int>(grid.y);
  add_partials(parts, dgamma, slices, features, stream);
  add_partials(parts + static_cast<index_t>(slices) * features, dbeta, slices, features, stream);
}

}  // namespace dsr::kernels
