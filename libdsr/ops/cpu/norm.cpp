// SPDX-License-Identifier: Apache-2.0
/// Moments are taken in two passes over a row that is in the cache: mean first, then squared
/// differences from it.
#include <cmath>

#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

template <class T>
struct Moments {
  T mean, squares;
};

template <class T>
Moments<T> moments_of(T const* x, Size features) {
  T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (Size n = 0; n < features; ++n) sum += x[n];
  T const mean = sum / static_cast<T>(features);
#pragma omp simd reduction(+ : squares)
  for (Size n = 0; n < features; ++n) squares += (x[n] - mean) * (x[n] - mean);
  return {mean, squares};
}

/// x += sum, if there is one.
template <class T>
void add_row(T const* sum, Size at, Size features, T* x) {
  if (sum == nullptr) return;
#pragma omp simd
  for (Size n = 0; n < features; ++n) x[at + n] += sum[at + n];
}

template <class T>
void normalize_row(T const* x, T mean, T rstd, T const* gamma, T const* beta, Size features, T* y) {
  if (beta != nullptr) {
#pragma omp simd
    for (Size n = 0; n < features; ++n) y[n] = (x[n] - mean) * rstd * gamma[n] + beta[n];
  } else {
#pragma omp simd
    for (Size n = 0; n < features; ++n) y[n] = (x[n] - mean) * rstd * gamma[n];
  }
}

template <class T>
void merge_rows(Size parts, Size rows, Size features, T eps, T const* gathered, T* statistics) {
  T const part_count = static_cast<T>(features), all = static_cast<T>(features * parts);
  for_each_task(rows, rows * parts * 4, [=](Size m) {
    T mean = gathered[2 * m], squares = gathered[2 * m + 1];
    for (Size p = 1; p < parts; ++p) {
      T const* const next = gathered + 2 * (p * rows + m);
      T const before = part_count * static_cast<T>(p), both = before + part_count;
      T const apart = next[0] - mean;
      mean += apart * (part_count / both);
      squares += next[1] + apart * apart * (before * part_count / both);
    }
    statistics[2 * m] = mean;
    statistics[2 * m + 1] = T{1} / std::sqrt(squares / all + eps);
  });
}

template <class T>
struct NormBackward {
  Rows size;
  T const *dy, *x, *statistics, *gamma;

  /// Row m: (Σd, Σd·x̂) into its pair of sums, dy·x̂ and dy added to two rows of column sums.
  void sum_row(Size m, T* sums, T* by_x, T* by_one) const {
    T const *const gradient = dy + m * size.features, *const value = x + m * size.features;
    T const mean = statistics[2 * m], rstd = statistics[2 * m + 1];
    T sum = 0, sum_x = 0;
#pragma omp simd reduction(+ : sum, sum_x)
    for (Size n = 0; n < size.features; ++n) {
      T const normal = (value[n] - mean) * rstd, scaled = gradient[n] * gamma[n];
      sum += scaled;
      sum_x += scaled * normal;
      by_x[n] += gradient[n] * normal;
      by_one[n] += gradient[n];
    }
    sums[0] = sum;
    sums[1] = sum_x;
  }

  /// dx of row m from its pair of sums.
  void row(Size m, T const* sums, T per_feature, T const* dresidual, T* dx) const {
    Size const at = m * size.features;
    T const mean = statistics[2 * m], rstd = statistics[2 * m + 1];
    T const sum = sums[0] * per_feature, sum_x = sums[1] * per_feature;
    auto const value = [=, this](Size n) {
      T const normal = (x[at + n] - mean) * rstd;
      return rstd * (dy[at + n] * gamma[n] - (sum + normal * sum_x));
    };
    if (dresidual != nullptr) {
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) dx[at + n] = value(n) + dresidual[at + n];
    } else {
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) dx[at + n] = value(n);
    }
  }
};

template <class T>
NormBackward<T> norm_operands(Tensor const& dy, Tensor const& x, Tensor const& statistics,
                              Tensor const& gamma) {
  return {rows_of(dy), dy.data<T>(), x.data<T>(), statistics.data<T>(), gamma.data<T>()};
}

}  // namespace

