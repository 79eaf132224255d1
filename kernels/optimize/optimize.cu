// SPDX-License-Identifier: Apache-2.0
/// total += Σ x²; AdamW: m = β1·m + (1−β1)·g, v = β2·v + (1−β2)·g², w = w·keep − rate·m/(√v·root + eps). Threads stride
/// over the grid, four floats at a time. Bytes per element: 4; AdamW 28, and 2 for the rounded copy. Numerics: f32; squares
/// in f64 by a fixed grid and a fixed order. Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
#include "kernels/common/device.cuh"
#include "kernels/optimize/optimize.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;

__global__ void squares_kernel(float const* x, double* partials, index_t elements) {
  __shared__ double shared[kThreads];
  double sum = 0;
  for (index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements;
       i += static_cast<index_t>(gridDim.x) * blockDim.x) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) partials[blockIdx.x] = shared[0];
}

__global__ void add_squares_kernel(double const* partials, double* total) {
  double sum = 0;
  for (int i = 0; i < kSquareBlocks; ++i) sum += partials[i];
  *total += sum;
}

__device__ float update(float value, float gradient, float& m, float& v, AdamW const& step) {
  float const g = gradient * step.scale;
  m = step.beta1 * m + (1 - step.beta1) * g;
  v = step.beta2 * v + (1 - step.beta2) * g * g;
  return value * step.keep - step.rate * m / (sqrtf(v) * step.root + step.eps);
}

/// Buffers are aligned and padded to 128 bytes, so parts of them are whole groups of four but for odd tails.
__global__ void adamw_kernel(float* value, float const* gradient, float* m, float* v, bf16_t* rounded, AdamW step,
                             index_t elements) {
  index_t const first = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  index_t const stride = static_cast<index_t>(gridDim.x) * blockDim.x, fours = elements / 4;
  for (index_t i = first; i < fours; i += stride) {
    float4 w = reinterpret_cast<float4*>(value)[i], mm = reinterpret_cast<float4*>(m)[i];
    float4 vv = reinterpret_cast<float4*>(v)[i];
    float4 const g = reinterpret_cast<float4 const*>(gradient)[i];
    w.x = update(w.x, g.x, mm.x, vv.x, step);
    w.y = update(w.y, g.y, mm.y, vv.y, step);
    w.z = update(w.z, g.z, mm.z, vv.z, step);
    w.w = update(w.w, g.w, mm.w, vv.w, step);
    reinterpret_cast<float4*>(value)[i] = w;
    reinterpret_cast<float4*>(m)[i] = mm;
    reinterpret_cast<float4*>(v)[i] = vv;
    if (rounded != nullptr) {
      reinterpret_cast<ushort4*>(rounded)[i] = make_ushort4(to_bf16(w.x), to_bf16(w.y), to_bf16(w.z), to_bf16(w.w));
    }
  }
  for (index_t i = 4 * fours + first; i < elements; i += stride) {
    value[i] = update(value[i], gradient[i], m[i], v[i], step);
    if (rounded != nullptr) rounded[i] = to_bf16(value[i]);
  }
}

}  // namespace

void add_sum_of_squares(float const* x, double* total, double* partials, index_t elements, stream_t stream) {
  squares_kernel<<<kSquareBlocks, kThreads, 0, stream>>>(x, partials, elements);
  add_squares_kernel<<<1, 1, 0, stream>>>(partials, total);
}

void adamw(float* value, float const* gradient, float* m, float* v, bf16_t* rounded, AdamW const& step,
           index_t elements, stream_t stream) {
  adamw_kernel<<<grid_for(elements / 4 + 1, kThreads), kThreads, 0, stream>>>(value, gradient, m, v, rounded, step,
                                                                              elements);
}

}  // namespace dsr::kernels
