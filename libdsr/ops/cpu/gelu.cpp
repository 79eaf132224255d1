// SPDX-License-Identifier: Apache-2.0
/// tanh-GELU: h/2·(1 + tanh u) = h·logistic(2u) with u = √(2/π)·(h + 0.044715·h³), which needs one
/// exponential and keeps its relative accuracy where tanh u is near −1.
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"
#include "libdsr/ops/cpu/vector_math.hpp"

namespace dsr::detail {
namespace {

template <class T>
inline constexpr T kTwice = static_cast<T>(1.5957691216057307);  // 2·√(2/π)
template <class T>
inline constexpr T kCubic = static_cast<T>(0.044715);

template <class T>
T gelu_of(T h) {
  return h * logistic(kTwice<T> * h * (T{1} + kCubic<T> * h * h));
}

template <class T>
T gelu_slope(T h) {
  T const square = kCubic<T> * h * h;
  T const s = logistic(kTwice<T> * h * (T{1} + square));
  return s + h * s * (T{1} - s) * kTwice<T> * (T{1} + T{3} * square);
}

template <class T>
void forward_rows(Rows size, T* h, T const* bias, T* y) {
  for_each_task(size.rows, size.rows * size.features, [=](Size row) {
    T* const line = h + row * size.features;
    T* const to = y + row * size.features;
    if (bias != nullptr) {
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) {
        T const value = line[n] + bias[n];
        line[n] = value;
        to[n] = gelu_of(value);
      }
    } else {
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) to[n] = gelu_of(line[n]);
    }
  });
}

template <class T>
void backward_rows(Rows size, T const* h, T const* dy, T* dh, T* dbias) {
  add_row_sums<T, 1>(size, {dbias}, [=](Size begin, Size end, auto const& partial) {
    T* const sum = partial[0];
    for (Size row = begin; row < end; ++row) {
      Size const at = row * size.features;
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) {
        T const gradient = dy[at + n] * gelu_slope(h[at + n]);
        dh[at + n] = gradient;
        sum[n] += gradient;
      }
    }
  });
}

}  // namespace

void CpuBackend::gelu(Tensor h, Tensor bias, Tensor y, Stream& stream) const {
  launch(stream, h, [=](auto zero) {
    using T = decltype(zero);
    forward_rows<T>(rows_of(h), h.data<T>(), data_or_null<T>(bias), y.data<T>());
  });
}

void CpuBackend::gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias, Stream& stream) const {
  launch(stream, h, [=](auto zero) {
    using T = decltype(zero);
    backward_rows<T>(rows_of(h), h.data<T>(), dy.data<T>(), dh.data<T>(), data_or_null<T>(dbias));
  });
}

}  // namespace dsr::detail
