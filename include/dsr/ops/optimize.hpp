// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The optimizer's passes over flat buffers.
///
///     add_sum_of_squares(gradients, total, stream);
///     adamw(values, gradients, m, v, step, {}, stream);
#include <cstdint>

#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// total [1] f64 += Σ x², summed in f64 in a fixed order.
void add_sum_of_squares(Tensor x, Tensor total, Stream& stream);

/// What a pass leaves in the gradient that it has read: the same, or zeros for the next sum.
enum class GradientAfter : std::uint8_t { keep, zero };

/// One AdamW step's numbers.
struct AdamWStep {
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  /// What turns the gradient's sum into the gradient: clip factor / tokens.
  double gradient_scale = 1;
  Size number = 1;  ///< counts from 1; bias correction uses it
  GradientAfter gradient_after = GradientAfter::keep;
};

/// g = gradient·scale; m = β1·m + (1−β1)·g; v = β2·v + (1−β2)·g²;
/// value = value·(1 − lr·decay) − lr·(m/(1−β1ⁿ))/(√(v/(1−β2ⁿ)) + eps).
///
/// Shapes      four contiguous tensors [n], one dtype (f32 or f64). rounded, if defined, is bf16
///             [n] and gets the new value rounded to nearest
/// Source      Loshchilov and Hutter 2019, arXiv:1711.05101 (decoupled decay)
void adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step, Tensor rounded,
           Stream& stream);

}  // namespace dsr
