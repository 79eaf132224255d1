// SPDX-License-Identifier: Apache-2.0
#include "kernels/norm/norm.hpp"

#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {
namespace {

/// A block holds a row, so rows have a largest size.
Rows row_sizes(Tensor const& x) {
  Rows const size = rows_of(x);
  if (size.features > kernels::kMostFeatures) {
    throw InvalidArgument(
        problem("norm on cuda", "rows of " + std::to_string(size.features) + " features",
                "at most " + std::to_string(kernels::kMostFeatures), "a mesh with a larger col"));
  }
  return size;
}

}  // namespace

void CudaBackend::residual_moments(Tensor sum, Tensor branch, Tensor moments,
                                   Stream& stream) const {
  Rows const size = row_sizes(branch);
  if (size.rows == 0) return;
  kernels::residual_moments(bf16(sum), bf16(branch), f32(moments), size.rows, size.features,
                            native(stream));
  launched();
}

void CudaBackend::merge_moments(Tensor gathered, Size features, double eps, Tensor statistics,
                                Stream& stream) const {
  if (gathered.elements() == 0) return;
  kernels::merge_moments(f32(gathered), f32(statistics), static_cast<int>(gathered.size(0)),
                         gathered.size(1), features, static_cast<float>(eps), native(stream));
  launched();
}

void CudaBackend::normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y,
                            Stream& stream) const {
  Rows const size = row_sizes(x);
  if (size.rows == 0) return;
  kernels::normalize(bf16(x), f32(statistics), bf16(gamma), bf16(beta), bf16(y), size.rows,
                     size.features, native(stream));
  launched();
}

void CudaBackend::residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                                Tensor statistics, Tensor y, Stream& stream) const {
  Rows const size = row_sizes(branch);
  if (size.rows == 0) return;
  kernels::residual_norm(bf16(sum), bf16(branch), bf16(gamma), bf16(beta), static_cast<float>(eps),
                         f32(statistics), bf16(y), size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                     Tensor sums, Tensor dgamma, Tensor dbeta,
                                     Stream& stream) const {
  Rows const size = row_sizes(dy);
  if (size.rows == 0) return;
  void* const partials =
      workspace_of(stream).at_least(kernels::norm_partial_bytes(size.rows, size.features), stream);
  kernels::norm_backward_sums(bf16(dy), bf16(x), f32(statistics), bf16(gamma), f32(sums),
                              f32(dgamma), f32(dbeta), partials, size.rows, size.features,
                              native(stream));
  launched();
}

void CudaBackend::norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                                Size features, Tensor dresidual, Tensor dx, Stream& stream) const {
  Rows const size = row_sizes(dy);
  if (size.rows == 0) return;
  kernels::norm_backward(bf16(dy), bf16(x), f32(statistics), bf16(gamma), f32(sums), features,
                         bf16(dresidual), bf16(dx), size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                         Tensor dresidual, Tensor dx, Tensor dgamma, Tensor dbeta,
                                         Stream& stream) const {
  Rows const size = row_sizes(dy);
  if (size.rows == 0) return;
  void* const partials =
      workspace_of(stream).at_least(kernels::norm_partial_bytes(size.rows, size.features), stream);
  kernels::whole_norm_backward(bf16(dy), bf16(x), f32(statistics), bf16(gamma), bf16(dresidual),
                               bf16(dx), f32(dgamma), f32(dbeta), partials, size.rows,
                               size.features, native(stream));
  launched();
}

}  // namespace dsr::detail
