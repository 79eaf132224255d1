// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sums over the rows of a matrix in one kernel, without float atomics: each block adds up a slice
/// of the rows for a tile of columns and writes partial sums; the block of a tile that is last to
/// finish adds the partial sums of all slices, always in the same order, whichever block it is. The
/// same bits every time.
///
/// A block owns 256 columns (32 lanes × 8) and every 8·slices-th row, kFlight rows at a time.
/// Partials: [results, slices, columns rounded up to a tile] f32. Counters: one a tile, zero before
/// and after.
#include "kernels/common/vectors.cuh"

namespace dsr::kernels {

inline constexpr int kColumns = 256, kLines = 8, kSumThreads = 32 * kLines;

struct SumGrid {
  index_t tiles, slices;

  SumGrid(index_t rows, index_t features) : tiles((features + kColumns - 1) / kColumns) {
    // Two waves of 4 blocks on each SM of a Hopper GPU, and no block over: 1056 at most.
    index_t const wanted = 132 * 8 / tiles, most = (rows + 31) / 32;
    slices = wanted < most ? wanted : most;
    if (slices < 1) slices = 1;
  }
  dim3 blocks() const { return {static_cast<unsigned>(tiles), static_cast<unsigned>(slices)}; }
  index_t bytes(int results) const {
    return static_cast<index_t>(sizeof(float)) * results * slices * tiles * kColumns;
  }
};

/// True on every thread of the last of `blocks` blocks that come here with one counter. What the
/// others wrote before is visible to it (read it with __ldcg).
__device__ inline bool last_block(unsigned* counter, unsigned blocks) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1U) == blocks - 1;
    if (last) *counter = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}

struct ColumnSums {
  float* partials;
  unsigned* counters;
  float* sums;  // [features], added to
};

/// The block's sums of a tile become partial sums, and the last block's all of them.
__device__ inline void finish_tile(ColumnSums const& out, float const (&sums)[kVector],
                                   index_t features) {
  __shared__ alignas(16) float shared[kLines][kColumns];  // also moved four at a time
  int const thread = static_cast<int>(threadIdx.x), lane = thread % 32, line = thread / 32;
#pragma unroll
  for (int i = 0; i < kVector; ++i) shared[line][lane * kVector + i] = sums[i];
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kLines; ++k) sum += shared[k][thread];
  index_t const pitch = static_cast<index_t>(gridDim.x) * kColumns;
  index_t const column = static_cast<index_t>(blockIdx.x) * kColumns;
  out.partials[blockIdx.y * pitch + column + thread] = sum;
  if (!last_block(out.counters + blockIdx.x, gridDim.y)) return;

  // Four groups of threads take every fourth slice, four columns a thread.
  int const quad = thread % 64, group = thread / 64;
  float4 total = make_float4(0, 0, 0, 0);
  float const* const from = out.partials + column + 4 * quad;
  for (unsigned slice = group; slice < gridDim.y; slice += 4 * kLines) {
    float4 parts[kLines];
#pragma unroll
    for (int k = 0; k < kLines; ++k) {
      unsigned const next = slice + 4 * k;
      parts[k] = next < gridDim.y ? __ldcg(reinterpret_cast<float4 const*>(from + next * pitch))
                                  : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int k = 0; k < kLines; ++k) {
      total.x += parts[k].x;
      total.y += parts[k].y;
      total.z += parts[k].z;
      total.w += parts[k].w;
    }
  }
  *reinterpret_cast<float4*>(&shared[group][4 * quad]) = total;
  __syncthreads();
  if (column + thread >= features) return;
  out.sums[column + thread] +=
      shared[0][thread] + shared[1][thread] + shared[2][thread] + shared[3][thread];
}

/// fetch(at, width) gives what is read of a row's vector; add(at, width, fetched, values) turns it
/// into the values to be summed, and may write. Without out.sums nothing is summed.
template <class Fetch, class Add>
__device__ void sum_columns(ColumnSums const& out, index_t rows, index_t features, Fetch&& fetch,
                            Add&& add) {
  int const lane = static_cast<int>(threadIdx.x) % 32, line = static_cast<int>(threadIdx.x) / 32;
  index_t const column = static_cast<index_t>(blockIdx.x) * kColumns + lane * kVector;
  index_t const left = features - column, step = static_cast<index_t>(gridDim.y) * kLines;
  int const width = static_cast<int>(left < 0 ? 0 : left < kVector ? left : kVector);
  float sums[kVector] = {};
  index_t row = static_cast<index_t>(blockIdx.y) * kLines + line;
  for (; width > 0 && row < rows; row += kFlight * step) {
    decltype(fetch(index_t{}, 0)) fetched[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (row + k * step < rows) fetched[k] = fetch((row + k * step) * features + column, width);
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (row + k * step >= rows) continue;
      float values[kVector];
      add((row + k * step) * features + column, width, fetched[k], values);
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[i] += values[i];
    }
  }
  if (out.sums != nullptr) finish_tile(out, sums, features);
}

}  // namespace dsr::kernels
