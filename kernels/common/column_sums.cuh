// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sums over the rows of a matrix without atomics: each block adds up a slice of the rows for a tile of columns, in
/// order, and writes partial sums; a second kernel adds those in order. The same bits every time.
///
/// A block owns 256 columns (32 lanes × 8) and every 8·slices-th row of its slice. Partials: [slices, columns] f32.
#include "kernels/common/device.cuh"

namespace dsr::kernels {

inline constexpr int kTileColumns = 256, kTileRows = 8, kTileThreads = 32 * kTileRows;

/// Slices of the rows: enough blocks to fill the GPU, few enough that partials are a small part of the traffic.
inline int row_slices(index_t rows, index_t features) {
  index_t const tiles = (features + kTileColumns - 1) / kTileColumns;
  index_t const wanted = (132 * 4 + tiles - 1) / tiles, most = (rows + 31) / 32;
  return static_cast<int>(wanted < 1 ? 1 : wanted < most ? wanted : most < 1 ? 1 : most);
}

/// Calls item(row, column, width, values) for each of the block's rows, where values [Results][8] receives what is added
/// for columns [column, column + width); then writes the partial sums. `vectors`: features is a multiple of 8.
template <int Results, class Item>
__device__ void sum_tile(index_t rows, index_t features, float* partials, Item&& item) {
  __shared__ float shared[Results][kTileRows][kTileColumns];
  int const lane = static_cast<int>(threadIdx.x) % 32, row_lane = static_cast<int>(threadIdx.x) / 32;
  index_t const column = static_cast<index_t>(blockIdx.x) * kTileColumns + lane * kVector;
  int const width = static_cast<int>(column >= features ? 0 : features - column < kVector ? features - column : kVector);
  float sums[Results][kVector] = {};
  if (width > 0) {
    for (index_t row = static_cast<index_t>(blockIdx.y) * kTileRows + row_lane; row < rows;
         row += static_cast<index_t>(gridDim.y) * kTileRows) {
      float values[Results][kVector] = {};
      item(row, column, width, values);
#pragma unroll
      for (int r = 0; r < Results; ++r) {
#pragma unroll
        for (int i = 0; i < kVector; ++i) sums[r][i] += values[r][i];
      }
    }
  }
#pragma unroll
  for (int r = 0; r < Results; ++r) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) shared[r][row_lane][lane * kVector + i] = sums[r][i];
  }
  __syncthreads();
  index_t const mine = static_cast<index_t>(blockIdx.x) * kTileColumns + threadIdx.x;
  if (mine >= features) return;
#pragma unroll
  for (int r = 0; r < Results; ++r) {
    float sum = 0;
    for (int k = 0; k < kTileRows; ++k) sum += shared[r][k][threadIdx.x];
    partials[(static_cast<index_t>(r) * gridDim.y + blockIdx.y) * features + mine] = sum;
  }
}

inline dim3 tile_grid(index_t rows, index_t features) {
  return {static_cast<unsigned>((features + kTileColumns - 1) / kTileColumns),
          static_cast<unsigned>(row_slices(rows, features))};
}

/// sums [features] += Σ over slices of partials, in order. Null sums are left out.
void add_partials(float const* partials, float* sums, int slices, index_t features, stream_t stream);

}  // namespace dsr::kernels
