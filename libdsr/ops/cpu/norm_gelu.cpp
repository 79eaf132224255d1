// SPDX-License-Identifier: Apache-2.0
/// A row is in the cache while it is read again: moments, then the normalised and activated values;
/// backward takes its two sums first, then dx.
#include <cmath>

#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/gelu_math.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

/// (mean, rstd) in two passes: mean first, then squared differences from it.
template <class T>
void row_statistics(T const* x, Size features, T eps, T* to) {
  T const count = static_cast<T>(features);
  T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (Size n = 0; n < features; ++n) sum += x[n];
  T const mean = sum / count;
#pragma omp simd reduction(+ : squares)
  for (Size n = 0; n < features; ++n) squares += (x[n] - mean) * (x[n] - mean);
  to[0] = mean;
  to[1] = T{1} / std::sqrt(squares / count + eps);
}

/// beta, or zeros of the same number.
template <class T>
struct Shift {
  T const* beta;
  T operator()(Size n) const { return beta == nullptr ? T{0} : beta[n]; }
};

template <class T>
struct NormGeluBackward {
  Size features;
  T const *dy, *x, *statistics, *gamma;
  Shift<T> beta;
  T* dx;

  /// dx of row m, and the row's parts of the column sums. `d` holds a row: dy may be dx.
  void row(Size m, T* by_x, T* by_one, T* d) const {
    Size const at = m * features;
    T const mean = statistics[2 * m], rstd = statistics[2 * m + 1];
    T sum = 0, sum_x = 0;
#pragma omp simd reduction(+ : sum, sum_x)
    for (Size n = 0; n < features; ++n) {
      T const normal = (x[at + n] - mean) * rstd;
      T const slope = dy[at + n] * gelu_slope(normal * gamma[n] + beta(n));
      by_x[n] += slope * normal;
      by_one[n] += slope;
      d[n] = slope * gamma[n];
      sum += d[n];
      sum_x += d[n] * normal;
    }
    T const count = static_cast<T>(features);
#pragma omp simd
    for (Size n = 0; n < features; ++n) {
      T const normal = (x[at + n] - mean) * rstd;
      dx[at + n] = rstd * (d[n] - (sum + normal * sum_x) / count);
    }
  }
};

}  // namespace

void CpuBackend::norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics,
                           Tensor y, Stream& stream) const {
  launch(stream, x, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(x);
    T const *const from = x.data<T>(), *const scale = gamma.data<T>();
    Shift<T> const shift{data_or_null<T>(beta)};
    for_each_task(size.rows, 4 * x.elements(),
                  [=, to = y.data<T>(), rows = statistics.data<T>()](Size m) {
                    Size const at = m * size.features;
                    row_statistics(from + at, size.features, static_cast<T>(eps), rows + 2 * m);
                    T const mean = rows[2 * m], rstd = rows[2 * m + 1];
#pragma omp simd
                    for (Size n = 0; n < size.features; ++n)
                      to[at + n] = gelu_of((from[at + n] - mean) * rstd * scale[n] + shift(n));
                  });
  });
}

void CpuBackend::norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                    Tensor beta, Tensor dx, Tensor dgamma, Tensor dbeta,
                                    Stream& stream) const {
  launch(stream, dy, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(dy);
    NormGeluBackward<T> const operands{
        size.features,           dy.data<T>(), x.data<T>(), statistics.data<T>(), gamma.data<T>(),
        {data_or_null<T>(beta)}, dx.data<T>()};
    add_row_sums<T, 2>(size, {dgamma.data<T>(), data_or_null<T>(dbeta)},
                       [=](Size begin, Size end, auto const& partial) {
                         std::vector<T> row(static_cast<std::size_t>(size.features));
                         for (Size m = begin; m < end; ++m)
                           operands.row(m, partial[0], partial[1], row.data());
                       });
  });
}

}  // namespace dsr::detail
