// SPDX-License-Identifier: Apache-2.0
/// out = x·factor where the Philox word of (ordinal, position, feature / 4), word feature % 4, is
/// at least threshold, else 0: the same bits as on the host. A thread owns 8 columns, which are two
/// Philox blocks if the first feature is a multiple of 4 and three if not, and walks rows, four in
/// flight. Bytes per element: 4. Source: kernels/common/philox.hpp.
#include "kernels/common/philox.hpp"
#include "kernels/common/vectors.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

/// A row's part of the counter.
struct RowCounter {
  std::uint32_t ordinal, position;
};

/// Words of features [first, first + 4·Groups), first a multiple of 4, of one row.
template <int Groups>
__device__ void draw(Dropout const& mask, RowCounter const& row, index_t first,
                     std::uint32_t (&words)[4 * Groups]) {
#pragma unroll
  for (int g = 0; g < Groups; ++g) {
    PhiloxBlock const bits =
        philox(mask.key_low, mask.key_high,
               {{row.ordinal, row.position, static_cast<std::uint32_t>(first / 4 + g), 0U}});
#pragma unroll
    for (int i = 0; i < 4; ++i) words[4 * g + i] = bits.x[i];
  }
}

/// Aligned: also first_feature is a multiple of 4.
template <bool Aligned>
__global__ void __launch_bounds__(256)
    dropout_kernel(bf16_t const* x, bf16_t* out, Dropout mask, index_t rows, index_t features) {
  RowWalk walk{rows, features};
  if (walk.width == 0) return;
  constexpr int kGroups = Aligned ? 2 : 3;
  index_t const first = mask.first_feature + walk.column;
  int const skip = Aligned ? 0 : static_cast<int>(first % 4);
  for (; walk.more(); walk.next()) {
    uint4 in[kFlight];
    RowCounter counters[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (!walk.has(k)) continue;
      in[k] = read<Aligned>(x + walk.at(k), walk.width);
      counters[k] = {static_cast<std::uint32_t>(mask.ordinals[walk.row(k)]),
                     static_cast<std::uint32_t>(mask.positions[walk.row(k)])};
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (!walk.has(k)) continue;
      std::uint32_t words[4 * kGroups];
      draw<kGroups>(mask, counters[k], first - skip, words);
      float v[kVector];
      unpack(in[k], v);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        v[i] = words[i + skip] >= mask.threshold ? v[i] * mask.factor : 0.0F;
      }
      write<Aligned>(out + walk.at(k), pack(v), walk.width);
    }
  }
}

}  // namespace

void dropout(bf16_t const* x, bf16_t* out, Dropout const& mask, index_t rows, index_t features,
             stream_t stream) {
  auto const [blocks, threads] = row_grid(rows, features);
  if (features % kVector == 0 && mask.first_feature % 4 == 0 && aligned({x, out})) {
    dropout_kernel<true><<<blocks, threads, 0, stream>>>(x, out, mask, rows, features);
  } else {
    dropout_kernel<false><<<blocks, threads, 0, stream>>>(x, out, mask, rows, features);
  }
}

}  // namespace dsr::kernels
