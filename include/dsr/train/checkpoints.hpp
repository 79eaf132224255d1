// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TrainingCheckpoints: keeps other runs out of the folder, resumes, saves at intervals with one
/// line a set, and stops at a signal.
///
///     TrainingCheckpoints checkpoints{runtime, mesh, trainer, settings};
///     checkpoints.begin(line);
///     checkpoints.write_to(metrics.get());
///     trainer.between_steps([&] { checkpoints.after_step(); });
///     trainer.run_to(steps);
///     checkpoints.finish();
///     return checkpoints.exit_code();        // of main: 75 if a signal has stopped the run
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/checkpoint/run_lock.hpp"
#include "dsr/config/command_line.hpp"
#include "dsr/config/train_settings.hpp"
#include "dsr/observe/metrics.hpp"
#include "dsr/train/fragments.hpp"
#include "dsr/train/stop_signals.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Neither copies nor moves. Collective: every rank makes the same calls. Holds the lock of
/// run.dir, and with checkpoint.at_exit the handlers of SIGTERM and SIGUSR1, as long as it lives.
class TrainingCheckpoints {
 public:
  /// Throws AgreedError: with exit code 75 if another run holds the folder, 78 if a tier's
  /// directory is not what it has to be (see probe_tiers), 74 if it cannot be written.
  /// InvalidArgument as CheckpointOptions::validate and StopSignals do. Takes
  /// Trainer::between_micro_batches unless checkpoint.fragments is off.
  TrainingCheckpoints(Runtime& runtime, Mesh const& mesh, Trainer& trainer,
                      TrainSettings const& settings, FileSystem& files = system_files());
  ~TrainingCheckpoints();
  TrainingCheckpoints(TrainingCheckpoints const&) = delete;
  TrainingCheckpoints& operator=(TrainingCheckpoints const&) = delete;

  /// Goes on from the newest sound set of all tiers, and says so; nullopt if there is none or
  /// checkpoint.resume is "never". Throws AgreedError if it is "required" and there is none, or if
  /// a set does not fit the model or the data.
  std::optional<ResumedSet> resume();
  /// What the command line asks for: resume(), or with --fresh a start at step 0. Throws
  /// AgreedError (exit code 78) that names the newest set if there are committed ones in any tier,
  /// unless --force moves them away. Then says what saving will take; too little room is a warning.
  void begin(CommandLine const& line);
  /// Where rank 0 writes CheckpointMetrics; may be null. Written to until finish() returns.
  void write_to(MetricsWriter* metrics) { metrics_ = metrics; }
  /// Between steps: tells of a save that has ended, begins one that is due, and at a signal saves a
  /// warm set and calls Trainer::stop. Throws AgreedError (exit code 75) if the lock is lost.
  void after_step();
  /// At the end: waits, saves the last step in the warm tier unless it is there already or
  /// checkpoint.at_exit is false, and in the cold tier unless the run was stopped.
  void finish();

  /// 75 if a signal has stopped the run, else 0.
  int exit_code() const { return stopped_ ? 75 : 0; }
  /// Steps whose save had to be left out because one was still under way.
  Size skipped() const { return skipped_; }
  /// Steps done since the newest acknowledged set, or since the start.
  Size age_steps() const { return trainer_->steps_done() - acknowledged_step_; }
  int generation() const { return checkpointer_.generation(); }

 private:
  enum class Wish : std::uint8_t { nothing, save, stop, give_up };  ///< the larger one counts
  bool has(Tier tier) const { return has_[static_cast<std::size_t>(tier)]; }
  Wish wish();
  std::vector<Tier> due(Wish wish) const;
  void save(std::vector<Tier> const& tiers);
  void stop();
  void tell(SaveReport const& report);
  void write(SaveReport const& report, char const* state);
  void wait();
  bool is_missing(Tier tier);

  Runtime* runtime_;
  Trainer* trainer_;
  CheckpointSettings settings_;
  std::array<bool, kTiers> has_{};
  std::unique_ptr<RunLock> lock_;  // rank 0's
  std::optional<StopSignals> signals_;
  State state_;
  CheckpointOptions options_;
  Checkpointer checkpointer_;
  GradientFragments fragments_;
  MetricsWriter* metrics_ = nullptr;
  FileSystem* files_;
  Mesh const* mesh_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::array<Size, kTiers> told_step_{-1, -1, -1};  // of the newest report of each tier
  Size acknowledged_step_ = 0, begun_step_ = -1, skipped_ = 0;
  bool stopped_ = false;
};

}  // namespace dsr
