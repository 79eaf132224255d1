// SPDX-License-Identifier: Apache-2.0
/// total += Σ x²; AdamW: m = β1·m + (1−β1)·g, v = β2·v + (1−β2)·g², w = w·keep − rate·m/(√v·root +
/// eps), and g = 0 on request. Threads stride over the grid, 16 bytes of each operand at a time;
/// squares have four such pieces in flight. Bytes per element: 4; AdamW 28, 2 more for the rounded
/// copy, 4 more for zeros in the gradient. Numerics: f32; squares in f64 by a fixed grid, the last
/// of whose blocks adds all blocks' sums in a fixed order. Source: Loshchilov and Hutter 2019,
/// arXiv:1711.05101.
#include "kernels/common/column_tiles.cuh"
#include "kernels/optimize/optimize.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;

/// Pairs at fixed distances: the order depends on kThreads alone. On thread 0.
__device__ double sum_of_block(double x, double* shared) {
  shared[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  return shared[0];
}

__device__ double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

__global__ void __launch_bounds__(kThreads)
    squares_kernel(float const* x, double* total, double* partials, unsigned* counter,
                   index_t pieces, index_t elements) {
  __shared__ double shared[kThreads];
  index_t const stride = static_cast<index_t>(gridDim.x) * kThreads;
  auto const* const from = reinterpret_cast<float4 const*>(x);
  double sum = 0;
  index_t first = static_cast<index_t>(blockIdx.x) * kThreads * kFlight + threadIdx.x;
  for (; first < pieces; first += stride * kFlight) {
    float4 in[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      index_t const at = first + k * kThreads;
      in[k] = at < pieces ? __ldcs(from + at) : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      sum += (square(in[k].x) + square(in[k].y)) + (square(in[k].z) + square(in[k].w));
    }
  }
  index_t i = 4 * pieces + static_cast<index_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (; i < elements; i += stride) sum += square(x[i]);
  sum = sum_of_block(sum, shared);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
  if (!last_block(counter, gridDim.x)) return;
  sum = 0;
  for (unsigned k = threadIdx.x; k < gridDim.x; k += kThreads) sum += __ldcg(partials + k);
  sum = sum_of_block(sum, shared);
  if (threadIdx.x == 0) *total += sum;
}

__device__ float update(float value, float gradient, float& m, float& v, AdamW const& step) {
  float const g = gradient * step.scale;
  m = step.beta1 * m + (1 - step.beta1) * g;
  v = step.beta2 * v + (1 - step.beta2) * g * g;
  return value * step.keep - step.rate * m / (sqrtf(v) * step.root + step.eps);
}

/// Nothing is read again before much else has been: all accesses stream.
__device__ void update_piece(AdamWBuffers const& at, AdamW const& step, index_t i) {
  float4 w = __ldcs(reinterpret_cast<float4*>(at.value) + i);
  float4 m = __ldcs(reinterpret_cast<float4*>(at.m) + i);
  float4 v = __ldcs(reinterpret_cast<float4*>(at.v) + i);
  float4 const g = __ldcs(reinterpret_cast<float4*>(at.gradient) + i);
  w.x = update(w.x, g.x, m.x, v.x, step);
  w.y = update(w.y, g.y, m.y, v.y, step);
  w.z = update(w.z, g.z, m.z, v.z, step);
  w.w = update(w.w, g.w, m.w, v.w, step);
  __stcs(reinterpret_cast<float4*>(at.value) + i, w);
  __stcs(reinterpret_cast<float4*>(at.m) + i, m);
  __stcs(reinterpret_cast<float4*>(at.v) + i, v);
  if (step.gradient == Gradient::zero) {
    __stcs(reinterpret_cast<float4*>(at.gradient) + i, make_float4(0, 0, 0, 0));
  }
  if (at.rounded != nullptr) {
    __stcs(reinterpret_cast<uint2*>(at.rounded) + i, make_uint2(pack(w.x, w.y), pack(w.z, w.w)));
  }
}

__global__ void __launch_bounds__(kThreads)
    adamw_kernel(AdamWBuffers at, AdamW step, index_t pieces, index_t elements) {
  index_t const first = static_cast<index_t>(blockIdx.x) * kThreads + threadIdx.x;
  index_t const stride = static_cast<index_t>(gridDim.x) * kThreads;
  for (index_t i = first; i < pieces; i += stride) update_piece(at, step, i);
  for (index_t i = 4 * pieces + first; i < elements; i += stride) {
    at.value[i] = update(at.value[i], at.gradient[i], at.m[i], at.v[i], step);
    if (step.gradient == Gradient::zero) at.gradient[i] = 0;
    if (at.rounded != nullptr) at.rounded[i] = to_bf16(at.value[i]);
  }
}

}  // namespace

void add_sum_of_squares(float const* x, double* total, SumMemory memory, index_t elements,
                        stream_t stream) {
  index_t const pieces = aligned({x}) ? elements / 4 : 0;
  squares_kernel<<<kSquareBlocks, kThreads, 0, stream>>>(
      x, total, static_cast<double*>(memory.partials), memory.counters, pieces, elements);
}

void adamw(AdamWBuffers const& buffers, AdamW const& step, index_t elements, stream_t stream) {
  bool const whole = aligned({buffers.value, buffers.gradient, buffers.m, buffers.v}) &&
                     reinterpret_cast<std::uintptr_t>(buffers.rounded) % 8 == 0;
  index_t const pieces = whole ? elements / 4 : 0;
  unsigned const blocks = grid_for(pieces > 0 ? pieces : elements, kThreads);
  adamw_kernel<<<blocks, kThreads, 0, stream>>>(buffers, step, pieces, elements);
}

}  // namespace dsr::kernels
