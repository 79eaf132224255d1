// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A row held in the registers of a block, and the launch shape for its size.
#include <type_traits>

#include "kernels/common/device.cuh"
#include "kernels/norm/norm.hpp"

namespace dsr::kernels {

inline constexpr int kMostThreads = 512;
static_assert(kMostFeatures == index_t{4} * kVector * kMostThreads);

/// A row as a thread sees it: Pieces groups of 8 features, a block's width apart. Other sizes than multiples of 8 are
/// read one by one.
template <int Pieces, bool Aligned>
struct RowPart {
  index_t features;

  __device__ index_t column(int piece) const {
    return (static_cast<index_t>(piece) * blockDim.x + threadIdx.x) * kVector;
  }
  __device__ bool has(int piece, int i) const { return column(piece) + (Aligned ? 0 : i) < features; }

  /// The part's elements as they lie in memory: half the registers of read(), for what is fetched ahead.
  struct Bits {
    uint4 words[Pieces];
  };

  __device__ Bits fetch(bf16_t const* row) const {
    Bits bits;
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      bits.words[p] = make_uint4(0, 0, 0, 0);
      if constexpr (Aligned) {
        if (has(p, 0)) bits.words[p] = *reinterpret_cast<uint4 const*>(row + column(p));
      } else {
        auto const two = [&](int i) {
          unsigned const low = has(p, i) ? row[column(p) + i] : 0U, high = has(p, i + 1) ? row[column(p) + i + 1] : 0U;
          return low | high << 16;
        };
        bits.words[p] = make_uint4(two(0), two(2), two(4), two(6));
      }
    }
    return bits;
  }

  template <class T>
  __device__ void read(T const* row, float (&x)[Pieces][kVector]) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      if constexpr (Aligned) {
        if (has(p, 0)) {
          load(row + column(p), x[p]);
          continue;
        }
      }
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[p][i] = !Aligned && has(p, i) ? to_float(row[column(p) + i]) : 0.0F;
    }
  }

  template <class T>
  __device__ void write(T* row, float const (&x)[Pieces][kVector]) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      if constexpr (Aligned) {
        if (has(p, 0)) store(row + column(p), x[p]);
      } else {
#pragma unroll
        for (int i = 0; i < kVector; ++i) {
          if (has(p, i)) store_one(row + column(p) + i, x[p][i]);
        }
      }
    }
  }

  /// Calls f(p, i) for the elements that exist.
  template <class F>
  __device__ void each(F&& f) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (has(p, i)) f(p, i);
      }
    }
  }
};

/// Calls launch(Pieces, Aligned as constants, threads) for the smallest shape that holds a row of at most kMostFeatures.
template <class Launch>
void for_row(index_t features, Launch&& launch) {
  index_t const vectors = (features + kVector - 1) / kVector;
  auto const threads_for = [&](int pieces) {
    index_t const threads = ((vectors + pieces - 1) / pieces + 31) / 32 * 32;
    return static_cast<int>(threads < 32 ? 32 : threads);
  };
  auto const with = [&](auto pieces) {
    if (features % kVector == 0) launch(pieces, std::true_type{}, threads_for(pieces));
    else launch(pieces, std::false_type{}, threads_for(pieces));
  };
  if (vectors <= 256) with(std::integral_constant<int, 1>{});
  else if (vectors <= 1024) with(std::integral_constant<int, 2>{});
  else with(std::integral_constant<int, 4>{});
}

}  // namespace dsr::kernels
