// SPDX-License-Identifier: Apache-2.0
/// Products by cuBLASLt: bf16, f32 and f64 operands; sums in f32 (f64 for f64), never in TF32.
#include "dsr/core/transfer.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/gemm_layout.hpp"
#include "libdsr/ops/cuda/gemm_library.hpp"

namespace dsr::detail {
namespace {

/// A product over an inner dimension of 0, or a sum of no terms: out = beta · out.
void scale_by_rows(Tensor const& out, double beta, Stream& stream) {
  if (beta == 1) return;
  if (out.contiguous()) {
    if (beta == 0) return zero(out, stream);
    return backend(stream.device()).scale(out, beta, stream);
  }
  for (Size i = 0; i < out.size(0); ++i) scale_by_rows(out[i], beta, stream);
}

void multiply(Tensor const& a, Tensor const& b, Tensor const& out, MatmulOptions const& options,
              Stream& stream) {
  GemmOperands const operands{b.raw(), a.raw(), out.raw(), options.alpha, options.beta};
  gemm_library(stream).run(gemm_layout(a, b, out, options), operands, stream);
}

}  // namespace

void CudaBackend::matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options,
                         Stream& stream) const {
  if (out.elements() == 0) return;
  if (a.elements() == 0 || b.elements() == 0) return scale_by_rows(out, options.beta, stream);
  bool const summed = out.rank() == 2 && (a.rank() == 3 || b.rank() == 3);
  if (!summed) return multiply(a, b, out, options, stream);
  SummedTerms const sum = summed_terms(a, b, options);
  auto const term = [](Tensor const& x, Size i) { return x.rank() == 3 ? x[i] : x; };
  for (Size i = 0; i < sum.terms; ++i) {
    multiply(term(sum.a, i), term(sum.b, i), out, options, stream);
    options.beta = 1;
  }
}

void CudaBackend::choose_algorithms(AlgorithmOptions options, Stream& stream) const {
  gemm_library(stream).use(options);
}

std::string CudaBackend::save_algorithms(Stream& stream) const {
  return gemm_library(stream).table().save();
}

void CudaBackend::load_algorithms(std::string const& text, Stream& stream) const {
  gemm_library(stream).table().load(text);
}

}  // namespace dsr::detail