void CpuBackend::residual_moments(Tensor sum, Tensor branch, Tensor moments, Stream& stream) const {
  launch(stream, branch, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(branch);
    for_each_task(size.rows, branch.elements(), [=, from = data_or_null<T>(sum),
                                                 x = branch.data<T>(),
                                                 to = moments.data<T>()](Size m) {
      add_row(from, m * size.features, size.features, x);
      Moments<T> const row = moments_of<T>(x + m * size.features, size.features);
      to[2 * m] = row.mean;
      to[2 * m + 1] = row.squares;
    });
  });
}

void CpuBackend::merge_moments(Tensor gathered, Size features, double eps, Tensor statistics,
                               Stream& stream) const {
  launch(stream, gathered, [=](auto zero) {
    using T = decltype(zero);
    merge_rows<T>(gathered.size(0), gathered.size(1), features, static_cast<T>(eps),
                  gathered.data<T>(), statistics.data<T>());
  });
}

void CpuBackend::normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y,
                           Stream& stream) const {
  launch(stream, x, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(x);
    T const *const from = x.data<T>(), *const row = statistics.data<T>();
    T const *const scale = gamma.data<T>(), *const shift = data_or_null<T>(beta);
    for_each_task(size.rows, x.elements(), [=, to = y.data<T>()](Size m) {
      normalize_row(from + m * size.features, row[2 * m], row[2 * m + 1], scale, shift,
                    size.features, to + m * size.features);
    });
  });
}

void CpuBackend::residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                               Tensor statistics, Tensor y, Stream& stream) const {
  launch(stream, branch, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(branch);
    T* const x = branch.data<T>();
    T* const to = statistics.data<T>();
    T const *const scale = gamma.data<T>(), *const shift = data_or_null<T>(beta);
    T const count = static_cast<T>(size.features), least = static_cast<T>(eps);
    for_each_task(size.rows, branch.elements(), [=, from = data_or_null<T>(sum),
                                                 out = y.data<T>()](Size m) {
      Size const at = m * size.features;
      add_row(from, at, size.features, x);
      Moments<T> const row = moments_of<T>(x + at, size.features);
      T const rstd = T{1} / std::sqrt(row.squares / count + least);
      to[2 * m] = row.mean;
      to[2 * m + 1] = rstd;
      normalize_row<T>(x + at, row.mean, rstd, scale, shift, size.features, out + at);
    });
  });
}

void CpuBackend::norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                    Tensor sums, Tensor dgamma, Tensor dbeta,
                                    Stream& stream) const {
  launch(stream, dy, [=](auto zero) {
    using T = decltype(zero);
    auto const operands = norm_operands<T>(dy, x, statistics, gamma);
    add_row_sums<T, 2>(
        operands.size, {dgamma.data<T>(), data_or_null<T>(dbeta)},
        [=, to = sums.data<T>()](Size begin, Size end, auto const& partial) {
          for (Size m = begin; m < end; ++m) operands.sum_row(m, to + 2 * m, partial[0], partial[1]);
        });
  });
}

void CpuBackend::norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                               Size features, Tensor dresidual, Tensor dx, Stream& stream) const {
  launch(stream, dy, [=](auto zero) {
    using T = decltype(zero);
    auto const operands = norm_operands<T>(dy, x, statistics, gamma);
    T const per_feature = T{1} / static_cast<T>(features);
    for_each_task(operands.size.rows, dy.elements(),
                  [=, from = sums.data<T>(), residual = data_or_null<T>(dresidual),
                   to = dx.data<T>()](Size m) {
                    operands.row(m, from + 2 * m, per_feature, residual, to);
                  });
  });
}

void CpuBackend::residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                        Tensor dresidual, Tensor dx, Tensor dgamma, Tensor dbeta,
                                        Stream& stream) const {
  launch(stream, dy, [=](auto zero) {
    using T = decltype(zero);
    auto const operands = norm_operands<T>(dy, x, statistics, gamma);
    T const per_feature = T{1} / static_cast<T>(operands.size.features);
    add_row_sums<T, 2>(operands.size, {dgamma.data<T>(), data_or_null<T>(dbeta)},
                       [=, residual = data_or_null<T>(dresidual), to = dx.data<T>()](
                           Size begin, Size end, auto const& partial) {
                         for (Size m = begin; m < end; ++m) {
                           T sums[2];
                           operands.sum_row(m, sums, partial[0], partial[1]);
                           operands.row(m, sums, per_feature, residual, to);
                         }
                       });
  });
}

}  // namespace dsr::detail
