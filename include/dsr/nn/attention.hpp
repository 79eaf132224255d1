// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Attention: QKV projection, causal attention over this rank's heads, output projection.
///
///     Attention attention{{.hidden = H, .heads = N}, mesh};
///     attention.forward(pass, x, y);                // x, y [T/R, H/C]
///
/// QKV is stored [G, N/G + 2, D, H]: a group's query heads, then its key, then its value.
#include "dsr/nn/layer.hpp"
#include "dsr/nn/linear2d.hpp"

namespace dsr {

struct AttentionOptions {
  Size hidden = 0;
  Size heads = 0;   ///< N
  Size groups = 0;  ///< G key-value groups; 0: as many as heads
  Bias bias = Bias::by_layer;
  double stddev = 0.02;
  double output_stddev = 0.02;
  Size groups_or_heads() const { return groups == 0 ? heads : groups; }
};

/// Throws      InvalidArgument if H % N, N % G, G % (R·C) or H % C is not 0
class Attention : public Layer {
 public:
  Attention(AttentionOptions options, Mesh const& mesh);
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

 private:
  AttentionOptions options_;
  Size local_groups_, heads_per_group_, head_size_;
  Linear2D qkv_, output_;
};

}  // namespace dsr
