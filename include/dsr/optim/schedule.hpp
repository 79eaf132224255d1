// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Learning rate: linear warm-up, then cosine decay to min_lr, or constant.
///
///     LearningRate{.lr = 6e-4, .min_lr = 6e-5, .warmup = 100, .decay_steps = 1000}.at(step)
#include "dsr/core/shape.hpp"

namespace dsr {

struct LearningRate {
  double lr = 1e-3;
  double min_lr = 0;
  Size warmup = 0;       ///< steps; step 0 has lr/warmup, step warmup − 1 the full lr
  Size decay_steps = 0;  ///< step at which min_lr is reached; 0: constant after warm-up
  /// Throws InvalidArgument if a number is out of range or decay_steps is in (0, warmup].
  void validate() const;
  /// The rate of step `step`, counted from 0.
  double at(Size step) const;
};

}  // namespace dsr
