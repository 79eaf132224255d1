// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Passes over memory: fill, copy, add, bias, GELU, dropout. Contiguous tensors of one float dtype
/// (f32 or f64) unless said otherwise. M rows of N features; higher ranks are read as [product of
/// the rest, last].
///
///     add_bias(y, bias, stream);                     // y [M, N] += bias [N]
///     gelu(h, bias, y, stream);                      // h += bias; y = gelu(h)
#include "dsr/core/rng.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// x = value. Any dtype.
void fill(Tensor x, double value, Stream& stream);
/// out = x. Any equal dtypes and shapes; views with unit stride in the last dimension may be
/// strided.
void copy(Tensor x, Tensor out, Stream& stream);
/// out = a + b; out may be a or b.
void add(Tensor a, Tensor b, Tensor out, Stream& stream);
/// x = x · factor.
void scale(Tensor x, double factor, Stream& stream);

/// y [M, N] += bias [N].
void add_bias(Tensor y, Tensor bias, Stream& stream);
/// dbias [N] += sum over rows of dy [M, N].
void add_bias_gradient(Tensor dy, Tensor dbias, Stream& stream);

/// h [M, N] += bias [N] (if bias is defined), then y [M, N] = gelu(h), tanh form:
/// h/2·(1 + tanh(√(2/π)·(h + 0.044715·h³))). Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
void gelu(Tensor h, Tensor bias, Tensor y, Stream& stream);
/// dh = dy · gelu'(h), and dbias [N] += sum over rows of dh (if dbias is defined). dh may be dy.
void gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias, Stream& stream);

/// Which elements dropout keeps: element (row m, feature n) is kept if the Philox value for
/// key and counter (ordinals[m], positions[m], (first_feature + n) / 4), word (first_feature + n) %
/// 4, is at least probability as a fraction of 2³². The same bits on every mesh.
struct DropoutMask {
  double probability = 0;  ///< of being dropped, in [0, 1)
  RandomKey key;
  Tensor ordinals, positions;  ///< [M] i32
  Size first_feature = 0;
};

/// out [M, N] = x / (1 − probability) where kept, else 0. Its own backward. out may be x.
void dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream& stream);

}  // namespace dsr
