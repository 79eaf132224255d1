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
#include <string>

#include "dsr/comm/runtime.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/nn/pass.hpp"
#include "dsr/observe/metrics.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/optim/adamw.hpp"
#include "dsr/optim/gradients.hpp"
#include "dsr/optim/schedule.hpp"
#include "dsr/state/state.hpp"
#include "dsr/train/replay.hpp"

namespace dsr {

/// on: collectives run on streams of their own, beside compute. off: on compute's, which waits for
/// each of them; for measurements.
enum class Overlap : std::uint8_t { off, on };

/// where_possible: micro-batches run from a captured graph, see Replay::possible. off: every kernel
/// is launched by the host.
enum class Graphs : std::uint8_t { off, where_possible };

struct TrainerOptions {
  LearningRate rate = {};
  PassOptions pass = {};   ///< dtype must be the parameters'
  Size check_every = 100;  ///< steps between checks that replicas hold the same bits; 0: never
  Overlap overlap = Overlap::on;
  Graphs graphs = Graphs::where_possible;
  /// Of matrix products and attention, on CUDA. With AlgorithmChoice::timed rank 0 times them in
  /// the first step, which takes some ten seconds longer, and all ranks follow it from then on.
  AlgorithmOptions algorithms = {};
  /// Where rank 0's choices are kept: read if the file is there and fits, else written after the
  /// first step. Empty: not kept.
  std::string algorithms_file = {};
};

/// What a replica has added up of a step, between two of its micro-batches.
struct Accumulated {
  Size micro_batches = 0;  ///< done
  Size tokens = 0;         ///< with a target, in them
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
  /// run_to returns when the step that is under way has been done. All ranks call it in the same
  /// step.
  void stop() { stopping_ = true; }
  /// Called after each step of run_to, on every rank.
  void on_step(std::function<void(StepMetrics const&)> callback) { on_step_ = std::move(callback); }
  /// Called at the very end of each step of run_to, on every rank.
  void between_steps(std::function<void()> callback) { between_steps_ = std::move(callback); }
  /// Called between two micro-batches of a step, never after its last, while the gradients and
  /// pass().loss() are sums of this rank alone; compute() may still be at work on them. Replicas
  /// get there at different times. What it throws ends the step, and the next begins it anew.
  void between_micro_batches(std::function<void(Accumulated const&)> callback) {
    between_micro_batches_ = std::move(callback);
  }
  /// The next step goes on behind these micro-batches, whose gradients have been written into the
  /// parameters' and whose loss sum is `loss`; after_load forgets it. Throws InvalidArgument unless
  /// some of the replica's micro-batches are done and some are not.
  void resume_step(Accumulated const& done, double loss);
  /// run_to evaluates every `every` steps and after the last one; `report` is called on every rank.
  void evaluate_every(Size every, Loader& loader, Size batches,
                      std::function<void(EvaluationMetrics const&)> report);

  /// Adds all that a run goes on with: the optimizer's state, "data/cursor" and "train/step". The
  /// trainer must outlive the state.
  void visit_state(State& state);
  /// To be called when such a state has been loaded. Collective over the world.
  void after_load();

  Size steps_done() const { return steps_done_; }
  TrainerOptions const& options() const { return options_; }
  Parameters& parameters() { return optimizer_->parameters(); }
  Loader const& loader() const { return *loader_; }
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
  /// Where an accumulation goes on.
  struct Resumed {
    Accumulated done;
    double loss = 0;
  };
  void start_algorithms();
  void share_algorithms();
  Size accumulate(Loader& loader);
  void run_micro_batch();
  Totals total_over_replicas(Size tokens);
  /// The stream that work for `own` goes to.
  Stream& beside(Stream& own) { return options_.overlap == Overlap::on ? own : compute_; }
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
  Replay replay_;
  GradientReducer reducer_;
  Buffer totals_, totals_on_host_;
  std::function<void(StepMetrics const&)> on_step_;
  std::function<void()> between_steps_;
  std::function<void(Accumulated const&)> between_micro_batches_;
  Resumed resumed_;
  Evaluation evaluation_;
  Size steps_done_ = 0;
  bool gradients_are_zero_ = false, algorithms_are_shared_ = false, stopping_ = false;
  std::string part_;  // of the step that runs, for profilers
};

}  // namespace dsr
