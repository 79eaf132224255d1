// SPDX-License-Identifier: Apache-2.0
/// gelu(h) = h/2·(1 + tanh(k·(h + c·h³))), k = √(2/π), c = 0.044715; gelu' from the same tanh. Threads stride over 8
/// features of a row; backward uses the tiles of column_sums.cuh when a bias gradient is wanted. Bytes per element:
/// forward 6 with a bias (h read and written, y written), else 4; backward 6. Numerics: f32, tanh by exp.
/// Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
#include "kernels/common/column_sums.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;
constexpr float kRoot = 0.7978845608028654F, kCubic = 0.044715F;

/// tanh(u) = 1 − 2/(exp(2u) + 1): right at both ends, since exp overflows to infinity and underflows to 0.
__device__ float fast_tanh(float u) { return 1 - __fdividef(2.0F, __expf(2 * u) + 1); }

__device__ float gelu_of(float h) { return 0.5F * h * (1 + fast_tanh(kRoot * (h + kCubic * h * h * h))); }

__device__ float gelu_slope(float h) {
  float const t = fast_tanh(kRoot * (h + kCubic * h * h * h));
  return 0.5F * (1 + t) + 0.5F * h * (1 - t * t) * kRoot * (1 + 3 * kCubic * h * h);
}

__global__ void add_bias_kernel(bf16_t* y, bf16_t const* bias, index_t vectors, index_t row_vectors) {
  for (index_t v = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; v < vectors;
       v += static_cast<index_t>(gridDim.x) * blockDim.x) {
    float x[kVector], b[kVector];
    load(y + v * kVector, x);
    load(bias + v % row_vectors * kVector, b);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] += b[i];
    store(y + v * kVector, x);
  }
}

__global__ void add_bias_odd_kernel(bf16_t* y, bf16_t const* bias, index_t elements, index_t features) {
  for (index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements;
       i += static_cast<index_t>(gridDim.x) * blockDim.x) {
    y[i] = to_bf16(to_float(y[i]) + to_float(bias[i % features]));
  }
}

/// h is rounded before GELU, so that backward, which reads h, differentiates what forward computed.
__global__ void gelu_kernel(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t vectors, index_t row_vectors) {
  for (index_t v = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; v < vectors;
       v += static_cast<index_t>(gridDim.x) * blockDim.x) {
    float x[kVector];
    load(h + v * kVector, x);
    if (bias != nullptr) {
      float b[kVector];
      load(bias + v % row_vectors * kVector, b);
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[i] = to_float(to_bf16(x[i] + b[i]));
      store(h + v * kVector, x);
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] = gelu_of(x[i]);
    store(y + v * kVector, x);
  }
}

__global__ void gelu_odd_kernel(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t elements, index_t features) {
  for (index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements;
       i += static_cast<index_t>(gridDim.x) * blockDim.x) {
    if (bias != nullptr) h[i] = to_bf16(to_float(h[i]) + to_float(bias[i % features]));
    y[i] = to_bf16(gelu_of(to_float(h[i])));
  }
}

template <bool Aligned>
__global__ void __launch_bounds__(kTileThreads)
    gelu_backward_kernel(bf16_t const* h, bf16_t const* dy, bf16_t* dh, float* partials, index_t rows,
                         index_t features) {
  sum_tile<1>(rows, features, partials, [&](index_t row, index_t column, int width, float (&values)[1][kVector]) {
    index_t const at = row * features + column;
    float (&d)[kVector] = values[0];
    if (Aligned) {
      float x[kVector];
      load(h + at, x);
      load(dy + at, d);
#pragma unroll
      for (int i = 0; i < kVector; ++i) d[i] *= gelu_slope(x[i]);
      store(dh + at, d);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (i >= width) continue;
        d[i] = to_float(dy[at + i]) * gelu_slope(to_float(h[at + i]));
        dh[at + i] = to_bf16(d[i]);
      }
    }
  });
}

}  // namespace

void add_bias(bf16_t* y, bf16_t const* bias, index_t rows, index_t features, stream_t stream) {
  index_t const elements = rows * features;
  if (features % kVector != 0) {
    add_bias_odd_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(y, bias, elements, features);
    return;
  }
  index_t const vectors = elements / kVector;
  add_bias_kernel<<<grid_for(vectors, kThreads), kThreads, 0, stream>>>(y, bias, vectors, features / kVector);
}

void gelu(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t rows, index_t features, stream_t stream) {
  index_t const elements = rows * features;
  if (features % kVector != 0) {
    gelu_odd_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(h, bias, y, elements, features);
    return;
  }
  index_t const vectors = elements / kVector;
  gelu_kernel<<<grid_for(vectors, kThreads), kThreads, 0, stream>>>(h, bias, y, vectors, features / kVector);
}

void gelu_backward(bf16_t const* h, bf16_t const* dy, bf16_t* dh, float* dbias, void* partials, index_t rows,
                   index_t features, stream_t stream) {
  auto* const parts = static_cast<float*>(partials);
  dim3 const grid = tile_grid(rows, features);
  if (features % kVector == 0) {
    gelu_backward_kernel<true><<<grid, kTileThreads, 0, stream>>>(h, dy, dh, parts, rows, features);
  } else {
    gelu_backward_kernel<false><<<grid, kTileThreads, 0, stream>>>(h, dy, dh, parts, rows, features);
  }
  add_partials(parts, dbias, static_cast<int>(grid.y), features, stream);
}

}  // namespace dsr::kernels
