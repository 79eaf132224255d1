// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Linear2D: y = x·Wᵀ + b with W cut over both model axes, from the residual layout to the inner
/// one or back.
///
///     Linear2D up{Direction::to_inner, {F, H}, mesh, {.stddev = 0.02}};
///     up.forward(pass, x, h);                       // x [T/R, H/C] → h [T, F/(R·C)]
///
/// residual: [T/R, H/C]; inner: [T, F/(R·C)]. Not for the embedding or the head, which are cut by
/// vocabulary.
#include <optional>

#include "dsr/nn/layer.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

enum class Direction : std::uint8_t { to_inner, to_residual };

/// none; by_layer: added in forward, its gradient in backward; by_caller: the parameter is there,
/// and the caller, who can fuse it with what follows, adds it and its gradient (then calls
/// Pass::gradient_added).
enum class Bias : std::uint8_t { none, by_layer, by_caller };

struct Linear2DOptions {
  double stddev = 0.02;  ///< of the initial weights; biases start at 0
  Bias bias = Bias::by_layer;
  /// The stored shape of the output features, whose product is F, for to_inner; empty: {F}. Units,
  /// the first dimension, are what the mesh cuts.
  Shape units = {};
};

/// y = x·Wᵀ + b.
///
/// Shapes      to_inner: x [T/R, H/C], W [F, H] → [F/R, H/C], b [F/(R·C)], y [T, F/(R·C)]
///             to_residual: x [T, F/(R·C)], W [H, F] → [H/C, F/R], b [H/C], y [T/R, H/C]
/// Cost        elements sent, forward and backward each: (R−1)·T·H/(R·C) over row, (C−1)·T·F/(R·C)
///             over col; Regather::yes repeats forward's gather in backward
/// Collective  over row and col
/// Stream      compute, with collectives on pass.exchange(); in backward the scatter of dx runs
///             beside dW
/// Throws      InvalidArgument from the constructor if F % (R·C) or H % C is not 0 (units % (R·C)
///             likewise)
/// Source      Singh et al. 2024, arXiv:2502.08145; Korthikanti et al. 2022, arXiv:2205.05198
class Linear2D : public Layer {
 public:
  /// features: {outputs, inputs}.
  Linear2D(Direction direction, Shape features, Mesh const& mesh, Linear2DOptions options = {});

  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

  /// to_inner, Bias::by_caller or none: h = x·Wᵀ + b and y = gelu(h), in one pass where this rank's
  /// product is whole (C = 1). The bias's gradient is the caller's.
  void forward_gelu(Pass& pass, Tensor x, Tensor h, Tensor y);
  /// to_residual, after a GELU: dh = (dy·W)·gelu'(h), dbias += Σ over tokens of dh (if defined), in
  /// place of backward's dx.
  void backward_gelu(Pass& pass, Tensor dy, Tensor h, Tensor dh, Tensor dbias);

  Parameter& weight() { return weight_; }
  /// Throws InvalidArgument if there is none.
  Parameter& bias();
  bool has_bias() const { return bias_.has_value(); }

 private:
  /// What stands between this product and the next; undefined tensors: nothing does.
  struct Gelu {
    Tensor h, y;    ///< forward: y = gelu(h); backward: h alone
    Tensor dbias;   ///< backward
  };
  void forward_to_inner(Pass& pass, Tensor x, Tensor y, Gelu const& gelu);
  void forward_to_residual(Pass& pass, Tensor x, Tensor y);
  void backward_to_inner(Pass& pass, Tensor dy, Tensor dx);
  void backward_to_residual(Pass& pass, Tensor dy, Tensor dx, Gelu const& gelu);
  void finish_backward(Pass& pass, Tensor dy);
  Tensor bias_row() const {
    return bias_ ? bias_->value().reshape({bias_->value().elements()}) : Tensor{};
  }

  Direction direction_;
  Linear2DOptions options_;
  Parameter weight_;
  std::optional<Parameter> bias_;
};

}  // namespace dsr
