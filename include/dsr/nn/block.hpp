// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Block: norm, attention, norm, FFN, with residual additions fused into the norms and dropout on
/// both branches.
///
///     Block block{attention_options, ffn_options, mesh, {.number = i}};
///     // residual pairs: x [1 or 2, T/R, H/C] → y [2, T/R, H/C]
///     block.forward(pass, x, y);
#include <functional>
#include <memory>

#include "dsr/nn/attention.hpp"
#include "dsr/nn/ffn.hpp"
#include "dsr/nn/norm.hpp"

namespace dsr {

/// Makes the FFN of block `number`; a user's own Layer x [T/R, H/C] → y [T/R, H/C] fits.
using FfnFactory = std::function<std::unique_ptr<Layer>(int number, Mesh const& mesh)>;

struct BlockOptions {
  int number = 0;  ///< its place in the model; keys dropout
  NormOptions norm = {};
  AttentionOptions attention = {};
  FfnOptions ffn = {};
  FfnFactory make_ffn = {};  ///< empty: Ffn with `ffn`
};

/// forward leaves the sum of x's pair in its last element (see AddNorm). backward: dy, dx [T/R,
/// H/C]. With Recompute::block nothing but that sum is read again, and backward begins with the
/// layers' forward: a layer's forward must then depend on its input, the step and the batch alone.
class Block : public Layer {
 public:
  Block(BlockOptions options, Mesh const& mesh);
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

 private:
  void run_forward(Pass& pass, Tensor x, Tensor y);
  void run_backward(Pass& pass, Tensor dy, Tensor dx);

  int number_;
  AddNorm norm1_, norm2_;
  Attention attention_;
  std::unique_ptr<Layer> ffn_;
};

}  // namespace dsr
