// SPDX-License-Identifier: Apache-2.0
/// p = exp(l − max)/Σ exp(l − max); loss = log Σ − (l_target − max); dl = p − [target]. A block owns a row. Bytes per
/// element: max 2, exp 4, gradient 4. Numerics: f32; exponentials are kept in bf16, 2⁻⁹ relative, as the gradient is.
/// Source: the derivative of softmax and cross entropy.
#include "kernels/common/device.cuh"
#include "kernels/cross_entropy/cross_entropy.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 512;

/// Calls f(column, x) for every valid element of a row: vectors where the row's address allows.
template <class F>
__device__ void each(bf16_t const* row, index_t valid, bool aligned, F&& f) {
  index_t const whole = aligned ? valid / kVector * kVector : 0;
  for (index_t c = threadIdx.x * kVector; c < whole; c += blockDim.x * kVector) {
    float x[kVector];
    load(row + c, x);
#pragma unroll
    for (int i = 0; i < kVector; ++i) f(c + i, x[i]);
  }
  for (index_t c = whole + threadIdx.x; c < valid; c += blockDim.x) f(c, to_float(row[c]));
}

/// Replaces each of a row's elements by f(column, x).
template <class F>
__device__ void replace(bf16_t* row, index_t columns, bool aligned, F&& f) {
  index_t const whole = aligned ? columns / kVector * kVector : 0;
  for (index_t c = threadIdx.x * kVector; c < whole; c += blockDim.x * kVector) {
    float x[kVector];
    load(row + c, x);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] = f(c + i, x[i]);
    store(row + c, x);
  }
  for (index_t c = whole + threadIdx.x; c < columns; c += blockDim.x) row[c] = to_bf16(f(c, to_float(row[c])));
}

__global__ void max_kernel(bf16_t const* logits, float* top, index_t columns, index_t valid, bool aligned) {
  __shared__ float shared[32];
  float most = Max::kNothing;
  each(logits + blockIdx.x * columns, valid, aligned, [&](index_t, float x) { most = fmaxf(most, x); });
  most = reduce_block<Max>(most, shared);
  if (threadIdx.x == 0) top[blockIdx.x] = most;
}

__global__ void exp_kernel(bf16_t* logits, float const* top, std::int32_t const* targets, index_t first, float* sums,
                           index_t columns, index_t valid, bool aligned) {
  __shared__ float shared[32];
  float const most = top[blockIdx.x];
  index_t const target = targets[blockIdx.x] - first;
  float sum = 0, found = 0;
  replace(logits + blockIdx.x * columns, columns, aligned, [&](index_t c, float x) {
    if (c >= valid) return 0.0F;
    if (c == target && targets[blockIdx.x] >= 0) found = x - most;
    float const e = __expf(x - most);
    sum += e;
    return e;
  });
  sum = reduce_block<Sum>(sum, shared);
  found = reduce_block<Sum>(found, shared);
  if (threadIdx.x == 0) {
    sums[2 * blockIdx.x] = sum;
    sums[2 * blockIdx.x + 1] = found;
  }
}

__global__ void gradient_kernel(bf16_t* logits, float const* sums, std::int32_t const* targets, index_t first,
                                index_t columns, index_t valid, bool aligned) {
  bool const counted = targets[blockIdx.x] >= 0;
  index_t const target = targets[blockIdx.x] - first;
  float const factor = counted ? 1 / sums[2 * blockIdx.x] : 0;
  replace(logits + blockIdx.x * columns, columns, aligned, [&](index_t c, float x) {
    if (c >= valid) return 0.0F;
    return x * factor - (counted && c == target ? 1.0F : 0.0F);
  });
}

__global__ void loss_kernel(float const* sums, std::int32_t const* targets, double* loss, index_t rows) {
  __shared__ double shared[256];
  double mine = 0;
  for (index_t row = threadIdx.x; row < rows; row += blockDim.x) {
    if (targets[row] >= 0) mine += log(static_cast<double>(sums[2 * row])) - static_cast<double>(sums[2 * row + 1]);
  }
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *loss += shared[0];
}

bool aligned(index_t columns) { return columns % kVector == 0; }

}  // namespace

void logits_max(bf16_t const* logits, float* top, index_t rows, index_t columns, index_t valid, stream_t stream) {
  max_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(logits, top, columns, valid, aligned(columns));
}

void logits_exp(bf16_t* logits, float const* top, std::int32_t const* targets, index_t first, float* sums, index_t rows,
                index_t columns, index_t valid, stream_t stream) {
  exp_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(logits, top, targets, first, sums, columns, valid,
                                                                   aligned(columns));
}

void logits_gradient(bf16_t* logits, float const* sums, std::int32_t const* targets, index_t first, index_t rows,
                     index_t columns, index_t valid, stream_t stream) {
  gradient_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(logits, sums, targets, first, columns, valid,
                                                                        aligned(columns));
}

void add_cross_entropy(float const* sums, std::int32_t const* targets, double* loss, index_t rows, stream_t stream) {
  loss_kernel<<<1, 256, 0, stream>>>(sums, targets, loss, rows);
}

}  // namespace dsr::kernels
