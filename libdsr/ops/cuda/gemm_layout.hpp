// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A row-major product as the column-major one that BLAS libraries take; plain numbers.
///
///     GemmLayout g = gemm_layout(a, b, out, options);      // g.left is b, g.right is a
///
/// A row-major matrix read by columns is its transpose, so out = op(a)·op(b) is computed as outᵀ =
/// op(b)ᵀ·op(a)ᵀ: operands change sides, each keeps its own flag, and M and N change names.
#include <algorithm>
#include <compare>
#include <cstdint>

#include "dsr/core/tensor.hpp"
#include "dsr/ops/matmul.hpp"

namespace dsr::detail {

/// Bytes that vector loads of the libraries ask for; more alignment gains nothing.
inline constexpr Size kGemmAlignment_bytes = 16;

/// One column-major operand: columns lie `leading` elements apart, members of a batch `step` (0:
/// one for all).
struct GemmOperand {
  Size leading = 1, step = 0;
  Size align_bytes = kGemmAlignment_bytes;  ///< of the address, at most kGemmAlignment_bytes
  Transpose transpose = Transpose::no;
  auto operator<=>(GemmOperand const&) const = default;
};

/// What a product does to its sums before they go out. bias: adds one to each column of the
/// row-major out; gelu: the same (bias may be absent), keeps the result aside as h and gives out its
/// GELU; gelu_backward: multiplies by gelu'(h).
enum class Epilogue : std::uint8_t { none, bias, gelu, gelu_bias, gelu_backward };

/// out [rows, columns] = op(left) [rows, inner] · op(right) [inner, columns], for each member of a
/// batch. What an algorithm is chosen for.
struct GemmLayout {
  Size rows = 0, columns = 0, inner = 0, batch = 1;
  DType in = DType::bf16, out_type = DType::bf16;
  enum class Reads : std::uint8_t { operands, operands_and_out } reads = Reads::operands;
  GemmOperand left, right, out;
  Epilogue epilogue = Epilogue::none;  ///< of contiguous operands on kGemmAlignment_bytes
  auto operator<=>(GemmLayout const&) const = default;

  /// Rows that `left` is stored with, and so on: column-major, before op.
  Size left_rows() const { return left.transpose == Transpose::yes ? inner : rows; }
  Size left_columns() const { return left.transpose == Transpose::yes ? rows : inner; }
  Size right_rows() const { return right.transpose == Transpose::yes ? columns : inner; }
  Size right_columns() const { return right.transpose == Transpose::yes ? inner : columns; }
  /// Elements from the first to the last of out, gaps included.
  Size out_extent() const { return (batch - 1) * out.step + (columns - 1) * out.leading + rows; }
};

/// The largest power of two up to kGemmAlignment_bytes that divides it.
inline Size alignment_of(std::uintptr_t address) {
  Size alignment_bytes = kGemmAlignment_bytes;
  while (address % static_cast<std::uintptr_t>(alignment_bytes) != 0) alignment_bytes /= 2;
  return alignment_bytes;
}

inline GemmOperand gemm_operand(Tensor const& x, Transpose transpose, Size batch) {
  Size const step = x.rank() == 3 && batch > 1 ? x.stride(0) : 0;
  auto const address = reinterpret_cast<std::uintptr_t>(x.raw());
  // The stride of a single row is never used: it need not be a valid leading dimension, nor make a
  // layout of its own.
  return {
      .leading = std::max({x.size(-2) > 1 ? x.stride(-2) : 1, x.size(-1), Size{1}}),
      .step = step,
      .align_bytes = alignment_of(address | static_cast<std::uintptr_t>(step * size_of(x.dtype()))),
      .transpose = transpose};
}

/// Of tensors that matmul has accepted; sums over a batch are taken one term at a time, or as one
/// (see matmul.cpp).
inline GemmLayout gemm_layout(Tensor const& a, Tensor const& b, Tensor const& out,
                              MatmulOptions const& options) {
  Size const batch = out.rank() == 3 ? out.size(0) : 1;
  return {.rows = out.size(-1),
          .columns = out.size(-2),
          .inner = a.size(options.a == Transpose::yes ? -2 : -1),
          .batch = batch,
          .in = a.dtype(),
          .out_type = out.dtype(),
          .reads =
              options.beta != 0 ? GemmLayout::Reads::operands_and_out : GemmLayout::Reads::operands,
          .left = gemm_operand(b, options.b, batch),
          .right = gemm_operand(a, options.a, batch),
          .out = gemm_operand(out, Transpose::no, batch)};
}

/// A product summed over its batch, cut into plain products. Where both operands of all members lie
/// one after the other along the inner dimension (a transposed, b not), it is one product with a
/// longer inner dimension.
struct SummedTerms {
  Tensor a, b;  ///< [terms, …], or without that dimension if all terms share it
  Size terms = 1;
};

inline SummedTerms summed_terms(Tensor const& a, Tensor const& b, MatmulOptions const& options) {
  Size const terms = a.rank() == 3 ? a.size(0) : b.size(0);
  auto const stacks = [](Tensor const& x) { return x.rank() == 3 && x.contiguous(); };
  if (terms > 1 && options.a == Transpose::yes && options.b == Transpose::no && stacks(a) &&
      stacks(b)) {
    return {a.reshape({terms * a.size(1), a.size(2)}), b.reshape({terms * b.size(1), b.size(2)}),
            1};
  }
  return {a, b, terms};
}

}  // namespace dsr::detail
