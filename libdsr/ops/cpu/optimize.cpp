// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "dsr/core/bf16.hpp"
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

template <class T>
double sum_of_squares(T const* x, Size count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Size i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

/// Sums of fixed blocks, added in their order.
template <class T>
double sum_of_blocks(T const* x, Size count) {
  constexpr Size kBlock = 4096;
  Size const blocks = ceil_div(count, kBlock);
  double* const partial = scratch<double>(blocks);
  for_each_task(blocks, count, [=](Size block) {
    Size const begin = block * kBlock;
    partial[block] = sum_of_squares(x + begin, std::min(kBlock, count - begin));
  });
  double total = 0;
  for (Size block = 0; block < blocks; ++block) total += partial[block];
  return total;
}

/// An AdamWStep's numbers as an element's update needs them.
template <class T>
struct Update {
  T scale, beta1, one_minus_beta1, beta2, one_minus_beta2, keep, rate, root, eps;

  explicit Update(AdamWStep const& step)
      : scale(static_cast<T>(step.gradient_scale)),
        beta1(static_cast<T>(step.beta1)),
        one_minus_beta1(static_cast<T>(1 - step.beta1)),
        beta2(static_cast<T>(step.beta2)),
        one_minus_beta2(static_cast<T>(1 - step.beta2)),
        keep(static_cast<T>(1 - step.lr * step.weight_decay)),
        rate(static_cast<T>(step.lr / (1 - power(step.beta1, step.number)))),
        root(static_cast<T>(1 / std::sqrt(1 - power(step.beta2, step.number)))),
        eps(static_cast<T>(step.eps)) {}

  static double power(double base, Size exponent) {
    return std::pow(base, static_cast<double>(exponent));
  }

  void apply(Size begin, Size end, T const* gradient, T* value, T* m, T* v) const {
#pragma omp simd
    for (Size i = begin; i < end; ++i) {
      T const g = gradient[i] * scale;
      m[i] = beta1 * m[i] + one_minus_beta1 * g;
      v[i] = beta2 * v[i] + one_minus_beta2 * g * g;
      value[i] = value[i] * keep - rate * m[i] / (std::sqrt(v[i]) * root + eps);
    }
  }
};

template <class T>
void round(Size begin, Size end, T const* values, Bf16* rounded) {
  for (Size i = begin; i < end; ++i) rounded[i] = Bf16{static_cast<float>(values[i])};
}

}  // namespace

void CpuBackend::add_sum_of_squares(Tensor x, Tensor total, Stream& stream) const {
  launch(stream, x, [=](auto zero) {
    using T = decltype(zero);
    *total.data<double>() += sum_of_blocks<T>(x.data<T>(), x.elements());
  });
}

void CpuBackend::adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step,
                       Tensor rounded, Stream& stream) const {
  launch(stream, value, [=](auto zero) {
    using T = decltype(zero);
    Update<T> const update{step};
    bool const zeroed = step.gradient_after == GradientAfter::zero;
    for_chunks(value.elements(), [&, g = gradient.data<T>(), x = value.data<T>(),
                                  first = m.data<T>(), second = v.data<T>()](Size begin, Size end) {
      update.apply(begin, end, g, x, first, second);
      if (zeroed) std::fill(g + begin, g + end, T{0});
      if (rounded.defined()) round(begin, end, x, rounded.data<Bf16>());
    });
  });
}

}  // namespace dsr::detail
