// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Eight bf16 as the 16 bytes in which they travel, so that a thread can have several of them in
/// flight before it unpacks the first; and the shapes of grids that walk a matrix with them.
///
///     uint4 in[4];                                   // loads first …
///     for (int k = 0; k < 4; ++k) in[k] = read<Aligned>(x + at[k], width);
///     for (int k = 0; k < 4; ++k) { unpack(in[k], v); …; write<Aligned>(y + at[k], pack(v), …); }
///
/// Aligned: rows are whole vectors at multiples of 16 bytes. Otherwise elements go one by one.
#include <initializer_list>

#include "kernels/common/device.cuh"

namespace dsr::kernels {

/// Elements [0, width) from an address without alignment; the rest is zero.
__device__ inline uint4 read_elements(bf16_t const* from, int width) {
  unsigned words[4] = {};
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    if (i < width) words[i / 2] |= static_cast<unsigned>(from[i]) << i % 2 * 16;
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

__device__ inline void write_elements(bf16_t* to, uint4 bits, int width) {
  unsigned const words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    if (i < width) to[i] = static_cast<bf16_t>(words[i / 2] >> i % 2 * 16);
  }
}

/// What is read once: first to leave the caches.
template <bool Aligned>
__device__ uint4 read(bf16_t const* from, int width) {
  if constexpr (Aligned)
    return __ldcs(reinterpret_cast<uint4 const*>(from));
  else
    return read_elements(from, width);
}

/// What many blocks read, and no kernel that runs now writes: a row of weights.
template <bool Aligned>
__device__ uint4 read_shared(bf16_t const* from, int width) {
  if constexpr (Aligned)
    return __ldg(reinterpret_cast<uint4 const*>(from));
  else
    return read_elements(from, width);
}

/// What the next kernel is likely to read.
template <bool Aligned>
__device__ void write(bf16_t* to, uint4 bits, int width) {
  if constexpr (Aligned)
    __stcg(reinterpret_cast<uint4*>(to), bits);  // L1 would not be read
  else
    write_elements(to, bits, width);
}

/// What nothing reads soon.
template <bool Aligned>
__device__ void write_away(bf16_t* to, uint4 bits, int width) {
  if constexpr (Aligned)
    __stcs(reinterpret_cast<uint4*>(to), bits);
  else
    write_elements(to, bits, width);
}

/// True if each of these addresses is a multiple of 16 bytes.
inline bool aligned(std::initializer_list<void const*> addresses) {
  for (void const* address : addresses) {
    if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0) return false;
  }
  return true;
}

/// A block of 256 threads takes kFlight rows for each of its lines: threads.x vectors of a row
/// wide.
inline constexpr int kFlight = 4;

struct RowGrid {
  dim3 blocks, threads;
};

inline RowGrid row_grid(index_t rows, index_t features) {
  index_t const vectors = (features + kVector - 1) / kVector;
  unsigned lanes = 32;
  while (lanes < 256 && lanes < vectors) lanes *= 2;
  unsigned const lines = 256 / lanes;
  index_t const groups = (rows + lines * kFlight - 1) / (lines * kFlight);
  constexpr index_t kMost = 65535;  // blocks along y
  return {{static_cast<unsigned>((vectors + lanes - 1) / lanes),
           static_cast<unsigned>(groups < kMost ? groups : kMost)},
          {lanes, lines}};
}

/// The thread's part of a RowGrid: one column of vectors, and rows in groups of kFlight.
///
///     RowWalk walk{rows, features};
///     if (walk.width > 0) for (; walk.more(); walk.next()) … walk.has(k), walk.row(k), walk.at(k)
struct RowWalk {
  index_t rows, features, column, first;
  int width;

  __device__ RowWalk(index_t all_rows, index_t all_features)
      : rows(all_rows),
        features(all_features),
        column((static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kVector),
        first(static_cast<index_t>(blockIdx.y) * blockDim.y * kFlight + threadIdx.y) {
    index_t const left = features - column;
    width = static_cast<int>(left < 0 ? 0 : left < kVector ? left : kVector);
  }
  __device__ bool more() const { return first < rows; }
  __device__ void next() { first += static_cast<index_t>(gridDim.y) * blockDim.y * kFlight; }
  __device__ index_t row(int k) const { return first + static_cast<index_t>(k) * blockDim.y; }
  __device__ bool has(int k) const { return row(k) < rows; }
  __device__ index_t at(int k) const { return row(k) * features + column; }
};

}  // namespace dsr::kernels
