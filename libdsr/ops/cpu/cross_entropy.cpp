// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"
#include "libdsr/ops/cpu/vector_math.hpp"

namespace dsr::detail {
namespace {

template <class T>
T largest(T const* x, Size count) {
  T top = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : top)
  for (Size n = 0; n < count; ++n) top = x[n] > top ? x[n] : top;
  return top;
}

/// x ← exp(x − top); their sum.
template <class T>
T exponentials(T* x, Size count, T top) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Size n = 0; n < count; ++n) {
    x[n] = exponential(x[n] - top);
    sum += x[n];
  }
  return sum;
}

/// The local column of a target, or -1 if another rank owns it or there is none.
Size local_column(std::int32_t target, Size first, Size valid) {
  Size const column = target - first;
  return target >= 0 && column >= 0 && column < valid ? column : -1;
}

template <class T>
void gradient_row(T* row, Size features, Size valid, std::int32_t target, Size first, T sum) {
  T const factor = target < 0 ? T{0} : T{1} / sum;
#pragma omp simd
  for (Size n = 0; n < valid; ++n) row[n] *= factor;
  std::fill(row + (target < 0 ? 0 : valid), row + features, T{0});
  Size const column = local_column(target, first, valid);
  if (column >= 0) row[column] -= T{1};
}

}  // namespace

void CpuBackend::logits_max(Tensor logits, Size valid, Tensor top, Stream& stream) const {
  launch(stream, logits, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(logits);
    for_each_task(size.rows, logits.elements(),
                  [=, x = logits.data<T>(), to = top.data<T>()](Size m) {
                    to[m] = largest<T>(x + m * size.features, valid);
                  });
  });
}

void CpuBackend::logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first,
                            Tensor sums, Stream& stream) const {
  launch(stream, logits, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(logits);
    T const* const tops = top.data<T>();
    auto const* const target = targets.data<std::int32_t>();
    for_each_task(size.rows, 4 * logits.elements(),
                  [=, x = logits.data<T>(), to = sums.data<T>()](Size m) {
                    T* const row = x + m * size.features;
                    Size const column = local_column(target[m], first, valid);
                    to[2 * m + 1] = column >= 0 ? row[column] - tops[m] : T{0};
                    to[2 * m] = exponentials(row, valid, tops[m]);
                    std::fill(row + valid, row + size.features, T{0});
                  });
  });
}

void CpuBackend::add_cross_entropy(Tensor sums, Tensor targets, Tensor loss, Stream& stream) const {
  launch(stream, sums, [=](auto zero) {
    using T = decltype(zero);
    T const* const row = sums.data<T>();
    auto const* const target = targets.data<std::int32_t>();
    double total = 0;
    for (Size m = 0; m < targets.size(0); ++m) {
      if (target[m] < 0) continue;
      total += std::log(static_cast<double>(row[2 * m])) - static_cast<double>(row[2 * m + 1]);
    }
    *loss.data<double>() += total;
  });
}

void CpuBackend::logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets, Size first,
                                 Stream& stream) const {
  launch(stream, logits, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(logits);
    T const* const sum = sums.data<T>();
    auto const* const target = targets.data<std::int32_t>();
    for_each_task(size.rows, logits.elements(), [=, x = logits.data<T>()](Size m) {
      gradient_row(x + m * size.features, size.features, valid, target[m], first, sum[2 * m]);
    });
  });
}

void CpuBackend::cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                               Stream& stream) const {
  launch(stream, logits, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(logits);
    auto const* const target = targets.data<std::int32_t>();
    for_each_task(size.rows, 5 * logits.elements(),
                  [=, x = logits.data<T>(), to = sums.data<T>()](Size m) {
                    T* const row = x + m * size.features;
                    T const top = largest<T>(row, valid);
                    Size const column = local_column(target[m], 0, valid);
                    to[2 * m + 1] = column >= 0 ? row[column] - top : T{0};
                    to[2 * m] = exponentials(row, valid, top);
                    gradient_row(row, size.features, valid, target[m], 0, to[2 * m]);
                  });
  });
  add_cross_entropy(sums, targets, loss, stream);
}

}  // namespace dsr::detail
