// SPDX-License-Identifier: Apache-2.0
#include "kernels/norm_gelu/norm_gelu.hpp"

#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {
namespace {

/// A block holds a row, so rows have a largest size.
Rows row_sizes(Tensor const& x) {
  Rows const size = rows_of(x);
  if (size.features > kernels::kMostNormGeluFeatures) {
    throw InvalidArgument(problem(
        "norm_gelu on cuda", "rows of " + std::to_string(size.features) + " features",
        "at most " + std::to_string(kernels::kMostNormGeluFeatures), "the norm and GELU apart"));
  }
  return size;
}

}  // namespace

void CudaBackend::norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics,
                            Tensor y, Stream& stream) const {
  Rows const size = row_sizes(x);
  if (size.rows == 0) return;
  kernels::norm_gelu(bf16(x), {bf16(gamma), bf16(beta)}, static_cast<float>(eps), f32(statistics),
                     bf16(y), size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                     Tensor beta, Tensor dx, Tensor dgamma, Tensor dbeta,
                                     Stream& stream) const {
  Rows const size = row_sizes(dy);
  if (size.rows == 0) return;
  void* const partials = workspace_of(stream).at_least(
      kernels::norm_gelu_backward_bytes(size.rows, size.features), stream);
  kernels::norm_gelu_backward(bf16(dy), bf16(x), f32(statistics), {bf16(gamma), bf16(beta)},
                              {bf16(dx), f32(dgamma), f32(dbeta)}, partials, size.rows,
                              size.features, native(stream));
  launched();
}

}  // namespace dsr::detail
