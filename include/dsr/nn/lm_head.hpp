// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LmHead: projection to the vocabulary and cross entropy, vocabulary cut over row × col; a model's
/// last stage.
///
///     LmHead head{{.vocabulary = V, .hidden = H}, mesh, &embedding.tokens()};    // tied
///     head.forward(pass, x, {});           // adds the loss sum to pass.loss(); x [T/R, H/C]
///
/// In Mode::train forward also computes gradients, chunk by chunk of tokens, so that logits are
/// made once and never stored whole: the gradient of a sum needs no factor from outside. backward
/// only hands dx on.
#include <memory>

#include "dsr/nn/layer.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

/// Tokens whose logits exist at a time. Each chunk reads and writes the weight's whole gradient: a
/// GPU, which computes so much faster than it reads, needs longer ones than a CPU's cache holds.
constexpr Size default_chunk_tokens(DType activations) {
  return activations == DType::bf16 ? 8192 : 1024;
}

struct LmHeadOptions {
  Size vocabulary = 0, hidden = 0;
  double stddev = 0.02;
  Size chunk_tokens = 0;  ///< 0: default_chunk_tokens
};

/// Shapes      x [T/R, H/C], weight [V/(R·C), H], rows padded
/// Cost        elements sent: gather and scatter of x, each (R−1)·u over row and R·(C−1)·u over
///             col, u = T·H/(R·C); statistics over row × col: all-reduce of 1 and of 2 numbers per
///             token, chunk by chunk
/// Collective  over row, col and row × col
class LmHead : public Layer {
 public:
  /// tied: the embedding's token table, which must outlive the head; null: a weight of its own.
  LmHead(LmHeadOptions options, Mesh const& mesh, Parameter* tied = nullptr);
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

  /// logits [V] of token `row` of the micro-batch, on every rank of the replica. Mode::evaluate
  /// only.
  void logits(Pass& pass, Tensor x, Size row, Tensor out);

 private:
  /// x on all ranks, [C, T, H/C] in feature blocks.
  Tensor gathered(Pass& pass, Scratch& frame, Tensor x);
  /// Loss of tokens [begin, end), and their gradients if dx [C, T, H/C] is defined.
  void run_chunk(Pass& pass, Tensor x, Size begin, Size end, Tensor dx);
  /// Adds the loss of a chunk; in training its logits become their own gradient.
  void add_loss(Pass& pass, Tensor logits, Tensor targets);
  Parameter& weight() const { return tied_ != nullptr ? *tied_ : *own_; }
  Size first_column(Mesh const& mesh) const;
  Size valid_columns(Mesh const& mesh) const;

  LmHeadOptions options_;
  Parameter* tied_;
  std::unique_ptr<Parameter> own_;
};

}  // namespace dsr
