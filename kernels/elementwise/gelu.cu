// SPDX-License-Identifier: Apache-2.0
/// y = gelu(h += bias), dh = dy·gelu'(h) with the column sums of dh; y += bias. Forward: a thread
/// owns 8 columns, whose bias it reads once, and walks rows, four in flight. Backward: tiles as in
/// column_tiles.cuh. Bytes per element: gelu 6 with a bias (h read and written, y written), else 4;
/// backward 6; add_bias 4. Numerics: f32; h is rounded before GELU, so that backward, which reads
/// h, differentiates what forward computed. Source: kernels/common/gelu.cuh.
#include "kernels/common/column_tiles.cuh"
#include "kernels/common/gelu.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

template <bool Aligned>
__global__ void __launch_bounds__(256)
    add_bias_kernel(bf16_t* y, bf16_t const* bias, index_t rows, index_t features) {
  RowWalk walk{rows, features};
  if (walk.width == 0) return;
  float b[kVector];
  unpack(read_shared<Aligned>(bias + walk.column, walk.width), b);
  for (; walk.more(); walk.next()) {
    uint4 in[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (walk.has(k)) in[k] = read<Aligned>(y + walk.at(k), walk.width);
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (!walk.has(k)) continue;
      float x[kVector];
      unpack(in[k], x);
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[i] += b[i];
      write<Aligned>(y + walk.at(k), pack(x), walk.width);
    }
  }
}

template <bool Aligned, bool Bias>
__global__ void __launch_bounds__(256)
    gelu_kernel(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t rows, index_t features) {
  RowWalk walk{rows, features};
  if (walk.width == 0) return;
  float b[kVector] = {};
  if constexpr (Bias) unpack(read_shared<Aligned>(bias + walk.column, walk.width), b);
  for (; walk.more(); walk.next()) {
    uint4 in[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (walk.has(k)) in[k] = read<Aligned>(h + walk.at(k), walk.width);
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (!walk.has(k)) continue;
      float x[kVector];
      unpack(in[k], x);
      if constexpr (Bias) {
#pragma unroll
        for (int i = 0; i < kVector; ++i) x[i] += b[i];
        uint4 const rounded = pack(x);
        write_away<Aligned>(h + walk.at(k), rounded, walk.width);
        unpack(rounded, x);
      }
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[i] = gelu_of(x[i]);
      write<Aligned>(y + walk.at(k), pack(x), walk.width);
    }
  }
}

struct HAndDy {
  uint4 h, dy;
};

template <bool Aligned>
__global__ void __launch_bounds__(kSumThreads)
    gelu_backward_kernel(bf16_t const* h, bf16_t const* dy, bf16_t* dh, ColumnSums out,
                         index_t rows, index_t features) {
  sum_columns(
      out, rows, features,
      [&](index_t at, int width) {
        return HAndDy{read<Aligned>(h + at, width), read<Aligned>(dy + at, width)};
      },
      [&](index_t at, int width, HAndDy const& in, float(&d)[kVector]) {
        float x[kVector];
        unpack(in.h, x);
        unpack(in.dy, d);
#pragma unroll
        for (int i = 0; i < kVector; ++i) d[i] *= gelu_slope(x[i]);
        write<Aligned>(dh + at, pack(d), width);
      });
}

bool whole_vectors(index_t features, std::initializer_list<void const*> addresses) {
  return features % kVector == 0 && aligned(addresses);
}

}  // namespace

void add_bias(bf16_t* y, bf16_t const* bias, index_t rows, index_t features, stream_t stream) {
  auto const [blocks, threads] = row_grid(rows, features);
  if (whole_vectors(features, {y, bias})) {
    add_bias_kernel<true><<<blocks, threads, 0, stream>>>(y, bias, rows, features);
  } else {
    add_bias_kernel<false><<<blocks, threads, 0, stream>>>(y, bias, rows, features);
  }
}

void gelu(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t rows, index_t features,
          stream_t stream) {
  auto const [blocks, threads] = row_grid(rows, features);
  bool const whole = whole_vectors(features, {h, bias, y});
  auto* const kernel = bias == nullptr
                           ? whole ? gelu_kernel<true, false> : gelu_kernel<false, false>
                       : whole ? gelu_kernel<true, true>
                               : gelu_kernel<false, true>;
  kernel<<<blocks, threads, 0, stream>>>(h, bias, y, rows, features);
}

void gelu_backward(bf16_t const* h, bf16_t const* dy, bf16_t* dh, float* dbias, SumMemory memory,
                   index_t rows, index_t features, stream_t stream) {
  SumGrid const grid{rows, features};
  ColumnSums const out{static_cast<float*>(memory.partials), memory.counters, dbias};
  if (whole_vectors(features, {h, dy, dh})) {
    gelu_backward_kernel<true>
        <<<grid.blocks(), kSumThreads, 0, stream>>>(h, dy, dh, out, rows, features);
  } else {
    gelu_backward_kernel<false>
        <<<grid.blocks(), kSumThreads, 0, stream>>>(h, dy, dh, out, rows, features);
  }
}

}  // namespace dsr::kernels
