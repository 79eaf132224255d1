// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/ffn.hpp"

#include "dsr/ops/elementwise.hpp"

namespace dsr {

Ffn::Ffn(FfnOptions options, Mesh const& mesh)
    : options_(options),
      local_inner_(options.inner / mesh.size(kModelAxes)),
      up_(Direction::to_inner, {options.inner, options.hidden}, mesh,
          {.stddev = options.stddev,
           .bias = options.bias == Bias::none ? Bias::none : Bias::by_caller}),
      down_(Direction::to_residual, {options.hidden, options.inner}, mesh,
            {.stddev = options.output_stddev, .bias = options.bias}) {}

void Ffn::visit(Visitor& visitor) {
  visitor.child("up", up_);
  visitor.child("down", down_);
}

void Ffn::forward(Pass& pass, Tensor x, Tensor y) {
  Tensor const h = pass.make_saved({pass.tokens(), local_inner_});
  Tensor const active = pass.make_remade(Remade::activation, h.shape());
  up_.forward_gelu(pass, x, h, active);
  down_.forward(pass, active, y);
  pass.keep(*this, h);
  pass.keep(*this, active);
}

void Ffn::backward(Pass& pass, Tensor dy, Tensor dx) {
  Scratch frame = pass.scratch();
  Tensor const dh = frame.take({pass.tokens(), local_inner_}, pass.dtype());
  Tensor const active = pass.kept(*this), h = pass.kept(*this);
  // h has its bias by now.
  if (pass.remakes_for(Axis::col)) gelu(h, {}, active, pass.stream());
  down_.backward_gelu(pass, dy, h, dh, up_.has_bias() ? up_.bias().gradient() : Tensor{});
  if (up_.has_bias()) pass.gradient_added(up_.bias());
  up_.backward(pass, dh, dx);
}

}  // namespace dsr
