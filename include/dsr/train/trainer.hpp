// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Trainer: optimizer steps over a loader's micro-batches, with metrics, evaluation and checks.
///
///     dsr::Trainer trainer{runtime, mesh, model, optimizer, loader, {.rate = {.lr = 6e-4}}};
///     trainer.on_step([](dsr::StepMetrics const& m) { … });
///     trainer.run_to(1000);
///
/// Memory for activations is sized before the first step by running the same layers on `meta`.
#include <functional>
#include <optional>

#include "dsr/comm/runtime.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/nn/pass.hpp"
#include "dsr/observe/metrics.hpp"
#include "dsr/optim/adamw.hpp"
#include "dsr/optim/gradients.hpp"
#include "dsr/optim/schedule.hpp"

namespace dsr {

struct TrainerOptions {
  LearningRate rate = {};
  PassOptions pass = {};   ///< dtype must be the parameters'
  Size check_every = 100;  ///< steps between checks that replicas hold the same bits; 0: never
};

/// Neither copies nor moves. All that it is given must outlive it. Collective: every rank makes the
/// same calls.
class Trainer {
 public:
  /// Collective over the world. Throws InvalidArgument if options do not fit, OutOfMemory with the
  ///            bytes needed.
  Trainer(Runtime& runtime, Mesh const& mesh, Layer& model, AdamW& optimizer, Loader& loader,
          TrainerOptions options);
  Trainer(Trainer const&) = delete;
  Trainer& operator=(Trainer const&) = delete;

  /// One optimizer step. Throws Error if replicas that must be equal are not.
  StepMetrics step();
  /// Mean loss over `batches` batches of a loader from its start, or all of it if it has fewer;
  /// changes no weight.
  double evaluate(Loader& loader, Size batches);
  /// Steps until `steps` have been done in all.
  void run_to(Size steps);
  /// Called after each step of run_to, on every rank.
  void on_step(std::function<void(StepMetrics const&)> callback) { on_step_ = std::move(callback); }
  /// run_to evaluates every `every` steps and after the last one; `report` is called on every rank.
  void evaluate_every(Size every, Loader& loader, Size batches,
                      std::function<void(EvaluationMetrics const&)> report);

  Size steps_done() const { return steps_done_; }
  Pass& pass() { return *pass_; }
  Stream& compute() { return compute_; }
  /// Steps whose gradient norm was not finite.
  Size skipped() const { return optimizer_->skipped(); }

 private:
  struct Evaluation {
    Size every = 0, batches = 0;
    Loader* loader = nullptr;
    std::function<void(EvaluationMetrics const&)> report;
  };
  struct Totals {
    double loss = 0;
    Size tokens = 0;
  };
  Size accumulate(Loader& loader);
  Totals total_over_replicas(Size tokens);
  double communication_s() const;
  double exposed_s() const;
  void require_equal_replicas();

  Runtime* runtime_;
  Mesh const* mesh_;
  Layer* model_;
  AdamW* optimizer_;
  Loader* loader_;
  TrainerOptions options_;
  Stream compute_;
  Stream exchange_;   // collectives over the model axes
  Stream reduction_;  // collectives of gradients and weights
  std::optional<Pass> pass_;
  GradientReducer reducer_;
  Buffer totals_, totals_on_host_;
  std::function<void(StepMetrics const&)> on_step_;
  Evaluation evaluation_;
  Size steps_done_ = 0;
};

}  // namespace dsr
