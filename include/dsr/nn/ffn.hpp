// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Ffn: up projection, GELU (tanh form), down projection; inner columns cut over row × col.
///
///     Ffn ffn{{.hidden = H, .inner = 4 * H}, mesh};
///     ffn.forward(pass, x, y);                      // x, y [T/R, H/C]
#include "dsr/nn/layer.hpp"
#include "dsr/nn/linear2d.hpp"

namespace dsr {

struct FfnOptions {
  Size hidden = 0, inner = 0;
  Bias bias = Bias::by_layer;
  double stddev = 0.02;
  double output_stddev = 0.02;
};

/// Throws      InvalidArgument if F % (R·C) or H % C is not 0
class Ffn : public Layer {
 public:
  Ffn(FfnOptions options, Mesh const& mesh);
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

 private:
  FfnOptions options_;
  Size local_inner_;
  Linear2D up_, down_;
};

}  // namespace dsr
