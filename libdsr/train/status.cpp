// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/status.hpp"

#include <iostream>
#include <string>
#include <vector>

namespace dsr {

void report_to(Trainer& trainer, Runtime const& runtime, Size steps, MetricsWriter* metrics,
               TrainingCheckpoints const* checkpoints) {
  if (runtime.rank() != 0) return;
  // The mean over about the last twenty steps: one slow step should not move the estimate.
  trainer.on_step([steps, metrics, checkpoints, mean_ms = 0.0](StepMetrics const& step) mutable {
    mean_ms = mean_ms == 0 ? step.step_ms : 0.95 * mean_ms + 0.05 * step.step_ms;
    double const eta_s = mean_ms * 1e-3 * static_cast<double>(steps - step.step);
    std::cout << status_line(step, steps, eta_s) << std::endl;
    if (metrics == nullptr) return;
    std::vector<Metric> record = metrics_of(step);
    if (checkpoints != nullptr)
      record.push_back({"checkpoint_age_steps", checkpoints->age_steps()});
    metrics->write(record);
  });
}

std::function<void(EvaluationMetrics const&)> evaluation_report(Runtime const& runtime, Size steps,
                                                                MetricsWriter* metrics) {
  if (runtime.rank() != 0) return {};
  return [steps, metrics](EvaluationMetrics const& evaluation) {
    std::cout << status_line(evaluation, steps) << std::endl;
    if (metrics != nullptr) metrics->write(evaluation);
  };
}

}  // namespace dsr
