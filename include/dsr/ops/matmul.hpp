// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Matrix products of views, single or in strided batches, and products with what follows them.
///
///     // y [T, F] = x [T, H] · w [F, H]ᵀ
///     matmul(x, w, y, {.b = Transpose::yes}, stream);
///     matmul(dy, x, dw, {.a = Transpose::yes, .beta = 1}, stream);      // dw [F, H] += dyᵀ · x
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

enum class Transpose : std::uint8_t { no, yes };

struct MatmulOptions {
  Transpose a = Transpose::no, b = Transpose::no;
  double alpha = 1;
  double beta = 0;  ///< 0: out is overwritten and may be uninitialised
};

/// out = alpha · op(a) · op(b) + beta · out.
///
/// Shapes      op(a) [M, K], op(b) [K, N], out [M, N]; views with any row stride, unit stride in
///             the last dimension. A leading dimension of n is a batch of n; operands without it
///             are used by every member. If out has none while a or b has, the products are summed
///             into it.
/// Work        2·M·N·K flops per member
/// Types       a and b f32 or f64, on CUDA also bf16; out theirs, or f32 for bf16. Sums in f32 (f64
///             for f64); a batch summed into a bf16 out is rounded after each member
/// Throws      InvalidArgument if shapes, dtypes or strides do not fit
void matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options, Stream& stream);

/// out [M, N] = alpha · op(a) · op(b) + beta · out + bias [N]: one pass over out where the device's
/// library can. Without batches; types as of matmul, bias and out a's.
void matmul_bias(Tensor a, Tensor b, Tensor bias, Tensor out, MatmulOptions options,
                 Stream& stream);

/// h [M, N] = op(a) · op(b) + bias [N] (if defined); y [M, N] = gelu(h). Types as of matmul_bias;
/// alpha 1, beta 0.
void matmul_gelu(Tensor a, Tensor b, Tensor bias, Tensor h, Tensor y, MatmulOptions options,
                 Stream& stream);

/// dh [M, N] = (op(a) · op(b)) · gelu'(h); dbias [N] += sum over rows of dh (if defined). dbias in
/// accumulator_of a's type; alpha 1, beta 0.
void matmul_gelu_backward(Tensor a, Tensor b, Tensor h, Tensor dh, Tensor dbias,
                          MatmulOptions options, Stream& stream);

}  // namespace dsr
