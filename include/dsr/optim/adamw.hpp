// SPDX-License-Identifier: Apache-2.0
#pragma once
/// AdamW over flat buffers, with clipping by the global norm; state whole or cut as ZeRO-1.
///
///     dsr::AdamW optimizer{parameters, {.weight_decay = 0.1}};
///     StepResult r = optimizer.step(tokens, lr, stream, exchange);      // gradients are reduced
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
  void start_masters();
  double gradient_norm(Size tokens, Stream& compute);

  Parameters* parameters_;
  AdamWOptions options_;
  Buffer moments_, norm_, norm_on_host_;
  std::vector<Owned> owned_;
  Size steps_ = 0, skipped_ = 0;
};

}  // namespace dsr
