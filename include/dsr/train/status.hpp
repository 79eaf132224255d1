// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A line per step for people, and an object per step in a file.
///
///     dsr::report_to(trainer, runtime, 1000, metrics.get());
#include "dsr/comm/runtime.hpp"
#include "dsr/observe/metrics.hpp"
#include "dsr/train/checkpoints.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Rank 0 prints a status line for each step of run_to, with the time left until `steps`, and
/// writes it to `metrics` (may be null), with checkpoint_age_steps if `checkpoints` is given; other
/// ranks do nothing.
void report_to(Trainer& trainer, Runtime const& runtime, Size steps, MetricsWriter* metrics,
               TrainingCheckpoints const* checkpoints = nullptr);

/// The same for evaluations, for Trainer::evaluate_every.
std::function<void(EvaluationMetrics const&)> evaluation_report(Runtime const& runtime, Size steps,
                                                                MetricsWriter* metrics);

}  // namespace dsr
