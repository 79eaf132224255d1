// SPDX-License-Identifier: Apache-2.0
/// Products by cuBLASLt: bf16, f32 and f64 operands; sums in f32 (f64 for f64), never in TF32.
#include <algorithm>
#include <optional>

#include "dsr/core/buffer.hpp"
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

/// The layout of a product with an epilogue; none where an operand is not what epilogues take.
std::optional<GemmLayout> fusible(Tensor const& a, Tensor const& b, Tensor const& out,
                                  MatmulOptions const& options, Epilogue epilogue,
                                  std::initializer_list<Tensor> others) {
  GemmLayout layout = gemm_layout(a, b, out, options);
  auto const aligned = [](Tensor const& x) {
    return !x.defined() ||
           alignment_of(reinterpret_cast<std::uintptr_t>(x.raw())) == kGemmAlignment_bytes;
  };
  bool const fits = a.dtype() == DType::bf16 && layout.inner > 0 && out.elements() > 0 &&
                    out.size(1) * size_of(DType::bf16) % kGemmAlignment_bytes == 0 &&
                    aligned(out) && std::ranges::all_of(others, aligned);
  if (!fits) return std::nullopt;
  layout.epilogue = epilogue;
  return layout;
}

GemmOperands operands_of(Tensor const& a, Tensor const& b, Tensor const& out,
                         MatmulOptions const& options, Tensor const& bias, Tensor const& h) {
  return {b.raw(),      a.raw(),
          out.raw(),    options.alpha,
          options.beta, bias.defined() ? bias.raw() : nullptr,
          h.defined() ? h.raw() : nullptr};
}

}  // namespace

void CudaBackend::matmul_bias(Tensor a, Tensor b, Tensor bias, Tensor out, MatmulOptions options,
                              Stream& stream) const {
  auto const apart = [&] { Backend::matmul_bias(a, b, bias, out, options, stream); };
  auto const layout = fusible(a, b, out, options, Epilogue::bias, {bias});
  if (!layout) return apart();
  GemmLibrary& library = gemm_library(stream);
  GemmOperands const operands = operands_of(a, b, out, options, bias, {});
  if (!library.decided(*layout)) library.decide(*layout, operands, {apart, [] {}}, stream);
  if (!library.fused(*layout)) return apart();
  library.run(*layout, operands, stream);
}

void CudaBackend::matmul_gelu(Tensor a, Tensor b, Tensor bias, Tensor h, Tensor y,
                              MatmulOptions options, Stream& stream) const {
  auto const apart = [&] { Backend::matmul_gelu(a, b, bias, h, y, options, stream); };
  Epilogue const epilogue = bias.defined() ? Epilogue::gelu_bias : Epilogue::gelu;
  auto const layout = fusible(a, b, y, options, epilogue, {bias, h});
  if (!layout) return apart();
  GemmLibrary& library = gemm_library(stream);
  GemmOperands const operands = operands_of(a, b, y, options, bias, h);
  if (!library.decided(*layout)) library.decide(*layout, operands, {apart, [] {}}, stream);
  if (!library.fused(*layout)) return apart();
  library.run(*layout, operands, stream);
}

/// The library has an epilogue that sums columns as well; it is far slower than a pass over dh.
void CudaBackend::matmul_gelu_backward(Tensor a, Tensor b, Tensor h, Tensor dh, Tensor dbias,
                                       MatmulOptions options, Stream& stream) const {
  auto const apart = [&](Tensor const& sums) {
    Backend::matmul_gelu_backward(a, b, h, dh, sums, options, stream);
  };
  auto const after = [&](Tensor const& sums) {
    if (sums.defined()) add_bias_gradient(dh, sums, stream);
  };
  auto const layout = fusible(a, b, dh, options, Epilogue::gelu_backward, {h});
  if (!layout) return apart(dbias);
  GemmLibrary& library = gemm_library(stream);
  GemmOperands const operands = operands_of(a, b, dh, options, {}, h);
  if (!library.decided(*layout)) {
    // Sums that timing may add to.
    Buffer const aside{dbias.defined() ? dbias.bytes() : 0, stream.device()};
    Tensor const sums = dbias.defined()
                            ? Tensor{aside.data(), dbias.shape(), dbias.dtype(), stream.device()}
                            : Tensor{};
    library.decide(*layout, operands, {[&] { apart(sums); }, [&] { after(sums); }}, stream);
    stream.synchronize();
  }
  if (!library.fused(*layout)) return apart(dbias);
  library.run(*layout, operands, stream);
  after(dbias);
}

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

void CudaBackend::follow_algorithms(std::string const& text, Stream& stream) const {
  gemm_library(stream).follow(text);
}

void CudaBackend::load_algorithms(std::string const& text, Stream& stream) const {
  gemm_library(stream).table().load(text);
}

}  // namespace dsr::detail
