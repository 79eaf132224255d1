// SPDX-License-Identifier: Apache-2.0
#pragma once
/// AddNorm: the residual addition and the LayerNorm after it, in one.
///
///     AddNorm norm{H, mesh};
///     // x [2, T/R, H/C] = (sum, branch): branch becomes sum + branch, y its norm
///     norm.forward(pass, x, y);
///
/// The residual stream travels as (sum, pending branch), [2, T/R, H/C], or as [1, T/R, H/C] where
/// nothing is pending. Its gradient is one [T/R, H/C]: sum and branch have the same.
#include <optional>

#include "dsr/nn/layer.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

enum class NormBias : std::uint8_t { no, yes };

struct NormOptions {
  double eps = 1e-5;
  NormBias bias = NormBias::yes;
};

/// Shapes      x [2 or 1, T/R, H/C], gamma, beta [H/C], y [T/R, H/C]
/// Cost        all-gather of 2·T/R over col forward; all-reduce of 2·T/R over col backward
/// Collective  over col
class AddNorm : public Layer {
 public:
  AddNorm(Size hidden, Mesh const& mesh, NormOptions options = {});
  void forward(Pass& pass, Tensor x, Tensor y) override;
  /// The same with sum (may be undefined) and branch, [T/R, H/C] each, in two places.
  void forward(Pass& pass, Tensor sum, Tensor branch, Tensor y);
  /// dx = gradient through the norm alone.
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  /// dx = gradient through the norm + dresidual, what reached the sum by other ways; dx may be
  /// dresidual.
  void backward(Pass& pass, Tensor dy, Tensor dresidual, Tensor dx);
  /// y as the latest forward wrote it, from what it kept.
  void forward_again(Pass& pass, Tensor y);
  void visit(Visitor& visitor) override;

 private:
  Size hidden_;
  NormOptions options_;
  Parameter gamma_;
  std::optional<Parameter> beta_;
};

}  // namespace dsr
