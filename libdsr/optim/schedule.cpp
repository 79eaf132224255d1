// SPDX-License-Identifier: Apache-2.0
#include "dsr/optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr {

void LearningRate::validate() const {
  if (!(lr >= 0) || !std::isfinite(lr))
    throw InvalidArgument(problem("train.lr", std::to_string(lr), "a number >= 0"));
  if (!(min_lr >= 0 && min_lr <= lr)) {
    throw InvalidArgument(
        problem("train.min_lr", std::to_string(min_lr), "0 to train.lr = " + std::to_string(lr)));
  }
  if (warmup < 0)
    throw InvalidArgument(problem("train.warmup", std::to_string(warmup), "at least 0 steps"));
  if (decay_steps < 0 || (decay_steps > 0 && decay_steps <= warmup)) {
    throw InvalidArgument(problem("train.decay_steps", std::to_string(decay_steps),
                                  "0 or more than train.warmup = " + std::to_string(warmup),
                                  std::to_string(warmup + 1)));
  }
}

double LearningRate::at(Size step) const {
  if (step < warmup) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (decay_steps == 0) return lr;
  double const done =
      static_cast<double>(step - warmup) / static_cast<double>(decay_steps - warmup);
  return min_lr + (lr - min_lr) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(done, 1.0)));
}

}  // namespace dsr
