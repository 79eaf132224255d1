// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Embedding2D: token and learned position tables, cut by rows over row × col; the first stage of a
/// model.
///
///     Embedding2D embedding{{.vocabulary = V, .positions = S, .hidden = H}, mesh};
///     embedding.forward(pass, {}, x);               // reads pass.batch(); x [T/R, H/C]
#include "dsr/nn/layer.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

struct Embedding2DOptions {
  Size vocabulary = 0, positions = 0, hidden = 0;
  double stddev = 0.02;
  int token_uses = 1;  ///< 2 if the head is tied to the token table
};

/// x = tokens.weight[token] + positions.weight[position], with dropout if the pass has any.
///
/// Shapes      tables [V/(R·C), H] and [S/(R·C), H], rows padded; x [T/R, H/C]
/// Cost        one partial [T, H] reduce-scattered over col, then row; backward gathers over row,
///             then col
/// Throws      InvalidArgument if H % C != 0
class Embedding2D : public Layer {
 public:
  Embedding2D(Embedding2DOptions options, Mesh const& mesh);
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;
  Parameter& tokens() { return tokens_; }

 private:
  Embedding2DOptions options_;
  Parameter tokens_, positions_;
};

}  // namespace dsr
