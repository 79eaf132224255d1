// SPDX-License-Identifier: Apache-2.0
#pragma once
/// AdamW over flat buffers, with clipping by the global norm; state whole or cut as ZeRO-1.
///
///     dsr::AdamW optimizer{parameters, {.weight_decay = 0.1}};
///     StepResult r = optimizer.step(tokens, lr, stream, exchange);      // gradients are reduced
///     optimizer.visit_state(state);  …  optimizer.after_load(stream, exchange);
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/optim/gradients.hpp"
#include "dsr/state/parameters.hpp"
#include "dsr/state/state.hpp"

namespace dsr {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0;  ///< of matrices only
  double clip = 0;          ///< largest global gradient norm; 0: no clipping
  ZeroStage zero = ZeroStage::zero;
  /// Throws InvalidArgument if a number is out of range.
  void validate() const;
};

enum class StepOutcome : std::uint8_t { applied, skipped_not_finite };

struct StepResult {
  double gradient_norm = 0;  ///< of the mean gradient over tokens, before clipping
  StepOutcome outcome = StepOutcome::applied;
};

/// Where values are bf16 it keeps an f32 master of each value that it updates. Moves. Parameters
/// must outlive it.
class AdamW {
 public:
  AdamW(Parameters& parameters, AdamWOptions options = {});
  AdamW(AdamW&&) noexcept = default;

  /// One step from reduced gradient sums over `tokens` tokens of the whole job; collective over the
  /// world. A norm that is not finite changes no weight and is counted. With ZeRO-1 the new weights
  /// are gathered. Gradients are zero afterwards, whatever the outcome.
  StepResult step(Size tokens, double lr, Stream& compute, Stream& exchange);

  AdamWOptions const& options() const { return options_; }
  Parameters& parameters() { return *parameters_; }
  Size steps() const { return steps_; }  ///< applied
  Size skipped() const { return skipped_; }
  /// Adds all that training has besides gradients: "model/<name>", the masters or, where there are
  /// none, the values, and the model's texts; the moments "optimizer/m/<name>" and
  /// "optimizer/v/<name>"; and the text "optimizer/step", whose loading throws CorruptData if it is
  /// not what saving writes. Tensors are accumulator_of(parameters' dtype): a state of an f32 run
  /// fits a bf16 run. Must not move while the state is used.
  void visit_state(State& state);
  /// To be called when tensors of visit_state have been overwritten and before values are read:
  /// rounds masters into the values, and with ZeRO-1 gathers them. Collective over the world.
  void after_load(Stream& compute, Stream& exchange);

  /// Bytes of moments and master weights on this rank.
  Size state_bytes() const;

 private:
  static constexpr std::size_t kAllBuckets = static_cast<std::size_t>(-1);
  /// A part of a flat buffer that this rank updates, of one bucket or of all, its moments, and its
  /// master if values are bf16.
  struct Owned {
    std::size_t flat = 0, bucket = 0;
    FlatRange range;
    Tensor m, v, master;
  };
  bool has_masters() const { return accumulator_of(parameters_->dtype()) != parameters_->dtype(); }
  void start_masters();
  Tensor values_of(Owned const& part) const;
  /// Sends the values of an owned part to the ranks that share them, after compute's work.
  void gather(Owned const& part, Stream& compute, Stream& exchange);
  Owned const& owned_part(ParameterPlace const& place) const;
  void add_parts(State& state, std::string const& prefix, Tensor Owned::*which) const;
  double gradient_norm(Size tokens, Stream& compute);

  Parameters* parameters_;
  AdamWOptions options_;
  Buffer moments_, norm_, norm_on_host_;
  std::vector<Owned> owned_;
  Size steps_ = 0, skipped_ = 0;
};

}  // namespace dsr
