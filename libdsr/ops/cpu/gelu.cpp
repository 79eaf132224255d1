// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/gelu_math.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

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
