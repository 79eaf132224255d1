// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimize/optimize.hpp"

#include <cmath>

#include "libdsr/ops/cuda/counters.hpp"
#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {

void CudaBackend::add_sum_of_squares(Tensor x, Tensor total, Stream& stream) const {
  if (x.elements() == 0) return;
  kernels::SumMemory const memory{
      workspace_of(stream).at_least(kernels::kSquareBlocks * size_of(DType::f64), stream),
      counters_of(stream).at_least(1, stream)};
  kernels::add_sum_of_squares(f32(x), total.data<double>(), memory, x.elements(), native(stream));
  launched();
}

void CudaBackend::adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step,
                        Tensor rounded, Stream& stream) const {
  if (value.elements() == 0) return;
  auto const correction = [&](double beta) {
    return 1 - std::pow(beta, static_cast<double>(step.number));
  };
  bool const zeroed = step.gradient_after == GradientAfter::zero;
  kernels::adamw({f32(value), f32(gradient), f32(m), f32(v), bf16(rounded)},
                 {.scale = static_cast<float>(step.gradient_scale),
                  .beta1 = static_cast<float>(step.beta1),
                  .beta2 = static_cast<float>(step.beta2),
                  .eps = static_cast<float>(step.eps),
                  .keep = static_cast<float>(1 - step.lr * step.weight_decay),
                  .rate = static_cast<float>(step.lr / correction(step.beta1)),
                  .root = static_cast<float>(1 / std::sqrt(correction(step.beta2))),
                  .gradient = zeroed ? kernels::Gradient::zero : kernels::Gradient::keep},
                 value.elements(), native(stream));
  launched();
}

Backend const& cuda_backend() {
  static CudaBackend const backend;
  return backend;
}

}  // namespace dsr::detail
