// SPDX-License-Identifier: Apache-2.0
/// p = exp(l − max)/Σ exp(l − max); loss = log Σ − (l_target − max); dl = p − [target]. A block owns a row. Bytes per
/// element: max 2, exp 4, gradient 4; whole rows 4, since the second reading of a row meets it in the L2 cache (132·2 rows of
/// 100 KB in flight). Numerics: f32; where rows are cut, exponentials are kept in bf16, 2⁻⁹ relative, as the gradient is.
/// Source: the derivative of softmax and cross entropy.
#include "kernels/common/device.cuh"
#include "kernels/cross_entropy/cross_entropy.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 512;
constexpr int kRowThreads = 1024, kLossThreads = 1024;
constexpr float kLog2e = 1.4426950408889634F;

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
  __shared__ double shared[kLossThreads];
  double mine = 0;
  for (index_t row = threadIdx.x; row < rows; row += blockDim.x) {
    if (targets[row] >= 0) mine += log(static_cast<double>(sums[2 * row])) - static_cast<double>(sums[2 * row + 1]);
  }
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kLossThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *loss += shared[0];
}

/// 2^x to 2 ulp, and 0 for what is far below the smallest number.
__device__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// A thread's running maximum and Σ exp(x − maximum), in powers of two.
struct Softmax {
  float most = Max::kNothing, sum = 0;

  __device__ void add(float x) {
    if (x > most) {
      sum *= power_of_two((most - x) * kLog2e);
      most = x;
    }
    sum += power_of_two((x - most) * kLog2e);
  }
  __device__ void add(float const (&x)[kVector]) {
    float top = x[0];
#pragma unroll
    for (int i = 1; i < kVector; ++i) top = fmaxf(top, x[i]);
    if (top > most) {
      sum *= power_of_two((most - top) * kLog2e);
      most = top;
    }
    float const scaled = most * kLog2e;
#pragma unroll
    for (int i = 0; i < kVector; ++i) sum += power_of_two(fmaf(x[i], kLog2e, -scaled));
  }
};

__global__ void __launch_bounds__(kRowThreads, 2)
    softmax_gradient_kernel(bf16_t* logits, std::int32_t const* targets, float* sums, index_t columns, index_t valid,
                            bool aligned) {
  __shared__ float shared[32];
  bf16_t* const row = logits + blockIdx.x * columns;
  index_t const target = targets[blockIdx.x], whole = aligned ? valid / kVector * kVector : 0;
  Softmax mine;
#pragma unroll 4
  for (index_t c = threadIdx.x * kVector; c < whole; c += kRowThreads * kVector) {
    float x[kVector];
    load(row + c, x);
    mine.add(x);
  }
  for (index_t c = whole + threadIdx.x; c < valid; c += kRowThreads) mine.add(to_float(row[c]));
  float const wanted = target >= 0 && target < valid ? to_float(row[target]) : 0;
  float const most = reduce_block<Max>(mine.most, shared);
  // A thread without columns has −∞ as its maximum and nothing to add.
  float const sum = reduce_block<Sum>(mine.sum == 0 ? 0 : mine.sum * power_of_two((mine.most - most) * kLog2e), shared);
  if (threadIdx.x == 0) {
    sums[2 * blockIdx.x] = sum;
    sums[2 * blockIdx.x + 1] = target >= 0 && target < valid ? wanted - most : 0;
  }
  float const factor = target >= 0 ? 1 / sum : 0, top = most * kLog2e;
  auto const softmax = [&](float x) { return power_of_two(fmaf(x, kLog2e, -top)) * factor; };
  auto const gradient = [&](index_t c, float x) {
    return c >= valid ? 0.0F : softmax(x) - (c == target ? 1.0F : 0.0F);
  };
#pragma unroll 4
  for (index_t c = threadIdx.x * kVector; c < whole; c += kRowThreads * kVector) {
    float x[kVector];
    load(row + c, x);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] = softmax(x[i]);
    if (c <= target && target < c + kVector) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[i] -= c + i == target ? 1.0F : 0.0F;
    }
    store(row + c, x);
  }
  for (index_t c = whole + threadIdx.x; c < columns; c += kRowThreads) row[c] = to_bf16(gradient(c, to_float(row[c])));
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
  loss_kernel<<<1, kLossThreads, 0, stream>>>(sums, targets, loss, rows);
}

void softmax_gradient(bf16_t* logits, std::int32_t const* targets, float* sums, index_t rows, index_t columns,
                      index_t valid, stream_t stream) {
  softmax_gradient_kernel<<<static_cast<unsigned>(rows), kRowThreads, 0, stream>>>(logits, targets, sums, columns, valid,
                                                                                aligned(columns));
}

}  // namespace dsr::kernels
