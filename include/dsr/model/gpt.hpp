// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Gpt: a decoder-only transformer in the manner of GPT-2, on any mesh.
///
///     dsr::Gpt model{dsr::gpt2_124m(), mesh};
///     model.forward(pass, {}, {});  model.backward(pass, {}, {});
#include <memory>
#include <vector>

#include "dsr/nn/block.hpp"
#include "dsr/nn/embedding2d.hpp"
#include "dsr/nn/lm_head.hpp"

namespace dsr {

enum class HeadWeight : std::uint8_t { own, tied };
enum class ModelBias : std::uint8_t { no, yes };

/// Sizes of a model; pure numbers.
struct GptConfig {
  Size layers = 4, hidden = 128, heads = 4;
  Size groups = 0;  ///< key-value groups; 0: as many as heads
  Size ffn = 0;     ///< inner size; 0: 4·hidden
  Size vocabulary = 256;
  Size sequence = 64;  ///< tokens, and rows of the position table
  ModelBias bias = ModelBias::yes;
  HeadWeight head = HeadWeight::tied;
  Size inner() const { return ffn == 0 ? 4 * hidden : ffn; }
  Size groups_or_heads() const { return groups == 0 ? heads : groups; }
  /// Throws InvalidArgument, all problems in one text, if sizes are below 1, or hidden % heads or
  /// heads % groups is not 0.
  void validate() const;
  /// Also what the mesh cannot divide: one equation a line, then the nearest mesh shapes of as many
  /// ranks that fit.
  void validate(MeshShape const& mesh) const;
  /// Throws InvalidArgument if the head size is not a multiple of 8 up to largest_head_size().
  void validate_on_cuda(Size largest) const;
};

/// The largest head size that cuDNN's attention takes on a GPU of a compute capability (such as
/// 90): 256 on Hopper, otherwise 128; of 0, no GPU, the larger.
Size largest_head_size(int capability);

GptConfig gpt2_124m();
GptConfig gpt_1_3b();

/// Weights start normal(0, 0.02), residual projections normal(0, 0.02/√(2·layers)), biases 0,
/// gammas 1.
class Gpt : public Layer {
 public:
  /// make_ffn: another FFN for every block; empty: Ffn. Throws as GptConfig::validate(mesh) does,
  /// before communication.
  Gpt(GptConfig config, Mesh const& mesh, FfnFactory make_ffn = {});
  /// x, y, dx and dy are not used: the batch comes from the pass and the loss goes to it.
  void forward(Pass& pass, Tensor x, Tensor y) override;
  void backward(Pass& pass, Tensor dy, Tensor dx) override;
  void visit(Visitor& visitor) override;

  /// logits [V] after token `row` of the batch, on every rank of the replica. The pass is in
  /// Mode::evaluate.
  void logits(Pass& pass, Size row, Tensor out);
  GptConfig const& config() const { return config_; }

 private:
  /// Runs all but the head; the last norm's output, [T/R, H/C].
  Tensor hidden_states(Pass& pass);

  GptConfig config_;
  Embedding2D embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  AddNorm norm_;
  LmHead head_;
};

}  // namespace dsr
